"""Cholesky factor of a matrix that fits in memory, in place."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from nnth._kernels.solvers.system import Estimate, Solution, System
from nnth._runtime.blas import factoring
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats

_EPS: Final = float(np.finfo(float).eps)
_BLOCK: Final = 256  # columns of the inverse that are summed at a time


class Cholesky:
    """The factor of K + ridge below the diagonal of a matrix that holds K above it.

    It takes the memory of one matrix. `inverse_diagonal`, `effective_dimension` and the exact
    `condition` replace the factor by the inverse, and are to be asked for last: afterwards systems
    are not solved any more.

    Raises ValueError if K + ridge is singular to rounding, and MemoryError if it does not fit.
    """

    name: Final = "cholesky"
    most_tests: Final = None

    def __init__(self, system: System) -> None:
        from scipy.linalg import lapack

        m = system.m
        check_memory(8 * m * m, f"x must have fewer than {m} rows: a matrix of {m} x {m}")
        self.system = system
        matrix = np.empty((m, m))
        system.blocks.block(slice(0, m), slice(0, m), out=matrix)
        factor = matrix.T  # in the order of Fortran
        blocks = (factor[:, i : i + _BLOCK] for i in range(0, m, _BLOCK))
        self._size = float(max(np.abs(b).sum(axis=0).max() for b in blocks)) + system.ridge
        factor[np.arange(m), np.arange(m)] = system.diagonal + system.ridge
        with factoring(m):
            self._factor, failed = lapack.dpotrf(factor, lower=1, clean=0, overwrite_a=1)
            # An estimate of the condition is enough to refuse a singular matrix.
            reciprocal = 0.0 if failed else lapack.dpocon(self._factor, self._size, uplo="L")[0]
        if reciprocal <= m * _EPS * 0.1:
            raise system.refusal(self._size)
        self._reciprocal = float(reciprocal)
        self._pivots = self._factor.diagonal().copy()
        self._inverted = False

    @property
    def size(self) -> float:
        """The 1-norm of K + ridge."""
        return self._size

    @property
    def condition(self) -> float:
        """The condition number in the 1-norm: exact after `inverse_diagonal`, else an estimate."""
        return self._size * self._inverse[1] if self._inverted else 1.0 / self._reciprocal

    @property
    def inverse_norm(self) -> float:
        """The 1-norm of the inverse, or 1/ridge if that is less."""
        return min(self.condition / self._size, self.system.inverse_bound)

    def solve(self, right: Floats) -> Solution:
        """Return the solution after a step of iterative refinement."""
        values = self.apply(right)[0]
        values += self.apply(self._checked(values, right).misfit)[0]
        return self._checked(values, right)

    def apply(self, right: Floats) -> tuple[Floats, Floats]:
        """Return (K + ridge)^-1 B."""
        from scipy.linalg import lapack

        assert not self._inverted
        with factoring(len(right)):
            values = lapack.dpotrs(self._factor, right, lower=1)[0]
        return values, np.zeros_like(right)

    def half(self, right: Floats) -> Floats:
        """Return L^-1 B for the lower triangular factor L."""
        from scipy.linalg import solve_triangular

        assert not self._inverted
        with factoring(len(right)):
            return np.asarray(solve_triangular(self._factor, right, lower=True, check_finite=False))

    def explained(self, cross: Floats) -> tuple[Floats, Floats]:
        """Return the squared norms of L^-1 k."""
        half = self.half(cross)
        return np.einsum("ij,ij->j", half, half), np.zeros(cross.shape[1])

    def log_determinant(self) -> Estimate:
        """Return log det(K + ridge)."""
        return Estimate(2.0 * float(np.log(self._pivots).sum()))

    def inverse_diagonal(self) -> Floats:
        """Return the diagonal of (K + ridge)^-1; the factor is lost."""
        return self._inverse[0]

    def effective_dimension(self) -> Estimate:
        """Return m - ridge tr (K + ridge)^-1; the factor is lost."""
        return Estimate(float(self.system.m - self.system.ridge * self.inverse_diagonal().sum()))

    def product(self, vectors: Floats) -> Floats:
        """Return K V, from K above the diagonal."""
        from scipy.linalg import blas

        product = blas.dsymm(1.0, self._factor, vectors, lower=0)
        product += (self.system.diagonal - self._pivots)[:, None] * vectors
        return np.asarray(product)

    def _checked(self, values: Floats, right: Floats) -> Solution:
        product = self.product(values)
        return Solution(values, product, right - product - self.system.ridge * values)

    @cached_property
    def _inverse(self) -> tuple[Floats, float]:
        """The diagonal of (L L')^-1 and its 1-norm, the largest column sum."""
        from scipy.linalg import lapack

        m = len(self._factor)
        with factoring(m):
            inverse = lapack.dpotri(self._factor, lower=1, overwrite_c=1)[0]  # its lower triangle
        self._inverted = True
        sums = np.zeros(m)
        for first in range(0, m, _BLOCK):
            last = min(first + _BLOCK, m)
            corner = np.abs(np.tril(inverse[first:last, first:last]))
            below = np.abs(inverse[last:, first:last])
            sums[first:last] += corner.sum(axis=0) + corner.sum(axis=1) - corner.diagonal()
            sums[first:last] += below.sum(axis=0)
            sums[last:] += below.sum(axis=1)
        return inverse.diagonal().copy(), float(sums.max())
