"""Reads, on assignment and before anything is processed, what was said about inputs that come again.

Offsets are committed after decisions are delivered, so a worker that takes a partition over is handed inputs
that have their decision. Without the tail of the output it would decide them again, and half of a subject
whose other half was committed would be decided wrongly. How far back the tail reaches is a matter of time:
to the append time of the oldest uncommitted input, which is never later than that of any decision that
covers it, and to the last output, however long ago that was.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from stream.events import RawRecord, Source
from stream.recovery import Covered, TailFold, read_back_to_ms
from stream.worker.clients import admin_options, consumer_options
from stream.worker.errors import TailUnreadableError
from stream.worker.settings import Settings

POLL_MS = 500
DEADLINE_S = 60.0
PEEK_BYTES = 128 << 10
"""Of a partition: a first record larger than this comes alone in its answer, one partition after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What a partition number starts from."""

    first_offset: Mapping[str, int]
    """Where reading begins, per input topic."""
    covered: Covered


def raw_record(record: ConsumerRecord) -> RawRecord:
    """An aiokafka record in the core's own terms."""
    return RawRecord(
        source=Source(topic=record.topic, partition=record.partition, offset=record.offset),
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        timestamp_ms=record.timestamp,
    )


class TailReader:
    """Reads output tails with one consumer for all partitions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inputs = tuple(settings.topics.inputs.values())
        self._outputs = (settings.topics.matches, settings.topics.dead_letters)

    async def read(self, partitions: Iterable[int]) -> dict[int, Tail]:
        """The tail of each partition number.

        Raises:
            TailUnreadableError: The broker did not deliver it within a minute.
        """
        numbers = sorted(partitions)
        if not numbers:
            return {}
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._read(numbers)
        except TimeoutError as error:
            raise TailUnreadableError(
                f"the tails of {', '.join(self._outputs)} were not read within {DEADLINE_S:.0f} s; "
                "stopping, a restart tries again; see the broker's health"
            ) from error

    async def _read(self, numbers: list[int]) -> dict[int, Tail]:
        committed = await committed_offsets(self._settings)
        inputs = [TopicPartition(t, n) for t in self._inputs for n in numbers]
        async with peeking(self._settings) as peeker:
            begins = await peeker.beginning_offsets(inputs)
            first = {tp: max(committed.get(tp, 0), begins[tp]) for tp in inputs}
            ends = await peeker.end_offsets([TopicPartition(t, n) for t in self._outputs for n in numbers])
            last = {tp: end - 1 for tp, end in ends.items() if end > 0}
            peeked_ms = await first_timestamps(peeker, first | last)
        now_ms = int(time.time() * 1000)
        last_output_ms = {
            n: max((ms for tp, ms in peeked_ms.items() if tp.partition == n and tp in last), default=now_ms)
            for n in numbers
        }
        since = {
            n: read_back_to_ms(
                [
                    last_output_ms[n],
                    *(peeked_ms[tp] for tp in first if tp.partition == n and tp in peeked_ms),
                ],
                now_ms=now_ms,
                window_ms=self._settings.window_ms,
                grace_ms=self._settings.grace_ms,
                max_skew_ms=self._settings.max_skew_ms,
            )
            for n in numbers
        }
        async with _consumer(self._settings) as consumer:
            folds = await self._fold(consumer, since)
        return {
            n: Tail(
                first_offset={t: first[TopicPartition(t, n)] for t in self._inputs},
                covered=folds[n].covered(),
            )
            for n in numbers
        }

    async def _fold(self, consumer: AIOKafkaConsumer, since: Mapping[int, int]) -> dict[int, TailFold]:
        folds = {n: TailFold(matches_topic=self._settings.topics.matches) for n in since}
        wanted = {TopicPartition(t, n): ms for t in self._outputs for n, ms in since.items()}
        starts = await consumer.offsets_for_times(wanted)
        ends = await consumer.end_offsets(list(wanted))
        waiting = {
            tp: start.offset for tp, start in starts.items() if start is not None and start.offset < ends[tp]
        }
        consumer.assign(list(waiting))
        for tp, offset in waiting.items():
            consumer.seek(tp, offset)
        while waiting:
            for tp, records in (await consumer.getmany(*waiting, timeout_ms=POLL_MS)).items():
                for record in records:
                    folds[tp.partition].add(raw_record(record))
            for tp in list(waiting):
                if await consumer.position(tp) >= ends[tp]:
                    del waiting[tp]
        return folds


async def committed_offsets(settings: Settings) -> dict[TopicPartition, int]:
    """What the workers' group has acknowledged; partitions of which it has nothing are left out."""
    admin = AIOKafkaAdminClient(**admin_options(settings))
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(settings.app_id)
    finally:
        await admin.close()
    return {tp: meta.offset for tp, meta in offsets.items() if meta.offset >= 0}


@asynccontextmanager
async def peeking(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that wants one record of a partition, not megabytes of images."""
    async with _consumer(settings, max_partition_fetch_bytes=PEEK_BYTES) as consumer:
        yield consumer


@asynccontextmanager
async def _consumer(settings: Settings, **options: int) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**(consumer_options(settings) | options))
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def first_timestamps(
    consumer: AIOKafkaConsumer, first: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Append time in ms of the record at or after each offset, where there is one."""
    ends = await consumer.end_offsets(list(first))
    waiting = {tp for tp, offset in first.items() if offset < ends[tp]}
    consumer.assign(list(waiting))
    for tp in waiting:
        consumer.seek(tp, first[tp])
    found: dict[TopicPartition, int] = {}
    while waiting:
        for tp, records in (await consumer.getmany(*waiting, timeout_ms=POLL_MS)).items():
            found[tp] = records[0].timestamp
            waiting.discard(tp)
            consumer.pause(tp)
        # A log that ends in transaction markers only has no record to show.
        for tp in list(waiting):
            if await consumer.position(tp) >= ends[tp]:
                waiting.discard(tp)
    return found
