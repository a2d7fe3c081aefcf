"""People with their photos and descriptions, whatever they come from, and who of them is enrolled.

Readers give `LabelledPhoto`s, one a photo. A photo whose source says its role keeps it; for the others `cast`
decides, from a seed, who is enrolled, by which photos, and who remains a stranger.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from stream.demo.errors import PeopleError

MAX_ENROLLED_PHOTOS = 2
"""Of a person whose source does not say which photos to enrol; the others are searched."""
STRANGERS_HELD_OUT = 0.25
"""Share of the people left unenrolled where the source names no strangers and nobody has a single photo."""


class Role(StrEnum):
    """What a photo is for, as manifests say it."""

    ENROL = "enrol"
    PROBE = "probe"
    STRANGER = "stranger"
    """A photo of somebody who is not to be enrolled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One photo and what a witness said about it."""

    name: str
    """Unique among the photos of a source."""
    caption: str
    """May be empty: then there is no text to send with it."""
    source: Path | bytes
    """A file, or the encoded image itself."""

    def read(self) -> bytes:
        """The encoded image.

        Raises:
            PeopleError: The file cannot be read.
        """
        if isinstance(self.source, bytes):
            return self.source
        try:
            return self.source.read_bytes()
        except OSError as error:
            raise PeopleError(
                f"cannot read {self.source} ({error.strerror}); mend or remove its entry"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPhoto:
    """A photo, whose it is, and what for."""

    identity_id: str
    photo: Photo
    role: Role | None = None
    """None where the source does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person; a stranger has nothing enrolled."""

    identity_id: str
    enrolled: tuple[Photo, ...]
    probes: tuple[Photo, ...]

    @property
    def is_stranger(self) -> bool:
        """Whether no search may return this person."""
        return not self.enrolled


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Everybody who takes part in a run."""

    data: str
    """What the run says it used."""
    persons: tuple[Person, ...]

    @property
    def enrolled(self) -> tuple[Person, ...]:
        """Those in the gallery."""
        return tuple(p for p in self.persons if not p.is_stranger)

    @property
    def strangers(self) -> tuple[Person, ...]:
        """Those who are not."""
        return tuple(p for p in self.persons if p.is_stranger)


def cast(data: str, photos: Iterable[LabelledPhoto], *, limit: int, seed: int) -> People:
    """At most `limit` people to enrol, and at most as many strangers, chosen by the seed.

    Raises:
        PeopleError: Nobody can be enrolled and searched for, or there is no stranger.
    """
    persons = persons_of(photos, seed=seed)
    enrolled = [p for p in persons if not p.is_stranger and p.probes][:limit]
    strangers = [p for p in persons if p.is_stranger][:limit]
    if not enrolled or not strangers:
        raise PeopleError(
            f"{data} gives {len(enrolled)} people to enrol and search for and {len(strangers)} strangers; "
            "at least one of each is needed: two people, one of them with two photos"
        )
    return People(data=data, persons=(*enrolled, *strangers))


def persons_of(photos: Iterable[LabelledPhoto], *, seed: int) -> list[Person]:
    """Everybody in the photos, in an order that the seed draws.

    Where the source names no strangers and nobody has a single photo, some of them are made strangers.
    """
    by_identity: dict[str, list[LabelledPhoto]] = defaultdict(list)
    for labelled in photos:
        by_identity[labelled.identity_id].append(labelled)
    order = np.random.default_rng(seed).permutation(len(by_identity))
    names = sorted(by_identity)
    return _with_strangers([_person(names[i], by_identity[names[i]]) for i in order])


def _person(identity_id: str, photos: list[LabelledPhoto]) -> Person:
    enrolled = [p.photo for p in photos if p.role is Role.ENROL]
    probes = [p.photo for p in photos if p.role in {Role.PROBE, Role.STRANGER}]
    unsaid = sorted((p.photo for p in photos if p.role is None), key=lambda photo: photo.name)
    if not enrolled and not probes:
        share = min(MAX_ENROLLED_PHOTOS, len(unsaid) // 2)
        enrolled, unsaid = unsaid[:share], unsaid[share:]
    return Person(identity_id=identity_id, enrolled=tuple(enrolled), probes=(*probes, *unsaid))


def _with_strangers(persons: list[Person]) -> list[Person]:
    """The same people; where nobody is a stranger, some of them are made one."""
    if any(p.is_stranger for p in persons) or len(persons) < 2:
        return persons
    held_out = max(1, round(STRANGERS_HELD_OUT * len(persons)))
    strangers = [
        Person(identity_id=p.identity_id, enrolled=(), probes=(*p.enrolled, *p.probes))
        for p in persons[:held_out]
    ]
    return [*strangers, *persons[held_out:]]
