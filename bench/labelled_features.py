"""Photos and captions of labelled people as features: extracted once, then cached by contract."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index.records import IMAGE, TEXT, Feature, Modality
from stream.demo.folders import read_people
from stream.demo.people import LabelledPhoto, Role
from stream.features.extractor import Extractor, Unusable

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
    data: Path, extractors: Mapping[Modality, Extractor], *, cache_dir: Path, roles: frozenset[Role]
) -> list[LabelledSample]:
    """The samples of these roles in a folder, in the order of its manifest.

    Raises:
        PeopleError: There is nothing there that can be read.
    """
    photos = [p for p in read_people(data) if p.role in roles]
    images = _image_features(photos, extractors[IMAGE], cache_dir=cache_dir)
    texts = [extractors[TEXT].extract("text/plain", p.photo.caption.encode()) for p in photos]
    return [
        LabelledSample(
            labelled=photo,
            features={
                m: f
                for m, f in ((IMAGE, image), (TEXT, text))
                if f is not None and not isinstance(f, Unusable)
            },
        )
        for photo, image, text in zip(photos, images, texts, strict=True)
    ]


def _image_features(
    photos: Sequence[LabelledPhoto], extractor: Extractor, *, cache_dir: Path
) -> list[Feature | None]:
    contents = [p.photo.read() for p in photos]
    digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in contents)).hexdigest()[:16]
    path = cache_dir / "bench" / f"{extractor.contract_id}-{digest}.npz"
    if not path.is_file():
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda data: extractor.extract("image/jpeg", data), contents))
        path.parent.mkdir(parents=True, exist_ok=True)
        blank = np.zeros(extractor.dimension, dtype=np.float32)
        np.savez(
            path,
            vectors=np.stack([blank if isinstance(f, Unusable) else f.vector for f in found]),
            quality=np.array([0.0 if isinstance(f, Unusable) else f.quality or 0.0 for f in found]),
        )
    with np.load(path) as stored:
        vectors, quality = stored["vectors"], stored["quality"]
    return [
        Feature(vector=v, quality=float(q), contract_id=extractor.contract_id) if v.any() else None
        for v, q in zip(vectors, quality, strict=True)
    ]
