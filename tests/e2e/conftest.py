"""What only end-to-end tests need: model files in the cache, people to recognise, a worker that is ready."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stream.cli.main import app
from stream.demo.choice import REPOSITORY, SHARED_PHOTOS
from stream.demo.folders import read_people
from stream.demo.people import People, cast
from stream.demo.rendered import RenderPlan, render_people
from stream.features.models import pack_named
from stream.local.model_pull import pull
from stream.worker.settings import Settings
from tests.e2e.commands import Sightline
from tests.e2e.harness import WorkerProcess

PEOPLE = 24


@pytest.fixture(scope="session")
def people() -> People:
    """Real people where their photos are at hand, rendered ones elsewhere; CI must have the photos."""
    photos = REPOSITORY / SHARED_PHOTOS
    if photos.exists():
        return cast("photos", read_people(photos / "manifest.csv"), limit=PEOPLE, seed=1)
    assert not os.environ.get("CI"), (
        f"CI proves the main job on real photos, and {SHARED_PHOTOS} is not there"
    )
    return render_people(
        RenderPlan(enrolled=PEOPLE, strangers=PEOPLE, probes=1), processes=os.cpu_count() or 1
    )


@pytest.fixture(scope="session")
def model_files() -> None:
    """The default pack, pulled once into the cache folder."""
    settings = Settings()
    pull(pack_named(settings.pack), settings.cache_dir)


WorkerFactory = Callable[..., WorkerProcess]


@pytest.fixture
def start_worker(settings: Settings, model_files: None, tmp_path: Path) -> Iterator[WorkerFactory]:
    """Starts workers that are gone when the test is; `start_worker("2", window_ms=500)`."""
    with ExitStack() as running:

        def start(name: str = "1", **overrides: Any) -> WorkerProcess:
            worker = WorkerProcess(settings, tmp_path / f"worker-{name}.log", name=name, **overrides)
            return running.enter_context(worker)

        yield start


@pytest.fixture
def worker(start_worker: WorkerFactory) -> WorkerProcess:
    """One worker that is ready."""
    started = start_worker()
    started.wait_ready()
    return started


@pytest.fixture
def sightline(settings: Settings) -> Sightline:
    """Runs a command against the test's own topics."""
    environment = {
        f"SIGHTLINE_{name.upper()}": str(getattr(settings, name))
        for name in ("bootstrap", "topic_prefix", "app_id", "partitions")
    }

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env=environment)

    return run
