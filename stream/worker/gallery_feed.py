"""Keeps the gallery equal to its topic: read whole before the worker is ready, followed live ever after.

A plain consumer without a group, not a Faust agent: it must not wait behind the inputs, and every worker
reads all of it. The topic has one partition, so its offset is the gallery's version: equal offsets are equal
galleries.
"""

import asyncio
from collections.abc import Iterator, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stream.events import Enrolled, Rejected, Source, Withdrawn
from stream.gallery_record import decode_template
from stream.hooks import GalleryChanged, GalleryFollowed, Observer, ThresholdsMade
from stream.live_gallery import LiveGallery
from stream.worker.clients import consumer_options
from stream.worker.logs import get_logger
from stream.worker.settings import Settings

log = get_logger(__name__)

POLL_MS = 200
MAX_RECORDS = 5_000
"""Records applied before the position is told: bounds how long an enrolment waits for what came before it."""


class GalleryFeed:
    """Follows the gallery topic into a `LiveGallery`."""

    def __init__(self, settings: Settings, gallery: LiveGallery, *, observer: Observer) -> None:
        self._gallery = gallery
        self._observer = observer
        self._tp = TopicPartition(settings.topics.gallery, 0)
        self._consumer = AIOKafkaConsumer(**consumer_options(settings), auto_offset_reset="earliest")
        self._applied = asyncio.Condition()
        self._position = 0

    async def start(self) -> None:
        """Connects; `run` then reads from the beginning."""
        await self._consumer.start()
        self._consumer.assign([self._tp])
        await self._consumer.seek_to_beginning(self._tp)

    async def run(self) -> None:
        """Reads for ever; raises what cannot be survived, and the worker stops."""
        told = self._gallery.thresholds
        while True:
            batches = await self._consumer.getmany(self._tp, timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            if records := batches.get(self._tp):
                await self._apply(records)
            async with self._applied:
                self._position = await self._consumer.position(self._tp)
                self._applied.notify_all()
            self._observer.observe(
                GalleryFollowed(
                    behind_records=max(0, (self._consumer.highwater(self._tp) or 0) - self._position),
                    answered_ms=self.heard_ms,
                )
            )
            if (thresholds := self._gallery.thresholds) is not told:
                self._observer.observe(ThresholdsMade(thresholds=thresholds))
                told = thresholds

    @property
    def heard_ms(self) -> int | None:
        """When the broker last answered; it does so ten times a second though there is nothing new."""
        answered_ms: int | None = self._consumer.last_poll_timestamp(self._tp)
        return answered_ms

    async def caught_up(self) -> None:
        """Waits until the gallery holds everything that its topic holds now."""
        await self.reached((await self._consumer.end_offsets([self._tp]))[self._tp])

    async def reached(self, version: int) -> None:
        """Waits until the gallery is of this version or a later one; without asking the broker."""
        async with self._applied:
            await self._applied.wait_for(lambda: self._position >= version)

    async def stop(self) -> None:
        """Disconnects."""
        await self._consumer.stop()

    async def _apply(self, records: Sequence[ConsumerRecord]) -> None:
        changes = list(self._changes(records))
        refused = await asyncio.get_running_loop().run_in_executor(None, self._gallery.apply, changes)
        for error in refused:
            log.error("template refused; its identity is not searched for it", error=str(error))
        state = self._gallery.state
        self._observer.observe(
            GalleryChanged(
                version=state.version,
                identities=state.identities,
                templates=state.templates,
                changed_ms=records[-1].timestamp,
            )
        )

    def _changes(self, records: Sequence[ConsumerRecord]) -> Iterator[tuple[Enrolled | Withdrawn, int]]:
        for record in records:
            source = Source(topic=record.topic, partition=record.partition, offset=record.offset)
            change = decode_template(record.key, record.value, source)
            if isinstance(change, Rejected):
                log.error(
                    "gallery record refused", offset=record.offset, reason=change.reason, detail=change.detail
                )
                continue
            yield change, record.offset + 1
