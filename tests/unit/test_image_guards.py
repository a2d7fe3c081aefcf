"""What may be decoded is known before anything is decoded."""

import io
import struct

import imagesize
import pytest

from stream.features.extractor import Unusable
from stream.features.guards import (
    JPEG_SCAN_BUDGET,
    UNDECLARED,
    ImageFormat,
    ImageHeader,
    ImageLimits,
    inspect_image,
    media_type,
)
from stream.reasons import Reason
from tests.image_factories import (
    claiming,
    extended_webp,
    frame_header_at,
    jpeg,
    lossless_webp,
    png,
    png_claiming,
    webp,
    with_orientation,
)

LIMITS = ImageLimits(max_bytes=100_000, max_pixels=1_000_000)

SOUND = {
    ImageFormat.JPEG: jpeg(),
    ImageFormat.PNG: png(),
    ImageFormat.WEBP: webp(),
}


def reason_of(content_type: str, data: bytes, limits: ImageLimits = LIMITS) -> Reason | None:
    found = inspect_image(content_type, data, limits)
    return found.reason if isinstance(found, Unusable) else None


@pytest.mark.parametrize("data", [jpeg(), png(), webp(), lossless_webp(), extended_webp(64, 48)])
def test_the_header_says_the_size(data: bytes) -> None:
    """Width and height are read from every format and every WebP layout."""
    found = inspect_image(UNDECLARED, data, LIMITS)
    assert isinstance(found, ImageHeader)
    assert (found.width_px, found.height_px, found.pixels) == (64, 48, 64 * 48)


@pytest.mark.parametrize("size", [(1, 1), (17, 300), (640, 480)])
@pytest.mark.parametrize("make", [jpeg, png, webp, lossless_webp])
def test_the_header_agrees_with_an_independent_reader(make: object, size: tuple[int, int]) -> None:
    """`imagesize`, a library that shares no code with the guard, reads the same numbers."""
    data = make(*size)  # type: ignore[operator]
    found = inspect_image(UNDECLARED, data, LIMITS)
    assert isinstance(found, ImageHeader)
    assert (found.width_px, found.height_px) == imagesize.get(io.BytesIO(data)) == size


@pytest.mark.parametrize("declared", list(ImageFormat))
@pytest.mark.parametrize("shown", list(ImageFormat))
def test_the_declared_type_must_be_the_one_the_bytes_show(declared: ImageFormat, shown: ImageFormat) -> None:
    """A sound image under another image type is refused: who mislabels that may mislabel the subject."""
    expected = None if declared is shown else Reason.WRONG_MAGIC_BYTES
    assert reason_of(declared.value, SOUND[shown]) is expected


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("image/jpeg", SOUND[ImageFormat.JPEG], None),
        ("image/jpg", SOUND[ImageFormat.JPEG], None),
        ("IMAGE/JPEG; q=1", SOUND[ImageFormat.JPEG], None),
        (UNDECLARED, SOUND[ImageFormat.WEBP], None),
        ("image/gif", b"GIF89a" + bytes(64), Reason.UNKNOWN_CONTENT_TYPE),
        ("", SOUND[ImageFormat.JPEG], Reason.UNKNOWN_CONTENT_TYPE),
        ("image/jpeg", b"", Reason.EMPTY),
        ("image/jpeg", bytes(100_001), Reason.TOO_LARGE),
        ("image/jpeg", b"%PDF-1.7" + bytes(64), Reason.WRONG_MAGIC_BYTES),
        (UNDECLARED, b"GIF89a" + bytes(64), Reason.WRONG_MAGIC_BYTES),
        ("image/webp", b"RIFF\x40\x00\x00\x00WAVE" + bytes(64), Reason.WRONG_MAGIC_BYTES),
    ],
)
def test_what_is_not_an_allowed_image_is_refused(
    content_type: str, data: bytes, expected: Reason | None
) -> None:
    """Type, size and first bytes are looked at in this order, and each has its reason."""
    assert reason_of(content_type, data) is expected


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("image/jpeg", claiming(jpeg(), 65_500, 65_500)),
        ("image/png", png_claiming(50_000, 50_000)),
        ("image/png", png_claiming(2**31 - 1, 2**31 - 1)),
        ("image/webp", extended_webp(16_000, 16_000)),
    ],
)
def test_a_small_file_of_many_pixels_is_a_bomb(content_type: str, data: bytes) -> None:
    """Under 700 bytes that declare gigabytes are refused by their header."""
    assert len(data) < 700
    assert reason_of(content_type, data) is Reason.IMAGE_BOMB


def test_the_bound_is_the_last_size_that_passes() -> None:
    """`max_pixels` itself is allowed, one row more is not."""
    limits = ImageLimits(max_bytes=10_000, max_pixels=64 * 48)
    assert reason_of("image/png", png(64, 48), limits) is None
    assert reason_of("image/png", png(64, 49), limits) is Reason.IMAGE_BOMB


def test_many_scans_of_many_pixels_are_a_bomb() -> None:
    """A progressive JPEG costs a pass over all pixels a scan, so scans count like pixels."""
    data = jpeg(1000, 1000)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    for scans, expected in ((JPEG_SCAN_BUDGET - 1, None), (JPEG_SCAN_BUDGET, Reason.IMAGE_BOMB)):
        assert reason_of("image/jpeg", data[:-2] + scan * scans + data[-2:]) is expected


def test_a_thumbnail_inside_the_metadata_is_not_the_image() -> None:
    """The size is that of the frame, whatever sound JPEG stands in a segment before it."""
    thumbnail = jpeg(8, 8)
    body = b"Exif\x00\x00" + thumbnail
    whole = jpeg(640, 480)
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]
    found = inspect_image("image/jpeg", data, LIMITS)
    assert isinstance(found, ImageHeader)
    assert (found.width_px, found.height_px, found.scans) == (640, 480, 1)


def test_a_second_frame_header_cannot_lie_about_the_first() -> None:
    """A small frame header before a huge one is refused, whichever of them a decoder would believe."""
    data = claiming(jpeg(), 65_500, 65_500)
    at = frame_header_at(data)
    small = frame_header_at(jpeg())
    header = jpeg()[small : small + 19]
    assert reason_of("image/jpeg", data[:at] + header + data[at:]) is Reason.UNDECODABLE_IMAGE


@pytest.mark.parametrize("content_type", [f.value for f in ImageFormat])
def test_every_truncation_is_refused(content_type: str) -> None:
    """No beginning of a sound image passes: a decoder would fill the rest with grey, and call it a photo."""
    data = SOUND[ImageFormat(content_type)]
    passed = [n for n in range(len(data)) if reason_of(content_type, data[:n]) is None]
    assert passed == []


@pytest.mark.parametrize(
    "data",
    [
        jpeg()[:2] + b"\xff\xe0\x00\x01" + jpeg()[2:],  # a segment shorter than its own length
        jpeg()[:2] + b"\xff\xe0\xff\xff" + jpeg()[2:],  # a segment longer than the file
        jpeg()[:2] + b"\xff\xd9" + jpeg()[2:],  # the end before the beginning
        jpeg()[:2] + b"\xff\xff\xff",  # padding and nothing else
        claiming(jpeg(), 0, 48),
        claiming(jpeg(), 64, 0),
    ],
)
def test_a_malformed_header_is_refused(data: bytes) -> None:
    """What no decoder should have to guess about is not handed to one."""
    assert reason_of("image/jpeg", data) is Reason.UNDECODABLE_IMAGE


def test_metadata_does_not_disturb_the_reading() -> None:
    """A photo with an EXIF segment has the header of the photo without it."""
    plain, rotated = jpeg(), with_orientation(jpeg(), 6)
    assert inspect_image("image/jpeg", rotated, LIMITS) == inspect_image("image/jpeg", plain, LIMITS)


def test_the_detail_never_quotes_the_payload() -> None:
    """What a sender wrote stays out of logs: details name sizes and types only."""
    secret = b"my-secret-payload"
    found = inspect_image("image/jpeg", secret, LIMITS)
    assert isinstance(found, Unusable)
    assert "secret" not in found.detail


@pytest.mark.parametrize(
    ("given", "expected"),
    [("image/jpeg", "image/jpeg"), (" Image/PNG ;x=y", "image/png"), ("image/jpg", "image/jpeg"), ("", "")],
)
def test_a_media_type_is_read_without_its_parameters(given: str, expected: str) -> None:
    """Case, blanks and parameters do not matter."""
    assert media_type(given) == expected
