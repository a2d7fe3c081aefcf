"""The brushes: smooth functions over the pixel grid, and soft-edged paint."""

from typing import Any

import numpy as np
import numpy.typing as npt

from stream.features.cv import cv2

Field = npt.NDArray[np.floating[Any]]
"""(S, S): one number a pixel."""
Colours = npt.NDArray[np.floating[Any]]
"""(S, S, 3): one RGB colour a pixel, 0..1."""
Rgb = npt.NDArray[np.floating[Any]]
"""(3,): one RGB colour, 0..1."""

FIELD_SPAN = 4.0
"""Textures cover the head coordinates from −2 to 2 and are mirrored beyond."""


def rgb(red: int, green: int, blue: int) -> Rgb:
    """A colour given as three bytes."""
    return np.array([red, green, blue], np.float32) / 255


def tint(*factors: float) -> Rgb:
    """Factors for red, green and blue, as a colour to multiply with."""
    return np.array(factors, np.float32)


def smoothstep(low: float, high: float, x: Field) -> Field:
    """0 below `low`, 1 above `high`, 3t² − 2t³ between; falls instead of rising where `low` > `high`."""
    t: Field = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(x: Field, width: float) -> Field:
    """A Gaussian hill of height 1 and standard deviation `width` where `x` is 0."""
    scaled = x / width
    return np.exp(-0.5 * scaled * scaled)


def knots(rng: np.random.Generator, columns: int, rows: int) -> Field:
    """The support points of a texture: white noise of unit variance."""
    return rng.standard_normal((rows, columns)).astype(np.float32)


def texture(support: Field, u: Field, v: Field) -> Field:
    """Smooth noise that sticks to the coordinates (u, v): it turns and stretches with them."""
    rows, columns = support.shape
    column = ((u + 2) * ((columns - 1) / FIELD_SPAN)).astype(np.float32)
    row = ((v + 2) * ((rows - 1) / FIELD_SPAN)).astype(np.float32)
    return cv2.remap(support, column, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[no-any-return]


def paint(image: Colours, colour: Colours | Rgb | tuple[float, float, float], mask: Field) -> Colours:
    """The image with a colour laid over it where the mask is 1, and in part where it is between."""
    return image + (np.asarray(colour, np.float32) - image) * mask[..., None].astype(np.float32)
