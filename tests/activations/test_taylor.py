"""One-sided expansions of activations against mpmath, and the functions derived from them."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

from nnth import CATALOGUE
from nnth._activations.activation import activation
from nnth._activations.expression import parse
from nnth._activations.near_zero import near_zero
from nnth._activations.smoothness import joints, polynomial, roughness, slopes
from nnth._activations.taylor import NoExpansionError, expansion

# Expressions, and the same functions in mpmath.
SMOOTH = {
    "tanh(z)": mp.tanh,
    "2*sigmoid(2*z)-1": lambda z: mp.tanh(z),
    "softplus(z-1)": lambda z: mp.log1p(mp.exp(z - 1)),
    "erf(z+0.5)": lambda z: mp.erf(z + mp.mpf("0.5")),
    "Phi(z)*z": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
    "sin(2*z+1)*cos(z)": lambda z: mp.sin(2 * z + 1) * mp.cos(z),
    "atan(z+3)": lambda z: mp.atan(z + 3),
    "log(2+z)": lambda z: mp.log(2 + z),
    "log1p(z/3)": lambda z: mp.log1p(z / 3),
    "sqrt(1+z**2)": lambda z: mp.sqrt(1 + z * z),
    "(1+z)**-2.5": lambda z: (1 + z) ** mp.mpf("-2.5"),
    "z*tanh(softplus(z))": lambda z: z * mp.tanh(mp.log1p(mp.exp(z))),
    "expm1(z)/z": lambda z: mp.expm1(z) / z if z else mp.mpf(1),
    "sin(z+pi)": lambda z: -mp.sin(z),
    "exp(e*z)": lambda z: mp.exp(mp.e * z),
    "(1+z)**7": lambda z: (1 + z) ** 7,
}


@pytest.mark.parametrize("text", SMOOTH)
def test_coefficients_are_those_of_mpmath(text: str) -> None:
    right, left = (expansion(parse(text), side) for side in (1, -1))
    with mp.workdps(60):
        # The coefficient by Cauchy's integral, on a circle within all radii of convergence (at
        # least 1).
        count = 64
        circle = [mp.mpf("0.25") * mp.expjpi(mp.mpf(2 * j) / count) for j in range(count)]
        values = [SMOOTH[text](z) for z in circle]
        for n in range(12):
            sums = mp.fsum(v * mp.expjpi(-mp.mpf(2 * j * n) / count) for j, v in enumerate(values))
            exact = mp.re(sums) / count / mp.mpf("0.25") ** n
            # The rule neglects the coefficient n + 64 times 0.25^64 = 1e-38.
            found = mp.mpf(str(right.coefficient(n)))
            assert abs(found - exact) < mp.mpf("1e-30"), n
            assert float(left.coefficient(n)) == (-1) ** n * float(right.coefficient(n))


def test_sums_that_cancel_are_exactly_zero() -> None:
    for text in (
        "sin(z)**2+cos(z)**2-1",
        "exp(z)*exp(-z)-1",
        "log(exp(z))-z",
        "tanh(z)-2*sigmoid(2*z)+1",
        "0.1+0.2-0.3+0*z",
        "erf(z)-2*Phi(z*sqrt(2))+1",
        "4*atan(1+0*z)-pi",
        "log(z+e)-log(z+e)",
        "sqrt(z*z)-abs(z)",
        "max(z,0)+min(z,0)-z",
        "sin(3*z)-3*sin(z)+4*sin(z)**3",
    ):
        for side in (-1, 1):
            assert expansion(parse(text), side).terms == (), text


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("where(z>0, z, exp(z)-1)", [0, -1, 0.5], [0, 1, 0]),
        ("abs(z)", [0, 1, 0], [0, 1, 0]),
        ("step(z)", [0, 0, 0], [1, 0, 0]),
        ("sign(z)*z**2", [0, 0, -1], [0, 0, 1]),
        ("max(min(z, 1), -1)", [0, -1, 0], [0, 1, 0]),
        ("relu(exp(z)-1)", [0, 0, 0], [0, 1, 0.5]),
        ("where(z<0, -1, 1)", [-1, 0, 0], [1, 0, 0]),
    ],
)
def test_either_side_has_its_piece(text: str, left: list[float], right: list[float]) -> None:
    for side, expected in ((-1, left), (1, right)):
        found = expansion(parse(text), side)
        assert [float(found.coefficient(n)) for n in range(3)] == expected


def test_powers_that_are_not_whole_keep_their_exponent() -> None:
    found = expansion(parse("relu(z)**1.5*exp(z)"), 1)
    assert found.order == Fraction(3, 2)
    assert [float(c) for c in found.terms[:3]] == [1.0, 1.0, 0.5]
    assert expansion(parse("abs(z-0.1)**0.4"), -1, Decimal("0.1")).order == Fraction(2, 5)


@pytest.mark.parametrize("text", ["log(abs(z))", "exp(1/z)", "sqrt(z)+z", "sin(1/z)"])
def test_where_there_is_no_expansion_none_is_made_up(text: str) -> None:
    with pytest.raises(NoExpansionError):
        [expansion(parse(text), side) for side in (-1, 1)]


# Expansions in place of an expression near 0.


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("softplus(z)-log(2)", lambda z: mp.log1p(mp.exp(z)) - mp.log(2)),
        ("log(0.5+0.5*exp(z))", lambda z: mp.log(mp.mpf("0.5") + mp.exp(z) / 2)),
        ("exp(z)-1", mp.expm1),
        ("exp(100*z)-1", lambda z: mp.expm1(100 * z)),
        ("cos(z)-1", lambda z: -2 * mp.sin(z / 2) ** 2),
        ("sin(z)-z", lambda z: mp.sin(z) - z),
        ("z*(cos(z)-1)", lambda z: -2 * z * mp.sin(z / 2) ** 2),
        ("(exp(z)-1)/z", lambda z: mp.expm1(z) / z),
        ("sqrt(1+z*z)-1", lambda z: mp.sqrt(1 + z * z) - 1),
        ("relu(exp(z)-1)", lambda z: max(mp.expm1(z), mp.mpf(0))),
        ("where(z>0.5,1,sigmoid(z)-0.5)", lambda z: 1 if z > 0.5 else mp.tanh(z / 2) / 2),
    ],
)
def test_values_and_slopes_keep_their_digits_at_all_scales(text: str, exact: object) -> None:
    z = np.concatenate([s * np.geomspace(1e-17, 0.4, 90) for s in (-1.0, 1.0)])
    value, slope, _ = activation(text).core.evaluate(z)
    # The rounding of a program, whose terms of size 1 cancel to |z|^3/6 at z = 0.4, is 1e-14.
    with mp.workdps(150):
        for at, f, f1 in zip(z.tolist(), value.tolist(), slope.tolist(), strict=True):
            true = exact(mp.mpf(at))  # type: ignore[operator]
            assert abs(f - true) <= 1e-13 * abs(true), at
            derivative = mp.diff(exact, mp.mpf(at), h=mp.mpf(abs(at)) * mp.mpf("1e-15"))
            assert abs(f1 - derivative) <= 1e-12 * abs(derivative), at


def test_the_catalogue_needs_no_polynomials() -> None:
    for name in (*CATALOGUE, "elu:0.3", "leaky_relu:0.2", "relu_power:3"):
        assert near_zero(tuple(parse(activation(name).expression))) is None, name


@pytest.mark.parametrize(
    "text",
    [
        "z+z**40",
        "max(z-0.3,0)",
        "z+relu(z-0.001)",
        "exp(z)-1+1e-3*sin(1000*z)",
        "z+1/(1e-6+z*z)",
        "exp(z)-1+relu(z-0.01)",
        "exp(z)-1+step(z-0.02)",
    ],
)
def test_polynomials_end_before_what_they_do_not_know(text: str) -> None:
    """The expansion is compared with the program, which does not cancel there."""
    z = np.concatenate([s * np.geomspace(1e-3, 3.0, 500) for s in (-1.0, 1.0)])
    from nnth import _core

    plain = _core.Activation(parse(text), None, 0.0).evaluate(z)
    for found, expected in zip(activation(text).core.evaluate(z)[:2], plain[:2], strict=True):
        size = np.abs(expected) + 1e-3
        assert (np.abs(found - expected) <= 1e-12 * size).all()


# Smoothness.


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("relu(z)", 1),
        ("max(z,0.01*z)", 1),
        ("where(z>0,z,exp(z)-1)", 2),
        ("step(z)", 0),
        ("where(z>0,z,0.5*(exp(z)-1))", 1),
        ("relu(z)**3", 3),
        ("abs(z)*z", 2),
        ("abs(z)**3", 3),
        ("relu(z)**1.5", 1.5),
        ("abs(z-0.1)**0.4", 0.4),
        ("max(min(z,1),-1)", 1),
        ("sqrt(z*z)", 1),
        ("max(exp(z)-2,0)**2", 2),
        ("max(z-0.3,0)**4", 4),
        ("sign(sin(z))", 0),
        ("where(z>1,sin(z-1),z-1)", 3),
        ("z+1e-10*abs(z)", 1),
        ("tanh(z)", math.inf),
        ("abs(z)**2", math.inf),
        ("where(z>0,z,z)", math.inf),
        ("1/(1+z*z)", math.inf),
        ("z*tanh(softplus(z))", math.inf),
        ("log(1+exp(z))", math.inf),
        ("1/z", math.nan),
    ],
)
def test_the_order_of_the_first_derivative_that_jumps(text: str, order: float) -> None:
    assert roughness(text) == pytest.approx(order, nan_ok=True, abs=0.0)


def test_joints_slopes_and_polynomials() -> None:
    assert joints("max(min(z,900),-2)") == (-2.0, 900.0)
    assert joints("where(z>log(2),z,log(2))") == pytest.approx((math.log(2.0),), rel=1e-15)
    assert slopes("max(0.2*z,0.5*z)") == (0.2, 0.5)
    assert slopes("log(exp(z))") == (1.0, 1.0)
    assert slopes("relu(z-1)") is None
    assert slopes("max(z,0)+relu(z-7)") is None
    assert polynomial("(z+1)**3-z**3")
    assert not polynomial("relu(z)")
    assert not polynomial("sin(z)")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2*sigmoid(2*z)-1", "tanh"),
        ("where(z>=0,z,0.2*z)", "leaky_relu:0.2"),
        ("0.5*(1+erf(z/sqrt(2)))*z", "gelu"),
        ("max(-1,min(1,z))", "hard_tanh"),
        ("relu(z)-relu(-z)", "linear"),
        ("cos(z-pi/2)", "sin"),
        ("(abs(z)+z)/2", "relu"),
        ("where(z>0,z,0.7*(exp(z)-1))", "elu:0.7"),
        ("z*abs(z)*step(z)", "relu_power:2"),
        # Functions that agree nearly, or on a part of the line.
        ("min(max(z,-5000),5000)", None),
        ("relu(z)+relu(z-1e7)", None),
        ("tanh(1.00001*z)", None),
        ("where(z>0.5,z,max(z,0))+1e-12*relu(z-2)", None),
        ("relu(z)+1e-20*sin(z)", None),
        ("tanh(z)+1e-12*step(z-3)", None),
        ("where(z>1e5,0,tanh(z))", None),
        ("0.5*relu(z)", None),
    ],
)
def test_functions_of_the_catalogue_are_known_by_what_they_are(text: str, same: str | None) -> None:
    found = activation(text)
    assert found.name == text
    if same is None:
        assert found.expression == text
        assert found.form is None
        return
    known = activation(same)
    assert found.expression == known.expression
    assert (found.form, found.parameter, found.critical) == (
        known.form,
        known.parameter,
        known.critical,
    )
