"""Publishes a plan with librdkafka, a client that is none of the worker's, and keeps where it all stands."""

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from faultlab.plan import IMAGE, Planned
from faultlab.reference import Logged
from index.records import Modality
from stream.codec import END_OF_SUBJECT
from stream.demo.poison import RECIPES, Bounds, Ingredients
from stream.envelope import Headers, cloud_event_headers
from stream.features.cv import cv2
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Extractor
from stream.worker.settings import Settings

ORIGIN = "/faultlab"
FLUSH_S = 120.0
CODEC_FAULTS = frozenset(
    {"missing_key", "bad_key", "bad_headers", "clock_skew", "unknown_content_type", "empty", "too_large"}
)
"""These never enter the join; see the table in docs/contracts.md."""
PHOTO_SIDE_PX = 64
STRANGER_SEED = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Payloads:
    """What people show: embeddings and descriptions, alike for one person and unlike for any two."""

    dimension: int
    contract_id: str
    text_dimension: int
    text_contract_id: str
    max_image_bytes: int
    max_image_pixels: int
    max_text_chars: int

    @classmethod
    def of(cls, settings: Settings, image: Extractor, text: Extractor) -> "Payloads":
        """For a worker with these settings and extractors."""
        return cls(
            dimension=image.dimension,
            contract_id=image.contract_id,
            text_dimension=text.dimension,
            text_contract_id=text.contract_id,
            max_image_bytes=settings.max_image_bytes,
            max_image_pixels=settings.max_image_pixels,
            max_text_chars=settings.max_text_chars,
        )

    def embedding(self, person: int) -> bytes:
        """The face of a person, already a vector."""
        rng = random.Random(person)
        vector = [round(rng.gauss(0, 1), 4) for _ in range(self.dimension)]
        return json.dumps({"contract_id": self.contract_id, "vector": vector}).encode()

    def giant(self) -> bytes:
        """A PNG of a few kilobytes with just under as many pixels as are allowed."""
        side = int(self.max_image_pixels**0.5) - 1
        done, png = cv2.imencode(".png", np.zeros((side, side), np.uint8))
        assert done  # noqa: S101 (OpenCV writes PNGs)
        return bytes(png.tobytes())

    def ingredients(self) -> Ingredients:
        """What poison is made from."""
        done, photo = cv2.imencode(".jpg", np.full((PHOTO_SIDE_PX, PHOTO_SIDE_PX, 3), 127, np.uint8))
        assert done  # noqa: S101 (OpenCV writes JPEGs)
        bounds = Bounds(
            max_image_bytes=self.max_image_bytes,
            max_text_chars=self.max_text_chars,
            text_contract_id=self.text_contract_id,
            text_dimension=self.text_dimension,
        )
        return Ingredients(bounds=bounds, photo=photo.tobytes(), text=description(0))


def description(person: int) -> str:
    """What is said of a person."""
    rng = random.Random(person)
    return "somebody with " + " ".join("".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(6))


def identity(person: int | None) -> str | None:
    """The name under which a person is enrolled."""
    return None if person is None else f"person-{person:03d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A planned event as it goes out."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    time_ms: int
    fault: str | None = None


class Kitchen:
    """Makes records of planned events."""

    def __init__(self, settings: Settings, payloads: Payloads) -> None:
        self._settings = settings
        self._payloads = payloads
        self._ingredients = payloads.ingredients()
        self._giant = payloads.giant()

    def record(self, event: Planned, start_ms: int) -> Record:
        """The record of an event of a stream that starts at this Unix time."""
        recipe = RECIPES[event.poison] if event.poison else None
        time_ms = event.time_ms + (0 if event.absolute else start_ms) + (recipe.ahead_ms if recipe else 0)
        value, content_type = self._payload(event)
        headers = cloud_event_headers(
            event_id=event.event_id,
            origin=ORIGIN,
            event_type=END_OF_SUBJECT if event.marker else f"sightline.{event.modality}.v1",
            time_ms=time_ms,
            content_type=content_type,
        )
        if recipe and not recipe.has_time:
            headers = tuple((n, b"half past nine" if n == "ce_time" else v) for n, v in headers)
        return Record(
            topic=self._settings.topics.inputs[Modality(event.modality)],
            key=event.subject.encode() if recipe is None or recipe.has_key else None,
            value=value,
            headers=headers,
            time_ms=time_ms,
            fault=self._fault(event, time_ms, start_ms),
        )

    def _payload(self, event: Planned) -> tuple[bytes | None, str]:
        if event.marker:
            return None, "application/octet-stream"
        if event.poison:
            recipe = RECIPES[event.poison]
            return recipe.value(self._ingredients), recipe.content_type
        if event.giant:
            return self._giant, "image/png"
        who = event.person if event.person is not None else STRANGER_SEED + hash_of(event.subject)
        if event.modality == IMAGE:
            return self._payloads.embedding(who), EMBEDDING_CONTENT_TYPE
        return description(who).encode(), "text/plain"

    def _fault(self, event: Planned, time_ms: int, start_ms: int) -> str | None:
        if event.poison:
            return str(RECIPES[event.poison].reason)
        if event.giant:
            return "no_face"
        ahead_ms = time_ms - start_ms - event.at_ms
        return "clock_skew" if ahead_ms > self._settings.max_skew_ms else None


def hash_of(subject: str) -> int:
    """The number in a subject's name: the same in every process."""
    return int(subject.rpartition("-")[2])


class Feed:
    """Publishes a plan beside everything else, each event at its time."""

    def __init__(self, settings: Settings, payloads: Payloads, events: Sequence[Planned]) -> None:
        self._settings = settings
        self._kitchen = Kitchen(settings, payloads)
        self._events = events
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 0,
                "message.max.bytes": 10_000_000,
                "log_level": 0,
            }
        )
        self._failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.log: list[Logged] = []
        """What the broker has taken, in the order of its delivery reports."""
        self.began_s = 0.0

    def start(self) -> None:
        """Begins."""
        self._producer.list_topics(timeout=30)
        self.began_s = time.monotonic()
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether there is more to come."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Publishes nothing more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def finish(self) -> Sequence[Logged]:
        """Waits for the last delivery; everything that was published.

        Raises:
            RuntimeError: The broker did not take a record.
        """
        self._thread.join()
        if self._failures or len(self.log) != len(self._events):
            raise RuntimeError(
                f"{len(self.log)} of {len(self._events)} records published: {self._failures[:3]}"
            )
        return self.log

    def _run(self) -> None:
        start_ms = time.time_ns() // 1_000_000
        for event in self._events:
            due_s = self.began_s + event.at_ms / 1_000
            while (early_s := due_s - time.monotonic()) > 0 and not self._stop.is_set():
                self._producer.poll(min(early_s, 0.05))
            if self._stop.is_set():
                return
            self._send(event, self._kitchen.record(event, start_ms))
        if left := self._producer.flush(FLUSH_S):
            self._failures.append(f"{left} were not taken within {FLUSH_S:.0f} s")

    def _send(self, event: Planned, record: Record) -> None:
        def note(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failures.append(f"{event.event_id}: {error}")
                return
            self.log.append(
                Logged(
                    place=(message.topic(), message.partition(), message.offset()),
                    append_ms=message.timestamp()[1],
                    subject=event.subject,
                    modality=event.modality,
                    name=event.event_id,
                    time_ms=record.time_ms,
                    marker=event.marker,
                    person=identity(event.person),
                    fault=record.fault,
                    joins=record.fault not in CODEC_FAULTS,
                )
            )

        where = {} if record.key else {"partition": 0}
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    on_delivery=note,
                    **where,
                )
            except BufferError:  # librdkafka's queue is full: the broker is away
                self._producer.poll(0.1)
            else:
                return
            finally:
                self._producer.poll(0)
