"""Every constant that search and decision depend on, in one record that checks itself."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from index.crossing import Crossing
from index.errors import ContractError, PolicyError
from index.records import ContractId, Feature, Mask, Modality, Vector, Weak
from index.vectors import centre

_LARGEST_MEAN_NORM = 0.999
"""Closer to 1 than this, μ could equal an embedding, and nothing would be left of it after centring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """x -> scale·x + bias, with scale > 0: a greater similarity is never weaker evidence."""

    scale: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModalityRow:
    """How one modality speaks."""

    modality: Modality
    llr: Affine
    """Cosine -> log-likelihood ratio t of this modality alone, fitted against look-alikes."""
    mean: Vector | None = None
    """μ: (D,) float32, the mean unit embedding of the calibration set; None: vectors are not centred."""
    scaling: Vector | None = None
    """a: (D,) float32, > 0, what each dimension tells of who it is; None: all tell the same."""
    quality_floor: float | None = None
    """A probe feature whose quality is under it is no evidence; None: every feature is."""
    weight: float = 0.0
    """w: what one unit of t is worth beside the primary modality, in its cosine. Not read for the primary."""
    clip: float = 2.0
    """c: t counts from −c to c beside the primary, so that no description outweighs a face."""

    def place(self, vectors: npt.ArrayLike) -> Vector:
        """Computes e = unit(a·(unit(x) − μ)), what is compared, of (..., D) feature vectors."""
        return centre(vectors, self.mean, self.scaling)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityRow:
    """P(rank 1 is right) = σ(a·score − b·ln N + c)."""

    a: float
    b: float
    c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRow:
    """How a score made of these modalities reads on the scale that all masks share: LLR = scale·f + bias."""

    scale: float
    bias: float
    may_match: bool
    """False: such evidence ranks candidates and never decides."""
    fallback_threshold: float
    """LLR a match needs for the policy's target while the gallery is too small to derive a threshold from."""
    tail_slope: float = 1.0
    """Nats in which the calibration set's impostor scores become e times rarer: what few searches lean on."""
    target_fpir: float | None = None
    """Share of strangers, of probes of this mask, that may be returned; None: the policy's."""
    probability: ProbabilityRow | None = None
    """Where a best candidate by these modalities is right as often as by no other; None: the policy's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Policy:
    """What the gallery and the decision go by. Checks itself; a policy that exists is consistent."""

    policy_id: str
    rows: tuple[ModalityRow, ...]
    """By rank; the first is the primary modality."""
    masks: Mapping[Mask, MaskRow]
    """One for every non-empty set of the rows' modalities."""
    probability: ProbabilityRow
    margin: float
    """LLR by which a match must lead every other identity over the threshold."""
    crossing: Crossing | None = None
    """How faces are compared with descriptions; None: they are not."""
    conflict_below: float | None = None
    """A face that clears alone while what agrees least with it is under this is a conflict; None: never
    asked. In nats: see `index.agreement`."""
    target_fpir: float = 0.01
    """Share of non-mated searches that may return somebody."""
    contracts: Mapping[Modality, ContractId] = field(default_factory=dict)
    """What each modality's vectors must have been made by; one left out is the extractor's (`bound_to`)."""

    def __post_init__(self) -> None:
        _check_rows(self.rows)
        _check_crossing(self)
        _check_masks(self.masks, self.modalities, self.crossings)
        _check_decision(self)
        if stray := self.contracts.keys() - {row.modality for row in self.rows}:
            raise PolicyError(
                f"Policy {self.policy_id} has contracts for {_named(stray)}, but no rows; add the rows."
            )

    @property
    def primary(self) -> Modality:
        """The modality whose cosine every mask that has it is scored on."""
        return self.rows[0].modality

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """By rank, the primary first."""
        return tuple(row.modality for row in self.rows)

    @property
    def crossings(self) -> tuple[Modality, ...]:
        """The names of the comparisons across modalities."""
        return () if self.crossing is None else self.crossing.names

    @property
    def probe_masks(self) -> tuple[Mask, ...]:
        """What a probe may consist of: every non-empty set of modalities."""
        return subsets(self.modalities)

    def row(self, modality: Modality) -> ModalityRow:
        """The row of a modality.

        Raises:
            PolicyError: There is none.
        """
        for row in self.rows:
            if row.modality == modality:
                return row
        raise PolicyError(
            f"Policy {self.policy_id} has no row for modality {modality!r}, only for "
            f"{_named(self.modalities)}; add one, or leave the modality out."
        )

    def target(self, mask: Mask) -> float:
        """The share of strangers that may be returned to a probe of this mask, and the fallback's."""
        own = self.masks[mask].target_fpir
        return self.target_fpir if own is None else own

    def leading(self, mask: Mask) -> Modality:
        """The modality of highest rank in a non-empty mask."""
        return next(name for name in (*self.modalities, *self.crossings) if name in mask)

    def usable(self, probe: Mapping[Modality, Feature]) -> Mapping[Modality, Feature]:
        """The features that are evidence: those whose quality is unknown or not under their row's floor."""
        passed_over = {weak.modality for weak in self.weak(probe)}
        return {modality: feature for modality, feature in probe.items() if modality not in passed_over}

    def weak(self, probe: Mapping[Modality, Feature]) -> tuple[Weak, ...]:
        """The features that are not, by name of modality."""
        found = []
        for modality, feature in sorted(probe.items()):
            floor = self.row(modality).quality_floor
            if floor is not None and feature.quality is not None and feature.quality < floor:
                found.append(Weak(modality=modality, quality=feature.quality, floor=floor))
        return tuple(found)

    def bound_to(self, contracts: Mapping[Modality, ContractId]) -> "Policy":
        """This policy with the extractors' contracts where it names none.

        Args:
            contracts: Of each extractor; modalities without a row are passed over.

        Raises:
            ContractError: The policy was fitted for vectors of another contract.
        """
        known = {
            modality: contract for modality, contract in contracts.items() if modality in self.modalities
        }
        for modality, contract in known.items():
            fitted = self.contracts.get(modality, contract)
            if fitted != contract:
                raise ContractError(
                    f"Policy {self.policy_id} was fitted for {modality} vectors of {fitted}, the extractor "
                    f"makes {contract}; take the policy of that model pack, or calibrate a new one."
                )
        return replace(self, contracts={**known, **self.contracts})


def subsets(modalities: Iterable[Modality]) -> tuple[Mask, ...]:
    """Every non-empty set of them, small ones first."""
    names = tuple(modalities)
    return tuple(frozenset(mask) for size in range(1, len(names) + 1) for mask in combinations(names, size))


def _named(modalities: "tuple[Modality, ...] | set[Modality] | Mask") -> str:
    return " + ".join(sorted(modalities)) or "nothing"


def _check_rows(rows: tuple[ModalityRow, ...]) -> None:
    if not rows:
        raise PolicyError("A policy needs at least one modality row; the first is the primary.")
    names = [row.modality for row in rows]
    if len(set(names)) != len(names):
        raise PolicyError(
            f"A policy has {len(names)} rows for {len(set(names))} modalities; keep one row for each."
        )
    for row in rows:
        _check_finite(
            f"row {row.modality}", row.llr.scale, row.llr.bias, row.weight, row.clip, row.quality_floor
        )
        if row.llr.scale <= 0 or row.weight < 0 or row.clip <= 0:
            raise PolicyError(
                f"Row {row.modality} has llr.scale {row.llr.scale:g}, weight {row.weight:g}, clip "
                f"{row.clip:g}; they must be > 0, >= 0 and > 0, or a greater similarity would count for less."
            )
        _check_mean(row)
        if row.scaling is not None and not (row.scaling.ndim == 1 and (row.scaling > 0).all()):
            raise PolicyError(
                f"The scaling of {row.modality} must be (D,) numbers > 0: a dimension may "
                "count for little, never for nothing."
            )


def _check_mean(row: ModalityRow) -> None:
    if row.mean is None:
        return
    if row.mean.dtype != np.float32 or row.mean.ndim != 1:
        raise PolicyError(
            f"The mean of {row.modality} is {row.mean.dtype} {row.mean.shape}; it must be float32 (D,)."
        )
    norm = math.sqrt(float(np.sum(np.square(row.mean, dtype=np.float64))))
    if not norm <= _LARGEST_MEAN_NORM:  # written so that NaN is refused too
        raise PolicyError(
            f"The mean of {row.modality} has norm {norm:.6g}, over {_LARGEST_MEAN_NORM}; take the mean of "
            "the unit embeddings of many different people."
        )


def _check_crossing(policy: Policy) -> None:
    crossing = policy.crossing
    if crossing is None:
        return
    if crossing.face != policy.primary or crossing.description not in policy.modalities[1:]:
        raise PolicyError(
            f"The crossing is from {crossing.face} to {crossing.description}; it must be from the primary "
            f"modality {policy.primary} to another one of {_named(policy.modalities)}."
        )
    for end in (crossing.of_face, crossing.of_description):
        wide = end.matrix.ndim == 2 and end.offset.shape == end.matrix.shape[:1]
        if not (wide and end.floor > 0 and np.isfinite(end.matrix).all() and np.isfinite(end.offset).all()):
            raise PolicyError(
                f"An end of the crossing has a matrix {end.matrix.shape}, an offset {end.offset.shape} and "
                f"the floor {end.floor:g}; they must be finite, (K, D), (K,) and > 0."
            )
    if crossing.of_face.matrix.shape[0] != crossing.of_description.matrix.shape[0]:
        raise PolicyError("The ends of the crossing lead to spaces of different dimensions.")


def _check_masks(
    masks: Mapping[Mask, MaskRow], modalities: tuple[Modality, ...], crossings: tuple[Modality, ...]
) -> None:
    needed = {*subsets(modalities), *(frozenset({crossing}) for crossing in crossings)}
    if missing := needed - masks.keys():
        raise PolicyError(
            f"A policy lacks the mask rows {', '.join(sorted(map(_named, missing)))}; calibrate them."
        )
    if stray := masks.keys() - needed:
        raise PolicyError(
            f"A policy has mask rows {', '.join(sorted(map(_named, stray)))} that its rows cannot make."
        )
    for mask, row in masks.items():
        _check_finite(f"mask {_named(mask)}", row.scale, row.bias, row.fallback_threshold, row.tail_slope)
        _check_odds(f"Mask {_named(mask)}", row.probability)
        if row.scale <= 0 or row.tail_slope <= 0:
            raise PolicyError(
                f"Mask {_named(mask)} has scale {row.scale:g} and tail_slope {row.tail_slope:g}; they must "
                "be > 0, or a greater similarity would count for less."
            )


def _check_decision(policy: Policy) -> None:
    _check_finite(f"policy {policy.policy_id}", policy.margin, policy.conflict_below)
    _check_odds(f"Policy {policy.policy_id}", policy.probability)
    if policy.margin < 0:
        raise PolicyError(f"Policy {policy.policy_id} has margin {policy.margin:g}; it must be >= 0.")
    for target in (policy.target_fpir, *(row.target_fpir for row in policy.masks.values())):
        if target is not None and not 0 < target < 1:
            raise PolicyError(f"target_fpir is {target:g}; it is a share, between 0 and 1.")


def _check_odds(where: str, odds: ProbabilityRow | None) -> None:
    if odds is None:
        return
    _check_finite(where, odds.a, odds.b, odds.c)
    if odds.a <= 0 or odds.b < 0:
        raise PolicyError(
            f"{where} has probability a {odds.a:g} and b {odds.b:g}; they must be > 0 and >= 0."
        )


def _check_finite(where: str, *numbers: float | None) -> None:
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise PolicyError(f"In {where} a number is not finite: {numbers}.")
