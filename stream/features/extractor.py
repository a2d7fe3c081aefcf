"""The Extractor port: what turns a payload into a feature, one per modality, kept in a list by name."""

from dataclasses import dataclass
from typing import Protocol

from index.records import ContractId, Feature, Modality
from stream.reasons import Reason

EMBEDDING_CONTENT_TYPE = "application/vnd.sightline.embedding+json"
"""A precomputed embedding, for any modality: `{"contract_id": …, "vector": [D numbers], "quality"?: …}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A payload no feature can be had from, and why. A value, never an exception."""

    reason: Reason
    detail: str
    """For people: what was found and what was allowed. Never quotes payload bytes."""


class Extractor(Protocol):
    """Payload to feature for one modality. Thread-safe, deterministic, bounded in memory, free of I/O."""

    @property
    def modality(self) -> Modality:
        """The modality of the features it makes."""
        ...

    @property
    def contract_id(self) -> ContractId:
        """Names the model pack, its files' hashes and the preprocessing: what makes vectors comparable."""
        ...

    @property
    def dimension(self) -> int:
        """D of the vectors it makes and accepts."""
        ...

    @property
    def content_types(self) -> frozenset[str]:
        """What it decodes, without parameters, in lower case; always with `EMBEDDING_CONTENT_TYPE`."""
        ...

    @property
    def default_content_type(self) -> str:
        """What a payload is taken for whose sender does not say."""
        ...

    def extract(self, content_type: str, data: bytes) -> Feature | Unusable:
        """The feature of one payload, or the reason there is none. Never raises for bad input."""
        ...
