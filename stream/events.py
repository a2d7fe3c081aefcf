"""The facts that flow through the service: frozen, past tense, no behaviour and no pixels after decoding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NewType

from index.records import Feature, IdentityId, Modality, Template, TemplateId, Verdict
from stream.reasons import Reason, Stage

SubjectId = NewType("SubjectId", str)
EventId = NewType("EventId", str)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Source:
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRecord:
    """A record as the broker handed it over, before anything was believed."""

    source: Source
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int
    """The broker's append time (the topics are made with LogAppendTime): the one clock nobody can forge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One accepted event, without its payload: what the join needs to know."""

    event_id: EventId
    origin: str
    """`ce_source`; with `event_id` the dedupe key."""
    subject_id: SubjectId
    modality: Modality | None
    """None for an end-of-subject marker."""
    event_time_ms: int
    source: Source
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A decoded event with the payload that becomes a feature."""

    event: Event
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A record that cannot be used, with a stable reason code. A value, never an exception."""

    source: Source
    reason: Reason
    stage: Stage
    detail: str
    """For people: what was found and what was allowed. Never quotes payload bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """An event that came after its window was closed."""

    event: Event
    late_by_ms: int
    reason: Reason
    """LATE: beyond grace behind the watermark; WINDOW_DECIDED: its window was decided early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """An event whose (origin, event_id) had been accepted before."""

    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of event time, half-open: start <= t < end."""

    start_ms: int
    end_ms: int


class ClosedBy(StrEnum):
    """What closed a window."""

    COMPLETE = "complete"
    DEADLINE = "deadline"
    END_OF_SUBJECT = "end_of_subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedWindow:
    """All events of one subject in one window, and what closed it. The join's answer."""

    subject_id: SubjectId
    window: Window
    closed_by: ClosedBy
    events: tuple[Event, ...]
    """By (event time, source): the same whatever the order of arrival. Never empty; markers are not in it."""
    markers: tuple[Event, ...] = ()
    """End-of-subject markers that this decision covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWindow:
    """A window that still waits, as it stands after an event changed it."""

    subject_id: SubjectId
    window: Window
    events: tuple[Event, ...]
    """By (event time, source). Never empty."""
    closed_by: ClassVar[None] = None
    markers: ClassVar[tuple[Event, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSample:
    """One usable sample of a probe."""

    event: Event
    feature: Feature


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An expected modality that the probe does not have, or a sample that could not be used."""

    modality: Modality
    reason: Reason
    event: Event | None = None
    """The event that was dead-lettered for it; None when none was received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Everything known about a subject in one window."""

    subject_id: SubjectId
    window: Window
    closed_by: ClosedBy | None
    """None while the window still waits: what is decided then may be revised."""
    samples: tuple[ProbeSample, ...]
    missing: tuple[Missing, ...]
    markers: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryState:
    """Which gallery a decision was made in."""

    version: int
    identities: int
    templates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The service's answer about one probe: a pure function of inputs, gallery version and policy."""

    decision_id: str
    """Hash of the subject and its input coordinates, and of whether it is final: a replay gives the same."""
    probe: Probe
    verdict: Verdict
    model_contracts: Mapping[Modality, str]
    gallery: GalleryState
    revision: int = 1
    supersedes: str | None = None
    """Id of the revision before, which this one replaces."""
    late: bool = False

    @property
    def final(self) -> bool:
        """Whether its window is closed, so that no revision follows."""
        return self.probe.closed_by is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSample:
    """A payload before extraction, with what its sender says it is."""

    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRequest:
    """A request through the one door of the gallery."""

    request_id: str
    identity_id: str
    template_id: str | None
    action: str
    """`enrol` or `withdraw`."""
    samples: Mapping[Modality, RawSample] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    consent_ref: str | None = None
    expires_at_ms: int | None = None
    requested_at_ms: int = 0
    """The request record's timestamp; becomes the template's `enrolled_at_ms`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resemblance:
    """Somebody else who is enrolled, and how much a new sample is like them."""

    identity_id: IdentityId
    template_id: TemplateId
    """The sample of theirs nearest to the new one."""
    score: float
    threshold: float
    """From which score on the service would return the new sample as them."""
    similarity: Mapping[Modality, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentResult:
    """What became of a request."""

    request_id: str
    identity_id: str
    template_id: str | None
    accepted: bool
    reasons: tuple[str, ...]
    """Codes of what rejected it; none when it was accepted."""
    detail: str
    warnings: tuple[str, ...] = ()
    """Codes of what a person should look at."""
    resembles: Resemblance | None = None
    """Who else it may be a sample of, where that is a reason or a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A template that appeared in the gallery topic."""

    template: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A template that the gallery topic erased."""

    identity_id: IdentityId
    template_id: TemplateId


GalleryChange = Enrolled | Withdrawn
