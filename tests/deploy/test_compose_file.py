"""The compose file, read by the compose specification, and the Dockerfile: real settings, nothing open."""

import json
import re
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from stream.cli.main import COMMANDS
from stream.local.jars import pinned_jars
from stream.worker.settings import Settings
from tests.deploy.environment import accept

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = [name for name, service in SERVICES.items() if "build" in service]

NO_NEED = {"init", "models"}
"""They end by themselves, so nobody asks for their health."""


def test_it_is_what_the_compose_specification_allows() -> None:
    """Keys, durations, ports and sizes are of its grammar; volumes and secrets that are used exist."""
    compose_spec.PyCompose.from_json(json.dumps(COMPOSE)).validate()


def test_the_reader_refuses_what_the_specification_does_not_know() -> None:
    """The check above can fail."""
    wrong = json.loads(json.dumps(COMPOSE))
    wrong["services"]["worker"]["readonly"] = True
    with pytest.raises(ValueError, match="readonly"):
        compose_spec.PyCompose.from_json(json.dumps(wrong))


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_that_takes_this_value(
    service: str, monkeypatch: pytest.MonkeyPatch, no_environment: None
) -> None:
    """A misspelt variable would be ignored in silence."""
    accept(SERVICES[service]["environment"], monkeypatch)
    assert SERVICES[service]["command"][0] in COMMANDS


def test_every_variable_of_the_image_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, no_environment: None
) -> None:
    """So is what the Dockerfile sets."""
    found = dict(re.findall(r"(SIGHTLINE_\w+)=(\S+)", DOCKERFILE))
    assert found
    accept(found, monkeypatch)


def test_the_broker_is_the_version_that_the_tests_run_on() -> None:
    """One Kafka version everywhere, by its full tag."""
    assert SERVICES["broker"]["image"] == f"apache/kafka:{pinned_jars().kafka}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_and_no_more_of_the_machine_than_it_needs(name: str) -> None:
    """Pinned, without capabilities, bounded in CPU, memory and log, healthy only when it says so."""
    service = SERVICES[name]
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "user", "network_mode", "pid"}
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert ("healthcheck" in service) != (name in NO_NEED)
    assert service.get("read_only", False) != (name == "broker"), "its start script writes its configuration"


def test_every_port_is_published_on_loopback_only() -> None:
    """The broker has no password, so it is not for the neighbours."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_workers_can_be_scaled() -> None:
    """No port of the machine, no name and no place in the group is one worker's alone."""
    worker = SERVICES["worker"]
    assert not worker.keys() & {"ports", "container_name", "hostname"}
    assert "SIGHTLINE_INSTANCE_ID" not in worker["environment"]
    assert (
        worker["environment"]["SIGHTLINE_EXTRACT_THREADS"] == worker["deploy"]["resources"]["limits"]["cpus"]
    )


@pytest.mark.parametrize(
    ("service", "awaited", "condition"),
    [
        ("init", "broker", "service_healthy"),
        ("worker", "broker", "service_healthy"),
        ("worker", "init", "service_completed_successfully"),
        ("worker", "models", "service_completed_successfully"),
        ("grafana", "prometheus", "service_healthy"),
    ],
)
def test_a_service_waits_for_what_it_needs(service: str, awaited: str, condition: str) -> None:
    """The worker starts when the broker serves, the topics are there and so are the models."""
    assert SERVICES[service]["depends_on"][awaited] == {"condition": condition}


def test_topics_are_never_made_by_accident() -> None:
    """`init` alone makes them, as they have to be."""
    assert SERVICES["broker"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_secrets_come_from_files_that_are_not_in_the_repository() -> None:
    """None stands in the environment of a container."""
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"deploy/secrets/{name}"}
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or value.startswith("/run/secrets/")


def test_what_is_mounted_exists() -> None:
    """Docker would make an empty folder of a name that is wrong, and say nothing."""
    mounted = [v.split(":") for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith("./")]
    assert len(mounted) == 3
    for source, _, mode in mounted:
        assert (ROOT / source).is_dir()
        assert mode == "ro"


def test_prometheus_finds_the_workers_and_grafana_finds_prometheus() -> None:
    """By the names that the services have on their network."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]
    [discovery] = job["dns_sd_configs"]
    port = SERVICES["worker"]["environment"]["SIGHTLINE_HTTP_PORT"]
    assert (discovery["names"], str(discovery["port"])) == (["worker"], port)
    sources = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/sightline.yml").read_text(encoding="utf-8")
    )
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"
    dashboards = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/dashboards/sightline.yml").read_text(encoding="utf-8")
    )
    folder = dashboards["providers"][0]["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in SERVICES["grafana"]["volumes"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy/grafana/dashboards" / Path(home).relative_to(folder)).is_file()


def test_the_image_is_built_from_the_hashed_lock_and_runs_without_root() -> None:
    """What is installed is what was locked, and the process cannot write to it."""
    assert "pip install --require-hashes --requirement requirements/runtime.lock" in DOCKERFILE
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", final_stage, flags=re.MULTILINE)
    assert "--no-deps" in DOCKERFILE
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert all(re.search(r":\d+\.\d+\.\d+-", base) for base in bases), bases


def test_what_the_dockerfile_copies_is_sent_to_it() -> None:
    """`.dockerignore` leaves out everything that it does not name; a file that is missing ends the build."""
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_a_worker_has_the_time_to_stop_that_it_takes() -> None:
    """Docker kills after its grace; a worker may take fifteen seconds."""
    from stream.worker.service import EXIT_WITHIN_S

    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > EXIT_WITHIN_S


def test_the_partitions_are_those_of_the_settings() -> None:
    """`init` and workers agree, as they share the variable."""
    assert {SERVICES[name]["environment"]["SIGHTLINE_PARTITIONS"] for name in OURS} == {
        str(Settings.model_fields["partitions"].default)
    }
