"""Samples of each layer's contribution to the tangent kernel of one input.

Gaussian weights act on a given vector through its norm alone. So a layer is drawn as u = W h,
normal of variance cw |h|^2/n, and in the backward pass as W^T g given W h = u,

    W^T g = h (u.g)/|h|^2 + sqrt(cw/n) |g| (xi - h (h.xi)/|h|^2),   xi standard normal:

O(n) numbers a layer instead of n^2, with exactly the same distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import Activation
from nnth._runtime.random import normals

Array = NDArray[np.float64]

_NUMBERS_PER_BATCH: Final = 2**20


@dataclass(frozen=True)
class SamplingSpec:
    """A random network of one output with hidden `widths` and an input of |x|^2 = norm n0."""

    act: Activation
    n0: int
    widths: tuple[int, ...]
    norm: float
    cb: float
    cw: float

    @property
    def draws(self) -> int:
        """The number of random numbers that a network takes."""
        return (2 + (self.cb > 0.0)) * sum(self.widths)


@dataclass(frozen=True)
class Moments:
    """Mean, standard error and skewness of a nonnegative statistic over `count` networks.

    Arrays have the shape of the statistic. largest_fraction: fraction of the sum that comes from
    the network with the largest value.
    """

    count: int
    mean: Array
    stderr: Array
    largest_fraction: Array
    skewness: Array


def layer_sums(spec: SamplingSpec, seed: int, start: int, count: int, *, threads: int = 0) -> Array:
    """Return sum_ij (dz/dW_ij)^2 and sum_i (dz/db_i)^2 of each layer of random networks.

    Network s uses stream s of the seed, s = start, ..., start + count - 1. Returns `(count, L + 1,
    2)`, weights and biases of layers 1..L+1. Memory: 8 bytes a random number, two or three numbers
    a neuron.
    """
    draws = np.stack([normals(seed, start + s, spec.draws, threads=threads) for s in range(count)])
    taken = 0

    def take(n: int) -> Array:
        nonlocal taken
        taken += n
        block: Array = draws[:, taken - n : taken]
        return block

    squares = [np.full(count, spec.norm * spec.n0)]  # |h|^2 of each layer's input
    inputs, responses, derivatives = [], [], []
    for before, n in pairwise((spec.n0, *spec.widths)):
        u = np.sqrt(spec.cw / before * squares[-1])[:, None] * take(n)
        z = u + math.sqrt(spec.cb) * take(n) if spec.cb > 0.0 else u
        h, derivative = np.empty_like(z), np.empty_like(z)
        spec.act.core.evaluate_into(z, h, derivative)
        inputs.append(h)
        responses.append(u)
        derivatives.append(derivative)
        squares.append(np.sum(h * h, axis=1))

    sums = np.empty((count, len(spec.widths) + 1, 2))
    sums[:, -1] = np.stack([squares[-1], np.ones(count)], axis=1)
    g = np.zeros((count, 0))
    for layer in range(len(spec.widths), 0, -1):
        xi = math.sqrt(spec.cw / spec.widths[layer - 1]) * take(spec.widths[layer - 1])
        if layer == len(spec.widths):  # the output's weights have not been drawn yet
            back = xi
        else:
            h, square = inputs[layer - 1], squares[layer]
            size = np.sqrt(np.sum(g * g, axis=1))
            along = np.sum(responses[layer] * g, axis=1) - size * np.sum(h * xi, axis=1)
            factor = np.divide(along, square, out=np.zeros(count), where=square > 0.0)
            back = size[:, None] * xi + factor[:, None] * h
        g = derivatives[layer - 1] * back
        size = np.sum(g * g, axis=1)
        sums[:, layer - 1] = np.stack([size * squares[layer - 1], size], axis=1)
    return sums


def sample_moments(
    spec: SamplingSpec,
    statistic: Callable[[Array], Array],
    near: Array,
    *,
    samples: int,
    seed: int,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Moments:
    """Return the moments of a statistic of `layer_sums`.

    statistic: takes the sums of a batch `(batch, L + 1, 2)` and returns `(batch, ...)`. near: an
    array of the statistic's shape close to its values, which is subtracted before squares are
    summed. Raises KeyboardInterrupt with the number of networks that were drawn.
    """
    batch = max(1, min(samples, _NUMBERS_PER_BATCH // spec.draws))
    total, square, cube, largest = (np.zeros_like(near) for _ in range(4))
    unit = np.where(near > 0.0, near, 1.0)  # cubes could overflow
    done = 0
    try:
        while done < samples:
            count = min(batch, samples - done)
            found = statistic(layer_sums(spec, seed, done, count, threads=threads))
            largest = np.maximum(largest, found.max(axis=0))
            values = found - near
            total += values.sum(axis=0)
            square += np.sum(values * values, axis=0)
            cube += np.sum((values / unit) ** 3, axis=0)
            done += count
            if progress is not None:
                progress(done, samples)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{done} of {samples} networks were drawn") from None
    mean = near + total / samples
    variance = np.full_like(near, math.nan)
    if samples > 1:
        variance = np.maximum(square - total * total / samples, 0.0) / (samples - 1)
    fraction = np.divide(largest, samples * mean, out=np.zeros_like(near), where=mean > 0.0)
    return Moments(
        samples,
        mean,
        np.sqrt(variance / samples),
        fraction,
        _skewness(*(sums / samples for sums in (total / unit, square / unit / unit, cube))),
    )


def _skewness(first: Array, second: Array, third: Array) -> Array:
    """Return the skewness of values with these moments about some point, 0 where nothing varies."""
    spread = second - first * first
    about_mean = third - 3.0 * first * second + 2.0 * first**3
    varies = spread > 1e-12 * second  # a smaller spread is rounding
    return np.where(varies, about_mean / np.where(varies, spread, 1.0) ** 1.5, 0.0)
