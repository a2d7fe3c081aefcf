"""Face detectors and landmarkers: networks with the arithmetic that turns their outputs into faces."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from stream.features.cv import cv2
from stream.features.faces import Face
from stream.features.networks import BgrImage, FloatArray, Network, to_blob


class Detector(Protocol):
    """Finds the faces of an image. Safe to call from several threads."""

    def __call__(self, image: BgrImage) -> list[Face]:
        """All faces over the detector's own score, in pixels of this image, best score first."""
        ...


class Landmarker(Protocol):
    """Finds the five points of one face. Safe to call from several threads."""

    def __call__(self, image: BgrImage, face: Face) -> FloatArray | None:
        """(5, 2) in pixels of this image: eyes, nose, mouth corners; None where the box holds no pixels."""
        ...


def detector_points(image: BgrImage, face: Face) -> FloatArray | None:  # noqa: ARG001 - a Landmarker
    """The landmarker of a detector that gives the points itself."""
    return face.points


def _suppress(boxes: FloatArray, scores: FloatArray, *, overlap: float) -> list[int]:
    """Indices of the boxes (left, top, width, height) that stay, best score first."""
    if not len(boxes):
        return []
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, overlap)
    return [int(i) for i in np.asarray(kept).ravel()]


SLIM_OUTPUTS: Mapping[str, tuple[int | str, ...]] = MappingProxyType({"461": (1, "P", 2), "462": (1, "P", 4)})
"""Logits of "no face" and "face", and boxes relative to the priors.

What follows them in the graph fixes the input's size, and spends a tenth of the time on boxes that are thrown
away."""
_SLIM_SIDES_PX = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}
"""Sides of the priors, by stride."""
_SLIM_CENTRE_VARIANCE, _SLIM_SIZE_VARIANCE = 0.1, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SlimDetector:
    """An SSD without points ("Ultra-Light-Fast", 1 MB), trained at 320 × 240 pixels.

    The image is fitted in with its proportions kept. Stretched to 4:3 a square loses nothing, but a phone's
    9:16 loses one identification in a hundred.
    """

    network: Network
    """Outputs `SLIM_OUTPUTS`; takes any input size."""
    min_score: float = 0.65
    overlap: float = 0.4
    sides_px: tuple[int, ...] = (320, 640, 1280)
    """Of the 4:3 canvas, see `_coarse_to_fine`."""

    def __call__(self, image: BgrImage) -> list[Face]:
        """See `Detector`."""
        return _coarse_to_fine(image, self.sides_px, self._search)

    def _search(self, image: BgrImage, width_px: int) -> list[Face]:
        canvas, scale = _fit(image, width_px=width_px, height_px=width_px * 3 // 4)
        logits, offsets = self.network(to_blob(canvas, mean=(127.0,) * 3, std=(128.0,) * 3))
        margin = logits[0, :, 1] - logits[0, :, 0]
        (at,) = np.nonzero(margin > math.log(self.min_score / (1 - self.min_score)))
        scores = (1 / (1 + np.exp(-margin[at]))).astype(np.float32)
        priors, moved = _slim_priors(width_px, width_px * 3 // 4)[at], offsets[0, at]
        centres = priors[:, :2] + moved[:, :2] * _SLIM_CENTRE_VARIANCE * priors[:, 2:]
        sizes = priors[:, 2:] * np.exp(moved[:, 2:] * _SLIM_SIZE_VARIANCE)
        rects = (np.concatenate([centres - sizes / 2, sizes], axis=1) / scale).astype(np.float32)
        return [
            Face(left=x, top=y, width=w, height=h, score=float(scores[i]))
            for i in _suppress(rects, scores, overlap=self.overlap)
            for x, y, w, h in [map(float, rects[i])]
        ]


def _coarse_to_fine(
    image: BgrImage, sides_px: Sequence[int], search: Callable[[BgrImage, int], list[Face]]
) -> list[Face]:
    """The faces at the first of these sizes that shows any; sizes beyond the image's own are not tried.

    Large photos of small faces or of nobody cost every search; all others cost the first alone.
    """
    long_side = max(image.shape[:2])
    for n, side in enumerate(sides_px):
        faces = search(image, side)
        if faces or n + 1 == len(sides_px) or long_side <= side:
            return faces
    return []


@functools.lru_cache(maxsize=8)
def _slim_priors(width_px: int, height_px: int) -> FloatArray:
    """(P, 4) centre x, y, width, height in pixels, in the order of the network's rows.

    The cells of a stride share the canvas evenly, even where the stride does not divide it; no prior is
    larger than the canvas.
    """
    levels = []
    for stride, sides in _SLIM_SIDES_PX.items():
        columns, rows = -(-width_px // stride), -(-height_px // stride)
        y, x, side = np.meshgrid(np.arange(rows), np.arange(columns), sides, indexing="ij")
        boxes = [
            (x + 0.5) * (width_px / columns),
            (y + 0.5) * (height_px / rows),
            np.minimum(side, width_px),
            np.minimum(side, height_px),
        ]
        levels.append(np.stack(boxes, axis=-1).reshape(-1, 4))
    priors = np.concatenate(levels).astype(np.float32)
    priors.flags.writeable = False
    return priors


def _fit(image: BgrImage, *, width_px: int, height_px: int) -> tuple[BgrImage, float]:
    """The image scaled into the top left of a black canvas, and the scale."""
    height, width = image.shape[:2]
    scale = min(width_px / width, height_px / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    method = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR  # bilinear would skip pixels
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=method)
    return canvas, scale


YUNET_STRIDES = (8, 16, 32)
YUNET_OUTPUTS = tuple(f"{what}_{n}" for what in ("cls", "obj", "bbox", "kps") for n in YUNET_STRIDES)


@dataclass(frozen=True, slots=True, kw_only=True)
class YuNetDetector:
    """YuNet (Wu, Peng and Yu, 2023): anchor-free, three strides, five points a face."""

    network: Network
    """Outputs `YUNET_OUTPUTS`; takes any input whose sides 32 divides."""
    min_score: float = 0.6
    overlap: float = 0.3
    sides_px: tuple[int, ...] = (320, 640, 1280)
    """See `_coarse_to_fine`; images smaller than the first are searched as they are."""

    def __call__(self, image: BgrImage) -> list[Face]:
        """See `Detector`."""
        return _coarse_to_fine(image, self.sides_px, self._search)

    def _search(self, image: BgrImage, long_side_px: int) -> list[Face]:
        height, width = image.shape[:2]
        scale = min(1.0, long_side_px / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        padded = cv2.copyMakeBorder(
            small, 0, -size[1] % 32, 0, -size[0] % 32, cv2.BORDER_CONSTANT, value=(0, 0, 0)
        )
        # YuNet takes BGR; `to_blob` makes RGB, so the channels are turned here.
        outputs = self.network(to_blob(padded[:, :, ::-1], mean=(0.0,) * 3, std=(1.0,) * 3))
        scores, rects, points = self._decode(outputs, columns_px=padded.shape[1])
        back = np.array([width / size[0], height / size[1]], dtype=np.float32)
        return [
            Face(left=x, top=y, width=w, height=h, score=float(scores[i]), points=points[i] * back)
            for i in _suppress(rects, scores, overlap=self.overlap)
            for x, y, w, h in [map(float, (rects[i].reshape(2, 2) * back).ravel())]
        ]

    def _decode(
        self, outputs: Sequence[FloatArray], *, columns_px: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(F,) scores, (F, 4) left, top, width, height and (F, 5, 2) points of the cells over the score."""
        n = len(YUNET_STRIDES)
        found = []
        for level, stride in enumerate(YUNET_STRIDES):
            cls, obj, bbox, kps = (outputs[kind * n + level][0] for kind in range(4))
            score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
            (at,) = np.nonzero(score > self.min_score)
            cell = np.stack([at % (columns_px // stride), at // (columns_px // stride)], axis=1).astype(
                np.float32
            )
            centre = (cell + bbox[at, :2]) * stride
            size = np.exp(bbox[at, 2:]) * stride
            points = (kps[at].reshape(-1, 5, 2) + cell[:, None]) * stride
            found.append((score[at], np.concatenate([centre - size / 2, size], axis=1), points))
        scores, rects, points = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return scores, rects, points


@dataclass(frozen=True, slots=True, kw_only=True)
class GreyLandmarker:
    """68 points (the iBUG order) from a 64 × 64 grey crop of the detector's box; five are made of them."""

    network: Network
    """Output `output` (1, 136): x, y as shares of the box."""

    def __call__(self, image: BgrImage, face: Face) -> FloatArray | None:
        """See `Landmarker`."""
        height, width = image.shape[:2]
        left, top = max(0, int(face.left)), max(0, int(face.top))
        right, bottom = min(width, int(face.left + face.width)), min(height, int(face.top + face.height))
        if right <= left or bottom <= top:
            return None
        grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
        blob = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_LINEAR).astype(np.float32)[None, None] / 256
        (output,) = self.network(blob)
        box = np.array([right - left, bottom - top], dtype=np.float32)
        p = output.reshape(68, 2) * box + np.array([left, top], dtype=np.float32)
        return np.stack(
            [
                p[[37, 38, 40, 41]].mean(axis=0),
                p[[43, 44, 46, 47]].mean(axis=0),
                p[30],
                p[[48, 60]].mean(axis=0),
                p[[54, 64]].mean(axis=0),
            ]
        )
