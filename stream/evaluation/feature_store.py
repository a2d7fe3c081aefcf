"""Features of photos kept between evaluations: a policy is changed ten times for every model pack.

One `.npz` per condition and role, written whole and read without pickle. Features of faces are biometric
data: they are kept only in a folder that the operator names.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from index.records import ContractId, Feature, Modality
from stream.demo.people import Photo
from stream.evaluation.degrade import VERSION
from stream.evaluation.samples import Condition, Sample


class FeatureStore:
    """A folder of features."""

    def __init__(self, folder: Path, contracts: Mapping[Modality, ContractId], *, seed: int) -> None:
        self._folder = folder
        self._contracts = contracts
        self._seed = seed

    def load(self, photos: Sequence[tuple[str, Photo]], condition: Condition) -> list[Sample] | None:
        """The samples of exactly these photos and captions; None where they are not all there.

        Raises:
            PeopleError: A photo cannot be read.
        """
        try:
            with (
                self._path(photos, condition).open("rb") as file,
                np.load(file, allow_pickle=False) as kept,
            ):
                arrays = {name: kept[name] for name in kept.files}
        except (OSError, ValueError, BadZipFile):
            return None
        by_row: list[dict[Modality, Feature]] = [{} for _ in photos]
        for modality, contract_id in self._contracts.items():
            for row, vector, quality in zip(*_columns(arrays, modality), strict=True):
                by_row[row][modality] = Feature(
                    vector=vector,
                    contract_id=contract_id,
                    quality=None if np.isnan(quality) else float(quality),
                )
        return [
            Sample(identity_id=identity_id, photo=photo, features=features)
            for (identity_id, photo), features in zip(photos, by_row, strict=True)
        ]

    def save(self, samples: Sequence[Sample], condition: Condition) -> None:
        """Keeps the features of samples, in a file of their own.

        Raises:
            OSError: The folder cannot be written.
        """
        arrays: dict[str, Any] = {}
        for modality in self._contracts:
            rows = [row for row, sample in enumerate(samples) if modality in sample.features]
            features = [samples[row].features[modality] for row in rows]
            qualities = [np.nan if f.quality is None else f.quality for f in features]
            vectors = [f.vector for f in features] or np.zeros((0, 1), np.float32)
            for name, values in zip(_names(modality), (rows, vectors, qualities), strict=True):
                arrays[name] = np.array(values)
        path = self._path([(sample.identity_id, sample.photo) for sample in samples], condition)
        self._folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.replace(path)

    def _path(self, photos: Sequence[tuple[str, Photo]], condition: Condition) -> Path:
        """Named by all that the features depend on; whose a photo is and what else is run do not matter."""
        digest = blake2b(digest_size=16)
        for part in (*sorted(self._contracts.values()), condition.name, str(self._seed), str(VERSION)):
            digest.update(f"{part}\n".encode())
        for _, photo in photos:
            for value in (photo.name.encode(), photo.caption.encode(), photo.read()):
                digest.update(blake2b(value, digest_size=16).digest())
        return self._folder / f"{digest.hexdigest()}.npz"


def _names(modality: Modality) -> tuple[str, str, str]:
    return f"{modality}.rows", f"{modality}.vectors", f"{modality}.qualities"


def _columns(arrays: Mapping[str, Any], modality: Modality) -> tuple[Any, Any, Any]:
    rows, vectors, qualities = (arrays[name] for name in _names(modality))
    return rows.astype(np.int64), vectors.astype(np.float32), qualities.astype(np.float64)
