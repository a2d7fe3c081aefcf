"""The pipeline benchmark does what it says: one job, done alike by all, and its numbers complete."""

import json
import subprocess
import sys
from typing import Any

import pytest

from stream.demo.choice import REPOSITORY

pytestmark = pytest.mark.kafka

SUBJECTS = 12
TIMEOUT_S = 240
"""Far over what it takes: a minute, of which most is the start of broker, models and worker."""
CONTENDERS = {"bare", "client", "sightline"}
RIGHT = 0.8
"""Of mated searches, at least: on rendered people, who are much alike; real ones do better."""


@pytest.fixture(scope="module")
def report(model_cache: object) -> dict[str, Any]:
    """What `bench/pipeline.py --quick --json` prints."""
    command = [sys.executable, "bench/pipeline.py", "--quick", "--json", "--seconds", "1", "--rate", "5"]
    done = subprocess.run(
        [*command, "--subjects", str(SUBJECTS)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_contender_decides_every_subject_alike(report: dict[str, Any]) -> None:
    """Outcome, identity and every candidate's score are the same, with a durable join or without."""
    assert report["decisions"]["as_bare"] == dict.fromkeys(CONTENDERS, SUBJECTS)


def test_what_all_decide_is_right(report: dict[str, Any]) -> None:
    """Subjects are known and unknown by turns; known ones are found, and nobody is taken for another."""
    decided = report["decisions"]
    assert decided["mated"] == decided["non_mated"] == SUBJECTS // 2
    assert decided["mated_matched_right"] >= RIGHT * decided["mated"]
    assert decided["matched_wrong"] == 0


@pytest.mark.parametrize("cost", ["subjects_per_s", "cpu_s_per_1000"])
def test_every_contender_s_cost_is_told(report: dict[str, Any], cost: str) -> None:
    """Throughput and CPU time are there as median and extremes, in order and not nothing."""
    assert set(report["contenders"]) == CONTENDERS
    for row in report["contenders"].values():
        assert 0 < row[cost]["min"] <= row[cost]["median"] <= row[cost]["max"]


def test_the_broker_s_cost_stands_beside_its_clients(report: dict[str, Any]) -> None:
    """Where there is a broker its CPU time is told apart; the bare loop has none."""
    broker = {c: row["broker_cpu_s_per_1000"] for c, row in report["contenders"].items()}
    assert broker.pop("bare") is None
    assert all(spread["median"] > 0 for spread in broker.values())


def test_ratios_are_those_of_the_costs(report: dict[str, Any]) -> None:
    """With one round, the worker over the bare loop is the quotient of their rows."""
    ours, bare = (report["contenders"][c] for c in ("sightline", "bare"))
    ratio = report["ratios"]["sightline/bare"]
    for of, cost in (("throughput", "subjects_per_s"), ("cpu", "cpu_s_per_1000")):
        quotient = ours[cost]["median"] / bare[cost]["median"]
        assert ratio[of]["median"] == pytest.approx(quotient, rel=0.02)  # both are rounded


def test_latency_counts_every_subject_after_the_warm_up(report: dict[str, Any]) -> None:
    """Client and worker answer each subject of the last second, and percentiles rise."""
    assert [row["contender"] for row in report["latencies"]] == ["client", "sightline"]
    for row in report["latencies"]:
        assert row["subjects"] == row["subjects_per_s"] == 5
        assert 0 <= row["ms"]["p50"] <= row["ms"]["p95"] <= row["ms"]["p99"]


def test_the_conditions_are_told(report: dict[str, Any]) -> None:
    """A number without its job and its machine is worth nothing."""
    assert report["job"]["subjects"] == SUBJECTS
    assert report["job"]["identities"] > 0
    assert report["machine"]["cores"] >= 1
    assert all(report["machine"]["libraries"].values())
