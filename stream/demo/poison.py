"""Everything that docs/contracts.md calls bad input, ready to be sent, each with the reason it must get."""

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from index.records import IMAGE, TEXT, Modality
from stream.features.cv import cv2
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.reasons import Reason

JPEG, PLAIN_TEXT = "image/jpeg", "text/plain"
BOMB_SIDE_PX = 50_000
NOISE_SIDE_PX = 160
NOISE_SEED = 20
TRUNCATED_SHARE = 0.5
SKEW_AHEAD_MS = 3_600_000


class Poison(StrEnum):
    """One way in which a record can be bad."""

    TOO_LARGE = "too_large"
    WRONG_MAGIC = "wrong_magic"
    BOMB = "bomb"
    TRUNCATED = "truncated"
    NO_FACE = "no_face"
    EMPTY = "empty"
    EMPTY_TEXT = "empty_text"
    LONG_TEXT = "long_text"
    INVALID_UTF8 = "invalid_utf8"
    UNKNOWN_CONTENT_TYPE = "unknown_content_type"
    WRONG_CONTRACT = "wrong_contract"
    NAN_VECTOR = "nan_vector"
    MISSING_KEY = "missing_key"
    BAD_HEADERS = "bad_headers"
    CLOCK_SKEW = "clock_skew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the service allows, so that poison can go just beyond it."""

    max_image_bytes: int
    max_text_chars: int
    text_contract_id: str
    text_dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """What poison is made from: the service's bounds, and a photo and a text that are good."""

    bounds: Bounds
    photo: bytes
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make one kind of poison, and what must become of it."""

    modality: Modality
    """Whose topic it goes to."""
    reason: Reason
    content_type: str
    value: Callable[[Ingredients], bytes]
    has_key: bool = True
    has_time: bool = True
    """Whether `ce_time` is a time at all."""
    ahead_ms: int = 0
    """How far its time is ahead of the clock."""


def _photo(of: Ingredients) -> bytes:
    return of.photo


def _text(of: Ingredients) -> bytes:
    return of.text.encode()


def _vector(numbers: list[float], contract_id: str) -> bytes:
    return json.dumps({"contract_id": contract_id, "vector": numbers}).encode()


def _ones(of: Ingredients) -> list[float]:
    return [1.0] * of.bounds.text_dimension


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bomb(_of: Ingredients) -> bytes:
    """A PNG of a few bytes that declares 2.5 billion pixels."""
    header = struct.pack(">IIBBBBB", BOMB_SIDE_PX, BOMB_SIDE_PX, 8, 2, 0, 0, 0)
    chunks = (_png_chunk(b"IHDR", header), _png_chunk(b"IDAT", zlib.compress(b"")), _png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _noise(_of: Ingredients) -> bytes:
    """A whole JPEG with nobody in it."""
    pixels = np.random.default_rng(NOISE_SEED).integers(
        0, 255, (NOISE_SIDE_PX, NOISE_SIDE_PX, 3), dtype=np.uint8
    )
    _, jpeg = cv2.imencode(".jpg", pixels)
    return jpeg.tobytes()


RECIPES: dict[Poison, Recipe] = {
    Poison.TOO_LARGE: Recipe(
        modality=IMAGE,
        reason=Reason.TOO_LARGE,
        content_type=JPEG,
        value=lambda of: of.photo + bytes(of.bounds.max_image_bytes + 1 - len(of.photo)),
    ),
    Poison.WRONG_MAGIC: Recipe(
        modality=IMAGE,
        reason=Reason.WRONG_MAGIC_BYTES,
        content_type=JPEG,
        value=lambda of: b"GIF89a" + of.photo[6:],
    ),
    Poison.BOMB: Recipe(modality=IMAGE, reason=Reason.IMAGE_BOMB, content_type="image/png", value=_bomb),
    Poison.TRUNCATED: Recipe(
        modality=IMAGE,
        reason=Reason.UNDECODABLE_IMAGE,
        content_type=JPEG,
        value=lambda of: of.photo[: int(len(of.photo) * TRUNCATED_SHARE)],
    ),
    Poison.NO_FACE: Recipe(modality=IMAGE, reason=Reason.NO_FACE, content_type=JPEG, value=_noise),
    Poison.EMPTY: Recipe(modality=IMAGE, reason=Reason.EMPTY, content_type=JPEG, value=lambda _of: b""),
    Poison.EMPTY_TEXT: Recipe(
        modality=TEXT, reason=Reason.EMPTY_TEXT, content_type=PLAIN_TEXT, value=lambda _of: b" \n\t "
    ),
    Poison.LONG_TEXT: Recipe(
        modality=TEXT,
        reason=Reason.TEXT_TOO_LONG,
        content_type=PLAIN_TEXT,
        value=lambda of: b"a" * (of.bounds.max_text_chars + 1),
    ),
    Poison.INVALID_UTF8: Recipe(
        modality=TEXT,
        reason=Reason.INVALID_UTF8,
        content_type=PLAIN_TEXT,
        value=lambda of: of.text.encode() + b"\xff\xfe",
    ),
    Poison.UNKNOWN_CONTENT_TYPE: Recipe(
        modality=IMAGE, reason=Reason.UNKNOWN_CONTENT_TYPE, content_type="application/pdf", value=_photo
    ),
    Poison.WRONG_CONTRACT: Recipe(
        modality=TEXT,
        reason=Reason.WRONG_CONTRACT,
        content_type=EMBEDDING_CONTENT_TYPE,
        value=lambda of: _vector(_ones(of), "somebody-else's-model"),
    ),
    Poison.NAN_VECTOR: Recipe(
        modality=TEXT,
        reason=Reason.BAD_VECTOR,
        content_type=EMBEDDING_CONTENT_TYPE,
        value=lambda of: _vector([float("nan"), *_ones(of)[1:]], of.bounds.text_contract_id),
    ),
    Poison.MISSING_KEY: Recipe(
        modality=IMAGE, reason=Reason.MISSING_KEY, content_type=JPEG, value=_photo, has_key=False
    ),
    Poison.BAD_HEADERS: Recipe(
        modality=TEXT, reason=Reason.BAD_HEADERS, content_type=PLAIN_TEXT, value=_text, has_time=False
    ),
    Poison.CLOCK_SKEW: Recipe(
        modality=TEXT,
        reason=Reason.CLOCK_SKEW,
        content_type=PLAIN_TEXT,
        value=_text,
        ahead_ms=SKEW_AHEAD_MS,
    ),
}
"""Every kind has one."""
