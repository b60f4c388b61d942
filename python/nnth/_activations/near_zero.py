"""Polynomials that replace an expression near 0, where its terms cancel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np

from nnth import _core
from nnth._activations.pieces import Code, switches
from nnth._activations.taylor import Expansion, NoExpansionError, expansion
from nnth._runtime.typing import Floats

# The radius, and the coefficients of 1, z, z^2, ... to the left and to the right of 0.
NearZero = tuple[float, list[float], list[float]]

_ROUNDING: Final = 2.0**-56  # the largest truncation error relative to the value
_TAIL: Final = 8  # the last coefficients, which determine the radius of a series
_LEAST_TERMS: Final = 12
_POLYNOMIAL: Final = 1.0  # the radius of a finite series
_ACCURATE: Final = 1e-13
# The largest difference between polynomial and program near the radius, relative and absolute, and
# nearer to 0, absolute.
_DIFFERENCE: Final = 1e-12
_NOISE: Final = 1e-14
_NOISE_WITHIN: Final = 1e-10
_LEAST_RADIUS: Final = 1e-6
_LEAST_SIZE: Final = 1e-30
_LEAST_DOUBLE: Final = Decimal("1e-300")
_FRACTIONS: Final = np.ldexp(1.0, -np.arange(61)) * 0.97


@lru_cache(maxsize=256)
def near_zero(code: Code) -> NearZero | None:
    """Return the Taylor polynomials of a program at 0, None where the program is as accurate.

    With their first two derivatives they are exact to rounding for |z| < radius, which is at most
    half of the distance to the next piece of the function. The program is as accurate if its value
    and derivative agree with the polynomials to 1e-13. The result is None, too, without an
    expansion in integer powers, as for abs(z)**0.5. Cost: 1 to 10 ms.
    """
    places = switches(code)
    if places is None:
        return None
    try:
        sides = [expansion(code, side) for side in (-1, 1)]
    except NoExpansionError:
        return None
    if any(side.order.denominator != 1 or side.order < 0 for side in sides):
        return None
    if any(side.terms and len(side.terms) < _LEAST_TERMS for side in sides):
        return None
    if any(_underflows(side) for side in sides):
        return None
    left, right = (_coefficients(a, sign) for a, sign in zip(sides, (-1, 1), strict=True))
    radius = 0.5 * min([_radius(left), _radius(right), *(abs(z) for z in places if z)])
    core = _core.Activation(code, None, 0.0)
    # Terms beyond the known ones may matter, as in z + z**40.
    while not _agree(core, radius, left, right):
        radius *= 0.5
        if radius < _LEAST_RADIUS:
            return None
    # Expansions of smaller functions have too few digits: they are tails of distant terms.
    if max(abs(np.polynomial.Polynomial(c)(radius)) for c in (left, right)) < _LEAST_SIZE:
        return None
    if _is_as_accurate(core, radius, left, right):
        return None
    return radius, _cut(left, radius), _cut(right, radius)


def _underflows(a: Expansion) -> bool:
    """Return whether s, s' or s'' at 0 is not 0 but too small for a double."""
    first = [abs(a.coefficient(n)) for n in range(min(3, int(a.known)))]
    return any(0 < c < _LEAST_DOUBLE for c in first)


def _coefficients(a: Expansion, side: int) -> list[float]:
    """Return the coefficients in powers of z of an expansion in t = |z|."""
    known = int(a.known)
    return [float(a.coefficient(n)) * (side if n % 2 else 1) for n in range(known)]


def _leads(c: Sequence[float]) -> list[tuple[int, int, float]]:
    """Return, for s, s' and s'', the order, and the m of z^m and the size of its first term."""
    found = []
    for order in range(3):
        m = next((n for n in range(order, len(c)) if c[n]), None)
        if m is not None:
            found.append((order, m, abs(c[m]) * math.perm(m, order)))
    return found


def _radius(c: Sequence[float]) -> float:
    """Return the radius in which the last coefficients only change the rounding of s, s', s''."""
    radius = 2.0 * _POLYNOMIAL
    for order, m, lead in _leads(c):
        for n in range(max(len(c) - _TAIL, m + 1), len(c)):
            if c[n]:
                fraction = _ROUNDING * lead / (abs(c[n]) * math.perm(n, order))
                radius = min(radius, fraction ** (1.0 / (n - m)))
    return radius


def _cut(c: list[float], radius: float) -> list[float]:
    """Return the coefficients without the terms that are below rounding for |z| < radius."""
    needed = 1
    for order, m, lead in _leads(c):
        for n in range(m, len(c)):
            term = abs(c[n]) * math.perm(n, order) * radius ** (n - m)
            if term > 0.01 * _ROUNDING * lead:
                needed = max(needed, n + 1)
    return c[:needed]


def _agree(
    core: _core.Activation, radius: float, left: Sequence[float], right: Sequence[float]
) -> bool:
    """Return whether polynomials and program agree for |z| < radius, up to cancellation."""
    z = radius * np.concatenate(([0.6, 0.8, 0.99], np.linspace(0.01, 1.0, 60)))
    noise = np.where(np.arange(z.size) < 3, _NOISE, _NOISE_WITHIN)
    for side, c in ((-1.0, left), (1.0, right)):
        series = np.polynomial.Polynomial(c)
        with np.errstate(all="ignore"):
            value, slope, _ = core.evaluate(side * z)
        size = np.abs(series(side * z)) + np.abs(z * series.deriv()(side * z))
        apart = np.abs(value - series(side * z)) + np.abs(z * (slope - series.deriv()(side * z)))
        if not (apart <= _DIFFERENCE * size + noise).all():
            return False
    return True


def _is_as_accurate(
    core: _core.Activation, radius: float, left: Sequence[float], right: Sequence[float]
) -> bool:
    for side, c in ((-1.0, left), (1.0, right)):
        z: Floats = side * radius * _FRACTIONS
        series = np.polynomial.Polynomial(c)
        with np.errstate(all="ignore"):
            value, slope, _ = core.evaluate(z)
            for found, exact in ((value, series(z)), (slope, series.deriv()(z))):
                if not (np.abs(found - exact) <= _ACCURATE * np.abs(exact)).all():
                    return False
    return True
