"""The people of a demo run, gathered with a progress bar before anything is started or timed."""

import os
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream.cli.console import err
from stream.demo.choice import Kind, choose
from stream.demo.folders import read_people
from stream.demo.lfw import fetch_lfw
from stream.demo.people import People, cast
from stream.demo.rendered import RenderPlan, render_people

PROBES_RENDERED = (1, 6)
"""Fewest and most photos of a rendered person that are searched for: each costs 50 ms of a core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom a run asks for."""

    data: Path | None
    lfw: bool
    rendered: bool
    people: int
    subjects: int
    seed: int


def gather(wanted: Wanted) -> People:
    """The people of the run: those of the source that is chosen, as many as were asked for.

    Raises:
        PeopleError: The source cannot be read, or has too few people.
    """
    choice = choose(wanted.data, lfw=wanted.lfw, rendered=wanted.rendered)
    match choice.kind:
        case Kind.FILES if choice.path is not None:
            return cast(choice.name, read_people(choice.path), limit=wanted.people, seed=wanted.seed)
        case Kind.LFW:
            return cast(choice.name, fetch_lfw(), limit=wanted.people, seed=wanted.seed)
        case _:
            return _render(wanted)


def _render(wanted: Wanted) -> People:
    fewest, most = PROBES_RENDERED
    strangers = ceil(wanted.people / 2)
    probes = min(most, max(fewest, ceil(wanted.subjects / (wanted.people + strangers))))
    return render(RenderPlan(enrolled=wanted.people, strangers=strangers, probes=probes, seed=wanted.seed))


def render(plan: RenderPlan) -> People:
    """The people of a plan, in all cores, with a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("rendering people", total=len(plan.photos))
        return render_people(
            plan,
            processes=os.cpu_count() or 1,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
