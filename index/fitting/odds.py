"""P(rank 1 is right | its score, N): fitted over sub-galleries, at even odds of mated and non-mated."""

import math
from collections.abc import Sequence

import numpy as np

from index.evaluation import balanced
from index.fitting.labelled import Doubles, Names, number
from index.policy import ProbabilityRow

_SHARES = (1.0, 0.5, 0.25, 0.125)
"""Of the gallery, in the sub-galleries."""
_DRAWS = 3
"""Of each size for each probe; each is searched without the probe's identity, and with it."""
_SMALLEST = 5


def fit_probability(
    searches: Sequence[tuple[Doubles, Names]], enrolled: Names, rng: np.random.Generator
) -> ProbabilityRow:
    """σ(a·score − b·ln N + c), by logistic regression.

    Args:
        searches: For each mask and gallery (P, N) scores of probes with everybody, and whose probes they
            are. −∞ where a pair has nothing in common; such a probe of an enrolled person is never mated.
        enrolled: (N,) whose the columns are.
        rng: Draws the sub-galleries.
    """
    from sklearn.linear_model import LogisticRegression

    rows, right, mated = [], [], []
    for scores, probes in searches:
        for own_scores, probe in zip(scores, probes, strict=True):
            own = np.flatnonzero((enrolled == probe) & np.isfinite(own_scores))
            others = np.flatnonzero((enrolled != probe) & np.isfinite(own_scores))
            for share in _SHARES:
                size = round(share * len(others))
                if size < _SMALLEST:
                    continue
                for _ in range(_DRAWS):
                    drawn = rng.choice(others, size, replace=False)
                    for gallery in (drawn, np.append(drawn, own))[: 1 + len(own)]:
                        best = gallery[int(np.argmax(own_scores[gallery]))]
                        rows.append((own_scores[best], -math.log(len(gallery))))
                        right.append(enrolled[best] == probe)
                        mated.append(len(gallery) > size)
    model = LogisticRegression(C=1e4, max_iter=1000)
    model.fit(np.array(rows), np.array(right), sample_weight=balanced(np.array(mated)))
    a, b = (float(slope) for slope in model.coef_[0])
    return ProbabilityRow(a=number(a), b=number(max(0.0, b)), c=number(float(model.intercept_[0])))
