"""What happens inside, as frozen facts for metrics and tests, of which the core knows nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from index.records import Mask, Modality, Outcome, Threshold, Verdict
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
class DecisionAnnounced:
    """A decision about a window that still waits was delivered; it will be revised."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPublished:
    """A final decision was delivered."""

    verdict: Verdict
    mask: Mask
    """The modalities that it was made from."""
    closed_by: ClosedBy
    join_s: float
    """From the broker's append of the last input to the window's closing."""
    total_s: float
    """From the broker's append of the last input to the delivery."""
    overdue_s: float
    """From the first moment at which the window could close to the delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntered:
    """A stage took an input in; `StageLeft` follows."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLeft:
    """A stage is through with an input, whatever came of it."""

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
    changed_ms: int
    """When the change was made, by the clock of who made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFollowed:
    """The gallery's topic was asked for what is new."""

    behind_records: int
    """On the topic at its last answer, and not in the gallery yet."""
    answered_ms: int | None
    """When the broker last answered; None before its first answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdsMade:
    """The gallery has new thresholds."""

    thresholds: Mapping[Mask, Threshold]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionMoved:
    """Where the join of a partition stands."""

    partition: int
    watermark_ms: int | None
    held_events: int
    held_subjects: int
    unread_records: int
    """On the broker at its last answer, and not handed over yet."""
    unacked_records: int
    """Handed over and not acknowledged yet."""
    oldest_append_ms: int | None
    """Append of the record that has been under way longest; None when none is."""


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
    | DecisionAnnounced
    | DecisionPublished
    | StageEntered
    | StageLeft
    | EnrolmentAnswered
    | GalleryChanged
    | GalleryFollowed
    | ThresholdsMade
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
