"""The job that every contender does: the same subjects, kernels and gallery, and what is compared.

Also `bare`, the job with nothing around it.
"""

import itertools
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from index.faiss_gallery import FaissGallery
from index.records import IMAGE, TEXT, Feature, IdentityId, Modality, Outcome, Template, TemplateId
from stream.decision_record import Timing, encode_decision
from stream.decision_view import DecisionRecord
from stream.demo.people import People, Photo
from stream.envelope import Outgoing
from stream.events import (
    ClosedBy,
    Enrolled,
    Event,
    EventId,
    Missing,
    Probe,
    ProbeSample,
    Source,
    SubjectId,
    Window,
)
from stream.features.extractor import Unusable
from stream.gallery_record import encode_template
from stream.recogniser import LiveGallery, Recogniser
from stream.worker.policy import policy_of, target_fpirs
from stream.worker.service import extractors_of
from stream.worker.settings import Settings

CONTENT_TYPES: Mapping[Modality, str] = {IMAGE: "image/jpeg", TEXT: "text/plain"}
ORIGIN = "/bench/pipeline"
NO_TIMING = Timing(decided_at_ms=0, join_ms=0.0, extract_ms=0.0, search_ms=0.0, total_ms=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done, by settings that the worker has too."""

    settings: Settings
    people: People


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One appearance of somebody, in every modality."""

    number: int
    truth: str | None
    """Whose it is; None for a stranger."""
    payloads: Mapping[Modality, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a decision says, without what depends on the place of its inputs in the log."""

    outcome: Outcome
    identity_id: str | None
    candidates: tuple[tuple[str, float], ...]
    """Identity and score, as published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contender's turn: what it took, and its decisions."""

    seconds: float
    cpu_s: float
    broker_cpu_s: float | None = None
    values: Mapping[str, bytes]
    """Decision value by subject id."""
    appended_ms: Mapping[str, int] = field(default_factory=dict)
    """When the broker appended each decision, by subject id."""

    @property
    def answers(self) -> Mapping[int, Answer]:
        """By number of the subject."""
        return {number_of(subject_id): answer_of(value) for subject_id, value in self.values.items()}


def subject_id_of(run: str, subject: Subject) -> str:
    """Unique in a run, and over runs."""
    return f"{run}-{subject.number:06d}"


def number_of(subject_id: str) -> int:
    """The subject's number in the job."""
    return int(subject_id.rpartition("-")[2])


def answer_of(value: bytes) -> Answer:
    """What is compared of a decision."""
    record = DecisionRecord.model_validate_json(value)
    return Answer(
        outcome=Outcome(record.outcome),
        identity_id=record.identity_id,
        candidates=tuple((c.identity_id, c.score) for c in record.candidates),
    )


def subjects_of(people: People, count: int) -> list[Subject]:
    """So many subjects: enrolled people and strangers in turn, their photos over and over."""
    known = [(p.identity_id, photo) for p in people.enrolled for photo in p.probes]
    strange = [(None, photo) for p in people.strangers for photo in p.probes]
    shots = zip(itertools.cycle(known), itertools.cycle(strange))
    return [
        Subject(number=number, truth=truth, payloads=payloads_of(photo))
        for number, (truth, photo) in enumerate(itertools.islice(itertools.chain.from_iterable(shots), count))
    ]


@cache
def payloads_of(photo: Photo) -> Mapping[Modality, bytes]:
    """A photo and what was said about it."""
    return {IMAGE: photo.read(), TEXT: (photo.caption or "a person").encode()}


class Kernel:
    """Payloads to the bytes of a decision: the parts that the worker has, called one after the other."""

    def __init__(self, job: Job) -> None:
        """Loads the models and enrols every enrolment photo of the job."""
        self._settings = job.settings
        self._extractors = extractors_of(job.settings)
        contracts = {m: e.contract_id for m, e in self._extractors.items()}
        policy = policy_of(job.settings, contracts)
        with ThreadPoolExecutor(job.settings.extract_threads) as pool:
            photos = [(p.identity_id, photo) for p in job.people.enrolled for photo in p.enrolled]
            made = pool.map(lambda shot: self._template(*shot), photos)
            self.templates = [template for template in made if template.features]
        gallery = LiveGallery(FaissGallery(policy), policy, target_fpir=target_fpirs(job.settings, policy))
        gallery.apply((Enrolled(template=t), version) for version, t in enumerate(self.templates, start=1))
        self._recogniser = Recogniser(gallery, contracts, candidates=job.settings.candidates)

    def decide(self, payloads: Mapping[Event, bytes]) -> Outgoing:
        """The decision about one complete subject, encoded."""
        samples, missing = [], []
        for event, data in payloads.items():
            assert event.modality is not None, event  # noqa: S101 (for mypy: no markers are sent)
            feature = self._extract(event.modality, data)
            if isinstance(feature, Feature):
                samples.append(ProbeSample(event=event, feature=feature))
            else:
                missing.append(Missing(modality=event.modality, reason=feature.reason, event=event))
        start_ms = min(event.event_time_ms for event in payloads)
        probe = Probe(
            subject_id=next(iter(payloads)).subject_id,
            window=Window(start_ms=start_ms, end_ms=start_ms + self._settings.window_ms),
            closed_by=ClosedBy.COMPLETE,
            samples=tuple(samples),
            missing=tuple(missing),
        )
        return encode_decision(self._recogniser.decide(probe), NO_TIMING)

    def _extract(self, modality: Modality, data: bytes) -> Feature | Unusable:
        return self._extractors[modality].extract(CONTENT_TYPES[modality], data)

    def _template(self, identity_id: str, photo: Photo) -> Template:
        found = {m: self._extract(m, data) for m, data in payloads_of(photo).items()}
        return Template(
            identity_id=IdentityId(identity_id),
            template_id=TemplateId(photo.name),
            features={m: f for m, f in found.items() if isinstance(f, Feature)},
        )


_loaded: list[tuple[Job, Kernel]] = []


def kernel_of(job: Job) -> Kernel:
    """The job's kernel, loaded once a process. Kept by equality: settings with a mapping have no hash."""
    kernel = next((kernel for known, kernel in _loaded if known == job), None)
    if kernel is None:
        kernel = Kernel(job)
        _loaded.append((job, kernel))
    return kernel


def gallery_records(job: Job) -> list[Outgoing]:
    """The gallery topic whose reader holds what the job's kernel holds, at the same version."""
    return [encode_template(template) for template in kernel_of(job).templates]


def bare(job: Job, subjects: Iterable[Subject], run: str) -> Run:
    """No Kafka: subjects from memory to encoded decisions, on as many threads as the worker extracts on."""
    kernel = kernel_of(job)
    now_ms = time.time_ns() // 1_000_000
    waiting = [
        {
            _event(job.settings, run, subject, modality, now_ms): data
            for modality, data in subject.payloads.items()
        }
        for subject in subjects
    ]
    with ThreadPoolExecutor(job.settings.extract_threads) as pool:
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        decisions = list(pool.map(kernel.decide, waiting))
        seconds, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    values = {d.key.decode(): d.value for d in decisions if d.key is not None and d.value is not None}
    return Run(seconds=seconds, cpu_s=cpu_s, values=values)


def _event(settings: Settings, run: str, subject: Subject, modality: Modality, time_ms: int) -> Event:
    subject_id = subject_id_of(run, subject)
    return Event(
        event_id=EventId(f"{subject_id}/{modality}"),
        origin=ORIGIN,
        subject_id=SubjectId(subject_id),
        modality=modality,
        event_time_ms=time_ms,
        source=Source(topic=settings.topics.inputs[modality], partition=0, offset=subject.number),
    )
