"""The windows of one subject: a pure function of its events, its end-of-subject markers and what was decided.

Order the events by (event time, source). The first anchors the window [t, t + window_ms); the next event
outside anchors the next window. A window is cut short by the first marker in it (which it includes: `end =
marker + 1`) and by the start of a later window of the subject that has its decision already, so windows never
overlap.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from index.records import Modality
from stream.errors import JoinPolicyError
from stream.events import ClosedBy, ClosedWindow, Event, OpenWindow, Source, SubjectId, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPolicy:
    """How events of a subject belong together: configuration, no state."""

    expected: tuple[Modality, ...]
    """With an event of each of these a window is complete. Others are taken in, and never waited for."""
    window_ms: int
    """Events of a subject within this span of event time belong together."""
    grace_ms: int
    """How far behind the watermark an event may still come."""
    close_on_complete: bool = True
    """Decide as soon as every expected modality is there. Otherwise a window waits for more samples, and
    every change of it is told."""

    def __post_init__(self) -> None:
        if self.window_ms < 1 or self.grace_ms < 0:
            raise JoinPolicyError(
                f"window_ms is {self.window_ms} and grace_ms {self.grace_ms}; "
                "give a window of at least 1 and a grace of at least 0"
            )
        if not self.expected:
            raise JoinPolicyError(
                "no modality is expected, so every window would be complete; name at least one"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a step of the join let go of."""

    closed: tuple[ClosedWindow, ...] = ()
    """By (end, subject, start): the order of decisions does not depend on the order of arrival."""
    idle_markers: tuple[Event, ...] = ()
    """End-of-subject markers that ended nothing: acknowledge them, nothing else is owed."""
    changed: tuple[OpenWindow, ...] = ()
    """Windows that an event changed and that still wait; told only where completeness does not close."""

    @classmethod
    def of(cls, steps: Iterable["Step"]) -> "Step":
        """All of them as one."""
        steps = [step for step in steps if step != NOTHING]
        if len(steps) < 2:
            return steps[0] if steps else NOTHING
        closed = (window for step in steps for window in step.closed)
        return cls(
            closed=tuple(sorted(closed, key=lambda c: (c.window.end_ms, c.subject_id, c.window.start_ms))),
            idle_markers=tuple(marker for step in steps for marker in step.idle_markers),
            changed=tuple(window for step in steps for window in step.changed),
        )


NOTHING = Step()


def _time(event: Event) -> int:
    return event.event_time_ms


def _order(event: Event) -> tuple[int, Source]:
    return event.event_time_ms, event.source


@dataclass(slots=True, kw_only=True, eq=False)
class _Open:
    """A window that still waits. Its first event is its anchor."""

    start_ms: int
    end_ms: int
    events: list[Event]
    modalities: set[Modality | None] = field(init=False)

    def __post_init__(self) -> None:
        self.modalities = {event.modality for event in self.events}

    def add(self, event: Event) -> None:
        insort(self.events, event, key=_order)
        self.modalities.add(event.modality)


def _start(window: _Open) -> int:
    return window.start_ms


class SubjectWindows:
    """What one subject holds. Events and markers come in any order; the windows come out the same."""

    __slots__ = ("_decided", "_expected", "_markers", "_open", "_policy", "scheduled_ms", "subject_id")

    def __init__(self, subject_id: SubjectId, policy: JoinPolicy) -> None:
        self.subject_id = subject_id
        self.scheduled_ms: int | None = None
        """When the join has planned to look at this subject again."""
        self._policy = policy
        self._expected = frozenset(policy.expected)
        self._open: list[_Open] = []
        """By start; disjoint."""
        self._markers: list[Event] = []
        """By time. A marker in an open window is at its last millisecond."""
        self._decided: list[Window] = []
        """Decided before their deadline, so that events of theirs may still come."""

    @property
    def holds(self) -> bool:
        """Whether events or markers wait here."""
        return bool(self._open or self._markers)

    @property
    def due_ms(self) -> int | None:
        """The horizon (watermark less grace) at which `settle` has something to do; None if never."""
        times = [window.end_ms for window in self._decided]
        times += [window.end_ms for window in self._open[:1]]
        times += [marker.event_time_ms + 1 for marker in self._markers[:1]]
        return min(times, default=None)

    def waits_for(self, time_ms: int) -> bool:
        """Whether an open window covers this time."""
        at = self._index(time_ms)
        return at >= 0 and time_ms < self._open[at].end_ms

    def has_decided(self, time_ms: int) -> bool:
        """Whether a window that has its decision already covers this time."""
        return any(window.start_ms <= time_ms < window.end_ms for window in self._decided)

    def hold(self, event: Event) -> Step:
        """Takes an event in. Windows that it completes are closed, or those that it changes are told."""
        at = self._index(event.event_time_ms)
        if at >= 0 and event.event_time_ms < self._open[at].end_ms:
            window = self._open[at]
            window.add(event)
            return self._changed([window])
        return self._changed(self._lay_out(at + 1, [event]))

    def mark(self, marker: Event) -> Step:
        """Takes an end-of-subject marker in: it ends the open window that covers it, or the one that will."""
        time_ms = marker.event_time_ms
        if self.has_decided(time_ms):
            return Step(idle_markers=(marker,))
        insort(self._markers, marker, key=_order)
        if not self.waits_for(time_ms):
            return NOTHING
        at = self._index(time_ms)
        return self._changed(self._lay_out(at, self._open.pop(at).events))

    def settle(self, horizon_ms: int) -> Step:
        """Closes what no event within grace can change any more, and forgets what none can ask for."""
        due = bisect_right(self._open, horizon_ms, key=lambda window: window.end_ms)
        waiting, self._open = self._open[:due], self._open[due:]
        closed = tuple(self._closed(window, complete=False) for window in waiting)
        passed = bisect_left(self._markers, horizon_ms, key=_time)
        idle, self._markers = tuple(self._markers[:passed]), self._markers[passed:]
        self._decided = [window for window in self._decided if window.end_ms > horizon_ms]
        return Step(closed=closed, idle_markers=idle)

    def remember_decided(self, window: Window) -> None:
        """Events in this window are turned away from now on: it has its decision."""
        self._decided.append(window)

    def _index(self, time_ms: int) -> int:
        """The last open window that starts at or before this time; -1 if none."""
        return bisect_right(self._open, time_ms, key=_start) - 1

    def _end_of(self, start_ms: int) -> int:
        ends = [start_ms + self._policy.window_ms]
        ends += [window.start_ms for window in self._decided if window.start_ms > start_ms]
        first_marker = bisect_left(self._markers, start_ms, key=_time)
        ends += [marker.event_time_ms + 1 for marker in self._markers[first_marker : first_marker + 1]]
        return min(ends)

    def _lay_out(self, at: int, events: list[Event]) -> list[_Open]:
        """Windows for `events` from place `at` on, and for those they push aside, until an anchor holds."""
        fresh = []
        while events:
            start_ms = events[0].event_time_ms
            end_ms = self._end_of(start_ms)
            while at < len(self._open) and self._open[at].start_ms < end_ms:
                events = events + self._open.pop(at).events
            cut = bisect_left(events, end_ms, key=_time)
            window = _Open(start_ms=start_ms, end_ms=end_ms, events=events[:cut])
            self._open.insert(at, window)
            fresh.append(window)
            at, events = at + 1, events[cut:]
        return fresh

    def _changed(self, windows: list[_Open]) -> Step:
        if not self._policy.close_on_complete:
            return Step(changed=tuple(map(self._as_it_stands, windows)))
        complete = [window for window in windows if window.modalities >= self._expected]
        for window in complete:
            self._open.remove(window)
        return Step(closed=tuple(self._closed(window, complete=True) for window in complete))

    def _as_it_stands(self, window: _Open) -> OpenWindow:
        span = Window(start_ms=window.start_ms, end_ms=window.end_ms)
        return OpenWindow(subject_id=self.subject_id, window=span, events=tuple(window.events))

    def _closed(self, window: _Open, *, complete: bool) -> ClosedWindow:
        span = Window(start_ms=window.start_ms, end_ms=window.end_ms)
        first = bisect_left(self._markers, span.start_ms, key=_time)
        last = bisect_left(self._markers, span.end_ms, key=_time)
        markers = tuple(self._markers[first:last])
        del self._markers[first:last]
        if complete:
            self.remember_decided(span)
            closed_by = ClosedBy.COMPLETE
        else:
            closed_by = ClosedBy.END_OF_SUBJECT if markers else ClosedBy.DEADLINE
        return ClosedWindow(
            subject_id=self.subject_id,
            window=span,
            closed_by=closed_by,
            events=tuple(window.events),
            markers=markers,
        )
