"""The one error tree of the shell: catch `WorkerError` to catch them all; messages name the next step."""

from collections.abc import Sequence
from dataclasses import dataclass


class WorkerError(Exception):
    """Root of every error that the worker and its clients raise on purpose."""


class BrokerUnreachableError(WorkerError):
    """No broker answered, or it did not let us in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One thing about one topic that is not as it has to be."""

    topic: str
    setting: str
    found: str
    wanted: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.found}, wanted {self.wanted}"


class TopicMismatchError(WorkerError):
    """Topics are missing or are not as they have to be; the message lists every one of them."""

    def __init__(self, mismatches: Sequence[Mismatch]) -> None:
        self.mismatches = tuple(mismatches)
        next_steps = dict.fromkeys(mismatch.next_step for mismatch in mismatches)
        lines = ("Topics are not as they have to be:", *(f"- {mismatch}" for mismatch in mismatches))
        super().__init__("\n".join((*lines, "Next step:", *(f"- {step}" for step in next_steps))))


class PublishError(WorkerError):
    """A record could not be delivered; the worker must stop, and a restart replays its inputs."""


class FencedError(PublishError):
    """This worker was out of touch for so long that another one may own its partitions by now."""


class TailUnreadableError(WorkerError):
    """The output's tail could not be read; processing without it would write wrong halves."""


class StalledError(WorkerError):
    """Records are waiting and nothing moves; a restart is the cure."""
