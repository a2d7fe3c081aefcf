"""Text to vector: words and word pairs hashed into 512 places, weighted by how rare their place is."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from index.records import TEXT, ContractId, Feature, Modality
from stream.features.embedding import read_embedding
from stream.features.errors import ModelError
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Unusable
from stream.features.guards import UNDECLARED, media_type
from stream.reasons import Reason

TEXT_DIMENSION = 512
HASHING = "1"
"""Counts up with every change that moves vectors: normalisation, tokens, hashing, weighting."""

_TEXT_TYPES = frozenset({"text/plain", UNDECLARED})
_MAX_UTF8_BYTES = 4
_WORD_CATEGORIES = frozenset("LMN")
"""Letters, marks (without which the words of many scripts fall apart) and numbers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextWeights:
    """Inverse document frequencies of the 512 places: part of the text contract."""

    idf: npt.NDArray[np.float32]
    """(512,) float32."""
    fitted_on: str
    """What they were counted on, for people."""

    def __post_init__(self) -> None:
        if self.idf.shape != (TEXT_DIMENSION,) or not (self.idf > 0).all() or not np.isfinite(self.idf).all():
            raise ModelError(
                f"text weights of shape {self.idf.shape}; needed are {TEXT_DIMENSION} positive finite numbers"
            )

    @property
    def contract_id(self) -> ContractId:
        """`hashing-512-<8 hex>` of the weights and the version of the hashing."""
        numbers = ",".join(f"{weight:.4f}" for weight in self.idf)
        digest = hashlib.sha256(f"{HASHING}\n{numbers}".encode()).hexdigest()[:8]
        return ContractId(f"hashing-{TEXT_DIMENSION}-{digest}")


def shipped_weights() -> TextWeights:
    """The weights that come with the package, made by `bench/fit_text_weights.py`."""
    raw = json.loads((resources.files("stream.features") / "text_weights.json").read_text(encoding="utf-8"))
    return TextWeights(idf=np.array(raw["idf"], dtype=np.float32), fitted_on=raw["fitted_on"])


def normalise(text: str) -> str:
    """The words of a text, composed (NFKC) and case-folded; punctuation and controls only part words.

    Scripts that write without spaces give one word a phrase: they need a tokeniser of their own before this.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(
        "".join(c if unicodedata.category(c)[0] in _WORD_CATEGORIES else " " for c in folded).split()
    )


@cache
def _vectorizer() -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer  # late: takes a second

    return HashingVectorizer(
        n_features=TEXT_DIMENSION,
        ngram_range=(1, 2),
        tokenizer=str.split,
        token_pattern=None,
        lowercase=False,
        alternate_sign=True,
        norm=None,
        dtype=np.float32,
    )


def hash_texts(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """(B, 512) float32: ± log(1 + count) of each place in each text, before any weighting.

    The sign is part of the hash: words that share a place cancel on average, so inner products stay unbiased
    (Weinberger et al., 2009). A word said twice counts for less than two words.
    """
    counts: npt.NDArray[np.float32] = _vectorizer().transform([normalise(t) for t in texts]).toarray()
    damped: npt.NDArray[np.float32] = np.sign(counts) * np.log1p(np.abs(counts))
    return damped


def fit_weights(texts: Sequence[str], *, fitted_on: str) -> TextWeights:
    """Counts in how many texts each place is met: idf = ln((1 + n) / (1 + df)) + 1, as in scikit-learn."""
    met = hash_texts(texts) != 0
    idf = np.log((1 + len(texts)) / (1 + met.sum(axis=0))) + 1
    return TextWeights(idf=np.round(idf, 4).astype(np.float32), fitted_on=fitted_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextExtractor:
    """The `Extractor` of descriptions."""

    weights: TextWeights = field(default_factory=shipped_weights)
    max_chars: int = 4_096

    @property
    def modality(self) -> Modality:
        """See `Extractor`."""
        return TEXT

    @property
    def contract_id(self) -> ContractId:
        """See `Extractor`."""
        return self.weights.contract_id

    @property
    def dimension(self) -> int:
        """See `Extractor`."""
        return TEXT_DIMENSION

    @property
    def content_types(self) -> frozenset[str]:
        """See `Extractor`."""
        return _TEXT_TYPES | {EMBEDDING_CONTENT_TYPE}

    @property
    def default_content_type(self) -> str:
        """See `Extractor`."""
        return "text/plain"

    def extract(self, content_type: str, data: bytes) -> Feature | Unusable:
        """See `Extractor`. Text is UTF-8 whatever charset a parameter names."""
        kind = media_type(content_type)
        if kind == EMBEDDING_CONTENT_TYPE:
            return read_embedding(data, contract_id=self.contract_id, dimension=self.dimension)
        if kind not in _TEXT_TYPES:
            return Unusable(
                reason=Reason.UNKNOWN_CONTENT_TYPE,
                detail=f"{kind[:80]!r} is none of {', '.join(sorted(_TEXT_TYPES))}",
            )
        text = self._read(data)
        return text if isinstance(text, Unusable) else self._feature(text)

    def _read(self, data: bytes) -> str | Unusable:
        if not data:
            return Unusable(reason=Reason.EMPTY, detail="0 bytes")
        too_long = Unusable(
            reason=Reason.TEXT_TOO_LONG,
            detail=f"{len(data)} bytes; at most {self.max_chars} characters are read",
        )
        if len(data) > self.max_chars * _MAX_UTF8_BYTES:
            return too_long
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            return Unusable(
                reason=Reason.INVALID_UTF8, detail=f"byte {error.start} of {len(data)} is not UTF-8"
            )
        return text if len(text) <= self.max_chars else too_long

    def _feature(self, text: str) -> Feature | Unusable:
        weighted = hash_texts([text])[0] * self.weights.idf
        norm = float(np.linalg.norm(weighted))
        if norm == 0.0:
            return Unusable(reason=Reason.EMPTY_TEXT, detail=f"{len(text)} characters hold no word")
        return Feature(vector=weighted / np.float32(norm), contract_id=self.contract_id)
