"""What a run will publish, when, and what is true of it: a pure function of people, shape and seed.

Times are milliseconds after the start of the stream. A subject is one appearance of one person before a
camera or a witness: image and text of it come within the window, each once, in time. Faults are extra or
moved events, and each event carries its truth, so that nothing has to be guessed afterwards:

- *late*: the second modality of a subject arrives after its window, the grace and a margin have passed;
- *duplicate*: an event is sent once more, with the same id;
- *poison*: a subject of its own whose one half is bad and whose other half must be decided all the same.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from index.records import IMAGE, TEXT, Mask, Modality
from stream.demo.errors import PeopleError
from stream.demo.people import People, Person, Photo
from stream.demo.poison import RECIPES, Poison

BOTH: Mask = frozenset({IMAGE, TEXT})
"""What the demo's people are seen and described by."""
LATE_MARGIN_MS = 2_500
"""Beyond window and grace: time for the watermark of a quiet partition to be seen to have passed."""
DUPLICATE_AFTER_MS = (50, 700)
"""Within the grace, where a copy is told by its id and not merely late."""
TRANSPORT_MS = (5, 150)
"""From the moment an event tells of to its being sent."""
APART_MS = 400
"""Image and text of one subject tell of moments at most this far apart."""


class Fault(StrEnum):
    """What is the matter with an event on purpose."""

    NONE = "none"
    LATE = "late"
    DUPLICATE = "duplicate"
    POISON = "poison"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How much of what a run publishes."""

    subjects: int
    """Not counting those that come with poison."""
    rate_hz: float
    """Subjects a second, steady."""
    window_ms: int
    grace_ms: int
    both: float = 0.70
    image_only: float = 0.15
    """The rest are text only."""
    strangers: float = 1 / 3
    late: float = 0.02
    """Of the subjects with both."""
    duplicates: float = 0.03
    """Of the events."""
    poison: float = 0.02
    """Of the subjects; at least one of each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """One record that will be published, with its truth."""

    event_id: str
    subject_id: str
    modality: Modality
    photo: Photo
    """What it shows: the image, or the caption of it."""
    time_ms: int
    """The moment it tells of."""
    at_ms: int
    """When it is published."""
    fault: Fault = Fault.NONE
    poison: Poison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSubject:
    """One appearance, whose it is, and what of it is published well and in time."""

    subject_id: str
    identity_id: str
    is_stranger: bool
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole run."""

    subjects: tuple[PlannedSubject, ...]
    events: tuple[PlannedEvent, ...] = field(repr=False)
    """In the order of their publication."""


def plan_traffic(people: People, shape: Shape, *, run: str, seed: int) -> Plan:
    """The run of a seed.

    Photos without a caption appear as images only: the shares of the masks are then what the captions allow.

    Args:
        people: Who may appear.
        shape: How much of what.
        run: Begins every subject id, so that runs on one broker do not meet.
        seed: Decides everything else.

    Raises:
        PeopleError: There is nobody to show.
    """
    rng = np.random.default_rng(seed)
    kinds = _poison_kinds(shape, rng)
    total = shape.subjects + len(kinds)
    # Poison is spread over the whole run, not gathered at its end.
    poison_at = dict(zip(rng.choice(total, len(kinds), replace=False).tolist(), kinds, strict=True))
    masks = iter(_masks(shape, rng))
    drafts = [
        _draft(
            _Slot(run=run, number=number, rate_hz=shape.rate_hz),
            person,
            photo,
            poison_at.get(number) or next(masks),
            rng,
        )
        for number, (person, photo) in enumerate(_appearances(people, shape, total, rng))
    ]
    drafts = _with_late_halves(drafts, shape, rng)
    events = [event for draft in drafts for event in draft.events]
    events += _copies(events, shape, rng)
    return Plan(
        subjects=tuple(draft.subject for draft in drafts),
        events=tuple(sorted(events, key=lambda event: (event.at_ms, event.event_id))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A subject with its own events, before copies of them are made."""

    subject: PlannedSubject
    events: tuple[PlannedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """A subject's place in the run."""

    run: str
    number: int
    rate_hz: float

    @property
    def subject_id(self) -> str:
        return f"{self.run}-{self.number:06d}"

    @property
    def time_ms(self) -> int:
        return round(1_000 * self.number / self.rate_hz)


def _poison_kinds(shape: Shape, rng: np.random.Generator) -> list[Poison]:
    if not shape.poison:
        return []
    kinds = list(Poison)
    wanted = max(len(kinds), round(shape.poison * shape.subjects))
    return [kinds[i % len(kinds)] for i in rng.permutation(wanted)]


def _masks(shape: Shape, rng: np.random.Generator) -> list[Mask]:
    both, image = round(shape.both * shape.subjects), round(shape.image_only * shape.subjects)
    masks = [BOTH] * both + [frozenset({IMAGE})] * image
    masks += [frozenset({TEXT})] * (shape.subjects - len(masks))
    return [masks[i] for i in rng.permutation(shape.subjects)]


def _appearances(
    people: People, shape: Shape, total: int, rng: np.random.Generator
) -> list[tuple[Person, Photo]]:
    """Who appears, in order."""
    known = [(person, photo) for person in people.enrolled for photo in person.probes]
    strangers = [(person, photo) for person in people.strangers for photo in person.probes]
    if not known or (shape.strangers and not strangers):
        raise PeopleError(
            f"{people.data} has {len(known)} photos of enrolled people and {len(strangers)} of strangers "
            "to search for; at least one of each is needed"
        )
    share = round(shape.strangers * total)
    dealt = _deal(strangers, share, rng) + _deal(known, total - share, rng)
    return [dealt[i] for i in rng.permutation(total)]


def _deal(
    cards: list[tuple[Person, Photo]], count: int, rng: np.random.Generator
) -> list[tuple[Person, Photo]]:
    """`count` of them; none is dealt again before all others were."""
    dealt: list[tuple[Person, Photo]] = []
    while len(dealt) < count:
        dealt += [cards[i] for i in rng.permutation(len(cards))[: count - len(dealt)]]
    return dealt


def _draft(
    slot: _Slot, person: Person, photo: Photo, what: Mask | Poison, rng: np.random.Generator
) -> _Draft:
    bad = RECIPES[what].modality if isinstance(what, Poison) else None
    wanted = BOTH - {bad} if isinstance(what, Poison) else what
    mask = wanted if photo.caption else (wanted - {TEXT}) or (frozenset({IMAGE}) - {bad})
    events = []
    for modality in sorted(mask | ({bad} if bad else set())):
        time_ms = slot.time_ms + int(rng.integers(APART_MS))
        events.append(
            PlannedEvent(
                event_id=f"{slot.subject_id}/{modality}",
                subject_id=slot.subject_id,
                modality=modality,
                photo=photo,
                time_ms=time_ms,
                at_ms=time_ms + int(rng.integers(*TRANSPORT_MS)),
                fault=Fault.POISON if modality == bad else Fault.NONE,
                poison=what if isinstance(what, Poison) and modality == bad else None,
            )
        )
    subject = PlannedSubject(
        subject_id=slot.subject_id, identity_id=person.identity_id, is_stranger=person.is_stranger, mask=mask
    )
    return _Draft(subject=subject, events=tuple(events))


def _with_late_halves(drafts: list[_Draft], shape: Shape, rng: np.random.Generator) -> list[_Draft]:
    whole = [i for i, draft in enumerate(drafts) if draft.subject.mask == BOTH]
    wanted = min(len(whole), max(1, round(shape.late * len(whole)))) if shape.late else 0
    chosen = {whole[i] for i in rng.choice(len(whole), wanted, replace=False)}
    return [_with_late_half(d, shape, rng) if i in chosen else d for i, d in enumerate(drafts)]


def _with_late_half(draft: _Draft, shape: Shape, rng: np.random.Generator) -> _Draft:
    late = draft.events[int(rng.integers(len(draft.events)))]
    at_ms = late.time_ms + shape.window_ms + shape.grace_ms + LATE_MARGIN_MS
    moved = replace(late, at_ms=at_ms, fault=Fault.LATE)
    return _Draft(
        subject=replace(draft.subject, mask=draft.subject.mask - {late.modality}),
        events=tuple(moved if event is late else event for event in draft.events),
    )


def _copies(events: list[PlannedEvent], shape: Shape, rng: np.random.Generator) -> list[PlannedEvent]:
    good = [event for event in events if event.fault is Fault.NONE]
    wanted = min(len(good), max(1, round(shape.duplicates * len(good)))) if shape.duplicates else 0
    return [
        replace(good[i], at_ms=good[i].at_ms + int(rng.integers(*DUPLICATE_AFTER_MS)), fault=Fault.DUPLICATE)
        for i in rng.choice(len(good), wanted, replace=False)
    ]
