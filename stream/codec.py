"""Input records to events: every fault is a `Rejected` with a stable reason, and nothing raises."""

import re
from dataclasses import dataclass

from index.records import Modality
from stream.envelope import Envelope, open_envelope, rejected
from stream.events import Event, RawRecord, Rejected, Sample, SubjectId
from stream.reasons import Reason

END_OF_SUBJECT = "sightline.end-of-subject.v1"
"""The `ce_type` of a marker: no value, no modality; the subject's window ends at its time."""

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+*-]+")
_UTF8 = frozenset({"utf-8", "utf8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is allowed of the inputs of one modality."""

    max_value_bytes: int
    content_types: frozenset[str]
    """Without parameters, in lower case."""
    default_content_type: str
    """For records that do not say; the extractor looks at the bytes itself."""
    max_skew_ms: int
    """How far ahead of the broker's clock an event time may be."""


def decode(record: RawRecord, modality: Modality, limits: Limits) -> Sample | Event | Rejected:
    """A sample, an end-of-subject marker (an event without modality), or why the record is neither.

    Args:
        record: As the broker handed it over.
        modality: That of the record's topic.
        limits: What is allowed of this modality.
    """
    envelope = open_envelope(record, max_value_bytes=limits.max_value_bytes, max_skew_ms=limits.max_skew_ms)
    if isinstance(envelope, Rejected):
        return envelope
    if envelope.event_type == END_OF_SUBJECT:
        if record.value:
            return rejected(
                record,
                Reason.BAD_HEADERS,
                f"{END_OF_SUBJECT} with {len(record.value)} bytes; a marker has none",
            )
        return _event(record, envelope, None)
    if not record.value:
        return rejected(record, Reason.EMPTY, "the record has no value")
    content_type = media_type(envelope.content_type or limits.default_content_type)
    if content_type is None or content_type not in limits.content_types:
        return rejected(
            record,
            Reason.UNKNOWN_CONTENT_TYPE,
            f"{envelope.content_type or limits.default_content_type!r} is none of "
            f"{', '.join(sorted(limits.content_types))} in UTF-8",
        )
    return Sample(event=_event(record, envelope, modality), content_type=content_type, data=record.value)


def media_type(content_type: str) -> str | None:
    """`type/subtype` in lower case without parameters; None if malformed or of another charset than UTF-8."""
    name, *parameters = content_type.lower().split(";")
    for parameter in parameters:
        attribute, _, value = parameter.partition("=")
        if attribute.strip() == "charset" and value.strip().strip('"') not in _UTF8:
            return None
    name = name.strip()
    return name if _MEDIA_TYPE.fullmatch(name) else None


def _event(record: RawRecord, envelope: Envelope, modality: Modality | None) -> Event:
    return Event(
        event_id=envelope.event_id,
        origin=envelope.origin,
        subject_id=SubjectId(envelope.key),
        modality=modality,
        event_time_ms=envelope.event_time_ms,
        source=record.source,
        traceparent=envelope.traceparent,
    )
