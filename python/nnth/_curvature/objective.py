"""The loss of a network on its data as a function of its parameters, to second order.

The products with its Hessian are Pearlmutter's (1994) R-operator, written out for networks of
fully connected layers: exact, at the cost of two to three gradients.
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

# Examples that pass through the layers together, at most. Their arrays stay in a core's cache, and
# matrix products are as fast as with more.
_BLOCK: Final = 512


@dataclass(frozen=True)
class Shape:
    """A network's sizes n_0, ..., n_(L+1), and where its parameters are in one vector theta.

    theta `(size,)` is W_1 row by row, b_1, W_2, b_2, ..., as `nnth.random_network` draws them.
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


def shape_of(net: Network) -> Shape:
    """Return the sizes of a network."""
    return Shape((net.n0, *net.widths, net.n_out))


def theta_of(net: Network) -> Floats:
    """Return the parameters of a network as one vector."""
    layers = zip(net.weights, net.biases, strict=True)
    return np.concatenate([part for w, b in layers for part in (w.ravel(), b)])


def network_of(shape: Shape, theta: Array, act: str) -> Network:
    """Return the network with these parameters."""
    layers = shape.layers(np.asarray(theta, dtype=np.float64))
    return Network(tuple(w for w, _ in layers), tuple(b for _, b in layers), act)


def _blocks(examples: int) -> Iterator[slice]:
    """Rows of as few blocks as there can be, of about equal lengths."""
    count = -(-examples // _BLOCK)
    return (slice(i * examples // count, (i + 1) * examples // count) for i in range(count))


class Objective:
    """The mean loss L(theta) = (1/m) sum_i l(f(x_i; theta), y_i) of networks of one shape.

    f is z^(L+1) of z^1 = W_1 x + b_1, z^(l+1) = W_(l+1) s(z^l) + b_(l+1). x `(m, n_0)` and y
    `(m, n_(L+1))`, one-hot for classes, are kept in `dtype`, which theta is to have; the activation
    is evaluated in float64 and rounded. Slopes at kinks are those of the left side or 0, as
    `nnth.activation` has them. Sums run over blocks of up to 512 examples in order.
    """

    def __init__(
        self,
        shape: Shape,
        act: Activation,
        loss: Loss,
        x: Floats,
        y: Floats,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.shape, self.act, self.loss = shape, act, LOSSES[loss]
        self.x, self.y = (np.ascontiguousarray(a, dtype=dtype) for a in (x, y))
        self.dtype = np.dtype(dtype)
        rows, widths = min(_BLOCK, len(x)), shape.sizes[1:]
        # Made once: to get large arrays from the system would take longest.
        self._z, self._h, self._slope, self._delta = (
            [np.empty((rows, width), self.dtype) for width in widths] for _ in range(4)
        )
        self._moves = [np.empty_like(w) for w, _ in shape.layers(np.empty(shape.size, self.dtype))]

    def outputs(self, theta: Array, x: Array | None = None) -> Array:
        """Return the outputs `(m, n_(L+1))`, of other inputs where they are given."""
        return self.features(theta, x)[1]

    def features(self, theta: Array, x: Array | None = None) -> tuple[Array, Array]:
        """Return what the last layer gets, `(m, n_L)`, and its outputs."""
        h = self.x if x is None else np.ascontiguousarray(x, dtype=self.dtype)
        layers = self.shape.layers(theta)
        for w, b in layers[:-1]:
            z = h @ w.T
            z += b
            h = self._values(z)
        return h, h @ layers[-1][0].T + layers[-1][1]

    def hidden(self, theta: Array) -> Iterator[tuple[Array, Array]]:
        """Yield values s(z^l) and slopes s'(z^l) `(m, n_l)` of the hidden layers, in order."""
        h = self.x
        for w, b in self.shape.layers(theta)[:-1]:
            z = h @ w.T
            z += b
            h, slope = np.empty_like(z), np.empty_like(z)
            self._evaluate(z, h, slope)
            yield h, slope

    def gradient(
        self, theta: Array, examples: NDArray[np.intp] | None = None
    ) -> tuple[float, Array]:
        """Return L and its gradient `(P,)`, over some of the examples where these are given."""
        x, y = (self.x, self.y) if examples is None else (self.x[examples], self.y[examples])
        gradient = np.zeros(self.shape.size, self.dtype)
        layers, moves = self.shape.layers(theta), self.shape.layers(gradient)
        total = 0.0
        for rows in _blocks(len(x)):
            total += self._add_gradient(layers, moves, x[rows], y[rows])
        gradient /= len(x)
        return total / len(x), gradient

    def value(self, theta: Array) -> float:
        """Return L alone."""
        outputs = self.outputs(theta)
        return self.loss.value_and_slope(outputs, self.y)[0] / len(self.x)

    def at(self, theta: Array) -> Curvature:
        """Return the curvature at theta, ready for products with many vectors."""
        return Curvature(self, theta)

    def _add_gradient(
        self,
        layers: list[tuple[Array, Array]],
        moves: list[tuple[Array, Array]],
        x: Array,
        y: Array,
    ) -> float:
        n = len(x)
        inputs = [x]
        for layer, (w, b) in enumerate(layers):
            z = np.matmul(inputs[-1], w.T, out=self._z[layer][:n])
            z += b
            if layer + 1 < len(layers):
                h, slope = self._h[layer][:n], self._slope[layer][:n]
                self._evaluate(z, h, slope)
                inputs.append(h)
        value, delta = self.loss.value_and_slope(z, y)
        for layer in reversed(range(len(layers))):
            move_w, move_b = moves[layer]
            move_w += np.matmul(delta.T, inputs[layer], out=self._moves[layer])
            move_b += delta.sum(axis=0)
            if layer:
                before = self._delta[layer - 1][:n]
                delta = np.matmul(delta, layers[layer][0], out=before)
                delta *= self._slope[layer - 1][:n]
        return value

    def _evaluate(self, z: Array, h: Array, slope: Array) -> None:
        if self.dtype == np.float64:
            self.act.core.evaluate_into(z, h, slope)
            return
        wide = z.astype(np.float64)
        values, slopes = np.empty_like(wide), np.empty_like(wide)
        self.act.core.evaluate_into(wide, values, slopes)
        h[...], slope[...] = values, slopes

    def _values(self, z: Array) -> Array:
        wide = np.ascontiguousarray(z, dtype=np.float64)
        values = np.empty_like(wide)
        self.act.core.evaluate_into(wide, values, None)
        return values.astype(self.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class _Layer:
    """What a block of examples leaves in a layer: its input, and of hidden layers the rest.

    inputs: h^(l-1) `(n, n_(l-1))`. delta: of the loss in z^l. slope: s'(z^l). bend: s''(z^l) times
    the gradient of the loss in h^l.
    """

    inputs: Array
    delta: Array
    slope: Array | None
    bend: Array | None


class Curvature:
    """The loss at one theta: value, gradient, and products with Hessian and Gauss-Newton matrix.

    Keeps 4 numbers an example and neuron. A product takes two to three gradients' time.

    Source: Pearlmutter (1994), Neural Computation 6, 147; Schraudolph (2002), ibid. 14, 1723, of
    the Gauss-Newton matrix G = (1/m) sum_i J_i^T l''(f_i) J_i.
    """

    def __init__(self, objective: Objective, theta: Array) -> None:
        self._objective, self._shape = objective, objective.shape
        self._weights = [w for w, _ in self._shape.layers(theta)]
        self.gradient = np.zeros(self._shape.size, objective.dtype)
        self.outputs = np.empty_like(objective.y)
        layers, moves = self._shape.layers(theta), self._shape.layers(self.gradient)
        most, widths = min(_BLOCK, len(objective.x)), self._shape.sizes[1:]
        self._z, self._h, self._back, self._products = (
            [np.empty((most, width), objective.dtype) for width in widths] for _ in range(4)
        )
        self._moves = [np.empty_like(w) for w in self._weights]
        total = 0.0
        self._blocks: list[tuple[list[_Layer], Array]] = []
        for rows in _blocks(len(objective.x)):
            block, value, self.outputs[rows] = self._block(layers, rows)
            self._blocks.append((block, objective.loss.state(self.outputs[rows])))
            total += value
            for layer, (move_w, move_b) in zip(block, moves, strict=True):
                move_w += layer.delta.T @ layer.inputs
                move_b += layer.delta.sum(axis=0)
        self.gradient /= len(objective.x)
        self.value = total / len(objective.x)

    def hessian(self, v: Array) -> Array:
        """Return the Hessian times a vector `(P,)`."""
        return self._product(v, gauss_newton=False)

    def gauss_newton(self, v: Array) -> Array:
        """Return the Gauss-Newton matrix times a vector `(P,)`."""
        return self._product(v, gauss_newton=True)

    def output_change(self, v: Array) -> Array:
        """Return J v `(m, outputs)`: how the outputs change along a vector `(P,)`."""
        directions = self._shape.layers(v)
        return np.concatenate(
            [self._forward(block, directions).copy() for block, _ in self._blocks]
        )

    def pull_back(self, u: Array) -> Array:
        """Return J^T u `(P,)` = sum_i J_i^T u_i for u `(m, outputs)`."""
        out = np.zeros(self._shape.size, self._objective.dtype)
        moves = self._shape.layers(out)
        start = 0
        for block, state in self._blocks:
            change = u[start : start + len(state)]
            start += len(state)
            self._backward(block, moves, change, None)
        return out

    def error_signals(self, u: Array) -> list[Array]:
        """Return of every layer `(m, n_l)` the pull-back of u `(m, outputs)` to its z^l."""
        found: list[list[Array]] = [[] for _ in self._weights]
        start = 0
        for block, state in self._blocks:
            delta = u[start : start + len(state)]
            start += len(state)
            for layer in reversed(range(len(block))):
                found[layer].append(delta)
                if layer:
                    delta = (delta @ self._weights[layer]) * block[layer - 1].slope
        return [np.concatenate(parts) for parts in found]

    def layer_inputs(self) -> list[Array]:
        """Return of every layer what it gets: x `(m, n_0)`, h^1 `(m, n_1)`, ..., h^L."""
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
        inputs, slopes, bends = [h], [], []
        for layer, (w, b) in enumerate(layers):
            z = h @ w.T
            z += b
            if layer + 1 < len(layers):
                parts = objective.act.core.evaluate(np.asarray(z, np.float64).ravel())
                h, slope, bend = (p.reshape(z.shape).astype(z.dtype, copy=False) for p in parts)
                inputs.append(h)
                slopes.append(slope)
                bends.append(bend)
        value, delta = objective.loss.value_and_slope(z, objective.y[rows])
        found = [_Layer(inputs[-1], delta, None, None)]
        for layer in reversed(range(len(slopes))):
            back = delta @ layers[layer + 1][0]
            delta = back * slopes[layer]
            bends[layer] *= back
            found.append(_Layer(inputs[layer], delta, slopes[layer], bends[layer]))
        return found[::-1], value, z

    def _product(self, v: Array, *, gauss_newton: bool) -> Array:
        out = np.zeros(self._shape.size, self._objective.dtype)
        moves, directions = self._shape.layers(out), self._shape.layers(v)
        for block, state in self._blocks:
            change = self._forward(block, directions)
            curved = self._objective.loss.curvature(state, change)
            self._backward(block, moves, curved, None if gauss_newton else directions)
        out /= len(self._objective.x)
        return out

    def _forward(self, block: list[_Layer], directions: list[tuple[Array, Array]]) -> Array:
        """How the outputs change along a vector; the workspaces keep how z^l and h^l do."""
        n = len(block[0].inputs)
        for layer, (v, c) in enumerate(directions):
            z, product = self._z[layer][:n], self._products[layer][:n]
            np.matmul(block[layer].inputs, v.T, out=z)
            if layer:
                z += np.matmul(self._h[layer - 1][:n], self._weights[layer].T, out=product)
            z += c
            slope = block[layer].slope
            if slope is not None:
                np.multiply(slope, z, out=self._h[layer][:n])
        return z

    def _backward(
        self,
        block: list[_Layer],
        moves: list[tuple[Array, Array]],
        change: Array,
        directions: list[tuple[Array, Array]] | None,
    ) -> None:
        """Add J^T change to `moves`; with directions also what the change of J itself brings."""
        n = len(change)
        for layer in reversed(range(len(block))):
            here = block[layer]
            move_w, move_b = moves[layer]
            product = self._moves[layer]
            move_w += np.matmul(change.T, here.inputs, out=product)
            move_b += change.sum(axis=0)
            if not layer:
                return
            below = block[layer - 1]
            back, other = self._back[layer - 1][:n], self._products[layer - 1][:n]
            np.matmul(change, self._weights[layer], out=back)
            if directions is not None:
                move_w += np.matmul(here.delta.T, self._h[layer - 1][:n], out=product)
                back += np.matmul(here.delta, directions[layer][0], out=other)
            back *= below.slope
            if directions is not None and below.bend is not None:
                back += np.multiply(below.bend, self._z[layer - 1][:n], out=other)
            change = back
