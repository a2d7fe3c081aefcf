"""Tells an observer of what is in a stage, and for how long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from stream.hooks import Observer, StageEntered, StageLeft


@contextmanager
def stage(observer: Observer, name: str) -> Iterator[None]:
    """One input is in this stage as long as the block runs, whatever ends it."""
    observer.observe(StageEntered(stage=name))
    started_s = time.perf_counter()
    try:
        yield
    finally:
        observer.observe(StageLeft(stage=name, seconds=time.perf_counter() - started_s))
