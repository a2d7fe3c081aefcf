"""The gallery record: a template and its bytes. A template is one record; a tombstone erases it.

Vectors are base64 of little-endian float32: exact, and a third of the size of their decimal digits.
"""

import binascii
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.records import ContractId, Feature, IdentityId, Modality, Template, TemplateId
from stream.envelope import MAX_DETAIL_CHARS, Outgoing, id_fault
from stream.events import Enrolled, Rejected, Source, Withdrawn
from stream.reasons import Reason, Stage
from stream.wire_json import faults, json_bytes

SCHEMA_VERSION = 1


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _VectorPart(_Wire):
    data: str
    contract_id: str
    quality: float | None = Field(default=None, allow_inf_nan=False)


class _TemplatePart(_Wire):
    schema_version: Literal[1]
    identity_id: str
    template_id: str
    vectors: Mapping[str, _VectorPart]
    enrolled_at_ms: int
    metadata: Mapping[str, str] = Field(default_factory=dict)
    consent_ref: str | None = None
    expires_at_ms: int | None = None


def template_schema(ref_template: str) -> dict[str, Any]:
    """The JSON Schema of a template's value."""
    return _TemplatePart.model_json_schema(ref_template=ref_template)


def template_key(identity_id: IdentityId, template_id: TemplateId) -> bytes:
    """`identity_id/template_id`; `%` and `/` of the ids as `%25` and `%2F`: no two pairs share a key."""
    return f"{_escape(identity_id)}/{_escape(template_id)}".encode()


def encode_template(template: Template) -> Outgoing:
    """The record that enrols a template, or replaces the one of the same key.

    Raises:
        RecordError: A quality is not finite.
    """
    features = {m: template.features[m] for m in sorted(template.features)}
    value = {
        "schema_version": SCHEMA_VERSION,
        "identity_id": template.identity_id,
        "template_id": template.template_id,
        "contract_id": "+".join(feature.contract_id for feature in features.values()),
        "vectors": {
            modality: {
                "data": binascii.b2a_base64(feature.vector.astype("<f4").tobytes(), newline=False).decode(),
                "contract_id": feature.contract_id,
                "quality": feature.quality,
            }
            for modality, feature in features.items()
        },
        "enrolled_at_ms": template.enrolled_at_ms,
        "metadata": dict(sorted(template.metadata.items())),
        "consent_ref": template.consent_ref,
        "expires_at_ms": template.expires_at_ms,
    }
    return Outgoing(key=template_key(template.identity_id, template.template_id), value=json_bytes(value))


def tombstone(identity_id: IdentityId, template_id: TemplateId) -> Outgoing:
    """The record that erases one template; an identity is erased by one for each of its templates."""
    return Outgoing(key=template_key(identity_id, template_id), value=None)


def decode_template(
    key: bytes | None, value: bytes | None, source: Source
) -> Enrolled | Withdrawn | Rejected:
    """What a record of the gallery topic changes. Norms and dimensions are the gallery's to check."""
    ids = _ids(key)
    if ids is None:
        return _rejected(source, Reason.BAD_KEY, "the key is not identity_id/template_id")
    identity_id, template_id = ids
    if value is None:
        return Withdrawn(identity_id=identity_id, template_id=template_id)
    try:
        part = _TemplatePart.model_validate_json(value)
    except ValidationError as error:
        return _rejected(
            source, Reason.BAD_JSON, f"no template of schema_version {SCHEMA_VERSION}: {faults(error)}"
        )
    if (part.identity_id, part.template_id) != ids:
        return _rejected(source, Reason.BAD_KEY, "the key names another template than the value")
    features = {Modality(m): _feature(vector) for m, vector in part.vectors.items()}
    good = {m: feature for m, feature in features.items() if feature is not None}
    if len(good) < len(features) or not good:
        return _rejected(
            source, Reason.BAD_VECTOR, "a vector is missing, not finite, or not base64 of float32"
        )
    return Enrolled(
        template=Template(
            identity_id=identity_id,
            template_id=template_id,
            features=good,
            enrolled_at_ms=part.enrolled_at_ms,
            metadata=part.metadata,
            consent_ref=part.consent_ref,
            expires_at_ms=part.expires_at_ms,
        )
    )


def _feature(part: _VectorPart) -> Feature | None:
    try:
        raw = binascii.a2b_base64(part.data, strict_mode=True)
        vector = np.frombuffer(raw, dtype="<f4").astype(np.float32)
    except ValueError:
        return None
    if vector.size == 0 or not np.isfinite(vector).all():
        return None
    return Feature(vector=vector, contract_id=ContractId(part.contract_id), quality=part.quality)


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F")


def _ids(key: bytes | None) -> tuple[IdentityId, TemplateId] | None:
    """The two ids of a key, if it is the one that `template_key` writes for them."""
    try:
        parts = (key or b"").decode().split("/")
    except UnicodeDecodeError:
        return None
    if len(parts) != 2:
        return None
    identity_id, template_id = (part.replace("%2F", "/").replace("%25", "%") for part in parts)
    ids = IdentityId(identity_id), TemplateId(template_id)
    if id_fault(identity_id) or id_fault(template_id) or template_key(*ids) != key:
        return None
    return ids


def _rejected(source: Source, reason: Reason, detail: str) -> Rejected:
    return Rejected(source=source, reason=reason, stage=Stage.ENROLMENT, detail=detail[:MAX_DETAIL_CHARS])
