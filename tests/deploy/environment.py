"""Environment variables of a deployment, held against the settings."""

from collections.abc import Mapping

import pytest

from stream.worker.settings import Settings


def accept(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of an environment; fails where a variable is none, or is taken for another value."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    for name, value in environment.items():
        prefix, _, field = name.partition("_")
        assert prefix == "SIGHTLINE", name
        assert str(getattr(settings, field.lower())).lower() == value.lower(), name
    return settings
