"""The service's ledger from outside: each published event ends in one column, or is unaccounted for.

It needs nothing but what was published and what came out, so that a test, the demo or an operator can check a
running service without trusting it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from stream.dead_letter_record import DeadLetter
from stream.decision_view import DecisionRecord
from stream.events import Source
from stream.reasons import Reason

LATE_REASONS = frozenset({Reason.LATE, Reason.WINDOW_DECIDED})
"""Of the join: the event itself was good."""


class Fate(StrEnum):
    """What became of an event."""

    DECIDED = "decided"
    """In a final decision, as a sample or as a marker."""
    DUPLICATE = "duplicate"
    """Not in any output, and of the same (origin, event id) as one that is."""
    LATE = "late"
    """Dead-lettered by the join."""
    DEAD_LETTERED = "dead_lettered"
    """Dead-lettered for a fault of its own, though a decision may speak for it."""
    IDLE_MARKER = "idle_marker"
    """An end-of-subject marker that had nothing to end; it leaves no trace."""
    UNACCOUNTED = "unaccounted"
    """Lost, or not answered yet."""


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
    """Where the events went, and what the decisions say of one another."""

    fates: Mapping[Fate, int]
    """How many events each had; all of them are there."""
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
    decisions = tuple(decisions)
    reasons = {letter.source: letter.reason for letter in dead_letters}
    found = Counter(fates_of(published, decisions, reasons).values())
    return Ledger(fates={fate: found[fate] for fate in Fate}, **_tally(decisions))


def fates_of(
    published: Iterable[Published], decisions: Iterable[DecisionRecord], set_aside: Mapping[Source, Reason]
) -> dict[Source, Fate]:
    """What became of each event, by its place in the log; each has one fate."""
    spoken = [covered for record in decisions if record.final for covered in record.covered()]
    decided = {covered.input for covered in spoken}
    named = {(covered.origin, covered.event_id) for covered in spoken}

    def fate(event: Published) -> Fate:
        if (reason := set_aside.get(event.source)) is not None:
            return Fate.LATE if reason in LATE_REASONS else Fate.DEAD_LETTERED
        if event.source in decided:
            return Fate.DECIDED
        if (event.origin, event.event_id) in named:
            return Fate.DUPLICATE
        return Fate.IDLE_MARKER if event.marker else Fate.UNACCOUNTED

    return {event.source: fate(event) for event in published}


def _tally(decisions: Iterable[DecisionRecord]) -> dict[str, int]:
    """What the decisions say of one another."""
    first: dict[tuple[str, int], DecisionRecord] = {}
    owner: dict[Source, str] = {}
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
        different += contradicts
    return {
        "decisions": len(finals),
        "revised": len(revisions) - len(finals),
        "repeated_decisions": records - len(revisions),
        "different_duplicates": different,
        "out_of_order": out_of_order,
    }
