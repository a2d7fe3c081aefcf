"""A worker made of the pure core only, crashed at any moment: against a dictionary of what each subject sent.

The broker is a few lists. The worker keeps its clock, join, frontiers and undelivered sends in memory and
loses them at a crash; what it is given back is the committed offsets, the gallery's log and the tail of the
output. Deliveries happen in any order, commits lag behind them, topics are read at any pace, and people are
enrolled and withdrawn meanwhile. Each policy of revisions has a run of its own.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from index.records import IMAGE, IdentityId, Outcome, TemplateId
from stream.codec import END_OF_SUBJECT
from stream.dead_letter_record import DeadLetter, decode_dead_letter
from stream.decision_record import decode_decision
from stream.decision_view import DecisionRecord
from stream.envelope import cloud_event_headers
from stream.events import (
    Enrolled,
    RawRecord,
    Source,
    Withdrawn,
)
from stream.ledger import Fate, Published, audit
from stream.reasons import Reason, Stage
from stream.revisions import Revisions
from tests.factories import template
from tests.properties.pure_worker import (
    GRACE_MS,
    PEOPLE,
    SKEW_MS,
    TOPICS,
    UNUSABLE,
    WINDOW_MS,
    Broker,
    Worker,
    direction,
    shown,
)


@dataclass
class Visit:
    """What one subject sent, by the only rules that make its decision certain: one window, in time."""

    subject: str
    samples: dict[str, RawRecord] = field(default_factory=dict)
    """The first copy of each, by name."""
    times_ms: list[int] = field(default_factory=list)
    ended: bool = False


class CrashAndReplay(RuleBasedStateMachine):
    """Every event ends in exactly one column, and every subject in exactly one whole final decision."""

    revisions = Revisions.FINAL_ONLY

    @initialize()
    def start(self) -> None:
        self.broker = Broker()
        self.worker = Worker(self.broker, self.revisions)
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
        missing = sorted(set(TOPICS) - {record.source.topic for record in visit.samples.values()})
        if missing and self.in_one_window(visit, time_ms):
            self.send_sample(visit, missing[0], time_ms, spoilt=spoilt)

    @precondition(lambda self: self.visits and self.revisions is not Revisions.FINAL_ONLY)
    @rule(
        which=st.integers(0, 3),
        topic=st.sampled_from(sorted(TOPICS)),
        delay_ms=st.integers(0, GRACE_MS),
        spoilt=st.booleans(),
    )
    def the_track_goes_on(self, which: int, topic: str, delay_ms: int, spoilt: bool) -> None:
        visit = self.visits[-1 - which % len(self.visits)]
        time_ms = self.broker.now_ms - delay_ms
        if self.in_one_window(visit, time_ms):
            self.send_sample(visit, topic, time_ms, spoilt=spoilt)

    def in_one_window(self, visit: Visit, time_ms: int) -> bool:
        times_ms = [*visit.times_ms, time_ms]
        return not visit.ended and max(times_ms) - min(times_ms) < WINDOW_MS

    def send_sample(self, visit: Visit, topic: str, time_ms: int, *, spoilt: bool) -> None:
        value = UNUSABLE if spoilt else b"payload"
        name = f"{topic}-{len(visit.samples)}"
        record = self.publish(topic, visit.subject, name, time_ms, value)
        visit.samples[name] = record
        visit.times_ms.append(time_ms)
        if spoilt:
            self.spoilt.add(record.source)
        # Copies come within a window, a grace and the skew: until then duplicates are promised to be known.
        self.copies.append((record, self.broker.now_ms + WINDOW_MS + GRACE_MS + SKEW_MS))

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

    @rule(person=st.sampled_from(PEOPLE))
    def somebody_is_enrolled(self, person: str) -> None:
        made = template(person, image=direction(person), text=direction(person))
        self.broker.gallery.append(Enrolled(template=made))

    @rule(person=st.sampled_from(PEOPLE))
    def somebody_is_withdrawn(self, person: str) -> None:
        if person in self.broker.enrolled(len(self.broker.gallery)):
            self.broker.gallery.append(
                Withdrawn(identity_id=IdentityId(person), template_id=TemplateId("t1"))
            )

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
        self.worker = Worker(self.broker, self.revisions)

    @rule(committed=st.booleans())
    def the_partition_moves(self, committed: bool) -> None:
        """A revocation waits for what is being delivered; whether it still commits is chance."""
        while self.worker.sends:
            self.worker.deliver(0)
        if committed:
            self.offsets_are_committed()
        self.worker = Worker(self.broker, self.revisions)

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
        assert ledger.out_of_order == 0
        late = {letter.source for letter in letters if letter.stage is Stage.JOIN}
        assert late <= self.repeated, "only a copy may come so late that its original is forgotten"
        assert Counter(letter.source for letter in letters) == Counter(self.poisoned | self.spoilt | late)
        assert self.broker.committed == {topic: len(log) for topic, log in self.broker.inputs.items()}
        assert self.worker.state.join.held_events == 0
        assert self.worker.state.announcements.remembered == 0
        self.check_decisions_against_visits([made for made in decisions if made.final])
        self.check_revisions(decisions)
        for made in decisions:
            known = shown(made.subject_id) in self.broker.enrolled(made.gallery.version)
            seen = IMAGE in made.modalities.used
            assert made.identity_id == (shown(made.subject_id) if known and seen else None)

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

    def check_revisions(self, decisions: list[DecisionRecord]) -> None:
        """One chain a subject: each revision knows more than the one before, and the last one is final."""
        chains: dict[str, list[DecisionRecord]] = defaultdict(list)
        for made in decisions:
            chains[made.subject_id].append(made)
        for chain in chains.values():
            assert [made.final for made in chain] == [False] * (len(chain) - 1) + [True]
            assert [made.revision for made in chain] == list(range(1, len(chain) + 1))
            assert [made.supersedes for made in chain] == [None, *(made.decision_id for made in chain[:-1])]
            known = [{covered.input for covered in made.covered()} for made in chain]
            assert all(less < more for less, more in pairwise(known[:-1]))
            assert all(less <= known[-1] for less in known)
            self.check_policy(chain)

    def check_policy(self, chain: list[DecisionRecord]) -> None:
        early = chain[:-1]
        if self.revisions is not Revisions.EVERY_CHANGE:
            assert len(early) <= (self.revisions is Revisions.EARLY_THEN_FINAL)
        if self.revisions is Revisions.EARLY_THEN_FINAL:
            absent = {m.reason for made in early for m in made.modalities.missing}
            assert all(made.outcome is Outcome.MATCH for made in early) or Reason.NOT_RECEIVED not in absent


class EarlyThenFinal(CrashAndReplay):
    """The same, with one early decision at most."""

    revisions = Revisions.EARLY_THEN_FINAL


class EveryChange(CrashAndReplay):
    """The same, with a decision for every change."""

    revisions = Revisions.EVERY_CHANGE


TestCrashAndReplay = CrashAndReplay.TestCase
TestEarlyThenFinal = EarlyThenFinal.TestCase
TestEveryChange = EveryChange.TestCase
QUICK = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestCrashAndReplay.settings = TestEarlyThenFinal.settings = TestEveryChange.settings = QUICK
