"""A broker that is away may not bury the log."""

import logging

import pytest

from stream.worker import logs
from stream.worker.logs import RepeatFilter


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands in for the machine's clock."""
    fake = Clock()
    monkeypatch.setattr(logs, "time", fake)
    return fake


def record(
    message: str, *args: object, level: int = logging.WARNING, name: str = "aiokafka"
) -> logging.LogRecord:
    """A log record as a library makes it."""
    return logging.LogRecord(name, level, "", 0, message, args, None)


def test_the_first_line_passes_and_its_like_are_counted(clock: Clock) -> None:
    """1000 lines of one template in ten seconds are one line; the next says how many were left out."""
    limit = RepeatFilter(interval_s=10.0)
    assert limit.filter(record("node %s gone", 1))
    assert not any(limit.filter(record("node %s gone", n)) for n in range(999))
    clock.now_s = 11
    again = record("node %s gone", 7)
    assert limit.filter(again)
    assert again.getMessage() == "node 7 gone (+999 like it suppressed)"


def test_structured_lines_are_alike_by_their_event(clock: Clock) -> None:
    """Two lines of one event differ in their time; that does not make them two events."""
    limit = RepeatFilter(interval_s=10.0)

    def line(time: str) -> logging.LogRecord:
        made = record("")
        made.msg = {"event": "waiting for the broker", "timestamp": time}  # type: ignore[assignment]  # structlog's way
        return made

    assert limit.filter(line("12:00:00"))
    assert not limit.filter(line("12:00:02"))
    clock.now_s = 11
    again = line("12:00:11")
    assert limit.filter(again)
    assert again.msg["suppressed"] == 1  # type: ignore[index]  # structlog's way


def test_another_template_or_logger_is_not_its_like(clock: Clock) -> None:
    """Only repetition is limited."""
    limit = RepeatFilter()
    assert limit.filter(record("gone"))
    assert limit.filter(record("back"))
    assert limit.filter(record("gone", name="faust"))


def test_lines_under_warning_are_never_limited(clock: Clock) -> None:
    """Our own progress lines may repeat."""
    limit = RepeatFilter()
    assert all(limit.filter(record("tick", level=logging.INFO)) for _ in range(5))


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    """A template made with f-strings must not fill the memory."""
    limit = RepeatFilter()
    for n in range(3 * logs.MAX_TEMPLATES):
        limit.filter(record(f"node {n} gone"))
    assert len(limit._seen) <= logs.MAX_TEMPLATES
