"""The readiness question: a broker's answer is understood, and nothing else is taken for one."""

import socket
import struct
import threading

import pytest

from stream.local.metadata import Cluster, ProtocolError, ask_metadata
from stream.local.node import new_cluster_id, server_properties, tail
from stream.local.ports import LOOPBACK, RANGE, free_port, is_free

TIMEOUT_S = 5.0


def text(value: str | None) -> bytes:
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def metadata(
    *broker_ids: int, cluster: str | None = "abc", controller: int = 1, correlation: int = 1
) -> bytes:
    brokers = b"".join(
        struct.pack(">i", b) + text("h") + struct.pack(">i", 9092) + text(None) for b in broker_ids
    )
    head = struct.pack(">iii", correlation, 0, len(broker_ids))
    body = head + brokers + text(cluster) + struct.pack(">ii", controller, 0)
    return struct.pack(">i", len(body)) + body


def asked(answer: bytes) -> Cluster:
    """What is made of an answer that a server on loopback gives."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return ask_metadata(*server.getsockname()[:2], timeout_s=TIMEOUT_S)
        finally:
            thread.join(TIMEOUT_S)


def test_an_answer_is_understood() -> None:
    """Cluster, brokers and controller come out as they went in."""
    assert asked(metadata(1, 4)) == Cluster(cluster_id="abc", broker_ids=(1, 4), controller_id=1)


def test_a_broker_that_is_not_ready_says_so() -> None:
    """No broker registered, no controller known, no cluster yet."""
    assert asked(metadata(cluster=None, controller=-1)) == Cluster(
        cluster_id=None, broker_ids=(), controller_id=-1
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        metadata(1, correlation=2),
        struct.pack(">i", 6) + b"\x00\x00\x00\x01\x00\x00",
        struct.pack(">iiii", 12, 1, 0, 3),
    ],
    ids=["another protocol", "the answer to another question", "too short", "three brokers said, none told"],
)
def test_what_is_no_broker_is_a_protocol_error(answer: bytes) -> None:
    """Something listens there, but it is not Kafka."""
    with pytest.raises(ProtocolError):
        asked(answer)


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\x00", metadata(1)[:-1]], ids=["nothing", "half a size", "cut"]
)
def test_a_connection_that_is_closed_early_is_an_os_error(answer: bytes) -> None:
    """A broker that goes down in the middle of its answer looks like one that is not there."""
    with pytest.raises(ConnectionResetError):
        asked(answer)


def test_a_port_that_is_listened_on_is_not_free() -> None:
    """And it is free again afterwards, also with a connection in TIME_WAIT."""
    port = free_port()
    assert port in RANGE
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        with socket.create_connection((LOOPBACK, port)):
            pass
    assert is_free(port)


def test_a_port_that_is_spoken_for_is_not_drawn() -> None:
    """Broker and controller never get the same one."""
    with pytest.raises(OSError, match="no free port"):
        free_port(but=frozenset(RANGE))

    odd = frozenset(range(RANGE.start + 1, RANGE.stop, 2))
    assert all(free_port(but=odd) not in odd for _ in range(20))


def test_the_configuration_keeps_to_loopback(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every listener is on 127.0.0.1, topics are not made by accident, and ports are where they were put."""
    properties = server_properties(port=15001, controller_port=15002, log_dir=tmp_path_factory.getbasetemp())
    config = dict(line.split("=", 1) for line in properties.splitlines())
    assert config["listeners"] == "PLAINTEXT://127.0.0.1:15001,CONTROLLER://127.0.0.1:15002"
    assert config["advertised.listeners"] == "PLAINTEXT://127.0.0.1:15001"
    assert config["auto.create.topics.enable"] == "false"


def test_cluster_ids_are_kafkas() -> None:
    """22 characters of base64url that differ, and never one that would read as an option."""
    ids = {new_cluster_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(i) == 22 and not i.startswith("-") for i in ids)


def test_last_words_are_without_stack_frames() -> None:
    """Reasons and causes are quoted, frames are not."""
    said = "ERROR it broke\njava.lang.X: why\n" + "\tat a.b.C(D.java:1)\n" * 50 + "Caused by: this\n"
    assert tail(said) == "ERROR it broke\njava.lang.X: why\nCaused by: this"
