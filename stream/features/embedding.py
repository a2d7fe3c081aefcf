"""Precomputed embeddings: the one payload that every modality takes, where the contract is its own."""

import json
import math
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.records import ContractId, Feature
from stream.features.extractor import Unusable
from stream.reasons import Reason

BYTES_PER_NUMBER = 32
"""A float64 written in full takes 25 characters with its comma and a space."""
ENVELOPE_BYTES = 2048


class _Wire(BaseModel):
    """The JSON object. Unknown fields are ignored, as everywhere on the wire."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    contract_id: str = Field(max_length=256)
    vector: list[float]
    quality: float | None = None


def embedding_schema(ref_template: str) -> dict[str, Any]:
    """The JSON Schema of an embedding's value."""
    return _Wire.model_json_schema(ref_template=ref_template)


def read_embedding(data: bytes, *, contract_id: ContractId, dimension: int) -> Feature | Unusable:
    """The feature that somebody computed before, at unit norm; or why it cannot be compared with ours."""
    limit = ENVELOPE_BYTES + BYTES_PER_NUMBER * dimension
    if len(data) > limit:
        return Unusable(
            reason=Reason.TOO_LARGE, detail=f"{len(data)} bytes; an embedding has at most {limit}"
        )
    try:
        wire = _Wire.model_validate(json.loads(data))
    except (ValueError, RecursionError) as error:
        what = "not the expected object" if isinstance(error, ValidationError) else "not JSON in UTF-8"
        return Unusable(reason=Reason.BAD_JSON, detail=f"{what}: contract_id, vector and quality are read")
    if wire.contract_id != contract_id:
        return Unusable(
            reason=Reason.WRONG_CONTRACT,
            detail=f"made under {wire.contract_id[:80]!r}; this service compares {contract_id!r}",
        )
    return _feature(wire, contract_id=contract_id, dimension=dimension)


def _feature(wire: _Wire, *, contract_id: ContractId, dimension: int) -> Feature | Unusable:
    def bad(detail: str) -> Unusable:
        return Unusable(reason=Reason.BAD_VECTOR, detail=detail)

    if len(wire.vector) != dimension:
        return bad(f"{len(wire.vector)} numbers; the contract has {dimension}")
    vector = np.asarray(wire.vector, dtype=np.float64)
    if not np.isfinite(vector).all():
        return bad("NaN or infinity among the numbers")
    largest = float(np.abs(vector).max())
    if largest == 0.0:
        return bad("all numbers are zero; a direction is needed")
    if wire.quality is not None and not (math.isfinite(wire.quality) and wire.quality >= 0):
        return bad("quality must be finite and not negative")
    # Scaled by the largest first: squares of float64 under- or overflow where their root would not.
    vector = vector / largest
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Feature(vector=unit, contract_id=contract_id, quality=wire.quality)
