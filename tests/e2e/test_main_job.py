"""The main job on a real broker: people are enrolled, events stream in, decisions come out."""

import time
from collections import Counter

import pytest

from index.records import IMAGE, TEXT, Modality, Outcome
from stream.demo.people import People
from stream.demo.poison import RECIPES, Bounds, Ingredients, Poison
from stream.events import ClosedBy
from stream.features.text import TextExtractor
from stream.reasons import Reason, Stage
from stream.worker.settings import Settings
from tests.e2e.harness import Outbound, Witness, WorkerProcess, publish
from tests.e2e.scene import (
    appearances,
    enrol,
    enrolment,
    event,
    events,
    metric,
    outbound,
    payload,
    withdrawal,
)

pytestmark = pytest.mark.kafka

WAIT_S = 60.0


def now_ms() -> int:
    """The clock of this machine, which is the broker's too."""
    return int(time.time() * 1000)


def test_known_people_are_matched_and_strangers_are_not(
    settings: Settings, worker: WorkerProcess, people: People
) -> None:
    """Every subject gets one decision, from both of its events; hardly anybody gets a wrong one."""
    enrol(settings, worker, people.enrolled)
    subjects = appearances(people, 40)
    published = publish(settings, events(settings, subjects, start_ms=now_ms(), every_ms=10), rate_hz=100)
    with Witness(settings) as witness:
        witness.until(lambda w: w.covered() >= set(published), WAIT_S, worker)
        decisions = witness.by_subject
    assert len(witness.decisions) == len(subjects)
    assert witness.dead_letters == []
    assert {d.window.closed_by for d in decisions.values()} == {ClosedBy.COMPLETE}
    assert all(d.modalities.used == (IMAGE, TEXT) for d in decisions.values())
    wrong = [
        s for s in subjects if s.identity_id is None and decisions[s.subject_id].outcome is Outcome.MATCH
    ]
    right = [
        s
        for s in subjects
        if s.identity_id is not None and decisions[s.subject_id].identity_id == s.identity_id
    ]
    mated = sum(s.identity_id is not None for s in subjects)
    assert len(wrong) <= 1, [decisions[s.subject_id] for s in wrong]
    assert len(right) >= 0.85 * mated, Counter(d.outcome for d in decisions.values())
    worker.wait_for(lambda: metric(worker, "sightline_unacknowledged_records") == 0, "through", 10)
    assert metric(worker, "sightline_decision_overdue_seconds_count") == len(subjects)
    assert metric(worker, "sightline_stage_in_total", 'stage="search"') == len(subjects)
    assert metric(worker, "sightline_stage_in_progress") == 0
    assert metric(worker, "sightline_consumer_lag_records") == 0
    assert metric(worker, "sightline_gallery_behind_records") == 0
    assert metric(worker, "sightline_threshold_nats", 'mask="image+text"') != 0
    assert metric(worker, "sightline_ready") == 1


@pytest.mark.parametrize("present", [IMAGE, TEXT])
def test_a_missing_modality_is_waited_for_and_then_named(
    settings: Settings, worker: WorkerProcess, people: People, present: Modality
) -> None:
    """A subject whose other half never comes is decided at its deadline, and told what is missing."""
    enrol(settings, worker, people.enrolled[:6])
    subjects = appearances(people, 12, modalities=[present])
    published = publish(settings, events(settings, subjects, start_ms=now_ms(), every_ms=10))
    with Witness(settings) as witness:
        witness.until(lambda w: w.covered() >= set(published), WAIT_S, worker)
    absent = {IMAGE, TEXT} - {present}
    for decision in witness.by_subject.values():
        assert decision.window.closed_by is ClosedBy.DEADLINE
        assert decision.modalities.used == (present,)
        assert {(m.modality, m.reason) for m in decision.modalities.missing} == {
            (m, Reason.NOT_RECEIVED) for m in absent
        }
        assert present == IMAGE or decision.outcome is not Outcome.MATCH, "a description alone never decides"


def test_poison_is_set_aside_by_reason_and_hurts_no_neighbour(
    settings: Settings, worker: WorkerProcess, people: People
) -> None:
    """Bad input is dead-lettered once, with its bytes and its reason; the good between is decided."""
    enrol(settings, worker, people.enrolled[:6])
    good = appearances(people, 20)
    text = TextExtractor()
    bounds = Bounds(
        max_image_bytes=settings.max_image_bytes,
        max_text_chars=settings.max_text_chars,
        text_contract_id=text.contract_id,
        text_dimension=text.dimension,
    )
    of = Ingredients(bounds=bounds, photo=payload(good[0], IMAGE), text="a man with glasses")
    wanted: dict[int, tuple[Poison, Reason]] = {}
    records: list[Outbound] = []
    start_ms = now_ms()
    for subject, poison in zip(good, [*RECIPES, *([None] * len(good))], strict=False):
        if poison is not None:
            wanted[len(records)] = (poison, RECIPES[poison].reason)
            records.append(_poisoned(settings, poison, of, start_ms))
        records += events(settings, [subject], start_ms=start_ms, every_ms=0)
    published = publish(settings, records)
    with Witness(settings) as witness:
        witness.until(lambda w: w.covered() >= set(published), WAIT_S, worker)
        witness.read(1.0)
    letters = Counter(letter.source for letter in witness.dead_letters)
    for number, (poison, reason) in wanted.items():
        assert letters[published[number]] == 1, f"{poison} has {letters[published[number]]} dead letters"
        letter = next(x for x in witness.dead_letters if x.source == published[number])
        assert letter.reason is reason, poison
        assert letter.value == records[number].value, poison
    assert sum(letters.values()) == len(wanted)
    for subject in good:
        assert witness.by_subject[subject.subject_id].modalities.used == (IMAGE, TEXT)
    assert metric(worker, "sightline_dead_letters_total") == len(wanted)


def _poisoned(settings: Settings, poison: Poison, of: Ingredients, time_ms: int) -> Outbound:
    recipe = RECIPES[poison]
    made = event(
        settings,
        f"poisoned-{poison}",
        recipe.modality,
        recipe.value(of),
        time_ms + recipe.ahead_ms,
        content_type=recipe.content_type,
    )
    headers = (
        made.headers
        if recipe.has_time
        else tuple((name, b"yesterday" if name == "ce_time" else value) for name, value in made.headers)
    )
    return Outbound(
        topic=made.topic,
        key=made.key if recipe.has_key else None,
        value=made.value,
        headers=headers,
        partition=-1 if recipe.has_key else 0,
    )


def test_an_unusable_photo_does_not_take_its_subject_down(
    settings: Settings, worker: WorkerProcess, people: People
) -> None:
    """A subject whose photo shows no face is decided by its description, and names the photo it set aside."""
    enrol(settings, worker, people.enrolled[:6])
    [subject] = appearances(people, 1)
    text = TextExtractor()
    bounds = Bounds(
        max_image_bytes=settings.max_image_bytes,
        max_text_chars=settings.max_text_chars,
        text_contract_id=text.contract_id,
        text_dimension=text.dimension,
    )
    of = Ingredients(bounds=bounds, photo=payload(subject, IMAGE), text="a man with glasses")
    faceless = RECIPES[Poison.NO_FACE].value(of)
    published = publish(
        settings,
        [
            event(settings, "one", IMAGE, faceless, now_ms()),
            event(settings, "one", TEXT, b"a man with glasses", now_ms()),
        ],
    )
    with Witness(settings) as witness:
        witness.until(lambda w: len(w.decisions) == 1 and len(w.dead_letters) == 1, WAIT_S, worker)
    decision = witness.by_subject["one"]
    assert decision.modalities.used == (TEXT,)
    [missing] = decision.modalities.missing
    assert (missing.reason, missing.offset) == (Reason.NO_FACE, published[0].offset)
    assert witness.dead_letters[0].stage is Stage.FEATURES
    assert witness.dead_letters[0].value == faceless


def test_enrolment_and_withdrawal_are_live(settings: Settings, worker: WorkerProcess, people: People) -> None:
    """The same photo is nobody, then somebody once enrolled, and nobody again after the withdrawal."""
    enrol(settings, worker, people.enrolled[1:])
    person = people.enrolled[0]

    def ask(subject_id: str) -> str | None:
        photo = person.probes[0].read()
        publish(settings, [event(settings, subject_id, IMAGE, photo, now_ms())])
        with Witness(settings) as witness:
            witness.until(lambda w: subject_id in w.by_subject, WAIT_S, worker)
            return witness.by_subject[subject_id].identity_id

    assert ask("before") is None
    enrol(settings, worker, [person])
    assert ask("enrolled") == person.identity_id
    request = withdrawal(person.identity_id, request_id="gone")
    publish(settings, [outbound(settings.topics.enrolments, request)])
    worker.wait_for(
        lambda: metric(worker, "sightline_gallery_identities") == len(people.enrolled) - 1, "rid of them", 20
    )
    assert ask("withdrawn") is None


def test_a_bad_enrolment_is_answered_with_its_reason(
    settings: Settings, worker: WorkerProcess, people: People
) -> None:
    """A request without a face is refused, the answer says why, and the gallery stays as it was."""
    good = enrolment("somebody", people.enrolled[0].enrolled[0], request_id="good")
    noise = enrolment("nobody", people.enrolled[0].enrolled[0], request_id="bad")
    broken = Outbound(topic=settings.topics.enrolments, key=noise.key, value=b"{", headers=noise.headers)
    publish(settings, [broken, outbound(settings.topics.enrolments, good)])
    worker.wait_for(lambda: metric(worker, "sightline_enrolments_total") == 2, "through with both", 30)
    assert metric(worker, "sightline_enrolments_total", 'accepted="true"') == 1
    with Witness(settings) as witness:
        witness.until(lambda w: len(w.dead_letters) == 1, WAIT_S, worker)
    assert witness.dead_letters[0].reason is Reason.BAD_REQUEST
