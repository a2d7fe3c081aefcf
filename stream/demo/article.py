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
    """What the baseline gets to see of one probe, and the truth about it."""

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
    found = nearest(enrolled, probes)
    strangers = np.array([one.similarity for one, p in zip(found, probes, strict=True) if p.truth is None])
    threshold = _threshold(strangers, target_fpir)
    return rates(
        [
            _answer(probe, one.identity_id, over=one.similarity > threshold)
            for probe, one in zip(probes, found, strict=True)
        ]
    )


def nearest(enrolled: Sequence[Person], probes: Sequence[Appearance]) -> list[Nearest]:
    """The article's answer to each probe, before any threshold."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: takes a second

    samples = [(person.identity_id, photo) for person in enrolled for photo in person.enrolled]
    gallery_texts = [photo.caption for _, photo in samples]
    vectorizer = TfidfVectorizer(dtype=np.float32).fit(gallery_texts or [""])
    whole: Mask = frozenset({IMAGE, TEXT})
    gallery = _stack(
        _pixels([photo for _, photo in samples], [whole] * len(samples)),
        vectorizer.transform(gallery_texts).toarray(),
    )
    searched = _stack(
        _pixels([p.photo for p in probes], [p.mask for p in probes]),
        vectorizer.transform([p.photo.caption if TEXT in p.mask else "" for p in probes]).toarray(),
    )
    similarity = searched @ gallery.T
    best = similarity.argmax(axis=1)
    scores = similarity.max(axis=1)
    return [
        Nearest(identity_id=samples[winner][0], similarity=float(score))
        for winner, score in zip(best, scores, strict=True)
    ]


def _answer(probe: Appearance, best: str, *, over: bool) -> Answer:
    return Answer(truth=probe.truth, best=best, returned=over, matched=best if over else None)


def _threshold(stranger_scores: npt.NDArray[np.float64], target_fpir: float) -> float:
    """The score that at most this share of the strangers exceed."""
    if not stranger_scores.size:
        return -np.inf
    allowed = floor(target_fpir * stranger_scores.size)
    return float(np.sort(stranger_scores)[::-1][allowed])


def _pixels(photos: Sequence[Photo], masks: Sequence[Mask]) -> Records:
    return np.stack(
        [
            _grey(photo) if IMAGE in mask else np.zeros(SIDE_PX**2, np.float32)
            for photo, mask in zip(photos, masks, strict=True)
        ]
    )


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
