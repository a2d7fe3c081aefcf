"""Real workers as processes that can be killed, stopped, resumed and asked."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stream.local.ports import free_port
from stream.worker.settings import Settings

READY_S = 60.0
ROOT = Path(__file__).resolve().parents[2]


class WorkerProcess:
    """`python -m stream.worker` with these settings; killed when the block that uses it ends."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        *,
        name: str = "1",
        program: Sequence[str] = ("-m", "stream.worker"),
        environment: Mapping[str, str] | None = None,
        **overrides: Any,
    ) -> None:
        self.settings = settings
        self._program = program
        self.log = log
        self.environment = dict(environment or {})
        self.port = free_port()
        self._overrides = {
            "instance_id": f"{settings.app_id}-{name}",
            "http_port": self.port,
            **overrides,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None, "the worker was not started"  # noqa: S101 (a slip of the caller)
        return self._process

    def start(self) -> None:
        """Starts it, again after a kill."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SIGHTLINE_")}
        values = self.settings.model_dump(mode="json") | self._overrides
        for name, value in values.items():
            if value is not None:
                text = json.dumps(value) if isinstance(value, list) else str(value)
                environment[f"SIGHTLINE_{name.upper()}"] = text
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program],
                cwd=ROOT,
                env=environment | self.environment,
                stdout=log,
                stderr=log,
            )

    def order(self, faults: Mapping[str, Any]) -> None:
        """Faults for the next life; only `faultlab/worker.py` obeys."""
        self.environment["FAULTLAB"] = json.dumps(faults)

    def rename(self, instance_id: str) -> None:
        """Another name in the group, from the next start on."""
        self._overrides["instance_id"] = instance_id

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its HTTP side; status 0 while nobody listens."""
        try:
            # S310 warns of other schemes than http; this address is our own, on loopback.
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            return 0, str(error)

    def wait_ready(self, seconds: float = READY_S) -> None:
        """Returns when it is ready; fails with its log when it ends before, or in time is not."""
        self.wait_for(lambda: self.get("/readyz")[0] == 200, f"ready ({self.get('/readyz')[1]!r})", seconds)

    def wait_for(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Polls until it is done.

        Raises:
            AssertionError: The worker ended before, or the time is over; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not done():
            if (code := self.process.poll()) is not None:
                raise AssertionError(f"worker ended with {code} before it was {what}:\n{self.tail()}")
            if time.monotonic() >= deadline:
                raise AssertionError(f"worker not {what} within {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self, seconds: float = 20.0) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    @property
    def peak_rss_bytes(self) -> int:
        """The most memory it has had; 0 when it does not run."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return 0
        return next((int(s.split()[1]) * 1024 for s in status.splitlines() if s.startswith("VmHWM")), 0)

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
