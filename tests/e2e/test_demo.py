"""The demo as a newcomer runs it: from nothing to an account of every event, and nothing left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.local.kafka import LocalKafka
from stream.worker.admin import admin_client
from stream.worker.settings import Settings

pytestmark = pytest.mark.kafka

SMALL = ("--people", "12", "--rate", "8", "--seconds", "5")
TINY = ("--people", "3", "--rate", "5", "--seconds", "1")
DEADLINE_S = 240
STOPS_WITHIN_S = 60
KINDS_OF_POISON = 15


@pytest.fixture
def environment(no_environment: None) -> dict[str, str]:
    """The environment without settings of the developer's own."""
    return dict(os.environ)


def demo(*options: str) -> list[str]:
    """The command, as the console script runs it."""
    return [
        sys.executable,
        "-c",
        "from stream.cli.main import main; main()",
        "demo",
        "--rendered",
        "--json",
        *options,
    ]


def descendants(pid: int) -> set[int]:
    """Process ids of everything that a process has started and that still runs."""
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), set()).add(int(stat.parent.name))
    found: set[int] = set()
    unseen = [pid]
    while unseen:
        fresh = children.get(unseen.pop(), set()) - found
        found |= fresh
        unseen += fresh
    return found


def running(pids: set[int]) -> set[int]:
    """Those that still run."""
    return {
        pid
        for pid in pids
        if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
    }


def test_the_demo_accounts_for_every_event(environment: dict[str, str]) -> None:
    """One JSON object on stdout, exit code 0, and numbers that say the service did its job."""
    done = subprocess.run(
        demo(*SMALL), capture_output=True, text=True, timeout=DEADLINE_S, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["data"] == "rendered people"
    events = report["events"]
    assert events["published"] == sum(count for fate, count in events.items() if fate != "published")
    assert events["unaccounted"] == 0
    assert events["dead_lettered"] == KINDS_OF_POISON
    assert min(events["decided"], events["duplicate"], events["late"]) >= 1
    assert report["decisions"]["total"] >= 40
    assert report["decisions"]["wrong_half"] == report["decisions"]["different_duplicates"] == 0
    assert report["gallery"] == {"identities": 12, "templates": 24}
    assert report["by_mask"]["both"]["rank1"] >= 0.9
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]


@pytest.fixture
def kept(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A demo that stays up after its summary, in a session of its own."""
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            demo(*TINY, "--keep"),
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
        yield process
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)], ids=["Ctrl-C", "kill -9"]
)
def test_a_demo_that_was_kept_leaves_nothing_running(
    kept: subprocess.Popen[bytes], tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """Broker and worker end with the command, however it ends."""
    deadline = time.monotonic() + DEADLINE_S
    while b"Staying up" not in (tmp_path / "stderr").read_bytes():
        assert kept.poll() is None, (tmp_path / "stderr").read_text(encoding="utf-8")
        assert time.monotonic() < deadline, (tmp_path / "stderr").read_text(encoding="utf-8")
        time.sleep(0.2)
    started = descendants(kept.pid)
    assert len(started) >= 4  # a leash and its child each, of the broker and of the worker
    kept.send_signal(sent)
    assert kept.wait(STOPS_WITHIN_S) == code
    deadline = time.monotonic() + STOPS_WITHIN_S
    while running(started) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert running(started) == set()


def test_a_demo_that_is_interrupted_early_ends_with_130(environment: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-C while the service is starting leaves nothing behind."""
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            demo(*TINY), stdout=subprocess.PIPE, stderr=stderr, env=environment, start_new_session=True
        )
        deadline = time.monotonic() + DEADLINE_S
        while b"Kafka" not in (tmp_path / "stderr").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=STOPS_WITHIN_S)
    assert (process.returncode, out) == (130, b""), (tmp_path / "stderr").read_text(encoding="utf-8")
    assert running(started) == set()


def topics_of(bootstrap: str) -> set[str]:
    """Every topic that a broker has, but for Kafka's own."""

    async def ask() -> list[str]:
        async with admin_client(Settings(bootstrap=bootstrap)) as client:
            return list(await client.list_topics())

    return {topic for topic in asyncio.run(ask()) if not topic.startswith("__")}


def test_a_demo_on_somebodys_kafka_leaves_no_topics_there(
    kafka: LocalKafka, environment: dict[str, str]
) -> None:
    """With --bootstrap it works under names of its own, and takes them away again."""
    before = topics_of(kafka.bootstrap)
    done = subprocess.run(
        demo(*TINY, "--bootstrap", kafka.bootstrap, "--workers", "2"),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"]["unaccounted"] == 0
    assert topics_of(kafka.bootstrap) == before
