"""What people see of a run: stages, the live table, the summary."""

from collections.abc import Mapping

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from index.records import Basis, Outcome
from stream.cli.demo_stream import Books
from stream.decision_view import DecisionRecord
from stream.demo.ledger import Percentiles
from stream.demo.report import Report
from stream.demo.score import Answer, Rates, answer_of, speed
from stream.demo.traffic import PlannedSubject
from stream.ledger import Fate

LAST_DECISIONS = 10

BASIS_NOTES: Mapping[str, str] = {
    Basis.POLICY: "too few are enrolled for a threshold of this gallery's own: it is the calibration set's, "
    "and FPIR is not what was asked for",
    Basis.EXTRAPOLATED: "so few are enrolled that the threshold of this target FPIR is extrapolated",
}
"""What to know about the thresholds before believing the rates."""

LATENCY_NOTE = (
    "latency: append of the last input a complete decision needed, to append of the decision, both by the "
    "broker's clock; decisions at the deadline waited for a modality that never came, and are told apart"
)


def live_table(books: Books, subjects: Mapping[str, PlannedSubject], enrolled: frozenset[str]) -> Group:
    """The last decisions beside their truth, and the counts so far."""
    table = Table(
        "subject", "who it is", "decision", "by", "score", "", title="decisions", title_justify="left"
    )
    for seen in books.decisions[-LAST_DECISIONS:]:
        subject = subjects.get(seen.record.subject_id)
        if subject is not None:
            table.add_row(*_row(seen.record, subject, enrolled))
    ledger = books.close()
    found = speed(ledger)
    counts = ledger.counts
    rate = f"{found.subjects_per_s:.1f} subjects/s" if found.subjects_per_s else "no decision yet"
    return Group(
        table,
        Text(
            f"published {len(books.published)}/{books.planned}  decisions {len(books.decisions)}  "
            f"duplicates {counts[Fate.DUPLICATE]}  late {counts[Fate.LATE]}  "
            f"dead letters {counts[Fate.DEAD_LETTERED]}  open {counts[Fate.UNACCOUNTED]}"
        ),
        Text(f"{rate}  latency {_percentiles(found.latency_ms)}"),
    )


def _row(decision: DecisionRecord, subject: PlannedSubject, enrolled: frozenset[str]) -> tuple[str, ...]:
    truth = subject.identity_id if subject.identity_id in enrolled else None
    best = decision.candidates[0] if decision.candidates else None
    said = decision.identity_id if decision.outcome is Outcome.MATCH else decision.outcome.replace("_", " ")
    return (
        escape(decision.subject_id),
        escape(truth) if truth else "[dim]a stranger[/]",
        escape(str(said)),
        "+".join(decision.modalities.used) or "nothing",
        f"{best.score:.2f}" if best else "",
        _mark(answer_of(decision, truth)),
    )


def _mark(answer: Answer) -> str:
    """As the rates count it: an ambiguous answer is no match, and no peace for a stranger either."""
    if answer.truth is None:
        return "[red]false alarm[/]" if answer.returned else "[green]✓[/]"
    if answer.matched == answer.truth:
        return "[green]✓[/]"
    return "[yellow]missed[/]" if answer.matched is None else "[red]wrong[/]"


def summary(report: Report, *, target_fpir: float) -> Group:
    """The numbers of a run, for people."""
    return Group(
        _recognition(report, target_fpir),
        *(Text(BASIS_NOTES[basis], style="dim") for basis in report.threshold_bases if basis in BASIS_NOTES),
        Text(),
        _events(report),
        Text(),
        Text(
            f"latency {_percentiles(report.speed.latency_ms)}   "
            f"at the deadline {_percentiles(report.speed.join_wait_ms)}   "
            + (f"{report.speed.subjects_per_s:.1f} subjects/s" if report.speed.subjects_per_s else "")
        ),
        Text(LATENCY_NOTE, style="dim"),
        Text(),
        *_verdicts(report),
    )


def _recognition(report: Report, target_fpir: float) -> Table:
    table = Table(
        "by",
        "probes",
        "strangers",
        "rank 1",
        "FNIR",
        "FPIR",
        title=(
            f"{report.identities} identities, {report.templates} templates; {report.pack}; "
            f"{escape(report.data)}; target FPIR {target_fpir:g}"
        ),
        title_justify="left",
    )
    for mask, rates in report.by_mask.items():
        table.add_row(*_rates_row(mask, rates))
    table.add_section()
    table.add_row(*_rates_row("the article's pipeline", report.baseline))
    return table


def _rates_row(name: str, rates: Rates) -> tuple[str, ...]:
    numbers = (f"{rate:.3f}" if rate is not None else "-" for rate in (rates.rank1, rates.fnir, rates.fpir))
    return (name, str(rates.probes), str(rates.strangers), *numbers)


def _events(report: Report) -> Table:
    table = Table("events", "", title="every event accounted for" if report.balances else "events")
    table.title_justify = "left"
    table.add_row("published", str(report.published))
    for fate, count in report.fates.items():
        table.add_row(fate.replace("_", "-"), str(count))
    table.add_section()
    for reason, count in report.dead_letters.items():
        table.add_row(f"dead letter: {reason}", str(count))
    table.add_section()
    table.add_row("decisions", str(report.decisions))
    table.add_row("wrong halves", str(len(report.wrong_halves)))
    table.add_row("different duplicates", str(len(report.different_duplicates)))
    return table


def _verdicts(report: Report) -> list[Text]:
    lines = [
        Text(
            f"poison {item.event.poison} ({item.event.event_id}): {item.found}, not {item.wanted}",
            style="red",
        )
        for item in report.misjudged
    ]
    if report.fates[Fate.UNACCOUNTED]:
        lines.append(Text(f"{report.fates[Fate.UNACCOUNTED]} events are unaccounted for", style="red"))
    for name, ids in (
        ("wrong half", report.wrong_halves),
        ("different duplicate", report.different_duplicates),
    ):
        lines += [Text(f"{name}: decision {decision_id}", style="red") for decision_id in ids]
    if report.balances:
        lines.append(
            Text("Every event is accounted for; no wrong half, no different duplicate.", style="green")
        )
    return lines


def _percentiles(found: Percentiles) -> str:
    if found.p50 is None:
        return "-"
    return f"p50 {found.p50:.0f} p95 {found.p95:.0f} p99 {found.p99:.0f} ms"
