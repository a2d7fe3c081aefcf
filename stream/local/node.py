"""What one Kafka node is made of: its flags, its configuration and its data folder."""

import base64
import contextlib
import fcntl
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from stream.local.errors import BrokerUnavailableError
from stream.local.ports import LOOPBACK

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

TAIL_LINES = 15


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
        # In this format a backslash escapes.
        "log.dirs": str(log_dir).replace("\\", "\\\\"),
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


@contextlib.contextmanager
def holding(data_dir: Path) -> Iterator[int]:
    """Holds a data folder for one broker; yields the descriptor of the lock, which a child may inherit.

    Kafka locks the folder itself, but only after it has begun to read the metadata log that the other broker
    writes.

    Raises:
        BrokerUnavailableError: Another broker holds it.
    """
    descriptor = os.open(data_dir / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BrokerUnavailableError(
                f"The data folder {data_dir} is in use by another broker. "
                "Stop that one, or give this one a folder of its own (`--data DIR`)."
            ) from error
        yield descriptor
    finally:
        os.close(descriptor)


def formatted(log_dir: Path, *, jvm: Sequence[str], config: Path, deadline_s: float) -> str:
    """The cluster id of a data folder, which is formatted first when it is new.

    Args:
        log_dir: Where Kafka keeps its log.
        jvm: The command that runs Java with Kafka's class path.
        config: The node's `server.properties`.
        deadline_s: How long formatting may take.

    Raises:
        BrokerUnavailableError: It could not be formatted.
    """
    if known := cluster_id_of(log_dir):
        return known
    cluster_id = new_cluster_id()
    storage_tool = (*jvm, "kafka.tools.StorageTool", "format", "--config", str(config))
    done = subprocess.run(
        [*storage_tool, "--cluster-id", cluster_id],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=deadline_s,
    )
    if done.returncode != 0 or cluster_id_of(log_dir) != cluster_id:
        raise BrokerUnavailableError(
            f"Kafka could not format its data folder {log_dir} (exit {done.returncode}):\n"
            f"{tail(done.stdout)}\nGive it an empty folder it can write to (`--data DIR`)."
        )
    return cluster_id


def cluster_id_of(log_dir: Path) -> str | None:
    """The cluster id in a formatted folder's `meta.properties`; None for a folder that is not formatted."""
    meta = log_dir / "meta.properties"
    if not meta.exists():
        return None
    lines = (line.partition("=") for line in meta.read_text(encoding="utf-8").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "cluster.id"), None)


def new_cluster_id() -> str:
    """16 random bytes in base64url, as Kafka writes them; a leading `-` would read as an option."""
    return "s" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def tail(output: str) -> str:
    """The last lines of what a JVM printed, without stack frames."""
    lines = (line for line in output.splitlines() if not line.startswith("\tat "))
    return "\n".join(list(lines)[-TAIL_LINES:])
