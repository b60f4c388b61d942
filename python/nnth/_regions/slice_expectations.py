"""Mean numbers of regions of random ReLU networks on lines, planes and segments.

On a line or plane through 0 a random network has the distribution of a network with one input or
two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnth._networks.ensemble import Ensemble
from nnth._regions.bounds import expected_regions
from nnth._regions.lengths import distance, scaled
from nnth._regions.slices import Along

Array = NDArray[np.float64]


def expected_on_slices(networks: Ensemble, along: Along, radius: float | None) -> float:
    """Return the mean over random networks and random slices; NaN for a given network."""
    if networks.variances is None:
        return math.nan
    if along == "plane" or radius is None or networks.n0 == 1:
        dimension = 1 if along == "line" else 2
        return expected_regions(dimension, networks.widths, **networks.variances, box=radius)
    # The distance of a line is h = R exp(-y^2/(n0 - 1)) with an exponential variable y^2, so that
    # the integrand is smooth in y. The mass beyond y = 7 is 1e-21.
    nodes, weights = np.polynomial.legendre.leggauss(80)
    y = 3.5 * (nodes + 1.0)
    mass = 3.5 * weights * 2.0 * y * np.exp(-y * y)
    log = -y * y / (networks.n0 - 1)
    h, half = radius * np.exp(log), radius * np.sqrt(-np.expm1(2.0 * log))
    total = 1.0
    for n, g in zip(networks.widths, _scales(networks), strict=True):
        total += n * 2.0 / math.pi * float(mass @ np.arctan2(half, np.hypot(g, h)))
    return total


def expected_on_segment(networks: Ensemble, first: Array, second: Array) -> float:
    """Return 1 + sum_l n_l/pi (atan(t_1/G) - atan(t_0/G)), G^2 = g_l^2 + h^2.

    h is the distance of the line from 0 and t_0, t_1 are the ends measured from the point nearest
    to 0, all divided by sqrt(n0). At t, a neuron of layer l is normal with variance t^2 + G^2 and
    has a derivative of variance 1, up to a common factor, so that its zeros have the density
    G/(pi (t^2 + G^2)).
    """
    if networks.variances is None:
        return math.nan
    # In a unit in which no square overflows; angles do not depend on it.
    a, b, unit = scaled(first, second)
    length = float(np.linalg.norm(b - a))
    if length == 0.0:
        return 1.0
    direction = (b - a) / length
    start = float(a @ direction)
    h = float(np.linalg.norm(a - start * direction))
    scale = math.sqrt(networks.n0)
    total = 1.0
    for n, g in zip(networks.widths, _scales(networks), strict=True):
        with np.errstate(over="ignore"):
            away = math.hypot(float(np.ldexp(g, -unit)), h / scale)
        angle = math.atan2((start + length) / scale, away) - math.atan2(start / scale, away)
        total += n * angle / math.pi
    return total


def expected_on_line(networks: Ensemble, points: Array, radius: float | None) -> float:
    """Return the mean over random networks on the line through two points, or on a segment."""
    if networks.variances is None:
        return math.nan
    if networks.variances["cw"] == 0.0:  # the network does not depend on the input
        return 1.0
    if radius is None:
        # A whole line has the angle pi as seen from any point off the line.
        return 1.0 + sum(networks.widths) if networks.variances["cb"] > 0.0 else math.nan
    first, second = points
    middle = 0.5 * first + 0.5 * second
    half = (0.5 * second - 0.5 * first) * (2.0 / distance(first, second)) * radius
    return expected_on_segment(networks, middle - half, middle + half)


def _scales(networks: Ensemble) -> Sequence[float]:
    """Return g_1, ..., g_L for one input: g_l^2 = (cb/cw) sum_(j < l) (2/cw)^j."""
    variances = networks.variances or {}
    cw, cb = variances["cw"], variances["cb"]
    if cw == 0.0:  # the network does not depend on the input
        return [math.inf] * len(networks.widths)
    with np.errstate(over="ignore"):
        sums = np.cumsum(np.power(2.0 / cw, np.arange(len(networks.widths))))
        scales: list[float] = (math.sqrt(cb / cw) * np.sqrt(sums)).tolist()
    return scales
