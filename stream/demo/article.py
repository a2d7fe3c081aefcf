"""The founding article's own pipeline, kept as the visible baseline: pixels beside TF-IDF, stacked, cosine.

A photo is 64 × 64 grey pixels over 255, a text its TF-IDF over the gallery's vocabulary, a record both
vectors end to end with zeros for what is missing. The identity of the nearest enrolled record is the
answer. It is shown on the same probes as the service, and with every advantage: its threshold is taken from
the very strangers it is tested on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
import numpy.typing as npt

from index.records import IMAGE, TEXT, Mask
from stream.demo.people import Person, Photo
from stream.demo.score import Answer, Rates, rates
from stream.features.cv import cv2

SIDE_PX = 64

Records = npt.NDArray[np.float32]
"""(B, 4096 + vocabulary) float32, rows of unit L2 norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """What the baseline gets to see of one record, enrolled or searched, and the truth about it."""

    photo: Photo
    mask: Mask
    truth: str | None
    """The enrolled identity; None for a stranger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The enrolled record nearest to a probe."""

    identity_id: str
    similarity: float
    """Cosine of the stacked vectors."""


def baseline(enrolled: Sequence[Person], probes: Sequence[Appearance], *, target_fpir: float) -> Rates:
    """What the article's pipeline makes of the same probes, at a threshold of that FPIR on these strangers.

    Without strangers there is nothing to take a threshold from, and every probe returns somebody.
    """
    found = nearest(records_of(enrolled), probes)
    strangers = np.array([one.similarity for one, p in zip(found, probes, strict=True) if p.truth is None])
    threshold = _threshold(strangers, target_fpir)
    return rates(
        [
            _answer(probe, one.identity_id, over=one.similarity > threshold)
            for probe, one in zip(probes, found, strict=True)
        ]
    )


def records_of(persons: Sequence[Person]) -> list[Appearance]:
    """Everything that is enrolled of them, whole."""
    whole: Mask = frozenset({IMAGE, TEXT})
    return [
        Appearance(photo=photo, mask=whole, truth=person.identity_id)
        for person in persons
        for photo in person.enrolled
    ]


def nearest(enrolled: Sequence[Appearance], probes: Sequence[Appearance]) -> list[Nearest]:
    """The article's answer to each probe, before any threshold."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: takes a second

    texts, asked = ([_text(one) for one in records] for records in (enrolled, probes))
    try:
        vectorizer = TfidfVectorizer(dtype=np.float32).fit(texts)
        words, asked_words = (vectorizer.transform(part).toarray() for part in (texts, asked))
    except ValueError:  # what scikit-learn raises where no text has a word
        words, asked_words = (np.zeros((len(part), 0), np.float32) for part in (texts, asked))
    similarity = _stack(_pixels(probes), asked_words) @ _stack(_pixels(enrolled), words).T
    best, scores = similarity.argmax(axis=1), similarity.max(axis=1)
    return [
        Nearest(identity_id=enrolled[winner].truth or "", similarity=float(score))
        for winner, score in zip(best, scores, strict=True)
    ]


def _text(record: Appearance) -> str:
    return record.photo.caption if TEXT in record.mask else ""


def _answer(probe: Appearance, best: str, *, over: bool) -> Answer:
    return Answer(truth=probe.truth, best=best, returned=over, matched=best if over else None)


def _threshold(stranger_scores: npt.NDArray[np.float64], target_fpir: float) -> float:
    """The score that at most this share of the strangers exceed."""
    if not stranger_scores.size:
        return -np.inf
    allowed = floor(target_fpir * stranger_scores.size)
    return float(np.sort(stranger_scores)[::-1][allowed])


def _pixels(records: Sequence[Appearance]) -> Records:
    nothing = np.zeros(SIDE_PX**2, np.float32)
    return np.stack([_grey(one.photo) if IMAGE in one.mask else nothing for one in records])


def _grey(photo: Photo) -> npt.NDArray[np.float32]:
    """(4096,) float32 in 0..1; zeros for a file that does not decode, as for no file at all."""
    pixels = cv2.imdecode(np.frombuffer(photo.read(), np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        return np.zeros(SIDE_PX**2, np.float32)
    grey: npt.NDArray[np.float32] = cv2.resize(pixels, (SIDE_PX, SIDE_PX)).ravel().astype(np.float32) / 255
    return grey


def _stack(pixels: Records, texts: Records) -> Records:
    stacked = np.hstack([pixels, texts]).astype(np.float32)
    norms = np.linalg.norm(stacked, axis=1, keepdims=True)
    unit: Records = np.divide(stacked, norms, out=np.zeros_like(stacked), where=norms > 0)
    return unit
