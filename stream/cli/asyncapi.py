"""`sightline asyncapi`: the contract on the wire as an AsyncAPI 3 document, for tools and other languages."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any

from stream.cli.console import print_json
from stream.cli.options import settings_with
from stream.codec import END_OF_SUBJECT
from stream.dead_letter_record import FACTS, PREFIX
from stream.decision_view import DecisionRecord
from stream.enrolment_record import request_schema, result_schema
from stream.envelope import ATTRIBUTES, CONTENT_TYPE, MAX_ID_BYTES, TRACEPARENT
from stream.features.embedding import embedding_schema
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.gallery_record import template_schema
from stream.worker.settings import Settings
from stream.worker.topics import TopicSpec

Json = dict[str, Any]

JSON_TYPE = "application/json"
CONTENT_TYPES = {None: "application/octet-stream", "Embedding": EMBEDDING_CONTENT_TYPE}
"""Of values that are no JSON by name; a sample's own `content-type` header goes before."""
INTEGERS = {"retention.ms", "delete.retention.ms", "max.message.bytes"}
"""Configurations that the binding of AsyncAPI has as numbers."""

SCHEMAS: Mapping[str, Callable[[str], Json]] = {
    "Decision": lambda template: DecisionRecord.model_json_schema(ref_template=template),
    "EnrolmentRequest": request_schema,
    "EnrolmentResult": result_schema,
    "Template": template_schema,
    "Embedding": embedding_schema,
}


def asyncapi() -> None:
    """Print the contract on the wire as AsyncAPI 3.

    With the topics, the broker and the limits of this installation.
    """
    print_json(document(settings_with()))


def document(settings: Settings) -> Json:
    """The topics as `init` makes them, and the values as the service's own models validate them."""
    names = settings.topics
    messages = {
        names.enrolments: ["EnrolmentRequest"],
        names.gallery: ["Template"],
        names.enrolment_results: ["EnrolmentResult"],
        names.matches: ["Decision"],
        names.dead_letters: ["DeadLetter"],
        **{topic: ["Sample", "Embedding", "EndOfSubject"] for topic in names.inputs.values()},
    }
    received = {*names.inputs.values(), names.enrolments}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sightline",
            "version": version("sightline"),
            "description": "Images and texts about a subject in, one decision about it out. "
            "docs/contracts.md says it in prose, and what a schema cannot say.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {"kafka": {"host": settings.bootstrap, "protocol": "kafka"}},
        "defaultContentType": JSON_TYPE,
        "channels": {
            spec.name: _channel(spec, messages[spec.name], settings.replication_factor)
            for spec in settings.topic_specs
        },
        "operations": {
            f"{action}.{spec.name}": {"action": action, "channel": _ref("channels", spec.name)}
            for spec in settings.topic_specs
            for action in (("receive",) if spec.name in received else ("send",))
        },
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(spec: TopicSpec, messages: list[str], replicas: int) -> Json:
    configs: Json = {
        name: int(value) if name in INTEGERS else value for name, value in spec.configs().items()
    }
    configs["cleanup.policy"] = [configs["cleanup.policy"]]
    return {
        "address": spec.name,
        "messages": {name: _ref("components", "messages", name) for name in messages},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "replicas": replicas,
                "topicConfiguration": configs,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _messages() -> Json:
    return {
        "Sample": _message("An image or a text of the subject.", headers="CloudEvent"),
        "Embedding": _message("A vector made before.", headers="CloudEvent", value="Embedding"),
        "EndOfSubject": _message("Ends its subject's window; no value.", headers="EndOfSubjectHeaders"),
        "EnrolmentRequest": _message(
            "Enrols a sample, or withdraws.", headers="CloudEvent", value="EnrolmentRequest"
        ),
        "EnrolmentResult": _message(
            "What became of a request.", headers="CloudEvent", value="EnrolmentResult"
        ),
        "Template": _message("An enrolled sample; a record without a value erases it.", value="Template"),
        "Decision": _message(
            "Who the subject is, or why that cannot be said.", headers="CloudEvent", value="Decision"
        ),
        "DeadLetter": _message("The original, with the reason beside it.", headers="DeadLetterHeaders"),
    }


def _message(summary: str, *, headers: str | None = None, value: str | None = None) -> Json:
    """A message; one without a schema for its value has bytes of somebody else."""
    message: Json = {
        "summary": summary,
        "contentType": CONTENT_TYPES.get(value, JSON_TYPE),
        "bindings": {"kafka": {"key": {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES}}},
    }
    if headers is not None:
        message["headers"] = _ref("components", "schemas", headers)
    if value is not None:
        message["payload"] = _ref("components", "schemas", value)
    return message


def _schemas() -> Json:
    values = {
        name: schema(f"#/components/schemas/{name}/$defs/{{model}}") for name, schema in SCHEMAS.items()
    }
    event = _headers(dict.fromkeys((*ATTRIBUTES, CONTENT_TYPE, TRACEPARENT)), required=ATTRIBUTES)
    ends = _headers({"ce_type": END_OF_SUBJECT}, required=ATTRIBUTES)
    letter = _headers({PREFIX + name: None for name in FACTS}, required=[PREFIX + name for name in FACTS])
    return {**values, "CloudEvent": event, "EndOfSubjectHeaders": ends, "DeadLetterHeaders": letter}


def _headers(texts: Mapping[str, str | None], *, required: Iterable[str]) -> Json:
    """Headers as texts, with the one value that some of them have to have; others are allowed."""
    properties = {
        name: {"type": "string", **({} if value is None else {"const": value})}
        for name, value in texts.items()
    }
    return {"type": "object", "properties": properties, "required": list(required)}


def _ref(*path: str) -> Json:
    return {"$ref": "#/" + "/".join(path)}
