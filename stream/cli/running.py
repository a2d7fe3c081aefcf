"""Runs what a command does: errors that say what to do become exit code 1, Ctrl-C becomes 130."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import typer

from stream.cli.console import fail
from stream.demo.errors import DemoError
from stream.features.errors import FeatureError
from stream.local.errors import BrokerUnavailableError
from stream.worker.errors import WorkerError

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

T = TypeVar("T")


class NoAnswerError(WorkerError):
    """Nobody answered in time."""


class NoTopicError(WorkerError):
    """A topic that a command reads does not exist."""


@contextmanager
def ending_well() -> Iterator[None]:
    """Turns errors with a next step and interruptions into exit codes. SIGTERM is taken as Ctrl-C is."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except (WorkerError, DemoError, BrokerUnavailableError, FeatureError) as error:
        fail(error)
    except (KeyboardInterrupt, asyncio.CancelledError) as interruption:
        raise typer.Exit(INTERRUPTED) from interruption
    finally:
        signal.signal(signal.SIGTERM, before)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of asynchronous work, which is cancelled and awaited on Ctrl-C."""
    with ending_well():
        return asyncio.run(work)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Not KeyboardInterrupt at once: inside an event loop SIGINT cancels the main task, which then cleans up.
    signal.raise_signal(signal.SIGINT)
