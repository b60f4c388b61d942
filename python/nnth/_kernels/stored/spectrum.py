"""Eigenvalues of a matrix on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._kernels.stored.matrices import StoredMatrix
from nnth._runtime import streams
from nnth._runtime.lanczos import Krylov
from nnth._runtime.typing import Floats, Progress

_TOLERANCE: Final = 1e-7  # of the residual, relative to the eigenvalue
_MOST: Final = 100  # products: a kernel whose first two eigenvalues agree to a few percent


@dataclass(frozen=True)
class Largest:
    """A largest eigenvalue by the Lanczos method; some eigenvalue is within `residual` of it."""

    value: float
    residual: float
    products: int


def largest_eigenvalue(
    matrix: StoredMatrix, scale: float, progress: Progress | None = None
) -> Largest:
    """Return the largest eigenvalue of a symmetric matrix from products with vectors.

    Each product reads the tiles on and above the diagonal once. It ends with a relative residual of
    1e-7, after 100 products, or when the whole space is spanned. `scale` is about the size of the
    largest entry, so that sums of entries stay within the range of doubles.
    """
    size = matrix.tiling.inputs
    tiles = matrix.tiling.upper()
    expected, products = 10, 0

    def product(v: Floats) -> Floats:
        out = np.zeros(size)
        for done, (i, j) in enumerate(tiles, 1):
            rows, columns = matrix.tiling.range(i), matrix.tiling.range(j)
            block = matrix.read(rows, columns).astype(np.float64, copy=False) / scale
            out[rows] += block @ v[columns]
            if i != j:
                out[columns] += block.T @ v[rows]
            if progress is not None:
                progress(products * len(tiles) + done, expected * len(tiles))
        return out

    space = Krylov(product, size, seed=0, stream=streams.GRAM_START.first)
    while True:
        more = space.grow()
        products = space.steps
        values, coefficients = space.ritz()
        residual, value = float(space.residuals(coefficients)[-1]), float(values[-1])
        wanted = _TOLERANCE * abs(value)
        if not more or residual <= wanted or products == min(_MOST, size):
            return Largest(scale * value, scale * residual, products)
        left = np.log(residual / wanted) / max(np.log(abs(value) / residual), 0.1) * products
        expected = min(_MOST, products + max(1, round(left)))
