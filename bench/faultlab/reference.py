"""The slow reference: what is right for every event of a log, by the words of docs/join.md and nothing else.

It knows the whole log at once and shares no code with the service. Where the order in which two topics are
read leaves a choice, it names everything that would be right. An event was *in time* if the broker had it
within the grace: no watermark is ahead of the broker's clock. Any other event may be found late, and what may
be late may not anchor a window: a plan in which it would is refused.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

Place = tuple[str, int, int]
"""Topic, partition and offset."""

MODALITIES = frozenset({"image", "text"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A record where it stands, and what was planted in it."""

    place: Place
    append_ms: int
    subject: str
    modality: str
    name: str
    """Its event id."""
    time_ms: int
    marker: bool = False
    person: str | None = None
    """Identity that it shows; None for a stranger."""
    fault: str | None = None
    """Reason code that it must be set aside for."""
    joins: bool = True
    """Whether it enters the join all the same: its payload is bad, not its envelope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What is right for one window of one subject: one final decision."""

    subject: str
    must: frozenset[Place]
    """Inputs that the decision has to cover."""
    may: frozenset[Place]
    """Inputs that it may cover, and that are set aside by the join if it does not."""
    person: str | None
    open: bool = False
    """Whether it may be one window or several, by what was found late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What is right for a whole log."""

    windows: tuple[Right, ...]
    dead: dict[Place, str]
    """Records that must be set aside, and for which reason; those that join are in a window too."""
    copies: frozenset[Place]
    """Without a trace, or late; decided only in the place of a first one that was set aside."""
    markers: frozenset[Place]
    completes: bool
    """Whether windows closed as soon as they were complete."""
    by_place: dict[Place, Logged] = field(repr=False)


def outcomes(log: Iterable[Logged], *, window_ms: int, grace_ms: int, completes: bool = True) -> Outcomes:
    """What is right for every record of a log.

    Args:
        log: All that was published.
        window_ms: As in docs/join.md.
        grace_ms: As in docs/join.md.
        completes: Whether a window closes as soon as every modality is there; not so with revisions.
    """
    records = sorted(log, key=lambda record: (record.append_ms, record.place))
    first: dict[tuple[str, str], Logged] = {}
    copies = set()
    for record in sorted(records, key=lambda record: record.place):
        if record.fault is not None and not record.joins:
            continue
        if first.setdefault((record.modality, record.name), record) is not record:
            copies.add(record.place)
    dead = {
        record.place: record.fault
        for record in records
        if record.fault is not None and record.place not in copies
    }
    visits = defaultdict(list)
    for record in first.values():
        visits[record.subject].append(record)
    windows = [
        right for events in visits.values() for right in _windows(events, window_ms, grace_ms, completes)
    ]
    return Outcomes(
        windows=tuple(windows),
        dead=dead,
        copies=frozenset(copies),
        markers=frozenset(record.place for record in records if record.marker),
        completes=completes,
        by_place={record.place: record for record in records},
    )


def _windows(events: list[Logged], window_ms: int, grace_ms: int, completes: bool) -> list[Right]:
    """Windows of a subject's set of events: the first anchors, the next event outside anchors the next."""
    waiting = sorted(events, key=lambda event: (event.time_ms, event.place))
    samples = [event for event in waiting if not event.marker]
    sure = {event.place for event in events if event.append_ms <= event.time_ms + grace_ms}
    windows = []
    while samples:
        start_ms = samples[0].time_ms
        ends = [event.time_ms + 1 for event in waiting if event.marker and event.time_ms >= start_ms]
        end_ms = min([start_ms + window_ms, *ends])
        inside = [event for event in waiting if start_ms <= event.time_ms < end_ms]
        if samples[0].place not in sure and len(waiting) > 2:
            places = frozenset(event.place for event in waiting)
            return [Right(subject=samples[0].subject, must=frozenset(), may=places, person=None, open=True)]
        samples = [event for event in samples if event.time_ms >= end_ms]
        windows.append(_right(inside, [event for event in inside if event.place in sure], completes))
    return windows


def _right(inside: list[Logged], sure: list[Logged], completes: bool) -> Right:
    present = {event.modality for event in inside if not event.marker}
    whole = completes and present >= MODALITIES
    must = [event for event in sure if not (whole and (event.marker or _is_surplus(event, inside)))]
    return Right(
        subject=inside[0].subject,
        must=frozenset(event.place for event in must),
        may=frozenset(event.place for event in inside) - {event.place for event in must},
        person=inside[0].person,
    )


def _is_surplus(event: Logged, inside: list[Logged]) -> bool:
    """Whether the window may be complete before this one is read: its topic has an earlier one for it."""
    return any(e.modality == event.modality and not e.marker and e.place < event.place for e in inside)
