"""What the demo sends and shows: records that are read as planned, a report with the agreed keys."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from index.records import IMAGE, TEXT
from stream.cli.demo_stream import Books, Outbox
from stream.cli.demo_view import _mark, live_table, summary
from stream.codec import Limits, decode
from stream.demo.ledger import Ledger
from stream.demo.people import Photo
from stream.demo.poison import JPEG, PLAIN_TEXT, RECIPES, Bounds, Poison
from stream.demo.report import as_json, report_of
from stream.demo.score import Answer, rates, speed
from stream.demo.traffic import Fault, PlannedEvent
from stream.envelope import Outgoing
from stream.events import Event, RawRecord, Rejected, Sample, Source
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.reasons import Stage

NOW_MS = 1_700_000_000_000
BOUNDS = Bounds(max_image_bytes=100_000, max_text_chars=100, text_contract_id="t", text_dimension=4)
OUTBOX = Outbox(origin="test", bounds=BOUNDS, start_ms=NOW_MS)
LIMITS = Limits(
    max_value_bytes=BOUNDS.max_image_bytes,
    content_types=frozenset({JPEG, PLAIN_TEXT, "image/png", EMBEDDING_CONTENT_TYPE}),
    default_content_type=JPEG,
    max_skew_ms=60_000,
)
PLANNED = PlannedEvent(
    event_id="s/image",
    subject_id="s",
    modality=IMAGE,
    photo=Photo(name="p", caption="Somebody in a hat.", source=b"\xff\xd8 photo"),
    time_ms=250,
    at_ms=300,
)


def received(record: Outgoing) -> RawRecord:
    """The record as the broker hands it over."""
    return RawRecord(
        source=Source(topic="images", partition=0, offset=0),
        key=record.key,
        value=record.value,
        headers=record.headers,
        timestamp_ms=NOW_MS + 300,
    )


def decoded(planned: PlannedEvent) -> Sample | Event | Rejected:
    """What the service's codec makes of a planned event."""
    record, _ = OUTBOX.record(planned)
    return decode(received(record), planned.modality, LIMITS)


@pytest.mark.parametrize(
    ("modality", "content_type", "data"),
    [(IMAGE, JPEG, b"\xff\xd8 photo"), (TEXT, PLAIN_TEXT, b"Somebody in a hat.")],
)
def test_a_good_event_is_read_as_it_was_planned(modality: str, content_type: str, data: bytes) -> None:
    """Key, id, time, type and payload survive the wire."""
    found = decoded(replace(PLANNED, modality=modality))
    assert isinstance(found, Sample)
    assert (found.event.subject_id, found.event.event_id, found.event.origin) == ("s", "s/image", "test")
    assert found.event.event_time_ms == NOW_MS + 250
    assert (found.content_type, found.data) == (content_type, data)


BY_CODEC = {
    Poison.TOO_LARGE,
    Poison.EMPTY,
    Poison.UNKNOWN_CONTENT_TYPE,
    Poison.MISSING_KEY,
    Poison.BAD_HEADERS,
    Poison.CLOCK_SKEW,
}
"""Poison in the envelope; the rest is in the payload, for the extractors to find."""


@pytest.mark.parametrize("kind", Poison)
def test_poison_in_the_envelope_is_rejected_for_its_reason_and_no_other_is(kind: Poison) -> None:
    """The codec refuses exactly what is its to refuse."""
    recipe = RECIPES[kind]
    found = decoded(replace(PLANNED, modality=recipe.modality, fault=Fault.POISON, poison=kind))
    if kind in BY_CODEC:
        assert isinstance(found, Rejected)
        assert (found.reason, found.stage) == (recipe.reason, Stage.CODEC)
    else:
        assert isinstance(found, Sample)


EMPTY = Ledger(published=(), decisions=(), dead_letters=(), grace_ms=0)
REPORT = report_of(
    EMPTY,
    by_mask={"image": rates([]), "text": rates([]), "both": rates([])},
    baseline=rates([]),
    speed=speed(EMPTY),
    pack="pack",
    data="data",
    identities=1,
    templates=2,
)


def test_the_report_has_the_agreed_keys() -> None:
    """What others check a run by; further keys may be added and none renamed."""
    found = as_json(REPORT)
    assert set(found["by_mask"]) == {"image", "text", "both"}
    assert all({"probes", "rank1", "fnir", "fpir"} <= set(row) for row in found["by_mask"].values())
    assert {"rank1", "fnir"} <= set(found["baseline"])
    assert {"published", "decided", "duplicate", "late", "dead_lettered", "unaccounted"} <= set(
        found["events"]
    )
    assert {"total", "wrong_half", "different_duplicates"} <= set(found["decisions"])
    assert {"p50", "p95", "p99"} <= set(found["latency_ms"])
    assert {"subjects_per_s", "pack", "data", "gallery"} <= set(found)
    assert found["gallery"] == {"identities": 1, "templates": 2}


def test_the_summary_and_the_live_table_can_be_shown_even_of_nothing() -> None:
    """A run that published nothing still ends in a readable summary."""
    shown = Console(file=io.StringIO(), width=120)
    shown.print(summary(REPORT, target_fpir=0.01))
    shown.print(live_table(Books(run="r", planned=0, grace_ms=0), {}, frozenset()))
    text = shown.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    assert "the article's pipeline" in text
    assert "no decision yet" in text


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (Answer(truth="ann", best="ann", returned=True, matched="ann"), "✓"),
        (Answer(truth="ann", best="ann", returned=True, matched=None), "missed"),
        (Answer(truth="ann", best="bob", returned=True, matched="bob"), "wrong"),
        (Answer(truth=None, best="ann", returned=False, matched=None), "✓"),
        (Answer(truth=None, best="ann", returned=True, matched=None), "false alarm"),
        (Answer(truth=None, best="ann", returned=True, matched="ann"), "false alarm"),
    ],
)
def test_the_live_table_marks_answers_as_the_rates_count_them(answer: Answer, shown: str) -> None:
    """A mark that is friendlier than the summary would mislead."""
    assert shown in _mark(answer)
    counted = rates([answer])
    assert (shown == "✓") == (counted.fnir == 0 or counted.fpir == 0)
