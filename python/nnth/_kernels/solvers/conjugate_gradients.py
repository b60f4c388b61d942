"""Preconditioned conjugate gradients on a kernel that is never stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._kernels.solvers.preconditioner import Preconditioner, partial_cholesky
from nnth._kernels.solvers.system import ConvergenceError, Estimate, Solution, System
from nnth._runtime import streams
from nnth._runtime.memory import available_memory
from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats
from nnth._tables.statistics import mean_of

PROBES: Final = 16  # random vectors that estimate the determinant and the effective dimension
MOST_STEPS: Final = 1000
MOST_TESTS: Final = 256
_RANK: Final = 1000
_PROBES_REACH: Final = 10.0  # times the tolerance: the misfit that is allowed to random vectors
_UNKNOWN: Final = (Estimate(math.nan, math.nan), Estimate(math.nan, math.nan))
_PROGRESS: Final = 0.5  # a restart that leaves more than this of the residual has stagnated


class ConjugateGradients:
    """Solutions of (K + ridge) X = B from products with K, many right-hand sides at a time.

    Each column has the coefficients of its own iteration, and all share the products with the tiles
    of K, which are computed on the fly. A column is solved when the norm of its misfit, computed
    anew, is at most `tolerance` times that of B. With the first right-hand sides random vectors P^(
    1/2) w, w = +-1, are solved: P^-1/2 A P^-1/2 has a Lanczos matrix in their coefficients, whose
    quadrature gives

        log det A = log det P + E[w' log(P^-1/2 A P^-1/2) w],   tr A^-1 = E[w' P^-1/2 A^-1 P^1/2 w].

    Args:
        system: A = K + ridge.
        tolerance: Largest norm of a misfit relative to its right-hand side.
        seed: Seed of the pivots of the preconditioner and of the random vectors.
        probes: Number of random vectors; 0 if no estimate is wanted.
        rank: Rank of the preconditioner; by default 1000, or what takes a quarter of the memory.

    Raises ConvergenceError, with the misfit reached, if a column needs more than 1000 steps or
    rounding keeps its misfit from falling.

    Source: Saad (2003), sections 6.7 and 9.2; Díaz et al. (2023); for the estimates Ubaru et al.
    (2017), Gardner et al. (2018).
    """

    name: Final = "cg"
    most_tests: Final = MOST_TESTS

    def __init__(
        self,
        system: System,
        *,
        tolerance: float,
        seed: int = 0,
        probes: int = PROBES,
        rank: int | None = None,
    ) -> None:
        self.system, self._tolerance = system, tolerance
        rank = preconditioner_rank(system.m) if rank is None else min(rank, system.m)
        factor, left = partial_cholesky(
            system.blocks, system.m, rank, seed, enough=0.1 * system.ridge
        )
        self.preconditioner = Preconditioner(factor, left, system.ridge)
        self._signs = np.where(
            uniforms(seed, streams.SOLVER_PROBES.first, probes * system.m) < 0.5, -1.0, 1.0
        ).reshape(probes, system.m)
        self._estimates: tuple[Estimate, Estimate] | None = None
        self.steps = 0

    @property
    def size(self) -> float:
        """The trace of K, plus ridge."""
        return float(self.system.diagonal.sum()) + self.system.ridge

    @property
    def inverse_norm(self) -> float:
        """The bound 1/ridge, infinite for a ridge that is not above the errors of the kernel."""
        return self.system.inverse_bound

    @property
    def condition(self) -> float:
        """NaN: it is not computed."""
        return math.nan

    def product(self, vectors: Floats) -> Floats:
        """Return K V, from tiles of K that are computed anew."""
        return self.system.product(vectors)

    def solve(self, right: Floats) -> Solution:
        """Return the solution to the tolerance, and make the estimates if there are none yet."""
        columns = right.shape[1]
        probes = self._estimates is None and len(self._signs) > 0
        if probes:
            right = np.hstack((right, self.preconditioner.power(0.5, self._signs.T)))
        values, misfit, runs = self._iterated(right, columns)
        if probes:
            reached = _norms(misfit[:, columns:]) / _norms(right[:, columns:])
            converged = bool((reached <= _PROBES_REACH * self._tolerance).all())
            self._estimates = (
                self._estimated(values[:, columns:], runs[columns:]) if converged else _UNKNOWN
            )
        values, misfit = values[:, :columns], misfit[:, :columns]
        return Solution(values, right[:, :columns] - misfit - self.system.ridge * values, misfit)

    def apply(self, right: Floats) -> tuple[Floats, Floats]:
        """Return the solution and its misfit."""
        found = self.solve(right)
        return found.values, found.misfit

    def explained(self, cross: Floats) -> tuple[Floats, Floats]:
        """Return k' (K + ridge)^-1 k and the bound of its error, of second order in the misfit.

        With a ~ A^-1 k and the misfit r = k - A a it is k'a + a'r + r' A^-1 r.
        """
        found = self.solve(cross)
        value = np.einsum("ij,ij->j", found.values, cross + found.misfit)
        with np.errstate(invalid="ignore"):
            error = _norms(found.misfit) ** 2 * self.inverse_norm
        return value, np.where(np.isnan(error), 0.0, error)  # no misfit, and no bound

    def log_determinant(self) -> Estimate:
        """Return log det(K + ridge) by stochastic Lanczos quadrature."""
        return self._both()[0]

    def effective_dimension(self) -> Estimate:
        """Return m - ridge tr (K + ridge)^-1, the trace by Hutchinson's estimate."""
        return self._both()[1]

    def inverse_diagonal(self) -> None:
        """Return None."""

    def _both(self) -> tuple[Estimate, Estimate]:
        if self._estimates is None:
            self.solve(np.empty((self.system.m, 0)))
        return self._estimates or _UNKNOWN

    def _iterated(self, right: Floats, wanted: int) -> tuple[Floats, Floats, list[_Run]]:
        """Return solutions, their misfits and the coefficients of the first iteration.

        The first `wanted` columns are iterated again from their misfits until these are below the
        tolerance.
        """
        norms = _norms(right)
        goals = self._tolerance * norms
        values, misfit = np.zeros_like(right), right.copy()
        runs = [_Run() for _ in norms]
        steps, left = 0, np.flatnonzero(norms > 0.0)
        recorded: list[_Run] = [runs[i] for i in left]
        while left.size:
            before = _norms(misfit[:, left])
            change, steps = self._run(misfit[:, left], goals[left], steps, recorded)
            recorded = []
            values[:, left] += change
            misfit[:, left] = self.system.checked(values[:, left], right[:, left]).misfit
            reached = _norms(misfit[:, left])
            failed = (left < wanted) & (reached > goals[left])
            if (failed & ((reached > _PROGRESS * before) | (steps >= MOST_STEPS))).any():
                worst = float((reached / norms[left])[failed].max())
                raise ConvergenceError(
                    f"tolerance {self._tolerance:g} was not reached: cg stopped after {steps} "
                    f"steps at a residual of {worst:.1g} of the targets; a ridge above "
                    f"{self.system.ridge:g} or the solver blocked helps"
                )
            left = left[failed]
        self.steps += steps
        return values, misfit, runs

    def _run(
        self, right: Floats, goals: Floats, steps: int, runs: list[_Run]
    ) -> tuple[Floats, int]:
        """Return A^-1 right by one iteration from 0, until its own residuals reach the goals."""
        system, conditioned = self.system, self.preconditioner
        values = np.zeros_like(right)
        residual = right.copy()
        active = np.arange(right.shape[1])
        start = _norms(residual)
        direction = conditioned.power(-1.0, residual)
        size = np.einsum("ij,ij->j", residual, direction)
        while active.size and steps < MOST_STEPS:
            product = system.product(direction) + system.ridge * direction
            curvature = np.einsum("ij,ij->j", direction, product)
            # Rounding of a singular matrix; the misfit will tell.
            positive = (curvature > 0.0) & (size > 0.0)
            step = np.where(positive, size / np.where(positive, curvature, 1.0), 0.0)
            values[:, active] += step * direction
            residual -= step * product
            steps += 1
            now = _norms(residual)
            keep = positive & (now > goals[active])
            new = conditioned.power(-1.0, residual)
            new_size = np.einsum("ij,ij->j", residual, new)
            ratio = np.where(positive, new_size / np.where(positive, size, 1.0), 0.0)
            if runs:
                for i, column in enumerate(active):
                    runs[column].add(float(step[i]), float(ratio[i]))
            system.report(_share_of_digits(start[active], now, goals[active]))
            direction = (new + ratio * direction)[:, keep]
            residual, size, active = residual[:, keep], new_size[keep], active[keep]
        return values, steps

    def _estimated(self, values: Floats, runs: list[_Run]) -> tuple[Estimate, Estimate]:
        system, conditioned = self.system, self.preconditioner
        m = system.m
        logs = np.array([m * run.mean_logarithm() for run in runs])
        log_determinant, stderr = mean_of(logs)
        # tr A^-1 = tr P^-1 + E[w' P^-1/2 (A^-1 P^1/2 - P^-1/2) w].
        w = self._signs.T
        inner = conditioned.power(-0.5, w)
        differences = np.einsum("ij,ij->j", inner, values - inner)
        mean, trace_stderr = mean_of(differences)
        trace = conditioned.trace_of_inverse + mean
        return (
            Estimate(conditioned.log_determinant + log_determinant, stderr),
            Estimate(m - system.ridge * trace, system.ridge * trace_stderr),
        )


@dataclass
class _Run:
    """The coefficients of one column, which are those of its Lanczos matrix."""

    def __post_init__(self) -> None:
        self.steps: list[float] = []
        self.ratios: list[float] = []

    def add(self, step: float, ratio: float) -> None:
        if step > 0.0:
            self.steps.append(step)
            self.ratios.append(max(ratio, 0.0))

    def mean_logarithm(self) -> float:
        """Return e_1' log(T) e_1 for the Lanczos matrix T; Saad (2003), section 6.7.3."""
        from scipy.linalg import eigh_tridiagonal

        steps, ratios = np.array(self.steps), np.array(self.ratios)
        diagonal = 1.0 / steps
        diagonal[1:] += ratios[:-1] / steps[:-1]
        values, vectors = eigh_tridiagonal(diagonal, np.sqrt(ratios[:-1]) / steps[:-1])
        return float((vectors[0] ** 2) @ np.log(np.maximum(values, np.finfo(float).tiny)))


def preconditioner_rank(m: int) -> int:
    """Return 1000, m/2 for few inputs, or what a quarter of the available memory holds."""
    free = available_memory()
    most = _RANK if free is None else free // 4 // (16 * m)
    return max(1, min(_RANK, -(-m // 2), most))


def _share_of_digits(start: Floats, now: Floats, goals: Floats) -> float:
    """Return the least share of the digits between the residuals at the start and their goals."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.log(start / np.maximum(now, goals)) / np.log(start / goals)
    return float(np.nan_to_num(shares, nan=1.0).min())


def _norms(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ij,ij->j", vectors, vectors)))
