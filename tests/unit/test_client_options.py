"""Settings become the options of Kafka clients in one place."""

import ssl
from pathlib import Path

import faust
import pytest
from pydantic import SecretStr, ValidationError

from stream.worker.clients import (
    admin_options,
    consumer_options,
    faust_credentials,
    producer_options,
    security_options,
)
from stream.worker.settings import Settings

pytestmark = pytest.mark.usefixtures("no_environment")

ALL = (admin_options, consumer_options, producer_options)


def secured(protocol: str) -> Settings:
    return Settings(security_protocol=protocol, sasl_username="u", sasl_password=SecretStr("p"))  # type: ignore[arg-type]  # a table of literals


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("options", ALL)
def test_every_client_gets_the_same_way_in(protocol: str, options: object) -> None:
    """Protocol, TLS context and credentials are the same for all; TLS checks names and certificates."""
    made = options(secured(protocol))  # type: ignore[operator]  # one of ALL
    assert made["security_protocol"] == protocol
    context = made["ssl_context"]
    assert (context is not None) == protocol.endswith("SSL")
    if context is not None:
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
    given = (made.get("sasl_mechanism"), made.get("sasl_plain_username"), made.get("sasl_plain_password"))
    assert given == (("SCRAM-SHA-512", "u", "p") if protocol.startswith("SASL") else (None, None, None))


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_faust_is_told_the_same(protocol: str) -> None:
    """Faust derives the protocol from the kind of credentials; it comes out as set."""
    credentials = faust_credentials(secured(protocol))
    if protocol == "PLAINTEXT":
        assert credentials is None
        return
    assert isinstance(credentials, faust.SASLCredentials | faust.SSLCredentials)
    assert credentials.protocol.value == protocol


def test_producers_lose_nothing_and_double_nothing() -> None:
    """Acknowledged by all replicas, idempotent, at once, and large enough for what the topics take."""
    settings = Settings(max_image_bytes=9 << 20)
    made = producer_options(settings)
    assert (made["acks"], made["enable_idempotence"], made["linger_ms"]) == ("all", True, 0)
    assert made["max_request_size"] == max(spec.max_record_bytes for spec in settings.topic_specs)


def test_consumers_never_commit_by_themselves() -> None:
    """Offsets are acknowledged by the frontier alone."""
    assert consumer_options(Settings())["enable_auto_commit"] is False


def test_a_password_is_not_in_the_settings_text() -> None:
    """A log of the settings shows stars."""
    settings = Settings(security_protocol="SASL_SSL", sasl_password=SecretStr("hunter2"))
    assert "hunter2" not in repr(settings)
    assert security_options(settings)["sasl_plain_password"] == "hunter2"  # noqa: S105 (a password that opens nothing)


def test_a_password_may_stand_in_a_file(tmp_path: Path) -> None:
    """It goes before the one in the environment, and its last line's end is not part of it."""
    file = tmp_path / "password"
    file.write_text("from file \n")
    settings = Settings(
        security_protocol="SASL_SSL", sasl_username="u", sasl_password=SecretStr("p"), sasl_password_file=file
    )
    assert security_options(settings)["sasl_plain_password"] == "from file "  # noqa: S105  # of a test


def test_a_password_file_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    """The operator hears of the file, not of a broker that lets nobody in."""
    with pytest.raises(ValidationError, match="cannot be read: No such file"):
        Settings(sasl_password_file=tmp_path / "missing")
