"""The `sightline` command: every command by name, imported only when it is run.

Some commands need Kafka clients, OpenCV or scikit-learn, which take seconds to import; `sightline --help`
needs none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a command is, and its line in the help."""

    module: str
    attribute: str
    """A function, or a `Typer` with commands of its own."""
    help: str


def _entry(module: str, attribute: str, text: str) -> Entry:
    return Entry(module=f"stream.cli.{module}", attribute=attribute, help=text)


COMMANDS: Mapping[str, Entry] = {
    "demo": _entry(
        "demo", "demo", "Run everything here: broker, worker, people, events, decisions, a summary."
    ),
    "broker": _entry("broker", "broker", "Run a single-node Apache Kafka on loopback until Ctrl-C."),
    "init": _entry("init", "init", "Create the topics; running it again changes nothing."),
    "worker": _entry("worker", "worker", "Run one worker until SIGTERM or Ctrl-C."),
    "enrol": _entry("enrol", "enrol", "Enrol a folder of people or a manifest, and wait for every answer."),
    "identities": _entry("identities", "app", "Who is enrolled: list, show."),
    "gallery": _entry("gallery", "app", "Look the live gallery over: check."),
    "withdraw": _entry("identities", "withdraw", "Withdraw an identity, and wait until it is erased."),
    "produce": _entry("produce", "produce", "Publish the photos and texts of a folder as subjects."),
    "tail": _entry("tail", "tail", "Show decisions as they are made."),
    "calibrate": _entry("calibrate", "calibrate", "Fit a policy to labelled people, and write its file."),
    "evaluate": _entry(
        "evaluate",
        "evaluate",
        "Measure recognition on labelled people: rates with intervals, by condition and mask.",
    ),
    "lag": _entry("lag", "lag", "Show what the workers have not answered yet, and for how long it waits."),
    "dlq": _entry("dlq", "app", "Dead letters: list, show, replay."),
    "models": _entry("models", "app", "Model packs: list, pull, verify, quantise."),
    "doctor": _entry(
        "doctor",
        "doctor",
        "Check Python, Java, npm, models, folders, broker, topics and clocks; name the cure of what is "
        "wrong.",
    ),
    "config": _entry("config", "app", "Settings: show each value and where it came from."),
    "asyncapi": _entry("asyncapi", "asyncapi", "Print the contract on the wire as AsyncAPI 3."),
    "version": _entry("version", "version", "Show the versions of Sightline and of what it stands on."),
}
"""In the order of the help."""


class LazyCommands(TyperGroup):
    """Looks commands up in the table, and imports one only to run it or to show its own help."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class's signature
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base class's signature
        """The command; while the overview is written, a stand-in with its line of help."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return _stand_in(cmd_name, entry) if self._listing else load(cmd_name, entry)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The overview, without importing anything."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def load(name: str, entry: Entry) -> Any:
    """The command itself."""
    found = getattr(import_module(entry.module), entry.attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command(name)(function)
    return typer.main.get_command(found)


def _stand_in(name: str, entry: Entry) -> Any:
    alone = typer.Typer(add_completion=False)
    alone.command(name, help=entry.help)(lambda: None)
    return typer.main.get_command(alone)


app = typer.Typer(cls=LazyCommands, name="sightline", no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def sightline() -> None:
    """Streaming recognition: images and texts about a subject in, one decision about it out."""


def main() -> None:
    """The console script."""
    app()
