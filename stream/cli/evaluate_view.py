"""An evaluation in the terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable

from stream.evaluation.changes import Comparison
from stream.evaluation.report import Report
from stream.evaluation.tables import Table, compared, summary, tables

SHOWN_CHANGES = 30
"""Of measures; the page has them all."""


def view(report: Report) -> RenderableType:
    """Every table of the report."""
    return Group(escape(summary(report)), *(part for table in tables(report) for part in _shown(table)))


def comparison_view(comparison: Comparison) -> RenderableType:
    """What changed, those beyond their interval first."""
    return Group(*_shown(compared(comparison, most=SHOWN_CHANGES)))


def _shown(table: Table) -> tuple[RenderableType, ...]:
    shown = RichTable(*map(escape, table.heads), title=escape(table.title), title_justify="left")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return "", shown, f"[dim]{escape(table.note)}[/]"
