"""Extreme eigenvalues of a symmetric operator from products with vectors, by Lanczos."""

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

_ROWS: Final = 8  # vectors per block, which is still in the cache when it is read again
_CHECK_EVERY: Final = 2  # steps between checks of the residuals
_ROUNDING: Final = 3e-15  # error of products and sums, relative to the largest |eigenvalue|


class LanczosError(Exception):
    """Eigenvalues have not converged in the steps allowed, or leave the range of doubles."""


class Krylov:
    """An orthonormal basis of a Krylov space, in which the operator is tridiagonal.

    Each vector is orthogonalized against all previous ones, twice if once is not enough (Daniel et
    al., 1976), so that the theory of exact arithmetic holds to rounding. If the space is invariant
    (beta = 0), a random vector starts another one.

    `product` maps a vector `(size,)` to A v. Starting vectors come from the random stream `stream`
    of the seed. `without` are orthonormal vectors `(k, size)`; with them the operator is P A P for
    the projection P on their orthogonal complement.
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
        self.beta: list[float] = []  # beta[k] couples vectors k and k + 1
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
        """Add a vector, with one product; return False if the whole space is spanned."""
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
        """Return bounds on |A y - theta y| for Ritz vectors, including rounding.

        Parlett (1998), section 13.2: beta_k times their last coefficients.
        """
        return np.asarray(self.beta[-1] * np.abs(coefficients[-1]) + _ROUNDING * self._scale())

    def _scale(self) -> float:
        """Return an estimate of the largest |eigenvalue|, at least a third of the tridiagonal's."""
        return max(map(abs, self.alpha)) + max(self.beta, default=0.0)

    def _random(self) -> Floats:
        v = normals(self._seed, self._stream, self._size, self._drawn * self._size)
        self._drawn += 1
        v /= np.linalg.norm(v)
        self._orthogonalize(v, self.steps)
        return v / np.linalg.norm(v)

    def _orthogonalize(self, w: Floats, count: int) -> float:
        """Project w in place off the first vectors and `without`; return its length."""
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
    """Eigenvalues, the most extreme first, vectors `(k, size)`, and residuals |A v - lambda v|."""

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
    max_products: int = 1000,
    seed: int,
    stream: int,
    on_product: Callable[[int], object] = lambda _: None,
) -> tuple[Eigenpairs, Eigenpairs]:
    """Return the largest eigenvalues, descending, and the smallest, ascending.

    `product` returns A v for a symmetric A and v `(size,)`; `top` and `bottom` are the numbers of
    eigenvalues, at most `size` together. Residuals are at most `tolerance` times the largest
    |eigenvalue|; the error of an eigenvalue is at most its residual, and usually of the order of
    its square. `seed` and `stream` determine the starting vector, and `on_product` is called with
    the number of products so far.

    The method is Lanczos with full reorthogonalization and no restarts: k products, O(k^2 size)
    further operations, and k vectors in memory. A multiple eigenvalue may be found only once.

    Raises LanczosError if residuals are above the tolerance after `max_products` products.
    """
    space = Krylov(product, size, seed, stream)
    while space.grow():
        on_product(space.steps)
        if space.steps < min(top + bottom, size):
            continue
        whole = space.steps == size
        if not whole and space.steps % _CHECK_EVERY and space.steps < max_products:
            continue
        values, coefficients = space.ritz()
        residuals = space.residuals(coefficients)
        chosen = [*range(bottom), *range(len(values) - top, len(values))]
        allowed = tolerance * np.abs(values).max()
        if whole or np.all(residuals[chosen] <= allowed):
            break
        if space.steps >= max_products:
            raise LanczosError(
                f"eigenvalues have residuals up to {residuals[chosen].max():.1e} after "
                f"{max_products} products, above {allowed:.1e}"
            )

    def pairs(order: NDArray[np.intp]) -> Eigenpairs:
        vectors = np.ascontiguousarray(coefficients[:, order].T @ space.basis)
        return Eigenpairs(values[order], vectors, residuals[order], space.steps)

    descending = np.arange(len(values))[::-1]
    return pairs(descending[:top]), pairs(descending[::-1][:bottom])
