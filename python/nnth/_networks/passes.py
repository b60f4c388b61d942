"""The forward and the backward pass of fully connected networks: the only ones in Python.

The networks are z^1 = W_1 x + b_1, z^l = W_l h^(l-1) + b_l with h^l = s_l(z^l), and the outputs are
the z of the last layer. One network has layers of shapes W_l `(n_l, n_(l-1))` and b_l `(n_l,)`, and
an ensemble `(networks, n_l, n_(l-1))` and `(networks, n_l)`. Inputs are `(m, n_0)`, or one set for
each network, `(networks, m, n_0)`; the arrays of a layer are `(m, n_l)` or `(networks, m, n_l)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import Activation

Array: TypeAlias = NDArray[Any]  # float64, or float32 where a training is asked for in that
Layers: TypeAlias = Sequence[tuple[Array, Array | None]]  # W_l and b_l, None without biases


_EMPTY: Final = np.empty(0)
_NAMES: Final = (("h",), ("h", "derivative"), ("h", "derivative", "second derivative"))


class Workspace:
    """Arrays that are used again: allocating large ones would take most of the time of a pass."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], tuple[Array, Array]] = {}
        self._products: dict[tuple[str, int], tuple[Any, Array]] = {}

    def array(self, name: str, layer: int, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return the array of this name and layer, with the values of its last use or any.

        Its memory is that of the largest array so far: the last block of examples is often smaller.
        """
        memory, array = self._kept.get((name, layer), (_EMPTY, _EMPTY))
        if array.shape == shape and array.dtype == dtype:
            return array
        size = math.prod(shape)
        if memory.size < size or memory.dtype != dtype:
            memory = np.empty(size, dtype)
        array = memory[:size].reshape(shape)
        self._kept[name, layer] = memory, array
        return array

    def product(self, name: str, layer: int, x: Array, w: Array, *, shared: bool = False) -> Array:
        """Return the array of this name and layer for x W^T; layers may share its memory."""
        # To find shape and type anew would take a tenth of the step of a small network.
        operands = (x.shape, w.shape, x.dtype, w.dtype)
        known, array = self._products.get((name, layer), (None, _EMPTY))
        if known != operands:
            shape, place = _product_shape(x, w), 0 if shared else layer
            array = self.array(name, place, shape, np.result_type(x, w))
            self._products[name, layer] = operands, array
        return array


class Allocation(Workspace):
    """New arrays at each use, for passes that are kept."""

    def array(self, name: str, layer: int, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a new array."""
        return np.empty(shape, dtype)

    def product(self, name: str, layer: int, x: Array, w: Array, *, shared: bool = False) -> Array:
        """Return a new array for x W^T."""
        return np.empty(_product_shape(x, w), np.result_type(x, w))


@dataclass(eq=False, slots=True)  # made in each step, and frozen it would take longer
class Pass:
    """The values of a network on some inputs.

    inputs: h^0 = x, h^1, ..., h^L; outputs: z^(L+1); derivatives: s'(z^l) of the hidden layers,
    empty for a pass without derivatives; second_derivatives: s''(z^l), empty below order 2.
    """

    layers: Layers
    inputs: list[Array]
    outputs: Array
    derivatives: list[Array]
    second_derivatives: list[Array]


def forward(
    layers: Layers,
    acts: Sequence[Activation],
    x: Array,
    *,
    order: Literal[0, 1, 2] = 0,
    gates: Sequence[Array] | None = None,
    workspace: Workspace | None = None,
) -> Pass:
    """Return the values of the layers, with derivatives of the activations up to `order`.

    The activations are evaluated in float64 and rounded to the type of z. With `gates`, arrays for
    the hidden layers, h^l is the gate times z^l in place of s_l(z^l).
    """
    workspace = workspace or Allocation()
    inputs, derivatives, second_derivatives = [x], [], []
    for layer, (w, b) in enumerate(layers):
        last = layer + 1 == len(layers)
        # Only the z of the last layer are kept.
        z = workspace.product("outputs" if last else "z", layer, inputs[-1], w, shared=True)
        np.matmul(inputs[-1], w.swapaxes(-1, -2), out=z)
        if b is not None:
            z += b[..., None, :]
        if last:
            break
        values = [workspace.array(name, layer, z.shape, z.dtype) for name in _NAMES[order]]
        if gates is None:
            _evaluate(acts[layer], z, values)
        else:
            _gate(gates[layer], z, values)
        inputs.append(values[0])
        derivatives += values[1:2]
        second_derivatives += values[2:]
    return Pass(layers, inputs, z, derivatives, second_derivatives)


def backward(
    run: Pass, delta: Array, *, last: int = 0, workspace: Workspace | None = None
) -> Iterator[tuple[int, Array]]:
    """Yield l - 1 and the gradients in z^l, from the last layer down to the layer `last`.

    delta: the gradients of some function of the outputs in z^(L+1). Of a loss, the gradient in W_l
    is the sum over the examples of delta^l times the input of the layer, and that in b_l the sum of
    delta^l. `delta` may have more axes before those of the outputs. The arrays of a workspace are
    overwritten by the next backward pass.
    """
    workspace = workspace or Allocation()
    for layer in range(len(run.layers) - 1, last - 1, -1):
        yield layer, delta
        if layer > last:
            w = run.layers[layer][0]
            before = workspace.product("delta", layer - 1, delta, w.swapaxes(-1, -2))
            # One output makes outer products, which are faster as such.
            product = np.matmul if delta.shape[-1] > 1 else np.multiply
            delta = product(delta, w, out=before)
            delta *= run.derivatives[layer - 1]


@dataclass(frozen=True, eq=False)
class Tangent:
    """The derivatives of a pass along a direction of its parameters.

    directions: the change of W_l and b_l. z: those of z^l, inputs: those of h^0 = x, which is None
    for 0, h^1, ..., h^L; outputs: those of z^(L+1), which is J v.
    """

    directions: Layers
    z: list[Array]
    inputs: list[Array | None]

    @property
    def outputs(self) -> Array:
        """The derivatives of the outputs, J v."""
        return self.z[-1]


def tangent(run: Pass, directions: Layers, *, workspace: Workspace | None = None) -> Tangent:
    """Return the derivatives of the values of a pass along a direction of its parameters."""
    workspace = workspace or Allocation()
    changes: list[Array] = []
    inputs: list[Array | None] = [None]
    for layer, (v, c) in enumerate(directions):
        moved = inputs[-1]
        z = workspace.product("tangent", layer, run.inputs[layer], v)
        np.matmul(run.inputs[layer], v.swapaxes(-1, -2), out=z)
        if moved is not None:
            other = workspace.array("product", layer, z.shape, z.dtype)
            w = run.layers[layer][0].swapaxes(-1, -2)
            z += np.matmul(moved, w, out=other)
        if c is not None:
            z += c[..., None, :]
        changes.append(z)
        if layer + 1 < len(directions):
            h = workspace.array("moved", layer, z.shape, z.dtype)
            inputs.append(np.multiply(run.derivatives[layer], z, out=h))
    return Tangent(directions, changes, inputs)


def backward_tangent(
    run: Pass,
    deltas: Sequence[Array],
    along: Tangent,
    change: Array,
    curvatures: Sequence[Array],
    *,
    workspace: Workspace | None = None,
) -> Iterator[tuple[int, Array]]:
    """Yield l - 1 and the derivative of delta^l along a direction, from the last layer on.

    deltas: the gradients in z^1, ..., z^(L+1) of the backward pass; change: the derivative of the
    last one; curvatures: s''(z^l) times the gradient in h^l of the hidden layers. Pearlmutter
    (1994), written out for fully connected layers.
    """
    workspace = workspace or Allocation()
    for layer in range(len(run.layers) - 1, -1, -1):
        yield layer, change
        if not layer:
            return
        w, v = run.layers[layer][0], along.directions[layer][0]
        back = workspace.product("back", layer - 1, change, w.swapaxes(-1, -2))
        np.matmul(change, w, out=back)
        other = workspace.array("product", layer - 1, back.shape, back.dtype)
        back += np.matmul(deltas[layer], v, out=other)
        back *= run.derivatives[layer - 1]
        back += np.multiply(curvatures[layer - 1], along.z[layer - 1], out=other)
        change = back


def _product_shape(x: Array, w: Array) -> tuple[int, ...]:
    """Return the shape of x W^T."""
    return (*np.broadcast_shapes(x.shape[:-2], w.shape[:-2]), x.shape[-2], w.shape[-2])


def _evaluate(act: Activation, z: Array, values: list[Array]) -> None:
    """Fill `values` with s(z) and as many derivatives as there are arrays."""
    if len(values) > 2:
        parts = act.core.evaluate(np.asarray(z, np.float64).ravel())
        for value, part in zip(values, parts, strict=True):
            value[...] = part.reshape(z.shape)
        return
    wide = z.dtype == np.float64
    into = values if wide else [np.empty(z.shape) for _ in values]
    source = z if wide else z.astype(np.float64)
    act.core.evaluate_into(source, into[0], into[1] if len(into) > 1 else None)
    if not wide:
        for value, part in zip(values, into, strict=True):
            value[...] = part


def _gate(gate: Array, z: Array, values: list[Array]) -> None:
    np.multiply(gate, z, out=values[0])
    for value, fill in zip(values[1:], (gate, 0.0), strict=False):
        value[...] = fill
