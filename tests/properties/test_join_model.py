"""The join against a model that knows nothing of heaps, memory or order: windows as a function of a set."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from index.records import IMAGE, TEXT, Modality
from stream.clock import PartitionClock
from stream.events import ClosedBy, ClosedWindow, Duplicate, Event, Late, OpenWindow, SubjectId
from stream.join import Accepted, JoinPolicy, Step, SubjectJoin
from stream.reasons import Reason
from tests.stream_factories import event, join_policy

WINDOW_MS = 20
GRACE_MS = 15
END_MS = 10_000
PATIENT = join_policy(window_ms=WINDOW_MS, grace_ms=GRACE_MS, close_on_complete=False)
EAGER = join_policy(window_ms=WINDOW_MS, grace_ms=GRACE_MS)
MODALITIES: tuple[Modality | None, ...] = (IMAGE, TEXT, None)

Row = tuple[SubjectId, int, int, ClosedBy, tuple[Event, ...], tuple[Event, ...]]


def rows(closed: Iterable[ClosedWindow]) -> set[Row]:
    return {
        (c.subject_id, c.window.start_ms, c.window.end_ms, c.closed_by, c.events, c.markers) for c in closed
    }


def model_windows(events: Iterable[Event]) -> tuple[set[Row], set[Event]]:
    """The windows of a set of events by the law's own words, and the markers that ended none of them."""
    by_subject: dict[SubjectId, list[Event]] = defaultdict(list)
    for e in sorted(events, key=lambda e: (e.event_time_ms, e.source)):
        by_subject[e.subject_id].append(e)
    made: set[Row] = set()
    idle: set[Event] = set()
    for subject, own in by_subject.items():
        samples = [e for e in own if e.modality is not None]
        markers = [e for e in own if e.modality is None]
        while samples:
            start = samples[0].event_time_ms
            end = min(
                [start + WINDOW_MS] + [m.event_time_ms + 1 for m in markers if m.event_time_ms >= start]
            )
            inside = tuple(e for e in samples if e.event_time_ms < end)
            ended = tuple(m for m in markers if start <= m.event_time_ms < end)
            closed_by = ClosedBy.END_OF_SUBJECT if ended else ClosedBy.DEADLINE
            made.add((subject, start, end, closed_by, inside, ended))
            samples = samples[len(inside) :]
            markers = [m for m in markers if m not in ended]
        idle |= set(markers)
    return made, idle


@st.composite
def logs(
    draw: st.DrawFn, *, max_time_ms: int = 120, disorder_ms: int = GRACE_MS, subjects: str = "abc"
) -> list[Event]:
    """Events of a few subjects in an order of arrival that is never more than `disorder_ms` out of order."""
    places = draw(
        st.lists(
            st.tuples(
                st.integers(0, max_time_ms),
                st.integers(0, disorder_ms),
                st.sampled_from(subjects),
                st.sampled_from(MODALITIES),
            ),
            max_size=25,
        )
    )
    # Arrival at (time + delay) with delay <= disorder: nothing is more out of order.
    arrivals = sorted(enumerate(places), key=lambda p: (p[1][0] + p[1][1], p[0]))
    return [
        event(f"e{n}", modality, time_ms, subject=subject, offset=at)
        for at, (n, (time_ms, _, subject, modality)) in enumerate(arrivals)
    ]


class Run:
    """A log fed to a join: the watermark is the largest time so far, as of a single topic."""

    def __init__(self, policy: JoinPolicy, log: Sequence[Event]) -> None:
        self.join = SubjectJoin(policy)
        self.accepted: list[Event] = []
        self.late: list[Late] = []
        self.duplicate: list[Event] = []
        self.steps: list[Step] = []
        clock = PartitionClock(["log"])
        for e in log:
            clock.observe("log", e.event_time_ms, END_MS)
            verdict, step = self.join.accept(e, clock.watermark_ms)
            self.steps.append(step)
            match verdict:
                case Accepted():
                    self.accepted.append(e)
                case Late():
                    self.late.append(verdict)
                case Duplicate():
                    self.duplicate.append(e)

    @property
    def closed(self) -> list[ClosedWindow]:
        return [c for step in self.steps for c in step.closed]

    @property
    def idle(self) -> list[Event]:
        return [m for step in self.steps for m in step.idle_markers]

    def told(self) -> list[OpenWindow]:
        """Windows that were told while they waited."""
        return [window for step in self.steps for window in step.changed]

    def released(self) -> list[Event]:
        """Every event that left the join."""
        return [e for c in self.closed for e in (*c.events, *c.markers)] + self.idle

    def finish(self) -> "Run":
        self.steps.append(self.join.advance(END_MS))
        return self


@given(logs())
def test_windows_do_not_depend_on_the_order_of_arrival_within_grace(log: list[Event]) -> None:
    """The join and the law's own words give the same windows, markers and all, and nothing is late."""
    run = Run(PATIENT, log).finish()
    made, idle = model_windows(log)
    assert run.late == []
    assert rows(run.closed) == made
    assert set(run.idle) == idle


@given(logs(), st.randoms(use_true_random=False))
def test_any_order_without_a_watermark_gives_the_same_windows(log: list[Event], random: object) -> None:
    """Where nothing can be late, even a shuffle changes nothing."""
    shuffled = list(log)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    join = SubjectJoin(PATIENT)
    for e in shuffled:
        verdict, step = join.accept(e, None)
        assert (verdict, step.closed, step.idle_markers) == (Accepted(event=e), (), ())
    step = join.advance(END_MS)
    assert (rows(step.closed), set(step.idle_markers)) == model_windows(log)


@st.composite
def spaced_logs(draw: st.DrawFn) -> list[Event]:
    """At most one event per modality in a window, and windows further apart than one is long."""
    made: list[Event] = []
    for subject in draw(st.sets(st.sampled_from("abcd"))):
        for visit in range(draw(st.integers(1, 3))):
            for modality in draw(st.sets(st.sampled_from([IMAGE, TEXT]), min_size=1)):
                time_ms = visit * 3 * WINDOW_MS + draw(st.integers(0, WINDOW_MS - 1))
                made.append(
                    event(f"{subject}{visit}{modality}", modality, time_ms, subject=subject, offset=len(made))
                )
    return draw(st.permutations(made))


@given(spaced_logs())
def test_closing_on_completeness_keeps_the_windows_of_subjects_with_one_event_per_modality(
    log: list[Event],
) -> None:
    """Eager and patient joins put the same events together; only when, and how it is called, differs."""
    together = {}
    for policy in (EAGER, PATIENT):
        join = SubjectJoin(policy)
        closed = [c for e in log for c in join.accept(e, None)[1].closed] + list(join.advance(END_MS).closed)
        together[policy] = {(c.subject_id, c.window, c.events) for c in closed}
        complete = [c for c in closed if {e.modality for e in c.events} == {IMAGE, TEXT}]
        assert all((c.closed_by is ClosedBy.COMPLETE) == (policy is EAGER) for c in complete)
    assert together[EAGER] == together[PATIENT]


@given(logs(disorder_ms=4 * GRACE_MS), st.sampled_from([EAGER, PATIENT]))
def test_the_same_log_gives_the_same_windows_again(log: list[Event], policy: JoinPolicy) -> None:
    """Replay is idempotent: no state outside the join, no order that is left to chance."""
    first, second = Run(policy, log).finish(), Run(policy, log).finish()
    assert first.steps == second.steps
    assert first.late == second.late


@given(logs(disorder_ms=4 * GRACE_MS), st.sampled_from([EAGER, PATIENT]))
def test_accepted_events_are_in_one_window_or_idle_or_held(log: list[Event], policy: JoinPolicy) -> None:
    """Conservation, after every event; at the end of time nothing is held."""
    for upto in range(len(log) + 1):
        run = Run(policy, log[:upto])
        released = run.released()
        assert len(released) == len(set(released))
        assert set(released) <= set(run.accepted)
        assert run.join.held_events == len(run.accepted) - len(released)
        assert run.join.held_subjects == len({e.subject_id for e in set(run.accepted) - set(released)})
    run = Run(policy, log).finish()
    assert sorted(e.event_id for e in run.released()) == sorted(e.event_id for e in run.accepted)
    assert run.join.held_events == run.join.held_subjects == 0
    assert run.join.next_deadline_ms is None


@given(logs(disorder_ms=4 * GRACE_MS))
def test_each_event_of_a_patient_join_is_told_at_once_in_one_window_that_waits_or_closes(
    log: list[Event],
) -> None:
    """Nobody is told in two windows; and where completeness closes, nothing is told that waits."""
    run = Run(PATIENT, log)
    for e, step in zip(log, run.steps, strict=True):
        told = [x for window in (*step.changed, *step.closed) for x in window.events]
        assert len(told) == len(set(told))
        assert (e in told) == (e in run.accepted and e.modality is not None)
    assert Run(EAGER, log).finish().told() == []


@st.composite
def backlogs(draw: st.DrawFn) -> list[list[Event]]:
    """Two topics, each in the order of time, of any length."""
    times = st.lists(st.integers(0, 400), max_size=40).map(sorted)
    return [
        [
            event(f"{topic}{n}", modality, time_ms, subject=f"s{time_ms}", offset=n, topic=topic)
            for n, time_ms in enumerate(draw(times))
        ]
        for topic, modality in (("images", IMAGE), ("texts", TEXT))
    ]


@given(backlogs(), st.integers(0, 10), st.randoms(use_true_random=False))
def test_an_intake_that_is_paced_is_never_stuck(topics: list[list[Event]], bound: int, random: Any) -> None:
    """Whatever is read first: one topic may always be read on, until all is read and nothing is held."""
    span_ms = WINDOW_MS + GRACE_MS
    clock, join = PartitionClock(["images", "texts"]), SubjectJoin(EAGER)
    unread = {"images": topics[0], "texts": topics[1]}
    while any(unread.values()):
        for topic in (topic for topic, events in unread.items() if not events):
            clock.silent_until(topic, END_MS)
        join.advance(clock.watermark_ms)
        full = join.held_events > bound
        allowed = [t for t, events in unread.items() if events and not (full and t in clock.ahead(span_ms))]
        assert allowed, "stuck"
        topic = random.choice(allowed)
        e, unread[topic] = unread[topic][0], unread[topic][1:]
        clock.observe(topic, e.event_time_ms, END_MS)
        join.accept(e, clock.watermark_ms)
    join.advance(2 * END_MS)
    assert join.held_events == 0


@settings(max_examples=300)
@given(logs(max_time_ms=70, disorder_ms=4 * GRACE_MS, subjects="a"), st.sampled_from([EAGER, PATIENT]))
def test_windows_of_a_subject_never_overlap_and_contain_their_events(
    log: list[Event], policy: JoinPolicy
) -> None:
    """Each moment of a subject is decided at most once, even when events come beyond grace."""
    run = Run(policy, log).finish()
    by_subject: dict[SubjectId, list[ClosedWindow]] = defaultdict(list)
    for closed in run.closed:
        by_subject[closed.subject_id].append(closed)
        assert closed.events
        assert closed.window.start_ms == closed.events[0].event_time_ms
        assert all(e.event_time_ms < closed.window.end_ms for e in (*closed.events, *closed.markers))
        assert closed.window.end_ms - closed.window.start_ms <= WINDOW_MS
    for windows in by_subject.values():
        windows.sort(key=lambda c: c.window.start_ms)
        assert all(a.window.end_ms <= b.window.start_ms for a, b in pairwise(windows))


@given(logs(disorder_ms=4 * GRACE_MS), st.sampled_from([EAGER, PATIENT]))
def test_nothing_within_grace_is_late(log: list[Event], policy: JoinPolicy) -> None:
    """Lateness is a matter of the watermark; a decided window is the only other reason to be set aside."""
    run = Run(policy, log)
    newest_ms: dict[Event, int] = {}
    watermark_ms = 0
    for e in log:
        newest_ms[e] = watermark_ms = max(watermark_ms, e.event_time_ms)
    for late in run.late:
        behind_ms = newest_ms[late.event] - GRACE_MS - late.event.event_time_ms
        assert late.late_by_ms == max(0, behind_ms)
        assert (late.reason is Reason.LATE) == (behind_ms > 0)


@given(logs(), st.lists(st.tuples(st.integers(0, 24), st.integers(0, 3)), max_size=8))
def test_a_log_with_duplicates_gives_the_windows_of_the_log_without(
    log: list[Event], copies: list[tuple[int, int]]
) -> None:
    """Copies are recognised wherever they stand, or late where memory has gone; they change nothing."""
    doubled = list(log)
    for n, (which, ahead) in enumerate(copies):
        if log:
            original = log[which % len(log)]
            copy = event(
                original.event_id,
                original.modality,
                original.event_time_ms,
                subject=original.subject_id,
                offset=1_000 + n,
            )
            doubled.insert(min(doubled.index(original) + 1 + ahead, len(doubled)), copy)
    with_copies, without = Run(PATIENT, doubled).finish(), Run(PATIENT, log).finish()
    assert rows(with_copies.closed) == rows(without.closed)
    assert {e.source.offset for e in with_copies.accepted} == {e.source.offset for e in log}
    assert len(with_copies.duplicate) + len(with_copies.late) == len(doubled) - len(log)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["images", "texts"]), st.integers(-5, 200), st.booleans())))
def test_the_watermark_never_goes_back_and_never_passes_a_topic(steps: list[tuple[str, int, bool]]) -> None:
    """At every step the watermark is the minimum of what the topics have shown."""
    clock = PartitionClock(["images", "texts"])
    shown: dict[str, int] = {}
    last: int | None = None
    for topic, time_ms, is_event in steps:
        if is_event:
            clock.observe(topic, time_ms, append_time_ms=100)
        else:
            clock.silent_until(topic, time_ms)
        shows_ms = min(time_ms, 100) if is_event else time_ms
        shown[topic] = max(shown.get(topic, shows_ms), shows_ms)
        assert clock.watermark_ms == (min(shown.values()) if len(shown) == 2 else None)
        assert last is None or (clock.watermark_ms is not None and clock.watermark_ms >= last)
        last = clock.watermark_ms
