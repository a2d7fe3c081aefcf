"""The examples for other people's programs work as they stand, on a real broker and worker."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream.demo.choice import REPOSITORY
from stream.demo.people import People
from stream.worker.settings import Settings
from tests.e2e.harness import WorkerProcess
from tests.e2e.scene import enrol

pytestmark = pytest.mark.kafka

WITHIN_S = 60


def example(name: str, settings: Settings, *arguments: str) -> str:
    """What an example prints."""
    command = [sys.executable, str(REPOSITORY / "examples" / name), "--bootstrap", settings.bootstrap]
    ended = subprocess.run(
        [*command, "--prefix", settings.topic_prefix, *arguments],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_what_the_producer_publishes_the_consumer_hears_of(
    settings: Settings, worker: WorkerProcess, people: People, tmp_path: Path
) -> None:
    """A photo and a text of somebody who is enrolled become one decision, complete, about that subject."""
    enrol(settings, worker, people.enrolled[:6])
    person = people.enrolled[0]
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(person.probes[0].read())
    text = person.probes[0].caption or "a person"
    assert (
        example("produce.py", settings, "gate-7", str(photo), text)
        == "published a photo and a text of gate-7\n"
    )
    group = f"{settings.app_id}-example"
    subject, outcome, *_ = example("consume.py", settings, "--group", group, "--limit", "1").split()
    assert subject == "gate-7"
    assert outcome in {"match", "no_match", "ambiguous", "conflict"}
