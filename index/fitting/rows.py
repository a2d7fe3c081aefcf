"""How one modality speaks: its mean, its scaling, its floor, its evidence and its weight."""

import numpy as np

from index.calibration import fit_affine_llr
from index.fitting.labelled import Bools, Doubles, Names, number
from index.policy import Affine, MaskRow
from index.records import Vector

LOOK_ALIKES = 20
"""Faces nearest to a photo: what a description is worth is measured against them, not against anybody."""
_DRAWS = 50
_LOW_SIDE = 0.16
"""Of a normal distribution, what lies more than a standard error under the middle."""
_RELIABILITY_PRIOR = 0.5
"""Variance within people, in means over the dimensions, that each is given before it is measured."""
_FOUND_UNDER_FLOOR = 0.02
"""Share of faces under the floor that are found first among those fitted on: a few times chance."""
_FEWEST_UNDER_FLOOR = 10
"""Faces that must be seen to find nobody."""
_SHARE_BETWEEN = 0.2
"""Of that prior, what each dimension is given between people: it may count for little, never for nothing."""


def fit_scaling(texts: Vector, identities: Names) -> Vector:
    """A = √(between / within), per dimension, each variance drawn towards a common one.

    With independent normal dimensions the log-likelihood ratio of two descriptions is a sum of such weighted
    products (a diagonal two-covariance model; Brümmer and de Villiers, 2010): a word counts for as much as it
    differs between people and stays with each.

    Args:
        texts: (n, D) unit vectors.
        identities: (n,); people with two or more tell what stays.
    """
    rows = texts.astype(np.float64)
    total = np.var(rows, axis=0)
    within, freedom = np.zeros(rows.shape[1]), 0
    for identity in np.unique(identities):
        own = rows[identities == identity]
        within += np.sum((own - own.mean(axis=0)) ** 2, axis=0)
        freedom += len(own) - 1
    within /= max(1, freedom)
    prior = _RELIABILITY_PRIOR * float(np.mean(total[total > 0]))
    between = np.maximum(total - within, 0.0)
    scaling = np.sqrt((between + _SHARE_BETWEEN * prior) / (within + prior))
    rounded: Vector = np.round(scaling, 4).astype(np.float32)
    return rounded


def look_alikes(faces: Doubles, non_mated: Bools) -> Bools:
    """(P, G): the non-mated pairs among the `LOOK_ALIKES` nearest faces of each row."""
    nearest = np.argsort(-np.where(non_mated, faces, -np.inf), axis=1)[:, :LOOK_ALIKES]
    alike = np.zeros_like(non_mated)
    np.put_along_axis(alike, nearest, values=True, axis=1)
    return alike & non_mated


def fit_evidence(cosines: Doubles, mated: Bools, impostors: Bools) -> Affine:
    """Cosine -> t."""
    llr = fit_affine_llr(cosines[mated], cosines[impostors])
    return Affine(scale=number(llr.scale), bias=number(llr.bias))


def fit_weight(
    faces: Doubles,
    evidence: Doubles,
    mated: Bools,
    impostors: Bools,
    identities: Names,
    rng: np.random.Generator,
) -> float:
    """The w of f = s + w·t: the ratio of a logistic regression's slopes, of mated pairs against look-alikes.

    Of people drawn with replacement the low side of w is taken, a standard error under the middle: a
    description counts for what the data vouch for. Fitted on clean photos: degraded ones ask for two to three
    times the weight, at which descriptions cost clean faces more than they give the degraded.

    Args:
        faces: (P, G) cosines.
        evidence: (P, G) clipped t.
        mated: (P, G).
        impostors: (P, G) look-alikes.
        identities: (P,) whose the rows are.
        rng: Draws the people.
    """
    from sklearn.linear_model import LogisticRegression

    asked = mated | impostors
    features, labels = np.stack([faces[asked], evidence[asked]], axis=1), mated[asked]
    people, of_row = np.unique(identities, return_inverse=True)
    of_pair = np.broadcast_to(of_row[:, None], asked.shape)[asked]
    ratios = []
    for times in rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=_DRAWS):
        model = LogisticRegression(C=1e4, solver="newton-cholesky")
        model.fit(features, labels, sample_weight=times[of_pair])
        ratios.append(float(model.coef_[0, 1] / model.coef_[0, 0]))
    return max(0.0, number(float(np.quantile(ratios, _LOW_SIDE)), 3))


def fit_mask(fused: Doubles, mated: Bools, non_mated: Bools, *, may_match: bool) -> MaskRow:
    """The affine map of a mask; its tail is fitted when all maps are known (`with_tails`)."""
    llr = fit_evidence(fused, mated, non_mated)
    return MaskRow(scale=llr.scale, bias=llr.bias, may_match=may_match, fallback_threshold=0.0)


def found_first(cosines: Doubles, mated: Bools, non_mated: Bools) -> tuple[Bools, Bools]:
    """Whether each probe is nearest to a sample of its own identity.

    Returns:
        (P,), and which probes have a sample to be found; of the others the answer means nothing.
    """
    own = np.where(mated, cosines, -np.inf).max(axis=1)
    others = np.where(non_mated, cosines, -np.inf).max(axis=1)
    return np.asarray(own > others), np.asarray(mated.any(axis=1))


def fit_floor(quality: Doubles, found: Bools) -> float:
    """The quality under which next to no face finds its person.

    Args:
        quality: (P,) of clean and degraded photos.
        found: (P,) whether each was found first.

    Returns:
        By a monotone regression on quality; where too few find nobody, the lowest quality that was seen.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(quality, kind="stable")
    share = IsotonicRegression().fit_transform(quality[order], found[order].astype(np.float64))
    under = int(np.sum(share <= _FOUND_UNDER_FLOOR))
    seen = _FEWEST_UNDER_FLOOR <= under < len(share)
    return number(float(quality[order][under if seen else 0]), 3)
