"""The one file that reads private state of Faust and aiokafka; both are pinned for its sake.

What is needed and no public interface gives:

- how far the broker was asked (`last_poll_timestamp`, `highwater`), which is the evidence that a silent
  topic is silent and not merely unread;
- a fetch wait of 100 ms instead of the hard-coded 1,500, since that evidence is as old as the last fetch.

`tests/worker/test_faust_internals.py` fails when an upgrade moves any of it.
"""

from typing import Any

import aiokafka
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver

FETCH_MAX_WAIT_MS = 100


class PromptConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # faust ships no types
    """Faust's consumer thread with a fetch wait that keeps the evidence of silence fresh."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001  # this file's purpose
        return consumer


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
        kafka = self._app.consumer._thread._consumer  # noqa: SLF001  # this file's purpose
        tp = TopicPartition(topic, partition)
        if kafka is None or tp not in kafka.assignment():
            return None
        highwater, asked_ms = kafka.highwater(tp), kafka.last_poll_timestamp(tp)
        if highwater is None or asked_ms is None or next_offset < highwater:
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
        kafka = self._app.consumer._thread._consumer  # noqa: SLF001  # this file's purpose
        tp = TopicPartition(topic, partition)
        if kafka is None or tp not in kafka.assignment():
            return 0
        return max(0, (kafka.highwater(tp) or 0) - next_offset)
