"""`sightline broker`, `init` and `doctor` as an operator meets them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stream.cli.broker import broker
from stream.cli.doctor import doctor
from stream.cli.init import init
from stream.cli.version import version
from stream.local.jars import pinned_jars
from stream.local.kafka import LocalKafka
from stream.local.ports import LOOPBACK, is_free
from stream.worker.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("no_environment")]

PATIENCE_S = 20.0
NOBODY = f"{LOOPBACK}:1"

app = typer.Typer()
for command in (broker, init, doctor, version):
    app.command(command.__name__)(command)


def run(*arguments: str, prefix: str = "sightline") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    result = CliRunner().invoke(app, list(arguments), env={"SIGHTLINE_TOPIC_PREFIX": prefix})
    return result.exit_code, result.stdout, result.stderr


def test_init_reports_what_it_did_and_what_is_wrong(kafka: LocalKafka, topics_prefix: str) -> None:
    """Created, then existing, then - with another partition count - wrong and exit code 1."""
    arguments = ("init", "--bootstrap", kafka.bootstrap, "--json", "--partitions")
    code, stdout, _ = run(*arguments, "2", prefix=topics_prefix)
    created = json.loads(stdout)["created"]
    assert (code, len(created)) == (0, len(Settings().topic_specs))
    code, stdout, _ = run(*arguments, "2", prefix=topics_prefix)
    assert (code, json.loads(stdout)) == (0, {"created": [], "existing": created, "wrong": []})
    code, stdout, _ = run(*arguments, "3", prefix=topics_prefix)
    wrong = json.loads(stdout)["wrong"]
    assert (code, {(w["setting"], w["found"], w["wanted"]) for w in wrong}) == (
        1,
        {("partition count", "2", "3")},
    )
    code, stdout, stderr = run(*arguments[:3], "--partitions", "3", prefix=topics_prefix)
    assert (code, stdout) == (1, "")
    assert "partition count is 2, wanted 3" in stderr


@pytest.mark.parametrize("arguments", [("--partitions", "0"), ("--nonsense",)])
def test_a_command_called_wrongly_ends_with_2(arguments: tuple[str, ...]) -> None:
    """Usage is told apart from failure."""
    assert run("init", *arguments)[0] == 2


def test_a_variable_that_is_not_valid_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is an edge too."""
    monkeypatch.setenv("SIGHTLINE_GRACE_MS", "soon")
    code, _, stderr = run("init")
    assert code == 2
    assert "SIGHTLINE_GRACE_MS" in stderr


def test_no_broker_ends_with_1_and_the_way_out() -> None:
    """The command that needs a broker says how to get one."""
    code, _, stderr = run("init", "--bootstrap", NOBODY)
    assert code == 1
    assert "sightline broker" in stderr


def checks(stdout: str) -> dict[str, dict[str, str]]:
    return {check["check"]: check for check in json.loads(stdout)["checks"]}


def test_doctor_finds_broker_topics_and_clock(settings: Settings) -> None:
    """The broker answers, its clock is read without writing anything, and wrong topics are found."""
    _, stdout, _ = run("doctor", "--bootstrap", settings.bootstrap, "--json", prefix=settings.topic_prefix)
    found = checks(stdout)
    assert found["broker"]["health"] == "ok"
    assert "ms against this one" in found["clock"]["found"]
    assert found["clock"]["health"] == "ok"
    assert found["topics"]["health"] == "failed"
    assert "partition count is 2, wanted 8" in found["topics"]["found"]


def test_doctor_names_the_cure_of_everything_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without broker, models and folder: exit code 1, each failure with a cure, the rest skipped."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIGHTLINE_CACHE_DIR", str(tmp_path / "file"))
    code, stdout, _ = run("doctor", "--bootstrap", NOBODY, "--json")
    assert code == 1
    found = checks(stdout)
    failed = {name for name, check in found.items() if check["health"] == "failed"}
    assert failed == {"cache folder", "models", "broker"}
    assert all(found[name]["cure"] for name in failed)
    assert found["topics"]["health"] == found["clock"]["health"] == "skipped"
    code, stdout, _ = run("doctor", "--bootstrap", NOBODY)
    assert code == 1
    assert stdout.count("cure:") == len(failed)


def test_version_tells_what_matters() -> None:
    """The engine's pins and the Kafka that the tests ran on."""
    code, stdout, _ = run("version", "--json")
    told = json.loads(stdout)
    assert (code, told["kafka"], told["faust-streaming"]) == (0, pinned_jars().kafka, "0.15.3")
    assert "aiokafka" in run("version")[1]


COMMAND = "import typer; from stream.cli.broker import broker; typer.run(broker)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_broker_runs_in_the_foreground_until_it_is_asked_to_stop(tmp_path: Path, number: int) -> None:
    """Its address is the one line on stdout; asked to stop it ends with 0, and nothing holds the port."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--port", "0", "--data", str(tmp_path), "--init"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert run("init", "--bootstrap", address)[1].count("existing") == len(Settings().topic_specs)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout) == (0, "")
    assert "its data stays" in stderr
    assert is_free(int(address.rpartition(":")[2]))


def test_a_port_that_is_taken_ends_the_broker_command_with_1(kafka: LocalKafka, tmp_path: Path) -> None:
    """The port stands in the message, and so does another one to try."""
    port = kafka.bootstrap.rpartition(":")[2]
    code, stdout, stderr = run("broker", "--port", port, "--data", str(tmp_path))
    assert (code, stdout) == (1, "")
    assert f"Port {port}" in stderr
