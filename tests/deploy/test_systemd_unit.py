"""The systemd unit starts commands that exist, with settings that exist, and restarts for ever."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from stream.cli.main import COMMANDS
from stream.worker.service import EXIT_WITHIN_S
from tests.deploy.environment import accept

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "sightline-worker.service"


def directives() -> dict[str, list[str]]:
    """Values by name, as systemd reads them: one name may stand more than once."""
    found = defaultdict(list)
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE):
        found[name].append(value)
    return found


def test_it_runs_commands_of_ours() -> None:
    """First the models, then the worker."""
    unit = directives()
    commands = [line.split()[1] for line in (*unit["ExecStartPre"], *unit["ExecStart"])]
    assert commands == ["models", "worker"]
    assert set(commands) <= set(COMMANDS)


def test_its_variables_are_settings(monkeypatch: pytest.MonkeyPatch, no_environment: None) -> None:
    """The cache is the folder that systemd makes for it."""
    unit = directives()
    [line] = unit["Environment"]
    settings = accept(dict(part.split("=", 1) for part in line.split()), monkeypatch)
    assert str(settings.cache_dir) == f"/var/cache/{unit['CacheDirectory'][0]}"


def test_it_restarts_for_ever_and_waits_for_a_stop() -> None:
    """A worker ends on any failure, so that a restart replays."""
    unit = directives()
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert int(unit["TimeoutStopSec"][0]) > EXIT_WITHIN_S
