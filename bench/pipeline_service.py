"""The service under measure: one real worker that can be held, and a witness of what it says.

Times are the broker's append times and the wall clock: all of it is one machine.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from pipeline_job import Run, number_of
from pipeline_kafka import ANSWER_WITHIN_S, connected

from stream.demo.choice import REPOSITORY
from stream.local import leash
from stream.local.ports import LOOPBACK, free_port
from stream.worker.settings import Settings

READY_WITHIN_S = 90.0
LEAVE_WITHIN_S = 20.0
CLOCK_TICKS_HZ = os.sysconf("SC_CLK_TCK")
PASSED_ON = (
    "bootstrap",
    "app_id",
    "topic_prefix",
    "partitions",
    "pack",
    "backend",
    "extract_threads",
    "session_timeout_s",
    "grace_ms",
    "cache_dir",
)
"""Settings that the benchmark decides; all others reach the worker by the environment, as they reach it."""


def cpu_s_of(pid: int) -> float:
    """User and system time that a process, all its threads together, has had so far."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_HZ


class Worker:
    """`python -m stream.worker`, which can be held while others are measured; it ends with this process."""

    def __init__(self, settings: Settings, log: Path) -> None:
        """Starts it; `ready` waits for it."""
        self._log, self._port = log, free_port()
        decided = settings.model_dump(mode="json", include=set(PASSED_ON))
        environment = {f"SIGHTLINE_{name.upper()}": str(value) for name, value in decided.items()}
        environment |= {
            "SIGHTLINE_MODALITIES": json.dumps(settings.modalities),
            "SIGHTLINE_INSTANCE_ID": f"{settings.app_id}-1",
            "SIGHTLINE_HTTP_HOST": LOOPBACK,
            "SIGHTLINE_HTTP_PORT": str(self._port),
        }
        leashed = (sys.executable, "-I", "-S", leash.__file__, str(LEAVE_WITHIN_S), "")
        with log.open("ab") as file:
            self._leash = subprocess.Popen(
                [*leashed, sys.executable, "-m", "stream.worker"],
                cwd=REPOSITORY,
                env=os.environ | environment,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        assert self._leash.stdout is not None  # noqa: S101 (for mypy: PIPE was asked for above)
        self.pid = int(self._leash.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._leash.stdin is not None  # noqa: S101 (for mypy: PIPE was asked for above)
        assert self._leash.stdout is not None  # noqa: S101
        if self._leash.poll() is None:
            self.release()
        self._leash.stdin.close()
        self._leash.wait(2 * LEAVE_WITHIN_S)
        self._leash.stdout.close()

    def ready(self) -> None:
        """Returns when /readyz says so."""
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            self.check()
            # S310 warns of other schemes than http; this address is our own, on loopback.
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://{LOOPBACK}:{self._port}/readyz", timeout=2),
            ):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the worker was not ready within {READY_WITHIN_S:.0f} s.\n{self.last_words()}")

    def check(self) -> None:
        """Raises when the process has ended."""
        if self._leash.poll() is not None:
            raise RuntimeError(f"the worker has ended.\n{self.last_words()}")

    def hold(self) -> None:
        """Stops the process where it stands: it takes no CPU time until `release`."""
        os.kill(self.pid, signal.SIGSTOP)

    def release(self) -> None:
        """Lets the process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


class Witness:
    """Reads decisions, rarely and in bulk: it must not take the time of those that it watches."""

    def __init__(self, settings: Settings, consumer: Consumer) -> None:
        self._consumer = consumer
        matches = settings.topics.matches
        consumer.assign([TopicPartition(matches, n, OFFSET_BEGINNING) for n in range(settings.partitions)])

    @classmethod
    @contextlib.contextmanager
    def watching(cls, settings: Settings) -> Iterator[Self]:
        """A witness of the decisions of an installation."""
        patient = {"fetch.min.bytes": 4 << 20, "fetch.wait.max.ms": 200}
        with connected(settings, "witness", **patient) as consumer:
            yield cls(settings, consumer)

    def until(self, count: int, run: str, worker: Worker) -> list[Message]:
        """The next decisions about a run, one a subject."""
        found: dict[int, Message] = {}
        deadline_s = time.monotonic() + ANSWER_WITHIN_S
        while len(found) < count:
            worker.check()
            news = self._consumer.consume(num_messages=count, timeout=0.2)
            for message in news:
                if message.error():
                    raise RuntimeError(f"decisions cannot be read: {message.error()}")
                subject_id = message.key().decode()
                if subject_id.startswith(f"{run}-"):
                    found[number_of(subject_id)] = message
            if news:
                deadline_s = time.monotonic() + ANSWER_WITHIN_S
            if time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"{len(found)} of {count} decisions, then none for {ANSWER_WITHIN_S:.0f} s."
                    f"\n{worker.last_words()}"
                )
        return list(found.values())


def sightline(
    worker: Worker, witness: Witness, run: str, count: int, *, feed: Callable[[], object] | None = None
) -> Run:
    """Releases the held worker on what was published, or on what is fed meanwhile, and holds it again.

    Its start-up is not counted: that was over when it was held for the first time.
    """
    began_s, began_cpu_s = time.time(), cpu_s_of(worker.pid)
    worker.release()
    if feed is not None:
        feed()
    messages = witness.until(count, run, worker)
    worker.hold()
    appended_ms = {m.key().decode(): m.timestamp()[1] for m in messages}
    return Run(
        seconds=max(appended_ms.values()) / 1000 - began_s,
        cpu_s=cpu_s_of(worker.pid) - began_cpu_s,
        values={m.key().decode(): m.value() for m in messages},
        appended_ms=appended_ms,
    )
