"""The decision record (schema_version 1): a `Decision` to bytes, and bytes to what a reader needs.

The value is a pure function of the decision: fixed field order, compact JSON, floats rounded to `DECIMALS`. A
replay at the same gallery version writes the same bytes. What depends on the clock travels in headers.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from index.records import Candidate, Explanation, Threshold
from stream.decision_view import DecisionRecord
from stream.envelope import TRACEPARENT, Headers, Outgoing, cloud_event_headers, rejected, rfc3339
from stream.errors import RecordError
from stream.events import Decision, Event, Missing, ProbeSample, RawRecord, Rejected, Source, SubjectId
from stream.reasons import Reason
from stream.wire_json import faults, json_bytes, number

__all__ = [
    "DecisionRecord",
    "Timing",
    "covered_events",
    "decision_headers",
    "decision_id",
    "decision_value",
    "decode_decision",
    "encode_decision",
]

SCHEMA_VERSION = 1
EVENT_TYPE = "sightline.decision.v1"
DEFAULT_ORIGIN = "sightline"
ID_HEX_DIGITS = 32
SETTLED = "sightline_settled_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the clock said about one decision: headers, never the value."""

    decided_at_ms: int
    join_ms: float
    extract_ms: float
    search_ms: float
    total_ms: float
    settled_ms: int | None = None
    """Event time before which nothing waited any more in the decision's partition."""


def decision_id(subject_id: SubjectId, events: Iterable[Event], *, final: bool = True) -> str:
    """Names a decision by its subject and every input it covers, markers and unusable samples too.

    The order of `events` does not matter. The hash is over JSON, where no id can run into its neighbour.
    Over the same inputs a final decision and one that may be revised have different names.
    """
    inputs = sorted({(e.source.topic, e.source.partition, e.source.offset) for e in events})
    parts = [subject_id, inputs] if final else [subject_id, inputs, "open"]
    named = json.dumps(parts, separators=(",", ":")).encode()
    return hashlib.sha256(named).hexdigest()[:ID_HEX_DIGITS]


def covered_events(decision: Decision) -> tuple[Event, ...]:
    """Every event a decision speaks for, by (event time, place in the log)."""
    probe = decision.probe
    events = (
        *(sample.event for sample in probe.samples),
        *(missing.event for missing in probe.missing if missing.event is not None),
        *probe.markers,
    )
    return tuple(sorted(events, key=lambda event: (event.event_time_ms, event.source)))


def encode_decision(decision: Decision, timing: Timing, *, origin: str = DEFAULT_ORIGIN) -> Outgoing:
    """The record to publish: key, value and headers.

    Raises:
        RecordError: A number is not finite, or the decision covers no event.
    """
    return Outgoing(
        key=decision.probe.subject_id.encode(),
        value=decision_value(decision),
        headers=decision_headers(decision, timing, origin=origin),
    )


def decision_headers(decision: Decision, timing: Timing, *, origin: str = DEFAULT_ORIGIN) -> Headers:
    """CloudEvents attributes, cause and trace of the last input, and what the clock said."""
    events = covered_events(decision)
    traces = [event.traceparent for event in events if event.traceparent]
    return (
        *cloud_event_headers(
            event_id=decision.decision_id,
            origin=origin,
            event_type=EVENT_TYPE,
            time_ms=_event_time_ms(decision),
            content_type="application/json",
        ),
        ("causationid", events[-1].event_id.encode()),
        *((TRACEPARENT, trace.encode()) for trace in traces[-1:]),
        ("sightline_decided_at", rfc3339(timing.decided_at_ms).encode()),
        ("sightline_latency_join_ms", f"{timing.join_ms:.3f}".encode()),
        ("sightline_latency_extract_ms", f"{timing.extract_ms:.3f}".encode()),
        ("sightline_latency_search_ms", f"{timing.search_ms:.3f}".encode()),
        ("sightline_latency_total_ms", f"{timing.total_ms:.3f}".encode()),
        *(() if timing.settled_ms is None else ((SETTLED, str(timing.settled_ms).encode()),)),
    )


def decision_value(decision: Decision) -> bytes:
    """The JSON of docs/contracts.md.

    Raises:
        RecordError: A number is not finite, or the decision covers no event.
    """
    probe, verdict = decision.probe, decision.verdict
    contracts = {m: decision.model_contracts[m] for m in sorted(decision.model_contracts)}
    return json_bytes(
        {
            "schema_version": SCHEMA_VERSION,
            "decision_id": decision.decision_id,
            "revision": decision.revision,
            "supersedes": decision.supersedes,
            "final": decision.final,
            "subject_id": probe.subject_id,
            "window": {
                "start_ms": probe.window.start_ms,
                "end_ms": probe.window.end_ms,
                "closed_by": probe.closed_by,
            },
            "outcome": verdict.outcome,
            "reasons": verdict.reasons,
            "identity_id": verdict.identity_id,
            "candidates": [_candidate(candidate) for candidate in verdict.candidates],
            "margin": _optional(verdict.margin),
            "threshold": None if verdict.threshold is None else _threshold(verdict.threshold),
            "explanation": None if verdict.explanation is None else _explanation(verdict.explanation),
            "modalities": {
                "used": sorted({s.event.modality for s in probe.samples if s.event.modality is not None}),
                "missing": [_missing(missing) for missing in sorted(probe.missing, key=_missing_order)],
            },
            "inputs": [_input(sample) for sample in sorted(probe.samples, key=lambda s: _order(s.event))],
            "markers": [_coordinates(marker) for marker in sorted(probe.markers, key=_order)],
            "model": {"contract_id": "+".join(contracts.values()), "contracts": contracts},
            "gallery": {
                "version": decision.gallery.version,
                "identities": decision.gallery.identities,
                "templates": decision.gallery.templates,
            },
            "event_time_ms": _event_time_ms(decision),
            "late": decision.late,
        }
    )


def decode_decision(record: RawRecord) -> DecisionRecord | Rejected:
    """What a reader needs of a decision record; unknown fields are ignored."""
    try:
        return DecisionRecord.model_validate_json(record.value or b"")
    except ValidationError as error:
        return rejected(
            record, Reason.BAD_JSON, f"no decision of schema_version {SCHEMA_VERSION}: {faults(error)}"
        )


def _order(event: Event) -> tuple[int, Source]:
    return event.event_time_ms, event.source


def _missing_order(missing: Missing) -> tuple[str, bool, int, Source | None]:
    event = missing.event
    if event is None:
        return missing.modality, False, 0, None
    return missing.modality, True, event.event_time_ms, event.source


def _event_time_ms(decision: Decision) -> int:
    """When the last of what it covers happened."""
    events = covered_events(decision)
    if not events:
        raise RecordError(
            f"decision {decision.decision_id} covers no event; a closed window has at least one"
        )
    return events[-1].event_time_ms


def _optional(value: float | None) -> float | None:
    return None if value is None else number(value)


def _candidate(candidate: Candidate) -> dict[str, object]:
    return {
        "rank": candidate.rank,
        "identity_id": candidate.identity_id,
        "template_id": candidate.template_id,
        "score": number(candidate.score),
        "probability": number(candidate.probability),
        "similarity": {m: number(candidate.similarity[m]) for m in sorted(candidate.similarity)},
    }


def _threshold(threshold: Threshold) -> dict[str, object]:
    return {
        "score": number(threshold.score),
        "target_fpir": number(threshold.target_fpir),
        "gallery_size": threshold.gallery_size,
        "policy_id": threshold.policy_id,
        "basis": threshold.basis,
        "searches": threshold.searches,
        "interval": None if threshold.interval is None else [number(end) for end in threshold.interval],
    }


def _explanation(explanation: Explanation) -> dict[str, object]:
    rival, agreement = explanation.rival, explanation.agreement
    return {
        "identity_id": explanation.identity_id,
        "short_by": _optional(explanation.short_by),
        "weak": [
            {"modality": weak.modality, "quality": number(weak.quality), "floor": number(weak.floor)}
            for weak in explanation.weak
        ],
        "rival": None
        if rival is None
        else {
            "identity_id": rival.identity_id,
            "lead": number(rival.lead),
            "needed": number(rival.needed),
        },
        "against": explanation.against,
        "agreement": None
        if agreement is None
        else {"llr": number(agreement.llr), "needed": number(agreement.needed)},
        "would_suffice": [
            {
                "modality": sample.modality,
                "similarity": number(sample.similarity),
                "was": _optional(sample.was),
                "quality": _optional(sample.quality),
            }
            for sample in explanation.would_suffice
        ],
    }


def _coordinates(event: Event) -> dict[str, object]:
    return {
        "event_id": event.event_id,
        "source": event.origin,
        "topic": event.source.topic,
        "partition": event.source.partition,
        "offset": event.source.offset,
        "event_time_ms": event.event_time_ms,
    }


def _missing(missing: Missing) -> dict[str, object]:
    named: dict[str, object] = {"modality": missing.modality, "reason": missing.reason}
    return named if missing.event is None else named | _coordinates(missing.event)


def _input(sample: ProbeSample) -> dict[str, object]:
    return {
        **_coordinates(sample.event),
        "modality": sample.event.modality,
        "quality": _optional(sample.feature.quality),
    }
