"""Thresholds from the enrolled gallery itself, and the fits that a policy is made of.

A threshold tuned on one gallery and used on a larger one lets through many times the strangers asked for: the
best of N impostor scores grows with N. Leave-one-out asks this gallery: each identity, searched without
itself, is a stranger to the others.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from index.errors import PolicyError
from index.gallery import Gallery
from index.leave_one_out import SEARCHES, impostor_scores, lot
from index.policy import Affine, Policy
from index.records import Basis, Mask, Threshold
from index.roll import Contents
from index.tail import tail_slope, threshold_estimate

Doubles = npt.NDArray[np.float64]
TargetFpir = float | Mapping[Mask, float]
"""One share for all probe masks, or one for each."""

SMALLEST_GALLERY = 20
"""Under so many leave-one-out searches their threshold only counts where it is stricter than the policy's."""
EVIDENCE = 3.0
"""So many searches over the threshold must be expected before data speak for a target (the rule of three)."""


def thresholds_for(
    gallery: Gallery, target_fpir: TargetFpir, *, limit: int = SEARCHES
) -> Mapping[Mask, Threshold]:
    """The threshold of every probe mask for this gallery as it is: a pure function of contents and policy.

    Args:
        gallery: Whose contents are taken at once.
        target_fpir: Share of non-mated searches that may return somebody, in (0, 1).
        limit: Leave-one-out searches per mask at most.
    """
    contents = gallery.contents()
    scores = impostor_scores(contents, limit=limit)
    return thresholds_of(contents.policy, scores, target_fpir, identities=len(contents.identities))


def thresholds_of(
    policy: Policy, impostors: Mapping[Mask, Doubles], target_fpir: TargetFpir, *, identities: int
) -> Mapping[Mask, Threshold]:
    """The same from impostor scores that are there already.

    Args:
        policy: The gallery's.
        impostors: Per mask (n,), the best scores of leave-one-out searches.
        target_fpir: As above.
        identities: N, the size of the gallery.
    """
    targets = dict.fromkeys(impostors, target_fpir) if isinstance(target_fpir, float) else target_fpir
    return {
        mask: _threshold(policy, mask, scores, targets[mask], identities)
        for mask, scores in impostors.items()
    }


def _threshold(policy: Policy, mask: Mask, scores: Doubles, target_fpir: float, identities: int) -> Threshold:
    row, n = policy.masks[mask], len(scores)
    estimate = threshold_estimate(scores, target_fpir, prior_slope=row.tail_slope) if n else None
    # The constant was fitted for the policy's own target; a rarer one is further out on the same tail.
    rarer = max(1.0, policy.target(mask) / target_fpir)
    fallback = row.fallback_threshold + row.tail_slope * math.log(rarer)
    if estimate is None or (n < SMALLEST_GALLERY and estimate.score <= fallback):
        basis, score, interval = Basis.POLICY, fallback, None
    else:
        basis = Basis.GALLERY if target_fpir * n >= EVIDENCE else Basis.EXTRAPOLATED
        score, interval = estimate.score, (estimate.low, estimate.high)
    return Threshold(
        score=score,
        target_fpir=target_fpir,
        gallery_size=identities,
        policy_id=policy.policy_id,
        basis=basis,
        searches=n,
        interval=interval,
    )


def with_tails(contents: Contents) -> Policy:
    """The policy of a calibration gallery with the impostor tails of its people, for each probe mask.

    The slope is for galleries too small to show their own, and is greater in small ones: it is measured in
    quarters of the people, by lot. The constant for those smaller still is the threshold among all of them.

    Args:
        contents: Of a gallery of all calibration people.

    Returns:
        The policy with `tail_slope` and `fallback_threshold`; as they were for a mask that nobody has.
    """
    policy = contents.policy
    by_lot = sorted(contents.identities, key=lot)
    quarters = [
        replace(contents, identities={name: contents.identities[name] for name in by_lot[turn::4]})
        for turn in range(4)
    ]
    tails = [impostor_scores(quarter) for quarter in quarters]
    masks = dict(policy.masks)
    for mask, scores in impostor_scores(contents).items():
        known = [tail[mask] for tail in tails if len(tail[mask])]
        if known:
            slope = round(tail_slope(known), 4)
            constant = threshold_estimate(scores, policy.target(mask), prior_slope=slope).score
            masks[mask] = replace(masks[mask], tail_slope=slope, fallback_threshold=round(constant, 4))
    return replace(policy, masks=masks)


def threshold_at_fpir(impostor_scores: npt.ArrayLike, fpir: float) -> float:
    """The lowest threshold that at most a share `fpir` of these best impostor scores reach.

    Args:
        impostor_scores: (n,) best scores of non-mated searches.
        fpir: In (0, 1).

    Raises:
        PolicyError: So few searches cannot show so rare an event (the rule of three).
    """
    scores = np.sort(np.asarray(impostor_scores, dtype=np.float64))
    if not 0.0 < fpir < 1.0 or fpir * len(scores) < EVIDENCE:
        raise PolicyError(
            f"{len(scores)} non-mated searches cannot show a target FPIR of {fpir:g}; it takes at least "
            f"{EVIDENCE:g} / FPIR searches, and a target between 0 and 1."
        )
    allowed = math.floor(fpir * len(scores))
    return math.nextafter(float(scores[len(scores) - allowed - 1]), math.inf)


def fit_affine_llr(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> Affine:
    """The log-likelihood ratio of a similarity as scale·s + bias, by logistic regression.

    The regression's intercept holds the prior odds of the fitting set; without it, the evidence is left.

    Args:
        genuine: (n,) similarities of pairs of one identity.
        impostor: (m,) similarities of pairs of two, best look-alikes for modalities that support another.

    Raises:
        PolicyError: A set is empty, or greater similarity does not speak for the same identity.
    """
    from sklearn.linear_model import LogisticRegression

    same, other = np.ravel(genuine).astype(np.float64), np.ravel(impostor).astype(np.float64)
    if not len(same) or not len(other):
        raise PolicyError(
            f"A fit needs pairs of both kinds; there are {len(same)} genuine and {len(other)} impostor."
        )
    labels = np.repeat([1, 0], [len(same), len(other)])
    # Nearly no regularisation, but some: separable sets have no finite maximum-likelihood fit.
    model = LogisticRegression(C=1e4, max_iter=1000).fit(np.concatenate([same, other])[:, np.newaxis], labels)
    scale, log_odds = float(model.coef_[0, 0]), float(model.intercept_[0])
    if scale <= 0:
        raise PolicyError(
            f"The fit has scale {scale:g}: genuine pairs (mean {same.mean():.3g}) are no more similar than "
            f"impostor pairs (mean {other.mean():.3g}). Are the sets swapped? If not, leave it out."
        )
    return Affine(scale=scale, bias=log_odds - math.log(len(same) / len(other)))
