"""What the pipeline benchmark found, as JSON and as tables."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from pipeline_job import Run, subjects_of

from index.records import Outcome
from stream.demo.people import People

CONTENDERS = ("bare", "client", "sightline")
RATIOS = (("sightline", "bare"), ("sightline", "client"), ("client", "bare"))
PERCENTILES = (50, 95, 99)
LIBRARIES = (
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "faiss-cpu",
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
)

Round = Mapping[str, Run]
"""Each contender's run, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What one contender took for each decision at one rate."""

    contender: str
    rate_hz: float
    ms: Sequence[float]


def machine() -> dict[str, Any]:
    """Where it was measured, and what else kept the machine busy."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load_average_1min": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def decisions(rounds: Sequence[Round], people: People, count: int) -> dict[str, Any]:
    """Who was decided as `bare` decided in the first round, and how right that is."""
    reference = rounds[0]["bare"].answers
    truths = {subject.number: subject.truth for subject in subjects_of(people, count)}
    mated = [n for n, truth in truths.items() if truth is not None]
    matched = {n: a.identity_id for n, a in reference.items() if a.outcome is Outcome.MATCH}
    return {
        "expected": count * len(rounds),
        "as_bare": {
            c: sum(answer == reference.get(n) for r in rounds for n, answer in r[c].answers.items())
            for c in CONTENDERS
        },
        "mated": len(mated),
        "mated_matched_right": sum(matched.get(n) == truths[n] for n in mated),
        "non_mated": len(truths) - len(mated),
        "matched_wrong": sum(truths[n] != identity_id for n, identity_id in matched.items()),
    }


def per_s(run: Run) -> float:
    """Subjects a second."""
    return len(run.values) / run.seconds


def per_1000(run: Run) -> float:
    """CPU seconds for 1000 subjects."""
    return 1000 * run.cpu_s / len(run.values)


def cost(runs: Sequence[Run]) -> dict[str, Any]:
    """Throughput and CPU time of one contender."""
    broker = [1000 * r.broker_cpu_s / len(r.values) for r in runs if r.broker_cpu_s is not None]
    return {
        "subjects_per_s": spread([per_s(r) for r in runs]),
        "cpu_s_per_1000": spread([per_1000(r) for r in runs]),
        "broker_cpu_s_per_1000": spread(broker) if broker else None,
    }


def ratio(pairs: Sequence[tuple[Run, Run]]) -> dict[str, Any]:
    """One contender over another, round by round."""
    return {
        "throughput": spread([per_s(a) / per_s(b) for a, b in pairs]),
        "cpu": spread([per_1000(a) / per_1000(b) for a, b in pairs]),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and extremes."""
    return {name: round(of(values), 3) for name, of in (("median", median), ("min", min), ("max", max))}


def latency_report(latency: Latency) -> dict[str, Any]:
    """Percentiles of one contender at one rate."""
    percentiles = np.percentile(latency.ms, PERCENTILES)
    return {
        "contender": latency.contender,
        "subjects_per_s": round(latency.rate_hz, 1),
        "subjects": len(latency.ms),
        "ms": {f"p{p}": round(float(v), 1) for p, v in zip(PERCENTILES, percentiles, strict=True)},
    }


def print_tables(found: Mapping[str, Any]) -> None:
    """The report for people."""

    def cell(measured: Mapping[str, float] | None) -> str:
        if measured is None:
            return "-"
        return f"{measured['median']:.2f} [{measured['min']:.2f}, {measured['max']:.2f}]"

    job, at, decided = found["job"], found["machine"], found["decisions"]
    print(
        f"{job['subjects']} subjects (image + text), {job['rounds']} rounds, {job['data']}, "
        f"pack {job['pack']}, N = {job['identities']} identities, {job['threads']} threads, "
        f"{job['partitions']} partitions"
    )
    print(f"{at['cpu']}, {at['cores']} cores, load {at['load_average_1min']}, Python {at['python']}")
    print(
        f"the same decision by all: {decided['as_bare']} of {decided['expected']}; matched right "
        f"{decided['mated_matched_right']} of {decided['mated']} mated, wrong {decided['matched_wrong']}"
    )
    print(f"\n{'median [min, max]':<18}{'subjects/s':>26}{'CPU s per 1000':>26}{'broker CPU s per 1000':>26}")
    for contender, row in found["contenders"].items():
        print(f"{contender:<18}" + "".join(f"{cell(value):>26}" for value in row.values()))
    for pair, row in found["ratios"].items():
        print(f"{pair:<18}" + "".join(f"{cell(value):>26}" for value in row.values()))
    print(f"\n{'latency':<18}{'subjects/s':>12}" + "".join(f"{f'p{p} ms':>10}" for p in PERCENTILES))
    for row in found["latencies"]:
        cells = "".join(f"{ms:>10.1f}" for ms in row["ms"].values())
        print(f"{row['contender']:<18}{row['subjects_per_s']:>12.1f}{cells}")
