"""Thresholds from the enrolled gallery itself, and the fits that a policy is made of.

A threshold tuned on one gallery and used on a larger one lets through many times the strangers asked for: the
best of N impostor scores grows with N. Leave-one-out asks this gallery: each identity, searched without
itself, is a stranger to the others.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import numpy as np
import numpy.typing as npt

from index.errors import PolicyError
from index.fusion import score, spread
from index.gallery import Gallery
from index.policy import Affine, Policy
from index.records import Basis, Feature, IdentityId, Mask, Modality, Threshold, Vector
from index.roll import Contents, Identity
from index.vectors import centre, similarity, similarity_error

Doubles = npt.NDArray[np.float64]

SMALLEST_GALLERY = 20
"""Under so many leave-one-out searches their threshold only counts where it is stricter than the policy's."""
TAIL = 0.15
"""Share of the searches that the exponential tail is fitted to."""
PRIOR_SLOPE = 1.0
"""Nats. A calibrated log-likelihood ratio's impostor tail falls by e a nat; measured on LFW: .83 to 1.03."""
PRIOR_EXCESSES = 30
"""What that knowledge weighs: as much as so many searches in the tail, which 200 identities give."""
EVIDENCE = 3.0
"""So many searches over the threshold must be expected before data speak for a target (the rule of three)."""

_ROWS_AT_ONCE = 256
_PAIRS_AT_ONCE = 16384
"""Both bound the memory of one step, to tens of megabytes."""


def thresholds_for(gallery: Gallery, target_fpir: float, *, limit: int = 1000) -> Mapping[Mask, Threshold]:
    """The threshold of every probe mask for this gallery as it is: a pure function of contents and policy.

    Args:
        gallery: Whose contents are taken at once.
        target_fpir: Share of non-mated searches that may return somebody, in (0, 1).
        limit: Leave-one-out searches per mask at most.
    """
    contents = gallery.contents()
    return {
        mask: _threshold(contents, mask, scores, target_fpir)
        for mask, scores in impostor_scores(contents, limit=limit).items()
    }


def _threshold(contents: Contents, mask: Mask, scores: Doubles, target_fpir: float) -> Threshold:
    basis = Basis.GALLERY if target_fpir * len(scores) >= EVIDENCE else Basis.EXTRAPOLATED
    value = tail_threshold(scores, target_fpir) if len(scores) else -math.inf
    fallback = contents.policy.masks[mask].fallback_threshold
    if len(scores) < SMALLEST_GALLERY and value <= fallback:
        basis, value = Basis.POLICY, fallback
    return Threshold(
        score=value,
        target_fpir=target_fpir,
        gallery_size=len(contents.identities),
        policy_id=contents.policy.policy_id,
        basis=basis,
    )


def tail_threshold(scores: Doubles, fpir: float) -> float:
    """T(f) = u + β·ln(.15 / f): an exponential tail over u, the 85 % quantile, with slope β.

    Where the tail begins is the gallery's to say, even a small one's. Its slope is the mean excess over u
    drawn towards `PRIOR_SLOPE`: of 20 identities three are in the tail, and their mean alone let through up
    to 24 times the strangers asked for.

    Args:
        scores: (n,) best scores of non-mated searches, log-likelihood ratios in nats.
        fpir: f in (0, 1); from .15 up the quantile itself answers.
    """
    ordered = np.sort(scores)
    if fpir >= TAIL:
        return math.nextafter(float(np.quantile(ordered, 1.0 - fpir, method="lower")), math.inf)
    u = float(np.quantile(ordered, 1.0 - TAIL))
    excess = ordered[ordered > u] - u
    slope = (float(np.sum(excess)) + PRIOR_EXCESSES * PRIOR_SLOPE) / (len(excess) + PRIOR_EXCESSES)
    return u + slope * math.log(TAIL / fpir)


def impostor_scores(contents: Contents, *, limit: int) -> Mapping[Mask, Doubles]:
    """For every probe mask the best scores of leave-one-out searches, in ascending order.

    One sample of each identity (not its mean, which is better than any probe will be) is searched against all
    others. The identities are those of smallest hash: as good as drawn by lot, and the same in every worker.

    Args:
        contents: Of the gallery.
        limit: Searches per mask at most.

    Returns:
        Per mask (n,) float64, n <= limit: identities that have the mask and somebody to be compared with.
    """
    drawn = sorted(contents.identities.values(), key=_lot)
    searches = {mask: _samples(contents.policy, mask, drawn, limit) for mask in contents.policy.masks}
    best = {mask: np.full(len(samples.identity_ids), -np.inf) for mask, samples in searches.items()}
    for group in _groups(contents):
        for start in range(0, limit, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            products = _Products(group)
            for mask, samples in searches.items():
                if samples.identity_ids[part] and mask.intersection(group.vectors):
                    found = _best_of_group(contents.policy, mask, samples[part], products)
                    best[mask][part] = np.maximum(best[mask][part], found)
    return {mask: np.sort(scores[np.isfinite(scores)]) for mask, scores in best.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Identities with their vectors in rows: samples to be searched, or means to be found."""

    identity_ids: tuple[IdentityId, ...]
    vectors: Mapping[Modality, Vector]
    """(n, D) each."""

    def __getitem__(self, part: slice) -> "_Rows":
        vectors = {modality: rows[part] for modality, rows in self.vectors.items()}
        return _Rows(identity_ids=self.identity_ids[part], vectors=vectors)


def _lot(identity: Identity) -> bytes:
    return blake2b(identity.identity_id.encode(), digest_size=8).digest()


def _groups(contents: Contents) -> Sequence[_Rows]:
    """The means of those enrolled in exactly the same modalities, together: no row is without a vector."""
    members: dict[Mask, list[Identity]] = defaultdict(list)
    for identity in contents.identities.values():
        members[identity.mask].append(identity)
    return [
        _Rows(
            identity_ids=tuple(identity.identity_id for identity in group),
            vectors={
                modality: np.stack([identity.means[modality] for identity in group]) for modality in mask
            },
        )
        for mask, group in members.items()
    ]


def _samples(policy: Policy, mask: Mask, drawn: Iterable[Identity], limit: int) -> _Rows:
    """One probe of this mask for each of the first identities that have one."""
    probes = ((identity.identity_id, _first_usable(policy, mask, identity)) for identity in drawn)
    chosen = list(
        islice(((identity_id, probe) for identity_id, probe in probes if probe.keys() == mask), limit)
    )
    return _Rows(
        identity_ids=tuple(identity_id for identity_id, _ in chosen),
        vectors={
            modality: centre(
                np.stack([probe[modality].vector for _, probe in chosen]), policy.row(modality).mean
            )
            for modality in (mask if chosen else ())
        },
    )


def _first_usable(policy: Policy, mask: Mask, identity: Identity) -> Mapping[Modality, Feature]:
    """Of each modality of the mask the first sample, by template id, that would be evidence."""
    probe: dict[Modality, Feature] = {}
    for template in reversed(identity.templates):
        probe.update(policy.usable({m: feature for m, feature in template.features.items() if m in mask}))
    return probe


class _Products:
    """Cosines of samples and a group, in float32. Masks that search the same samples share them."""

    def __init__(self, group: _Rows) -> None:
        self.group = group
        self._place = {identity_id: row for row, identity_id in enumerate(group.identity_ids)}
        self._made: dict[tuple[Modality, tuple[IdentityId, ...]], Vector] = {}

    def own(self, samples: _Rows) -> npt.NDArray[np.int64]:
        """(n,): where each sample's own identity stands in the group, −1 if it does not."""
        return np.array([self._place.get(identity_id, -1) for identity_id in samples.identity_ids])

    def of(self, modality: Modality, samples: _Rows) -> Vector:
        """(n, G): each sample in its row."""
        key = modality, samples.identity_ids
        if key not in self._made:
            self._made[key] = samples.vectors[modality] @ self.group.vectors[modality].T
        return self._made[key]


def _best_of_group(policy: Policy, probe_mask: Mask, samples: _Rows, products: _Products) -> Doubles:
    """The best score of each sample in the group, its own identity left out; −∞ if there is nobody else.

    One float32 matrix product per modality finds the best and whatever comes within its error; `similarity`
    then says the score, so that neither BLAS nor the order of the rows has a part in the threshold.
    """
    group = products.group
    mask = probe_mask.intersection(group.vectors)
    coarse = score(policy, mask, {modality: products.of(modality, samples) for modality in mask})
    own = products.own(samples)
    at_home = np.flatnonzero(own >= 0)
    coarse[at_home, own[at_home]] = -np.inf
    # As if D were greater by 256, which is more than the few roundings of the score itself can do.
    error = {modality: similarity_error(group.vectors[modality].shape[1] + 256) for modality in mask}
    near = coarse >= np.max(coarse, axis=1, keepdims=True) - 2.0 * spread(policy, mask, error)
    near[at_home, own[at_home]] = False
    best = np.full(len(own), -np.inf)
    pairs = np.flatnonzero(near)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        row, column = np.divmod(pairs[start : start + _PAIRS_AT_ONCE], near.shape[1])
        cosines = {m: similarity(group.vectors[m][column], samples.vectors[m][row]) for m in mask}
        np.maximum.at(best, row, score(policy, mask, cosines))
    return best


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
