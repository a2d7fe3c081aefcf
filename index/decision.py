"""Candidates and thresholds -> an open-set decision: somebody, nobody, or why it cannot be said."""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np

from index.fusion import evidence, score
from index.policy import Policy
from index.records import (
    Basis,
    Candidate,
    Feature,
    IdentityId,
    Mask,
    Modality,
    Outcome,
    SearchResult,
    Threshold,
    Verdict,
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

    Args:
        result: At least two candidates where the gallery has them, or no runner-up can be seen.
        probe: As it was searched.
        thresholds: For the same gallery version, one per mask (`thresholds_for`).
        policy: The gallery's.
    """
    mask = frozenset(policy.usable(probe))
    warnings = (VerdictReason.LOW_QUALITY,) if len(mask) < len(probe) else ()
    if nothing := _nothing_to_compare(result, mask):
        return _verdict(Outcome.INSUFFICIENT, (nothing, *warnings), result, None)
    threshold = thresholds[mask]
    if threshold.basis in _WARNING_OF_BASIS:
        warnings = (*warnings, _WARNING_OF_BASIS[threshold.basis])
    outcome, reasons, identity_id = _judge(result.candidates, threshold, thresholds, policy)
    return _verdict(outcome, (*reasons, *warnings), result, threshold, identity_id)


def _nothing_to_compare(result: SearchResult, mask: Mask) -> VerdictReason | None:
    if not mask:
        return VerdictReason.NO_USABLE_MODALITY
    if not result.identities:
        return VerdictReason.GALLERY_EMPTY
    return None if result.candidates else VerdictReason.NO_SHARED_MODALITY


def _judge(
    candidates: tuple[Candidate, ...],
    threshold: Threshold,
    thresholds: Mapping[Mask, Threshold],
    policy: Policy,
) -> tuple[Outcome, tuple[VerdictReason, ...], IdentityId | None]:
    if _contradicts_itself(candidates[0], thresholds, policy):
        return Outcome.CONFLICT, (VerdictReason.MODALITIES_CONTRADICT,), None
    cleared = [candidate for candidate in candidates if candidate.score >= threshold.score]
    if not cleared:
        return Outcome.NO_MATCH, (VerdictReason.BELOW_THRESHOLD,), None
    deciding = [candidate for candidate in cleared if policy.masks[frozenset(candidate.similarity)].may_match]
    if not deciding:
        return Outcome.NO_MATCH, (VerdictReason.MASK_CANNOT_MATCH,), None
    match = deciding[0]
    if any(match.score - rival.score < policy.margin for rival in cleared if rival is not match):
        return Outcome.AMBIGUOUS, (VerdictReason.WITHIN_MARGIN,), None
    return Outcome.MATCH, (), match.identity_id


def _contradicts_itself(best: Candidate, thresholds: Mapping[Mask, Threshold], policy: Policy) -> bool:
    """Whether the primary modality alone would clear while another speaks clearly against the same identity.

    Asked before the threshold: the contradiction may itself have pulled the fused score under it.
    """
    similarity = {modality: np.asarray(cosine) for modality, cosine in best.similarity.items()}
    if policy.conflict_below is None or policy.primary not in similarity:
        return False
    alone = frozenset({policy.primary})
    if score(policy, alone, similarity) < thresholds[alone].score:
        return False
    others = similarity.keys() - alone
    return any(evidence(policy, m, similarity[m]) < policy.conflict_below for m in others)


def _verdict(
    outcome: Outcome,
    reasons: tuple[VerdictReason, ...],
    result: SearchResult,
    threshold: Threshold | None,
    identity_id: IdentityId | None = None,
) -> Verdict:
    scores = [candidate.score for candidate in result.candidates[:2]]
    return Verdict(
        outcome=outcome,
        reasons=reasons,
        identity_id=identity_id,
        candidates=result.candidates,
        margin=scores[0] - scores[1] if len(scores) == 2 else None,
        threshold=threshold,
    )
