"""The compose file and the Dockerfile as text: variables are settings, nothing is open or unpinned."""

import re
from pathlib import Path

import pytest

from stream.local.jars import pinned_jars
from stream.worker.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

ASSIGNMENT = re.compile(r"(SIGHTLINE_[A-Z_]+)(?:: |=)\"?([^\"\s]+)")
ASSIGNED = sorted(set(ASSIGNMENT.findall(COMPOSE + DOCKERFILE)))


def services() -> dict[str, str]:
    """The text of each service, by name."""
    body = COMPOSE.split("\nservices:\n")[1].split("\nvolumes:\n")[0]
    parts = re.split(r"^  (\w+):\n", body, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_reader_finds_the_services_and_their_variables() -> None:
    """The checks below look at something."""
    assert set(services()) == {"broker", "init", "models", "worker"}
    assert {"SIGHTLINE_BOOTSTRAP", "SIGHTLINE_HTTP_HOST"} <= {name for name, _ in ASSIGNED}


@pytest.mark.parametrize(("name", "value"), ASSIGNED)
def test_every_variable_is_a_setting_that_takes_this_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, no_environment: None
) -> None:
    """A misspelt variable would be ignored in silence."""
    monkeypatch.setenv(name, value)
    field = name.removeprefix("SIGHTLINE_").lower()
    assert str(getattr(Settings(), field)).lower() == value.lower()


def test_the_broker_is_the_version_that_the_tests_run_on() -> None:
    """One Kafka version everywhere, by its full tag."""
    assert f"image: apache/kafka:{pinned_jars().kafka}\n" in services()["broker"]


@pytest.mark.parametrize("port", re.findall(r"^ +- \"?([\d.:]*\d:\d+)\"?$", COMPOSE, flags=re.MULTILINE))
def test_every_port_is_published_on_loopback_only(port: str) -> None:
    """Nothing of it has a password, so nothing of it is for the neighbours."""
    assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("service", "awaited", "condition"),
    [
        ("init", "broker", "service_healthy"),
        ("worker", "broker", "service_healthy"),
        ("worker", "init", "service_completed_successfully"),
        ("worker", "models", "service_completed_successfully"),
    ],
)
def test_a_service_waits_for_what_it_needs(service: str, awaited: str, condition: str) -> None:
    """The worker starts when the broker serves, the topics are there and so are the models."""
    assert f"      {awaited}:\n        condition: {condition}\n" in services()[service]


def test_the_broker_says_when_it_serves() -> None:
    """`service_healthy` needs a health check, and topics are never made by accident."""
    assert "healthcheck:" in services()["broker"]
    assert 'KAFKA_AUTO_CREATE_TOPICS_ENABLE: "false"' in services()["broker"]


def test_the_image_is_built_from_the_hashed_lock_and_runs_without_root() -> None:
    """What is installed is what was locked, and the process cannot write to it."""
    assert "pip install --require-hashes --requirement requirements/runtime.lock" in DOCKERFILE
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", final_stage, flags=re.MULTILINE)
    assert "--no-deps" in DOCKERFILE
