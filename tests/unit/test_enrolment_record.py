"""Enrolment requests and results on the wire: the one door of the gallery, and what it refuses."""

import base64
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import IMAGE, TEXT, Modality
from stream.codec import Limits
from stream.enrolment_record import (
    RequestLimits,
    decode_request,
    decode_result,
    encode_request,
    encode_result,
    refusal,
)
from stream.envelope import Outgoing
from stream.events import EnrolmentRequest, EnrolmentResult, RawRecord, RawSample, Rejected
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.reasons import Reason, Stage
from tests.stream_factories import raw

AUDIO = Modality("audio")
LIMITS = RequestLimits(
    modalities={
        IMAGE: Limits(
            max_value_bytes=64,
            content_types=frozenset({"image/jpeg", "image/png", EMBEDDING_CONTENT_TYPE}),
            default_content_type="image/jpeg",
            max_skew_ms=1_000,
        ),
        TEXT: Limits(
            max_value_bytes=256,
            content_types=frozenset({"text/plain", EMBEDDING_CONTENT_TYPE}),
            default_content_type="text/plain",
            max_skew_ms=1_000,
        ),
    },
    max_value_bytes=4_096,
    max_skew_ms=1_000,
)
PHOTO = base64.b64encode(b"pixels").decode()
RESULT = EnrolmentResult(
    request_id="r-1",
    identity_id="ann",
    template_id="t1",
    accepted=False,
    reasons=("no_face", "low_quality"),
    detail="no face in 640x480",
)


def asked(body: object, *, key: bytes | None = b"ann") -> EnrolmentRequest | Rejected:
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_request(raw(value, key=key, topic="enrolments"), LIMITS)


def granted(body: Mapping[str, object]) -> EnrolmentRequest:
    request = asked({"identity_id": "ann", **body})
    assert isinstance(request, EnrolmentRequest), request
    return request


def as_record(sent: Outgoing, *, timestamp_ms: int = 1_700_000_000_000) -> RawRecord:
    return raw(sent.value, key=sent.key, headers=sent.headers, topic="enrolments", timestamp_ms=timestamp_ms)


def test_a_request_by_hand_names_its_samples_after_their_modalities() -> None:
    """Text as it is, a photo as base64; the record's place is the request's id."""
    request = granted(
        {"image": PHOTO, "text": "tall, größer", "metadata": {"desk": "3"}, "consent_ref": "c-9"}
    )
    assert request == EnrolmentRequest(
        request_id="enrolments/3/42",
        identity_id="ann",
        template_id=None,
        action="enrol",
        samples={
            IMAGE: RawSample(content_type="image/jpeg", data=b"pixels"),
            TEXT: RawSample(content_type="text/plain", data="tall, größer".encode()),
        },
        metadata={"desk": "3"},
        consent_ref="c-9",
        requested_at_ms=1_700_000_000_000,
    )


def test_samples_may_be_given_as_a_list_of_any_modalities() -> None:
    """The general form knows no modality by name."""
    request = granted(
        {
            "samples": [
                {"modality": "image", "content_type": "Image/PNG", "data": PHOTO},
                {"modality": "text", "text": "tall"},
            ]
        }
    )
    assert request.samples == {
        IMAGE: RawSample(content_type="image/png", data=b"pixels"),
        TEXT: RawSample(content_type="text/plain", data=b"tall"),
    }


def test_an_embedding_becomes_the_sample_of_its_modality() -> None:
    """Whoever has vectors brings them by the same door; the extractor judges them."""
    request = granted(
        {"embedding": {"modality": "image", "contract_id": "c", "vector": [0.5, -1], "quality": 9}}
    )
    sample = request.samples[IMAGE]
    assert sample.content_type == EMBEDDING_CONTENT_TYPE
    assert json.loads(sample.data) == {"contract_id": "c", "vector": [0.5, -1.0], "quality": 9.0}


def test_a_withdrawal_needs_no_sample() -> None:
    """Of one template, or of all of an identity."""
    assert granted({"action": "withdraw"}).template_id is None
    assert granted({"action": "withdraw", "template_id": "t1"}).template_id == "t1"


def test_an_expiry_is_a_time() -> None:
    """RFC 3339, as everywhere on the wire."""
    assert granted({"text": "t", "expires_at": "1970-01-01T00:00:01Z"}).expires_at_ms == 1_000


def ann(**fields: object) -> dict[str, object]:
    return {"identity_id": "ann", **fields}


def sample(**fields: object) -> dict[str, object]:
    return ann(samples=[fields])


BAD_REQUESTS = [
    (b"{", "Invalid JSON"),
    (b"[]", "object"),
    (b"[" * 3_000, "recursion"),
    (b'{"identity_id":"ann","text":"\xff"}', "Invalid JSON"),
    (b'{"identity_id":"ann","text":"\\ud800"}', "Invalid JSON"),
    ({}, "identity_id: Field required"),
    ({"identity_id": 7}, "identity_id"),
    ({"identity_id": "bob", "text": "t"}, "not the record's key"),
    (ann(), "no sample; give one of image, text"),
    (ann(action="promote"), "action"),
    (ann(template_id="", text="t"), "template_id is empty"),
    (ann(template_id="a\tb", text="t"), "control characters"),
    (ann(template_id="ü" * 200, text="t"), "400 bytes long"),
    (ann(image="§§§"), "image is not base64"),
    (ann(image="YQ"), "image is not base64"),
    (ann(image=7), "image is not a string"),
    (ann(text="t", samples=[{"modality": "text", "text": "u"}]), "two samples of text"),
    (sample(modality="smell", text="u"), "no such modality; there are image, text"),
    (sample(modality="text"), "either data (base64) or text"),
    (sample(modality="text", text="a", data="YQ=="), "either data (base64) or text"),
    (ann(samples=[{"modality": "text", "text": "t"}] * 17), "samples"),
    (ann(text="t", metadata={"k": 1}), "metadata.k"),
    (ann(text="t", metadata={f"k{n}": "" for n in range(33)}), "metadata"),
    (ann(text="t", expires_at="tomorrow"), "expires_at is not an RFC 3339"),
    (ann(embedding={"modality": "image", "vector": [1]}), "contract_id"),
]


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        *((body, Reason.BAD_REQUEST, detail) for body, detail in BAD_REQUESTS),
        (b"", Reason.EMPTY, "no value"),
        (b" " * 5_000, Reason.TOO_LARGE, "5000 bytes, at most 4096"),
        (ann(image=""), Reason.EMPTY, "sample of image is empty"),
        (ann(text=""), Reason.EMPTY, "sample of text is empty"),
        (ann(image="A" * 100), Reason.TOO_LARGE, "75 bytes of image, at most 64"),
        (
            sample(modality="image", content_type="image/gif", data="YQ=="),
            Reason.UNKNOWN_CONTENT_TYPE,
            "image takes",
        ),
    ],
)
def test_each_fault_of_a_request_has_its_reason_and_its_detail(
    body: object, reason: Reason, detail: str
) -> None:
    """The operator learns what to change; the payload is not quoted."""
    fault = asked(body)
    assert isinstance(fault, Rejected)
    assert (fault.reason, fault.stage) == (reason, Stage.ENROLMENT)
    assert detail in fault.detail


def test_faults_of_the_envelope_are_the_enrolments_too() -> None:
    """One stage for everything that the door refuses."""
    fault = asked({"identity_id": "ann", "text": "t"}, key=None)
    assert isinstance(fault, Rejected)
    assert (fault.reason, fault.stage) == (Reason.MISSING_KEY, Stage.ENROLMENT)


@given(
    samples=st.dictionaries(st.sampled_from([IMAGE, TEXT]), st.binary(min_size=1, max_size=60)),
    metadata=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4),
    template_id=st.none() | st.text("ab/%", min_size=1, max_size=9),
    expires_at_ms=st.none() | st.integers(0, 4_000_000_000_000),
)
def test_a_request_comes_back_as_it_was_built(
    samples: dict[Modality, bytes],
    metadata: dict[str, str],
    template_id: str | None,
    expires_at_ms: int | None,
) -> None:
    """What the command line writes is what the worker reads."""
    request = EnrolmentRequest(
        request_id="r-1",
        identity_id="ann",
        template_id=template_id,
        action="enrol" if samples else "withdraw",
        samples={m: RawSample(content_type=EMBEDDING_CONTENT_TYPE, data=data) for m, data in samples.items()},
        metadata=metadata,
        consent_ref="c",
        expires_at_ms=expires_at_ms,
        requested_at_ms=1_700_000_000_000,
    )
    assert decode_request(as_record(encode_request(request)), LIMITS) == request


@given(
    st.dictionaries(
        st.sampled_from([*EnrolmentRequest.__slots__, "image", "text", "embedding"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["modality", "data", "text", "vector"]), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_no_json_makes_the_decoder_raise(body: dict[str, object]) -> None:
    """Whatever an operator writes, the answer is a value."""
    assert isinstance(asked({"identity_id": "ann", **body}), EnrolmentRequest | Rejected)


@given(st.binary(max_size=200), st.none() | st.binary(max_size=12))
def test_no_bytes_make_the_decoder_raise(value: bytes, key: bytes | None) -> None:
    """Nor does what is no JSON at all; and it can always be answered."""
    record = raw(value, key=key)
    fault = decode_request(record, LIMITS)
    if isinstance(fault, Rejected):
        assert encode_result(refusal(record, fault), time_ms=0).value


@pytest.mark.parametrize("accepted", [True, False])
def test_a_result_comes_back_as_it_was(accepted: bool) -> None:
    """Accepted or rejected, with its reasons."""
    result = EnrolmentResult(
        request_id="r-1",
        identity_id="ann",
        template_id=None,
        accepted=accepted,
        reasons=("a", "b"),
        detail="d",
    )
    assert decode_result(as_record(encode_result(result, time_ms=5))) == result


def test_a_refusal_has_the_best_names_that_a_broken_request_gives() -> None:
    """The operator finds the answer under the id the request was sent with, or its place in the log."""
    record = raw(b"{", key=b"ann", headers=[("ce_id", b"r-7")], topic="enrolments")
    fault = decode_request(record, LIMITS)
    assert isinstance(fault, Rejected)
    assert refusal(record, fault) == EnrolmentResult(
        request_id="r-7",
        identity_id="ann",
        template_id=None,
        accepted=False,
        reasons=("bad_headers",),
        detail=fault.detail,
    )
    nameless = refusal(raw(b"{", key=b"\xff", topic="enrolments"), fault)
    assert (nameless.request_id, nameless.identity_id) == ("enrolments/3/42", "")


@pytest.mark.parametrize("value", [None, b"{}", b'{"schema_version":2}', b"\xff"])
def test_what_is_no_result_is_refused(value: bytes | None) -> None:
    """Readers of results never meet an exception from the wire."""
    fault = decode_result(raw(value))
    assert isinstance(fault, Rejected)
    assert fault.reason is Reason.BAD_JSON
