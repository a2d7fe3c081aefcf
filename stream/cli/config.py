"""`sightline config`: each setting, its value, and where it came from."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from stream.cli.console import out, print_json
from stream.cli.options import AsJson, settings_with
from stream.worker.settings import Settings

app = typer.Typer(
    name="config",
    help="Settings: show each value and where it came from.",
    no_args_is_help=True,
    add_completion=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it is in force."""

    variable: str
    value: Any
    origin: str
    """`default` or `environment`."""


@app.callback()
def config() -> None:
    """Settings: show each value and where it came from."""


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show every setting as a worker started here would have it; secrets as stars."""
    found = tuple(in_force(settings_with()))
    if as_json:
        print_json([asdict(setting) for setting in found])
        return
    table = Table("variable", "value", "from")
    for setting in found:
        value = "" if setting.value is None else escape(str(setting.value))
        table.add_row(setting.variable, value, setting.origin)
    out.print(table)


def in_force(settings: Settings) -> Iterator[Setting]:
    """The settings in the order of their home."""
    for name, value in settings.model_dump(mode="json").items():
        origin = "environment" if name in settings.model_fields_set else "default"
        yield Setting(variable=f"SIGHTLINE_{name.upper()}", value=value, origin=origin)
