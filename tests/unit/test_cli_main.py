"""The `sightline` command: every command has its help, the overview is quick, errors say what to do."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stream.cli.main import COMMANDS, app, load
from stream.cli.running import INTERRUPTED, ending_well, run
from stream.demo.errors import PeopleError
from stream.local.ports import LOOPBACK, free_port
from stream.worker.errors import PublishError

HEAVY = ("aiokafka", "cv2", "faust", "numpy", "pydantic", "sklearn")

runner = CliRunner()


def test_the_overview_lists_every_command_in_order() -> None:
    """A newcomer finds the demo first."""
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0
    places = [shown.stdout.index(f" {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_the_overview_imports_nothing_heavy() -> None:
    """Help is there at once: no client, no OpenCV, no settings."""
    code = (
        "import sys; from typer.testing import CliRunner; from stream.cli.main import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_of_its_own(name: str) -> None:
    """Each can be imported and explains itself."""
    shown = runner.invoke(app, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert name in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_what_the_command_says_of_itself(name: str) -> None:
    """The table of commands does not drift from their docstrings."""
    said = " ".join((load(name, COMMANDS[name]).help or "").split())
    assert said.startswith(COMMANDS[name].help.removesuffix("."))


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    """Exit code 2, and the name that nobody knows."""
    shown = runner.invoke(app, ["tial"])
    assert shown.exit_code == 2
    assert "tial" in shown.output


@pytest.mark.parametrize("command", ["enrol", "produce"])
def test_a_path_that_is_not_there_is_named(command: str, no_environment: None) -> None:
    """No broker is asked before the files are read."""
    shown = runner.invoke(app, [command, "nowhere"])
    assert shown.exit_code == 1
    assert "nowhere does not exist" in shown.stderr


@pytest.mark.parametrize(
    "command", [["tail"], ["identities", "list"], ["identities", "show", "ann"], ["withdraw", "ann"]]
)
def test_without_a_broker_the_error_names_the_way_to_one(command: list[str], no_environment: None) -> None:
    """Exit code 1, and how to start or name a broker."""
    shown = runner.invoke(app, [*command, "--bootstrap", f"{LOOPBACK}:{free_port()}"])
    assert shown.exit_code == 1
    assert "sightline broker" in shown.stderr


def test_a_demo_on_a_folder_without_people_ends_before_anything_starts(
    tmp_path: Path, no_environment: None
) -> None:
    """The people are looked at first."""
    shown = runner.invoke(app, ["demo", "--data", str(tmp_path)])
    assert shown.exit_code == 1
    assert "holds no photos" in shown.stderr


def raising(error: BaseException) -> Callable[[], None]:
    """Work that fails so."""

    def work() -> None:
        raise error

    return work


def terminating() -> None:
    """Work that is asked to end, as a service manager asks."""
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (raising(PublishError("mend it")), 1),
        (raising(PeopleError("mend it")), 1),
        (raising(ExceptionGroup("tasks", [ExceptionGroup("more", [PublishError("mend it")])])), 1),
        (raising(KeyboardInterrupt()), INTERRUPTED),
        (terminating, INTERRUPTED),
    ],
)
def test_what_ends_a_command_decides_its_exit_code(
    work: Callable[[], None], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors with a next step give 1 and are told; interruptions give 130 and are not."""
    with pytest.raises(typer.Exit) as ended, ending_well():
        work()
    assert ended.value.exit_code == code
    assert ("mend it" in capsys.readouterr().err) == (code == 1)


def test_a_failure_nobody_expected_keeps_its_traceback() -> None:
    """A defect is not disguised as an error of the operator's."""
    with pytest.raises(ExceptionGroup), ending_well():
        raise ExceptionGroup("tasks", [PublishError("known"), ZeroDivisionError()])


def test_an_interrupted_task_cleans_up_before_the_command_ends() -> None:
    """SIGTERM cancels the work, and its `finally` runs."""
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    with pytest.raises(typer.Exit) as ended:
        run(work())
    assert (ended.value.exit_code, cleaned) == (INTERRUPTED, [True])


def test_handlers_are_put_back() -> None:
    """A command leaves the process as it found it."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with ending_well():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
