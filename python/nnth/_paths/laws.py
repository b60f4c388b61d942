"""The law of the squared derivative of a random ReLU network with Gaussian weights, and its limit.

    (dz_q/dx_p)^2 = (2/n_0) chi^2_1 prod_{l=1}^L (2/n_l) chi^2_{B_l},   B_l ~ Bin(n_l, 1/2),

all independent; z_q(x)^2 is |x|^2 times that. The product tends to exp N(-b/2, b); the chi^2_1 of
the output does not go away, nor does the chance that a layer is dead, B_l = 0.
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

from nnth._paths.moments import Law, input_norms, input_vector, layer_sizes, lognormal_variance
from nnth._paths.weight_law import weight_law

Array = NDArray[np.float64]
Complexes = NDArray[np.complexfloating[Any, Any]]

CHI2_LOG_MEAN: Final = -1.2703628454614782  # digamma(1/2) + log 2 = -gamma - log 2
CHI2_LOG_VARIANCE: Final = math.pi**2 / 2


@dataclass(frozen=True)
class PathLaws:
    """Logarithmic moments of (dz_q/dx_p)^2, or of z_q(x)^2, given that no layer is dead.

    log_mean, log_variance: exactly, for Gaussian weights; None for other laws, with
    product_log_mean and product_log_variance: of the product over the hidden layers alone.
    lognormal_mean, lognormal_variance: -b/2 and b, what these two tend to.
    dead: the probability that some layer is dead, so that the derivative is 0.
    scale: 2/n_0, or 2 |x|^2/n_0.
    """

    log_mean: float | None
    log_variance: float | None
    product_log_mean: float | None
    product_log_variance: float | None
    lognormal_mean: float
    lognormal_variance: float
    dead: float
    scale: float


def path_laws(
    *, n0: int, widths: Sequence[int], mu: Law = "gaussian", x: ArrayLike | None = None
) -> PathLaws:
    """Return the logarithmic mean and variance of (dz_q/dx_p)^2, or of z_q(x)^2 where x is given.

    Given that no layer is dead, the log mean is log(2/n_0) + psi(1/2) + log 2 + sum over layers of
    log(4/n) + E psi(B/2), the log variance pi^2/2 + the sum of E psi'(B/2) + Var psi(B/2), with B
    binomial and not 0: -5/(2n) - 49/(12 n^2) and 5/n + 37/(2 n^2) a layer. In the limit
    b = 5 sum 1/n_l + 2 k4 |u|_4^4/n_1, u = x/|x| or a unit vector.

    n0, widths: 1 to 10^9; mu: see `weight_law`, with mu4.
    Accuracy: 1e-12 of the product's logarithmic moments; 1e-15 for `dead`.
    Cost: 14 sqrt(n) terms for each different width.

    Raises ValueError for arguments out of range. Source: Hanin & Nica (2018).
    """
    law, (n_in, hidden, _) = weight_law(mu), layer_sizes(n0, widths, 1)
    log_scale, fourth = math.log(2 / n_in), 1.0
    if x is not None:
        squared, fourth = input_norms(input_vector(x, n_in))
        log_scale += squared
    b = lognormal_variance(hidden, law, fourth=fourth)
    counts = Counter(hidden)
    dead = -math.expm1(
        math.fsum(
            m * math.log1p(-(0.5**n)) if n > 1 else -m * math.log(2) for n, m in counts.items()
        )
    )
    mean = variance = None
    if law.is_gaussian:
        layers = [(m, layer_log_moments(n)) for n, m in counts.items()]
        mean = math.fsum(m * layer[0] for m, layer in layers)
        variance = math.fsum(m * layer[1] for m, layer in layers)
    return PathLaws(
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
    """Return mean and variance of log((2/n) chi^2_B), B ~ Bin(n, 1/2) given B >= 1."""
    active, weights = _binomial(n)
    # log(4/n) + psi(B/2) = log(1 + d) + (psi(B/2) - log(B/2)), d = (2B - n)/n: small numbers. The
    # logarithms of 1 + d and 1 - d are paired, for their first terms cancel.
    d = (2 * active - n) / n
    rest = digamma_less_log(active / 2)
    upper = d > 0
    mirrored = upper & (active < n)
    paired = float((weights[mirrored] * np.log1p(-(d[mirrored] ** 2))).sum())
    edge = float(weights[active == n].sum() * math.log(2)) if active[-1] == n else 0.0
    mean = paired + edge + float((weights * rest).sum())
    spread = np.log1p(d) + rest - mean
    variance = float((weights * (spread**2 + trigamma(active / 2))).sum())
    return mean, variance


def path_log_cdf(
    log_values: ArrayLike, *, n0: int, widths: Sequence[int], x: ArrayLike | None = None
) -> Array:
    """Return P(log (dz_q/dx_p)^2 <= v) for Gaussian weights, given that no layer is dead.

    log_values: v, any shape; the result has it too. x as in `path_laws`: z_q(x)^2 instead.
    Accuracy: 1e-10. Cost: 700 + 130 s complex terms for each value, s^2 the log variance: 8 us and
    more; and 14 sqrt(n) times that for each different width.

    By inversion of the characteristic function (Gil-Pelaez 1951) with the midpoint rule, which the
    chi^2_1's decay as e^(-pi t/2) cuts off at t = 26.
    """
    laws = path_laws(n0=n0, widths=widths, x=x)
    assert laws.log_mean is not None
    assert laws.log_variance is not None
    deviation = math.sqrt(laws.log_variance)
    v = np.asarray(log_values, dtype=np.float64)
    centered = (v - laws.log_mean).ravel()
    reach = 80.0 + 16.0 * deviation
    step = math.pi / reach
    t: Array = np.asarray(step * (np.arange(math.ceil(26.0 / step)) + 0.5), dtype=np.float64)
    phi = _chi2_transform(1, np.ones(1), t) * np.exp(
        1j * t * (math.log(laws.scale) - laws.log_mean)
    )
    for n, count in Counter(layer_sizes(n0, widths, 1)[1]).items():
        active, weights = _binomial(n)
        layer = _chi2_transform(int(active[0]), weights, t) * (2 / n) ** (1j * t)
        phi = phi * layer**count
    amplitude = phi / t
    found = np.empty(centered.size)
    block = 4096  # of points, which stay in the cache
    for begin in range(0, centered.size, block):
        part = np.clip(centered[begin : begin + block], -reach, reach)
        turn = np.exp(-1j * part * step)
        total = np.zeros(part.size, dtype=np.complex128)  # of amplitude_j turn^j, by Horner
        for value in amplitude[::-1].tolist():
            total = total * turn + value
        total *= np.exp(-0.5j * part * step)
        found[begin : begin + block] = 0.5 - step / math.pi * total.imag
    return np.clip(found, 0.0, 1.0).reshape(v.shape)


@lru_cache(maxsize=64)
def _binomial(n: int) -> tuple[Array, Array]:
    """Return B = 1, ..., n or what of it is within 14 deviations, and its chances given B >= 1."""
    middle = n // 2
    radius = min(middle, math.ceil(7 * math.sqrt(n)) + 1)
    below = np.arange(middle, middle - radius, -1, dtype=np.float64)  # B, towards B - 1
    least = middle - radius
    left = np.concatenate(([1.0], np.cumprod(below / (n - below + 1))))[::-1]
    # The chances of B and n - B are one.
    active = np.arange(least, n - least + 1, dtype=np.float64)
    weights = np.concatenate((left, left[::-1] if n % 2 else left[-2::-1]))
    if least == 0:
        active, weights = active[1:], weights[1:]
    return active, weights / weights.sum()


def digamma_less_log(x: Array) -> Array:
    """Return psi(x) - log x for x >= 1/2: upwards by the recurrence to x >= 16, then a series."""
    shifted, result = x.copy(), np.zeros_like(x)
    while (small := shifted < 16.0).any():
        # psi(x) - log x = psi(x + 1) - log(x + 1) + log(1 + 1/x) - 1/x.
        result[small] += np.log1p(1 / shifted[small]) - 1 / shifted[small]
        shifted[small] += 1.0
    y = 1 / (shifted * shifted)
    series = 1 / 12 - y * (
        1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * 691 / 32760)))
    )
    total: Array = result - 0.5 / shifted - y * series
    return total


def trigamma(x: Array) -> Array:
    shifted, result = x.copy(), np.zeros_like(x)
    while (small := shifted < 16.0).any():
        result[small] += 1 / shifted[small] ** 2
        shifted[small] += 1.0
    y = 1 / (shifted * shifted)
    series = 1 / 6 - y * (1 / 30 - y * (1 / 42 - y * (1 / 30 - y * (5 / 66 - y * 691 / 2730))))
    total: Array = result + (1 + 0.5 / shifted + y * series) / shifted
    return total


def _log_gamma(z: Complexes) -> Complexes:
    """Return log Gamma(z), Re z > 0, up to multiples of 2 pi i, by Stirling's series at z + 16."""
    lower = np.zeros_like(z)
    for i in range(16):
        lower += np.log(z + i)
    w = z + 16
    y = 1 / (w * w)
    series = 1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))
    total: Complexes = (w - 0.5) * np.log(w) - w + 0.5 * math.log(2 * math.pi) + series / w - lower
    return total


def _chi2_transform(first: int, weights: Array, t: Array) -> Complexes:
    """Return the sum of weights[i] E (chi^2_B)^(it) over B = first + i."""
    total = np.zeros(t.size, dtype=np.complex128)
    rows: list[Complexes] = []  # of the last two B
    for i, weight in enumerate(weights.tolist()):
        half = (first + i) / 2
        if i < 2:
            ratio = _log_gamma(half + 1j * t) - _log_gamma(np.array([half + 0j]))
            rows.append(np.exp(1j * t * math.log(2) + ratio))
        else:  # Gamma(z + 1) = z Gamma(z)
            rows = [rows[1], rows[0] * (1 + 1j * t / (half - 1))]
        total += weight * rows[-1]
    return total
