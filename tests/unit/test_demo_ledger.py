"""The books of a run: each way an event can end is told from the others, and every wrong is found."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from index.records import IMAGE, TEXT, Modality
from stream.decision_view import DecisionRecord
from stream.demo.ledger import Ledger, Percentiles, Published, SeenDeadLetter, SeenDecision
from stream.demo.people import Photo
from stream.demo.poison import Poison
from stream.demo.score import rates_by_mask, speed
from stream.demo.traffic import Fault, PlannedEvent, PlannedSubject
from stream.events import Source
from stream.ledger import Fate
from stream.reasons import Reason

WINDOW_MS, GRACE_MS = 2_000, 1_000
PHOTO = Photo(name="p", caption="c", source=b"")


def event(
    subject: str, modality: Modality, *, fault: Fault = Fault.NONE, poison: Poison | None = None
) -> PlannedEvent:
    """An event at the start of the stream."""
    return PlannedEvent(
        event_id=f"{subject}/{modality}",
        subject_id=subject,
        modality=modality,
        photo=PHOTO,
        time_ms=0,
        at_ms=0,
        fault=fault,
        poison=poison,
    )


def sent(planned: PlannedEvent, offset: int, *, time_ms: int = 10_000, after_ms: int = 20) -> Published:
    """The event at an offset, appended some time after the moment it tells of."""
    return Published(
        event=planned,
        origin="test",
        source=Source(topic=f"{planned.modality}s", partition=0, offset=offset),
        append_ms=time_ms + after_ms,
        event_time_ms=time_ms,
    )


def decision(
    subject: str,
    inputs: Sequence[Published],
    *,
    name: str = "",
    start_ms: int = 10_000,
    closed_by: str = "complete",
    outcome: str = "no_match",
    best: str | None = None,
    append_ms: int = 10_100,
    missing: Sequence[Published] = (),
) -> SeenDecision:
    """A decision about these inputs; `missing` were dead-lettered for it."""

    def part(item: Published) -> dict[str, object]:
        return {
            "event_id": item.event.event_id,
            "source": "test",
            "topic": item.source.topic,
            "partition": item.source.partition,
            "offset": item.source.offset,
            "event_time_ms": item.event_time_ms,
            "modality": item.event.modality,
        }

    candidate = {
        "rank": 1,
        "identity_id": best,
        "template_id": "t",
        "score": 1.0,
        "probability": 0.5,
        "similarity": {},
    }
    record = DecisionRecord.model_validate(
        {
            "schema_version": 1,
            "decision_id": name or "+".join(str(i.source.offset) for i in inputs) + f"@{subject}",
            "revision": 1,
            "supersedes": None,
            "subject_id": subject,
            "window": {"start_ms": start_ms, "end_ms": start_ms + WINDOW_MS, "closed_by": closed_by},
            "outcome": outcome,
            "reasons": [],
            "identity_id": best if outcome == "match" else None,
            "candidates": [candidate] if best else [],
            "margin": None,
            "threshold": None,
            "modalities": {
                "used": sorted({i.event.modality for i in inputs}),
                "missing": [part(item) | {"reason": "no_face"} for item in missing],
            },
            "inputs": [part(item) for item in inputs],
            "model": {"contract_id": "c"},
            "gallery": {"version": 1, "identities": 1, "templates": 1},
            "event_time_ms": 10_000,
            "late": False,
        }
    )
    return SeenDecision(record=record, value=record.model_dump_json().encode(), append_ms=append_ms)


def letter(item: Published, reason: Reason) -> SeenDeadLetter:
    """The dead letter of an event."""
    return SeenDeadLetter(source=item.source, reason=reason)


def books(
    published: Sequence[Published],
    decisions: Sequence[SeenDecision] = (),
    dead_letters: Sequence[SeenDeadLetter] = (),
) -> Ledger:
    """The closed books of a run."""
    return Ledger(published=published, decisions=decisions, dead_letters=dead_letters, grace_ms=GRACE_MS)


IMAGE_A, TEXT_A = sent(event("a", IMAGE), 1), sent(event("a", TEXT), 2)
COPY_A = sent(event("a", IMAGE, fault=Fault.DUPLICATE), 3)
WHOLE_A = decision("a", [IMAGE_A, TEXT_A])


def test_a_run_where_all_went_well_balances() -> None:
    """Both halves in one decision, the copy known as one."""
    ledger = books([IMAGE_A, TEXT_A, COPY_A], [WHOLE_A])
    assert ledger.balances
    assert ledger.counts == dict.fromkeys(Fate, 0) | {Fate.DECIDED: 2, Fate.DUPLICATE: 1}


@pytest.mark.parametrize(
    ("decisions", "dead_letters", "fate"),
    [
        ([WHOLE_A], [], Fate.DECIDED),
        ([decision("a", [TEXT_A], missing=[IMAGE_A])], [], Fate.DECIDED),
        (
            [decision("a", [TEXT_A], missing=[IMAGE_A])],
            [letter(IMAGE_A, Reason.NO_FACE)],
            Fate.DEAD_LETTERED,
        ),
        ([], [letter(IMAGE_A, Reason.TOO_LARGE)], Fate.DEAD_LETTERED),
        ([], [letter(IMAGE_A, Reason.LATE)], Fate.LATE),
        ([], [letter(IMAGE_A, Reason.WINDOW_DECIDED)], Fate.LATE),
        ([decision("a", [COPY_A, TEXT_A])], [], Fate.DUPLICATE),
        ([decision("a", [TEXT_A])], [], Fate.UNACCOUNTED),
        ([], [], Fate.UNACCOUNTED),
    ],
)
def test_each_way_an_event_can_end_is_told_from_the_others(
    decisions: list[SeenDecision], dead_letters: list[SeenDeadLetter], fate: Fate
) -> None:
    """The fate of the image of subject a, of which a copy was sent too."""
    ledger = books([IMAGE_A, TEXT_A, COPY_A], decisions, dead_letters)
    assert ledger.fates[IMAGE_A.source] == fate


def test_fates_add_up_to_what_was_published() -> None:
    """No event is counted twice or not at all."""
    other = sent(event("b", IMAGE), 9)
    ledger = books([IMAGE_A, TEXT_A, COPY_A, other], [WHOLE_A])
    assert sum(ledger.counts.values()) == 4
    assert ledger.counts[Fate.UNACCOUNTED] == 1
    assert not ledger.balances


def test_a_lost_pair_of_copies_is_not_each_others_excuse() -> None:
    """Two copies of which neither arrived are both unaccounted for."""
    assert books([IMAGE_A, COPY_A]).counts[Fate.UNACCOUNTED] == 2


def test_dead_letters_are_counted_by_reason_for_our_events_only() -> None:
    """What others left on a shared broker is not ours."""
    foreign = SeenDeadLetter(source=Source(topic="images", partition=7, offset=1), reason=Reason.EMPTY)
    ledger = books([IMAGE_A, TEXT_A], [], [letter(IMAGE_A, Reason.LATE), foreign])
    assert ledger.dead_letters_by_reason == {Reason.LATE: 1}


def at_deadline(*inputs: Published, start_ms: int = 10_000) -> SeenDecision:
    return decision("a", inputs, start_ms=start_ms, closed_by="deadline")


@pytest.mark.parametrize(
    ("text", "decisions", "dead_letters", "wrong"),
    [
        pytest.param(TEXT_A, [WHOLE_A], [], 0, id="both halves are there"),
        pytest.param(TEXT_A, [at_deadline(IMAGE_A)], [], 1, id="the text is nowhere"),
        pytest.param(TEXT_A, [at_deadline(IMAGE_A), at_deadline(TEXT_A)], [], 2, id="each half alone"),
        pytest.param(
            TEXT_A,
            [at_deadline(IMAGE_A)],
            [letter(TEXT_A, Reason.LATE)],
            1,
            id="turned away as late, though published in time",
        ),
        pytest.param(
            TEXT_A,
            [at_deadline(IMAGE_A)],
            [letter(TEXT_A, Reason.EMPTY_TEXT)],
            0,
            id="set aside for what is in it",
        ),
        pytest.param(
            sent(event("a", TEXT), 2, after_ms=GRACE_MS),
            [at_deadline(IMAGE_A)],
            [],
            1,
            id="at the last moment in time",
        ),
        pytest.param(
            sent(event("a", TEXT), 2, after_ms=GRACE_MS + 1),
            [at_deadline(IMAGE_A)],
            [],
            0,
            id="published too late",
        ),
        pytest.param(
            sent(event("a", TEXT), 2, time_ms=10_000 + WINDOW_MS),
            [at_deadline(IMAGE_A)],
            [],
            0,
            id="of the next window",
        ),
        pytest.param(
            sent(event("a", TEXT, fault=Fault.POISON, poison=Poison.EMPTY_TEXT), 2),
            [at_deadline(IMAGE_A)],
            [],
            0,
            id="poison is not lacking",
        ),
        pytest.param(
            TEXT_A, [at_deadline(IMAGE_A), at_deadline(IMAGE_A)], [], 1, id="a duplicate counts once"
        ),
    ],
)
def test_a_decision_that_lacks_what_was_published_in_time_is_a_wrong_half(
    text: Published, decisions: list[SeenDecision], dead_letters: list[SeenDeadLetter], wrong: int
) -> None:
    """Only what was in time, good, and of that window can be lacking."""
    ledger = books([IMAGE_A, text], decisions, dead_letters)
    assert len(ledger.wrong_halves) == wrong
    assert not wrong or not ledger.balances


def test_a_copy_may_stand_for_its_original() -> None:
    """A decision that has the copy does not lack the original."""
    assert books([IMAGE_A, TEXT_A, COPY_A], [decision("a", [COPY_A, TEXT_A])]).wrong_halves == ()


@pytest.mark.parametrize(
    ("decisions", "different"),
    [
        pytest.param([WHOLE_A, WHOLE_A], 0, id="the same again"),
        pytest.param([WHOLE_A, replace(WHOLE_A, value=b"otherwise")], 1, id="the same id with other bytes"),
        pytest.param([WHOLE_A, decision("a", [IMAGE_A])], 1, id="an input answered under two ids"),
        pytest.param([at_deadline(IMAGE_A), at_deadline(TEXT_A)], 0, id="two windows of one subject"),
        pytest.param(
            [decision("a", [IMAGE_A], name="x"), decision("a", [IMAGE_A, TEXT_A], name="y")], 1, id="grown"
        ),
    ],
)
def test_saying_otherwise_what_was_said_before_is_a_different_duplicate(
    decisions: list[SeenDecision], different: int
) -> None:
    """Duplicates are harmless only if they are equal to the byte."""
    ledger = books([IMAGE_A, TEXT_A], decisions)
    assert len(ledger.different_duplicates) == different
    assert not different or not ledger.balances


BAD_IMAGE = sent(event("a", IMAGE, fault=Fault.POISON, poison=Poison.NO_FACE), 5)


@pytest.mark.parametrize(
    ("decisions", "dead_letters", "found"),
    [
        ([], [letter(BAD_IMAGE, Reason.NO_FACE)], []),
        ([], [letter(BAD_IMAGE, Reason.UNDECODABLE_IMAGE)], ["undecodable_image"]),
        ([decision("a", [BAD_IMAGE])], [], ["decided"]),
        ([], [], ["unaccounted"]),
    ],
)
def test_poison_that_is_not_set_aside_for_its_reason_is_misjudged(
    decisions: list[SeenDecision], dead_letters: list[SeenDeadLetter], found: list[str]
) -> None:
    """A service that decides about noise does not balance."""
    ledger = books([BAD_IMAGE], decisions, dead_letters)
    assert [item.found for item in ledger.misjudged] == found
    assert ledger.balances is not bool(found)


def subject(name: str, identity: str) -> PlannedSubject:
    """An appearance with both modalities."""
    return PlannedSubject(
        subject_id=name, identity_id=identity, is_stranger=False, mask=frozenset({IMAGE, TEXT})
    )


def test_rates_are_strict_on_both_sides() -> None:
    """Ambiguous is a miss for the enrolled and a false alarm for strangers; rank 1 asks for no threshold."""
    answers = {
        "right": ("ann", "match", "ann"),
        "unsure": ("ann", "ambiguous", "ann"),
        "below": ("ann", "no_match", "ann"),
        "wrong": ("ann", "match", "bob"),
        "alarm": ("cy", "match", "ann"),
        "half-alarm": ("cy", "ambiguous", "ann"),
        "quiet": ("cy", "no_match", "ann"),
        "nobody": ("cy", "insufficient", None),
    }
    published, decisions, subjects = [], [], []
    for offset, (name, (identity, outcome, best)) in enumerate(answers.items()):
        halves = [sent(event(name, m), offset) for m in (IMAGE, TEXT)]
        published += halves
        decisions.append(decision(name, halves, outcome=outcome, best=best))
        subjects.append(subject(name, identity))
    found = rates_by_mask(books(published, decisions), subjects, frozenset({"ann", "bob"}))
    both = found["both"]
    assert (both.probes, both.strangers) == (4, 4)
    assert (both.rank1, both.fnir, both.fpir) == (0.75, 0.75, 0.5)
    assert (found["image"].probes, found["image"].rank1, found["image"].fpir) == (0, None, None)


def test_the_mask_is_what_came_in_time_and_a_refused_enrolment_makes_a_stranger() -> None:
    """A late text leaves an image probe; who was not accepted cannot be found."""
    text = sent(event("a", TEXT, fault=Fault.LATE), 2, after_ms=9_000)
    ledger = books([IMAGE_A, text], [at_deadline(IMAGE_A)], [letter(text, Reason.LATE)])
    found = rates_by_mask(ledger, [subject("a", "ann")], frozenset())
    assert (found["image"].probes, found["image"].strangers, found["image"].fpir) == (0, 1, 0.0)
    assert found["both"].strangers == 0


def test_latency_is_from_the_last_input_needed_and_waiting_is_told_apart() -> None:
    """Broker's clock on both ends; a duplicate decision is not measured."""
    text = sent(event("a", TEXT), 2, after_ms=60)
    lone = sent(event("b", IMAGE), 7)
    found = speed(
        books(
            [IMAGE_A, text, lone],
            [
                decision("a", [IMAGE_A, text], append_ms=10_075),
                decision("a", [IMAGE_A, text], append_ms=19_000),
                decision("b", [lone], closed_by="deadline", append_ms=13_220),
            ],
        )
    )
    assert found.latency_ms == Percentiles(p50=15, p95=15, p99=15)
    assert found.join_wait_ms == Percentiles(p50=3_200, p95=3_200, p99=3_200)
    assert found.subjects_per_s == pytest.approx(1_000 * 2 / (19_000 - 10_020))


def test_an_empty_run_has_no_numbers_instead_of_wrong_ones() -> None:
    """Nothing published, nothing decided, nothing divided by zero."""
    found = speed(books([]))
    assert found.latency_ms == Percentiles(p50=None, p95=None, p99=None)
    assert found.subjects_per_s is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [([7.0], (7, 7, 7)), (list(range(1, 101)), (50, 95, 99)), ([3.0, 1.0], (1, 3, 3))],
)
def test_percentiles_are_by_nearest_rank(values: list[float], expected: tuple[float, ...]) -> None:
    """Always a value that was measured."""
    found = Percentiles.of(values)
    assert (found.p50, found.p95, found.p99) == expected
