"""The plane through three points, over the rational numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Triangle:
    """Three points p, p + u, p + v not on a line, over the rational numbers.

    Raises ValueError if they are on a line; `axes` raises it for sides and heights out of range.
    """

    def __init__(self, points: Array) -> None:
        numbers, self._exponent = _integers(points)
        self._p, self._u, self._v = numbers[0], numbers[1] - numbers[0], numbers[2] - numbers[0]
        self._uu, self._uv = self._u @ self._u, self._u @ self._v
        self._vv = self._v @ self._v
        self._gram = self._uu * self._vv - self._uv**2  # four times the squared area
        if self._gram == 0:
            raise ValueError("through must hold 3 points that are not on a line for a plane")

    @property
    def axes(self) -> Array:
        """The upper triangular matrix A for which (u, v) A is orthonormal, rounded to doubles.

        Its first axis is along u. Each entry has a relative error of 2^-52.
        """
        e = self._exponent
        across = _root(self._uu, self._gram, -e)  # the inverse of the height of v above u
        along = _root(self._uv**2, self._uu * self._gram, -e)
        first = _root(1, self._uu, -e)
        if not all(1e-300 <= x <= 1e300 for x in (first, across)) or along > 1e300:
            raise ValueError(
                "through must hold points whose triangle has sides and heights from 1e-300 to "
                "1e300 for a plane"
            )
        return np.array([[first, -math.copysign(along, self._uv)], [0.0, across]])

    @property
    def zero(self) -> list[Fraction] | None:
        """The s with p + (u, v) s = 0, or None if 0 is not in the plane."""
        up, vp = -(self._u @ self._p), -(self._v @ self._p)
        s = (self._vv * up - self._uv * vp, self._uu * vp - self._uv * up)
        if (self._gram * self._p + s[0] * self._u + s[1] * self._v).any():
            return None
        return [Fraction(x, self._gram) for x in s]


def _integers(values: Array) -> tuple[NDArray[np.object_], int]:
    """Return integers and an exponent e such that the values are integers times 2^e."""
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64).astype(object)
    shifts = np.where(mantissas == 0.0, 2**20, exponents).astype(np.int64) - 53
    least = int(shifts.min())
    shifts = np.where(mantissas == 0.0, 0, shifts - least)
    return whole * (1 << shifts.astype(object)), least


def _root(numerator: int, denominator: int, exponent: int) -> float:
    """Return sqrt(numerator/denominator) 2^exponent, or infinity beyond the range of floats."""
    if numerator == 0:
        return 0.0
    shift = 66 - (numerator.bit_length() - denominator.bit_length()) // 2
    n, d = (
        (numerator << 2 * shift, denominator)
        if shift > 0
        else (numerator, denominator << -2 * shift)
    )
    root = math.isqrt(n // d)  # at least 65 bits
    try:
        return math.ldexp(root, exponent - shift)
    except OverflowError:
        return math.inf
