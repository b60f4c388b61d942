"""Gradient flow of a linear classifier in the logarithm of time, beyond the range of doubles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from nnth._margin.classifier import Classifier
from nnth._runtime.typing import Floats

Loss: TypeAlias = Literal["exponential", "logistic"]

_RELATIVE_TOLERANCE: Final = 1e-13  # relative to w, which grows as log t, and then to rho
_ABSOLUTE_TOLERANCE: Final = 1e-11
_START: Final = 1e-13  # t times the curvature of the loss, up to which the flow is a straight line
_MAX_EXPONENT: Final = 300.0  # reached only in steps that are then shortened
_NEAR: Final = 1e-2  # distance from w_hat log t + rho, over |w|, at which it becomes the unknown
_MAX_STEPS: Final = 50_000
_RHO_RESIDUAL: Final = 1e-9  # most by which z_i.rho may differ from -log a_i


def log_time_flow(
    z: Floats,
    loss: Loss,
    log_times: Sequence[float],
    limit: Classifier,
    on_step: Callable[[], object],
) -> Floats:
    """Return w `(len(log_times), n_0)` of dw/dt = -grad sum_i loss(z_i.w), w = 0 at t = 0.

    In tau = log t, dw/dtau = sum_i z_i exp(tau - z_i.w) for the exponential loss, exp(tau - log(1 +
    e^(z_i.w))) for the logistic one, so that all numbers stay of the size of tau. Integrated by
    Radau IIA of order five with the analytic Jacobian: some hundreds of steps to log t = 10^6.
    log_times: ascending. on_step is called at every step.

    If the margin is small, the terms of this sum are large and cancel to w_hat, and their rounding
    would stop the integration. Once w is near w_hat tau + rho, which `limit` determines, the
    unknown is therefore the difference (`_Deviation`), whose derivative has no such terms.

    The flow of z/c is c w in the time c^2 t, so that tolerances are for data of size 1.
    """
    unit = float(np.ldexp(1.0, int(np.frexp(np.abs(z).max())[1])))
    z = z / unit
    later = 2.0 * math.log(unit)
    times = [tau + later for tau in log_times]
    flow = _Flow(z, loss == "logistic")
    deviation = _Deviation.of(z, loss == "logistic", limit, unit)
    begin = min(math.log(_START / float(np.sum(z * z))), times[0] - 1.0)
    first = flow.derivative(begin, np.zeros(z.shape[1]))  # t times the derivative of a line
    solver = _solver(flow, begin, first, times[-1], _ABSOLUTE_TOLERANCE)
    found: list[Floats] = []
    system: _Flow | _Deviation = flow
    steps = 0
    while len(found) < len(times):
        solver.step()
        on_step()
        steps += 1
        if solver.status == "failed" or steps > _MAX_STEPS:
            raise ArithmeticError(
                f"the flow could not be followed beyond log t = {solver.t - later:.6g}"
            )
        between = solver.dense_output()
        while len(found) < len(times) and times[len(found)] <= solver.t:
            tau = times[len(found)]
            found.append(system.w(tau, solver.y if tau == solver.t else between(tau)))
        if system is flow and deviation is not None and solver.status == "running":
            there = deviation.coordinates(solver.t, solver.y)
            if deviation.distance(there) < _NEAR * float(np.linalg.norm(solver.y)):
                system = deviation
                solver = _solver(deviation, solver.t, there, times[-1], deviation.tolerance)
    return np.array(found) / unit


def _solver(
    system: _Flow | _Deviation, begin: float, start: Floats, end: float, tolerance: float
) -> Any:
    from scipy.integrate import Radau

    return Radau(
        system.derivative,
        begin,
        start,
        end,
        jac=system.jacobian,
        rtol=_RELATIVE_TOLERANCE,
        atol=tolerance,
    )


@dataclass(frozen=True)
class _Flow:
    """The flow with the unknown w."""

    z: Floats
    logistic: bool

    def w(self, tau: float, w: Floats) -> Floats:
        return w.copy()

    def derivative(self, tau: float, w: Floats) -> Floats:
        return np.asarray(self._weights(tau, w) @ self.z)

    def jacobian(self, tau: float, w: Floats) -> Floats:
        strength = self._weights(tau, w)
        if self.logistic:
            strength = strength * 0.5 * (1.0 + np.tanh(0.5 * (self.z @ w)))
        return -(self.z.T * strength) @ self.z

    def _weights(self, tau: float, w: Floats) -> Floats:
        margins = self.z @ w
        if self.logistic:
            margins = np.logaddexp(0.0, margins)
        return np.asarray(np.exp(np.minimum(tau - margins, _MAX_EXPONENT)))


@dataclass(frozen=True)
class _Deviation:
    """The flow with the unknown c in w = w_hat tau + rho + Q c.

    With rho in the span of the support vectors, z_i.rho = -log a_i, and s_i = z_i.Qc::

        dc/dtau = sum_(i in S) a_i (e^(-s_i) - 1) Q^T z_i + sum_(i not in S) e^(tau - z_i.w) Q^T z_i

    for the exponential loss, since w_hat = sum_(i in S) a_i z_i, with 1/(1 + e^(-z_i.w)) as a
    factor of the exponentials for the logistic one. All terms tend to 0, so that their rounding
    does as well. Q: orthonormal columns, of which the first `rank` span the support vectors.
    """

    w_hat: Floats
    rho: Floats
    basis: Floats
    rank: int
    rows: Floats  # Q^T z_i; 0 beyond the span of the support vectors for these
    duals: Floats  # a_i, 0 for all but support vectors
    growth: Floats  # 1 - z_i.w_hat, which is 0 for support vectors
    offsets: Floats  # -z_i.rho, so that tau - z_i.w = growth tau + offset - s_i
    logistic: bool

    @classmethod
    def of(cls, z: Floats, logistic: bool, limit: Classifier, unit: float) -> _Deviation | None:
        """Return the flow for z in these units; None if rho does not exist or is not accurate."""
        if not limit.regular:
            return None
        support, w_hat, duals = limit.support, limit.w * unit, limit.duals * unit**2
        logs = np.log(duals[support])
        _, values, right = np.linalg.svd(z[support])
        cutoff = max(z[support].shape) * float(np.finfo(np.float64).eps)
        rank = int(np.count_nonzero(values > values[0] * cutoff))
        rho = np.asarray(np.linalg.lstsq(z[support], -logs, rcond=cutoff)[0], dtype=np.float64)
        if float(np.abs(z[support] @ rho + logs).max()) > _RHO_RESIDUAL:
            return None
        rows = z @ right.T
        rows[support, rank:] = 0.0
        offsets = -(z @ rho)
        offsets[support] = logs
        growth = np.where(support, 0.0, 1.0 - z @ w_hat)
        return cls(w_hat, rho, right.T, rank, rows, duals, growth, offsets, logistic)

    @property
    def tolerance(self) -> float:
        """The absolute tolerance of c: what doubles resolve of rho."""
        return max(_ABSOLUTE_TOLERANCE, _RELATIVE_TOLERANCE * float(np.linalg.norm(self.rho)))

    def w(self, tau: float, c: Floats) -> Floats:
        return np.asarray(self.w_hat * tau + self.rho + self.basis @ c)

    def coordinates(self, tau: float, w: Floats) -> Floats:
        """Return c of w."""
        return np.asarray((w - self.rho - self.w_hat * tau) @ self.basis)

    def distance(self, c: Floats) -> float:
        """Return the norm of Qc within the span of the support vectors, where it tends to 0."""
        return float(np.linalg.norm(c[: self.rank]))

    def derivative(self, tau: float, c: Floats) -> Floats:
        s, exponentials, rest = self._parts(tau, c)
        on_support = self.duals * (np.expm1(np.minimum(-s, _MAX_EXPONENT)) - rest)
        terms = np.where(self.duals > 0.0, on_support, exponentials)
        return np.asarray((terms / (1.0 + rest)) @ self.rows)

    def jacobian(self, tau: float, c: Floats) -> Floats:
        _, exponentials, rest = self._parts(tau, c)
        return -(self.rows.T * (exponentials / (1.0 + rest) ** 2)) @ self.rows

    def _parts(self, tau: float, c: Floats) -> tuple[Floats, Floats, Floats]:
        """Return s_i, e^(tau - z_i.w), and e^(-z_i.w) for the logistic loss, 0 for the other."""
        s = self.rows @ c
        exponents = self.growth * tau + self.offsets - s
        exponentials = np.exp(np.minimum(exponents, _MAX_EXPONENT))
        rest = np.zeros(len(s))
        if self.logistic:
            rest = np.exp(np.minimum(exponents - tau, _MAX_EXPONENT))
        return s, exponentials, rest


def time_times_loss(z: Floats, w: Floats, tau: float, loss: Loss) -> float:
    """Return t sum_i loss(z_i.w) at t = e^tau."""
    margins = z @ w
    if loss == "exponential":
        return float(np.exp(tau - margins).sum())
    # log(1 + e^-u) = e^-u if that is below the rounding of 1.
    small = margins > 40.0
    near = np.log(np.log1p(np.exp(-np.where(small, 0.0, margins))))
    return float(np.exp(tau + np.where(small, -margins, near)).sum())
