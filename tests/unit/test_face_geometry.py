"""Which face is meant, and how it is brought into the encoder's frame."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.features.cv import cv2
from stream.features.faces import (
    ARCFACE_POINTS,
    CROP_PX,
    Face,
    align,
    by_prominence,
    has_rival,
    prominence,
    similarity_transform,
)

CANVAS = np.zeros((400, 600, 3), dtype=np.uint8)
PIXEL = 1e-2
"""Tolerance of a point, in pixels."""


def face(left: float, top: float, side: float) -> Face:
    return Face(left=left, top=top, width=side, height=side, score=0.9)


@given(
    scale=st.floats(0.1, 20),
    angle=st.floats(-math.pi, math.pi),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_a_similarity_is_recovered_whatever_it_is(
    scale: float, angle: float, shift: tuple[float, float]
) -> None:
    """Points that were turned, scaled and shifted come back to where they were."""
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved = (ARCFACE_POINTS @ turn.T + shift).astype(np.float32)
    back = similarity_transform(moved, ARCFACE_POINTS)
    found = moved @ back[:, :2].T + back[:, 2]
    np.testing.assert_allclose(found, ARCFACE_POINTS, atol=PIXEL)


def test_noisy_points_are_fitted_as_least_squares_fits_them() -> None:
    """The closed form equals numpy's general solver on the same four unknowns."""
    rng = np.random.default_rng(20260)
    points = (ARCFACE_POINTS * 2 + rng.normal(0, 3, (5, 2))).astype(np.float32)
    x, y = points.T
    rows = np.concatenate(
        [
            np.stack([x, -y, np.ones(5), np.zeros(5)], axis=1),
            np.stack([y, x, np.zeros(5), np.ones(5)], axis=1),
        ]
    )
    (a, b, tx, ty), *_ = np.linalg.lstsq(rows, np.concatenate(ARCFACE_POINTS.T), rcond=None)
    np.testing.assert_allclose(
        similarity_transform(points, ARCFACE_POINTS), [[a, -b, tx], [b, a, ty]], atol=PIXEL
    )


def test_points_that_coincide_give_a_finite_transform() -> None:
    """A degenerate face is not a crash: the crop is what lies at one point."""
    transform = similarity_transform(np.full((5, 2), 7, dtype=np.float32), ARCFACE_POINTS)
    assert np.isfinite(transform).all()
    assert align(CANVAS, np.full((5, 2), 7, dtype=np.float32)).shape == (CROP_PX, CROP_PX, 3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, 8.0])
def test_the_points_lie_in_the_crop_where_the_encoder_expects_them(scale: float) -> None:
    """A bright spot on each point is found at its place in the crop, also of a face eight times as large."""
    offset = np.array([40, 25], dtype=np.float32)
    points = ARCFACE_POINTS * np.float32(scale) + offset
    image = np.zeros((int(140 * scale) + 60, int(140 * scale) + 60, 3), dtype=np.uint8)
    for x, y in points:
        cv2.circle(image, (round(float(x)), round(float(y))), max(2, round(3 * scale)), (255, 255, 255), -1)
    crop = align(image, points)
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    assert all(crop[round(float(y)), round(float(x)), 0] > 127 for x, y in ARCFACE_POINTS)


def test_noise_of_a_large_face_is_averaged_out() -> None:
    """A grey face of 900 pixels with strong noise gives a crop that is nearly plain."""
    noisy = np.random.default_rng(20260).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    crop = align(noisy, ARCFACE_POINTS * np.float32(8.5))
    assert crop.std() < 0.25 * noisy.std()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (face(200, 100, 200), face(200, 100, 150)),  # the larger of two in one place
        (face(250, 150, 100), face(0, 0, 100)),  # the more central of two of one size
        (face(250, 150, 100), face(0, 0, 130)),  # central outweighs slightly larger
        (face(0, 0, 300), face(270, 170, 60)),  # much larger outweighs central
    ],
)
def test_the_largest_and_most_central_face_is_meant(first: Face, second: Face) -> None:
    """Size and place are weighed against one another; the order they were found in does not count."""
    assert by_prominence([second, first], CANVAS) == [first, second]
    assert by_prominence([first, second], CANVAS) == [first, second]


def test_prominence_halves_a_quarter_of_the_diagonal_off_the_centre() -> None:
    """The law in numbers."""
    quarter = math.hypot(600, 400) / 4
    centred, aside = face(250, 150, 100), face(250 + quarter, 150, 100)
    assert prominence(centred, CANVAS) == pytest.approx(100 * 100)
    assert prominence(aside, CANVAS) == pytest.approx(100 * 100 / 2)


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ([], False),
        ([face(250, 150, 100)], False),
        ([face(150, 150, 100), face(350, 150, 100)], True),
        ([face(250, 150, 100), face(250, 150, 60)], False),
    ],
)
def test_a_rival_is_at_least_half_as_prominent(faces: list[Face], expected: bool) -> None:
    """None, one, two alike, one clearly smaller."""
    assert has_rival(by_prominence(faces, CANVAS), CANVAS) is expected
