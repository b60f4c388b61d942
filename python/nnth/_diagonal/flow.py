"""Gradient flow on a diagonal linear network, integrated in all of its 2 n_0 parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._diagonal.convex import EPSILON
from nnth._runtime.typing import Floats

_TOLERANCE: Final = 1e-8  # tolerance of a step, in log theta
_MAX_STEPS: Final = 50_000
_MAX_LOG_SQUARE: Final = 200.0  # log theta^2 is larger only in steps that LSODA rejects


@dataclass(frozen=True)
class Flow:
    """The end of a flow: beta `(n_0,)`, the time, and the residual max |X beta - y|/max |y|."""

    beta: Floats
    time: float
    residual: float
    settled: bool


def gradient_flow(
    x: Floats, y: Floats, log_w: Floats, size: float, on_step: Callable[[], object]
) -> Flow:
    """Return the end of d theta/dt = -grad (1/2) |X beta - y|^2, beta = theta_+^2 - theta_-^2.

    log_w: log of theta_+^2 = theta_-^2 at t = 0 `(n_0,)`. size: the largest |beta_i| at the end.
    The logarithms u of theta/theta(0) are integrated, du/dt = -+2 X^T r, by LSODA with the analytic
    Jacobian. LSODA's steps keep the linear invariants of u, up to rounding, and the end is
    attracting, so that earlier errors decay: the end is accurate to 1e-10 and better. The flow ends
    where r is rounding. on_step is called at every step.
    """
    from scipy.integrate import LSODA

    # In other units of the data the flow differs only in its time; units near 1 suit the solver.
    unit = float(np.ldexp(1.0, int(np.frexp(np.abs(x).max())[1])))
    x, y = x / unit, y / unit
    d = x.shape[1]
    gram = x.T @ x

    def beta_of(u: Floats) -> Floats:
        # theta_+^2 - theta_-^2 without cancellation, and finite in steps that are too long.
        gap = u[:d] - u[d:]
        larger = np.exp(np.minimum(2.0 * np.maximum(u[:d], u[d:]) + log_w, _MAX_LOG_SQUARE))
        return np.asarray(-np.sign(gap) * larger * np.expm1(-2.0 * np.abs(gap)))

    def derivative(_: float, u: Floats) -> Floats:
        gradient = 2.0 * (x.T @ (x @ beta_of(u) - y))
        return np.concatenate([-gradient, gradient])

    def jacobian(_: float, u: Floats) -> Floats:
        plus = -4.0 * gram * np.exp(np.minimum(2.0 * u[:d] + log_w, _MAX_LOG_SQUARE))
        minus = 4.0 * gram * np.exp(np.minimum(2.0 * u[d:] + log_w, _MAX_LOG_SQUARE))
        return np.block([[plus, minus], [-plus, -minus]])

    # If w is large the parameters hardly change, and need a smaller tolerance.
    tolerance = _TOLERANCE * min(1.0, size / float(np.exp(log_w.max())))
    start = np.zeros(2 * d)
    solver = LSODA(derivative, 0.0, start, 1e300, jac=jacobian, rtol=_TOLERANCE, atol=tolerance)
    most = float(np.abs(y).max())
    for _ in range(_MAX_STEPS):
        with warnings.catch_warnings():
            # A failing solver warns; its status is reported in the row.
            warnings.simplefilter("ignore", UserWarning)
            solver.step()
        on_step()
        beta = beta_of(solver.y)
        residual = float(np.abs(x @ beta - y).max())
        # The rounding of u causes a relative error of beta.
        rounding = EPSILON * max(1.0, float(np.abs(solver.y).max()))
        rounding *= float((np.abs(x) @ np.abs(beta) + np.abs(y)).max())
        settled = residual <= 4.0 * np.sqrt(d) * rounding
        if settled or solver.status != "running":
            break
    return Flow(beta, float(solver.t) / unit / unit, residual / most, settled)
