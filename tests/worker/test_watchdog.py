"""The watchdog: a restart for what only a restart cures, and none for an absent broker."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from stream.worker.errors import StalledError
from stream.worker.watchdog import Sight, Watchdog

DEAF_AFTER_S = 10.0
AT_REST = Sight(progress=7, lag=0, unacknowledged=0, heard_ms=None, broker_heard_ms=0)
Scene = Callable[[float], Sight]
"""What is seen so many seconds after the start."""


def ends_after_s(scene: Scene, *, within_s: float = 200.0) -> float | None:
    """When the watchdog stops the worker, if it does."""
    watchdog = Watchdog(0.0, deaf_after_s=DEAF_AFTER_S)
    for tenth in range(int(within_s * 10)):
        now_s = tenth / 10
        try:
            watchdog.look(now_s, scene(now_s))
        except StalledError:
            return now_s
    return None


def broker(now_s: float) -> Sight:
    """Answers ten times a second."""
    return replace(AT_REST, heard_ms=round(now_s * 1000), broker_heard_ms=round(now_s * 1000))


@pytest.mark.parametrize(
    ("scene", "ends_s"),
    [
        (broker, None),
        (lambda s: replace(broker(s), lag=5), 60.1),
        (lambda s: replace(broker(s), lag=5, progress=int(s / 50)), None),
        (lambda s: replace(broker(s), heard_ms=1), 10.2),
        (lambda s: replace(broker(s), heard_ms=1, progress=int(s / 9)), None),
        (lambda s: replace(broker(s), heard_ms=None), None),
        (lambda _: replace(AT_REST, lag=5, heard_ms=1), None),
        (lambda s: AT_REST if s < 100 else broker(s), None),
        (lambda s: replace(broker(s), heard_ms=1, broker_heard_ms=int(max(0, s - 100) * 10)), 110.0),
    ],
    ids=[
        "all is well",
        "records wait and nothing moves",
        "a slow stage still moves",
        "the consumer is deaf and the broker is there",
        "a full buffer asks for nothing while work goes on",
        "nothing is assigned",
        "the broker is away",
        "the broker comes back",
        "the broker comes back and the consumer does not",
    ],
)
def test_only_what_a_restart_cures_ends_the_worker(scene: Scene, ends_s: float | None) -> None:
    """In time, and never for want of a broker."""
    found = ends_after_s(scene)
    assert found == (None if ends_s is None else pytest.approx(ends_s, abs=0.3))
