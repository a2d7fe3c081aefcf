"""Enrolment requests and their results: the JSON at the one door of the gallery.

A request carries its samples in `samples`, or, for people who write by hand, in a field named after the
modality: text where that modality's content is text, base64 where it is not. `embedding` is a vector computed
before.
"""

import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.records import IdentityId, Modality, TemplateId
from stream.codec import Limits, media_type
from stream.envelope import (
    MAX_ID_BYTES,
    Envelope,
    Outgoing,
    bare_id,
    cloud_event_headers,
    id_fault,
    open_envelope,
    parse_rfc3339_ms,
    rejected,
    rfc3339,
)
from stream.events import EnrolmentRequest, EnrolmentResult, RawRecord, RawSample, Rejected, Resemblance
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.reasons import Reason, Stage
from stream.wire_json import faults, json_bytes, number

REQUEST_TYPE = "sightline.enrolment.v1"
RESULT_TYPE = "sightline.enrolment-result.v1"
SCHEMA_VERSION = 1
MAX_SAMPLES = 16
MAX_METADATA = 32
DEFAULT_ORIGIN = "sightline"

_Id = Annotated[str, Field(max_length=MAX_ID_BYTES)]
_Note = Annotated[str, Field(max_length=1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What is allowed of an enrolment request."""

    modalities: Mapping[Modality, Limits]
    max_value_bytes: int
    """Of the whole JSON; base64 takes four bytes for three."""
    max_skew_ms: int


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _SamplePart(_Wire):
    modality: _Id
    content_type: _Id | None = None
    data: str | None = None
    """Base64."""
    text: str | None = None


class _EmbeddingPart(_Wire):
    modality: _Id
    contract_id: _Id
    vector: list[float]
    quality: float | None = None


class _RequestPart(_Wire):
    model_config = ConfigDict(extra="allow")

    identity_id: _Id
    template_id: _Id | None = None
    action: Literal["enrol", "withdraw"] = "enrol"
    samples: list[_SamplePart] = Field(default_factory=list, max_length=MAX_SAMPLES)
    embedding: _EmbeddingPart | None = None
    metadata: dict[_Id, _Note] = Field(default_factory=dict, max_length=MAX_METADATA)
    consent_ref: _Id | None = None
    expires_at: _Id | None = None


class _ResemblancePart(_Wire):
    identity_id: str
    template_id: str
    score: float
    threshold: float
    similarity: dict[str, float]


class _ResultPart(_Wire):
    model_config = ConfigDict(strict=False)

    schema_version: Literal[1]
    request_id: str
    identity_id: str
    template_id: str | None
    status: Literal["accepted", "rejected"]
    reasons: tuple[str, ...]
    detail: str
    warnings: tuple[str, ...] = ()
    resembles: _ResemblancePart | None = None


def request_schema(ref_template: str) -> dict[str, Any]:
    """The JSON Schema of a request's value; fields named after modalities are extras of it."""
    return _RequestPart.model_json_schema(ref_template=ref_template)


def result_schema(ref_template: str) -> dict[str, Any]:
    """The JSON Schema of a result's value."""
    return _ResultPart.model_json_schema(ref_template=ref_template)


class _FaultError(Exception):
    """Carries the first fault of a request out of its parsing; it never leaves this module."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode_request(record: RawRecord, limits: RequestLimits) -> EnrolmentRequest | Rejected:
    """A request whose ids, sizes, content types and base64 are sound, or the first fault."""
    envelope = open_envelope(record, max_value_bytes=limits.max_value_bytes, max_skew_ms=limits.max_skew_ms)
    if isinstance(envelope, Rejected):
        return replace(envelope, stage=Stage.ENROLMENT)
    if not record.value:
        return rejected(record, Reason.EMPTY, "the request has no value", Stage.ENROLMENT)
    try:
        part = _RequestPart.model_validate_json(record.value)
        return _request(part, envelope, record, limits.modalities)
    except ValidationError as error:
        return rejected(record, Reason.BAD_REQUEST, faults(error), Stage.ENROLMENT)
    except _FaultError as fault:
        return rejected(record, fault.reason, str(fault), Stage.ENROLMENT)


def encode_request(request: EnrolmentRequest, *, origin: str = DEFAULT_ORIGIN) -> Outgoing:
    """The record that asks for an enrolment or a withdrawal."""
    optional = {
        "template_id": request.template_id,
        "consent_ref": request.consent_ref,
        "expires_at": None if request.expires_at_ms is None else rfc3339(request.expires_at_ms),
    }
    value = {
        "identity_id": request.identity_id,
        "action": request.action,
        **{name: text for name, text in optional.items() if text is not None},
        "samples": [
            {
                "modality": modality,
                "content_type": sample.content_type,
                "data": binascii.b2a_base64(sample.data, newline=False).decode(),
            }
            for modality, sample in sorted(request.samples.items())
        ],
        "metadata": dict(sorted(request.metadata.items())),
    }
    return Outgoing(
        key=request.identity_id.encode(),
        value=json_bytes(value),
        headers=cloud_event_headers(
            event_id=request.request_id,
            origin=origin,
            event_type=REQUEST_TYPE,
            time_ms=request.requested_at_ms,
            content_type="application/json",
        ),
    )


def encode_result(result: EnrolmentResult, *, time_ms: int, origin: str = DEFAULT_ORIGIN) -> Outgoing:
    """The record that answers a request."""
    value = {
        "schema_version": SCHEMA_VERSION,
        "request_id": result.request_id,
        "identity_id": result.identity_id,
        "template_id": result.template_id,
        "status": "accepted" if result.accepted else "rejected",
        "reasons": result.reasons,
        "detail": result.detail,
        "warnings": result.warnings,
        "resembles": None if result.resembles is None else _resemblance(result.resembles),
    }
    return Outgoing(
        key=result.identity_id.encode(),
        value=json_bytes(value),
        headers=cloud_event_headers(
            event_id=result.request_id,
            origin=origin,
            event_type=RESULT_TYPE,
            time_ms=time_ms,
            content_type="application/json",
        ),
    )


def decode_result(record: RawRecord) -> EnrolmentResult | Rejected:
    """The answer to a request, as its reader sees it."""
    try:
        part = _ResultPart.model_validate_json(record.value or b"")
    except ValidationError as error:
        detail = f"no enrolment result of schema_version {SCHEMA_VERSION}: {faults(error)}"
        return rejected(record, Reason.BAD_JSON, detail, Stage.ENROLMENT)
    return EnrolmentResult(
        request_id=part.request_id,
        identity_id=part.identity_id,
        template_id=part.template_id,
        accepted=part.status == "accepted",
        reasons=part.reasons,
        detail=part.detail,
        warnings=part.warnings,
        resembles=None if part.resembles is None else _read_resemblance(part.resembles),
    )


def refusal(record: RawRecord, fault: Rejected) -> EnrolmentResult:
    """The result of a request that could not be read, under the best names that can be had from it."""
    named = next((value for name, value in record.headers if name == "ce_id" and not id_fault(value)), None)
    return EnrolmentResult(
        request_id=named.decode() if named else bare_id(record),
        identity_id=record.key.decode() if record.key and not id_fault(record.key) else "",
        template_id=None,
        accepted=False,
        reasons=(fault.reason.value,),
        detail=fault.detail,
    )


def _resemblance(other: Resemblance) -> dict[str, object]:
    return {
        "identity_id": other.identity_id,
        "template_id": other.template_id,
        "score": number(other.score),
        "threshold": number(other.threshold),
        "similarity": {m: number(other.similarity[m]) for m in sorted(other.similarity)},
    }


def _read_resemblance(part: _ResemblancePart) -> Resemblance:
    return Resemblance(
        identity_id=IdentityId(part.identity_id),
        template_id=TemplateId(part.template_id),
        score=part.score,
        threshold=part.threshold,
        similarity={Modality(modality): cosine for modality, cosine in part.similarity.items()},
    )


def _request(
    part: _RequestPart, envelope: Envelope, record: RawRecord, limits: Mapping[Modality, Limits]
) -> EnrolmentRequest:
    for name, text in (("identity_id", part.identity_id), ("template_id", part.template_id)):
        if text is not None and (fault := id_fault(text)):
            raise _FaultError(Reason.BAD_REQUEST, f"{name} is {fault}")
    if part.identity_id != envelope.key:
        raise _FaultError(
            Reason.BAD_REQUEST, "identity_id is not the record's key; requests are ordered by key"
        )
    expires_at_ms = None if part.expires_at is None else parse_rfc3339_ms(part.expires_at)
    if part.expires_at is not None and expires_at_ms is None:
        raise _FaultError(Reason.BAD_REQUEST, "expires_at is not an RFC 3339 time with its offset from UTC")
    samples: dict[Modality, RawSample] = {}
    for modality, sample in _samples(part, limits):
        if modality in samples:
            raise _FaultError(Reason.BAD_REQUEST, f"two samples of {modality}; send a request for each")
        samples[modality] = sample
    if part.action == "enrol" and not samples:
        raise _FaultError(
            Reason.BAD_REQUEST, f"no sample; give one of {', '.join(sorted(limits))}, or an embedding"
        )
    return EnrolmentRequest(
        request_id=envelope.event_id,
        identity_id=part.identity_id,
        template_id=part.template_id,
        action=part.action,
        samples=samples,
        metadata=part.metadata,
        consent_ref=part.consent_ref,
        expires_at_ms=expires_at_ms,
        requested_at_ms=record.timestamp_ms,
    )


def _samples(part: _RequestPart, limits: Mapping[Modality, Limits]) -> Iterator[tuple[Modality, RawSample]]:
    for sample in part.samples:
        yield _sample(sample, limits)
    for modality, allowed in limits.items():
        by_hand = (part.model_extra or {}).get(modality)
        if by_hand is None:
            continue
        if not isinstance(by_hand, str):
            raise _FaultError(Reason.BAD_REQUEST, f"{modality} is not a string")
        is_text = allowed.default_content_type.startswith("text/")
        shorthand = _SamplePart(
            modality=modality, text=by_hand if is_text else None, data=None if is_text else by_hand
        )
        yield _sample(shorthand, limits)
    if part.embedding is not None:
        vector = part.embedding.model_dump(exclude={"modality"})
        # NaN passes here as JSON's extension: the extractor is the one judge of vectors.
        text = json.dumps(vector, separators=(",", ":"))
        sample = _SamplePart(modality=part.embedding.modality, content_type=EMBEDDING_CONTENT_TYPE, text=text)
        yield _sample(sample, limits)


def _sample(part: _SamplePart, limits: Mapping[Modality, Limits]) -> tuple[Modality, RawSample]:
    modality = Modality(part.modality)
    if (allowed := limits.get(modality)) is None:
        raise _FaultError(Reason.BAD_REQUEST, f"no such modality; there are {', '.join(sorted(limits))}")
    if (part.data is None) == (part.text is None):
        raise _FaultError(Reason.BAD_REQUEST, f"a sample of {modality} needs either data (base64) or text")
    content_type = media_type(part.content_type or allowed.default_content_type)
    if content_type is None or content_type not in allowed.content_types:
        known = ", ".join(sorted(allowed.content_types))
        raise _FaultError(Reason.UNKNOWN_CONTENT_TYPE, f"{modality} takes {known} in UTF-8")
    try:
        data = part.text.encode() if part.text is not None else _base64(part.data or "")
    except ValueError as error:
        raise _FaultError(Reason.BAD_REQUEST, f"the data of {modality} is not base64") from error
    if not data:
        raise _FaultError(Reason.EMPTY, f"the sample of {modality} is empty")
    if len(data) > allowed.max_value_bytes:
        found = f"{len(data)} bytes of {modality}, at most {allowed.max_value_bytes} are allowed"
        raise _FaultError(Reason.TOO_LARGE, found)
    return modality, RawSample(content_type=content_type, data=data)


def _base64(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
