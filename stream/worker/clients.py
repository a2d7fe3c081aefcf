"""The one place that turns settings into options of Kafka clients: where the broker is, how to get in."""

import contextlib
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

from stream.worker.errors import BrokerUnreachableError
from stream.worker.settings import Settings

if TYPE_CHECKING:
    import faust

REQUEST_TIMEOUT_MS = 30_000
ADMIN_TIMEOUT_MS = 10_000
"""An operator waits for this one."""

FETCH_WAIT_MS = 100
"""How long the broker may hold a fetch that has nothing to give: also the age of the evidence of silence."""

FETCH_BYTES = 4 << 20
BATCH_BYTES = 256 << 10


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context where the protocol is one with TLS: certificates and host names are always checked."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    return ssl.create_default_context(cafile=settings.ssl_cafile)


def security_options(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client has to be told to be let in."""
    options: dict[str, Any] = {
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.password,
        }
    return options


def admin_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of an `AIOKafkaAdminClient`."""
    return _common(settings) | {"request_timeout_ms": ADMIN_TIMEOUT_MS}


def consumer_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of an `AIOKafkaConsumer` that commits nothing by itself."""
    return _common(settings) | {
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "enable_auto_commit": False,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "max_partition_fetch_bytes": FETCH_BYTES,
    }


def producer_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of an idempotent `AIOKafkaProducer`: nothing lost, nothing doubled, nothing delayed.

    With idempotence a batch is retried for ever: callers bound each send with `asyncio.wait_for`. Records are
    not compressed, since images already are.
    """
    return _common(settings) | {
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": 0,
        "max_batch_size": BATCH_BYTES,
        "max_request_size": max(spec.max_record_bytes for spec in settings.topic_specs),
        "compression_type": None,
    }


def faust_credentials(settings: Settings) -> "faust.Credentials | None":
    """The same, as Faust wants to be told; None for a broker that asks for nothing."""
    import faust

    context = ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.password,
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


@contextlib.contextmanager
def reaching_broker(settings: Settings) -> Iterator[None]:
    """Says what to do when a client that is started inside cannot reach the broker.

    Raises:
        BrokerUnreachableError: In place of aiokafka's bare "Unable to bootstrap", which it also gives when
            credentials are missing.
    """
    try:
        yield
    except (TimeoutError, KafkaConnectionError, AuthenticationFailedError, OSError) as error:
        raise BrokerUnreachableError(
            f"No Kafka lets us in at {settings.bootstrap} by {settings.security_protocol} ({error}). "
            "Start one with `sightline broker`, or name yours with --bootstrap (SIGHTLINE_BOOTSTRAP). "
            "If it does run there, it may want another protocol or other credentials: "
            "SIGHTLINE_SECURITY_PROTOCOL, SIGHTLINE_SASL_MECHANISM, SIGHTLINE_SASL_USERNAME, "
            "SIGHTLINE_SASL_PASSWORD, SIGHTLINE_SSL_CAFILE."
        ) from error


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap_servers": settings.bootstrap,
        "client_id": settings.app_id,
        **security_options(settings),
    }
