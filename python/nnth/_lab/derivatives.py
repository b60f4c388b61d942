"""Derivatives of the outputs: per-example gradients, tangent kernels, second-order expansions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnth._lab.model import Model
from nnth._networks.passes import Array, Pass, backward, backward_tangent, tangent
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats


def output_gradients(model: Model, theta: Array, x: Array) -> tuple[Floats, Floats]:
    """Return the outputs of networks and their gradients in the parameters.

    Args:
        model: The model.
        theta: Parameters `(P,)` or `(networks, P)`.
        x: Inputs `(m, n_0)` or `(networks, m, n_0)`.

    Returns:
        The outputs `(..., m, k)` and their gradients `(..., m, k, P)`, k = n_(L+1).

    Raises:
        MemoryError: If the gradients do not fit in memory, with their size.

    Example:
        >>> from nnth import lab
        >>> model = lab.model(2, (8,), act="tanh")
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> theta = model.draw(seed=1)[0]
        >>> outputs, gradients = lab.output_gradients(model, theta, x)
        >>> gradients.shape == (3, 1, model.size)
        True
        >>> kernel = gradients[:, 0] @ gradients[:, 0].T
        >>> bool(np.allclose(kernel, lab.tangent_kernel(model, theta, x)))
        True
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
    """The outputs of a network on m inputs to second order in its parameters.

    Attributes:
        outputs: The outputs `(m, k)` at some parameters.
        gradients: Their gradients `(m, k, P)`.
        hessians: Their Hessians `(m, k, P, P)`.
    """

    outputs: Floats
    gradients: Floats
    hessians: Floats


def expansion(model: Model, theta: Array, x: Array) -> Expansion:
    """Return the outputs of a network to second order in its parameters.

    f(theta + t) = outputs + gradients t + t^T hessians t/2 + O(t^3). The Hessians are the
    derivatives of the backward pass along each parameter.

    Args:
        model: The model.
        theta: Parameters `(P,)`.
        x: Inputs `(m, n_0)`.

    Returns:
        An `Expansion`.

    Raises:
        MemoryError: If the Hessians do not fit in memory, with their size.

    Example:
        >>> from nnth import lab
        >>> model = lab.model(2, (4,), act="tanh")
        >>> theta, x = model.draw(seed=1)[0], np.array([[1.0, -1.0]])
        >>> found, t = lab.expansion(model, theta, x), np.full(model.size, 1e-3)
        >>> second = found.outputs + found.gradients @ t + found.hessians @ t @ t / 2
        >>> bool(np.allclose(model.outputs(theta + t, x), second, rtol=0, atol=1e-7))
        True

    Source: Pearlmutter (1994), Neural Computation 6, 147.
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
        MemoryError: If the kernel or the gradients of the widest layer do not fit in memory.

    Cost: the matrices of the trace take two products of matrices for the output layer and the last
    hidden layer, and one for each output in each layer before; the full kernel one for each pair.

    Example:
        >>> from nnth import lab
        >>> model = lab.model(2, (64, 64), act="tanh", parametrization="ntk")
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> lab.tangent_kernel(model, model.draw(10), x).shape
        (10, 3, 3)
        >>> lab.tangent_kernel(model, model.draw(10), x, x[:1], by_layer=True).shape
        (3, 10, 1, 3)

    Source: Novak et al. (2022), Fast finite width neural tangent kernel.
    """
    columns = model.run(theta, x, order=1)
    rows = columns if x_test is None else model.run(theta, x_test, order=1)
    return kernel_of_passes(model, rows, columns, full=full, by_layer=by_layer)


def kernel_of_passes(
    model: Model, rows: Pass, columns: Pass, *, full: bool = False, by_layer: bool = False
) -> Floats:
    """Return the tangent kernel of two passes with derivatives, or of one as rows and columns.

    The arguments `full` and `by_layer`, and the result, are those of `tangent_kernel`.
    """
    outputs, layers = model.sizes[-1], len(model.scales)
    shape = (*columns.outputs.shape[:-2], rows.outputs.shape[-2], columns.outputs.shape[-2])
    own = (outputs, outputs) if full else ()
    count = int(np.prod(shape, dtype=object))
    kernels = (layers if by_layer else 1) * count * (outputs**2 if full else 1)
    signals = 2 * outputs * sum(shape[-2:]) * max(model.sizes[1:])
    check_memory(8 * (kernels + 2 * count + signals), "points must be fewer: their tangent kernel")
    found = np.zeros((layers if by_layer else 1, *shape, *own))
    of_outputs = _pairs if full else _trace
    for layer, part in of_outputs(rows, columns):
        if not model.scales[layer].trained:
            continue
        inner = _inner_products(model, layer, rows, columns)
        part *= inner[..., None, None] if full else inner
        found[layer if by_layer else 0] += part
    return found if by_layer else np.asarray(found[0])


def _inner_products(model: Model, layer: int, rows: Pass, columns: Pass) -> Floats:
    """Return the inner products of the inputs of a layer, scaled as its parameters are trained."""
    scale = model.scales[layer]
    inner = _gram(rows.inputs[layer], columns.inputs[layer])
    inner *= scale.weight_rate * scale.weight_multiplier**2
    if model.biased[layer]:
        inner += scale.bias_rate * scale.bias_multiplier**2
    return inner


def _trace(rows: Pass, columns: Pass) -> Iterator[tuple[int, Floats]]:
    """Yield the sum over outputs of the inner products of the gradients in z^l, layer by layer.

    The gradients are W_(L+1)[k] s'(z^L) in the last hidden layer, so that the sum is one product,
    with the squares of the columns of W_(L+1).
    """
    last = len(rows.layers) - 1
    outputs = rows.outputs.shape[-1]
    yield last, np.full((*rows.outputs.shape[:-1], columns.outputs.shape[-2]), float(outputs))
    if not last:
        return
    squares = (rows.layers[last][0] ** 2).sum(axis=-2)[..., None, :]
    yield last - 1, _gram(rows.derivatives[-1] * squares, columns.derivatives[-1])
    for layer, left, right in _signals_of_both(rows, columns):
        if layer < last - 1:
            total = _gram(left[0], right[0])
            for one, other in zip(left[1:], right[1:], strict=True):
                total += _gram(one, other)
            yield layer, total


def _pairs(rows: Pass, columns: Pass) -> Iterator[tuple[int, Floats]]:
    """Yield the inner products of the gradients of each pair of outputs in z^l, layer by layer."""
    for layer, left, right in _signals_of_both(rows, columns):
        yield layer, np.moveaxis(_gram(left[:, None], right[None]), (0, 1), (-2, -1))


def _signals_of_both(rows: Pass, columns: Pass) -> Iterator[tuple[int, Array, Array]]:
    """Yield the signals of two passes by layer; of one pass the same array twice."""
    if rows is columns:
        yield from ((layer, signal, signal) for layer, signal in _signals(rows))
        return
    for (layer, left), (_, right) in zip(_signals(rows), _signals(columns), strict=True):
        yield layer, left, right


def _signals(run: Pass) -> Iterator[tuple[int, Array]]:
    """Yield the gradients of every output in z^l `(outputs, ..., m, n_l)`, from the last layer."""
    outputs = run.outputs.shape[-1]
    units = np.zeros((outputs, *run.outputs.shape))
    for k in range(outputs):
        units[k, ..., k] = 1.0
    return backward(run, units)


def _gram(rows: Array, columns: Array) -> Floats:
    """Return the inner products of rows and columns."""
    return np.asarray(np.matmul(rows, columns.swapaxes(-1, -2)))


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
