"""One run: a broker, supervised workers, a feed, a witness, and what a scenario does to them."""

import asyncio
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from faultlab.feed import Feed, Payloads, description, identity
from faultlab.plan import Planned, Shape, plan
from faultlab.processes import WorkerProcess
from faultlab.reference import Outcomes, outcomes
from faultlab.verdict import Verdict, repeated, verdict
from faultlab.witness import Witness
from index.records import IMAGE, TEXT
from stream.enrolment_record import encode_request
from stream.events import EnrolmentRequest, RawSample
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.features.models import pack_named
from stream.local.kafka import LocalKafka
from stream.local.model_pull import pull
from stream.revisions import Revisions
from stream.worker.admin import init_topics
from stream.worker.service import extractors_of
from stream.worker.settings import Settings

SETTLE_S = 90.0
"""From the last delivery of the feed, beyond window and grace, to the last outcome."""
LINGER_S = 2.0
"""After the last outcome: time for an output that should not come."""
LEAVE_WITHIN_S = 30.0
WATCHED_EVERY_S = 0.2
RESTART_AFTER_S = 0.2
"""Of the supervisor."""
PARTITIONS = 4
SESSION_S = 6.0
"""Kafka's least by default, so that a scenario need not wait longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The end of a worker's process."""

    at_ms: int
    code: int
    """Negative: killed by that signal."""


class Supervised:
    """A worker that is started again whenever it ends, as a supervisor would."""

    def __init__(self, worker: WorkerProcess, orders: Iterable[Mapping[str, Any]] = ()) -> None:
        self.worker = worker
        self._orders = deque(orders)
        self.deaths: list[Death] = []
        self.peak_rss_bytes = 0
        self.renamed_at_restart = False
        """Whether every life has another name in the group: no static membership."""
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._started = threading.Event()

    def start(self) -> None:
        """Starts it; returns when there is a process."""
        self._thread.start()
        self._started.wait(10)

    def give(self, orders: Iterable[Mapping[str, Any]]) -> None:
        """Orders for its next lives."""
        self._orders.extend(orders)

    def stop(self) -> None:
        """SIGTERM, and no restart."""
        self._leaving.set()
        if self.worker.process.poll() is None:
            self.worker.signal(signal.SIGCONT)
            self.worker.process.terminate()
        self._thread.join(LEAVE_WITHIN_S)
        if self.worker.process.poll() is None:
            self.worker.process.kill()

    @property
    def unspent(self) -> int:
        """Orders that no life has been given yet."""
        return len(self._orders)

    def _run(self) -> None:
        while not self._leaving.is_set():
            self.worker.order(self._orders.popleft() if self._orders else {})
            if self.renamed_at_restart:
                self.worker.rename(f"{self.worker.settings.app_id}-life-{len(self.deaths)}")
            self.worker.start()
            self._started.set()
            while self._lives():
                self.peak_rss_bytes = max(self.peak_rss_bytes, self.worker.peak_rss_bytes)
            self.deaths.append(Death(at_ms=now_ms(), code=self.worker.process.returncode))
            self._leaving.wait(RESTART_AFTER_S)

    def _lives(self) -> bool:
        """Looks for a moment; a death is noticed within milliseconds."""
        try:
            self.worker.process.wait(WATCHED_EVERY_S)
        except subprocess.TimeoutExpired:
            return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run came to."""

    scenario: str
    seed: int
    events: int
    undetermined: int
    """Events of which the order of reading may decide whether they are decided or set aside."""
    decisions: int
    dead_letters: int
    repeated: int
    """Decisions that were said again by an equal id."""
    uncommitted: int
    """Records that no committed offset has passed, at the end."""
    verdict: Verdict
    forgives: frozenset[str]
    sabotaged: bool
    deaths: tuple[int, ...]
    """Exit codes."""
    silences_s: tuple[float, ...]
    """From the death of the only worker to the append of the next decision."""
    gaps_s: tuple[float, ...]
    """The longest time between two decisions of a partition, for each partition."""
    gap_within_s: float | None
    peak_rss_mb: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether nothing that was promised is wrong, and nothing is left."""
        found = {name for name, count in self.verdict.counts.items() if count}
        if self.sabotaged:
            return bool(found)
        prompt = self.gap_within_s is None or max(self.gaps_s) <= self.gap_within_s
        return prompt and found <= self.forgives and not self.uncommitted


@dataclass
class Lab:
    """What a scenario may use and harm."""

    broker: LocalKafka
    settings: Settings
    seed: int
    events: tuple[Planned, ...]
    payloads: Payloads
    feed: Feed
    witness: Witness
    folder: Path
    workers: dict[str, Supervised] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    retired: list[Supervised] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"harm {self.seed}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.feed.close()
        for supervised in self.workers.values():
            supervised.stop()
        self.witness.__exit__()

    def start_worker(
        self,
        name: str = "1",
        orders: Iterable[Mapping[str, Any]] = (),
        *,
        static: bool = True,
        **overrides: Any,
    ) -> Supervised:
        """A supervised worker; each of its lives is given one of the orders of `faultlab.worker`."""
        worker = WorkerProcess(
            self.settings,
            self.folder / f"worker-{name}.log",
            name=name,
            program=(str(Path(__file__).with_name("worker.py")),),
            **overrides,
        )
        supervised = self.workers[name] = Supervised(worker, orders)
        supervised.renamed_at_restart = not static
        supervised.start()
        return supervised

    def stop_worker(self, name: str) -> None:
        """SIGTERM, for good."""
        gone = self.workers.pop(name)
        gone.stop()
        self.retired.append(gone)

    def enrol(self, persons: int) -> None:
        """Enrols so many people by the one door; a worker has to run."""
        requests = [
            encode_request(
                EnrolmentRequest(
                    request_id=f"enrol-{n}",
                    identity_id=str(identity(n)),
                    template_id=None,
                    action="enrol",
                    samples={
                        IMAGE: RawSample(
                            content_type=EMBEDDING_CONTENT_TYPE, data=self.payloads.embedding(n)
                        ),
                        TEXT: RawSample(content_type="text/plain", data=description(n).encode()),
                    },
                )
            )
            for n in range(persons)
        ]
        producer = Producer(
            {"bootstrap.servers": self.settings.bootstrap, "partitioner": "murmur2_random", "log_level": 0}
        )
        for request in requests:
            producer.produce(
                self.settings.topics.enrolments, request.value, request.key, headers=list(request.headers)
            )
        producer.flush(30)
        ready = f"sightline_gallery_identities {float(persons)}\n"
        self.wait(
            lambda: any(ready in w.worker.get("/metrics")[1] for w in self.workers.values()),
            "everybody is enrolled",
            180,
        )

    def wait(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Reads the outputs until it is done.

        Raises:
            RuntimeError: The time is over; with the ends of the workers' logs.
        """
        if not self.witness.until(done, seconds):
            logs = "\n".join(s.worker.tail(15) for s in self.workers.values())
            raise RuntimeError(f"within {seconds:.0f} s not: {what}\n{logs}")

    def restart_worker(self, name: str) -> None:
        """SIGTERM, and a new life that is ready.

        Raises:
            RuntimeError: It did not leave with code 0, or was not ready again in time.
        """
        supervised = self.workers[name]
        before, told_ms = len(supervised.deaths), now_ms()
        supervised.worker.signal(signal.SIGTERM)
        self.wait(lambda: len(supervised.deaths) > before, f"worker {name} left", LEAVE_WITHIN_S)
        if code := supervised.deaths[-1].code:
            raise RuntimeError(f"worker {name} left with {code}\n{supervised.worker.tail()}")
        self.wait(lambda: supervised.worker.get("/readyz")[0] == 200, f"worker {name} is ready again", 60)
        left_ms = supervised.deaths[-1].at_ms
        self.notes.append(
            f"worker {name} left {left_ms - told_ms} ms after SIGTERM, "
            f"was ready {now_ms() - left_ms} ms after that"
        )

    def decided(self, more: int) -> None:
        """Waits for so many more decisions."""
        wanted = len(self.witness.decisions) + more
        self.wait(lambda: len(self.witness.decisions) >= wanted, f"{more} more decisions", 60)

    def rest(self, seconds: float) -> None:
        """Lets time pass, reading what is said meanwhile."""
        self.witness.until(lambda: False, seconds)

    def uncommitted(self) -> int:
        """Records of the inputs that the group's offsets have not passed."""
        consumer = Consumer({"bootstrap.servers": self.settings.bootstrap, "group.id": self.settings.app_id})
        try:
            wanted = [
                TopicPartition(topic, number)
                for topic in self.settings.topics.inputs.values()
                for number in range(self.settings.partitions)
            ]
            ends = [consumer.get_watermark_offsets(tp, timeout=10)[1] for tp in wanted]
            done = [max(tp.offset, 0) for tp in consumer.committed(wanted, timeout=10)]
            return sum(end - offset for end, offset in zip(ends, done, strict=True))
        finally:
            consumer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A harm, the traffic that it is done to, and how it is to end."""

    name: str
    about: str
    harm: Callable[[Lab], None]
    """Called when the feed has begun; returns when the harm is over."""
    shape: Shape
    prepare: Callable[[Lab], None] | None = None
    """Brings workers up and people in, instead of one ready worker and everybody enrolled."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    topics: bool = True
    """Whether the topics are there from the start."""
    sabotaged: bool = False
    """Whether the service is broken on purpose: the run is right when the verdict objects."""
    forgives: frozenset[str] = frozenset()
    """Findings that docs/reliability.md does not promise against; they are counted all the same."""
    gap_within_s: float | None = None
    """No partition may be without a decision for longer, from its first to its last; None bounds nothing."""


def one_ready_worker(lab: Lab, shape: Shape, **how: Any) -> None:
    """What most scenarios begin with."""
    lab.start_worker(**how)
    lab.enrol(shape.persons)


def run(scenario: Scenario, seed: int, broker: LocalKafka | None = None, *, scale: float = 1.0) -> Report:
    """Runs a scenario to its end and judges it.

    Args:
        scenario: What is done.
        seed: Decides traffic and harm; not how the machine schedules them.
        broker: One that may be harmed; None starts one for the run.
        scale: Times the visits of the scenario's shape.
    """
    began_s = time.monotonic()
    with ExitStack() as stack:
        if broker is None:
            broker = stack.enter_context(LocalKafka(cache_dir=Settings().cache_dir))
        folder = Path(tempfile.mkdtemp(prefix="sightline-faults-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        lab = stack.enter_context(_lab(scenario, seed, broker, folder, scale))
        if scenario.prepare:
            scenario.prepare(lab)
        else:
            one_ready_worker(lab, scenario.shape)
        lab.feed.start()
        scenario.harm(lab)
        right = outcomes(
            lab.feed.finish(),
            window_ms=scenario.shape.window_ms,
            grace_ms=scenario.shape.grace_ms,
            completes=lab.settings.revisions is Revisions.FINAL_ONLY,
        )
        found = _settled(lab, right, (scenario.shape.window_ms + scenario.shape.grace_ms) / 1_000)
        return _report(scenario, lab, right, found, time.monotonic() - began_s)


def _lab(scenario: Scenario, seed: int, broker: LocalKafka, folder: Path, scale: float) -> Lab:
    name = f"faults-{scenario.name}-{seed}-{time.time_ns() // 1_000_000 % 10**8}"
    shape = scenario.shape
    chosen = {
        "bootstrap": broker.bootstrap,
        "app_id": name,
        "topic_prefix": name,
        "partitions": PARTITIONS,
        "window_ms": shape.window_ms,
        "grace_ms": shape.grace_ms,
        "max_skew_ms": shape.skew_ms,
        "session_timeout_s": SESSION_S,
    }
    settings = Settings(**(chosen | dict(scenario.settings)))
    pull(pack_named(settings.pack), settings.cache_dir)
    if scenario.topics:
        asyncio.run(init_topics(settings))
    extractors = extractors_of(settings)
    payloads = Payloads.of(settings, extractors[IMAGE], extractors[TEXT])
    events = plan(replace(shape, visits=round(shape.visits * scale)), seed)
    return Lab(
        broker=broker,
        settings=settings,
        seed=seed,
        events=events,
        payloads=payloads,
        feed=Feed(settings, payloads, events),
        witness=Witness(settings),
        folder=folder,
    )


def _settled(lab: Lab, right: Outcomes, beyond_s: float) -> Verdict:
    """The verdict when nothing is lost any more, or the time for it is over."""
    deadline_s = time.monotonic() + SETTLE_S + beyond_s
    while time.monotonic() < deadline_s:
        lab.rest(0.5)
        if not verdict(right, lab.witness.decisions, lab.witness.dead_letters).lost and not lab.uncommitted():
            break
    lab.rest(LINGER_S)
    return verdict(right, lab.witness.decisions, lab.witness.dead_letters)


def _report(scenario: Scenario, lab: Lab, right: Outcomes, found: Verdict, seconds: float) -> Report:
    everybody = [*lab.workers.values(), *lab.retired]
    return Report(
        scenario=scenario.name,
        seed=lab.seed,
        events=len(right.by_place),
        undetermined=len({p for window in right.windows for p in window.may} - right.markers),
        decisions=len(lab.witness.decisions),
        dead_letters=len(lab.witness.dead_letters),
        repeated=repeated(lab.witness.decisions),
        uncommitted=lab.uncommitted(),
        verdict=found,
        forgives=scenario.forgives,
        sabotaged=scenario.sabotaged,
        deaths=tuple(death.code for supervised in everybody for death in supervised.deaths),
        silences_s=tuple(_silences_s(lab)) if len(everybody) == 1 else (),
        gaps_s=tuple(longest_gaps_s((said.partition, said.append_ms) for said in lab.witness.decisions)),
        gap_within_s=scenario.gap_within_s,
        peak_rss_mb=max((s.peak_rss_bytes for s in everybody), default=0) >> 20,
        seconds=round(seconds, 1),
        notes=tuple(lab.notes),
    )


def _silences_s(lab: Lab) -> Iterable[float]:
    said_ms = sorted(said.append_ms for said in lab.witness.decisions)
    for supervised in lab.workers.values():
        for death in supervised.deaths:
            if after := [ms for ms in said_ms if ms > death.at_ms]:
                yield (after[0] - death.at_ms) / 1_000


def longest_gaps_s(said: Iterable[tuple[int, int]]) -> Iterator[float]:
    """The longest time without a decision of each partition, of (partition, append time in ms)."""
    times_ms = defaultdict(list)
    for partition, append_ms in said:
        times_ms[partition].append(append_ms)
    for _, of_one in sorted(times_ms.items()):
        yield max((after - before for before, after in pairwise(sorted(of_one))), default=0) / 1_000


def now_ms() -> int:
    """The clock of this machine, which is the broker's too."""
    return time.time_ns() // 1_000_000
