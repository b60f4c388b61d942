"""Fully connected networks in plain NumPy, for complex parameters too: an independent reference.

A derivative by complex steps, Im f(theta + i h v)/h with h = 1e-30, has no difference that cancels:
it is exact to rounding (Squire and Trapp 1998). Nothing here uses nnth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

STEP = 1e-30


def _sigmoid(z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-z))


def _sigmoid_slope(z: Any) -> Any:
    return np.exp(-z) / (1.0 + np.exp(-z)) ** 2


# Activations, as nnth spells them, that NumPy has for complex numbers too, and their derivatives.
COMPLEX: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "sin": (np.sin, np.cos),
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "z*sigmoid(1.702*z)": (
        lambda z: z * _sigmoid(1.702 * z),
        lambda z: _sigmoid(1.702 * z) + 1.702 * z * _sigmoid_slope(1.702 * z),
    ),
    "softplus": (lambda z: np.log(1.0 + np.exp(z)), _sigmoid),
    "exp(-z**2)": (lambda z: np.exp(-(z**2)), lambda z: -2.0 * z * np.exp(-(z**2))),
}


@dataclass(frozen=True)
class PlainNetwork:
    """Networks with W = multiplier w and b = multiplier a, a pair of multipliers for each layer."""

    sizes: tuple[int, ...]
    acts: tuple[str, ...]
    multipliers: tuple[tuple[float, float], ...]
    biases: bool = True
    gates: Any = None  # parameters whose derivatives of the activations are kept

    @property
    def size(self) -> int:
        return sum(rows * (columns + self.biases) for columns, rows in pairwise(self.sizes))

    def layers(self, theta: Any) -> list[tuple[Any, Any]]:
        """Return W and b of every layer."""
        found, start = [], 0
        for (columns, rows), (of_w, of_b) in zip(
            pairwise(self.sizes), self.multipliers, strict=True
        ):
            w = theta[start : start + rows * columns].reshape(rows, columns)
            start += rows * columns
            b = np.zeros(rows)
            if self.biases:
                b = of_b * theta[start : start + rows]
                start += rows
            found.append((of_w * w, b))
        return found

    def passed(self, theta: Any, x: Any) -> tuple[list[Any], list[Any], Any]:
        """Return the inputs of the layers, the derivatives of the activations and the outputs."""
        gates = None
        if self.gates is not None:
            gates = PlainNetwork(self.sizes, self.acts, self.multipliers, self.biases).passed(
                self.gates, x
            )[1]
        inputs, slopes = [x], []
        layers = self.layers(theta)
        for i, (w, b) in enumerate(layers[:-1]):
            z = inputs[-1] @ w.T + b
            value, slope = COMPLEX[self.acts[i]]
            inputs.append(value(z) if gates is None else gates[i] * z)
            slopes.append(slope(z) if gates is None else gates[i])
        w, b = layers[-1]
        return inputs, slopes, inputs[-1] @ w.T + b

    def outputs(self, theta: Any, x: Any) -> Any:
        return self.passed(theta, x)[2]

    def pull_back(self, theta: Any, x: Any, delta: Callable[[Any], Any]) -> Any:
        """Return the gradient of a function of the outputs f whose gradient in f is delta(f)."""
        inputs, slopes, f = self.passed(theta, x)
        signal, parts = delta(f), []
        layers = self.layers(theta)
        for i in range(len(layers) - 1, -1, -1):
            of_w, of_b = self.multipliers[i]
            if self.biases:
                parts.append(of_b * signal.sum(axis=0))
            parts.append(of_w * (signal.T @ inputs[i]).ravel())
            if i:
                signal = (signal @ layers[i][0]) * slopes[i - 1]
        return np.concatenate(parts[::-1])

    def loss(self, theta: Any, x: Any, y: Any, loss: str) -> Any:
        """Return the mean loss."""
        f = self.outputs(theta, x)
        if loss == "squared":
            return 0.5 * np.sum((f - y) ** 2) / len(x)
        return -np.sum(y * np.log(probabilities(f))) / len(x)

    def gradient(self, theta: Any, x: Any, y: Any, loss: str) -> Any:
        """Return the gradient of the mean loss."""
        link = (lambda f: f) if loss == "squared" else probabilities
        return self.pull_back(theta, x, lambda f: (link(f) - y) / len(x))

    def hessian(self, theta: Any, x: Any, y: Any, loss: str) -> Any:
        """Return the Hessian of the mean loss, by complex steps of the gradient."""
        return along_axes(lambda t: self.gradient(t, x, y, loss), theta)

    def jacobian(self, theta: Any, x: Any) -> Any:
        """Return the gradients of the outputs `(m, outputs, P)`, by complex steps."""
        return np.moveaxis(along_axes(lambda t: self.outputs(t, x), theta), 0, -1)

    def output_hessians(self, theta: Any, x: Any) -> Any:
        """Return the Hessians of the outputs `(m, outputs, P, P)`, by complex steps."""
        found = np.empty((len(x), self.sizes[-1], self.size, self.size))
        for i, row in enumerate(x):
            for k in range(self.sizes[-1]):
                found[i, k] = along_axes(partial(self.output_gradient, row[None], k), theta)
        return found

    def output_gradient(self, x: Any, k: int, theta: Any) -> Any:
        """Return the gradient of output k on one input `(1, n_0)`."""
        return self.pull_back(theta, x, lambda f: np.eye(self.sizes[-1])[k : k + 1])

    def gauss_newton(self, theta: Any, x: Any, loss: str) -> Any:
        """Return (1/m) sum_i J_i^T l''(f_i) J_i."""
        found = np.zeros((self.size, self.size))
        for j, f in zip(self.jacobian(theta, x), self.outputs(theta, x), strict=True):
            p = probabilities(f[None])[0]
            inner = np.eye(len(f)) if loss == "squared" else np.diag(p) - np.outer(p, p)
            found += j.T @ inner @ j / len(x)
        return found


def along_axes(function: Callable[[Any], Any], theta: Any) -> Any:
    """Return the derivatives of a function in each parameter, which are the first axis."""
    steps = 1j * STEP * np.eye(len(theta))
    return np.array([function(theta + step).imag / STEP for step in steps])


def probabilities(f: Any) -> Any:
    """Return the softmax of each row."""
    p = np.exp(f)
    return p / p.sum(axis=1, keepdims=True)


def multipliers(
    parametrization: str, sizes: Sequence[int], cb: float, cw: float
) -> tuple[tuple[float, float], ...]:
    """Return the multipliers of weights and biases, as papers define the parametrizations.

    Jacot et al. (2018) for ntk; Mei et al. (2018) for mean-field; Yang and Hu (2021) for mup.
    """
    layers = list(pairwise(sizes))
    if parametrization == "ntk":
        return tuple((np.sqrt(cw / n), np.sqrt(cb)) for n, _ in layers)
    found = [(1.0, 1.0)] * len(layers)
    if parametrization in ("mean-field", "mup"):
        fan_in = layers[-1][0] if len(layers) > 1 else 1
        found[-1] = (1.0 / fan_in, 1.0)
    return tuple(found)
