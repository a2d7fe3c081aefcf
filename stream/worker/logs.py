"""Logging: structured lines on stderr, and a limit on what an absent broker makes clients repeat."""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog

REPEAT_AFTER_S = 10.0
"""A message template is let through once in this time; an absent broker makes 100 lines a second."""

MAX_TEMPLATES = 1_000

HARMLESS = ("Missing sensor state for rebalance", "GroupCoordinatorNotAvailableError")
"""Faust's own book-keeping at the first assignment, and a new broker still making its offsets topic."""


class RepeatFilter(logging.Filter):
    """Lets the first line of each (logger, template) through, then one per interval with the number left out.

    Warnings and errors are limited, and only the `HARMLESS` silenced; records under WARNING pass untouched.
    """

    def __init__(self, interval_s: float = REPEAT_AFTER_S) -> None:
        super().__init__()
        self._interval_s = interval_s
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written."""
        if record.levelno < logging.WARNING:
            return True
        if any(harmless in record.getMessage() for harmless in HARMLESS):
            return False
        fields: Any = record.msg  # structlog's are a dict, whose timestamp differs from line to line
        structured = isinstance(fields, dict)
        key = (record.name, str(fields.get("event") if structured else fields))
        now = time.monotonic()
        last, suppressed = self._seen.get(key, (float("-inf"), 0))
        if now - last < self._interval_s:
            self._seen[key] = (last, suppressed + 1)
            return False
        if len(self._seen) >= MAX_TEMPLATES:
            self._seen.clear()
        self._seen[key] = (now, 0)
        if suppressed and structured:
            record.msg = {**fields, "suppressed": suppressed}
        elif suppressed:
            record.msg = f"{record.getMessage()} (+{suppressed} like it suppressed)"
            record.args = ()
        return True


def _plain(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drops what structlog's formatter carries along for its own use."""
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escapes what could begin a line of its own or steer a terminal; in a traceback all but its lines."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            kept = "\n" if name == "exception" else ""
            event[name] = "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in value)
    return event


def configure_logging(level: str, *, json: bool) -> None:
    """Routes structlog and the standard library to stderr, one format for both.

    Args:
        level: Of our own loggers; the engine's are kept at WARNING, since at INFO they draw tables.
        json: One JSON object a line instead of text for people.
    """
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    # JSON escapes by itself.
    processors = [_plain, renderer] if json else [_plain, _printable, renderer]
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=processors)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("stream").setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The structured logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
