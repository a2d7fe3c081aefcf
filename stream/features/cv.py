"""The one door to OpenCV: bounds it reads when it is loaded are set before it is loaded.

Every module that needs OpenCV takes it from here (`from stream.features.cv import cv2`).
"""

import os

MAX_DECODED_PIXELS = 1 << 27
"""No image over this many pixels is ever decoded, whatever a setting says: 134 M, 400 MB of BGR."""

# OpenCV reads this once, at import, from the environment and from nowhere else.
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_DECODED_PIXELS)

import cv2  # noqa: E402 - must come after the line above

# One Python thread per core scales linearly; a pool inside each call only makes them wait for each other.
cv2.setNumThreads(1)
# A remark about DNN targets and one per damaged file would otherwise go to stderr past the service's own log.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)

__all__ = ["MAX_DECODED_PIXELS", "cv2"]
