"""The core's facts as Prometheus metrics: base units, and no subject or identity as a label."""

import contextlib
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

from index.records import Basis, Mask
from stream.events import ClosedBy
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
from stream.worker.health import Health

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
OVERDUE_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""With a bound at 2 s: the objective of freshness is counted exactly, not interpolated."""
SCORE_NATS = (-20.0, -10.0, -5.0, -2.5, 0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 30.0, 50.0)
MARGIN_NATS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)


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

        def histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"sightline_{name}", text, labels, registry=registry, buckets=bounds)

        self._received = counter("events_received", "Records read from the input topics", "modality")
        self._received_bytes = counter("events_received_bytes", "Their values' sizes", "modality")
        self._accepted = counter("events_accepted", "Events that the join took in", "modality")
        self._duplicated = counter("events_duplicated", "Events accepted before", "modality")
        self._skipped = counter("events_skipped", "Events settled before a restart", "modality")
        self._dead_letters = counter("dead_letters", "Events set aside", "modality", "stage", "reason")
        self._windows = counter("windows_closed", "Windows let go by the join", "mask", "closed_by")
        self._decisions = counter("decisions", "Final decisions delivered", "outcome", "mask")
        self._early = counter("early_decisions", "Decisions delivered that will be revised", "outcome")
        self._reasons = counter("decision_reasons", "Reasons and warnings that decisions gave", "reason")
        self._latency = histogram(
            "decision_latency_seconds",
            "From the append of a decision's last input to its delivery",
            SECONDS,
            "mask",
        )
        self._overdue = histogram(
            "decision_overdue_seconds",
            "From the first moment at which a window could close to its decision's delivery",
            OVERDUE_S,
            "closed_by",
        )
        self._score = histogram("best_score_nats", "Score of a decision's best candidate", SCORE_NATS, "mask")
        self._margin = histogram(
            "score_margin_nats", "Score of rank 1 less that of rank 2", MARGIN_NATS, "mask"
        )
        self._threshold = gauge("threshold_nats", "Score that a match needs", "mask")
        self._low = gauge("threshold_low_nats", "Lower end of the threshold's 95 % interval", "mask")
        self._high = gauge("threshold_high_nats", "Upper end of the threshold's 95 % interval", "mask")
        self._searches = gauge("leave_one_out_searches", "Searches that a threshold was made from", "mask")
        self._target = gauge("target_fpir", "Share of strangers that may be returned, as asked for", "mask")
        self._basis = gauge("threshold_basis", "1 for what a threshold was derived from", "mask", "basis")
        self._entered = counter("stage_in", "Inputs that a stage took in", "stage")
        self._inside = gauge("stage_in_progress", "Inputs that are in a stage now", "stage")
        self._stage = histogram("stage_seconds", "Time that a stage took for one input", SECONDS, "stage")
        self._left = gauge(
            "stage_last_processed_timestamp_seconds", "When a stage last finished one", "stage"
        )
        self._enrolments = counter("enrolments", "Enrolment requests answered", "action", "accepted")
        self._identities = gauge("gallery_identities", "Identities enrolled")
        self._templates = gauge("gallery_templates", "Templates enrolled")
        self._version = gauge("gallery_version", "Offset of the gallery topic that is followed")
        self._changed = gauge("gallery_changed_timestamp_seconds", "When the gallery's last change was made")
        self._behind = gauge("gallery_behind_records", "Changes of the gallery that are not applied yet")
        self._answered = gauge("gallery_answered_timestamp_seconds", "When the gallery's topic last answered")
        self._watermark = gauge("watermark_timestamp_seconds", "Event time that is reached", "partition")
        self._held = gauge("join_held_events", "Events that wait in the join", "partition")
        self._subjects = gauge("join_held_subjects", "Subjects that wait in the join", "partition")
        self._unread = gauge(
            "consumer_lag_records", "Records of the inputs that are not read yet", "partition"
        )
        self._unacked = gauge("unacknowledged_records", "Records read and not acknowledged yet", "partition")
        self._oldest = gauge(
            "oldest_pending_timestamp_seconds", "Append of the record that is under way longest", "partition"
        )
        build = {"version": version("sightline"), "python": platform.python_version()}
        Info("sightline_build", "What runs here", registry=registry).info(build)
        ProcessCollector(registry=registry)
        for closed_by in ClosedBy:
            # From zero on: the first late decision after a start is an increase that a rule can see.
            self._overdue.labels(closed_by)
        self._take: Mapping[type, Callable[[Any], None]] = {
            EventReceived: self._event_received,
            EventAccepted: lambda f: self._accepted.labels(f.modality).inc(),
            EventDuplicated: lambda f: self._duplicated.labels(f.modality).inc(),
            EventSkipped: lambda f: self._skipped.labels(f.modality).inc(),
            EventSetAside: lambda f: self._dead_letters.labels(f.modality, f.stage, f.reason).inc(),
            WindowClosed: lambda f: self._windows.labels(mask_label(f.mask), f.closed_by).inc(),
            DecisionAnnounced: lambda f: self._early.labels(f.outcome).inc(),
            DecisionPublished: self._decision_published,
            StageEntered: self._stage_entered,
            StageLeft: self._stage_left,
            EnrolmentAnswered: lambda f: self._enrolments.labels(f.action, str(f.accepted).lower()).inc(),
            GalleryChanged: self._gallery_changed,
            GalleryFollowed: self._gallery_followed,
            ThresholdsMade: self._thresholds_made,
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
        mask, verdict = mask_label(fact.mask), fact.verdict
        self._decisions.labels(verdict.outcome, mask).inc()
        for reason in verdict.reasons:
            self._reasons.labels(reason).inc()
        self._latency.labels(mask).observe(max(0.0, fact.total_s))
        self._overdue.labels(fact.closed_by).observe(max(0.0, fact.overdue_s))
        self._stage.labels("join").observe(max(0.0, fact.join_s))
        if verdict.candidates:
            self._score.labels(mask).observe(verdict.candidates[0].score)
        if verdict.margin is not None:
            self._margin.labels(mask).observe(verdict.margin)

    def _stage_entered(self, fact: StageEntered) -> None:
        self._entered.labels(fact.stage).inc()
        self._inside.labels(fact.stage).inc()

    def _stage_left(self, fact: StageLeft) -> None:
        self._inside.labels(fact.stage).dec()
        self._stage.labels(fact.stage).observe(fact.seconds)
        self._left.labels(fact.stage).set(time.time())

    def _gallery_changed(self, fact: GalleryChanged) -> None:
        self._identities.set(fact.identities)
        self._templates.set(fact.templates)
        self._version.set(fact.version)
        self._changed.set(fact.changed_ms / 1000)

    def _gallery_followed(self, fact: GalleryFollowed) -> None:
        self._behind.set(fact.behind_records)
        if fact.answered_ms is not None:
            self._answered.set(fact.answered_ms / 1000)

    def _thresholds_made(self, fact: ThresholdsMade) -> None:
        for modalities, threshold in fact.thresholds.items():
            mask = mask_label(modalities)
            self._threshold.labels(mask).set(threshold.score)
            self._searches.labels(mask).set(threshold.searches)
            self._target.labels(mask).set(threshold.target_fpir)
            if threshold.interval is None:
                _forget(self._low, mask)
                _forget(self._high, mask)
            else:
                low, high = threshold.interval
                self._low.labels(mask).set(low)
                self._high.labels(mask).set(high)
            for basis in Basis:
                self._basis.labels(mask, basis).set(threshold.basis is basis)

    def _partition_moved(self, fact: PartitionMoved) -> None:
        if fact.watermark_ms is not None:
            self._watermark.labels(fact.partition).set(fact.watermark_ms / 1000)
        self._held.labels(fact.partition).set(fact.held_events)
        self._subjects.labels(fact.partition).set(fact.held_subjects)
        self._unread.labels(fact.partition).set(fact.unread_records)
        self._unacked.labels(fact.partition).set(fact.unacked_records)
        if fact.oldest_append_ms is None:
            _forget(self._oldest, fact.partition)
        else:
            self._oldest.labels(fact.partition).set(fact.oldest_append_ms / 1000)

    def _partition_released(self, fact: PartitionReleased) -> None:
        # A gauge that nobody moves any more would tell of a partition that another worker has.
        for one in (self._watermark, self._held, self._subjects, self._unread, self._unacked, self._oldest):
            _forget(one, fact.partition)


def _forget(gauge: Gauge, label: object) -> None:
    with contextlib.suppress(KeyError):
        gauge.remove(label)


def expose_health(registry: CollectorRegistry, health: Health, *, partitions: int) -> None:
    """Lets each scrape ask a worker's health, so that the answer is fresh even when the event loop is stuck.

    Args:
        registry: That is scraped.
        health: The worker's.
        partitions: Of the inputs, as the settings have them.
    """

    def gauge(name: str, text: str, ask: Callable[[], float]) -> None:
        Gauge(f"sightline_{name}", text, registry=registry).set_function(ask)

    gauge("ready", "1 while this worker answers /readyz by 200", lambda: not health.unready())
    gauge("assigned_partitions", "Partitions of the inputs that this worker owns", lambda: health.assigned)
    gauge("configured_partitions", "Partitions of the inputs, by the settings", lambda: partitions)
    gauge("loop_age_seconds", "Since the event loop last came round", lambda: health.loop_age_s)
