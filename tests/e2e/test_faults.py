"""Nothing lost and nothing half decided, whatever happens: a short set of what `make soak` runs."""

import signal
from collections import Counter
from dataclasses import replace
from threading import Thread

import pytest
from faultlab.lab import Report, run
from faultlab.scenarios import LONG, SCENARIOS, crashes
from faultlab.verdict import Verdict

from index.records import IMAGE, TEXT
from stream.demo.people import People
from stream.events import Source
from stream.local.kafka import LocalKafka
from stream.worker.settings import Settings
from tests.e2e.conftest import WorkerFactory
from tests.e2e.harness import Outbound, Witness, WorkerProcess, committed, publish
from tests.e2e.scene import appearances, events
from tests.e2e.test_main_job import now_ms

pytestmark = pytest.mark.kafka

WAIT_S = 90.0


class Background:
    """Publishes at a rate while the test does harm."""

    def __init__(self, settings: Settings, records: list[Outbound], *, rate_hz: float) -> None:
        self.published: list[Source] = []
        self._thread = Thread(target=self._run, args=(settings, records, rate_hz))
        self._thread.start()

    def _run(self, settings: Settings, records: list[Outbound], rate_hz: float) -> None:
        self.published = publish(settings, records, rate_hz=rate_hz)

    def finish(self) -> set[Source]:
        """Waits for the last delivery; where everything stands."""
        self._thread.join(60)
        assert self.published, "publishing failed; see the thread's own error"
        return set(self.published)


def assert_nothing_lost_or_halved(witness: Witness, published: set[Source], subjects: int) -> None:
    """Every event is in a decision, every decision is whole, and duplicates are the same decision again."""
    assert witness.covered() == published
    assert witness.dead_letters == []
    halves = [d.decision_id for d, _ in witness.decisions if d.modalities.used != (IMAGE, TEXT)]
    assert halves == []
    assert witness.different_duplicates() == []
    ids = {(d.subject_id, d.decision_id) for d, _ in witness.decisions}
    several = [s for s, n in Counter(s for s, _ in ids).items() if n > 1]
    assert several == []
    assert len(ids) == subjects


def wait_until_all_is_committed(settings: Settings, published: set[Source], worker: WorkerProcess) -> None:
    """Returns when the group's offsets have passed every published event."""
    ends: dict[tuple[str, int], int] = {}
    for source in published:
        key = (source.topic, source.partition)
        ends[key] = max(ends.get(key, 0), source.offset + 1)
    topics = list(settings.topics.inputs.values())
    worker.wait_for(lambda: committed(settings, topics) == ends, "done committing", 20)


def test_a_backlog_of_big_photos_and_small_texts_is_joined_rightly(
    settings: Settings, start_worker: WorkerFactory, people: People
) -> None:
    """Texts are read far ahead of photos, and still no subject is closed before its photo was read.

    images   [====|====|====|====|====|====|==…   a few a fetch
    texts    [||||||||||||||||||||||||||||||||]   all in one fetch
    """
    subjects = appearances(people, 240)
    backlog = events(settings, subjects, start_ms=now_ms() - 120_000, every_ms=500, image_bytes=300_000)
    published = set(publish(settings, backlog))
    worker = start_worker()
    with Witness(settings) as witness:
        witness.until(lambda w: w.covered() >= published, WAIT_S, worker)
    assert_nothing_lost_or_halved(witness, published, len(subjects))
    wait_until_all_is_committed(settings, published, worker)


def test_sigterm_under_load_stops_cleanly_and_the_next_worker_goes_on(
    settings: Settings, worker: WorkerProcess, people: People
) -> None:
    """A worker told to stop under load exits with 0, and its successor decides what is left, each once."""
    subjects = appearances(people, 200)
    records = list(events(settings, subjects, start_ms=now_ms(), every_ms=10))
    stream = Background(settings, records, rate_hz=200)
    with Witness(settings) as witness:
        witness.until(lambda w: len(w.decisions) >= 30, WAIT_S, worker)
        assert worker.terminate() == 0, worker.tail()
        published = stream.finish()
        worker.start()
        witness.until(lambda w: w.covered() >= published, WAIT_S, worker)
        witness.read(1.0)
    assert_nothing_lost_or_halved(witness, published, len(subjects))


def assert_right(report: Report) -> None:
    """Nothing lost, wrong, unseen, different, out of order or decided twice, and everything committed."""
    assert report.verdict.counts == dict.fromkeys(Verdict.__slots__, 0), report.verdict
    assert report.uncommitted == 0
    assert report.decisions > 0


SHORT = ("joined", "sent, not awaited", "delivered", "committed")
"""A crash on each side of what the promise hangs on: the join, the delivery, the commit."""


def test_kill_9_between_the_stages_loses_nothing_and_halves_nothing(kafka: LocalKafka) -> None:
    """One life after another ends at a boundary between two stages; the oracle judges every event."""
    scenario = crashes("crash-short", SHORT, "kill -9", shape=replace(LONG, visits=600))
    report = run(scenario, 1, kafka)
    assert_right(report)
    assert report.deaths == (-signal.SIGKILL,) * (len(SHORT) + 1), "every crash, and the kill before them"


def test_a_zombie_ends_itself_and_its_partitions_are_served(kafka: LocalKafka) -> None:
    """A worker that stood still until another had its partitions sends nothing: it leaves with code 1."""
    report = run(SCENARIOS["zombie"], 1, kafka)
    assert_right(report)
    assert report.deaths == (1,)


def test_a_broker_killed_in_mid_stream_costs_nothing(broker: LocalKafka) -> None:
    """The worker outlives it, and goes on with the same log."""
    report = run(SCENARIOS["broker-kill"], 1, broker, scale=0.5)
    assert_right(report)
    assert report.deaths == ()


def test_producers_without_a_clock_harm_nobody_else(kafka: LocalKafka) -> None:
    """Events of 2100 and 1970, and half a minute ahead: others' windows close as they would have."""
    assert_right(run(SCENARIOS["skew"], 1, kafka, scale=0.5))
