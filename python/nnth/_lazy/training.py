"""Random networks of the theorem, and their gradient flow with the quantities it bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from nnth._activations.activation import Activation
from nnth._lab.derivatives import kernel_of_passes
from nnth._lab.flow import flow_derivative, flow_steps
from nnth._lab.model import Model
from nnth._lab.objective import Objective
from nnth._lab.parametrization import LayerScale
from nnth._runtime import streams
from nnth._runtime.random import normals, uniforms
from nnth._runtime.typing import Floats

SecondLayer = Literal["uniform", "rademacher"]

SECOND_MOMENT: Final = {"uniform": 1.0 / 3.0, "rademacher": 1.0}  # E v^2
# Tolerances of a step for activations without and with kinks, which fine steps cannot pass quickly.
SMOOTH: Final = 1e-8
KINKED: Final = 1e-4


@dataclass(frozen=True)
class Problem:
    """The activation, data x `(m, n_0)`, targets y `(m,)` and distribution of v of all networks."""

    act: Activation
    x: Floats
    y: Floats
    second_layer: SecondLayer
    tolerance: float = SMOOTH  # tolerance of a step of the flow


@dataclass(frozen=True)
class History:
    """The training of one network: values at times 0, ..., in units of m/eta, `(steps,)` each.

    loss: L. least: smallest eigenvalue of K. kernel: |K - K(0)|. movement: the largest |w_i -
    w_i(0)|. first: K(0) `(m, m)`; second: the second layer's part of the tangent kernel at t = 0.
    stops: the number of steps up to each of the required times.
    """

    time: Floats
    loss: Floats
    least: Floats
    kernel: Floats
    movement: Floats
    first: Floats
    second: Floats
    stops: tuple[int, ...]

    def until(self, i: int) -> History:
        """Return the history up to the required time with this index."""
        names = ("time", "loss", "least", "kernel", "movement")
        steps = {name: getattr(self, name)[: self.stops[i]] for name in names}
        return replace(self, **steps, stops=self.stops[: i + 1])


class LazyNet:
    """A network z(x) = n^(-1/2) sum_i v_i s(w_i.x), w_i ~ N(0, I), v_i fixed.

    Sample s of a seed takes w_1, w_2, ... from stream s and v from another, so that wider networks
    contain the neurons of narrower ones. The w_i move in the span of the data: with the columns of
    Q an orthonormal basis of it, x = R Q^T, the network has the inputs R and the weights w_i Q.
    """

    def __init__(self, problem: Problem, n: int, seed: int, sample: int) -> None:
        d = problem.x.shape[1]
        w = normals(seed, sample, n * d).reshape(n, d)
        v = 2.0 * uniforms(seed, streams.LAZY_OUTPUT_WEIGHTS.first + sample, n) - 1.0
        v = np.sign(v) if problem.second_layer == "rademacher" else v
        basis = np.linalg.qr(problem.x.T)[0]
        scales = (LayerScale(1.0), LayerScale(1.0, weight_multiplier=n**-0.5).folded())
        model = Model((basis.shape[1], n, 1), (problem.act,), scales, (False, False))
        objective = Objective(
            model.with_trained((True, False)),
            problem.x @ basis,
            problem.y[:, None],
            mean=False,  # the unit of time is m/eta
        )
        self._model, self._objective, self._tolerance = model, objective, problem.tolerance
        self._theta = np.concatenate([(w @ basis).ravel(), n**-0.5 * v])

    def start(self) -> tuple[Floats, Floats, float]:
        """Return K(0), the second layer's part of the tangent kernel, and L(0)."""
        run = self._model.run(self._theta, self._objective.x, order=1)
        first, second = kernel_of_passes(self._model, run, run, by_layer=True)
        return first, second, self._loss(run.outputs)

    def train(self, ends: Sequence[float], on_progress: Callable[[float], object]) -> History:
        """Return the history of gradient flow up to ascending times, in units of m/eta.

        on_progress is called with the fraction done. Raises StiffFlowError if the flow takes too
        many steps.
        """
        objective, theta = self._objective, self._theta.copy()
        weights = objective.model.slices[0][0]
        at_start, n = self._theta[weights], objective.model.sizes[1]
        first, second, loss = self.start()
        steps = [(0.0, loss, float(np.linalg.eigvalsh(first)[0]), 0.0, 0.0)]
        derivative = flow_derivative(objective, theta, weights)

        def measured(time: float, state: Floats) -> tuple[float, float, float, float, float]:
            theta[weights] = state
            run = objective.model.run(theta, objective.x, order=1)
            kernel = kernel_of_passes(objective.model, run, run)
            moved = (state - at_start).reshape(n, -1)
            return (
                time,
                self._loss(run.outputs),
                float(np.linalg.eigvalsh(kernel)[0]),
                float(np.max(np.abs(np.linalg.eigvalsh(kernel - first)))),
                float(np.sqrt(np.max(np.einsum("ik,ik->i", moved, moved)))),
            )

        after, now, stops = at_start, 0.0, []
        for end in ends:
            for time, state in flow_steps(
                derivative,
                after,
                end - now,
                # A weight is of order 1, and moves by a few n^(-1/2).
                tolerance=self._tolerance * n**-0.5,
                size=2.0,
            ):
                after = state
                steps.append(measured(now + time, state))
                on_progress((now + time) / ends[-1])
            now = end
            stops.append(len(steps))
        times, losses, least, change, movement = map(np.array, zip(*steps, strict=True))
        return History(times, losses, least, change, movement, first, second, tuple(stops))

    def _loss(self, outputs: Floats) -> float:
        return float(self._objective.value_of(outputs)) / self._objective.examples
