"""What the output tail says about inputs that come again."""

from dataclasses import replace

import pytest

from stream.dead_letter_record import encode_dead_letter
from stream.decision_record import decision_value
from stream.events import (
    ClosedBy,
    ClosedWindow,
    Duplicate,
    Event,
    Late,
    OpenWindow,
    RawRecord,
    Source,
    SubjectId,
    Window,
)
from stream.join import SeenKey, SubjectJoin
from stream.reasons import Reason, Stage
from stream.recovery import Covered, DecidedWindow, TailFold, read_back_to_ms
from tests.stream_factories import decision, end, image, join_policy, raw, text

WINDOW = Window(start_ms=10, end_ms=110)


def decided(*events: Event, markers: tuple[Event, ...] = (), unusable: tuple[Event, ...] = ()) -> RawRecord:
    """A record of the matches topic."""
    closed = ClosedWindow(
        subject_id=SubjectId("s"), window=WINDOW, closed_by=ClosedBy.COMPLETE, events=events, markers=markers
    )
    made = decision(closed, unusable=frozenset(e.source for e in unusable))
    return raw(decision_value(made), topic="matches")


def announced(*events: Event, revision: int = 1) -> RawRecord:
    """A record of the matches topic that may still be revised."""
    made = decision(OpenWindow(subject_id=SubjectId("s"), window=WINDOW, events=events))
    return raw(decision_value(replace(made, revision=revision)), topic="matches")


def dead(event: Event, stage: Stage, reason: Reason = Reason.LATE) -> RawRecord:
    """A record of the dead-letter topic."""
    original = raw(topic=event.source.topic, partition=event.source.partition, offset=event.source.offset)
    sent = encode_dead_letter(original, reason=reason, stage=stage, error="")
    return raw(sent.value, key=sent.key, headers=sent.headers, topic="dead-letters")


def fold(*records: RawRecord) -> Covered:
    made = TailFold(matches_topic="matches")
    for record in records:
        made.add(record)
    return made.covered()


def test_every_input_of_a_delivered_decision_is_skipped() -> None:
    """Used, unusable and marker alike: their one answer is out."""
    events, marker = (image(10), text(40)), end(60)
    covered = fold(decided(*events, markers=(marker,), unusable=(events[0],)))
    assert covered.decided == {e.source for e in (*events, marker)}
    assert all(covered.skips(e.source) for e in (*events, marker))
    assert not covered.skips(image(11).source)
    assert covered.windows == (DecidedWindow(subject_id=SubjectId("s"), window=WINDOW),)
    assert set(covered.seen) == {
        SeenKey(origin=e.origin, event_id=e.event_id, event_time_ms=e.event_time_ms)
        for e in (*events, marker)
    }


@pytest.mark.parametrize("stage", [Stage.CODEC, Stage.JOIN])
def test_what_was_set_aside_before_or_by_the_join_is_skipped(stage: Stage) -> None:
    """It is dead-lettered exactly once, and no decision will ever speak for it."""
    covered = fold(dead(image(10), stage))
    assert covered.set_aside == {image(10).source}
    assert covered.skips(image(10).source)


def test_an_unusable_sample_without_its_decision_is_joined_again() -> None:
    """Its window still has to be decided without it; only the dead letter is not sent twice."""
    covered = fold(dead(image(10), Stage.FEATURES, Reason.NO_FACE))
    assert covered.unusable == {image(10).source}
    assert not covered.skips(image(10).source)


def test_what_was_only_announced_is_joined_again() -> None:
    """Its inputs are neither skipped nor duplicates; what was said of them is remembered, in its order."""
    covered = fold(announced(image(10)), announced(image(10), text(40), revision=2))
    assert (covered.decided, covered.seen, covered.windows) == (frozenset(), (), ())
    assert [(told.revision, told.inputs) for told in covered.announced] == [
        (1, {image(10).source}),
        (2, {image(10).source, text(40).source}),
    ]


def test_of_an_announcement_only_what_has_no_final_decision_is_remembered() -> None:
    """An earlier event had moved the windows: the first half is decided, the other is not."""
    covered = fold(announced(image(10), image(60)), decided(image(10)))
    assert [told.inputs for told in covered.announced] == [{image(60).source}]
    assert fold(announced(image(10)), decided(image(10), text(40))).announced == ()


def test_a_record_that_cannot_be_read_is_counted() -> None:
    """An operator must know that recovery was blind to something."""
    covered = fold(raw(b"{", topic="matches"), raw(b"", topic="dead-letters"), decided(image(10)))
    assert covered.unreadable == 2
    assert covered.decided == {image(10).source}


def test_a_repeated_record_changes_nothing() -> None:
    """At least once: the tail may hold a decision twice."""
    assert fold(decided(image(10)), decided(image(10))) == fold(decided(image(10)))


def test_a_seeded_join_neither_decides_a_window_twice_nor_forgets_a_duplicate() -> None:
    """The memory that the crash took is back."""
    join = SubjectJoin(join_policy())
    fold(decided(image(10), text(40))).seed(join)
    assert isinstance(join.accept(text(40, offset=99), None)[0], Duplicate)
    verdict, _ = join.accept(image(50), None)
    assert isinstance(verdict, Late)
    assert verdict.reason is Reason.WINDOW_DECIDED


def test_nothing_is_covered_before_anything_was_said() -> None:
    """A first start begins with an empty tail."""
    assert fold() == Covered()
    assert not Covered().skips(Source(topic="images", partition=0, offset=0))


@pytest.mark.parametrize(
    ("oldest_ms", "expected_ms"),
    [([5_000, 4_000], 3_840), ([], 9_840), ([100], 0)],
    ids=["oldest input", "all committed", "never before 1970"],
)
def test_the_tail_reaches_back_by_window_grace_and_skew(oldest_ms: list[int], expected_ms: int) -> None:
    """From the oldest uncommitted input, as far as a decided window it could fall into may reach."""
    back_ms = read_back_to_ms(oldest_ms, now_ms=10_000, window_ms=100, grace_ms=50, max_skew_ms=10)
    assert back_ms == expected_ms


def with_header(record: RawRecord, name: str, value: bytes) -> RawRecord:
    return replace(record, headers=(*record.headers, (name, value)))


def test_what_was_settled_before_the_crash_is_late_after_it() -> None:
    """A copy of long ago is turned away though no clock has shown a time; what was held is taken again."""
    told = [
        with_header(decided(image(1_010)), "sightline_settled_ms", b"900"),
        with_header(decided(image(1_020)), "sightline_settled_ms", b"700"),
    ]
    covered = fold(*told)
    assert covered.settled_ms == 900
    join = SubjectJoin(join_policy())
    covered.seed(join)
    old, _ = join.accept(image(899, subject="t"), None)
    held, _ = join.accept(image(900, subject="u"), None)
    assert isinstance(old, Late)
    assert (old.reason, old.late_by_ms) == (Reason.LATE, 1)
    assert not isinstance(held, Late)


def test_a_dead_letter_says_what_is_settled_and_its_producer_does_not() -> None:
    """It carries the original's headers, whatever they are."""
    forged = [("sightline_settled_ms", b"99999"), ("sightline_dlq_settled_ms", b"99999")]
    original = raw(headers=forged, partition=0)
    sent = encode_dead_letter(original, reason=Reason.LATE, stage=Stage.JOIN, error="", settled_ms=800)
    assert fold(raw(sent.value, key=sent.key, headers=sent.headers, topic="dead-letters")).settled_ms == 800
    silent = encode_dead_letter(original, reason=Reason.LATE, stage=Stage.JOIN, error="")
    assert fold(raw(silent.value, headers=silent.headers, topic="dead-letters")).settled_ms is None
