"""What a run comes to: the numbers of its summary, and the same as one JSON object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream.demo.ledger import Ledger, Misjudged, Percentiles
from stream.demo.score import Rates, Speed
from stream.ledger import Fate
from stream.reasons import Reason

DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The end of a run."""

    by_mask: Mapping[str, Rates]
    baseline: Rates
    """The founding article's pipeline on the same probes."""
    published: int
    fates: Mapping[Fate, int]
    dead_letters: Mapping[Reason, int]
    decisions: int
    """Records of the match topic."""
    wrong_halves: tuple[str, ...]
    different_duplicates: tuple[str, ...]
    misjudged: tuple[Misjudged, ...]
    speed: Speed
    pack: str
    data: str
    identities: int
    templates: int
    threshold_bases: tuple[str, ...]
    """What the decisions' thresholds were derived from."""
    balances: bool
    """Whether every event is accounted for, and nothing was decided wrongly or twice."""


def report_of(
    ledger: Ledger,
    *,
    by_mask: Mapping[str, Rates],
    baseline: Rates,
    speed: Speed,
    pack: str,
    data: str,
    identities: int,
    templates: int,
) -> Report:
    """The report of closed books."""
    return Report(
        by_mask=by_mask,
        baseline=baseline,
        published=len(ledger.published),
        fates=ledger.counts,
        dead_letters=ledger.dead_letters_by_reason,
        decisions=len(ledger.decisions),
        wrong_halves=ledger.wrong_halves,
        different_duplicates=ledger.different_duplicates,
        misjudged=ledger.misjudged,
        speed=speed,
        pack=pack,
        data=data,
        identities=identities,
        templates=templates,
        threshold_bases=tuple(
            sorted({d.threshold.basis for d in ledger.final.values() if d.threshold is not None})
        ),
        balances=ledger.balances,
    )


def as_json(report: Report) -> dict[str, Any]:
    """The object that `sightline demo --json` prints; a rate without a search is null."""
    return {
        "by_mask": {mask: _rates(rates) for mask, rates in report.by_mask.items()},
        "baseline": {"rank1": _rounded(report.baseline.rank1), "fnir": _rounded(report.baseline.fnir)},
        "events": {"published": report.published} | {fate.value: n for fate, n in report.fates.items()},
        "dead_letters": {reason.value: n for reason, n in report.dead_letters.items()},
        "decisions": {
            "total": report.decisions,
            "wrong_half": len(report.wrong_halves),
            "different_duplicates": len(report.different_duplicates),
            "misjudged_poison": len(report.misjudged),
        },
        "latency_ms": _percentiles(report.speed.latency_ms),
        "join_wait_ms": _percentiles(report.speed.join_wait_ms),
        "subjects_per_s": _rounded(report.speed.subjects_per_s),
        "pack": report.pack,
        "data": report.data,
        "gallery": {"identities": report.identities, "templates": report.templates},
    }


def _rates(rates: Rates) -> dict[str, Any]:
    return {
        "probes": rates.probes,
        "strangers": rates.strangers,
        "rank1": _rounded(rates.rank1),
        "fnir": _rounded(rates.fnir),
        "fpir": _rounded(rates.fpir),
    }


def _percentiles(found: Percentiles) -> dict[str, Any]:
    return {"p50": _rounded(found.p50), "p95": _rounded(found.p95), "p99": _rounded(found.p99)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
