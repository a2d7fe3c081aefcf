"""The gallery's one door: requests in, reviewed templates and answers out, in the order of the requests."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from index.records import Feature, IdentityId, Modality, TemplateId
from stream.codec import Limits
from stream.dead_letter_record import encode_dead_letter
from stream.enrolment_record import RequestLimits, decode_request, encode_result, refusal
from stream.envelope import Outgoing
from stream.events import EnrolmentRequest, EnrolmentResult, RawRecord, Rejected
from stream.features.extractor import Unusable
from stream.gallery_record import encode_template, tombstone
from stream.hooks import EnrolmentAnswered, Observer
from stream.live_gallery import LiveGallery
from stream.reasons import Reason
from stream.review import REVIEW_POLICIES, review
from stream.worker.crew import Crew
from stream.worker.extraction import ExtractionPool
from stream.worker.faust_internals import BrokerEvidence
from stream.worker.gallery_feed import GalleryFeed
from stream.worker.pipeline import raw_record_of
from stream.worker.publisher import Publisher
from stream.worker.settings import Settings
from stream.worker.stages import stage
from stream.worker.topics import ENVELOPE_BYTES

Extracted = Mapping[Modality, Feature | Unusable]

AHEAD = 32
"""Requests whose features are extracted while earlier ones are answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    faust_event: Any
    generation: int
    record: RawRecord
    request: EnrolmentRequest | Rejected
    extracted: "asyncio.Task[Extracted] | None"


class Enroller:
    """Answers enrolment requests one after another; only their extraction runs ahead.

    Each is reviewed in a gallery that holds everything this worker published before, and, from the first
    request after an assignment on, everything that the partition's previous owner did. All requests of one
    identity are one partition's, so no sample of its own is ever overlooked. What another worker publishes in
    the same moment, for another identity, may be.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        gallery: LiveGallery,
        feed: GalleryFeed,
        pool: ExtractionPool,
        publisher: Publisher,
        evidence: BrokerEvidence,
        observer: Observer,
        crew: Crew,
        limits: Mapping[Modality, Limits],
    ) -> None:
        self._topics = settings.topics
        self._policy = REVIEW_POLICIES[settings.review]
        self._gallery = gallery
        self._feed = feed
        self._pool = pool
        self._publisher = publisher
        self._evidence = evidence
        self._observer = observer
        self._crew = crew
        self._limits = RequestLimits(
            modalities=limits,
            max_value_bytes=settings.max_image_bytes * 4 // 3 + ENVELOPE_BYTES,
            max_skew_ms=settings.max_skew_ms,
        )
        self._published = 0
        """The gallery's version that holds all that this worker has published."""
        self._caught_up_in: int | None = None
        """The group's generation in which the gallery was last compared with its topic."""
        self._pending: asyncio.Queue[_Pending] = asyncio.Queue(maxsize=AHEAD)

    async def on_event(self, faust_event: Any) -> None:
        """Takes one request from Faust; returns when there is room for the next."""
        record = raw_record_of(faust_event)
        request = decode_request(record, self._limits)
        extracted = None
        if isinstance(request, EnrolmentRequest) and request.action == "enrol":
            extracted = self._crew.spawn(self._extract(request))
        await self._pending.put(
            _Pending(
                faust_event=faust_event,
                generation=faust_event.message.generation_id,
                record=record,
                request=request,
                extracted=extracted,
            )
        )

    async def run(self) -> None:
        """Answers for ever."""
        while True:
            pending = await self._pending.get()
            if pending.generation == self._evidence.generation:
                await self._see_previous_owners(pending.generation)
                with stage(self._observer, "enrolment"):
                    await self._answer(pending)
                pending.faust_event.ack()

    async def _see_previous_owners(self, generation: int) -> None:
        if generation != self._caught_up_in:
            await self._feed.caught_up()
            self._caught_up_in = generation

    async def _extract(self, request: EnrolmentRequest) -> Extracted:
        extracted: dict[Modality, Feature | Unusable] = {}
        for modality, sample in sorted(request.samples.items()):
            await self._pool.budget.acquire(len(sample.data))
            extracted[modality] = await self._pool.extract(modality, sample.content_type, sample.data)
        return extracted

    async def _answer(self, pending: _Pending) -> None:
        request, action = pending.request, "none"
        if isinstance(request, Rejected):
            letter = encode_dead_letter(
                pending.record, reason=request.reason, stage=request.stage, error=request.detail
            )
            await self._publisher.send(
                self._topics.dead_letters, letter, partition=pending.record.source.partition
            )
            result = refusal(pending.record, request)
        elif pending.extracted is None:
            action = request.action
            result = await self._withdraw(request)
        else:
            action = request.action
            result = await self._enrol(request, await pending.extracted)
        answer = encode_result(result, time_ms=pending.record.timestamp_ms)
        await self._publisher.send(self._topics.enrolment_results, answer)
        self._observer.observe(
            EnrolmentAnswered(action=action, accepted=result.accepted, reasons=result.reasons)
        )

    async def _enrol(self, request: EnrolmentRequest, extracted: Extracted) -> EnrolmentResult:
        # A replayed request must write the same key again, not a second template.
        template_id = TemplateId(request.template_id or request.request_id)
        await self._feed.reached(self._published)
        reviewed = await asyncio.get_running_loop().run_in_executor(
            None,
            lambda: review(request, extracted, template_id, gallery=self._gallery, policy=self._policy),
        )
        if reviewed.template is not None:
            await self._publish(encode_template(reviewed.template))
        return reviewed.result

    async def _withdraw(self, request: EnrolmentRequest) -> EnrolmentResult:
        # What was enrolled a moment ago may stand in the topic and not in the gallery yet.
        await self._feed.caught_up()
        identity_id = IdentityId(request.identity_id)
        known = self._gallery.template_ids(identity_id)
        gone = tuple(t for t in known if request.template_id in (None, t))
        for template_id in gone:
            await self._publish(tombstone(identity_id, template_id))
        return EnrolmentResult(
            request_id=request.request_id,
            identity_id=request.identity_id,
            template_id=request.template_id,
            accepted=bool(gone),
            reasons=() if gone else (Reason.UNKNOWN_IDENTITY,),
            detail=f"{len(gone)} templates withdrawn" if gone else "nothing of that name is enrolled",
        )

    async def _publish(self, record: Outgoing) -> None:
        self._published = 1 + await self._publisher.send(self._topics.gallery, record, partition=0)
