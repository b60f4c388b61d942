"""Outputs of infinitely wide networks after infinite time, by one linear system."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._kernels.solvers import Solution, Solver, System
from nnth._predict.kernel_flow import OutputDistribution
from nnth._runtime.typing import Floats

_EPSILON: Final = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """The linear system of trained networks, and the covariance with which they began.

    solver: for T + ridge, T the kernel of training. initial: the NNGP kernel K as a system without
    ridge, or None if T is K. target_variance: variance of the errors of each network's own targets.
    dominated: whether K <= T as quadratic forms, so that the error d of a solution has d' (K +
    target_variance) d <= d' (T + ridge) d.
    """

    solver: Solver
    initial: System | None
    target_variance: float
    dominated: bool

    def outputs(self, y: Floats) -> OutputDistribution:
        """Return means and variances at t = inf; see `nnth.predict` for the formulas.

        Variances are NaN if the solver would have to solve more systems than it is worth.
        """
        solver, system = self.solver, self.solver.system
        tests = len(system.tests)
        found = solver.solve(y)
        mean, variance = np.empty((tests, y.shape[1])), np.full(tests, np.nan)
        weights, slopes, misfits = np.full((3, tests), np.nan)
        some = solver.most_tests is None or tests <= solver.most_tests
        for at in system.test_blocks():
            if not some:
                mean[at] = system.cross(at).T @ found.values
                continue
            name = f"tests-{at.start}"
            law = system.kept(name, lambda at=at: self._tested(at, found), found.values)  # type: ignore[misc]
            mean[at], variance[at] = law["mean"], law["variance"]
            weights[at], slopes[at], misfits[at] = law["weights"], law["slopes"], law["misfits"]
            if self.initial is not None:
                self.initial.note_error(float(law["initial_error"]))
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite bound is no bound
            error = self._error(found.values, found.misfit, weights)
            variance_error = self._variance_error(weights, slopes, misfits) if some else math.nan
        norm = float(np.linalg.norm(y))
        return OutputDistribution(
            mean=mean,
            variance=variance,
            train_mean=found.product,
            condition=solver.condition,
            residual=float(np.linalg.norm(found.misfit)) / norm if norm else 0.0,
            error=error,
            variance_error=variance_error,
        )

    def _tested(self, at: slice, found: Solution) -> dict[str, Any]:
        """Return means and variances of a range of test points, and the norms of their weights."""
        solver, system = self.solver, self.solver.system
        initial = self.initial or system
        cross = system.cross(at)
        mean = cross.T @ found.values
        a, misfit = solver.apply(cross)  # the columns of A'
        if self.initial is None:
            # K a = k - misfit - ridge a
            inner = cross - misfit + (self.target_variance - system.ridge) * a
        else:
            inner = initial.product(a) + self.target_variance * a
            cross = initial.cross(at)
        return {
            "mean": mean,
            "variance": initial.tests[at] + np.einsum("ij,ij->j", a, inner - 2.0 * cross),
            "weights": _norms(a),
            "slopes": _norms(inner - cross),
            "misfits": _norms(misfit),
            "initial_error": initial.error,
        }

    @property
    def _entry(self) -> float:
        """The largest error of an entry of the kernels."""
        systems = [self.solver.system] + ([self.initial] if self.initial else [])
        return max(s.error * float(s.blocks.diagonal.max()) for s in systems)

    def _error(self, dual: Floats, misfit: Floats, weights: Floats) -> float:
        """Return a bound of the errors of the means, from the entries, rounding and the misfit.

        As `KernelFlow._errors`; where the weights of the training points are not known, by |k' A^-1
        d|^2 <= k' A^-1 k d' A^-1 d <= K(z, z) |A^-1| |d|^2 for any error d of A alpha - y.
        """
        solver, system = self.solver, self.solver.system
        largest = math.sqrt(float(system.blocks.diagonal.max()) * solver.inverse_norm)
        twos = float(_norms(dual).max())
        ends = largest * float(_norms(misfit).max())
        rounding = 4.0 * _EPSILON * solver.size
        if np.isnan(weights).any():
            ones = float(np.abs(dual).sum(axis=0).max())
            entries = system.entry_error + rounding
            return _bound(self._entry * ones + largest * entries * twos + ends)
        weight = float(weights.max(initial=0.0))
        spread = 1.0 + math.sqrt(system.m) * weight
        ones = float(np.abs(dual).sum(axis=0).max())
        return _bound(spread * self._entry * ones + (1.0 + weight) * rounding * twos + ends)

    def _variance_error(self, weights: Floats, slopes: Floats, misfits: Floats) -> float:
        solver, system = self.solver, self.solver.system
        rounding = 4.0 * _EPSILON * solver.size
        weight = float(weights.max(initial=0.0))
        steepest = float(slopes.max(initial=0.0))
        spread = 1.0 + math.sqrt(system.m) * weight
        moved = spread * self._entry * math.sqrt(system.m) + (1.0 + weight) * rounding
        own = spread * spread * self._entry + (1.0 + weight) ** 2 * rounding
        inverse = solver.inverse_norm
        return _bound(own + 2.0 * steepest * moved * inverse + self._of_misfits(slopes, misfits))

    def _of_misfits(self, slopes: Floats, misfits: Floats) -> float:
        """Return the largest error of a variance from the misfits of the weights a.

        The variance is a quadratic function of a, with the slope 2 (K + target_variance) a - 2 k_*.
        If T is K and the targets have their own errors, its least value is at the exact weights.
        """
        if not misfits.any():
            return 0.0
        system, inverse = self.solver.system, self.solver.inverse_norm
        off = misfits * inverse  # |da|
        if self.dominated:
            second = misfits * misfits * inverse
        else:
            initial = self.initial or system
            second = off * off * (float(initial.diagonal.sum()) + self.target_variance)
        if self.initial is None and self.target_variance == system.ridge:
            return float(second.max())
        return float((2.0 * slopes * off + second).max())


def _bound(value: float) -> float:
    return math.inf if math.isnan(value) else float(value)


def _norms(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ij,ij->j", vectors, vectors)))
