"""Where the terms of an expression cancel at 0: the polynomials that take its place there."""

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

# Radius, and coefficients of 1, z, z^2, ... left and right of 0.
NearZero = tuple[float, list[float], list[float]]

_ROUNDING: Final = 2.0**-56  # of a value, which what is cut off must not exceed
_TAIL: Final = 8  # coefficients that say where a series may be cut
_LEAST_TERMS: Final = 12
_POLYNOMIAL: Final = 1.0  # the radius for what has no further coefficients
_ACCURATE: Final = 1e-13
_MEETING: Final = 1e-12  # how near polynomials come to the program where its digits do not cancel
_NOISE: Final = 1e-14  # and where they do
_NOISE_WITHIN: Final = 1e-10  # nearer to 0, where they may meet no bump of the function
_LEAST_RADIUS: Final = 1e-6
_LEAST_SIZE: Final = 1e-30
_LEAST_DOUBLE: Final = Decimal("1e-300")
_FRACTIONS: Final = np.ldexp(1.0, -np.arange(61)) * 0.97


@lru_cache(maxsize=256)
def near_zero(code: Code) -> NearZero | None:
    """Return the Taylor polynomials of a program beside 0, None where it does as well by itself.

    They hold to rounding for |z| < radius, their first two derivatives included, which is at most
    half the way to where the next piece begins. None as well where there is no expansion in whole
    powers, as for abs(z)**0.5. Accuracy: a program does as well where value and slope agree with
    its polynomials to 1e-13. Cost: 1 to 10 ms.
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
    # The terms that are known do not tell of later ones, as of z + z**40.
    while not _meet(core, radius, left, right):
        radius *= 0.5
        if radius < _LEAST_RADIUS:
            return None
    # Below this a function is its neighbors' tail, of which expansions keep too few digits.
    if max(abs(np.polynomial.Polynomial(c)(radius)) for c in (left, right)) < _LEAST_SIZE:
        return None
    if _does_as_well(core, radius, left, right):
        return None
    return radius, _cut(left, radius), _cut(right, radius)


def _underflows(a: Expansion) -> bool:
    """Whether the value, slope or curvature at 0 is too small for a double, but not 0."""
    first = [abs(a.coefficient(n)) for n in range(min(3, int(a.known)))]
    return any(0 < c < _LEAST_DOUBLE for c in first)


def _coefficients(a: Expansion, side: int) -> list[float]:
    """In powers of z; t is |z|."""
    known = int(a.known)
    return [float(a.coefficient(n)) * (side if n % 2 else 1) for n in range(known)]


def _leads(c: Sequence[float]) -> list[tuple[int, int, float]]:
    """For each derivative its order, and of its first term the m of z^m and the size at z = 1."""
    found = []
    for order in range(3):
        m = next((n for n in range(order, len(c)) if c[n]), None)
        if m is not None:
            found.append((order, m, abs(c[m]) * math.perm(m, order)))
    return found


def _radius(c: Sequence[float]) -> float:
    """Where the last coefficients add no more than rounding to the function or a derivative."""
    radius = 2.0 * _POLYNOMIAL
    for order, m, lead in _leads(c):
        for n in range(max(len(c) - _TAIL, m + 1), len(c)):
            if c[n]:
                share = _ROUNDING * lead / (abs(c[n]) * math.perm(n, order))
                radius = min(radius, share ** (1.0 / (n - m)))
    return radius


def _cut(c: list[float], radius: float) -> list[float]:
    """Leave out the terms that are below rounding for |z| < radius."""
    needed = 1
    for order, m, lead in _leads(c):
        for n in range(m, len(c)):
            term = abs(c[n]) * math.perm(n, order) * radius ** (n - m)
            if term > 0.01 * _ROUNDING * lead:
                needed = max(needed, n + 1)
    return c[:needed]


def _meet(
    core: _core.Activation, radius: float, left: Sequence[float], right: Sequence[float]
) -> bool:
    """Whether polynomials and program agree where the polynomials end, but for cancellation."""
    z = radius * np.concatenate(([0.6, 0.8, 0.99], np.linspace(0.01, 1.0, 60)))
    noise = np.where(np.arange(z.size) < 3, _NOISE, _NOISE_WITHIN)
    for side, c in ((-1.0, left), (1.0, right)):
        series = np.polynomial.Polynomial(c)
        with np.errstate(all="ignore"):
            value, slope, _ = core.evaluate(side * z)
        size = np.abs(series(side * z)) + np.abs(z * series.deriv()(side * z))
        apart = np.abs(value - series(side * z)) + np.abs(z * (slope - series.deriv()(side * z)))
        if not (apart <= _MEETING * size + noise).all():
            return False
    return True


def _does_as_well(
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
