"""Nothing lost and nothing half decided, whatever happens to a worker. The witness shares no code with it."""

import time
from collections import Counter
from threading import Thread

import pytest

from index.records import IMAGE, TEXT
from stream.demo.people import People
from stream.events import Source
from stream.worker.settings import Settings
from tests.e2e.conftest import WorkerFactory
from tests.e2e.harness import Outbound, Witness, WorkerProcess, committed, publish
from tests.e2e.scene import appearances, enrol, events
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


def test_kill_9_in_mid_stream_loses_nothing_and_halves_nothing(
    settings: Settings, worker: WorkerProcess, people: People
) -> None:
    """A worker killed three times under load decides everything whole; its duplicates are byte-equal."""
    enrol(settings, worker, people.enrolled[:8])
    subjects = appearances(people, 300)
    records = list(events(settings, subjects, start_ms=now_ms(), every_ms=20))
    stream = Background(settings, records, rate_hz=100)
    with Witness(settings) as witness:
        for kill in range(3):
            time.sleep(1.3)
            witness.until(lambda w, seen=40 * (kill + 1): len(w.decisions) >= seen, WAIT_S, worker)
            worker.kill()
            worker.start()
        published = stream.finish()
        witness.until(lambda w: w.covered() >= published, WAIT_S, worker)
        witness.read(1.0)
    assert_nothing_lost_or_halved(witness, published, len(subjects))
    wait_until_all_is_committed(settings, published, worker)


def test_the_survivor_of_two_workers_takes_over(
    settings: Settings, start_worker: WorkerFactory, people: People
) -> None:
    """Two workers share the partitions; when one is killed the other has them all, and nothing is lost."""
    pair = [start_worker(name, session_timeout_s=6.0) for name in ("1", "2")]
    for worker in pair:
        worker.wait_ready()
    subjects = appearances(people, 200)
    stream = Background(
        settings, list(events(settings, subjects, start_ms=now_ms(), every_ms=20)), rate_hz=80
    )
    with Witness(settings) as witness:
        witness.until(lambda w: len(w.decisions) >= 40, WAIT_S, pair[0])
        assert {d.inputs[0].partition for d, _ in witness.decisions} == {0, 1}
        pair[0].kill()
        published = stream.finish()
        witness.until(lambda w: w.covered() >= published, WAIT_S, pair[1])
        witness.read(1.0)
    assert_nothing_lost_or_halved(witness, published, len(subjects))


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
