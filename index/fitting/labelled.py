"""What a policy is fitted on: samples whose identity is known, and the pairs that they make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.records import Feature, Modality, Vector

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Names = npt.NDArray[np.str_]

FOLDS = 5
"""What is cross-fitted is fitted on all people but a fifth, and measured on that fifth."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """One photo of a known person, with what was said about it."""

    identity_id: str
    photo: str
    """Its degraded copies bear the same name: a photo and its copy are no pair."""
    features: Mapping[Modality, Feature]


def having(samples: Sequence[Labelled], *modalities: Modality) -> list[Labelled]:
    """Those that have all of these modalities."""
    return [sample for sample in samples if all(m in sample.features for m in modalities)]


def vectors(samples: Sequence[Labelled], modality: Modality) -> Vector:
    """(n, D) float32, not yet placed."""
    return np.stack([sample.features[modality].vector for sample in samples])


def names(samples: Sequence[Labelled]) -> Names:
    """(n,): whose they are."""
    return np.array([sample.identity_id for sample in samples])


def mated_pairs(probes: Sequence[Labelled], enrolled: Sequence[Labelled]) -> tuple[Bools, Bools]:
    """(P, G) each: two photos of one identity; two of different ones. A photo is no pair with its copies."""
    same = names(probes)[:, None] == names(enrolled)[None, :]
    copies = np.array([p.photo for p in probes])[:, None] == np.array([g.photo for g in enrolled])[None, :]
    return same & ~copies, ~same


def folds(identities: Names, rng: np.random.Generator) -> Iterator[Bools]:
    """(n,) masks of the samples held out: each identity is held out once, whole."""
    order = rng.permutation(np.unique(identities))
    for fold in range(FOLDS):
        yield np.isin(identities, order[fold::FOLDS])


def significant(values: npt.ArrayLike, digits: int = 4) -> Doubles:
    """The numbers as a file writes them: rounded to so many significant digits."""
    numbers = np.asarray(values, dtype=np.float64)
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(np.where(numbers == 0, 1.0, np.abs(numbers)))))
    rounded: Doubles = np.round(numbers * scale) / scale
    return rounded


def number(value: float, digits: int = 4) -> float:
    """The same of one number."""
    return float(f"{value:.{digits}g}")
