"""`sightline models` lists, fetches and checks packs, for people and for programs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.models import app
from stream.features.models import PACKS, pack_named

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def empty_cache(no_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SIGHTLINE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_list_has_every_pack_with_licence_and_provenance() -> None:
    """What is known and what is not stands in the list, and `complete` says what is here."""
    done = RUNNER.invoke(app, ["list", "--json"])
    assert done.exit_code == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert set(rows) == set(PACKS)
    assert not any(row["complete"] for row in rows.values())
    assert rows["faceplugin"]["licence"] == "MIT"
    people = RUNNER.invoke(app, ["list"])
    assert people.exit_code == 0
    assert "is not documented" in people.stdout


def test_verify_fails_until_the_pack_is_there(empty_cache: Path) -> None:
    """Exit code 1 and the command that mends it; with --json the faults are data."""
    done = RUNNER.invoke(app, ["verify"])
    assert done.exit_code == 1
    assert "fr_detect.onnx is missing; run `sightline models pull faceplugin`" in done.stdout
    (row,) = json.loads(RUNNER.invoke(app, ["verify", "mobilefacenet", "--json"]).stdout)
    assert row["faults"] == [f"{file.name} is missing" for file in pack_named("mobilefacenet").files]


def test_pull_from_a_folder_makes_the_pack_complete(shared: Path | None, empty_cache: Path) -> None:
    """Afterwards verify is content."""
    if shared is None:
        pytest.skip("the files of this pack come from ../shared, which is not there")
    done = RUNNER.invoke(app, ["pull", "mobilefacenet", "--from", str(shared / "models")])
    assert done.exit_code == 0, done.output
    assert RUNNER.invoke(app, ["verify", "mobilefacenet"]).exit_code == 0
    (row,) = json.loads(RUNNER.invoke(app, ["pull", "mobilefacenet", "--json"]).stdout)
    assert row["complete"]
    assert row["faults"] == []


def test_a_pull_that_cannot_work_says_what_to_do(tmp_path: Path) -> None:
    """Exit code 1, nothing on stdout, and the cure on stderr."""
    done = RUNNER.invoke(app, ["pull", "mobilefacenet"])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "sightline models pull mobilefacenet --from FOLDER" in done.stderr
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for file in pack_named("faceplugin").files:
        (wrong / file.name).write_bytes(b"something else")
    done = RUNNER.invoke(app, ["pull", "--from", str(wrong)])
    assert done.exit_code == 1
    assert "it was removed" in done.stderr


@pytest.mark.parametrize("command", ["pull", "verify"])
def test_a_misspelt_pack_is_a_usage_error(command: str) -> None:
    """Exit code 2, with the names that there are."""
    done = RUNNER.invoke(app, [command, "faceplugn"])
    assert done.exit_code == 2
    assert "faceplugn" in done.stderr
