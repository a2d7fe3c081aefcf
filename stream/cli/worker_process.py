"""Workers as processes of their own, the way they run in earnest; they cannot outlive the command."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from stream.local import leash
from stream.local.ports import LOOPBACK, free_port
from stream.worker.errors import WorkerError
from stream.worker.settings import Settings

READY_WITHIN_S = 90.0
"""A cold start loads models and joins the group: seconds, but on a busy machine more."""
STOP_WITHIN_S = 20.0
"""A worker leaves within 15 s of being asked."""
POLL_S = 0.1
PROBE_TIMEOUT_S = 2.0
TAIL_LINES = 15

PASSED_ON = (
    "bootstrap",
    "topic_prefix",
    "app_id",
    "partitions",
    "pack",
    "cache_dir",
    "window_ms",
    "grace_ms",
)
"""Settings that the command may have decided by itself; all others reach the worker by the environment."""


class WorkerDownError(WorkerError):
    """A worker that was started is not there."""


class WorkerProcess:
    """One `python -m stream.worker`, with its log in a file."""

    def __init__(self, settings: Settings, *, name: str, log: Path) -> None:
        """Describes a worker; nothing is started yet.

        Args:
            settings: What it is to work with.
            name: Its static membership of the consumer group.
            log: File that its log is appended to.
        """
        self._settings = settings
        self._name = name
        self._log = log
        self._port = free_port()
        self._leash: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process, in a session of its own: Ctrl-C is for the command to handle."""
        command = (sys.executable, "-m", "stream.worker")
        with self._log.open("ab") as log:
            self._leash = subprocess.Popen(
                [sys.executable, "-I", "-S", leash.__file__, str(STOP_WITHIN_S), "", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Returns when /readyz says so.

        Raises:
            WorkerDownError: It ended, or was not ready in time; the message has its last words.
        """
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            if self._leash is None or self._leash.poll() is not None:
                raise WorkerDownError(f"The worker ended while it was starting. {self._last_words()}")
            if time.monotonic() > deadline:
                raise WorkerDownError(
                    f"The worker was not ready within {READY_WITHIN_S:.0f} s. {self._last_words()}"
                )
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raises `WorkerDownError` when the process has ended."""
        if self._leash is None or self._leash.poll() is not None:
            raise WorkerDownError(f"The worker ended while it was needed. {self._last_words()}")

    def metric(self, name: str) -> float | None:
        """A metric without labels; None while it is not to be had."""
        for line in (self._get("/metrics") or "").splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return None

    def stop(self) -> None:
        """Asks the worker to end, and ends it when it has not done so in time."""
        if self._leash is None:
            return
        assert self._leash.stdin is not None  # noqa: S101 (for mypy: PIPE was asked for above)
        for order in (leash.ASK, leash.END):
            with contextlib.suppress(BrokenPipeError):
                self._leash.stdin.write(order)
                self._leash.stdin.flush()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._leash.wait(STOP_WITHIN_S)
                break
        with contextlib.suppress(BrokenPipeError):
            self._leash.stdin.close()
        self._leash = None

    def _environment(self) -> dict[str, str]:
        decided = {f"SIGHTLINE_{name.upper()}": str(getattr(self._settings, name)) for name in PASSED_ON}
        own = {
            "SIGHTLINE_INSTANCE_ID": self._name,
            "SIGHTLINE_HTTP_HOST": LOOPBACK,
            "SIGHTLINE_HTTP_PORT": str(self._port),
        }
        return {**os.environ, **decided, **own}

    def _is_ready(self) -> bool:
        return self._get("/readyz") is not None

    def _get(self, path: str) -> str | None:
        url = f"http://{LOOPBACK}:{self._port}{path}"
        try:
            # S310 warns of other schemes than http; this address is our own, on loopback.
            with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as not_ready:
            not_ready.close()
        except OSError:  # nobody listens yet
            pass
        return None

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        return f"Its last words, from {self._log}:\n" + "\n".join(lines)


@contextlib.contextmanager
def running_workers(settings: Settings, *, run: str, count: int, log: Path) -> Iterator[list[WorkerProcess]]:
    """So many workers, ready; stopped at the end of the block."""
    workers = [WorkerProcess(settings, name=f"{run}-{number}", log=log) for number in range(count)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait_ready()
        yield workers
    finally:
        for worker in workers:
            worker.stop()
