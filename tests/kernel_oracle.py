"""Kernels of infinitely wide networks with mpmath, from separate formulas, slowly.

An activation is an `Oracle`: E[s^2], E[s'^2] and dE[s^2]/dK of one Gaussian input, E[s_a s_b] and
E[s_a' s_b'] of two, to the working precision. Where the average over the second input given the
first is known, the first is integrated numerically, split at every kink. Only definitions are
shared with the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp

Number = mp.mpf
One = Callable[[Number], tuple[Number, Number, Number]]
Two = Callable[[Number, Number, Number], tuple[Number, Number]]

DIGITS = 30


@dataclass(frozen=True)
class Oracle:
    """`one(k)` gives E[s^2], E[s'^2] and dE[s^2]/dk, which is nan if it is not known.

    `two(k_a, k_b, rho)` gives E[s_a s_b] and E[s_a' s_b'].
    """

    one: One
    two: Two


def moment(q: Number) -> Number:
    """Return E[max(x, 0)^(2 q)], x standard normal; infinite for q <= -1/2."""
    if q <= -0.5:
        return mp.inf
    return mp.power(2, q - 1) * mp.gamma(q + mp.mpf(1) / 2) / mp.sqrt(mp.pi)


def arc_cosine(q: Number, rho: Number) -> Number:
    """Return E[max(x, 0)^q max(y, 0)^q] as Legendre's function of the angle (DLMF 14.3.1)."""
    c, mu = (1 + rho) / 2, q + mp.mpf(1) / 2
    if c == 0:
        return mp.mpf(0) if mu > 0 else mp.inf
    if c == 1:
        return moment(q)
    factor = mp.power(2, q - 1) * mp.gamma(q + 1) ** 2 / (mp.sqrt(mp.pi) * mp.gamma(mu + 1))
    return factor * mp.power(c, mu) * mp.hyp2f1(0.5, 0.5, mu + 1, c)


def powers(p: float, right: float, left: float) -> Oracle:
    """The oracle of right z^p for z > 0 and left |z|^p for z < 0, p >= 0."""
    p, a, b = mp.mpf(p), mp.mpf(right), mp.mpf(left)
    both, cross = a * a + b * b, 2 * a * b

    def one(k: Number) -> tuple[Number, Number, Number]:
        square = both * moment(p) * k**p
        if p == 0:
            return square, (mp.inf if a != b else mp.mpf(0)), mp.mpf(0)
        return square, p * p * both * moment(p - 1) * k ** (p - 1), p * square / k

    def two(k_a: Number, k_b: Number, rho: Number) -> tuple[Number, Number]:
        norm = mp.sqrt(k_a * k_b)
        value = norm**p * (both * arc_cosine(p, rho) + cross * arc_cosine(p, -rho))
        if p == 0:
            return value, (a - b) ** 2 / (2 * mp.pi * norm * mp.sqrt(1 - rho * rho))
        same = both * arc_cosine(p - 1, rho)
        other = cross * arc_cosine(p - 1, -rho) if cross != 0 else mp.mpf(0)
        return value, p * p * norm ** (p - 1) * (same - other)

    return Oracle(one, two)


def closed(value: Two, slope: Two, growth: Callable[[Number], Number]) -> Oracle:
    """Return the oracle of formulas that hold for one input as well."""

    def one(k: Number) -> tuple[Number, Number, Number]:
        return value(k, k, mp.mpf(1)), slope(k, k, mp.mpf(1)), growth(k)

    return Oracle(one, lambda a, b, rho: (value(a, b, rho), slope(a, b, rho)))


def product(a: Number, b: Number, rho: Number) -> Number:
    return mp.sqrt(a * b) * rho


def erf() -> Oracle:
    def argument(a: Number, b: Number, rho: Number) -> Number:
        return 2 * product(a, b, rho) / mp.sqrt((1 + 2 * a) * (1 + 2 * b))

    def slope(a: Number, b: Number, rho: Number) -> Number:
        return 4 / mp.pi / mp.sqrt((1 + 2 * a) * (1 + 2 * b) - 4 * product(a, b, rho) ** 2)

    return closed(
        lambda a, b, rho: 2 / mp.pi * mp.asin(argument(a, b, rho)),
        slope,
        lambda k: 4 / mp.pi / ((1 + 2 * k) * mp.sqrt(1 + 4 * k)),
    )


def exponentials(sign_far: int) -> Oracle:
    """Return sin (-1) or cos (+1): (exp(k_ab) +- exp(-k_ab))/2 exp(-(k_a + k_b)/2)."""

    def of(sign: int) -> Two:
        def value(a: Number, b: Number, rho: Number) -> Number:
            half, k = (a + b) / 2, product(a, b, rho)
            return (mp.exp(k - half) + sign * mp.exp(-k - half)) / 2

        return value

    return closed(of(sign_far), of(-sign_far), lambda k: -sign_far * mp.exp(-2 * k))


def exponential() -> Oracle:
    def value(a: Number, b: Number, rho: Number) -> Number:
        return mp.exp((a + b) / 2 + product(a, b, rho))

    return closed(value, value, lambda k: 2 * mp.exp(2 * k))


def gaussian() -> Oracle:
    def determinant(a: Number, b: Number, rho: Number) -> Number:
        return (1 + 2 * a) * (1 + 2 * b) - 4 * product(a, b, rho) ** 2

    return closed(
        lambda a, b, rho: 1 / mp.sqrt(determinant(a, b, rho)),
        lambda a, b, rho: 4 * product(a, b, rho) / determinant(a, b, rho) ** mp.mpf(1.5),
        lambda k: -2 / (1 + 4 * k) ** mp.mpf(1.5),
    )


# The averages of s(m + w y) and of s'(m + w y) over a standard normal y; for w = 0 the values at m.
Average = Callable[[Number, Number], tuple[Number, Number]]


def phi(x: Number) -> Number:
    return mp.npdf(x)


def averaged(average: Average, kinks: tuple[float, ...], singular: float | None = None) -> Oracle:
    """Return the oracle of an activation of known averages, smooth or linear between `kinks`.

    `singular`: the power p of |z - kink|^p, whose squared slope is integrated as a power.
    """
    cuts = [mp.mpf(c) for c in kinks]

    def integral(f: Callable[[Number], Number], points: list[Number]) -> Number:
        inside = sorted({x for x in points if abs(x) < 11} | {mp.mpf(-11), mp.mpf(11)})
        grid: list[Number] = []
        for x in inside:  # panels of at most 2 standard deviations, which 24 points resolve
            if grid and x - grid[-1] > 2:
                steps = int(mp.ceil((x - grid[-1]) / 2))
                start = grid[-1]
                grid += [start + (x - start) * i / steps for i in range(1, steps)]
            grid.append(x)
        return mp.quad(lambda x: f(x) * phi(x), grid, method="gauss-legendre", maxdegree=4)

    def one(k: Number) -> tuple[Number, Number, Number]:
        q = mp.sqrt(k)
        at = [c / q for c in cuts]
        if singular is None:
            square = integral(lambda x: average(q * x, mp.mpf(0))[0] ** 2, at)
            slope = integral(lambda x: average(q * x, mp.mpf(0))[1] ** 2, at)
        else:
            p = mp.mpf(singular)
            square = absolute_moment(-cuts[0], q, 2 * p)
            slope = p * p * absolute_moment(-cuts[0], q, 2 * p - 2)
        return square, slope, mp.nan

    def two(k_a: Number, k_b: Number, rho: Number) -> tuple[Number, Number]:
        q_a, q_b, width = mp.sqrt(k_a), mp.sqrt(k_b), mp.sqrt(k_b * (1 - rho) * (1 + rho))
        at = [c / q_a for c in cuts]
        if rho != 0:
            for c in cuts:
                center, step = c / (q_b * rho), width / abs(q_b * rho)
                at += [center + i * step for i in (-9, -7, -5, -3, -1.5, 0, 1.5, 3, 5, 7, 9)]
        inner = lambda x: average(q_b * rho * x, width)  # noqa: E731
        if singular is not None:
            return singular_products(q_a, cuts[0], mp.mpf(singular), inner)
        value = integral(lambda x: average(q_a * x, mp.mpf(0))[0] * inner(x)[0], at)
        slope = integral(lambda x: average(q_a * x, mp.mpf(0))[1] * inner(x)[1], at)
        return value, slope

    return Oracle(one, two)


def absolute_moment(m: Number, w: Number, p: Number) -> Number:
    """Return E|m + w y|^p, p > -1 (Winkelbauer 2012, eq. 17)."""
    if p <= -1:
        return mp.inf
    return (
        (w * mp.sqrt(2)) ** p
        * mp.gamma((1 + p) / 2)
        / mp.sqrt(mp.pi)
        * mp.hyp1f1(-p / 2, 0.5, -m * m / (2 * w * w))
    )


def signed_moment(m: Number, w: Number, p: Number) -> Number:
    """Return E[sign(m + w y) |m + w y|^p], p > -2 (eq. 18 there)."""
    return (
        w**p
        * mp.power(2, (p + 1) / 2)
        * mp.gamma(1 + p / 2)
        / mp.sqrt(mp.pi)
        * (m / w)
        * mp.hyp1f1((1 - p) / 2, 1.5, -m * m / (2 * w * w))
    )


def singular_products(
    q: Number, c: Number, p: Number, other: Callable[[Number], tuple[Number, Number]]
) -> tuple[Number, Number]:
    """Return E[s(q x) u(x)] and E[s'(q x) v(x)] for s = |z - c|^p and u, v = other(x).

    In t = |z - c|^p the slope has no pole; the tanh-sinh rule resolves t^(1/p) at 0.
    """
    value, slope = mp.mpf(0), mp.mpf(0)
    for side in (-1, 1):

        def at(t: Number, side: int = side) -> tuple[Number, Number, Number]:
            d = t ** (1 / p)
            x = (c + side * d) / q
            u, v = other(x)
            return u * phi(x) / q, side * v * phi(x) / q, d

        grid = [((11 * q + abs(c)) * mp.mpf(i) / 16) ** p for i in range(17)]
        slope += mp.quad(lambda t: at(t)[1], grid)
        # s dz = t dt/(p t^(1 - 1/p))
        value += mp.quad(lambda t: at(t)[0] * t ** (1 / p) / p, grid)
    return value, slope


def shifted_power(c: float, p: float) -> Oracle:
    """The oracle of |z - c|^p, 0 < p < 1."""
    shift, power = mp.mpf(c), mp.mpf(p)

    def average(m: Number, w: Number) -> tuple[Number, Number]:
        d = m - shift
        if w == 0:
            if d == 0:
                return mp.mpf(0), mp.mpf(0)
            return abs(d) ** power, mp.sign(d) * power * abs(d) ** (power - 1)
        return absolute_moment(d, w, power), power * signed_moment(d, w, power - 1)

    return averaged(average, (c,), p)


def clipped(low: float, high: float) -> Oracle:
    """The oracle of min(max(z, low), high)."""
    a, b = mp.mpf(low), mp.mpf(high)

    def average(m: Number, w: Number) -> tuple[Number, Number]:
        if w == 0:
            return min(max(m, a), b), mp.mpf(a < m < b)
        lo, hi = (a - m) / w, (b - m) / w
        inside = mp.ncdf(hi) - mp.ncdf(lo)
        value = m * inside + w * (phi(lo) - phi(hi)) + a * mp.ncdf(lo) + b * mp.ncdf(-hi)
        return value, inside

    return averaged(average, (low, high))


def shifted_relu(c: float) -> Oracle:
    """The oracle of max(z - c, 0)."""
    shift = mp.mpf(c)

    def average(m: Number, w: Number) -> tuple[Number, Number]:
        d = m - shift
        if w == 0:
            return max(d, mp.mpf(0)), mp.mpf(d > 0)
        return d * mp.ncdf(d / w) + w * phi(d / w), mp.ncdf(d / w)

    return averaged(average, (c,))


def shifted_step(c: float) -> Oracle:
    """The oracle of 1 for z > c, else 0."""
    shift = mp.mpf(c)

    def average(m: Number, w: Number) -> tuple[Number, Number]:
        return (mp.mpf(m > shift) if w == 0 else mp.ncdf((m - shift) / w)), mp.mpf(0)

    plain = averaged(average, (c,))

    def one(k: Number) -> tuple[Number, Number, Number]:
        x = shift / mp.sqrt(k)
        return mp.ncdf(-x), mp.inf, x * phi(x) / (2 * k)

    def two(k_a: Number, k_b: Number, rho: Number) -> tuple[Number, Number]:
        x, y = shift / mp.sqrt(k_a), shift / mp.sqrt(k_b)
        form = (x * x - 2 * rho * x * y + y * y) / (1 - rho * rho)
        density = mp.exp(-form / 2) / (2 * mp.pi * mp.sqrt(k_a * k_b * (1 - rho * rho)))
        return plain.two(k_a, k_b, rho)[0], density

    return Oracle(one, two)


@dataclass
class Layer:
    k_aa: Number
    k_bb: Number
    k_ab: Number
    theta_aa: Number
    theta_bb: Number
    theta_ab: Number


def layers(
    oracle: Oracle, cb: float, cw: float, norm_a: float, norm_b: float, rho: float, depth: int
) -> list[Layer]:
    """Return layers 1 .. depth + 1 in the `ntk` convention, for rho within (-1, 1)."""
    b, w = mp.mpf(cb), mp.mpf(cw)
    s_a, s_b = mp.mpf(norm_a), mp.mpf(norm_b)
    k = [b + w * s_a, b + w * s_b, b + w * mp.sqrt(s_a * s_b) * mp.mpf(rho)]
    out = [Layer(*k, *k)]
    for _ in range(depth):
        at = out[-1]
        a, c = oracle.one(at.k_aa), oracle.one(at.k_bb)
        correlation = at.k_ab / mp.sqrt(at.k_aa * at.k_bb)
        value, slope = oracle.two(at.k_aa, at.k_bb, correlation)
        k = [b + w * a[0], b + w * c[0], b + w * value]
        theta = [
            new + w * d * old
            for new, d, old in zip(
                k, (a[1], c[1], slope), (at.theta_aa, at.theta_bb, at.theta_ab), strict=True
            )
        ]
        out.append(Layer(*k, *theta))
    return out
