"""The impostor scores of a gallery that changes, at the price of what changed."""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import count

import numpy as np
import numpy.typing as npt

from index.fusion import score
from index.gallery import Gallery
from index.leave_one_out import (
    SEARCHES,
    Doubles,
    Lot,
    coarse_error,
    evidence_of,
    in_order,
    lot,
    search_all,
)
from index.records import IdentityId, Mask, Modality, Vector
from index.roll import Identity, centred
from index.vectors import Array, similarity

Ints = npt.NDArray[np.int64]

_LISTED = 8
"""Opponents remembered per search: so many must go before it has to be made again."""
_NOBODY = -1


class Impostors:
    """Follows the changes of a gallery. Not safe to share between threads.

    Law: after any history of changes, `scores` equals `impostor_scores` of the contents, to the bit.

    Each search remembers some of its best opponents and a floor that nobody else exceeds. A changed identity
    leaves every list, and comes back where its new score is over the floor: one product of its means and the
    searched samples. Only its own search, and those that have lost all they remembered, are made again.
    """

    def __init__(self, gallery: Gallery, *, limit: int = SEARCHES) -> None:
        """Takes the gallery as it is, by one batch.

        Args:
            gallery: Each of its changes is to be told to `follow` before the next one is made.
            limit: Searches per mask at most.
        """
        contents = gallery.contents()
        self._gallery = gallery
        self._policy = contents.policy
        self._limit = limit
        self._boards = {mask: _Board(limit) for mask in self._policy.probe_masks}
        self._lots: dict[Mask, list[Lot]] = {
            mask: sorted(lot(one.identity_id) for one in contents.identities.values() if self._has(mask, one))
            for mask in self._policy.probe_masks
        }
        """Of everybody who has a sample for the mask; the first `limit` are searched."""
        self._numbers: dict[IdentityId, int] = {}
        """Arrays hold numbers for identities."""
        self._unused_numbers = count()
        for mask, found in search_all(contents, limit=limit).items():
            for place, identity_id in enumerate(found.samples.identity_ids):
                vectors = {modality: rows[place] for modality, rows in found.samples.vectors.items()}
                best, opponent = float(found.scores[place]), found.opponents[place]
                listed = {} if opponent is None else {self._number(opponent): best}
                self._boards[mask].put(identity_id, vectors, listed, floor=best)

    def follow(self, before: Identity | None, after: Identity | None) -> None:
        """Takes over one change of one identity that the gallery has made already.

        Args:
            before: As it was enrolled; None if it was not.
            after: As it is enrolled now; None if it is no more.
        """
        changed = after or before
        if changed is None or before is after:
            return
        drawn = {mask: self._redraw(mask, changed.identity_id, before, after) for mask in self._boards}
        number = self._number(changed.identity_id)
        for board in self._boards.values():
            board.forget(number)
        if after is None:
            del self._numbers[changed.identity_id]
        else:
            self._compare(after, number)
        for mask, identity_id in drawn.items():
            if identity_id is not None:
                self._search(mask, identity_id)
            for exhausted in self._boards[mask].exhausted():
                self._search(mask, exhausted)

    def scores(self) -> Mapping[Mask, Doubles]:
        """Per mask the best score of each search, ascending."""
        return {mask: in_order(board.best()) for mask, board in self._boards.items()}

    def _has(self, mask: Mask, identity: Identity) -> bool:
        """Whether there is a sample of the identity to be searched by this mask."""
        return mask <= evidence_of(self._policy, identity).keys()

    def _number(self, identity_id: IdentityId) -> int:
        if identity_id not in self._numbers:
            self._numbers[identity_id] = next(self._unused_numbers)
        return self._numbers[identity_id]

    def _redraw(
        self, mask: Mask, identity_id: IdentityId, before: Identity | None, after: Identity | None
    ) -> IdentityId | None:
        """Keeps those of smallest lot the searched ones.

        Returns:
            Who is to be searched: the changed identity, or the one that takes its place.
        """
        had, has = (one is not None and self._has(mask, one) for one in (before, after))
        lots, own = self._lots[mask], lot(identity_id)
        place = bisect_left(lots, own)
        if has and not had:
            lots.insert(place, own)
        if had and not has:
            del lots[place]
        if place >= self._limit:
            return None
        if has:
            for _, ousted in lots[self._limit : self._limit + 1]:
                self._boards[mask].drop(ousted)
            return identity_id
        self._boards[mask].drop(identity_id)
        return next((heir for _, heir in lots[self._limit - 1 : self._limit]), None) if had else None

    def _search(self, mask: Mask, identity_id: IdentityId) -> None:
        """Makes one search by the gallery itself, and remembers whom it found."""
        evidence = evidence_of(self._policy, self._gallery.identity(identity_id))
        probe = {modality: evidence[modality] for modality in mask}
        candidates = self._gallery.search(probe, _LISTED).candidates
        self._boards[mask].put(
            identity_id,
            centred(self._policy, probe),
            {
                self._number(one.identity_id): one.score
                for one in candidates
                if one.identity_id != identity_id
            },
            floor=candidates[-1].score if len(candidates) == _LISTED else -np.inf,
        )

    def _compare(self, identity: Identity, number: int) -> None:
        """Puts an identity into the lists of those who score it over their floor."""
        for board in self._boards.values():
            pair = identity.mask.intersection(board.vectors)
            if not pair or not board.slots:
                continue
            coarse = score(self._policy, pair, {m: board.vectors[m] @ identity.means[m] for m in pair})
            reach = coarse_error(self._policy, pair, {m: identity.means[m].size for m in pair})
            near = board.searched & (coarse.astype(np.float64) + reach > board.floors)
            slots = np.flatnonzero(near)
            cosines = {m: similarity(board.vectors[m][slots], identity.means[m]) for m in pair}
            board.offer(slots, number, score(self._policy, pair, cosines))


class _Board:
    """The searches of one mask, each in a slot, with the opponents that it remembers."""

    def __init__(self, limit: int) -> None:
        self.slots: dict[IdentityId, int] = {}
        self.vectors: dict[Modality, Vector] = {}
        """(limit, D): the centred samples; zeros where a slot is free."""
        self.searched = np.zeros(limit, dtype=np.bool_)
        self.floors = np.full(limit, -np.inf)
        """Nobody who is not remembered scores more."""
        self._scores = np.full((limit, _LISTED), -np.inf)
        self._opponents: Ints = np.full((limit, _LISTED), _NOBODY)
        """By number, in no order; each with its score."""
        self._free = list(range(limit))[::-1]

    def put(
        self,
        identity_id: IdentityId,
        vectors: Mapping[Modality, Vector],
        listed: Mapping[int, float],
        *,
        floor: float,
    ) -> None:
        """Takes the search of an identity in, or in the place of its last one."""
        if identity_id not in self.slots:
            self.slots[identity_id] = self._free.pop()
        slot = self.slots[identity_id]
        for modality, vector in vectors.items():
            rows = self.vectors.get(modality)
            if rows is None or rows.shape[1] != vector.size:  # everybody of another dimension is gone
                rows = self.vectors[modality] = np.zeros((len(self.searched), vector.size), dtype=np.float32)
            rows[slot] = vector
        self._scores[slot], self._opponents[slot] = -np.inf, _NOBODY
        self._scores[slot, : len(listed)] = list(listed.values())
        self._opponents[slot, : len(listed)] = list(listed)
        self.searched[slot], self.floors[slot] = True, floor

    def drop(self, identity_id: IdentityId) -> None:
        """Forgets the search of an identity, if there is one."""
        slot = self.slots.pop(identity_id, None)
        if slot is None:
            return
        for rows in self.vectors.values():
            rows[slot] = 0.0  # withdrawn means gone
        self._scores[slot], self._opponents[slot] = -np.inf, _NOBODY
        self.searched[slot], self.floors[slot] = False, -np.inf
        self._free.append(slot)

    def forget(self, number: int) -> None:
        """Takes an opponent out of every list."""
        gone = self._opponents == number
        self._scores[gone], self._opponents[gone] = -np.inf, _NOBODY

    def offer(self, slots: Ints, number: int, scores: Array) -> None:
        """Puts an opponent into lists where it is over the floor; a full one drops its worst to its floor."""
        over = scores > self.floors[slots]
        slots, scores = slots[over], scores[over]
        place = np.argmin(self._scores[slots], axis=1)
        worst = self._scores[slots, place]
        self.floors[slots] = np.maximum(self.floors[slots], np.minimum(worst, scores))
        better = scores > worst
        slots, place = slots[better], place[better]
        self._scores[slots, place], self._opponents[slots, place] = scores[better], number

    def exhausted(self) -> list[IdentityId]:
        """Whose searches no longer know their best: all that they remembered is gone."""
        lost = self.searched & (self._best() < self.floors)
        return [identity_id for identity_id, slot in self.slots.items() if lost[slot]] if lost.any() else []

    def best(self) -> Doubles:
        """(n,): the best score of each search; −∞ where there is nobody to be compared with."""
        return self._best()[self.searched]

    def _best(self) -> Doubles:
        best: Doubles = np.max(self._scores, axis=1)
        return best
