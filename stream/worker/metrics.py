"""The core's facts as Prometheus metrics: base units, and no subject or identity as a label."""

import contextlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

from index.records import Mask
from stream.hooks import (
    DecisionPublished,
    EnrolmentAnswered,
    EventAccepted,
    EventDuplicated,
    EventReceived,
    EventSetAside,
    EventSkipped,
    Fact,
    GalleryChanged,
    PartitionMoved,
    PartitionReleased,
    StageTimed,
    WindowClosed,
)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def mask_label(mask: Mask) -> str:
    """`image+text`; `none` for the empty mask."""
    return "+".join(sorted(mask)) or "none"


class PrometheusObserver:
    """Observes facts into one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sightline_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"sightline_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"sightline_{name}", text, labels, registry=registry, buckets=SECONDS)

        self._received = counter("events_received", "Records read from the input topics", "modality")
        self._received_bytes = counter("events_received_bytes", "Their values' sizes", "modality")
        self._accepted = counter("events_accepted", "Events that the join took in", "modality")
        self._duplicated = counter("events_duplicated", "Events accepted before", "modality")
        self._skipped = counter("events_skipped", "Events settled before a restart", "modality")
        self._dead_letters = counter("dead_letters", "Events set aside", "modality", "stage", "reason")
        self._windows = counter("windows_closed", "Windows let go by the join", "mask", "closed_by")
        self._decisions = counter("decisions", "Decisions delivered", "outcome", "mask")
        self._latency = histogram(
            "decision_latency_seconds", "From the append of a decision's last input to its delivery", "mask"
        )
        self._stage = histogram("stage_seconds", "Time that a stage took for one input", "stage")
        self._enrolments = counter("enrolments", "Enrolment requests answered", "action", "accepted")
        self._gallery = gauge("gallery_identities", "Identities enrolled")
        self._templates = gauge("gallery_templates", "Templates enrolled")
        self._version = gauge("gallery_version", "Offset of the gallery topic that is followed")
        self._watermark = gauge("watermark_seconds", "Event time that a partition has reached", "partition")
        self._held = gauge("join_held_events", "Events that wait in the join", "partition")
        self._subjects = gauge("join_held_subjects", "Subjects that wait in the join", "partition")
        Info("sightline_build", "What runs here", registry=registry).info({"version": version("sightline")})
        ProcessCollector(registry=registry)
        self._take: Mapping[type, Callable[[Any], None]] = {
            EventReceived: self._event_received,
            EventAccepted: lambda f: self._accepted.labels(f.modality).inc(),
            EventDuplicated: lambda f: self._duplicated.labels(f.modality).inc(),
            EventSkipped: lambda f: self._skipped.labels(f.modality).inc(),
            EventSetAside: lambda f: self._dead_letters.labels(f.modality, f.stage, f.reason).inc(),
            WindowClosed: lambda f: self._windows.labels(mask_label(f.mask), f.closed_by).inc(),
            DecisionPublished: self._decision_published,
            StageTimed: lambda f: self._stage.labels(f.stage).observe(f.seconds),
            EnrolmentAnswered: lambda f: self._enrolments.labels(f.action, str(f.accepted).lower()).inc(),
            GalleryChanged: self._gallery_changed,
            PartitionMoved: self._partition_moved,
            PartitionReleased: self._partition_released,
        }

    def observe(self, fact: Fact) -> None:
        """Takes note of a fact."""
        self._take[type(fact)](fact)

    def _event_received(self, fact: EventReceived) -> None:
        self._received.labels(fact.modality).inc()
        self._received_bytes.labels(fact.modality).inc(fact.size_bytes)

    def _decision_published(self, fact: DecisionPublished) -> None:
        mask = mask_label(fact.mask)
        self._decisions.labels(fact.outcome, mask).inc()
        self._latency.labels(mask).observe(fact.total_s)
        for stage, seconds in (
            ("join", fact.join_s),
            ("await_features", fact.extract_s),
            ("search", fact.search_s),
        ):
            self._stage.labels(stage).observe(max(0.0, seconds))

    def _gallery_changed(self, fact: GalleryChanged) -> None:
        self._gallery.set(fact.identities)
        self._templates.set(fact.templates)
        self._version.set(fact.version)

    def _partition_moved(self, fact: PartitionMoved) -> None:
        if fact.watermark_ms is not None:
            self._watermark.labels(fact.partition).set(fact.watermark_ms / 1000)
        self._held.labels(fact.partition).set(fact.held_events)
        self._subjects.labels(fact.partition).set(fact.held_subjects)

    def _partition_released(self, fact: PartitionReleased) -> None:
        # A gauge that nobody moves any more would tell of a partition that another worker has.
        for one in (self._watermark, self._held, self._subjects):
            with contextlib.suppress(KeyError):
                one.remove(fact.partition)
