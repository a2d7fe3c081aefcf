"""Galleries of several sizes, drawn from those who are enrolled: do FPIR and probability keep their word?

A threshold is derived from each drawn gallery as the service derives it. Non-mated are the strangers and the
probes of everybody who was not drawn. Scores are computed once: a score depends on its own pair alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from index.evaluation import (
    Bools,
    Doubles,
    Ints,
    Measure,
    Searches,
    balanced,
    best_in,
    calibration_curve,
    calibration_error,
    central,
    fnir_at,
    fpir_at,
)
from index.fusion import probability
from index.policy import Policy
from index.records import IdentityId, Mask, Threshold
from stream.evaluation.rates import FPIRS, Resampling, thresholds_by_target
from stream.evaluation.report import Calibration, Realised
from stream.evaluation.samples import Progress, Sample
from stream.evaluation.searching import Query, small_gallery_of

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Gallery sizes, as shares of everybody who is enrolled."""
CALIBRATION_DRAWS = 10
"""Galleries of one size that the calibration is taken over; more would change the fourth digit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Every search against everybody, by one mask."""

    queries: Sequence[Query]
    mask: Mask
    scores: Doubles
    """(S, N); −∞ where a pair has no modality in common."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """One gallery of some of the enrolled, and the thresholds that it gives itself."""

    columns: Ints
    """(n,) of the identities drawn, ascending."""
    thresholds: Mapping[float, Mapping[Mask, Threshold]]
    """By target FPIR."""


def draw_galleries(
    enrolled: Sequence[Sample],
    columns: Mapping[IdentityId, int],
    policy: Policy,
    *,
    draws: int,
    seed: int,
    progress: Progress,
) -> Mapping[int, Sequence[Draw]]:
    """Galleries by size: `draws` of each, but one of the largest, for there is one only.

    Args:
        enrolled: Every enrolled sample.
        columns: The place of each identity.
        policy: Of all galleries.
        draws: Galleries of a size.
        seed: Of the draws.
        progress: Is told after each gallery.
    """
    rng = np.random.default_rng(seed)
    sizes = sorted({max(1, round(share * len(columns))) for share in SHARES})
    planned = [size for size in sizes for _ in range(1 if size == len(columns) else draws)]
    drawn: dict[int, list[Draw]] = {size: [] for size in sizes}
    for done, size in enumerate(planned, start=1):
        chosen = np.sort(rng.permutation(len(columns))[:size])
        inside = frozenset(chosen.tolist())
        part = (s for s in enrolled if columns.get(IdentityId(s.identity_id), -1) in inside)
        gallery = small_gallery_of(part, policy)
        drawn[size].append(Draw(columns=chosen, thresholds=thresholds_by_target(gallery)))
        progress("thresholds of drawn galleries", done, len(planned))
    return drawn


def realised(
    scored: Scored,
    mask: Mask,
    drawn: Mapping[int, Sequence[Draw]],
    columns: Mapping[IdentityId, int],
    resampling: Resampling,
) -> Mapping[str, Mapping[str, Realised]]:
    """Realised against asked FPIR, by gallery size and target."""
    by_size = {}
    for size, draws in drawn.items():
        found = [_searches(scored, draw, columns) for draw in draws]
        by_size[str(size)] = {
            str(target): _realised(found, [draw.thresholds[target][mask] for draw in draws], resampling)
            for target in FPIRS
        }
    return by_size


def _realised(found: Sequence[Searches], limits: Sequence[Threshold], resampling: Resampling) -> Realised:
    def over_draws(rate: Callable[[Searches, float, Doubles], float], counts: Sequence[int]) -> Measure:
        if len(found) == 1:
            return resampling.of(partial(rate, found[0], limits[0].score), found[0], n=counts[0])
        rates = [
            rate(one, limit.score, np.ones(len(one.mated))) for one, limit in zip(found, limits, strict=True)
        ]
        return central(np.array(rates), n=sum(counts))

    return Realised(
        draws=len(found),
        fpir=over_draws(fpir_at, [one.non_mated_count for one in found]),
        fnir=over_draws(fnir_at, [one.mated_count for one in found]),
        basis=str(limits[0].basis),
    )


def calibration(
    scored: Scored,
    policy: Policy,
    drawn: Mapping[int, Sequence[Draw]],
    columns: Mapping[IdentityId, int],
    resampling: Resampling,
) -> Mapping[str, Calibration]:
    """The calibration of P(rank 1 is right), by gallery size; the searches of several draws are pooled."""
    return {
        str(size): _calibration(
            [_searches(scored, d, columns, policy) for d in draws[:CALIBRATION_DRAWS]], resampling
        )
        for size, draws in drawn.items()
    }


def _calibration(parts: Sequence[Searches], resampling: Resampling) -> Calibration:
    pooled = pool(parts)
    even = balanced(pooled.mated)

    def error(weights: Doubles) -> float:
        return calibration_error(calibration_curve(pooled.probability, pooled.right, weights * even))

    return Calibration(
        error=resampling.of(error, pooled, n=len(pooled.mated)),
        bins=calibration_curve(pooled.probability, pooled.right, even),
    )


def pool(parts: Sequence[Searches]) -> Searches:
    """Searches of several galleries as one experiment; identities stay the unit of the bootstrap."""
    return Searches(
        identities=np.concatenate([part.identities for part in parts]),
        mated=np.concatenate([part.mated for part in parts]),
        mate_rank=np.concatenate([part.mate_rank for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
    )


def _searches(
    scored: Scored, draw: Draw, columns: Mapping[IdentityId, int], policy: Policy | None = None
) -> Searches:
    """The searches of a drawn gallery; without a policy, without their probabilities."""
    best, whom = best_in(scored.scores, draw.columns)
    own = np.array([columns.get(IdentityId(query.identity_id), -1) for query in scored.queries])
    right: Bools = (whom == own) & np.isfinite(best)
    said = (
        np.zeros(len(best))
        if policy is None
        else np.array(
            [
                probability(policy, scored.mask, float(s), len(draw.columns)) if np.isfinite(s) else 0.0
                for s in best
            ]
        )
    )
    return Searches(
        identities=np.array([query.identity_id for query in scored.queries]),
        mated=np.isin(own, draw.columns),
        mate_rank=right.astype(np.int64),
        score=best,
        probability=said,
    )
