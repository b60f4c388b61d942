"""Draws what each layer of a random network adds to the tangent kernel of one input.

Gaussian weights act on a given vector by its norm alone. So a layer is drawn as u = W h, normal of
variance cw |h|^2/n, and on the way back as W^T g given that W h = u,

    W^T g = h (u.g)/|h|^2 + sqrt(cw/n) |g| (xi - h (h.xi)/|h|^2),   xi standard normal:

O(n) numbers a layer instead of n^2, exactly in law.
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

_BATCH: Final = 2**20  # numbers drawn at once


@dataclass(frozen=True)
class Shape:
    """A random network: `widths` of the hidden layers, one output, |x|^2 = norm n0 at the input."""

    act: Activation
    n0: int
    widths: tuple[int, ...]
    norm: float
    cb: float
    cw: float

    @property
    def draws(self) -> int:
        """Random numbers that a network takes."""
        return (2 + (self.cb > 0.0)) * sum(self.widths)


@dataclass(frozen=True)
class Moments:
    """Mean and its standard error over `count` networks, and the part of the sum that one makes.

    skewness: of the sample. Arrays of one shape, that of the statistic, which is not negative.
    """

    count: int
    mean: Array
    stderr: Array
    largest_share: Array
    skewness: Array


def layer_sums(shape: Shape, seed: int, start: int, count: int, *, threads: int = 0) -> Array:
    """Return sum_ij (dz/dW_ij)^2 and sum_i (dz/db_i)^2 of each layer of random networks.

    Network s is made of stream s of the seed, s = start, ..., start + count - 1. Returns
    `(count, L + 1, 2)`, weights and biases of layers 1..L+1. Memory: 8 bytes a draw, 3 or 2 draws a
    neuron.
    """
    draws = np.stack([normals(seed, start + s, shape.draws, threads=threads) for s in range(count)])
    taken = 0

    def take(n: int) -> Array:
        nonlocal taken
        taken += n
        block: Array = draws[:, taken - n : taken]
        return block

    squares = [np.full(count, shape.norm * shape.n0)]  # |h|^2 of each layer's input
    inputs, responses, slopes = [], [], []
    for before, n in pairwise((shape.n0, *shape.widths)):
        u = np.sqrt(shape.cw / before * squares[-1])[:, None] * take(n)
        z = u + math.sqrt(shape.cb) * take(n) if shape.cb > 0.0 else u
        h, slope = np.empty_like(z), np.empty_like(z)
        shape.act.core.evaluate_into(z, h, slope)
        inputs.append(h)
        responses.append(u)
        slopes.append(slope)
        squares.append(np.sum(h * h, axis=1))

    sums = np.empty((count, len(shape.widths) + 1, 2))
    sums[:, -1] = np.stack([squares[-1], np.ones(count)], axis=1)
    g = np.zeros((count, 0))
    for layer in range(len(shape.widths), 0, -1):
        xi = math.sqrt(shape.cw / shape.widths[layer - 1]) * take(shape.widths[layer - 1])
        if layer == len(shape.widths):  # the output's weights are met for the first time
            back = xi
        else:
            h, square = inputs[layer - 1], squares[layer]
            size = np.sqrt(np.sum(g * g, axis=1))
            along = np.sum(responses[layer] * g, axis=1) - size * np.sum(h * xi, axis=1)
            share = np.divide(along, square, out=np.zeros(count), where=square > 0.0)
            back = size[:, None] * xi + share[:, None] * h
        g = slopes[layer - 1] * back
        size = np.sum(g * g, axis=1)
        sums[:, layer - 1] = np.stack([size * squares[layer - 1], size], axis=1)
    return sums


def sample_moments(
    shape: Shape,
    statistic: Callable[[Array], Array],
    near: Array,
    *,
    samples: int,
    seed: int,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Moments:
    """Return mean and standard error of a statistic of `layer_sums`.

    statistic: takes the sums of a batch `(batch, L + 1, 2)` and returns `(batch, ...)`. near: an
    array of the statistic's shape about where its values lie, so that squares lose no digits.
    Raises KeyboardInterrupt saying how many networks were drawn.
    """
    batch = max(1, min(samples, _BATCH // shape.draws))
    total, square, cube, largest = (np.zeros_like(near) for _ in range(4))
    unit = np.where(near > 0.0, near, 1.0)  # cubes may not be doubles
    done = 0
    try:
        while done < samples:
            count = min(batch, samples - done)
            found = statistic(layer_sums(shape, seed, done, count, threads=threads))
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
    share = np.divide(largest, samples * mean, out=np.zeros_like(near), where=mean > 0.0)
    return Moments(
        samples,
        mean,
        np.sqrt(variance / samples),
        share,
        _skewness(*(sums / samples for sums in (total / unit, square / unit / unit, cube))),
    )


def _skewness(first: Array, second: Array, third: Array) -> Array:
    """Return that of values with these moments about some point, 0 where nothing varies."""
    spread = second - first * first
    about_mean = third - 3.0 * first * second + 2.0 * first**3
    varies = spread > 1e-12 * second  # less is rounding
    return np.where(varies, about_mean / np.where(varies, spread, 1.0) ** 1.5, 0.0)
