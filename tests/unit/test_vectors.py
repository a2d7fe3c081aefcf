"""Unit vectors, centring, the robust mean and the one published similarity."""

import numpy as np
import pytest

from index.errors import VectorError
from index.vectors import centre, check_unit_vector, robust_mean, similarity, unit

FLOAT32_ROUNDING = 1e-6


def test_unit_scales_every_row_to_norm_one() -> None:
    """Rows keep their direction; the type is float32."""
    rows = unit([[3, 4], [0, -2]])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, -1]], atol=FLOAT32_ROUNDING)


@pytest.mark.parametrize(
    ("bad", "message"),
    [([0.0, 0.0], "norm 0, under"), ([1.0, np.nan], "not finite"), ([np.inf, 0.0], "not finite")],
)
def test_what_has_no_direction_is_refused(bad: list[float], message: str) -> None:
    """Zero, NaN and infinity have no unit vector."""
    with pytest.raises(VectorError, match=message):
        unit(bad)


def test_centring_takes_away_what_everybody_shares() -> None:
    """Two embeddings alike only by the mean are orthogonal without it."""
    mean = np.array([0.5, 0, 0], dtype=np.float32)
    ann, bob = centre([0.5, np.sqrt(0.75), 0], mean), centre([0.5, 0, np.sqrt(0.75)], mean)
    assert abs(similarity(ann[np.newaxis], bob)[0]) < FLOAT32_ROUNDING


def test_centring_without_a_mean_is_unit() -> None:
    """A modality without a mean is left where it is."""
    np.testing.assert_array_equal(centre([3, 4], None), unit([3, 4]))


def test_one_wrong_photo_among_three_is_left_out_of_the_mean() -> None:
    """The mean of the two right ones, as if the third had never been."""
    right = unit([[1, 0.1, 0], [1, -0.1, 0]])
    mean = robust_mean(np.vstack([right, unit([[0, 0, 1]])]))
    np.testing.assert_allclose(mean, [1, 0, 0], atol=FLOAT32_ROUNDING)


def test_samples_that_cancel_out_are_stood_for_by_the_first() -> None:
    """Two opposite samples have no mean direction."""
    np.testing.assert_array_equal(robust_mean(unit([[1, 0], [-1, 0]])), [1, 0])


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.array([0.6, 0.8]), "float64 of shape"),
        (np.array([[1.0]], dtype=np.float32), r"shape \(1, 1\)"),
        (np.array([1.0, 0, 0], dtype=np.float32), "has 3 dimensions, the gallery's have 2"),
        (np.array([0.6, 0.6], dtype=np.float32), "has norm 0.848"),
        (np.array([np.nan, 1], dtype=np.float32), "has norm nan"),
        (np.array([], dtype=np.float32), "has 0 dimensions"),
    ],
)
def test_only_a_finite_float32_unit_vector_of_the_dimension_passes(vector: np.ndarray, message: str) -> None:
    """Everything else is named for what it is."""
    with pytest.raises(VectorError, match=message):
        check_unit_vector(vector, dimension=2)
