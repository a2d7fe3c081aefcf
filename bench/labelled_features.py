"""Photos and captions of labelled people as features: what benchmarks measure on."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from index.records import IMAGE, TEXT, Feature, Modality
from stream.demo.folders import read_people
from stream.demo.people import LabelledPhoto, Role
from stream.features.extractor import Extractor

DEFAULT_DATA = Path("../shared/data/lfw")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSample:
    """A photo with its caption: whose they are, what for, and what the extractors make of them."""

    labelled: LabelledPhoto
    features: Mapping[Modality, Feature]
    """Without those that the extractors cannot use."""

    @property
    def identity_id(self) -> str:
        """Whose photo it is."""
        return self.labelled.identity_id


def labelled_samples(
    data: Path, extractors: Mapping[Modality, Extractor], *, roles: frozenset[Role]
) -> list[LabelledSample]:
    """The samples of these roles in a folder, in the order of its manifest.

    Raises:
        PeopleError: There is nothing there that can be read.
    """
    photos = [p for p in read_people(data) if p.role in roles]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda p: extractors[IMAGE].extract("image/jpeg", p.photo.read()), photos))
    texts = [extractors[TEXT].extract("text/plain", p.photo.caption.encode()) for p in photos]
    return [
        LabelledSample(
            labelled=photo,
            features={m: f for m, f in ((IMAGE, image), (TEXT, text)) if isinstance(f, Feature)},
        )
        for photo, image, text in zip(photos, images, texts, strict=True)
    ]
