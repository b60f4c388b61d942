"""Networks made for the exact calculus: with a level as their last layer, and of two networks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnth._networks.network import Network

Array = NDArray[np.float64]


def level_network(network: Network, threshold: float) -> Network:
    """Return a network whose last hidden layer has the pre-activations f and f - threshold.

    The latter are left out for the threshold 0. They are exact: where the difference of a bias and
    the threshold is not a double, a neuron that is always 1 has the weight -threshold.
    """
    weights, biases = list(network.weights), list(network.biases)
    if threshold != 0.0:
        shifted = _difference(biases[-1], np.full(network.n_out, threshold))
        if shifted is None:
            weights, biases = _with_one(weights, biases)
            unshifted = weights[-1]
            moved = unshifted.copy()
            moved[:, -1] = -threshold
            weights[-1] = np.vstack([unshifted, moved])
            biases[-1] = np.concatenate([biases[-1]] * 2)
        else:
            weights[-1] = np.vstack([weights[-1]] * 2)
            biases[-1] = np.concatenate([biases[-1], shifted])
    return Network(
        (*weights, np.ones((1, len(weights[-1])))), (*biases, np.zeros(1)), network.activation
    )


def difference_network(first: Network, second: Network, box: float) -> Network:
    """Return the network f - g on the box |x_j| <= box, exactly.

    Both are computed side by side. If one has fewer layers, the inputs pass through more layers
    before it, as x_j = (x_j + S) - S with neurons that are active on the whole box, which add no
    cells.
    """
    depth = max(first.depth, second.depth)
    if first.depth != second.depth:
        first, second = (_deepened(network, depth, box) for network in (first, second))
    weights = [np.vstack([first.weights[0], second.weights[0]])]
    for a, b in zip(first.weights[1:-1], second.weights[1:-1], strict=True):
        weights.append(np.block([[a, np.zeros((len(a), b.shape[1]))],
                                 [np.zeros((len(b), a.shape[1])), b]]))  # fmt: skip
    weights.append(np.hstack([first.weights[-1], -second.weights[-1]]))
    biases = [
        np.concatenate([a, b]) for a, b in zip(first.biases[:-1], second.biases[:-1], strict=True)
    ]
    output = _difference(first.biases[-1], second.biases[-1])
    biases.append(first.biases[-1] if output is None else output)
    if output is None:
        weights, biases = _with_one(weights, biases)
        weights[-1] = weights[-1].copy()
        weights[-1][:, -1] = -second.biases[-1]
    return Network(tuple(weights), tuple(biases), first.activation)


def _deepened(network: Network, depth: int, box: float) -> Network:
    """Return the same function on the box, with `depth` hidden layers."""
    added = depth - network.depth
    if added == 0:
        return network
    n0 = network.n0
    shift = math.ldexp(1.0, math.frexp(box)[1])  # a power of two above the box
    zero = np.zeros((n0, n0))
    first = np.vstack([np.eye(n0), zero])
    ones = np.concatenate([np.full(n0, shift), np.full(n0, shift)])
    weights, biases = [first], [ones]
    for _ in range(added - 1):
        weights.append(np.eye(2 * n0))
        biases.append(np.zeros(2 * n0))
    weights += [np.hstack([network.weights[0], -network.weights[0]]), *network.weights[1:]]
    biases += list(network.biases)
    return Network(tuple(weights), tuple(biases), network.activation)


def _with_one(weights: list[Array], biases: list[Array]) -> tuple[list[Array], list[Array]]:
    """Return the layers with a neuron in the last hidden layer that is 1, of weights 0."""
    weights, biases = list(weights), list(biases)
    weights[-2] = np.vstack([weights[-2], np.zeros((1, weights[-2].shape[1]))])
    biases[-2] = np.append(biases[-2], 1.0)
    weights[-1] = np.hstack([weights[-1], np.zeros((len(weights[-1]), 1))])
    return weights, biases


def _difference(a: Array, b: Array) -> Array | None:
    """Return a - b if all differences are doubles, otherwise None."""
    with np.errstate(over="ignore", invalid="ignore"):
        difference: Array = a - b
        # The error of a sum of two doubles (Knuth 1997, 4.2.2), 0 if it is one.
        part = difference - a
        error = (a - (difference - part)) - (b + part)
    return difference if np.isfinite(difference).all() and not error.any() else None
