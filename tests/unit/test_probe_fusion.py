"""Several samples of one modality in a window become one feature of the probe."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import IMAGE, TEXT, Feature, Modality
from index.vectors import unit
from stream.events import ProbeSample
from stream.recogniser import fuse_samples
from tests.factories import feature, modality_rows, policy
from tests.stream_factories import event

ROWS = modality_rows(IMAGE, TEXT)
POLICY = policy(rows=(replace(ROWS[0], quality_floor=2.0), ROWS[1]))
EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def fused(*features: Feature, modality: Modality = IMAGE) -> Feature:
    samples = [ProbeSample(event=event(f"e{n}", modality, n), feature=one) for n, one in enumerate(features)]
    return fuse_samples(samples, POLICY)[modality]


def test_one_sample_stays_as_it_is() -> None:
    """To the bit: a probe of one photo is that photo."""
    alone = feature(EAST, quality=5.0)
    assert fused(alone) is alone


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(2, 9)), min_size=2, max_size=6))
def test_the_mean_is_weighted_by_quality(shots: list[tuple[float, float]]) -> None:
    """unit(Σ q·x), the best of the qualities, and the same in any order but for rounding."""
    vectors = np.array([[np.cos(angle), np.sin(angle)] for angle, _ in shots])
    total = (vectors * [[quality] for _, quality in shots]).sum(axis=0)
    if np.linalg.norm(total) < 1e-3:
        return
    samples = [feature(v, quality=q) for v, (_, q) in zip(vectors, shots, strict=True)]
    for ordered in (samples, samples[::-1]):
        found = fused(*ordered)
        np.testing.assert_allclose(found.vector, unit(total), atol=1e-4)
        assert found.quality == max(quality for _, quality in shots)


def test_a_sample_of_unknown_quality_weighs_as_much_as_the_mean_of_the_known() -> None:
    """With 2 and 4 beside it, as much as 3."""
    found = fused(feature(EAST, quality=2.0), feature(EAST, quality=4.0), feature(NORTH))
    np.testing.assert_allclose(found.vector, unit([6.0, 3.0]), atol=1e-6)


def test_a_sample_under_the_floor_is_no_evidence_beside_others() -> None:
    """A blurred frame moves nothing, however many there are."""
    good, blurred = feature(EAST, quality=5.0), feature(NORTH, quality=1.9)
    assert fused(blurred, good, blurred) is good
    np.testing.assert_allclose(
        fused(good, feature(NORTH, quality=2.0)).vector, unit([5.0, 2.0]), atol=1e-6, err_msg="at the floor"
    )


def test_samples_that_are_all_under_the_floor_stay_under_it() -> None:
    """Their mean is passed over by the search, and the decision can say by how much it was short."""
    found = fused(feature(EAST, quality=1.0), feature(NORTH, quality=1.5))
    assert found.quality == 1.5
    assert POLICY.usable({IMAGE: found}) == {}


@pytest.mark.parametrize("quality", [None, 0.1])
def test_a_modality_without_a_floor_takes_all(quality: float | None) -> None:
    """Texts have no quality."""
    samples = [feature(v, TEXT, quality) for v in (EAST, NORTH)]
    np.testing.assert_allclose(fused(*samples, modality=TEXT).vector, unit([1.0, 1.0]), atol=1e-6)
