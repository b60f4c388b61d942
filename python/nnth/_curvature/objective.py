"""The loss of a network on its data as a function of its parameters, to second order.

Products with the Hessian follow Pearlmutter (1994), written out for fully connected layers: they
are exact, and cost two to three gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnth._activations.activation import Activation
from nnth._curvature.losses import LOSSES, Array, Loss
from nnth._networks.network import Network
from nnth._runtime.typing import Floats

# Largest number of examples per block: their arrays stay in a core's cache, and matrix products
# are as fast as with more.
_BLOCK: Final = 512


@dataclass(frozen=True)
class ParameterLayout:
    """The layer sizes n_0, ..., n_(L+1), and the positions of the parameters in a vector theta.

    theta `(size,)` is W_1 row by row, b_1, W_2, b_2, ..., in the order of `nnth.random_network`.
    """

    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of parameters P."""
        return sum(rows * (columns + 1) for columns, rows in pairwise(self.sizes))

    def layers(self, theta: Array) -> list[tuple[Array, Array]]:
        """Return W_l `(n_l, n_(l-1))` and b_l `(n_l,)` of every layer as views of theta."""
        found, start = [], 0
        for columns, rows in pairwise(self.sizes):
            middle, end = start + rows * columns, start + rows * (columns + 1)
            found.append((theta[start:middle].reshape(rows, columns), theta[middle:end]))
            start = end
        return found


def layout_of(net: Network) -> ParameterLayout:
    """Return the parameter layout of a network."""
    return ParameterLayout((net.n0, *net.widths, net.n_out))


def theta_of(net: Network) -> Floats:
    """Return the parameters of a network as one vector."""
    layers = zip(net.weights, net.biases, strict=True)
    return np.concatenate([part for w, b in layers for part in (w.ravel(), b)])


def network_of(layout: ParameterLayout, theta: Array, act: str) -> Network:
    """Return the network with these parameters."""
    layers = layout.layers(np.asarray(theta, dtype=np.float64))
    return Network(tuple(w for w, _ in layers), tuple(b for _, b in layers), act)


def _blocks(examples: int) -> Iterator[slice]:
    """Return the rows of as few blocks as possible, of about equal lengths."""
    count = -(-examples // _BLOCK)
    return (slice(i * examples // count, (i + 1) * examples // count) for i in range(count))


class Objective:
    """The mean loss L(theta) = (1/m) sum_i l(f(x_i; theta), y_i) of networks of one layout.

    f = z^(L+1) with z^1 = W_1 x + b_1, z^(l+1) = W_(l+1) s(z^l) + b_(l+1). x `(m, n_0)` and y
    `(m, n_(L+1))`, one-hot for classes, are kept in `dtype`, the type of theta; the activation is
    evaluated in float64 and rounded. `nnth.activation` defines derivatives at kinks. Sums run over
    blocks of up to 512 examples in order.
    """

    def __init__(
        self,
        layout: ParameterLayout,
        act: Activation,
        loss: Loss,
        x: Floats,
        y: Floats,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.layout, self.act, self.loss = layout, act, LOSSES[loss]
        self.x, self.y = (np.ascontiguousarray(a, dtype=dtype) for a in (x, y))
        self.dtype = np.dtype(dtype)
        rows, widths = min(_BLOCK, len(x)), layout.sizes[1:]
        # Workspaces are allocated once, as allocating large arrays would take the most time.
        self._z, self._h, self._derivative, self._delta = (
            [np.empty((rows, width), self.dtype) for width in widths] for _ in range(4)
        )
        self._buffers = [
            np.empty_like(w) for w, _ in layout.layers(np.empty(layout.size, self.dtype))
        ]

    def outputs(self, theta: Array, x: Array | None = None) -> Array:
        """Return the outputs `(m, n_(L+1))`, for the inputs x if they are given."""
        return self.features(theta, x)[1]

    def features(self, theta: Array, x: Array | None = None) -> tuple[Array, Array]:
        """Return the last features `(m, n_L)` and the outputs."""
        h = self.x if x is None else np.ascontiguousarray(x, dtype=self.dtype)
        layers = self.layout.layers(theta)
        for w, b in layers[:-1]:
            z = h @ w.T
            z += b
            h = self._values(z)
        return h, h @ layers[-1][0].T + layers[-1][1]

    def hidden(self, theta: Array) -> Iterator[tuple[Array, Array]]:
        """Yield values s(z^l) and derivatives s'(z^l) `(m, n_l)` of the hidden layers, in order."""
        h = self.x
        for w, b in self.layout.layers(theta)[:-1]:
            z = h @ w.T
            z += b
            h, derivative = np.empty_like(z), np.empty_like(z)
            self._evaluate(z, h, derivative)
            yield h, derivative

    def gradient(
        self, theta: Array, examples: NDArray[np.intp] | None = None
    ) -> tuple[float, Array]:
        """Return L and its gradient `(P,)`, over a batch of examples if they are given."""
        x, y = (self.x, self.y) if examples is None else (self.x[examples], self.y[examples])
        gradient = np.zeros(self.layout.size, self.dtype)
        layers, gradients = self.layout.layers(theta), self.layout.layers(gradient)
        total = 0.0
        for rows in _blocks(len(x)):
            total += self._add_gradient(layers, gradients, x[rows], y[rows])
        gradient /= len(x)
        return total / len(x), gradient

    def value(self, theta: Array) -> float:
        """Return L alone."""
        outputs = self.outputs(theta)
        return self.loss.value_and_gradient(outputs, self.y)[0] / len(self.x)

    def at(self, theta: Array) -> Curvature:
        """Return the curvature at theta, ready for products with many vectors."""
        return Curvature(self, theta)

    def _add_gradient(
        self,
        layers: list[tuple[Array, Array]],
        gradients: list[tuple[Array, Array]],
        x: Array,
        y: Array,
    ) -> float:
        n = len(x)
        inputs = [x]
        for layer, (w, b) in enumerate(layers):
            z = np.matmul(inputs[-1], w.T, out=self._z[layer][:n])
            z += b
            if layer + 1 < len(layers):
                h, derivative = self._h[layer][:n], self._derivative[layer][:n]
                self._evaluate(z, h, derivative)
                inputs.append(h)
        value, delta = self.loss.value_and_gradient(z, y)
        for layer in reversed(range(len(layers))):
            gradient_w, gradient_b = gradients[layer]
            gradient_w += np.matmul(delta.T, inputs[layer], out=self._buffers[layer])
            gradient_b += delta.sum(axis=0)
            if layer:
                before = self._delta[layer - 1][:n]
                delta = np.matmul(delta, layers[layer][0], out=before)
                delta *= self._derivative[layer - 1][:n]
        return value

    def _evaluate(self, z: Array, h: Array, derivative: Array) -> None:
        if self.dtype == np.float64:
            self.act.core.evaluate_into(z, h, derivative)
            return
        wide = z.astype(np.float64)
        values, derivatives = np.empty_like(wide), np.empty_like(wide)
        self.act.core.evaluate_into(wide, values, derivatives)
        h[...], derivative[...] = values, derivatives

    def _values(self, z: Array) -> Array:
        wide = np.ascontiguousarray(z, dtype=np.float64)
        values = np.empty_like(wide)
        self.act.core.evaluate_into(wide, values, None)
        return values.astype(self.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class _Layer:
    """Activations and errors cached for one layer l and one block of n examples.

    `inputs` is h^(l-1) `(n, n_(l-1))`, and `delta` the gradient of the loss in z^l. Hidden layers
    also have `derivative`, s'(z^l), and `second_derivative`, s''(z^l) times the gradient in h^l.
    """

    inputs: Array
    delta: Array
    derivative: Array | None
    second_derivative: Array | None


class Curvature:
    """The loss at one theta: value, gradient, and products with Hessian and Gauss-Newton matrix.

    It keeps 4 numbers per example and neuron. A product takes the time of two to three gradients.

    Source: Pearlmutter (1994), Neural Computation 6, 147; for the Gauss-Newton matrix
    G = (1/m) sum_i J_i^T l''(f_i) J_i, Schraudolph (2002), Neural Computation 14, 1723.
    """

    def __init__(self, objective: Objective, theta: Array) -> None:
        self._objective, self._layout = objective, objective.layout
        self._weights = [w for w, _ in self._layout.layers(theta)]
        self.gradient = np.zeros(self._layout.size, objective.dtype)
        self.outputs = np.empty_like(objective.y)
        layers, gradients = self._layout.layers(theta), self._layout.layers(self.gradient)
        most, widths = min(_BLOCK, len(objective.x)), self._layout.sizes[1:]
        self._z, self._h, self._back, self._products = (
            [np.empty((most, width), objective.dtype) for width in widths] for _ in range(4)
        )
        self._buffers = [np.empty_like(w) for w in self._weights]
        total = 0.0
        self._blocks: list[tuple[list[_Layer], Array]] = []
        for rows in _blocks(len(objective.x)):
            block, value, self.outputs[rows] = self._block(layers, rows)
            self._blocks.append((block, objective.loss.state(self.outputs[rows])))
            total += value
            for layer, (gradient_w, gradient_b) in zip(block, gradients, strict=True):
                gradient_w += layer.delta.T @ layer.inputs
                gradient_b += layer.delta.sum(axis=0)
        self.gradient /= len(objective.x)
        self.value = total / len(objective.x)

    def hessian(self, v: Array) -> Array:
        """Return the Hessian times a vector `(P,)`."""
        return self._product(v, gauss_newton=False)

    def gauss_newton(self, v: Array) -> Array:
        """Return the Gauss-Newton matrix times a vector `(P,)`."""
        return self._product(v, gauss_newton=True)

    def output_change(self, v: Array) -> Array:
        """Return J v `(m, outputs)`, the derivative of the outputs along a vector `(P,)`."""
        directions = self._layout.layers(v)
        return np.concatenate(
            [self._forward(block, directions).copy() for block, _ in self._blocks]
        )

    def pull_back(self, u: Array) -> Array:
        """Return J^T u `(P,)` = sum_i J_i^T u_i for u `(m, outputs)`."""
        out = np.zeros(self._layout.size, self._objective.dtype)
        gradients = self._layout.layers(out)
        start = 0
        for block, state in self._blocks:
            change = u[start : start + len(state)]
            start += len(state)
            self._backward(block, gradients, change, None)
        return out

    def error_signals(self, u: Array) -> list[Array]:
        """Return the pull-back of u `(m, outputs)` to the z^l `(m, n_l)` of every layer."""
        found: list[list[Array]] = [[] for _ in self._weights]
        start = 0
        for block, state in self._blocks:
            delta = u[start : start + len(state)]
            start += len(state)
            for layer in reversed(range(len(block))):
                found[layer].append(delta)
                if layer:
                    delta = (delta @ self._weights[layer]) * block[layer - 1].derivative
        return [np.concatenate(parts) for parts in found]

    def layer_inputs(self) -> list[Array]:
        """Return the inputs of every layer: x `(m, n_0)`, h^1 `(m, n_1)`, ..., h^L."""
        blocks = [block for block, _ in self._blocks]
        return [
            np.concatenate([block[layer].inputs for block in blocks])
            for layer in range(len(self._weights))
        ]

    def _block(
        self, layers: list[tuple[Array, Array]], rows: slice
    ) -> tuple[list[_Layer], float, Array]:
        objective = self._objective
        h = objective.x[rows]
        inputs, derivatives, second_derivatives = [h], [], []
        for layer, (w, b) in enumerate(layers):
            z = h @ w.T
            z += b
            if layer + 1 < len(layers):
                parts = objective.act.core.evaluate(np.asarray(z, np.float64).ravel())
                h, derivative, second_derivative = (
                    p.reshape(z.shape).astype(z.dtype, copy=False) for p in parts
                )
                inputs.append(h)
                derivatives.append(derivative)
                second_derivatives.append(second_derivative)
        value, delta = objective.loss.value_and_gradient(z, objective.y[rows])
        found = [_Layer(inputs[-1], delta, None, None)]
        for layer in reversed(range(len(derivatives))):
            back = delta @ layers[layer + 1][0]
            delta = back * derivatives[layer]
            second_derivatives[layer] *= back
            found.append(
                _Layer(inputs[layer], delta, derivatives[layer], second_derivatives[layer])
            )
        return found[::-1], value, z

    def _product(self, v: Array, *, gauss_newton: bool) -> Array:
        out = np.zeros(self._layout.size, self._objective.dtype)
        gradients, directions = self._layout.layers(out), self._layout.layers(v)
        for block, state in self._blocks:
            change = self._forward(block, directions)
            curved = self._objective.loss.curvature(state, change)
            self._backward(block, gradients, curved, None if gauss_newton else directions)
        out /= len(self._objective.x)
        return out

    def _forward(self, block: list[_Layer], directions: list[tuple[Array, Array]]) -> Array:
        """Return the derivative of the outputs along a vector, keeping those of z^l and h^l."""
        n = len(block[0].inputs)
        for layer, (v, c) in enumerate(directions):
            z, product = self._z[layer][:n], self._products[layer][:n]
            np.matmul(block[layer].inputs, v.T, out=z)
            if layer:
                z += np.matmul(self._h[layer - 1][:n], self._weights[layer].T, out=product)
            z += c
            derivative = block[layer].derivative
            if derivative is not None:
                np.multiply(derivative, z, out=self._h[layer][:n])
        return z

    def _backward(
        self,
        block: list[_Layer],
        gradients: list[tuple[Array, Array]],
        change: Array,
        directions: list[tuple[Array, Array]] | None,
    ) -> None:
        """Add J^T change to `gradients`, and with directions the term from the derivative of J."""
        n = len(change)
        for layer in reversed(range(len(block))):
            here = block[layer]
            gradient_w, gradient_b = gradients[layer]
            product = self._buffers[layer]
            gradient_w += np.matmul(change.T, here.inputs, out=product)
            gradient_b += change.sum(axis=0)
            if not layer:
                return
            below = block[layer - 1]
            back, other = self._back[layer - 1][:n], self._products[layer - 1][:n]
            np.matmul(change, self._weights[layer], out=back)
            if directions is not None:
                gradient_w += np.matmul(here.delta.T, self._h[layer - 1][:n], out=product)
                back += np.matmul(here.delta, directions[layer][0], out=other)
            back *= below.derivative
            if directions is not None and below.second_derivative is not None:
                back += np.multiply(below.second_derivative, self._z[layer - 1][:n], out=other)
            change = back
