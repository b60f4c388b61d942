"""Preconditioned conjugate gradients on a kernel that is never stored."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from nnth._kernels.solvers.iteration import Inner, Iteration, Keeper, Run, packed, unpacked
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
        self.preconditioner = Preconditioner.restored(
            **system.kept("preconditioner", lambda: self._conditioned(rank, seed))
        )
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

    def _conditioned(self, rank: int | None, seed: int) -> dict[str, Any]:
        system, m = self.system, self.system.m
        rank = preconditioner_rank(m) if rank is None else min(rank, m)
        factor, left = partial_cholesky(system.blocks, m, rank, seed, enough=0.1 * system.ridge)
        return Preconditioner(factor, left, system.ridge).arrays()

    def _iterated(self, right: Floats, wanted: int) -> tuple[Floats, Floats, list[Run]]:
        """Return solutions, their misfits and the coefficients of the first iteration.

        The first `wanted` columns are iterated again from their misfits until these are below the
        tolerance.
        """

        keeper = Keeper(self.system, right)

        def compute() -> dict[str, Any]:
            state = self._solved(right, wanted, keeper)
            made = {"values": state.values, "misfit": state.misfit, "steps": state.steps}
            return made | packed(state.runs)

        found = self.system.kept("solution", compute, right)
        keeper.close()
        self.steps += int(found["steps"])
        return found["values"], found["misfit"], unpacked(found)

    def _solved(self, right: Floats, wanted: int, keeper: Keeper) -> Iteration:
        norms = _norms(right)
        goals = self._tolerance * norms
        state = keeper.restored() or Iteration.begin(right, np.flatnonzero(norms > 0.0))
        while state.left.size:
            if state.inner is None:
                state.inner = self._begun(state.misfit[:, state.left])
            self._run(state, goals[state.left], keeper)
            left, before = state.left, state.inner.start
            state.values[:, left] += state.inner.values
            state.misfit[:, left] = self.system.checked(
                state.values[:, left], right[:, left]
            ).misfit
            reached = _norms(state.misfit[:, left])
            failed = (left < wanted) & (reached > goals[left])
            stagnant = (reached > _PROGRESS * before) | (state.steps >= MOST_STEPS)
            if (failed & stagnant).any():
                worst = float((reached / norms[left])[failed].max())
                raise ConvergenceError(
                    f"tolerance {self._tolerance:g} was not reached: cg stopped after "
                    f"{state.steps} steps at a residual of {worst:.1g} of the targets; a ridge "
                    f"above {self.system.ridge:g} or the solver blocked helps"
                )
            state.left, state.inner, state.recording = left[failed], None, False
            keeper.keep(state)
        return state

    def _begun(self, right: Floats) -> Inner:
        """Return the iteration for A^-1 right, from 0."""
        residual = right.copy()
        direction = self.preconditioner.power(-1.0, residual)
        return Inner(
            values=np.zeros_like(right),
            residual=residual,
            direction=direction,
            size=np.einsum("ij,ij->j", residual, direction),
            active=np.arange(right.shape[1]),
            start=_norms(right),
        )

    def _run(self, state: Iteration, goals: Floats, keeper: Keeper) -> None:
        """Iterate until the residuals of the recursion reach the goals."""
        system, conditioned, at = self.system, self.preconditioner, state.inner
        assert at is not None
        while at.active.size and state.steps < MOST_STEPS:
            product = system.product(at.direction) + system.ridge * at.direction
            curvature = np.einsum("ij,ij->j", at.direction, product)
            # Rounding of a singular matrix; the misfit will tell.
            positive = (curvature > 0.0) & (at.size > 0.0)
            step = np.where(positive, at.size / np.where(positive, curvature, 1.0), 0.0)
            at.values[:, at.active] += step * at.direction
            at.residual -= step * product
            state.steps += 1
            now = _norms(at.residual)
            keep = positive & (now > goals[at.active])
            new = conditioned.power(-1.0, at.residual)
            size = np.einsum("ij,ij->j", at.residual, new)
            ratio = np.where(positive, size / np.where(positive, at.size, 1.0), 0.0)
            if state.recording:
                for i, column in enumerate(state.left[at.active]):
                    state.runs[column].add(float(step[i]), float(ratio[i]))
            system.report(_share_of_digits(at.start[at.active], now, goals[at.active]))
            at.direction = (new + ratio * at.direction)[:, keep]
            at.residual, at.size, at.active = at.residual[:, keep], size[keep], at.active[keep]
            keeper.keep(state)

    def _estimated(self, values: Floats, runs: list[Run]) -> tuple[Estimate, Estimate]:
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
