"""A real Apache Kafka on this machine: one KRaft node on loopback, started, stopped and restarted at will."""

import base64
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
from stream.local.metadata import ProtocolError, ask_metadata
from stream.local.ports import LOOPBACK, free_port, is_free

NODE_ID = 1
JVM_FLAGS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
)
"""A small heap, and the collector and the compiler that start fastest."""

START_ATTEMPTS = 3
POLL_S = 0.05
TAIL_LINES = 15
GRACE_S = 10.0
"""How long a broker may take to shut down before it is ended."""


def server_properties(*, port: int, controller_port: int, log_dir: Path) -> str:
    """The configuration of a single node that is broker and controller, as Kafka reads it."""
    lines = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"{NODE_ID}@{LOOPBACK}:{controller_port}",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        # One node: its internal topics have one replica, and few partitions so that they are made at once.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        # A group of one worker need not wait for a second one.
        "group.initial.rebalance.delay.ms": 0,
        # The registration of a broker that was killed lives on for this long; the next start waits for it.
        "broker.session.timeout.ms": 3_000,
        "broker.heartbeat.interval.ms": 500,
        # Room for compaction in a heap of 512 MB, and a look at what to compact every 2 s instead of 15.
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        "log.cleaner.backoff.ms": 2_000,
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


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
        self._data_dir = (
            data_dir.absolute() if data_dir else Path(tempfile.mkdtemp(prefix="sightline-kafka-"))
        )
        self._given_port = port
        self._port = port
        self._java = java
        self._progress = progress
        self._deadline_s = deadline_s
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
        """Whether the JVM is alive."""
        return self._leash is not None and self._leash.poll() is None

    def start(self) -> Self:
        """Starts the broker and waits until it serves clients; does nothing when it runs.

        Raises:
            BrokerUnavailableError: It cannot be had; the message says why, and what to do.
        """
        if self.is_running:
            return self
        self.stop()  # what is left of a broker that ended by itself
        java = self._java or find_java()
        jars = ensure_jars(self._cache_dir, pinned_jars(), progress=self._progress)
        tmp = self._data_dir / "tmp"
        class_path = ":".join(map(str, jars))
        command = (str(java.executable), *JVM_FLAGS, f"-Djava.io.tmpdir={tmp}", "-cp", class_path)
        try:
            tmp.mkdir(parents=True, exist_ok=True)
            self._start_on_some_port(command)
        except OSError as error:
            raise BrokerUnavailableError(
                f"Kafka could not be started in {self._data_dir}: {error}."
            ) from error
        return self

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
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

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
            return "\n".join(file.read().decode(errors="replace").splitlines()[-TAIL_LINES:])

    def _start_on_some_port(self, command: tuple[str, ...]) -> None:
        """Starts on the port given or had before, or on a free one; one that was snatched is replaced."""
        is_open = not self._port
        if not is_open and not is_free(self._port):
            raise BrokerUnavailableError(
                f"Port {self._port} on {LOOPBACK} is taken by another process. "
                "Stop that one, or take another port (`--port 0` for a free one)."
            )
        for attempt in range(START_ATTEMPTS):
            port = free_port() if is_open else self._port
            controller_port = free_port(but=frozenset({port}))
            try:
                self._start_once(command, port, controller_port)
            except BrokerUnavailableError:
                self.kill()
                snatched = not is_free(controller_port) or not is_free(port)
                if attempt + 1 == START_ATTEMPTS or not snatched or not (is_open or is_free(port)):
                    raise
            else:
                self._port = port
                return

    def _start_once(self, command: tuple[str, ...], port: int, controller_port: int) -> None:
        config = self._data_dir / "server.properties"
        log_dir = self._data_dir / "log"
        config.write_text(
            server_properties(port=port, controller_port=controller_port, log_dir=log_dir), encoding="utf-8"
        )
        cluster_id = self._formatted(log_dir, command, config)
        with (self._data_dir / "broker.log").open("ab") as log:
            self._log_start = log.tell()
            scratch = str(self._data_dir) if self._is_scratch else ""
            self._leash = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", leash.__file__, str(GRACE_S), scratch),
                    *(*command, "kafka.Kafka", str(config)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,  # Ctrl-C in the terminal is for us to handle, in our order
            )
        assert self._leash.stdout is not None  # noqa: S101 (for mypy: PIPE was asked for above)
        with self._leash.stdout as pid_line:
            self._pid = int(pid_line.readline() or -1)
        self._await_ready(port, cluster_id)

    def _formatted(self, log_dir: Path, command: tuple[str, ...], config: Path) -> str:
        """The cluster id of the data folder, which is formatted first when it is new."""
        if known := _cluster_id(log_dir):
            return known
        cluster_id = _new_cluster_id()
        storage_tool = (*command, "kafka.tools.StorageTool", "format", "--config", str(config))
        done = subprocess.run(
            [*storage_tool, "--cluster-id", cluster_id],
            capture_output=True,
            text=True,
            check=False,
            timeout=self._deadline_s,
        )
        if done.returncode != 0 or _cluster_id(log_dir) != cluster_id:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
            raise BrokerUnavailableError(
                f"Kafka could not format its data folder {log_dir} (exit {done.returncode}):\n{said}\n"
                "Give it an empty folder it can write to (`--data DIR`)."
            )
        return cluster_id

    def _await_ready(self, port: int, cluster_id: str) -> None:
        """Waits until the broker itself says that it serves: registered in its own metadata and not fenced.

        The cluster id must be ours: another broker may have taken the port between our choice and the JVM's
        bind.
        """
        deadline = time.monotonic() + self._deadline_s
        found = "nothing"
        while self.is_running:
            with contextlib.suppress(OSError, ProtocolError):
                cluster = ask_metadata(LOOPBACK, port)
                if cluster.cluster_id == cluster_id and NODE_ID in cluster.broker_ids:
                    return
                found = str(cluster)
            if time.monotonic() > deadline:
                raise BrokerUnavailableError(
                    f"Kafka (port {port}) was not ready within {self._deadline_s:g} s; it answered {found}. "
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


def _cluster_id(log_dir: Path) -> str | None:
    """The cluster id in a formatted folder's `meta.properties`; None for a folder that is not formatted."""
    meta = log_dir / "meta.properties"
    if not meta.exists():
        return None
    lines = (line.partition("=") for line in meta.read_text(encoding="utf-8").splitlines())
    # A backslash escapes `=` and others in this format; base64url without padding has none of them.
    return next((value.strip() for key, _, value in lines if key.strip() == "cluster.id"), None)


def _new_cluster_id() -> str:
    """16 random bytes in base64url, as Kafka writes them; a leading `-` would read as an option."""
    return "s" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
