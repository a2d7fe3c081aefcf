"""Whatever stands on the wire, every reader answers with a value, and a rejection is bounded and discreet."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import IMAGE, TEXT, ContractId, Feature
from stream.codec import END_OF_SUBJECT, Limits, decode
from stream.dead_letter_record import DeadLetter, decode_dead_letter, encode_dead_letter
from stream.decision_record import decision_value, decode_decision
from stream.decision_view import DecisionRecord
from stream.enrolment_record import RequestLimits, decode_request, decode_result, encode_request
from stream.envelope import ATTRIBUTES, MAX_DETAIL_CHARS, MAX_ID_BYTES
from stream.events import (
    ClosedBy,
    ClosedWindow,
    Enrolled,
    EnrolmentRequest,
    EnrolmentResult,
    Event,
    RawRecord,
    Rejected,
    Sample,
    Source,
    SubjectId,
    Window,
    Withdrawn,
)
from stream.features.embedding import read_embedding
from stream.features.extractor import Unusable
from stream.gallery_record import decode_template, encode_template
from stream.reasons import Reason, Stage
from tests.factories import template
from tests.stream_factories import decision, image, raw, text

LIMITS = Limits(
    max_value_bytes=64,
    content_types=frozenset({"image/jpeg"}),
    default_content_type="image/jpeg",
    max_skew_ms=1_000,
)
SECRET = b"SECRET-PAYLOAD"
NAMES = st.sampled_from([*ATTRIBUTES, "content-type", "traceparent", "ce_extra"]) | st.text(max_size=6)
PLAUSIBLE = [b"1.0", b"e-1", b"2023-11-14T22:13:20Z", b"image/jpeg; charset=utf-8", END_OF_SUBJECT.encode()]
VALUES = st.sampled_from(PLAUSIBLE) | st.binary(max_size=12)
WHOLE = st.fixed_dictionaries(dict.fromkeys(ATTRIBUTES, VALUES)).map(lambda read: list(read.items()))
RECORDS = st.builds(
    RawRecord,
    source=st.just(Source(topic="images", partition=0, offset=1)),
    key=st.none() | st.binary(max_size=6) | st.text(max_size=6).map(str.encode),
    value=st.sampled_from([None, b"", SECRET, SECRET * 9]),
    headers=(WHOLE | st.lists(st.tuples(NAMES, VALUES), max_size=8)).map(tuple),
    timestamp_ms=st.integers(-1, 2**62),
)
DECISION = decision_value(
    decision(
        ClosedWindow(
            subject_id=SubjectId("s"),
            window=Window(start_ms=10, end_ms=110),
            closed_by=ClosedBy.DEADLINE,
            events=(image(10), text(40)),
        )
    )
)
DEEP = 100_000
LONG = Limits(
    max_value_bytes=1 << 20,
    content_types=frozenset({"text/plain"}),
    default_content_type="text/plain",
    max_skew_ms=1_000,
)
REQUESTS = RequestLimits(modalities={IMAGE: LONG, TEXT: LONG}, max_value_bytes=1 << 20, max_skew_ms=1_000)
READERS: dict[str, Callable[[bytes], object]] = {
    "decision": lambda value: decode_decision(raw(value)),
    "template": lambda value: decode_template(b"ann/1", value, Source(topic="g", partition=0, offset=1)),
    "enrolment": lambda value: decode_request(raw(value, key=b"ann/1"), REQUESTS),
    "answer": lambda value: decode_result(raw(value)),
    "embedding": lambda value: read_embedding(value, contract_id=ContractId("c"), dimension=2),
}
READ = (DecisionRecord, Enrolled, EnrolmentRequest, EnrolmentResult, Feature)
RELEASED = Path(__file__).parents[1] / "golden" / "wire"
CORPUS = {path.name: path.read_bytes() for path in (Path(__file__).parent / "corpus").iterdir()} | {
    path.name: path.read_bytes().partition(b"\n\n")[2] for path in RELEASED.iterdir()
}
"""Values that others may write: every record that was released, and what parsers have stumbled over."""


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A good value with a span of it replaced by other bytes."""
    first = draw(st.integers(0, len(whole)))
    last = draw(st.integers(first, min(len(whole), first + 8)))
    filling = draw(st.binary(max_size=4) | st.sampled_from([b"null", b"NaN", b"1e999", b'"', b"[[", b"-1"]))
    return whole[:first] + filling + whole[last:]


@given(RECORDS)
def test_an_input_is_a_sample_or_a_marker_or_rejected(record: RawRecord) -> None:
    """What is accepted keeps its promises; what is not never quotes the payload."""
    decoded = decode(record, IMAGE, LIMITS)
    if isinstance(decoded, Rejected):
        assert decoded.source == record.source
        assert 0 < len(decoded.detail) <= MAX_DETAIL_CHARS
        assert SECRET.decode() not in decoded.detail
        return
    event = decoded.event if isinstance(decoded, Sample) else decoded
    assert isinstance(event, Event)
    assert (event.modality is None) == (not record.value)
    assert event.subject_id.encode() == record.key
    assert 0 <= event.event_time_ms <= record.timestamp_ms + LIMITS.max_skew_ms
    assert all(0 < len(name.encode()) <= MAX_ID_BYTES for name in (event.event_id, event.origin))
    assert not isinstance(decoded, Sample) or decoded.content_type in LIMITS.content_types


@given(damaged(DECISION))
def test_a_damaged_decision_is_read_or_refused(value: bytes) -> None:
    """Recovery and consumers read what others may have written."""
    read = decode_decision(raw(value))
    if isinstance(read, DecisionRecord):
        read.covered()
    else:
        assert read.reason is Reason.BAD_JSON
        assert len(read.detail) <= MAX_DETAIL_CHARS


@given(st.data())
def test_a_damaged_template_is_read_or_refused(data: st.DataObject) -> None:
    """One broken record must not keep a worker from its gallery."""
    sent = encode_template(template("ann", image=[1, 0], text=[0, 1]))
    assert sent.key is not None
    assert sent.value is not None
    key, value = data.draw(damaged(sent.key)), data.draw(damaged(sent.value))
    source = Source(topic="gallery", partition=0, offset=0)
    assert isinstance(decode_template(key, None, source), Withdrawn | Rejected)
    assert isinstance(decode_template(sent.key, value, source), Enrolled | Rejected)


@given(st.data(), st.text(max_size=20))
def test_a_damaged_dead_letter_is_read_or_refused(data: st.DataObject, error: str) -> None:
    """The topic is open to operators and their tools."""
    sent = encode_dead_letter(raw(), reason=Reason.EMPTY, stage=Stage.CODEC, error=error)
    headers = [(name, data.draw(damaged(value))) for name, value in sent.headers]
    assert isinstance(decode_dead_letter(raw(headers=headers)), DeadLetter | Rejected)


def assert_answers(reader: str, value: bytes) -> None:
    found = READERS[reader](value)
    if isinstance(found, Rejected | Unusable):
        assert found.reason in set(Reason)
        assert len(found.detail) <= MAX_DETAIL_CHARS
        return
    assert isinstance(found, READ)
    if isinstance(found, EnrolmentRequest):
        sent = encode_request(found)
        assert decode_request(raw(sent.value, key=sent.key, headers=sent.headers), REQUESTS) == found


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_reader_answers_to_every_value_of_the_corpus(reader: str, name: str) -> None:
    """Also to those of other topics: a producer may take the wrong one."""
    assert_answers(reader, CORPUS[name])


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
def test_every_reader_answers_to_a_damaged_value_of_the_corpus(reader: str, data: st.DataObject) -> None:
    """Damaged up to three times, so that what one reader knows is met with what it does not."""
    value = data.draw(st.sampled_from(sorted(CORPUS)).map(CORPUS.__getitem__))
    for _ in range(data.draw(st.integers(1, 3))):
        value = data.draw(damaged(value))
    assert_answers(reader, value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_nested_without_end_is_refused(reader: str, opens: bytes, closes: bytes) -> None:
    """Neither a crash of the interpreter nor an exception: a reason."""
    found = READERS[reader](opens * DEEP + b"1" + closes * DEEP)
    assert isinstance(found, Rejected | Unusable)
    assert found.reason in set(Reason)
