"""What every command prints with: people read stderr and tables, programs read one JSON document on stdout.

Exit codes: 0 all is well; 1 it failed, and stderr says why and what to do; 2 the command was called wrongly.
"""

import json
import logging
from enum import IntEnum
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

# aiokafka logs each failed attempt, which Python prints where no handler is; our errors say it once.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    FAILURE = 1
    USAGE = 2


out = Console(soft_wrap=True, highlight=False)
"""Results."""

err = Console(stderr=True, soft_wrap=True, highlight=False)
"""Progress and errors."""


def fail(message: object, *, code: Exit = Exit.FAILURE) -> NoReturn:
    """Says what went wrong and what to do - our error messages hold both - and ends the command."""
    err.print(f"[bold red]error:[/] {escape(str(message))}")
    raise typer.Exit(int(code))


def print_json(value: Any) -> None:
    """Prints one JSON document on stdout, without colour and without NaN."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
