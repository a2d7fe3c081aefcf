"""Joins the events of each subject of one partition in event time.

The laws, each with a test of its name:

- *Windows are a function of the set*: arrival order within grace does not matter (see `stream.windows`).
  Closing on completeness gives up exactly this much of it: events that come after their window was complete
  are too late for it.
- *A window closes once*: complete, as soon as every expected modality is there; at its deadline, when the
  horizon (the watermark less grace) reaches its end; or by an end-of-subject marker, which moves its end to
  the marker's time. A marker waits for the horizon too: in another topic the subject's events before it may
  not have been read yet.
- *Late*: an event is late if it is more than grace behind the watermark and no open window of its subject
  covers it. Turning away the other half of a subject that is still undecided would help nobody.
- *Decided*: an event within grace whose window has its decision already is set aside as such.
- *Duplicates* by (origin, event id) are known for at least as long as the event itself would not be late.
- *Nothing is held for ever*: a marker with nothing to end is let go when no event before it can come any
  more.
- *Conservation*: accepted events are in closed windows, among the idle markers, or held.
- *Replay*: the same log fed to a fresh join gives the same windows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from stream.events import Duplicate, Event, Late, SubjectId, Window
from stream.reasons import Reason
from stream.windows import NOTHING, JoinPolicy, Step, SubjectWindows

__all__ = ["Accepted", "JoinPolicy", "SeenKey", "Step", "SubjectJoin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An event that was taken in: it is held, or in a window that closed with it."""

    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenKey:
    """The dedupe key of an event that was accepted, and the time that says how long to remember it."""

    origin: str
    event_id: str
    event_time_ms: int


class SubjectJoin:
    """The running join of ONE partition: owned by one coroutine, no locks, no clock.

    Memory is what is held, the decided windows and the keys that an event within grace could still ask for.
    An event costs O(log n) in the number of subjects, and in its subject's windows as many as it pushes
    aside.
    """

    def __init__(self, policy: JoinPolicy) -> None:
        self._policy = policy
        self._watermark_ms: int | None = None
        self._settled_ms = 0
        self._subjects: dict[SubjectId, SubjectWindows] = {}
        self._due: list[tuple[int, SubjectId]] = []
        """A heap. An entry that is not its subject's `scheduled_ms` is stale."""
        self._seen: set[tuple[str, str]] = set()
        self._seen_due: list[tuple[int, tuple[str, str]]] = []
        """A heap: when each key may be forgotten."""
        self._held_events = 0
        self._held_subjects = 0

    @property
    def held_events(self) -> int:
        """Events and markers that wait."""
        return self._held_events

    @property
    def held_subjects(self) -> int:
        """Subjects of which events or markers wait."""
        return self._held_subjects

    @property
    def next_deadline_ms(self) -> int | None:
        """The watermark at which `advance` may next have something to do; None while nothing waits."""
        while self._due and self._stale(*self._due[0]):
            heappop(self._due)
        return self._due[0][0] + self._policy.grace_ms if self._due else None

    def accept(self, event: Event, watermark_ms: int | None) -> tuple[Accepted | Late | Duplicate, Step]:
        """What becomes of an event, and what was let go of on the way.

        Args:
            event: The next event of this partition, in the order of arrival.
            watermark_ms: The partition's watermark with this event observed. None, or one that goes back,
                leaves the join's as it is.
        """
        step = self.advance(watermark_ms)
        key = (event.origin, event.event_id)
        if key in self._seen:
            return Duplicate(event=event), step
        subject = self._subjects.get(event.subject_id)
        if late := self._late(event, subject):
            return late, step
        if subject is None:
            subject = self._subjects[event.subject_id] = SubjectWindows(event.subject_id, self._policy)
        self._remember(key, event.event_time_ms)
        held_before = subject.holds
        more = subject.mark(event) if event.modality is None else subject.hold(event)
        if (horizon_ms := self._horizon_ms) is not None:
            more = Step.of((more, subject.settle(horizon_ms)))
            if more.changed:  # what has just closed is told as closed
                waiting = tuple(w for w in more.changed if subject.waits_for(w.window.start_ms))
                more = replace(more, changed=waiting)
        self._held_events += 1
        self._let_go(subject, more, held_before=held_before)
        return Accepted(event=event), Step.of((step, more))

    def advance(self, watermark_ms: int | None) -> Step:
        """Closes the windows whose deadline the watermark has reached. One that goes back does nothing."""
        if watermark_ms is None or (self._watermark_ms is not None and watermark_ms <= self._watermark_ms):
            return NOTHING
        self._watermark_ms = watermark_ms
        horizon_ms = watermark_ms - self._policy.grace_ms
        while self._seen_due and self._seen_due[0][0] <= horizon_ms:
            self._seen.discard(heappop(self._seen_due)[1])
        steps = []
        while self._due and self._due[0][0] <= horizon_ms:
            due_ms, subject_id = heappop(self._due)
            if self._stale(due_ms, subject_id):
                continue
            subject = self._subjects[subject_id]
            subject.scheduled_ms = None
            held_before = subject.holds
            step = subject.settle(horizon_ms)
            self._let_go(subject, step, held_before=held_before)
            steps.append(step)
        return Step.of(steps)

    def seed_decided(self, subject_id: SubjectId, window: Window) -> None:
        """This window has its decision: events in it are turned away. For recovery, before any event."""
        subject = self._subjects.get(subject_id)
        if subject is None:
            subject = self._subjects[subject_id] = SubjectWindows(subject_id, self._policy)
        subject.remember_decided(window)
        self._schedule(subject)

    def seed_seen(self, keys: Iterable[SeenKey]) -> None:
        """Events accepted before: another of the same key is a duplicate. For recovery, before any event."""
        for key in keys:
            self._remember((key.origin, key.event_id), key.event_time_ms)

    def seed_settled(self, time_ms: int) -> None:
        """What happened before this is late, whatever the watermark. For recovery, before any event."""
        self._settled_ms = time_ms

    @property
    def _horizon_ms(self) -> int | None:
        return None if self._watermark_ms is None else self._watermark_ms - self._policy.grace_ms

    def _late(self, event: Event, subject: SubjectWindows | None) -> Late | None:
        time_ms = event.event_time_ms
        horizon_ms = self._settled_ms if self._horizon_ms is None else max(self._horizon_ms, self._settled_ms)
        behind_ms = max(0, horizon_ms - time_ms)
        if behind_ms and not (subject and subject.waits_for(time_ms)):
            return Late(event=event, late_by_ms=behind_ms, reason=Reason.LATE)
        # A marker in a decided window is no news: the subject was complete before its end was announced.
        if event.modality is not None and subject and subject.has_decided(time_ms):
            return Late(event=event, late_by_ms=behind_ms, reason=Reason.WINDOW_DECIDED)
        return None

    def _remember(self, key: tuple[str, str], event_time_ms: int) -> None:
        if key not in self._seen:
            self._seen.add(key)
            # No window that covers the event ends later than this, so held events are always known.
            heappush(self._seen_due, (event_time_ms + self._policy.window_ms, key))

    def _let_go(self, subject: SubjectWindows, step: Step, *, held_before: bool) -> None:
        self._held_events -= len(step.idle_markers)
        self._held_events -= sum(len(closed.events) + len(closed.markers) for closed in step.closed)
        self._held_subjects += subject.holds - held_before
        self._schedule(subject)

    def _schedule(self, subject: SubjectWindows) -> None:
        due_ms = subject.due_ms
        if due_ms is None:
            del self._subjects[subject.subject_id]
        elif subject.scheduled_ms is None or due_ms < subject.scheduled_ms:
            subject.scheduled_ms = due_ms
            heappush(self._due, (due_ms, subject.subject_id))

    def _stale(self, due_ms: int, subject_id: SubjectId) -> bool:
        subject = self._subjects.get(subject_id)
        return subject is None or subject.scheduled_ms != due_ms
