"""`sightline demo`: the main job on this machine, from nothing to a summary whose numbers can be checked."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.console import Exit, err, out, print_json
from stream.cli.demo_people import Wanted, gather
from stream.cli.demo_run import Run, hold_until_interrupted, running_service, streamed
from stream.cli.demo_view import summary
from stream.cli.kafka_clients import new_run_id
from stream.cli.options import settings_with
from stream.cli.running import ending_well
from stream.demo.report import as_json as report_as_json
from stream.demo.traffic import Shape

PeopleCount = Annotated[int, typer.Option("--people", min=1, help="How many to enrol.")]
RateHz = Annotated[float, typer.Option("--rate", min=0.1, help="Subjects a second.")]
Seconds = Annotated[float, typer.Option("--seconds", min=1, help="How long to stream.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="A folder of people or a manifest CSV. Otherwise SIGHTLINE_DATA."),
]
Lfw = Annotated[
    bool, typer.Option("--lfw", help="Fetch Labeled Faces in the Wild where no photos are at hand.")
]
Rendered = Annotated[bool, typer.Option("--rendered", help="Render people, even where photos are at hand.")]
Keep = Annotated[bool, typer.Option("--keep", help="Stay up after the summary, until Ctrl-C.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, all else on stderr.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of people and traffic.")]
Pack = Annotated[str | None, typer.Option("--pack", help="Model pack: see `sightline models list`.")]
Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT",
        help="A Kafka to use instead of the demo's own; its topics are made there, and deleted at the end.",
    ),
]
Partitions = Annotated[int, typer.Option("--partitions", min=1, help="Of each topic.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Worker processes that share the partitions.")]


def demo(
    people: PeopleCount = 60,
    rate: RateHz = 15.0,
    seconds: Seconds = 40.0,
    data: Data = None,
    lfw: Lfw = False,
    rendered: Rendered = False,
    seed: Seed = 0,
    pack: Pack = None,
    bootstrap: Bootstrap = None,
    partitions: Partitions = 4,
    workers: Workers = 1,
    keep: Keep = False,
    as_json: AsJson = False,
) -> None:
    """Run everything here: broker, worker, people, events, decisions, a summary.

    Enrols people through the enrolment topic, streams images and texts of them and of strangers - some
    late, some twice, some poisonous -, and closes with rates against the truth and an account of every
    event. Exits with 0 only if every event is accounted for and nothing was decided wrongly or twice.
    Latency is the time from the append of the last input that a complete decision needed to the append of
    the decision, by the broker's clock.
    """
    name = f"demo-{new_run_id()}"
    subjects = max(1, round(rate * seconds))
    with ending_well(), tempfile.TemporaryDirectory(prefix="sightline-demo-") as folder:
        settings = settings_with(
            bootstrap=bootstrap,
            pack=pack,
            partitions=partitions,
            # On somebody's own Kafka the demo must not meet what is there, nor what an earlier demo left.
            topic_prefix=f"sightline-{name}" if bootstrap else None,
            app_id=f"sightline-{name}" if bootstrap else None,
        )
        run = Run(
            name=name,
            people=gather(
                Wanted(data=data, lfw=lfw, rendered=rendered, people=people, subjects=subjects, seed=seed)
            ),
            shape=Shape(
                subjects=subjects, rate_hz=rate, window_ms=settings.window_ms, grace_ms=settings.grace_ms
            ),
            seed=seed,
            workers=workers,
            log=Path(folder) / "worker.log",
        )
        with running_service(run, settings, bootstrap) as service:
            report = streamed(run, service)
            if as_json:
                print_json(report_as_json(report))
            else:
                out.print(summary(report, target_fpir=service.target_fpir))
            if keep:
                hold_until_interrupted(service)
    err.print("Nothing is left running.")
    raise typer.Exit(Exit.OK if report.balances else Exit.FAILURE)
