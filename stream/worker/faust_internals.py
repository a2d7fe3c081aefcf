"""The one file that reads private state of Faust and aiokafka; both are pinned for its sake.

What is needed and no public interface gives:

- how far the broker was asked (`last_poll_timestamp`, `highwater`), which is the evidence that a silent
  topic is silent and not merely unread;
- how far reading has passed what is no record: a transaction's marker takes an offset that nobody is handed;
- a fetch wait of 100 ms instead of the hard-coded 1,500, since that evidence is as old as the last fetch;
- partitions that are held back without losing what was fetched: Faust's own `pause_partitions` drops records.

`tests/worker/test_faust_internals.py` fails when an upgrade moves any of it.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiokafka
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver

FETCH_MAX_WAIT_MS = 100
IDLE_S = 0.2
"""The longest that a fetch waits for records before it tells how far it has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """How far a partition was fetched: between the last record and the position there is none.

    One value, for it is written by the consumer's thread and read by another.
    """

    last_offset: int
    """Of the last record that Faust was given; -1 if none since it began to read, or was sent back."""
    position: int


class PromptConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # faust ships no types
    """Faust's consumer thread with a fetch wait that keeps the evidence of silence fresh."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fetched: dict[TopicPartition, Fetched] = {}
        # What was fetched of these stays in aiokafka's buffer, and no more is fetched.
        self.held_back: frozenset[TopicPartition] = frozenset()

        self._assignment: Any = None

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001  # this file's purpose
        return consumer

    async def _fetch_records(self, consumer: Any, active_partitions: Any, **options: Any) -> Any:
        wanted = set(active_partitions) - self.held_back
        if not wanted:  # none would be all of them for aiokafka
            await asyncio.sleep(IDLE_S)
            return {}
        records = await super()._fetch_records(consumer, wanted, **(options | {"timeout": IDLE_S}))
        self._note(consumer, records)
        return records

    def _note(self, consumer: Any, records: Any) -> None:
        assignment = consumer._subscription.subscription.assignment  # noqa: SLF001  # this file's purpose
        if assignment is not self._assignment:
            self._assignment, self.fetched = assignment, {}
        for tp in assignment.tps if assignment else ():
            state = assignment.state_value(tp)
            if not state.has_valid_position:
                continue
            known = self.fetched.get(tp)
            last = records[tp][-1].offset if tp in records else known.last_offset if known else -1
            self.fetched[tp] = Fetched(
                last_offset=last if last < state.position else -1, position=state.position
            )


class PromptConsumer(driver.Consumer):  # type: ignore[misc]  # faust ships no types
    """Faust's consumer on top of that thread."""

    def _new_consumer_thread(self) -> PromptConsumerThread:
        return PromptConsumerThread(self, loop=self.loop, beacon=self.beacon)


class PromptTransport(driver.Transport):  # type: ignore[misc]  # faust ships no types
    """Faust's aiokafka transport with that consumer."""

    Consumer = PromptConsumer


def use_prompt_transport(app: Any) -> None:
    """Makes an app that has not started use `PromptTransport`."""
    app.transport = PromptTransport(app.conf.broker_consumer, app)


class BrokerEvidence:
    """What the broker has been asked, and answered, about one topic partition."""

    def __init__(self, app: Any) -> None:
        self._app = app

    @property
    def generation(self) -> int:
        """Generation of the group; a message of another one belongs to an assignment that is gone."""
        return int(self._app.consumer_generation_id)

    def asked_until_ms(self, topic: str, partition: int, next_offset: int) -> int | None:
        """Time up to which the broker is known to have had nothing unread; None without evidence.

        Args:
            topic: The input topic.
            partition: Its partition.
            next_offset: One past the last offset handed to the agent; where none was yet, the offset that
            reading
                began at.
        """
        if self._app.rebalancing:
            return None
        kafka, tp = self._kafka, TopicPartition(topic, partition)
        if kafka is None or tp not in kafka.assignment():
            return None
        # In this order: an answer that comes in between may make the high watermark newer, never its time.
        asked_ms = kafka.last_poll_timestamp(tp)
        highwater = kafka.highwater(tp)
        if highwater is None or asked_ms is None or self._passed(tp, next_offset) < highwater:
            return None
        return int(asked_ms)

    @property
    def heard_ms(self) -> int | None:
        """When the broker last answered a fetch of any partition; None while no answer is expected."""
        kafka = None if self._app.rebalancing else self._app.consumer._thread._consumer  # noqa: SLF001  # as above
        answers = (kafka.last_poll_timestamp(tp) for tp in kafka.assignment()) if kafka else ()
        return max((answered_ms for answered_ms in answers if answered_ms is not None), default=None)

    def lag(self, topic: str, partition: int, next_offset: int) -> int:
        """Records the broker had at the last fetch that were not handed to the agent yet."""
        kafka, tp = self._kafka, TopicPartition(topic, partition)
        if kafka is None or tp not in kafka.assignment():
            return 0
        return max(0, (kafka.highwater(tp) or 0) - self._passed(tp, next_offset))

    def hold_back(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hands over nothing more of these until told otherwise, but for what Faust has buffered already."""
        self._thread.held_back = frozenset(TopicPartition(*tp) for tp in partitions)

    @property
    def _thread(self) -> Any:
        return self._app.consumer._thread  # noqa: SLF001  # this file's purpose

    @property
    def _kafka(self) -> Any:
        return self._thread._consumer  # noqa: SLF001  # this file's purpose

    def _passed(self, tp: TopicPartition, next_offset: int) -> int:
        """Every record before this offset was handed to the agent."""
        fetched: Fetched | None = self._thread.fetched.get(tp)
        if fetched is None or next_offset <= fetched.last_offset:
            return next_offset
        return max(next_offset, fetched.position)
