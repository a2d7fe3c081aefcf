"""One fact of each kind, and what /metrics serves after them: every metric with all its labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry

from index.records import IMAGE, TEXT, Basis, Outcome, Threshold
from stream.events import ClosedBy, ClosedWindow, Window
from stream.hooks import (
    DecisionAnnounced,
    DecisionPublished,
    EnrolmentAnswered,
    EventAccepted,
    EventDuplicated,
    EventReceived,
    EventSetAside,
    EventSkipped,
    Fact,
    GalleryChanged,
    GalleryFollowed,
    PartitionMoved,
    PartitionReleased,
    StageEntered,
    StageLeft,
    ThresholdsMade,
    WindowClosed,
)
from stream.reasons import Reason, Stage
from stream.worker.health import Health
from stream.worker.metrics import PrometheusObserver, expose_health
from tests.stream_factories import decision, image, text

WINDOW = ClosedWindow(
    subject_id=image(1).subject_id,
    window=Window(start_ms=1, end_ms=2_001),
    closed_by=ClosedBy.COMPLETE,
    events=(image(1), text(2)),
)
VERDICT = replace(decision(WINDOW).verdict, margin=1.5)
THRESHOLD = Threshold(
    score=2.5,
    target_fpir=0.01,
    gallery_size=200,
    policy_id="test",
    basis=Basis.EXTRAPOLATED,
    searches=200,
    interval=(2.0, 3.5),
)

FACTS: tuple[Fact, ...] = (
    EventReceived(modality=IMAGE, size_bytes=1),
    EventAccepted(modality=IMAGE),
    EventDuplicated(modality=IMAGE),
    EventSkipped(modality=IMAGE),
    EventSetAside(modality=IMAGE, reason=Reason.LATE, stage=Stage.JOIN),
    WindowClosed(mask=frozenset({IMAGE}), closed_by=ClosedBy.COMPLETE, events=1),
    DecisionAnnounced(outcome=Outcome.MATCH),
    DecisionPublished(
        verdict=VERDICT,
        mask=frozenset({IMAGE, TEXT}),
        closed_by=ClosedBy.COMPLETE,
        join_s=0.1,
        total_s=0.3,
        overdue_s=0.3,
    ),
    StageEntered(stage="extract_image"),
    StageLeft(stage="extract_image", seconds=0.01),
    EnrolmentAnswered(action="enrol", accepted=True, reasons=()),
    GalleryChanged(version=1, identities=1, templates=1, changed_ms=1),
    GalleryFollowed(behind_records=0, answered_ms=1),
    ThresholdsMade(thresholds={frozenset({IMAGE}): THRESHOLD}),
    PartitionMoved(
        partition=0,
        watermark_ms=1,
        held_events=1,
        held_subjects=1,
        unread_records=1,
        unacked_records=1,
        oldest_append_ms=1,
    ),
    PartitionReleased(partition=1),
)

SUFFIXES = {"counter": "_total", "info": "_info"}
"""What the text format adds to a metric's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric as it is served."""

    kind: str
    labels: frozenset[str]
    """But for `le`."""
    samples: frozenset[str]
    """The names of its series: a histogram has `_bucket`, `_sum`, `_count`."""


def observed(*facts: Fact) -> CollectorRegistry:
    """A worker's registry after these facts."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    expose_health(registry, Health(), partitions=8)
    for fact in facts:
        observer.observe(fact)
    return registry


def families() -> Mapping[str, Family]:
    """Everything that a worker serves, by name."""
    return {
        family.name + SUFFIXES.get(family.type, ""): Family(
            kind=family.type,
            labels=frozenset(label for s in family.samples for label in s.labels if label != "le"),
            samples=frozenset(s.name for s in family.samples),
        )
        for family in observed(*FACTS).collect()
    }


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """The value of one series; None where there is none."""
    return registry.get_sample_value(name, labels)
