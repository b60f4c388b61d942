"""Learning curves on the sphere, from very many eigenvalues in closed form or in high precision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """kappa, the test error against f*, and L of each level of the target."""

    kappa: float
    error: float
    learnability: dict[int, float]


def multiplicities(d: int, levels: int) -> Floats:
    """Return N(d, k), by N(d, k + 1)/N(d, k) = (2k + d)(k + d - 2)/((2k + d - 2)(k + 1))."""
    k = np.arange(1.0, levels - 1.0)
    ratios = (2 * k + d) * (k + d - 2) / ((2 * k + d - 2) * (k + 1))
    return np.asarray(np.cumprod(np.concatenate(([1.0, d], ratios)))[:levels])


def step_coefficients(d: int, levels: int) -> Floats:
    """Return the means of step(u_1) P_k(u_1) over the sphere.

    1/2 at k = 0, E |u_1|/2 at k = 1, 0 at other even levels, and a_(k+2)/a_k = -k/(k + d): the
    formula of Rodrigues and integration by parts leave a derivative of (1 - t^2)^(k + (d-3)/2) at 0
    (Bach 2017, appendix D.2).
    """
    a = np.zeros(levels)
    a[0], a[1] = 0.5, mean_length(d) / 2
    k = np.arange(1.0, levels - 2, 2)
    a[3::2] = a[1] * np.cumprod(-k / (k + d))[: len(a[3::2])]
    return a


def relu_coefficients(d: int, levels: int) -> Floats:
    """Return the means of relu(u_1) P_k(u_1): E |u_1|/2, 1/(2d), 0 at odd levels.

    a_(k+2)/a_k = -(k - 1)/(k + d + 1).
    """
    a = np.zeros(levels)
    a[0], a[1] = mean_length(d) / 2, 0.5 / d
    k = np.arange(0.0, levels - 2, 2)
    a[2::2] = a[0] * np.cumprod(-(k - 1) / (k + d + 1))[: len(a[2::2])]
    return a


def mean_length(d: int) -> float:
    """Return E |u_1| over the unit sphere, Gamma(d/2)/(sqrt(pi) Gamma((d + 1)/2))."""
    return float(mp.gamma(mp.mpf(d) / 2) / (mp.sqrt(mp.pi) * mp.gamma(mp.mpf(d + 1) / 2)))


def relu_eigenvalues(kind: str, d: int, levels: int) -> Floats:
    """Return eigenvalues of the kernels of one ReLU layer, C_w = 2, C_b = 0, C_w |x|^2/n_0 = 1.

    The NNGP kernel is 2 E relu(w.x) relu(w.y) over Gaussian w of |x| = |y| = 1, and E |w|^2 = d;
    the tangent kernel adds cos(theta) times 2 E step(w.x) step(w.y). The product with cos(theta)
    takes P_k to ((k + d - 2) P_(k+1) + k P_(k-1))/(2k + d - 2).
    """
    nngp = 2 * d * relu_coefficients(d, levels + 1) ** 2
    if kind == "nngp":
        return np.asarray(nngp[:levels])
    step = 2 * step_coefficients(d, levels + 1) ** 2
    k = np.arange(1.0, levels)
    times = np.empty(levels)
    times[0] = step[1]
    times[1:] = (k * step[: levels - 1] + (k + d - 2) * step[2 : levels + 1]) / (2 * k + d - 2)
    return np.asarray(nngp[:levels] + times)


def radial_eigenvalues(width: float, d: int, levels: int) -> list[mp.mpf]:
    """Return those of exp(-|x - y|^2/(2 S^2)) on the unit sphere: Bessel functions."""
    c, order = 1 / mp.mpf(width) ** 2, mp.mpf(d) / 2 - 1
    front = mp.exp(-c) * mp.gamma(order + 1) * (2 / c) ** order
    return [front * mp.besseli(k + order, c) for k in range(levels)]


def curve(
    values: list[mp.mpf] | Floats,
    d: int,
    target: dict[int, float],
    noise: float,
    ridge: float,
    size: int,
    beyond: float = 0.0,
) -> Curve:
    """Return the theory of Canatar et al. (2021) from these eigenvalues, in 40 digits or doubles.

    beyond: the sum of N lambda over all other levels, which act as ridge. Doubles are for lists of
    a million levels, and lists of mpmath's numbers for digits.
    """
    exact = isinstance(values, list)
    one = mp.mpf if exact else float
    counts = multiplicities(d, len(values))
    r = one(ridge) + one(beyond)

    def total(function):  # type: ignore[no-untyped-def]
        if exact:
            return mp.fsum(
                mp.mpf(round(n)) * function(v) for n, v in zip(counts, values, strict=True)
            )
        return float(np.sum(counts * function(values)))

    low, high = (
        one(-700),
        mp.log(total(lambda v: v) + r) if exact else math.log(total(lambda v: v) + r),
    )
    exponential = mp.exp if exact else math.exp
    for _ in range(150 if exact else 80):
        middle = (low + high) / 2
        k = exponential(middle)
        if total(lambda v: v / (v + k)) + r / k < size:  # noqa: B023
            high = middle
        else:
            low = middle
    k = exponential((low + high) / 2)
    squares = total(lambda v: (v / (v + k)) ** 2)
    gain = size / (size - squares)
    bias = sum(weight * (k / (values[level] + k)) ** 2 for level, weight in target.items())
    learned = {level: float(values[level] / (values[level] + k)) for level in target}
    return Curve(float(k), float(gain * (bias + noise) - noise), learned)
