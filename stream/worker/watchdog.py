"""Notices what only a restart can cure: nothing moves though records wait, or the group's consumer went deaf.

Both are told from an absent broker by the gallery feed, a client of its own: while that one hears nothing
either, there is nothing to be cured here. A deaf consumer sends no heartbeats, so others will soon have its
partitions; it is stopped within half a session, as the fence stops a loop that stood still.
"""

from dataclasses import dataclass

from stream.worker.errors import StalledError

STALLED_AFTER_S = 60.0
ANSWERS_WITHIN_S = 2.0
"""A broker that is there answers a fetch with nothing to give after 0.1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What there is to see of a worker at one moment."""

    progress: int
    """Counts whatever was read or done."""
    lag: int
    """Records that wait on the broker."""
    unacknowledged: int
    heard_ms: int | None
    """The last answer to any fetch of the inputs; None while none is expected."""
    broker_heard_ms: int | None
    """The last answer to the gallery feed."""


class Watchdog:
    """Looked at ten times a second with the monotonic clock."""

    def __init__(self, now_s: float, *, deaf_after_s: float) -> None:
        self._deaf_after_s = deaf_after_s
        self._last: Sight | None = None
        self._answered_s = self._moved_s = self._heard_s = now_s

    def look(self, now_s: float, sight: Sight) -> None:
        """Takes a sight in.

        Raises:
            StalledError: The broker is there, and nothing has moved or been heard for too long.
        """
        last, self._last = self._last, sight
        if last is None or sight.broker_heard_ms != last.broker_heard_ms:
            self._answered_s = now_s
        moves = last is None or sight.progress != last.progress
        if moves or now_s - self._answered_s > ANSWERS_WITHIN_S:
            self._moved_s = self._heard_s = now_s
        if not sight.lag:
            self._moved_s = now_s
        if last is None or sight.heard_ms is None or sight.heard_ms != last.heard_ms:
            self._heard_s = now_s
        if now_s - self._moved_s > STALLED_AFTER_S:
            raise StalledError(
                f"{sight.lag} records wait on the broker and none has moved for {STALLED_AFTER_S:.0f} s, "
                f"{sight.unacknowledged} are unacknowledged; stopping, a restart replays"
            )
        if now_s - self._heard_s > self._deaf_after_s:
            raise StalledError(
                f"the group's consumer has heard nothing for {self._deaf_after_s:.0f} s though the broker "
                "answers others: its partitions may have moved; stopping, a restart replays"
            )
