"""Gradient flow of infinitely wide networks as linear algebra on their kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnth._kernels.modes import Modes
from nnth._kernels.network_kernel import NetworkRows
from nnth._runtime.typing import Floats

_EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class OutputDistribution:
    """Means and variances of the outputs at one time, with estimates of their largest errors.

    mean: `(m_test, outputs)`; train_mean: `(m, outputs)`; variance: `(m_test,)`. condition and
    variances are NaN where the solver does not give them.
    """

    mean: Floats
    variance: Floats
    train_mean: Floats
    condition: float
    residual: float
    error: float
    variance_error: float


class KernelFlow:
    """The kernels of training and test inputs in the eigenvectors of the kernel T of training.

    kernels: the rows of the training inputs; columns are training inputs, then test inputs.
    tangent: whether T is the tangent kernel or the NNGP kernel. y: `(m, outputs)`. ridge: added to
    the diagonal of T. target_variance: variance of the errors of each network's own targets.

    Raises ValueError for infinite kernels.
    """

    def __init__(
        self, kernels: NetworkRows, tangent: bool, y: Floats, ridge: float, target_variance: float
    ) -> None:
        m = len(y)
        nngp, trained = kernels.nngp, kernels.ntk if tangent else kernels.nngp
        assert nngp is not None
        assert trained is not None
        diagonal = kernels.ntk_diagonal if tangent else kernels.nngp_diagonal
        check_diagonal(diagonal)
        self.ridge = ridge
        self._target_variance = target_variance
        self._kernel = trained[:, :m]
        self._kernel_modes = Modes.of(self._kernel)
        self._values, self._vectors = self._kernel_modes.values, self._kernel_modes.vectors
        self._y = y
        self._modes = self._vectors.T @ y
        self._across = trained[:, m:].T @ self._vectors
        self._prior = kernels.nngp_diagonal[m:]
        self._spectral = not tangent
        if tangent:
            self._nngp_across = nngp[:, m:].T @ self._vectors
            self._nngp = self._vectors.T @ nngp[:, :m] @ self._vectors
        scale = float(max(diagonal.max(), kernels.nngp_diagonal.max()))
        self._entry = kernels.error * scale
        top = float(self._values[-1])
        self._rounding = 4.0 * _EPSILON * top
        self._noise_floor = max(m * _EPSILON * top, kernels.error * float(np.trace(self._kernel)))

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue of T + ridge."""
        return float(self._values[0]) + self.ridge

    @property
    def largest(self) -> float:
        """The largest eigenvalue of T + ridge."""
        return float(self._values[-1]) + self.ridge

    def require_regular(self) -> None:
        """Raise ValueError when T + ridge is singular to rounding."""
        if self.smallest <= self._noise_floor:
            raise ValueError(
                f"ridge must be above {self._noise_floor:.2g}, or times finite: the kernel of the "
                f"training inputs is singular to rounding (eigenvalues from {self._values[0]:.2g} "
                f"to {self._values[-1]:.2g}), and ridge is {self.ridge:g}"
            )

    def outputs(self, gains: Callable[[Floats], Floats]) -> OutputDistribution:
        """Return means and variances if a mode of eigenvalue mu of T + ridge has gain gains(mu)."""
        mu = self._kernel_modes.rates + self.ridge
        g = gains(mu)
        learned = g[:, None] * self._modes
        a = self._across * g  # A in the eigenvectors
        if self._spectral:
            inner, cross = a * (self._values + self._target_variance), self._across
        else:
            inner, cross = a @ self._nngp + self._target_variance * a, self._nngp_across
        variance = self._prior + np.sum(a * (inner - 2.0 * cross), axis=1)
        train_mean = self._vectors @ (self._values[:, None] * learned)
        dual = self._vectors @ learned
        # (T + ridge) dual + (the part of y that is not learned yet) = y.
        left = self._vectors @ ((1.0 - mu * g)[:, None] * self._modes)
        residual = self._kernel @ dual + self.ridge * dual + left - self._y
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite bound is no bound
            error, variance_error = self._errors(g, dual, a, inner - cross)
        norm = float(np.linalg.norm(self._y))
        return OutputDistribution(
            mean=a @ self._modes,
            variance=variance,
            train_mean=train_mean,
            condition=float(np.abs(g).max()) * self.largest,
            residual=float(np.linalg.norm(residual)) / norm if norm else 0.0,
            error=error,
            variance_error=variance_error,
        )

    def _errors(self, g: Floats, dual: Floats, a: Floats, slope: Floats) -> tuple[float, float]:
        """Return first-order bounds of the errors of means and variances.

        They follow from errors dT and dK of the entries, and from rounding in the eigenvectors:

        d(A y) = (dT_* - A dT) g(T) y and d(variance) = (1, -a) dK (1, -a)^T + 2 da (K a - k_*).
        """
        m = len(g)
        weight = float(np.linalg.norm(a, axis=1).max(initial=0.0))
        spread = 1.0 + np.sqrt(m) * weight  # at least the sum of |(1, -a)|
        ones = float(np.abs(dual).sum(axis=0).max())
        twos = float(np.linalg.norm(dual, axis=0).max())
        error = spread * self._entry * ones + (1.0 + weight) * self._rounding * twos
        moved = spread * self._entry * np.sqrt(m) + (1.0 + weight) * self._rounding
        moved *= float(np.abs(g).max())
        steepest = float(np.linalg.norm(slope, axis=1).max(initial=0.0))
        own = spread * spread * self._entry + (1.0 + weight) ** 2 * self._rounding
        bounds = float(error), float(own + 2.0 * steepest * moved)
        error, own = (math.inf if math.isnan(bound) else bound for bound in bounds)
        return error, own


def check_diagonal(diagonal: Floats) -> None:
    """Raise ValueError for the diagonal of an infinite tangent kernel."""
    if not np.isfinite(diagonal).all():
        raise ValueError(
            "kernel must be nngp for an activation that jumps: its tangent kernel is infinite"
        )
