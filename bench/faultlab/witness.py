"""Reads the outputs with librdkafka and plain JSON: nothing of the service's own clients or readers."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from faultlab.reference import Place
from stream.worker.settings import Settings

HARMLESS = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  # librdkafka's own names of its local errors
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._PARTITION_EOF,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}
"""A broker that is away, or a topic that a scenario has taken away: retried without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A record of the match topic."""

    value: bytes
    key: str
    partition: int
    append_ms: int
    decision_id: str
    revision: int
    supersedes: str | None
    final: bool
    subject: str
    gallery_version: int
    closed_by: str | None
    outcome: str
    identity: str | None
    used: frozenset[str]
    missing: tuple[tuple[str, str], ...]
    """Modality and reason."""
    samples: dict[Place, str]
    """Event id of each input that was used, by its place."""
    unusable: dict[Place, str]
    markers: dict[Place, str]

    @property
    def covers(self) -> dict[Place, str]:
        """Event id of every input that it speaks for."""
        return self.samples | self.unusable | self.markers


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A record of the dead-letter topic."""

    place: Place
    reason: str
    stage: str
    partition: int
    append_ms: int


def said_of(message: Message) -> Said:
    """A decision as JSON tells it."""
    value = json.loads(message.value())
    missing = value["modalities"]["missing"]
    return Said(
        value=message.value(),
        key=message.key().decode(),
        partition=message.partition(),
        append_ms=message.timestamp()[1],
        decision_id=value["decision_id"],
        revision=value["revision"],
        supersedes=value["supersedes"],
        final=value["final"],
        subject=value["subject_id"],
        gallery_version=value["gallery"]["version"],
        closed_by=value["window"]["closed_by"],
        outcome=value["outcome"],
        identity=value["identity_id"],
        used=frozenset(value["modalities"]["used"]),
        missing=tuple((part["modality"], part["reason"]) for part in missing),
        samples=_places(value["inputs"]),
        unusable=_places(part for part in missing if part.get("offset") is not None),
        markers=_places(value["markers"]),
    )


def set_aside_of(message: Message) -> SetAside:
    """A dead letter as its headers tell it."""
    told = {name: value.decode() for name, value in message.headers() if name.startswith("sightline_dlq_")}
    return SetAside(
        place=(
            told["sightline_dlq_topic"],
            int(told["sightline_dlq_partition"]),
            int(told["sightline_dlq_offset"]),
        ),
        reason=told["sightline_dlq_reason"],
        stage=told["sightline_dlq_stage"],
        partition=message.partition(),
        append_ms=message.timestamp()[1],
    )


def _places(parts: Any) -> dict[Place, str]:
    return {(p["topic"], p["partition"], p["offset"]): p["event_id"] for p in parts}


class Witness:
    """Everything that was said since the outputs began."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.decisions: list[Said] = []
        self.dead_letters: list[SetAside] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap,
                "group.id": f"{settings.app_id}-witness",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "topic.metadata.refresh.interval.ms": 1_000,
                "log_level": 0,
            }
        )
        self.begin()

    def begin(self) -> None:
        """Reads from the beginning: at the start, and of topics that were made anew."""
        names = (self._settings.topics.matches, self._settings.topics.dead_letters)
        self._consumer.assign(
            [
                TopicPartition(name, number, OFFSET_BEGINNING)
                for name in names
                for number in range(self._settings.partitions)
            ]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self, seconds: float) -> None:
        """Takes in what there is, waiting no longer than this for the first of it."""
        for message in self._consumer.consume(num_messages=500, timeout=seconds):
            if (error := message.error()) is not None:
                if error.code() not in HARMLESS:
                    raise KafkaException(error)
            elif message.topic() == self._settings.topics.matches:
                self.decisions.append(said_of(message))
            else:
                self.dead_letters.append(set_aside_of(message))

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Reads until it is done; False when the time is over."""
        deadline_s = time.monotonic() + seconds
        while not done():
            if time.monotonic() >= deadline_s:
                return False
            self.read(0.2)
        return True
