"""The distance of a point to the nearest boundary of a random ReLU network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NODES: Final = 400  # of the angle between a gradient and x


def mean_distance(n0: int, widths: Sequence[int], size: float, *, cw: float, cb: float) -> float:
    """Return the mean distance of a point with |x| = size to the nearest boundary.

    A pre-activation z of layer l and its gradient w are Gaussian given the layers below, in the
    limit of large widths with w ~ N(0, s^2 I), n0 s^2 = C_w (C_w/2)^(l-1), and
    z = w.x + b, b ~ N(0, K^l - s^2 |x|^2). So its hyperplane has the distance::

        rho = | |x| t + c T |,  c^2 = (K^l - s^2 |x|^2)/(n0 s^2)

    with t the cosine of a random angle in R^n0 and T of Student's law with n0 degrees of freedom,
    and mean_distance is the integral over r of the product over layers of P(rho_l > r)^(n_l). This
    is exact for one hidden layer.
    """
    from scipy.integrate import quad

    if cw <= 0.0:
        return math.inf
    scales = []
    constant, slope = cb, cw  # of K^l = constant + slope |x|^2/n0
    for _ in widths:
        scales.append(math.sqrt(constant / slope))
        constant, slope = cb + cw * constant / 2.0, cw * slope / 2.0
    if size == 0.0 and not any(scales):
        return 0.0
    if n0 * sum(widths) <= 1 and any(scales):
        return math.inf  # one line of inputs and one neuron: a ratio of two normals
    cosines, weights = _cosines(n0)

    def log_survival(r: float) -> float:
        total = 0.0
        for scale, width in zip(scales, widths, strict=True):
            beyond = _beyond(r, size, scale, n0, cosines, weights)
            if beyond <= 0.0:
                return -math.inf
            total += width * math.log(min(beyond, 1.0))
        return total

    unit = max(size, *scales)
    while log_survival(unit) < -1.0:
        unit /= 2.0
    while log_survival(unit) > -0.1:
        unit *= 2.0

    def integrand(u: float) -> float:  # r = unit u/(1 - u)
        return math.exp(log_survival(unit * u / (1.0 - u))) / (1.0 - u) ** 2

    kinks = [size / (size + unit)] if size > 0.0 else None
    value, _ = quad(integrand, 0.0, 1.0, points=kinks, epsabs=0.0, epsrel=1e-9, limit=400)
    return float(unit * value)


def _cosines(n0: int) -> tuple[Array, Array]:
    """Return cosines of a random angle in R^n0 with weights."""
    if n0 == 1:
        return np.array([1.0]), np.array([1.0])
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    angles = (nodes + 1.0) * (math.pi / 4.0)  # the law is symmetric, as is that of T
    log_density = (n0 - 2) * np.log(np.sin(angles))
    density = weights * np.exp(log_density - log_density.max())
    return np.cos(angles), density / density.sum()


def _beyond(
    r: float, size: float, scale: float, n0: int, cosines: Array, weights: Array
) -> float:
    """Return P(rho > r)."""
    from scipy.special import betainc, stdtr

    if scale == 0.0:
        if r >= size:
            return 0.0
        if n0 == 1:
            return 1.0
        # t^2 has the law Beta(1/2, (n0 - 1)/2).
        return float(1.0 - betainc(0.5, (n0 - 1) / 2.0, (r / size) ** 2))
    above = stdtr(n0, -(r - size * cosines) / scale)
    below = stdtr(n0, -(r + size * cosines) / scale)
    return float(weights @ (above + below))
