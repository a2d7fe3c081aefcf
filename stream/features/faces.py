"""Faces in an image: where they are, which one is meant, and how it is brought into the encoder's frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.features.cv import cv2
from stream.features.networks import BgrImage, FloatArray

CROP_PX = 112
"""Side of the aligned face that the encoders take."""

ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)
"""(5, 2): eyes, nose and mouth corners in the crop, the image's left first (Deng et al., ArcFace, 2019)."""

RIVAL_PROMINENCE = 0.5
"""A second face of this share of the first one's prominence makes it unclear whose photo it is."""


DARK_PEAK = 128
"""Grey levels: a photo whose brightest parts stay under it is dark."""
_PEAK_QUANTILE = 0.995
_NOISE_SIGMA_PX = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One detected face, in pixels of the image it was found in."""

    left: float
    top: float
    width: float
    height: float
    score: float
    """The detector's, in (0, 1]."""
    points: FloatArray | None = None
    """(5, 2) eyes, nose, mouth corners where the detector gives them."""


def prominence(face: Face, image: BgrImage) -> float:
    """How much a face is what its image shows: its area, halved a quarter of the diagonal off the centre."""
    height, width = image.shape[:2]
    off_centre = math.hypot(
        face.left + face.width / 2 - width / 2, face.top + face.height / 2 - height / 2
    ) / math.hypot(width, height)
    return face.width * face.height * math.exp2(-((off_centre / 0.25) ** 2))


def by_prominence(faces: Sequence[Face], image: BgrImage) -> list[Face]:
    """The faces, the one that is meant first; ties by position, so that the order is always the same."""
    return sorted(faces, key=lambda f: (-prominence(f, image), f.left, f.top))


def has_rival(ordered: Sequence[Face], image: BgrImage) -> bool:
    """Whether a second face is about as prominent as the first."""
    if len(ordered) < 2:
        return False
    first, second = (prominence(f, image) for f in ordered[:2])
    return second >= RIVAL_PROMINENCE * first


def similarity_transform(points: FloatArray, targets: FloatArray) -> FloatArray:
    """(2, 3): the rotation, scale and shift that bring `points` nearest to `targets` in least squares.

    As complex numbers both centred point sets fulfil t ≈ a·p, and a = Σ p̄·t / Σ |p|²: Umeyama (1991) in
    the plane, without mirroring. A robust fit (LMEDS) of five points costs twice as much and recognises no
    better.
    """
    p = points[:, 0].astype(np.float64) + 1j * points[:, 1]
    t = targets[:, 0].astype(np.float64) + 1j * targets[:, 1]
    p_mean, t_mean = p.mean(), t.mean()
    p, t = p - p_mean, t - t_mean
    energy = float(np.vdot(p, p).real)
    a = np.vdot(p, t) / energy if energy > 0 else 0j
    shift = t_mean - a * p_mean
    return np.array([[a.real, -a.imag, shift.real], [a.imag, a.real, shift.imag]], dtype=np.float32)


def align(image: BgrImage, points: FloatArray) -> BgrImage:
    """The (112, 112, 3) crop in which the five points lie where the encoders expect them.

    Bilinear sampling looks at four pixels however far apart it steps; a large face is averaged down first,
    so that its noise does not become structure.
    """
    transform = similarity_transform(points, ARCFACE_POINTS)
    scale = math.hypot(transform[0, 0], transform[1, 0])
    if 0 < scale < 0.5:
        height, width = image.shape[:2]
        size = max(1, round(width * scale * 2)), max(1, round(height * scale * 2))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        shrink = np.array([size[0] / width, size[1] / height], dtype=np.float32)
        transform = similarity_transform(points * shrink, ARCFACE_POINTS)
    crop: BgrImage = cv2.warpAffine(image, transform, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)
    return crop


def relit(image: BgrImage) -> BgrImage | None:
    """A dark photo without the sensor's noise and at full brightness; None where the photo is not dark.

    Light and noise are raised together, so the noise is smoothed first.
    """
    # Of averages: a hot pixel is no light, and a large photo costs no more.
    averages = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    peak = max(1.0, float(np.quantile(averages, _PEAK_QUANTILE)))
    if peak >= DARK_PEAK:
        return None
    smooth = cv2.GaussianBlur(image, (0, 0), _NOISE_SIGMA_PX)
    light: BgrImage = cv2.convertScaleAbs(smooth, alpha=255 / peak)
    return light
