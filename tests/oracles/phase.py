"""Fixed points of the variance map and of the correlation map, by iterating them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from oracles.kernel import Function, one, two


@dataclass(frozen=True)
class Fixed:
    """Return the limits of the variance of one input and of the correlation of two."""

    k_star: float
    chi_par: float
    chi_perp: float
    c_star: float
    chi_c: float
    xi_q: float
    xi_c: float


def variance(act: Function, cb: float, cw: float, start: float = 1.0) -> float:
    """Return the limit of K <- C_b + C_w E[s^2], or NaN if 10^4 steps do not reach it."""
    k = start
    for _ in range(10_000):
        new = cb + cw * one(lambda z: act.value(z) ** 2, act, k)
        if abs(new - k) <= 2e-15 * new:
            return new
        k = new
    return math.nan


def correlation(act: Function, cb: float, cw: float, k: float, start: float = 0.5) -> float:
    """Return c = lim of c <- (C_b + C_w E[s(z_a) s(z_b)])/K at correlation c."""
    c = start
    for _ in range(2_000):
        new = (cb + cw * two(act.value, act.value, act, k, k, c * k)) / k
        if abs(new - c) <= 1e-13:
            return min(new, 1.0)
        c = new
    return math.nan


def fixed(act: Function, cb: float, cw: float) -> Fixed:
    """Return all columns of `nnth phase` for the stable fixed point that is reached from K = 1.

    c* is the limit of the correlations of random inputs: 1 if chi_perp <= 1.
    """
    k = variance(act, cb, cw)
    par = cw * one(lambda z: act.value(z) ** 2 * (z * z / k - 1), act, k) / (2 * k)
    perp = cw * one(lambda z: act.slope(z) ** 2, act, k)
    c = 1.0 if perp <= 1 else correlation(act, cb, cw, k)
    at = perp if c >= 1 else cw * two(act.slope, act.slope, act, k, k, c * k)
    return Fixed(k, par, perp, c, at, -1 / math.log(abs(par)), -1 / math.log(at))
