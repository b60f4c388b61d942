"""Distances of points whose squares may overflow or vanish."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def distance(first: Array, second: Array) -> float:
    """Return the distance of two points, also where squares would overflow or vanish."""
    a, b, unit = scaled(first, second)
    try:
        return math.ldexp(float(np.linalg.norm(b - a)), unit)
    except OverflowError:
        return math.inf


def scaled(first: Array, second: Array) -> tuple[Array, Array, int]:
    """Return both points divided by 2^e, and e: the largest coordinate is from 1/2 to 1, or 0."""
    unit = math.frexp(max(float(np.abs(first).max()), float(np.abs(second).max())))[1]
    return np.ldexp(first, -unit), np.ldexp(second, -unit), unit
