"""Asks a broker, in Kafka's own protocol, which cluster it is and who is in it: what readiness is decided by.

One request, Metadata version 5 (KIP-4), over a plain socket: no client library, so that it can be asked
before one would want to connect, from a synchronous caller, and without a retry that hides the answer.
"""

import io
import socket
import struct
from dataclasses import dataclass

METADATA, VERSION = 3, 5
CORRELATION_ID = 1
CLIENT_ID = b"sightline-readiness"
MAX_ANSWER_BYTES = 1 << 20


class ProtocolError(Exception):
    """What answered does not speak Kafka's protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster as one of its brokers sees it."""

    cluster_id: str | None
    broker_ids: tuple[int, ...]
    """Registered and not fenced: those that serve clients."""
    controller_id: int
    """-1 while there is none."""


def ask_metadata(host: str, port: int, *, timeout_s: float = 2.0) -> Cluster:
    """One Metadata round trip, for no topics.

    Raises:
        OSError: Nothing listens there, or it did not answer within `timeout_s`.
        ProtocolError: Something else than a Kafka broker answered.
    """
    no_topics, no_creation = struct.pack(">i", 0), b"\x00"
    header = struct.pack(">hhih", METADATA, VERSION, CORRELATION_ID, len(CLIENT_ID)) + CLIENT_ID
    request = header + no_topics + no_creation
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as stream:
            answer = _read(stream, _size(stream))
    try:
        return _parse(io.BytesIO(answer))
    except (struct.error, UnicodeDecodeError) as error:
        raise ProtocolError(f"{host}:{port} gave an answer that is no Kafka metadata: {error}") from error


def _size(stream: io.BufferedIOBase) -> int:
    size = int.from_bytes(_read(stream, 4), "big")
    if size > MAX_ANSWER_BYTES:
        raise ProtocolError(f"an answer of {size} bytes was announced, {MAX_ANSWER_BYTES} are allowed")
    return size


def _read(stream: io.BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionResetError(f"the connection was closed after {len(data)} of {size} bytes")
    return data


def _parse(answer: io.BytesIO) -> Cluster:
    def number(form: str) -> int:
        value: int = struct.unpack(form, answer.read(struct.calcsize(form)))[0]
        return value

    def text() -> str | None:
        length = number(">h")
        return None if length < 0 else answer.read(length).decode()

    if number(">i") != CORRELATION_ID:
        raise struct.error("wrong correlation id")
    number(">i")  # throttle time
    brokers: list[int] = []
    for _ in range(number(">i")):
        brokers.append(number(">i"))
        text(), number(">i"), text()  # host, port, rack
    return Cluster(cluster_id=text(), broker_ids=tuple(brokers), controller_id=number(">i"))
