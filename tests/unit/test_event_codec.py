"""Input records: what is served, and each fault of the envelope with its one reason code."""

import pytest

from index.records import IMAGE, TEXT, Modality
from stream.codec import END_OF_SUBJECT, Limits, decode, media_type
from stream.envelope import MAX_DETAIL_CHARS, parse_rfc3339_ms, rfc3339
from stream.events import Event, Rejected, Sample, Source
from stream.reasons import Reason, Stage
from tests.stream_factories import raw

APPENDED_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LIMITS = Limits(
    max_value_bytes=1_000,
    content_types=frozenset({"image/jpeg", "image/png", "text/plain"}),
    default_content_type="image/jpeg",
    max_skew_ms=60_000,
)
CE = {
    "ce_specversion": b"1.0",
    "ce_id": b"e-1",
    "ce_source": b"/cameras/7",
    "ce_type": b"sightline.image.v1",
    "ce_time": b"2023-11-14T22:13:19.750Z",
    "content-type": b"image/png",
}


def with_ce(**changes: bytes | None) -> tuple[tuple[str, bytes], ...]:
    """The headers of a good event; None leaves one out. `content_type` stands for `content-type`."""
    headers = CE | {name.replace("content_type", "content-type"): value for name, value in changes.items()}
    return tuple((name, value) for name, value in headers.items() if value is not None)


def test_a_cloud_event_is_a_sample_under_its_own_name_and_time() -> None:
    """Key, attributes and payload come through as they were."""
    record = raw(b"pixels", headers=(*with_ce(), ("traceparent", TRACE), ("ce_extra", b"x")))
    assert decode(record, IMAGE, LIMITS) == Sample(
        event=Event(
            event_id="e-1",
            origin="/cameras/7",
            subject_id="subject-1",
            modality=IMAGE,
            event_time_ms=APPENDED_MS - 250,
            source=Source(topic="images", partition=3, offset=42),
            traceparent=TRACE.decode(),
        ),
        content_type="image/png",
        data=b"pixels",
    )


def test_bare_bytes_are_named_by_their_place_and_timed_by_the_broker() -> None:
    """A producer that knows nothing of CloudEvents is served too."""
    sample = decode(raw(b"pixels"), IMAGE, LIMITS)
    assert isinstance(sample, Sample)
    assert sample.content_type == "image/jpeg"
    assert (sample.event.event_id, sample.event.origin) == ("images/3/42", "images")
    assert sample.event.event_time_ms == APPENDED_MS


def test_the_modality_is_that_of_the_topic() -> None:
    """Any modality has the same envelope; the codec knows none by name."""
    for modality in (IMAGE, TEXT, Modality("audio")):
        sample = decode(raw(), modality, LIMITS)
        assert isinstance(sample, Sample)
        assert sample.event.modality == modality


@pytest.mark.parametrize("value", [None, b""])
def test_a_marker_is_an_event_without_modality_or_value(value: bytes | None) -> None:
    """The end of a subject is told by its type."""
    marker = decode(raw(value, headers=with_ce(ce_type=END_OF_SUBJECT.encode())), IMAGE, LIMITS)
    assert isinstance(marker, Event)
    assert marker.modality is None
    assert marker.event_id == "e-1"


@pytest.mark.parametrize("trace", [b"", b"nonsense", b"00-xyz-01", b"\xff", TRACE + b"-"])
def test_a_malformed_trace_header_costs_nothing(trace: bytes) -> None:
    """Tracing is not worth an event: its standard says to ignore what is malformed."""
    sample = decode(raw(headers=(*with_ce(), ("traceparent", trace))), IMAGE, LIMITS)
    assert isinstance(sample, Sample)
    assert sample.event.traceparent is None


BAD = [
    pytest.param(raw(b"x" * 1_001), Reason.TOO_LARGE, "1001 bytes, at most 1000", id="too large"),
    pytest.param(raw(key=None), Reason.MISSING_KEY, "no key", id="no key"),
    pytest.param(raw(key=b""), Reason.MISSING_KEY, "no key", id="empty key"),
    pytest.param(raw(key=b"\xff\xfe"), Reason.BAD_KEY, "not UTF-8", id="key not UTF-8"),
    pytest.param(raw(key=b"k" * 257), Reason.BAD_KEY, "257 bytes long, at most 256", id="key too long"),
    pytest.param(raw(key=b"a\nb"), Reason.BAD_KEY, "control characters", id="key with a line feed"),
    pytest.param(
        raw(key="a\x85b".encode()), Reason.BAD_KEY, "control characters", id="key with a C1 control"
    ),
    pytest.param(
        raw(headers=[(f"h{n}", b"") for n in range(65)]),
        Reason.BAD_HEADERS,
        "65 headers, at most 64",
        id="headers",
    ),
    pytest.param(
        raw(headers=[("h", b"x" * 20_000)]), Reason.BAD_HEADERS, "20001 bytes of headers", id="header bytes"
    ),
    *(
        pytest.param(
            raw(headers=with_ce(**{name: None})), Reason.BAD_HEADERS, f"{name} missing", id=f"no {name}"
        )
        for name in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")
    ),
    *(
        pytest.param(
            raw(headers=with_ce(**{name: b""})), Reason.BAD_HEADERS, f"{name} is empty", id=f"empty {name}"
        )
        for name in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content_type")
        if name != "content_type"
    ),
    pytest.param(raw(headers=[("ce_color", b"red")]), Reason.BAD_HEADERS, "ce_id", id="only an extension"),
    pytest.param(
        raw(headers=with_ce(ce_specversion=b"0.3")),
        Reason.BAD_HEADERS,
        "specversion is not 1.0",
        id="old spec",
    ),
    pytest.param(
        raw(headers=with_ce(ce_id=b"\xff")), Reason.BAD_HEADERS, "ce_id is not UTF-8", id="id not UTF-8"
    ),
    pytest.param(raw(headers=with_ce(ce_id=b"i" * 257)), Reason.BAD_HEADERS, "257 bytes", id="id too long"),
    pytest.param(
        raw(headers=(*with_ce(), ("ce_id", b"e-2"))), Reason.BAD_HEADERS, "ce_id is there twice", id="two ids"
    ),
    *(
        pytest.param(raw(headers=with_ce(ce_time=time)), Reason.BAD_HEADERS, "RFC 3339", id=f"time {time!r}")
        for time in (
            b"yesterday",
            b"1700000000",
            b"2023-11-14",
            b"2023-11-14T22:13:20",
            b"2023-11-14 22:13:20Z",
            b"2023-13-14T22:13:20Z",
            b"2023-11-14T25:13:20Z",
            b"2023-11-14T22:13:60Z",
            b"0000-01-01T00:00:00Z",
            b"2023-11-14T22:13:20+24:00",
            "２０２３-11-14T22:13:20Z".encode(),
        )
    ),
    pytest.param(
        raw(headers=with_ce(ce_time=b"2023-11-14T22:14:20.001Z")),
        Reason.CLOCK_SKEW,
        "60001 ms ahead",
        id="future",
    ),
    pytest.param(
        raw(headers=with_ce(ce_time=b"9999-12-31T23:59:59Z")), Reason.CLOCK_SKEW, "ahead", id="absurd"
    ),
    pytest.param(
        raw(headers=with_ce(ce_time=b"1969-12-31T23:59:59Z")),
        Reason.CLOCK_SKEW,
        "1000 ms before 1970",
        id="past",
    ),
    pytest.param(raw(timestamp_ms=-1), Reason.CLOCK_SKEW, "before 1970", id="no append time"),
    pytest.param(raw(None), Reason.EMPTY, "no value", id="null value"),
    pytest.param(raw(b""), Reason.EMPTY, "no value", id="empty value"),
    pytest.param(
        raw(headers=with_ce(content_type=b"image/gif")),
        Reason.UNKNOWN_CONTENT_TYPE,
        "'image/gif' is none of image/jpeg, image/png, text/plain",
        id="unknown content type",
    ),
    pytest.param(
        raw(headers=[("content-type", b"text/plain; charset=latin-1")]),
        Reason.UNKNOWN_CONTENT_TYPE,
        "UTF-8",
        id="charset",
    ),
    pytest.param(
        raw(headers=with_ce(content_type=b"nonsense")),
        Reason.UNKNOWN_CONTENT_TYPE,
        "nonsense",
        id="no media type",
    ),
    pytest.param(
        raw(b"more", headers=with_ce(ce_type=END_OF_SUBJECT.encode())),
        Reason.BAD_HEADERS,
        "with 4 bytes; a marker has none",
        id="marker with a value",
    ),
]


@pytest.mark.parametrize(("record", "reason", "detail"), BAD)
def test_each_fault_has_its_reason_and_its_detail(record: object, reason: Reason, detail: str) -> None:
    """Bad input is a value that says what was found and what is allowed."""
    fault = decode(record, IMAGE, LIMITS)  # type: ignore[arg-type]  # a table of records
    assert isinstance(fault, Rejected)
    assert fault.reason is reason
    assert fault.stage is Stage.CODEC
    assert detail in fault.detail
    assert fault.source == Source(topic="images", partition=3, offset=42)


def test_what_is_just_allowed_is_served() -> None:
    """Bounds are the last good value, not the first bad one."""
    at_the_bounds = raw(
        b"x" * 1_000,
        key=b"k" * 256,
        headers=(*with_ce(ce_id=b"i" * 256, ce_time=b"2023-11-14T22:14:20Z"), *[("h", b"")] * 58),
    )
    assert isinstance(decode(at_the_bounds, IMAGE, LIMITS), Sample)


def test_sizes_are_checked_before_anything_else() -> None:
    """A flood of bytes is turned away under one code, whatever else is wrong with it."""
    fault = decode(raw(b"x" * 2_000, key=None, headers=[("ce_id", b"\xff")]), IMAGE, LIMITS)
    assert isinstance(fault, Rejected)
    assert fault.reason is Reason.TOO_LARGE


def test_a_detail_is_bounded_and_quotes_no_payload() -> None:
    """Dead letters and logs carry details; photos and names have no place in them."""
    long = decode(raw(b"secret", headers=with_ce(content_type=b"x" * 256)), IMAGE, LIMITS)
    assert isinstance(long, Rejected)
    assert len(long.detail) <= MAX_DETAIL_CHARS
    assert "secret" not in long.detail


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("image/jpeg", "image/jpeg"),
        (" Image/JPEG ; q=1", "image/jpeg"),
        ('text/plain;charset="UTF-8"', "text/plain"),
        ("text/plain; format=flowed; charset=utf8", "text/plain"),
        ("text/plain; charset=utf-16", None),
        ("application/vnd.sightline.embedding+json", "application/vnd.sightline.embedding+json"),
        ("image", None),
        ("/", None),
        ("image/jpeg image/png", None),
        ("", None),
    ],
)
def test_a_media_type_is_read_without_its_parameters(header: str, expected: str | None) -> None:
    """Only UTF-8 is taken for a charset; other parameters do not matter."""
    assert media_type(header) == expected


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-11-14T22:13:20Z", APPENDED_MS),
        ("2023-11-14t22:13:20.5z", APPENDED_MS + 500),
        ("2023-11-14T23:13:20.123999+01:00", APPENDED_MS + 123),
        ("2023-11-14T22:13:20.123456789-00:00", APPENDED_MS + 123),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_rfc3339_times_are_read_to_the_millisecond(text: str, time_ms: int) -> None:
    """Any offset, any number of digits; parts of a millisecond are cut off."""
    assert parse_rfc3339_ms(text) == time_ms


@pytest.mark.parametrize("time_ms", [0, 1, 999, APPENDED_MS, 4_102_444_800_001])
def test_times_are_written_as_they_are_read(time_ms: int) -> None:
    """Writing and reading a time are inverse."""
    assert parse_rfc3339_ms(rfc3339(time_ms)) == time_ms


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.999-00:01", "0001-01-01T00:00:00+00:01"])
def test_a_time_that_its_offset_leads_out_of_the_calendar_is_none(text: str) -> None:
    """It could be read, and never written again."""
    assert parse_rfc3339_ms(text) is None
