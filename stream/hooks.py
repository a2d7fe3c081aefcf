"""What happens inside, as frozen facts for metrics and tests, of which the core knows nothing."""

from dataclasses import dataclass
from typing import Protocol

from index.records import Mask, Modality, Outcome
from stream.events import ClosedBy
from stream.reasons import Reason, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceived:
    """A record of an input topic was read. It ends as one of the four facts that follow."""

    modality: Modality
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAccepted:
    """The join took an event in."""

    modality: Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDuplicated:
    """The event had been accepted before."""

    modality: Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSkipped:
    """The output tail says that the event was settled before a restart."""

    modality: Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSetAside:
    """An event went to the dead letters. At stage `features` it had been accepted before."""

    modality: Modality
    reason: Reason
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowClosed:
    """The join let a window go; exactly one decision follows."""

    mask: Mask
    """The modalities that the window has events of."""
    closed_by: ClosedBy
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPublished:
    """A decision was delivered."""

    outcome: Outcome
    mask: Mask
    """The modalities that it was made from."""
    join_s: float
    """From the broker's append of the last input to the window's closing."""
    extract_s: float
    """From the window's closing to its last feature."""
    search_s: float
    total_s: float
    """From the broker's append of the last input to the delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimed:
    """A stage worked this long on one input."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentAnswered:
    """A request to the gallery got its result."""

    action: str
    accepted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryChanged:
    """The gallery followed its topic to a new version."""

    version: int
    identities: int
    templates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionMoved:
    """Where the join of a partition stands."""

    partition: int
    watermark_ms: int | None
    held_events: int
    held_subjects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReleased:
    """The join of a partition is no longer ours."""

    partition: int


Fact = (
    EventReceived
    | EventAccepted
    | EventDuplicated
    | EventSkipped
    | EventSetAside
    | WindowClosed
    | DecisionPublished
    | StageTimed
    | EnrolmentAnswered
    | GalleryChanged
    | PartitionMoved
    | PartitionReleased
)


class Observer(Protocol):
    """Whoever wants to know. Called from the event loop: it must return at once and never raise."""

    def observe(self, fact: Fact) -> None:
        """Takes note of a fact."""
        ...


class NullObserver:
    """Takes note of nothing."""

    def observe(self, fact: Fact) -> None:
        """Forgets the fact."""
