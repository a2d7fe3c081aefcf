"""Acknowledges in offset order: an offset is committed only when every earlier one is done.

Faust commits past holes, so an acknowledgement out of order would lose the event that was skipped.
"""

from collections import deque


class AckFrontier:
    """The frontier of one topic-partition, in one assignment after another.

    Offsets may have gaps (compaction and transactions leave them); what counts is the order in which they
    were opened.
    """

    __slots__ = ("_last_opened", "_order", "_pending", "generation")

    def __init__(self, generation: int = 0) -> None:
        self.generation = generation
        """Names the assignment: what was opened under another one is not ours to acknowledge any more."""
        self._order: deque[int] = deque()
        """Ascending, done or not; the first one is the frontier and never done."""
        self._pending: set[int] = set()
        """Those that are not done."""
        self._last_opened = -1

    def restart(self, generation: int) -> None:
        """The partition was assigned anew: what is open is forgotten, and offsets may come again."""
        self.generation = generation
        self._order.clear()
        self._pending.clear()
        self._last_opened = -1

    def opened(self, offset: int) -> bool:
        """Notes an offset as under way; False if this generation has seen it: not to be processed again."""
        if offset <= self._last_opened:
            return False
        self._last_opened = offset
        self._order.append(offset)
        self._pending.add(offset)
        return True

    def done(self, offset: int, *, generation: int) -> int | None:
        """The offset up to which everything is now done, where this one has moved the frontier; else None.

        An offset of another generation, one never opened and one already done change nothing.
        """
        if generation != self.generation or offset not in self._pending:
            return None
        self._pending.remove(offset)
        reached: int | None = None
        while self._order and self._order[0] not in self._pending:
            reached = self._order.popleft()
        return reached

    @property
    def held(self) -> int:
        """Offsets that cannot be acknowledged yet, done or not."""
        return len(self._order)

    @property
    def oldest(self) -> int | None:
        """The offset that everything waits for; None if nothing does."""
        return self._order[0] if self._order else None
