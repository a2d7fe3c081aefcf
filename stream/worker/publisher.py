"""Awaited, idempotent sends, and the fence that keeps a worker that lost its session from writing."""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.protocol.produce import ProduceRequest

from stream.envelope import Outgoing
from stream.worker.clients import producer_options
from stream.worker.errors import FencedError, PublishError
from stream.worker.settings import Settings

SEND_TIMEOUT_S = 30.0
"""With idempotence aiokafka never gives a batch up by itself, so each send is bounded here."""


class Fence:
    """Refuses sends when the worker's own heartbeat is older than half its session.

    A process that was stopped and resumed finds its heartbeat old before it has sent anything, while the
    group may have given its partitions away. `beat` is called from the event loop, so a blocked loop fences
    itself too.
    """

    def __init__(self, session_timeout_s: float) -> None:
        self.allowed_s = session_timeout_s / 2
        self._beat_s = time.monotonic()

    def beat(self) -> None:
        """Notes that the loop is alive now.

        Raises:
            FencedError: The previous beat is too old: what was missed meanwhile cannot be known.
        """
        self.check()
        self._beat_s = time.monotonic()

    def restart(self) -> None:
        """Forgets a pause that cost nothing: nothing was assigned yet."""
        self._beat_s = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beat_s

    def check(self) -> None:
        """Raises `FencedError` when the last beat is older than half the session."""
        if self.age_s > self.allowed_s:
            raise FencedError(
                f"no heartbeat for {self.age_s:.1f} s, {self.allowed_s:.1f} s allowed: "
                "partitions may have moved; stopping, a restart replays"
            )


class Publisher:
    """Delivers records, each awaited until every in-sync replica has it."""

    def __init__(self, settings: Settings, fence: Fence) -> None:
        self._settings = settings
        self._fence = fence
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connects."""
        self._producer = AIOKafkaProducer(**producer_options(self._settings))
        self._fence_requests(self._producer)
        await self._producer.start()

    def _fence_requests(self, producer: AIOKafkaProducer) -> None:
        """Puts the fence before the socket too: a batch made before a pause would be written after it.

        The producer's sender then fails, and with it every delivery that is awaited.
        """
        send = producer.client.send

        async def fenced(node_id: int, request: Any, **options: Any) -> Any:
            if isinstance(request, ProduceRequest):
                self._fence.check()
            return await send(node_id, request, **options)

        producer.client.send = fenced

    async def stop(self) -> None:
        """Delivers what is under way, where the fence lets it, and disconnects."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def send(self, topic: str, record: Outgoing, *, partition: int | None = None) -> int:
        """Returns the record's offset when it is delivered.

        Raises:
            FencedError: The worker may have lost its partitions.
            PublishError: The broker did not take the record in time.
        """
        if self._producer is None:
            raise PublishError(f"a record for {topic} was sent before the publisher was started")
        self._fence.check()
        try:
            delivery = await self._producer.send(
                topic, record.value, key=record.key, partition=partition, headers=list(record.headers)
            )
            placed = await asyncio.wait_for(delivery, SEND_TIMEOUT_S)
        except (KafkaError, TimeoutError) as error:
            raise PublishError(
                f"{topic} did not take a record within {SEND_TIMEOUT_S:.0f} s ({error!r}); "
                "stopping, a restart replays; see that the topic exists and may be written to"
            ) from error
        return int(placed.offset)
