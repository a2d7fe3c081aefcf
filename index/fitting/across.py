"""Attribute regression: what a face says of how it would be described, and what follows for a conflict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.crossing import AgreementRow, Crossing, Projection
from index.fitting.labelled import Doubles, Labelled, folds, mated_pairs, names, number, significant
from index.records import IMAGE, TEXT, Modality, Vector

DIMENSIONS = 16
"""Of the common space: fewer lose people, more find none that are not found."""
_RIDGE = 1.0
"""In mean eigenvalues of the faces' scatter."""
_EVEN = 0.1
"""How far small components of the descriptions are raised towards the largest: added to each variance."""
_FLOOR_SHARE = 0.5
"""Of the least norm among the samples fitted on."""
CONFLICT_SHARE = 0.015
"""Of honest pairs that may be flagged."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ends:
    """The two projections."""

    of_face: Projection
    of_description: Projection


def fit_ends(faces: Vector, texts: Vector) -> Ends:
    """Principal components of the descriptions, and a ridge regression of them on the faces.

    The direction that all descriptions share is left out of the components: words that no face was described
    by then project to zero, and say nothing.

    Args:
        faces: (n, D) placed, each of the photo that the text in its row is about.
        texts: (n, D') placed.
    """
    e, x = faces.astype(np.float64), texts.astype(np.float64)
    common = x.mean(axis=0) / np.linalg.norm(x.mean(axis=0))
    x = x - np.outer(x @ common, common)
    _, singular, components = np.linalg.svd(x, full_matrices=False)
    kept = min(DIMENSIONS, int(np.sum(singular > 1e-6 * singular[0])))
    variance, components = singular[:kept] ** 2 / len(x), components[:kept]
    mean, centred = e.mean(axis=0), e - e.mean(axis=0)
    scatter = centred.T @ centred
    ridge = _RIDGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    slopes = np.linalg.solve(scatter + ridge, centred.T @ (x @ components.T)).T
    even = (variance + _EVEN * variance[0])[:, None] ** -0.25
    return Ends(
        of_face=_projection(even * slopes, -(even * slopes) @ mean, e),
        of_description=_projection(even * components, np.zeros(kept), texts.astype(np.float64)),
    )


def _projection(matrix: Doubles, offset: Doubles, rows: Doubles) -> Projection:
    """Scaled to a mean norm of 1 over the rows, which changes no cosine."""
    norms = np.linalg.norm(rows @ matrix.T + offset, axis=1)
    return Projection(
        matrix=significant(matrix / norms.mean()).astype(np.float32),
        offset=significant(offset / norms.mean()).astype(np.float32),
        floor=number(_FLOOR_SHARE * float(norms.min() / norms.mean()), 2),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Across:
    """A crossing, and the cosines of pairs that its projections had not seen."""

    crossing: Crossing
    mated: Doubles
    non_mated: Doubles
    conflict_below: float
    found: float
    """Share of swapped descriptions under the cut."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Witnesses:
    """(n, 3): description with description, with the probe's face, with the identity's face."""

    honest: Doubles
    swapped: Doubles


def fit_across(
    samples: Sequence[Labelled], placed: Mapping[Modality, Vector], rng: np.random.Generator
) -> Across:
    """Projections fitted on everybody; what is built on their cosines, on people that they had not seen.

    Otherwise a conflict asked for among one in a hundred would be found among one in twenty.

    Args:
        samples: With a photo and a text each.
        placed: (n, D) of each modality, in their order.
        rng: Draws who is held out together.
    """
    mated, non_mated, honest, swapped = [], [], [], []
    for held in folds(names(samples), rng):
        ends = fit_ends(placed[IMAGE][~held], placed[TEXT][~held])
        own = [sample for sample, out in zip(samples, held, strict=True) if out]
        said = np.stack([ends.of_description(x) for x in placed[TEXT][held]]).astype(np.float64)
        shown = np.stack([ends.of_face(e) for e in placed[IMAGE][held]]).astype(np.float64)
        across = shown @ said.T
        same, different = mated_pairs(own, own)
        mated.append(across[same])
        non_mated.append(across[different])
        texts = placed[TEXT][held].astype(np.float64)
        pairs = _witnesses(texts @ texts.T, across, np.argwhere(same), different)
        honest.append(pairs.honest)
        swapped.append(pairs.swapped)
    witnesses = _Witnesses(honest=np.concatenate(honest), swapped=np.concatenate(swapped))
    agreement = _agreement(witnesses, [0, 1, 2])
    of_faces = _agreement(witnesses, [1, 2])
    cut = min(
        float(np.quantile(_llr(row, witnesses.honest), CONFLICT_SHARE)) for row in (agreement, of_faces)
    )
    ends = fit_ends(placed[IMAGE], placed[TEXT])
    return Across(
        crossing=Crossing(
            face=IMAGE,
            description=TEXT,
            of_face=ends.of_face,
            of_description=ends.of_description,
            agreement=agreement,
            agreement_of_faces=of_faces,
        ),
        mated=np.concatenate(mated),
        non_mated=np.concatenate(non_mated),
        conflict_below=number(cut, 3),
        found=float(np.mean(_llr(agreement, witnesses.swapped) < number(cut, 3))),
    )


def _witnesses(described: Doubles, across: Doubles, pairs: np.ndarray, different: np.ndarray) -> _Witnesses:
    """Of each pair (probe, enrolled) of one person: with its own description, and with those of all others.

    Args:
        described: (n, n) cosines of descriptions.
        across: (n, n) cosines of faces, in rows, with descriptions.
        pairs: (m, 2) places of probe and enrolled sample.
        different: (n, n) whether two samples are of different people.
    """

    def heard(probe: int, enrolled: int, told: np.ndarray) -> Doubles:
        return np.stack([described[told, enrolled], across[probe, told], across[enrolled, told]], axis=1)

    honest = [heard(probe, enrolled, np.array([probe])) for probe, enrolled in pairs]
    swapped = [heard(probe, enrolled, np.flatnonzero(different[probe])) for probe, enrolled in pairs]
    nothing = np.empty((0, 3))
    return _Witnesses(honest=np.concatenate([nothing, *honest]), swapped=np.concatenate([nothing, *swapped]))


def _agreement(witnesses: _Witnesses, heard: list[int]) -> AgreementRow:
    """A logistic regression in which both kinds weigh the same: its log odds are the log-likelihood ratio."""
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([witnesses.honest, witnesses.swapped])[:, heard]
    labels = np.repeat([1, 0], [len(witnesses.honest), len(witnesses.swapped)])
    model = LogisticRegression(C=1e4, max_iter=1000, class_weight="balanced").fit(rows, labels)
    weights = np.zeros(3)
    weights[heard] = significant(model.coef_[0])
    return AgreementRow(
        described=float(weights[0]),
        own=float(weights[1]),
        enrolled=float(weights[2]),
        bias=number(float(model.intercept_[0])),
    )


def _llr(row: AgreementRow, witnesses: Doubles) -> Doubles:
    llr: Doubles = witnesses @ np.array([row.described, row.own, row.enrolled]) + row.bias
    return llr
