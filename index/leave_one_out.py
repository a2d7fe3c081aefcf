"""Leave-one-out: each identity, searched in a gallery without itself, is a stranger to the others.

This searches them all at once, and says what leave-one-out means; `index.impostors` follows a gallery that
changes and says the same to the bit.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import numpy as np
import numpy.typing as npt

from index.fusion import score, spread
from index.policy import Policy
from index.records import Feature, IdentityId, Mask, Modality, Vector
from index.roll import Contents, Identity, centred
from index.vectors import coarse_similarity, similarity, similarity_error

Doubles = npt.NDArray[np.float64]
Lot = tuple[bytes, IdentityId]
"""Who has the smallest are searched."""

SEARCHES = 1000
"""Leave-one-out searches per mask at most: what they leave unsure is less than what the tail's shape does."""

_ROWS_AT_ONCE = 256
_MEANS_AT_ONCE = 16384
_PAIRS_AT_ONCE = 16384
"""They bound the memory of one step, to tens of megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Identities with their vectors in rows: samples to be searched, or means to be found."""

    identity_ids: tuple[IdentityId, ...]
    vectors: Mapping[Modality, Vector]
    """(n, D) each, centred."""

    def __getitem__(self, part: slice) -> "Rows":
        vectors = {modality: rows[part] for modality, rows in self.vectors.items()}
        return Rows(identity_ids=self.identity_ids[part], vectors=vectors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """The leave-one-out searches of one mask."""

    samples: Rows
    scores: Doubles
    """(n,): the best of each; −∞ where there is nobody to be compared with."""
    opponents: npt.NDArray[np.object_]
    """(n,): the identity id of one who has that score; None where there is nobody."""


def impostor_scores(contents: Contents, *, limit: int = SEARCHES) -> Mapping[Mask, Doubles]:
    """For every probe mask the best scores of leave-one-out searches.

    One sample of each identity (not its mean, which is better than any probe will be) is searched against all
    others. The identities are those of smallest hash: as good as drawn by lot, and the same in every worker.

    Args:
        contents: Of the gallery.
        limit: Searches per mask at most.

    Returns:
        Per mask (n,) float64, ascending, n <= limit: identities that have the mask and somebody to be
        compared with.
    """
    return {mask: in_order(found.scores) for mask, found in search_all(contents, limit=limit).items()}


def in_order(scores: Doubles) -> Doubles:
    """The finite ones, ascending: a search that found nobody says nothing about strangers."""
    return np.sort(scores[np.isfinite(scores)])


def search_all(contents: Contents, *, limit: int) -> Mapping[Mask, Searched]:
    """The searches behind `impostor_scores`, by ascending lot."""
    policy = contents.policy
    drawn = sorted(contents.identities.values(), key=lambda identity: lot(identity.identity_id))
    evidence = {identity.identity_id: evidence_of(policy, identity) for identity in drawn}
    samples = {mask: _samples(policy, mask, evidence, limit) for mask in policy.probe_masks}
    best = {mask: np.full(len(rows.identity_ids), -np.inf) for mask, rows in samples.items()}
    whom = {mask: np.full(len(rows.identity_ids), None, dtype=object) for mask, rows in samples.items()}
    for group in _groups(contents):
        for start in range(0, limit, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            products = _Products(group)
            for mask, rows in samples.items():
                if rows.identity_ids[part] and rows.vectors.keys() & group.vectors.keys():
                    found, opponents = _best_of_group(policy, rows[part], products)
                    whom[mask][part] = np.where(found > best[mask][part], opponents, whom[mask][part])
                    best[mask][part] = np.maximum(best[mask][part], found)
    return {
        mask: Searched(samples=samples[mask], scores=best[mask], opponents=whom[mask]) for mask in samples
    }


def lot(identity_id: IdentityId) -> Lot:
    """By hash, then by id: ids of one naming scheme are not drawn together."""
    return blake2b(identity_id.encode(), digest_size=8).digest(), identity_id


def evidence_of(policy: Policy, identity: Identity) -> Mapping[Modality, Feature]:
    """Of each modality the first sample, by template id, that would be evidence in a probe."""
    probe: dict[Modality, Feature] = {}
    for template in reversed(identity.templates):
        probe.update(policy.usable(template.features))
    return probe


def _samples(
    policy: Policy, mask: Mask, evidence: Mapping[IdentityId, Mapping[Modality, Feature]], limit: int
) -> Rows:
    """One probe of this mask for each of the first identities that have one."""
    having = (identity_id for identity_id, samples in evidence.items() if mask <= samples.keys())
    chosen = tuple(islice(having, limit))
    probes = [centred(policy, {m: evidence[identity_id][m] for m in mask}) for identity_id in chosen]
    names = probes[0] if probes else ()
    return Rows(
        identity_ids=chosen, vectors={name: np.stack([probe[name] for probe in probes]) for name in names}
    )


def _groups(contents: Contents) -> Iterator[Rows]:
    """The means of those enrolled in exactly the same modalities, together: no row is without a vector."""
    members: dict[Mask, list[Identity]] = defaultdict(list)
    for identity in contents.identities.values():
        members[identity.mask].append(identity)
    for mask, everybody in members.items():
        for start in range(0, len(everybody), _MEANS_AT_ONCE):
            group = everybody[start : start + _MEANS_AT_ONCE]
            yield Rows(
                identity_ids=tuple(identity.identity_id for identity in group),
                vectors={modality: np.stack([one.means[modality] for one in group]) for modality in mask},
            )


class _Products:
    """Cosines of samples and a group, in float32. Masks that search the same samples share them."""

    def __init__(self, group: Rows) -> None:
        self.group = group
        self._place = {identity_id: row for row, identity_id in enumerate(group.identity_ids)}
        self._made: dict[tuple[Modality, tuple[IdentityId, ...]], Vector] = {}

    def own(self, samples: Rows) -> npt.NDArray[np.int64]:
        """(n,): where each sample's own identity stands in the group, −1 if it does not."""
        return np.array([self._place.get(identity_id, -1) for identity_id in samples.identity_ids])

    def of(self, modality: Modality, samples: Rows) -> Vector:
        """(n, G): each sample in its row."""
        key = modality, samples.identity_ids
        if key not in self._made:
            self._made[key] = coarse_similarity(samples.vectors[modality], self.group.vectors[modality].T)
        return self._made[key]


def _best_of_group(
    policy: Policy, samples: Rows, products: _Products
) -> tuple[Doubles, npt.NDArray[np.object_]]:
    """The best score of each sample in the group, and whose it is; its own identity is left out.

    One float32 matrix product per modality finds the best and whatever comes within its error; `similarity`
    then says the score, so that neither BLAS nor the order of the rows has a part in the threshold.
    """
    group = products.group
    mask = frozenset(samples.vectors.keys() & group.vectors.keys())
    coarse = score(policy, mask, {modality: products.of(modality, samples) for modality in mask})
    own = products.own(samples)
    at_home = np.flatnonzero(own >= 0)
    coarse[at_home, own[at_home]] = -np.inf
    reach = coarse_error(policy, mask, {m: group.vectors[m].shape[1] for m in mask})
    near = coarse >= np.max(coarse, axis=1, keepdims=True) - 2.0 * reach
    near[at_home, own[at_home]] = False
    best = np.full(len(own), -np.inf)
    whom = np.full(len(own), None, dtype=object)
    names = np.array(group.identity_ids, dtype=object)
    pairs = np.flatnonzero(near)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        row, column = np.divmod(pairs[start : start + _PAIRS_AT_ONCE], near.shape[1])
        cosines = {m: similarity(group.vectors[m][column], samples.vectors[m][row]) for m in mask}
        exact = score(policy, mask, cosines)
        np.maximum.at(best, row, exact)
        reached = exact == best[row]
        whom[row[reached]] = names[column[reached]]
    return best, whom


def coarse_error(policy: Policy, mask: Mask, dimensions: Mapping[Modality, int]) -> float:
    """How far a score made of float32 cosines can be from the one that counts.

    As if D were greater by 256, which is more than the few roundings of the score itself can do.
    """
    return spread(policy, mask, {modality: similarity_error(dimensions[modality] + 256) for modality in mask})
