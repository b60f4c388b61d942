"""Averages of a network over random points of a box, beside the exact ones."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._networks.network import Network
from nnth._regions.random_expectations import AVERAGES
from nnth._runtime import streams
from nnth._runtime.random import uniforms
from nnth._tables.statistics import mean_and_stderr

Array = NDArray[np.float64]

_CHUNK: Final = 2**22  # numbers of an array of the Monte Carlo average


def point_averages(
    network: Network,
    other: Network | None,
    threshold: float,
    limits: tuple[float, float],
    points: int,
    seed: int,
    sample: int,
) -> tuple[Array, Array]:
    """Return means over random points and their standard errors, `(outputs, AVERAGES)` each."""
    shape = (network.n_out, len(AVERAGES))
    if points == 0:
        return np.full(shape, math.nan), np.full(shape, math.nan)
    stream = streams.MEASURE_POINTS.first + sample
    size = max(1, _CHUNK // max(network.n0, *network.widths))
    values = []
    for start in range(0, points, size):
        count = min(size, points - start)
        u = uniforms(seed, stream, count * network.n0, start * network.n0)
        x = limits[0] + (limits[1] - limits[0]) * u.reshape(count, network.n0)
        f, gradient = _values_and_gradients(network, x)
        if other is not None:
            g, slope = _values_and_gradients(other, x)
            f, gradient = f - g, gradient - slope
        with np.errstate(over="ignore"):
            square = np.sum(gradient**2, axis=2)
            values.append(np.stack([f, f**2, square, (f > threshold).astype(np.float64)], axis=2))
    found = np.concatenate(values)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, stderr = mean_and_stderr(found)
    return np.asarray(mean), np.asarray(stderr)


def _values_and_gradients(network: Network, x: Array) -> tuple[Array, Array]:
    """Return the outputs `(points, n_out)` and their gradients `(points, n_out, n0)`."""
    hidden, masks = x, []
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        z = hidden @ weight.T + bias
        masks.append(z > 0.0)
        hidden = np.where(masks[-1], z, 0.0)
    output = hidden @ network.weights[-1].T + network.biases[-1]
    gradients = []
    for row in network.weights[-1]:
        back = np.broadcast_to(row, (len(x), len(row)))
        for mask, weight in zip(reversed(masks), reversed(network.weights[:-1]), strict=True):
            back = np.where(mask, back, 0.0) @ weight
        gradients.append(back)
    return output, np.stack(gradients, axis=1)
