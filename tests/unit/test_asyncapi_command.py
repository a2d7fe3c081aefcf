"""`sightline asyncapi` says what `init` makes and what the service reads and writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from stream.cli.asyncapi import document
from stream.cli.main import app
from stream.worker.settings import Settings

pytestmark = pytest.mark.usefixtures("no_environment")

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "wire"
VALUES = {
    "decision.v1": "Decision",
    "enrolment-request.v1": "EnrolmentRequest",
    "enrolment-result.v1": "EnrolmentResult",
    "gallery-template.v1": "Template",
}
SETTINGS = Settings(topic_prefix="shop", partitions=4, replication_factor=3)


def released(name: str) -> tuple[dict[str, str], bytes]:
    """Headers and value of a golden record."""
    head, _, value = (GOLDEN / name).read_bytes().partition(b"\n\n")
    _, *headers = (line.decode().split(": ", 1) for line in head.split(b"\n"))
    return dict(headers), value


def validator(name: str) -> Draft202012Validator:
    """Of one schema of the document, with all that it refers to."""
    made = document(SETTINGS)
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": made["components"]})


def references(node: Any) -> Iterator[str]:
    """Every `$ref` under a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_the_channels_are_the_topics_that_init_makes() -> None:
    """Names, partitions, replicas and every configuration."""
    channels = document(SETTINGS)["channels"]
    assert list(channels) == [spec.name for spec in SETTINGS.topic_specs]
    for spec in SETTINGS.topic_specs:
        kafka = channels[spec.name]["bindings"]["kafka"]
        assert (kafka["topic"], kafka["partitions"], kafka["replicas"]) == (spec.name, spec.partitions, 3)
        configs = kafka["topicConfiguration"]
        assert configs.pop("cleanup.policy") == [spec.cleanup]
        assert {name: str(value) for name, value in configs.items()} | {
            "cleanup.policy": spec.cleanup
        } == spec.configs()


def test_every_topic_is_read_or_written_and_what_is_read_is_the_inputs() -> None:
    """`receive` is what producers send; the gallery is the service's own."""
    made = document(SETTINGS)
    actions = {o["channel"]["$ref"].split("/")[-1]: o["action"] for o in made["operations"].values()}
    assert actions.keys() == made["channels"].keys()
    received = {topic for topic, action in actions.items() if action == "receive"}
    assert received == {*SETTINGS.topics.inputs.values(), SETTINGS.topics.enrolments}


@pytest.mark.parametrize(("name", "schema"), VALUES.items())
def test_a_released_record_is_what_its_schema_allows(name: str, schema: str) -> None:
    """And one that lacks what it needs is not."""
    _, value = released(name)
    record = json.loads(value)
    validator(schema).validate(record)
    assert not validator(schema).is_valid(record | {"identity_id": 7, "decision_id": 7})


@pytest.mark.parametrize("name", ["decision.v1", "enrolment-request.v1", "enrolment-result.v1"])
def test_the_headers_of_a_released_record_are_an_event(name: str) -> None:
    """All five attributes, or it is none."""
    headers, _ = released(name)
    validator("CloudEvent").validate(headers)
    assert not validator("CloudEvent").is_valid({k: v for k, v in headers.items() if k != "ce_id"})


def test_the_headers_of_a_dead_letter_are_those_that_are_written() -> None:
    """Every one of ours is required, and none is unknown to the schema."""
    headers, _ = released("dead-letter.v1")
    dead_letter = validator("DeadLetterHeaders")
    dead_letter.validate(headers)
    ours = {name for name in headers if name.startswith("sightline_dlq_")}
    assert ours == set(document(SETTINGS)["components"]["schemas"]["DeadLetterHeaders"]["required"])


def test_every_reference_leads_somewhere() -> None:
    """A tool that generates code follows them all."""
    made = document(SETTINGS)
    found = set(references(made))
    assert found
    for reference in found:
        node: Any = made
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_the_command_prints_the_document() -> None:
    """Of the environment's installation."""
    result = CliRunner().invoke(app, ["asyncapi"], env={"SIGHTLINE_TOPIC_PREFIX": "shop"})
    assert result.exit_code == 0
    assert json.loads(result.stdout) == document(Settings(topic_prefix="shop"))
