"""What end-to-end tests publish: enrolment requests, and events about known people and strangers."""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from index.records import IMAGE, TEXT, Modality
from stream.demo.people import People, Person, Photo
from stream.enrolment_record import encode_request
from stream.envelope import Outgoing, cloud_event_headers
from stream.events import EnrolmentRequest, RawSample
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.worker.settings import Settings
from tests.e2e.harness import Outbound, WorkerProcess, publish

BOTH = (IMAGE, TEXT)
CONTENT_TYPES = {IMAGE: "image/jpeg", TEXT: "text/plain"}
ORIGIN = "/tests/camera"
NO_CAPTION = "a person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One appearance of somebody, and the truth about it."""

    subject_id: str
    identity_id: str | None
    """None for a stranger."""
    photo: Photo
    modalities: tuple[Modality, ...] = BOTH


def appearances(people: People, count: int, *, modalities: Sequence[Modality] = BOTH) -> list[Subject]:
    """`count` subjects: enrolled people and strangers in turn, their photos over and over."""
    shots: list[tuple[str | None, Photo]] = []
    for known, stranger in zip(people.enrolled, people.strangers, strict=False):
        shots += [(known.identity_id, photo) for photo in known.probes[:1]]
        shots += [(None, photo) for photo in stranger.probes[:1]]
    return [
        Subject(
            subject_id=f"subject-{n:04d}",
            identity_id=shots[n % len(shots)][0],
            photo=shots[n % len(shots)][1],
            modalities=tuple(modalities),
        )
        for n in range(count)
    ]


def event(
    settings: Settings,
    subject_id: str,
    modality: Modality,
    value: bytes,
    time_ms: int,
    *,
    event_id: str | None = None,
    content_type: str | None = None,
) -> Outbound:
    """One CloudEvent of a subject."""
    return Outbound(
        topic=settings.topics.inputs[modality],
        key=subject_id.encode(),
        value=value,
        headers=cloud_event_headers(
            event_id=event_id or f"{subject_id}/{modality}",
            origin=ORIGIN,
            event_type="sightline.sample.v1",
            time_ms=time_ms,
            content_type=content_type or CONTENT_TYPES.get(modality, EMBEDDING_CONTENT_TYPE),
        ),
    )


def payload(subject: Subject, modality: Modality) -> bytes:
    """What the subject shows in this modality."""
    return subject.photo.read() if modality == IMAGE else (subject.photo.caption or NO_CAPTION).encode()


def events(
    settings: Settings, subjects: Iterable[Subject], *, start_ms: int, every_ms: int, image_bytes: int = 0
) -> Iterator[Outbound]:
    """The events of subjects that appear one after another in event time.

    Args:
        settings: Whose topics.
        subjects: In order of appearance.
        start_ms: Event time of the first.
        every_ms: Event time from one to the next.
        image_bytes: Photos are padded to this size.
    """
    for number, subject in enumerate(subjects):
        for modality in subject.modalities:
            value = payload(subject, modality)
            if modality == IMAGE:
                value = padded(value, image_bytes)
            yield event(settings, subject.subject_id, modality, value, start_ms + number * every_ms)


def padded(jpeg: bytes, size: int) -> bytes:
    """The same picture in at least `size` bytes: comment segments after the start of the file."""
    filler = b""
    while len(jpeg) + len(filler) < size:
        filler += b"\xff\xfe" + struct.pack(">H", 65_535) + bytes(65_533)
    return jpeg[:2] + filler + jpeg[2:]


def enrol(settings: Settings, worker: WorkerProcess, people: Iterable[Person]) -> None:
    """Enrols everybody by the one door, and returns when all have their answer and are searched."""
    requests = [
        enrolment(person.identity_id, photo, request_id=f"{person.identity_id}#{number}")
        for person in people
        for number, photo in enumerate(person.enrolled)
    ]
    before = metric(worker, "sightline_enrolments_total")
    publish(settings, (outbound(settings.topics.enrolments, request) for request in requests))
    worker.wait_for(
        lambda: metric(worker, "sightline_enrolments_total") >= before + len(requests),
        f"through with {len(requests)} enrolments",
        60,
    )
    accepted = metric(worker, "sightline_enrolments_total", 'accepted="true"')
    worker.wait_for(
        lambda: metric(worker, "sightline_gallery_version") >= accepted, "following the gallery topic", 10
    )


def enrolment(identity_id: str, photo: Photo, *, request_id: str) -> Outgoing:
    """A request to enrol a photo with its caption."""
    samples = {IMAGE: RawSample(content_type="image/jpeg", data=photo.read())}
    if photo.caption:
        samples[TEXT] = RawSample(content_type="text/plain", data=photo.caption.encode())
    return encode_request(
        EnrolmentRequest(
            request_id=request_id, identity_id=identity_id, template_id=None, action="enrol", samples=samples
        )
    )


def withdrawal(identity_id: str, *, request_id: str) -> Outgoing:
    """A request to withdraw an identity."""
    return encode_request(
        EnrolmentRequest(request_id=request_id, identity_id=identity_id, template_id=None, action="withdraw")
    )


def outbound(topic: str, record: Outgoing) -> Outbound:
    """A record for a topic."""
    return Outbound(topic=topic, key=record.key, value=record.value, headers=record.headers)


def metric(worker: WorkerProcess, name: str, *labels: str) -> float:
    """Sum of a metric's samples that have all these labels."""
    lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", worker.get("/metrics")[1], re.MULTILINE)
    return sum(float(value) for found, value in lines if all(label in found for label in labels))
