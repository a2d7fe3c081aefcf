"""Makes the topics, and checks before anything runs that they are as they have to be.

Kafka itself complains about none of it: over topics of 4 and 8 partitions keys no longer meet, a gallery that
is not compacted forgets, a worker without its topics stays "healthy" with an empty assignment.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stream.worker.clients import admin_options, reaching_broker
from stream.worker.errors import Mismatch, TopicMismatchError, WorkerError
from stream.worker.settings import Settings
from stream.worker.topics import TopicSpec

VISIBLE_WITHIN_S = 15.0
"""How long the cluster may take to show a topic it has made, with a leader for every partition."""

POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualTopic:
    """One topic as the cluster has it."""

    name: str
    partitions: int
    leaders: int
    """Partitions that have a leader."""
    cleanup: str
    timestamp_type: str
    max_record_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InitReport:
    """What `init` found and did, by topic name."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


@contextlib.asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client.

    Raises:
        BrokerUnreachableError: No broker lets us in.
    """
    client = AIOKafkaAdminClient(**admin_options(settings))
    try:
        with reaching_broker(settings):
            await client.start()
        yield client
    finally:
        await client.close()


async def init_topics(settings: Settings) -> InitReport:
    """Creates the topics that are missing. Running it again changes nothing.

    Raises:
        BrokerUnreachableError: No broker lets us in.
        TopicMismatchError: A topic is wrong; nothing was created, unless that one appeared in this moment.
        WorkerError: The cluster refused to create a topic.
    """
    specs = settings.topic_specs
    async with admin_client(settings) as client:
        actual = await _describe(client, specs)
        _refuse(mismatches(tuple(spec for spec in specs if spec.name in actual), actual))
        missing = tuple(spec for spec in specs if spec.name not in actual)
        if missing:
            await _create(client, missing, settings.replication_factor)
            _refuse(mismatches(specs, await _describe_when_led(client, specs)))
    return InitReport(
        created=tuple(spec.name for spec in missing),
        existing=tuple(spec.name for spec in specs if spec.name in actual),
    )


async def preflight(settings: Settings) -> None:
    """Returns when every topic exists and is as it has to be.

    Raises:
        BrokerUnreachableError: No broker lets us in.
        TopicMismatchError: Topics are missing or wrong; the message lists all of it.
    """
    async with admin_client(settings) as client:
        _refuse(mismatches(settings.topic_specs, await _describe(client, settings.topic_specs)))


def mismatches(specs: Sequence[TopicSpec], actual: Mapping[str, ActualTopic]) -> tuple[Mismatch, ...]:
    """Everything in which the cluster's topics are not as they have to be, in the order of the specs."""
    return tuple(found for spec in specs for found in _mismatches_of(spec, actual.get(spec.name)))


def _mismatches_of(spec: TopicSpec, actual: ActualTopic | None) -> Iterator[Mismatch]:
    def mismatch(setting: str, found: object, wanted: object, next_step: str) -> Mismatch:
        return Mismatch(
            topic=spec.name, setting=setting, found=str(found), wanted=str(wanted), next_step=next_step
        )

    def alter(config: str) -> str:
        change = f"{config}={spec.configs()[config]}"
        return f"`kafka-configs --alter --entity-type topics --entity-name {spec.name} --add-config {change}`"

    if actual is None:
        yield mismatch("topic", "missing", "present", "run `sightline init`")
        return
    if actual.partitions != spec.partitions:
        yield mismatch(
            "partition count",
            actual.partitions,
            spec.partitions,
            "set SIGHTLINE_PARTITIONS to the count that all topics have, or delete the topic and run "
            "`sightline init`, or take other names with SIGHTLINE_TOPIC_PREFIX",
        )
    if set(actual.cleanup.split(",")) != {spec.cleanup.value}:
        yield mismatch("cleanup.policy", actual.cleanup, spec.cleanup.value, alter("cleanup.policy"))
    if actual.timestamp_type != spec.timestamp_type:
        yield mismatch(
            "message.timestamp.type",
            actual.timestamp_type,
            spec.timestamp_type,
            alter("message.timestamp.type"),
        )
    if actual.max_record_bytes < spec.max_record_bytes:
        yield mismatch(
            "max.message.bytes",
            actual.max_record_bytes,
            f"{spec.max_record_bytes} or more",
            alter("max.message.bytes"),
        )


def _refuse(found: Sequence[Mismatch]) -> None:
    if found:
        raise TopicMismatchError(found)


async def _create(client: AIOKafkaAdminClient, specs: Sequence[TopicSpec], replication_factor: int) -> None:
    """Asks for topics; one that somebody else made meanwhile is as good."""
    topics = [
        NewTopic(spec.name, spec.partitions, replication_factor, topic_configs=spec.configs())
        for spec in specs
    ]
    response = await client.create_topics(topics)
    for name, code, message, *_ in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise WorkerError(
                f"The cluster refused to create topic {name} ({for_code(code).__name__}: {message}). "
                "See that SIGHTLINE_REPLICATION_FACTOR is not above the number of brokers and that these "
                "credentials may create topics."
            )


async def _describe_when_led(
    client: AIOKafkaAdminClient, specs: Sequence[TopicSpec]
) -> Mapping[str, ActualTopic]:
    """The topics as soon as each partition has a leader: before that a client's first request would fail."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while True:
        actual = await _describe(client, specs)
        led = [name for name, topic in actual.items() if 0 < topic.partitions == topic.leaders]
        if len(led) == len(specs) or time.monotonic() > deadline:
            return actual
        await asyncio.sleep(POLL_S)


async def _describe(client: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> Mapping[str, ActualTopic]:
    """Those of the specs' topics that exist, as they are."""
    described = await client.describe_topics([spec.name for spec in specs])
    partitions = {topic["topic"]: topic["partitions"] for topic in described if topic["error_code"] == 0}
    configs = await _configs(client, tuple(partitions))
    return {
        name: ActualTopic(
            name=name,
            partitions=len(parts),
            leaders=sum(part["leader"] >= 0 for part in parts),
            cleanup=configs[name]["cleanup.policy"],
            timestamp_type=configs[name]["message.timestamp.type"],
            max_record_bytes=int(configs[name]["max.message.bytes"]),
        )
        for name, parts in partitions.items()
        if name in configs
    }


async def _configs(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Configuration values by topic and name; a topic that is just being made may not be among them yet."""
    if not names:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for response in await client.describe_configs(asked)
        for code, _message, _kind, name, entries in response.resources
        if code == 0
    }
