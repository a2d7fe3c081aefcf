"""The measures of open-set identification against brute force, and against tables worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.evaluation import (
    CalibrationBin,
    Doubles,
    Searches,
    balanced,
    best_in,
    calibration_curve,
    calibration_error,
    central,
    cmc,
    det_curve,
    fnir_at,
    fnir_at_fpir,
    fpir_at,
    histogram_edges,
    rank1,
    score_histogram,
    threshold_for,
    with_interval,
)

NOBODY = -np.inf

# identity, mated, rank of the mate, score of rank 1
TABLE = [
    ("ann", True, 1, 9.0),
    ("ann", True, 1, 4.0),
    ("ben", True, 2, 6.0),
    ("cat", True, 0, NOBODY),
    ("dan", True, 3, 1.0),
    ("x1", False, 0, 7.0),
    ("x2", False, 0, 5.0),
    ("x3", False, 0, 3.0),
    ("x4", False, 0, NOBODY),
]


def searches(rows: list[tuple[str, bool, int, float]]) -> Searches:
    """The table as arrays."""
    names, mated, ranks, scores = zip(*rows, strict=True)
    return Searches(
        identities=np.array(names),
        mated=np.array(mated, dtype=bool),
        mate_rank=np.array(ranks, dtype=np.int64),
        score=np.array(scores, dtype=np.float64),
        probability=np.full(len(rows), 0.5),
    )


BY_HAND = searches(TABLE)
ONCE = np.ones(len(TABLE))


@st.composite
def drawn(draw: st.DrawFn) -> Searches:
    """At least one search of each kind; scores that tie, and searches that find nobody."""
    score = st.sampled_from([NOBODY, -1.0, 0.0, 0.5, 0.5, 2.0, 3.0])
    mated = draw(
        st.lists(st.tuples(st.sampled_from("ab"), st.just(True), st.integers(0, 4), score), min_size=1)
    )
    others = draw(st.lists(st.tuples(st.sampled_from("xyz"), st.just(False), st.just(0), score), min_size=1))
    rows = [(name, kind, rank if np.isfinite(s) else 0, s) for name, kind, rank, s in [*mated, *others]]
    return searches(rows)


def test_counts_by_hand() -> None:
    """Five mated searches and four others."""
    assert (BY_HAND.mated_count, BY_HAND.non_mated_count) == (5, 4)
    assert BY_HAND.right.tolist() == [True, True, *[False] * 7]


def test_the_cmc_by_hand() -> None:
    """Two of five at rank 1, one more at 2 and at 3; who is not returned never comes."""
    assert cmc(BY_HAND, 4).tolist() == pytest.approx([0.4, 0.6, 0.8, 0.8])
    assert rank1(BY_HAND, ONCE) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("threshold", "fnir", "fpir"),
    [
        (-100.0, 0.6, 0.75),
        (3.0, 0.6, 0.75),
        (3.1, 0.6, 0.5),
        (4.0, 0.6, 0.5),
        (4.1, 0.8, 0.5),
        (7.0, 0.8, 0.25),
        (8.0, 0.8, 0.0),
        (9.0, 0.8, 0.0),
        (9.1, 1.0, 0.0),
    ],
)
def test_error_rates_by_hand(threshold: float, fnir: float, fpir: float) -> None:
    """A score on the threshold is over it."""
    assert fnir_at(BY_HAND, threshold, ONCE) == pytest.approx(fnir)
    assert fpir_at(BY_HAND, threshold, ONCE) == pytest.approx(fpir)


@pytest.mark.parametrize(
    ("fpir", "over", "fnir"), [(0.0, 7.0, 0.8), (0.24, 7.0, 0.8), (0.25, 5.0, 0.8), (0.5, 3.0, 0.6)]
)
def test_the_threshold_of_a_target_by_hand(fpir: float, over: float, fnir: float) -> None:
    """Just over the best stranger that may not come in."""
    assert threshold_for(BY_HAND, fpir, ONCE) == np.nextafter(over, np.inf)
    assert fnir_at_fpir(BY_HAND, fpir, ONCE) == pytest.approx(fnir)


@given(found=drawn(), rank=st.integers(1, 5))
def test_the_cmc_is_the_brute_force(found: Searches, rank: int) -> None:
    """Counted search by search."""
    mates = [int(r) for r, mated in zip(found.mate_rank, found.mated, strict=True) if mated]
    by_hand = [sum(1 <= mate <= r for mate in mates) / len(mates) for r in range(1, rank + 1)]
    assert cmc(found, rank).tolist() == pytest.approx(by_hand)


@given(found=drawn())
def test_every_point_of_the_det_is_the_brute_force(found: Searches) -> None:
    """And the curve is monotone, from everybody returned to nobody."""
    curve = det_curve(found)
    once = np.ones(len(found.mated))
    for threshold, fpir, fnir in zip(curve.threshold, curve.fpir, curve.fnir, strict=True):
        assert fpir == pytest.approx(fpir_at(found, threshold, once))
        assert fnir == pytest.approx(fnir_at(found, threshold, once))
    assert (np.diff(curve.fpir) <= 0).all()
    assert (np.diff(curve.fnir) >= 0).all()
    assert (curve.fpir[-1], curve.fnir[-1]) == (0.0, 1.0)


@given(found=drawn(), fpir=st.floats(0, 0.99), weights=st.data())
def test_the_threshold_is_the_lowest_that_keeps_the_target(
    found: Searches, fpir: float, weights: st.DataObject
) -> None:
    """It keeps it, and the next lower score of a stranger would not; weights are repetitions."""
    counts = np.array(
        weights.draw(st.lists(st.integers(1, 3), min_size=len(found.mated), max_size=len(found.mated)))
    )
    repeated = Searches(
        **{name: np.repeat(getattr(found, name), counts) for name in Searches.__dataclass_fields__}
    )
    threshold = threshold_for(found, fpir, counts.astype(np.float64))
    once = np.ones(len(repeated.mated))
    assert fpir_at(repeated, threshold, once) <= fpir + 1e-12
    lower = repeated.score[~repeated.mated & (repeated.score < threshold)]
    if len(lower) and np.isfinite(lower.max()):
        assert fpir_at(repeated, float(lower.max()), once) > fpir - 1e-12
    assert fnir_at(found, threshold, counts.astype(np.float64)) == pytest.approx(
        fnir_at(repeated, threshold, once)
    )


def test_an_interval_draws_identities_and_not_searches() -> None:
    """Ten photos of one person are one person's luck: the interval is as wide as that of two people."""
    identities = np.repeat(["ann", "ben"], 10)
    right = np.repeat([1.0, 0.0], 10)

    def share(weights: Doubles) -> float:
        return float(np.average(right, weights=weights))

    found = with_interval(share, identities, n=20, seed=1)
    assert (found.value, found.low, found.high, found.n) == (0.5, 0.0, 1.0, 20)


def test_an_interval_has_its_coverage() -> None:
    """The true rate lies in 95 % of the intervals, within what 200 trials can show (binomial, 4 σ)."""
    rng = np.random.default_rng(20)
    held = 0
    for trial in range(200):
        right = rng.random(150) < 0.8
        found = with_interval(
            lambda w, right=right: float(np.average(right, weights=w)),  # type: ignore[misc]
            np.arange(150).astype(str),
            n=150,
            seed=trial,
            resamples=200,
        )
        held += found.low <= 0.8 <= found.high
    assert held >= 200 * 0.95 - 4 * np.sqrt(200 * 0.95 * 0.05)


def test_the_same_seed_gives_the_same_interval() -> None:
    """Two runs of one evaluation are one evaluation."""
    made = [
        with_interval(lambda w: rank1(BY_HAND, w), BY_HAND.identities, n=5, seed=3, resamples=50)
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert made[0].low <= made[0].value <= made[0].high


def test_repetitions_are_told_by_their_middle() -> None:
    """Mean, and the central 95 % of them."""
    found = central(np.arange(101, dtype=np.float64), n=7)
    assert (found.value, found.low, found.high, found.n) == (50.0, 2.5, 97.5, 7)


def test_the_calibration_curve_by_hand() -> None:
    """Four searches in two of five parts; a probability of one belongs to the last."""
    right = np.array([False, True, True, True])
    curve = calibration_curve(np.array([0.05, 0.15, 0.9, 1.0]), right, np.ones(4), bins=5)
    assert curve == (
        CalibrationBin(mean_probability=pytest.approx(0.1), share_right=0.5, weight=0.5, n=2),
        CalibrationBin(mean_probability=pytest.approx(0.95), share_right=1.0, weight=0.5, n=2),
    )
    assert calibration_error(curve) == pytest.approx(0.5 * 0.4 + 0.5 * 0.05)


def test_a_search_that_counts_twice_is_two_searches() -> None:
    """In the calibration's curve and error; one that counts for nothing is not there."""
    said, right = np.array([0.2, 0.4, 0.9]), np.array([False, True, True])
    twice = calibration_curve(said, right, np.array([2.0, 1.0, 0.0]), bins=2)
    copied = calibration_curve(np.array([0.2, 0.2, 0.4]), right[[0, 0, 1]], np.ones(3), bins=2)
    assert [(b.mean_probability, b.share_right, b.weight) for b in twice] == [
        (pytest.approx(b.mean_probability), pytest.approx(b.share_right), b.weight) for b in copied
    ]


def test_balanced_searches_count_alike_by_kind() -> None:
    """Mated and non-mated have the same weight in sum; where there is one kind, each search counts once."""
    assert balanced(np.array([True, True, True, False])).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert balanced(np.array([True, True])).tolist() == [1.0, 1.0]


def test_what_comes_true_as_often_as_it_is_said_has_no_calibration_error() -> None:
    """Within the noise of 100 000 coins."""
    rng = np.random.default_rng(5)
    said = rng.random(100_000)
    right = rng.random(100_000) < said
    assert calibration_error(calibration_curve(said, right, np.ones(100_000))) < 0.01
    assert calibration_error(()) == 0.0


def test_every_search_that_found_somebody_is_in_one_place_of_the_histogram() -> None:
    """Counts by kind; the two that found nobody are in none."""
    edges = histogram_edges(BY_HAND, bins=4)
    right, wrong, others = score_histogram(BY_HAND, edges)
    assert edges.tolist() == [1.0, 3.0, 5.0, 7.0, 9.0]
    assert (right.tolist(), wrong.tolist(), others.tolist()) == ([0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 1, 1])


def test_a_histogram_of_nothing_has_edges() -> None:
    """Nobody was ever found, or all alike."""
    nobody = searches([("ann", True, 0, NOBODY)])
    assert histogram_edges(nobody, bins=2).tolist() == [0.0, 0.5, 1.0]
    alike = searches([("ann", True, 1, 3.0)])
    assert histogram_edges(alike, bins=1).tolist() == [3.0, 4.0]


def test_a_sub_gallery_is_the_gallery_less_the_others() -> None:
    """Best score and whose it is, by column of the whole."""
    scores = np.array([[5.0, 1.0, 3.0], [NOBODY, 0.0, 2.0]])
    best, columns = best_in(scores, np.array([1, 2]))
    assert (best.tolist(), columns.tolist()) == ([3.0, 2.0], [2, 2])
    assert best_in(scores, np.array([0]))[0].tolist() == [5.0, NOBODY]
