"""Descriptions become vectors: words and word pairs, weighted by how rare they are."""

import numpy as np
import pytest

from index.records import TEXT, Feature
from stream.features.errors import ModelError
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Unusable
from stream.features.text import (
    TEXT_DIMENSION,
    TextExtractor,
    TextWeights,
    fit_weights,
    normalise,
    shipped_weights,
)
from stream.reasons import Reason

MAX_CHARS = 200
EXTRACTOR = TextExtractor(max_chars=MAX_CHARS)
SAME = 0.999999
"""Cosine of two texts that are one."""


def vector(text: str, extractor: TextExtractor = EXTRACTOR) -> np.ndarray:
    found = extractor.extract("text/plain", text.encode())
    assert isinstance(found, Feature), found
    return found.vector


def test_a_text_becomes_a_unit_vector_of_its_contract() -> None:
    """Dimension, type, norm and contract are what the port promises; a text has no quality."""
    found = EXTRACTOR.extract("text/plain", b"a young woman with a hat")
    assert isinstance(found, Feature)
    assert found.vector.shape == (EXTRACTOR.dimension,) == (TEXT_DIMENSION,)
    assert found.vector.dtype == np.float32
    assert np.linalg.norm(found.vector) == pytest.approx(1.0, abs=1e-6)
    assert (found.contract_id, found.quality) == (EXTRACTOR.contract_id, None)
    assert EXTRACTOR.modality == TEXT


def test_shared_words_bring_texts_together() -> None:
    """More in common is nearer, and a shared pair of words is nearer than the same words apart."""
    text = vector("an older man with glasses and gray hair")
    same, similar, other = (
        vector(t)
        for t in (
            "An OLDER man, with glasses and gray hair!",
            "a man with gray hair",
            "a young woman with lipstick",
        )
    )
    assert text @ same > SAME
    assert text @ same > text @ similar > text @ other
    assert vector("gray hair") @ vector("gray hair now") > vector("gray hair") @ vector("hair gray now")


def test_rare_words_weigh_more() -> None:
    """Of two words in common, the one that fewer texts have says more."""
    weights = fit_weights(["a man"] * 50 + ["a man with a scar"], fitted_on="made up")
    extractor = TextExtractor(weights=weights)
    probe = vector("man scar", extractor)
    assert probe @ vector("scar", extractor) > probe @ vector("man", extractor)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "Cafe\u0301"),  # composed and decomposed
        ("ﬁne ＨＡＴ", "fine hat"),  # ligature and full width
        ("STRASSE", "straße"),  # case folding is more than lower case
        ("a\tman\r\nwith\x00a\u200bhat", "a man with a hat"),  # controls only part words
        ("hat, glasses; beard.", "hat glasses beard"),
    ],
)
def test_what_reads_the_same_is_the_same(one: str, other: str) -> None:
    """Unicode has many ways to write a word; the vector has one."""
    assert normalise(one) == normalise(other)
    assert vector(one) @ vector(other) > SAME


def test_words_of_other_scripts_stay_whole() -> None:
    """Vowel signs are part of a word, as letters are."""
    assert normalise("हिन्दी में  टोपी!") == "हिन्दी में टोपी"


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("text/plain", b"", Reason.EMPTY),
        ("text/plain", b"   \n\t ", Reason.EMPTY_TEXT),
        ("text/plain", b"?!... --- \x00\x01", Reason.EMPTY_TEXT),
        ("text/plain", "\u200b\u2060".encode(), Reason.EMPTY_TEXT),
        ("text/plain", b"\xff\xfe\x00", Reason.INVALID_UTF8),
        ("text/plain", "hat".encode("utf-16"), Reason.INVALID_UTF8),
        ("text/plain", b"caf\xe9", Reason.INVALID_UTF8),
        ("text/plain", b"\xed\xa0\x80", Reason.INVALID_UTF8),  # a lone surrogate
        ("text/plain", b"a" * (MAX_CHARS + 1), Reason.TEXT_TOO_LONG),
        ("text/plain", b"\xff" * (4 * MAX_CHARS + 1), Reason.TEXT_TOO_LONG),
        ("text/html", b"<b>hat</b>", Reason.UNKNOWN_CONTENT_TYPE),
        ("", b"hat", Reason.UNKNOWN_CONTENT_TYPE),
        (EMBEDDING_CONTENT_TYPE, b"hat", Reason.BAD_JSON),
    ],
)
def test_every_bad_text_has_its_reason(content_type: str, data: bytes, expected: Reason) -> None:
    """Each kind of bad input becomes the value that names it."""
    found = EXTRACTOR.extract(content_type, data)
    assert isinstance(found, Unusable)
    assert found.reason is expected


@pytest.mark.parametrize("letter", ["a", "é", "𝒶"])
def test_the_length_is_counted_in_characters(letter: str) -> None:
    """As many letters of four bytes are allowed as letters of one."""
    assert isinstance(EXTRACTOR.extract("text/plain", (letter * MAX_CHARS).encode()), Feature)
    found = EXTRACTOR.extract("text/plain", (letter * (MAX_CHARS + 1)).encode())
    assert isinstance(found, Unusable)
    assert found.reason is Reason.TEXT_TOO_LONG


def test_the_contract_carries_the_weights() -> None:
    """Other weights make other vectors, so they make another contract; the same ones make the same."""
    shipped = shipped_weights()
    assert shipped.contract_id == EXTRACTOR.contract_id
    assert shipped.contract_id.startswith(f"hashing-{TEXT_DIMENSION}-")
    other = TextWeights(idf=shipped.idf * np.float32(1.1), fitted_on="made up")
    assert other.contract_id != shipped.contract_id


@pytest.mark.parametrize("idf", [np.ones(3), np.zeros(TEXT_DIMENSION), np.full(TEXT_DIMENSION, np.nan)])
def test_weights_that_cannot_weigh_are_refused(idf: np.ndarray) -> None:
    """A damaged weights file is found when it is read."""
    with pytest.raises(ModelError, match=f"{TEXT_DIMENSION} positive finite numbers"):
        TextWeights(idf=idf.astype(np.float32), fitted_on="made up")


def test_the_extractor_says_what_it_takes() -> None:
    """The port's own description: media types, and the one for records that do not say."""
    assert {"text/plain", EMBEDDING_CONTENT_TYPE} <= EXTRACTOR.content_types
    assert EXTRACTOR.default_content_type == "text/plain"
