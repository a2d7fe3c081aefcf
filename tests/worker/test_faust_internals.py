"""The private state that the worker reads is where the pins say; an upgrade fails here first."""

import inspect
import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver

from stream.worker.faust_internals import FETCH_MAX_WAIT_MS, BrokerEvidence, Fetched, PromptConsumerThread

TP = TopicPartition("images", 0)


class Kafka:
    """Stands in for the aiokafka consumer inside Faust: what it was assigned, and what it was answered."""

    def __init__(self, *, highwater: int | None, asked_ms: int | None) -> None:
        self._highwater = highwater
        self._asked_ms = asked_ms

    def assignment(self) -> set[TopicPartition]:
        return {TP}

    def highwater(self, _: TopicPartition) -> int | None:
        return self._highwater

    def last_poll_timestamp(self, _: TopicPartition) -> int | None:
        return self._asked_ms


def evidence(kafka: Kafka, *, rebalancing: bool = False, fetched: Fetched | None = None) -> BrokerEvidence:
    """The evidence that an app with this consumer gives."""

    class Holder:
        pass

    app: Any = Holder()
    app.rebalancing, app.consumer, app.consumer_generation_id = rebalancing, Holder(), 3
    app.consumer._thread = Holder()
    app.consumer._thread._consumer = kafka
    app.consumer._thread.fetched = {TP: fetched} if fetched else {}
    return BrokerEvidence(app)


@pytest.mark.parametrize(
    ("highwater", "asked_ms", "next_offset", "known_until_ms"),
    [
        (10, 5_000, 10, 5_000),
        (10, 5_000, 9, None),
        (0, 5_000, 0, 5_000),
        (None, 5_000, 0, None),
        (10, None, 10, None),
    ],
    ids=["all handed over", "one on its way", "an empty topic", "never answered", "no time of the answer"],
)
def test_silence_is_known_only_up_to_the_last_answer(
    highwater: int | None, asked_ms: int | None, next_offset: int, known_until_ms: int | None
) -> None:
    """A topic is silent only if the broker was asked and had nothing that was not handed to the agent."""
    found = evidence(Kafka(highwater=highwater, asked_ms=asked_ms))
    assert found.asked_until_ms("images", 0, next_offset) == known_until_ms


@pytest.mark.parametrize(
    ("last_offset", "position", "next_offset", "silent"),
    [(9, 11, 10, True), (9, 11, 9, False), (9, 10, 10, False), (-1, 11, 10, True)],
    ids=["a marker at the end", "a record on its way", "not fetched to the end", "nothing but markers"],
)
def test_a_marker_at_the_end_of_a_topic_is_no_unread_record(
    last_offset: int, position: int, next_offset: int, silent: bool
) -> None:
    """Reading has passed it, and every record before it was handed over."""
    found = evidence(
        Kafka(highwater=11, asked_ms=5_000), fetched=Fetched(last_offset=last_offset, position=position)
    )
    assert found.asked_until_ms("images", 0, next_offset) == (5_000 if silent else None)
    assert (found.lag("images", 0, next_offset) == 0) is silent


class Answering(Kafka):
    """Another answer of the broker, with a new record, comes in while the first is being read."""

    def last_poll_timestamp(self, tp: TopicPartition) -> int | None:
        before = super().last_poll_timestamp(tp)
        self._highwater, self._asked_ms = 11, 6_000
        return before

    def highwater(self, tp: TopicPartition) -> int | None:
        before = super().highwater(tp)
        self._highwater, self._asked_ms = 11, 6_000
        return before


def test_an_answer_that_comes_in_between_proves_no_silence() -> None:
    """The time of the new answer and the high watermark of the old one would hide a record."""
    assert evidence(Answering(highwater=10, asked_ms=5_000)).asked_until_ms("images", 0, 10) is None


def test_nothing_is_known_while_the_group_rebalances() -> None:
    """What the consumer says then is of an assignment that is going."""
    found = evidence(Kafka(highwater=1, asked_ms=5_000), rebalancing=True)
    assert found.asked_until_ms("images", 0, 1) is None
    assert found.generation == 3


def test_the_pins_are_what_this_was_read_from() -> None:
    """Whoever upgrades reads stream/worker/faust_internals.py again, and then changes this line."""
    assert (version("faust-streaming"), version("mode-streaming"), version("aiokafka")) == (
        "0.15.3",
        "0.7.1",
        "0.14.0",
    )


def test_aiokafka_still_tells_when_it_was_answered() -> None:
    """`highwater` and `last_poll_timestamp` are methods of the consumer that take a partition."""
    for name in ("highwater", "last_poll_timestamp"):
        assert list(inspect.signature(getattr(AIOKafkaConsumer, name)).parameters) == ["self", "partition"]


class State:
    """Where aiokafka stands in a partition."""

    has_valid_position = True

    def __init__(self, position: int) -> None:
        self.position = position


class Assigned:
    """An assignment, and the consumer and the subscription that have it."""

    tps = (TP,)

    def __init__(self, position: int) -> None:
        self.state = State(position)
        self._subscription = self.subscription = self
        self.assignment = self

    def state_value(self, _: TopicPartition) -> State:
        return self.state


def test_how_far_reading_has_come_is_noted_with_the_last_record() -> None:
    """Also after it was sent back, and anew with each assignment."""
    thread: Any = PromptConsumerThread.__new__(PromptConsumerThread)
    thread.fetched, thread._assignment = {}, None
    record = type("Record", (), {"offset": 9})
    kafka = Assigned(position=10)
    thread._note(kafka, {TP: [record]})
    assert thread.fetched == {TP: Fetched(last_offset=9, position=10)}
    kafka.state.position = 11
    thread._note(kafka, {})
    assert thread.fetched == {TP: Fetched(last_offset=9, position=11)}
    kafka.state.position = 5
    thread._note(kafka, {})
    assert thread.fetched == {TP: Fetched(last_offset=-1, position=5)}
    thread._note(Assigned(position=30), {})
    assert thread.fetched == {TP: Fetched(last_offset=-1, position=30)}


def test_faust_still_fetches_where_this_listens() -> None:
    """Every fetch goes through `_fetch_records`, with the partitions that are wanted and a timeout."""
    source = "".join(inspect.getsource(driver.AIOKafkaConsumerThread.getmany).split())
    assert "self._fetch_records,_consumer,active_partitions,timeout=timeout," in source


ASK = """
import asyncio, json
from stream.worker.app import build_app
from stream.worker.settings import Settings

async def ask():
    app = build_app(Settings(), instance_id="one")
    kafka = app.consumer._new_consumer_thread()._create_worker_consumer(app.transport)
    print(json.dumps({
        "fetch_max_wait_ms": kafka._fetch_max_wait_ms,
        "assignor": [type(a).__name__ for a in kafka._partition_assignment_strategy],
        "supervisor": app.conf.agent_supervisor.__name__,
        "web": app.conf.web_enabled,
        "declares_topics": app.conf.topic_allow_declare,
        "waits_empty": app.conf.stream_wait_empty,
    }))

asyncio.run(ask())
"""
"""In a process of its own: Faust leaves event loops behind that nobody can close."""


def test_the_app_is_set_up_as_the_measurements_demand(no_environment: None) -> None:
    """The co-partitioning assignor, a crashing supervisor, and nothing that Faust would serve or declare."""
    answer = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == {
        "fetch_max_wait_ms": FETCH_MAX_WAIT_MS,
        "assignor": ["PartitionAssignor"],
        "supervisor": "CrashingSupervisor",
        "web": False,
        "declares_topics": False,
        "waits_empty": False,
    }
