"""Nothing from an event makes a log line or steers a terminal; a damaged policy is a policy or refused."""

import contextlib
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from types import TracebackType

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.policy import Policy
from stream.features.errors import PolicyFileError
from stream.policy_file import format_policy, parse_policy
from stream.worker.logs import configure_logging, get_logger
from tests.factories import policy

TEXTS = st.text(max_size=30) | st.sampled_from(
    ["\n2026 [info] all is well", "\x1b[2J", "a\rb", "\x85", "\u2028x"]
)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], io.StringIO]]:
    """Configures the worker's log, into memory."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def configured(as_json: bool) -> io.StringIO:
        written = io.StringIO()
        monkeypatch.setattr(sys, "stderr", written)
        configure_logging("INFO", json=as_json)
        return written

    yield configured
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


@FUZZ
@given(text=TEXTS, as_json=st.booleans(), foreign=st.booleans())
def test_a_line_of_the_log_is_one_line_whatever_it_quotes(
    log: Callable[[bool], io.StringIO], text: str, as_json: bool, foreign: bool
) -> None:
    """A message of a library, and a field of ours: nothing in them is a line, or a command to a terminal."""
    written = log(as_json)
    if foreign:
        logging.getLogger("aiokafka").error("topic %s is not there", text)
    else:
        get_logger("stream.test").info("gallery record refused", detail=text)
    [line, rest] = written.getvalue().split("\n")
    assert rest == ""
    assert line.isprintable() or as_json
    if as_json:
        assert text in json.loads(line)["event" if foreign else "detail"]


def test_a_traceback_keeps_its_lines_and_nothing_else(log: Callable[[bool], io.StringIO]) -> None:
    """It is read by people."""
    written = log(False)
    error = ValueError("\x1b[2J")
    error.__traceback__ = TracebackType(None, sys._getframe(), 0, 1)
    get_logger("stream.test").error("failed", exc_info=error)
    lines = written.getvalue().splitlines()
    assert lines[-1] == "ValueError: \\x1b[2J"
    assert len(lines) > 3


POLICY = format_policy(policy(), fitted_on="nothing; a test").encode()
FILLING = st.binary(max_size=4) | st.sampled_from(
    [b"null", b"NaN", b"1e999", b"-1", b'"', b"[[", b"0", b"{}"]
)


@given(first=st.integers(0, len(POLICY)), length=st.integers(0, 12), filling=FILLING)
def test_a_damaged_policy_is_a_policy_or_refused(first: int, length: int, filling: bytes) -> None:
    """Operators edit it by hand: what is wrong is said, whatever it is."""
    damaged = POLICY[:first] + filling + POLICY[first + length :]
    with contextlib.suppress(PolicyFileError):
        assert isinstance(parse_policy(damaged), Policy)
