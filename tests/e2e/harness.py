"""An independent client (librdkafka) that publishes and reads; the real workers are `faultlab`'s."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from faultlab.processes import WorkerProcess

from stream.dead_letter_record import DeadLetter, decode_dead_letter
from stream.decision_record import DecisionRecord, decode_decision
from stream.events import RawRecord, Rejected, Source
from stream.worker.settings import Settings

__all__ = ["Outbound", "Witness", "WorkerProcess", "committed", "publish", "raw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1


def publish(settings: Settings, records: Iterable[Outbound], *, rate_hz: float | None = None) -> list[Source]:
    """Publishes in order by librdkafka; returns where each record stands."""
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "partitioner": "murmur2_random",
            "message.max.bytes": 10_000_000,
            "linger.ms": 0,
            # Without it a retried batch overtakes: the first photos of a new topic arrived seconds late.
            "enable.idempotence": True,
        }
    )
    where: dict[int, Source] = {}

    def delivered(number: int) -> Callable[[KafkaError | None, Message], None]:
        def note(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            where[number] = Source(
                topic=message.topic(), partition=message.partition(), offset=message.offset()
            )

        return note

    count = 0
    for count, record in enumerate(records, start=1):
        producer.produce(
            record.topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            on_delivery=delivered(count),
            **({} if record.partition < 0 else {"partition": record.partition}),
        )
        producer.poll(1 / rate_hz if rate_hz else 0)
    assert producer.flush(60) == 0, "the broker did not take every record within 60 s"
    return [where[number] for number in range(1, count + 1)]


@dataclass(slots=True)
class Witness:
    """Reads the outputs from their beginning with a client that shares no code with the worker's."""

    settings: Settings
    decisions: list[tuple[DecisionRecord, bytes]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    _consumer: Consumer = field(init=False)

    def __post_init__(self) -> None:
        names = self.settings.topics
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.settings.bootstrap,
                "group.id": f"{self.settings.app_id}-witness",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in (names.matches, names.dead_letters)
                for partition in range(self.settings.partitions)
            ]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self, seconds: float) -> None:
        """Takes in what there is, waiting no longer than this."""
        for message in self._consumer.consume(num_messages=500, timeout=seconds):
            assert message.error() is None, message.error()
            record = raw(message)
            if message.topic() == self.settings.topics.matches:
                decision = decode_decision(record)
                assert not isinstance(decision, Rejected), decision
                self.decisions.append((decision, message.value()))
            else:
                letter = decode_dead_letter(record)
                assert not isinstance(letter, Rejected), letter
                self.dead_letters.append(letter)

    def until(
        self, done: Callable[["Witness"], bool], seconds: float, worker: WorkerProcess | None = None
    ) -> None:
        """Reads until it is done; fails with what was read, and the worker's log."""
        deadline = time.monotonic() + seconds
        while not done(self):
            if time.monotonic() >= deadline:
                log = worker.tail() if worker else ""
                missing = f"{len(self.decisions)} decisions, {len(self.dead_letters)} dead letters"
                raise AssertionError(f"after {seconds:.0f} s only {missing}:\n{log}")
            self.read(0.2)

    @property
    def by_subject(self) -> dict[str, DecisionRecord]:
        """The first decision of each subject."""
        found: dict[str, DecisionRecord] = {}
        for decision, _ in self.decisions:
            found.setdefault(decision.subject_id, decision)
        return found

    def covered(self) -> set[Source]:
        """Every input that a decision or a dead letter speaks for."""
        spoken = {c.input for decision, _ in self.decisions for c in decision.covered()}
        return spoken | {letter.source for letter in self.dead_letters}

    def different_duplicates(self) -> list[str]:
        """Decision ids that stand on the topic with different bytes at one gallery version."""
        values: dict[tuple[str, int], set[bytes]] = {}
        for decision, value in self.decisions:
            values.setdefault((decision.decision_id, decision.gallery.version), set()).add(value)
        return [key[0] for key, seen in values.items() if len(seen) > 1]


def raw(message: Message) -> RawRecord:
    """A librdkafka message in the core's own terms."""
    return RawRecord(
        source=Source(topic=message.topic(), partition=message.partition(), offset=message.offset()),
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
        timestamp_ms=message.timestamp()[1],
    )


def committed(settings: Settings, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Committed offsets of the worker's group; partitions without one are left out."""
    consumer = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": settings.app_id})
    try:
        wanted = [TopicPartition(t, p) for t in topics for p in range(settings.partitions)]
        return {
            (tp.topic, tp.partition): tp.offset
            for tp in consumer.committed(wanted, timeout=10)
            if tp.offset >= 0
        }
    finally:
        consumer.close()
