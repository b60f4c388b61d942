"""Marchenko-Pastur, products of Gaussian matrices and Bayesian interpolation against mpmath,
quadrature, dense linear algebra and simulation."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

import nnth
from nnth import _core
from nnth._course.statement import Run
from nnth._linear_nets.evidence import Posterior, interpolant_of, interpolant_without_data
from nnth._linear_nets.layers import Layers, layers_of
from nnth._linear_nets.marchenko_pastur import MarchenkoPastur
from nnth._linear_nets.predictive import ErrorDistribution
from nnth._linear_nets.statements import STATEMENTS
from nnth._runtime.random import normals

Groups = Sequence[tuple[float, int]]  # shapes n/2 and their multiplicities


# --- references -----------------------------------------------------------------------------------


def reference(b: float, log_x: float, groups: Groups) -> tuple[mp.mpf, mp.mpf]:
    """Return log I_b(x) and I_(b+1)/I_b to 25 digits, by a vertical line and mpmath's loggamma."""
    with mp.workdps(40):
        shape, shift = mp.mpf(b), mp.mpf(log_x)
        layers = [(mp.mpf(a), m) for a, m in groups]
        last = max([-shape, *(-a for a, _ in layers)])

        def exponent(s: mp.mpc) -> mp.mpc:
            parts = (m * (mp.loggamma(a + s) - mp.loggamma(a) - s * mp.log(a)) for a, m in layers)
            return mp.loggamma(shape + s) - s * shift + sum(parts)

        low, high = mp.mpf(10) ** -8, mp.mpf(10) ** 6
        for _ in range(60):
            d = mp.sqrt(low * high)
            slope = mp.digamma(shape + last + d) - shift
            slope += sum(m * (mp.digamma(a + last + d) - mp.log(a)) for a, m in layers)
            low, high = (low, d) if slope > 0 else (d, high)
        curve = mp.psi(1, shape + last + d) + sum(m * mp.psi(1, a + last + d) for a, m in layers)
        c, step = last + d, min(1 / mp.sqrt(curve), d) / 11
        at_saddle, total, first, k = exponent(c), mp.mpf(0), mp.mpf(0), 0
        while True:
            s = mp.mpc(c, k * step)
            w = mp.exp(exponent(s) - at_saddle) / (1 if k else 2)
            total += w.real
            first += (w * (shape + s)).real
            if abs(w) < mp.mpf(10) ** -22:
                return at_saddle + mp.log(total * step / mp.pi), first / total
            k += 1


def computed(b: float, log_x: float, groups: Groups) -> dict[str, NDArray[np.float64]]:
    shapes, counts = [a for a, _ in groups], [float(m) for _, m in groups]
    return _core.mellin_barnes(b, np.array([log_x]), shapes, counts)


# --- the gamma function ---------------------------------------------------------------------------


@pytest.mark.parametrize("a", [1e-3, 0.5, 3.0, 24.9, 25.0, 49.0, 51.0, 4e3, 1e9])
def test_differences_of_log_gamma_keep_their_digits(a: float) -> None:
    with mp.workdps(60):
        for s in (-0.9 * a, -1e-9 * a, 1e-12, 0.5, 1.0, 2.0, 30.0 * a, 1e9 * a):
            exact = mp.loggamma(mp.mpf(a) + s) - mp.loggamma(a) - s * mp.log(a)
            # s = 1 is a zero; elsewhere the factors s (s - 1)/2a keep their digits.
            floor = 4e-16 * abs(s) if s == 1.0 else 0.0
            assert abs(float(_core.log_gamma_step(a, s)) - exact) <= 1e-13 * abs(exact) + floor
        for z in (0.1j * a, 1j * math.sqrt(a), (-0.2 + 2j) * a):
            exact = mp.loggamma(mp.mpf(a) + z) - mp.loggamma(a) - mp.mpc(z) * mp.log(a)
            found = complex(_core.complex_log_gamma_step(a, z))
            assert abs(found - exact) <= 1e-13 * abs(exact)


def test_polygammas() -> None:
    x = np.array([1e-3, 0.5, 1.0, 7.3, 24.9, 25.1, 300.0, 1e8])
    for order in (1, 2, 3):
        assert _core.polygamma(order, x) == pytest.approx(special.polygamma(order, x), rel=1e-13)
    with mp.workdps(40):
        exact = [float(mp.digamma(v) - mp.log(v)) for v in x.tolist()]
    assert _core.digamma_less_log(x) == pytest.approx(exact, rel=1e-13)
    assert _core.log_gamma(x) == pytest.approx(special.gammaln(x), rel=1e-13, abs=1e-13)


# --- the integral ---------------------------------------------------------------------------------

# Shape b = P/2, log x, and layers: from one to 10^5 of them, P up to 10^4, and extremes where the
# poles are close (x small) or far (x large).
INTEGRALS = [
    (0.5, 0.3, [(0.5, 1)]),
    (5.0, 1.2, [(10.0, 3)]),
    (50.0, 3.0, [(64.0, 10), (32.0, 5)]),
    (5000.0, 8.0, [(5000.5, 20)]),
    (5000.0, 8.0, [(50.0, 100_000)]),
    (5.0, -2000.0, [(50.0, 100_000)]),
    (10.0, 0.0, [(2.5, 100_000)]),
    (2.0, 40.0, [(3.0, 2), (7.5, 1)]),
    (0.5, -20.0, [(0.5, 3)]),
    (1.5, -5.0, [(1e5, 7)]),
    (-0.5, 0.1, [(5.0, 4)]),
]


@pytest.mark.parametrize(("b", "log_x", "groups"), INTEGRALS)
def test_the_meijer_function_to_eleven_digits(b: float, log_x: float, groups: Groups) -> None:
    found = computed(b, log_x, groups)
    log_value, mean = reference(b, log_x, groups)
    assert found["log_value"][0] == pytest.approx(float(log_value), rel=1e-13, abs=1e-11)
    assert abs(found["log_value"][0] - log_value) < 1e-15 * found["size"][0] + 1e-15
    assert found["mean"][0] == pytest.approx(float(mean), rel=1e-12)
    assert found["error"][0] < 1e-15


@pytest.mark.parametrize("b", [0.5, 1.5, 7.0])
def test_the_meijer_function_of_mpmath(b: float) -> None:
    widths = (3, 4)
    x = mp.mpf("0.7")
    scale = mp.mpf(1)
    norm = mp.mpf(1)
    for n in widths:
        scale *= mp.mpf(n) / 2
        norm *= mp.gamma(mp.mpf(n) / 2)
    exact = mp.log(
        mp.meijerg([[], []], [[b, *(mp.mpf(n) / 2 for n in widths)], []], x * scale) / norm
    )
    groups = [(n / 2, 1) for n in widths]
    assert computed(b, float(mp.log(x)), groups)["log_value"][0] == pytest.approx(
        float(exact), abs=1e-13
    )


def test_one_layer_is_a_bessel_function_and_depth_0_an_exponential() -> None:
    # E (x/T)^b exp(-x/T), T = G/a: 2 (a x)^((a + b)/2) K_(a-b)(2 sqrt(a x))/Gamma(a).
    for a, b, x in ((1.5, 0.5, 0.8), (8.0, 3.0, 20.0), (2.0, 6.0, 1e-3)):
        z = a * x
        exact = math.log(2.0) + 0.5 * (a + b) * math.log(z) - special.gammaln(a)
        exact += math.log(special.kv(a - b, 2.0 * math.sqrt(z)))
        assert computed(b, math.log(x), [(a, 1)])["log_value"][0] == pytest.approx(exact, abs=1e-13)
    # Two poles coincide and x is far from both: K_0 of nearly 0.
    with mp.workdps(30):
        z = mp.mpf(2500) * mp.exp(-700)
        exact = (
            mp.log(2) + 2500 * mp.log(z) - mp.loggamma(2500) + mp.log(mp.besselk(0, 2 * mp.sqrt(z)))
        )
    assert computed(2500.0, -700.0, [(2500.0, 1)])["log_value"][0] == pytest.approx(
        float(exact), rel=1e-14
    )
    # So far out that the saddle point suffices: the asymptotic series of K.
    x = mp.exp(600)
    exact = mp.log(2) + mp.mpf(5.5) * mp.log(3 * x) - 2 * mp.sqrt(3 * x)
    exact += mp.log(mp.sqrt(mp.pi / (4 * mp.sqrt(3 * x)))) - mp.loggamma(3)
    found = computed(8.0, 600.0, [(3.0, 1)])["log_value"][0]
    assert found == pytest.approx(float(exact), rel=1e-13)
    with mp.workdps(30):  # x is large, and terms of D must not cancel
        z = 3 * mp.exp(40)
        exact = mp.log(2) + mp.mpf(5.5) * mp.log(z) - mp.loggamma(3)
        exact += mp.log(mp.besselk(5, 2 * mp.sqrt(z)))
    found = computed(8.0, 40.0, [(3.0, 1)])["log_value"][0]
    assert found == pytest.approx(float(exact), rel=1e-13)
    found = computed(2.0, math.log(3.0), [])
    assert found["log_value"][0] == pytest.approx(2.0 * math.log(3.0) - 3.0, rel=1e-15)
    assert found["mean"][0] == pytest.approx(3.0, rel=1e-15)


def test_an_integral_costs_less_than_a_millisecond() -> None:
    for b, log_x, groups in INTEGRALS:
        shapes, counts = [a for a, _ in groups], [float(m) for _, m in groups]
        many = np.full(20, log_x)
        start = time.thread_time()  # the time of this thread alone, since the machine may be busy
        _core.mellin_barnes(b, many, shapes, counts)
        assert (time.thread_time() - start) / 20 < 1e-3


@pytest.mark.parametrize("groups", [[(10.0, 3)], [(50.0, 100_000)], [(2.5, 7), (40.0, 2)]])
def test_the_largest_evidence_is_where_the_mean_of_s_vanishes(groups: Groups) -> None:
    shapes, counts = [a for a, _ in groups], [float(m) for _, m in groups]
    log_x = _core.best_log_x(10.0, shapes, counts)
    assert reference(10.0, log_x, groups)[1] == pytest.approx(10.0, rel=1e-11)


def test_the_integral_is_the_mean_of_a_gamma_product() -> None:
    # Quadrature over log T of two layers, whose density is itself an integral.
    a1, a2, b, x = 2.0, 3.5, 1.5, 1.7

    def inner(u: float, v: float) -> float:
        t = math.exp(u + v) / (a1 * a2)
        gammas = a1 * u - math.exp(u) + a2 * v - math.exp(v)
        return math.exp(gammas + b * math.log(x / t) - x / t)

    exact = integrate.dblquad(inner, -12.0, 5.0, -12.0, 5.0, epsabs=1e-10)[0]
    exact /= math.exp(special.gammaln(a1) + special.gammaln(a2))
    found = math.exp(computed(b, math.log(x), [(a1, 1), (a2, 1)])["log_value"][0])
    assert found == pytest.approx(exact, rel=1e-8)  # the error of the quadrature


# --- evidence and posterior -----------------------------------------------------------------------


def posterior(
    norm2: float, p: int, n0: int, widths: Sequence[int], sigma2: float = 1.0
) -> Posterior:
    layers = layers_of(widths) if widths else Layers((), ())
    return Posterior(interpolant_without_data(norm2, p, n0), layers, math.log(sigma2))


def test_the_linear_model_is_a_gaussian() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 9)), rng.standard_normal(4)
    table = nnth.bayes(x, y, depth=[0], sigma2=2.5, samples=10)
    cov = 2.5 / 9 * x @ x.T
    assert table["log_evidence"][0] == pytest.approx(
        stats.multivariate_normal(np.zeros(4), cov).logpdf(y), rel=1e-12
    )
    assert table["perp_norm2"][0] == pytest.approx(5 * 2.5 / 9, rel=1e-13)
    assert table["check"][0] == pytest.approx(table["log_evidence"][0], rel=1e-13)
    # The best scale of a Gaussian is attained: |theta_*|^2/P.
    assert table["sigma2_star"][0] == pytest.approx(table["nu"][0], rel=1e-13)
    assert table["log_evidence_star"][0] == pytest.approx(table["best_bound"][0], rel=1e-12)
    new = rng.standard_normal((3, 9))
    predicted = nnth.bayes_predictive(x, y, new, np.zeros(3), depth=[0], sigma2=2.5)
    joint = 2.5 / 9 * new @ new.T
    cross = 2.5 / 9 * new @ x.T
    mean = cross @ np.linalg.solve(cov, y)
    std = np.sqrt(np.diag(joint - cross @ np.linalg.solve(cov, cross.T)))
    assert predicted["mean"] == pytest.approx(mean, rel=1e-10)
    assert predicted["std"] == pytest.approx(std, rel=1e-10)
    assert predicted["q95"] == pytest.approx(mean + std * stats.norm.ppf(0.95), rel=1e-10)
    assert predicted["log_density"] == pytest.approx(stats.norm(mean, std).logpdf(0.0), rel=1e-10)
    assert predicted["kurtosis"].tolist() == [0.0] * 3


@pytest.mark.parametrize("depth", [0, 1, 5, 100, 100_000])
@pytest.mark.parametrize(("p", "n0", "width"), [(1, 2, 3), (20, 50, 64), (10_000, 20_000, 30_000)])
def test_evidence_and_posterior_to_eleven_digits(p: int, n0: int, width: int, depth: int) -> None:
    sigma2 = 0.999
    table = nnth.bayes(
        norm2=1.3, points=p, n0=n0, width=width, depth=[depth], sigma2=sigma2, samples=0
    )
    with mp.workdps(40):
        x = mp.mpf(1.3) * n0 / (2 * mp.mpf(sigma2) ** (depth + 1))
        half = mp.mpf(p) / 2
        power = half * mp.log(mp.pi * mp.mpf(1.3))
        if depth:
            groups = [(width / 2, depth)]
            log_value, _ = reference(p / 2, mp.log(x), groups)
            _, ratio = reference(p / 2 - 1, mp.log(x), groups)
        else:
            log_value, ratio = half * mp.log(x) - x, x
        exact = log_value - power
        perp = (n0 - p) * mp.mpf(1.3) / 2 / ratio
    assert table["log_evidence"][0] == pytest.approx(float(exact), rel=1e-11)
    assert abs(table["log_evidence"][0] - exact) < table["error"][0]
    assert table["perp_norm2"][0] == pytest.approx(float(perp), rel=1e-11)


def test_evidence_is_that_of_networks() -> None:
    """Dense networks from the prior give the density of Y = X theta given the other layers."""
    rng = np.random.default_rng(1)
    n0, widths, sigma2, count = 4, (3, 2), 1.4, 200_000
    x, y = rng.standard_normal((2, n0)), np.array([0.6, -0.4])
    v = math.sqrt(sigma2 / widths[1]) * rng.standard_normal((count, widths[1]))
    w = math.sqrt(sigma2 / widths[0]) * rng.standard_normal((count, widths[1], widths[0]))
    tau = sigma2 / n0 * np.sum(np.einsum("si,sij->sj", v, w) ** 2, axis=1)
    # Given the upper layers theta ~ N(0, tau): average the Gaussian densities of Y.
    gram = x @ x.T
    fit = y @ np.linalg.solve(gram, y)
    density = np.exp(-fit / (2 * tau)) / (2 * np.pi * tau * math.sqrt(np.linalg.det(gram)))
    mean, stderr = density.mean(), density.std() / math.sqrt(count)
    assert stderr < 0.005 * mean
    table = nnth.bayes(x, y, widths=widths, sigma2=sigma2, samples=20_000)
    assert abs(mean - math.exp(table["log_evidence"][0])) < 4 * stderr
    assert abs(table["check"][0] - table["log_evidence"][0]) < 4 * table["check_stderr"][0]
    perp = (n0 - 2) * float(density @ tau / density.sum())
    assert table["perp_norm2"][0] == pytest.approx(perp, rel=0.02)
    apart = table["perp_check"][0] - table["perp_norm2"][0]
    assert abs(apart) < 4 * table["perp_check_stderr"][0]


def test_the_importance_sample_agrees_where_the_prior_is_far_off() -> None:
    table = nnth.bayes(
        norm2=2.0,
        points=20,
        n0=50,
        width=64,
        depth=[1, 20, 500],
        sigma2=[0.5, 1.0, 2.0],
        samples=2000,
    )
    assert (table["ess"] > 100).all()
    apart = np.abs(table["check"] - table["log_evidence"])
    # Without information in the data all weights are equal up to rounding.
    assert (apart < 4 * table["check_stderr"] + table["error"]).all()
    seen = table["note"] == ""
    assert seen.sum() == 8
    z = (table["perp_check"] - table["perp_norm2"])[seen] / table["perp_check_stderr"][seen]
    assert np.abs(z).max() < 4


def test_the_best_prior_maximizes_the_evidence_and_stays_below_the_bound() -> None:
    for widths in ((), (30,), (64,) * 9, (10, 20)):
        best = posterior(3.0, 12, 40, widths).best()
        at = math.exp(best.log_scale)
        top = best.log_evidence
        for factor in (0.99, 1.01):
            assert posterior(3.0, 12, 40, widths, at * factor).log_evidence < top
        assert top <= best.best_bound + 1e-12
        # E[|theta_*|^2/tau] = P there: d log p/d log sigma2 = 0.
        assert best.tilt == pytest.approx(0.0, abs=1e-11)


def test_limits_are_approached_as_one_over_p() -> None:
    """At fixed ratios the posterior mean and sigma2_star approach their limits as 1/P."""
    apart, stars = [], []
    sizes = np.array([100, 1000, 10_000])
    for p in sizes.tolist():
        table = nnth.bayes(
            norm2=2.0, points=p, n0=2 * p, width=3 * p, depth=[4], sigma2=1.1, samples=0
        )
        apart.append(table["perp_norm2"][0] / table["perp_norm2_limit"][0] - 1.0)
        stars.append(table["sigma2_star"][0] / table["sigma2_star_asymptotic"][0] - 1.0)
    for values in (apart, stars):
        slopes = np.diff(np.log(np.abs(values))) / np.diff(np.log(sizes))
        assert slopes == pytest.approx(-1.0, abs=0.02)


def test_infinite_effective_depth_is_the_best_prior_as_p_grows_and_not_at_fixed_p() -> None:
    # lambda = 100 P^(1/2): L = 100 n/P^(1/2) layers of width n = 100 P.
    apart, evidence = [], []
    for p in (10, 100, 1000, 10_000):
        width = 100 * p
        table = nnth.bayes(
            norm2=2.0,
            points=p,
            n0=2 * p,
            width=width,
            depth=[round(100 * math.sqrt(p)) * 100],
            sigma2=1.0,
            samples=0,
        )
        apart.append(table["perp_norm2"][0] / table["perp_norm2_star"][0] - 1.0)
        evidence.append((table["best_bound"][0] - table["log_evidence"][0]) / p)
    assert np.abs(apart[-1]) < 2e-3
    assert (np.abs(np.diff(apart)) > 0).all()
    assert (np.abs(apart[1:]) < np.abs(apart[:-1])).all()
    assert (np.diff(evidence) < 0).all()
    assert evidence[-1] < 2e-3
    # At fixed P and L -> infinity <s> -> 1/2 + O(1/n): |theta_perp|^2 tends to (n0 - P) times
    # |theta_*|^2/(P - 1), not over P, and the evidence decreases by 1/(4 n) per layer.
    p, n0, n = 10, 20, 10_000
    deep = nnth.bayes(norm2=2.0, points=p, n0=n0, width=n, depth=[10**6, 2 * 10**6], samples=0)
    assert deep["perp_norm2"][-1] == pytest.approx((n0 - p) * 2.0 / (p - 1), rel=5e-3)
    slope = (deep["log_evidence"][1] - deep["log_evidence"][0]) / 10**6
    assert slope == pytest.approx(-1 / (4 * n), rel=0.05)
    shallow = nnth.bayes(norm2=2.0, points=p, n0=n0, width=200, depth=list(range(200)), samples=0)
    peak = int(np.argmax(shallow["log_evidence"]))
    assert 0 < peak < 199


@pytest.mark.parametrize("sigma2", [1e-100, 1e-10, 1e10, 1e100])
def test_far_ends_of_the_prior(sigma2: float) -> None:
    """The prior is far too small or large: exact sums of the remaining integral."""
    table = nnth.bayes(
        norm2=1.0, points=1, n0=2, width=1, depth=[0, 1, 3], sigma2=sigma2, samples=50
    )
    assert np.isfinite(table["log_evidence"]).all()
    apart = np.abs(table["check"] - table["log_evidence"])
    assert (apart <= 6 * table["check_stderr"] + table["error"]).all()
    x = np.random.default_rng(0).standard_normal((5, 9))
    predicted = nnth.bayes_predictive(x, x[:, 0], x[:2] + 1.0, depth=[0, 3], sigma2=sigma2)
    lost = np.char.find(predicted["note"], "no quantiles and density") >= 0
    assert lost.any() == (sigma2 < 1.0)
    assert np.isnan(predicted["q95"][lost]).all()
    assert (predicted["q95"] >= predicted["q75"])[~lost].all()
    assert (predicted["std"] > 0.0).all()


def test_the_limit_solves_its_equation() -> None:
    for widths, sigma2 in (((40,), 1.0), ((5,) * 3, 0.7), ((1000,) * 400, 1.3)):
        found = posterior(2.0, 20, 50, widths, sigma2)
        factor = (1 - 20 / 50) * found.data.nu / found.perp_norm2_limit
        left = math.log(factor) + sum(math.log1p((factor - 1.0) * 20 / n) for n in widths)
        right = math.log(found.data.nu) - (len(widths) + 1) * math.log(sigma2)
        assert left == pytest.approx(right, rel=1e-9, abs=1e-9)


# --- predictions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "widths", "sigma2"),
    [(1, (2,), 1.0), (3, (4, 5), 0.3), (1, (3,) * 40, 1.2), (40, (100,) * 5, 1.0), (2, (6,), 1e6)],
)
def test_predictive_distribution(p: int, widths: tuple[int, ...], sigma2: float) -> None:
    error = ErrorDistribution(posterior(1.7, p, 2 * p + 1, widths, sigma2))
    # The whole mass is found, and quantiles of the density agree with another quadrature.
    assert error.masses[-1] == pytest.approx(0.5, abs=1e-12)
    b, x = 0.5 * p, error.posterior.log_x

    def density(r: float) -> float:
        more = error.posterior.integrals(b + 0.5, x + math.log1p(r * r))["log_value"][0]
        here = error.posterior.integrals(b, x)["log_value"][0]
        return math.exp(more - here - (b + 0.5) * math.log1p(r * r)) / math.sqrt(math.pi)

    assert error.quantile(0.5) == 0.0
    for level in (0.6, 0.9, 0.99):
        q = error.quantile(level)
        assert error.quantile(1.0 - level) == pytest.approx(-q, rel=1e-9)
        v = math.log1p(q)  # integration in log(1 + r), since the tails are heavy
        found = integrate.quad(lambda t: density(math.expm1(t)) * math.exp(t), 0.0, v, epsabs=1e-11)
        assert found[0] == pytest.approx(level - 0.5, abs=1e-9)


def test_predictions_are_those_of_weighted_networks() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((3, 8)), rng.standard_normal(3)
    new = rng.standard_normal((1, 8))
    widths, sigma2, count = (5, 4), 1.5, 400_000
    data = interpolant_of(x, y)
    tau = sigma2**3 / 8 * np.prod([rng.chisquare(n, count) / n for n in widths], axis=0)
    weight = tau**-1.5 * np.exp(-data.norm2 / (2 * tau))
    weight /= weight.sum()
    assert data.theta is not None
    assert x @ data.theta == pytest.approx(y, rel=1e-12)
    assert data.theta == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0], rel=1e-11)
    table = nnth.bayes_predictive(
        x, y, new, widths=widths, sigma2=sigma2, quantiles=(0.1, 0.9, 0.999)
    )
    perp = table["perp"][0]
    values = new[0] @ data.theta + perp * np.sqrt(tau) * rng.standard_normal(count)
    order = np.argsort(values)
    below = np.cumsum(weight[order])
    ess = 1.0 / float(weight @ weight)
    assert ess > 1e5
    for name, level in (("q10", 0.1), ("q90", 0.9), ("q99_9", 0.999)):
        share = below[np.searchsorted(values[order], table[name][0])]
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / ess)
    assert table["std"][0] == pytest.approx(perp * math.sqrt(weight @ tau), rel=0.01)
    moments = weight @ tau, weight @ tau**2
    assert table["kurtosis"][0] == pytest.approx(3 * (moments[1] / moments[0] ** 2 - 1), rel=0.1)


def test_points_in_the_span_of_the_data_are_certain() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 12)), rng.standard_normal(5)
    table = nnth.bayes_predictive(x, y, np.concatenate([x, x.sum(axis=0)[None]]), width=20)
    assert table["mean"] == pytest.approx([*y, y.sum()], rel=1e-12)
    assert table["std"].tolist() == [0.0] * 6
    assert table["q95"].tolist() == table["mean"].tolist()
    assert np.isnan(table["log_density"]).all()
    assert set(table["note"]) == {"in the span of the data: certain"}


# --- products -------------------------------------------------------------------------------------


def test_moments_of_products_are_those_of_matrices() -> None:
    rng = np.random.default_rng(2)
    n0, widths, sigma2, count = 3, (4, 2), 0.8, 200_000
    theta = rng.standard_normal((count, 1, widths[-1])) * math.sqrt(sigma2 / widths[-1])
    for fan_out, fan_in in ((widths[1], widths[0]), (widths[0], n0)):
        w = rng.standard_normal((count, fan_out, fan_in)) * math.sqrt(sigma2 / fan_in)
        theta = theta @ w
    norms = np.linalg.norm(theta[:, 0], axis=1)
    table = nnth.product(n0, widths=widths, sigma2=sigma2, samples=count)
    expected = {
        "norm": norms,
        "norm2": norms**2,
        "norm4": norms**4,
        "log_norm": np.log(norms),
        "log_norm_variance": (np.log(norms) - np.log(norms).mean()) ** 2,
    }
    for i, name in enumerate(table["quantity"].tolist()):
        values = expected[name]
        stderr = values.std() / math.sqrt(count)
        assert abs(values.mean() - table["exact"][i]) < 4 * stderr
        assert abs(table["z"][i]) < 4
    # Exactly: E|theta|^4 = sigma2^6 prod (1 + 2/n), variance by trigammas.
    assert table["exact"][2] == pytest.approx(0.8**6 * (1 + 2 / 3) * (1 + 2 / 4) * (1 + 2 / 2))
    trigammas = sum(special.polygamma(1, n / 2) for n in (3, 4, 2))
    assert table["exact"][4] == pytest.approx(trigammas / 4, rel=1e-13)


def test_products_of_many_layers_are_log_normal_with_mean_and_variance_l_over_2n() -> None:
    table = nnth.product(100, width=100, depth=[9999], samples=400)
    assert table["exact"][3] == pytest.approx(-50.0, rel=0.004)  # L/(2 n); the notes have L/(4 n)
    assert table["exact"][4] == pytest.approx(50.0, rel=0.02)
    assert np.abs(table["z"][3:]).max() < 4
    note = "sample is too small for this moment: products that dominate it are too rare"
    assert table["note"][2] == note
    assert (table["width_first"][0], table["depth_first"][0]) == (1.0, 0.0)
    assert (table["width_first"][1], table["depth_first"][1]) == (1.0, 1.0)
    assert (table["width_first"][2], table["depth_first"][2]) == (1.0, math.inf)
    assert (table["width_first"][3], table["depth_first"][3]) == (0.0, -math.inf)
    wide = nnth.product(10**7, width=10**7, depth=[10], samples=0)
    assert wide["exact"][:4] == pytest.approx([1.0, 1.0, 1.0, 0.0], abs=1e-5)
    deep = nnth.product(10, width=10, depth=[10**6], samples=0)
    assert deep["exact"][0] == 0.0
    assert deep["exact"][1] == pytest.approx(1.0, rel=1e-12)
    assert deep["exact"][2] == math.inf


@pytest.mark.parametrize("shape", [0.3, 0.5, 1.0, 1.5, 40.0, 1e4])
def test_gamma_variables(shape: float) -> None:
    draws = np.exp(_core.log_gamma_products([shape], [1.0], [1], 7, 0, 20_000, 1, None))
    # 1.95/sqrt(n) is exceeded by chance once in a thousand.
    assert stats.kstest(draws, stats.gamma(shape).cdf).statistic < 1.95 / math.sqrt(20_000)


@pytest.mark.threads
def test_samples_do_not_depend_on_threads_or_parts() -> None:
    arguments = [2.5, 0.5, 70.0], [2.5, 0.5, 70.0], [3, 300, 1], 5
    whole = _core.log_gamma_products(*arguments, 0, 1000, 1, None)
    assert np.array_equal(whole, _core.log_gamma_products(*arguments, 0, 1000, 3, None))
    parts = [_core.log_gamma_products(*arguments, i, 250, 2, None) for i in range(0, 1000, 250)]
    assert np.array_equal(whole, np.concatenate(parts))
    spectra = _core.wishart_spectra(20, 30, 1, 0, 8, 1, None)
    assert np.array_equal(spectra, _core.wishart_spectra(20, 30, 1, 0, 8, 2, None))
    assert np.array_equal(spectra[3:], _core.wishart_spectra(20, 30, 1, 3, 5, 2, None))


# --- Marchenko-Pastur -----------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1e-8, 0.5, 1.0, 1.5])
def test_the_cdf_is_the_integral_of_the_density(alpha: float) -> None:
    law = MarchenkoPastur(alpha)
    low, high = law.edges
    middle, reach = 0.5 * (low + high), 0.5 * (high - low)
    with mp.workdps(50):
        a = mp.mpf(alpha)
        left, right = (1 - mp.sqrt(a)) ** 2, (1 + mp.sqrt(a)) ** 2

        def mass(x: mp.mpf) -> mp.mpf:
            # x = middle - reach cos t removes the square roots at the edges.
            end = mp.acos((left + right - 2 * x) / (right - left))

            def density(t: mp.mpf) -> mp.mpf:
                s = ((right - left) / 2 * mp.sin(t)) ** 2
                return s / (2 * mp.pi * a * ((left + right) / 2 - (right - left) / 2 * mp.cos(t)))

            return mp.quad(density, mp.linspace(mp.mpf(10) ** -20, end, 5))

        for t in (0.01, 0.4, 1.3, 2.9):
            x = float(middle - reach * math.cos(t))
            exact = law.atom + mass(mp.mpf(x))
            # Rounding of x changes the mass by the density, which is high for small alpha.
            tolerance = 2e-14 + 1e-15 * float(law.density(x)) * x
            assert float(law.cdf(x)) == pytest.approx(float(exact), abs=tolerance)
    assert law.cdf([-1.0, low * (1 - 1e-9) - 1e-300, high + 1.0]).tolist() == pytest.approx(
        [0.0, law.atom, 1.0], abs=1e-15
    )
    levels = np.array([0.02, 0.3, 0.9, 0.9999])
    quantiles = law.quantile(levels)
    above = levels > law.atom
    tolerance = 1e-13 + 1e-15 * float(np.max(law.density(quantiles[above]), initial=0.0))
    assert law.cdf(quantiles[above]) == pytest.approx(levels[above], abs=tolerance)
    assert (quantiles[~above] == 0.0).all()


def test_moments_of_the_distribution_are_narayana_polynomials() -> None:
    for alpha in (0.3, 1.0, 2.5):
        law = MarchenkoPastur(alpha)
        low, high = law.edges
        t, w = np.polynomial.legendre.leggauss(200)
        angle = 0.5 * np.pi * (t + 1.0)
        x = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(angle)
        masses = law.density(x) * 0.5 * (high - low) * np.sin(angle) * 0.5 * np.pi * w
        assert law.atom + masses.sum() == pytest.approx(1.0, abs=1e-6)  # alpha = 1 converges slowly
        assert masses @ x == pytest.approx(1.0, abs=1e-12)
        assert masses @ x**2 == pytest.approx(1.0 + alpha, rel=1e-12)
        assert masses @ x**3 == pytest.approx(1.0 + 3.0 * alpha + alpha**2, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_spectra_have_the_moments_of_wishart_matrices(n: int) -> None:
    p, count = 7, 20_000
    values = _core.wishart_spectra(p, n, 3, 0, count, 0, None)
    assert values.shape == (count, min(p, n))
    assert (np.diff(values, axis=1) >= 0.0).all()
    # E tr S = p, E tr S^2 = p (p + n + 1)/n, S = X X^T/n.
    for power, exact in ((1, p), (2, p * (p + n + 1) / n)):
        traces = (values**power).sum(axis=1)
        assert abs(traces.mean() - exact) < 4 * traces.std() / math.sqrt(count)
    # Single eigenvalues have the distribution of those of dense matrices.
    dense = np.linalg.eigvalsh(
        (lambda x: x @ x.transpose(0, 2, 1) / n if p <= n else x.transpose(0, 2, 1) @ x / n)(
            np.random.default_rng(0).standard_normal((4000, p, n))
        )
    )
    for column in (0, -1):
        assert stats.ks_2samp(values[:4000, column], dense[:, column]).pvalue > 1e-3


def test_spectra_are_close_to_the_limit_in_both_samplers() -> None:
    for p, n0 in ((200, 400), (400, 200), (150, 150)):
        for sampler in ("law", "dense"):
            table = nnth.mp(points=p, n0=n0, samples=3, sampler=sampler)  # type: ignore[arg-type]
            seen = table.meta.parameters
            # Eigenvalues differ from the limit by O(log p/p); p independent ones would differ by
            # 0.05.
            assert seen["ks"] < 3.0 / p
            assert seen["atom"] == max(0.0, 1.0 - n0 / p)
            assert np.abs(table["empirical"] - table["cdf"]).max() < 3.0 / p
            assert seen["largest"] == pytest.approx(seen["upper_edge"], rel=0.05)
    wrong = nnth.mp(points=400, n0=800, samples=2)
    other = MarchenkoPastur(0.52).cdf(wrong["x"])
    # The test detects a slightly wrong distribution.
    assert np.abs(wrong["empirical"] - other).max() > 0.007


def test_sizes_by_default_and_by_points() -> None:
    bare, same = nnth.mp(rows=3, samples=2), nnth.mp(points=500, n0=1000, rows=3, samples=2)
    assert bare.meta.parameters == same.meta.parameters
    assert (bare.meta.parameters["points"], bare.meta.parameters["alpha"]) == (500, 0.5)
    assert bare["empirical"].tolist() == same["empirical"].tolist()


def test_quantiles_and_atoms() -> None:
    table = nnth.mp(2.0, quantiles=(0.3, 0.5, 0.75), samples=3)
    assert table["x"][:2].tolist() == [0.0, 0.0]
    assert table["cdf"] == pytest.approx([0.5, 0.5, 0.75], abs=1e-13)
    assert table["empirical"][0] == 0.5
    assert table["level"].tolist() == [0.3, 0.5, 0.75]
    grid = nnth.mp(2.0, rows=11, samples=0)
    assert grid["x"][0] == 0.0
    assert grid.num_rows == 12
    assert np.isnan(grid["empirical"]).all()


def test_data_that_are_drawn_are_those_of_a_linear_function() -> None:
    table = nnth.bayes_predictive(points=4, n0=7, width=20, depth=[0, 2], seed=3)
    inputs = normals(3, 0, 14 * 7).reshape(14, 7)
    targets = inputs @ normals(3, 1, 7) / math.sqrt(7)
    (x, x_test), (y, y_test) = np.split(inputs, [4]), np.split(targets, [4])
    given = nnth.bayes_predictive(x, y, x_test, y_test, width=20, depth=[0, 2])
    for name in ("mean", "std", "q05", "y", "log_density"):
        assert table[name] == pytest.approx(given[name], rel=1e-12)
    assert table.num_rows == 20
    assert (table.meta.seed, given.meta.seed) == (3, None)
    other = nnth.bayes_predictive(points=4, n0=7, width=20, depth=[0, 2], seed=4)
    assert not set(other["mean"]) & set(table["mean"])


# --- statements -----------------------------------------------------------------------------------


def test_statements_hold_and_the_notes_do_not() -> None:
    found = [one for check in STATEMENTS for one in check(Run(quick=True))]
    assert all(abs(one.z) < 3.5 for one in found)
    noted = [one for one in found if math.isfinite(one.notes)]
    assert (len(found), len(noted)) == (15, 9)
    assert not any(one.notes_hold for one in noted)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "x and y must be given, or norm2, points and n0 instead"),
        ({"norm2": 1.0, "points": 5}, "x and y must be given"),
        ({"norm2": 1.0, "points": 5, "n0": 5}, "must be 1 <= points < n0"),
        ({"norm2": 1.0, "points": 0, "n0": 5}, "must be 1 <= points < n0"),
        ({"norm2": 0.0, "points": 2, "n0": 5}, "norm2 = |theta_*|^2 must be from"),
        ({"norm2": math.nan, "points": 2, "n0": 5}, "norm2 = |theta_*|^2 must be from"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "sigma2": 0.0}, "sigma2 must be positive, not 0"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "sigma2": [1.0, -2.0]}, "sigma2 must be positive"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "sigma2": math.nan}, "sigma2 must be positive"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "sigma2": math.inf}, "sigma2 must be from"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "sigma2": []}, "sigma2 must hold a number"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "depth": []}, "depth must hold a number"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "depth": [-1]}, "depth must be at least 0, not -1"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "width": 0}, "width must be at least 1, not 0"),
        (
            {"norm2": 1.0, "points": 2, "n0": 5, "widths": [3, 0]},
            "widths must be at least 1, not 0",
        ),
        ({"norm2": 1.0, "points": 2, "n0": 5, "widths": [3], "depth": [1]}, "must not come with"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "samples": -1}, "samples must be at least 0"),
        ({"norm2": 1.0, "points": 2, "n0": 5, "seed": -1}, "seed must be in [0, 2**64), not -1"),
        ({"x": np.eye(2, 4) * 1e-170, "y": [1, 2]}, "norm2 = |theta_*|^2 must be from"),
        ({"x": np.eye(2, 4)}, "x and y must both be given"),
        ({"x": np.eye(2, 4), "y": [1, 2], "points": 2}, "points must not come with x and y"),
        (
            {"x": np.eye(4), "y": [1, 2, 3, 4]},
            "fewer rows than columns, points < n0, not 4 rows of 4",
        ),
        ({"x": np.ones((2, 4)), "y": [1, 1]}, "x must have independent rows"),
        ({"x": [[1, 2, 3], [1, 2, 3 + 1e-16]], "y": [1, 1]}, "x must have independent rows"),
        ({"x": np.eye(2, 4), "y": [0, 0]}, "y must not be 0 everywhere"),
        ({"x": np.eye(2, 4), "y": [1, 2, 3]}, "y must be one number for each of 2 inputs"),
        ({"x": np.eye(2, 4), "y": np.ones((2, 2))}, "y must be one number for each of 2 inputs"),
        ({"x": np.eye(2, 4), "y": [1, math.nan]}, "y must hold finite numbers"),
        ({"x": np.array([[1, math.inf, 0]]), "y": [1]}, "x must hold finite numbers"),
    ],
)
def test_bayes_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        nnth.bayes(**arguments)  # type: ignore[arg-type]


def test_others_refuse() -> None:
    x, y = np.eye(2, 4), [1.0, 2.0]
    for arguments, message in (
        ((x, y, np.ones((3, 5))), "x_test must have as many columns as x, 4, not 5"),
        ((x, y, np.ones((3, 4)), [1.0, 2.0]), "y_test must be one number for each of 3 points"),
    ):
        with pytest.raises(ValueError, match=message):
            nnth.bayes_predictive(*arguments)
    for levels in ((0.0,), (0.5, 0.5), (), (1.2,), (math.nan,)):
        with pytest.raises(ValueError, match="quantiles must be"):
            nnth.bayes_predictive(x, y, np.ones((1, 4)), quantiles=levels)
    for call, message in (
        (lambda: nnth.mp(0.5, points=3, n0=4), "alpha must not come with points and n0"),
        (lambda: nnth.mp(points=3), "points and n0 must both be given"),
        (lambda: nnth.mp(0.0), "alpha must be from 1e-09 to 1e"),
        (lambda: nnth.mp(math.nan), "alpha must be from"),
        (lambda: nnth.mp(0.5, rows=1), "rows must be at least 2"),
        (
            lambda: nnth.mp(0.5, quantiles=(0.5, 1.0)),
            "quantiles must be above 0 and below 1, not 1",
        ),
        (lambda: nnth.mp(points=30_000, n0=30_000), "must not both be above 20000"),
        (
            lambda: nnth.mp(points=10_000, n0=10_000, sampler="dense"),
            "points times n0 must be at most",
        ),
        (lambda: nnth.product(0), "n0 must be at least 1"),
        (lambda: nnth.product(sigma2=-1.0), "sigma2 must be positive"),
        (lambda: nnth.product(samples=2**28), "samples must be at most"),
        (lambda: nnth.product(widths="8,x"), "widths must be whole numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 6)), rng.standard_normal(3)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b,c,d,e,f", comments="")
    np.savetxt(tmp_path / "y.csv", y, delimiter=",", header="y", comments="")
    read = nnth.bayes(tmp_path / "x.csv", tmp_path / "y.csv", samples=0)
    assert read["log_evidence"] == pytest.approx(nnth.bayes(x, y, samples=0)["log_evidence"])
    assert read.meta.parameters["x"] == str(tmp_path / "x.csv")


def test_more_rows_than_fit_in_memory_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows must be at most 10000000, not 10{15}"):
        nnth.mp(0.5, rows=10**15)
    with pytest.raises(ValueError, match=r"rows must be below 2\^63"):
        nnth.mp(0.5, rows=10**30)
