"""Every closed form against the quadrature, and against many digits at extreme variances."""

from collections.abc import Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from nnth import Table
from nnth._kernels.gram import gram
from nnth._kernels.kernel import kernel

FORMS = (
    "relu",
    "leaky_relu:-0.5",
    "abs",
    "relu_power:2",
    "erf",
    "gelu",
    "sin",
    "cos",
    "exp",
    "gaussian",
)


@pytest.mark.parametrize("rho", [-0.99, -0.9, -0.6, 0.2, 0.9])
@pytest.mark.parametrize("norm", [1e-4, 1e-2, 1.0, 10.0])
@pytest.mark.parametrize("act", FORMS)
def test_closed_form_and_quadrature_agree(act: str, norm: float, rho: float) -> None:
    closed, summed = (
        kernel(act, depth=1, cb=0.0, cw=1.0, norm=norm, rho=rho, method=method)
        for method in ("closed", "quadrature")
    )
    # Each has an error of about 1e-15 of the geometric mean of the diagonals.
    assert abs(closed["k_ab"][-1] - summed["k_ab"][-1]) <= 1e-14 * closed["k_aa"][-1]
    assert abs(closed["theta_ab"][-1] - summed["theta_ab"][-1]) <= 1e-14 * closed["theta_aa"][-1]


@pytest.mark.parametrize("variance", [1e-4, 1e-6, 1e-8, 1e-10])
def test_cosines_of_small_inputs_keep_their_gap(variance: float) -> None:
    # For equal norms E[(cos z_a - cos z_b)^2] = (1 - exp(-S/2)) (1 - exp(-g/2)), here to first
    # order in each factor: K^2 (1 - rho^2), up to a relative K.
    gap = kernel("cos", depth=1, cb=0.0, cw=1.0, norm=variance, rho=0.5)["gap"][-1]
    assert gap == pytest.approx(0.75 * variance**2, rel=2 * variance)


@pytest.mark.parametrize("act", ["relu_power:0.5", "sqrt(abs(z))", "step", "step(z-0.3)"])
def test_slopes_without_a_mean_square_make_theta_infinite(act: str) -> None:
    table = kernel(act, depth=1, cb=0.0, cw=1.0)
    assert table["theta_aa"][-1] == np.inf
    assert table["status"][-1] == "infinite"
    assert np.isfinite(table["theta_ab"][-1])


@pytest.mark.threads
def test_more_threads_than_any_machine_has_change_nothing() -> None:
    x = np.random.default_rng(0).standard_normal((130, 3))
    many, one = (gram(x, "erf", depth=2, threads=threads) for threads in (100_000, 1))
    assert many.ntk is not None
    assert one.ntk is not None
    assert many.ntk.tobytes() == one.ntk.tobytes()


# The closed forms at variances far beyond those of networks, for exact rational inputs.

BIG = ("erf", "gelu", "gaussian")
WAVES = ("sin", "cos", "exp")


def by_mpmath(act: str, a: Any, b: Any, ab: Any) -> tuple[Any, Any]:
    """Return E[s(z_a) s(z_b)] and E[s'(z_a) s'(z_b)] of the kernel a, b, ab."""
    product = (1 + 2 * a) * (1 + 2 * b)
    near, far = mp.exp(ab - (a + b) / 2), mp.exp(-ab - (a + b) / 2)
    if act == "erf":
        angle = mp.asin(2 * ab / mp.sqrt(product))
        return 2 / mp.pi * angle, 4 / mp.pi / mp.sqrt(product - 4 * ab**2)
    if act == "gaussian":
        q = product - 4 * ab**2
        return 1 / mp.sqrt(q), 4 * ab / q ** mp.mpf(1.5)
    if act == "gelu":
        units = (1 + a) * (1 + b)
        q = units - ab**2
        arc = mp.pi / 2 + mp.atan(ab / mp.sqrt(q))
        rest = (a * b * mp.sqrt(q) + ab**2 / mp.sqrt(q)) / units
        slope = arc + ab / mp.sqrt(q) * ((3 + a + b) / units + ab**2 / (units * q))
        return (ab * arc + rest) / (2 * mp.pi), slope / (2 * mp.pi)
    if act == "exp":
        return mp.exp((a + b) / 2 + ab), mp.exp((a + b) / 2 + ab)
    sines, cosines = (near - far) / 2, (near + far) / 2
    return (sines, cosines) if act == "sin" else (cosines, sines)


def assert_layer_2(
    act: str, table: Table, x: Sequence[Sequence[float]], cb: float, cw: float
) -> None:
    """Compare layer 2 with 700 digits for the inputs' doubles, within the row's own error."""
    with mp.workdps(700):
        vectors = [[mp.mpf(float(c)) for c in row] for row in x]
        k = [
            [cb + cw * mp.fsum(p * q for p, q in zip(u, v, strict=True)) / len(u) for v in vectors]
            for u in vectors
        ]
        found = {}
        for i, j, name in ((0, 0, "aa"), (1, 1, "bb"), (0, 1, "ab")):
            value, slope = by_mpmath(act, k[i][i], k[j][j], k[i][j])
            found[f"k_{name}"] = cb + cw * value
            found[f"theta_{name}"] = cb + cw * value + cw * slope * k[i][j]
        found["gap"] = found["k_aa"] + found["k_bb"] - 2 * found["k_ab"]
        error = float(table["error"][1])
        assert error < 1e-12
        for name in ("k", "theta"):
            scale = mp.sqrt(found[f"{name}_aa"] * found[f"{name}_bb"])
            for pair in ("aa", "bb", "ab"):
                key = f"{name}_{pair}"
                off = abs(mp.mpf(float(table[key][1])) - found[key])
                assert off <= error * (scale if pair == "ab" else found[key]), key


@pytest.mark.parametrize("cb", [0.0, 0.3])
@pytest.mark.parametrize("scale", [1e3, 1e39, 1e77, 1e100, 1e153])
@pytest.mark.parametrize("act", BIG)
def test_forms_at_variances_whose_product_is_no_double(act: str, scale: float, cb: float) -> None:
    pairs = [
        ([1.0, 0.0], [0.5, 0.75]),
        ([1.0, 0.2], [-0.5, 0.75]),
        ([1.0, 0.3], [0.5, 0.15]),
        ([1.0, 0.3], [-1.0, -0.3]),
        ([1.0, 0.3], [1.0 + 1e-9, 0.3]),
        ([1.0, 0.0], [0.5 / scale, 0.75 / scale]),
        ([1.0, 0.0], [0.5 * scale**-0.4, 0.85 * scale**-0.4]),
    ]
    for x_a, x_b in pairs:
        x = (scale * np.array([x_a, x_b])).tolist()
        table = kernel(act, depth=1, cb=cb, cw=1.0, x_a=x[0], x_b=x[1])
        assert table["status"][1] == "ok"
        assert_layer_2(act, table, x, cb, 1.0)


@pytest.mark.parametrize("cb", [0.0, 1e8])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("act", WAVES)
def test_waves_and_exp_see_differences_beyond_the_digits_of_norms(
    act: str, scale: float, cb: float
) -> None:
    """E[(z_a - z_b)^2] is of order one while the variances are scale^2."""
    if act == "exp" and (scale > 1 or cb > 1):
        return  # the scale is not a double
    unit = np.array([1.0, 2.0, 3.3])
    for by in ([0.2, 0.4, 0.7], [2.0, -1.0, 0.1], [1e-3, 2e-3, 3.3e-3]):
        for sign in (1.0, -1.0):
            x = [(scale * unit).tolist(), (sign * (scale * unit + np.array(by))).tolist()]
            table = kernel(act, depth=1, cb=cb, cw=1.0, x_a=x[0], x_b=x[1])
            assert_layer_2(act, table, x, cb, 1.0)


def test_the_gap_of_vectors_is_that_of_their_difference() -> None:
    """The same holds in every layer of the linear network, whose gap is C_w times that below."""
    x_a, x_b = np.array([1e6, 2e6, 3.3e6]), np.array([1000000.2, 2000000.4, 3300000.7])
    table = kernel("linear", depth=3, cb=0.0, cw=1.0, x_a=x_a, x_b=x_b)
    np.testing.assert_allclose(table["gap"], np.sum((x_a - x_b) ** 2) / 3, rtol=1e-14)


def test_the_sine_of_vectors_has_its_digits_at_any_angle() -> None:
    """The doubles are taken as they are: 3 x rounds, and x and 3 x have an angle of 1e-17."""
    x = np.random.default_rng(0).normal(size=7)
    for y in (3 * x, x + 1e-15 * x[::-1], x * (1 + 1e-16), 0.1 * x, -7 * x):
        with mp.workdps(60):
            a, b = ([mp.mpf(c) for c in v] for v in (x, y))
            aa, bb, ab = (
                mp.fsum(p * q for p, q in zip(u, v, strict=True))
                for u, v in ((a, a), (b, b), (a, b))
            )
            apart = (mp.sqrt(aa) - mp.sqrt(bb)) ** 2
            expected = float((2 * (mp.sqrt(aa * bb) - ab) if ab > 0 else aa + bb - 2 * ab) / 7)
            apart = float(apart / 7) if ab > 0 else 0.0
        table = kernel("linear", depth=1, cb=0.0, cw=1.0, x_a=x, x_b=y)
        assert table["gap"][0] == pytest.approx(expected + apart, rel=2e-15)
        # The angle: erf at variance 1e40 is a step, whose slopes depend on nothing else.
        far = kernel("erf", depth=1, cb=0.0, cw=1.0, x_a=1e20 * x, x_b=1e20 * y)
        assert_layer_2("erf", far, [(1e20 * x).tolist(), (1e20 * y).tolist()], 0.0, 1.0)


@pytest.mark.parametrize("cb", [0.0, 1.0, 1e8])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e2, 1e4, 1e80])
@pytest.mark.parametrize("act", [*BIG, "sin", "cos"])
def test_matrices_by_forms_at_any_variance(act: str, scale: float, cb: float) -> None:
    """Biases of variance 1e8 make all inputs nearly parallel, below the digits of K_ab."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=(36, 3))
    x = scale * np.concatenate((base, base[:4] + 0.02 * rng.normal(size=(4, 3)), -base[:4]))
    made = gram(x, act, depth=1, cb=cb, cw=1.3)
    assert made.method == "layered"
    assert made.error < 1e-12
    assert made.nngp is not None
    assert made.ntk is not None
    pairs = [(0, 1), (5, 9), (0, 36), (1, 37), (2, 38), (0, 40), (17, 30), (3, 39)]
    with mp.workdps(400):
        vectors = [[mp.mpf(float(c)) for c in row] for row in x]
        for i, j in pairs:
            k = {}
            for u, v in ((i, i), (j, j), (i, j)):
                inner = mp.fsum(p * q for p, q in zip(vectors[u], vectors[v], strict=True))
                k[u, v] = cb + mp.mpf(1.3) * inner / 3
            exact = {}
            for u, v in k:
                value, slope = by_mpmath(act, k[u, u], k[v, v], k[u, v])
                exact[u, v] = (
                    cb + mp.mpf(1.3) * value,
                    cb + mp.mpf(1.3) * (value + slope * k[u, v]),
                )
            for which, matrix in enumerate((made.nngp, made.ntk)):
                size = mp.sqrt(exact[i, i][which] * exact[j, j][which])
                off = abs(mp.mpf(float(matrix[i, j])) - exact[i, j][which])
                assert off <= made.error * size, (i, j, which)


def test_errors_count_the_rounding_of_unequal_norms() -> None:
    """The quadrature of sin(z) knows K_aa - K_bb only to their digits, and states that error."""
    x_a, x_b = np.array([900.0, 1100.0]), np.array([900.3, 1099.6])
    closed = kernel("sin", depth=1, cb=0.0, cw=1.0, x_a=x_a, x_b=x_b)
    table = kernel("sin", depth=1, cb=0.0, cw=1.0, x_a=x_a, x_b=x_b, method="quadrature")
    off = abs(table["k_ab"][1] - closed["k_ab"][1]) / closed["k_aa"][1]
    assert off <= table["error"][1]
    # A relative error of 4 eps in K changes z by 1e3 2 eps: the stated error must not be less, and
    # should not be much more.
    assert 2e-13 < table["error"][1] < 1e-10
