"""The one error tree of the shell: catch `WorkerError` to catch them all; messages name the next step."""


class WorkerError(Exception):
    """Root of every error that the worker and its clients raise on purpose."""


class BrokerUnreachableError(WorkerError):
    """No broker answered, or it did not let us in."""


class TopicMismatchError(WorkerError):
    """Topics are missing or are not as they have to be; the message lists every one of them."""


class PublishError(WorkerError):
    """A record could not be delivered; the worker must stop, and a restart replays its inputs."""


class FencedError(PublishError):
    """This worker was out of touch for so long that another one may own its partitions by now."""


class TailUnreadableError(WorkerError):
    """The output's tail could not be read; processing without it would write wrong halves."""


class StalledError(WorkerError):
    """Records are waiting and nothing moves; a restart is the cure."""
