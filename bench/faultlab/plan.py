"""What a run publishes, from a seed: visits of subjects with all that producers do right and wrong.

A visit is one appearance of one subject. Its events carry what was planted in them and nothing of what should
become of them: that is for `faultlab.reference` to find, from the log alone.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from stream.demo.poison import RECIPES, Poison

IMAGE, TEXT = "image", "text"
YEAR_2100_MS = 4_102_444_800_000
YEAR_1970_MS = 86_400_000


class Kind(StrEnum):
    """What one visit is like."""

    BOTH = "both"
    IMAGE_ONLY = "image_only"
    TEXT_ONLY = "text_only"
    TRACK = "track"
    """Several images and texts."""
    IMAGES = "images"
    """Several images, no text."""
    ENDED = "ended"
    """An image, then the subject's end."""
    ENDED_WHOLE = "ended_whole"
    """Image and text, then the subject's end."""
    SLOW_HALF = "slow_half"
    """The text comes out of order, within the grace."""
    LATE_HALF = "late_half"
    """The text comes when window and grace have long passed."""
    POISONED = "poisoned"
    """One half is bad in one of the ways of docs/contracts.md; the other is good."""
    BOMB = "bomb"
    """The image declares billions of pixels."""
    GIANT = "giant"
    """The image has just under the allowed number of pixels, and nobody in it."""
    FUTURE = "future"
    """Both halves run ahead of the clock by half of what is allowed."""
    YEAR_2100 = "year_2100"
    """The image's producer has lost its clock; the text is good."""
    YEAR_1970 = "year_1970"
    """A single image of long ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One record that will be published."""

    subject: str
    modality: str
    """Whose topic it goes to; that of a marker too."""
    event_id: str
    at_ms: int
    """When it is published, from the start of the stream."""
    time_ms: int
    """The moment it tells of, from the same start; see `absolute`."""
    person: int | None
    """Number of the enrolled person it shows; None for a stranger."""
    marker: bool = False
    poison: Poison | None = None
    giant: bool = False
    absolute: bool = False
    """`time_ms` is Unix time: of a producer without a clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How much of what a run publishes."""

    mix: Mapping[Kind, float]
    """Weights."""
    visits: int = 600
    rate_hz: float = 40.0
    """Visits a second, steady."""
    window_ms: int = 1_000
    grace_ms: int = 2_000
    skew_ms: int = 60_000
    copies: float = 0.04
    """Share of the good events that are sent once more."""
    copies_after_ms: tuple[int, int] = (5, 1_500)
    replayed_after_ms: int | None = None
    """Everything is sent again so long after it was sent."""
    persons: int = 24
    """Enrolled; every third visit is a stranger's."""
    late_by_ms: int = 4_000
    """Beyond window and grace."""


ORDINARY: Mapping[Kind, float] = {
    Kind.BOTH: 50,
    Kind.IMAGE_ONLY: 8,
    Kind.TEXT_ONLY: 6,
    Kind.TRACK: 8,
    Kind.IMAGES: 4,
    Kind.ENDED: 4,
    Kind.ENDED_WHOLE: 4,
    Kind.SLOW_HALF: 8,
    Kind.LATE_HALF: 2,
    Kind.POISONED: 4,
}
"""What every harm is done to."""


def plan(shape: Shape, seed: int) -> tuple[Planned, ...]:
    """The records of a run in the order of their publication: a pure function of shape and seed."""
    rng = random.Random(seed)
    kinds = rng.choices(list(shape.mix), weights=list(shape.mix.values()), k=shape.visits)
    events = [event for number, kind in enumerate(kinds) for event in _visit(shape, rng, seed, number, kind)]
    good = [event for event in events if event.poison is None and not event.marker and not event.absolute]
    copied = rng.sample(good, round(shape.copies * len(good)))
    events += [replace(event, at_ms=event.at_ms + rng.randint(*shape.copies_after_ms)) for event in copied]
    if shape.replayed_after_ms is not None:
        events += [replace(event, at_ms=event.at_ms + shape.replayed_after_ms) for event in events]
    return tuple(sorted(events, key=lambda event: event.at_ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What the recipe of a visit is made with."""

    shape: Shape
    rng: random.Random
    subject: str
    starts_ms: int
    person: int | None

    @property
    def near_ms(self) -> int:
        """Moments of one visit are so far apart, or a few times that."""
        return self.shape.window_ms // 5

    def near(self) -> int:
        return self.rng.randint(0, self.near_ms)

    def event(self, modality: str, name: str, after_ms: int, delay_ms: int | None = None) -> Planned:
        """An event of a moment after the visit's start, published after a usual delay or this one."""
        time_ms = self.starts_ms + after_ms
        usual_ms = self.rng.randint(2, self.near_ms // 2)
        return Planned(
            subject=self.subject,
            modality=modality,
            event_id=f"{self.subject}/{name}",
            at_ms=time_ms + (usual_ms if delay_ms is None else delay_ms),
            time_ms=time_ms,
            person=self.person,
        )


def _visit(shape: Shape, rng: random.Random, seed: int, number: int, kind: Kind) -> list[Planned]:
    draft = _Draft(
        shape=shape,
        rng=rng,
        subject=f"s{seed}-{number:06d}",
        starts_ms=round(number * 1_000 / shape.rate_hz),
        person=None if number % 3 == 2 else rng.randrange(shape.persons),
    )
    return _RECIPES[kind](draft)


def _halves(of: _Draft) -> list[Planned]:
    first, second = of.rng.sample([IMAGE, TEXT], 2)
    return [of.event(first, first, 0), of.event(second, second, of.near())]


def _track(of: _Draft, texts: int) -> list[Planned]:
    """Later samples of a modality tell of later moments, and are published later: as a camera does."""
    images = [of.event(IMAGE, "image", 0, 5)]
    images += [of.event(IMAGE, f"image-{n}", 1 + n * of.near_ms + of.near(), 5) for n in (1, 2)]
    return images + [of.event(TEXT, f"text-{n}", n * of.near_ms + of.near(), 5) for n in range(texts)]


def _end(of: _Draft) -> Planned:
    topic = of.rng.choice([IMAGE, TEXT])
    return replace(of.event(topic, "end", 2 * of.near_ms), marker=True)


def _slow_half(of: _Draft) -> list[Planned]:
    delay_ms = of.rng.randint(0, min(of.shape.window_ms, of.shape.grace_ms) * 7 // 10)
    return [of.event(IMAGE, "image", 0), of.event(TEXT, "text", of.near(), delay_ms)]


def _late_half(of: _Draft) -> list[Planned]:
    delay_ms = of.shape.window_ms + of.shape.grace_ms + of.shape.late_by_ms
    return [of.event(IMAGE, "image", 0), of.event(TEXT, "text", of.near(), delay_ms)]


def _poisoned(of: _Draft, poison: Poison) -> list[Planned]:
    bad = str(RECIPES[poison].modality)
    good = TEXT if bad == IMAGE else IMAGE
    return [of.event(good, good, 0), replace(of.event(bad, bad, of.near()), poison=poison)]


def _giant(of: _Draft) -> list[Planned]:
    return [of.event(TEXT, "text", 0), replace(of.event(IMAGE, "image", of.near()), giant=True)]


def _future(of: _Draft) -> list[Planned]:
    ahead_ms = of.shape.skew_ms // 2
    return [of.event(modality, modality, ahead_ms, -ahead_ms) for modality in (IMAGE, TEXT)]


def _without_clock(of: _Draft, time_ms: int) -> Planned:
    return replace(of.event(IMAGE, "image", 0), time_ms=time_ms, absolute=True)


_RECIPES: Mapping[Kind, Callable[[_Draft], list[Planned]]] = {
    Kind.BOTH: _halves,
    Kind.IMAGE_ONLY: lambda of: [of.event(IMAGE, "image", 0)],
    Kind.TEXT_ONLY: lambda of: [of.event(TEXT, "text", 0)],
    Kind.TRACK: lambda of: _track(of, texts=2),
    Kind.IMAGES: lambda of: _track(of, texts=0),
    Kind.ENDED: lambda of: [of.event(IMAGE, "image", 0), _end(of)],
    Kind.ENDED_WHOLE: lambda of: [*_halves(of), _end(of)],
    Kind.SLOW_HALF: _slow_half,
    Kind.LATE_HALF: _late_half,
    Kind.POISONED: lambda of: _poisoned(of, of.rng.choice(list(Poison))),
    Kind.BOMB: lambda of: _poisoned(of, Poison.BOMB),
    Kind.GIANT: _giant,
    Kind.FUTURE: _future,
    Kind.YEAR_2100: lambda of: [of.event(TEXT, "text", 0), _without_clock(of, YEAR_2100_MS)],
    Kind.YEAR_1970: lambda of: [_without_clock(of, YEAR_1970_MS)],
}
