"""Gradient flows and other ordinary differential equations, integrated to a given tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from nnth._lab.objective import Objective
from nnth._runtime.blas import serial_blas
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
        change = objective.gradient(whole)[1][trained]
        change *= factor
        return change

    return derivative


@serial_blas
def gradient_flow(
    objective: Objective,
    theta: ArrayLike,
    times: Sequence[float],
    *,
    tolerance: float = 1e-10,
    stiff: bool = False,
    most_steps: int = MOST_STEPS,
) -> Floats:
    """Return the parameters at some times of gradient flow, the limit of descent as eta -> 0.

    d theta/dt = -rates gradient, with the learning rates of the model over eta and the gradient of
    the objective, in units of time of 1/eta: n steps of `Descent` at the rate eta are at the time
    n eta, to O(eta).

    Args:
        objective: The loss, in float64.
        theta: The parameters at time 0, `(P,)`, or `(networks, P)`: each network takes steps of its
            own.
        times: Ascending times, finite and at least 0.
        tolerance: The local error of a step, relative to the larger of each parameter and the
            largest parameter at the start, or 1 if all are 0.
        stiff: Whether to use an implicit method, whose steps are as long as the solution allows,
            at the cost of P gradients and linear systems of P unknowns.
        most_steps: The largest number of steps of a network.

    Returns:
        The parameters, `(times, P)` or `(times, networks, P)`.

    Raises:
        ValueError: If the times are not ascending, finite and at least 0, or theta does not fit.
        StiffFlowError: After `most_steps` steps.

    Accuracy: the errors of the steps add up; at a minimum they decay again. Cost: 12 gradients a
    step, and about a step for each e-folding of the fastest rate over six.

    Example:
        >>> import numpy as np
        >>> from nnth import lab
        >>> model = lab.model(1, (), biases=False, cw=1.0)
        >>> objective = lab.Objective(model, [[1.0]], [[1.0]])
        >>> path = lab.gradient_flow(objective, [0.0], [0.0, 1.0])
        >>> bool(np.abs(path[:, 0] - [0.0, 1.0 - np.exp(-1.0)]).max() < 1e-9)
        True
    """
    ends = [float(time) for time in times]
    if ends != sorted(set(ends)) or not all(0.0 <= time < math.inf for time in ends):
        raise ValueError(
            "times must be ascending, at least 0 and finite, not "
            f"{','.join(f'{time:g}' for time in ends)}"
        )
    start = np.asarray(theta, dtype=np.float64)
    if objective.dtype != np.float64:
        raise ValueError(f"objective must be in float64, not {objective.dtype}")
    if start.ndim not in (1, 2) or start.shape[-1] != objective.model.size:
        size = objective.model.size
        raise ValueError(f"theta must have shape ({size},) or (networks, {size})")
    if start.ndim == 2:
        paths = [
            gradient_flow(
                objective.of_network(i),
                one,
                ends,
                tolerance=tolerance,
                stiff=stiff,
                most_steps=most_steps,
            )
            for i, one in enumerate(start)
        ]
        return np.stack(paths, axis=1)
    return flow(
        flow_derivative(objective, start),
        start,
        ends,
        tolerance=tolerance,
        size=float(np.max(np.abs(start))) or 1.0,
        stiff=stiff,
        most_steps=most_steps,
    )
