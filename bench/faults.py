"""Nothing lost, nothing wrong: harms the service on a real broker, and judges every event by an oracle.

A seed plans traffic with its truth; a slow reference says what is right for each event; a witness with
librdkafka reads what the service said; the verdict names every difference.

    python bench/faults.py --list
    python bench/faults.py --scenario storm --seed 3 [--json]
    python bench/faults.py --scenario all --seeds 3 --json > faults.jsonl
    python bench/faults.py --table faults.jsonl
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faultlab.lab import Report, run
from faultlab.scenarios import SCENARIOS

FINDINGS_SHOWN = 10
FOUND = ("lost", "wrong", "different", "twice")


def as_json(report: Report) -> dict[str, Any]:
    """The report as one JSON object: counts of what was found, and the first of each."""
    plain = asdict(report)
    findings = {name: found[:FINDINGS_SHOWN] for name, found in plain.pop("verdict").items() if found}
    plain["forgives"] = sorted(report.forgives)
    return plain | {"right": report.right, "found": report.verdict.counts, "findings": findings}


def line(report: Report) -> str:
    """A report on one line."""
    found = ", ".join(f"{name} {n}" for name, n in report.verdict.counts.items() if n) or "nothing wrong"
    silences = " ".join(f"{s:.1f}" for s in report.silences_s)
    gaps = " ".join(f"{s:.1f}" for s in report.gaps_s)
    return (
        f"{report.scenario:<18} seed {report.seed}: {report.events} events ({report.undetermined} may go "
        f"either way), {report.decisions} decisions, "
        f"{found}; {report.repeated} repeated, {report.uncommitted} uncommitted, "
        f"deaths {list(report.deaths)}, silences [{silences}] s, "
        f"longest gap of each partition [{gaps}] s, {report.peak_rss_mb} MB, {report.seconds:.0f} s"
    )


def table(reports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The rows of docs/reliability.md: one a scenario, its runs together."""
    columns = ("scenario", "runs", "events", "either way", "decisions", *FOUND, "again per 1000")
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for name in dict.fromkeys(report["scenario"] for report in reports):
        runs = [report for report in reports if report["scenario"] == name]

        def total(field: str, runs: Sequence[Mapping[str, Any]] = runs) -> int:
            return sum(report[field] for report in runs)

        def found(*fields: str, runs: Sequence[Mapping[str, Any]] = runs) -> int:
            return sum(report["found"][field] for report in runs for field in fields)

        again = 1_000 * total("repeated") / max(1, total("decisions"))
        yield (
            f"| `{name}` | {len(runs)} | {total('events'):,} | {total('undetermined'):,} | "
            f"{total('decisions'):,} | {found('lost')} | {found('wrong', 'unseen', 'out_of_order')} | "
            f"{found('duplicate_different')} | {found('double_final')} | {again:.1f} |"
        )


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", action="append", choices=["all", *SCENARIOS], help="may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs of each, with seeds one by one")
    parser.add_argument("--scale", type=float, default=1.0, help="times the visits of each scenario")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--table", type=Path, help="of the runs in a file that --json wrote")
    parser.add_argument("--json", action="store_true", help="print one JSON object a run")
    args = parser.parse_args()
    if not (args.list or args.table or args.scenario):
        parser.error("name a --scenario, or ask for the --list")
    return args


def main() -> int:
    """0 when every run was right."""
    args = arguments()
    if args.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:<18} {scenario.about}")
        return 0
    if args.table:
        lines = args.table.read_text(encoding="utf-8").splitlines()
        print("\n".join(table([json.loads(line) for line in lines])))
        return 0
    names = SCENARIOS if "all" in args.scenario else args.scenario
    wrong = 0
    for name in names:
        for seed in range(args.seed, args.seed + args.seeds):
            report = run(SCENARIOS[name], seed, scale=args.scale)
            print(json.dumps(as_json(report)) if args.json else line(report), flush=True)
            if not report.right:
                wrong += 1
                print(json.dumps(as_json(report)["findings"], indent=1), file=sys.stderr, flush=True)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
