"""What is done to the service, each scenario by its name: the traffic, and the few lines that do the harm."""

import asyncio
import resource
import signal
from collections.abc import Callable, Iterable
from dataclasses import replace

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from faultlab.lab import SESSION_S, Lab, Scenario, one_ready_worker
from faultlab.plan import ORDINARY, Kind, Shape
from faultlab.worker import CRASH_POINTS
from stream.worker.admin import admin_client, init_topics
from stream.worker.topics import KAFKA_RECORD_BYTES

SHAPE = Shape(mix=ORDINARY)
LONG = replace(SHAPE, visits=2_000, rate_hz=25)
PATIENT = replace(SHAPE, grace_ms=30_000)
"""A grace longer than an outage: what producers cannot send meanwhile comes late."""
OUTAGE_S = 5.0
LEAVES_WITHIN_S = 90.0
"""A worker waits half a minute for a delivery, and then for its producer to let go of the record."""
KILLS = 5
DEFAULT_SESSION_S = 20.0
STREAMING = (
    "read",
    "joined",
    "extracted",
    "window closed",
    "before the send",
    "sent, not awaited",
    "delivered",
)
SETTLING = ("before a dead letter", "dead-lettered", "done", "before the commit", "committed")
STARTING = ("assigned", "tail read")


def crashes(
    name: str, points: Iterable[str], about: str, *, shape: Shape = LONG, **settings: object
) -> Scenario:
    """One life after another ends at one of the points, in an order and at a call that the seed draws."""

    def harm(lab: Lab) -> None:
        shuffled = lab.rng.sample(list(points), len(list(points)))
        lab.decided(20)
        lab.workers["1"].give(
            {"crash": {"point": point, "nth": lab.rng.randint(1, CRASH_POINTS[point].usual)}}
            for point in shuffled
        )
        lab.workers["1"].worker.kill()
        lab.wait(lambda: not lab.workers["1"].unspent, "every crash was ordered", 300)

    return Scenario(name=name, about=about, harm=harm, shape=shape, settings=settings)


def _nothing(_: Lab) -> None:
    """The traffic alone."""


def _crash_while_enrolling(lab: Lab) -> None:
    lab.start_worker(
        orders=[
            {"crash": {"point": "enrolled, not answered", "nth": lab.rng.randint(1, 8)}} for _ in range(2)
        ]
    )
    lab.enrol(SHAPE.persons)


def _to_crash_when_revoked(lab: Lab) -> None:
    one_ready_worker(lab, SHAPE, orders=[{"crash": {"point": "revoked", "nth": 1}}])


def _another_worker_joins(lab: Lab) -> None:
    lab.decided(40)
    first = lab.workers["1"]
    before = len(first.deaths)
    lab.start_worker("2")
    lab.wait(lambda: len(first.deaths) > before, "the first worker died as it gave partitions up", 60)


def _kills(lab: Lab) -> None:
    for _ in range(KILLS):
        lab.decided(25)
        lab.rest(lab.rng.uniform(0, 1.5))
        lab.workers["1"].worker.kill()


def _without_static_membership(lab: Lab) -> None:
    one_ready_worker(lab, LONG, static=False)


def _forgetful_lives(lab: Lab) -> None:
    lab.workers["1"].give({"forgetful": True} for _ in range(KILLS))
    _kills(lab)


def _outage(seconds: float, *, kill: bool) -> Callable[[Lab], None]:
    def harm(lab: Lab) -> None:
        lab.decided(40)
        lab.rest(lab.rng.uniform(0, 1))
        (lab.broker.kill if kill else lab.broker.stop)()
        lab.rest(seconds)
        lab.broker.start()
        lab.decided(20)

    return harm


def _storm(lab: Lab) -> None:
    """Three workers; every few seconds one joins, leaves, is killed, or stands still beyond its session."""
    for name in ("2", "3"):
        lab.start_worker(name)
    while lab.feed.running:
        name = lab.rng.choice(["2", "3"])
        match lab.rng.choice(["leave", "kill", "stand still"]):
            case "leave":
                lab.stop_worker(name)
                lab.rest(lab.rng.uniform(0, 3))
                lab.start_worker(name)
            case "kill":
                lab.workers[name].worker.kill()
            case "stand still":
                _hold(lab, name, SESSION_S + 2)
        lab.rest(lab.rng.uniform(2, 6))


def _rolling_upgrade(lab: Lab) -> None:
    """One worker after the other, each when the one before is ready again; twice over."""
    lab.start_worker("2")
    lab.wait(lambda: lab.workers["2"].worker.get("/readyz")[0] == 200, "the second worker is ready", 60)
    for name in ("1", "2", "1", "2"):
        lab.decided(50)
        lab.restart_worker(name)
    lab.decided(50)


def _zombie(lab: Lab) -> None:
    lab.start_worker("2").worker.wait_ready()
    lab.decided(40)
    _hold(lab, "1", SESSION_S + 4)
    lab.wait(lambda: bool(lab.workers["1"].deaths), "the zombie ended itself", 30)


def _hold(lab: Lab, name: str, seconds: float) -> None:
    """SIGSTOP, and SIGCONT when others have its partitions."""
    lab.workers[name].worker.signal(signal.SIGSTOP)
    lab.rest(seconds)
    lab.workers[name].worker.signal(signal.SIGCONT)


def _a_worker_that_goes_deaf(lab: Lab) -> None:
    lab.start_worker("2")
    one_ready_worker(lab, SHAPE, orders=[{"deaf_after_s": 15.0}])


def _wait_for_the_watchdog(lab: Lab) -> None:
    lab.wait(lambda: bool(lab.workers["1"].deaths), "the deaf worker ended itself", 60)


def _kill_in_the_replay(lab: Lab) -> None:
    replayed = len(lab.events) // 2
    lab.wait(lambda: len(lab.feed.log) > replayed * 1.3, "the replay was under way", 120)
    lab.workers["1"].worker.kill()
    lab.wait(lambda: len(lab.feed.log) > replayed * 1.6, "more of the replay", 120)
    lab.workers["1"].worker.kill()


def _slow(lab: Lab) -> None:
    one_ready_worker(lab, SHAPE, orders=[{"slow_ms": 60}])


def _wrong_partition_count(lab: Lab) -> None:
    wrong = lab.start_worker("wrong", partitions=lab.settings.partitions * 2)
    lab.wait(lambda: len(wrong.deaths) > 1, "the worker refused to run", 60)
    _refused(lab, "wrong", "partition count")
    lab.stop_worker("wrong")
    one_ready_worker(lab, SHAPE)


def _topics_missing_at_start(lab: Lab) -> None:
    early = lab.start_worker()
    lab.wait(lambda: len(early.deaths) > 1, "the worker refused to run", 60)
    _refused(lab, "1", "sightline init")
    asyncio.run(init_topics(lab.settings))
    lab.enrol(SHAPE.persons)


def _gallery_topic_late(lab: Lab) -> None:
    asyncio.run(_delete(lab, lab.settings.topics.gallery))
    _topics_missing_at_start(lab)


def _refused(lab: Lab, name: str, words: str) -> None:
    supervised = lab.workers[name]
    if {death.code for death in supervised.deaths} != {1} or words not in supervised.worker.log.read_text():
        raise RuntimeError(f"a worker that cannot run has to end with 1 and say {words!r}")


def _output_read_only(lab: Lab) -> None:
    """A topic of which no record may have a byte takes none."""
    lab.decided(40)
    _allow_record_bytes(lab, 1)
    lab.wait(lambda: len(lab.workers["1"].deaths) > 1, "the worker gave up", LEAVES_WITHIN_S)
    _allow_record_bytes(lab, KAFKA_RECORD_BYTES)
    lab.decided(20)


def _output_deleted(lab: Lab) -> None:
    lab.decided(40)
    asyncio.run(_delete(lab, lab.settings.topics.matches))
    lab.wait(lambda: bool(lab.workers["1"].deaths), "the worker gave up", LEAVES_WITHIN_S)
    asyncio.run(init_topics(lab.settings))
    lab.witness.begin()
    lab.decided(20)


def _allow_record_bytes(lab: Lab, count: int) -> None:
    """One setting of the match topic alone; aiokafka's request would reset all others."""
    entry = ConfigEntry("max.message.bytes", str(count), incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, lab.settings.topics.matches, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": lab.settings.bootstrap})
    for answer in admin.incremental_alter_configs([topic]).values():
        answer.result(10)


async def _delete(lab: Lab, topic: str) -> None:
    async with admin_client(lab.settings) as client:
        await client.delete_topics([topic])
    await asyncio.sleep(1)


def _disk_full(lab: Lab) -> None:
    """No file of the broker may grow any more: it halts; then there is room again, and it is started."""
    lab.decided(40)
    largest = max(file.stat().st_size for file in lab.broker.data_dir.rglob("*.log"))
    resource.prlimit(lab.broker.pid, resource.RLIMIT_FSIZE, (largest + 4_096, resource.RLIM_INFINITY))
    lab.wait(lambda: not lab.broker.is_running, "the broker halted", 60)
    lab.broker.start()
    lab.decided(20)


_ALL = (
    Scenario(name="steady", about="the ordinary traffic and no harm", harm=_nothing, shape=SHAPE),
    crashes("crash-streaming", STREAMING, "kill -9 at every boundary from intake to delivery"),
    crashes("crash-settling", SETTLING, "kill -9 around dead letters, acknowledgements and commits"),
    crashes("crash-starting", STARTING, "kill -9 while partitions are taken over"),
    crashes(
        "crash-revising",
        STREAMING,
        "the same with a revision at every change",
        revisions="every_change",
    ),
    Scenario(
        name="crash-enrolling",
        about="kill -9 between a template and the answer to its request",
        harm=_nothing,
        shape=SHAPE,
        prepare=_crash_while_enrolling,
    ),
    Scenario(
        name="crash-revoked",
        about="kill -9 of a worker that has to give partitions up to one that joins",
        harm=_another_worker_joins,
        shape=replace(SHAPE, visits=1_200),
        prepare=_to_crash_when_revoked,
    ),
    Scenario(
        name="kill-static",
        about=f"kill -9, {KILLS} times; static membership, session of 20 s",
        harm=_kills,
        shape=LONG,
        settings={"session_timeout_s": DEFAULT_SESSION_S},
    ),
    Scenario(
        name="kill-dynamic",
        about=f"kill -9, {KILLS} times; another name each time, session of 20 s",
        harm=_kills,
        shape=replace(LONG, visits=3_500),
        prepare=_without_static_membership,
        settings={"session_timeout_s": DEFAULT_SESSION_S},
    ),
    Scenario(
        name="forgetful",
        about="the same kills of a service that is broken: it reads no tail, and the oracle has to object",
        harm=_forgetful_lives,
        shape=LONG,
        sabotaged=True,
    ),
    Scenario(
        name="broker-stop",
        about="SIGTERM to the broker, 5 s, the same log",
        harm=_outage(OUTAGE_S, kill=False),
        shape=PATIENT,
    ),
    Scenario(
        name="broker-kill",
        about="kill -9 of the broker, 5 s, the same log",
        harm=_outage(OUTAGE_S, kill=True),
        shape=PATIENT,
    ),
    Scenario(
        name="broker-away",
        about="kill -9 of the broker, 60 s, the same log",
        harm=_outage(60.0, kill=True),
        shape=replace(LONG, grace_ms=100_000),
    ),
    Scenario(
        name="disk-full",
        about="the broker's log cannot grow, it halts, and comes back with room",
        harm=_disk_full,
        shape=PATIENT,
    ),
    Scenario(
        name="storm",
        about="three workers join, leave, are killed and stand still beyond their session, for 80 s",
        harm=_storm,
        shape=LONG,
    ),
    Scenario(
        name="rolling",
        about="two workers, each in turn stopped by SIGTERM and started anew, twice; session of 20 s",
        harm=_rolling_upgrade,
        shape=replace(LONG, visits=3_000),
        settings={"session_timeout_s": DEFAULT_SESSION_S},
        gap_within_s=DEFAULT_SESSION_S,
    ),
    Scenario(
        name="zombie",
        about="a worker stands still until another has its partitions, and goes on",
        harm=_zombie,
        shape=replace(SHAPE, visits=1_200),
    ),
    Scenario(
        name="deaf",
        about="a worker's consumer hangs while its loop runs on: no fetch, no heartbeat",
        harm=_wait_for_the_watchdog,
        shape=replace(SHAPE, visits=1_200),
        prepare=_a_worker_that_goes_deaf,
    ),
    Scenario(
        name="copies",
        about="every second event is sent twice",
        harm=_nothing,
        shape=replace(SHAPE, copies=0.5),
    ),
    Scenario(
        name="replay",
        about="a producer sends everything again",
        harm=_nothing,
        shape=replace(SHAPE, replayed_after_ms=20_000),
    ),
    Scenario(
        name="replay-kill",
        about="the same, and the worker is killed meanwhile; a short tail of the output to remember by",
        harm=_kill_in_the_replay,
        shape=replace(SHAPE, replayed_after_ms=30_000, skew_ms=1_000),
    ),
    Scenario(
        name="disorder",
        about="halves out of order within the grace, and beyond it",
        harm=_nothing,
        shape=replace(SHAPE, mix={Kind.SLOW_HALF: 8, Kind.LATE_HALF: 2}),
    ),
    Scenario(
        name="missing",
        about="modalities that never come, and more of them than one each",
        harm=_nothing,
        shape=replace(
            SHAPE,
            mix=dict.fromkeys(
                (Kind.IMAGE_ONLY, Kind.TEXT_ONLY, Kind.TRACK, Kind.IMAGES, Kind.ENDED, Kind.ENDED_WHOLE), 1
            ),
        ),
    ),
    Scenario(
        name="poison",
        about="every third visit is bad in a way of docs/contracts.md",
        harm=_nothing,
        shape=replace(SHAPE, mix={Kind.BOTH: 2, Kind.POISONED: 1}, rate_hz=20, visits=300),
    ),
    Scenario(
        name="bombs",
        about="10 % of the images declare billions of pixels, 2 % have as many as are allowed",
        harm=_nothing,
        shape=replace(SHAPE, mix={Kind.BOTH: 88, Kind.BOMB: 10, Kind.GIANT: 2}, rate_hz=20),
    ),
    Scenario(
        name="skew",
        about="producers half a minute ahead, in 2100, and in 1970",
        harm=_nothing,
        shape=replace(
            SHAPE,
            mix={Kind.BOTH: 6, Kind.IMAGE_ONLY: 2, Kind.FUTURE: 1, Kind.YEAR_2100: 1, Kind.YEAR_1970: 1},
        ),
    ),
    Scenario(
        name="slow",
        about="extraction slower than the traffic: a backlog, and then none",
        harm=_nothing,
        shape=SHAPE,
        prepare=_slow,
    ),
    Scenario(
        name="partitions",
        about="a worker that expects another number of partitions",
        harm=_nothing,
        shape=replace(SHAPE, visits=200),
        prepare=_wrong_partition_count,
    ),
    Scenario(
        name="no-topics",
        about="a worker that is started before its topics are made",
        harm=_nothing,
        shape=replace(SHAPE, visits=200),
        prepare=_topics_missing_at_start,
        topics=False,
    ),
    Scenario(
        name="late-gallery",
        about="a gallery topic that is made when the worker runs already",
        harm=_nothing,
        shape=replace(SHAPE, visits=200),
        prepare=_gallery_topic_late,
    ),
    Scenario(
        name="output-read-only",
        about="the match topic takes nothing until the worker has given up",
        harm=_output_read_only,
        shape=replace(LONG, visits=1_400),
    ),
    Scenario(
        name="output-deleted",
        about="the match topic is deleted and made anew: what it remembered is gone",
        harm=_output_deleted,
        shape=LONG,
        forgives=frozenset({"wrong", "double_final"}),
    ),
)

SCENARIOS = {scenario.name: scenario for scenario in _ALL}
