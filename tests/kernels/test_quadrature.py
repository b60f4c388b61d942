"""Gauss rules and Chebyshev points: exactness, known values, extremes."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnth import _core

EPS = 2.0**-52


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 16, 33, 100, 200, 1000])
def test_legendre_weights_sum_to_two_and_nodes_are_symmetric(n: int) -> None:
    nodes, weights = _core.gauss_legendre(n)
    assert nodes.shape == weights.shape == (n,)
    assert (np.diff(nodes) > 0).all()
    assert (weights > 0).all()
    np.testing.assert_array_equal(nodes, -nodes[::-1])
    np.testing.assert_array_equal(weights, weights[::-1])
    # Each weight has a few units of rounding; fsum adds none.
    assert math.fsum(weights) == pytest.approx(2.0, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12, 16, 40, 100, 200])
def test_legendre_is_exact_to_degree_2n_less_1_and_no_further(n: int) -> None:
    nodes, weights = _core.gauss_legendre(n)
    for degree in range(2 * n):
        exact = 0.0 if degree % 2 else 2.0 / (degree + 1)
        # The rounding of a node changes x^degree by up to degree * eps.
        assert math.fsum(weights * nodes**degree) == pytest.approx(exact, abs=5e-15 + degree * EPS)
    if n <= 12:  # for larger n the error of degree 2n is below rounding
        error = 2.0 / (2 * n + 1) - math.fsum(weights * nodes ** (2 * n))
        exact = (
            2.0 ** (2 * n + 1) * math.factorial(n) ** 4 / ((2 * n + 1) * math.factorial(2 * n) ** 2)
        )
        assert error == pytest.approx(exact, rel=1e-6, abs=1e-14)


def legendre_zeros(n: int) -> list[tuple[mp.mpf, mp.mpf]]:
    with mp.workdps(40):
        out = []
        for i in range(n):
            guess = mp.cos(mp.pi * (n - i - 0.25) / (n + 0.5))
            x = mp.findroot(lambda t: mp.legendre(n, t), (guess, guess + mp.mpf("1e-6")))
            # P_n' = n (P_{n-1} - x P_n)/(1 - x^2).
            slope = n * mp.legendre(n - 1, x) / (1 - x * x)
            out.append((x, 2 / ((1 - x * x) * slope * slope)))
        return out


@pytest.mark.parametrize("n", [2, 5, 12, 16, 20, 40])
def test_legendre_to_rounding(n: int) -> None:
    nodes, weights = _core.gauss_legendre(n)
    for x, w, (exact_x, exact_w) in zip(nodes, weights, legendre_zeros(n), strict=True):
        # The bound of the header is absolute, since Newton's last step is about eps.
        assert abs(x - exact_x) <= 2 * EPS
        assert abs(w - exact_w) <= 2 * EPS


def test_hermite_finds_every_zero_once() -> None:
    """The weights sum to one for every n, which fails if one zero is found twice."""
    sums = [math.fsum(_core.gauss_hermite(n)[1]) for n in range(1, 301)]
    np.testing.assert_allclose(sums, 1.0, atol=1e-12)  # a recurrence of length n


@pytest.mark.parametrize("n", [2, 3, 9, 10, 50, 64, 150])
def test_hermite_agrees_with_numpy(n: int) -> None:
    nodes, weights = _core.gauss_hermite(n)
    x, w = np.polynomial.hermite_e.hermegauss(n)
    np.testing.assert_allclose(nodes, x, rtol=0, atol=1e-13)
    # NumPy's weights have an error of about 1e-13; the outer ones are compared by magnitude.
    np.testing.assert_allclose(weights, w / math.sqrt(2 * math.pi), rtol=2e-12, atol=1e-300)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 31, 400, 1000, 5000])
def test_hermite_is_finite_symmetric_and_sums_to_one(n: int) -> None:
    nodes, weights = _core.gauss_hermite(n)
    assert nodes.shape == weights.shape == (n,)
    assert np.isfinite(nodes).all()
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert (np.diff(nodes) > 0).all()
    np.testing.assert_array_equal(nodes, -nodes[::-1])
    np.testing.assert_array_equal(weights, weights[::-1])
    # The recurrence of length n loses about sqrt(n) units.
    assert math.fsum(weights) == pytest.approx(1.0, abs=1e-12)
    if n > 1:  # one node is at 0
        assert math.fsum(weights * nodes**2) == pytest.approx(1.0, abs=1e-12)
    assert nodes[-1] < 2.0 * math.sqrt(n)  # the largest zero of He_n


def test_hermite_of_one_to_three_nodes() -> None:
    assert [x.tolist() for x in _core.gauss_hermite(1)] == [[0.0], [1.0]]
    nodes, weights = _core.gauss_hermite(2)
    np.testing.assert_allclose(nodes, [-1, 1], rtol=2 * EPS)
    np.testing.assert_allclose(weights, [0.5, 0.5], rtol=4 * EPS)
    nodes, weights = _core.gauss_hermite(3)
    np.testing.assert_allclose(nodes, [-math.sqrt(3), 0, math.sqrt(3)], rtol=2 * EPS)
    np.testing.assert_allclose(weights, [1 / 6, 2 / 3, 1 / 6], rtol=8 * EPS)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 40, 100, 200])
def test_hermite_is_exact_to_degree_2n_less_1(n: int) -> None:
    """Orthonormal polynomials are used, since moments leave the range of doubles."""
    nodes, weights = _core.gauss_hermite(n)
    table = np.zeros((n, n))
    table[0] = 1.0
    if n > 1:
        table[1] = nodes
    for k in range(2, n):
        table[k] = (nodes * table[k - 1] - math.sqrt(k - 1) * table[k - 2]) / math.sqrt(k)
    # h_j h_k has degree up to 2n - 2, h_{n-1} times z h_{n-1} degree 2n - 1.
    gram = (table * weights) @ table.T
    np.testing.assert_allclose(gram, np.eye(n), atol=1e-12)  # n terms of a recurrence of length n
    assert abs(math.fsum(weights * nodes * table[-1] ** 2)) <= 1e-12 * math.sqrt(n)
    # The rule is not exact for degree 2n: sum w He_n^2 is 0 and not n!.
    last = nodes * table[-1] - (math.sqrt(n - 1) * table[-2] if n > 1 else 0.0)
    assert math.fsum(weights * last**2) <= 1e-20 * n**4


@given(st.integers(1, 60))
def test_hermite_integrates_an_exponential(n: int) -> None:
    """E[e^(z/2)] has the error f^(2n) n!/(2n)! at a distant point."""
    nodes, weights = _core.gauss_hermite(n)
    exact = math.exp(0.125)
    bound = math.factorial(n) / math.factorial(2 * n) * 0.25**n * math.exp(1.5)  # z = 3
    assert abs(math.fsum(weights * np.exp(0.5 * nodes)) - exact) <= bound + 1e-13


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("make", [_core.gauss_legendre, _core.gauss_hermite])
def test_no_rule_has_less_than_one_point(make: object, n: int) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=f"nodes must be at least 1, not {n}"):
        make(n)


@pytest.mark.parametrize("n", [1, 2, 5, 32, 101])
def test_chebyshev_points_are_the_zeros_of_t_n(n: int) -> None:
    points = _core.chebyshev_points(n, -1.0, 1.0)
    assert (np.diff(points) > 0).all()
    np.testing.assert_array_equal(points, -points[::-1])
    # T_n has slope up to n^2, so the rounding of a zero changes it by up to n^2 eps.
    assert np.abs(np.cos(n * np.arccos(points))).max() <= 4 * n * n * EPS
    np.testing.assert_allclose(
        _core.chebyshev_points(n, 2.0, 7.0), 4.5 + 2.5 * points, rtol=4 * EPS
    )


@given(x=st.floats(2.0, 7.0), n=st.integers(1, 60))
def test_lagrange_polynomials_interpolate(x: float, n: int) -> None:
    values = _core.chebyshev_lagrange(n, 2.0, 7.0, x)
    assert math.fsum(values) == pytest.approx(1.0, abs=1e-12)  # n^2 rounded terms
    if n >= 24:
        points = _core.chebyshev_points(n, 2.0, 7.0)
        # sin is entire: degree 23 on a half-length of 2.5 has the error 2.5^24/(2^23 24!) = 7e-22.
        assert values @ np.sin(points) == pytest.approx(math.sin(x), abs=1e-12)


def test_lagrange_polynomials_are_one_at_their_point() -> None:
    points = _core.chebyshev_points(9, -2.0, 3.0)
    for i, x in enumerate(points):
        np.testing.assert_allclose(
            _core.chebyshev_lagrange(9, -2.0, 3.0, x), np.eye(9)[i], atol=1e-13
        )
