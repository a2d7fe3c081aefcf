"""The rows of one modality in one array of our own, found by FAISS.

`IndexFlatIP` deletes by moving everything behind the row; a slab swaps with the last row, in O(D).
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from index.records import Vector

Ints = npt.NDArray[np.int64]

_FIRST_CAPACITY = 64


class Slab:
    """Vectors in dense rows, each owned by one slot: the number that an identity has in the gallery.

    `faiss.knn` scans it and releases the GIL meanwhile. It would use BLAS, five times slower here, over
    `faiss.cvar.distance_compute_blas_threshold`; single probes stay under its default, so it is left alone.
    """

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._vectors: Vector = np.empty((_FIRST_CAPACITY, dimension), dtype=np.float32)
        self._owners: Ints = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._rows: Ints = np.full(_FIRST_CAPACITY, -1, dtype=np.int64)

    def __len__(self) -> int:
        return self._count

    @property
    def dimension(self) -> int:
        """D of its rows."""
        return int(self._vectors.shape[1])

    def put(self, slot: int, vector: Vector) -> None:
        """Gives the slot a row, or another vector in the row it has. O(D) amortised."""
        self._rows = _grown(self._rows, slot + 1, fill=-1)
        row = int(self._rows[slot])
        if row < 0:
            row = self._count
            self._vectors = _grown(self._vectors, row + 1)
            self._owners = _grown(self._owners, row + 1)
            self._count += 1
        self._vectors[row], self._owners[row], self._rows[slot] = vector, slot, row

    def drop(self, slot: int) -> None:
        """Takes the slot's row away, if it has one. O(D)."""
        row = int(self._rows[slot]) if slot < len(self._rows) else -1
        if row < 0:
            return
        last = self._count - 1
        owner = int(self._owners[last])
        self._vectors[row], self._owners[row], self._rows[owner] = self._vectors[last], owner, row
        # Withdrawn means gone: no vector is left behind in memory that is merely out of use.
        self._vectors[last], self._rows[slot] = 0.0, -1
        self._count = last

    def nearest(self, probe: Vector, depth: int) -> tuple[Ints, Vector]:
        """The `depth` nearest slots, or all where there are fewer, with float32 cosines, greatest first."""
        # One thread for one probe: two spend ten times the scan on waiting for one another. OpenMP keeps this
        # number per calling thread, so nobody else's is changed (and it has to be said in every thread).
        faiss.omp_set_num_threads(1)
        cosines, rows = faiss.knn(
            probe[np.newaxis],
            self._vectors[: self._count],
            min(depth, self._count),
            metric=faiss.METRIC_INNER_PRODUCT,
        )
        return self._owners[rows[0]], cosines[0]

    def has(self, slots: Ints) -> npt.NDArray[np.bool_]:
        """Which of the slots own a row."""
        known = np.minimum(slots, len(self._rows) - 1)
        owned: npt.NDArray[np.bool_] = (self._rows[known] >= 0) & (known == slots)
        return owned

    def vectors(self, slots: Ints) -> Vector:
        """The rows of slots that own one, copied: (n, D) float32."""
        return self._vectors[self._rows[slots]]


def _grown(array: npt.NDArray[Any], needed: int, fill: float | None = None) -> npt.NDArray[Any]:
    if needed <= len(array):
        return array
    grown = np.empty((max(needed, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    if fill is not None:
        grown[len(array) :] = fill
    return grown
