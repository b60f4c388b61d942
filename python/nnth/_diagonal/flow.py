"""Gradient flow on a diagonal linear network, integrated: its 2 d parameters from the start."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._diagonal.convex import EPSILON
from nnth._runtime.typing import Floats

_TOLERANCE: Final = 1e-8  # of a step, in log theta
_MOST_STEPS: Final = 50_000
_LARGEST: Final = 200.0  # log theta^2 in a step that LSODA will not accept


@dataclass(frozen=True)
class Flow:
    """Where the flow has come to: beta `(d,)`, at this time, with max |X beta - y|/max |y|."""

    beta: Floats
    time: float
    residual: float
    settled: bool


def gradient_flow(
    x: Floats, y: Floats, log_w: Floats, size: float, tell: Callable[[], object]
) -> Flow:
    """Return the end of d theta/dt = -grad (1/2) |X beta - y|^2, beta = theta_+^2 - theta_-^2.

    log_w: log of theta_+^2 = theta_-^2 at t = 0 `(d,)`. size: of the largest beta to come. The
    logarithms u of theta/theta(0) are integrated, du/dt = -+2 X^T r, by LSODA with the analytic
    Jacobian. Steps of LSODA keep the linear invariants of u, to rounding, and the end attracts, so
    that errors on the way are forgotten: the end is good to 1e-10 and better. It ends where r is
    rounding. `tell` is called at every step.
    """
    from scipy.integrate import LSODA

    # The flow of data in other units is the same in another time; its solver likes those near 1.
    unit = float(np.ldexp(1.0, int(np.frexp(np.abs(x).max())[1])))
    x, y = x / unit, y / unit
    d = x.shape[1]
    gram = x.T @ x

    def beta_of(u: Floats) -> Floats:
        # theta_+^2 - theta_-^2 without cancellation, and finite in steps that are far too long.
        apart = u[:d] - u[d:]
        larger = np.exp(np.minimum(2.0 * np.maximum(u[:d], u[d:]) + log_w, _LARGEST))
        return np.asarray(-np.sign(apart) * larger * np.expm1(-2.0 * np.abs(apart)))

    def slope(_: float, u: Floats) -> Floats:
        pull = 2.0 * (x.T @ (x @ beta_of(u) - y))
        return np.concatenate([-pull, pull])

    def jacobian(_: float, u: Floats) -> Floats:
        plus = -4.0 * gram * np.exp(np.minimum(2.0 * u[:d] + log_w, _LARGEST))
        minus = 4.0 * gram * np.exp(np.minimum(2.0 * u[d:] + log_w, _LARGEST))
        return np.block([[plus, minus], [-plus, -minus]])

    # Parameters that hardly move, as w is large, are to move exactly nevertheless.
    moving = _TOLERANCE * min(1.0, size / float(np.exp(log_w.max())))
    solver = LSODA(slope, 0.0, np.zeros(2 * d), 1e300, jac=jacobian, rtol=_TOLERANCE, atol=moving)
    most = float(np.abs(y).max())
    for _ in range(_MOST_STEPS):
        with warnings.catch_warnings():
            # Where it cannot go on it warns, and its status says so too: the row has that.
            warnings.simplefilter("ignore", UserWarning)
            solver.step()
        tell()
        beta = beta_of(solver.y)
        residual = float(np.abs(x @ beta - y).max())
        # That of u is one of beta, relative to it.
        rounding = EPSILON * max(1.0, float(np.abs(solver.y).max()))
        rounding *= float((np.abs(x) @ np.abs(beta) + np.abs(y)).max())
        settled = residual <= 4.0 * np.sqrt(d) * rounding
        if settled or solver.status != "running":
            break
    return Flow(beta, float(solver.t) / unit / unit, residual / most, settled)
