"""A worker out of touch for half its session writes nothing, and no send counts before it is taken."""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import NotEnoughReplicasError
from aiokafka.protocol.produce import ProduceRequest

from stream.envelope import Outgoing
from stream.worker import publisher
from stream.worker.errors import FencedError, PublishError
from stream.worker.publisher import Fence, Publisher
from stream.worker.settings import Settings


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands in for the machine's clock."""
    fake = Clock()
    monkeypatch.setattr(publisher, "time", fake)
    return fake


@pytest.mark.parametrize(("pause_s", "fenced"), [(9.9, False), (10.1, True)])
def test_a_pause_over_half_the_session_fences(clock: Clock, pause_s: float, fenced: bool) -> None:
    """Sends are refused before the group can have given the partitions away."""
    fence = Fence(session_timeout_s=20.0)
    clock.now_s += pause_s
    if fenced:
        with pytest.raises(FencedError, match=r"no heartbeat for 10\.1 s, 10\.0 s allowed"):
            fence.check()
    else:
        fence.check()


def test_a_beat_after_too_long_a_pause_does_not_heal_it(clock: Clock) -> None:
    """What was missed meanwhile cannot be known, so the late beat itself is refused."""
    fence = Fence(session_timeout_s=20.0)
    clock.now_s += 11
    with pytest.raises(FencedError):
        fence.beat()


def test_beats_in_time_keep_the_fence_open(clock: Clock) -> None:
    """Many short pauses are no long one."""
    fence = Fence(session_timeout_s=20.0)
    for _ in range(10):
        clock.now_s += 9
        fence.beat()
    fence.check()


def test_a_restart_forgets_the_pause(clock: Clock) -> None:
    """Before anything is assigned nothing can have moved."""
    fence = Fence(session_timeout_s=20.0)
    clock.now_s += 60
    fence.restart()
    fence.check()


RECORD = Outgoing(key=b"s", value=b"{}")


@dataclass(frozen=True, slots=True)
class Placed:
    """What the broker says of a record that it took."""

    offset: int


class Producer:
    """Stands in for aiokafka's: takes records at once, and answers for them when the test says so."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.delivery: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()

    async def send(self, topic: str, *_: Any, **__: Any) -> "asyncio.Future[Placed]":
        self.sent.append(topic)
        return self.delivery


def publisher_of(producer: Producer, session_timeout_s: float = 20.0) -> Publisher:
    made = Publisher(Settings(), Fence(session_timeout_s))
    made._producer = producer  # type: ignore[assignment]  # as much of it as is used
    return made


def test_a_send_returns_when_the_record_is_taken() -> None:
    """What counts as done before it is delivered would be lost in a crash."""

    async def scene() -> None:
        producer = Producer()
        sending = asyncio.ensure_future(publisher_of(producer).send("matches", RECORD))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert producer.sent == ["matches"]
        assert not sending.done()
        producer.delivery.set_result(Placed(7))
        assert await sending == 7

    asyncio.run(scene())


def test_a_record_that_is_not_taken_stops_the_worker() -> None:
    """The error says so, and a restart replays."""

    async def scene() -> None:
        producer = Producer()
        producer.delivery.set_exception(NotEnoughReplicasError())
        with pytest.raises(PublishError, match="matches did not take a record within 30 s"):
            await publisher_of(producer).send("matches", RECORD)

    asyncio.run(scene())


def test_a_fenced_worker_sends_nothing(clock: Clock) -> None:
    """Not even to its producer, which would deliver it later."""

    async def scene() -> None:
        producer = Producer()
        fenced = publisher_of(producer)
        clock.now_s += 11
        with pytest.raises(FencedError):
            await fenced.send("matches", RECORD)
        assert producer.sent == []

    asyncio.run(scene())


async def _sent(*_: Any) -> str:
    return "sent"


def test_a_batch_made_before_a_pause_does_not_reach_the_socket_after_it(clock: Clock) -> None:
    """The producer's own requests meet the fence as well; what writes nothing may go on."""
    producer = SimpleNamespace(client=SimpleNamespace(send=_sent))
    Publisher(Settings(), Fence(session_timeout_s=20.0))._fence_requests(producer)
    batch = ProduceRequest(required_acks=-1, timeout=1, topics=[], transactional_id=None)
    assert asyncio.run(producer.client.send(0, batch)) == "sent"
    clock.now_s += 11
    with pytest.raises(FencedError):
        asyncio.run(producer.client.send(0, batch))
    assert asyncio.run(producer.client.send(0, "a request for metadata")) == "sent"
