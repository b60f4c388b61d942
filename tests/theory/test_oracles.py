"""The oracles, which judge the commands, against closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from oracles import bayes, catapult, kernel, optima, paths, phase, regions, spectra, training


def test_the_kernel_recursion_of_relu_is_that_of_the_arc_cosines() -> None:
    # Cho and Saul (2009): at angle th, K' = (sin th + (pi - th) cos th)/pi, D = (pi - th)/pi.
    relu = kernel.ACTIVATIONS["relu"]
    theta = math.acos(0.3)
    rows = kernel.recursion(relu, (1.0, 1.0, 0.3), depth=1, cb=0.0, cw=2.0)
    known = 2 * (math.sin(theta) + (math.pi - theta) * 0.3) / math.pi
    assert rows[1].k_ab == pytest.approx(known, rel=1e-13)
    tangent = known + 0.6 * (math.pi - theta) / math.pi
    assert rows[1].theta_ab == pytest.approx(tangent, rel=1e-13)
    assert (rows[0].chi_par, rows[0].chi_perp) == pytest.approx((1.0, 1.0), rel=1e-13)


@pytest.mark.parametrize("rho", [-1.0, -1 + 1e-9, -0.3, 0.0, 0.9, 1 - 1e-9, 1.0])
@pytest.mark.parametrize("k", [1e-6, 0.7, 90.0])
def test_expectations_over_the_plane_are_those_known(rho: float, k: float) -> None:
    acts = kernel.ACTIVATIONS
    kab = rho * math.sqrt(k * 2 * k)
    erf = kernel.two(acts["erf"].value, acts["erf"].value, acts["erf"], k, 2 * k, kab)
    sine = 2 * kab / math.sqrt((1 + 2 * k) * (1 + 4 * k))  # Williams (1997)
    assert erf == pytest.approx(2 / math.pi * math.asin(sine), abs=1e-13)
    cosine = kernel.two(acts["cos"].value, acts["cos"].value, acts["cos"], k, 2 * k, kab)
    assert cosine == pytest.approx(math.exp(-1.5 * k) * math.cosh(kab), abs=1e-13)
    steps = kernel.two(acts["step"].value, acts["step"].value, acts["step"], k, 2 * k, kab)
    # The arc sine has no finite slope at +-1, where the rounding of K_ab, 1e-16, becomes 1e-8.
    known = 0.25 + math.asin(rho) / (2 * math.pi)
    assert steps == pytest.approx(known, abs=1e-8 if abs(rho) > 0.99 else 1e-13)
    assert kernel.one(np.exp, acts["exp"], k) == pytest.approx(math.exp(k / 2), rel=1e-13)


def test_slopes_of_jumps_are_those_of_the_arc_sine() -> None:
    # d/drho of 1/4 + asin(rho)/(2 pi), over sqrt(K_aa K_bb): Price's theorem.
    got = kernel.slopes(kernel.ACTIVATIONS["step"], 2.0, 3.0, 0.4 * math.sqrt(6.0))
    assert got == pytest.approx(1 / (2 * math.pi * math.sqrt(6.0) * math.sqrt(1 - 0.16)), rel=1e-13)
    assert kernel.slopes(kernel.ACTIVATIONS["step"], 2.0, 2.0, 2.0) == math.inf


def test_slopes_are_the_derivatives() -> None:
    z = np.linspace(-3.1, 3.1, 51)
    for name, act in kernel.ACTIVATIONS.items():
        away = np.abs(z[:, None] - np.array([*act.edges, 99.0])).min(axis=1) > 1e-3
        numeric = (act.value(z + 1e-6) - act.value(z - 1e-6)) / 2e-6
        assert np.allclose(act.slope(z)[away], numeric[away], atol=1e-7), name


def test_coefficients_of_relu_in_hermite_functions() -> None:
    # Daniely et al. (2016).
    got = kernel.hermite(kernel.ACTIVATIONS["relu"], 1.0, 5)
    known = [1 / math.sqrt(2 * math.pi), 0.5, 0.5 / math.sqrt(math.pi), 0.0, -0.0814338]
    assert got == pytest.approx(known, abs=1e-7)


def test_the_four_point_vertex_of_relu_grows_by_15_a_layer() -> None:
    # Roberts et al. (2022): 3 V/K^2 = 15 (l - 1)/n at criticality.
    v = kernel.vertex(kernel.ACTIVATIONS["relu"], 1.0, [100] * 10, cb=0.0, cw=2.0)
    variance, k = v[10]
    assert k == pytest.approx(2.0, rel=1e-13)  # C_w |x|^2/n_0
    assert 3 * variance / k**2 == pytest.approx(1.5, rel=1e-12)


def test_fixed_points_of_tanh() -> None:
    found = phase.fixed(kernel.ACTIVATIONS["tanh"], 0.05, 1.3)
    assert found.xi_q == pytest.approx(1.7852366315, rel=1e-9)
    assert found.c_star == 1.0


def test_moments_by_paths_are_those_of_hanin_and_nica() -> None:
    assert paths.moment("dzdx", 2, [3, 2, 2, 1], "uniform") == Fraction(2, 3)
    # E (dz/dx)^4 = 3 (2/n0)^2 prod (1 + 5/n) for Gaussian weights.
    known = 3 * Fraction(2, 2) ** 2 * Fraction(7, 2) ** 2
    assert paths.moment("dzdx", 4, [2, 2, 2, 1]) == known
    assert paths.gaussian_gradient(4, 2, [2, 2]) == known
    assert paths.gaussian_gradient(6, 2, [2]) == paths.moment("dzdx", 6, [2, 2, 1])
    # E Theta = 2 (L + 1) |x|^2/n0.
    assert paths.ntk_moment(1, [2, 2, 2, 1], "laplace") == 6


def test_moments_by_paths_are_those_of_all_networks_of_signs() -> None:
    # Rademacher weights: every network of widths 2,2,1, with a coin where a pre-activation is 0.
    total, mean = 0, Fraction(0)
    for bits in range(2**6):
        signs = [1 if bits >> i & 1 else -1 for i in range(6)]
        z = [signs[0] * 3 + signs[1], signs[2] * 3 + signs[3]]  # x = (3, 1), never 0
        h = [max(v, 0) for v in z]
        mean += (signs[4] * h[0] + signs[5] * h[1]) ** 4
        total += 1
    scaled = mean / total  # times (2/n0)^2 (2/n1)^2 = 1
    assert paths.moment("z", 4, [2, 2, 1], "rademacher", [3, 1]) == scaled


def test_the_recursion_of_the_catapult_is_the_network() -> None:
    rng = np.random.default_rng(3)
    m, d = 7, 3
    u, v, x = rng.normal(size=(m, d)), rng.normal(size=m), rng.normal(size=d)
    gates = (u @ x > 0) * 1.0
    own = list(catapult.network(u, v, gates, x, 0.4, 0.9, 6))
    z0, lambda0 = own[0]
    rows = catapult.recursion(0.9, lambda0, z0, 0.4, float(x @ x) / (m * d), 6)
    for (z, curvature), (z_r, curvature_r) in zip(own, rows, strict=True):
        assert z == pytest.approx(float(z_r), rel=1e-11)
        assert curvature == pytest.approx(float(curvature_r), rel=1e-11)


def test_spectra_of_the_sphere() -> None:
    ntk, nngp = spectra.relu_kernel("ntk", 1), spectra.relu_kernel("nngp", 1)
    # d = 3: NTK 1/2, 1/3, 5/64, 0, 1/192; NNGP 3/8, 1/6, 3/128.
    got = [float(spectra.eigenvalue(ntk, 3, k)) for k in range(5)]
    assert got == pytest.approx([1 / 2, 1 / 3, 5 / 64, 0, 1 / 192], abs=1e-9)
    got = [float(spectra.eigenvalue(nngp, 3, k)) for k in range(3)]
    assert got == pytest.approx([3 / 8, 1 / 6, 3 / 128], abs=1e-9)
    assert [spectra.multiplicity(3, k) for k in range(4)] == [1, 3, 5, 7]


def test_the_mass_of_marchenko_and_pastur() -> None:
    assert spectra.marchenko_pastur(0.3, 9.0) == pytest.approx(1.0, abs=1e-13)
    assert spectra.marchenko_pastur(4.0, 0.5) == pytest.approx(0.75, abs=1e-13)
    assert spectra.marchenko_pastur(1 + 1e-6, 9.0) == pytest.approx(1.0, abs=1e-13)


def test_evidence_of_the_linear_model() -> None:
    # No hidden layer: theta ~ N(0, 1/n0), and the evidence is Gaussian.
    known = -0.5 * 50 * 2 - 10 * math.log(2 * math.pi / 50)
    assert float(bayes.log_evidence(2.0, 20, 50, [])) == pytest.approx(known, rel=1e-12)
    assert float(bayes.perp_norm2(2.0, 20, 50, [])) == pytest.approx(30 / 50, rel=1e-12)


def test_the_margin_of_soudry_and_others() -> None:
    x = np.array([[0.5, 1.5], [1.5, 0.5], [-0.5, -1.5], [-1.5, -0.5]])
    y = np.array([1.0, 1.0, -1.0, -1.0])
    assert optima.max_margin(x, y) == pytest.approx([0.5, 0.5], abs=1e-12)
    inseparable = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, 1.0])
    assert optima.max_margin(*inseparable) is None
    assert not optima.separable(*inseparable)


def test_interpolants_of_diagonal_networks_tend_to_their_limits() -> None:
    rng = np.random.default_rng(1)
    x, theta0 = rng.normal(size=(3, 6)), rng.uniform(0.5, 2, size=6)
    y = x @ np.array([1.0, 0, 0, 0, 0, 0])
    far = optima.diagonal(x, y, 300.0, theta0)
    assert far == pytest.approx(optima.least_weighted(x, y, theta0), rel=1e-6)
    near = optima.diagonal(x, y, 1e-8, np.ones(6))
    assert np.abs(near).sum() == pytest.approx(optima.least_l1(x, y), rel=1e-3)
    assert optima.least_l1(x, y) <= np.abs(near).sum()


def test_entropy_numbers_of_boxes() -> None:
    assert [optima.box_entropy([1.0], n) for n in range(3)] == [1, Fraction(1, 2), Fraction(1, 4)]
    assert optima.box_entropy([3.0, 1.0], 2) == 1  # 3 balls along, 1 across


def test_regions_along_a_segment_and_on_a_plane() -> None:
    # |x| as relu(x) + relu(-x), then relu(|x| - 1): pieces end at -1, 0 and 1.
    weights = [[[1.0], [-1.0]], [[1.0, 1.0]], [[1.0]]]
    biases = [[0.0, 0.0], [-1.0], [0.0]]
    assert regions.along(weights, biases, [-2.0], [2.0]) == (4, 3)
    # Lines x = 0, y = 0 and z = 0 through space, on the plane x + y + z = 1: general position.
    weights, biases = [np.eye(3), [[1.0, 1.0, 1.0]]], [[0.0, 0.0, 0.0], [0.0]]
    assert len(regions.on_plane(weights, biases, np.eye(3)).cells) == 7


def test_derivatives_of_a_loss() -> None:
    rng = np.random.default_rng(2)
    layers = [(rng.normal(size=(3, 2)), rng.normal(size=3)), (rng.normal(size=(2, 3)), np.zeros(2))]
    x, labels = rng.normal(size=(5, 2)), np.array([0, 1, 1, 0, 1])

    def f(theta):  # type: ignore[no-untyped-def]
        return training.loss(training.shaped(theta, layers), x, labels, np.tanh, "cross-entropy")

    theta = training.flat(layers)
    slope = training.gradient(f, theta)
    e = rng.normal(size=len(theta))
    numeric = (f(theta + 1e-5 * e).real - f(theta - 1e-5 * e).real) / 2e-5
    assert slope @ e == pytest.approx(numeric, rel=1e-8)
    second = training.hessian(f, theta)
    change = (
        training.gradient(f, theta + 1e-5 * e) - training.gradient(f, theta - 1e-5 * e)
    ) / 2e-5
    assert second @ e == pytest.approx(change, rel=1e-7, abs=1e-9)


def test_a_simplex_is_collapsed() -> None:
    corners = np.eye(3) - 1 / 3
    h, labels = np.repeat(corners, 2, axis=0), np.repeat(np.arange(3), 2)
    found = training.collapse(h, labels, corners, np.zeros(3))
    assert found["nc2_cosine_means"] == pytest.approx(-0.5)
    assert {k: v for k, v in found.items() if not k.startswith("nc2_cosine")} == pytest.approx(
        dict.fromkeys((k for k in found if not k.startswith("nc2_cosine")), 0.0), abs=1e-12
    )


def test_sgd_at_rest() -> None:
    s, _ = training.valley(0.1, 1.0, [0.2, 1.0], np.eye(2))
    assert s == pytest.approx([0.1 / (2 * (1 - 0.02)), 0.1 / (2 * 0.9)], rel=1e-12)
    # One parameter: Sigma (1 - (1 - eta h)^2) = eta^2 C, C = E x^4 Sigma + E x^2 r^2 - h^2 Sigma.
    x, y = np.array([[1.0], [2.0]]), np.array([1.0, 0.0])
    sigma = training.regression_covariance(x, y, 0.1, 1, "with")[0, 0]
    h, r = 2.5, y - x[:, 0] * (1 / 5)
    noise = (17 / 2 - h * h) * sigma + (x[:, 0] ** 2 * r**2).mean()
    assert sigma * (1 - (1 - 0.1 * h) ** 2) == pytest.approx(0.01 * noise, rel=1e-10)


def test_a_flow_ends_at_kernel_regression() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(4, 6)), rng.normal(size=(2, 6))
    k, cross, diagonal, y = a @ a.T, b @ a.T, (b**2).sum(axis=1), rng.normal(size=4)
    mean, variance, _ = training.flow(k, cross, k, cross, diagonal, y, math.inf, 1.0, 0.3)
    inverse = np.linalg.inv(k + 0.3 * np.eye(4))
    assert mean == pytest.approx(cross @ inverse @ y)
    assert variance == pytest.approx(diagonal - np.einsum("ij,jk,ik->i", cross, inverse, cross))
    start, _, _ = training.flow(k, cross, k, cross, diagonal, y, 0.0, 1.0, 0.3)
    assert start == pytest.approx(0.0, abs=1e-12)


def test_oracles_restore_the_precision() -> None:
    assert mp.mp.dps == 15
