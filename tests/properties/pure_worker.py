"""A broker made of lists, and a worker made of the pure core only: what a crash takes, and what it leaves."""

from dataclasses import dataclass, field

from index.exact import ExactGallery
from index.records import IMAGE, TEXT, Modality
from stream.codec import Limits, decode
from stream.dead_letter_record import encode_dead_letter
from stream.decision_record import SETTLED, decision_value
from stream.envelope import Headers, Outgoing
from stream.events import (
    ClosedWindow,
    Duplicate,
    Enrolled,
    Late,
    Missing,
    OpenWindow,
    Probe,
    ProbeSample,
    RawRecord,
    Rejected,
    Sample,
    Source,
    Withdrawn,
)
from stream.join import Step
from stream.live_gallery import LiveGallery
from stream.reasons import Reason, Stage
from stream.recogniser import Recogniser
from stream.recovery import Covered, TailFold, read_back_to_ms
from stream.revisions import Revisions
from stream.worker.partition import PartitionState
from stream.worker.tail_reader import Tail
from tests.factories import feature, policy
from tests.stream_factories import join_policy

WINDOW_MS = 40
GRACE_MS = 20
SKEW_MS = 30
TOPICS: dict[str, Modality] = {"images": IMAGE, "texts": TEXT}
LIMITS = Limits(
    max_value_bytes=100,
    content_types=frozenset({"image/jpeg"}),
    default_content_type="image/jpeg",
    max_skew_ms=SKEW_MS,
)
UNUSABLE = b"no face"
PEOPLE = ("ann", "bob", "cleo")
POLICY = policy(IMAGE, TEXT)


def shown(subject_id: str) -> str:
    """Who a subject is."""
    return PEOPLE[int(subject_id[1:]) % len(PEOPLE)]


def direction(person: str) -> list[float]:
    """Everybody is at a right angle to everybody else."""
    return [float(person == other) for other in PEOPLE]


@dataclass
class Broker:
    """Survives every crash."""

    now_ms: int = 1_000
    inputs: dict[str, list[RawRecord]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})
    outputs: list[RawRecord] = field(default_factory=list)
    gallery: list[Enrolled | Withdrawn] = field(default_factory=list)
    """A change makes the version of its number, counted from 1: 0 is the empty gallery."""
    committed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))

    def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> RawRecord:
        log = self.inputs.get(topic, self.outputs)
        source = Source(topic=topic, partition=0, offset=len(log))
        record = RawRecord(source=source, key=key, value=value, headers=headers, timestamp_ms=self.now_ms)
        log.append(record)
        return record

    def enrolled(self, version: int) -> set[str]:
        """Who was enrolled in this version of the gallery."""
        people: set[str] = set()
        for change in self.gallery[:version]:
            if isinstance(change, Enrolled):
                people.add(change.template.identity_id)
            else:
                people.discard(change.identity_id)
        return people


@dataclass
class Letter:
    """A dead letter on its way out."""

    record: Outgoing
    about: Source
    settled: bool
    """Whether its record needs nothing more; a sample's decision goes out after it."""


@dataclass
class Verdict:
    """A decision on its way out; it is made when those of its subject before it are delivered."""

    window: OpenWindow | ClosedWindow


@dataclass
class Handed:
    """Stands in for Faust's event."""

    worker: "Worker"
    source: Source

    def ack(self) -> None:
        self.worker.acknowledged[self.source.topic] = self.source.offset + 1


class Worker:
    """One life of a worker, from assignment to crash."""

    def __init__(self, broker: Broker, revisions: Revisions) -> None:
        self.broker = broker
        self.gallery = LiveGallery(ExactGallery(POLICY), POLICY, target_fpir=0.01)
        self.recogniser = Recogniser(self.gallery, POLICY.contracts, candidates=2)
        self.version = 0
        self.acknowledged = dict(broker.committed)
        self.position = dict(broker.committed)
        self.unusable: set[Source] = set()
        self.sends: list[Letter | Verdict] = []
        self.state = PartitionState(
            0,
            policy=join_policy(
                window_ms=WINDOW_MS,
                grace_ms=GRACE_MS,
                close_on_complete=revisions is Revisions.FINAL_ONLY,
            ),
            revisions=revisions,
            tail=Tail(first_offset=dict(broker.committed), covered=self.remember()),
        )

    def remember(self) -> Covered:
        waiting = [self.broker.inputs[t][o:][:1] for t, o in self.broker.committed.items()]
        since_ms = read_back_to_ms(
            [record.timestamp_ms for found in (*waiting, self.broker.outputs[-1:]) for record in found],
            now_ms=self.broker.now_ms,
            window_ms=WINDOW_MS,
            grace_ms=GRACE_MS,
            max_skew_ms=SKEW_MS,
        )
        fold = TailFold(matches_topic="matches")
        for record in self.broker.outputs:
            if record.timestamp_ms >= since_ms:
                fold.add(record)
        assert fold.covered().unreadable == 0
        return fold.covered()

    def behind(self, topic: str) -> bool:
        return self.position[topic] < len(self.broker.inputs[topic])

    def read(self, topic: str) -> None:
        state = self.state
        record = self.broker.inputs[topic][self.position[topic]]
        self.position[topic] += 1
        assert state.opened(record.source, Handed(self, record.source))
        decoded = decode(record, TOPICS[topic], LIMITS)
        if isinstance(decoded, Rejected):
            state.handed(record)
            if state.covered.skips(record.source):
                state.done(record.source)
            else:
                self.set_aside(record, decoded.reason, decoded.stage)
            return
        event = decoded.event if isinstance(decoded, Sample) else decoded
        state.clock.observe(topic, event.event_time_ms, record.timestamp_ms)
        state.handed(record)
        if state.covered.skips(record.source):
            state.done(record.source)
            return
        state.announcements.came(event)
        verdict, step = state.join.accept(event, state.clock.watermark_ms)
        if isinstance(verdict, Late):
            self.set_aside(record, verdict.reason, Stage.JOIN)
        elif isinstance(verdict, Duplicate):
            state.done(record.source)
        else:
            state.waits(event)
            if record.value == UNUSABLE:
                self.unusable.add(record.source)
                if record.source not in state.covered.unusable:
                    self.set_aside(record, Reason.NO_FACE, Stage.FEATURES)
        self.take(step)

    def sweep(self) -> None:
        for topic in TOPICS:
            if not self.behind(topic):
                self.state.clock.silent_until(topic, self.broker.now_ms)
        self.take(self.state.join.advance(self.state.clock.watermark_ms))

    def take(self, step: Step) -> None:
        self.state.done(*(marker.source for marker in step.idle_markers))
        awaits = self.state.announcements.awaits
        self.sends += [Verdict(window) for window in step.changed if not awaits(window.subject_id)]
        self.sends += map(Verdict, step.closed)

    def set_aside(self, record: RawRecord, reason: Reason, stage: Stage) -> None:
        settled_ms = self.state.settled_ms
        letter = encode_dead_letter(record, reason=reason, stage=stage, error="", settled_ms=settled_ms)
        self.sends.append(Letter(letter, record.source, settled=stage is not Stage.FEATURES))

    def deliver(self, at: int) -> None:
        """Delivers one of the sends that may go now: a subject's decisions in order."""
        ready = [send for send in self.sends if not self.waits(send)]
        send = ready[at % len(ready)]
        if isinstance(send, Letter):
            self.broker.append("dead-letters", send.record.key, send.record.value, send.record.headers)
            self.state.done(*[send.about] * send.settled)
        else:
            self.decide(send.window)
        self.sends.remove(send)

    def waits(self, send: Letter | Verdict) -> bool:
        if isinstance(send, Letter):
            return False
        letters = {other.about for other in self.sends if isinstance(other, Letter)}
        subject_id = send.window.subject_id
        first = next(v for v in self.sends if isinstance(v, Verdict) and v.window.subject_id == subject_id)
        return first is not send or any(event.source in letters for event in send.window.events)

    def decide(self, window: OpenWindow | ClosedWindow) -> None:
        self.follow_the_gallery()
        decided = self.state.announcements.revise(self.recogniser.decide(self.probe(window)))
        if decided is None:
            return
        settled_ms = self.state.settled_ms
        headers = () if settled_ms is None else ((SETTLED, str(settled_ms).encode()),)
        self.broker.append("matches", window.subject_id.encode(), decision_value(decided), headers)
        self.state.announcements.published(decided)
        if decided.final:
            self.state.done(*(event.source for event in (*window.events, *window.markers)))

    def follow_the_gallery(self) -> None:
        fresh = enumerate(self.broker.gallery[self.version :], start=self.version + 1)
        assert self.gallery.apply([(change, version) for version, change in fresh]) == ()
        self.version = len(self.broker.gallery)

    def probe(self, window: OpenWindow | ClosedWindow) -> Probe:
        named = [(event, event.modality) for event in window.events if event.modality is not None]
        samples = tuple(
            ProbeSample(event=event, feature=feature(direction(shown(window.subject_id)), modality))
            for event, modality in named
            if event.source not in self.unusable
        )
        unusable = tuple(
            Missing(modality=modality, reason=Reason.NO_FACE, event=event)
            for event, modality in named
            if event.source in self.unusable
        )
        absent = set(TOPICS.values()) - {modality for _, modality in named}
        return Probe(
            subject_id=window.subject_id,
            window=window.window,
            closed_by=window.closed_by,
            samples=samples,
            missing=(*unusable, *(Missing(modality=m, reason=Reason.NOT_RECEIVED) for m in sorted(absent))),
            markers=window.markers,
        )
