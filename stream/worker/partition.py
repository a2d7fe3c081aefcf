"""The state of one input partition number, from assignment to revocation; none outlives a generation."""

import asyncio
from collections import deque
from heapq import heappop, heappush
from typing import Any

from index.records import Feature
from stream.clock import PartitionClock
from stream.events import Event, RawRecord, Source, SubjectId
from stream.features.extractor import Unusable
from stream.join import JoinPolicy, SubjectJoin
from stream.revisions import Announcements, Revisions
from stream.worker.ack_frontier import AckFrontier
from stream.worker.tail_reader import Tail


class PartitionState:
    """Clock, join, ack frontiers and features under way of one partition number, in one generation."""

    def __init__(self, number: int, *, policy: JoinPolicy, revisions: Revisions, tail: Tail) -> None:
        self.number = number
        self.clock = PartitionClock(tuple(tail.first_offset))
        self.join = SubjectJoin(policy)
        self.announcements = Announcements(revisions, tail.covered.announced)
        self.turns: dict[SubjectId, asyncio.Task[None]] = {}
        """Of each subject the latest decision under way: they are delivered in the order of the join."""
        self.covered = tail.covered
        self.next_offset = dict(tail.first_offset)
        self.features: dict[Source, asyncio.Task[Feature | Unusable]] = {}
        self.append_ms: dict[Source, int] = {}
        """When the broker appended each record that is under way, in the order of arrival."""
        self._waiting: list[tuple[int, Source]] = []
        """A heap: event time and place of what the join took in; stale where its append is gone."""
        self._window_and_grace_ms = policy.window_ms + policy.grace_ms
        self.revoked = False
        self._frontiers = {topic: AckFrontier() for topic in tail.first_offset}
        self._unacked: dict[str, deque[tuple[int, Any]]] = {topic: deque() for topic in tail.first_offset}
        self.covered.seed(self.join)

    def opened(self, source: Source, faust_event: Any) -> bool:
        """Notes a record that was handed over; False if this generation has had it already."""
        if not self._frontiers[source.topic].opened(source.offset):
            return False
        self._unacked[source.topic].append((source.offset, faust_event))
        return True

    def handed(self, record: RawRecord) -> None:
        """Notes that a record is settled or in the join: from now on it is no longer on its way there.

        Only now may its topic count as read up to it; a record that waits for the budget is not in the join
        yet, and silence after it would close its subject without it.
        """
        self.next_offset[record.source.topic] = record.source.offset + 1
        self.append_ms[record.source] = record.timestamp_ms

    def waits(self, event: Event) -> None:
        """Notes an event that the join took in: it is not settled before its decision is delivered."""
        heappush(self._waiting, (event.event_time_ms, event.source))

    @property
    def settled_ms(self) -> int | None:
        """Nothing of before this event time waits, and what comes of it is late; None without a watermark.

        No open window begins a window and a grace behind the watermark.
        """
        if self.clock.watermark_ms is None:
            return None
        while self._waiting and self._waiting[0][1] not in self.append_ms:
            heappop(self._waiting)
        late_ms = self.clock.watermark_ms - self._window_and_grace_ms
        return min(late_ms, self._waiting[0][0]) if self._waiting else late_ms

    def done(self, *sources: Source) -> None:
        """Notes that these records need nothing more; acknowledges, in offset order, all that may be by now.

        Faust commits past holes, so nothing is acknowledged before everything under it is done.
        """
        if self.revoked:
            return
        for source in sources:
            self.append_ms.pop(source, None)
            frontier = self._frontiers[source.topic]
            reached = frontier.done(source.offset, generation=frontier.generation)
            unacked = self._unacked[source.topic]
            while reached is not None and unacked and unacked[0][0] <= reached:
                unacked.popleft()[1].ack()

    @property
    def oldest_append_ms(self) -> int | None:
        """Append of the record that has been under way longest; None when none is."""
        return next(iter(self.append_ms.values()), None)

    def turn_over(self, subject_id: SubjectId, decision: asyncio.Task[None]) -> None:
        """Notes that a decision about this subject is delivered, or will not be."""
        if self.turns.get(subject_id) is decision:
            del self.turns[subject_id]

    @property
    def unacked(self) -> int:
        """Records handed over and not acknowledged yet."""
        return sum(map(len, self._unacked.values()))
