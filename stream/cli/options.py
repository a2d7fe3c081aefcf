"""Options that several commands share, and the settings they override."""

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from stream.cli.console import Exit, fail
from stream.worker.settings import Settings, faults

Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT",
        help="The Kafka to use, as it is. Otherwise SIGHTLINE_BOOTSTRAP, or 127.0.0.1:9092.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def settings_with(**overrides: Any) -> Settings:
    """The settings of the environment, overridden by those options that were given (are not None).

    Ends the command with the usage code when a value is not allowed, naming the variable it may have come
    from.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        fail(faults(error), code=Exit.USAGE)
