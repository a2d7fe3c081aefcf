"""Every record on the wire as it was when it was released: written the same, and read for ever.

A golden file is a record as text: `key: …`, its headers a line each, an empty line, and the value byte for
byte. When a record changes on purpose, `GOLDEN=write pytest tests/golden` writes the files anew and fails, so
that no check passes while it writes; look at the difference, and run again without.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from index.records import IMAGE, TEXT, ContractId, Feature, IdentityId, Template, TemplateId
from index.vectors import unit
from stream.codec import Limits
from stream.dead_letter_record import DeadLetter, decode_dead_letter, encode_dead_letter
from stream.decision_record import decode_decision, encode_decision
from stream.decision_view import DecisionRecord
from stream.enrolment_record import (
    RequestLimits,
    decode_request,
    decode_result,
    encode_request,
    encode_result,
)
from stream.envelope import Outgoing
from stream.events import (
    ClosedBy,
    ClosedWindow,
    Enrolled,
    EnrolmentRequest,
    EnrolmentResult,
    RawRecord,
    RawSample,
    Resemblance,
    Source,
    SubjectId,
    Window,
)
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.gallery_record import decode_template, encode_template
from stream.reasons import Reason, Stage
from tests.stream_factories import TIMING, decision, end, image, raw, text

FOLDER = Path(__file__).parent / "wire"
NOW_MS = 1_700_000_000_000
REQUEST = EnrolmentRequest(
    request_id="request-1",
    identity_id="ann/1",
    template_id="front",
    action="enrol",
    samples={
        TEXT: RawSample(content_type="text/plain", data="tall, größer".encode()),
        IMAGE: RawSample(content_type=EMBEDDING_CONTENT_TYPE, data=b'{"contract_id":"c","vector":[1.0,0.0]}'),
    },
    metadata={"site": "Zürich", "desk": "3"},
    consent_ref="consent-9",
    expires_at_ms=NOW_MS + 86_400_000,
    requested_at_ms=NOW_MS,
)
RESULT = EnrolmentResult(
    request_id="request-1",
    identity_id="ann/1",
    template_id="front",
    accepted=False,
    reasons=("possible_duplicate",),
    detail="rejected; score 6.00 with bob (b/2), a match from 4.00",
    warnings=("outlier_sample",),
    resembles=Resemblance(
        identity_id=IdentityId("bob"),
        template_id=TemplateId("b/2"),
        score=6.0,
        threshold=4.0,
        similarity={TEXT: 0.25, IMAGE: 0.625},
    ),
)
TEMPLATE = Template(
    identity_id=IdentityId("ann/1"),
    template_id=TemplateId("front"),
    features={
        TEXT: Feature(vector=unit([3.0, 4.0]), contract_id=ContractId("text-v1")),
        IMAGE: Feature(vector=unit([1.0, -2.0, 2.0]), contract_id=ContractId("image-v1"), quality=11.25),
    },
    enrolled_at_ms=NOW_MS,
    metadata={"site": "Zürich", "desk": "3"},
)
MISSING_FACE = image(20)
CLOSED = ClosedWindow(
    subject_id=SubjectId("subject-1"),
    window=Window(start_ms=10, end_ms=61),
    closed_by=ClosedBy.END_OF_SUBJECT,
    events=(text(10), MISSING_FACE),
    markers=(end(60),),
)
LIMITS = Limits(
    max_value_bytes=1_000,
    content_types=frozenset({"image/jpeg", "text/plain", EMBEDDING_CONTENT_TYPE}),
    default_content_type="text/plain",
    max_skew_ms=0,
)
REQUEST_LIMITS = RequestLimits(
    modalities={IMAGE: LIMITS, TEXT: LIMITS}, max_value_bytes=10_000, max_skew_ms=0
)

WRITERS: dict[str, Callable[[], Outgoing]] = {
    "decision.v1": lambda: encode_decision(
        decision(CLOSED, unusable=frozenset({MISSING_FACE.source})), TIMING
    ),
    "dead-letter.v1": lambda: encode_dead_letter(
        raw(b"not a photo", headers=[("ce_id", b"e-1")]),
        reason=Reason.WRONG_MAGIC_BYTES,
        stage=Stage.FEATURES,
        error="the first bytes are those of no JPEG, PNG or WebP",
    ),
    "enrolment-request.v1": lambda: encode_request(REQUEST),
    "enrolment-result.v1": lambda: encode_result(RESULT, time_ms=NOW_MS),
    "gallery-template.v1": lambda: encode_template(TEMPLATE),
}


def as_text(sent: Outgoing) -> bytes:
    lines = [b"key: " + (sent.key or b""), *(name.encode() + b": " + value for name, value in sent.headers)]
    return b"\n".join([*lines, b"", sent.value or b""])


def golden(name: str) -> RawRecord:
    """A golden file as the record that it stands for."""
    head, _, value = (FOLDER / name).read_bytes().partition(b"\n\n")
    (_, key), *headers = (line.split(b": ", 1) for line in head.split(b"\n"))
    return raw(value, key=key, headers=[(n.decode(), v) for n, v in headers], topic="golden")


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_record_is_written_as_it_was_released(name: str) -> None:
    """Byte for byte: readers everywhere rely on it, and a replay is recognised by it."""
    written, path = as_text(WRITERS[name]()), FOLDER / name
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(written)
        pytest.fail(
            f"{path.name} is written anew; look at the difference, and run again without GOLDEN=write"
        )
    assert written == path.read_bytes(), "on purpose? then see the top of this file"


def test_there_is_a_golden_file_for_every_record_and_no_other() -> None:
    """A released version keeps its file for as long as it must be read."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(WRITERS)


def test_a_released_decision_is_read() -> None:
    """With everything that its readers and recovery need."""
    record = decode_decision(golden("decision.v1"))
    assert isinstance(record, DecisionRecord)
    assert record.subject_id == "subject-1"
    assert record.outcome == "no_match"
    assert record.modalities.used == ("text",)
    assert {c.input for c in record.covered()} == {e.source for e in (*CLOSED.events, *CLOSED.markers)}


def test_a_released_dead_letter_is_read() -> None:
    """With its original."""
    letter = decode_dead_letter(golden("dead-letter.v1"))
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.stage) == (Reason.WRONG_MAGIC_BYTES, Stage.FEATURES)
    assert letter.source == Source(topic="images", partition=3, offset=42)
    assert (letter.value, letter.headers) == (b"not a photo", (("ce_id", b"e-1"),))


def test_a_released_request_is_read() -> None:
    """As the command line built it."""
    assert decode_request(golden("enrolment-request.v1"), REQUEST_LIMITS) == REQUEST


def test_a_released_result_is_read() -> None:
    """As the worker answered."""
    assert decode_result(golden("enrolment-result.v1")) == RESULT


def test_a_released_template_is_read() -> None:
    """The gallery topic is compacted: its oldest record is as old as the installation."""
    record = golden("gallery-template.v1")
    change = decode_template(record.key, record.value, record.source)
    assert isinstance(change, Enrolled)
    assert encode_template(change.template) == encode_template(TEMPLATE)
