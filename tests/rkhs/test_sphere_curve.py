"""Learning curves on the sphere, against many levels, high precision, limits and plain fits."""

from __future__ import annotations

import math
import re
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from oracles import curves

import nnth
from nnth import rkhs_spectrum, rkhs_sphere_curve
from nnth._kernels.sphere import radial_levels

BOTH = {1: 0.5, 2: 0.5}


def check(table: nnth.Table, row: int, exact: curves.Curve) -> None:
    """Compare a row with the oracle, to the promised accuracy and to the error that it states."""
    assert table["kappa"][row] == pytest.approx(exact.kappa, rel=1e-8)
    assert table["theory"][row] == pytest.approx(exact.error, rel=1e-7)
    assert abs(table["kappa"][row] - exact.kappa) <= table["kappa_error"][row]
    assert abs(table["theory"][row] - exact.error) <= table["theory_error"][row]
    for level, learned in exact.learnability.items():
        assert table[f"learnability_{level}"][row] == pytest.approx(learned, rel=1e-8)


@pytest.mark.parametrize(
    ("kernel", "d", "noise", "ridge", "sizes"),
    [
        ("ntk", 3, 0.1, 0.0, [1, 16, 1024]),
        ("ntk", 3, 0.0, 1e-3, [16, 1024]),
        ("nngp", 3, 0.1, 1e-3, [3, 1000]),
        ("ntk", 2, 0.0, 0.01, [10, 1000]),  # 2000 levels leave a third of N to those beyond
        ("ntk", 5, 0.0, 0.01, [10, 100_000]),
        ("nngp", 20, 0.3, 1e-3, [10, 10_000]),
        ("ntk", 10, 0.0, 0.0, [10, 10_000]),
    ],
)
def test_relu_against_a_hundred_thousand_levels(
    kernel: str, d: int, noise: float, ridge: float, sizes: list[int]
) -> None:
    levels = 200_000 if d < 4 else 20_000
    values = curves.relu_eigenvalues(kernel, d, levels)
    top = 2.0 if kernel == "ntk" else 1.0
    beyond = top - math.fsum((curves.multiplicities(d, levels) * values).tolist())
    table = rkhs_sphere_curve(
        kernel, n0=d, target=BOTH, ridge=ridge, label_noise=noise, sizes=sizes
    )
    for row, size in enumerate(sizes):
        exact = curves.curve(values, d, BOTH, noise, ridge, size, max(beyond, 0.0))
        check(table, row, exact)


@pytest.mark.parametrize(
    ("width", "d", "ridge", "size"),
    [(0.5, 4, 0.0, 256), (1.0, 10, 1e-6, 1000), (0.2, 3, 0.01, 50), (3.0, 5, 0.0, 300)],
)
def test_rbf_in_forty_digits(width: float, d: int, ridge: float, size: int) -> None:
    """Errors of 1e-30 of the target, with kappa far below the rounding of K(x, x)."""
    with mp.workdps(40):
        values = curves.radial_eigenvalues(width, d, 70)
        exact = curves.curve(values, d, {1: 0.5, 3: 0.5}, 0.1, ridge, size)
        still = curves.curve(values, d, {1: 0.5, 3: 0.5}, 0.0, ridge, size)
    for noise, expected in ((0.1, exact), (0.0, still)):
        table = rkhs_sphere_curve(
            f"rbf:{width}",
            n0=d,
            target={3: 0.5, 1: 0.5},
            ridge=ridge,
            label_noise=noise,
            sizes=[size],
        )
        check(table, 0, expected)


def test_a_narrow_kernel_learns_nothing() -> None:
    """K is 1 at each point alone: kappa = (1 + R)/N, and E_0 = 1 + E K^2/(N kappa^2) is lost."""
    table = rkhs_sphere_curve("rbf:0.001", n0=3, target={1: 1.0}, ridge=0.5, sizes=[10])
    first = radial_levels(0.001, 3, 2).values[1]
    # To first order in mu_1 = 5e-7 and E K^2 = S^2/4.
    assert table["kappa"][0] == pytest.approx(0.15, rel=1e-5)
    assert 1.0 - table["theory"][0] == pytest.approx(
        2.0 * first / 0.15 - 0.001**2 / 4.0 / (10.0 * 0.15**2), rel=1e-4
    )


@pytest.mark.parametrize("scale", [1e-3, 0.05, 0.7, 30.0, 1e5])
@pytest.mark.parametrize("d", [2, 3, 20])
def test_radial_levels_to_the_error_that_they_state(scale: float, d: int) -> None:
    found = radial_levels(scale, d, 200)
    with mp.workdps(40):
        c, order = 1 / mp.mpf(scale) ** 2, mp.mpf(d) / 2 - 1
        for level in (0, 1, 7, 199):
            front = mp.exp(-c) * mp.gamma(order + 1) * (2 / c) ** order
            exact = front * mp.besseli(level + order, c)
            assert abs(found.values[level] - exact) <= found.errors[level]
            assert found.errors[level] <= 1e-11 * exact + 1e-300


def test_units() -> None:
    """K -> c K and ridge -> c ridge change kappa alone; weights and noise scale the error."""
    one = rkhs_sphere_curve("ntk", n0=6, target=BOTH, ridge=0.01, label_noise=0.1, sizes=[7, 90])
    two = rkhs_sphere_curve(
        "ntk", n0=6, target=BOTH, ridge=0.01e90, label_noise=0.1, sizes=[7, 90], norm=0.5e90
    )
    assert two["theory"] == pytest.approx(one["theory"], rel=1e-10)
    assert two["kappa"] == pytest.approx(1e90 * one["kappa"], rel=1e-10)
    more = rkhs_sphere_curve(
        "ntk", n0=6, target=[(2, 1.5), (1, 1.5)], ridge=0.01, label_noise=0.3, sizes=[7, 90]
    )
    assert more["theory"] == pytest.approx(3.0 * one["theory"], rel=1e-12)
    assert list(more)[3:5] == ["learnability_1", "learnability_2"]


def test_a_large_ridge_and_levels_without_eigenvalue() -> None:
    """Nothing is learned at ridge -> inf, and never at odd levels from 3 on for one ReLU layer."""
    table = rkhs_sphere_curve("ntk", n0=3, target={1: 0.25, 3: 0.75}, ridge=1e90, sizes=[50])
    assert table["theory"][0] == pytest.approx(1.0, rel=1e-12)
    table = rkhs_sphere_curve("ntk", n0=3, target={3: 0.75}, ridge=0.1, sizes=[50, 5000])
    assert table["learnability_3"].tolist() == [0.0, 0.0]
    assert (table["theory"] > 0.75).all()  # the part that is not learned acts as noise


def test_polynomials_have_finitely_many_eigenvalues() -> None:
    """A linear network, K = x.y: N(4, 1) = 4 eigenvalues 1/4."""
    words: dict[str, Any] = {"n0": 4, "ridge": 0.0, "cw": 1.0}
    table = rkhs_sphere_curve("nngp", "z", target={1: 1.0}, sizes=[1, 3, 4], **words)
    # N = 4 L: L = N/4; E_0 = N/(N - N^2/4); E_0 (1 - L)^2 = 1 - N/4.
    assert table["theory"] == pytest.approx([0.75, 0.25, 0.0], abs=1e-12)
    assert table["kappa"][2] == 0.0
    noisy = rkhs_sphere_curve("nngp", "z", target={2: 1.0}, sizes=[4], **words)
    assert math.isinf(noisy["theory"][0])
    assert "the error is infinite" in noisy["note"][0]
    with pytest.raises(ValueError, match="the kernel has 4 eigenvalues that are not 0"):
        rkhs_sphere_curve("nngp", "z", target={1: 1.0}, sizes=[5], **words)
    ridged = rkhs_sphere_curve(
        "nngp", "z", target={1: 1.0}, sizes=[400], **{**words, "ridge": 1e-9}
    )
    assert ridged["theory"][0] < 1e-18


def test_what_doubles_do_not_determine_is_nan() -> None:
    table = rkhs_sphere_curve("nngp", "tanh", n0=5, target=BOTH, ridge=0.0, sizes=[10, 10**6])
    assert np.isfinite(table["theory"][0])
    assert np.isnan([table["kappa"][1], table["theory"][1], table["learnability_1"][1]]).all()
    assert "kappa is not known" in table["note"][1]


@pytest.mark.parametrize("n0", [5, 10, 20])
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_theory_and_means_of_samples(kernel: str, n0: int) -> None:
    """Within 4 standard errors of 60 sets; a wrong factor of E_0 or V would be 10 of them."""
    table = rkhs_sphere_curve(
        kernel,
        n0=n0,
        target=BOTH,
        ridge=0.1,
        sizes=[4, 64, 200],
        label_noise=0.3,
        samples=60,
        seed=1,
    )
    assert np.abs(table["z"]).max() < 4.0
    assert (table["stderr"] < 0.06 * table["theory"]).all()


def test_samples_are_plain_fits() -> None:
    """A sample is a fit of points on the sphere: the noise alone has an exact expectation.

    With N = 1 and K(x, x) = k, f = y_1 K(x, x_1)/(k + R): E f^2 = V E K^2/(k + R)^2.
    """
    table = rkhs_sphere_curve(
        "rbf:1",
        n0=3,
        target={0: 0.0},
        ridge=0.5,
        label_noise=2.0,
        sizes=[1],
        samples=1000,
        threads=1,
    )
    # E exp(-2 (1 - t)) over uniform t.
    square = (1.0 - math.exp(-4.0)) / 4.0
    mean = 2.0 * square / 1.5**2
    assert abs(table["mean"][0] - mean) < 4.0 * table["stderr"][0]
    assert table["stderr"][0] < 0.06 * mean


def test_sizes_and_threads_do_not_change_a_sample() -> None:
    words: dict[str, Any] = {"n0": 5, "target": BOTH, "samples": 5, "seed": 3}
    one = rkhs_sphere_curve("ntk", sizes=[1, 20, 7], threads=1, **words)
    two = rkhs_sphere_curve("ntk", sizes=[7], threads=2, **words)
    assert one["mean"][2] == two["mean"][0]
    assert one["theory"][2] == two["theory"][0]


def test_a_singular_matrix_has_no_mean() -> None:
    table = rkhs_sphere_curve("rbf:30", n0=5, target=BOTH, ridge=0.0, sizes=[2, 90], samples=3)
    assert np.isfinite(table["mean"][0])
    assert np.isnan(table["mean"][1])
    assert "singular to rounding" in table["note"][1]
    assert len(table.drawing.points[0][1]) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": [(1, 0.5), (1, 0.5)]}, "target must have each level once, not level 1 twice"),
        ({"target": {-1: 1.0}}, "target must have levels from 0 to 1999, not -1"),
        ({"target": {1.5: 1.0}}, "target must have whole numbers as levels, not 1.5"),
        ({"target": {1: -1.0}}, "target must have weights from 0 to 1e+100, not -1 at level 1"),
        ({"target": {1: math.nan}}, "target must have weights from 0 to 1e+100, not nan"),
        ({"target": {}}, "target must have at least one level, not none"),
        ({"sizes": [0]}, "sizes must be at least 1, not 0"),
        ({"sizes": []}, "sizes must have at least one size, not none"),
        ({"ridge": -1.0}, "ridge must be at least 0 and finite, not -1"),
        (
            {"ridge": 1e99, "norm": 1e-105},
            "ridge must be at most 1e+200 K(x, x), or cw and norm be larger, not 1e+99",
        ),
        ({"ridge": 1e101}, "ridge must be at most 1e+100, not 1e+101"),
        ({"label_noise": -0.1}, "label_noise must be at least 0 and finite, not -0.1"),
        ({"samples": 1}, "samples must be 0 or at least 2, not 1"),
        ({"n0": 1}, "n0 must be at least 2, not 1"),
        ({"kernel": "rbf:1", "norm": 1.0}, "norm must not be given for kernel rbf:1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        rkhs_sphere_curve(**{"target": {1: 1.0}, "sizes": [3], **arguments})


def test_samples_that_no_memory_holds_are_refused() -> None:
    for size, solver in ((10**7, "cholesky"), (10**11, "auto")):
        with pytest.raises(MemoryError, match="sizes must be smaller with samples"):
            rkhs_sphere_curve(target={1: 1.0}, sizes=[size], samples=2, solver=solver)
    table = rkhs_sphere_curve(target={1: 1.0}, ridge=1.0, sizes=[10**7])
    assert 0.0 < table["theory"][0] < 1e-6


def test_levels_of_the_spectrum_command_are_those_of_the_theory() -> None:
    """kappa solves the equation with the eigenvalues that `rkhs_spectrum` prints."""
    spectrum = rkhs_spectrum("ntk", "gelu", n0=8, depth=2, levels=40)
    table = rkhs_sphere_curve("ntk", "gelu", n0=8, depth=2, target=BOTH, ridge=0.2, sizes=[30])
    k = table["kappa"][0]
    values = np.where(spectrum["reliable"], spectrum["eigenvalue"], 0.0)
    counts = spectrum["multiplicity"].astype(np.float64)
    rest = spectrum.meta.parameters["trace"] - float(counts @ values)
    total = float(counts @ (values / (values + k))) + (0.2 + rest) / k
    assert total == pytest.approx(30.0, rel=1e-8)


def test_solvers_without_a_matrix_have_the_same_errors() -> None:
    call: dict[str, Any] = {"target": BOTH, "ridge": 0.01, "sizes": [1, 40, 90], "samples": 3}
    call["label_noise"] = 0.1
    exact = rkhs_sphere_curve("ntk", n0=5, **call)
    assert exact.meta.parameters["solver"] == "cholesky"
    for solver in ("blocked", "cg"):
        found = rkhs_sphere_curve("ntk", n0=5, solver=solver, **call)
        assert found["mean"] == pytest.approx(exact["mean"], rel=1e-6)
        assert found.meta.parameters["solver"] == solver
    # Ten points of a linear kernel in three dimensions are singular without a ridge.
    call |= {"act": "linear", "ridge": 0.0, "sizes": [10], "target": {1: 1.0}}
    with pytest.raises(ValueError, match="ridge must be"):
        rkhs_sphere_curve("ntk", n0=3, solver="blocked", **call)
    with pytest.raises(ValueError, match="tolerance must be above 0 and below 1, not 2"):
        rkhs_sphere_curve("ntk", n0=5, target=BOTH, tolerance=2.0)
