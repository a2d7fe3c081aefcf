"""The whole service against what it could be at best: the same job bare, by a minimal client, by the worker.

- *bare*: no Kafka; photos and texts from memory to encoded decisions, in one process.
- *client*: reads both topics, joins in a dict, decides, produces, commits by count; nothing survives a crash.
- *sightline*: the real worker with its durable join.

All three have the same kernels, gallery, threads and subjects, and take turns; the worker is held meanwhile
(SIGSTOP), and released on a backlog that is whole. Kafka's contenders are timed from release to the append of
their last decision. A run in which two of them say different things about any subject fails. Latency is the
append of a decision less the append of its last input, at a fixed rate. What counts are the ratios: they are
taken within a round, and whatever else the machine does strikes all alike.

    python bench/pipeline.py [--quick] [--json]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from labelled_features import DEFAULT_DATA
from pipeline_job import Job, Run, bare, gallery_records, number_of, subjects_of
from pipeline_kafka import client, publish, publish_gallery
from pipeline_report import (
    CONTENDERS,
    RATIOS,
    Latency,
    Round,
    cost,
    decisions,
    latency_report,
    machine,
    per_s,
    print_tables,
    ratio,
)
from pipeline_service import Witness, Worker, cpu_s_of, sightline

from stream.demo.folders import read_people
from stream.demo.people import People, cast
from stream.demo.rendered import RenderPlan, render_people
from stream.features.models import pack_named
from stream.local.jars import pinned_jars
from stream.local.kafka import LocalKafka
from stream.local.model_pull import pull
from stream.worker.admin import init_topics
from stream.worker.settings import Settings

EVERYBODY = 100_000
RENDERED = RenderPlan(enrolled=24, strangers=24, probes=1)
MOST_SUBJECTS = 1_000
"""Of a round: while the others do them the worker is held, and may not be so for half its session."""
SESSION_S = 240.0
GRACE_MS = 600_000
"""While the worker was held time went on, and nothing that it reads afterwards may be late for that."""
WARM_UP_SUBJECTS = 60
WARM_UP_S = 1.0
"""Start of a latency run that is not counted: connections, and the first fetches."""
LEVELS = (0.2, 0.5, 0.8)


class Contest:
    """The three contenders on one broker, ready to take turns."""

    def __init__(self, job: Job, broker_pid: int | None, stack: ExitStack) -> None:
        """Makes the topics, enrols everybody, starts what has to run; all of it ends with the stack."""
        self._job = job
        self._broker_pid = broker_pid
        prefix = f"{job.settings.topic_prefix}-client"
        self._of_client = job.settings.model_copy(update={"topic_prefix": prefix, "app_id": prefix})
        for settings in (job.settings, self._of_client):
            asyncio.run(init_topics(settings))
        spawn = multiprocessing.get_context("spawn")
        self._loops = stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn))
        publish_gallery(job.settings, self._loops.submit(gallery_records, job).result())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sightline-bench-"))
        self._worker = stack.enter_context(Worker(job.settings, Path(folder) / "worker.log"))
        self._witness = stack.enter_context(Witness.watching(job.settings))
        self._worker.ready()
        self._worker.hold()

    def round(self, run: str, count: int) -> Round:
        """Each contender's turn at the same subjects."""
        subjects = subjects_of(self._job.people, count)
        for settings in (self._of_client, self._job.settings):
            publish(settings, subjects, run)
        return {
            "bare": self._loops.submit(bare, self._job, subjects, run).result(),
            "client": self._with_broker(
                lambda: self._loops.submit(client, self._job, self._of_client, count).result()
            ),
            "sightline": self._with_broker(lambda: sightline(self._worker, self._witness, run, count)),
        }

    def latencies(self, run: str, rate_hz: float, seconds: float) -> tuple[Latency, Latency]:
        """Client and worker, each alone, at so many subjects a second."""
        count = round(rate_hz * (WARM_UP_S + seconds))
        subjects, asked_ms = subjects_of(self._job.people, count), dict[str, int]()
        answered = self._loops.submit(client, self._job, self._of_client, count)
        asked_ms.update(publish(self._of_client, subjects, run, rate_hz=rate_hz))
        of_client = _latency("client", rate_hz, answered.result(), asked_ms)

        def feed() -> None:
            asked_ms.update(publish(self._job.settings, subjects, run, rate_hz=rate_hz))

        found = sightline(self._worker, self._witness, run, count, feed=feed)
        return of_client, _latency("sightline", rate_hz, found, asked_ms)

    def _with_broker(self, turn: Callable[[], Run]) -> Run:
        """A turn, with the CPU time that the broker had meanwhile, where the broker is ours."""
        if self._broker_pid is None:
            return turn()
        began_cpu_s = cpu_s_of(self._broker_pid)
        found = turn()
        return replace(found, broker_cpu_s=cpu_s_of(self._broker_pid) - began_cpu_s)


def _latency(contender: str, rate_hz: float, run: Run, asked_ms: Mapping[str, int]) -> Latency:
    """Without the subjects of the warm-up."""
    first = int(WARM_UP_S * rate_hz)
    counted = [subject for subject in run.appended_ms if number_of(subject) >= first]
    return Latency(
        contender=contender, rate_hz=rate_hz, ms=[run.appended_ms[s] - asked_ms[s] for s in counted]
    )


def people_of(data: Path) -> People:
    """The labelled photos of a folder; where that is not there, people who do not exist."""
    if not data.exists():
        return render_people(RENDERED, processes=os.cpu_count() or 1)
    return cast(data.name, read_people(data), limit=EVERYBODY, seed=0)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The report, as one JSON object."""
    people = people_of(args.data)
    chosen = {
        "pack": args.pack,
        "extract_threads": args.threads,
        "session_timeout_s": SESSION_S,
        "grace_ms": GRACE_MS,
        "app_id": f"bench-{os.getpid()}",
        "topic_prefix": f"bench-{os.getpid()}",
    }
    cache_dir = Settings().cache_dir
    pull(pack_named(args.pack, cache_dir), cache_dir)
    with ExitStack() as stack:
        broker = None if args.bootstrap else stack.enter_context(LocalKafka(cache_dir=cache_dir))
        bootstrap = args.bootstrap if broker is None else broker.bootstrap
        job = Job(settings=Settings(bootstrap=bootstrap, **chosen), people=people)
        say("loading models, enrolling, starting the worker")
        contest = Contest(job, broker.pid if broker else None, stack)
        contest.round("warm", min(args.subjects, WARM_UP_SUBJECTS))
        rounds = []
        for number in range(1, args.rounds + 1):
            rounds.append(contest.round(f"round{number}", args.subjects))
            say(f"round {number}: {', '.join(f'{c} {per_s(r):.0f}/s' for c, r in rounds[-1].items())}")
        rates_hz = [args.rate]
        if args.levels:
            rates_hz += [level * median(per_s(r["sightline"]) for r in rounds) for level in LEVELS]
        latencies: list[Latency] = []
        for number, rate_hz in enumerate(rates_hz):
            say(f"latency at {rate_hz:.0f} subjects/s, {args.seconds:g} s each")
            latencies += contest.latencies(f"rate{number}", rate_hz, args.seconds)
    return {
        "job": {
            "subjects": args.subjects,
            "rounds": args.rounds,
            "data": people.data,
            "pack": args.pack,
            "backend": job.settings.backend,
            "threads": job.settings.extract_threads,
            "partitions": job.settings.partitions,
            "identities": len(people.enrolled),
            "broker": f"Kafka {pinned_jars().kafka} on this machine" if broker else "given",
        },
        "machine": machine(),
        "decisions": decisions(rounds, people, args.subjects),
        "contenders": {c: cost([r[c] for r in rounds]) for c in CONTENDERS},
        "ratios": {f"{a}/{b}": ratio([(r[a], r[b]) for r in rounds]) for a, b in RATIOS},
        "latencies": [latency_report(latency) for latency in latencies],
    }


def say(progress: str) -> None:
    """A line for whoever waits; the report alone goes to stdout."""
    print(progress, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """What was asked for, complete."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="photos; rendered people without it")
    parser.add_argument("--pack", default="faceplugin")
    parser.add_argument("--bootstrap", help="a Kafka that runs; without it one is started for the run")
    parser.add_argument("--subjects", type=int, help=f"of a round, at most {MOST_SUBJECTS}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="that extract")
    parser.add_argument("--rate", type=float, default=50.0, help="subjects/s of the latency run")
    parser.add_argument("--seconds", type=float, help="of each latency run")
    parser.add_argument("--levels", action="store_true", help="latency at 20, 50 and 80 %% of throughput too")
    parser.add_argument(
        "--quick", action="store_true", help="see that it works; the numbers are worth little"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    subjects, rounds, seconds = (60, 1, 3.0) if args.quick else (400, 3, 20.0)
    args.subjects = args.subjects or subjects
    args.rounds = args.rounds or rounds
    args.seconds = args.seconds or seconds
    if not 1 <= args.subjects <= MOST_SUBJECTS:
        parser.error(
            f"--subjects is {args.subjects}; it has to be 1 to {MOST_SUBJECTS}; --rounds has no bound"
        )
    return args


def main() -> int:
    """Measures and prints; fails when contenders decided differently."""
    args = arguments()
    found = measure(args)
    if args.json:
        json.dump(found, sys.stdout, indent=2)
        print()
    else:
        print_tables(found)
    if {found["decisions"]["expected"]} != {*found["decisions"]["as_bare"].values()}:
        say("not all were decided alike: these numbers compare different jobs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
