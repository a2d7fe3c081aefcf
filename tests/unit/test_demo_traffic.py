"""The plan of a run: the shares asked for, exactly the faults asked for, the same for the same seed."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import IMAGE, TEXT
from stream.demo.errors import PeopleError
from stream.demo.people import People, Person, Photo
from stream.demo.poison import RECIPES, Poison
from stream.demo.traffic import (
    APART_MS,
    BOTH,
    DUPLICATE_AFTER_MS,
    LATE_MARGIN_MS,
    TRANSPORT_MS,
    Fault,
    Plan,
    Shape,
    plan_traffic,
)

SHAPE = Shape(subjects=400, rate_hz=20, window_ms=2_000, grace_ms=1_000)


def person(name: str, *, enrolled: int, probes: int, caption: str = "Somebody.") -> Person:
    """A person with photos that have no pixels."""
    made = [Photo(name=f"{name}/{i}", caption=caption, source=b"jpeg") for i in range(enrolled + probes)]
    return Person(identity_id=name, enrolled=tuple(made[:enrolled]), probes=tuple(made[enrolled:]))


def people(*, caption: str = "Somebody.", probes: int = 4) -> People:
    """Ten people who are enrolled, five who are not."""
    known = [person(f"known-{i}", enrolled=2, probes=probes, caption=caption) for i in range(10)]
    strangers = [person(f"stranger-{i}", enrolled=0, probes=probes, caption=caption) for i in range(5)]
    return People(data="test", persons=(*known, *strangers))


def plan(shape: Shape = SHAPE, seed: int = 7) -> Plan:
    """The plan of that shape."""
    return plan_traffic(people(), shape, run="run", seed=seed)


def faults(made: Plan) -> Counter[Fault]:
    """Events by fault."""
    return Counter(event.fault for event in made.events)


def test_the_same_seed_gives_the_same_run() -> None:
    """A run can be repeated, and another one made."""
    assert plan() == plan() != plan(seed=8)


def test_the_shares_are_those_asked_for() -> None:
    """Seventy, fifteen, fifteen; a third are strangers; poison brings its own subjects along."""
    made = plan(replace(SHAPE, late=0, duplicates=0, poison=0))
    assert Counter(subject.mask for subject in made.subjects) == {
        BOTH: 280,
        frozenset({IMAGE}): 60,
        frozenset({TEXT}): 60,
    }
    assert sum(subject.is_stranger for subject in made.subjects) == round(400 / 3)
    assert faults(made) == {Fault.NONE: 280 * 2 + 120}


def test_faults_are_exactly_those_asked_for() -> None:
    """Each fault in its share, and every kind of poison at least once."""
    made = plan(replace(SHAPE, late=0.05, duplicates=0.1, poison=0.05))
    found = faults(made)
    assert found[Fault.POISON] == 20
    assert found[Fault.LATE] == round(0.05 * 280)
    assert found[Fault.DUPLICATE] == round(0.1 * found[Fault.NONE])
    assert {event.poison for event in made.events} - {None} == set(Poison)


def test_even_a_tiny_run_has_every_kind_of_fault() -> None:
    """A smoke test of five subjects still meets everything."""
    found = faults(plan(replace(SHAPE, subjects=5)))
    assert found[Fault.POISON] == len(Poison)
    assert found[Fault.LATE] == 1
    assert found[Fault.DUPLICATE] >= 1


def test_subjects_come_at_a_steady_rate() -> None:
    """The n-th subject appears n / rate seconds after the start."""
    made = plan(replace(SHAPE, poison=0))
    for event in made.events:
        due_ms = 1_000 * int(event.subject_id.removeprefix("run-")) / SHAPE.rate_hz
        assert due_ms <= event.time_ms < due_ms + APART_MS


def test_good_events_are_sent_in_time_and_once() -> None:
    """What is not late on purpose can never be late."""
    good = [event for event in plan().events if event.fault is Fault.NONE]
    assert len({event.event_id for event in good}) == len(good)
    assert all(TRANSPORT_MS[0] <= e.at_ms - e.time_ms <= TRANSPORT_MS[1] for e in good)
    assert SHAPE.grace_ms > TRANSPORT_MS[1]


def test_late_events_come_after_their_window_and_leave_their_other_half_alone() -> None:
    """Late is late beyond doubt, and the subject's mask no longer promises it."""
    made = plan()
    subjects = {subject.subject_id: subject for subject in made.subjects}
    late = [event for event in made.events if event.fault is Fault.LATE]
    assert late
    for event in late:
        assert event.at_ms - event.time_ms == SHAPE.window_ms + SHAPE.grace_ms + LATE_MARGIN_MS
        assert subjects[event.subject_id].mask == BOTH - {event.modality}


def test_duplicates_are_copies_of_good_events_within_the_grace() -> None:
    """A copy has the id and the moment of its original, and comes after it."""
    made = plan()
    originals = {event.event_id: event for event in made.events if event.fault is Fault.NONE}
    for copy in (event for event in made.events if event.fault is Fault.DUPLICATE):
        original = originals[copy.event_id]
        assert replace(copy, at_ms=original.at_ms, fault=Fault.NONE) == original
        assert DUPLICATE_AFTER_MS[0] <= copy.at_ms - original.at_ms < DUPLICATE_AFTER_MS[1]


def test_poison_comes_with_a_good_half_of_another_modality() -> None:
    """What is bad about one half must not cost the other."""
    made = plan()
    subjects = {subject.subject_id: subject for subject in made.subjects}
    for event in (event for event in made.events if event.poison is not None):
        assert event.modality == RECIPES[event.poison].modality
        assert subjects[event.subject_id].mask == BOTH - {event.modality}


def test_no_photo_is_shown_again_before_all_others_were() -> None:
    """Probes are as independent as the photos allow."""
    made = plan(replace(SHAPE, subjects=90, poison=0, late=0, duplicates=0, both=0, image_only=1))
    shown = Counter(event.photo.name for event in made.events if event.photo.name.startswith("known"))
    assert len(shown) == 40
    assert max(shown.values()) - min(shown.values()) <= 1


def test_without_captions_there_are_only_images() -> None:
    """A text that nobody wrote is not made up; poisonous texts need none."""
    made = plan_traffic(people(caption=""), SHAPE, run="run", seed=1)
    texts = [event for event in made.events if event.modality == TEXT]
    assert all(event.fault is Fault.POISON for event in texts)


@pytest.mark.parametrize("probes", [0])
def test_nobody_to_show_is_refused(probes: int) -> None:
    """A plan needs photos that are not enrolled."""
    with pytest.raises(PeopleError, match="0 photos of enrolled people"):
        plan_traffic(people(probes=probes), SHAPE, run="run", seed=1)


@given(
    subjects=st.integers(1, 60),
    both=st.floats(0, 0.5),
    image_only=st.floats(0, 0.5),
    late=st.floats(0, 1),
    duplicates=st.floats(0, 1),
    poison=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_every_plan_is_in_order_and_true_to_itself(
    subjects: int, both: float, image_only: float, late: float, duplicates: float, poison: float, seed: int
) -> None:
    """Whatever the shape: events in order of sending, and each subject's mask is what is sent well."""
    shape = Shape(
        subjects=subjects,
        rate_hz=10,
        window_ms=500,
        grace_ms=1_000,
        both=both,
        image_only=image_only,
        late=late,
        duplicates=duplicates,
        poison=poison,
    )
    made = plan(shape, seed)
    assert [e.at_ms for e in made.events] == sorted(e.at_ms for e in made.events)
    good: dict[str, set[str]] = {subject.subject_id: set() for subject in made.subjects}
    for event in made.events:
        if event.fault is Fault.NONE:
            good[event.subject_id].add(event.modality)
    assert {s.subject_id: set(s.mask) for s in made.subjects} == good
