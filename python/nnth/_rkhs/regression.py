"""Kernel ridge regression, which is Gaussian-process regression, by one of the solvers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._kernels.solvers import Solver
from nnth._runtime.typing import Floats

_TINY: Final = float(np.finfo(float).tiny)
_EPS: Final = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Regression:
    """The solution alpha = (K + ridge)^-1 y `(m, outputs)`, and quantities that follow from it.

    norm2, log_marginal: `(outputs,)`. fitted: K alpha; left_out: the value at each point of the
    function that is fitted without the point, `(m, outputs)`. prediction `(tests, outputs)` and
    variance `(tests,)` of the process given the data. condition: of K + ridge in the 1-norm.
    residual: of the linear system, relative to the largest target. error, variance_error: the
    largest errors of a prediction and of a variance, from rounding, the error of the kernel and the
    residual. gradient: the largest derivative of the objective along a K(z, .)/|K(z, .)|, where z
    is a training or test point, relative to the same at f = 0. log_marginal_stderr,
    effective_dimension_stderr: 0 where these are no estimates. NaN is what the solver cannot give.
    """

    alpha: Floats
    norm2: Floats
    log_marginal: Floats
    log_marginal_stderr: float
    fitted: Floats
    left_out: Floats
    prediction: Floats
    variance: Floats
    effective_dimension: float
    effective_dimension_stderr: float
    condition: float
    residual: Floats
    error: Floats
    variance_error: float
    gradient: Floats


def regression(solver: Solver, targets: Floats) -> Regression:
    """Return the minimizer of (1/2) sum |y_i - f(x_i)|^2 + (ridge/2) |f|^2 in H_K.

    solver: for K + ridge, the training points and the test points. targets: `(m, outputs)`.
    """
    system = solver.system
    m, tests = system.m, len(system.tests)
    found = solver.solve(targets)
    both = np.hstack((found.misfit, targets))
    products = system.kept("products", lambda: {"values": solver.product(both)}, both)["values"]
    of_misfit, of_targets = np.hsplit(products, 2)
    prediction = np.empty((tests, targets.shape[1]))
    variance, off = np.full(tests, np.nan), np.zeros(tests)
    slopes, steepest = np.zeros((tests, targets.shape[1])), np.zeros((tests, targets.shape[1]))
    some = solver.most_tests is None or tests <= solver.most_tests
    for at in system.test_blocks():
        cross = system.cross(at)
        prediction[at] = cross.T @ found.values
        slopes[at], steepest[at] = cross.T @ found.misfit, cross.T @ targets
        if some:
            law = system.kept(f"tests-{at.start}", lambda of=cross: _explained(solver, of))  # type: ignore[misc]
            off[at] = law["error"]
            variance[at] = system.tests[at] - law["explained"]
    every = np.concatenate((system.tests, system.diagonal))
    gradient = _largest(np.concatenate((slopes, of_misfit)), every)
    scale = _largest(np.concatenate((steepest, of_targets)), every)
    log_determinant = solver.log_determinant()
    inverse_diagonal = solver.inverse_diagonal()  # after which a factor in memory is an inverse
    dimension = solver.effective_dimension()
    largest = math.sqrt(float(every.max()) * solver.inverse_norm)
    entries = system.entry_error + _EPS * solver.size
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite bound is no bound
        error = largest * (entries * _norms(found.values) + _norms(found.misfit))
        spread = largest**2 * entries + float(off.max(initial=0.0))
    top = np.maximum(np.abs(targets).max(axis=0), _TINY)
    return Regression(
        alpha=found.values,
        norm2=np.einsum("ij,ij->j", found.values, found.product),
        log_marginal=-0.5 * np.einsum("ij,ij->j", targets, found.values)
        - 0.5 * log_determinant.value
        - 0.5 * m * math.log(2.0 * math.pi),
        log_marginal_stderr=0.5 * log_determinant.stderr,
        fitted=found.product,
        left_out=np.full_like(targets, np.nan)
        if inverse_diagonal is None
        else targets - found.values / inverse_diagonal[:, None],
        prediction=prediction,
        variance=variance,
        effective_dimension=dimension.value,
        effective_dimension_stderr=dimension.stderr,
        condition=solver.condition,
        residual=np.abs(found.misfit).max(axis=0) / top,
        error=np.where(np.isnan(error), np.inf, error),
        variance_error=spread if some else math.nan,
        gradient=gradient / np.maximum(scale, _TINY),
    )


def _explained(solver: Solver, cross: Floats) -> dict[str, Any]:
    explained, error = solver.explained(cross)
    return {"explained": explained, "error": error}


def _largest(values: Floats, diagonal: Floats) -> Floats:
    """Return the largest of |g(z)|/sqrt(K(z, z)) over all points z `(outputs,)`."""
    sizes = np.sqrt(np.maximum(diagonal, _TINY))
    return np.asarray(np.abs(values / sizes[:, None]).max(axis=0))


def _norms(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ij,ij->j", vectors, vectors)))
