"""Runs what a command does: errors that say what to do become exit code 1, Ctrl-C becomes 130."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import typer

from index.errors import GalleryError
from stream.cli.console import fail
from stream.demo.errors import DemoError
from stream.features.errors import FeatureError
from stream.local.errors import BrokerUnavailableError
from stream.worker.errors import WorkerError

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

EXPECTED = (WorkerError, DemoError, BrokerUnavailableError, FeatureError, GalleryError)
"""Errors whose message names the next step: no traceback helps more."""

T = TypeVar("T")


class NoAnswerError(WorkerError):
    """Nobody answered in time."""


class NoTopicError(WorkerError):
    """A topic that a command reads does not exist."""


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group, however deep: tasks that fail together fail for the same reason."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


@contextmanager
def ending_well() -> Iterator[None]:
    """Turns errors with a next step and interruptions into exit codes. SIGTERM is taken as Ctrl-C is.

    SIGINT is handled even where a shell has it ignored, as it does for what it starts in the background.
    """
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, _interrupt),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    try:
        yield
    except EXPECTED as error:
        fail(error)
    except BaseExceptionGroup as group:
        expected, others = group.split(EXPECTED)
        if expected is None or others is not None:
            raise
        fail(first_of(expected))
    except (KeyboardInterrupt, asyncio.CancelledError) as interruption:
        raise typer.Exit(INTERRUPTED) from interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of asynchronous work, which is cancelled and awaited on Ctrl-C."""
    with ending_well():
        return asyncio.run(work)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Not KeyboardInterrupt at once: inside an event loop SIGINT cancels the main task, which then cleans up.
    signal.raise_signal(signal.SIGINT)
