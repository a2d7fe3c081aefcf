"""Fixtures that more than one file uses. The real broker is started once a session; without it tests fail."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest

from stream.demo.choice import REPOSITORY, SHARED_PHOTOS
from stream.demo.folders import read_people
from stream.demo.people import Photo
from stream.demo.rendered import RenderPlan, render_people
from stream.features.models import pack_named
from stream.local.kafka import LocalKafka
from stream.local.model_pull import pull
from stream.worker.admin import init_topics
from stream.worker.settings import Settings
from tests.kafka_fixture import new_broker, unique_prefix

# The same examples in every run, and no verdict by the clock of a noisy machine.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


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


@pytest.fixture(scope="session")
def shared() -> Path | None:
    """The folder `../shared` with real photos and weights; None where it is absent, which fails in CI."""
    folder = REPOSITORY / ".." / "shared"
    if folder.is_dir():
        return folder
    assert not os.environ.get("CI"), "CI proves recognition on real photos, and ../shared is not there"
    return None


@pytest.fixture(scope="session")
def photos(shared: Path | None) -> Sequence[Photo]:
    """Photos of different people, one face each: real ones where they are at hand, else rendered ones."""
    if shared is not None:
        by_identity = {p.identity_id: p.photo for p in read_people(REPOSITORY / SHARED_PHOTOS)}
        return list(by_identity.values())[:24]
    people = render_people(RenderPlan(enrolled=0, strangers=24, probes=1))
    return [photo for person in people.persons for photo in person.probes]


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """The cache folder with the default pack in it, fetched from its registry if it is not there yet."""
    cache_dir = Settings().cache_dir
    pull(pack_named("faceplugin"), cache_dir)
    return cache_dir
