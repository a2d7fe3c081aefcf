"""Feature extraction beside the join: a thread pool with a bound on what may be under way."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from index.records import Feature, Modality
from stream.features.extractor import Extractor, Unusable
from stream.hooks import Observer
from stream.worker.stages import stage


class Budget:
    """How many payloads, and of how many bytes together, may wait for their features at once.

    A payload larger than the whole budget is let in alone, so that nothing waits for ever.
    """

    def __init__(self, *, events: int, size_bytes: int) -> None:
        self._events = events
        self._bytes = size_bytes
        self.held = 0
        self.held_bytes = 0
        self._freed = asyncio.Event()

    def _fits(self, size_bytes: int) -> bool:
        return self.held == 0 or (self.held < self._events and self.held_bytes + size_bytes <= self._bytes)

    async def acquire(self, size_bytes: int) -> None:
        """Waits until the payload fits, then counts it: the wait is what pauses the intake."""
        while not self._fits(size_bytes):
            self._freed.clear()
            await self._freed.wait()
        self.held += 1
        self.held_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Gives the payload's share back."""
        self.held -= 1
        self.held_bytes -= size_bytes
        self._freed.set()


class ExtractionPool:
    """Runs the extractors on threads: OpenCV, onnxruntime and numpy release the GIL.

    Each modality has its own: a text that waited behind a backlog of photos would keep its subject's
    decision, and all decisions would then be made in one burst on one core when the photos are done.
    """

    def __init__(
        self, extractors: Mapping[Modality, Extractor], *, threads: int, budget: Budget, observer: Observer
    ) -> None:
        self._extractors = extractors
        self._pools = {
            modality: ThreadPoolExecutor(threads, thread_name_prefix=f"extract-{modality}")
            for modality in extractors
        }
        self.budget = budget
        self._observer = observer

    async def extract(self, modality: Modality, content_type: str, data: bytes) -> Feature | Unusable:
        """The feature of one payload whose share of the budget the caller has acquired; gives it back."""
        try:
            with stage(self._observer, f"extract_{modality}"):
                return await asyncio.get_running_loop().run_in_executor(
                    self._pools[modality], self._extractors[modality].extract, content_type, data
                )
        finally:
            self.budget.release(len(data))

    def close(self) -> None:
        """Lets running extractions finish and refuses new ones."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
