"""Decisions about windows that still wait: which are published, and how each replaces the one before.

The laws:

- *One final decision a window.* Its id is a hash of its inputs alone, whatever was announced before it.
- *A revision supersedes*: it names the latest decision that shares an input with it, and counts one up.
  Where an earlier event moves the windows of a subject, the decisions of the new ones supersede those of the
  old ones in the order of time.
- *No step back*: after a restart nothing is announced of a subject until every input of what was announced
  before has come again. Until then only a part of it is known.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from index.records import Outcome
from stream.decision_record import covered_events
from stream.events import Decision, Event, Source, SubjectId
from stream.reasons import Reason


class Revisions(StrEnum):
    """Which decisions a window gets."""

    FINAL_ONLY = "final_only"
    """One, when it closes: as soon as it is complete."""
    EARLY_THEN_FINAL = "early_then_final"
    """One as soon as the evidence suffices, a match or every expected modality; one when it closes."""
    EVERY_CHANGE = "every_change"
    """One for each event that joins it; one when it closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A published decision that a later one supersedes."""

    decision_id: str
    revision: int
    subject_id: SubjectId
    inputs: frozenset[Source]
    """Those that have no final decision yet."""


class Announcements:
    """What was announced of the windows of ONE partition that still wait; owned by one coroutine."""

    def __init__(self, policy: Revisions, announced: Iterable[Announced] = ()) -> None:
        self._policy = policy
        self._latest: dict[Source, Announced] = {}
        """By input, until its final decision is out."""
        self._awaited: defaultdict[SubjectId, set[Source]] = defaultdict(set)
        """Inputs announced before a restart that have not come again yet."""
        for told in announced:
            self._latest |= dict.fromkeys(told.inputs, told)
            self._awaited[told.subject_id] |= told.inputs

    @property
    def remembered(self) -> int:
        """Inputs that were announced and have no final decision yet."""
        return len(self._latest)

    def came(self, event: Event) -> None:
        """An event of this partition was read."""
        if (awaited := self._awaited.get(event.subject_id)) is not None:
            awaited.discard(event.source)
            if not awaited:
                del self._awaited[event.subject_id]

    def awaits(self, subject_id: SubjectId) -> bool:
        """Whether only a part of what was announced of a subject is known: its windows say nothing yet.

        To be asked when a window changed, not when it is decided: what was missing may have come in between.
        """
        return subject_id in self._awaited

    def revise(self, decision: Decision) -> Decision | None:
        """The decision as it is to be published; None where the policy has nothing to say yet."""
        before = self._before(decision)
        if not decision.final and not self._suffices(decision, before):
            return None
        if before is None:
            return decision
        return replace(decision, revision=before.revision + 1, supersedes=before.decision_id)

    def published(self, decision: Decision) -> None:
        """A decision was delivered."""
        inputs = frozenset(event.source for event in covered_events(decision))
        if decision.final:
            for source in inputs:
                self._latest.pop(source, None)
        else:
            told = Announced(
                decision_id=decision.decision_id,
                revision=decision.revision,
                subject_id=decision.probe.subject_id,
                inputs=inputs,
            )
            self._latest |= dict.fromkeys(inputs, told)

    def _before(self, decision: Decision) -> Announced | None:
        """The announcement that the latest of its inputs was in."""
        if not self._latest:
            return None
        told = (self._latest.get(event.source) for event in reversed(covered_events(decision)))
        return next(filter(None, told), None)

    def _suffices(self, decision: Decision, before: Announced | None) -> bool:
        if self._policy is Revisions.FINAL_ONLY:
            return False
        if self._policy is Revisions.EVERY_CHANGE:
            inputs = {event.source for event in covered_events(decision)}
            return before is None or before.inputs != inputs
        whole = all(missing.reason is not Reason.NOT_RECEIVED for missing in decision.probe.missing)
        return before is None and (whole or decision.verdict.outcome is Outcome.MATCH)
