"""Ridge regression on features of many inputs, in one pass over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from nnth import _core
from nnth._kernels.features.maps import PANEL, ROWS, FeatureMap, on_threads
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats

_EPS: Final = float(np.finfo(float).eps)
_ARRAYS: Final = 6  # blocks of features and of what they are made of
_MATRICES: Final = 2  # the sums, and their factor


class NormalEquations:
    """The sums A = Phi' Phi and B = Phi' y of features Phi `(m, N)`, block by block.

    They are what ridge regression needs of the data: N^2 numbers and one block, for any m. Compared
    with a triangular factor of Phi they square the condition number, so that rounding acts as a
    change of the ridge by `rounding`, at most (rows + m/rows) eps tr A. A ridge below that is
    refused; above it a factor of Phi would take twice the operations, and give no digit of a
    prediction that features, of relative error 1/sqrt(N), have anyway.

    Blocks have a fixed number of rows and are added in order; in a block each panel of columns is
    the product of one thread. So the sums have the same bits with any number of threads.

    Attributes:
        features: The features.
        unit: Features are divided by this power of 2, so that their squares stay in the doubles.
        points: The number m of inputs that were added.
        squares: The sum of squares of the targets `(outputs,)`.
        largest: The largest squared norm of the features of an input, in their unit.
    """

    def __init__(self, features: FeatureMap, outputs: int, *, unit: float, threads: int) -> None:
        n = features.count
        self.features, self.unit = features, unit
        self._threads = _core.thread_count(threads)
        self._gram, self._right = np.zeros((n, n)), np.zeros((n, outputs))
        self.points, self.squares = 0, np.zeros(outputs)
        self.largest = 0.0

    def add(
        self, x: Floats, y: Floats, report: Callable[[int], object] = lambda points: None
    ) -> NormalEquations:
        """Add inputs `(m, n_0)` and their targets `(m, outputs)`, and return these sums."""
        for first in range(0, len(x), ROWS):
            phi = self.features.block(x[first : first + ROWS], threads=self._threads)
            phi /= self.unit
            targets = y[first : first + ROWS]
            norms = np.einsum("ij,ij->i", phi, phi)
            self.largest = max(self.largest, float(norms.max()))

            def sum_up(panel: slice, phi: Floats = phi, targets: Floats = targets) -> None:
                columns = phi[:, panel]
                self._gram[: panel.stop, panel] += phi[:, : panel.stop].T @ columns
                self._right[panel] += columns.T @ targets

            on_threads(sum_up, self.features.count, self._threads)
            self.squares += np.einsum("ij,ij->j", targets, targets)
            self.points += len(phi)
            report(self.points)
        return self

    @property
    def trace(self) -> float:
        """The trace of A, in units of the features."""
        return float(np.trace(self._gram))

    @property
    def rounding(self) -> float:
        """A bound of the error of A in the spectral norm, in units of the features."""
        terms = min(ROWS, self.points) + -(-self.points // ROWS)
        return (terms + 2.0) * _EPS * self.trace

    def solve(self, ridge: float) -> Solved:
        """Return the coefficients of the regression with a ridge.

        Raises ValueError if the ridge is not above the rounding of the sums, or the sums leave the
        range of doubles.
        """
        from scipy.linalg import lapack

        if not math.isfinite(self.trace):
            raise ValueError("x must be smaller: its features leave the range of doubles")
        own = ridge / self.unit / self.unit
        if not own > 2.0 * self.rounding:
            least = 2.0 * self.rounding * self.unit * self.unit
            raise ValueError(
                f"ridge must be above {least:.1g} with features, the rounding of their sums, not "
                f"{ridge:g}"
            )
        n = len(self._gram)
        factor = np.array(self._gram, order="F")
        factor[np.arange(n), np.arange(n)] += own
        size = self._size() + own
        factor, failed = lapack.dpotrf(factor, lower=0, clean=0, overwrite_a=1)
        assert not failed
        reciprocal = float(lapack.dpocon(factor, size, uplo="U")[0])
        solved = Solved(self, own, factor, reciprocal, np.zeros_like(self._right))
        for _ in range(2):  # the second is a step of iterative refinement
            solved.weights[:] += lapack.dpotrs(factor, solved.misfit(), lower=0)[0]
        return solved

    def product(self, vectors: Floats) -> Floats:
        """Return A V, from the triangle of A that is summed."""
        from scipy.linalg import blas

        # The transposed matrix in the order of Fortran holds A in its lower triangle.
        return np.asarray(blas.dsymm(1.0, self._gram.T, vectors, lower=1))

    @property
    def right(self) -> Floats:
        """The sums B."""
        return self._right

    def _size(self) -> float:
        """Return the 1-norm of A."""
        n = len(self._gram)
        sums = np.zeros(n)
        for first in range(0, n, PANEL):
            panel = slice(first, min(first + PANEL, n))
            corner = np.abs(np.triu(self._gram[panel, panel]))
            above = np.abs(self._gram[:first, panel])
            sums[panel] += corner.sum(axis=0) + corner.sum(axis=1) - corner.diagonal()
            sums[panel] += above.sum(axis=0)
            sums[:first] += above.sum(axis=1)
        return float(sums.max())


@dataclass(frozen=True, eq=False)
class Solved:
    """Ridge regression on features: f = phi.weights/unit, with the factor of A + ridge.

    Attributes:
        sums: The sums.
        ridge: The ridge in units of the features.
        factor: The factor of A + ridge above the diagonal.
        reciprocal: An estimate of the inverse of the condition number of A + ridge.
        weights: The coefficients `(N, outputs)`, in units of the features.
    """

    sums: NormalEquations
    ridge: float
    factor: Floats
    reciprocal: float
    weights: Floats

    def misfit(self) -> Floats:
        """Return B - (A + ridge) weights."""
        left = self.sums.product(self.weights) + self.ridge * self.weights
        return np.asarray(self.sums.right - left)

    def norm2(self) -> Floats:
        """Return the squared norm of f in the space of the features `(outputs,)`."""
        squares = np.einsum("ij,ij->j", self.weights, self.weights)
        return np.asarray(squares / self.sums.unit / self.sums.unit)

    def square_error(self) -> tuple[Floats, Floats]:
        """Return the sums of squared errors on the inputs, and bounds of their rounding.

        |y - Phi w|^2 = y'y - w'B - w'(B - A w): differences, which can be below 0 by the rounding.
        """
        w, own = self.weights, self.sums
        explained = np.einsum("ij,ij->j", w, own.right)
        left = np.einsum("ij,ij->j", w, self.misfit() + self.ridge * w)
        sizes = np.einsum("ij,ij->j", w, w)
        share = own.rounding / own.trace if own.trace else 0.0
        right = 2.0 * share * math.sqrt(own.trace) * np.sqrt(own.squares) * np.sqrt(sizes)
        return own.squares - explained - left, share * own.squares + right + own.rounding * sizes

    def log_marginal(self) -> Floats:
        """Return the log density of the targets under the process of covariance Phi Phi' + ridge.

        By the determinant lemma log det(Phi Phi' + ridge) = log det(A + ridge) + (m - N) log ridge.
        """
        own, m, n = self.sums, self.sums.points, len(self.weights)
        square = own.squares - np.einsum("ij,ij->j", self.weights, own.right)
        log_unit = 2.0 * math.log(own.unit)
        log_determinant = 2.0 * float(np.log(self.factor.diagonal()).sum())
        log_determinant += (m - n) * math.log(self.ridge) + m * log_unit
        ridge = self.ridge * own.unit * own.unit
        constant = 0.5 * log_determinant + 0.5 * m * math.log(2.0 * math.pi)
        return np.asarray(-0.5 * square / ridge - constant)

    @cached_property
    def effective_dimension(self) -> float:
        """Return tr A (A + ridge)^-1."""
        n = len(self.weights)
        total = 0.0
        for first in range(0, n, PANEL):
            half = np.zeros((n, min(PANEL, n - first)))
            half[np.arange(first, first + half.shape[1]), np.arange(half.shape[1])] = 1.0
            total += float(np.square(self.half(half)).sum())
        return n - self.ridge * total

    def half(self, right: Floats) -> Floats:
        """Return U'^-1 times vectors `(N, k)` for the factor A + ridge = U' U."""
        from scipy.linalg import solve_triangular

        return np.asarray(
            solve_triangular(self.factor, right, lower=False, trans="T", check_finite=False)
        )

    def predict(self, x: Floats, *, variance: bool, threads: int) -> tuple[Floats, Floats, float]:
        """Return f and the variance of the process at inputs, and the largest |phi|^2 of them."""
        mean = np.empty((len(x), self.weights.shape[1]))
        spread, largest = np.full(len(x), np.nan), 0.0
        many = _core.thread_count(threads)
        for first in range(0, len(x), ROWS):
            at = slice(first, min(first + ROWS, len(x)))
            phi = self.sums.features.block(x[at], threads=many) / self.sums.unit
            mean[at] = phi @ self.weights
            largest = max(largest, float(np.einsum("ij,ij->i", phi, phi).max()))
            if variance:
                half = self.half(phi.T)
                ridge = self.ridge * self.sums.unit * self.sums.unit
                spread[at] = ridge * np.einsum("ij,ij->j", half, half)
        return mean, spread, largest

    def error(self, largest: float) -> Floats:
        """Return a bound of the rounding of f at an input with |phi|^2 = largest `(outputs,)`.

        phi.dw with (A + ridge) dw = misfit + dB - dA w, and |(A + ridge)^-1| <= 1/(ridge - |dA|).
        """
        own = self.sums
        norms = np.sqrt(np.einsum("ij,ij->j", self.weights, self.weights))
        share = own.rounding / own.trace if own.trace else 0.0
        right = share * math.sqrt(own.trace) * np.sqrt(own.squares)
        left = np.sqrt(np.einsum("ij,ij->j", self.misfit(), self.misfit()))
        inverse = 1.0 / (self.ridge - own.rounding)
        return np.asarray(math.sqrt(largest) * inverse * (left + right + own.rounding * norms))


def check_memory_of_features(count: int) -> None:
    """Raise MemoryError, with the size, if the sums of features do not fit in memory."""
    needed = 8 * count * (_MATRICES * count + _ARRAYS * ROWS)
    check_memory(needed, f"features must be fewer than {count}: their sums and a block of them")
