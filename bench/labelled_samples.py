"""Photos and captions of labelled people as features: extracted once, then cached by contract."""

import csv
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from index.records import Feature
from stream.features.extractor import Extractor, Unusable

DEFAULT_DATA = Path("../shared/data/lfw")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSample:
    """One line of a manifest: a photo, whose it is, what it is for, and what somebody wrote about it."""

    file: Path
    identity: str
    role: str
    """`enrol`, `probe` (mated) or `stranger` (non-mated)."""
    caption: str


def read_manifest(data: Path) -> list[LabelledSample]:
    """The lines of `manifest.csv` (file, identity, role, caption) in a folder.

    Raises:
        SystemExit: There is none; says what to pass.
    """
    manifest = data / "manifest.csv"
    if not manifest.is_file():
        raise SystemExit(
            f"no {manifest}: name a folder with a manifest.csv (file, identity, role, caption) by --data"
        )
    with manifest.open(encoding="utf-8", newline="") as file:
        return [
            LabelledSample(
                file=data / row["file"], identity=row["identity"], role=row["role"], caption=row["caption"]
            )
            for row in csv.DictReader(file)
        ]


def image_features(
    samples: list[LabelledSample], extractor: Extractor, *, cache_dir: Path
) -> list[Feature | None]:
    """The feature of each photo, None where there is none; cached by contract, names and sizes."""
    listing = "\n".join(f"{s.file.name} {s.file.stat().st_size}" for s in samples)
    digest = hashlib.sha256(f"{extractor.contract_id}\n{listing}".encode()).hexdigest()[:16]
    path = cache_dir / "bench" / f"{extractor.contract_id}-{digest}.npz"
    if not path.is_file():
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda s: extractor.extract("image/jpeg", s.file.read_bytes()), samples))
        path.parent.mkdir(parents=True, exist_ok=True)
        blank = np.zeros(extractor.dimension, dtype=np.float32)
        np.savez(
            path,
            vectors=np.stack([blank if isinstance(f, Unusable) else f.vector for f in found]),
            quality=np.array([0.0 if isinstance(f, Unusable) else f.quality or 0.0 for f in found]),
        )
    with np.load(path) as stored:
        vectors: npt.NDArray[np.float32] = stored["vectors"]
        quality: npt.NDArray[np.float64] = stored["quality"]
    return [
        Feature(vector=v, quality=float(q), contract_id=extractor.contract_id) if v.any() else None
        for v, q in zip(vectors, quality, strict=True)
    ]


def text_features(samples: list[LabelledSample], extractor: Extractor) -> list[Feature | None]:
    """The feature of each caption; None where it holds no word."""
    found = (extractor.extract("text/plain", s.caption.encode()) for s in samples)
    return [None if isinstance(f, Unusable) else f for f in found]
