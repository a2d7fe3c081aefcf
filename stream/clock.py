"""The event-time clock of one partition.

The law: **the watermark is the minimum, over the input topics, of the largest event time that each has
shown.** A maximum over everything would close subjects whose other half has not been read yet, because small
texts are fetched far ahead of big images.
"""

from collections.abc import Iterable

from stream.errors import UnknownTopicError


class PartitionClock:
    """The watermark of one partition number over all input topics; it never goes back.

    A topic shows a time by an event, or by evidence that the broker had nothing up to that time. Until every
    topic has shown one there is no watermark: nothing can be late, and no deadline is reached.
    """

    __slots__ = ("_shown_ms", "_watermark_ms")

    def __init__(self, topics: Iterable[str]) -> None:
        self._shown_ms: dict[str, int | None] = dict.fromkeys(topics)
        self._watermark_ms: int | None = None

    @property
    def watermark_ms(self) -> int | None:
        """Event time that every input topic has reached; None until each has shown one."""
        return self._watermark_ms

    def ahead(self, by_ms: int) -> frozenset[str]:
        """Topics that have shown more than this beyond the slowest: to read them on moves no watermark."""
        if self._watermark_ms is None:
            return frozenset(topic for topic, shown in self._shown_ms.items() if shown is not None)
        reach_ms = self._watermark_ms + by_ms
        return frozenset(t for t, shown in self._shown_ms.items() if shown is not None and shown > reach_ms)

    def observe(self, topic: str, event_time_ms: int, append_time_ms: int) -> None:
        """An event of `topic` was read. From the future, it counts as its append: no time is shown before it.

        Args:
            topic: One of the input topics.
            event_time_ms: When it happened, by its producer.
            append_time_ms: When the broker appended it: the clock that no producer can forge.

        Raises:
            UnknownTopicError: `topic` is no input of this clock.
        """
        self._show(topic, min(event_time_ms, append_time_ms))

    def silent_until(self, topic: str, time_ms: int) -> None:
        """The broker was asked and had nothing more of `topic` up to `time_ms`; silence alone is no evidence.

        Raises:
            UnknownTopicError: `topic` is no input of this clock.
        """
        self._show(topic, time_ms)

    def _show(self, topic: str, time_ms: int) -> None:
        if topic not in self._shown_ms:
            raise UnknownTopicError(
                f"{topic!r} is no input of this clock ({', '.join(sorted(self._shown_ms))}); "
                "give every input topic when the clock is made"
            )
        shown_ms = self._shown_ms[topic]
        if shown_ms is not None and time_ms <= shown_ms:
            return
        self._shown_ms[topic] = time_ms
        known = [shown for shown in self._shown_ms.values() if shown is not None]
        if len(known) == len(self._shown_ms):
            self._watermark_ms = min(known)
