"""The errors of the stream's core: catch `StreamError` to catch them all. Bad input is never one."""


class StreamError(Exception):
    """Root of every error that the core of `stream` raises."""


class JoinPolicyError(StreamError, ValueError):
    """A join policy contradicts itself."""


class UnknownTopicError(StreamError, KeyError):
    """A clock was told of a topic that is none of its inputs."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class RecordError(StreamError, ValueError):
    """A record of our own cannot be written: a fault of the code that made it, not of any input."""
