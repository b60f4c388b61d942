"""Kernel ridge regression, which is Gaussian-process regression, by one Cholesky factor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._kernels.protocol import KernelRows
from nnth._runtime.typing import Floats

_EPS: Final = float(np.finfo(float).eps)
_BLOCK: Final = 256  # columns of the inverse that are summed at a time


@dataclass(frozen=True, eq=False)
class Regression:
    """The solution alpha = (K + ridge)^-1 y `(m, outputs)`, and quantities that follow from it.

    norm2, log_marginal: `(outputs,)`. fitted: K alpha; left_out: the value at each point of the
    function that is fitted without the point, `(m, outputs)`. prediction `(tests, outputs)` and
    variance `(tests,)` of the process given the data. condition: of K + ridge in the 1-norm.
    residual: of the linear system, relative to the largest target. error, variance_error: the
    largest errors of a prediction and of a variance, from rounding and the error of the kernel.
    gradient: the largest derivative of the objective along a K(z, .)/|K(z, .)|, where z is a
    training or test point, relative to the same at f = 0.
    """

    alpha: Floats
    norm2: Floats
    log_marginal: Floats
    fitted: Floats
    left_out: Floats
    prediction: Floats
    variance: Floats
    effective_dimension: float
    condition: float
    residual: Floats
    error: Floats
    variance_error: float
    gradient: Floats


def regression(rows: KernelRows, targets: Floats, ridge: float) -> Regression:
    """Return the minimizer of (1/2) sum |y_i - f(x_i)|^2 + (ridge/2) |f|^2 in H_K.

    rows: m rows of the kernel matrix of m training points and then the test points; overwritten.
    targets: `(m, outputs)`. Raises ValueError if K + ridge is singular to rounding.
    """
    from scipy.linalg import lapack, solve_triangular

    m = len(targets)
    cross = rows.matrix[:, m:].copy()
    matrix = np.asfortranarray(rows.matrix[:, :m].T)  # the lower triangle becomes the factor
    diagonal, tests = rows.diagonal[:m], rows.diagonal[m:]
    size = float(np.abs(matrix).sum(axis=0).max()) + ridge
    matrix[np.arange(m), np.arange(m)] = diagonal + ridge
    factor, failed = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
    # An estimate of the condition is enough to refuse a singular matrix before inverting it.
    reciprocal = 0.0 if failed else float(lapack.dpocon(factor, size, uplo="L")[0])
    if reciprocal <= m * _EPS * 0.1:
        least = max(m * _EPS * size, rows.error * float(diagonal.sum()))
        raise ValueError(
            f"ridge must be above about {least:.1g}, not {ridge:g}: the kernel matrix of these "
            "points is singular to rounding"
        )
    # Above its diagonal the factor still holds K.
    pivots = factor.diagonal().copy()
    alpha = lapack.dpotrs(factor, targets, lower=1)[0]
    fitted = _product(factor, diagonal, alpha)
    misfit = targets - fitted - ridge * alpha
    alpha += lapack.dpotrs(factor, misfit, lower=1)[0]  # a step of refinement
    fitted = _product(factor, diagonal, alpha)
    misfit = targets - fitted - ridge * alpha
    prediction = cross.T @ alpha
    gradient = _largest(cross.T @ misfit, tests, _product(factor, diagonal, misfit), diagonal)
    scale = _largest(cross.T @ targets, tests, _product(factor, diagonal, targets), diagonal)
    half = solve_triangular(factor, cross, lower=True, overwrite_b=True, check_finite=False)
    variance = tests - np.einsum("ij,ij->j", half, half)
    inverse_diagonal, inverse_size = _inverse(factor)
    largest = math.sqrt(float(rows.diagonal.max()) * inverse_size)
    entries = rows.error * float(diagonal.sum()) + _EPS * size
    lengths = np.sqrt(np.einsum("ij,ij->j", alpha, alpha))
    top = np.maximum(np.abs(targets).max(axis=0), np.finfo(float).tiny)
    return Regression(
        alpha=alpha,
        norm2=np.einsum("ij,ij->j", alpha, fitted),
        log_marginal=-0.5 * np.einsum("ij,ij->j", targets, alpha)
        - np.log(pivots).sum()
        - 0.5 * m * math.log(2.0 * math.pi),
        fitted=fitted,
        left_out=targets - alpha / inverse_diagonal[:, None],
        prediction=prediction,
        variance=variance,
        effective_dimension=float(m - ridge * inverse_diagonal.sum()),
        condition=size * inverse_size,
        residual=np.abs(misfit).max(axis=0) / top,
        error=largest * entries * lengths,
        variance_error=largest**2 * entries,
        gradient=gradient / np.maximum(scale, np.finfo(float).tiny),
    )


def _product(factor: Floats, diagonal: Floats, vectors: Floats) -> Floats:
    """Return K times vectors, where K is stored above the diagonal of its factor."""
    from scipy.linalg import blas

    product = blas.dsymm(1.0, factor, vectors, lower=0)
    product += (diagonal - factor.diagonal())[:, None] * vectors
    return np.asarray(product)


def _largest(tests: Floats, top: Floats, train: Floats, diagonal: Floats) -> Floats:
    """Return the largest of |g(z)|/sqrt(K(z, z)) over all points z `(outputs,)`."""
    values = np.concatenate((tests, train))
    sizes = np.sqrt(np.maximum(np.concatenate((top, diagonal)), np.finfo(float).tiny))
    return np.asarray(np.abs(values / sizes[:, None]).max(axis=0))


def _inverse(factor: Floats) -> tuple[Floats, float]:
    """Return the diagonal of (L L')^-1 and its 1-norm, the largest column sum; overwrites L."""
    from scipy.linalg import lapack

    m = len(factor)
    inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]  # its lower triangle
    sums = np.zeros(m)
    for first in range(0, m, _BLOCK):
        last = min(first + _BLOCK, m)
        corner = np.abs(np.tril(inverse[first:last, first:last]))
        below = np.abs(inverse[last:, first:last])
        sums[first:last] += corner.sum(axis=0) + corner.sum(axis=1) - corner.diagonal()
        sums[first:last] += below.sum(axis=0)
        sums[last:] += below.sum(axis=1)
    return inverse.diagonal().copy(), float(sums.max())
