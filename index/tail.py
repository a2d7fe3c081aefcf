"""The upper tail of a gallery's impostor scores: what score a given share of strangers will reach.

The tail is taken for exponential: a calibrated log-likelihood ratio is about e times rarer among impostors a
nat. Its slope β is not known, and a threshold that trusts the mean of a few excesses lets through more than
was asked for, on average. So the threshold is a quantile of the *next* score given these, which is Pareto
(Geisser, Predictive Inference (1993)): an exponential tail then holds the share on average.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

TAIL = 0.15
"""Share of the searches that the tail is fitted to."""
PRIOR_SLOPE = 1.0
"""Nats. A calibrated log-likelihood ratio's impostor tail falls by e a nat."""
PRIOR_EXCESSES = 30
"""What a slope known before weighs: as much as so many searches in the tail, which 200 identities give."""
_Z95 = 1.96
_SIDES = 2
"""Two look-alikes find one another: most excesses come in such pairs, which say one thing twice. The interval
counts all of them so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A threshold, and where 95 % of such samples put the score that the share asked for really reaches."""

    score: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """What n scores say of theirs over u: the k excesses, and as many as the slope known before weighs."""

    u: float
    over: int
    """k"""
    excesses: float
    """a, with those known before."""
    sum: float
    """Of these a excesses, in nats: β is sum / a."""


def threshold_estimate(scores: Doubles, fpir: float, *, prior_slope: float = PRIOR_SLOPE) -> Estimate:
    """The score that a share `fpir` of strangers will reach on average, with its interval.

    With r = (k + 1) / (f·n), how much rarer than the tail the target is:

    - r > 1: T = u + sum·(r^(1/a) − 1), which is u + β·ln r where a is large. The interval is that of
      u + β·ln r: ln P(over u) has the variance 2/(k + 1) − 2/(n + 1), and ln β about 1/(a − k/2).
    - else the scores themselves answer: T is just over the ⌊f·n⌋-th best, and the interval is of order
      statistics, 1.96·√(2·n·f·(1 − f)) places to each side.

    Args:
        scores: (n,) best scores of non-mated searches, n >= 1, log-likelihood ratios in nats.
        fpir: f in (0, 1).
        prior_slope: β as known before, in nats.
    """
    ordered = np.sort(scores)
    n, expected = len(ordered), fpir * len(ordered)
    tail = _tail(ordered, prior_slope)
    if expected >= tail.over + 1:
        place = n - math.floor(expected)
        reach = _Z95 * math.sqrt(_SIDES * expected * (1.0 - fpir))
        return Estimate(
            score=math.nextafter(float(ordered[place]), math.inf),
            low=float(ordered[max(0, math.floor(place - reach))]),
            high=float(ordered[min(n - 1, math.ceil(place + reach))]),
        )
    rarer, slope = (tail.over + 1) / expected, tail.sum / tail.excesses
    told = tail.excesses - tail.over * (1.0 - 1.0 / _SIDES)
    spread = math.sqrt(math.log(rarer) ** 2 / told + _SIDES * (1.0 / (tail.over + 1) - 1.0 / (n + 1)))
    middle = tail.u + slope * math.log(rarer)
    return Estimate(
        score=tail.u + tail.sum * math.expm1(math.log(rarer) / tail.excesses),
        low=middle - _Z95 * slope * spread,
        high=middle + _Z95 * slope * spread,
    )


def tail_slope(galleries: Iterable[Doubles]) -> float:
    """β over some galleries' impostor scores, in nats, drawn to `PRIOR_SLOPE`: others' `prior_slope`.

    Args:
        galleries: (n,) scores of each, n >= 1.
    """
    tails = [_tail(np.sort(scores), PRIOR_SLOPE) for scores in galleries]
    known = PRIOR_EXCESSES * (len(tails) - 1)
    total = sum(tail.sum for tail in tails) - known * PRIOR_SLOPE
    return total / (sum(tail.excesses for tail in tails) - known)


def _tail(ordered: Doubles, prior_slope: float) -> _Tail:
    n = len(ordered)
    over = min(max(1, round(TAIL * n)), n - 1)
    u = float(ordered[n - 1 - over])
    return _Tail(
        u=u,
        over=over,
        excesses=over + PRIOR_EXCESSES,
        sum=float(np.sum(ordered[n - over :] - u)) + PRIOR_EXCESSES * prior_slope,
    )
