"""Two reports compared: every measure that both have, and what lies beyond its interval."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.demo.errors import PeopleError
from stream.evaluation.report import SCHEMA_VERSION

SETTINGS = ("version", "data", "pack", "contracts", "policy", "seed", "quick", "resamples")
"""Of a run: where they differ, more than one thing has changed."""


class BaselineError(PeopleError):
    """A file that was to be compared with is no report of this schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A measure that is not what it was."""

    path: str
    """Where it stands in both reports."""
    before: float
    after: float
    beyond: bool
    """Outside the interval of the report before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed between two reports."""

    settings: tuple[str, ...]
    """How the runs differ: `policy: a, now b`."""
    changes: tuple[Change, ...]
    """Those beyond their interval first, and the largest first."""
    measures: int
    """How many measures both have."""


def read_baseline(path: Path) -> Mapping[str, Any]:
    """The JSON of an earlier report.

    Raises:
        BaselineError: It cannot be read, or is no report of this schema version.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BaselineError(
            f"cannot read {path} as a report ({error}); give the report.json of a run"
        ) from error
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
        raise BaselineError(
            f"{path} is no report of schema version {SCHEMA_VERSION}; evaluate the old version again"
        )
    return found


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """What is different in `after`, of what both reports measured."""
    old, new = dict(_measures(before)), dict(_measures(after))
    shared = [path for path in new if path in old]
    changes = [
        Change(
            path=path,
            before=old[path]["value"],
            after=new[path]["value"],
            beyond=not old[path]["low"] <= new[path]["value"] <= old[path]["high"],
        )
        for path in shared
        if old[path]["value"] != new[path]["value"]
    ]
    then, now = before["run"], after["run"]
    return Comparison(
        settings=tuple(
            f"{name}: {then[name]}, now {now[name]}" for name in SETTINGS if then[name] != now[name]
        ),
        changes=tuple(sorted(changes, key=lambda c: (not c.beyond, -abs(c.after - c.before), c.path))),
        measures=len(shared),
    )


def _measures(value: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, float]]]:
    """Every measure below a JSON object with its path; what could not be measured (null) is left out."""
    if not isinstance(value, dict):
        return
    if value.keys() == {"value", "low", "high", "n"}:
        if None not in value.values():
            yield path, value
        return
    for name, inner in value.items():
        yield from _measures(inner, f"{path} › {name}" if path else name)
