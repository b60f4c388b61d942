"""The distribution of the squared derivative of a random ReLU network with Gaussian weights.

    (dz_q/dx_p)^2 = (2/n_0) chi^2_1 prod_{l=1}^L (2/n_l) chi^2_{B_l},   B_l ~ Bin(n_l, 1/2),

with independent factors; z_q(x)^2 is |x|^2 times as large. The product over the hidden layers tends
to exp N(-b/2, b); the chi^2_1 of the output remains in the limit, and so does the probability that
a layer is dead, B_l = 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._paths.moments import (
    Weights,
    input_norms,
    input_vector,
    layer_sizes,
    lognormal_variance,
)
from nnth._paths.weight_distribution import weight_distribution

Array = NDArray[np.float64]
Complexes = NDArray[np.complexfloating[Any, Any]]

CHI2_LOG_MEAN: Final = -1.2703628454614782  # digamma(1/2) + log 2 = -gamma - log 2
CHI2_LOG_VARIANCE: Final = math.pi**2 / 2


@dataclass(frozen=True)
class PathLogMoments:
    """Moments of log (dz_q/dx_p)^2, or of log z_q(x)^2, given that no layer is dead.

    Attributes:
        log_mean, log_variance: The exact mean and variance; None unless weights are Gaussian.
        product_log_mean, product_log_variance: The same for the product over the hidden layers.
        lognormal_mean, lognormal_variance: -b/2 and b, the limits of these two.
        dead: The probability that some layer is dead, so that the derivative is 0.
        scale: 2/n_0, or `2 |x|^2/n_0` if x is given.
    """

    log_mean: float | None
    log_variance: float | None
    product_log_mean: float | None
    product_log_variance: float | None
    lognormal_mean: float
    lognormal_variance: float
    dead: float
    scale: float


def path_log_moments(
    *,
    widths: Sequence[int],
    mu: Weights = "gaussian",
    n0: int,
    x: ArrayLike | None = None,
) -> PathLogMoments:
    """Return the mean and variance of log (dz_q/dx_p)^2, or of log z_q(x)^2 if x is given.

    Given that no layer is dead, with B ~ Bin(n_l, 1/2) conditioned on B >= 1::

        mean     = log(2/n_0) + psi(1/2) + log 2 + sum_l (log(4/n_l) + E psi(B/2))
        variance = pi^2/2 + sum_l (E psi'(B/2) + Var psi(B/2))

    A layer of width n contributes -5/(2 n) - 49/(12 n^2) to the mean and 5/n + 37/(2 n^2) to the
    variance, up to O(1/n^3). The limit is b = 5 sum 1/n_l + `2 k4 |u|_4^4/n_1`, with `u = x/|x|` or
    a unit vector and k4 the excess kurtosis of the weights.

    Args:
        widths: The widths of the hidden layers, from 1 to 10^9.
        mu: The distribution of the entries of W-hat, with mu4 (see `nnth.weight_distribution`).
        n0: The input dimension, from 1 to 10^9.
        x: The input `(n0,)`, finite and not 0; None for the derivative.

    Returns:
        PathLogMoments.

    Raises:
        ValueError: If an argument is out of range.

    Accuracy: 1e-12 for the moments of the product, 1e-15 for `dead`. Cost: 14 sqrt(n) terms for
    each distinct width.

    Example:
        >>> found = nnth.path_log_moments(n0=2, widths=[100] * 20)
        >>> round(found.log_mean, 3), round(found.lognormal_variance, 3)
        (-1.779, 1.0)

    Source: Hanin and Nica (2018), theorem 1.
    """
    weights, (n_in, hidden, _) = weight_distribution(mu), layer_sizes(n0, widths, 1)
    log_scale, fourth = math.log(2 / n_in), 1.0
    if x is not None:
        squared, fourth = input_norms(input_vector(x, n_in))
        log_scale += squared
    b = lognormal_variance(hidden, weights, fourth=fourth)
    counts = Counter(hidden)
    dead = -math.expm1(
        math.fsum(
            m * math.log1p(-(0.5**n)) if n > 1 else -m * math.log(2) for n, m in counts.items()
        )
    )
    mean = variance = None
    if weights.is_gaussian:
        layers = [(m, layer_log_moments(n)) for n, m in counts.items()]
        mean = math.fsum(m * layer[0] for m, layer in layers)
        variance = math.fsum(m * layer[1] for m, layer in layers)
    return PathLogMoments(
        None if mean is None else log_scale + CHI2_LOG_MEAN + mean,
        None if variance is None else CHI2_LOG_VARIANCE + variance,
        mean,
        variance,
        -b / 2,
        b,
        dead,
        math.exp(log_scale),
    )


@lru_cache(maxsize=4096)
def layer_log_moments(n: int) -> tuple[float, float]:
    """Return the mean and variance of log((2/n) chi^2_B), B ~ Bin(n, 1/2) given B >= 1."""
    active, weights = _binomial(n)
    # log(4/n) + psi(B/2) = log(1 + d) + (psi(B/2) - log(B/2)) with d = (2B - n)/n, a sum of small
    # numbers. The logarithms of 1 + d and 1 - d are paired, because their first terms cancel.
    d = (2 * active - n) / n
    rest = _core.digamma_less_log(active / 2)
    upper = d > 0
    mirrored = upper & (active < n)
    paired = float((weights[mirrored] * np.log1p(-(d[mirrored] ** 2))).sum())
    edge = float(weights[active == n].sum() * math.log(2)) if active[-1] == n else 0.0
    mean = paired + edge + float((weights * rest).sum())
    spread = np.log1p(d) + rest - mean
    variance = float((weights * (spread**2 + _core.polygamma(1, active / 2))).sum())
    return mean, variance


def path_log_cdf(
    log_values: ArrayLike, *, widths: Sequence[int], n0: int, x: ArrayLike | None = None
) -> Array:
    """Return P(log (dz_q/dx_p)^2 <= v) for Gaussian weights, given that no layer is dead.

    The characteristic function phi is inverted by the midpoint rule (Gil-Pelaez 1951)::

        P = 1/2 - (1/pi) int_0^26 Im(e^(-i t v) phi(t))/t dt

    The chi^2_1 of the output makes phi decay as e^(-pi t/2), so that the integral can end at 26.

    Args:
        log_values: The values v, an array of any shape.
        widths: The widths of the hidden layers, from 1 to 10^9.
        n0: The input dimension, from 1 to 10^9.
        x: The input `(n0,)`, for the distribution of z_q(x)^2; None for the derivative.

    Returns:
        The probabilities, an array of the shape of `log_values`.

    Raises:
        ValueError: If an argument is out of range.

    Accuracy: 1e-10. Cost: 700 + 130 s complex terms for each value, with s^2 the log variance (8 us
    and more), and 14 sqrt(n) terms of the same number for each distinct width.

    Example:
        >>> float(nnth.path_log_cdf(0.0, n0=1, widths=[50] * 10).round(4))
        0.6385

    Source: Hanin and Nica (2018), for the distribution.
    """
    found = path_log_moments(n0=n0, widths=widths, x=x)
    assert found.log_mean is not None
    assert found.log_variance is not None
    deviation = math.sqrt(found.log_variance)
    v = np.asarray(log_values, dtype=np.float64)
    centered = (v - found.log_mean).ravel()
    reach = 80.0 + 16.0 * deviation
    step = math.pi / reach
    t: Array = np.asarray(step * (np.arange(math.ceil(26.0 / step)) + 0.5), dtype=np.float64)
    phi = _chi2_transform(1, np.ones(1), t) * np.exp(
        1j * t * (math.log(found.scale) - found.log_mean)
    )
    for n, count in Counter(layer_sizes(n0, widths, 1)[1]).items():
        active, weights = _binomial(n)
        layer = _chi2_transform(int(active[0]), weights, t) * (2 / n) ** (1j * t)
        phi = phi * layer**count
    amplitude = phi / t
    values = np.empty(centered.size)
    block = 4096  # points, few enough for the cache
    for begin in range(0, centered.size, block):
        part = np.clip(centered[begin : begin + block], -reach, reach)
        turn = np.exp(-1j * part * step)
        total = np.zeros(part.size, dtype=np.complex128)  # sum_j amplitude_j turn^j, by Horner
        for value in amplitude[::-1].tolist():
            total = total * turn + value
        total *= np.exp(-0.5j * part * step)
        values[begin : begin + block] = 0.5 - step / math.pi * total.imag
    return np.clip(values, 0.0, 1.0).reshape(v.shape)


@lru_cache(maxsize=64)
def _binomial(n: int) -> tuple[Array, Array]:
    """Return the values of B >= 1 within 14 deviations of n/2, and their probabilities."""
    middle = n // 2
    radius = min(middle, math.ceil(7 * math.sqrt(n)) + 1)
    below = np.arange(middle, middle - radius, -1, dtype=np.float64)  # B, towards B - 1
    least = middle - radius
    left = np.concatenate(([1.0], np.cumprod(below / (n - below + 1))))[::-1]
    # B and n - B have the same probability.
    active = np.arange(least, n - least + 1, dtype=np.float64)
    weights = np.concatenate((left, left[::-1] if n % 2 else left[-2::-1]))
    if least == 0:
        active, weights = active[1:], weights[1:]
    return active, weights / weights.sum()


def _chi2_transform(first: int, weights: Array, t: Array) -> Complexes:
    """Return the sum of weights[i] E (chi^2_B)^(it) over B = first + i."""
    total = np.zeros(t.size, dtype=np.complex128)
    rows: list[Complexes] = []  # the transforms of the last two B
    for i, weight in enumerate(weights.tolist()):
        half = (first + i) / 2
        if i < 2:
            step = _core.complex_log_gamma_step(half, 1j * t)
            rows.append(np.exp(1j * t * math.log(first + i) + step))
        else:  # Gamma(z + 1) = z Gamma(z)
            rows = [rows[1], rows[0] * (1 + 1j * t / (half - 1))]
        total += weight * rows[-1]
    return total
