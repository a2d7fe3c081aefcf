"""`sightline config show` tells every setting in force, where it came from, and no secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.cli.main import app
from stream.worker.settings import Settings

pytestmark = pytest.mark.usefixtures("no_environment")


def shown(environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What the command prints as JSON, by variable."""
    result = CliRunner().invoke(app, ["config", "show", "--json"], env=environment)
    assert result.exit_code == 0, result.output
    return {setting["variable"]: setting for setting in json.loads(result.stdout)}


def test_every_setting_is_shown_with_its_origin() -> None:
    """In the order of their home; one from the environment says so even where it equals the default."""
    found = shown({"SIGHTLINE_WINDOW_MS": "5000", "SIGHTLINE_GRACE_MS": "1000"})
    assert list(found) == [f"SIGHTLINE_{name.upper()}" for name in Settings.model_fields]
    assert found["SIGHTLINE_WINDOW_MS"] == {
        "variable": "SIGHTLINE_WINDOW_MS",
        "value": 5000,
        "origin": "environment",
    }
    assert found["SIGHTLINE_GRACE_MS"]["origin"] == "environment"
    assert found["SIGHTLINE_MAX_SKEW_MS"]["origin"] == "default"


def test_a_secret_is_shown_as_stars(tmp_path: Path) -> None:
    """Neither the password nor what its file holds."""
    file = tmp_path / "password"
    file.write_text("sesame")
    found = shown({"SIGHTLINE_SASL_PASSWORD": "hunter2", "SIGHTLINE_SASL_PASSWORD_FILE": str(file)})
    assert found["SIGHTLINE_SASL_PASSWORD"]["value"] == "**********"
    assert "hunter2" not in str(found)
    assert "sesame" not in str(found)


def test_people_read_a_table() -> None:
    """The same, without JSON."""
    result = CliRunner().invoke(app, ["config", "show"], env={"SIGHTLINE_WINDOW_MS": "5000"})
    assert result.exit_code == 0
    assert "SIGHTLINE_WINDOW_MS" in result.stdout
    assert "environment" in result.stdout


def test_a_setting_that_is_not_allowed_is_named() -> None:
    """As every command does: the variable, and what is wrong with it."""
    result = CliRunner().invoke(app, ["config", "show"], env={"SIGHTLINE_WINDOW_MS": "0"})
    assert result.exit_code == 2
    assert "SIGHTLINE_WINDOW_MS" in result.stderr
