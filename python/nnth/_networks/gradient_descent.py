"""Finite networks trained by gradient descent, many at once, for comparison with infinite width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._activations.activation import Activation
from nnth._kernels.kernel import Ntk
from nnth._networks.network import random_network
from nnth._runtime import streams
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress

MAX_SAMPLES: Final = streams.SAMPLES.count
_BLOCK: Final = 2**20  # numbers in the largest arrays of the networks that are trained together


@dataclass(frozen=True)
class Nets:
    """Networks of L hidden layers of one width, and the parameters that are trained.

    z^1 = b + W x, z^(l+1) = b + W s(z^l), with b ~ N(0, cb) and W ~ N(0, cw/fan-in) at
    initialization. The learning rates of b and W are cb and cw/fan-in ("ntk"), 1 and cw/fan-in
    ("bias"), or 1 and 1/fan-in ("pdlt"), so that the tangent kernel is the one of `nnth.kernel`.
    With `last` only the last layer is trained, at the rates of "ntk".
    """

    act: Activation
    depth: int
    width: int
    cb: float
    cw: float
    ntk: Ntk
    last: bool

    def rates(self, fan_in: int) -> tuple[float, float]:
        """Return the learning rates of b and W of a layer."""
        convention = "ntk" if self.last else self.ntk
        bias = self.cb if convention == "ntk" else 1.0
        return bias, (1.0 if convention == "pdlt" else self.cw) / fan_in


def trained_outputs(
    nets: Nets,
    x: Floats,
    y: Floats,
    x_test: Floats,
    steps: Sequence[tuple[float, int]],
    *,
    noise: float,
    own_errors: bool = True,
    samples: int,
    seed: int,
    progress: Progress | None,
) -> Floats:
    """Return the outputs on x_test during training: `(len(steps), samples, m_test, outputs)`.

    Full-batch gradient descent on (1/2) sum |f(x) - y - e|^2 + (noise/2) |p - p_0|^2, where p are
    the parameters divided by the square roots of their rates, and e ~ N(0, noise) is drawn for
    every network with `own_errors`, and 0 without. `steps` has a step size and a number of steps
    for each stage of the training, at whose end the outputs are computed. Sample s is a function of
    (seed, s), to the rounding of the BLAS.

    Raises:
        MemoryError: If the outputs do not fit in memory.
    """
    shape = (len(steps), samples, len(x_test), y.shape[1])
    needed = 8 * int(np.prod(shape, dtype=object))
    check_memory(needed, "samples must be fewer: their outputs", fraction=0.5)
    outputs = np.empty(shape)
    inner = nets.width * (nets.width * max(nets.depth - 1, 0) + x.shape[1] + len(x) * nets.depth)
    together = max(1, min(samples, _BLOCK // max(inner, 1)))
    per_net = sum(count for _, count in steps)
    for start in range(0, samples, together):
        chosen = range(start, min(start + together, samples))
        descent = _Descent(nets, x, y, x_test, noise, own_errors, seed, chosen)
        done = start * per_net
        for i, (size, count) in enumerate(steps):
            for step in range(count):
                descent.step(size)
                if progress is not None and step % 8 == 0:
                    progress(done + step * len(chosen), samples * per_net)
            done += count * len(chosen)
            outputs[i, start : chosen.stop] = descent.test_outputs()
    return outputs


class _Descent:
    """A block of networks during training, with weights of shape `(nets, fan-in, fan-out)`."""

    def __init__(
        self,
        nets: Nets,
        x: Floats,
        y: Floats,
        x_test: Floats,
        noise: float,
        own_errors: bool,
        seed: int,
        samples: range,
    ) -> None:
        self._act = nets.act.core
        drawn = [
            random_network(
                x.shape[1],
                (nets.width,) * nets.depth,
                n_out=y.shape[1],
                cw=nets.cw,
                cb=nets.cb,
                seed=seed,
                sample=sample,
            )
            for sample in samples
        ]
        layers = range(nets.depth + 1)
        self._w = [np.stack([net.weights[layer].T for net in drawn]) for layer in layers]
        self._b = [np.stack([net.biases[layer][None] for net in drawn]) for layer in layers]
        self._x, self._test = x[None], x_test[None]
        if nets.last:  # the inputs of the last layer do not change
            self._x = self._forward(self._x)[0]
            self._test = self._forward(self._test)[0]
            self._w, self._b = self._w[-1:], self._b[-1:]
        self._rates = [nets.rates(w.shape[1]) for w in self._w]
        self._noise = noise
        self._y = np.broadcast_to(y, (len(samples), *y.shape))
        if noise > 0.0 and own_errors:
            errors = [
                normals(seed, streams.TARGET_NOISE.first + s, y.size).reshape(y.shape)
                for s in samples
            ]
            self._y = self._y + np.sqrt(noise) * np.stack(errors)
        if noise > 0.0:
            self._start = [a.copy() for a in (*self._w, *self._b)]
        # Allocating large arrays in the loop would take most of its time.
        shapes = [(len(samples), len(y), w.shape[2]) for w in self._w]
        self._z, self._values, self._slopes, self._deltas = (
            [np.empty(shape) for shape in shapes] for _ in range(4)
        )
        self._gradients = [np.empty_like(w) for w in self._w]

    def step(self, size: float) -> None:
        """Take a step of gradient descent."""
        inputs = self._forward_in_place()
        delta = np.subtract(self._z[-1], self._y, out=self._deltas[-1])
        shrink = size * self._noise
        for layer in range(len(self._w) - 1, -1, -1):
            w, b, gradient = self._w[layer], self._b[layer], self._gradients[layer]
            bias_rate, weight_rate = self._rates[layer]
            before = delta
            if layer:
                delta = np.matmul(before, np.swapaxes(w, 1, 2), out=self._deltas[layer - 1])
                delta *= self._slopes[layer - 1]
            if shrink:
                np.subtract(w, self._start[layer], out=gradient)
                gradient *= shrink
                w -= gradient
                b -= shrink * (b - self._start[len(self._w) + layer])
            np.matmul(np.swapaxes(inputs[layer], 1, 2), before, out=gradient)
            gradient *= size * weight_rate
            w -= gradient
            b -= (size * bias_rate) * before.sum(axis=1, keepdims=True)

    def test_outputs(self) -> Floats:
        return self._forward(self._test)[1]

    def _forward_in_place(self) -> list[Floats]:
        """Return the inputs of each layer; z and s' are stored."""
        inputs = [self._x]
        for layer, (w, b) in enumerate(zip(self._w, self._b, strict=True)):
            z = np.matmul(inputs[-1], w, out=self._z[layer])
            z += b
            if layer + 1 < len(self._w):
                self._act.evaluate_into(z, self._values[layer], self._slopes[layer])
                inputs.append(self._values[layer])
        return inputs

    def _forward(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the input of the last layer and the outputs."""
        z = np.matmul(x, self._w[0]) + self._b[0]
        for w, b in zip(self._w[1:], self._b[1:], strict=True):
            x = np.empty_like(z)
            self._act.evaluate_into(z, x, None)
            z = np.matmul(x, w) + b
        return x, z


def relative_loss(residuals: Floats, first: Floats) -> Floats:
    """Return |r|^2/|first|^2 along the last axis: infinite where r overflowed.

    It is 1 where `first` is 0: a network without a residual has no gradient and does not change.
    """
    unit = np.abs(first).max(axis=-1, keepdims=True)
    unit = np.where(unit > 0.0, unit, 1.0)  # squares of the residuals may overflow
    with np.errstate(over="ignore", invalid="ignore"):
        before, after = np.sum((first / unit) ** 2, -1), np.sum((residuals / unit) ** 2, -1)
        ratio = np.where(before > 0.0, after / np.where(before > 0.0, before, 1.0), 1.0)
    return np.where(np.isfinite(ratio), ratio, np.inf)
