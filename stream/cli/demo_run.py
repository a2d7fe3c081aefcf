"""The stages of a demo run: a service from nothing, people into its gallery, the stream, the books."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka.errors import KafkaError
from rich.live import Live
from rich.markup import escape

from stream.cli.broker import download_bar
from stream.cli.console import err
from stream.cli.demo_stream import Books, stream
from stream.cli.demo_view import live_table
from stream.cli.enrol import counting
from stream.cli.enrolling import enrol_all
from stream.cli.identities import Enrolments, read_gallery
from stream.cli.kafka_clients import Deadline
from stream.cli.models import pull_bars
from stream.cli.worker_process import WorkerProcess, running_workers
from stream.demo.article import Appearance, baseline
from stream.demo.ledger import Ledger
from stream.demo.people import LabelledPhoto, People
from stream.demo.poison import Bounds
from stream.demo.report import Report, report_of
from stream.demo.score import Rates, observed_masks, rates_by_mask, speed
from stream.demo.traffic import Plan, Shape, plan_traffic
from stream.events import EnrolmentResult
from stream.features.models import pack_named
from stream.features.text import TextExtractor
from stream.local.kafka import broker_at
from stream.local.model_pull import pull
from stream.worker.admin import admin_client, init_topics
from stream.worker.errors import WorkerError
from stream.worker.policy import policy_of, target_fpirs
from stream.worker.settings import Settings

GALLERY_WITHIN_S = 30.0
"""From the last answer until every worker searches whom it says is enrolled."""
REFRESH_S = 0.25
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, as it was asked for."""

    name: str
    people: People
    shape: Shape
    seed: int
    workers: int
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is up and running for the run."""

    settings: Settings
    workers: list[WorkerProcess]

    @property
    def target_fpir(self) -> float:
        """Of probes that have every modality."""
        targets = target_fpirs(self.settings, policy_of(self.settings, {}))
        return targets[frozenset(self.settings.modalities)]

    def check(self) -> None:
        """Raises `WorkerDownError` when a worker has ended."""
        for worker in self.workers:
            worker.check()


@contextmanager
def running_service(run: Run, settings: Settings, bootstrap: str | None) -> Iterator[Service]:
    """Broker, topics, models and workers; gone at the end of the block, however it ends."""
    with ExitStack() as stack:
        with _stage("Kafka"), download_bar() as jars:
            kafka = broker_at(bootstrap, cache_dir=settings.cache_dir, progress=jars)
            settings = settings.model_copy(update={"bootstrap": stack.enter_context(kafka)})
        with _stage("topics"):
            asyncio.run(init_topics(settings))
        if bootstrap:
            stack.callback(_delete_topics, settings)
        with _stage("models"), pull_bars() as files:
            pull(pack_named(settings.pack, settings.cache_dir), settings.cache_dir, progress=files)
        with _stage("workers"):
            workers = running_workers(settings, run=run.name, count=run.workers, log=run.log)
            service = Service(settings=settings, workers=stack.enter_context(workers))
        yield service


def streamed(run: Run, service: Service) -> Report:
    """Enrols, streams, and closes the books."""
    settings, people = service.settings, run.people
    err.print(f"people: {len(people.enrolled)} to enrol, {len(people.strangers)} strangers; {people.data}")
    enrolled = _enrol(run, service)
    plan = plan_traffic(people, run.shape, run=run.name, seed=run.seed)
    books = Books(run=run.name, planned=len(plan.events), grace_ms=settings.grace_ms)
    asyncio.run(_stream_and_show(service, plan, books, frozenset(enrolled)))
    ledger = books.close()
    with _stage("the article's pipeline on the same probes"):
        compared = _baseline(people, plan, ledger, frozenset(enrolled), service.target_fpir)
    return report_of(
        ledger,
        by_mask=rates_by_mask(ledger, plan.subjects, frozenset(enrolled)),
        baseline=compared,
        speed=speed(ledger),
        pack=settings.pack,
        data=people.data,
        identities=len(enrolled),
        templates=sum(len(templates) for templates in enrolled.values()),
    )


def hold_until_interrupted(service: Service) -> None:
    """Returns on Ctrl-C; until then others can look around.

    Raises:
        WorkerDownError: A worker ended by itself.
    """
    settings = service.settings
    prefix = (
        f"SIGHTLINE_TOPIC_PREFIX={settings.topic_prefix} " if settings.topic_prefix != "sightline" else ""
    )
    err.print(
        f"Staying up until Ctrl-C. Look around with `{prefix}sightline tail --from-beginning --bootstrap "
        f"{settings.bootstrap}`, or `identities list`, `enrol`, `produce`, `withdraw` the same way."
    )
    with suppress(KeyboardInterrupt):
        while True:
            service.check()
            time.sleep(POLL_S)


def _enrol(run: Run, service: Service) -> Enrolments:
    """Everybody through the one door; returns who is in the gallery when every worker searches them."""
    photos = [
        LabelledPhoto(identity_id=person.identity_id, photo=photo)
        for person in run.people.enrolled
        for photo in person.enrolled
    ]
    with _stage("enrolment"), counting("enrolling", len(photos)) as tick:
        results = asyncio.run(enrol_all(service.settings, run.name, photos, on_result=tick))
        enrolled = asyncio.run(read_gallery(service.settings))
        _await_gallery(service, sum(len(templates) for templates in enrolled.values()))
    _tell_rejections(results)
    return enrolled


def _tell_rejections(results: Iterable[EnrolmentResult]) -> None:
    for result in results:
        if not result.accepted:
            err.print(
                f"not enrolled: {escape(f'{result.identity_id}/{result.template_id}: {result.detail}')}"
            )


def _await_gallery(service: Service, templates: int) -> None:
    deadline = Deadline(GALLERY_WITHIN_S, waiting_for=f"the workers to search {templates} templates")
    for worker in service.workers:
        while (worker.metric("sightline_gallery_templates") or 0) < templates:
            worker.check()
            deadline.check()
            time.sleep(POLL_S)


async def _stream_and_show(service: Service, plan: Plan, books: Books, enrolled: frozenset[str]) -> None:
    settings, texts = service.settings, TextExtractor(max_chars=service.settings.max_text_chars)
    bounds = Bounds(
        max_image_bytes=settings.max_image_bytes,
        max_text_chars=settings.max_text_chars,
        text_contract_id=texts.contract_id,
        text_dimension=texts.dimension,
    )
    subjects = {subject.subject_id: subject for subject in plan.subjects}
    with Live(console=err, auto_refresh=False, transient=True) as live:
        async with asyncio.TaskGroup() as tasks:

            async def show() -> None:
                while True:
                    live.update(live_table(books, subjects, enrolled), refresh=err.is_terminal)
                    await asyncio.sleep(REFRESH_S)

            showing = tasks.create_task(show())
            await stream(settings, plan, books, bounds=bounds, check=service.check)
            showing.cancel()


def _baseline(
    people: People, plan: Plan, ledger: Ledger, enrolled: frozenset[str], target_fpir: float
) -> Rates:
    photos = {event.subject_id: event.photo for event in plan.events}
    masks = observed_masks(ledger)
    probes = [
        Appearance(
            photo=photos[subject.subject_id],
            mask=masks[subject.subject_id],
            truth=subject.identity_id if subject.identity_id in enrolled else None,
        )
        for subject in plan.subjects
        if subject.subject_id in masks and subject.subject_id in ledger.final
    ]
    known = [person for person in people.enrolled if person.identity_id in enrolled]
    return baseline(known, probes, target_fpir=target_fpir)


def _delete_topics(settings: Settings) -> None:
    """Takes a run's own topics off somebody's Kafka again; one that will not go is named."""

    async def delete() -> None:
        async with admin_client(settings) as client:
            await client.delete_topics([spec.name for spec in settings.topic_specs])

    try:
        asyncio.run(delete())
    except (KafkaError, WorkerError) as error:
        err.print(
            f"The topics {settings.topic_prefix}.… stay on {settings.bootstrap} ({error}); delete them there."
        )


@contextmanager
def _stage(what: str) -> Iterator[None]:
    """Says on stderr how long a stage took."""
    began_s = time.monotonic()
    yield
    err.print(f"[green]✓[/] {what} [dim]{time.monotonic() - began_s:.1f} s[/]")
