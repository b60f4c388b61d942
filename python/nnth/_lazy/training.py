"""Networks of the theorem, drawn, and their gradient flow with what the bounds are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from nnth._activations.activation import Activation
from nnth._networks.gradient_flow import flow_steps
from nnth._runtime import streams
from nnth._runtime.random import normals, uniforms
from nnth._runtime.typing import Floats

SecondLayer = Literal["uniform", "rademacher"]

SECOND_MOMENT: Final = {"uniform": 1.0 / 3.0, "rademacher": 1.0}  # E v^2
# Of a step, for activations without and with kinks, at each of which a fine step stumbles.
SMOOTH: Final = 1e-8
KINKED: Final = 1e-4


@dataclass(frozen=True)
class Problem:
    """What all networks share: activation, data x `(m, d)` with targets y `(m,)`, the law of v."""

    act: Activation
    x: Floats
    y: Floats
    second_layer: SecondLayer
    tolerance: float = SMOOTH  # of a step of its flow

    @property
    def inner(self) -> Floats:
        """x x^T `(m, m)`."""
        return np.asarray(np.einsum("ad,bd->ab", self.x, self.x))


@dataclass(frozen=True)
class Course:
    """What happened to one network: at times 0, ..., in units of m/eta, `(steps,)` each.

    loss: L. least: smallest eigenvalue of K. kernel: |K - K(0)|. movement: the largest |w_i -
    w_i(0)|. first: K(0) `(m, m)`; second: the second layer's part of the tangent kernel at t = 0.
    stops: the number of steps up to each of the times that were asked for.
    """

    time: Floats
    loss: Floats
    least: Floats
    kernel: Floats
    movement: Floats
    first: Floats
    second: Floats
    stops: tuple[int, ...]

    def until(self, i: int) -> Course:
        """Return what happened up to the time number i of those that were asked for."""
        names = ("time", "loss", "least", "kernel", "movement")
        steps = {name: getattr(self, name)[: self.stops[i]] for name in names}
        return replace(self, **steps, stops=self.stops[: i + 1])


class LazyNet:
    """z(x) = n^(-1/2) sum_i v_i s(w_i.x), w_i ~ N(0, I), v_i uniform on [-1, 1] or +-1, and fixed.

    Sample s of a seed takes w_1, w_2, ... from stream s and v from another: wider networks have the
    neurons of narrower ones, and more.
    """

    def __init__(self, problem: Problem, n: int, seed: int, sample: int) -> None:
        d = problem.x.shape[1]
        w = normals(seed, sample, n * d).reshape(n, d)
        v = 2.0 * uniforms(seed, streams.LAZY_OUTPUT_WEIGHTS.first + sample, n) - 1.0
        self._v = np.sign(v) if problem.second_layer == "rademacher" else v
        self._problem, self._n = problem, n
        # Points first: long rows are what loops are fast over.
        self._h0 = np.einsum("ad,nd->an", problem.x, w)
        self._inner = problem.inner
        self._scale = n**-0.5

    def kernel(self, slope: Floats) -> Floats:
        """K `(m, m)`, of the first layer's weights alone."""
        back = self._v * slope
        return np.asarray(self._inner * np.einsum("an,bn->ab", back, back) / self._n)

    def start(self) -> tuple[Floats, Floats, float]:
        """K(0), the second layer's part of the tangent kernel, and L(0)."""
        value, slope = self._activations(self._h0)
        second = np.einsum("an,bn->ab", value, value) / self._n
        return self.kernel(slope), second, self._loss(value)

    def course(self, ends: Sequence[float], told: Callable[[float], object]) -> Course:
        """Gradient flow up to the last of some ascending times, in units of m/eta.

        w_i moves in the span of the data, w_i = w_i(0) + sum_a c_ai x_a; the state is c `(m, n)`:
        dc_ai/dt = -n^(-1/2) v_i s'(w_i.x_a) r_a. `told` hears the share that is done.

        Raises StiffFlowError where that takes too many steps.
        """
        m = len(self._problem.y)
        first, second, loss = self.start()
        steps = [(0.0, loss, float(np.linalg.eigvalsh(first)[0]), 0.0, 0.0)]

        def slope_of(state: Floats) -> Floats:
            value, slope = self._activations(self._preactivations(state))
            residual = self._residual(value)
            slope *= (-self._scale * residual)[:, None]
            slope *= self._v
            return slope.ravel()

        def measured(time: float, state: Floats) -> tuple[float, float, float, float, float]:
            c = state.reshape(m, self._n)
            value, slope = self._activations(self._preactivations(state))
            kernel = self.kernel(slope)
            moved = np.einsum("an,an->n", self._along(c), c)
            apart = np.linalg.eigvalsh(kernel - first)
            return (
                time,
                self._loss(value),
                float(np.linalg.eigvalsh(kernel)[0]),
                float(np.max(np.abs(apart))),
                float(np.sqrt(np.max(moved))),
            )

        after, now, stops = np.zeros(m * self._n), 0.0, []
        for end in ends:  # each is the end of a step
            for time, state in flow_steps(
                slope_of,
                after,
                end - now,
                tolerance=self._problem.tolerance,
                size=self._scale,  # an entry of c is of order n^(-1/2)
            ):
                after = state
                steps.append(measured(now + time, state))
                told((now + time) / ends[-1])
            now = end
            stops.append(len(steps))
        times, losses, least, change, movement = map(np.array, zip(*steps, strict=True))
        return Course(times, losses, least, change, movement, first, second, tuple(stops))

    def _along(self, c: Floats) -> Floats:
        """sum_a c_ai x_a.x_b: `(m, n)`."""
        return np.asarray(np.einsum("ab,an->bn", self._inner, c))

    def _preactivations(self, state: Floats) -> Floats:
        return np.asarray(self._h0 + self._along(state.reshape(-1, self._n)))

    def _activations(self, h: Floats) -> tuple[Floats, Floats]:
        value, slope = np.empty_like(h), np.empty_like(h)
        self._problem.act.core.evaluate_into(h, value, slope)
        return value, slope

    def _residual(self, value: Floats) -> Floats:
        z = self._scale * np.einsum("an,n->a", value, self._v)
        return np.asarray(z - self._problem.y)

    def _loss(self, value: Floats) -> float:
        residual = self._residual(value)
        return float(residual @ residual) / (2.0 * len(residual))
