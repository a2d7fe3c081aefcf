"""With SIGHTLINE_LOG_JSON every line of a worker is one JSON object, whoever wrote it."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.harness import WorkerProcess

pytestmark = pytest.mark.kafka

ALWAYS = {"event", "level", "logger", "timestamp"}


def test_every_line_is_an_object(start_worker: Callable[..., WorkerProcess]) -> None:
    """Ours and the engine's, from the start to the stop: a line that is none breaks whoever collects them."""
    worker = start_worker(log_json=True)
    worker.wait_ready()
    assert worker.terminate() == 0
    lines = [json.loads(line) for line in worker.log.read_text(encoding="utf-8").splitlines()]
    assert {"partitions taken over", "worker stopped"} <= {line["event"] for line in lines}
    assert all(line.keys() >= ALWAYS for line in lines)


def test_a_failure_is_an_object_too(start_worker: Callable[..., WorkerProcess]) -> None:
    """Its last line says why it ended, in one line with its level."""
    worker = start_worker(log_json=True, partitions=3)
    assert worker.process.wait(60) == 1
    lines = [json.loads(line) for line in worker.log.read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["level"] == "critical"
    assert "partition count" in lines[-1]["error"]
