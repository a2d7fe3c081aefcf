"""From a record handed over by Faust to its decision, dead letter or acknowledgement.

One coroutine owns the join, so there are no locks: `on_event` and `sweep` run on the event loop and never
await between reading and changing the state of a partition. What takes time (extraction, search, delivery)
runs beside it as tasks of the crew, whose failure stops the worker.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from index.records import Modality
from stream.codec import Limits, decode
from stream.events import (
    ClosedWindow,
    Duplicate,
    Event,
    Late,
    OpenWindow,
    RawRecord,
    Rejected,
    Sample,
    Source,
)
from stream.hooks import (
    EventAccepted,
    EventDuplicated,
    EventReceived,
    EventSkipped,
    Observer,
    PartitionMoved,
    PartitionReleased,
)
from stream.join import JoinPolicy, Step
from stream.reasons import Stage
from stream.revisions import Revisions
from stream.worker.crew import Crew
from stream.worker.deciding import Deciding, Features
from stream.worker.extraction import Budget
from stream.worker.faust_internals import BrokerEvidence
from stream.worker.health import Health
from stream.worker.logs import get_logger
from stream.worker.partition import PartitionState
from stream.worker.settings import Settings
from stream.worker.tail_reader import TailReader

log = get_logger(__name__)

REVOKE_WAIT_S = 10.0
"""How long a revocation waits for deliveries under way; what is delivered is found in the output's tail."""


class Pipeline:
    """The intake of one worker: owns every partition's state from assignment to revocation."""

    def __init__(
        self,
        settings: Settings,
        *,
        deciding: Deciding,
        budget: Budget,
        tail_reader: TailReader,
        evidence: BrokerEvidence,
        health: Health,
        observer: Observer,
        crew: Crew,
        limits: Mapping[Modality, Limits],
    ) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._deciding = deciding
        self._budget = budget
        self._tail_reader = tail_reader
        self._evidence = evidence
        self._health = health
        self._observer = observer
        self._crew = crew
        self._limits = limits
        self._policy = JoinPolicy(
            expected=settings.modalities,
            window_ms=settings.window_ms,
            grace_ms=settings.grace_ms,
            close_on_complete=settings.revisions is Revisions.FINAL_ONLY,
        )
        self._states: dict[int, PartitionState] = {}
        self._recovered = asyncio.Event()
        self._delivering: set[asyncio.Task[None]] = set()
        self._held_back: set[tuple[str, int]] = set()
        self.progress = 0
        """Counts records handed over and done: with work waiting, one that stops counting is stalled."""
        self.lag = 0
        """Records the broker had at its last answer that had not been handed over at the last sweep."""

    async def assigned(self, partitions: Iterable[int]) -> None:
        """Takes partition numbers over: reads their output tails, and only then lets records through."""
        numbers = sorted(partitions)
        generation = self._evidence.generation
        self._health.assigned, self._health.recovered = len(numbers), False
        tails = await self._tail_reader.read(numbers)
        if generation != self._evidence.generation:
            return
        self._states = {
            n: PartitionState(n, policy=self._policy, revisions=self._settings.revisions, tail=tails[n])
            for n in numbers
        }
        self._recovered.set()
        self._health.recovered = True
        settled = sum(len(tail.covered.decided) + len(tail.covered.set_aside) for tail in tails.values())
        log.info("partitions taken over", partitions=numbers, settled_before=settled)
        if unreadable := sum(tail.covered.unreadable for tail in tails.values()):
            log.error(
                "records of the output tail could not be read; their inputs may be decided again",
                n=unreadable,
            )

    async def revoked(self) -> None:
        """Lets deliveries under way end, then drops all state: the group hands every partition out anew."""
        self._recovered.clear()
        self._health.assigned, self._health.recovered = 0, False
        states, self._states = self._states, {}
        for state in states.values():
            state.revoked = True
            self._observer.observe(PartitionReleased(partition=state.number))
        await self.drained(REVOKE_WAIT_S)

    async def drained(self, timeout_s: float) -> None:
        """Waits, no longer than this, until what is being delivered has been."""
        if self._delivering:
            await asyncio.wait(self._delivering, timeout=timeout_s)

    async def on_event(self, faust_event: Any) -> None:
        """Takes one record from Faust; returns when it is in the join or set aside, and the next may come."""
        record = raw_record_of(faust_event)
        await self._recovered.wait()
        state = self._states.get(record.source.partition)
        if state is None or faust_event.message.generation_id != self._evidence.generation:
            return  # of an assignment that is gone: whoever owns the partition now is handed it again
        if not state.opened(record.source, faust_event):
            return
        self.progress += 1
        modality = self._topics.modality_of(record.source.topic)
        self._observer.observe(EventReceived(modality=modality, size_bytes=len(record.value or b"")))
        decoded = decode(record, modality, self._limits[modality])
        if isinstance(decoded, Rejected):
            state.handed(record)
            self._reject(state, record, modality, decoded)
        elif isinstance(decoded, Sample) and not state.covered.skips(record.source):
            await self._budget.acquire(len(decoded.data))
            if state.revoked:
                self._budget.release(len(decoded.data))
                return
            self._join(state, record, modality, decoded.event, decoded)
        else:
            self._join(
                state, record, modality, decoded.event if isinstance(decoded, Sample) else decoded, None
            )

    def sweep(self) -> None:
        """Moves the watermarks of silent topics on evidence, closes what they let close, paces the inputs."""
        self.lag = 0
        for state in self._states.values():
            for topic, next_offset in state.next_offset.items():
                asked_ms = self._evidence.asked_until_ms(topic, state.number, next_offset)
                if asked_ms is not None:
                    state.clock.silent_until(topic, asked_ms)
            self._take(state, state.join.advance(state.clock.watermark_ms))
            unread = self._unread(state)
            self.lag += unread
            self._observer.observe(
                PartitionMoved(
                    partition=state.number,
                    watermark_ms=state.clock.watermark_ms,
                    held_events=state.join.held_events,
                    held_subjects=state.join.held_subjects,
                    unread_records=unread,
                    unacked_records=state.unacked,
                    oldest_append_ms=state.oldest_append_ms,
                )
            )
        self._pace()

    def _pace(self) -> None:
        """While too much is held, topics that run ahead wait for the slowest, which alone lets windows close.

        What one window and grace of the slowest topic bring is held in any case: nothing is dropped.
        """
        full = sum(state.join.held_events for state in self._states.values()) > self._settings.max_held_events
        span_ms = self._policy.window_ms + self._policy.grace_ms
        held_back = {
            (topic, n) for n, state in self._states.items() if full for topic in state.clock.ahead(span_ms)
        }
        if held_back != self._held_back:
            log.info("inputs held back", partitions=sorted(held_back))
            self._evidence.hold_back(held_back)
            self._held_back = held_back

    @property
    def unacknowledged(self) -> int:
        """Records handed over that are not acknowledged yet."""
        return sum(state.unacked for state in self._states.values())

    def _unread(self, state: PartitionState) -> int:
        return sum(
            self._evidence.lag(topic, state.number, next_offset)
            for topic, next_offset in state.next_offset.items()
        )

    def _reject(
        self, state: PartitionState, record: RawRecord, modality: Modality, rejected: Rejected
    ) -> None:
        if state.covered.skips(rejected.source):
            self._observer.observe(EventSkipped(modality=modality))
            self._done(state, rejected.source)
        else:
            self._deliver(self._deciding.set_aside(state, record, modality, rejected, then=self._done))

    def _join(
        self,
        state: PartitionState,
        record: RawRecord,
        modality: Modality,
        event: Event,
        sample: Sample | None,
    ) -> None:
        state.clock.observe(event.source.topic, event.event_time_ms, record.timestamp_ms)
        state.handed(record)
        if state.covered.skips(event.source):
            self._observer.observe(EventSkipped(modality=modality))
            self._done(state, event.source)
            self._take(state, state.join.advance(state.clock.watermark_ms))
            return
        state.announcements.came(event)
        outcome, step = state.join.accept(event, state.clock.watermark_ms)
        accepted = not isinstance(outcome, Late | Duplicate)
        if sample is not None and accepted:
            # The task alone holds the payload: it is gone as soon as there is a feature.
            state.features[event.source] = self._crew.spawn(self._deciding.extract(state, record, sample))
        elif sample is not None:
            self._budget.release(len(sample.data))
        if isinstance(outcome, Late):
            detail = f"{outcome.late_by_ms} ms behind what its partition still waits for"
            late = Rejected(source=event.source, reason=outcome.reason, stage=Stage.JOIN, detail=detail)
            self._reject(state, record, modality, late)
        elif isinstance(outcome, Duplicate):
            self._observer.observe(EventDuplicated(modality=modality))
            self._done(state, event.source)
        else:
            state.waits(event)
            self._observer.observe(EventAccepted(modality=modality))
        self._take(state, step)

    def _take(self, state: PartitionState, step: Step) -> None:
        for marker in step.idle_markers:
            self._done(state, marker.source)
        for window in step.changed:
            if state.announcements.awaits(window.subject_id):
                continue
            self._decide(state, window, {event: state.features[event.source] for event in window.events})
        for closed in step.closed:
            self._decide(state, closed, {event: state.features.pop(event.source) for event in closed.events})

    def _decide(self, state: PartitionState, window: ClosedWindow | OpenWindow, features: Features) -> None:
        subject_id = window.subject_id
        before = state.turns.get(subject_id)
        task = self._deliver(self._deciding.decide(state, window, features, after=before, then=self._done))
        state.turns[subject_id] = task
        task.add_done_callback(partial(state.turn_over, subject_id))

    def _done(self, state: PartitionState, *sources: Source) -> None:
        state.done(*sources)
        self.progress += len(sources)

    def _deliver(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._crew.spawn(work)
        self._delivering.add(task)
        task.add_done_callback(self._delivering.discard)
        return task


def raw_record_of(faust_event: Any) -> RawRecord:
    """A Faust event in the core's own terms; Faust, which would keep its payload until the ack, loses it."""
    message = faust_event.message
    record = RawRecord(
        source=Source(topic=message.topic, partition=message.partition, offset=message.offset),
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
        timestamp_ms=round(message.timestamp * 1000),
    )
    message.value = faust_event.value = None
    return record
