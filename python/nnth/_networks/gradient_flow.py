"""Gradient flows, and other ordinary differential equations, integrated to a stated tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from nnth._runtime.typing import Floats

MOST_STEPS: Final = 20_000


class StiffFlowError(Exception):
    """A flow that takes more steps than are allowed: its rates lie too far apart."""


def flow_steps(
    slope: Callable[[Floats], Floats],
    start: Floats,
    end: float,
    *,
    tolerance: float = 1e-12,
    size: float | None = None,
    stiff: bool = False,
    most_steps: int = MOST_STEPS,
) -> Iterator[tuple[float, Floats]]:
    """Yield time and state after each step of d state/dt = slope(state) from time 0 to `end`.

    start: `(k,)`. tolerance: the local error of a step, relative to the state or, if larger, to
    `size`, by default the largest entry of `start`. By the Runge-Kutta method of order 8 of Dormand
    & Prince (as scipy has it), whose steps are about six times the inverse of the fastest rate; or,
    `stiff`, by the implicit one of order 5 of Radau, whose steps are as long as the solution
    allows, at the cost of linear systems of k unknowns.

    Raises StiffFlowError after `most_steps`.
    """
    from scipy.integrate import DOP853, Radau

    if size is None:
        size = float(np.max(np.abs(start), initial=0.0))
    method: Any = Radau if stiff else DOP853
    with np.errstate(over="ignore", invalid="ignore"):
        solver = method(
            lambda _, state: slope(state),
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
        except (ValueError, np.linalg.LinAlgError):  # of what is not finite any more
            failed = True
        if failed:
            raise StiffFlowError(f"its steps become too small at time {solver.t:g}")
        yield float(solver.t), solver.y
        if solver.status != "running":
            return
    raise StiffFlowError(f"it takes more than {most_steps} steps")


def flow(
    slope: Callable[[Floats], Floats],
    start: Floats,
    times: Sequence[float],
    *,
    tolerance: float = 1e-12,
    size: float | None = None,
    stiff: bool = False,
    most_steps: int = MOST_STEPS,
) -> Floats:
    """Return the states of d state/dt = slope(state) at ascending times: `(len(times), k)`.

    Arguments and errors as of `flow_steps`; times at least 0 and finite. Each is the end of a step
    of its own, so that it has the accuracy of one.
    """
    out = np.empty((len(times), len(start)))
    state, now = np.asarray(start, dtype=np.float64), 0.0
    if size is None:
        size = float(np.max(np.abs(state), initial=0.0))
    left = most_steps
    for i, time in enumerate(times):
        if time > now:
            for _, after in flow_steps(
                slope,
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
