"""The job over Kafka: what publishes it, and the leanest client that does it."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

from confluent_kafka import OFFSET_STORED, Consumer, Message, Producer, TopicPartition
from pipeline_job import CONTENT_TYPES, ORIGIN, Job, Run, Subject, kernel_of, subject_id_of

from stream.envelope import Outgoing, cloud_event_headers
from stream.events import Event, EventId, Source, SubjectId
from stream.worker.settings import Settings

ANSWER_WITHIN_S = 60.0
"""A contender that has said nothing for so long has failed."""
ERRORS = 3
"""Of syslog's levels: a broker that has just started is not ready for everything, and retries are no news."""
UNDER_WAY = 64
"""Subjects that the client has read and not decided: enough to keep its threads busy."""
COMMIT_EVERY = 100


def _producer(settings: Settings) -> Producer:
    """A producer with the promises of the worker's own: acknowledged by all, idempotent, no delay."""
    return Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 0,
            "message.max.bytes": 10_000_000,
            "log_level": ERRORS,
        }
    )


def _flush(producer: Producer) -> None:
    if left := producer.flush(ANSWER_WITHIN_S):
        raise RuntimeError(
            f"{left} records were not taken within {ANSWER_WITHIN_S:.0f} s; see the broker's log"
        )


def _taken(note: Callable[[Message], None]) -> Callable[[Any, Message], None]:
    def on_delivery(error: Any, message: Message) -> None:
        if error is not None:
            raise RuntimeError(f"{message.topic()} did not take a record: {error}")
        note(message)

    return on_delivery


def publish_gallery(settings: Settings, records: Iterable[Outgoing]) -> None:
    """Writes the gallery topic as the service's own door would."""
    producer = _producer(settings)
    for record in records:
        producer.produce(settings.topics.gallery, value=record.value, key=record.key)
    _flush(producer)


def publish(
    settings: Settings, subjects: Iterable[Subject], run: str, *, rate_hz: float | None = None
) -> Mapping[str, int]:
    """Publishes every event of every subject, at once or so many subjects a second.

    Returns:
        When the broker appended the last event of each subject, by subject id.
    """
    producer, appended_ms = _producer(settings), dict[str, int]()

    def note(message: Message) -> None:
        subject_id = message.key().decode()
        appended_ms[subject_id] = max(appended_ms.get(subject_id, 0), message.timestamp()[1])

    producer.list_topics(timeout=ANSWER_WITHIN_S)  # connects, so that the first subject need not wait
    began_s = time.monotonic()
    for count, subject in enumerate(subjects):
        while rate_hz and (early_s := began_s + count / rate_hz - time.monotonic()) > 0:
            producer.poll(min(early_s, 0.005))
        subject_id, now_ms = subject_id_of(run, subject), time.time_ns() // 1_000_000
        for modality, data in subject.payloads.items():
            headers = cloud_event_headers(
                event_id=f"{subject_id}/{modality}",
                origin=ORIGIN,
                event_type="sightline.sample.v1",
                time_ms=now_ms,
                content_type=CONTENT_TYPES[modality],
            )
            producer.produce(
                settings.topics.inputs[modality],
                value=data,
                key=subject_id,
                headers=list(headers),
                on_delivery=_taken(note),
            )
        producer.poll(0)
    _flush(producer)
    return appended_ms


def client(job: Job, settings: Settings, count: int) -> Run:
    """A client without a service around it: reads, joins in a dict, decides, produces, commits by count.

    It forgets what it had joined when it dies, loses what it had read, and waits for ever for a half that
    does not come.
    """
    kernel, producer, room = kernel_of(job), _producer(settings), BoundedSemaphore(UNDER_WAY)
    values, appended_ms = dict[str, bytes](), dict[str, int]()
    waiting: dict[SubjectId, dict[Event, bytes]] = {}

    def note(message: Message) -> None:
        appended_ms[message.key().decode()] = message.timestamp()[1]

    def answer(payloads: dict[Event, bytes]) -> None:
        try:
            decision = kernel.decide(payloads)
            values[next(iter(payloads)).subject_id] = decision.value or b""
            producer.produce(
                settings.topics.matches,
                value=decision.value,
                key=decision.key,
                headers=list(decision.headers),
                on_delivery=_taken(note),
            )
            producer.poll(0)
        finally:
            room.release()

    places = [(topic, n) for topic in settings.topics.inputs.values() for n in range(settings.partitions)]
    with connected(settings, "client") as consumer, ThreadPoolExecutor(settings.extract_threads) as pool:
        producer.list_topics(timeout=ANSWER_WITHIN_S)
        began_s, began_cpu_s = time.time(), time.process_time()
        consumer.assign([TopicPartition(topic, n, OFFSET_STORED) for topic, n in places])
        answers: list[Future[None]] = []
        read = 0
        while len(answers) < count:
            event, data = _next(consumer, settings)
            payloads = waiting.setdefault(event.subject_id, {})
            payloads[event] = data
            read += 1
            if len(payloads) == len(settings.modalities):
                room.acquire()
                answers.append(pool.submit(answer, waiting.pop(event.subject_id)))
            if read % COMMIT_EVERY == 0:
                consumer.commit(asynchronous=True)
        for answered in answers:
            answered.result()
        _flush(producer)
        cpu_s = time.process_time() - began_cpu_s
        reached = consumer.position([TopicPartition(topic, n) for topic, n in places])
        consumer.commit(offsets=[place for place in reached if place.offset >= 0], asynchronous=False)
    return Run(
        seconds=max(appended_ms.values()) / 1000 - began_s,
        cpu_s=cpu_s,
        values=values,
        appended_ms=appended_ms,
    )


@contextlib.contextmanager
def connected(settings: Settings, name: str, **options: Any) -> Iterator[Consumer]:
    """A connected consumer without a group to join; it commits only when told."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap,
            "group.id": f"{settings.app_id}-{name}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **options,
        }
    )
    try:
        consumer.list_topics(timeout=ANSWER_WITHIN_S)
        yield consumer
    finally:
        consumer.close()


def _next(consumer: Consumer, settings: Settings) -> tuple[Event, bytes]:
    message = consumer.poll(ANSWER_WITHIN_S)
    if message is None or message.error():
        raise RuntimeError(f"nothing came within {ANSWER_WITHIN_S:.0f} s: {message and message.error()}")
    subject_id, modality = message.key().decode(), settings.topics.modality_of(message.topic())
    event = Event(
        event_id=EventId(f"{subject_id}/{modality}"),
        origin=ORIGIN,
        subject_id=SubjectId(subject_id),
        modality=modality,
        event_time_ms=message.timestamp()[1],
        source=Source(topic=message.topic(), partition=message.partition(), offset=message.offset()),
    )
    return event, message.value()
