"""What is observed is what /metrics tells: no series outlives its truth, and none names anybody."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from index.records import Basis, Mask
from stream.events import ClosedBy, Window
from stream.hooks import GalleryFollowed, PartitionMoved, PartitionReleased, ThresholdsMade
from stream.worker.deciding import due_s
from stream.worker.health import Health
from stream.worker.metrics import OVERDUE_S, PrometheusObserver, expose_health, mask_label
from stream.worker.stages import stage
from tests.metric_factories import FACTS, IMAGE, THRESHOLD, VERDICT, WINDOW, observed, value

MOVED = next(fact for fact in FACTS if isinstance(fact, PartitionMoved))
BY_PARTITION = (
    "sightline_watermark_timestamp_seconds",
    "sightline_join_held_events",
    "sightline_join_held_subjects",
    "sightline_consumer_lag_records",
    "sightline_unacknowledged_records",
    "sightline_oldest_pending_timestamp_seconds",
)


@pytest.mark.parametrize("name", BY_PARTITION)
def test_a_partition_that_moved_away_has_no_series(name: str) -> None:
    """A worker tells nothing of a partition that another one has."""
    assert value(observed(MOVED), name, partition="0") is not None
    assert value(observed(MOVED, PartitionReleased(partition=0)), name, partition="0") is None


def test_nothing_pending_has_no_age() -> None:
    """A time that stood still would look like a record that waits for ever."""
    name = "sightline_oldest_pending_timestamp_seconds"
    assert value(observed(replace(MOVED, oldest_append_ms=5_000)), name, partition="0") == 5.0
    assert value(observed(MOVED, replace(MOVED, oldest_append_ms=None)), name, partition="0") is None


def test_an_input_is_in_its_stage_while_the_stage_works_on_it() -> None:
    """It went in, it is in, it came out; a failure comes out too."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)

    def fail() -> None:
        with stage(observer, "search"):
            assert value(registry, "sightline_stage_in_progress", stage="search") == 1
            assert value(registry, "sightline_stage_seconds_count", stage="search") is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert value(registry, "sightline_stage_in_total", stage="search") == 1
    assert value(registry, "sightline_stage_in_progress", stage="search") == 0
    assert value(registry, "sightline_stage_seconds_count", stage="search") == 1


@pytest.mark.parametrize("basis", Basis)
def test_a_threshold_has_one_basis(basis: Basis) -> None:
    """The others are 0, so that a change of basis leaves no second one behind."""
    other = next(b for b in Basis if b is not basis)
    made = [
        ThresholdsMade(thresholds={frozenset({IMAGE}): replace(THRESHOLD, basis=b)}) for b in (other, basis)
    ]
    registry = observed(*made)
    told = {b: value(registry, "sightline_threshold_basis", mask="image", basis=b) for b in Basis}
    assert told == {b: float(b is basis) for b in Basis}


def test_a_constant_has_no_interval() -> None:
    """Too few are enrolled for an estimate: the interval of the estimate before it goes."""
    mask = frozenset({IMAGE})
    estimated = ThresholdsMade(thresholds={mask: THRESHOLD})
    constant = ThresholdsMade(thresholds={mask: replace(THRESHOLD, basis=Basis.POLICY, interval=None)})
    for name, end in (("low", 2.0), ("high", 3.5)):
        series = f"sightline_threshold_{name}_nats"
        assert value(observed(estimated), series, mask="image") == end
        assert value(observed(estimated, constant), series, mask="image") is None


def test_a_gallery_whose_topic_never_answered_has_no_time() -> None:
    """Zero would be 1970; the last answer stands while none comes."""
    name = "sightline_gallery_answered_timestamp_seconds"
    silent = GalleryFollowed(behind_records=0, answered_ms=None)
    assert value(observed(GalleryFollowed(behind_records=0, answered_ms=7_000), silent), name) == 7.0


def test_no_label_names_a_subject_or_an_identity() -> None:
    """The facts carry them; the text that is served does not."""
    text = generate_latest(observed(*FACTS)).decode()
    assert VERDICT.candidates[0].identity_id == "ann"
    assert "ann" not in text
    assert f'"{WINDOW.subject_id}"' not in text


def test_late_decisions_are_counted_from_zero_on() -> None:
    """A rule sees the first one as an increase only if the series was there before."""
    registry = observed()
    for closed_by in ClosedBy:
        assert value(registry, "sightline_decision_overdue_seconds_count", closed_by=closed_by) == 0


def test_health_is_asked_by_each_scrape() -> None:
    """Readiness and the loop's age are of the moment of the scrape, even when the loop is stuck."""
    registry, health = CollectorRegistry(), Health()
    expose_health(registry, health, partitions=8)
    assert value(registry, "sightline_ready") == 0
    health.assigned, health.recovered, health.gallery_ready = 3, True, True
    assert value(registry, "sightline_ready") == 1
    assert value(registry, "sightline_assigned_partitions") == 3
    health.turned_at_s -= 100
    assert value(registry, "sightline_ready") == 0
    assert (value(registry, "sightline_loop_age_seconds") or 0) >= 100


@pytest.mark.parametrize(
    ("closed_by", "append_s", "due"),
    [
        (ClosedBy.COMPLETE, 1.2, 1.2),
        (ClosedBy.DEADLINE, 1.2, 4.0),
        (ClosedBy.END_OF_SUBJECT, 1.2, 4.0),
        (ClosedBy.DEADLINE, 9.0, 9.0),
    ],
    ids=[
        "complete with its last input",
        "the window's end and the grace",
        "a marker waits for the grace too",
        "an input that was appended after the deadline",
    ],
)
def test_a_window_is_due_as_soon_as_it_can_close(closed_by: ClosedBy, append_s: float, due: float) -> None:
    """Waiting that the join's laws ask for is not the service's delay."""
    closed = replace(WINDOW, closed_by=closed_by, window=Window(start_ms=1_000, end_ms=3_000))
    assert due_s(closed, append_s, grace_s=1.0) == due


@pytest.mark.parametrize(
    ("mask", "label"), [(frozenset(), "none"), (frozenset({"text", "image"}), "image+text")]
)
def test_a_mask_has_one_name(mask: Mask, label: str) -> None:
    """Whatever the order of its modalities."""
    assert mask_label(mask) == label


def test_the_objective_of_freshness_is_a_bound() -> None:
    """What the alert counts is counted, not interpolated."""
    assert 2.0 in OVERDUE_S
