"""Embeddings made elsewhere enter by the same door, if their contract is ours."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from index.records import ContractId, Feature
from stream.features.embedding import BYTES_PER_NUMBER, ENVELOPE_BYTES, read_embedding
from stream.features.extractor import Unusable
from stream.reasons import Reason

CONTRACT = ContractId("made-4-0badcafe")
UNIT = 1e-6
"""How far from 1 the norm of a float32 vector may be."""


def wire(**changes: Any) -> bytes:
    return json.dumps({"contract_id": CONTRACT, "vector": [3.0, 0.0, 4.0, 0.0], **changes}).encode()


def read(data: bytes) -> Feature | Unusable:
    return read_embedding(data, contract_id=CONTRACT, dimension=4)


def test_an_embedding_is_brought_to_unit_norm_and_keeps_its_quality() -> None:
    """Direction and quality are taken over, the length is not."""
    found = read(wire(quality=12.5, extra="ignored"))
    assert isinstance(found, Feature)
    np.testing.assert_allclose(found.vector, [0.6, 0.0, 0.8, 0.0], atol=UNIT)
    assert found.vector.dtype == np.float32
    assert (found.quality, found.contract_id) == (12.5, CONTRACT)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Reason.BAD_JSON),
        (b"{", Reason.BAD_JSON),
        (b"\xff\xfe", Reason.BAD_JSON),
        (b"[]", Reason.BAD_JSON),
        (b"null", Reason.BAD_JSON),
        (b"[" * 2000, Reason.BAD_JSON),
        (b'{"vector": [1, 0, 0, 0]}', Reason.BAD_JSON),
        (wire(vector="1,0,0,0"), Reason.BAD_JSON),
        (wire(vector=["1", "0", "0", "0"]), Reason.BAD_JSON),
        (wire(vector=[True, False, False, False]), Reason.BAD_JSON),
        (wire(vector=[None, 0, 0, 0]), Reason.BAD_JSON),
        (wire(quality="good"), Reason.BAD_JSON),
        (wire(contract_id=7), Reason.BAD_JSON),
        (wire(contract_id="other-4-00000000"), Reason.WRONG_CONTRACT),
        (wire(contract_id=""), Reason.WRONG_CONTRACT),
        (wire(vector=[]), Reason.BAD_VECTOR),
        (wire(vector=[1.0, 0.0, 0.0]), Reason.BAD_VECTOR),
        (wire(vector=[1.0] * 5), Reason.BAD_VECTOR),
        (wire(vector=[0.0] * 4), Reason.BAD_VECTOR),
        (wire(vector=[float("nan"), 0, 0, 1]), Reason.BAD_VECTOR),
        (wire(vector=[float("inf"), 0, 0, 1]), Reason.BAD_VECTOR),
        (wire(vector=[10**400, 0, 0, 1]), Reason.BAD_JSON),  # no float64 holds it
        (wire(quality=float("nan")), Reason.BAD_VECTOR),
        (wire(quality=-1), Reason.BAD_VECTOR),
        (b" " * (ENVELOPE_BYTES + BYTES_PER_NUMBER * 4 + 1), Reason.TOO_LARGE),
    ],
)
def test_every_bad_embedding_has_its_reason(data: bytes, expected: Reason) -> None:
    """JSON, contract, dimension, finiteness, direction and size are each looked at."""
    found = read(data)
    assert isinstance(found, Unusable), found
    assert found.reason is expected


@given(arrays(np.float64, 4, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_every_finite_direction_is_accepted(vector: np.ndarray) -> None:
    """However long or short: squares that would overflow or vanish do not disturb the direction."""
    found = read(wire(vector=vector.tolist()))
    if not vector.any():
        assert isinstance(found, Unusable)
        return
    assert isinstance(found, Feature)
    assert np.linalg.norm(found.vector.astype(np.float64)) == pytest.approx(1.0, abs=UNIT)
    assert np.argmax(np.abs(found.vector)) in np.flatnonzero(
        np.abs(vector) >= np.abs(vector).max() * (1 - UNIT)
    )


def test_the_longest_honest_embedding_is_not_too_large() -> None:
    """512 float64 numbers written in full stay under the bound."""
    numbers = (np.random.default_rng(20260).standard_normal(512) * 1e-300).tolist()
    data = json.dumps({"contract_id": "c" * 256, "vector": numbers, "quality": 1.0}, indent=1).encode()
    found = read_embedding(data, contract_id=ContractId("c" * 256), dimension=512)
    assert isinstance(found, Feature)
