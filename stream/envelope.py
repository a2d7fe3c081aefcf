"""Around every payload: key, CloudEvents 1.0 headers (Kafka binding, binary mode), times, and their faults.

An envelope is all or nothing. A record with any `ce_` header must have all five attributes; one with none at
all is served as bare bytes and named by its place in the log.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stream.events import EventId, RawRecord, Rejected
from stream.reasons import Reason, Stage

MAX_ID_BYTES = 256
"""Of every id on the wire: subject, event, origin, identity, template."""
MAX_HEADERS = 64
MAX_HEADER_BYTES = 16 << 10
"""Of all header names and values together."""
MAX_DETAIL_CHARS = 512

ATTRIBUTES = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")
CONTENT_TYPE = "content-type"
TRACEPARENT = "traceparent"

Headers = tuple[tuple[str, bytes], ...]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A record that is to be sent; topic and partition are the sender's business."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was believed about a record before its payload was looked at."""

    key: str
    event_id: EventId
    origin: str
    event_type: str | None
    """None for bare bytes."""
    event_time_ms: int
    content_type: str | None
    """As it stood there; None if it did not."""
    traceparent: str | None


def rejected(record: RawRecord, reason: Reason, detail: str, stage: Stage = Stage.CODEC) -> Rejected:
    """A rejection whose detail is bounded, whatever went into it."""
    return Rejected(source=record.source, reason=reason, stage=stage, detail=detail[:MAX_DETAIL_CHARS])


def bare_id(record: RawRecord) -> str:
    """How a record without a name of its own is called: `topic/partition/offset`."""
    source = record.source
    return f"{source.topic}/{source.partition}/{source.offset}"


def id_fault(text: str | bytes) -> str | None:
    """Why this cannot be an id, in words that follow "is"; None if it can."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if not raw:
        return "empty"
    if len(raw) > MAX_ID_BYTES:
        return f"{len(raw)} bytes long, at most {MAX_ID_BYTES} are allowed"
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"
    return "with control characters" if _CONTROL.search(decoded) else None


def open_envelope(record: RawRecord, *, max_value_bytes: int, max_skew_ms: int) -> Envelope | Rejected:
    """Key, names and times of a record, or the first fault. Sizes are checked before anything is parsed."""
    if (fault := _size_fault(record, max_value_bytes)) is not None:
        return fault
    key = _key(record)
    if isinstance(key, Rejected):
        return key
    headers = _attributes(record)
    if isinstance(headers, Rejected):
        return headers
    bare = not any(name.startswith("ce_") for name, _ in record.headers)
    event_time_ms = record.timestamp_ms if bare else parse_rfc3339_ms(headers["ce_time"])
    if event_time_ms is None:
        return rejected(
            record, Reason.BAD_HEADERS, "ce_time is not an RFC 3339 time with its offset from UTC"
        )
    if (skew := _skew_fault(record, event_time_ms, max_skew_ms)) is not None:
        return skew
    return Envelope(
        key=key,
        event_id=EventId(bare_id(record) if bare else headers["ce_id"]),
        origin=record.source.topic if bare else headers["ce_source"],
        event_type=None if bare else headers["ce_type"],
        event_time_ms=event_time_ms,
        content_type=headers.get(CONTENT_TYPE),
        traceparent=_traceparent(record),
    )


def parse_rfc3339_ms(text: str) -> int | None:
    """Milliseconds since 1970, rounded down; None if this is no RFC 3339 time. Leap seconds are none."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        # In UTC, so that what is read can be written: an offset may lead out of the calendar.
        return (moment.astimezone(UTC) - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def rfc3339(time_ms: int) -> str:
    """`2026-01-31T12:00:00.250Z`."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def cloud_event_headers(
    *, event_id: str, origin: str, event_type: str, time_ms: int, content_type: str
) -> Headers:
    """The five attributes and the content type, as the binary mode writes them."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", origin.encode()),
        ("ce_type", event_type.encode()),
        ("ce_time", rfc3339(time_ms).encode()),
        (CONTENT_TYPE, content_type.encode()),
    )


def _size_fault(record: RawRecord, max_value_bytes: int) -> Rejected | None:
    size = len(record.value or b"")
    if size > max_value_bytes:
        return rejected(record, Reason.TOO_LARGE, f"{size} bytes, at most {max_value_bytes} are allowed")
    if len(record.headers) > MAX_HEADERS:
        return rejected(
            record, Reason.BAD_HEADERS, f"{len(record.headers)} headers, at most {MAX_HEADERS} are allowed"
        )
    header_bytes = sum(len(name) + len(value or b"") for name, value in record.headers)
    if header_bytes > MAX_HEADER_BYTES:
        return rejected(
            record,
            Reason.BAD_HEADERS,
            f"{header_bytes} bytes of headers, at most {MAX_HEADER_BYTES} are allowed",
        )
    return None


def _key(record: RawRecord) -> str | Rejected:
    if not record.key:
        return rejected(
            record, Reason.MISSING_KEY, "the record has no key; it names the subject or the identity"
        )
    if fault := id_fault(record.key):
        return rejected(record, Reason.BAD_KEY, f"the key is {fault}")
    return record.key.decode("utf-8")


def _attributes(record: RawRecord) -> dict[str, str] | Rejected:
    """The attributes this service reads, each at most once and fit to be an id; all five, or none at all."""
    read: dict[str, str] = {}
    for name, value in record.headers:
        if name not in ATTRIBUTES and name != CONTENT_TYPE:
            continue
        if name in read:
            return rejected(record, Reason.BAD_HEADERS, f"{name} is there twice")
        if fault := id_fault(value or b""):
            return rejected(record, Reason.BAD_HEADERS, f"{name} is {fault}")
        read[name] = value.decode("utf-8")
    missing = [name for name in ATTRIBUTES if name not in read]
    if any(name.startswith("ce_") for name, _ in record.headers):
        if missing:
            return rejected(
                record, Reason.BAD_HEADERS, f"{', '.join(missing)} missing beside other ce_ headers"
            )
        if read["ce_specversion"] != "1.0":
            return rejected(record, Reason.BAD_HEADERS, "ce_specversion is not 1.0")
    return read


def _skew_fault(record: RawRecord, event_time_ms: int, max_skew_ms: int) -> Rejected | None:
    if event_time_ms < 0:
        return rejected(record, Reason.CLOCK_SKEW, f"the event time is {-event_time_ms} ms before 1970")
    ahead_ms = event_time_ms - record.timestamp_ms
    if ahead_ms > max_skew_ms:
        return rejected(
            record,
            Reason.CLOCK_SKEW,
            f"the event time is {ahead_ms} ms ahead of the broker's clock, at most {max_skew_ms} are allowed",
        )
    return None


def _traceparent(record: RawRecord) -> str | None:
    """The W3C trace header; one that is not well formed is ignored, as its standard demands."""
    found = next((value for name, value in record.headers if name == TRACEPARENT), None)
    return found.decode() if found and _TRACEPARENT.fullmatch(found) else None
