"""The operator's side of the wire: a producer, and a reader of whole topics without a consumer group."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream.cli.running import NoAnswerError, NoTopicError
from stream.envelope import Outgoing
from stream.events import RawRecord, Source
from stream.worker.clients import consumer_options, producer_options, reaching_broker
from stream.worker.errors import PublishError
from stream.worker.settings import Settings
from stream.worker.tail_reader import raw_record

SEND_TIMEOUT_S = 30.0
POLL_MS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Where the broker put a record, and when by its own clock."""

    source: Source
    append_ms: int


class Sender:
    """Delivers records, each awaited."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, topic: str, record: Outgoing, *, partition: int | None = None) -> Delivered:
        """Returns when every in-sync replica has the record.

        Raises:
            PublishError: The broker did not take it in time.
        """
        try:
            sending = await self._producer.send(
                topic, record.value, key=record.key, partition=partition, headers=list(record.headers)
            )
            placed = await asyncio.wait_for(sending, SEND_TIMEOUT_S)
        except (KafkaError, TimeoutError) as error:
            raise PublishError(
                f"{topic} did not take a record ({error!r}); see that it exists (`sightline init`) "
                "and may be written to"
            ) from error
        source = Source(topic=placed.topic, partition=placed.partition, offset=placed.offset)
        return Delivered(source=source, append_ms=placed.timestamp)


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[Sender]:
    """A connected producer.

    Raises:
        BrokerUnreachableError: No broker lets us in.
    """
    producer = AIOKafkaProducer(**producer_options(settings))
    try:
        with reaching_broker(settings):
            await producer.start()
        yield Sender(producer)
    finally:
        await producer.stop()


class Reader:
    """Reads all partitions of some topics, by itself and for itself."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = partitions

    async def read(self, timeout_ms: int = POLL_MS) -> list[RawRecord]:
        """What has come since the last time, in order within each partition; empty after the timeout."""
        batches = await self._consumer.getmany(*self._partitions, timeout_ms=timeout_ms)
        return [raw_record(record) for batch in batches.values() for record in batch]

    async def read_to_end(self) -> list[RawRecord]:
        """Everything up to the present end of every partition."""
        return [record async for record in self.up_to_end()]

    async def up_to_end(self) -> AsyncIterator[RawRecord]:
        """The same, one after the other: a topic of images does not fit into memory."""
        ends = await self._consumer.end_offsets(self._partitions)
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            for record in await self.read():
                yield record

    async def at(self, source: Source) -> RawRecord | None:
        """The record at a place; None where none is kept."""
        tp = TopicPartition(source.topic, source.partition)
        if tp not in self._partitions:
            return None
        begin = (await self._consumer.beginning_offsets([tp]))[tp]
        end = (await self._consumer.end_offsets([tp]))[tp]
        if not begin <= source.offset < end:
            return None
        self._consumer.seek(tp, source.offset)
        batches: dict[TopicPartition, list[ConsumerRecord]] = {}
        while not batches and await self._consumer.position(tp) < end:
            batches = await self._consumer.getmany(tp, timeout_ms=POLL_MS, max_records=1)
        found = next((raw_record(record) for batch in batches.values() for record in batch), None)
        return found if found and found.source == source else None


@asynccontextmanager
async def reader(settings: Settings, *topics: str, from_beginning: bool = False) -> AsyncIterator[Reader]:
    """A reader of the topics, from their beginning or from what is their end now.

    Raises:
        BrokerUnreachableError: No broker lets us in.
        NoTopicError: A topic does not exist.
    """
    consumer = AIOKafkaConsumer(**consumer_options(settings))
    try:
        with reaching_broker(settings):
            await consumer.start()
        known = await consumer.topics()
        if missing := [topic for topic in topics if topic not in known]:
            raise NoTopicError(f"There is no topic {', '.join(missing)}; run `sightline init`.")
        # A consumer learns the partitions only of topics it has been given, and every topic has a first one.
        first = [TopicPartition(topic, 0) for topic in topics]
        consumer.assign(first)
        await consumer.end_offsets(first)
        partitions = [TopicPartition(t, p) for t in topics for p in sorted(consumer.partitions_for_topic(t))]
        consumer.assign(partitions)
        if from_beginning:
            await consumer.seek_to_beginning(*partitions)
        else:
            await consumer.seek_to_end(*partitions)
        yield Reader(consumer, partitions)
    finally:
        await consumer.stop()


class Deadline:
    """Time that is left; `extend` begins it anew."""

    def __init__(self, within_s: float, *, waiting_for: str) -> None:
        self._within_s = within_s
        self._waiting_for = waiting_for
        self.extend()

    def extend(self) -> None:
        """Something came: the time begins anew."""
        self._until_s = time.monotonic() + self._within_s

    def check(self) -> None:
        """Raises `NoAnswerError` when the time is over."""
        if time.monotonic() > self._until_s:
            raise NoAnswerError(
                f"Waited {self._within_s:.0f} s for {self._waiting_for}. "
                "See that a worker runs on this broker and these topics: `sightline doctor`."
            )


def now_ms() -> int:
    """This machine's clock."""
    return time.time_ns() // 1_000_000


def new_run_id() -> str:
    """Eight hexadecimal digits that no other run has."""
    return os.urandom(4).hex()
