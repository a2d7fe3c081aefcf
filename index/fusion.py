"""Similarities per modality -> one calibrated score, for every mask of modalities.

With the primary modality in the mask, f = s + Σ w·clip(t, −c, c) over the others: a supporting modality moves
the primary's cosine by w·c at most, for look-alikes share their descriptions. Without it, f = Σ t; across
modalities f is the cosine in the space of the crossing. The mask's LLR = scale·f + bias then makes all masks
comparable. Each step is monotone in each similarity: exact
search rests on that.
"""

import math
from collections.abc import Mapping

import numpy as np

from index.policy import Policy
from index.records import Mask, Modality
from index.vectors import Array


def evidence(policy: Policy, modality: Modality, similarity: Array) -> Array:
    """t: the log-likelihood ratio of one modality alone, unclipped."""
    llr = policy.row(modality).llr
    return llr.scale * similarity + llr.bias


def score(policy: Policy, mask: Mask, similarity: Mapping[Modality, Array]) -> Array:
    """The calibrated log-likelihood ratio of pairs that have `mask` in common.

    Args:
        policy: Whose constants.
        mask: Not empty.
        similarity: Cosine per modality of the mask; arrays of one shape, in whose type the score is computed.

    Returns:
        LLR, of that shape. Each element depends on its own similarities alone, to the bit.
    """
    primary = policy.primary
    if primary in mask:
        fused = similarity[primary]
        for row in policy.rows[1:]:
            if row.modality in mask:
                t = evidence(policy, row.modality, similarity[row.modality])
                fused = fused + row.weight * np.clip(t, -row.clip, row.clip)
    elif mask.issubset(policy.crossings):
        (fused,) = (similarity[name] for name in mask)
    else:
        ranked = [modality for modality in policy.modalities if modality in mask]
        fused = evidence(policy, ranked[0], similarity[ranked[0]])
        for modality in ranked[1:]:
            fused = fused + evidence(policy, modality, similarity[modality])
    row_of_mask = policy.masks[mask]
    return row_of_mask.scale * fused + row_of_mask.bias


def bound(policy: Policy, mask: Mask, ceiling: Mapping[Modality, float]) -> float:
    """The largest LLR that any pair of this mask can have whose similarities are at most `ceiling`."""
    return float(score(policy, mask, {modality: np.asarray(ceiling[modality]) for modality in mask}))


def spread(policy: Policy, mask: Mask, error: Mapping[Modality, float]) -> float:
    """How far the LLR can move when each similarity moves by its error: the sum of slopes times errors."""
    slopes = {
        row.modality: row.llr.scale * (row.weight if policy.primary in mask else 1.0) for row in policy.rows
    }
    slopes |= dict.fromkeys(policy.crossings, 1.0)
    if policy.primary in mask:
        slopes[policy.primary] = 1.0
    return policy.masks[mask].scale * sum(slopes[modality] * error[modality] for modality in mask)


def probability(policy: Policy, mask: Mask, llr: float, identities: int) -> float:
    """P(the best candidate is the probe's identity | its score, N) = σ(a·score − b·ln N + c), in [0, 1].

    Without the ln N term the same score would promise as much among ten as among a million.
    """
    odds = policy.masks[mask].probability or policy.probability
    logit = odds.a * llr - odds.b * math.log(max(identities, 1)) + odds.c
    # Both branches keep exp() from overflowing.
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))
