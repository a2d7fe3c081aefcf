"""`sightline enrol`: people into the gallery."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stream.cli.console import Exit, err, out, print_json
from stream.cli.enrolling import enrol_all
from stream.cli.kafka_clients import new_run_id
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.cli.running import ending_well, run
from stream.demo.folders import read_people
from stream.demo.people import Role
from stream.events import EnrolmentResult

PeoplePath = Annotated[
    Path, typer.Argument(help="A folder of people (DIR/<identity>/<photo>.jpg) or a manifest CSV.")
]
AllowRejects = Annotated[
    bool, typer.Option("--allow-rejects", help="Exit with 0 though some photos were rejected.")
]

Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with 1 though a photo was only warned of. What is rejected, the worker's "
        "SIGHTLINE_REVIEW says.",
    ),
]


def enrol(
    path: PeoplePath,
    bootstrap: Bootstrap = None,
    allow_rejects: AllowRejects = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Enrol a folder of people or a manifest, and wait for every answer.

    Of a manifest with roles those photos are enrolled that it says to. Enrolling the same files again
    replaces their templates.
    """
    settings = settings_with(bootstrap=bootstrap)
    with ending_well():
        photos = [p for p in read_people(path) if p.role in {Role.ENROL, None}]
    with counting("enrolling", len(photos)) as tick:
        results = run(enrol_all(settings, new_run_id(), photos, on_result=tick))
    _report(results, as_json=as_json)
    rejected = any(not result.accepted for result in results)
    warned = any(result.warnings for result in results)
    if (rejected and not allow_rejects) or (warned and strict):
        raise typer.Exit(Exit.FAILURE)


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[object], None]]:
    """A progress bar on stderr; each call of what it gives moves it on by one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda _done: bar.advance(task)


def _report(results: tuple[EnrolmentResult, ...], *, as_json: bool) -> None:
    rejected = [result for result in results if not result.accepted]
    warned = [result for result in results if result.accepted and result.warnings]
    accepted = len(results) - len(rejected)
    identities = len({result.identity_id for result in results if result.accepted})
    if as_json:
        print_json(
            {
                "accepted": accepted,
                "identities": identities,
                "rejected": [asdict(result) for result in rejected],
                "reasons": dict(Counter(reason for result in rejected for reason in result.reasons)),
                "warned": [asdict(result) for result in warned],
                "warnings": dict(Counter(code for result in warned for code in result.warnings)),
            }
        )
        return
    out.print(
        f"{accepted} templates of {identities} identities enrolled, {len(warned)} of them with a warning; "
        f"{len(rejected)} rejected"
    )
    if rejected or warned:
        table = Table("identity", "template", "answer", "codes", "detail")
        for result in (*rejected, *warned):
            table.add_row(
                escape(result.identity_id),
                escape(result.template_id or ""),
                "rejected" if result.reasons else "warning",
                ", ".join((*result.reasons, *result.warnings)),
                escape(result.detail),
            )
        out.print(table)
