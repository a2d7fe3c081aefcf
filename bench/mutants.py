"""Breaks the source on purpose, one way after another, and demands that the fast suite turns red.

Each mutant is one replacement in a copy of the tree. The tests that should notice run first; a mutant that
they let live meets the whole suite without a broker, and one that outlives that too is a gap in the tests.

    python bench/mutants.py [--only NAME]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("bench", "docs", "index", "stream", "tests", "pyproject.toml", "README.md", "deploy")
FAST_SUITE = ("tests/unit", "tests/properties", "tests/worker", "tests/congruence")
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One way to break the promise."""

    name: str
    path: str
    good: str
    """Occurs once in the file."""
    bad: str
    noticed_by: tuple[str, ...]


LAWS = ("tests/unit/test_join_laws.py", "tests/properties/test_join_model.py")
CRASHES = ("tests/properties/test_crash_and_replay.py",)
PARTITION = ("tests/worker/test_partition_state.py",)
PUBLISHER = ("tests/worker/test_publisher_fence.py",)

MUTANTS = (
    Mutant(
        name="commit past a hole",
        path="stream/worker/ack_frontier.py",
        good="        while self._order and self._order[0] not in self._pending:\n"
        "            reached = self._order.popleft()",
        bad="        reached = offset",
        noticed_by=("tests/unit/test_ack_frontier.py",),
    ),
    Mutant(
        name="acknowledge what is not done",
        path="stream/worker/partition.py",
        good="while reached is not None and unacked and unacked[0][0] <= reached:",
        bad="while unacked:",
        noticed_by=PARTITION,
    ),
    Mutant(
        name="acknowledge after the revocation",
        path="stream/worker/partition.py",
        good="        if self.revoked:\n            return\n",
        bad="",
        noticed_by=PARTITION,
    ),
    Mutant(
        name="start without what the tail remembers",
        path="stream/worker/partition.py",
        good="        self.covered.seed(self.join)\n",
        bad="",
        noticed_by=PARTITION,
    ),
    Mutant(
        name="no deduplication",
        path="stream/join.py",
        good="if key in self._seen:\n            return Duplicate",
        bad="if False:\n            return Duplicate",
        noticed_by=LAWS,
    ),
    Mutant(
        name="forget keys after a restart",
        path="stream/recovery.py",
        good="        join.seed_seen(self.seen)\n",
        bad="",
        noticed_by=PARTITION,
    ),
    Mutant(
        name="decide again what is decided",
        path="stream/recovery.py",
        good="return source in self.decided or source in self.set_aside",
        bad="return source in self.set_aside",
        noticed_by=("tests/unit/test_recovery_tail.py",),
    ),
    Mutant(
        name="a tail that begins too late",
        path="stream/recovery.py",
        good="return max(0, oldest_ms - window_ms - grace_ms - max_skew_ms)",
        bad="return max(0, oldest_ms)",
        noticed_by=("tests/unit/test_recovery_tail.py", *CRASHES),
    ),
    Mutant(
        name="a window that includes its end",
        path="stream/windows.py",
        good="cut = bisect_left(events, end_ms, key=_time)",
        bad="cut = bisect_right(events, end_ms, key=_time)",
        noticed_by=LAWS,
    ),
    Mutant(
        name="a decided window that is open again",
        path="stream/join.py",
        good="if event.modality is not None and subject and subject.has_decided(time_ms):",
        bad="if False:",
        noticed_by=LAWS,
    ),
    Mutant(
        name="deadlines without the grace",
        path="stream/join.py",
        good="        horizon_ms = watermark_ms - self._policy.grace_ms\n",
        bad="        horizon_ms = watermark_ms\n",
        noticed_by=LAWS,
    ),
    Mutant(
        name="the fastest topic decides",
        path="stream/clock.py",
        good="self._watermark_ms = min(known)",
        bad="self._watermark_ms = max(known)",
        noticed_by=("tests/unit/test_partition_clock.py",),
    ),
    Mutant(
        name="a watermark without every topic",
        path="stream/clock.py",
        good="if len(known) == len(self._shown_ms):",
        bad="if known:",
        noticed_by=("tests/unit/test_partition_clock.py",),
    ),
    Mutant(
        name="an unread backlog taken for silence",
        path="stream/worker/faust_internals.py",
        good=" or self._passed(tp, next_offset) < highwater:",
        bad=":",
        noticed_by=("tests/worker/test_faust_internals.py",),
    ),
    Mutant(
        name="no fence",
        path="stream/worker/publisher.py",
        good="if self.age_s > self.allowed_s:",
        bad="if False:",
        noticed_by=PUBLISHER,
    ),
    Mutant(
        name="a send that does not ask the fence",
        path="stream/worker/publisher.py",
        good="        self._fence.check()\n        try:",
        bad="        try:",
        noticed_by=PUBLISHER,
    ),
    Mutant(
        name="a send that is not awaited",
        path="stream/worker/publisher.py",
        good="placed = await asyncio.wait_for(delivery, SEND_TIMEOUT_S)",
        bad="placed = delivery",
        noticed_by=PUBLISHER,
    ),
    Mutant(
        name="an id that depends on the order of arrival",
        path="stream/decision_record.py",
        good="inputs = sorted({(e.source.topic, e.source.partition, e.source.offset) for e in events})",
        bad="inputs = [(e.source.topic, e.source.partition, e.source.offset) for e in events]",
        noticed_by=("tests/unit/test_decision_record.py",),
    ),
    Mutant(
        name="an intake without a bound",
        path="stream/worker/extraction.py",
        good="while not self._fits(size_bytes):",
        bad="while False:",
        noticed_by=("tests/worker/test_extraction_budget.py",),
    ),
    Mutant(
        name="a deaf consumer that is left alone",
        path="stream/worker/watchdog.py",
        good="if now_s - self._heard_s > self._deaf_after_s:",
        bad="if False:",
        noticed_by=("tests/worker/test_watchdog.py",),
    ),
)


def tree(folder: Path) -> None:
    """A copy of what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)


def notices(folder: Path, tests: tuple[str, ...]) -> bool:
    """Whether these tests turn red; an import that fails does not count."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not kafka", *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run {' '.join(tests)}:\n{done.stdout[-2000:]}{done.stderr}")
    return done.returncode == 1


def is_killed(mutant: Mutant, folder: Path) -> str | None:
    """Which tests noticed it, if any did."""
    file = folder / mutant.path
    original = file.read_text(encoding="utf-8")
    if original.count(mutant.good) != 1:
        raise RuntimeError(f"{mutant.path} has no one place for {mutant.name!r}: bring the mutant up to date")
    file.write_text(original.replace(mutant.good, mutant.bad), encoding="utf-8")
    try:
        for tests in (mutant.noticed_by, FAST_SUITE):
            if notices(folder, tests):
                return " ".join(tests)
        return None
    finally:
        file.write_text(original, encoding="utf-8")


def main() -> int:
    """0 when no mutant lives."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=[mutant.name for mutant in MUTANTS], help="this one alone")
    args = parser.parse_args()
    alive = 0
    with tempfile.TemporaryDirectory(prefix="sightline-mutants-") as scratch:
        folder = Path(scratch) / "tree"
        folder.mkdir()
        tree(folder)
        chosen = [mutant for mutant in MUTANTS if args.only in (None, mutant.name)]
        hints = tuple(dict.fromkeys(tests for mutant in chosen for tests in mutant.noticed_by))
        if notices(folder, hints):
            raise RuntimeError("the tests are red before anything was broken; mend that first")
        for mutant in chosen:
            began_s = time.monotonic()
            by = is_killed(mutant, folder)
            alive += by is None
            print(
                f"{'LIVES' if by is None else 'killed'}  {mutant.name:<42} {by or ''} "
                f"({time.monotonic() - began_s:.0f} s)",
                flush=True,
            )
    print(f"{len(chosen) - alive} of {len(chosen)} killed")
    return alive > 0


if __name__ == "__main__":
    sys.exit(main())
