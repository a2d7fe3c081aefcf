"""Small images of every kind, made in memory, and what can be done to their bytes."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from stream.features.cv import cv2

Image = npt.NDArray[np.generic]


def encoded(suffix: str, image: Image, *flags: int) -> bytes:
    """The file that OpenCV writes of an image."""
    done, data = cv2.imencode(suffix, image, list(flags))
    assert done
    return bytes(data)


def grey(width_px: int = 64, height_px: int = 48) -> Image:
    return np.full((height_px, width_px, 3), 127, dtype=np.uint8)


def jpeg(width_px: int = 64, height_px: int = 48) -> bytes:
    return encoded(".jpg", grey(width_px, height_px))


def png(width_px: int = 64, height_px: int = 48) -> bytes:
    return encoded(".png", grey(width_px, height_px))


def webp(width_px: int = 64, height_px: int = 48) -> bytes:
    return encoded(".webp", grey(width_px, height_px), cv2.IMWRITE_WEBP_QUALITY, 80)


def lossless_webp(width_px: int = 64, height_px: int = 48) -> bytes:
    return encoded(".webp", grey(width_px, height_px), cv2.IMWRITE_WEBP_QUALITY, 101)


def frame_header_at(data: bytes) -> int:
    """Where the frame header of a JPEG begins."""
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def claiming(data: bytes, width_px: int, height_px: int) -> bytes:
    """A JPEG that declares another size than it has."""
    at = frame_header_at(data)
    return data[: at + 5] + struct.pack(">HH", height_px, width_px) + data[at + 9 :]


def png_claiming(width_px: int, height_px: int) -> bytes:
    """A PNG of 70 bytes, sound but for its pixels, that declares this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


def extended_webp(width_px: int, height_px: int) -> bytes:
    """A WebP whose extended header declares this canvas over a frame of 64 × 48."""
    frame = webp()[12:]
    canvas = bytes(4) + (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(canvas)) + canvas + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_orientation(data: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF segment that says how the camera was held."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\x00" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    body = b"Exif\x00\x00" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
