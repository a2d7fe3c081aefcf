"""The laws of the join, by name. Windows are 100 ms and the grace is 50 ms unless a test says otherwise.

In the drawings time runs to the right: `i` and `t` are an image and a text of subject `s`, `e` its end-of-
subject marker, `[   )` a window, `W` the watermark and `H` the horizon, which is the watermark less the
grace.
"""

from collections.abc import Iterable

import pytest

from index.records import Modality
from stream.errors import JoinPolicyError, StreamError
from stream.events import ClosedBy, ClosedWindow, Duplicate, Event, Late, SubjectId, Window
from stream.join import Accepted, JoinPolicy, SeenKey, SubjectJoin
from stream.reasons import Reason
from tests.stream_factories import end, event, image, join_policy, text

FAR_MS = 1_000_000
PATIENT = join_policy(close_on_complete=False)


def joined(*events: Event, policy: JoinPolicy | None = None, watermark_ms: int | None = None) -> SubjectJoin:
    """A join that has accepted these events, none of which closed anything."""
    join = SubjectJoin(policy or join_policy())
    for e in events:
        verdict, step = join.accept(e, watermark_ms)
        assert isinstance(verdict, Accepted)
        assert step.closed == ()
    return join


def spans(closed: Iterable[ClosedWindow]) -> list[tuple[int, int, str, list[str]]]:
    """Windows as rows of a table: start, end, closed by, events."""
    return [
        (c.window.start_ms, c.window.end_ms, c.closed_by.value, [e.event_id for e in c.events])
        for c in closed
    ]


def test_a_window_is_complete_as_soon_as_every_expected_modality_is_there() -> None:
    """Completeness closes at once, with no watermark needed.

    ```
    0   i      t
        [        )  closed when t arrives
    ```
    """
    join = joined(image(10))
    _, step = join.accept(text(40), None)
    assert spans(step.closed) == [(10, 110, "complete", ["image-10", "text-40"])]
    assert join.held_events == join.held_subjects == 0


def test_a_modality_that_is_not_expected_is_taken_in_and_never_waited_for() -> None:
    """A third modality joins its window; completeness asks for the expected ones only."""
    audio = event("audio-20", Modality("audio"), 20, topic="audios")
    join = joined(audio, image(10))
    _, step = join.accept(text(40), None)
    assert spans(step.closed) == [(10, 110, "complete", ["image-10", "audio-20", "text-40"])]


@pytest.mark.parametrize(
    ("watermark_ms", "closes"), [(None, False), (159, False), (160, True), (FAR_MS, True)]
)
def test_a_window_closes_at_its_deadline(watermark_ms: int | None, closes: bool) -> None:
    """The deadline is reached when the horizon reaches the window's end, not a millisecond before.

    ```
        i
        [10      )110
                 H    W=160
    ```
    """
    join = joined(image(10))
    closed = join.advance(watermark_ms).closed
    assert spans(closed) == ([(10, 110, "deadline", ["image-10"])] if closes else [])
    assert join.held_events == (0 if closes else 1)


def test_the_first_event_anchors_its_window_and_the_next_event_outside_anchors_the_next() -> None:
    """Windows follow the events, half-open; they are no fixed grid.

    ```
        i    i    i   i      i
        [0       )100
                      [100   )200   250[
    ```
    """
    join = joined(*(image(t) for t in (250, 100, 0, 60, 99)))
    assert spans(join.advance(FAR_MS).closed) == [
        (0, 100, "deadline", ["image-0", "image-60", "image-99"]),
        (100, 200, "deadline", ["image-100"]),
        (250, 350, "deadline", ["image-250"]),
    ]


def test_an_earlier_event_moves_the_anchor_and_what_is_pushed_out_anchors_anew() -> None:
    """Held windows are laid out again as if the events had come in order.

    ```
    before      i60   i150    [60 .. 160)
    then   i0
    after  [0        )100  [150    )250      with i60 in the first
    ```
    """
    join = joined(image(60), image(150), image(0))
    assert spans(join.advance(FAR_MS).closed) == [
        (0, 100, "deadline", ["image-0", "image-60"]),
        (150, 250, "deadline", ["image-150"]),
    ]


def test_moving_the_anchor_can_complete_a_window_that_was_not() -> None:
    """What is pushed out may meet its other half in the next window, which then closes at once.

    ```
    before       i90   i120        t200
                 [90         )190  [200    )300
    then   t15
    after  [15        )115  [120        )220
    ```
    """
    join = joined(image(90), image(120), text(200))
    _, step = join.accept(text(15), None)
    assert spans(step.closed) == [
        (15, 115, "complete", ["text-15", "image-90"]),
        (120, 220, "complete", ["image-120", "text-200"]),
    ]


def test_events_of_one_time_are_ordered_by_their_place_in_the_log() -> None:
    """Ties do not depend on the order of arrival."""
    a, b = image(10, "a", offset=1), image(10, "b", offset=2)
    for order in ((a, b), (b, a)):
        assert spans(joined(*order).advance(FAR_MS).closed) == [(10, 110, "deadline", ["a", "b"])]


def test_a_window_that_waits_beyond_completeness_tells_every_change() -> None:
    """Each event that joins it, whole or not; at its deadline it closes as any other.

    ```
        i10  t40  i60
        [10          )110     told with i10, with t40, with i60
    ```
    """
    join = SubjectJoin(PATIENT)
    told = [join.accept(e, None)[1].changed for e in (image(10), text(40), image(60))]
    assert [[e.event_id for e in w.events] for (w,) in told] == [
        ["image-10"],
        ["image-10", "text-40"],
        ["image-10", "text-40", "image-60"],
    ]
    assert all(w.window == Window(start_ms=10, end_ms=110) for (w,) in told)
    assert spans(join.advance(FAR_MS).closed) == [(10, 110, "deadline", ["image-10", "text-40", "image-60"])]


def test_an_event_that_moves_windows_tells_each_of_them() -> None:
    """An earlier anchor, or a marker, makes others of them.

    ```
    before       i60   i150   [60 .. 160)
    then   i0    [0   )100    [150  )250
    ```
    """
    join = SubjectJoin(PATIENT)
    for e in (image(60), image(150)):
        join.accept(e, None)
    _, step = join.accept(image(0), None)
    assert [(w.window.start_ms, len(w.events)) for w in step.changed] == [(0, 2), (150, 1)]
    _, step = join.accept(end(30), None)
    assert [(w.window.start_ms, len(w.events)) for w in step.changed] == [(0, 1), (60, 2)]


def test_a_window_that_closes_at_once_is_not_told_as_waiting() -> None:
    """Its last word comes in the same step."""
    join = joined(image(900), policy=PATIENT, watermark_ms=900)
    _, step = join.accept(end(910), 1000)
    assert (len(step.closed), step.changed) == (1, ())


def test_subjects_do_not_meet() -> None:
    """Halves of two subjects are no whole."""
    join = joined(image(10, subject="ann"), text(10, subject="bob"))
    assert join.held_subjects == 2
    assert [c.subject_id for c in join.advance(FAR_MS).closed] == ["ann", "bob"]


def test_an_event_more_than_grace_behind_the_watermark_is_late() -> None:
    """The horizon itself is in time; a millisecond before it is late, and by how much is told.

    ```
               W=1000
         H=950
        t949       late by 1
         t950      in time
    ```
    """
    join = joined(policy=join_policy())
    verdict, _ = join.accept(text(949), 1000)
    assert verdict == Late(event=text(949), late_by_ms=1, reason=Reason.LATE)
    verdict, _ = join.accept(text(950), 1000)
    assert isinstance(verdict, Accepted)


def test_an_open_window_takes_its_events_however_far_behind_they_are() -> None:
    """While a subject is undecided, its other half is welcome beyond the grace.

    ```
        i900   t910   H=950   W=1000
        [900              )1000
    ```
    """
    join = joined(image(900), policy=PATIENT, watermark_ms=900)
    verdict, _ = join.accept(text(910), 1000)
    assert isinstance(verdict, Accepted)
    verdict, _ = join.accept(text(899), 1000)
    assert isinstance(verdict, Late)


def test_an_event_of_a_window_that_has_its_decision_is_set_aside_as_such() -> None:
    """Within grace, and yet its window was complete before it came.

    ```
        i10  t40          i50
        [10          )110
    ```
    """
    join = joined(image(10))
    join.accept(text(40), None)
    for late in (image(10, "b", offset=9), image(50), text(109)):
        verdict, step = join.accept(late, None)
        assert verdict == Late(event=late, late_by_ms=0, reason=Reason.WINDOW_DECIDED)
        assert step.closed == ()
    assert isinstance(join.accept(image(110), None)[0], Accepted)


def test_an_event_before_a_decided_window_ends_where_that_begins() -> None:
    """Windows of a subject never overlap, so no moment of it is decided twice.

    ```
        then i60     [100 i t )200   decided
        [60         )100
    ```
    """
    join = joined(image(100))
    join.accept(text(150), None)
    join.accept(image(60), None)
    assert spans(join.advance(FAR_MS).closed) == [(60, 100, "deadline", ["image-60"])]


def test_a_decided_window_is_remembered_while_its_events_would_not_be_late() -> None:
    """Other events of the subject, and the watermark they bring, do not wipe the decision out.

    ```
        i10  t40              i120
        [10          )110     [120
                  t80  H=70   W=120
    ```
    """
    join = joined(image(10), watermark_ms=10)
    join.accept(text(40), 40)
    join.accept(image(120), 120)
    verdict, _ = join.accept(text(80), 120)
    assert verdict == Late(event=text(80), late_by_ms=0, reason=Reason.WINDOW_DECIDED)


def test_the_memory_of_a_decided_window_goes_when_lateness_covers_it() -> None:
    """Nothing is remembered of a subject that no event within grace could ask for."""
    join = joined(image(10))
    join.accept(text(40), None)
    assert join.next_deadline_ms == 160
    join.advance(160)
    assert join.next_deadline_ms is None
    assert join.accept(image(50), None)[0] == Late(event=image(50), late_by_ms=60, reason=Reason.LATE)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_an_end_of_subject_marker_moves_the_end_of_its_window(order: tuple[int, ...]) -> None:
    """The window ends at the marker, which it includes; events after it begin anew. Any order of arrival.

    ```
        i10     e40     i60
        [10       )41   [60     )160
                  H=41        W=91
    ```
    """
    events = (image(10), end(40), image(60))
    join = joined(*(events[at] for at in order))
    assert join.next_deadline_ms == 91
    assert join.advance(90).closed == ()
    (closed,) = join.advance(91).closed
    assert spans([closed]) == [(10, 41, "end_of_subject", ["image-10"])]
    assert closed.markers == (end(40),)
    assert spans(join.advance(FAR_MS).closed) == [(60, 160, "deadline", ["image-60"])]


def test_an_event_of_the_markers_own_millisecond_is_before_it() -> None:
    """A producer that ends a subject in the millisecond of its last event means that event too."""
    join = joined(end(40), image(40, offset=7))
    assert spans(join.advance(FAR_MS).closed) == [(40, 41, "end_of_subject", ["image-40"])]


def test_a_marker_does_not_close_before_the_horizon_reaches_it() -> None:
    """The subject's other half may stand unread in another topic: closing on sight would decide a wrong half.

    ```
    read first   e40            (texts, fetched far ahead)
    read later   i10  t20       (complete after all)
    ```
    """
    join = joined(end(40), text(20), watermark_ms=10)
    _, step = join.accept(image(10), 10)
    (closed,) = step.closed
    assert spans([closed]) == [(10, 41, "complete", ["image-10", "text-20"])]
    assert closed.markers == (end(40),)
    assert join.held_events == 0


def test_a_marker_with_nothing_to_end_is_let_go_at_its_horizon() -> None:
    """Nothing is held for ever: a marker nobody came for is handed back to be acknowledged."""
    join = joined(end(40))
    assert join.held_events == join.held_subjects == 1
    assert join.advance(90).idle_markers == ()
    step = join.advance(91)
    assert step.idle_markers == (end(40),)
    assert step.closed == ()
    assert join.held_events == join.held_subjects == 0


def test_a_marker_of_a_decided_window_is_let_go_at_once() -> None:
    """The subject was complete before its end was announced: that is no lateness."""
    join = joined(image(10))
    join.accept(text(20), None)
    verdict, step = join.accept(end(30), None)
    assert isinstance(verdict, Accepted)
    assert step.idle_markers == (end(30),)
    assert join.held_events == 0


def test_a_marker_beyond_grace_is_late_unless_an_open_window_covers_it() -> None:
    """Markers keep the law of lateness; one that finds its window open ends it on the spot."""
    assert isinstance(joined().accept(end(900), 1000)[0], Late)
    join = joined(image(900), image(960), watermark_ms=900)
    verdict, step = join.accept(end(910), 1000)
    assert isinstance(verdict, Accepted)
    assert spans(step.closed) == [(900, 911, "end_of_subject", ["image-900"])]
    assert spans(join.advance(FAR_MS).closed) == [(960, 1060, "deadline", ["image-960"])]


def test_of_two_markers_each_ends_its_own_window() -> None:
    """Two ends cut twice; two at one time end the same window, which covers both."""
    join = joined(image(10), end(20), end(20, "again", offset=21), image(30), end(40))
    closed = join.advance(FAR_MS).closed
    assert spans(closed) == [
        (10, 21, "end_of_subject", ["image-10"]),
        (30, 41, "end_of_subject", ["image-30"]),
    ]
    assert [len(c.markers) for c in closed] == [2, 1]


@pytest.mark.parametrize("decided", [False, True], ids=["while it is held", "after its decision"])
def test_an_event_of_a_known_origin_and_id_is_a_duplicate(decided: bool) -> None:
    """The first copy counts, wherever the second one stands in the log."""
    join = joined(image(10))
    if decided:
        join.accept(text(20), None)
    again = image(10, offset=99)
    verdict, step = join.accept(again, None)
    assert verdict == Duplicate(event=again)
    assert step.closed == ()


def test_an_id_of_another_origin_is_another_event() -> None:
    """Producers do not have to agree on ids."""
    join = joined(image(10, "one"))
    other = Event(
        event_id=image(10, "one").event_id,
        origin="another-camera",
        subject_id=SubjectId("s"),
        modality=Modality("image"),
        event_time_ms=10,
        source=image(10, offset=5).source,
    )
    assert isinstance(join.accept(other, None)[0], Accepted)


@pytest.mark.parametrize("watermark_ms", [10, 60, 159])
def test_a_duplicate_is_known_for_as_long_as_the_event_would_not_be_late(watermark_ms: int) -> None:
    """A repeated event is never taken for a late one while its window could still be open."""
    join = joined(image(10))
    assert isinstance(join.accept(image(10, offset=99), watermark_ms)[0], Duplicate)


def test_the_keys_of_duplicates_are_forgotten() -> None:
    """Memory of keys is bounded by the horizon, and what comes then is late anyway."""
    join = joined(image(10))
    join.advance(160)
    assert isinstance(join.accept(image(10, offset=99), None)[0], Late)


def test_a_watermark_that_goes_back_changes_nothing() -> None:
    """What was late stays late."""
    join = joined()
    join.advance(1000)
    assert join.advance(10).closed == ()
    assert isinstance(join.accept(image(500), 10)[0], Late)


def test_an_event_whose_watermark_closes_an_older_window_is_not_drawn_into_it() -> None:
    """Windows that are due close before the event is looked at.

    ```
        i10          W=H+50=300: [10, 110) is due first
                              i300 begins anew
    ```
    """
    join = joined(image(10))
    _, step = join.accept(image(300), 300)
    assert spans(step.closed) == [(10, 110, "deadline", ["image-10"])]
    assert join.held_events == 1


def test_the_next_deadline_is_the_watermark_that_closes_something() -> None:
    """A sweep before it is idle, and at it is not."""
    join = joined(image(10), image(300, subject="other"))
    assert join.next_deadline_ms == 160
    assert join.advance(159).closed == ()
    assert len(join.advance(160).closed) == 1
    assert join.next_deadline_ms == 450


def test_a_join_seeded_with_decided_windows_turns_their_events_away() -> None:
    """After a restart, a half that was left out of a delivered decision makes no second one."""
    join = joined()
    join.seed_decided(SubjectId("s"), Window(start_ms=0, end_ms=100))
    verdict, _ = join.accept(text(60), None)
    assert verdict == Late(event=text(60), late_by_ms=0, reason=Reason.WINDOW_DECIDED)
    assert join.held_subjects == 0
    join.advance(150)
    assert join.next_deadline_ms is None


def test_a_join_seeded_with_keys_knows_their_duplicates() -> None:
    """After a restart, a second copy of a decided event is still a duplicate."""
    join = joined()
    join.seed_seen([SeenKey(origin="camera", event_id="image-10", event_time_ms=10)])
    assert isinstance(join.accept(image(10, offset=99), None)[0], Duplicate)


def test_windows_that_close_together_come_in_the_order_of_their_ends() -> None:
    """The order of decisions does not depend on the order of arrival."""
    places = ((30, "c"), (10, "b"), (10, "a"), (200, "a"))
    events = [image(t, f"{s}-{t}", subject=s) for t, s in places]
    for order in (events, events[::-1]):
        closed = joined(*order).advance(FAR_MS).closed
        assert [(c.window.end_ms, c.subject_id) for c in closed] == [
            (110, "a"),
            (110, "b"),
            (130, "c"),
            (300, "a"),
        ]


@pytest.mark.parametrize(
    ("window_ms", "grace_ms", "expected", "message"),
    [
        (0, 50, "image", "window_ms is 0 and grace_ms 50"),
        (100, -1, "image", "window_ms is 100 and grace_ms -1"),
        (100, 50, "", "no modality is expected"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(
    window_ms: int, grace_ms: int, expected: str, message: str
) -> None:
    """The message names both numbers."""
    with pytest.raises(JoinPolicyError, match=message) as raised:
        join_policy(window_ms=window_ms, grace_ms=grace_ms, expected=expected)
    assert isinstance(raised.value, StreamError)


def test_closing_is_told_apart() -> None:
    """The three ways to close are on the wire under stable names."""
    assert {c.value for c in ClosedBy} == {"complete", "deadline", "end_of_subject"}
