"""Gradient flow of a linear classifier in the logarithm of time, beyond the range of doubles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np

from nnth._runtime.typing import Floats

Loss: TypeAlias = Literal["exponential", "logistic"]

_RELATIVE_TOLERANCE: Final = 1e-13  # relative to w, which grows as log t
_ABSOLUTE_TOLERANCE: Final = 1e-11
_START: Final = 1e-13  # t times the curvature of the loss, up to which the flow is a straight line
_MAX_EXPONENT: Final = 300.0  # reached only in steps that are then shortened


def log_time_flow(
    z: Floats, loss: Loss, log_times: Sequence[float], on_step: Callable[[], object]
) -> Floats:
    """Return w `(len(log_times), n_0)` of dw/dt = -grad sum_i loss(z_i.w), w = 0 at t = 0.

    In tau = log t, dw/dtau = sum_i z_i exp(tau - z_i.w) for the exponential loss, exp(tau - log(1 +
    e^(z_i.w))) for the logistic one, so that all numbers stay of the size of tau. Integrated by
    Radau IIA of order five with the analytic Jacobian: some hundreds of steps to log t = 10^6.
    log_times: ascending. on_step is called at every step.

    The flow of z/c is c w in the time c^2 t, so that tolerances are for data of size 1.
    """
    from scipy.integrate import Radau

    unit = float(np.ldexp(1.0, int(np.frexp(np.abs(z).max())[1])))
    z = z / unit
    later = 2.0 * math.log(unit)
    times = [tau + later for tau in log_times]
    logistic = loss == "logistic"

    def weights(tau: float, w: Floats) -> Floats:
        margins = z @ w
        if logistic:
            margins = np.logaddexp(0.0, margins)
        return np.asarray(np.exp(np.minimum(tau - margins, _MAX_EXPONENT)))

    def derivative(tau: float, w: Floats) -> Floats:
        return np.asarray(weights(tau, w) @ z)

    def jacobian(tau: float, w: Floats) -> Floats:
        strength = weights(tau, w)
        if logistic:
            strength = strength * 0.5 * (1.0 + np.tanh(0.5 * (z @ w)))
        return -(z.T * strength) @ z

    begin = min(math.log(_START / float(np.sum(z * z))), times[0] - 1.0)
    first = derivative(begin, np.zeros(z.shape[1]))  # t times the derivative of a straight line
    solver = Radau(
        derivative,
        begin,
        first,
        times[-1],
        jac=jacobian,
        rtol=_RELATIVE_TOLERANCE,
        atol=_ABSOLUTE_TOLERANCE,
    )
    found: list[Floats] = []
    while len(found) < len(times):
        solver.step()
        on_step()
        if solver.status == "failed":
            raise ArithmeticError(
                f"the flow could not be followed beyond log t = {solver.t - later:.6g}"
            )
        between = solver.dense_output()
        while len(found) < len(times) and times[len(found)] <= solver.t:
            tau = times[len(found)]
            found.append(solver.y.copy() if tau == solver.t else between(tau))
    return np.array(found) / unit


def time_times_loss(z: Floats, w: Floats, tau: float, loss: Loss) -> float:
    """Return t sum_i loss(z_i.w) at t = e^tau."""
    margins = z @ w
    if loss == "exponential":
        return float(np.exp(tau - margins).sum())
    # log(1 + e^-u) = e^-u if that is below the rounding of 1.
    small = margins > 40.0
    near = np.log(np.log1p(np.exp(-np.where(small, 0.0, margins))))
    return float(np.exp(tau + np.where(small, -margins, near)).sum())
