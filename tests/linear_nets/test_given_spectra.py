"""Spectra of given matrices beside the Marchenko-Pastur distribution, and Tracy-Widom tails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import call, refusal, rows_of

from nnth import Network, mp_spectra, normals, random_network
from nnth._linear_nets.given_spectra import fitted
from nnth._linear_nets.tracy_widom import tail
from nnth._runtime.typing import Floats


def noise(seed: int, p: int, n: int) -> Floats:
    return normals(seed, 0, p * n).reshape(p, n)


def eigenvalues(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.svd(matrix, compute_uv=False) ** 2 / matrix.shape[1])


@pytest.mark.parametrize(
    ("probability", "quantile"), [(0.1, 0.45), (0.05, 0.98), (0.01, 2.02), (0.5, -1.27)]
)
def test_tails_are_the_published_ones(probability: float, quantile: float) -> None:
    """Johnstone (2001), table 1, has the quantiles to two digits."""
    assert tail(quantile - 0.005) > probability > tail(quantile + 0.005)


def test_mean_and_variance_of_the_distribution_are_the_published_ones() -> None:
    """Bornemann (2010): -1.2065335745820 and 1.6077810345810."""
    # E X and E X^2 by parts from the ends, where the tails are 1 and 0. The tail is analytic.
    nodes, weights = np.polynomial.legendre.leggauss(40)
    first, half = -10.0, 9.0
    s = first + half * (1.0 + nodes)
    above = half * weights * tail(s)
    mean = first + above.sum()
    square = first**2 + (2.0 * s * above).sum()
    assert mean == pytest.approx(-1.2065335745820, abs=1e-7)
    assert square - mean**2 == pytest.approx(1.6077810345810, abs=1e-6)


def test_far_tails_keep_their_digits() -> None:
    """1 - F_1(s) ~ the trace of the kernel, half of the integral of Ai from s on."""
    from scipy.integrate import quad
    from scipy.special import airy

    for s in (8.0, 20.0, 60.0):
        area = quad(lambda x: airy(x)[0], s, s + 8.0, epsabs=0.0, epsrel=1e-10)[0]
        assert float(tail(s)) == pytest.approx(0.5 * area, rel=1e-6)
    assert float(tail(-60.0)) == 1.0
    assert np.isnan(tail(np.nan))


@pytest.mark.parametrize(("p", "n"), [(40, 160), (60, 60)])
def test_noise_has_no_spikes_and_its_p_values_are_uniform(p: int, n: int) -> None:
    samples = 200
    found = [fitted(eigenvalues(1.3 * noise(seed, p, n)), n) for seed in range(samples)]
    p_values = np.array([float(tail(one.statistics[0])) for one in found])
    for level in (0.1, 0.5):
        # Five standard errors, and the shift at finite size, which is some percent of the level.
        margin = 5.0 * np.sqrt(level * (1.0 - level) / samples) + 0.1 * level
        assert abs(np.mean(p_values < level) - level) < margin
    assert sum(one.spikes > 0 for one in found) <= 8  # 1 is expected
    assert np.mean([one.sigma2 for one in found]) == pytest.approx(1.69, rel=0.01)
    assert np.mean([one.ks for one in found]) < 2.0 / p**0.5


def test_spikes_are_where_the_theory_of_large_matrices_has_them() -> None:
    p, n, sigma2, excess = 60, 240, 1.7, np.array([8.0, 3.0])
    values, stderrs, cosines = [], [], []
    for seed in range(100):
        matrix = np.sqrt(sigma2) * noise(seed, p, n)
        matrix[:2] *= np.sqrt(1.0 + excess)[:, None]
        u, singular, _ = np.linalg.svd(matrix, full_matrices=False)
        fit = fitted(singular**2 / n, n)
        assert fit.spikes >= 2
        population, stderr, cosine = fit.populations()
        values.append(population[:2])
        stderrs.append(stderr[:2])
        cosines.append(cosine[:2] - u[[0, 1], [0, 1]] ** 2)
    mean, spread = np.mean(values, axis=0), np.std(values, axis=0)
    # The bias at finite size is of order 1/p of the value.
    assert np.all(abs(mean - sigma2 * (1.0 + excess)) < 0.5 * spread + mean / p)
    assert np.allclose(np.mean(stderrs, axis=0), spread, rtol=0.35)
    assert np.all(abs(np.mean(cosines, axis=0)) < 0.03)


def test_data_and_their_transpose_have_the_same_eigenvalues() -> None:
    x = noise(1, 30, 90)
    one, other = (mp_spectra(a, keep_mean=True) for a in (x, x.T))
    assert np.allclose(one["eigenvalue"], other["eigenvalue"], rtol=1e-12)
    expected = np.linalg.eigvalsh(x @ x.T / 90.0)[::-1]
    assert np.allclose(one["eigenvalue"], expected, rtol=1e-10)
    assert np.allclose(
        mp_spectra(x.T)["eigenvalue"],
        np.linalg.eigvalsh(np.cov(x))[::-1],
        rtol=1e-10,
    )


def test_standardized_data_have_eigenvalues_of_mean_1() -> None:
    x = noise(2, 200, 20) * np.geomspace(1.0, 1e3, 20)
    table = mp_spectra(x, standardize=True)
    # The correlation matrix has trace 20; the covariance is over m - 1.
    assert table["eigenvalue"].sum() == pytest.approx(20.0 * 200 / 199, rel=1e-12)
    assert table["spikes"][0] == 0


def test_a_spectrum_without_a_bulk_says_so() -> None:
    table = mp_spectra(noise(3, 200, 20) * np.geomspace(1.0, 1e6, 20))
    assert set(table["note"]) == {
        "no noise is found: more than half of the eigenvalues would be spikes"
    }
    assert np.isnan(table["sigma2"]).all()
    assert np.isnan(table["p_value"]).all()
    assert set(table["spikes"]) == {0}


def test_each_matrix_of_a_network_is_fitted() -> None:
    drawn = random_network(50, [80, 60], seed=1)
    table = mp_spectra(net=drawn)
    assert list(dict.fromkeys(table["matrix"])) == ["W1", "W2"]  # W3 has one row
    for name, columns in (("W1", 50), ("W2", 80)):
        rows = table[table["matrix"] == name]
        assert set(rows["spikes"]) == {0}
        assert rows["sigma2"][0] == pytest.approx(2.0 / columns, rel=0.05)
    weights = [w.copy() for w in drawn.weights]
    weights[1] += np.outer(np.ones(60), np.ones(80)) / 10.0
    table = mp_spectra(net=Network(tuple(weights), drawn.biases))
    assert table["spikes"][0] == 0
    assert table["spikes"][-1] == 1


def test_the_command(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", noise(4, 100, 10))
    rows = rows_of(call("mp", "--x", "x.npy", cwd=tmp_path))
    assert [row["index"] for row in rows] == [str(i) for i in range(1, 11)]
    message = refusal("mp", "--x", "x.npy", "--alpha", "0.5", cwd=tmp_path)
    assert "--x and --alpha must not both be given" in message
    assert "--standardize must come with --x" in refusal("mp", "--standardize")
    np.save(tmp_path / "small.npy", noise(4, 3, 10))
    message = refusal("mp", "--x", "small.npy", cwd=tmp_path)
    assert "x must have at least 4 eigenvalues, not 2" in message
