"""Gradient flows and other ordinary differential equations, integrated to a given tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from nnth._lab.objective import Objective
from nnth._runtime.typing import Floats

MOST_STEPS: Final = 20_000


class StiffFlowError(Exception):
    """Raised for a flow that takes more steps than allowed: its rates differ too much."""


def flow_steps(
    derivative: Callable[[Floats], Floats],
    start: Floats,
    end: float,
    *,
    tolerance: float = 1e-12,
    size: float | None = None,
    stiff: bool = False,
    most_steps: int = MOST_STEPS,
) -> Iterator[tuple[float, Floats]]:
    """Yield time and state after each step of d state/dt = derivative(state), from 0 to `end`.

    Args:
        derivative: Returns d state/dt.
        start: The state at time 0, `(k,)`.
        end: The last time.
        tolerance: The local error of a step, relative to the larger of the state and `size`.
        size: By default the largest entry of `start`.
        stiff: Whether to use the implicit Radau method of order 5, whose steps are as long as the
            solution allows, at the cost of linear systems of k unknowns, instead of SciPy's
            Runge-Kutta method of order 8 of Dormand and Prince, whose steps are about six times
            the inverse of the fastest rate.
        most_steps: The largest number of steps.

    Raises:
        StiffFlowError: After `most_steps` steps, or if a step becomes too small.
    """
    from scipy.integrate import DOP853, Radau

    if size is None:
        size = float(np.max(np.abs(start), initial=0.0))
    method: Any = Radau if stiff else DOP853
    with np.errstate(over="ignore", invalid="ignore"):
        solver = method(
            lambda _, state: derivative(state),
            0.0,
            start,
            end,
            rtol=max(tolerance, 3e-14),
            atol=tolerance * size if size > 0.0 else 1e-300,
        )
    for _ in range(most_steps):
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                failed = solver.step() is not None
        except (ValueError, np.linalg.LinAlgError):  # the state is no longer finite
            failed = True
        if failed:
            raise StiffFlowError(f"its steps become too small at time {solver.t:g}")
        yield float(solver.t), solver.y
        if solver.status != "running":
            return
    raise StiffFlowError(f"it takes more than {most_steps} steps")


def flow(
    derivative: Callable[[Floats], Floats],
    start: Floats,
    times: Sequence[float],
    *,
    tolerance: float = 1e-12,
    size: float | None = None,
    stiff: bool = False,
    most_steps: int = MOST_STEPS,
) -> Floats:
    """Return the states of d state/dt = derivative(state) at ascending times: `(len(times), k)`.

    Arguments and errors are those of `flow_steps`; times are finite and at least 0. A step ends at
    each time, so that no state is interpolated.
    """
    out = np.empty((len(times), len(start)))
    state, now = np.asarray(start, dtype=np.float64), 0.0
    if size is None:
        size = float(np.max(np.abs(state), initial=0.0))
    left = most_steps
    for i, time in enumerate(times):
        if time > now:
            for _, after in flow_steps(
                derivative,
                state,
                time - now,
                tolerance=tolerance,
                size=size,
                stiff=stiff,
                most_steps=left,
            ):
                state = after
                left -= 1
            now = time
        out[i] = state
    return out


def flow_derivative(
    objective: Objective, theta: Floats, trained: slice = slice(None)
) -> Callable[[Floats], Floats]:
    """Return the derivative of gradient flow, d theta/d(eta t) = -rates gradient, of one network.

    Args:
        objective: The loss.
        theta: All parameters `(P,)`, of which those outside `trained` stay as they are.
        trained: The parameters that move: the state of the flow, `(k,)`.
    """
    whole = np.array(theta)
    every = objective.model.rates
    rates = np.ones(1) if every is None else every[trained]
    factor = -1.0 if (rates == 1.0).all() else -rates

    def derivative(state: Floats) -> Floats:
        whole[trained] = state
        return np.asarray(factor * objective.gradient(whole)[1][trained])

    return derivative
