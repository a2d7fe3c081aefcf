"""Labelled photos as samples: who is enrolled, who is searched, in which condition, and as which features."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from index.records import IMAGE, TEXT, Feature, Mask, Modality
from stream.demo.errors import PeopleError
from stream.demo.people import LabelledPhoto, Person, Photo, persons_of
from stream.evaluation.degrade import Box, Degradation, Strength, degrade_encoded
from stream.features.extractor import Extractor
from stream.features.faces import by_prominence
from stream.features.image import ImageExtractor
from stream.features.networks import BgrImage

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is, and of how much."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """In which state photos are searched; what is enrolled is always as it came."""

    degradation: Degradation | None = None
    """None: clean."""
    strength: Strength = Strength.MEDIUM

    @property
    def name(self) -> str:
        """`clean`, or `blurred:medium`."""
        return CLEAN if self.degradation is None else f"{self.degradation}:{self.strength}"


CLEAN = "clean"
EVERY_CONDITION = (Condition(), *(Condition(degradation=kind) for kind in Degradation))


def parse_condition(text: str) -> Condition:
    """The condition of a name: `clean`, `blurred`, `blurred:strong`.

    Raises:
        ValueError: There is none of that name.
    """
    if text == CLEAN:
        return Condition()
    kind, _, strength = text.partition(":")
    if kind not in {*Degradation} or (strength and strength not in {*Strength}):
        raise ValueError(
            f"no condition is called {text!r}; there are {CLEAN}, {', '.join(Degradation)}, each but the "
            f"first with :{', :'.join(Strength)} where wanted"
        )
    return Condition(degradation=Degradation(kind), strength=Strength(strength or Strength.MEDIUM))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A photo with its caption: whose they are, and what the extractors make of them."""

    identity_id: str
    photo: Photo
    features: Mapping[Modality, Feature]
    """Without those that the extractors cannot use."""

    def seen_by(self, mask: Mask) -> Mapping[Modality, Feature]:
        """Its features of these modalities."""
        return {modality: feature for modality, feature in self.features.items() if modality in mask}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody who takes part, in the order that the seed drew."""

    enrolled: tuple[Person, ...]
    strangers: tuple[Person, ...]


def cast_of(
    data: str,
    photos: Iterable[LabelledPhoto],
    *,
    seed: int,
    enrolled: int | None = None,
    strangers: int | None = None,
) -> Cast:
    """The people of a run.

    Args:
        data: What messages call the source.
        photos: As they were read.
        seed: Draws the order, and the roles where the source does not say them.
        enrolled: At most so many in the gallery; None: all.
        strangers: At most so many who are not; None: all.

    Raises:
        PeopleError: Nobody can be searched for, or there is no stranger.
    """
    persons = persons_of(photos, seed=seed)
    known = tuple(p for p in persons if not p.is_stranger)[:enrolled]
    unknown = tuple(p for p in persons if p.is_stranger)[:strangers]
    if not any(p.probes for p in known) or not unknown:
        raise PeopleError(
            f"{data} gives {sum(bool(p.probes) for p in known)} people to enrol and search for and "
            f"{len(unknown)} strangers; at least one of each is needed: two people, one of them with two "
            "photos"
        )
    return Cast(enrolled=known, strangers=unknown)


def extract_all(
    photos: Sequence[tuple[str, Photo]],
    extractors: Mapping[Modality, Extractor],
    condition: Condition,
    *,
    seed: int,
    threads: int,
    what: str,
    progress: Progress,
) -> list[Sample]:
    """The samples of photos in one condition, in their order.

    Args:
        photos: Each with its identity.
        extractors: For images and texts.
        condition: Degrades the images.
        seed: With the condition and the photo's name it says what is drawn for a photo, whatever else is run.
        threads: That extract side by side.
        what: Is being done, for `progress`.
        progress: Is told after each photo.

    Raises:
        PeopleError: A file cannot be read.
    """

    def extract(one: tuple[str, Photo]) -> Sample:
        identity_id, photo = one
        data = _in_condition(photo.read(), condition, extractors[IMAGE], _seed(seed, condition, photo))
        made = {
            IMAGE: extractors[IMAGE].extract(extractors[IMAGE].default_content_type, data),
            TEXT: extractors[TEXT].extract("text/plain", photo.caption.encode()),
        }
        features = {modality: f for modality, f in made.items() if isinstance(f, Feature)}
        return Sample(identity_id=identity_id, photo=photo, features=features)

    return _side_by_side(extract, photos, threads, lambda done: progress(what, done, len(photos)))


def _side_by_side(
    function: Callable[[T], R], items: Sequence[T], threads: int, tell: Callable[[int], None]
) -> list[R]:
    """As `map`, in threads; what has not begun when one fails or Ctrl-C comes never begins."""
    made = []
    pool = ThreadPoolExecutor(threads)
    try:
        for result in pool.map(function, items):
            made.append(result)
            tell(len(made))
    finally:
        pool.shutdown(cancel_futures=True)
    return made


def _in_condition(data: bytes, condition: Condition, extractor: Extractor, seed: int) -> bytes:
    if condition.degradation is None:
        return data

    def find_face(image: BgrImage) -> Box | None:
        if not isinstance(extractor, ImageExtractor):
            return None
        faces = by_prominence(extractor.encoder.detect(image), image)
        return (
            Box(left=faces[0].left, top=faces[0].top, width=faces[0].width, height=faces[0].height)
            if faces
            else None
        )

    return degrade_encoded(
        data, condition.degradation, strength=condition.strength, seed=seed, find_face=find_face
    )


def _seed(seed: int, condition: Condition, photo: Photo) -> int:
    key = f"{seed}/{condition.name}/{photo.name}"
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
