"""The report of an evaluation as facts, and as the JSON that `--json`, `--out` and `--baseline` share.

Conditions, masks and gallery sizes are keys by their names, so that two reports can be compared path by path.
Every number that was measured is a `Measure`: value, 95 % interval, N. What depends on the clock is in none,
so that the same photos, seed and versions give the same bytes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from index.evaluation import CalibrationBin, Measure

SCHEMA_VERSION = 1
DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was measured, on whom, and how."""

    version: str
    data: str
    pack: str
    contracts: Mapping[str, str]
    policy: str
    seed: int
    quick: bool
    resamples: int
    """Of each bootstrap; identities are drawn."""
    identities: int
    templates: int
    mated: int
    non_mated: int
    unusable: Mapping[str, Mapping[str, int]]
    """By condition and modality, how many searched photos and captions give no feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What an operator gets who sets a target: the service's own threshold, margin and conflict rule."""

    threshold: Measure | None
    """N are leave-one-out searches. None where searches of several galleries are taken together."""
    basis: str
    fnir: Measure
    """Share of mated searches that were not a match with the right identity."""
    fpir: Measure
    """Share of non-mated searches that were a match or ambiguous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Open-set identification by one mask in one condition."""

    mated: int
    non_mated: int
    rank1: Measure
    fnir_at_fpir: Mapping[str, Measure]
    """By FPIR; the threshold is that of these very strangers. Candidates count whose evidence may match: a
    description alone finds nobody."""
    service: Mapping[str, Service]
    """By target FPIR; empty for a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The plots of one mask, clean."""

    cmc: tuple[float, ...]
    """Identification rate at rank 1, 2, …"""
    fpir: tuple[float, ...]
    fnir: tuple[float, ...]
    """The DET curve, with `fpir`."""
    score_edges: tuple[float, ...]
    mated_right: tuple[int, ...]
    """Searches between the edges by the score of rank 1."""
    mated_wrong: tuple[int, ...]
    non_mated: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Records of which a share lost one modality, enrolled and searched."""

    share: float
    draws: int
    ours: Rates
    article: Rates
    """On the first of the draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicts:
    """Decisions that face and description contradict each other, by the policy's rule at `target_fpir`."""

    target_fpir: float
    found: Measure
    """Of mated probes with the description of somebody else."""
    false: Measure
    """Of mated probes with their own description."""
    false_strangers: Measure
    """Of non-mated probes with their own description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Realised:
    """What the threshold of a gallery's own leave-one-out let through, over galleries of one size."""

    draws: int
    """Galleries drawn. For one alone the interval is the bootstrap's, for more it is the central 95 % of
    them: what an operator with one gallery may meet."""
    fpir: Measure
    fnir: Measure
    """At the same thresholds."""
    basis: str
    """Of the first draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How true P(rank 1 is right) is, where every second search is mated."""

    error: Measure
    bins: tuple[CalibrationBin, ...]


class Fault(StrEnum):
    """What went wrong with a confusion, or nearly did."""

    STRANGER = "stranger"
    """Not enrolled, and yet this score."""
    WRONG = "wrong"
    """Enrolled, and somebody else is rank 1."""
    WEAK = "weak"
    """Rank 1 is right, by so low a score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """A search at the edge of what the service can tell apart. Photos by their names."""

    fault: Fault
    identity_id: str
    photo: str
    score: float
    returned_id: str
    returned_photo: str
    own_photo: str | None
    """Enrolled of the probe's own identity; None for a stranger, and where it is what was returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An evaluation."""

    schema_version: int
    run: Run
    conditions: Mapping[str, Mapping[str, Rates]]
    """By condition and mask."""
    fused_minus_image: Mapping[str, Mapping[str, Measure]]
    """By condition and FPIR: FNIR of all modalities less that of the image alone, on the same searches.
    Above 0 the other modalities cost something."""
    curves: Mapping[str, Curves]
    frames: Mapping[str, Mapping[str, Rates]]
    """By condition and mask: probes of several photos; non-mated are the same, without their mates."""
    missing: Missing | None
    """None where there is one modality."""
    conflicts: Conflicts | None
    realised: Mapping[str, Mapping[str, Mapping[str, Realised]]]
    """By mask, gallery size and target FPIR."""
    calibration: Mapping[str, Mapping[str, Calibration]]
    """By mask and gallery size."""
    article: Rates
    """The founding article's pipeline on the clean probes, with all modalities."""
    confusions: tuple[Confusion, ...]
    """Clean, all modalities; worst first within each fault."""


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain JSON values, in the order of its fields; no NaN, and four digits."""
    plain: dict[str, Any] = _plain(asdict(report))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(of) for of in value]
    if isinstance(value, float):
        # Adding zero takes the sign from a zero: -0.0 and 0.0 are one number.
        return round(value, DIGITS) + 0.0 if math.isfinite(value) else None
    return value
