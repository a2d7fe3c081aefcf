"""Photos and records made worse on purpose: seeded, pure, in named strengths with units.

Every degradation keeps the image's shape, and the same image, strength and seed give the same pixels. Sizes
are shares of the image's short side, so that a strength means the same for a photo of any resolution.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from index.records import Modality
from stream.features.cv import cv2
from stream.features.extractor import Unusable
from stream.features.guards import UNDECLARED, ImageLimits, inspect_image
from stream.features.image import decode
from stream.features.networks import BgrImage

Feature = TypeVar("Feature")

VERSION = 1
"""Counts up whenever the pixels of an existing kind, strength and seed move."""


class Degradation(StrEnum):
    """What can be wrong with a photo."""

    BLURRED = "blurred"
    """Out of focus: a Gaussian."""
    SMALL = "small"
    """Taken from afar: few pixels, enlarged to the old size."""
    COVERED = "covered"
    """An opaque bar over one side of the face: mask, sunglasses, a hand."""
    JPEG = "jpeg"
    """Strongly compressed."""
    DARK = "dark"
    """Underexposed: little light, and the sensor's noise."""
    MIX = "mix"
    """One of the others, drawn by the seed."""


class Strength(StrEnum):
    """How wrong it is."""

    LIGHT = "light"
    MEDIUM = "medium"
    STRONG = "strong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where the face is, in pixels of the image."""

    left: float
    top: float
    width: float
    height: float


def _by_strength(light: float, medium: float, strong: float) -> Mapping[Strength, float]:
    return MappingProxyType({Strength.LIGHT: light, Strength.MEDIUM: medium, Strength.STRONG: strong})


BLUR_SIGMA_SHARE = _by_strength(0.008, 0.014, 0.022)
"""σ of the Gaussian over the short side: 2, 3.5 and 5.5 pixels of 250."""
SMALL_SIDE_SHARE = _by_strength(0.32, 0.20, 0.14)
"""Short side that is left over the old one: 80, 50 and 35 pixels of 250."""
COVERED_SHARE = _by_strength(0.25, 0.35, 0.45)
"""Share of the face's box under the bar."""
JPEG_QUALITY = _by_strength(20, 10, 5)
"""libjpeg's quality, 1 to 100."""
DARK_GAIN = _by_strength(0.25, 0.12, 0.06)
"""Share of the light that is left."""
DARK_NOISE = _by_strength(2.0, 3.0, 4.0)
"""Standard deviation of the noise, in grey levels of 255."""

_SIDES = ("top", "bottom", "left", "right")
_ELEMENTARY = tuple(kind for kind in Degradation if kind is not Degradation.MIX)


def degrade(
    image: BgrImage, kind: Degradation, *, strength: Strength, seed: int, face: Box | None = None
) -> BgrImage:
    """The image made worse.

    Args:
        image: (height, width, 3) uint8; not changed.
        kind: What is wrong with it.
        strength: How much.
        seed: Of what is drawn: the noise, the side that is covered, the kind of a mix.
        face: Which part `COVERED` covers a share of; None: the middle half of the image.

    Returns:
        An image of the same shape.
    """
    rng = np.random.default_rng(seed)
    if kind is Degradation.MIX:
        kind = _ELEMENTARY[int(rng.integers(len(_ELEMENTARY)))]
    if kind is Degradation.COVERED:
        return _covered(image, COVERED_SHARE[strength], rng, face or _middle(image))
    return _WHOLE_IMAGE[kind](image, strength, rng)


def degrade_encoded(
    data: bytes,
    kind: Degradation,
    *,
    strength: Strength,
    seed: int,
    find_face: Callable[[BgrImage], Box | None] | None = None,
) -> bytes:
    """The file of an image made worse, as PNG, which adds nothing of its own.

    Args:
        data: JPEG, PNG or WebP.
        kind: What is wrong with it.
        strength: How much.
        seed: See `degrade`.
        find_face: Asked for the face's box where it matters; without it the middle half counts as the face.

    Returns:
        The new file; the old one where it cannot be decoded, for it cannot be made any worse.
    """
    header = inspect_image(UNDECLARED, data, ImageLimits())
    image = header if isinstance(header, Unusable) else decode(data, header)
    if isinstance(image, Unusable):
        return data
    covers = kind in {Degradation.COVERED, Degradation.MIX}
    face = find_face(image) if find_face is not None and covers else None
    worse = degrade(image, kind, strength=strength, seed=seed, face=face)
    _, png = cv2.imencode(".png", worse, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return bytes(png)


def drop_modalities(
    records: Sequence[Mapping[Modality, Feature]], *, share: float, seed: int
) -> list[Mapping[Modality, Feature]]:
    """The records, of which a share has lost one modality.

    A record that has one modality keeps it: a record of nothing is no record. Which records lose one, and
    which one they lose, is drawn by the seed.

    Args:
        records: What is known by modality, one a sample.
        share: In [0, 1], of those records that have more than one modality; rounded to whole records.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    several = [at for at, record in enumerate(records) if len(record) > 1]
    chosen = rng.permutation(len(several))[: round(share * len(several))]
    dropped = {several[i]: sorted(records[several[i]]) for i in sorted(chosen)}
    lost = {at: names[int(rng.integers(len(names)))] for at, names in dropped.items()}
    return [{m: f for m, f in record.items() if m != lost.get(at)} for at, record in enumerate(records)]


def _blurred(image: BgrImage, strength: Strength, _rng: np.random.Generator) -> BgrImage:
    sigma = BLUR_SIGMA_SHARE[strength] * min(image.shape[:2])
    worse: BgrImage = cv2.GaussianBlur(image, (0, 0), sigma)
    return worse


def _small(image: BgrImage, strength: Strength, _rng: np.random.Generator) -> BgrImage:
    height, width = image.shape[:2]
    share = SMALL_SIDE_SHARE[strength]
    size = max(1, round(width * share)), max(1, round(height * share))
    tiny = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    worse: BgrImage = cv2.resize(tiny, (width, height), interpolation=cv2.INTER_LINEAR)
    return worse


def _jpeg(image: BgrImage, strength: Strength, _rng: np.random.Generator) -> BgrImage:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(JPEG_QUALITY[strength])])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def _dark(image: BgrImage, strength: Strength, rng: np.random.Generator) -> BgrImage:
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(DARK_NOISE[strength])
    dim = image.astype(np.float32) * np.float32(DARK_GAIN[strength]) + noise
    worse: BgrImage = np.clip(np.rint(dim), 0, 255).astype(np.uint8)
    return worse


def _covered(image: BgrImage, share: float, rng: np.random.Generator, face: Box) -> BgrImage:
    side = _SIDES[int(rng.integers(len(_SIDES)))]
    colour = rng.integers(0, 256, size=3)
    left, top, right, bottom = face.left, face.top, face.left + face.width, face.top + face.height
    if side == "top":
        bottom = top + share * face.height
    elif side == "bottom":
        top = bottom - share * face.height
    elif side == "left":
        right = left + share * face.width
    else:
        left = right - share * face.width
    height, width = image.shape[:2]
    rows = slice(round(np.clip(top, 0, height)), round(np.clip(bottom, 0, height)))
    columns = slice(round(np.clip(left, 0, width)), round(np.clip(right, 0, width)))
    worse = image.copy()
    worse[rows, columns] = colour
    return worse


def _middle(image: BgrImage) -> Box:
    height, width = image.shape[:2]
    return Box(left=width / 4, top=height / 4, width=width / 2, height=height / 2)


_WHOLE_IMAGE: Mapping[Degradation, Callable[[BgrImage, Strength, np.random.Generator], BgrImage]] = (
    MappingProxyType(
        {
            Degradation.BLURRED: _blurred,
            Degradation.SMALL: _small,
            Degradation.JPEG: _jpeg,
            Degradation.DARK: _dark,
        }
    )
)
