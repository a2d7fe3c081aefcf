"""The worker as it is, with faults let into its process: it dies, sleeps or goes deaf where it is told.

`FAULTLAB` is JSON: `{"crash": {"point": "delivered", "nth": 40}}`, `{"slow_ms": 50}`,
`{"deaf_after_s": 5}`, or `{"forgetful": true}`, which breaks the service itself for the oracle to notice.
The service has no such hooks; this program wraps its parts from outside, by name.
"""

import asyncio
import functools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from faust.transport.consumer import Consumer as FaustConsumer

from index.records import IMAGE, TEXT
from stream.features.registry import FACTORIES
from stream.recovery import Covered, TailFold
from stream.worker.deciding import Deciding
from stream.worker.enroller import Enroller
from stream.worker.extraction import ExtractionPool
from stream.worker.faust_internals import PromptConsumer
from stream.worker.partition import PartitionState
from stream.worker.pipeline import Pipeline
from stream.worker.publisher import Publisher
from stream.worker.service import run
from stream.worker.settings import Settings
from stream.worker.tail_reader import TailReader

FOR_EVER_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A boundary between two stages: just before or after a method of a part is called."""

    part: type
    method: str
    after: bool
    usual: int
    """About how many calls a few seconds of traffic make; a crash is drawn from so many."""


CRASH_POINTS: Mapping[str, Point] = {
    "assigned": Point(part=TailReader, method="read", after=False, usual=1),
    "tail read": Point(part=TailReader, method="read", after=True, usual=1),
    "read": Point(part=Pipeline, method="on_event", after=False, usual=300),
    "joined": Point(part=Pipeline, method="on_event", after=True, usual=300),
    "extracted": Point(part=ExtractionPool, method="extract", after=True, usual=250),
    "window closed": Point(part=Deciding, method="decide", after=False, usual=120),
    "before the send": Point(part=Publisher, method="send", after=False, usual=120),
    "sent, not awaited": Point(part=AIOKafkaProducer, method="send", after=True, usual=120),
    "delivered": Point(part=Publisher, method="send", after=True, usual=120),
    "before a dead letter": Point(part=Deciding, method="set_aside", after=False, usual=8),
    "dead-lettered": Point(part=Deciding, method="set_aside", after=True, usual=8),
    "done": Point(part=PartitionState, method="done", after=True, usual=200),
    "before the commit": Point(part=FaustConsumer, method="_commit_offsets", after=False, usual=3),
    "committed": Point(part=FaustConsumer, method="_commit_offsets", after=True, usual=3),
    "revoked": Point(part=Pipeline, method="revoked", after=False, usual=1),
    "enrolled, not answered": Point(part=Enroller, method="_publish", after=True, usual=4),
}


def let_in(orders: Mapping[str, Any]) -> None:
    """Lets the faults in that are ordered."""
    if crash := orders.get("crash"):
        _die_at(CRASH_POINTS[crash["point"]], crash["nth"])
    if orders.get("forgetful"):
        TailFold.covered = lambda _: Covered()  # type: ignore[method-assign]  # a service that is broken
    if seconds := orders.get("deaf_after_s"):
        _go_deaf(seconds)


def _die_at(point: Point, nth: int) -> None:
    """Kill -9 at the nth call, in the process itself: nothing runs after it."""
    original: Callable[..., Any] = getattr(point.part, point.method)
    left = nth

    def count() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(original)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        if not point.after:
            count()
        answer = await original(*args, **kwargs)
        if point.after:
            count()
        return answer

    @functools.wraps(original)
    def called(*args: Any, **kwargs: Any) -> Any:
        if not point.after:
            count()
        answer = original(*args, **kwargs)
        if point.after:
            count()
        return answer

    setattr(point.part, point.method, awaited if asyncio.iscoroutinefunction(original) else called)


def _go_deaf(after_s: float) -> None:
    """Holds Faust's consumer thread for ever: no fetch and no heartbeat, while the main loop runs on."""
    make = PromptConsumer._new_consumer_thread  # noqa: SLF001  # a fault from outside

    def made(consumer: Any) -> Any:
        thread = make(consumer)
        threading.Timer(after_s, thread.thread_loop.call_soon_threadsafe, (time.sleep, FOR_EVER_S)).start()
        return thread

    PromptConsumer._new_consumer_thread = made  # noqa: SLF001


class _Slow:
    """An extractor that takes its time."""

    def __init__(self, extractor: Any, seconds: float) -> None:
        self._extractor = extractor
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)

    def extract(self, content_type: str, data: bytes) -> Any:
        time.sleep(self._seconds)
        return self._extractor.extract(content_type, data)


def main() -> int:
    """The worker's exit code, if it lives to have one."""
    orders = json.loads(os.environ.get("FAULTLAB", "{}"))
    let_in(orders)
    factories = dict(FACTORIES)
    if slow_ms := orders.get("slow_ms"):
        for modality in (IMAGE, TEXT):
            make = factories[modality]
            factories[modality] = lambda config, make=make: _Slow(make(config), slow_ms / 1_000)
    return run(Settings(), factories=factories)


if __name__ == "__main__":
    sys.exit(main())
