"""The ledger from outside: each published event is in one column, and contradictions are counted."""

from dataclasses import replace

import pytest

from stream.dead_letter_record import DeadLetter, decode_dead_letter, encode_dead_letter
from stream.decision_record import decision_value, decode_decision
from stream.decision_view import DecisionRecord
from stream.events import ClosedBy, ClosedWindow, Event, OpenWindow, SubjectId, Window
from stream.ledger import Fate, Ledger, Published, audit
from stream.reasons import Reason, Stage
from tests.stream_factories import decision, end, image, raw, text


def decided(
    *events: Event, version: int = 7, markers: tuple[Event, ...] = (), end_ms: int = 110
) -> DecisionRecord:
    closed = ClosedWindow(
        subject_id=SubjectId("s"),
        window=Window(start_ms=10, end_ms=end_ms),
        closed_by=ClosedBy.DEADLINE,
        events=events,
        markers=markers,
    )
    record = decode_decision(raw(decision_value(decision(closed, version=version))))
    assert isinstance(record, DecisionRecord)
    return record


def announced(*events: Event, revision: int = 1, supersedes: str | None = None) -> DecisionRecord:
    window = OpenWindow(subject_id=SubjectId("s"), window=Window(start_ms=10, end_ms=110), events=events)
    made = replace(decision(window), revision=revision, supersedes=supersedes)
    record = decode_decision(raw(decision_value(made)))
    assert isinstance(record, DecisionRecord)
    return record


def dead(event: Event, reason: Reason, stage: Stage) -> DeadLetter:
    original = raw(topic=event.source.topic, partition=0, offset=event.source.offset)
    sent = encode_dead_letter(original, reason=reason, stage=stage, error="")
    letter = decode_dead_letter(raw(headers=sent.headers))
    assert isinstance(letter, DeadLetter)
    return letter


def published(event: Event) -> Published:
    return Published(
        source=event.source, origin=event.origin, event_id=event.event_id, marker=event.modality is None
    )


def test_every_event_is_in_exactly_one_column() -> None:
    """The columns add up to what was published."""
    half, other, late, poison, lost = image(10), text(40), text(50), image(60), image(70)
    copy, used, idle = image(10, offset=99), end(90), end(95)
    events = [half, other, late, poison, lost, copy, used, idle]
    ledger = audit(
        map(published, events),
        [decided(half, other, markers=(used,))],
        [dead(late, Reason.WINDOW_DECIDED, Stage.JOIN), dead(poison, Reason.TOO_LARGE, Stage.CODEC)],
    )
    assert ledger == Ledger(
        fates=dict.fromkeys(Fate, 1) | {Fate.DECIDED: 3},
        decisions=1,
        revised=0,
        repeated_decisions=0,
        different_duplicates=0,
        out_of_order=0,
    )


def test_an_unusable_sample_is_dead_lettered_though_a_decision_speaks_for_it() -> None:
    """One column: what became of the sample itself."""
    ledger = audit(
        [published(image(10))], [decided(image(10))], [dead(image(10), Reason.NO_FACE, Stage.FEATURES)]
    )
    assert (ledger.fates[Fate.DECIDED], ledger.fates[Fate.DEAD_LETTERED]) == (0, 1)


def test_a_decision_repeated_word_for_word_is_harmless() -> None:
    """At least once, with equal ids."""
    ledger = audit([], [decided(image(10)), decided(image(10))], [])
    assert (ledger.decisions, ledger.repeated_decisions, ledger.different_duplicates) == (1, 1, 0)


def test_a_replay_at_another_gallery_version_may_say_something_else() -> None:
    """The gallery moved on between the two; the id is the same."""
    ledger = audit([], [decided(image(10)), decided(image(10), version=8)], [])
    assert (ledger.repeated_decisions, ledger.different_duplicates) == (1, 0)


def test_decisions_that_contradict_one_another_are_counted() -> None:
    """An input in two decisions, and one id with two contents."""
    assert audit([], [decided(image(10)), decided(image(10), text(40))], []).different_duplicates == 1
    assert audit([], [decided(image(10)), decided(image(10), end_ms=99)], []).different_duplicates == 1


def test_an_event_that_was_only_announced_is_not_decided() -> None:
    """What may still be revised settles nothing."""
    early = announced(image(10))
    ledger = audit([published(image(10))], [early], [])
    assert (ledger.fates[Fate.UNACCOUNTED], ledger.decisions, ledger.revised) == (1, 0, 1)
    final = decided(image(10), text(40))
    last = final.model_copy(update={"revision": 2, "supersedes": early.decision_id})
    ledger = audit([published(image(10)), published(text(40))], [early, last], [])
    assert (ledger.fates[Fate.DECIDED], ledger.decisions, ledger.revised) == (2, 1, 1)
    assert (ledger.different_duplicates, ledger.out_of_order) == (0, 0)


@pytest.mark.parametrize(
    "record",
    [
        announced(image(10), text(40), revision=2, supersedes="nobody"),
        announced(image(10), text(40), revision=3, supersedes=announced(image(10)).decision_id),
        announced(image(10), text(40), revision=2),
    ],
    ids=["of what was never said", "a number is left out", "a number without what it replaces"],
)
def test_a_revision_that_does_not_follow_what_it_supersedes_is_out_of_order(record: DecisionRecord) -> None:
    """A reader who drops what is superseded has to have seen it."""
    assert audit([], [announced(image(10)), record], []).out_of_order == 1


def test_nothing_is_announced_after_the_final_decision() -> None:
    """Final is final."""
    assert audit([], [decided(image(10)), announced(image(10))], []).out_of_order == 1


def test_a_record_without_a_name_is_known_by_its_place() -> None:
    """Broken records have no id that could be believed."""
    record = Published(source=image(10).source)
    assert audit([record], [], []).fates[Fate.UNACCOUNTED] == 1
    letter = dead(image(10), Reason.BAD_HEADERS, Stage.CODEC)
    assert audit([record], [], [letter]).fates[Fate.DEAD_LETTERED] == 1
