"""Searches to rates: each with its interval by identities drawn with replacement, all from one seed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from index.calibration import thresholds_of
from index.decision import decide
from index.evaluation import (
    Bools,
    Doubles,
    Ints,
    Measure,
    Searches,
    cmc,
    det_curve,
    fnir_at_fpir,
    histogram_edges,
    rank1,
    score_histogram,
    with_interval,
)
from index.gallery import Gallery
from index.leave_one_out import impostor_scores
from index.policy import Policy
from index.records import Mask, Outcome, Threshold, Verdict
from stream.evaluation.report import Curves, Rates, Service
from stream.evaluation.searching import DEPTH, Search, deciding, tabulate

FPIRS = (0.1, 0.03, 0.01)
RETURNED_SOMEBODY = frozenset({Outcome.MATCH, Outcome.AMBIGUOUS})
DET_POINTS = 200
"""More would only make the file larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """Which bootstrap all measures of a run share; with one seed their differences are paired."""

    seed: int
    resamples: int

    def of(self, measure: Callable[[Doubles], float], searches: Searches, *, n: int) -> Measure:
        """A measure of weighted searches with its interval."""
        return with_interval(measure, searches.identities, n=n, seed=self.seed, resamples=self.resamples)

    def share(self, flags: Bools, among: Bools, searches: Searches) -> Measure:
        """Share of those searches that a flag marks; both (S,)."""

        def measure(weights: Doubles) -> float:
            total = float(np.sum(weights[among]))
            return float(np.sum(weights[among & flags])) / total if total else float("nan")

        return self.of(measure, searches, n=int(np.count_nonzero(among)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What the service says to some searches at one target FPIR. (S,) arrays."""

    matched: Bools
    """The right identity was matched."""
    returned: Bools
    """Somebody was: a match, or ambiguous."""
    threshold: Threshold | None
    """None where searches of several galleries are taken together."""


def answers(
    found: Sequence[Search], thresholds: Mapping[Mask, Threshold], policy: Policy, mask: Mask
) -> Answers:
    """The answers at the thresholds of the gallery that was searched."""
    said = verdicts(found, thresholds, policy)
    return Answers(
        matched=np.array(
            [s.query.mated and v.identity_id == s.query.identity_id for s, v in zip(found, said, strict=True)]
        ),
        returned=np.array([v.outcome in RETURNED_SOMEBODY for v in said]),
        threshold=thresholds[mask],
    )


def verdicts(found: Iterable[Search], thresholds: Mapping[Mask, Threshold], policy: Policy) -> list[Verdict]:
    """What the service would say to each."""
    return [decide(search.result, search.query.probe, thresholds, policy) for search in found]


def answers_by_target(found: Sequence[Search], gallery: Gallery, mask: Mask) -> Mapping[float, Answers]:
    """The service's answers at every target, with the thresholds that it derives from this gallery."""
    policy = gallery.contents().policy
    return {
        target: answers(found, thresholds, policy, mask)
        for target, thresholds in thresholds_by_target(gallery).items()
    }


def thresholds_by_target(gallery: Gallery) -> Mapping[float, Mapping[Mask, Threshold]]:
    """What `thresholds_for` says of each target, from the same leave-one-out searches."""
    contents = gallery.contents()
    impostors, identities = impostor_scores(contents), len(contents.identities)
    return {
        target: thresholds_of(contents.policy, impostors, target, identities=identities) for target in FPIRS
    }


def rates(
    searches: Searches, accepted: Searches, said: Mapping[float, Answers], resampling: Resampling
) -> Rates:
    """Everything that is reported of searches by one mask in one condition.

    Args:
        searches: As they were answered.
        accepted: The same with those candidates alone whose evidence may match (`deciding`).
        said: What the service says to them, by target FPIR.
        resampling: Of the intervals.
    """
    mated, others = searches.mated_count, searches.non_mated_count
    return Rates(
        mated=mated,
        non_mated=others,
        rank1=resampling.of(partial(rank1, searches), searches, n=mated),
        fnir_at_fpir={
            str(fpir): resampling.of(partial(fnir_at_fpir, accepted, fpir), accepted, n=mated)
            for fpir in FPIRS
        },
        service={
            str(target): Service(
                threshold=None if one.threshold is None else _with_interval(one.threshold),
                basis="" if one.threshold is None else str(one.threshold.basis),
                fnir=resampling.share(~one.matched, searches.mated, searches),
                fpir=resampling.share(one.returned, ~searches.mated, searches),
            )
            for target, one in said.items()
        },
    )


def _with_interval(threshold: Threshold) -> Measure:
    low, high = threshold.interval or (np.nan, np.nan)
    return Measure(value=threshold.score, low=low, high=high, n=threshold.searches)


def rates_of(found: Sequence[Search], gallery: Gallery, mask: Mask, resampling: Resampling) -> Rates:
    """The rates of searches of one gallery."""
    accepted = deciding(found, gallery.contents().policy)
    said = answers_by_target(found, gallery, mask)
    return rates(tabulate(found), tabulate(accepted), said, resampling)


def difference(one: Searches, other: Searches, resampling: Resampling) -> Mapping[str, Measure]:
    """FNIR of one less that of the other, by FPIR; the same probes in the same order."""
    return {
        str(fpir): resampling.of(partial(_fnir_difference, one, other, fpir), one, n=one.mated_count)
        for fpir in FPIRS
    }


def _fnir_difference(one: Searches, other: Searches, fpir: float, weights: Doubles) -> float:
    return fnir_at_fpir(one, fpir, weights) - fnir_at_fpir(other, fpir, weights)


def curves(searches: Searches) -> Curves:
    """What the plots of a mask are drawn from."""
    det = det_curve(searches)
    points = np.unique(np.linspace(0, len(det.threshold) - 1, DET_POINTS).round().astype(np.int64))
    edges = histogram_edges(searches)
    right, wrong, others = score_histogram(searches, edges)
    return Curves(
        cmc=_floats(cmc(searches, DEPTH)),
        fpir=_floats(det.fpir[points]),
        fnir=_floats(det.fnir[points]),
        score_edges=_floats(edges),
        mated_right=_ints(right),
        mated_wrong=_ints(wrong),
        non_mated=_ints(others),
    )


def _floats(values: Doubles) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _ints(values: Ints) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
