"""The dead-letter record: the original bytes and headers, and in headers of our own why and where from."""

import re
from dataclasses import dataclass

from stream.envelope import MAX_DETAIL_CHARS, Headers, Outgoing, bare_id, rejected
from stream.events import RawRecord, Rejected, Source
from stream.reasons import Reason, Stage

PREFIX = "sightline_dlq_"
FACTS = ("reason", "stage", "topic", "partition", "offset", "timestamp", "error")
"""The headers of ours that every dead letter has, without their prefix."""
SETTLED = PREFIX + "settled_ms"
"""As a decision's, where the worker knew it."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that was set aside, as its reader sees it."""

    reason: Reason
    stage: Stage
    source: Source
    """Where the original stands, or stood."""
    timestamp_ms: int
    """The original's."""
    error: str
    """For people."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    """The original's."""


def encode_dead_letter(
    record: RawRecord, *, reason: Reason, stage: Stage, error: str, settled_ms: int | None = None
) -> Outgoing:
    """The original as it was, with the headers that say what became of it.

    Headers of these names that the original brought along are dropped: they would speak for somebody else.
    """
    source = record.source
    facts = {
        "reason": reason.value,
        "stage": stage.value,
        "topic": source.topic,
        "partition": str(source.partition),
        "offset": str(source.offset),
        "timestamp": str(record.timestamp_ms),
        "error": _UNPRINTABLE.sub(" ", error)[:MAX_DETAIL_CHARS],
    }
    if settled_ms is not None:
        facts["settled_ms"] = str(settled_ms)
    ours = tuple((PREFIX + name, text.encode("utf-8", "replace")) for name, text in facts.items())
    return Outgoing(key=record.key, value=record.value, headers=(*_originals(record.headers), *ours))


def decode_dead_letter(record: RawRecord) -> DeadLetter | Rejected:
    """What was set aside and why; a record that does not say so was not written by this service."""
    facts = {name.removeprefix(PREFIX): value for name, value in record.headers if name.startswith(PREFIX)}
    try:
        return DeadLetter(
            reason=Reason(facts["reason"].decode()),
            stage=Stage(facts["stage"].decode()),
            source=Source(
                topic=facts["topic"].decode(), partition=int(facts["partition"]), offset=int(facts["offset"])
            ),
            timestamp_ms=int(facts["timestamp"]),
            error=facts["error"].decode(),
            key=record.key,
            value=record.value,
            headers=_originals(record.headers),
        )
    except (KeyError, ValueError):
        return rejected(
            record,
            Reason.BAD_HEADERS,
            f"{bare_id(record)} has no full set of {PREFIX}… headers that can be read",
        )


def _originals(headers: Headers) -> Headers:
    return tuple((name, value) for name, value in headers if not name.startswith(PREFIX))
