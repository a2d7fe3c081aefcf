"""Fixtures that more than one file uses. The real broker is started once a session; without it tests fail."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from stream.local.kafka import LocalKafka
from stream.worker.admin import init_topics
from stream.worker.settings import Settings
from tests.kafka_fixture import new_broker, unique_prefix


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalKafka]:
    """The session's broker: shared, so nobody stops it. Tests keep apart by `topics_prefix`."""
    with new_broker() as broker:
        yield broker


@pytest.fixture
def broker() -> Iterator[LocalKafka]:
    """A broker of the test's own, which it may stop, kill and restart."""
    with new_broker() as own:
        yield own


@pytest.fixture
def topics_prefix(request: pytest.FixtureRequest) -> str:
    """A topic prefix of the test's own."""
    return unique_prefix(request.node.name)


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes SIGHTLINE_… but for the cache folder away: settings are then what the test says."""
    for name in list(os.environ):
        if name.startswith("SIGHTLINE_") and name != "SIGHTLINE_CACHE_DIR":
            monkeypatch.delenv(name)


@pytest.fixture
def settings(kafka: LocalKafka, topics_prefix: str, no_environment: None) -> Settings:
    """Settings for the session's broker, with topics of the test's own, already made."""
    made = Settings(
        bootstrap=kafka.bootstrap,
        app_id=topics_prefix,
        topic_prefix=topics_prefix,
        instance_id=f"{topics_prefix}-1",
        partitions=2,
        http_port=0,
    )
    asyncio.run(init_topics(made))
    return made
