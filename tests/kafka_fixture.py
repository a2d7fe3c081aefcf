"""Helpers of the fixtures and tests that work with the real broker."""

import itertools
import os
import re
import select

from stream.local.kafka import LocalKafka
from stream.worker.settings import Settings

_numbers = itertools.count(1)


def unique_prefix(test_name: str) -> str:
    """A topic prefix that no other test of this session has, and that says whose it is."""
    return f"t{next(_numbers)}-{re.sub(r'[^a-z0-9]+', '-', test_name.lower())[:60].strip('-')}"


def new_broker(**options: object) -> LocalKafka:
    """A broker that is not started yet, with jars from the cache folder that all runs share."""
    return LocalKafka(cache_dir=Settings().cache_dir, **options)  # type: ignore[arg-type]  # passed through


def ends_within(pid: int, seconds: float) -> bool:
    """Whether a process, anybody's child, ends in time. A zombie has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
