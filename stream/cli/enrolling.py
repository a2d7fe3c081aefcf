"""Requests through the gallery's one door, and the wait for their answers."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from index.records import IMAGE, TEXT, Modality
from stream.cli.kafka_clients import Deadline, Reader, Sender, now_ms, reader, sender
from stream.demo.people import LabelledPhoto
from stream.enrolment_record import decode_result, encode_request
from stream.events import EnrolmentRequest, EnrolmentResult, RawSample
from stream.features.guards import UNDECLARED
from stream.worker.settings import Settings

ORIGIN = "sightline-cli"
IN_FLIGHT = 64
"""Requests without an answer: bounds what is read from files and held."""
ANSWER_WITHIN_S = 60.0
"""From one answer to the next; the first one may have to wait for a worker that is starting."""

OnResult = Callable[[EnrolmentResult], None]


def enrolment_request(run: str, number: int, labelled: LabelledPhoto) -> EnrolmentRequest:
    """The request to enrol a photo and what was said about it.

    The template is named after the photo: enrolling a folder again replaces its templates and doubles none.
    """
    photo = labelled.photo
    samples: dict[Modality, RawSample] = {IMAGE: RawSample(content_type=UNDECLARED, data=photo.read())}
    if photo.caption:
        samples[TEXT] = RawSample(content_type="text/plain", data=photo.caption.encode())
    return EnrolmentRequest(
        request_id=f"{run}-{number:06d}",
        identity_id=labelled.identity_id,
        template_id=photo.name,
        action="enrol",
        samples=samples,
        metadata={"photo": photo.name},
        requested_at_ms=now_ms(),
    )


def withdrawal_request(run: str, identity_id: str, template_id: str | None) -> EnrolmentRequest:
    """The request to withdraw an identity, or one template of it."""
    return EnrolmentRequest(
        request_id=f"{run}-withdraw",
        identity_id=identity_id,
        template_id=template_id,
        action="withdraw",
        requested_at_ms=now_ms(),
    )


async def enrol_all(
    settings: Settings,
    run: str,
    photos: Sequence[LabelledPhoto],
    *,
    on_result: OnResult = lambda _result: None,
) -> tuple[EnrolmentResult, ...]:
    """Requests each photo's enrolment; photos are read as their turn comes. See `answers_to`."""
    requests = (enrolment_request(run, number, labelled) for number, labelled in enumerate(photos))
    return await answers_to(settings, requests, on_result=on_result)


async def answers_to(
    settings: Settings,
    requests: Iterable[EnrolmentRequest],
    *,
    on_result: OnResult = lambda _result: None,
) -> tuple[EnrolmentResult, ...]:
    """Sends requests, a bounded number ahead of their answers; returns all answers when the last has come.

    Raises:
        NoAnswerError: No answer came for too long.
        PeopleError: A photo cannot be read.
    """
    topics, results = settings.topics, list[EnrolmentResult]()
    async with reader(settings, topics.enrolment_results) as answers, sender(settings) as out:
        door = _Door(out, answers, topics.enrolments)
        waiting = iter(requests)
        while await door.ask(waiting) or door.unanswered:
            for result in await door.hear():
                on_result(result)
                results.append(result)
    return tuple(results)


class _Door:
    """Keeps a bounded number of requests without an answer."""

    def __init__(self, out: Sender, answers: Reader, topic: str) -> None:
        self._out = out
        self._answers = answers
        self._topic = topic
        self.unanswered: set[str] = set()
        self._deadline = Deadline(ANSWER_WITHIN_S, waiting_for="an answer to an enrolment request")

    async def ask(self, requests: Iterator[EnrolmentRequest]) -> int:
        """Sends as many of the next requests as there is room for; returns how many."""
        room = IN_FLIGHT - len(self.unanswered)
        batch = [request for _, request in zip(range(room), requests, strict=False)]
        self.unanswered |= {request.request_id for request in batch}
        async with asyncio.TaskGroup() as sending:
            for request in batch:
                sending.create_task(self._out.send(self._topic, encode_request(request, origin=ORIGIN)))
        return len(batch)

    async def hear(self) -> list[EnrolmentResult]:
        """The answers that have come."""
        found = []
        for record in await self._answers.read():
            result = decode_result(record)
            if isinstance(result, EnrolmentResult) and result.request_id in self.unanswered:
                self.unanswered.discard(result.request_id)
                found.append(result)
                self._deadline.extend()
        self._deadline.check()
        return found
