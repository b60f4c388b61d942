"""Gradient descent on one data point with constant gates in high precision.

    f = m^-1/2 sum_i v_i gate_i u_i.x/d^1/2,  loss (f - y)^2/2,  kappa = |x|^2/(m d)

There is the recursion of Lewkowycz et al. (2020) for two numbers, and the network itself, whose two
layers are trained: a test shows that the recursion is exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def recursion(
    eta: float, lambda0: float, z0: float, y: float, kappa: float, steps: int
) -> Iterator[tuple[mp.mpf, mp.mpf]]:
    """Return z and lambda after 0, 1, ..., steps steps, at the precision of mpmath."""
    eta, kappa, y = mp.mpf(eta), mp.mpf(kappa), mp.mpf(y)
    z, curvature = mp.mpf(z0), mp.mpf(lambda0)
    yield z, curvature
    for _ in range(steps):
        r = z - y
        new = r * (1 - eta * curvature + kappa * eta**2 * z * r)
        curvature += eta * kappa * r * (eta * curvature * r - 4 * z)
        z = new + y
        yield z, curvature


def network(
    u: Floats, v: Floats, gates: Floats, x: Floats, y: float, eta: float, steps: int
) -> Iterator[tuple[float, float]]:
    """Return z and lambda of the network with these gates, training both layers."""
    m, d = u.shape
    for step in range(steps + 1):
        h = gates * (u @ x) / np.sqrt(d)
        z = float(v @ h) / np.sqrt(m)
        yield z, float(h @ h + gates @ v**2 * (x @ x) / d) / m
        if step < steps:
            r = (z - y) / np.sqrt(m)
            u, v = u - eta * r * np.outer(v * gates, x) / np.sqrt(d), v - eta * r * h
