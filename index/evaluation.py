"""What is measured of open-set searches, by the terms of ISO/IEC 19795-1 and of NIST's FRTE 1:N reports.

A search is *mated* when the probe's identity is enrolled. FNIR(N, R, T) is the share of mated searches whose
mate is not among the R best with a score of at least T; FPIR(N, T) the share of non-mated searches that
return somebody at T. Here R = 1 unless a function says otherwise, and a search that finds nobody has the
score −∞. S is the number of searches, B the number of resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

RESAMPLES = 1000
_TAILS = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searches:
    """The searches of one experiment: one gallery, one mask, one condition. (S,) arrays."""

    identities: npt.NDArray[np.str_]
    """Whose probe it is: what the bootstrap draws."""
    mated: Bools
    """Whether that identity is enrolled."""
    mate_rank: Ints
    """Rank of the probe's own identity among those returned; 0: not returned, or not enrolled."""
    score: Doubles
    """Of rank 1; −∞ where nobody was returned."""
    probability: Doubles
    """P(rank 1 is right) as the gallery said it; 0 where nobody was returned."""

    @property
    def right(self) -> Bools:
        """Whether rank 1 is the probe's identity."""
        right: Bools = self.mate_rank == 1
        return right

    @property
    def mated_count(self) -> int:
        """How many are mated."""
        return int(np.count_nonzero(self.mated))

    @property
    def non_mated_count(self) -> int:
        """How many are not."""
        return len(self.mated) - self.mated_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A number, its 95 % interval, and how many searches it is of."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetCurve:
    """FPIR and FNIR at every threshold that tells two searches apart. (T,) arrays, thresholds ascending."""

    threshold: Doubles
    fpir: Doubles
    """Never rises."""
    fnir: Doubles
    """Never falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """The searches whose stated probability lies in one of the equal parts of [0, 1]."""

    mean_probability: float
    share_right: float
    weight: float
    """Share of all searches, by weight."""
    n: int


def cmc(searches: Searches, max_rank: int) -> Doubles:
    """The cumulative match characteristic: closed-set TPIR(N, r, 0), "identification rate at rank r".

    Returns:
        (max_rank,): share of the mated searches whose mate is among the r best, r = 1 ... max_rank, whatever
        its score.
    """
    ranks = searches.mate_rank[searches.mated]
    return np.array([np.mean((ranks >= 1) & (ranks <= r)) for r in range(1, max_rank + 1)])


def rank1(searches: Searches, weights: Doubles) -> float:
    """The rank-1 identification rate, TPIR(N, 1, 0), over weighted searches; `weights` is (S,)."""
    return _share(searches.right[searches.mated], weights[searches.mated])


def det_curve(searches: Searches) -> DetCurve:
    """The detection error trade-off of identification: FPIR(N, T) against FNIR(N, 1, T).

    Its ROC is the same curve with TPIR = 1 − FNIR for FNIR.
    """
    finite = np.isfinite(searches.score)
    thresholds = np.append(np.unique(searches.score[finite]), np.inf)
    strangers = np.sort(searches.score[~searches.mated])
    found = np.sort(searches.score[searches.mated & searches.right])
    return DetCurve(
        threshold=thresholds,
        fpir=1.0 - np.searchsorted(strangers, thresholds) / max(1, len(strangers)),
        fnir=1.0 - (len(found) - np.searchsorted(found, thresholds)) / max(1, searches.mated_count),
    )


def fnir_at(searches: Searches, threshold: float, weights: Doubles) -> float:
    """FNIR(N, 1, T): share of the weighted mated searches without the mate at rank 1 and score >= T."""
    hidden = ~(searches.right & (searches.score >= threshold))
    return _share(hidden[searches.mated], weights[searches.mated])


def fpir_at(searches: Searches, threshold: float, weights: Doubles) -> float:
    """FPIR(N, T): share of the weighted non-mated searches that return somebody with score >= T."""
    returned = searches.score >= threshold
    return _share(returned[~searches.mated], weights[~searches.mated])


def threshold_for(searches: Searches, fpir: float, weights: Doubles) -> float:
    """The lowest T at which at most a share `fpir` of the weighted non-mated searches return somebody.

    Knowing the strangers it is tested on, it compares encoders and scores; no operator can set it.
    """
    others = ~searches.mated
    order = np.argsort(-searches.score[others], kind="stable")
    descending, reached = searches.score[others][order], np.cumsum(weights[others][order])
    allowed = int(np.searchsorted(reached, fpir * reached[-1], side="right"))
    return float(np.nextafter(descending[min(allowed, len(descending) - 1)], np.inf))


def fnir_at_fpir(searches: Searches, fpir: float, weights: Doubles) -> float:
    """FNIR(N, 1, T) at the T of this FPIR on these very strangers: the headline of FRTE 1:N tables."""
    return fnir_at(searches, threshold_for(searches, fpir, weights), weights)


def with_interval(
    measure: Callable[[Doubles], float],
    identities: npt.NDArray[np.str_],
    *,
    n: int,
    seed: int,
    resamples: int = RESAMPLES,
) -> Measure:
    """A measure of weighted searches with its 95 % percentile interval (Efron & Tibshirani 1993, 13.3).

    Identities are drawn with replacement, not searches: photos of one person succeed and fail together, and
    an interval that takes them for independent is too narrow. One draw serves mated and non-mated searches,
    so the interval of an FNIR at an FPIR holds what the threshold varies by.

    Args:
        measure: Of (S,) weights: how many times each search counts.
        identities: (S,) whose each search is.
        n: Searches that the measure is a share of.
        seed: Of the draw; measures with one seed are drawn alike, and their differences are paired.
        resamples: B.
    """
    names, of_search = np.unique(identities, return_inverse=True)
    spread = [measure(weights[of_search]) for weights in _drawn(len(names), resamples, seed)]
    # A resample that drew nobody whom the measure is about says nothing.
    said = np.array([value for value in spread if not np.isnan(value)])
    low, high = np.quantile(said, _TAILS) if len(said) else (np.nan, np.nan)
    return Measure(value=measure(np.ones(len(identities))), low=float(low), high=float(high), n=n)


@lru_cache(maxsize=2)
def _drawn(identities: int, resamples: int, seed: int) -> Doubles:
    """(B, identities): how often each was drawn. Kept, for to draw costs more than most measures do."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(identities, np.full(identities, 1 / identities), size=resamples)
    return drawn.astype(np.float64)


def central(values: Doubles, *, n: int) -> Measure:
    """The mean of (B,) repetitions with the central 95 % of them: what single repetitions vary by."""
    low, high = np.quantile(values, _TAILS)
    return Measure(value=float(np.mean(values)), low=float(low), high=float(high), n=n)


def calibration_curve(
    probability: Doubles, right: Bools, weights: Doubles, *, bins: int = 10
) -> tuple[CalibrationBin, ...]:
    """The reliability diagram of P(rank 1 is right): stated probability against the share that was right.

    Args:
        probability: (S,) in [0, 1].
        right: (S,) whether it was so; False for every non-mated search.
        weights: (S,) how much each search counts, > 0 in sum.
        bins: Equal parts of [0, 1]; those without weight are left out.
    """
    part = np.minimum((probability * bins).astype(np.int64), bins - 1)
    total, stated, truly = (
        np.bincount(part, weights=weights * of, minlength=bins) for of in (1.0, probability, right)
    )
    counted = np.bincount(part, minlength=bins)
    return tuple(
        CalibrationBin(
            mean_probability=float(stated[at] / total[at]),
            share_right=float(truly[at] / total[at]),
            weight=float(total[at] / np.sum(total)),
            n=int(counted[at]),
        )
        for at in np.flatnonzero(total)
    )


def calibration_error(curve: tuple[CalibrationBin, ...]) -> float:
    """The expected calibration error: Σ weight · |mean P − share right| (Guo et al., ICML 2017)."""
    return sum(one.weight * abs(one.mean_probability - one.share_right) for one in curve)


def balanced(mated: Bools) -> Doubles:
    """(S,) weights by which mated and non-mated searches count alike in sum, with a mean of 1.

    What share of searches is mated is the user's, and moves every P; a calibration is stated for even odds.
    """
    count = np.array([np.count_nonzero(~mated), np.count_nonzero(mated)])
    return len(mated) / np.count_nonzero(count) / count[mated.astype(np.int64)]


def histogram_edges(searches: Searches, *, bins: int = 40) -> Doubles:
    """(bins + 1,): equal parts of the span of all scores that are finite; of [0, 1] where none is."""
    finite = searches.score[np.isfinite(searches.score)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def score_histogram(searches: Searches, edges: Doubles) -> tuple[Ints, Ints, Ints]:
    """Counts of rank-1 scores between the edges: mated and right, mated and wrong, non-mated; (bins,) each.

    Searches that found nobody are in none.
    """
    kinds = searches.mated & searches.right, searches.mated & ~searches.right, ~searches.mated
    first, second, third = (np.histogram(searches.score[kind], edges)[0].astype(np.int64) for kind in kinds)
    return first, second, third


def best_in(scores: Doubles, columns: Ints) -> tuple[Doubles, Ints]:
    """Rank 1 of every search in the sub-gallery of some identities.

    A score depends on its own pair alone, so a search among some is the search among all, less the others.

    Args:
        scores: (S, N); −∞ where a pair has no modality in common.
        columns: (n,) identities of the sub-gallery, n >= 1.

    Returns:
        (S,) best scores, and (S,) their columns in `scores`.
    """
    part = scores[:, columns]
    best = np.argmax(part, axis=1)
    return part[np.arange(len(part)), best], columns[best]


def _share(flags: Bools, weights: Doubles) -> float:
    """NaN where nothing has weight."""
    total = float(np.sum(weights))
    return float(np.sum(weights[flags])) / total if total else float("nan")
