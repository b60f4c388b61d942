"""The distance of a point to the nearest boundary of a random ReLU network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NODES: Final = 200  # of the angle between a gradient and x
_FEW: Final = 24  # more sizes are interpolated
_DEGREE: Final = 90
# Of log r: below exp(_LOW) no boundary is expected, and above exp(_HIGH) the tail is r^-n0 or less.
_LOW, _HIGH, _STEP = -26.0, 26.0, 1.0 / 12.0


def mean_distances(n0: int, widths: Sequence[int], sizes: Array, *, cw: float, cb: float) -> Array:
    """Return `mean_distance` of points with these |x|, `(m,)`.

    Of many sizes it is interpolated between Chebyshev nodes in asinh(|x|/c), c the least scale on
    which it varies, with a relative error below 1e-8.
    """
    distinct = np.unique(sizes)
    if len(distinct) <= _FEW:
        found = np.array([mean_distance(n0, widths, size, cw=cw, cb=cb) for size in distinct])
        return found[np.searchsorted(distinct, sizes)]
    if cb == 0.0 or cw <= 0.0:  # proportional to |x|
        return mean_distance(n0, widths, 1.0, cw=cw, cb=cb) * np.asarray(sizes)
    unit = math.sqrt(cb / cw)
    low, high = np.arcsinh(distinct[[0, -1]] / unit)

    def distances(y: Array) -> Array:
        at = [mean_distance(n0, widths, unit * math.sinh(v), cw=cw, cb=cb) for v in y]
        return np.array(at)

    degree = min(_DEGREE, math.ceil(16 + 6 * (high - low)))
    series = np.polynomial.Chebyshev.interpolate(distances, degree, domain=[low, high])
    return np.asarray(series(np.arcsinh(sizes / unit)))


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
    if cw <= 0.0:
        return math.inf
    scales = []
    # K^l = cb a + |x|^2/(n0 b) has the ratio of its terms a b, from which cb is kept apart, since
    # it may be near the largest double.
    ratio = inverse_slope = 1.0 / cw
    for _ in widths:
        scales.append(math.sqrt(cb) * math.sqrt(ratio))
        inverse_slope *= 2.0 / cw
        ratio += inverse_slope
    if not math.isfinite(max(scales)):
        return math.inf
    if not any(scales):
        return size * _without_biases(n0, sum(widths))
    if n0 * sum(widths) <= 1:
        return math.inf  # one line of inputs and one neuron: a ratio of two normals
    # The trapezoidal rule in log r, on which the integrand is analytic and decays on both sides.
    logs = np.arange(_LOW, _HIGH, _STEP)
    unit = max(size, *scales)
    r = unit * np.exp(logs)
    log_survival = np.zeros(len(r))
    with np.errstate(divide="ignore"):
        for scale, width in zip(scales, widths, strict=True):
            log_survival += width * np.log(np.minimum(_beyond(r, size, scale, n0), 1.0))
    integral = float(np.sum(np.exp(logs + log_survival))) * _STEP
    return unit * (integral + math.exp(_LOW))


def _without_biases(n0: int, neurons: int) -> float:
    """Return the mean of the least |t| of as many random cosines: t^2 ~ Beta(1/2, (n0 - 1)/2)."""
    from scipy.integrate import quad
    from scipy.special import betaincc

    if n0 == 1:
        return 1.0
    value, _ = quad(
        lambda u: float(betaincc(0.5, (n0 - 1) / 2.0, u * u)) ** neurons,
        *(0.0, 1.0),
        points=[min(0.5, 10.0 / (neurons * math.sqrt(n0)))],
        epsabs=0.0,
        epsrel=1e-10,
        limit=200,
    )
    return float(value)


def _cosines(n0: int) -> tuple[Array, Array]:
    """Return cosines of a random angle in R^n0 with weights."""
    if n0 == 1:
        return np.array([1.0]), np.array([1.0])
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    angles = (nodes + 1.0) * (math.pi / 4.0)  # the law is symmetric, as is that of T
    log_density = (n0 - 2) * np.log(np.sin(angles))
    density = weights * np.exp(log_density - log_density.max())
    return np.cos(angles), density / density.sum()


def _beyond(r: Array, size: float, scale: float, n0: int) -> Array:
    """Return P(rho > r) for each r."""
    from scipy.special import stdtr

    cosines, weights = _cosines(n0)
    above = stdtr(n0, (size * cosines - r[:, None]) / scale)
    below = stdtr(n0, -(size * cosines + r[:, None]) / scale)
    found: Array = (above + below) @ weights
    return found
