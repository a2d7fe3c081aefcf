"""The tail of impostor scores: what share of the next ones reaches the threshold, and its interval."""

import math

import numpy as np
import pytest

from index.calibration import EVIDENCE
from index.tail import tail_slope, threshold_estimate

SAMPLES = 1_000


def test_the_threshold_is_the_pareto_quantile_of_the_next_score() -> None:
    """By hand: 15 of 100 over u = 8.4, thirty excesses of one nat known before, a target 16 times rarer."""
    total = sum(n / 10 - 8.4 for n in range(85, 100)) + 30 * 1.0
    found = threshold_estimate(np.arange(100.0) / 10, 0.01)
    assert found.score == pytest.approx(8.4 + total * (16 ** (1 / 45) - 1))


@pytest.mark.parametrize("slope", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("fpir", [0.3, 0.1, 0.03, 0.01])
@pytest.mark.parametrize("n", [20, 100, 1000])
@pytest.mark.parametrize("sides", [1, 2])
def test_as_many_of_the_next_reach_it_as_asked_and_the_interval_holds(
    n: int, fpir: float, slope: float, sides: int
) -> None:
    """1,000 samples of n exponential scores whose slope was thought to be one nat, single or each twice.

    On average the share that reaches the threshold is within a third of the target wherever n can show it;
    where the slope is as thought and all scores are news, it is never over it. The interval says 95 %, and
    holds the score that the target really has, though the slope is 20 % off, 93 times in 100 where all are
    news and 80 where none is the only one of its kind, at the least.
    """
    news = np.random.default_rng(11).exponential(slope, (SAMPLES, n // sides))
    scores = np.repeat(news, sides, axis=1)
    found = [threshold_estimate(one, fpir) for one in scores]
    realised = float(np.mean([math.exp(-max(one.score, 0.0) / slope) for one in found]))
    truth = slope * math.log(1 / fpir)
    assert np.mean([one.low <= truth <= one.high for one in found]) >= (0.93 if sides == 1 else 0.8)
    if fpir * n >= EVIDENCE:
        assert abs(realised - fpir) <= fpir / 3
    if slope == 1.0 and sides == 1:
        assert realised <= 1.01 * fpir


@pytest.mark.parametrize(("n", "known", "slope"), [(100_000, 2.0, 0.5), (20, 2.0, 1.86)])
def test_many_searches_tell_the_slope_and_few_hardly_move_it(n: int, known: float, slope: float) -> None:
    """A tail of half a nat, thought to be of two: 15,000 excesses say so, three among thirty do not."""
    scores = np.random.default_rng(3).exponential(0.5, n)
    near, far = (threshold_estimate(scores, f, prior_slope=known) for f in (0.02, 0.01))
    assert (far.low + far.high - near.low - near.high) / 2 == pytest.approx(slope * math.log(2), rel=0.05)


def test_the_slope_of_a_calibration_set_is_drawn_to_one_nat() -> None:
    """Thirty excesses of half a nat are worth as much as what was known before."""
    rng = np.random.default_rng(3)
    assert tail_slope([rng.exponential(0.5, 200)]) == pytest.approx(0.75, rel=0.1)
    assert tail_slope(rng.exponential(0.5, (4, 50))) == pytest.approx(0.75, rel=0.1)
    assert tail_slope([rng.exponential(0.5, 100_000)]) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("target", [0.01, 0.15, 0.5])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_scores_that_all_tie_stay_under_their_threshold(n: int, target: float) -> None:
    """Twins by the hundred: what every stranger reaches is no threshold."""
    assert threshold_estimate(np.full(n, 1.5), target).score > 1.5


@pytest.mark.parametrize("n", [20, 57, 300])
def test_a_rarer_target_never_has_a_lower_threshold(n: int) -> None:
    """From the quantiles into the tail, without a step down between them."""
    scores = np.random.default_rng(5).gumbel(size=n)
    found = [threshold_estimate(scores, f).score for f in np.geomspace(0.9, 0.0001, 500)]
    assert found == sorted(found)
