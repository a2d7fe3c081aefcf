"""The kustomize base is what Kubernetes' schemas allow, and agrees with the settings and with itself."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from stream.cli.main import COMMANDS
from stream.worker.service import EXIT_WITHIN_S
from tests.deploy.environment import accept
from tests.metric_factories import families

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.31", "1.37")
"""The oldest that is tried, and the newest whose schemas are at hand."""

BASE: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
RESOURCES: dict[str, dict[str, Any]] = {
    resource["kind"]: resource
    for name in BASE["resources"]
    for resource in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
}
WORKER = RESOURCES["StatefulSet"]
POD = WORKER["spec"]["template"]["spec"]
CONTAINERS = [*POD["initContainers"], *POD["containers"]]
LITERALS = dict(literal.split("=", 1) for literal in BASE["configMapGenerator"][0]["literals"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", RESOURCES)
def test_a_resource_is_what_the_schemas_allow(kind: str, version: str) -> None:
    """No field is misspelt, none has a wrong type."""
    kubernetes_validate.validate(RESOURCES[kind], version, strict=True)


def test_the_schemas_refuse_a_misspelt_field() -> None:
    """The check above can fail."""
    wrong = {**RESOURCES["PodDisruptionBudget"], "spec": {"maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError, match="maxUnavailabel"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_file_is_in_the_base() -> None:
    """A manifest that nobody lists is applied by nobody."""
    files = {path.name for path in FOLDER.glob("*.yaml")}
    assert files == {*BASE["resources"], "kustomization.yaml"}


def test_every_variable_is_a_setting_that_takes_this_value(
    monkeypatch: pytest.MonkeyPatch, no_environment: None
) -> None:
    """From the map that all containers share, and the worker's own."""
    own = {entry["name"]: entry.get("value") for entry in POD["containers"][0]["env"]}
    accept(LITERALS | {name: value for name, value in own.items() if value is not None}, monkeypatch)
    assert {name for name, value in own.items() if value is None} == {
        "SIGHTLINE_INSTANCE_ID",
        "SIGHTLINE_EXTRACT_THREADS",
    }


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container["name"])
def test_a_container_runs_a_command_of_ours_without_rights(container: dict[str, Any]) -> None:
    """Not as root, without capabilities, with nothing to write to but its cache and /tmp."""
    assert container["args"][0] in COMMANDS
    assert container["image"] == BASE["images"][0]["name"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        LITERALS["SIGHTLINE_CACHE_DIR"],
        "/tmp",  # noqa: S108  # a folder of the pod's own
    }
    assert container["resources"].keys() == {"requests", "limits"}
    assert POD["securityContext"]["runAsNonRoot"]


def test_the_worker_is_probed_where_it_answers_and_has_time_to_stop() -> None:
    """Alive is not ready: a worker that waits for its broker must not be restarted for it."""
    [worker] = POD["containers"]
    [port] = worker["ports"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert worker[probe]["httpGet"]["port"] == port["name"]
    assert worker["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert worker["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert POD["terminationGracePeriodSeconds"] > EXIT_WITHIN_S


def test_scaling_stays_within_the_partitions_and_asks_for_a_metric_that_exists() -> None:
    """By lag, and no further than workers can share."""
    spec = RESOURCES["HorizontalPodAutoscaler"]["spec"]
    assert spec["maxReplicas"] == int(LITERALS["SIGHTLINE_PARTITIONS"])
    assert spec["scaleTargetRef"] == {
        "apiVersion": WORKER["apiVersion"],
        "kind": WORKER["kind"],
        "name": WORKER["metadata"]["name"],
    }
    [metric] = spec["metrics"]
    assert metric["external"]["metric"]["name"] in families()


def test_the_selectors_select_the_worker() -> None:
    """Service, set and budget mean the same pods."""
    labels = WORKER["spec"]["template"]["metadata"]["labels"]
    selectors = [
        RESOURCES["Service"]["spec"]["selector"],
        WORKER["spec"]["selector"]["matchLabels"],
        RESOURCES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert WORKER["spec"]["serviceName"] == RESOURCES["Service"]["metadata"]["name"]
