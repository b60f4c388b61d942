"""Derivatives of the outputs: per-example gradients, tangent kernels, second-order expansions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnth._lab.model import Model
from nnth._networks.passes import Array, Pass, backward, backward_tangent, tangent
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats


def output_gradients(model: Model, theta: Array, x: Array) -> tuple[Floats, Floats]:
    """Return the outputs `(..., m, k)` and their gradients in theta `(..., m, k, P)`.

    theta: `(P,)` or `(networks, P)`; x: `(m, n_0)` or `(networks, m, n_0)`; k = n_(L+1).

    Raises MemoryError, with the size, if the gradients do not fit in memory.
    """
    networks = int(np.prod(theta.shape[:-1], dtype=object))
    needed = 8 * networks * x.shape[-2] * model.sizes[-1] * model.size
    check_memory(needed, "points must be fewer: the gradients of their outputs", fraction=0.5)
    run = model.run(theta, x, order=1)
    gradients = np.empty((*run.outputs.shape, model.size))
    for k in range(model.sizes[-1]):
        place = gradients[..., k, :]
        for layer, delta in backward(run, _unit(run.outputs, k)):
            _fill_outer(model, layer, place, delta, run.inputs[layer])
    if model.multipliers is not None:
        gradients *= model.multipliers
    return run.outputs, gradients


@dataclass(frozen=True, eq=False)
class Expansion:
    """Outputs `(m, k)`, gradients `(m, k, P)` and Hessians `(m, k, P, P)` at some parameters."""

    outputs: Floats
    gradients: Floats
    hessians: Floats


def expansion(model: Model, theta: Array, x: Array) -> Expansion:
    """Return the outputs of a network `(P,)` on x `(m, n_0)` to second order in its parameters.

    f(theta + t) = outputs + gradients t + t^T hessians t/2 + O(t^3). The Hessians are the
    derivatives of the backward pass along each parameter (Pearlmutter 1994).

    Raises MemoryError, with the size, if the Hessians do not fit in memory.
    """
    p, m, outputs = model.size, len(x), model.sizes[-1]
    needed = 8 * (2 * m * outputs * p * p + 6 * p * m * sum(model.sizes))
    check_memory(needed, "points or parameters must be fewer: the Hessians of the outputs")
    run = model.run(theta, x, order=2)
    gradients, hessians = np.empty((m, outputs, p)), np.empty((m, outputs, p, p))
    along = tangent(run, model.effective_layers(np.eye(p)))
    for k in range(outputs):
        deltas = [delta for _, delta in backward(run, _unit(run.outputs, k))][::-1]
        for layer, delta in enumerate(deltas):
            _fill_outer(model, layer, gradients[:, k], delta, run.inputs[layer])
        curvatures = [
            second * (deltas[layer + 1] @ run.layers[layer + 1][0])
            for layer, second in enumerate(run.second_derivatives)
        ]
        still = np.zeros((p, m, outputs))
        place = hessians[:, k].transpose(1, 0, 2)  # the direction, the example, the parameter
        for layer, moved in backward_tangent(run, deltas, along, still, curvatures):
            _fill_outer(model, layer, place, moved, run.inputs[layer])
            h = along.inputs[layer]
            if h is not None:
                weights = model.slices[layer][0]
                product = deltas[layer][..., :, None] * h[..., None, :]
                place[..., weights] += product.reshape(*product.shape[:-2], -1)
    if model.multipliers is not None:
        gradients *= model.multipliers
        hessians *= model.multipliers
    return Expansion(run.outputs, gradients, hessians)


def tangent_kernel(
    model: Model,
    theta: Array,
    x: Array,
    x_test: Array | None = None,
    *,
    full: bool = False,
    by_layer: bool = False,
) -> Floats:
    """Return the empirical tangent kernel J R J^T, R the learning rates of the parameters over eta.

    The Jacobian is never formed: the kernel is a sum over layers of products of two Gram matrices,
    that of the inputs of the layer and that of the gradients in z^l (Novak et al. 2022).

    Args:
        model: The model; its learning rates are included, so that f moves by
            -eta kernel l'(f) under gradient flow.
        theta: Parameters `(P,)` or `(networks, P)`.
        x: Inputs `(m, n_0)` or `(networks, m, n_0)`: the columns.
        x_test: Other inputs for the rows; by default x.
        full: Whether to return the kernel of each pair of outputs in place of the trace, the sum
            over equal outputs.
        by_layer: Whether to return the contribution of each layer in place of their sum.

    Returns:
        An array `(..., rows, m)`, or `(..., rows, m, outputs, outputs)` if full; with `by_layer` it
        has the layers as its first axis.

    Raises:
        MemoryError: If the kernel does not fit in memory.

    Cost: for each layer and output, or pair of outputs if full, two products of matrices.
    """
    columns = model.run(theta, x, order=1)
    rows = columns if x_test is None else model.run(theta, x_test, order=1)
    outputs = model.sizes[-1]
    shape = (*columns.outputs.shape[:-2], rows.outputs.shape[-2], x.shape[-2])
    pairs = [(k, j) for k in range(outputs) for j in range(outputs)]
    chosen = pairs if full else [(k, k) for k in range(outputs)]
    count = len(model.scales) if by_layer else 1
    needed = 8 * count * int(np.prod(shape, dtype=object)) * (len(pairs) if full else 1)
    check_memory(needed, "points must be fewer: their tangent kernel", fraction=0.5)
    found = np.zeros((count, *shape, *((outputs, outputs) if full else ())))
    signals_of_columns = _signals(columns)
    signals_of_rows = signals_of_columns if rows is columns else _signals(rows)
    for layer in range(len(model.scales)):
        inner = _inner_products(model, layer, rows, columns)
        for k, j in chosen:
            left, right = signals_of_rows[k][layer], signals_of_columns[j][layer]
            part = inner * np.matmul(left, np.swapaxes(right, -1, -2))
            place = found[layer if by_layer else 0]
            if full:
                place[..., k, j] += part
            else:
                place += part
    return found if by_layer else np.asarray(found[0])


def _inner_products(model: Model, layer: int, rows: Pass, columns: Pass) -> Floats:
    """Return the inner products of the inputs of a layer, scaled as its parameters are trained."""
    scale = model.scales[layer]
    right = np.swapaxes(columns.inputs[layer], -1, -2)
    inner = np.matmul(rows.inputs[layer], right)
    inner *= scale.weight_rate * scale.weight_multiplier**2
    if model.biased[layer]:
        inner += scale.bias_rate * scale.bias_multiplier**2
    return np.asarray(inner)


def _signals(run: Pass) -> list[list[Array]]:
    """Return the gradients of each output in the z^l of every layer."""
    outputs = run.outputs.shape[-1]
    return [
        [delta for _, delta in backward(run, _unit(run.outputs, k))][::-1] for k in range(outputs)
    ]


def _unit(outputs: Array, k: int) -> Array:
    unit = np.zeros_like(outputs)
    unit[..., k] = 1.0
    return unit


def _fill_outer(model: Model, layer: int, place: Array, delta: Array, h: Array) -> None:
    """Fill in the gradients of a layer's parameters for each example: delta h^T and delta."""
    weights, biases = model.slices[layer]
    product = delta[..., :, None] * h[..., None, :]
    place[..., weights] = product.reshape(*product.shape[:-2], -1)
    if model.biased[layer]:
        place[..., biases] = delta
