"""`init` and the preflight against the real broker."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.local.kafka import LocalKafka
from stream.worker.admin import InitReport, admin_client, init_topics, preflight
from stream.worker.clients import consumer_options, producer_options
from stream.worker.errors import BrokerUnreachableError, TopicMismatchError, WorkerError
from stream.worker.settings import Settings
from stream.worker.topics import TopicSpec

pytestmark = pytest.mark.kafka

PATIENCE_S = 20.0
BATCH_HEAD_BYTES = 128
"""What a batch and a record cost beside the value."""


@pytest.fixture
def bare(kafka: LocalKafka, topics_prefix: str, no_environment: None) -> Settings:
    """Settings for the session's broker, with no topics made yet."""
    return Settings(bootstrap=kafka.bootstrap, topic_prefix=topics_prefix, partitions=3)


def names(settings: Settings) -> tuple[str, ...]:
    return tuple(spec.name for spec in settings.topic_specs)


def create(settings: Settings, *topics: NewTopic) -> None:
    async def run() -> None:
        async with admin_client(settings) as client:
            await client.create_topics(list(topics))
            wanted = {topic.name for topic in topics}
            async with asyncio.timeout(PATIENCE_S):  # made is not yet seen: metadata follows the controller
                while not wanted <= set(await client.list_topics()):  # noqa: ASYNC110 (there is no event)
                    await asyncio.sleep(0.01)

    asyncio.run(run())


def existing(settings: Settings) -> Sequence[str]:
    async def run() -> list[str]:
        client: AIOKafkaAdminClient
        async with admin_client(settings) as client:
            return [
                name for name in await client.list_topics() if name.startswith(settings.topic_prefix + ".")
            ]

    return asyncio.run(run())


def test_init_is_idempotent(bare: Settings) -> None:
    """The first run makes every topic of the contract, the second finds them and changes nothing."""
    assert asyncio.run(init_topics(bare)) == InitReport(created=names(bare), existing=())
    assert asyncio.run(init_topics(bare)) == InitReport(created=(), existing=names(bare))
    asyncio.run(preflight(bare))


def test_two_inits_at_once_both_succeed(bare: Settings) -> None:
    """A topic that somebody else makes in the same moment is as good as one's own."""

    async def race() -> list[InitReport]:
        return await asyncio.gather(init_topics(bare), init_topics(bare), init_topics(bare))

    for report in asyncio.run(race()):
        assert sorted((*report.created, *report.existing)) == sorted(names(bare))
    asyncio.run(preflight(bare))


def test_preflight_names_every_missing_topic(bare: Settings) -> None:
    """Nothing is made by looking; the message lists what is missing and the command that makes it."""
    with pytest.raises(TopicMismatchError, match="run `sightline init`") as caught:
        asyncio.run(preflight(bare))
    assert [name for name in names(bare) if f"- {name}: topic is missing" not in str(caught.value)] == []
    assert existing(bare) == []


def test_init_refuses_another_partition_count_by_name(bare: Settings) -> None:
    """A topic of 5 partitions beside ones of 3: refused with both numbers, and nothing else is made."""
    texts = bare.topics.inputs[bare.modalities[1]]
    create(bare, NewTopic(texts, 5, 1, topic_configs={"message.timestamp.type": "LogAppendTime"}))
    with pytest.raises(TopicMismatchError, match=rf"{texts}: partition count is 5, wanted 3"):
        asyncio.run(init_topics(bare))
    assert existing(bare) == [texts]


def test_init_refuses_a_gallery_that_would_be_forgotten(bare: Settings) -> None:
    """A gallery with the broker's default cleanup loses its templates after a week: refused by name."""
    create(bare, NewTopic(bare.topics.gallery, 1, 1))
    with pytest.raises(
        TopicMismatchError, match=rf"{bare.topics.gallery}: cleanup.policy is delete, wanted compact"
    ):
        asyncio.run(init_topics(bare))


def test_every_mismatch_is_listed_at_once(bare: Settings) -> None:
    """Count, cleanup, timestamp type and record size are all reported, with found and wanted."""
    create(bare, NewTopic(bare.topics.matches, 1, 1, topic_configs={"cleanup.policy": "compact"}))
    create(bare, NewTopic(bare.topics.enrolments, 3, 1))
    with pytest.raises(TopicMismatchError) as caught:
        asyncio.run(init_topics(bare))
    for fact in (
        f"{bare.topics.matches}: partition count is 1, wanted 3",
        f"{bare.topics.matches}: cleanup.policy is compact, wanted delete",
        f"{bare.topics.matches}: message.timestamp.type is CreateTime, wanted LogAppendTime",
        f"{bare.topics.enrolments}: max.message.bytes is 1048588, wanted 5854549 or more",
    ):
        assert fact in str(caught.value)


def test_the_cluster_gets_every_configuration_of_the_spec(settings: Settings) -> None:
    """What the broker says of a topic is what the spec asked for, bounds of compaction included."""
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    async def described() -> dict[str, dict[str, str]]:
        async with admin_client(settings) as client:
            asked = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in settings.topic_specs]
            answers = await client.describe_configs(asked)
        return {r[3]: {entry[0]: entry[1] for entry in r[4]} for answer in answers for r in answer.resources}

    actual = asyncio.run(described())
    for spec in settings.topic_specs:
        assert {key: actual[spec.name][key] for key in spec.configs()} == spec.configs()


def test_the_largest_record_is_taken_and_given(settings: Settings) -> None:
    """Every door takes a record as large as its spec says, whole, and a reader gets it whole."""

    async def through(spec: TopicSpec) -> int:
        value = b"\x00" * (spec.max_record_bytes - BATCH_HEAD_BYTES)
        partition = TopicPartition(spec.name, 0)
        async with AIOKafkaProducer(**producer_options(settings)) as producer:
            await asyncio.wait_for(producer.send_and_wait(spec.name, value, partition=0), PATIENCE_S)
        async with AIOKafkaConsumer(**consumer_options(settings), auto_offset_reset="earliest") as consumer:
            consumer.assign([partition])
            record = await asyncio.wait_for(consumer.getone(partition), PATIENCE_S)
        return len(value) - len(record.value)

    for spec in settings.topic_specs:
        if spec.name != settings.topics.gallery:  # its records have keys
            assert asyncio.run(through(spec)) == 0


def test_more_replicas_than_brokers_are_refused_with_the_setting(bare: Settings) -> None:
    """One broker cannot hold three replicas; the message names the setting that asked for them."""
    greedy = bare.model_copy(update={"replication_factor": 3})
    with pytest.raises(WorkerError, match="SIGHTLINE_REPLICATION_FACTOR"):
        asyncio.run(init_topics(greedy))


def test_no_broker_is_an_error_that_names_the_ways_out(no_environment: None) -> None:
    """Nothing listens on port 1: the message says how to start a broker, name one, or be let in."""
    with pytest.raises(BrokerUnreachableError, match=r"127.0.0.1:1 .*`sightline broker`.*--bootstrap.*SASL"):
        asyncio.run(preflight(Settings(bootstrap="127.0.0.1:1")))
