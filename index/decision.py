"""Candidates and thresholds -> an open-set decision: somebody, nobody, or why it cannot be said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from index.explanation import anybody, would_suffice
from index.fusion import score
from index.policy import Policy
from index.records import (
    Agreement,
    Basis,
    Candidate,
    Explanation,
    Feature,
    IdentityId,
    Mask,
    Modality,
    Outcome,
    Rival,
    SearchResult,
    Threshold,
    Verdict,
    Weak,
)


class VerdictReason(StrEnum):
    """Why a decision is what it is. Stable codes, as they stand on the wire."""

    # Insufficient.
    NO_USABLE_MODALITY = "no_usable_modality"
    GALLERY_EMPTY = "gallery_empty"
    NO_SHARED_MODALITY = "no_shared_modality"
    """Nobody is enrolled in any modality of the probe."""
    # Conflict and ambiguous.
    MODALITIES_CONTRADICT = "modalities_contradict"
    WITHIN_MARGIN = "within_margin"
    # No match.
    BELOW_THRESHOLD = "below_threshold"
    MASK_CANNOT_MATCH = "mask_cannot_match"
    """Rank 1 is over the threshold by evidence that ranks but never decides, as a description alone."""
    # Warnings, with any outcome.
    LOW_QUALITY = "low_quality"
    """A feature of the probe was under its quality floor and was passed over."""
    THRESHOLD_FROM_POLICY = "threshold_from_policy"
    THRESHOLD_EXTRAPOLATED = "threshold_extrapolated"


_WARNING_OF_BASIS = {
    Basis.POLICY: VerdictReason.THRESHOLD_FROM_POLICY,
    Basis.EXTRAPOLATED: VerdictReason.THRESHOLD_EXTRAPOLATED,
}


def decide(
    result: SearchResult,
    probe: Mapping[Modality, Feature],
    thresholds: Mapping[Mask, Threshold],
    policy: Policy,
) -> Verdict:
    """The verdict about one probe.

    A candidate *clears* when its score reaches the threshold of the probe's mask. A match is the first that
    clears by evidence that may match, provided that nobody else who clears comes within the policy's margin.
    Whatever is no match is explained.

    Args:
        result: At least two candidates where the gallery has them, or no runner-up can be seen.
        probe: As it was searched.
        thresholds: For the same gallery version, one per mask (`thresholds_for`).
        policy: The gallery's.
    """
    mask, weak = frozenset(policy.usable(probe)), policy.weak(probe)
    warnings = (VerdictReason.LOW_QUALITY,) if weak else ()
    judge = _Judge(thresholds=thresholds, policy=policy)
    if nothing := _nothing_to_compare(result, mask):
        lacking = [m for m in policy.modalities if m not in mask] if result.identities else []
        sufficient = would_suffice(policy, mask, anybody(lacking), (), judge.match_of)
        return Verdict(
            outcome=Outcome.INSUFFICIENT,
            reasons=(nothing, *warnings),
            identity_id=None,
            candidates=result.candidates,
            margin=None,
            threshold=None,
            explanation=Explanation(weak=weak, would_suffice=tuple(sufficient)),
        )
    threshold = thresholds[mask]
    if threshold.basis in _WARNING_OF_BASIS:
        warnings = (*warnings, _WARNING_OF_BASIS[threshold.basis])
    found = judge(result.candidates, mask)
    scores = [candidate.score for candidate in result.candidates[:2]]
    return Verdict(
        outcome=found.outcome,
        reasons=(*found.reasons, *warnings),
        identity_id=found.match,
        candidates=result.candidates,
        margin=scores[0] - scores[1] if len(scores) == 2 else None,
        threshold=threshold,
        explanation=None if found.match else _explained(found, result.candidates, weak, mask, judge),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    outcome: Outcome
    about: Candidate
    """The match, or whom a reader will ask about."""
    reasons: tuple[VerdictReason, ...] = ()
    rival: Candidate | None = None
    against: Modality | None = None

    @property
    def match(self) -> IdentityId | None:
        return self.about.identity_id if self.outcome is Outcome.MATCH else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """Candidates and a probe's mask -> a judgement; an explanation asks it again about better samples."""

    thresholds: Mapping[Mask, Threshold]
    policy: Policy

    def __call__(self, candidates: Sequence[Candidate], mask: Mask) -> _Judgement:
        best, policy = candidates[0], self.policy
        if against := self._contradiction(best):
            return _Judgement(
                outcome=Outcome.CONFLICT,
                about=best,
                reasons=(VerdictReason.MODALITIES_CONTRADICT,),
                against=against,
            )
        cleared = [c for c in candidates if c.score >= self.thresholds[mask].score]
        deciding = [c for c in cleared if policy.masks[frozenset(c.similarity)].may_match]
        if not deciding:
            reason = VerdictReason.MASK_CANNOT_MATCH if cleared else VerdictReason.BELOW_THRESHOLD
            return _Judgement(outcome=Outcome.NO_MATCH, about=best, reasons=(reason,))
        match = deciding[0]
        for rival in cleared:
            if rival is not match and match.score - rival.score < policy.margin:
                return _Judgement(
                    outcome=Outcome.AMBIGUOUS,
                    about=match,
                    reasons=(VerdictReason.WITHIN_MARGIN,),
                    rival=rival,
                )
        return _Judgement(outcome=Outcome.MATCH, about=match)

    def match_of(self, candidates: Sequence[Candidate], mask: Mask) -> IdentityId | None:
        return self(candidates, mask).match

    def _contradiction(self, best: Candidate) -> Modality | None:
        """What speaks clearly against the identity that the primary modality alone would clear.

        Asked before the threshold: the contradiction may itself have pulled the fused score under it.
        """
        policy = self.policy
        if policy.conflict_below is None or policy.primary not in best.similarity:
            return None
        alone = frozenset({policy.primary})
        similarity = {policy.primary: np.asarray(best.similarity[policy.primary])}
        if score(policy, alone, similarity) < self.thresholds[alone].score:
            return None
        return next((m for m, llr in best.agreement.items() if llr < policy.conflict_below), None)


def _nothing_to_compare(result: SearchResult, mask: Mask) -> VerdictReason | None:
    if not mask:
        return VerdictReason.NO_USABLE_MODALITY
    if not result.identities:
        return VerdictReason.GALLERY_EMPTY
    return None if result.candidates else VerdictReason.NO_SHARED_MODALITY


def _explained(
    found: _Judgement, candidates: Sequence[Candidate], weak: tuple[Weak, ...], mask: Mask, judge: _Judge
) -> Explanation:
    about, rival = found.about, found.rival
    short_by = judge.thresholds[mask].score - about.score
    others = [candidate for candidate in candidates if candidate is not about]
    return Explanation(
        identity_id=about.identity_id,
        short_by=short_by if short_by > 0 else None,
        weak=weak,
        rival=None
        if rival is None
        else Rival(identity_id=rival.identity_id, lead=about.score - rival.score, needed=judge.policy.margin),
        against=found.against,
        agreement=None
        if found.against is None or judge.policy.conflict_below is None
        else Agreement(llr=about.agreement[found.against], needed=judge.policy.conflict_below),
        would_suffice=tuple(would_suffice(judge.policy, mask, about, others, judge.match_of)),
    )
