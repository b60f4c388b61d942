"""The convex program that gradient flow on a diagonal linear network solves, by its dual."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.typing import Floats

EPSILON: Final = float(np.finfo(np.float64).eps)
_CONSISTENT: Final = 1e-10  # least squares residuals below this fraction of |y| are rounding
_MIN_STEP: Final = 2.3  # least step of log w; for small w the step is half of log(1/w)
_MAX_ITERATIONS: Final = 100
_MAX_LOG_INVERSE_W: Final = 2e4  # log(1/w) up to which the limit is followed; rounding 1e-12


@dataclass(frozen=True)
class Interpolation:
    """The equations X beta = y as basis^T beta = coordinates, `basis` `(n_0, rank)` orthonormal."""

    basis: Floats
    coordinates: Floats


def interpolation(x: Floats, y: Floats) -> Interpolation:
    """Return the equations X beta = y without those that repeat others.

    x: `(m, n_0)`, y: `(m,)`. Raises ValueError if they have no solution, to 1e-10 of |y|, and for y
    = 0, which beta = 0 solves.
    """
    if not y.any():
        raise ValueError("y must not be 0 everywhere: beta = 0 fits it from the start")
    left, values, right = np.linalg.svd(x, full_matrices=False)
    rank = int(np.count_nonzero(values > values[0] * max(x.shape) * EPSILON))
    projected = left[:, :rank].T @ y
    unit = np.abs(y).max()  # squares in this unit are doubles
    missing = float(np.linalg.norm((y - left[:, :rank] @ projected) / unit))
    size = float(np.linalg.norm(y / unit))
    if missing > _CONSISTENT * size:
        raise ValueError(
            "y must be fitted exactly by some beta, X beta = y: least squares leave "
            f"{missing / size:.3g} of |y| ({len(x)} points, rank {rank})"
        )
    return Interpolation(np.ascontiguousarray(right[:rank].T), projected / values[:rank])


@dataclass
class Program:
    """argmin sum_i w_i q(beta_i/w_i) subject to X beta = y, for decreasing w.

    log_shape: log theta_0^2 `(n_0,)`, so that log w = log_scale + log_shape. The dual, D(mu) = sum
    2 w cosh(V mu) - c^T mu with beta = 2 w sinh(V mu), is minimized by damped Newton steps.
    """

    equations: Interpolation
    log_shape: Floats
    log_scale: float = 0.0
    steps: int = 0

    def __post_init__(self) -> None:
        # If w is as large as beta, the program is nearly quadratic, and mu is close to 0.
        least_norm = self.equations.basis @ self.equations.coordinates
        self.log_scale = math.log(float(np.abs(least_norm).max())) - float(self.log_shape.max())
        self.mu = np.zeros_like(self.equations.coordinates)

    def solve(self, log_scale: float) -> Floats:
        """Return beta `(n_0,)` at w = exp(log_scale) theta_0^2; scales must not increase."""
        self.log_scale = max(self.log_scale, log_scale)
        self._newton()
        while self.log_scale > log_scale:
            reach = max(_MIN_STEP, -0.5 * self.log_scale)
            following = max(log_scale, self.log_scale - reach)
            self.mu = self.mu + (self.log_scale - following) * self._tangent()
            self.log_scale = following
            self._newton()
        return self._beta(self.mu)

    def _newton(self) -> None:
        v, c = self.equations.basis, self.equations.coordinates
        for _ in range(_MAX_ITERATIONS):
            beta = self._beta(self.mu)
            gradient = v.T @ beta - c
            # The rounding of z = V mu causes a relative error of beta.
            rounding = EPSILON * max(1.0, float(np.abs(v @ self.mu).max()))
            scale = float((np.abs(v).T @ np.abs(beta) + np.abs(c)).max())
            if float(np.abs(gradient).max()) <= 2.0 * rounding * scale:
                return
            step = self._newton_step(gradient)
            change = float(np.abs(v @ step).max())
            self.mu = self._damped(step, float(step @ gradient), change)
            self.steps += 1
            if change <= EPSILON * max(1.0, float(np.abs(v @ self.mu).max())):
                return

    def _damped(self, step: Floats, derivative: float, change: float) -> Floats:
        """Return mu after the largest of 1, 1/2, 1/4, ... of the step that reduces the derivative.

        It compares derivatives of the dual along the step, not values, whose differences are lost
        in rounding much earlier.
        """
        v, c = self.equations.basis, self.equations.coordinates
        part = 1.0
        while part * change > 1e-6:
            with np.errstate(over="ignore", invalid="ignore"):
                there = float(step @ (v.T @ self._beta(self.mu + part * step) - c))
            if abs(there) <= (1.0 - 0.1 * part) * abs(derivative):
                break
            part /= 2.0
        return np.asarray(self.mu + part * step)

    def _beta(self, mu: Floats) -> Floats:
        z, log_w = self.equations.basis @ mu, self.log_scale + self.log_shape
        size = np.abs(z)
        near = 2.0 * np.exp(np.minimum(log_w, 700.0)) * np.sinh(np.minimum(size, 1.0))
        far = np.exp(np.minimum(size + log_w, 700.0)) - np.exp(log_w - size)
        return np.asarray(np.sign(z) * np.where(size < 1.0, near, far))

    def _factor(self) -> tuple[Floats, Floats, NDArray[np.intp], NDArray[np.intp], Floats]:
        """Return QR of diag(root) V, root^2 = 2 w cosh(V mu); R^T R is the Hessian of the dual.

        The weights differ by many powers of ten: with sorted rows and pivoted columns every row
        keeps its own accuracy (Higham 2002, section 20.3).
        """
        from scipy.linalg import qr

        log_w = self.log_scale + self.log_shape
        size = np.abs(self.equations.basis @ self.mu)
        root = np.sqrt(np.exp(size + log_w) + np.exp(log_w - size))
        order = np.argsort(-root, kind="stable")
        rows = root[order, None] * self.equations.basis[order]
        q, r, pivots = qr(rows, mode="economic", pivoting=True, check_finite=False)
        return q, r, pivots, order, root

    def _newton_step(self, gradient: Floats) -> Floats:
        """Return -H^-1 gradient, without the directions in which H is rounding."""
        from scipy.linalg import solve_triangular

        _, r, pivots, _, _ = self._factor()
        diagonal = np.abs(np.diag(r))
        kept = int(np.count_nonzero(diagonal > 1e-8 * diagonal[0]))
        r = r[:kept, :kept]
        part = solve_triangular(r, gradient[pivots[:kept]], trans="T", check_finite=False)
        step = np.zeros_like(gradient)
        step[pivots[:kept]] = -solve_triangular(r, part, check_finite=False)
        return step

    def _tangent(self) -> Floats:
        """Return d mu/d(-log w) along the path: V dmu = tanh z in weighted least squares.

        For small w, mu is proportional to log(1/w); this is used in the directions that no weight
        determines.
        """
        from scipy.linalg import solve_triangular

        q, r, pivots, order, root = self._factor()
        z = self.equations.basis @ self.mu
        far = -self.log_scale > 10.0
        tangent = self.mu / -self.log_scale if far else np.zeros_like(self.mu)
        kept = int(np.count_nonzero(np.abs(np.diag(r)) > 1e-7 * abs(r[0, 0])))
        right = root * (np.tanh(z) - self.equations.basis @ tangent)
        part = q.T[:kept] @ right[order]
        tangent[pivots[:kept]] += solve_triangular(r[:kept, :kept], part, check_finite=False)
        return tangent


def smallest_scale(equations: Interpolation, log_shape: Floats) -> tuple[Floats, float]:
    """Return the limit of the program as w -> 0, and its error, the last change of the iteration.

    It minimizes |beta|_1, and if several beta do, sum |beta_i| (log(|beta_i|/theta_0i^2) - 1) among
    them. The path is followed to w = exp(-20,000), or until it converges.
    """
    program = Program(equations, log_shape)
    before = program.solve(-50.0)
    reached, change = 50.0, math.inf
    while reached < _MAX_LOG_INVERSE_W:
        reached *= 2.0
        beta = program.solve(-reached)
        change = float(np.linalg.norm(beta - before))
        before = beta
        if change <= 64.0 * EPSILON * reached / 50.0 * float(np.linalg.norm(beta)):
            break
    return before, change


def largest_scale(equations: Interpolation, log_shape: Floats) -> Floats:
    """Return the limit of the program as w -> infinity, W X^T (X W X^T)^-1 y."""
    weight = np.exp(log_shape - log_shape.max())
    v = equations.basis
    root = np.sqrt(weight)
    found, *_ = np.linalg.lstsq((root[:, None] * v).T, equations.coordinates, rcond=None)
    return np.asarray(root * found)


def penalty(beta: Floats, log_w: Floats) -> float:
    """Return Q = sum_i w_i q(beta_i/w_i), q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z/2).

    w is given by its logarithm `(n_0,)`. Accuracy: 1e-15 (1 + |log w|), from the rounding of w.
    """
    w, size = np.exp(log_w), np.abs(beta)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        z = np.exp(np.log(size) - log_w)
        huge = size * (np.log(size) - log_w - 1.0) + 2.0 * w
        q = z * (np.arcsinh(z / 2.0) - z / (2.0 + np.sqrt(4.0 + z * z)))
    return float(np.sum(np.where(z > 1e8, huge, w * q)))
