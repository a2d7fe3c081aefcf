"""The one error tree of this package: catch `BrokerUnavailableError` to catch them all."""

WAY_OUT = "Or use a Kafka you already have: --bootstrap host:port (SIGHTLINE_BOOTSTRAP)."
"""The last sentence of every message: what to do when none of this can work here."""


class BrokerUnavailableError(Exception):
    """No broker can be had on this machine."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} {WAY_OUT}")


class JavaNotFoundError(BrokerUnavailableError):
    """No Java that is new enough was found."""


class JarsUnavailableError(BrokerUnavailableError):
    """Kafka's jars are neither in the cache nor to be downloaded whole."""
