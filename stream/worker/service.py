"""Runs one worker from preflight to exit: builds the parts, starts them in order, stops them in reverse."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from index.errors import GalleryError
from index.faiss_gallery import FaissGallery
from index.records import Modality
from stream.codec import Limits
from stream.features.errors import FeatureError
from stream.features.extractor import Extractor
from stream.features.guards import ImageLimits
from stream.features.networks import Backend
from stream.features.registry import FACTORIES, ExtractorConfig, Factories, build_extractors
from stream.live_gallery import LiveGallery
from stream.recogniser import Recogniser
from stream.worker.admin import preflight
from stream.worker.app import attach, build_app
from stream.worker.crew import Crew
from stream.worker.deciding import Deciding
from stream.worker.enroller import AHEAD, Enroller
from stream.worker.errors import BrokerUnreachableError, WorkerError
from stream.worker.extraction import Budget, ExtractionPool
from stream.worker.faust_internals import BrokerEvidence
from stream.worker.gallery_feed import GalleryFeed
from stream.worker.health import Health, HealthServer
from stream.worker.instance import InstanceSlot
from stream.worker.logs import configure_logging, get_logger
from stream.worker.metrics import PrometheusObserver, expose_health
from stream.worker.pipeline import Pipeline
from stream.worker.policy import policy_of, target_fpirs
from stream.worker.publisher import Fence, Publisher
from stream.worker.settings import Settings
from stream.worker.tail_reader import TailReader
from stream.worker.watchdog import Sight, Watchdog

log = get_logger(__name__)

SWEEP_S = 0.1
TURN_S = 0.5
RETRY_BROKER_S = 2.0
DRAIN_S = 5.0
"""How long a stop waits for deliveries under way."""
EXIT_WITHIN_S = 15.0
"""After a signal the process is gone within this time; an absent broker would hold clients for a minute."""
EXIT_FAILED = 1


def run(settings: Settings, *, factories: Factories = FACTORIES) -> int:
    """Runs a worker until a signal or a failure; returns the exit code.

    Args:
        settings: Of the installation.
        factories: What makes the extractor of each modality; a third modality is one entry more.
    """
    configure_logging(settings.log_level, json=settings.log_json)
    try:
        asyncio.run(_serve(settings, factories))
    except (WorkerError, FeatureError, GalleryError) as error:
        log.critical("worker stopped", error=str(error))
        return EXIT_FAILED
    except Exception:
        log.critical("worker stopped by an unexpected failure; a restart replays", exc_info=True)
        return EXIT_FAILED
    log.info("worker stopped")
    return 0


async def _serve(settings: Settings, factories: Factories) -> None:
    crew = Crew()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _begin_stop, stop)
    stopping = crew.spawn(stop.wait(), name="stop")
    serving = crew.spawn(_run_until_failure(settings, factories, crew), name="serve")
    done, _ = await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    if serving not in done:
        serving.cancel()
    _exit_at_the_latest()
    await asyncio.gather(serving, return_exceptions=True)
    await crew.dismiss()
    if serving in done:
        serving.result()


def _begin_stop(stop: asyncio.Event) -> None:
    log.info("stopping")
    stop.set()


def _exit_at_the_latest() -> None:
    def leave() -> None:
        time.sleep(EXIT_WITHIN_S)
        sys.stderr.write(f"worker: still stopping after {EXIT_WITHIN_S:.0f} s, leaving; a restart replays\n")
        sys.stderr.flush()
        os._exit(EXIT_FAILED)

    threading.Thread(target=leave, name="exit", daemon=True).start()


async def _run_until_failure(settings: Settings, factories: Factories, crew: Crew) -> None:
    health, registry = Health(), CollectorRegistry()
    observer = PrometheusObserver(registry)
    expose_health(registry, health, partitions=settings.partitions)
    async with AsyncExitStack() as stack:
        server = _health_server(settings, health, registry)
        server.start()
        stack.callback(server.close)
        crew.spawn(_turn(health), name="turn")
        instance = settings.instance_id
        if instance is None:
            slot = InstanceSlot(settings.app_id, settings.cache_dir / "instances")
            stack.callback(slot.close)
            instance = slot.name
        extractors = extractors_of(settings, factories)
        contracts = {m: e.contract_id for m, e in extractors.items()}
        policy = policy_of(settings, contracts)
        await _reach_broker(settings)
        fence = Fence(settings.session_timeout_s)
        publisher = await stack.enter_async_context(_started(Publisher(settings, fence)))
        gallery = LiveGallery(FaissGallery(policy), policy, target_fpir=target_fpirs(settings, policy))
        feed = await stack.enter_async_context(_started(GalleryFeed(settings, gallery, observer=observer)))
        crew.spawn(feed.run(), name="gallery feed")
        recogniser = Recogniser(gallery, contracts, candidates=settings.candidates)
        limits = {m: limits_of(settings, e) for m, e in extractors.items()}
        budget = Budget(events=settings.max_in_flight, size_bytes=settings.max_in_flight_bytes)
        pool = ExtractionPool(extractors, threads=settings.extract_threads, budget=budget, observer=observer)
        stack.callback(pool.close)
        app = build_app(settings, instance_id=instance)
        evidence = BrokerEvidence(app)
        deciding = Deciding(
            settings, recogniser=recogniser, pool=pool, publisher=publisher, observer=observer
        )
        stack.callback(deciding.close)
        pipeline = Pipeline(
            settings,
            deciding=deciding,
            budget=budget,
            tail_reader=TailReader(settings),
            evidence=evidence,
            health=health,
            observer=observer,
            crew=crew,
            limits=limits,
        )
        enrolling = ExtractionPool(
            extractors_of(settings, factories, one_face=True),
            threads=settings.extract_threads,
            budget=Budget(events=AHEAD, size_bytes=settings.max_in_flight_bytes),
            observer=observer,
        )
        stack.callback(enrolling.close)
        enroller = Enroller(
            settings,
            gallery=gallery,
            feed=feed,
            pool=enrolling,
            publisher=publisher,
            evidence=evidence,
            observer=observer,
            crew=crew,
            limits=limits,
        )
        crew.spawn(enroller.run(), name="enroller")
        attach(app, settings, pipeline, enroller)
        await _or_failure(crew, feed.caught_up())
        await _or_failure(crew, asyncio.to_thread(gallery.prepare))
        health.gallery_ready = True
        log.info("gallery caught up", identities=gallery.state.identities, templates=gallery.state.templates)
        fence.restart()
        crew.spawn(_sweep(pipeline, fence, evidence, feed), name="sweep")
        await stack.enter_async_context(_faust(app, crew))
        stack.push_async_callback(pipeline.drained, DRAIN_S)
        error = await crew.failed()
        _exit_at_the_latest()
        raise error


async def _or_failure(crew: Crew, work: Any) -> None:
    """Waits for the work, or raises the crew's first failure."""
    task = asyncio.ensure_future(work)
    failed = asyncio.ensure_future(crew.failed())
    await asyncio.wait({task, failed}, return_when=asyncio.FIRST_COMPLETED)
    failed.cancel()
    if not task.done():
        task.cancel()
        raise failed.result()
    task.result()


def _health_server(settings: Settings, health: Health, registry: CollectorRegistry) -> HealthServer:
    try:
        return HealthServer(settings.http_host, settings.http_port, health=health, registry=registry)
    except OSError as error:
        raise WorkerError(
            f"{settings.http_host}:{settings.http_port} cannot be listened on ({error.strerror}); "
            "another worker may have it: set SIGHTLINE_HTTP_PORT to a free port, or to 0 for any"
        ) from error


async def _reach_broker(settings: Settings) -> None:
    """Waits for the broker, saying so; wrong topics are refused at once."""
    while True:
        try:
            await preflight(settings)
        except BrokerUnreachableError as error:
            log.warning("waiting for the broker", error=str(error))
            await asyncio.sleep(RETRY_BROKER_S)
        else:
            return


async def _turn(health: Health) -> None:
    """Proves that the event loop comes round, whatever the worker waits for."""
    while True:
        health.turn()
        await asyncio.sleep(TURN_S)


async def _sweep(pipeline: Pipeline, fence: Fence, evidence: BrokerEvidence, feed: GalleryFeed) -> None:
    """Closes windows as time passes, and notices when nothing moves."""
    watchdog = Watchdog(time.monotonic(), deaf_after_s=fence.allowed_s)
    while True:
        fence.beat()
        pipeline.sweep()
        sight = Sight(
            progress=pipeline.progress,
            lag=pipeline.lag,
            unacknowledged=pipeline.unacknowledged,
            heard_ms=evidence.heard_ms,
            broker_heard_ms=feed.heard_ms,
        )
        watchdog.look(time.monotonic(), sight)
        await asyncio.sleep(SWEEP_S)


@asynccontextmanager
async def _started(part: Any) -> AsyncIterator[Any]:
    """A part with `start` and `stop`, for an exit stack."""
    await part.start()
    try:
        yield part
    finally:
        await part.stop()


@asynccontextmanager
async def _faust(app: Any, crew: Crew) -> AsyncIterator[None]:
    """The Faust app, whose crash is the worker's."""
    app.in_worker = True
    crew.spawn(_watch(app, crew), name="faust")
    await app.start()
    try:
        yield
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await app.stop()


async def _watch(app: Any, crew: Crew) -> None:
    await app._crashed.wait()  # noqa: SLF001  # mode offers no public way to wait for a crash
    crew.fail(app.crash_reason or WorkerError("Faust stopped without a reason; see the lines above"))


def extractors_of(
    settings: Settings, factories: Factories = FACTORIES, *, one_face: bool = False
) -> Mapping[Modality, Extractor]:
    """The extractors that the settings ask for.

    Raises:
        FeatureError: A modality has no extractor, or its model files are missing or wrong.
    """
    return build_extractors(
        settings.modalities,
        ExtractorConfig(
            cache_dir=settings.cache_dir,
            pack=settings.pack,
            backend=Backend(settings.backend),
            mirror=settings.mirror,
            image_limits=ImageLimits(
                max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels
            ),
            max_text_chars=settings.max_text_chars,
            one_face=one_face,
        ),
        factories=factories,
    )


def limits_of(settings: Settings, extractor: Extractor) -> Limits:
    """What the codec lets through to an extractor; the extractor's own guards look at the bytes."""
    return Limits(
        max_value_bytes=settings.max_image_bytes,
        content_types=extractor.content_types,
        default_content_type=extractor.default_content_type,
        max_skew_ms=settings.max_skew_ms,
    )
