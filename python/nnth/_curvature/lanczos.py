"""Eigenvalues and spectral density of a symmetric operator from products with vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

Product = Callable[[Floats], Floats]

_ROWS: Final = 8  # vectors at a time: they are still in the cache when they are read again
_EVERY: Final = 2  # steps between looks at the residuals
_ROUNDING: Final = 3e-15  # of the largest |eigenvalue|: what products and sums may err by


class LanczosError(Exception):
    """Eigenvalues have not converged in the steps allowed, or leave the range of doubles."""


class Krylov:
    """An orthonormal basis of a Krylov space, and the operator in it: tridiagonal.

    Every vector is orthogonalized against all before, twice where once is not enough (Daniel,
    Gragg, Kaufman, Stewart, 1976), so that the theory of exact arithmetic holds to rounding. Where
    the space is exhausted, which beta = 0 says, a random vector begins another.

    product: of a vector `(size,)`. stream: of the random numbers of the seed, from which the
    vectors that begin are drawn. without: orthonormal vectors `(k, size)` of a space that is left
    out: the operator is then P A P, P projecting on what is orthogonal to it.
    """

    def __init__(
        self, product: Product, size: int, seed: int, stream: int, without: Floats | None = None
    ) -> None:
        self._product, self._size = product, size
        self._without = np.empty((0, size)) if without is None else without
        self._most = size - len(self._without)
        self._seed, self._stream = seed, stream
        self._drawn = 0
        self._basis = np.empty((0, size))
        self.alpha: list[float] = []
        self.beta: list[float] = []  # beta[k] joins vectors k and k + 1
        self._next: Floats | None = self._random() if self._most else None

    @property
    def steps(self) -> int:
        """Dimension of the space."""
        return len(self.alpha)

    @property
    def basis(self) -> Floats:
        """The vectors `(steps, size)`."""
        return self._basis[: self.steps]

    def grow(self) -> bool:
        """Add a vector, at one product; False where the whole space is spanned."""
        if self._next is None:
            return False
        k = self.steps
        if k == len(self._basis):
            more = min(max(32, k), self._most - k)
            self._basis = np.concatenate([self._basis, np.empty((more, self._size))])
        v = self._basis[k]
        v[...] = self._next
        w = self._product(v)
        self.alpha.append(float(v @ w))
        if not np.isfinite(w).all():
            raise LanczosError("products with the matrix leave the range of doubles")
        w -= self.alpha[-1] * v
        if k:
            w -= self.beta[-1] * self._basis[k - 1]
        length = self._orthogonalize(w, k + 1)
        if length > _ROUNDING * self._scale() and k + 1 < self._most:
            self.beta.append(length)
            self._next = w / length
        else:
            self.beta.append(0.0)
            self._next = self._random() if k + 1 < self._most else None
        return True

    def ritz(self) -> tuple[Floats, Floats]:
        """Return Ritz values, ascending, and their coefficients in the basis `(steps, steps)`."""
        from scipy.linalg import eigh_tridiagonal

        values, vectors = eigh_tridiagonal(self.alpha, self.beta[:-1])
        return values, vectors

    def residuals(self, coefficients: Floats) -> Floats:
        """Return bounds of |A y - theta y| of Ritz vectors, rounding included.

        Parlett (1998), section 13.2: beta_k times their last coefficients.
        """
        return np.asarray(self.beta[-1] * np.abs(coefficients[-1]) + _ROUNDING * self._scale())

    def _scale(self) -> float:
        """About the largest |eigenvalue|: at least a third of that of the tridiagonal matrix."""
        return max(map(abs, self.alpha)) + max(self.beta, default=0.0)

    def _random(self) -> Floats:
        v = normals(self._seed, self._stream, self._size, self._drawn * self._size)
        self._drawn += 1
        v /= np.linalg.norm(v)
        self._orthogonalize(v, self.steps)
        return v / np.linalg.norm(v)

    def _orthogonalize(self, w: Floats, count: int) -> float:
        """Take from w what lies in the first vectors and `without`, in place; return its length."""
        before, length = math.inf, float(np.linalg.norm(w))
        while length < 0.7 * before and length > 0.0 and count + len(self._without):
            for basis in (self._without, self._basis[:count]):
                for start in range(0, len(basis), _ROWS):
                    rows = basis[start : start + _ROWS]
                    w -= (rows @ w) @ rows
            before, length = length, float(np.linalg.norm(w))
        return length


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Eigenvalues, most extreme first, vectors `(k, size)`, and residuals |A v - lambda v|."""

    values: Floats
    vectors: Floats
    residuals: Floats
    products: int


def extreme_eigenpairs(
    product: Product,
    size: int,
    *,
    top: int,
    bottom: int = 0,
    tolerance: float = 1e-6,
    most: int = 1000,
    seed: int,
    stream: int,
    watch: Callable[[int], object] = lambda _: None,
) -> tuple[Eigenpairs, Eigenpairs]:
    """Return the largest eigenvalues, descending, and the smallest, ascending.

    product: A v of a symmetric A for v `(size,)`. top, bottom: how many, at most `size` together.
    tolerance: of the residuals, as a part of the largest |eigenvalue|; an eigenvalue is as near as
        its residual, and most are as near as its square. most: products, 1000 by default. watch:
        is told of every product. seed, stream: of the vector to begin with.

    Lanczos with full reorthogonalization and no restarts: k products, O(k^2 size) beside them, and
    k vectors kept. An eigenvalue that is there more than once may be found once: its others come
    from rounding.

    Raises LanczosError where residuals are above the tolerance after `most` products.
    """
    space = Krylov(product, size, seed, stream)
    while space.grow():
        watch(space.steps)
        if space.steps < min(top + bottom, size):
            continue
        whole = space.steps == size
        if not whole and space.steps % _EVERY and space.steps < most:
            continue
        values, coefficients = space.ritz()
        residuals = space.residuals(coefficients)
        chosen = [*range(bottom), *range(len(values) - top, len(values))]
        allowed = tolerance * np.abs(values).max()
        if whole or np.all(residuals[chosen] <= allowed):
            break
        if space.steps >= most:
            raise LanczosError(
                f"eigenvalues have residuals up to {residuals[chosen].max():.1e} after {most} "
                f"products, above {allowed:.1e}"
            )

    def pairs(order: NDArray[np.intp]) -> Eigenpairs:
        vectors = np.ascontiguousarray(coefficients[:, order].T @ space.basis)
        return Eigenpairs(values[order], vectors, residuals[order], space.steps)

    descending = np.arange(len(values))[::-1]
    return pairs(descending[:top]), pairs(descending[::-1][:bottom])
