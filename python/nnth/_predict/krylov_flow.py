"""Gradient flow of infinitely wide networks at finite times, from products with their kernel."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._kernels.modes import flow_gain
from nnth._kernels.solvers import ConvergenceError, System
from nnth._predict.kernel_flow import OutputDistribution
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats

MOST_STEPS: Final = 1000
_CHECK_EVERY: Final = 4  # steps
_GROWTH: Final = 32  # vectors that are allocated together
_EPSILON: Final = float(np.finfo(float).eps)
_STEEPEST: Final = 0.6382  # at least the largest (1 - exp(-x))/sqrt(x)


class KrylovFlow:
    """The solutions alpha(t) of alpha' = eta (y - A alpha), A = T + ridge, from 0, at all times.

    For each output the space of y, A y, ..., A^(k-1) y is one for all times: with its orthonormal
    basis V, A V = V H + beta v e_k' and

        alpha(t) = |y| V g_t(H) e_1,   g_t(mu) = (1 - exp(-mu t))/mu

    solves the equation up to a residual of norm `|y| beta |e_k' g_t(H) e_1|`, which grows with t.
    Outputs share the products with A, in each of which the kernel is computed anew.

    Args:
        system: T + ridge, with the test points.
        y: Targets `(m, outputs)`.
        longest: The largest finite eta t.
        tolerance: Largest norm of the residual at that time, relative to that of y.

    Raises ConvergenceError after 1000 steps, and MemoryError if the basis does not fit.

    Source: Saad (1992); Hochbruck and Lubich (1997).
    """

    def __init__(self, system: System, y: Floats, longest: float, tolerance: float) -> None:
        self._system, self._y = system, y
        self._runs = [_Space(column, longest) for column in y.T]
        self.steps = 0
        while left := [run for run in self._runs if not run.converged(tolerance)]:
            if self.steps == MOST_STEPS:
                worst = max(run.residual for run in left)
                raise ConvergenceError(
                    f"tolerance {tolerance:g} was not reached: cg stopped after {MOST_STEPS} steps "
                    f"at a residual of {worst:.1g} of the targets; shorter times help"
                )
            if self.steps % _GROWTH == 0:
                what = f"x must have fewer than {system.m} rows: {self.steps + _GROWTH} vectors of "
                check_memory(
                    8 * system.m * (self.steps + _GROWTH) * len(left), f"{what}{len(left)} outputs"
                )
            vectors = np.stack([run.last for run in left], axis=1)
            products = system.product(vectors) + system.ridge * vectors
            for run, product in zip(left, products.T, strict=True):
                run.grow(product)
            self.steps += 1
            system.report(min(run.progress(tolerance) for run in left))

    def outputs(self, elapsed: Floats) -> list[OutputDistribution]:
        """Return means at finite eta t, with bounds of their errors; variances are NaN."""
        system, y = self._system, self._y
        outputs = y.shape[1]
        tests = len(system.tests)
        found = [[run.solution(t) for run in self._runs] for t in elapsed]
        dual = np.stack([alpha for at in found for alpha, _ in at], axis=1)
        rest = np.stack([left for at in found for _, left in at], axis=1)
        product = system.product(dual)
        mean = np.empty((tests, dual.shape[1]))
        for at in system.test_blocks():
            mean[at] = system.cross(at).T @ dual
        misfit = np.tile(y, len(elapsed)) - product - system.ridge * dual - rest
        residuals = _norms(misfit)
        norm = float(np.linalg.norm(y))
        laws = []
        for i, t in enumerate(elapsed):
            some = slice(i * outputs, (i + 1) * outputs)
            # Residuals grow with time, but for rounding.
            worst = float(residuals.reshape(-1, outputs)[elapsed <= t].max())
            laws.append(
                OutputDistribution(
                    mean=mean[:, some],
                    variance=np.full(tests, np.nan),
                    train_mean=product[:, some],
                    condition=math.nan,
                    residual=float(np.linalg.norm(residuals[some])) / norm if norm else 0.0,
                    error=self._error(dual[:, some], worst, float(t)),
                    variance_error=math.nan,
                )
            )
        return laws

    def _error(self, dual: Floats, residual: float, t: float) -> float:
        """Return a bound of the errors of the means, from entries, rounding and the residual.

        An error r(s) of the equation moves alpha(t) by d = eta int exp(-eta A (t - s)) r(s) ds, and
        |k' d| <= sqrt(K(z, z)) |T^(1/2) d|, where sqrt(mu) g_t(mu + ridge) is at most both 0.64
        sqrt(eta t) and 1/(2 sqrt(ridge)).
        """
        system = self._system
        top = float(system.blocks.diagonal.max())
        reach = _STEEPEST * math.sqrt(t)
        if system.ridge > 0.0:
            reach = min(reach, 0.5 / math.sqrt(system.ridge))
        size = float(system.diagonal.sum()) + system.ridge
        entries = system.entry_error + 4.0 * _EPSILON * size
        ones = float(np.abs(dual).sum(axis=0).max())
        twos = float(_norms(dual).max())
        own = system.blocks.error * top * ones
        return float(own + math.sqrt(top) * reach * (entries * twos + residual))


class _Space:
    """The Krylov space of one output, its tridiagonal matrix, and its residual at a time."""

    def __init__(self, y: Floats, longest: float) -> None:
        self._norm = float(np.linalg.norm(y))
        self._longest = longest
        self._basis = np.empty((_GROWTH, len(y)))
        self._alpha: list[float] = []
        self._beta: list[float] = []
        self._done = self._norm == 0.0
        self.residual = 0.0 if self._done else 1.0
        if not self._done:
            self._basis[0] = y / self._norm

    @property
    def last(self) -> Floats:
        """The vector whose product is needed next."""
        return np.asarray(self._basis[len(self._alpha)])

    def converged(self, tolerance: float) -> bool:
        """Return whether the residual at the longest time is at most tolerance |y|."""
        return self._done or self.residual <= tolerance

    def progress(self, tolerance: float) -> float:
        """Return the share of the digits that the residual has gained."""
        if self.residual <= tolerance:
            return 1.0
        return max(math.log(self.residual), math.log(tolerance)) / math.log(tolerance)

    def grow(self, product: Floats) -> None:
        """Add the product of the last vector, orthogonalized twice against all vectors."""
        k = len(self._alpha)
        w = product.copy()
        self._alpha.append(float(self._basis[k] @ w))
        for _ in range(2):
            w -= (self._basis[: k + 1] @ w) @ self._basis[: k + 1]
        length = float(np.linalg.norm(w))
        scale = max(map(abs, self._alpha)) + max(self._beta, default=0.0)
        self._done = length <= _EPSILON * scale or k + 1 == len(w)
        self._beta.append(0.0 if self._done else length)
        if self._done:
            self.residual = 0.0
            return
        if k + 1 == len(self._basis):
            self._basis = np.concatenate((self._basis, np.empty((_GROWTH, len(w)))))
        self._basis[k + 1] = w / length
        if (k + 1) % _CHECK_EVERY == 0 or k < _CHECK_EVERY:
            values, vectors = self._ritz()
            inner = (vectors[-1] * vectors[0]) @ flow_gain(values, self._longest)
            self.residual = abs(length * float(inner))

    def solution(self, t: float) -> tuple[Floats, Floats]:
        """Return alpha(t) and exp(-A t) y, the part of y that is not learned."""
        size = self._basis.shape[1]
        if self._norm == 0.0:
            return np.zeros(size), np.zeros(size)
        values, vectors = self._ritz()
        first = self._norm * vectors[0]
        basis = self._basis[: len(values)]
        learned = vectors @ (flow_gain(values, t) * first)
        left = vectors @ (np.exp(-values * t) * first)
        return np.asarray(learned @ basis), np.asarray(left @ basis)

    def _ritz(self) -> tuple[Floats, Floats]:
        from scipy.linalg import eigh_tridiagonal

        values, vectors = eigh_tridiagonal(self._alpha, self._beta[:-1])
        return np.maximum(values, 0.0), vectors


def _norms(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ij,ij->j", vectors, vectors)))
