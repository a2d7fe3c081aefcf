"""A decision record as its readers see it: the fields of schema_version 1, later ones ignored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from index.records import Outcome
from stream.events import ClosedBy, Source


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class WindowPart(_Part):
    """The span of event time that was decided."""

    start_ms: int
    end_ms: int
    closed_by: ClosedBy | None
    """None where the window still waited: see `DecisionRecord.final`."""


class CandidatePart(_Part):
    """One identity of the candidate list."""

    rank: int
    identity_id: str
    template_id: str
    score: float
    probability: float
    similarity: Mapping[str, float]


class ThresholdPart(_Part):
    """The score that a match needed."""

    score: float
    target_fpir: float
    gallery_size: int
    policy_id: str
    basis: str = "policy"
    searches: int = 0
    interval: tuple[float, float] | None = None


class WeakPart(_Part):
    """A feature that was passed over: its quality is under the floor."""

    modality: str
    quality: float
    floor: float


class RivalPart(_Part):
    """Another identity over the threshold, too close to choose."""

    identity_id: str
    lead: float
    needed: float


class AgreementPart(_Part):
    """How little what speaks against the identity is of it."""

    llr: float
    needed: float


class SufficientPart(_Part):
    """One sample that would have made a match of it."""

    modality: str
    similarity: float
    was: float | None = None
    quality: float | None = None


class ExplanationPart(_Part):
    """Why the decision is no match."""

    identity_id: str | None
    short_by: float | None
    weak: tuple[WeakPart, ...]
    rival: RivalPart | None
    against: str | None
    agreement: AgreementPart | None = None
    would_suffice: tuple[SufficientPart, ...]


class MissingPart(_Part):
    """A modality that was not there, or a sample that could not be used: then with its coordinates."""

    modality: str
    reason: str
    event_id: str | None = None
    source: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    event_time_ms: int | None = None


class ModalitiesPart(_Part):
    """What the decision was made from, and without."""

    used: tuple[str, ...]
    missing: tuple[MissingPart, ...]


class MarkerPart(_Part):
    """An end-of-subject marker that the decision covers."""

    event_id: str
    source: str
    """`ce_source`, the producer; not the place in the log."""
    topic: str
    partition: int
    offset: int
    event_time_ms: int


class InputPart(MarkerPart):
    """A sample that the decision was made from."""

    modality: str
    quality: float | None = None


class ModelPart(_Part):
    """The embedding contracts in use."""

    contract_id: str
    """All of them in the order of their modalities, joined by `+`."""
    contracts: Mapping[str, str] = Field(default_factory=dict)


class GalleryPart(_Part):
    """The one state of the gallery that was searched."""

    version: int
    identities: int
    templates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredInput:
    """An input that a decision speaks for, used or not: what recovery skips and knows as seen."""

    input: Source
    origin: str
    event_id: str
    event_time_ms: int


class DecisionRecord(_Part):
    """A decision as its readers see it. Fields of later minor versions are ignored."""

    schema_version: Literal[1]
    decision_id: str
    revision: int
    supersedes: str | None
    final: bool = True
    """False: its window still waited, and a revision follows that supersedes it."""
    subject_id: str
    window: WindowPart
    outcome: Outcome
    reasons: tuple[str, ...]
    identity_id: str | None
    candidates: tuple[CandidatePart, ...]
    margin: float | None
    threshold: ThresholdPart | None
    explanation: ExplanationPart | None = None
    """None for a match."""
    modalities: ModalitiesPart
    inputs: tuple[InputPart, ...]
    markers: tuple[MarkerPart, ...] = ()
    model: ModelPart
    gallery: GalleryPart
    event_time_ms: int
    late: bool

    def covered(self) -> tuple[CoveredInput, ...]:
        """Every input this decision speaks for: used, dead-lettered on the way, and markers."""
        parts: tuple[MarkerPart | MissingPart, ...] = (*self.inputs, *self.modalities.missing, *self.markers)
        return tuple(
            CoveredInput(
                input=Source(topic=part.topic, partition=part.partition, offset=part.offset),
                origin=part.source,
                event_id=part.event_id,
                event_time_ms=part.event_time_ms,
            )
            for part in parts
            if part.topic is not None
            and part.partition is not None
            and part.offset is not None
            and part.source is not None
            and part.event_id is not None
            and part.event_time_ms is not None
        )
