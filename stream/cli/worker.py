"""`sightline worker`: one worker in the foreground."""

import typer

from stream.cli.options import Bootstrap, settings_with
from stream.worker.service import run


def worker(bootstrap: Bootstrap = None) -> None:
    """Run one worker until SIGTERM or Ctrl-C. Everything else is set by SIGHTLINE_… in the environment."""
    raise typer.Exit(run(settings_with(bootstrap=bootstrap)))
