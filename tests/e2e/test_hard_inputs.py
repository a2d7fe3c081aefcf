"""What producers do: transactions, clocks that are wrong, one topic far behind the other."""

from collections.abc import Iterable

import pytest
from confluent_kafka import Producer

from index.records import IMAGE, TEXT
from stream.demo.people import People
from stream.events import ClosedBy
from stream.reasons import Reason
from stream.worker.app import BUFFERED_RECORDS, FETCHED_RECORDS
from stream.worker.settings import Settings
from tests.e2e.conftest import WorkerFactory
from tests.e2e.harness import Outbound, Witness, publish
from tests.e2e.scene import appearances, event, events, metric
from tests.e2e.test_main_job import now_ms

pytestmark = pytest.mark.kafka

WAIT_S = 60.0
PATIENT_MS = 5_000
"""A grace for producers on a busy machine."""
YEAR_2100_MS = 4_102_444_800_000


def publish_in_a_transaction(settings: Settings, records: Iterable[Outbound]) -> None:
    """By a transactional producer: its commit marker is the last thing in each partition that it wrote to."""
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "partitioner": "murmur2_random",
            "transactional.id": f"{settings.app_id}-producer",
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for record in records:
        producer.produce(record.topic, key=record.key, value=record.value, headers=list(record.headers))
    producer.commit_transaction(30)


def test_an_idle_topic_that_ends_in_a_commit_marker_holds_no_window_back(
    settings: Settings, start_worker: WorkerFactory
) -> None:
    """The marker takes an offset that no consumer is handed. It is passed, before a restart and after it."""
    worker = start_worker(grace_ms=PATIENT_MS)
    worker.wait_ready()
    with Witness(settings) as witness:
        for life in ("first", "second"):
            subjects = [f"{life}-{n}" for n in range(4)]
            publish_in_a_transaction(
                settings, (event(settings, s, TEXT, b"a man with glasses", now_ms()) for s in subjects)
            )
            witness.until(lambda w, wanted=set(subjects): w.by_subject.keys() >= wanted, 15.0, worker)
            worker.wait_for(
                lambda: metric(worker, "sightline_consumer_lag_records") == 0, "without lag", 15.0
            )
            worker.kill()
            worker.start()
        worker.wait_ready()
        publish(settings, [event(settings, "third", TEXT, b"a man with glasses", now_ms())])
        witness.until(lambda w: "third" in w.by_subject, 15.0, worker)
    assert {d.window.closed_by for d, _ in witness.decisions} == {ClosedBy.DEADLINE}
    assert len(witness.decisions) == 9


def test_wrong_clocks_harm_no_other_subject(
    settings: Settings, start_worker: WorkerFactory, people: People
) -> None:
    """The year 2100 and 1970, and a producer half a minute ahead in every topic: all others are whole."""
    worker = start_worker(grace_ms=PATIENT_MS)
    worker.wait_ready()
    good = appearances(people, 30)
    start_ms = now_ms()
    records: list[Outbound] = []
    for number, outbound in enumerate(events(settings, good, start_ms=start_ms, every_ms=20)):
        if number == 20:
            for modality in (IMAGE, TEXT):
                records.append(event(settings, "future", modality, b"x", YEAR_2100_MS))
                records.append(event(settings, "past", modality, b"x", 1_000))
        if number % 6 == 0:
            # In every partition and every topic: nothing but the append time keeps the watermark back.
            fast = f"fast-{number}"
            records += [
                event(settings, fast, TEXT, b"a man with glasses", start_ms + 30_000, event_id=f"{fast}/t"),
                event(settings, fast, IMAGE, b"no photo", start_ms + 30_000, event_id=f"{fast}/i"),
            ]
        records.append(outbound)
    published = publish(settings, records, rate_hz=100)
    mine = {
        source
        for source, record in zip(published, records, strict=True)
        if record.key is not None and record.key.startswith(b"subject-")
    }
    with Witness(settings) as witness:
        witness.until(lambda w: w.covered() >= set(published), WAIT_S, worker)
    whole = [d for d, _ in witness.decisions if d.subject_id.startswith("subject-")]
    assert len(whole) == len(good)
    assert {d.modalities.used for d in whole} == {(IMAGE, TEXT)}
    assert not mine & {letter.source for letter in witness.dead_letters}
    by_key = {letter.key: letter.reason for letter in witness.dead_letters}
    assert (by_key[b"future"], by_key[b"past"]) == (Reason.CLOCK_SKEW, Reason.LATE)


def test_a_topic_that_runs_ahead_waits_while_too_much_is_held(
    settings: Settings, start_worker: WorkerFactory
) -> None:
    """A backlog of big images and small texts: the join holds a part of it only, and nothing is halved.

    images   [====|====|====|====|====|====|==…   the slowest
    texts    [||||||||||||      held back           read ahead no further
    """
    count, big = 2_500, b"no photo" + bytes(16_000)
    start_ms = now_ms() - count * 200
    backlog = [
        event(settings, f"subject-{n}", modality, value, start_ms + 200 * n)
        for modality, value in ((TEXT, b"a man with glasses"), (IMAGE, big))
        for n in range(count)
    ]
    published = set(publish(settings, backlog))
    worker = start_worker(max_held_events=100)
    held = 0.0

    def done(witness: Witness) -> bool:
        nonlocal held
        held = max(held, metric(worker, "sightline_join_held_events"))
        return witness.covered() >= published and len(witness.decisions) >= count

    with Witness(settings) as witness:
        witness.until(done, 120.0, worker)
    assert held <= 100 + BUFFERED_RECORDS + FETCHED_RECORDS
    assert len(witness.by_subject) == len(witness.decisions) == count
    assert all(len(d.covered()) == 2 for d, _ in witness.decisions)
