"""What exact search rests on: scores rise with similarities, cosines are the same in every batch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index.fusion import bound, score, spread
from index.records import IMAGE, TEXT, Mask, Modality
from index.vectors import similarity, similarity_error, unit
from tests.factories import AUDIO, policy

THREE = policy(IMAGE, TEXT, AUDIO)
ROUNDING = 1e-9

masks = st.sampled_from(sorted(THREE.masks, key=sorted))
cosines = st.fixed_dictionaries({m: st.floats(-1, 1) for m in THREE.modalities})


@given(mask=masks, low=cosines, high=cosines)
def test_a_greater_similarity_never_lowers_the_score(
    mask: Mask, low: dict[Modality, float], high: dict[Modality, float]
) -> None:
    """The law that lets a search stop early: the score at the ceilings bounds every score under them."""
    ceiling = {m: max(low[m], high[m]) for m in mask}
    assert float(score(THREE, mask, {m: np.asarray(low[m]) for m in mask})) <= bound(THREE, mask, ceiling)


@given(mask=masks, near=cosines, moved=cosines)
def test_the_spread_bounds_what_an_error_can_do(
    mask: Mask, near: dict[Modality, float], moved: dict[Modality, float]
) -> None:
    """Whatever the errors, the score moves by no more than slopes times errors."""
    error = {m: abs(near[m] - moved[m]) for m in mask}
    change = score(THREE, mask, {m: np.asarray(near[m]) for m in mask}) - score(
        THREE, mask, {m: np.asarray(moved[m]) for m in mask}
    )
    assert abs(float(change)) <= spread(THREE, mask, error) + ROUNDING


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 9), dimension=st.integers(1, 200))
def test_similarity_does_not_depend_on_its_batch(seed: int, count: int, dimension: int) -> None:
    """One row or many, contiguous or not: the same bits."""
    rng = np.random.default_rng(seed)
    rows = unit(rng.standard_normal((count, dimension)) + 1e-3)
    probe = unit(rng.standard_normal(dimension) + 1e-3)
    together = similarity(rows, probe)
    assert together.tolist() == [similarity(row[np.newaxis], probe)[0] for row in rows]
    assert together.tolist() == similarity(np.asfortranarray(rows), probe).tolist()
    assert together.tolist() == similarity(rows, np.tile(probe, (count, 1))).tolist()


@given(seed=st.integers(0, 2**32 - 1), dimension=st.sampled_from([1, 2, 128, 512, 4096]))
def test_a_float32_product_is_within_the_stated_error(seed: int, dimension: int) -> None:
    """The bound that exact search rests on."""
    rng = np.random.default_rng(seed)
    rows, probe = (
        unit(rng.standard_normal((8, dimension)) + 1e-3),
        unit(rng.standard_normal(dimension) + 1e-3),
    )
    assert np.max(np.abs(rows @ probe - similarity(rows, probe))) <= similarity_error(dimension)
