"""The books of a run: what became of each published event, and what each decision is worth against the truth.

The fates are those of `stream.ledger`; what a demo knows beyond is what it planned.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from stream.decision_view import DecisionRecord
from stream.demo.poison import RECIPES
from stream.demo.traffic import Fault, PlannedEvent
from stream.events import Source
from stream.ledger import LATE_REASONS, Fate, fates_of
from stream.ledger import Published as Named
from stream.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """An event that the broker has taken."""

    event: PlannedEvent
    origin: str
    """As its producer signs."""
    source: Source
    append_ms: int
    """The broker's clock, as its delivery report said."""
    event_time_ms: int
    """The moment it tells of, as it was written on the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDecision:
    """A record of the match topic."""

    record: DecisionRecord
    value: bytes
    append_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDeadLetter:
    """A record of the dead-letter topic."""

    source: Source
    """Of the original."""
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Misjudged:
    """Poison that was not set aside for its reason."""

    event: PlannedEvent
    wanted: Reason
    found: str


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The closed books. Not slotted: what is derived is derived once."""

    published: Sequence[Published]
    decisions: Sequence[SeenDecision]
    dead_letters: Sequence[SeenDeadLetter]
    grace_ms: int
    """An event appended at most this long after the moment it tells of was published in time: no watermark
    can be further than the broker's own clock."""

    @cached_property
    def fates(self) -> Mapping[Source, Fate]:
        """What became of each published event, by its place in the log."""
        named = (
            Named(source=item.source, origin=item.origin, event_id=item.event.event_id)
            for item in self.published
        )
        return fates_of(named, (decision.record for decision in self.decisions), self._reasons)

    @cached_property
    def counts(self) -> Mapping[Fate, int]:
        """Events by fate; they add up to what was published."""
        found = Counter(self.fates.values())
        return {fate: found[fate] for fate in Fate}

    @cached_property
    def dead_letters_by_reason(self) -> Mapping[Reason, int]:
        """Published events that were set aside, by reason, most frequent first."""
        ours = {item.source for item in self.published}
        found = Counter({s: d for s, d in self._reasons.items() if s in ours}.values())
        return dict(found.most_common())

    @cached_property
    def misjudged(self) -> tuple[Misjudged, ...]:
        """Poison that was decided, lost, or set aside for a reason that is not its own."""
        return tuple(
            Misjudged(event=item.event, wanted=wanted, found=found)
            for item in self.published
            if item.event.poison is not None
            for wanted in (RECIPES[item.event.poison].reason,)
            for found in (self._reasons.get(item.source) or self.fates[item.source],)
            if found != wanted
        )

    @cached_property
    def wrong_halves(self) -> tuple[str, ...]:
        """Ids of decisions that lack an event of their subject and window which had been published in time.

        An event that was set aside for what is in it is not lacking; one set aside as late, though it was
        published in time, is.
        """
        good: dict[str, list[Published]] = defaultdict(list)
        for item in self.published:
            if item.event.fault is not Fault.POISON and self._is_in_time(item):
                good[item.event.subject_id].append(item)
        return tuple(
            d.record.decision_id
            for d in self._first_of_each_id
            if any(self._lacks(d.record, item) for item in good[d.record.subject_id])
        )

    @cached_property
    def different_duplicates(self) -> tuple[str, ...]:
        """Ids of decisions that say again, and say otherwise, what was decided before.

        Either the same id with other bytes, or a second final decision about an input.
        """
        values: dict[str, bytes] = {}
        speaks_for: dict[Source, str] = {}
        different: dict[str, None] = {}
        for decision in self.decisions:
            record = decision.record
            if values.setdefault(record.decision_id, decision.value) != decision.value:
                different[record.decision_id] = None
            for covered in record.covered() if record.final else ():
                if speaks_for.setdefault(covered.input, record.decision_id) != record.decision_id:
                    different[record.decision_id] = None
        return tuple(different)

    @property
    def balances(self) -> bool:
        """Whether the run did everything right that does not depend on how faces look."""
        wrong = self.wrong_halves or self.different_duplicates or self.misjudged
        return not wrong and not self.counts[Fate.UNACCOUNTED]

    @cached_property
    def final(self) -> Mapping[str, DecisionRecord]:
        """The last final decision of each subject."""
        return {d.record.subject_id: d.record for d in self.finals}

    @cached_property
    def finals(self) -> tuple[SeenDecision, ...]:
        """Decisions that no revision supersedes."""
        return tuple(decision for decision in self.decisions if decision.record.final)

    @cached_property
    def _first_of_each_id(self) -> tuple[SeenDecision, ...]:
        first: dict[str, SeenDecision] = {}
        for decision in self.finals:
            first.setdefault(decision.record.decision_id, decision)
        return tuple(first.values())

    @cached_property
    def _reasons(self) -> Mapping[Source, Reason]:
        return {letter.source: letter.reason for letter in self.dead_letters}

    def _is_in_time(self, item: Published) -> bool:
        return item.append_ms <= item.event_time_ms + self.grace_ms

    def _lacks(self, record: DecisionRecord, item: Published) -> bool:
        if not record.window.start_ms <= item.event_time_ms < record.window.end_ms:
            return False
        reason = self._reasons.get(item.source)
        if reason is not None and reason not in LATE_REASONS:
            return False
        return item.event.event_id not in {covered.event_id for covered in record.covered()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of a duration in milliseconds, by nearest rank; None without a single measurement."""

    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, durations_ms: Iterable[float]) -> "Percentiles":
        """Nearest rank: the smallest value that at least that share of all does not exceed."""
        ordered = sorted(durations_ms)

        def rank(percent: int) -> float | None:
            return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else None

        return cls(p50=rank(50), p95=rank(95), p99=rank(99))
