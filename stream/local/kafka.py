"""A real Apache Kafka on this machine: one KRaft node on loopback, started, stopped and restarted at will."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.local import leash
from stream.local.errors import BrokerUnavailableError
from stream.local.jars import Progress, ensure_jars, pinned_jars
from stream.local.java import Java, find_java
from stream.local.metadata import Cluster, ProtocolError, ask_metadata
from stream.local.node import JVM_FLAGS, NODE_ID, formatted, holding, server_properties, tail
from stream.local.ports import LOOPBACK, free_port, is_free

START_ATTEMPTS = 3
POLL_S = 0.05
GRACE_S = 10.0
"""How long a broker may take to shut down before it is ended."""


class LocalKafka:
    """One broker process with its own data folder. Synchronous: `start` returns when clients can be served.

    It ends with this process, however this process ends (see `stream.local.leash`). Not safe to share between
    threads.

        with LocalKafka(cache_dir=settings.cache_dir) as kafka:
            produce(kafka.bootstrap)
    """

    def __init__(
        self,
        *,
        cache_dir: Path,
        data_dir: Path | None = None,
        port: int = 0,
        java: Java | None = None,
        progress: Progress | None = None,
        deadline_s: float = 60.0,
    ) -> None:
        """Describes a broker; nothing is started yet.

        Args:
            cache_dir: Where jars are kept between runs.
            data_dir: Where the log is kept; None takes a temporary folder that `close` removes.
            port: Of the broker, on loopback; 0 takes a free one.
            java: The Java to run it with; None looks for one.
            progress: Told of the download, if there is one.
            deadline_s: How long one start may take, without the download.
        """
        self._cache_dir = cache_dir
        self._is_scratch = data_dir is None
        scratch = Path(tempfile.gettempdir()) / f"sightline-kafka-{uuid.uuid4().hex}"
        self._data_dir = (data_dir or scratch).absolute()
        self._port = port
        self._java = java
        self._progress = progress
        self._deadline_s = deadline_s
        self._cluster_id: str | None = None
        self._leash: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._log_start = 0

    @property
    def bootstrap(self) -> str:
        """`host:port`, the same over restarts.

        Raises:
            RuntimeError: It was never started, and the port was left to chance.
        """
        if not self._port:
            raise RuntimeError("the broker has no port yet: start it first")
        return f"{LOOPBACK}:{self._port}"

    @property
    def data_dir(self) -> Path:
        """Where the log, the configuration and what the JVM printed (`broker.log`) are kept."""
        return self._data_dir

    @property
    def pid(self) -> int:
        """Process id of the JVM, while it runs.

        Raises:
            RuntimeError: It does not run.
        """
        if self._pid is None or not self.is_running:
            raise RuntimeError("the broker does not run")
        return self._pid

    @property
    def is_running(self) -> bool:
        """Whether the JVM is alive; one that somebody else killed is noticed within milliseconds."""
        return self._leash is not None and self._leash.poll() is None

    def start(self) -> Self:
        """Starts the broker and waits until it serves clients; does nothing when it does so already.

        Raises:
            BrokerUnavailableError: It cannot be had; the message says why, and what to do.
        """
        if self.is_running and self._serves(self._ask(self._port)):
            return self
        self.stop()  # what is left of a broker that ended by itself, or no longer answers
        is_first = self._cluster_id is None
        try:
            java = self._java or find_java()
            jars = ensure_jars(self._cache_dir, pinned_jars(), progress=self._progress)
            tmp = self._data_dir / "tmp"
            tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
            class_path = ":".join(map(str, jars))
            jvm = (str(java.executable), *JVM_FLAGS, f"-Djava.io.tmpdir={tmp}", "-cp", class_path)
            with holding(self._data_dir) as lock:
                self._start_on_some_port(jvm, lock)
        except BaseException as error:
            self.kill()
            if is_first:
                self.close()
            if isinstance(error, OSError | subprocess.TimeoutExpired):
                raise BrokerUnavailableError(
                    f"Kafka could not be started in {self._data_dir}: {error}."
                ) from error
            raise
        return self

    def wait(self) -> int:
        """Blocks until the broker ends by itself or by somebody else's hand; returns its exit code."""
        return self._leash.wait() if self._leash else 0

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Asks the broker to shut down, ends it when it has not done so within `grace_s`. The data stays."""
        self._order(leash.ASK, grace_s)

    def kill(self) -> None:
        """Ends the broker at once, as a power cut would (kill -9). The data stays."""
        self._order(leash.END, GRACE_S)

    def restart(self) -> Self:
        """Stops the broker if it runs, and starts it on the same data and the same port.

        Raises:
            BrokerUnavailableError: It did not come back.
        """
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stops the broker; a data folder that nobody asked for is removed."""
        self.stop()
        if self._is_scratch:
            shutil.rmtree(self._data_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def log_tail(self) -> str:
        """The last lines that the JVM printed since it was started last."""
        path = self._data_dir / "broker.log"
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(self._log_start)
            return tail(file.read().decode(errors="replace"))

    def _start_on_some_port(self, jvm: tuple[str, ...], lock: int) -> None:
        """Starts on the port given or had before, or on a free one; one that was snatched is replaced."""
        is_open = not self._port
        if not is_open and not is_free(self._port):
            raise BrokerUnavailableError(
                f"Port {self._port} on {LOOPBACK} is taken by another process. "
                "Stop that one, or take another port (`--port 0` for a free one)."
            )
        for attempt in range(1, START_ATTEMPTS + 1):
            port = free_port() if is_open else self._port
            controller_port = free_port(but=frozenset({port}))
            try:
                self._start_once(jvm, lock, port, controller_port)
            except BrokerUnavailableError:
                self.kill()
                replaceable = (controller_port, port) if is_open else (controller_port,)
                if attempt == START_ATTEMPTS or all(map(is_free, replaceable)):
                    raise
            else:
                self._port = port
                return

    def _start_once(self, jvm: tuple[str, ...], lock: int, port: int, controller_port: int) -> None:
        config, log_dir = self._data_dir / "server.properties", self._data_dir / "log"
        properties = server_properties(port=port, controller_port=controller_port, log_dir=log_dir)
        config.write_text(properties, encoding="utf-8")
        self._cluster_id = formatted(log_dir, jvm=jvm, config=config, deadline_s=self._deadline_s)
        leashed = (leash.__file__, str(GRACE_S), str(self._data_dir) if self._is_scratch else "")
        with (self._data_dir / "broker.log").open("ab") as log:
            self._log_start = log.tell()
            self._leash = subprocess.Popen(
                [sys.executable, "-I", "-S", *leashed, *jvm, "kafka.Kafka", str(config)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle, in our order
                pass_fds=(lock,),  # held for as long as the leash lives, also when we are gone
            )
        assert self._leash.stdout is not None  # noqa: S101 (for mypy: PIPE was asked for above)
        with self._leash.stdout as pid_line:
            self._pid = int(pid_line.readline() or -1)
        self._await_ready(port)

    def _await_ready(self, port: int) -> None:
        """Waits until the broker itself says that it serves."""
        deadline = time.monotonic() + self._deadline_s
        while self.is_running:
            cluster = self._ask(port)
            if self._serves(cluster):
                return
            if time.monotonic() > deadline:
                raise BrokerUnavailableError(
                    f"Kafka (port {port}) was not ready in {self._deadline_s:g} s; it answered {cluster}. "
                    f"Its last words, from {self._data_dir / 'broker.log'}:\n{self.log_tail()}\n"
                    "Free some CPU or memory and try again."
                )
            time.sleep(POLL_S)
        code = self._leash.returncode if self._leash else None
        raise BrokerUnavailableError(
            f"Kafka ended while it was starting (exit {code}). "
            f"Its last words, from {self._data_dir / 'broker.log'}:\n{self.log_tail()}\n"
            "Another data folder (`--data DIR`) or port (`--port 0`) may help."
        )

    def _ask(self, port: int) -> Cluster | None:
        """What answers on the port; None for nothing, or nothing that speaks Kafka."""
        try:
            return ask_metadata(LOOPBACK, port)
        except (OSError, ProtocolError):
            return None

    def _serves(self, cluster: Cluster | None) -> bool:
        """Whether an answer is that of our own broker, registered and not fenced.

        Ours, because another broker may have taken the port between our choice and the JVM's bind.
        """
        return (
            cluster is not None
            and cluster.cluster_id == self._cluster_id
            and NODE_ID in cluster.broker_ids
            and cluster.controller_id == NODE_ID
        )

    def _order(self, order: bytes, grace_s: float) -> None:
        """Sends an order down the leash and waits for the end; after `grace_s` there is no more asking."""
        if self._leash is None:
            return
        assert self._leash.stdin is not None  # noqa: S101 (for mypy: PIPE was asked for)
        for next_order, patience_s in ((order, grace_s), (leash.END, GRACE_S)):
            with contextlib.suppress(BrokenPipeError):
                self._leash.stdin.write(next_order)
            try:
                self._leash.wait(patience_s)
                break
            except subprocess.TimeoutExpired:
                continue
        self._leash.stdin.close()
        self._leash.wait(GRACE_S)
        self._leash, self._pid = None, None


@contextlib.contextmanager
def broker_at(
    bootstrap: str | None, *, cache_dir: Path, data_dir: Path | None = None, progress: Progress | None = None
) -> Iterator[str]:
    """The address given, used as it is; without one, that of a broker which lives as long as the block.

    Raises:
        BrokerUnavailableError: None was given, and none can be started here.
    """
    if bootstrap is not None:
        yield bootstrap
        return
    with LocalKafka(cache_dir=cache_dir, data_dir=data_dir, progress=progress) as kafka:
        yield kafka.bootstrap
