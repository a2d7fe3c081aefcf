"""The gallery that runs: FAISS finds, a bound proves that nothing was missed, float64 says the numbers.

The fused top-K is exact by the threshold algorithm (Fagin, Lotem, Naor: Optimal aggregation algorithms for
middleware, PODS 2001): each modality lists its nearest rows; whoever is in no list is at most as near, in
every modality, as the last one listed; since the score is monotone, its value there bounds everybody unseen.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce

import numpy as np
import numpy.typing as npt

from index.base import BaseGallery
from index.fusion import bound, score, spread
from index.policy import Policy
from index.ranking import Scored
from index.records import Mask, Modality, Vector
from index.roll import Change, Identity
from index.slab import Ints, Slab, half_error
from index.vectors import similarity

Doubles = npt.NDArray[np.float64]

_FIRST_DEPTH = 256
"""Rows listed per modality at first. A scan costs as much for 5 as for 256: a second one should be rare."""
_FIRST_DEPTH_ALONE = 32
"""The same for a probe of one modality, whose order nothing but rounding can change."""
_GROWTH = 4


class FaissGallery(BaseGallery):
    """Exact search over a slab per modality. A change costs O(D) beside the identity's own samples."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._slabs: dict[Modality, Slab] = {}
        self._slots: dict[str, int] = {}
        self._identities: dict[int, Identity] = {}
        """By slot."""
        self._free: list[int] = []

    def _follow(self, change: Change) -> None:
        if change.after is not None:
            self._put(change.after)
        elif change.before is not None:
            self._drop(change.before)

    def _put(self, identity: Identity) -> None:
        slot = self._slots.get(identity.identity_id)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._slots)
            self._slots[identity.identity_id] = slot
        self._identities[slot] = identity
        for modality in (*self._roll.policy.modalities, *self._roll.policy.crossings):
            mean = identity.means.get(modality)
            if mean is None:
                self._vacate(modality, slot)
            else:
                if modality not in self._slabs:
                    self._slabs[modality] = Slab(mean.size)
                self._slabs[modality].put(slot, mean)

    def _drop(self, identity: Identity) -> None:
        slot = self._slots.pop(identity.identity_id)
        del self._identities[slot]
        self._free.append(slot)
        for modality in identity.means:
            self._vacate(modality, slot)

    def _vacate(self, modality: Modality, slot: int) -> None:
        if modality in self._slabs:
            self._slabs[modality].drop(slot)
            if not len(self._slabs[modality]):
                del self._slabs[modality]

    def _find(self, probe: Mapping[Modality, Vector], k: int) -> Iterator[Scored]:
        lists: dict[Modality, Ints] = {}
        ceiling = dict.fromkeys(probe, 1.0)  # no cosine of those who are in no list yet is greater
        first = _FIRST_DEPTH if len(probe) > 1 else _FIRST_DEPTH_ALONE
        for modality, depth in _listings(probe, max(first, 2 * k)):
            if modality not in ceiling:
                continue
            slab = self._slabs[modality]
            lists[modality], cosines = slab.nearest(probe[modality], depth)
            if depth < len(slab):
                ceiling[modality] = float(cosines.min()) + half_error(slab.dimension)
            else:
                del ceiling[modality]  # everybody who has it is in the list
            seen = reduce(np.union1d, lists.values())
            low, high = self._score_within(probe, seen)
            kth = _kth_best(low, k)
            if all(bound(self._roll.policy, mask, ceiling) < kth for mask in self._unseen(probe, ceiling)):
                break
        return self._score_exactly(probe, seen[high >= kth], k)

    def _pair_masks(self, probe: Mapping[Modality, Vector]) -> set[Mask]:
        """What the probe has in common with anybody enrolled."""
        return {mask.intersection(probe) for mask in self._roll.masks} - {frozenset()}

    def _unseen(self, probe: Mapping[Modality, Vector], ceiling: Mapping[Modality, float]) -> list[Mask]:
        """The pair masks that somebody unseen may have: none of their lists is whole."""
        return [mask for mask in self._pair_masks(probe) if mask <= ceiling.keys()]

    def _by_mask(self, probe: Mapping[Modality, Vector], slots: Ints) -> Iterator[tuple[Mask, Ints]]:
        """The positions in `slots` of each pair mask."""
        owned = {modality: self._slabs[modality].has(slots) for modality in probe}
        for mask in self._pair_masks(probe):
            positions = np.flatnonzero(np.all([owned[m] == (m in mask) for m in probe], axis=0))
            if len(positions):
                yield mask, positions

    def _score_within(self, probe: Mapping[Modality, Vector], slots: Ints) -> tuple[Doubles, Doubles]:
        """For each slot two scores with the true one between them, from the slabs' cosines."""
        low, high = np.empty(len(slots)), np.empty(len(slots))
        for mask, at in self._by_mask(probe, slots):
            cosines = {m: self._slabs[m].cosines(probe[m], slots[at]).astype(np.float64) for m in mask}
            error = {m: half_error(self._slabs[m].dimension) for m in mask}
            near, reach = score(self._roll.policy, mask, cosines), spread(self._roll.policy, mask, error)
            low[at], high[at] = near - reach, near + reach
        return low, high

    def _score_exactly(self, probe: Mapping[Modality, Vector], slots: Ints, k: int) -> Iterator[Scored]:
        """The `k` best of the slots and all that tie with the last of them."""
        scores = np.empty(len(slots))
        cosines = {modality: np.full(len(slots), np.nan) for modality in probe}
        for mask, at in self._by_mask(probe, slots):
            for modality in mask:
                means = np.stack([self._identities[slot].means[modality] for slot in slots[at].tolist()])
                cosines[modality][at] = similarity(means, probe[modality])
            scores[at] = score(self._roll.policy, mask, {m: cosines[m][at] for m in mask})
        for best in np.flatnonzero(scores >= _kth_best(scores, k)):
            identity = self._identities[int(slots[best])]
            yield Scored(
                identity=identity,
                score=float(scores[best]),
                similarity={m: float(cosines[m][best]) for m in probe if m in identity.means},
            )


def _listings(modalities: Iterable[Modality], depth: int) -> Iterator[tuple[Modality, int]]:
    """Which list to make next, and how long: the primary first, which often does."""
    while True:
        for modality in modalities:
            yield modality, depth
        depth *= _GROWTH


def _kth_best(scores: Doubles, k: int) -> float:
    """The k-th best score, or −∞ where there are fewer."""
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) if len(scores) >= k else -np.inf
