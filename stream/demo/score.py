"""How well a run recognised and how fast: rates against the truth, latency, throughput.

Rates are per mask, the modalities of a subject that were published well and in time, because a text alone
can never do what a face can. Every one of them is strict: an *ambiguous* decision names nobody, so it is a
miss for the enrolled (FNIR) and, having somebody over the threshold, a false alarm for a stranger (FPIR).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from index.records import IMAGE, TEXT, Mask, Modality, Outcome
from stream.decision_view import DecisionRecord
from stream.demo.ledger import Ledger, Percentiles
from stream.demo.traffic import Fault, PlannedSubject
from stream.events import ClosedBy
from stream.ledger import Fate

MASK_NAMES: Mapping[str, Mask] = {
    "image": frozenset({IMAGE}),
    "text": frozenset({TEXT}),
    "both": frozenset({IMAGE, TEXT}),
}
"""The rows of the summary."""

RETURNED_SOMEBODY = frozenset({Outcome.MATCH, Outcome.AMBIGUOUS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Open-set identification of one mask; a rate without a search is None."""

    probes: int
    """Mated searches: subjects who are enrolled."""
    strangers: int
    """Non-mated searches: subjects who are not."""
    rank1: float | None
    """Share of the mated whose best candidate is the right identity, whatever its score."""
    fnir: float | None
    """Share of the mated that are not matched to the right identity: rank 1 and over the threshold."""
    fpir: float | None
    """Share of the non-mated for which somebody was returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a decision, or the baseline, said about one subject."""

    truth: str | None
    """The enrolled identity; None for a stranger."""
    best: str | None
    """Identity of rank 1."""
    returned: bool
    """Whether somebody was returned at all."""
    matched: str | None
    """The identity the answer commits itself to."""


def rates(answers: Sequence[Answer]) -> Rates:
    """Rank 1, FNIR and FPIR of some answers."""
    mated = [a for a in answers if a.truth is not None]
    others = [a for a in answers if a.truth is None]
    return Rates(
        probes=len(mated),
        strangers=len(others),
        rank1=_share(sum(a.best == a.truth for a in mated), len(mated)),
        fnir=_share(sum(a.matched != a.truth for a in mated), len(mated)),
        fpir=_share(sum(a.returned for a in others), len(others)),
    )


def rates_by_mask(
    ledger: Ledger, subjects: Sequence[PlannedSubject], enrolled: frozenset[str]
) -> Mapping[str, Rates]:
    """The rates of each mask.

    Args:
        ledger: The closed books.
        subjects: Who appeared.
        enrolled: Identities that are in the gallery: those whose enrolment was accepted.
    """
    masks = observed_masks(ledger)
    by_mask: dict[Mask, list[Answer]] = defaultdict(list)
    for subject in subjects:
        decision = ledger.final.get(subject.subject_id)
        if decision is not None and subject.subject_id in masks:
            truth = subject.identity_id if subject.identity_id in enrolled else None
            by_mask[masks[subject.subject_id]].append(answer_of(decision, truth))
    return {name: rates(by_mask[mask]) for name, mask in MASK_NAMES.items()}


def answer_of(decision: DecisionRecord, truth: str | None) -> Answer:
    """A decision beside its truth."""
    return Answer(
        truth=truth,
        best=decision.candidates[0].identity_id if decision.candidates else None,
        returned=decision.outcome in RETURNED_SOMEBODY,
        matched=decision.identity_id,
    )


def observed_masks(ledger: Ledger) -> Mapping[str, Mask]:
    """What each subject could be recognised by: its good events, but for those that came too late."""
    found: dict[str, set[Modality]] = defaultdict(set)
    for item in ledger.published:
        if item.event.fault is not Fault.POISON and ledger.fates[item.source] is not Fate.LATE:
            found[item.event.subject_id].add(item.event.modality)
    return {subject: frozenset(modalities) for subject, modalities in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast decisions came, by the broker's clock alone.

    Latency is the time from the append of the last input that a decision needed to the append of the
    decision. It is that of *complete* decisions. A decision that waited for a modality which never came is
    not slow but patient: its wait, mostly window and grace, is told apart.
    """

    latency_ms: Percentiles
    join_wait_ms: Percentiles
    """The same span for decisions at the deadline."""
    subjects_per_s: float | None
    """Subjects decided over the time from the first event to the last decision."""


def speed(ledger: Ledger) -> Speed:
    """Latency and throughput of a run."""
    append_ms = {item.source: item.append_ms for item in ledger.published}
    spans: dict[ClosedBy | None, list[float]] = defaultdict(list)
    seen: set[str] = set()
    for decision in ledger.finals:
        record = decision.record
        needed = [append_ms[c.input] for c in record.covered() if c.input in append_ms]
        if needed and record.decision_id not in seen:
            seen.add(record.decision_id)
            spans[record.window.closed_by].append(decision.append_ms - max(needed))
    return Speed(
        latency_ms=Percentiles.of(spans[ClosedBy.COMPLETE]),
        join_wait_ms=Percentiles.of(chain(spans[ClosedBy.DEADLINE], spans[ClosedBy.END_OF_SUBJECT])),
        subjects_per_s=_subjects_per_s(ledger),
    )


def _subjects_per_s(ledger: Ledger) -> float | None:
    if not ledger.decisions or not ledger.published:
        return None
    first = min(item.append_ms for item in ledger.published)
    last = max(decision.append_ms for decision in ledger.decisions)
    return 1_000 * len(ledger.final) / (last - first) if last > first else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
