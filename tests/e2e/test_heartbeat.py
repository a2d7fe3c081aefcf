"""The watermark is the heartbeat: it goes on without events, and stands when the broker does not answer."""

import asyncio
import time
from pathlib import Path

import pytest

from stream.local.kafka import LocalKafka
from stream.worker.admin import init_topics
from stream.worker.settings import Settings
from tests.e2e.harness import WorkerProcess
from tests.e2e.scene import metric

pytestmark = pytest.mark.kafka

WATERMARK = "sightline_watermark_timestamp_seconds"
ANSWERED = "sightline_gallery_answered_timestamp_seconds"
BEHIND_S = 2.0
"""How far an idle partition's event time may stay behind the clock: a fetch, a sweep, a busy machine."""


def test_the_watermark_beats_without_events_and_stands_without_a_broker(
    broker: LocalKafka, model_files: None, no_environment: None, tmp_path: Path
) -> None:
    """Fetch, assignment, clock and sweep of each partition work, or its series stands still."""
    settings = Settings(bootstrap=broker.bootstrap, partitions=2, session_timeout_s=20)
    asyncio.run(init_topics(settings))
    with WorkerProcess(settings, tmp_path / "worker.log") as worker:
        worker.wait_ready()
        beats = [f'partition="{number}"' for number in range(settings.partitions)]
        for _ in range(2):
            for beat in beats:
                worker.wait_for(
                    lambda beat=beat: time.time() - metric(worker, WATERMARK, beat) < BEHIND_S, "beating", 20
                )
            worker.wait_for(lambda: time.time() - metric(worker, ANSWERED) < BEHIND_S, "following", 20)
            time.sleep(BEHIND_S)
        broker.kill()
        killed_s = time.time()
        worker.wait_for(lambda: time.time() - killed_s > 2 * BEHIND_S, "without its broker", 20)
        for beat in beats:
            assert metric(worker, WATERMARK, beat) <= killed_s + 0.5
        assert metric(worker, ANSWERED) <= killed_s + 0.5
        broker.restart()
        for beat in beats:
            worker.wait_for(lambda beat=beat: metric(worker, WATERMARK, beat) > killed_s + 1, "back", 30)
