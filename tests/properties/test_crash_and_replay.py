"""A worker made of the pure core only, crashed at any moment: against a dictionary of what each subject sent.

The broker is a few lists. The worker keeps its clock, join, frontiers and undelivered sends in memory and
loses them at a crash; what it is given back is the committed offsets and the tail of the output. Deliveries
happen in any order, commits lag behind them, and topics are read at any pace.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from index.records import IMAGE, TEXT, Modality
from stream.clock import PartitionClock
from stream.codec import END_OF_SUBJECT, Limits, decode
from stream.dead_letter_record import DeadLetter, decode_dead_letter, encode_dead_letter
from stream.decision_record import decision_value, decode_decision
from stream.decision_view import DecisionRecord
from stream.envelope import Headers, cloud_event_headers
from stream.events import Duplicate, Late, RawRecord, Rejected, Sample, Source
from stream.join import Step, SubjectJoin
from stream.ledger import Fate, Published, audit
from stream.reasons import Reason, Stage
from stream.recovery import TailFold, read_back_to_ms
from stream.worker.ack_frontier import AckFrontier
from tests.stream_factories import decision, join_policy

WINDOW_MS = 40
GRACE_MS = 20
SKEW_MS = 0
TOPICS: dict[str, Modality] = {"images": IMAGE, "texts": TEXT}
POLICY = join_policy(window_ms=WINDOW_MS, grace_ms=GRACE_MS)
LIMITS = Limits(
    max_value_bytes=100,
    content_types=frozenset({"image/jpeg"}),
    default_content_type="image/jpeg",
    max_skew_ms=SKEW_MS,
)
UNUSABLE = b"no face"


@dataclass
class Broker:
    """Survives every crash."""

    now_ms: int = 1_000
    inputs: dict[str, list[RawRecord]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})
    outputs: list[RawRecord] = field(default_factory=list)
    committed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))

    def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> RawRecord:
        log = self.inputs.get(topic, self.outputs)
        source = Source(topic=topic, partition=0, offset=len(log))
        record = RawRecord(source=source, key=key, value=value, headers=headers, timestamp_ms=self.now_ms)
        log.append(record)
        return record


@dataclass
class Send:
    """A record on its way out, and what is settled once it is delivered."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    settles: tuple[Source, ...] = ()
    about: Source | None = None
    """The sample whose dead letter this is: its decision goes out after it."""
    after: frozenset[Source] = frozenset()
    """Samples whose dead letters must be out first."""


class Worker:
    """One life of a worker, from assignment to crash."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.clock = PartitionClock(TOPICS)
        self.join = SubjectJoin(POLICY)
        self.frontiers = {topic: AckFrontier(1) for topic in TOPICS}
        self.acknowledged = dict(broker.committed)
        self.position = dict(broker.committed)
        self.unusable: set[Source] = set()
        self.sends: list[Send] = []
        waiting = (broker.inputs[t][o:][:1] for t, o in broker.committed.items())
        since_ms = read_back_to_ms(
            [record.timestamp_ms for first in waiting for record in first],
            now_ms=broker.now_ms,
            window_ms=WINDOW_MS,
            grace_ms=GRACE_MS,
            max_skew_ms=SKEW_MS,
        )
        fold = TailFold(matches_topic="matches")
        for record in broker.outputs:
            if record.timestamp_ms >= since_ms:
                fold.add(record)
        self.covered = fold.covered()
        assert self.covered.unreadable == 0
        self.covered.seed(self.join)

    def behind(self, topic: str) -> bool:
        return self.position[topic] < len(self.broker.inputs[topic])

    def read(self, topic: str) -> None:
        record = self.broker.inputs[topic][self.position[topic]]
        self.position[topic] += 1
        assert self.frontiers[topic].opened(record.source.offset)
        decoded = decode(record, TOPICS[topic], LIMITS)
        if isinstance(decoded, Rejected):
            if self.covered.skips(record.source):
                self.done(record.source)
            else:
                self.set_aside(record, decoded.reason, decoded.stage)
            return
        event = decoded.event if isinstance(decoded, Sample) else decoded
        self.clock.observe(topic, event.event_time_ms, record.timestamp_ms)
        if self.covered.skips(record.source):
            self.done(record.source)
            return
        verdict, step = self.join.accept(event, self.clock.watermark_ms)
        if isinstance(verdict, Late):
            self.set_aside(record, verdict.reason, Stage.JOIN)
        elif isinstance(verdict, Duplicate):
            self.done(record.source)
        elif record.value == UNUSABLE:
            self.unusable.add(record.source)
            if record.source not in self.covered.unusable:
                self.set_aside(record, Reason.NO_FACE, Stage.FEATURES)
        self.take(step)

    def sweep(self) -> None:
        for topic in TOPICS:
            if not self.behind(topic):
                self.clock.silent_until(topic, self.broker.now_ms)
        self.take(self.join.advance(self.clock.watermark_ms))

    def take(self, step: Step) -> None:
        self.done(*(marker.source for marker in step.idle_markers))
        for closed in step.closed:
            covered = tuple(e.source for e in (*closed.events, *closed.markers))
            unusable = frozenset(covered) & self.unusable
            value = decision_value(decision(closed, unusable=unusable))
            key = closed.subject_id.encode()
            self.sends.append(Send("matches", key, value, (), settles=covered, after=unusable))

    def set_aside(self, record: RawRecord, reason: Reason, stage: Stage) -> None:
        letter = encode_dead_letter(record, reason=reason, stage=stage, error="")
        joined = stage is Stage.FEATURES
        self.sends.append(
            Send(
                "dead-letters",
                letter.key,
                letter.value,
                letter.headers,
                settles=() if joined else (record.source,),
                about=record.source if joined else None,
            )
        )

    def deliver(self, at: int) -> None:
        """Delivers one of the sends that may go now."""
        under_way = {send.about for send in self.sends}
        ready = [send for send in self.sends if not send.after & under_way]
        send = ready[at % len(ready)]
        self.sends.remove(send)
        self.broker.append(send.topic, send.key, send.value, send.headers)
        self.done(*send.settles)

    def done(self, *sources: Source) -> None:
        for source in sources:
            reached = self.frontiers[source.topic].done(source.offset, generation=1)
            if reached is not None:
                self.acknowledged[source.topic] = reached + 1


@dataclass
class Visit:
    """What one subject sent, by the only rules that make its decision certain: one window, in time."""

    subject: str
    samples: dict[str, RawRecord] = field(default_factory=dict)
    """The first copy of each topic."""
    times_ms: list[int] = field(default_factory=list)
    ended: bool = False


class CrashAndReplay(RuleBasedStateMachine):
    """Every event ends in exactly one column, and every subject in exactly one whole decision."""

    @initialize()
    def start(self) -> None:
        self.broker = Broker()
        self.worker = Worker(self.broker)
        self.visits: list[Visit] = []
        self.published: list[Published] = []
        self.copies: list[tuple[RawRecord, int]] = []
        self.poisoned: set[Source] = set()
        self.spoilt: set[Source] = set()
        self.repeated: set[Source] = set()

    def publish(self, topic: str, subject: str, kind: str, time_ms: int, value: bytes | None) -> RawRecord:
        name = f"{subject}-{kind}"
        headers = cloud_event_headers(
            event_id=name, origin="camera", event_type=kind, time_ms=time_ms, content_type="image/jpeg"
        )
        record = self.broker.append(topic, subject.encode(), value, headers)
        self.note(record, name, marker=value is None)
        return record

    def note(self, record: RawRecord, name: str, *, marker: bool = False) -> None:
        self.published.append(Published(source=record.source, origin="camera", event_id=name, marker=marker))

    @rule(topic=st.sampled_from(sorted(TOPICS)), delay_ms=st.integers(0, GRACE_MS), spoilt=st.booleans())
    def a_new_subject_appears(self, topic: str, delay_ms: int, spoilt: bool) -> None:
        visit = Visit(f"s{len(self.visits)}")
        self.visits.append(visit)
        self.send_sample(visit, topic, self.broker.now_ms - delay_ms, spoilt=spoilt)

    @precondition(lambda self: self.visits)
    @rule(which=st.integers(0, 3), delay_ms=st.integers(0, GRACE_MS), spoilt=st.booleans())
    def the_other_half_arrives(self, which: int, delay_ms: int, spoilt: bool) -> None:
        visit = self.visits[-1 - which % len(self.visits)]
        time_ms = self.broker.now_ms - delay_ms
        missing = sorted(set(TOPICS) - set(visit.samples))
        if missing and not visit.ended and abs(time_ms - visit.times_ms[0]) < WINDOW_MS:
            self.send_sample(visit, missing[0], time_ms, spoilt=spoilt)

    def send_sample(self, visit: Visit, topic: str, time_ms: int, *, spoilt: bool) -> None:
        value = UNUSABLE if spoilt else b"payload"
        record = self.publish(topic, visit.subject, topic, time_ms, value)
        visit.samples[topic] = record
        visit.times_ms.append(time_ms)
        if spoilt:
            self.spoilt.add(record.source)
        # Copies come within a window and a grace: until then duplicates are promised to be known.
        self.copies.append((record, self.broker.now_ms + WINDOW_MS + GRACE_MS))

    @precondition(lambda self: self.copies)
    @rule(which=st.integers(0, 3))
    def a_producer_repeats_itself(self, which: int) -> None:
        record, until_ms = self.copies[-1 - which % len(self.copies)]
        if self.broker.now_ms <= until_ms:
            copy = self.broker.append(record.source.topic, record.key, record.value, record.headers)
            self.note(copy, dict(record.headers)["ce_id"].decode())
            self.repeated.add(copy.source)

    @precondition(lambda self: self.visits)
    @rule(which=st.integers(0, 3), topic=st.sampled_from(sorted(TOPICS)))
    def a_subject_is_ended(self, which: int, topic: str) -> None:
        visit = self.visits[-1 - which % len(self.visits)]
        if not visit.ended:
            visit.ended = True
            headers = cloud_event_headers(
                event_id=f"{visit.subject}-end",
                origin="camera",
                event_type=END_OF_SUBJECT,
                time_ms=self.broker.now_ms,
                content_type="image/jpeg",
            )
            marker = self.broker.append(topic, visit.subject.encode(), None, headers)
            self.note(marker, f"{visit.subject}-end", marker=True)

    @rule(topic=st.sampled_from(sorted(TOPICS)))
    def somebody_sends_poison(self, topic: str) -> None:
        record = self.broker.append(topic, None, b"?", ())
        self.poisoned.add(record.source)
        self.published.append(Published(source=record.source))

    @rule(passed_ms=st.integers(1, WINDOW_MS))
    def time_passes(self, passed_ms: int) -> None:
        self.broker.now_ms += passed_ms

    @rule(topic=st.sampled_from(sorted(TOPICS)), count=st.integers(1, 5))
    def the_worker_reads(self, topic: str, count: int) -> None:
        for _ in range(count):
            if self.worker.behind(topic):
                self.worker.read(topic)

    @rule()
    def the_worker_sweeps(self) -> None:
        self.worker.sweep()

    @precondition(lambda self: self.worker.sends)
    @rule(at=st.integers(0, 5))
    def a_send_is_delivered(self, at: int) -> None:
        self.worker.deliver(at)

    @rule()
    def the_worker_keeps_up(self) -> None:
        self.read_everything()
        while self.worker.sends:
            self.worker.deliver(0)

    @rule()
    def offsets_are_committed(self) -> None:
        self.broker.committed = dict(self.worker.acknowledged)

    @rule()
    def the_worker_crashes(self) -> None:
        self.worker = Worker(self.broker)

    def run_to_the_end(self) -> None:
        """No more input: everything is read, time passes every deadline, everything is delivered."""
        self.read_everything()
        self.broker.now_ms += 10 * (WINDOW_MS + GRACE_MS)
        self.worker.sweep()
        while self.worker.sends:
            self.worker.deliver(0)
        self.broker.committed = dict(self.worker.acknowledged)

    def read_everything(self) -> None:
        for topic in TOPICS:
            while self.worker.behind(topic):
                self.worker.read(topic)
        self.worker.sweep()

    def teardown(self) -> None:
        if not hasattr(self, "broker"):
            return
        self.run_to_the_end()
        decisions, letters = self.read_outputs()
        ledger = audit(self.published, decisions, letters)
        assert ledger.fates[Fate.UNACCOUNTED] == 0
        assert ledger.repeated_decisions == 0
        assert ledger.different_duplicates == 0
        late = {letter.source for letter in letters if letter.stage is Stage.JOIN}
        assert late <= self.repeated, "only a copy may come so late that its original is forgotten"
        assert Counter(letter.source for letter in letters) == Counter(self.poisoned | self.spoilt | late)
        assert self.broker.committed == {topic: len(log) for topic, log in self.broker.inputs.items()}
        assert self.worker.join.held_events == 0
        self.check_decisions_against_visits(decisions)

    def read_outputs(self) -> tuple[list[DecisionRecord], list[DeadLetter]]:
        decisions, letters = [], []
        for record in self.broker.outputs:
            read = decode_decision(record) if record.source.topic == "matches" else decode_dead_letter(record)
            if isinstance(read, DecisionRecord):
                decisions.append(read)
            elif isinstance(read, DeadLetter):
                letters.append(read)
        assert len(decisions) + len(letters) == len(self.broker.outputs)
        return decisions, letters

    def check_decisions_against_visits(self, decisions: list[DecisionRecord]) -> None:
        """One decision a subject, over the first copy of each sample: never a half, never two."""
        told: dict[str, list[set[Source]]] = defaultdict(list)
        for made in decisions:
            markers = {(marker.topic, marker.offset) for marker in made.markers}
            inputs = {covered.input for covered in made.covered()}
            told[made.subject_id].append({i for i in inputs if (i.topic, i.offset) not in markers})
        assert told == {
            visit.subject: [{record.source for record in visit.samples.values()}] for visit in self.visits
        }


TestCrashAndReplay = CrashAndReplay.TestCase
TestCrashAndReplay.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
