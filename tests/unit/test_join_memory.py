"""What an event costs while it waits: the bytes behind the bound on held events in docs/join.md."""

import tracemalloc
from dataclasses import replace

import numpy as np

from index.records import ContractId, Feature
from index.vectors import unit
from stream.envelope import MAX_ID_BYTES
from stream.events import Event
from stream.join import SubjectJoin
from tests.stream_factories import image, join_policy

EVENTS = 2_000
DIMENSION = 512
MOST_BYTES = 5_000


def longest(kind: str, number: int) -> str:
    """An id as long as one may be."""
    return f"{kind}{number}".ljust(MAX_ID_BYTES, "x")


def waiting(number: int) -> Event:
    """The only event of its subject, with the longest names."""
    event = image(number % 50, longest("e", number), subject=longest("s", number), offset=number)
    return replace(event, origin=longest("o", number))


def test_an_event_that_waits_takes_less_than_5_kb() -> None:
    """Its place in the join and its feature: payloads are gone by then."""
    rng = np.random.default_rng(0)
    join, features = SubjectJoin(join_policy()), {}
    tracemalloc.start()
    try:
        for number in range(EVENTS):
            event = waiting(number)
            join.accept(event, None)
            vector = unit(rng.standard_normal(DIMENSION).astype(np.float32))
            features[event.source] = Feature(vector=vector, contract_id=ContractId("c"), quality=1.0)
        took_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert join.held_events == join.held_subjects == EVENTS
    assert DIMENSION * 4 < took_bytes / EVENTS < MOST_BYTES
