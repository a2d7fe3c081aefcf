"""Free loopback ports that stay free long enough for a JVM to bind them."""

import random
import socket

LOOPBACK = "127.0.0.1"

RANGE = range(15_000, 32_000)
"""Below the ports that Linux gives to outgoing connections (32768-60999). A client that keeps trying a dead
port of that range is at times given the very same port for its own end and connects to itself; the broker can
then not take its port back. Asking the system for "any" port (0) gives one of that range."""

ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether a server could bind this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the JVM binds: connections of an earlier broker in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(*, but: frozenset[int] = frozenset()) -> int:
    """A loopback port that is free now, drawn at random so that runs side by side do not meet.

    It can be taken before it is used: whoever starts a server on it tries again with another one.

    Raises:
        OSError: Of `ATTEMPTS` ports drawn, none was free.
    """
    draw = random.SystemRandom()
    for _ in range(ATTEMPTS):
        port = draw.choice(RANGE)
        if port not in but and is_free(port):
            return port
    raise OSError(f"no free port among {ATTEMPTS} drawn from {RANGE.start}-{RANGE.stop - 1} on {LOOPBACK}")
