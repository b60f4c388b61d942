"""Eigenvalues on the sphere, against closed forms, high precision and matrices of points."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from nnth import hermite, rkhs_spectrum
from nnth._kernels.sphere import gegenbauer, multiplicities
from nnth._tables.plot import Lines


def test_one_relu_layer_in_space() -> None:
    """The values are those of Bietti and Bach (2021), rational for d = 3."""
    ntk = rkhs_spectrum("ntk", levels=6)
    nngp = rkhs_spectrum("nngp", levels=6)
    exact = [1 / 2, 1 / 3, 5 / 64, 0.0, 1 / 192, 0.0]
    assert ntk["eigenvalue"] == pytest.approx(exact, abs=1e-14)
    assert ntk["reliable"].tolist() == [value > 0.0 for value in exact]
    assert nngp["eigenvalue"][:4] == pytest.approx([3 / 8, 1 / 6, 3 / 128, 0.0], abs=1e-14)
    assert ntk["multiplicity"].tolist() == [1, 3, 5, 7, 9, 11]


def network(kind: str, depth: int, angle: mp.mpf) -> mp.mpf:
    """Return Cho and Saul's (2009) recursion in high precision, K^1 = cos(angle)."""
    t = mp.cos(angle)
    nngp, ntk = t, t
    for _ in range(depth):
        a = mp.acos(min(nngp, mp.mpf(1)))
        slope = (mp.pi - a) / mp.pi
        nngp = (mp.sin(a) + (mp.pi - a) * mp.cos(a)) / mp.pi
        ntk = nngp + ntk * slope
    return nngp if kind == "nngp" else ntk


@pytest.mark.parametrize(
    ("kind", "d", "depth", "level"),
    [("nngp", 3, 1, 20), ("ntk", 3, 2, 7), ("ntk", 10, 3, 5), ("nngp", 2, 2, 12)],
)
def test_levels_against_high_precision(kind: str, d: int, depth: int, level: int) -> None:
    with mp.workdps(25):
        constant = mp.gamma(mp.mpf(d) / 2) / (mp.sqrt(mp.pi) * mp.gamma(mp.mpf(d - 1) / 2))

        def polynomial(angle: mp.mpf) -> mp.mpf:
            if d == 2:
                return mp.cos(level * angle)
            order = mp.mpf(d - 2) / 2
            at_one = mp.gegenbauer(level, order, 1)
            return mp.gegenbauer(level, order, mp.cos(angle)) / at_one

        exact = constant * mp.quad(
            lambda a: network(kind, depth, a) * polynomial(a) * mp.sin(a) ** (d - 2),
            mp.linspace(0, mp.pi, 7),
        )
    table = rkhs_spectrum(kind, n0=d, depth=depth, levels=level + 1)
    difference = abs(table["eigenvalue"][level] - float(exact))
    assert difference <= table["error"][level] <= 1e-12
    assert table["theory_slope"][0] == (-d - 2 if kind == "nngp" else -d)


@pytest.mark.parametrize(("scale", "d", "level"), [(1.0, 3, 4), (0.2, 5, 9), (0.05, 2, 3)])
def test_radial_levels_are_bessel_functions(scale: float, d: int, level: int) -> None:
    with mp.workdps(30):
        c, order = 1 / mp.mpf(scale) ** 2, mp.mpf(d) / 2 - 1
        exact = mp.exp(-c) * mp.gamma(order + 1) * (2 / c) ** order * mp.besseli(level + order, c)
    table = rkhs_spectrum(f"rbf:{scale}", n0=d, levels=level + 1)
    assert table["eigenvalue"][level] == pytest.approx(float(exact), rel=1e-11)
    assert abs(table["eigenvalue"][level] - float(exact)) <= table["error"][level]


@pytest.mark.parametrize("act", ["tanh", "gelu", "hard_tanh", "z*sigmoid(1.7*z)", "relu_power:2"])
def test_two_hundred_levels_of_any_activation(act: str) -> None:
    known = act in ("tanh", "gelu", "hard_tanh")
    table = rkhs_spectrum("ntk", act, n0=6, levels=200, cw=None if known else 1.0)
    trace = table.meta.parameters["trace"]
    # Positive terms that sum to K(x, x); the remainder for hard_tanh decays as 1/k.
    assert table["cumulative_trace"][-1] == pytest.approx(trace, rel=2e-3)
    assert (table["cumulative_trace"] <= trace * (1.0 + 1e-9)).all()
    assert table["error"].max() < 1e-12 * max(trace, 1.0)
    assert (table["eigenvalue"] >= -table["error"]).all()
    last = table["slope"][np.flatnonzero(np.isfinite(table["slope"]))[-1]]
    if math.isfinite(table["theory_slope"][0]):
        # Corrections are of order k^-2, and doubles resolve at most 30 levels of relu_power.
        assert last == pytest.approx(table["theory_slope"][0], abs=0.1)


def test_eigenvalues_are_those_of_the_kernel_on_the_sphere() -> None:
    """K(t) = sum mu_k N(d, k) P_k(t), with the kernel from its own formula."""
    angles = np.linspace(0.1, 3.0, 7)
    table = rkhs_spectrum("rbf:0.7", n0=4, levels=60)
    weights = table["eigenvalue"] * table["multiplicity"]
    sums = weights @ gegenbauer(4, 60, np.cos(angles))
    assert sums == pytest.approx(np.exp(-(1.0 - np.cos(angles)) / 0.49), abs=1e-14)


@pytest.mark.parametrize("d", [2, 3, 7])
def test_multiplicities(d: int) -> None:
    """The dimension of the homogeneous polynomials of degree k less that of degree k - 2."""
    of_degree = [math.comb(k + d - 1, d - 1) for k in range(12)]
    expected = [n - (of_degree[k - 2] if k > 1 else 0) for k, n in enumerate(of_degree)]
    assert multiplicities(d, 12) == expected
    assert multiplicities(50, 200)[-1] > 2**63
    large = rkhs_spectrum("nngp", n0=50, levels=200)
    assert large["multiplicity"].dtype == np.float64


def test_matrices_of_uniform_points_tend_to_the_levels() -> None:
    table = rkhs_spectrum("ntk", n0=4, levels=5, points=400, seed=3)
    # The mean of a group varies by about 1/sqrt(m) = 0.05; levels as near as 1/2 and 1/3 mix by
    # less.
    for level in (0, 1, 2):
        value = table["eigenvalue"][level]
        assert table["nystrom"][level] == pytest.approx(value, rel=0.12)
        assert table["nystrom_low"][level] <= table["nystrom"][level]
    assert np.isnan(table["nystrom"][3])  # this eigenvalue is 0
    rows = rkhs_spectrum("ntk", n0=4, levels=5, points=50, seed=4)
    assert rows["nystrom"][0] != table["nystrom"][0]


def test_the_lengths_of_data_do_not_count() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    one = rkhs_spectrum("nngp", "tanh", x=x, levels=3, depth=2)
    two = rkhs_spectrum("nngp", "tanh", x=x * np.arange(1, 41)[:, None], levels=3, depth=2)
    assert one["nystrom"] == pytest.approx(two["nystrom"], nan_ok=True, rel=1e-10)
    assert one.meta.parameters["n0"] == 3


def test_a_norm_is_that_of_the_network() -> None:
    """ReLU is homogeneous: twice the norm gives twice the kernel."""
    one, two = (rkhs_spectrum("ntk", levels=3, norm=norm) for norm in (1.0, 2.0))
    assert two["eigenvalue"] == pytest.approx(2.0 * one["eigenvalue"], rel=1e-12)
    assert one["eigenvalue"][1] == pytest.approx(2.0 / 3.0, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": "rbf:-1"}, "kernel rbf must have a positive finite scale, not '-1'"),
        ({"kernel": "poly"}, "kernel must be rbf:S, laplace:S, nngp or ntk, not 'poly'"),
        ({"kernel": "rbf:1e-6"}, "kernel rbf:S must have S at least 0.001, not 1e-06"),
        ({"n0": 1}, "n0 must be at least 2, not 1"),
        ({"levels": 0}, "levels must be at least 1, not 0"),
        ({"levels": 3000}, "levels must be at most 2000, not 3000"),
        ({"norm": 0.0}, "norm must be positive and at most 1e\\+300, not 0"),
        ({"kernel": "rbf:1", "norm": 1.0}, "norm must not be given for kernel rbf:1"),
        ({"points": 3, "x": np.eye(3)}, "points must not be given where x is"),
        ({"x": np.eye(3), "n0": 4}, "n0 must be the dimension of x, 3, not 4"),
        ({"x": np.zeros((2, 2))}, "x must have no row that is 0"),
        ({"act": "step"}, "kernel must be nngp for act step, whose tangent kernel is infinite"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    if arguments.get("act") == "step":
        arguments = {**arguments, "cw": 1.0}
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace("^", r"\^")):
        rkhs_spectrum(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("act", ["elu:1", "elu:0.5", "selu", "leaky_relu:0.1", "abs"])
def test_slopes_are_those_of_the_first_derivative_that_jumps(act: str) -> None:
    table = rkhs_spectrum("nngp", act, n0=3, levels=60)
    slopes = table["slope"][np.isfinite(table["slope"])]
    last = slopes[-2:].max()  # without biases the jump contributes to levels of one parity only
    order = 2 if act == "elu:1" else 1
    assert table["theory_slope"][0] == -3 - 2 * order
    assert last == pytest.approx(-3 - 2 * order, abs=0.3)  # orders are 2 apart


@pytest.mark.parametrize(
    ("act", "depth", "slope"),
    [
        # Bietti and Bach (2021): a jump takes the square root of the angle at every layer.
        ("step", 1, -3.0),
        ("step", 2, -2.5),
        ("step", 3, -2.25),
        ("where(z>0,1,0)", 2, -2.5),
        ("relu_power:1.5", 1, -6.0),
        ("relu(z)*sqrt(relu(z))", 1, -6.0),
        ("abs(z)*z", 1, -7.0),
    ],
)
def test_slopes_follow_from_the_function(act: str, depth: int, slope: float) -> None:
    table = rkhs_spectrum("nngp", act, n0=3, depth=depth, levels=60, cw=1.0)
    assert table["theory_slope"][0] == slope
    seen = table["slope"][np.isfinite(table["slope"])]
    # Levels of both parities approach the slope from either side, as a power of the level.
    assert seen[-4:].mean() == pytest.approx(slope, abs=0.06)


@pytest.mark.parametrize(
    ("kernel", "act", "slope"),
    [
        ("nngp", "z*tanh(softplus(z))", -math.inf),
        ("ntk", "z*sigmoid(1.7*z)", -math.inf),
        ("ntk", "max(min(z,1),-1)", -3.0),
        ("nngp", "where(z>0,z,exp(z)-1)", -7.0),
        ("ntk", "relu(z)**3", -7.0),
        ("nngp", "z**2+z", math.nan),
        ("nngp", "log(exp(z))", math.nan),
    ],
)
def test_slopes_do_not_depend_on_how_an_activation_is_written(
    kernel: str, act: str, slope: float
) -> None:
    table = rkhs_spectrum(kernel, act, n0=3, levels=2, cw=1.0)
    assert table["theory_slope"] == pytest.approx([slope, slope], nan_ok=True)


def test_the_picture_has_the_power_through_the_last_level() -> None:
    drawn = rkhs_spectrum("ntk", levels=9).drawing
    assert isinstance(drawn, Lines)
    (label, level, power), (_, at, values, _) = drawn.lines[0], drawn.points[0]
    assert label == "$k^{-3}$"
    assert level.tolist() == at.tolist() == [1.0, 2.0, 4.0, 6.0, 8.0]
    assert power[-1] == values[-1]
    assert power[1] / power[-1] == pytest.approx(4.0**3)


@pytest.mark.parametrize(("act", "cw"), [("tanh", 1.0), ("silu", 1.5)])
def test_levels_without_a_closed_form_from_hermite_coefficients(act: str, cw: float) -> None:
    """K(t) = C_w sum a_j^2 t^j at K^1 = t, and (1/2) int t^(j + k) dt over [-1, 1] for d = 3."""
    a = hermite(act, terms=600)["coefficient"]
    j = np.arange(600.0)
    means = [np.where((j + k) % 2 == 0, 1.0 / (j + k + 1.0), 0.0) for k in range(3)]
    polynomials = (means[0], means[1], 1.5 * means[2] - 0.5 * means[0])
    exact = [cw * math.fsum(a * a * p) for p in polynomials]
    table = rkhs_spectrum("nngp", act, cw=cw, n0=3, levels=3)
    assert table["eigenvalue"] == pytest.approx(exact, abs=1e-12)


def test_points_whose_matrix_no_memory_holds_are_refused() -> None:
    with pytest.raises(MemoryError, match="points must be fewer: their kernel matrix would take"):
        rkhs_spectrum(n0=3, levels=2, points=10**12)
