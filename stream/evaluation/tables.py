"""A report as tables of words: what the terminal, the page and the documentation print alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan

from index.evaluation import Measure
from stream.evaluation.changes import Comparison
from stream.evaluation.report import Rates, Report
from stream.evaluation.samples import CLEAN

Cells = tuple[str, ...]
ARTICLE = "the article's pipeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table."""

    title: str
    note: str
    """What the numbers are of, and how to read them."""
    heads: Cells
    rows: tuple[Cells, ...]


def measure(one: Measure, *, digits: int = 4) -> str:
    """`0.0232 [0.011, 0.042]`; a dash where there was nothing to measure."""
    if isnan(one.value):
        return "-"
    interval = "" if isnan(one.low) else f" [{_number(one.low, digits - 1)}, {_number(one.high, digits - 1)}]"
    return f"{_number(one.value, digits)}{interval}"


def tables(report: Report) -> tuple[Table, ...]:
    """Every table that has rows."""
    return tuple(
        table
        for table in (
            _conditions(report),
            _service(report),
            _fused(report),
            _frames(report),
            _missing(report),
            _conflicts(report),
            _realised(report),
            _calibration(report),
            _unusable(report),
        )
        if table.rows
    )


def summary(report: Report) -> str:
    """What was measured, in one line."""
    run = report.run
    return (
        f"{run.data}: {run.identities} identities ({run.templates} templates), {run.mated} mated and "
        f"{run.non_mated} non-mated searches; pack {run.pack}, policy {run.policy}, seed {run.seed}, "
        f"95 % intervals by {run.resamples} draws of identities{', quick' if run.quick else ''}"
    )


def compared(comparison: Comparison, *, most: int | None = None) -> Table:
    """What changed since an earlier report; at most so many rows."""
    beyond = sum(change.beyond for change in comparison.changes)
    return Table(
        title="Against the baseline",
        note=f"{len(comparison.changes)} of {comparison.measures} measures changed, {beyond} beyond the "
        f"interval they had. {'; '.join(comparison.settings)}",
        heads=("measure", "before", "now", "change", "interval"),
        rows=tuple(
            (
                c.path,
                _number(c.before, 4),
                _number(c.after, 4),
                f"{c.after - c.before:+.4f}",
                "beyond" * c.beyond,
            )
            for c in comparison.changes[:most]
        ),
    )


def _rates_cells(one: Rates) -> Cells:
    return (
        f"{one.mated} / {one.non_mated}",
        measure(one.rank1),
        *(measure(fnir) for fnir in one.fnir_at_fpir.values()),
    )


def _rates_heads(one: Rates) -> Cells:
    return ("mated / non-mated", "rank-1", *(f"FNIR @ FPIR {fpir}" for fpir in one.fnir_at_fpir))


def _conditions(report: Report) -> Table:
    rows = [
        (condition, mask, *_rates_cells(found))
        for condition, by_mask in report.conditions.items()
        for mask, found in by_mask.items()
    ]
    return Table(
        title="By condition and mask",
        note="The threshold of an FPIR is the strangers' own: it compares encoders, masks and conditions. "
        "FNIR is by evidence that may match; a description alone ranks and finds nobody.",
        heads=("condition", "mask", *_rates_heads(report.article)),
        rows=(*rows, (CLEAN, ARTICLE, *_rates_cells(report.article))),
    )


def _service_rows(found: Rates, condition: str, mask: str) -> Iterator[Cells]:
    for target, one in found.service.items():
        threshold = "-" if one.threshold is None else measure(one.threshold, digits=2)
        yield condition, mask, target, threshold, one.basis, measure(one.fnir), measure(one.fpir)


def _service(report: Report) -> Table:
    return Table(
        title="The service's own threshold",
        note="Leave-one-out on the gallery, margin and conflict rule: what who sets a target gets. A match "
        "with the wrong identity, ambiguous and conflict are misses; FPIR counts matches and ambiguous.",
        heads=("condition", "mask", "target FPIR", "threshold", "basis", "FNIR", "FPIR realised"),
        rows=tuple(
            cells
            for by_condition, suffix in ((report.conditions, ""), (report.frames, ", three photos"))
            for condition, by_mask in by_condition.items()
            for mask, found in by_mask.items()
            for cells in _service_rows(found, condition + suffix, mask)
        ),
    )


def _fused(report: Report) -> Table:
    return Table(
        title="Fused less image alone",
        note="Difference of FNIR on the same searches; below 0 the descriptions help.",
        heads=("condition", *(f"at FPIR {fpir}" for fpir in report.article.fnir_at_fpir)),
        rows=tuple(
            (condition, *map(measure, by_fpir.values()))
            for condition, by_fpir in report.fused_minus_image.items()
        ),
    )


def _frames(report: Report) -> Table:
    return Table(
        title="Probes of three photos",
        note="Fused by quality, as in one window; non-mated are the same probes without their mates.",
        heads=("condition", "mask", *_rates_heads(report.article)),
        rows=tuple(
            (condition, mask, *_rates_cells(found))
            for condition, by_mask in report.frames.items()
            for mask, found in by_mask.items()
        ),
    )


def _missing(report: Report) -> Table:
    found = report.missing
    return Table(
        title="Missing modalities",
        note=f"{found.share:.0%} of the records lost one modality, enrolled and searched alike; "
        f"draws: {found.draws}, of which the article's pipeline sees the first."
        if found
        else "",
        heads=("pipeline", *_rates_heads(report.article)),
        rows=(("Sightline", *_rates_cells(found.ours)), (ARTICLE, *_rates_cells(found.article)))
        if found
        else (),
    )


def _conflicts(report: Report) -> Table:
    found = report.conflicts
    rows = (
        (
            ("enrolled, with the description of somebody else", found.found),
            ("enrolled, with their own description", found.false),
            ("strangers, with their own description", found.false_strangers),
        )
        if found
        else ()
    )
    return Table(
        title="Contradictions",
        note=f"Share that is decided a conflict, at target FPIR {found.target_fpir}." if found else "",
        heads=("probes", "N", "conflict"),
        rows=tuple((name, str(one.n), measure(one)) for name, one in rows),
    )


def _realised(report: Report) -> Table:
    return Table(
        title="Realised against asked FPIR",
        note="Galleries drawn from the enrolled; the mean over them, and the central 95 % of them: what one "
        "gallery may meet. Where there is one gallery, the bootstrap's interval.",
        heads=(
            "mask",
            "identities",
            "galleries",
            "target FPIR",
            "basis",
            "searches",
            "FPIR realised",
            "FNIR",
        ),
        rows=tuple(
            (
                mask,
                size,
                str(one.draws),
                target,
                one.basis,
                str(one.fpir.n),
                measure(one.fpir),
                measure(one.fnir),
            )
            for mask, by_size in report.realised.items()
            for size, by_target in by_size.items()
            for target, one in by_target.items()
        ),
    )


def _calibration(report: Report) -> Table:
    return Table(
        title="Calibration of P(rank 1 is right)",
        note="Expected calibration error in ten parts, where every second search is mated.",
        heads=("mask", "identities", "searches", "error"),
        rows=tuple(
            (mask, size, str(one.error.n), measure(one.error))
            for mask, by_size in report.calibration.items()
            for size, one in by_size.items()
        ),
    )


def _unusable(report: Report) -> Table:
    modalities = tuple(dict.fromkeys(m for counts in report.run.unusable.values() for m in counts))
    return Table(
        title="Without a usable feature",
        note="No face found, or no words. Such a search finds nobody by that modality.",
        heads=("photos", *modalities),
        rows=tuple(
            (name, *(str(counts[m]) for m in modalities)) for name, counts in report.run.unusable.items()
        ),
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def markdown(report: Report) -> str:
    """Every table as documentation has it."""
    parts = (f"## {one.title}\n\n{one.note}\n\n{_markdown(one)}\n" for one in tables(report))
    return "\n".join((f"{summary(report)}\n", *parts))


def _markdown(table: Table) -> str:
    lines = (table.heads, ("---",) * len(table.heads), *table.rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
