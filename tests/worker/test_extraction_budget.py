"""What may be under way at once is bounded in events and bytes; waiting for room pauses the intake."""

import asyncio
from dataclasses import dataclass, field
from threading import Event

import pytest

from index.records import IMAGE, TEXT, ContractId, Modality
from stream.features.extractor import Unusable
from stream.hooks import NullObserver
from stream.reasons import Reason
from stream.worker.extraction import Budget, ExtractionPool


def test_intake_waits_until_there_is_room() -> None:
    """The third of three payloads waits for one of the first two."""

    async def run() -> tuple[bool, bool]:
        budget = Budget(events=2, size_bytes=1_000)
        await budget.acquire(10)
        await budget.acquire(10)
        third = asyncio.ensure_future(budget.acquire(10))
        await asyncio.sleep(0)
        waited = not third.done()
        budget.release(10)
        await asyncio.wait_for(third, 1)
        return waited, third.done()

    assert asyncio.run(run()) == (True, True)


@pytest.mark.parametrize(("second", "fits"), [(400, True), (401, False)])
def test_bytes_are_bounded_as_well(second: int, fits: bool) -> None:
    """600 of 1,000 bytes are taken: 400 more fit, 401 do not."""

    async def run() -> bool:
        budget = Budget(events=10, size_bytes=1_000)
        await budget.acquire(600)
        waiting = asyncio.ensure_future(budget.acquire(second))
        await asyncio.sleep(0)
        done = waiting.done()
        waiting.cancel()
        return done

    assert asyncio.run(run()) is fits


def test_a_payload_over_the_whole_budget_is_let_in_alone() -> None:
    """It must not wait for ever for room that can never be."""

    async def run() -> int:
        budget = Budget(events=10, size_bytes=100)
        await asyncio.wait_for(budget.acquire(5_000), 1)
        return budget.held_bytes

    assert asyncio.run(run()) == 5_000


def test_what_was_released_is_no_longer_held() -> None:
    """The books balance after any sequence of payloads."""

    async def run() -> tuple[int, int]:
        budget = Budget(events=4, size_bytes=100)
        for size in (10, 20, 30):
            await budget.acquire(size)
        for size in (30, 10, 20):
            budget.release(size)
        return budget.held, budget.held_bytes

    assert asyncio.run(run()) == (0, 0)


CONTRACT = ContractId("gated")


@dataclass
class Gated:
    """An extractor that waits for its gate."""

    modality: Modality
    gate: Event = field(default_factory=Event)
    contract_id: ContractId = CONTRACT
    dimension: int = 2
    content_types: frozenset[str] = frozenset()
    default_content_type: str = ""

    def extract(self, _content_type: str, _data: bytes) -> Unusable:
        assert self.gate.wait(10)
        return Unusable(reason=Reason.NO_FACE, detail="")


def test_a_text_does_not_wait_behind_a_backlog_of_photos() -> None:
    """Photos keep their only thread busy and queue; the text that came after them has its feature."""
    photos, texts = Gated(IMAGE), Gated(TEXT)
    texts.gate.set()

    async def run() -> tuple[bool, int]:
        budget = Budget(events=10, size_bytes=100)
        pool = ExtractionPool({IMAGE: photos, TEXT: texts}, threads=1, budget=budget, observer=NullObserver())
        for _ in range(4):
            await budget.acquire(1)
        waiting = [asyncio.ensure_future(pool.extract(IMAGE, "", b"p")) for _ in range(3)]
        try:
            await asyncio.wait_for(pool.extract(TEXT, "", b"t"), 5)
            photos_wait = not any(photo.done() for photo in waiting)
        finally:
            photos.gate.set()
            await asyncio.gather(*waiting)
            pool.close()
        return photos_wait, budget.held

    assert asyncio.run(run()) == (True, 0)
