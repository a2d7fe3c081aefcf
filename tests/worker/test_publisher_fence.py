"""A worker out of touch for half its session writes nothing any more."""

import pytest

from stream.worker import publisher
from stream.worker.errors import FencedError
from stream.worker.publisher import Fence


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands in for the machine's clock."""
    fake = Clock()
    monkeypatch.setattr(publisher, "time", fake)
    return fake


@pytest.mark.parametrize(("pause_s", "fenced"), [(9.9, False), (10.1, True)])
def test_a_pause_over_half_the_session_fences(clock: Clock, pause_s: float, fenced: bool) -> None:
    """Sends are refused before the group can have given the partitions away."""
    fence = Fence(session_timeout_s=20.0)
    clock.now_s += pause_s
    if fenced:
        with pytest.raises(FencedError, match=r"no heartbeat for 10\.1 s, 10\.0 s allowed"):
            fence.check()
    else:
        fence.check()


def test_a_beat_after_too_long_a_pause_does_not_heal_it(clock: Clock) -> None:
    """What was missed meanwhile cannot be known, so the late beat itself is refused."""
    fence = Fence(session_timeout_s=20.0)
    clock.now_s += 11
    with pytest.raises(FencedError):
        fence.beat()


def test_beats_in_time_keep_the_fence_open(clock: Clock) -> None:
    """Many short pauses are no long one."""
    fence = Fence(session_timeout_s=20.0)
    for _ in range(10):
        clock.now_s += 9
        fence.beat()
    fence.check()


def test_a_restart_forgets_the_pause(clock: Clock) -> None:
    """Before anything is assigned nothing can have moved."""
    fence = Fence(session_timeout_s=20.0)
    clock.now_s += 60
    fence.restart()
    fence.check()
