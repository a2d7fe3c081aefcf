"""Scenes of 1080p with one known face in them, of a known height: what detection misses can be counted."""

import numpy as np

from stream.evaluation.degrade import Box
from stream.features.cv import cv2
from stream.features.networks import BgrImage

SCENE_PX = (1920, 1080)
"""Width and height."""


def in_scene(photo: BgrImage, face: Box, *, face_height_px: int, seed: int) -> tuple[BgrImage, Box]:
    """A scene of clouds with the photo somewhere in it, and where its face is now.

    Args:
        photo: Not changed; what does not fit into the scene is cut off below and on the right.
        face: Where the face is in the photo.
        face_height_px: How tall it will be.
        seed: Of the clouds and the place.
    """
    rng = np.random.default_rng(seed)
    width, height = SCENE_PX
    scene: BgrImage = cv2.resize(rng.integers(60, 190, (9, 16, 3), dtype=np.uint8), SCENE_PX)
    scale = face_height_px / face.height
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=method)[:height, :width]
    top = int(rng.integers(0, height - scaled.shape[0] + 1))
    left = int(rng.integers(0, width - scaled.shape[1] + 1))
    scene[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return scene, Box(
        left=left + face.left * scale,
        top=top + face.top * scale,
        width=face.width * scale,
        height=face.height * scale,
    )
