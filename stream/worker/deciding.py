"""What happens to an event beside the join: its extraction, its window's decision, or its dead letter."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from index.records import Feature, Modality
from stream.dead_letter_record import encode_dead_letter
from stream.decision_record import Timing, encode_decision
from stream.events import (
    ClosedBy,
    ClosedWindow,
    Event,
    Missing,
    OpenWindow,
    Probe,
    ProbeSample,
    RawRecord,
    Rejected,
    Sample,
)
from stream.features.extractor import Unusable
from stream.hooks import DecisionAnnounced, DecisionPublished, EventSetAside, Observer, WindowClosed
from stream.reasons import Reason, Stage
from stream.recogniser import Recogniser
from stream.worker.extraction import ExtractionPool
from stream.worker.partition import PartitionState
from stream.worker.publisher import Publisher
from stream.worker.settings import Settings
from stream.worker.stages import stage

Done = Callable[..., None]
"""Called with the partition's state and the sources that need nothing more."""

Features = Mapping[Event, "asyncio.Task[Feature | Unusable]"]


class Deciding:
    """Extracts, decides and delivers; everything here may run beside everything else."""

    def __init__(
        self,
        settings: Settings,
        *,
        recogniser: Recogniser,
        pool: ExtractionPool,
        publisher: Publisher,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._recogniser = recogniser
        self._pool = pool
        self._publisher = publisher
        self._observer = observer
        # Not the extraction's threads: a decision must not wait behind a backlog of photos.
        self._searchers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="search")

    def close(self) -> None:
        """Refuses new searches."""
        self._searchers.shutdown(wait=False, cancel_futures=True)

    async def extract(self, state: PartitionState, record: RawRecord, sample: Sample) -> Feature | Unusable:
        """The feature of a sample; one that has none is dead-lettered while its bytes are at hand."""
        modality = self._topics.modality_of(record.source.topic)
        feature = await self._pool.extract(modality, sample.content_type, sample.data)
        if isinstance(feature, Unusable) and record.source not in state.covered.unusable:
            rejected = Rejected(
                source=record.source, reason=feature.reason, stage=Stage.FEATURES, detail=feature.detail
            )
            await self.set_aside(state, record, modality, rejected)
        return feature

    async def set_aside(
        self,
        state: PartitionState,
        record: RawRecord,
        modality: Modality,
        rejected: Rejected,
        *,
        then: Done | None = None,
    ) -> None:
        """Delivers a dead letter; `then` the record is done."""
        if state.revoked:
            return
        letter = encode_dead_letter(
            record,
            reason=rejected.reason,
            stage=rejected.stage,
            error=rejected.detail,
            settled_ms=state.settled_ms,
        )
        with stage(self._observer, "deliver"):
            await self._publisher.send(self._topics.dead_letters, letter, partition=state.number)
        self._observer.observe(EventSetAside(modality=modality, reason=rejected.reason, stage=rejected.stage))
        if then is not None:
            then(state, record.source)

    async def decide(
        self,
        state: PartitionState,
        window: ClosedWindow | OpenWindow,
        features: Features,
        *,
        after: asyncio.Task[None] | None,
        then: Done,
    ) -> None:
        """Delivers the decision about a window; where it is final, `then` everything that it covers is done.

        Args:
            state: Of its partition.
            window: Closed, or still waiting: then the decision is delivered if the policy wants it now.
            features: Of its events.
            after: The subject's decision before this one, which is to be delivered first.
            then: What acknowledges.
        """
        everything = (*window.events, *window.markers)
        append_s = max(state.append_ms[event.source] for event in everything) / 1000
        if isinstance(window, ClosedWindow):
            self._observer.observe(
                WindowClosed(
                    mask=frozenset(event.modality for event in window.events if event.modality is not None),
                    closed_by=window.closed_by,
                    events=len(window.events),
                )
            )
        joined_s = time.time()
        with stage(self._observer, "await_features"):
            probe = self._probe(window, {event: await feature for event, feature in features.items()})
        if after is not None:
            await asyncio.wait([after])
        extracted_s = time.time()
        with stage(self._observer, "search"):
            decided = await asyncio.get_running_loop().run_in_executor(
                self._searchers, self._recogniser.decide, probe
            )
        decided_s = time.time()
        if state.revoked or (decision := state.announcements.revise(decided)) is None:
            return
        timing = Timing(
            decided_at_ms=round(decided_s * 1000),
            join_ms=(joined_s - append_s) * 1000,
            extract_ms=(extracted_s - joined_s) * 1000,
            search_ms=(decided_s - extracted_s) * 1000,
            total_ms=(decided_s - append_s) * 1000,
            settled_ms=state.settled_ms,
        )
        with stage(self._observer, "deliver"):
            await self._publisher.send(
                self._topics.matches, encode_decision(decision, timing), partition=state.number
            )
        state.announcements.published(decision)
        if isinstance(window, OpenWindow):
            self._observer.observe(DecisionAnnounced(outcome=decision.verdict.outcome))
            return
        then(state, *(event.source for event in everything))
        delivered_s = time.time()
        self._observer.observe(
            DecisionPublished(
                verdict=decision.verdict,
                mask=frozenset(s.event.modality for s in probe.samples if s.event.modality is not None),
                closed_by=window.closed_by,
                join_s=joined_s - append_s,
                total_s=delivered_s - append_s,
                overdue_s=delivered_s - due_s(window, append_s, grace_s=self._settings.grace_ms / 1000),
            )
        )

    def _probe(
        self, window: ClosedWindow | OpenWindow, features: Mapping[Event, Feature | Unusable]
    ) -> Probe:
        samples, missing = [], []
        for event, feature in features.items():
            if isinstance(feature, Feature):
                samples.append(ProbeSample(event=event, feature=feature))
            elif event.modality is not None:
                missing.append(Missing(modality=event.modality, reason=feature.reason, event=event))
        received = {event.modality for event in window.events}
        missing += [
            Missing(modality=modality, reason=Reason.NOT_RECEIVED)
            for modality in self._settings.modalities
            if modality not in received
        ]
        return Probe(
            subject_id=window.subject_id,
            window=window.window,
            closed_by=window.closed_by,
            samples=tuple(samples),
            missing=tuple(missing),
            markers=window.markers,
        )


def due_s(closed: ClosedWindow, append_s: float, *, grace_s: float) -> float:
    """The first moment at which a window could close; what passes after it is the service's own delay.

    Args:
        closed: The window.
        append_s: When the broker appended its last input.
        grace_s: How far out of order events may arrive.
    """
    if closed.closed_by is ClosedBy.COMPLETE:
        return append_s
    return max(append_s, closed.window.end_ms / 1000 + grace_s)
