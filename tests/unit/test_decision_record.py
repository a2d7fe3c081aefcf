"""The decision record: a pure function of the decision, and what its readers rely on."""

import json
from dataclasses import replace

import pytest

from index.records import IMAGE, Modality
from stream.decision_record import (
    covered_events,
    decision_headers,
    decision_id,
    decision_value,
    decode_decision,
    encode_decision,
)
from stream.decision_view import DecisionRecord
from stream.errors import RecordError
from stream.events import ClosedBy, ClosedWindow, Decision, Event, Rejected, Source, SubjectId, Window
from stream.reasons import Reason
from tests.stream_factories import TIMING, decision, end, image, raw, text

EVENTS = (image(10), text(40))


def closed(*events: Event, markers: tuple[Event, ...] = ()) -> ClosedWindow:
    return ClosedWindow(
        subject_id=SubjectId("s"),
        window=Window(start_ms=10, end_ms=110),
        closed_by=ClosedBy.END_OF_SUBJECT if markers else ClosedBy.DEADLINE,
        events=events,
        markers=markers,
    )


def read(made: Decision) -> DecisionRecord:
    """The record as it comes back from the wire."""
    record = decode_decision(raw(decision_value(made)))
    assert isinstance(record, DecisionRecord)
    return record


def test_a_decision_is_named_by_its_subject_and_inputs_in_any_order() -> None:
    """The id is what makes a replay recognisable."""
    name = decision_id(SubjectId("s"), EVENTS)
    assert name == decision_id(SubjectId("s"), EVENTS[::-1])
    assert len(name) == 32
    assert int(name, 16) >= 0


@pytest.mark.parametrize(
    ("subject", "events"),
    [
        ("t", EVENTS),
        ("s", EVENTS[:1]),
        ("s", (image(10), text(41))),
        ("s", (image(10), text(40, topic="images"))),
        ("s", (*EVENTS, end(50))),
    ],
    ids=["another subject", "fewer inputs", "another offset", "another topic", "a marker"],
)
def test_another_subject_or_input_makes_another_id(subject: str, events: tuple[Event, ...]) -> None:
    """Every input that a decision covers is in its name, markers too."""
    assert decision_id(SubjectId(subject), events) != decision_id(SubjectId("s"), EVENTS)


def test_the_value_is_the_same_whatever_order_the_probe_is_in() -> None:
    """Samples, missing modalities, markers and mappings are written in one order."""
    made = decision(closed(*EVENTS, image(60), markers=(end(70), end(70, "b", offset=71))))
    shuffled = replace(
        made,
        probe=replace(made.probe, samples=made.probe.samples[::-1], markers=made.probe.markers[::-1]),
        model_contracts=dict(reversed(list(made.model_contracts.items()))),
    )
    assert decision_value(shuffled) == decision_value(made)


def test_the_value_does_not_know_the_clock() -> None:
    """Two workers at two times write equal bytes and different headers."""
    made = decision(closed(*EVENTS))
    other = replace(TIMING, decided_at_ms=TIMING.decided_at_ms + 5_000, total_ms=999.0)
    one, two = encode_decision(made, TIMING), encode_decision(made, other)
    assert one.value == two.value
    assert one.headers != two.headers
    assert one.key == b"s"


def test_numbers_are_finite_short_and_never_minus_zero() -> None:
    """Six decimals: float noise does not make a replay look different."""
    record = json.loads(decision_value(decision(closed(*EVENTS))))
    candidate = record["candidates"][0]
    assert candidate["probability"] == 0.333333
    assert str(candidate["similarity"]["image"]) == "0.0"
    assert list(candidate["similarity"]) == ["image", "text"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_never_written(bad: float) -> None:
    """Consumers get JSON that every parser takes."""
    made = decision(closed(*EVENTS))
    broken = replace(made, verdict=replace(made.verdict, margin=bad))
    with pytest.raises(RecordError, match="cannot be written as JSON"):
        decision_value(broken)


def test_a_decision_about_nothing_is_never_written() -> None:
    """A closed window has at least one event; a decision without one is a fault of ours."""
    made = decision(closed(*EVENTS))
    broken = replace(made, probe=replace(made.probe, samples=(), missing=()))
    with pytest.raises(RecordError, match="covers no event"):
        decision_value(broken)


def test_every_covered_input_comes_back_from_the_record() -> None:
    """Used samples, the sample that was dead-lettered, and the marker: recovery needs them all."""
    marker = end(70)
    made = decision(closed(*EVENTS, markers=(marker,)), unusable=frozenset({image(10).source}))
    covered = read(made).covered()
    assert {c.input for c in covered} == {e.source for e in (*EVENTS, marker)}
    assert {(c.origin, c.event_id, c.event_time_ms) for c in covered} == {
        (e.origin, e.event_id, e.event_time_ms) for e in (*EVENTS, marker)
    }


def test_a_missing_modality_that_never_came_covers_nothing() -> None:
    """Without coordinates there is no input to speak of."""
    record = read(decision(closed(image(10))))
    assert [(m.modality, m.reason, m.topic) for m in record.modalities.missing] == [
        ("text", "not_received", None)
    ]
    assert [c.input for c in record.covered()] == [Source(topic="images", partition=0, offset=10)]


def test_the_time_of_a_decision_is_that_of_its_last_input() -> None:
    """Unusable samples and markers count: until then something could have changed."""
    made = decision(closed(*EVENTS, markers=(end(70),)))
    assert read(made).event_time_ms == 70
    headers = dict(decision_headers(made, TIMING))
    assert headers["ce_time"] == b"1970-01-01T00:00:00.070Z"
    assert headers["causationid"] == b"end-70"


def test_the_trace_of_the_last_input_that_has_one_goes_on() -> None:
    """A trace leads through the join to the decision."""
    traced = replace(image(10), traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    assert dict(decision_headers(decision(closed(traced, text(40))), TIMING))["traceparent"].startswith(
        b"00-aaaa"
    )
    assert "traceparent" not in dict(decision_headers(decision(closed(*EVENTS)), TIMING))


def test_a_third_modality_needs_no_new_field() -> None:
    """Modalities are a list on the wire too."""
    audio = replace(image(10), modality=Modality("audio"))
    record = read(decision(closed(audio)))
    assert record.modalities.used == ("audio",)
    assert record.inputs[0].modality == "audio"
    assert IMAGE in {m.modality for m in record.modalities.missing}


def test_readers_ignore_fields_they_do_not_know() -> None:
    """Fields are only ever added within a major version."""
    made = decision(closed(*EVENTS))
    value = json.loads(decision_value(made))
    value["tomorrow"] = {"deep": [1]}
    value["window"]["tomorrow"] = 1
    assert decode_decision(raw(json.dumps(value).encode())) == read(made)


def test_a_decision_of_before_there_were_explanations_is_read() -> None:
    """A worker that takes over reads an output tail of its predecessor's version."""
    value = json.loads(decision_value(decision(closed(*EVENTS))))
    del value["explanation"]
    record = decode_decision(raw(json.dumps(value).encode()))
    assert isinstance(record, DecisionRecord)
    assert record.explanation is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"schema_version":2}', b"\xff", b"[" * 10_000])
def test_what_is_no_decision_is_refused_with_a_reason(value: bytes | None) -> None:
    """A reader never meets an exception from the wire."""
    fault = decode_decision(raw(value))
    assert isinstance(fault, Rejected)
    assert fault.reason is Reason.BAD_JSON
    assert fault.detail.startswith("no decision of schema_version 1: ")


def test_covered_events_are_in_the_order_of_time() -> None:
    """Whatever became of them."""
    made = decision(closed(*EVENTS, markers=(end(70),)), unusable=frozenset({text(40).source}))
    assert [e.event_time_ms for e in covered_events(made)] == [10, 40, 70]
