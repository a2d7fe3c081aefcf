"""The dead-letter record: the original as it was, and seven headers that say why."""

import pytest

from stream.dead_letter_record import DeadLetter, decode_dead_letter, encode_dead_letter
from stream.envelope import MAX_DETAIL_CHARS, Outgoing
from stream.events import RawRecord, Rejected
from stream.reasons import Reason, Stage
from tests.stream_factories import raw

ORIGINAL = raw(b"\x00\xff", key=b"\xfe", headers=[("ce_id", b"1"), ("x", b""), ("x", b"twice")])


def written(record: RawRecord, **changes: str) -> Outgoing:
    return encode_dead_letter(
        record, reason=Reason.NO_FACE, stage=Stage.FEATURES, error=changes.get("error", "no face in 640x480")
    )


def as_record(sent: Outgoing) -> RawRecord:
    return raw(sent.value, key=sent.key, headers=sent.headers, topic="dead-letters", offset=0)


@pytest.mark.parametrize(
    "original", [ORIGINAL, raw(None, key=None), raw(b"")], ids=["bytes", "nulls", "empty"]
)
def test_the_original_comes_back_byte_for_byte(original: RawRecord) -> None:
    """Whatever was wrong with a record, an operator can repair and send it again."""
    letter = decode_dead_letter(as_record(written(original)))
    assert letter == DeadLetter(
        reason=Reason.NO_FACE,
        stage=Stage.FEATURES,
        source=original.source,
        timestamp_ms=original.timestamp_ms,
        error="no face in 640x480",
        key=original.key,
        value=original.value,
        headers=original.headers,
    )


def test_there_are_the_seven_headers_of_the_contract() -> None:
    """Names and text as documented."""
    ours = dict(header for header in written(ORIGINAL).headers if header not in ORIGINAL.headers)
    assert ours == {
        "sightline_dlq_reason": b"no_face",
        "sightline_dlq_stage": b"features",
        "sightline_dlq_topic": b"images",
        "sightline_dlq_partition": b"3",
        "sightline_dlq_offset": b"42",
        "sightline_dlq_timestamp": b"1700000000000",
        "sightline_dlq_error": b"no face in 640x480",
    }


def test_an_original_cannot_speak_for_the_service() -> None:
    """Forged headers are dropped; a letter that was sent again is about its new place."""
    forged = raw(headers=[("sightline_dlq_stage", b"join"), ("sightline_dlq_offset", b"0"), ("kept", b"1")])
    letter = decode_dead_letter(as_record(written(forged)))
    assert isinstance(letter, DeadLetter)
    assert letter.source == forged.source
    assert letter.headers == (("kept", b"1"),)


def test_the_error_is_bounded_and_one_line() -> None:
    """A header is read in consoles and logs."""
    letter = decode_dead_letter(as_record(written(ORIGINAL, error="a\nb\x00c" + "x" * 10_000 + "\ud800")))
    assert isinstance(letter, DeadLetter)
    assert letter.error.startswith("a b cx")
    assert len(letter.error) == MAX_DETAIL_CHARS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sightline_dlq_reason", b"unheard_of"),
        ("sightline_dlq_stage", b"nowhere"),
        ("sightline_dlq_offset", b"many"),
        ("sightline_dlq_topic", b"\xff"),
    ],
)
def test_what_is_no_dead_letter_is_refused(name: str, value: bytes) -> None:
    """Somebody else's record in the topic is counted, not believed."""
    headers = tuple((n, value if n == name else v) for n, v in written(ORIGINAL).headers)
    fault = decode_dead_letter(raw(headers=headers))
    assert isinstance(fault, Rejected)
    assert fault.reason is Reason.BAD_HEADERS
    assert isinstance(decode_dead_letter(raw()), Rejected)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("stage", list(Stage))
def test_every_reason_and_stage_comes_back(reason: Reason, stage: Stage) -> None:
    """All codes are on the wire under their stable names."""
    letter = decode_dead_letter(as_record(encode_dead_letter(ORIGINAL, reason=reason, stage=stage, error="")))
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.stage) == (reason, stage)
