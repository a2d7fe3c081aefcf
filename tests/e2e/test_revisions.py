"""Early decisions on a real broker: each supersedes the one before, whatever happens to the worker."""

import time
from collections import defaultdict

import pytest

from index.records import IMAGE, TEXT, Outcome
from stream.codec import END_OF_SUBJECT
from stream.decision_view import DecisionRecord
from stream.demo.people import People
from stream.envelope import cloud_event_headers
from stream.events import ClosedBy, Source
from stream.ledger import Fate, Published, audit
from stream.revisions import Revisions
from stream.worker.settings import Settings
from tests.e2e.conftest import WorkerFactory
from tests.e2e.harness import Outbound, Witness, publish
from tests.e2e.scene import ORIGIN, appearances, enrol, event, payload
from tests.e2e.test_faults import Background
from tests.e2e.test_main_job import now_ms

pytestmark = pytest.mark.kafka

WAIT_S = 60.0


def marker(settings: Settings, subject_id: str, time_ms: int) -> Outbound:
    """The end of a subject, by its texts' producer."""
    headers = cloud_event_headers(
        event_id=f"{subject_id}/end",
        origin=ORIGIN,
        event_type=END_OF_SUBJECT,
        time_ms=time_ms,
        content_type="text/plain",
    )
    return Outbound(topic=settings.topics.inputs[TEXT], key=subject_id.encode(), value=None, headers=headers)


def finals(witness: Witness) -> list[DecisionRecord]:
    return [decision for decision, _ in witness.decisions if decision.final]


def decided(witness: Witness) -> set[Source]:
    """Inputs that a final decision speaks for."""
    return {covered.input for decision in finals(witness) for covered in decision.covered()}


def test_an_end_of_subject_marker_closes_its_window_before_the_deadline(
    settings: Settings, start_worker: WorkerFactory
) -> None:
    """A window of a minute is over when its subject is: the decision covers the marker."""
    worker = start_worker(window_ms=60_000, grace_ms=5_000)
    worker.wait_ready()
    time_ms = now_ms()
    published = publish(
        settings,
        [event(settings, "one", TEXT, b"a man with glasses", time_ms), marker(settings, "one", time_ms + 40)],
    )
    with Witness(settings) as witness:
        witness.until(lambda w: decided(w) == set(published), 30.0, worker)
    [(decision, _)] = witness.decisions
    assert decision.window.closed_by is ClosedBy.END_OF_SUBJECT
    assert (decision.window.start_ms, decision.window.end_ms) == (time_ms, time_ms + 41)
    assert [m.event_id for m in decision.markers] == ["one/end"]


def test_a_match_is_told_early_and_the_rest_of_the_track_revises_it(
    settings: Settings, start_worker: WorkerFactory, people: People
) -> None:
    """The first photo is a match and told at once; the final decision has every photo of the track."""
    worker = start_worker(revisions=Revisions.EARLY_THEN_FINAL.value)
    worker.wait_ready()
    enrol(settings, worker, people.enrolled[:8])
    person = people.enrolled[0]
    photos = [photo.read() for photo in (*person.probes, *person.enrolled)][:3]
    start_ms = now_ms()
    track = [
        event(settings, "one", IMAGE, photo, start_ms + 20 * n, event_id=f"one/{n}")
        for n, photo in enumerate(photos)
    ]
    with Witness(settings) as witness:
        first = publish(settings, track[:1])
        witness.until(lambda w: len(w.decisions) == 1, 10.0, worker)
        rest = publish(settings, track[1:])
        witness.until(lambda w: decided(w) == {*first, *rest}, WAIT_S, worker)
        witness.read(1.0)
    early, final = (decision for decision, _ in witness.decisions)
    assert (early.outcome, early.identity_id) == (Outcome.MATCH, person.identity_id)
    assert (early.final, early.window.closed_by, early.revision) == (False, None, 1)
    assert (final.final, final.window.closed_by, final.revision) == (True, ClosedBy.DEADLINE, 2)
    assert final.supersedes == early.decision_id
    assert len(final.inputs) == len(track)
    assert witness.dead_letters == []


def test_revisions_survive_kill_9(settings: Settings, start_worker: WorkerFactory, people: People) -> None:
    """Killed three times in mid-window, a worker goes on where it was: one chain, one final decision each."""
    worker = start_worker(revisions=Revisions.EVERY_CHANGE.value)
    worker.wait_ready()
    subjects = appearances(people, 150)
    start_ms = now_ms()
    records = [
        event(settings, s.subject_id, modality, payload(s, modality), start_ms + 40 * n + 300 * late)
        for late, modality in enumerate((TEXT, IMAGE))
        for n, s in enumerate(subjects)
    ]
    records.sort(key=lambda r: dict(r.headers)["ce_time"])
    stream = Background(settings, records, rate_hz=50)
    with Witness(settings) as witness:
        for kill in range(3):
            time.sleep(1.0)
            witness.until(lambda w, seen=40 * (kill + 1): len(w.decisions) >= seen, WAIT_S, worker)
            worker.kill()
            worker.start()
        published = stream.finish()
        witness.until(lambda w: decided(w) >= published, WAIT_S, worker)
        witness.read(1.0)
    chains: dict[str, list[DecisionRecord]] = defaultdict(list)
    for decision, _ in witness.decisions:
        chains[decision.subject_id].append(decision)
    for chain in chains.values():
        assert [d.final for d in chain] == [False] * (len(chain) - 1) + [True]
        assert [d.revision for d in chain] == list(range(1, len(chain) + 1))
        assert [d.supersedes for d in chain] == [None, *(d.decision_id for d in chain[:-1])]
        assert set(chain[-1].modalities.used) == {IMAGE, TEXT}
    assert len(chains) == len(subjects)
    ledger = audit(
        [Published(source=source) for source in published],
        [decision for decision, _ in witness.decisions],
        witness.dead_letters,
    )
    assert ledger.fates[Fate.DECIDED] == len(published)
    assert (ledger.repeated_decisions, ledger.different_duplicates, ledger.out_of_order) == (0, 0, 0)
