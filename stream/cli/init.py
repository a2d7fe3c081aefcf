"""`sightline init`: the topics, made once."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from stream.cli.console import Exit, fail, out, print_json
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.worker.admin import init_topics
from stream.worker.errors import TopicMismatchError, WorkerError

Partitions = Annotated[
    int | None,
    typer.Option(
        "--partitions", min=1, help="Of every co-partitioned topic. Otherwise SIGHTLINE_PARTITIONS, or 8."
    ),
]


def init(bootstrap: Bootstrap = None, partitions: Partitions = None, as_json: AsJson = False) -> None:
    """Create the topics; running it again changes nothing. A topic that is wrong is refused by name."""
    settings = settings_with(bootstrap=bootstrap, partitions=partitions)
    try:
        report = asyncio.run(init_topics(settings))
    except TopicMismatchError as error:
        if as_json:
            wrong = [asdict(mismatch) for mismatch in error.mismatches]
            print_json({"created": [], "existing": [], "wrong": wrong})
            raise typer.Exit(Exit.FAILURE) from error
        fail(error)
    except WorkerError as error:
        fail(error)
    if as_json:
        print_json({**asdict(report), "wrong": []})
        return
    for state, names in (("created", report.created), ("existing", report.existing)):
        for name in names:
            out.print(f"{state:<9} {name}")
