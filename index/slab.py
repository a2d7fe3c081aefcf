"""The rows of one modality as float16 in one array of our own, scanned by FAISS.

`IndexFlatIP` deletes by moving everything behind the row; a slab swaps with the last row, in O(D). What is
scanned only finds: half the bytes are half the time, and what they lose is bounded by `half_error`.
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from index.records import Vector
from index.vectors import similarity_error

Ints = npt.NDArray[np.int64]

_FIRST_CAPACITY = 64
_LANES = 16
"""FAISS converts so many float16 at once, or else one by one: rows are padded with zeros to a multiple."""


class Slab:
    """Vectors in dense rows, each owned by one slot: the number that an identity has in the gallery.

    Not safe to share between threads. A scan releases the GIL and runs in the caller's thread alone.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._count = 0
        self._codes = np.zeros((_FIRST_CAPACITY, -(-dimension // _LANES) * _LANES), dtype=np.float16)
        self._owners: Ints = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._rows: Ints = np.full(_FIRST_CAPACITY, -1, dtype=np.int64)
        # FAISS scans with this inside its inverted lists. It takes codes and ids where they lie, so that they
        # stay in arrays that we can swap and zero; an `IndexScalarQuantizer` would own them. The scanner, of
        # 168 bytes, is never freed: faiss 1.15 hands it out unowned, and to own it breaks SWIG's type table.
        self._quantizer = faiss.ScalarQuantizer(self._codes.shape[1], faiss.ScalarQuantizer.QT_fp16)
        self._scanner = self._quantizer.select_InvertedListScanner(  # type: ignore[attr-defined]  # stub lacks it
            faiss.METRIC_INNER_PRODUCT, None, False, None
        )

    def __len__(self) -> int:
        return self._count

    def put(self, slot: int, vector: Vector) -> None:
        """Gives the slot a row, or another vector in the row it has. O(D) amortised."""
        self._rows = _grown(self._rows, slot + 1, fill=-1)
        row = int(self._rows[slot])
        if row < 0:
            row = self._count
            self._codes = _grown(self._codes, row + 1, fill=0)
            self._owners = _grown(self._owners, row + 1)
            self._count += 1
        self._codes[row, : self.dimension], self._owners[row], self._rows[slot] = vector, slot, row

    def drop(self, slot: int) -> None:
        """Takes the slot's row away, if it has one. O(D)."""
        row = int(self._rows[slot]) if slot < len(self._rows) else -1
        if row < 0:
            return
        last = self._count - 1
        owner = int(self._owners[last])
        self._codes[row], self._owners[row], self._rows[owner] = self._codes[last], owner, row
        # Withdrawn means gone: no vector is left behind in memory that is merely out of use.
        self._codes[last], self._rows[slot] = 0.0, -1
        self._count = last

    def nearest(self, probe: Vector, depth: int) -> tuple[Ints, Vector]:
        """The `depth` nearest slots, or all where there are fewer, in any order, with their cosines.

        Cosines here and in `cosines` are float32, each within `half_error` of `similarity`.
        """
        return self._scan(probe, self._codes[: self._count], self._owners, min(depth, self._count))

    def has(self, slots: Ints) -> npt.NDArray[np.bool_]:
        """Which of the slots own a row."""
        known = np.minimum(slots, len(self._rows) - 1)
        owned: npt.NDArray[np.bool_] = (self._rows[known] >= 0) & (known == slots)
        return owned

    def cosines(self, probe: Vector, slots: Ints) -> Vector:
        """The cosine of the probe and each of the slots, which own a row each: (n,) float32."""
        count = len(slots)
        places, found = self._scan(probe, self._codes[self._rows[slots]], np.arange(count), count)
        ordered = np.empty_like(found)
        ordered[places] = found
        return ordered

    def _scan(
        self, probe: Vector, codes: npt.NDArray[np.float16], ids: Ints, depth: int
    ) -> tuple[Ints, Vector]:
        """The ids and cosines of the `depth` nearest codes, of which there are so many."""
        query = np.zeros(codes.shape[1], dtype=np.float32)
        query[: self.dimension] = probe
        best, cosines = np.empty(depth, dtype=np.int64), np.full(depth, -np.inf, dtype=np.float32)
        self._scanner.set_query(faiss.swig_ptr(query))
        self._scanner.scan_codes(
            len(codes),
            faiss.swig_ptr(codes.view(np.uint8)),
            faiss.swig_ptr(ids),
            faiss.swig_ptr(cosines),
            faiss.swig_ptr(best),
            depth,
        )
        return best, cosines


def half_error(dimension: int) -> float:
    """How far a cosine of a slab can be from `similarity`.

    Rounding to float16 moves a component by 2⁻¹¹ of itself, or by 2⁻²⁵ where it is subnormal, and so the
    cosine of unit vectors by 2⁻¹¹ + 2⁻²⁵·√D; half of `similarity_error` bounds the sum in float32, and the
    other half is more than the √D term and the rounding of norms.
    """
    return 2.0**-11 + similarity_error(dimension)


def _grown(array: npt.NDArray[Any], needed: int, fill: float | None = None) -> npt.NDArray[Any]:
    if needed <= len(array):
        return array
    grown = np.empty((max(needed, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    if fill is not None:
        grown[len(array) :] = fill
    return grown
