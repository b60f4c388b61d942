"""The vectorized elementary functions against 40 digits of mpmath, in units in the last place."""

import hashlib
import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from nnth import _core

Array = NDArray[np.float64]
POINTS = 1000  # a range
ULPS = 2.0  # what vmath.hpp promises
# What operations.hpp takes for the rounding of activations.
SHARP_ULPS, MIDDLE_ULPS, WIDE_ULPS = 0.8, 1.0, 1.6


def uniform(low: float, high: float) -> Array:
    return np.random.default_rng(1).uniform(low, high, POINTS)


def magnitudes(low: float, high: float, sign: str = "both") -> Array:
    """Return numbers of every magnitude from 2**low to 2**high."""
    rng = np.random.default_rng(2)
    x = np.exp2(rng.uniform(low, high, POINTS))
    return x if sign == "+" else x * rng.choice([-1.0, 1.0], POINTS)


def near_quarter_turns(limit: float) -> Array:
    """Return the doubles nearest to multiples of pi/2, where sin or cos cancels."""
    return np.rint(uniform(-limit, limit)) * (math.pi / 2)


def ulps(y: Array, exact: list[mpmath.mpf]) -> float:
    """Return the largest error of y in units in the last place of the exact values."""
    worst = 0.0
    for value, true in zip(y.ravel().tolist(), exact, strict=True):
        unit = math.ulp(float(true))
        if not (math.isinf(unit) or value == float(true)):
            worst = max(worst, float(abs(mpmath.mpf(value) - true) / mpmath.mpf(unit)))
    return worst


def sigmoid(x: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-x))


FUNCTIONS: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "tanh": mpmath.tanh,
    "sigmoid": sigmoid,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "atan": mpmath.atan,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
}

RANGES: dict[str, list[Array]] = {
    "exp": [uniform(-1, 1), uniform(-708, 709.7), uniform(-745.2, -708), magnitudes(-60, 9)],
    "expm1": [uniform(-1, 2), uniform(-60, 60), uniform(60, 709.7), magnitudes(-1070, 9)],
    "tanh": [uniform(-1, 1), uniform(0.62, 0.7), uniform(-21, 21), magnitudes(-1070, 4)],
    "sigmoid": [uniform(-1, 1), uniform(-5, 0), uniform(-40, 40), uniform(-745, -700)],
    "log": [uniform(0.5, 2), magnitudes(-1074, 1023.9, "+"), 1 + magnitudes(-50, -2)],
    "log1p": [
        uniform(-0.9, 3),
        magnitudes(-1070, -1),
        magnitudes(-1, 1023.9, "+"),
        -1 + magnitudes(-52, -1, "+"),
    ],
    "sin": [uniform(-4, 4), uniform(-1e6, 1e6), magnitudes(-1070, 5), near_quarter_turns(6e5)],
    "cos": [uniform(-4, 4), uniform(-1e6, 1e6), magnitudes(-60, 5), near_quarter_turns(6e5)],
    "atan": [uniform(-3, 3), uniform(0.6, 0.7), magnitudes(-1070, 1023.9), magnitudes(-4, 4)],
    "erf": [uniform(-0.8, 0.8), uniform(0.7, 1), uniform(-6, 6), magnitudes(-1060, 0)],
    "erfc": [
        uniform(-6, 6),
        uniform(0.4, 0.6),
        uniform(0.5, 6),
        uniform(6, 26.5),
        uniform(26, 27.3),
    ],
}

# Each row has x and the value in C (tanh and erf: the limit; sincos: nan outside its range).
SPECIAL: dict[str, list[tuple[float, float]]] = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (709.8, math.inf), (math.inf, math.inf), (-746.0, 0.0)],
    "expm1": [(-0.0, -0.0), (5e-324, 5e-324), (math.inf, math.inf), (-math.inf, -1.0)],
    "tanh": [(-0.0, -0.0), (-5e-324, -5e-324), (math.inf, 1.0), (-math.inf, -1.0), (30.0, 1.0)],
    "sigmoid": [(-0.0, 0.5), (math.inf, 1.0), (-math.inf, 0.0)],
    "log": [
        (0.0, -math.inf),
        (-0.0, -math.inf),
        (-1.0, math.nan),
        (1.0, 0.0),
        (math.inf, math.inf),
    ],
    "log1p": [(-0.0, -0.0), (5e-324, 5e-324), (-1.0, -math.inf), (-1.1, math.nan)],
    "sin": [(-0.0, -0.0), (5e-324, 5e-324), (math.inf, math.nan), (1.1e6, math.nan)],
    "cos": [(-0.0, 1.0), (-math.inf, math.nan), (-1.1e6, math.nan)],
    "atan": [(-0.0, -0.0), (5e-324, 5e-324), (math.inf, math.pi / 2), (-math.inf, -math.pi / 2)],
    "erf": [(-0.0, -0.0), (math.inf, 1.0), (-math.inf, -1.0), (6.0, 1.0)],
    "erfc": [(-0.0, 1.0), (math.inf, 0.0), (-math.inf, 2.0), (28.0, 0.0)],
}


MEASURED = {
    **dict.fromkeys(("exp", "log", "log1p", "sin", "cos"), SHARP_ULPS),
    **dict.fromkeys(("atan", "erf"), MIDDLE_ULPS),
    **dict.fromkeys(("expm1", "tanh", "sigmoid", "erfc"), WIDE_ULPS),
}


def test_tables_name_every_function() -> None:
    assert FUNCTIONS.keys() == RANGES.keys() == SPECIAL.keys() == MEASURED.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_the_ulps_of_operations(name: str) -> None:
    with mpmath.workdps(40):
        for x in RANGES[name]:
            exact = [FUNCTIONS[name](mpmath.mpf(value)) for value in x.tolist()]
            found = ulps(_core.vmath(name, x), exact)
            assert found <= MEASURED[name] <= ULPS, (float(x.min()), float(x.max()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name: str) -> None:
    x, expected = np.array([*SPECIAL[name], (math.nan, math.nan)]).T
    y = _core.vmath(name, x)
    np.testing.assert_array_equal(y, expected)
    defined = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[defined]), np.signbit(expected[defined]))


def test_sincos_at_the_doubles_hardest_to_reduce() -> None:
    # Of all doubles nearest to a multiple of pi/2 below 10^6, 29 pi/2 has the smallest remainder,
    # 2^-60.5, and its doublings have the next ones.
    x = 29 * math.pi / 2 * 2.0 ** np.arange(10)
    with mpmath.workdps(60):
        for name, function in (("sin", mpmath.sin), ("cos", mpmath.cos)):
            assert ulps(_core.vmath(name, x), [function(mpmath.mpf(v)) for v in x]) <= ULPS


@pytest.mark.parametrize(
    ("y", "x"),
    [
        (magnitudes(-4, 4, "+"), np.ones(POINTS)),
        (magnitudes(-4, 4, "+"), magnitudes(-4, 4, "+")[::-1]),
        (magnitudes(-1074, 1023.9, "+"), magnitudes(-1074, 1023.9, "+")[::-1]),
        (magnitudes(1021, 1023.9, "+"), magnitudes(1021, 1023.9, "+")[::-1]),
        (magnitudes(-1074, -1070, "+"), magnitudes(-1074, -1070, "+")[::-1]),
    ],
)
def test_atan2_within_two_ulps(y: Array, x: Array) -> None:
    with mpmath.workdps(40):
        exact = [mpmath.atan2(mpmath.mpf(b), mpmath.mpf(a)) for b, a in zip(y, x, strict=True)]
        assert ulps(_core.vmath_atan2(y, x), exact) <= ULPS


def test_atan2_at_the_corners_of_the_quadrant() -> None:
    y, x = (a.ravel() for a in np.meshgrid([0.0, 1.0, 1.7e308, math.inf], [0.0, 1.0, math.inf]))
    np.testing.assert_array_equal(_core.vmath_atan2(y, x), np.arctan2(y, x))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_lane_does_not_know_its_neighbors(name: str) -> None:
    x = np.concatenate(RANGES[name])
    alone = np.array([_core.vmath(name, x[i : i + 1])[0] for i in range(x.size)])
    np.testing.assert_array_equal(_core.vmath(name, x), alone)


def test_same_bits_on_every_machine() -> None:
    # Recorded once: no CPU, compiler or vector width may change a bit. The inputs, multiples of
    # 2^-48 in [-8, 8), are exact, which those of NumPy's exp2 are not on every machine.
    x = (_core.words(1, 0, 0, 4096) >> 12).astype(np.float64) * 2.0**-48 - 8.0
    domain = {"log": np.abs(x), "log1p": np.abs(x) - 0.999}
    digest = hashlib.sha256()
    for name in FUNCTIONS:
        digest.update(_core.vmath(name, domain.get(name, x)).tobytes())
    assert digest.hexdigest() == "b6c6d441c268587a7fb50ed00fd83f9b7d59b2c2d9968731caee64111227c899"


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"name must be a function of vmath\.hpp, not 'sinh'"):
        _core.vmath("sinh", [1.0])
    with pytest.raises(ValueError, match="same size, not 2 and 1"):
        _core.vmath_atan2([1.0, 2.0], [1.0])
