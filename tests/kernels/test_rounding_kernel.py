"""The rounding of activations whose terms cancel: its bounds, and the errors that state it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import mpmath as mp
import numpy as np
import pytest

from nnth import _core
from nnth._activations.activation import activation
from nnth._activations.expression import parse

Function = Callable[[mp.mpf], mp.mpf]
POWER = mp.mpf(0.6)  # the double
DIGITS = 40


@dataclass(frozen=True)
class Case:
    """An expression, its function and its derivative, and where it can be integrated."""

    act: str
    value: Function
    slope: Function
    most: float = 1e3  # the largest variance

    def __str__(self) -> str:
        return self.act


def beside_power(act: str, value: Function, slope: Function, most: float = 1e3) -> Case:
    """Return |z|**0.6 times a function, which has no polynomial near 0."""
    return Case(
        f"abs(z)**0.6*({act})",
        lambda z: abs(z) ** POWER * value(z),
        lambda z: abs(z) ** POWER * (slope(z) + POWER / z * value(z)),
        most,
    )


PLAIN = (
    Case("1-cos(z)", lambda z: 1 - mp.cos(z), mp.sin),
    Case("exp(z)-1-z", lambda z: mp.exp(z) - 1 - z, lambda z: mp.exp(z) - 1, 1.0),
    Case("z-sin(z)", lambda z: z - mp.sin(z), lambda z: 1 - mp.cos(z)),
    Case("tanh(z)-z", lambda z: mp.tanh(z) - z, lambda z: -(mp.tanh(z) ** 2)),
    Case("log1p(z)-z", lambda z: mp.log1p(z) - z, lambda z: -z / (1 + z), 1e-4),
    Case("sqrt(1+z**2)-1", lambda z: mp.sqrt(1 + z * z) - 1, lambda z: z / mp.sqrt(1 + z * z)),
    Case("1/(1+z**2)-1", lambda z: -z * z / (1 + z * z), lambda z: -2 * z / (1 + z * z) ** 2),
    Case("atan(z)-z", lambda z: mp.atan(z) - z, lambda z: -z * z / (1 + z * z)),
    Case(
        "erf(z)-2*z/sqrt(pi)",
        lambda z: mp.erf(z) - 2 * z / mp.sqrt(mp.pi),
        lambda z: 2 / mp.sqrt(mp.pi) * mp.expm1(-z * z),
    ),
    Case(
        "softplus(z)-log(2)",
        lambda z: mp.log1p(mp.exp(z)) - mp.log(2),
        lambda z: 1 / (1 + mp.exp(-z)),
        100.0,
    ),
    Case("sigmoid(z)-0.5", lambda z: mp.tanh(z / 2) / 2, lambda z: mp.sech(z / 2) ** 2 / 4),
    Case("exp(-z**2)-1", lambda z: mp.expm1(-z * z), lambda z: -2 * z * mp.exp(-z * z)),
)
CASES = (*PLAIN, *(beside_power(c.act, c.value, c.slope, c.most) for c in PLAIN))


def averages(case: Case, variance: float) -> tuple[mp.mpf, mp.mpf]:
    """Return E[s^2] and E[s'^2] by the trapezoidal rule in t, z = deviation * log(1 + e^t).

    It converges faster than any power of the step for functions that are analytic on either side of
    0: towards 0 the points are equally spaced in log |z|, and far out in z, for oscillations.
    """
    step, low, high = mp.mpf(1) / 12, -45, 14
    deviation = mp.sqrt(mp.mpf(variance))
    square = slope = mp.mpf(0)
    for n in range(low * 12, high * 12):
        grown = mp.exp(n * step)
        x = mp.log1p(grown)
        weight = step * grown / (1 + grown) * mp.npdf(x)
        for z in (deviation * x, -deviation * x):
            square += weight * case.value(z) ** 2
            slope += weight * case.slope(z) ** 2
    return square, slope


def draws(case: Case, number: int, seed: int) -> list[float]:
    """Return variances from 1e-18 to the largest of the case, some of every decade."""
    rng = np.random.default_rng(seed)
    return [float(v) for v in 10 ** rng.uniform(-18, math.log10(case.most), number)]


def ratios(case: Case, variances: list[float]) -> Iterator[tuple[float, float]]:
    """Yield the actual error of the second layer of one input, and it over the stated one."""
    core = activation(case.act).core
    network = _core.KernelConfig(0.0, 1.0, 1, _core.Ntk.ntk)
    for variance in variances:
        inputs = _core.Inputs(variance, variance, 0.3)
        found = _core.kernel(core, _core.Method.quadrature, 2, network, inputs)
        with mp.workdps(DIGITS):
            square, slope = averages(case, variance)
            exact = {"k_aa": square, "theta_aa": square + slope * mp.mpf(variance)}
            actual = max(
                float(abs(found[name][1] - value) / value) for name, value in exact.items()
            )
        stated = found["error"][1]
        assert actual <= stated, (case.act, variance, actual, stated)
        yield actual, actual / stated


@pytest.mark.parametrize("case", CASES, ids=str)
def test_errors_know_the_rounding_of_terms_that_cancel(case: Case) -> None:
    assert len(list(ratios(case, draws(case, 3, 1)))) == 3


@pytest.mark.nightly
def test_errors_know_the_rounding_in_every_case() -> None:
    """And where rounding shows they are not absurdly large: within 300 in the median.

    They are bounds for roundings of one sign, while those of a hundred points average out.
    """
    found = [
        pair for n, case in enumerate(CASES) for pair in ratios(case, draws(case, 20, 100 + n))
    ]
    assert len(found) == 20 * len(CASES)
    assert statistics.median(ratio for actual, ratio in found if actual > 1e-13) >= 1 / 300


def moment(p: mp.mpf, q: mp.mpf, rho: mp.mpf, *, odd: bool) -> mp.mpf:
    """Return E[|x|^p |y|^q], or with `odd` E[sign(x) |x|^p sign(y) |y|^q], of standard normals."""
    half = mp.mpf(1) / 2
    shift = half if odd else mp.mpf(0)
    factor = mp.gamma(p / 2 + half + shift) * mp.gamma(q / 2 + half + shift) / mp.pi
    angular = mp.hyp2f1(shift - p / 2, shift - q / 2, half + 2 * shift, rho * rho)
    return mp.power(2, (p + q) / 2) * factor * (2 * rho if odd else 1) * angular


@cache
def series(case: Case) -> list[tuple[int, mp.mpf]]:
    """Return the terms of f, n and the coefficient of z^n, of a case |z|**0.6 f(z)."""
    with mp.workdps(70):
        found = mp.taylor(PLAIN[CASES.index(case) - len(PLAIN)].value, 0, 11)
    terms = [(n, c) for n, c in enumerate(found) if abs(c) > mp.mpf(10) ** -30]
    assert len({n % 2 for n, _ in terms}) == 1
    return terms


def pair(case: Case, variance: float, rho: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    """Return E[s_a s_b] and E[s_a' s_b'] for |z|**0.6 f(z), f even or odd, by the series of f."""
    terms = series(case)
    odd = terms[0][0] % 2 == 1
    value = slope = mp.mpf(0)
    for m, a in terms:
        for n, b in terms:
            p, q = POWER + m, POWER + n
            scale = a * b * mp.mpf(variance) ** ((p + q) / 2)
            value += scale * moment(p, q, rho, odd=odd)
            slope += scale / mp.mpf(variance) * p * q * moment(p - 1, q - 1, rho, odd=not odd)
    return value, slope


PAIRED = [
    case
    for case in CASES[len(PLAIN) :]
    if not any(name in case.act for name in ("exp(z)", "log1p", "softplus"))
]


@pytest.mark.parametrize("case", PAIRED, ids=str)
def test_errors_of_pairs_know_the_rounding(case: Case) -> None:
    """Up to inputs so nearly parallel that their outputs differ by less than their rounding."""
    core = activation(case.act).core
    network = _core.KernelConfig(0.0, 1.0, 1, _core.Ntk.ntk)
    for variance in (1e-17, 3e-13, 1e-6):
        for rho in (-0.9, 0.1, 1 - 1e-4, 1 - 1e-9):
            inputs = _core.Inputs(variance, variance, rho)
            found = _core.kernel(core, _core.Method.quadrature, 2, network, inputs)
            with mp.workdps(30):
                c = mp.mpf(rho)
                (square, own), (product, slope) = (pair(case, variance, x) for x in (mp.mpf(1), c))
                theta = square + own * mp.mpf(variance)
                theta_ab = product + slope * c * mp.mpf(variance)
                actual = max(
                    float(abs(found["k_aa"][1] - square) / square),
                    float(abs(found["k_ab"][1] - product) / square),
                    float(abs(found["theta_aa"][1] - theta) / theta),
                    float(abs(found["theta_ab"][1] - theta_ab) / theta),
                )
            assert actual <= found["error"][1], (case.act, variance, rho)


def off(found: np.ndarray, exact: list[mp.mpf], bounds: np.ndarray) -> float:
    """Return the largest error over its bound."""
    with mp.workdps(DIGITS):
        errors = [abs(mp.mpf(f) - e) for f, e in zip(found.tolist(), exact, strict=True)]
        return max(
            float(error / mp.mpf(bound)) if bound else math.inf
            for error, bound in zip(errors, bounds.tolist(), strict=True)
            if error
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bounds_of_rounding_are_bounds(case: Case) -> None:
    """At every point, of value and derivative; and no more than forty times the largest error."""
    rng = np.random.default_rng(7)
    size = 10 ** rng.uniform(-9, math.log10(min(3 * math.sqrt(case.most), 20.0)), 300)
    z = size * rng.choice([-1.0, 1.0], size.size)
    core = activation(case.act).core
    value, slope, value_error, slope_error = core.evaluate_with_errors(z)
    plain = core.evaluate(z)
    np.testing.assert_array_equal((value, slope), plain[:2])
    with mp.workdps(DIGITS):
        exact = [(case.value(mp.mpf(x)), case.slope(mp.mpf(x))) for x in z.tolist()]
    assert 1 / 40 <= off(value, [v for v, _ in exact], value_error) <= 1
    assert 1 / 40 <= off(slope, [d for _, d in exact], slope_error) <= 1


# Value and slope at z = 1e-9, for which the cosine is rounded to 1: of functions that choose pieces
# by what is rounded, or have an infinite slope at 0.
Z = 1e-9
DECIDED = {
    "sign(1-cos(z))": (1.0, 0.0),
    "step(1-cos(z))": (1.0, 0.0),
    "abs(1-cos(z)-1e-18)": (0.5e-18, -Z),
    "abs(1-cos(z)-0.25e-18)": (0.25e-18, Z),
    "max(1-cos(z), 0.25e-18)": (0.5e-18, Z),
    "min(1-cos(z), 0.25e-18)": (0.25e-18, 0.0),
    "where(1-cos(z) > 0.25e-18, 2, 3)": (2.0, 0.0),
    "sqrt(1-cos(z))": (Z / math.sqrt(2), 1 / math.sqrt(2)),
    "(1-cos(z))**2": (0.25e-36, Z**3),
    "(1-cos(z))**1.5": (0.5e-18**1.5, 1.5 * 0.5e-18**0.5 * Z),
    "(1-cos(z))**0.3": (0.5e-18**0.3, 0.3 * 0.5e-18**-0.7 * Z),
    "(1-cos(z))*(1-cos(z))": (0.25e-36, Z**3),
}


@pytest.mark.parametrize("act", DECIDED)
def test_bounds_cover_what_rounding_decides(act: str) -> None:
    core = _core.Activation(parse(act), None, 0.0)
    value, slope, value_error, slope_error = (x[0] for x in core.evaluate_with_errors([Z]))
    exact, exact_slope = DECIDED[act]
    assert value != pytest.approx(exact, rel=0.1, abs=0.0) or act.startswith("abs")
    assert abs(value - exact) <= value_error
    if math.isfinite(slope):
        assert abs(slope - exact_slope) <= slope_error * (1.0 + 1e-12)


def test_noise_is_no_kink() -> None:
    """Of functions that are smooth off 0, or at 0 less singular than their rounding suggests."""
    for case in CASES:
        core = activation(case.act).core
        assert [z for z in core.breaks(50.0 if case.most > 1.0 else 0.5) if z != 0.0] == [], case
        assert core.jumps(0.5) == [], case
