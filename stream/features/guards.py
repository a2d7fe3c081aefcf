"""What an image claims to be, read from its first bytes, and whether it may be decoded at all.

Decoders trust headers: a JPEG of 631 bytes that declares 65500 x 65500 pixels costs ten seconds and 5 GB.
So nothing is decoded before its size, its kind and its pixel count have been read here and found within
bounds. The reading is stricter than any decoder's: what it accepts, a decoder reads the same way, and what
is odd is refused.

Layouts: JPEG ITU-T T.81 annex B; PNG W3C 3rd edition, 5 and 11.2.2; WebP RFC 9649, 2.4-2.7.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from stream.features.extractor import Unusable
from stream.reasons import Reason

JPEG_SCAN_BUDGET = 16
"""A progressive JPEG may ask for this many passes over `max_pixels`; common encoders make about ten scans."""

_JPEG_SOI, _JPEG_EOI, _JPEG_SOS = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"


class ImageFormat(StrEnum):
    """The formats that are decoded."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"


UNDECLARED = "application/octet-stream"
"""What a sender says who does not say: the magic bytes alone decide."""

CONTENT_TYPES = frozenset({*(f.value for f in ImageFormat), "image/jpg", UNDECLARED})
_ALIASES = {"image/jpg": ImageFormat.JPEG.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """The largest image that is decoded."""

    max_bytes: int = 4 << 20
    max_pixels: int = 40_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """What an image says about itself."""

    format: ImageFormat
    width_px: int
    height_px: int
    scans: int = 1
    """How often a decoder passes over all pixels."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width_px * self.height_px


class _Malformed(Exception):  # noqa: N818 - never leaves this module, where it becomes a value
    """The bytes are not a whole image of the format that their first bytes name."""


def media_type(content_type: str) -> str:
    """A content type without its parameters, in lower case: `Image/JPEG; q=1` is `image/jpeg`."""
    essence = content_type.partition(";")[0].strip().lower()
    return _ALIASES.get(essence, essence)


def inspect_image(content_type: str, data: bytes, limits: ImageLimits) -> ImageHeader | Unusable:
    """The header of an image that may be decoded, or why it may not. Reads headers only; allocates nothing.

    A declared content type must be the one that the magic bytes show: who mislabels a payload may have
    mislabelled its subject too. `application/octet-stream` declares nothing and leaves it to the magic
    bytes.
    """
    declared = media_type(content_type)
    if declared not in CONTENT_TYPES:
        allowed = ", ".join(sorted(CONTENT_TYPES))
        return Unusable(reason=Reason.UNKNOWN_CONTENT_TYPE, detail=f"{declared[:80]!r} is none of {allowed}")
    if not data:
        return Unusable(reason=Reason.EMPTY, detail="0 bytes")
    if len(data) > limits.max_bytes:
        return Unusable(
            reason=Reason.TOO_LARGE, detail=f"{len(data)} bytes; at most {limits.max_bytes} are read"
        )
    found = _format_of(data)
    if found is None or declared not in (found.value, UNDECLARED):
        shown = "none of JPEG, PNG, WebP" if found is None else found.value
        return Unusable(
            reason=Reason.WRONG_MAGIC_BYTES, detail=f"declared {declared}, the first bytes show {shown}"
        )
    try:
        header = _READERS[found](data)
    except _Malformed as error:
        return Unusable(reason=Reason.UNDECODABLE_IMAGE, detail=f"{found.value}: {error}")
    return _within(header, limits)


def _within(header: ImageHeader, limits: ImageLimits) -> ImageHeader | Unusable:
    size = f"{header.width_px} x {header.height_px} pixels"
    if header.pixels == 0:
        return Unusable(reason=Reason.UNDECODABLE_IMAGE, detail=f"declares {size}")
    if header.pixels > limits.max_pixels:
        return Unusable(
            reason=Reason.IMAGE_BOMB, detail=f"declares {size}; at most {limits.max_pixels} are decoded"
        )
    if header.pixels * header.scans > limits.max_pixels * JPEG_SCAN_BUDGET:
        return Unusable(reason=Reason.IMAGE_BOMB, detail=f"declares {size} in {header.scans} scans")
    return header


def _format_of(data: bytes) -> ImageFormat | None:
    if data.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if data.startswith(_PNG_SIGNATURE):
        return ImageFormat.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    return None


def _read_jpeg(data: bytes) -> ImageHeader:
    """Walks the segments to the first scan; one frame header must stand before it, and an end after it."""
    size: tuple[int, int] | None = None
    at = len(_JPEG_SOI)
    while True:
        marker, at = _jpeg_marker(data, at)
        if marker in _JPEG_STANDALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise _Malformed(f"segment {marker:02x} of {length} bytes at {at} leaves the file")
        if marker in _JPEG_SOF:
            if size is not None or length < 8:
                raise _Malformed("two frame headers, or a short one")
            size = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
        if marker == _JPEG_SOS[1]:
            break
        at += length
    if size is None:
        raise _Malformed("no frame header before the first scan")
    # In entropy-coded data ff is always followed by 00 or a restart marker, so these searches find markers
    # only.
    if data.find(_JPEG_EOI, at) < 0:
        raise _Malformed("truncated: no end marker")
    scans = 1 + data.count(_JPEG_SOS, at)
    return ImageHeader(format=ImageFormat.JPEG, width_px=size[0], height_px=size[1], scans=scans)


def _jpeg_marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at a position and the position after it; any number of ff may pad it."""
    if data[at : at + 1] != b"\xff":
        raise _Malformed(f"no marker at byte {at}")
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data) or data[at] in (0x00, 0xD8, 0xD9):
        raise _Malformed(f"no segment at byte {at}")
    return data[at], at + 1


def _read_png(data: bytes) -> ImageHeader:
    if data[8:16] != b"\x00\x00\x00\x0dIHDR" or len(data) < 33:
        raise _Malformed("the first chunk is not IHDR")
    if data.find(_PNG_IEND, 33) < 0:
        raise _Malformed("truncated: no IEND")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return ImageHeader(format=ImageFormat.PNG, width_px=width, height_px=height)


def _read_webp(data: bytes) -> ImageHeader:
    if int.from_bytes(data[4:8], "little") + 8 > len(data) or len(data) < 30:
        raise _Malformed("truncated: the RIFF chunk is longer than the file")
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(body[i : i + 3], "little") for i in (4, 7))
    elif kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[i : i + 2], "little") & 0x3FFF for i in (6, 8))
    else:
        raise _Malformed("no frame header in the first chunk")
    return ImageHeader(format=ImageFormat.WEBP, width_px=width, height_px=height)


_READERS: dict[ImageFormat, Callable[[bytes], ImageHeader]] = {
    ImageFormat.JPEG: _read_jpeg,
    ImageFormat.PNG: _read_png,
    ImageFormat.WEBP: _read_webp,
}
