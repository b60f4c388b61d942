"""Random networks of the theorem, and their gradient flow with the quantities it bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from nnth._activations.activation import Activation
from nnth._lab.flow import flow_steps
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

    @property
    def inner(self) -> Floats:
        """The inner products x x^T `(m, m)`."""
        return np.asarray(np.einsum("ad,bd->ab", self.x, self.x))


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
    contain the neurons of narrower ones.
    """

    def __init__(self, problem: Problem, n: int, seed: int, sample: int) -> None:
        d = problem.x.shape[1]
        w = normals(seed, sample, n * d).reshape(n, d)
        v = 2.0 * uniforms(seed, streams.LAZY_OUTPUT_WEIGHTS.first + sample, n) - 1.0
        self._v = np.sign(v) if problem.second_layer == "rademacher" else v
        self._problem, self._n = problem, n
        # The index of points is first, because loops over long rows are fast.
        self._h0 = np.einsum("ad,nd->an", problem.x, w)
        self._inner = problem.inner
        self._scale = n**-0.5

    def kernel(self, derivative: Floats) -> Floats:
        """Return K `(m, m)`, the tangent kernel of the first layer's weights."""
        back = self._v * derivative
        return np.asarray(self._inner * np.einsum("an,bn->ab", back, back) / self._n)

    def start(self) -> tuple[Floats, Floats, float]:
        """Return K(0), the second layer's part of the tangent kernel, and L(0)."""
        value, derivative = self._activations(self._h0)
        second = np.einsum("an,bn->ab", value, value) / self._n
        return self.kernel(derivative), second, self._loss(value)

    def train(self, ends: Sequence[float], on_progress: Callable[[float], object]) -> History:
        """Return the history of gradient flow up to ascending times, in units of m/eta.

        w_i moves in the span of the data, w_i = w_i(0) + sum_a c_ai x_a; the state is c `(m, n)`:
        dc_ai/dt = -n^(-1/2) v_i s'(w_i.x_a) r_a. on_progress is called with the fraction done.

        Raises StiffFlowError if that takes too many steps.
        """
        m = len(self._problem.y)
        first, second, loss = self.start()
        steps = [(0.0, loss, float(np.linalg.eigvalsh(first)[0]), 0.0, 0.0)]

        def time_derivative(state: Floats) -> Floats:
            value, derivative = self._activations(self._preactivations(state))
            residual = self._residual(value)
            derivative *= (-self._scale * residual)[:, None]
            derivative *= self._v
            return derivative.ravel()

        def measured(time: float, state: Floats) -> tuple[float, float, float, float, float]:
            c = state.reshape(m, self._n)
            value, derivative = self._activations(self._preactivations(state))
            kernel = self.kernel(derivative)
            movement = np.einsum("an,an->n", self._along(c), c)
            change = np.linalg.eigvalsh(kernel - first)
            return (
                time,
                self._loss(value),
                float(np.linalg.eigvalsh(kernel)[0]),
                float(np.max(np.abs(change))),
                float(np.sqrt(np.max(movement))),
            )

        after, now, stops = np.zeros(m * self._n), 0.0, []
        for end in ends:
            for time, state in flow_steps(
                time_derivative,
                after,
                end - now,
                tolerance=self._problem.tolerance,
                size=self._scale,  # an entry of c is of order n^(-1/2)
            ):
                after = state
                steps.append(measured(now + time, state))
                on_progress((now + time) / ends[-1])
            now = end
            stops.append(len(steps))
        times, losses, least, change, movement = map(np.array, zip(*steps, strict=True))
        return History(times, losses, least, change, movement, first, second, tuple(stops))

    def _along(self, c: Floats) -> Floats:
        """Return sum_a c_ai x_a.x_b `(m, n)`."""
        return np.asarray(np.einsum("ab,an->bn", self._inner, c))

    def _preactivations(self, state: Floats) -> Floats:
        return np.asarray(self._h0 + self._along(state.reshape(-1, self._n)))

    def _activations(self, h: Floats) -> tuple[Floats, Floats]:
        value, derivative = np.empty_like(h), np.empty_like(h)
        self._problem.act.core.evaluate_into(h, value, derivative)
        return value, derivative

    def _residual(self, value: Floats) -> Floats:
        z = self._scale * np.einsum("an,n->a", value, self._v)
        return np.asarray(z - self._problem.y)

    def _loss(self, value: Floats) -> float:
        residual = self._residual(value)
        return float(residual @ residual) / (2.0 * len(residual))
