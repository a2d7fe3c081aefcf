"""The service's ledger from outside: each published event ends in one column, or is unaccounted for.

It needs nothing but what was published and what came out, so that a test, the demo or an operator can check a
running service without trusting it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stream.dead_letter_record import DeadLetter
from stream.decision_view import DecisionRecord
from stream.events import Source
from stream.reasons import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A record of an input topic, as its producer knows it."""

    source: Source
    origin: str | None = None
    event_id: str | None = None
    """None with `origin` for a record that cannot be named: a broken one, or bare bytes."""
    marker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where the events went. The columns add up to `published`."""

    published: int
    decided: int
    """In a final decision, as a sample or as a marker."""
    duplicate: int
    """Not in any output, and of the same (origin, event id) as one that is."""
    late: int
    """Dead-lettered by the join."""
    dead_lettered: int
    """Dead-lettered for a fault of their own."""
    idle_markers: int
    """End-of-subject markers that had nothing to end; they leave no trace."""
    unaccounted: int
    """Lost, or not answered yet."""
    decisions: int
    """Different ids of final decisions."""
    revised: int
    """Different ids of decisions that were not final."""
    repeated_decisions: int
    """Records that repeat a decision, by an equal id."""
    different_duplicates: int
    """Contradict an earlier one: an input under two final ids, or one id and gallery version with two
    contents."""
    out_of_order: int
    """Revisions that do not count one up from a decision that stands before them, or that follow a final one
    about an input of theirs."""


def audit(
    published: Iterable[Published], decisions: Iterable[DecisionRecord], dead_letters: Iterable[DeadLetter]
) -> Ledger:
    """Balances what was published against what came out.

    Args:
        published: In any order.
        decisions: In the order of their topic, partition by partition.
        dead_letters: In any order.
    """
    decided, named, tally = _read_decisions(decisions)
    stages: dict[Source, Stage] = {}
    for letter in dead_letters:
        stages[letter.source] = letter.stage
    columns = dict.fromkeys(
        ("decided", "duplicate", "late", "dead_lettered", "idle_markers", "unaccounted"), 0
    )
    total = 0
    for event in published:
        total += 1
        columns[_column(event, decided, named, stages)] += 1
    return Ledger(published=total, **columns, **tally)


def _column(
    event: Published, decided: set[Source], named: set[tuple[str, str]], stages: dict[Source, Stage]
) -> str:
    if (stage := stages.get(event.source)) is not None:
        return "late" if stage is Stage.JOIN else "dead_lettered"
    if event.source in decided:
        return "decided"
    if event.origin is not None and event.event_id is not None and (event.origin, event.event_id) in named:
        return "duplicate"
    return "idle_markers" if event.marker else "unaccounted"


def _read_decisions(
    decisions: Iterable[DecisionRecord],
) -> tuple[set[Source], set[tuple[str, str]], dict[str, int]]:
    """Inputs decided, their dedupe keys, and what the decisions say of one another."""
    first: dict[tuple[str, int], DecisionRecord] = {}
    owner: dict[Source, str] = {}
    named: set[tuple[str, str]] = set()
    revisions: dict[str, int] = {}
    finals: set[str] = set()
    records, different, out_of_order = 0, 0, 0
    for record in decisions:
        records += 1
        contradicts = first.setdefault((record.decision_id, record.gallery.version), record) != record
        before = 0 if record.supersedes is None else revisions.get(record.supersedes)
        decided = any(covered.input in owner for covered in record.covered())
        repeated = record.decision_id in revisions
        out_of_order += (
            before is None or record.revision != before + 1 or (decided and not record.final and not repeated)
        )
        revisions.setdefault(record.decision_id, record.revision)
        if record.final:
            finals.add(record.decision_id)
            for covered in record.covered():
                contradicts |= owner.setdefault(covered.input, record.decision_id) != record.decision_id
                named.add((covered.origin, covered.event_id))
        different += contradicts
    tally = {
        "decisions": len(finals),
        "revised": len(revisions) - len(finals),
        "repeated_decisions": records - len(revisions),
        "different_duplicates": different,
        "out_of_order": out_of_order,
    }
    return set(owner), named, tally
