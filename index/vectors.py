"""Unit vectors: the only place that divides by a norm, and the one similarity that is ever published."""

from typing import Any

import numpy as np
import numpy.typing as npt

from index.errors import VectorError
from index.records import Vector

Array = npt.NDArray[np.floating[Any]]

UNIT_TOLERANCE = 1e-3
"""How far from 1 the norm of a `Feature` may be: float32, and embeddings that travelled as decimal text."""

_SMALLEST_NORM = 1e-6
"""Below it the direction of a float32 vector is rounding error."""


def unit(vectors: npt.ArrayLike) -> Vector:
    """The rows scaled to L2 norm 1.

    Args:
        vectors: (..., D), any real type; computed in float64.

    Returns:
        (..., D) float32.

    Raises:
        VectorError: A row is not finite or has no direction.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    norms = np.sqrt(np.add.reduce(rows * rows, axis=-1, keepdims=True))
    smallest, largest = norms.min(initial=np.inf), norms.max(initial=0.0)
    if not largest < np.inf:  # written so that NaN is refused too
        raise VectorError("A vector has a component that is not finite; it cannot be scaled to unit norm.")
    if smallest < _SMALLEST_NORM:
        raise VectorError(f"A vector has norm {smallest:.3g}, under {_SMALLEST_NORM:g}: it has no direction.")
    scaled: Vector = (rows / norms).astype(np.float32)
    return scaled


def centre(vectors: npt.ArrayLike, mean: Vector | None, scaling: Vector | None = None) -> Vector:
    """Computes e = unit(a·(unit(x) − μ)): an embedding without the part that everybody shares.

    Args:
        vectors: (..., D).
        mean: μ, (D,), the mean unit embedding of the calibration set; None leaves the vectors where they are.
        scaling: a, (D,), what each dimension is worth; None: as much as any other.

    Returns:
        (..., D) float32 of unit L2 norm.
    """
    rows = unit(vectors)
    if mean is not None:
        rows = unit(rows.astype(np.float64) - mean)
    return rows if scaling is None else unit(rows.astype(np.float64) * scaling)


def robust_mean(samples: Vector, *, slack: float = 0.2) -> Vector:
    """The mean direction of the samples without those that look like somebody else.

    A sample is dropped when its cosine to the mean is under the median of these cosines − `slack`: one wrong
    photo among three then costs little. Samples that cancel out have no mean; the first stands for all.

    Args:
        samples: (n, D) float32, rows of unit L2 norm, n >= 1, in an order that does not depend on arrival.
        slack: In cosine.

    Returns:
        (D,) float32 of unit L2 norm.
    """
    first: Vector = samples[0]
    if len(samples) == 1:
        return first
    try:
        cosines = similarity(samples, unit(np.sum(samples, axis=0, dtype=np.float64)))
        kept = samples[cosines >= np.median(cosines) - slack]
        return unit(np.sum(kept, axis=0, dtype=np.float64))
    except VectorError:
        return first


def similarity(rows: Vector, probe: Vector) -> npt.NDArray[np.float64]:
    """Cosine of each row and the probe, in [-1, 1]: the same number whatever stands beside it in the batch.

    BLAS sums in an order that depends on shape, alignment and processor. This multiplies in float64 and sums
    each row by numpy's pairwise rule, whose order depends on D alone: all paths publish one number.

    Args:
        rows: (n, D) float32, rows of unit L2 norm.
        probe: (D,) or (n, D) float32 of unit L2 norm; in the latter case row by row.

    Returns:
        (n,) float64.
    """
    products = np.multiply(rows, probe, dtype=np.float64, order="C")
    cosines: npt.NDArray[np.float64] = np.clip(np.add.reduce(products, axis=-1), -1.0, 1.0)
    return cosines


def coarse_similarity(rows: Vector, others: Vector) -> Vector:
    """Cosines by one float32 BLAS product: each within `similarity_error` of `similarity`, and much faster.

    Args:
        rows: (n, D) float32, rows of unit L2 norm.
        others: (D,) or (D, m) float32, of unit L2 norm.

    Returns:
        (n,) or (n, m) float32.
    """
    # BLAS kernels at times raise the invalid flag for lanes that they throw away (numpy issue 24067), and
    # numpy warns. Unit vectors are finite, and so are their products.
    with np.errstate(invalid="ignore"):
        cosines: Vector = rows @ others
    return cosines


def similarity_error(dimension: int) -> float:
    """How far `coarse_similarity` of unit vectors can be from `similarity`, in any order of summation.

    Higham, Accuracy and Stability of Numerical Algorithms (2002), 3.1: |error| <= D·u·Σ|x_i·y_i|, u = 2⁻²⁴,
    and the sum is at most 1 for unit vectors. Doubled, for norms that are themselves rounded.
    """
    return dimension * 2.0**-23


def check_unit_vector(vector: Vector, dimension: int | None = None) -> None:
    """Accepts a (D,) float32 vector of unit L2 norm, and nothing else.

    Args:
        vector: What came in.
        dimension: D, where it is known.

    Raises:
        VectorError: Says what was found and what is accepted.
    """
    if vector.dtype != np.float32 or vector.ndim != 1:
        raise VectorError(
            f"A feature's vector is {vector.dtype} of shape {vector.shape}; it must be float32 of shape (D,)."
        )
    if dimension is not None and vector.size != dimension:
        raise VectorError(
            f"A feature's vector has {vector.size} dimensions, the gallery's have {dimension}; "
            "extract it with the model that the gallery was enrolled with."
        )
    norm = float(np.sqrt(np.sum(np.square(vector, dtype=np.float64))))
    if not abs(norm - 1.0) <= UNIT_TOLERANCE:  # written so that NaN is refused too
        raise VectorError(
            f"A feature's vector has norm {norm:.6g}; it must be 1 ± {UNIT_TOLERANCE:g}: use unit()."
        )
