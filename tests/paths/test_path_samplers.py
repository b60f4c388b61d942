"""The samplers against closed forms, scipy's distributions and each other."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from nnth import _core
from nnth._paths.samplers import QUANTITIES, PathSample, QuantitySample, sample_grams, sample_paths

# Seeds are fixed. A correct sampler fails one of these tests with probability 1e-4, and all of them
# together for one choice of the seeds in a hundred; a wrong constant in a formula is tens of
# standard deviations off.
LEAST_P = 1e-4
MOST_Z = 4.0

ORDERS = {"dzdx": (2, 4), "z": (2, 4), "gradient": (2, 4), "ntk": (1, 2), "ntk_standard": (1, 2)}


def z_score(q: QuantitySample, index: int, exact: float) -> float:
    return float((q.mean[index] - exact) / q.stderr[index])


def layer_factor(k: int, n: int) -> float:
    """Return (2/n)^k times the k-th moment of chi-square(B), B ~ Bin(n, 1/2)."""
    b = np.arange(n + 1)
    rising = np.prod([b + 2.0 * i for i in range(k)], axis=0)
    return float((2.0 / n) ** k * np.sum(stats.binom(n, 0.5).pmf(b) * rising))


def derivative_moment(order: int, n0: int, widths: list[int]) -> float:
    k = order // 2
    odd = math.prod(range(1, order, 2))
    return odd * (2.0 / n0) ** k * math.prod(layer_factor(k, n) for n in widths)


def ntk_moments(x: NDArray[Any], widths: list[int], standard: bool) -> tuple[float, float]:
    """Return E Theta and E Theta^2 for Gaussian weights, layer by layer."""
    n = [len(x), *widths, 1]
    norm = float(x @ x)
    mean = norm / n[0] * (sum(n[:-1]) if standard else 2.0 * len(n[:-1]))
    a, b, c = norm**2, np.zeros(3), np.zeros(3)
    for layer in range(1, len(n)):
        f = 2.0 / n[layer - 1]
        g = 1.0 if standard else f
        last = layer == len(n) - 1
        w1, w3 = (0.0, 1.0) if last else (n[layer] * (n[layer] - 1) / 4.0, n[layer] / 2.0)

        def through(s: Any, f: float = f, w1: float = w1, w3: float = w3) -> NDArray[Any]:
            parts = [w1 * (s[0] + s[2]), w1 * (s[1] + 2 * s[2]), w3 * (s[0] + s[1] + 3 * s[2])]
            return f**2 * np.array(parts)

        ends = np.array([w1, 0.0, w3])
        c = through(c) + ends * (f * g * (b[0] + b[2]) + g**2 * a)
        b = through(b) + ends * (2.0 * f * g * a)
        a = f**2 * (w1 + 3.0 * w3) * a
    return mean, float(c.sum())


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 32, 1000])
def test_chi_squares_have_their_distribution(degrees: int) -> None:
    draws = _core.chi_squares(degrees, 3, 200_000)
    assert stats.kstest(draws, stats.chi2(degrees).cdf).pvalue > LEAST_P


def test_chi_square_of_no_degrees_is_zero() -> None:
    assert not _core.chi_squares(0, 3, 1000).any()
    assert not _core.chi_squares(-1, 3, 1000).any()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 90, 91, 1000, 10**6, 10**9])
def test_active_neurons_are_binomial(n: int) -> None:
    draws = _core.half_binomials(n, 5, 400_000)
    assert draws.min() >= 0
    assert draws.max() <= n
    # Pearson's chi-square test on classes of equal probability, as far as the values allow.
    law = stats.binom(n, 0.5)
    edges = np.unique(law.ppf(np.linspace(0.0, 1.0, 41)[1:-1]))
    share = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, draws), minlength=len(share))[share > 0]
    assert stats.chisquare(seen, share[share > 0] * len(draws)).pvalue > LEAST_P


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 64, 90, 91, 1000, 1001, 10**5, 10**6])
def test_the_table_of_a_binomial_distribution_has_its_probabilities(n: int) -> None:
    least, found = _core.half_binomial_distribution(n)
    # Ratios from the mode with 40 digits; the values outside the table have a probability of 2e-21.
    reach = len(found)
    with mp.workdps(40):
        exact = {n // 2: mp.binomial(n, n // 2) / mp.mpf(2) ** n}
        for b in range(n // 2, min(n, n // 2 + reach)):
            exact[b + 1] = exact[b] * (n - b) / (b + 1)
        for b in range(n // 2, max(0, n // 2 - reach), -1):
            exact[b - 1] = exact[b] * b / (n - b + 1)
        right = np.array([float(exact.get(least + i, 0)) for i in range(reach)])
    # The probability of a slot's own value is a double in [0, 1]; a value has at most 16 slots,
    # whose probabilities are added in doubles.
    assert np.abs(found - right).max() < 64 * 2.0**-53 / len(found)


def test_a_draw_that_32_bits_leave_open_is_decided() -> None:
    # For a billion neurons 2^-13 of the draws, about a hundred here, need more bits; without a
    # decision they would be dead layers.
    sample = sample_paths(["z"], widths=[10**9] * 16, samples=50_000, seed=2, keep=50_000)
    assert (sample["z"].values > 0.0).all()


@pytest.mark.parametrize(("n0", "widths"), [(1, [64] * 4), (3, [5, 17, 8]), (2, [1000] * 2)])
def test_moments_are_the_closed_forms(n0: int, widths: list[int]) -> None:
    x = np.arange(1.0, n0 + 1)
    sample = sample_paths(list(ORDERS), ORDERS, x=x, widths=widths, samples=400_000, seed=1)
    norm = float(x @ x)
    for i, order in enumerate((2, 4)):
        exact = derivative_moment(order, n0, widths)
        assert abs(z_score(sample["dzdx"], i, exact)) < MOST_Z
        assert abs(z_score(sample["z"], i, exact * norm ** (order // 2))) < MOST_Z
    assert abs(z_score(sample["gradient"], 0, 2.0)) < MOST_Z
    for name in ("ntk", "ntk_standard"):
        for i, exact in enumerate(ntk_moments(x, widths, name == "ntk_standard")):
            assert abs(z_score(sample[name], i, exact)) < MOST_Z


def test_z_scores_over_seeds_are_standard_normal() -> None:
    widths = [64] * 4
    exact = {
        "dzdx": [derivative_moment(order, 1, widths) for order in (2, 4)],
        "ntk": list(ntk_moments(np.ones(1), widths, False)),
    }
    scores: dict[tuple[str, int], list[float]] = {}
    for seed in range(200):
        sample = sample_paths(
            list(exact), {"dzdx": (2, 4)}, widths=widths, samples=40_000, seed=seed
        )
        for name, values in exact.items():
            for i, value in enumerate(values):
                scores.setdefault((name, i), []).append(z_score(sample[name], i, value))
    # With light tails and many networks the skewness of a mean is about 0.1, which 200 means do not
    # show.
    for key, values in scores.items():
        assert stats.kstest(values, stats.norm.cdf).pvalue > 1e-3, key
        assert 0.8 < np.std(values) < 1.2, key


def test_both_samplers_have_one_distribution() -> None:
    names = ["dzdx", "z", "normz", "normh", "gradient", "ntk", "ntk_standard"]
    x, widths = [1.0, -2.0, 0.5], [6, 9, 4]
    law, dense = (
        sample_paths(
            names, x=x, widths=widths, n_out=2, sampler=s, samples=30_000, seed=seed, keep=30_000
        )
        for s, seed in (("law", 1), ("dense", 2))
    )
    for name in names:
        a, b = law[name], dense[name]
        assert stats.ks_2samp(a.values, b.values).pvalue > LEAST_P, name
        difference = (a.mean[0] - b.mean[0]) / np.hypot(a.stderr[0], b.stderr[0])
        assert abs(difference) < MOST_Z, name
    # The quantities of one sample belong to one network.
    joint = [
        np.corrcoef([s[n].log_values[s["ntk"].values > 0] for n in ("z", "gradient", "ntk")])
        for s in (law, dense)
    ]
    assert np.allclose(*joint, atol=0.03)  # 30,000 pairs have a standard error of 0.006


def test_jacobian_of_one_output_is_the_gradient() -> None:
    sample = sample_paths(["jacobian", "gradient"], n0=3, widths=[5, 5], samples=1000)
    assert np.array_equal(sample["jacobian"].mean, sample["gradient"].mean)


@pytest.mark.parametrize(
    ("n0", "n_out", "widths"), [(3, 2, [5, 1, 6]), (2, 4, [7, 3]), (4, 4, [9])]
)
def test_jacobians_of_several_outputs(n0: int, n_out: int, widths: list[int]) -> None:
    law, dense = (
        sample_paths(
            ["jacobian"],
            n0=n0,
            n_out=n_out,
            widths=widths,
            sampler=s,
            samples=30_000,
            seed=seed,
            keep=30_000,
        )["jacobian"]
        for s, seed in (("law", 1), ("dense", 2))
    )
    assert stats.ks_2samp(law.values, dense.values).pvalue > LEAST_P
    # E |J|^2 is the sum of 2/n0 over outputs and inputs.
    for q in (law, dense):
        assert abs(z_score(q, 0, 2.0 * n_out)) < MOST_Z


@pytest.mark.parametrize(
    ("mu", "fourth"), [("gaussian", 3.0), ("rademacher", 1.0), ("uniform", 1.8), ("laplace", 6.0)]
)
def test_dense_networks_with_any_weights(mu: Any, fourth: float) -> None:
    n0, widths = 2, [5, 7]
    sample = sample_paths(
        ["dzdx", "ntk", "z"], n0=n0, widths=widths, mu=mu, sampler="dense", samples=60_000, seed=3
    )
    # A = E|v|^4 and B = E|v|_4^4 from layer to layer, from v = e_p.
    a = b = 1.0
    cumulant = fourth - 3.0
    before = 1
    for n in widths:
        scale = 1.0 if before == 1 else 2.0 / before
        w1, w3 = n * (n - 1) / 4.0, n / 2.0
        m2_square, m4 = a, 3.0 * a + cumulant * b
        a, b = scale**2 * (w1 * m2_square + w3 * m4), scale**2 * w3 * m4
        before = n
    exact = (2.0 / n0) ** 2 * (2.0 / widths[-1]) ** 2 * (3.0 * a + cumulant * b)
    assert abs(z_score(sample["dzdx"], 0, 2.0 / n0)) < MOST_Z
    assert abs(z_score(sample["dzdx"], 1, exact)) < MOST_Z
    assert abs(z_score(sample["z"], 0, 2.0)) < MOST_Z
    assert abs(z_score(sample["ntk"], 0, 2.0 * (len(widths) + 1))) < MOST_Z


def test_dead_networks() -> None:
    widths = [2, 3, 4]
    alive = math.prod(1.0 - 2.0**-n for n in widths)
    for sampler, count in (("law", 400_000), ("dense", 50_000)):
        sample = sample_paths(["z", "ntk"], widths=widths, sampler=sampler, samples=count)
        assert sample["z"].dead == sample["ntk"].dead
        p = stats.binomtest(sample["z"].dead, count, 1.0 - alive).pvalue
        assert p > LEAST_P, sampler


def test_log_moments_of_a_layer() -> None:
    # The logarithm of (2/n) chi-square(B) given B >= 1 by summing over B, and that of chi^2_1.
    n, depth = 20, 10
    b = np.arange(1, n + 1)
    p = stats.binom(n, 0.5).pmf(b)
    p /= p.sum()
    mean_b = special.digamma(b / 2) + math.log(2) + math.log(2 / n)
    mean = float(p @ mean_b)
    variance = float(p @ (special.polygamma(1, b / 2) + mean_b**2)) - mean**2
    total_mean = math.log(2) - 1.2703628454614782 + depth * mean
    total_variance = math.pi**2 / 2 + depth * variance
    q = sample_paths(["dzdx"], widths=[n] * depth, samples=400_000, seed=4)["dzdx"]
    alive = q.count - q.dead
    assert abs(2 * q.log_mean - total_mean) < MOST_Z * math.sqrt(total_variance / alive)
    assert 4 * q.log_variance == pytest.approx(total_variance, rel=0.02)


def log_variance_of_a_wide_layer(x: float, width: int) -> float:
    q = [("normh", [1])]
    state = _core.sample_paths([x], [width], 1, "gaussian", q, False, 3, 0, 3000, 0, 1, None)[0][0]
    return float(_core.moments_of(state)["log_variance"])


@pytest.mark.parametrize("x", [1e50, 1e-140])
@pytest.mark.parametrize("width", [1000, 10**9])
def test_the_variance_of_logarithms_does_not_depend_on_their_mean(x: float, width: int) -> None:
    """Logarithms of |x|^2 chi^2 are some hundreds, with deviations of 1e-4 at a width of 1e9."""
    # A logarithm of some hundreds is rounded by 6e-14: 1e-9 of the deviation, with random sign, in
    # 3000.
    of_one = log_variance_of_a_wide_layer(1.0, width)
    assert log_variance_of_a_wide_layer(x, width) == pytest.approx(of_one, rel=1e-9)
    assert of_one == pytest.approx(5.0 / width, rel=4 * math.sqrt(2 / 3000))  # + O(1/width^2)


def test_logarithms_of_deep_networks_stay_finite_beyond_the_range_of_doubles() -> None:
    q = sample_paths(["dzdx"], widths=[8] * 6000, samples=2000, keep=5, seed=1)["dzdx"]
    q_wide = sample_paths(["dzdx"], {"dzdx": (2, 32)}, widths=[64] * 20_000, samples=300)["dzdx"]
    assert q.dead > 1900  # (1 - 2^-8)^6000 = 6e-11
    assert q_wide.dead == 0
    assert q_wide.mean[1] == 0.0
    assert -math.inf < q_wide.log_of_mean[1] < -10_000.0
    # The drift of the square per layer is -5/(2n) - 49/(12n^2), and half of it for the size.
    drift = -20_000 * (2.5 / 64 + 49 / 12 / 64**2) / 2
    deviation = math.sqrt(20_000 * (5 / 64 + 18.5 / 64**2) / 4 / 300)
    assert abs(q_wide.log_mean - drift) < MOST_Z * deviation + 1.0


def same(a: PathSample, b: PathSample) -> bool:
    return all(
        a[k].state == b[k].state and np.array_equal(a[k].values, b[k].values) for k in a.quantities
    )


@pytest.mark.threads
@pytest.mark.parametrize("sampler", ["law", "dense"])
def test_threads_and_ranges_do_not_change_a_bit(sampler: Any) -> None:
    def run(start: int, samples: int, threads: int) -> PathSample:
        return sample_paths(
            list(QUANTITIES),
            n0=2,
            widths=[5, 30, 9],
            sampler=sampler,
            samples=samples,
            start=start,
            threads=threads,
            keep=samples,
            seed=7,
        )

    whole = run(256, 5000, 1)
    assert same(whole, run(256, 5000, 2))
    assert same(whole, run(256, 5000, 7))
    parts = run(256, 512, 2).merge(run(768, 2048, 1)).merge(run(2816, 2440, 3))
    assert parts.samples == whole.samples
    assert same(whole, parts)
    # Another division into parts has the same networks.
    odd = run(256, 100, 1).merge(run(356, 4900, 1))
    assert np.array_equal(odd["ntk"].values, whole["ntk"].values)
    assert odd["ntk"].mean == pytest.approx(whole["ntk"].mean, rel=1e-13)


@pytest.mark.threads
@pytest.mark.parametrize("sampler", ["law", "dense"])
def test_gram_threads_and_ranges_do_not_change_a_bit(sampler: Any) -> None:
    x = [[1.0, 0.0], [0.5, -1.0], [2.0, 1.0]]

    def run(start: int, samples: int, threads: int) -> Any:
        return sample_grams(
            x,
            widths=[7, 5],
            sampler=sampler,
            samples=samples,
            start=start,
            threads=threads,
            keep=samples,
        )

    whole, parts = run(3, 1000, 1), run(3, 333, 2).merge(run(336, 667, 7))
    for name in (
        "nngp_mean",
        "nngp_second",
        "ntk_mean",
        "ntk_second",
        "nngp_largest",
        "ntk_largest",
        "nngp",
        "ntk",
    ):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name
    assert whole.ntk_mean == pytest.approx(whole.ntk.mean(axis=0), rel=1e-12)
    assert whole.ntk_largest == pytest.approx(np.linalg.eigvalsh(whole.ntk)[:, -1], abs=1e-12)


def test_one_layer_grams_are_the_infinite_width_kernels() -> None:
    x = np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)], [0.0, 2.0]])
    count = 60_000
    for width in (1, 4):
        grams = sample_grams(x, widths=[width], samples=count, seed=2)
        for a in range(3):
            for b in range(3):
                first = float(x[a] @ x[b])  # (2/n0) x.x with n0 = 2
                size = math.sqrt(float(x[a] @ x[a]) * float(x[b] @ x[b]))
                angle = math.acos(min(1.0, first / size))
                off = math.pi - angle
                nngp = size * (math.sin(angle) + off * math.cos(angle)) / math.pi
                ntk = nngp + first * off / math.pi
                for mean, second, exact in (
                    (grams.nngp_mean, grams.nngp_second, nngp),
                    (grams.ntk_mean, grams.ntk_second, ntk),
                ):
                    deviation = math.sqrt((second[a, b] - mean[a, b] ** 2) / count)
                    assert abs(mean[a, b] - exact) < MOST_Z * deviation + 1e-12


@pytest.mark.parametrize("widths", [[2, 3, 2], [12, 12, 12, 12]])
def test_grams_of_both_samplers_have_one_distribution(widths: list[int]) -> None:
    # A repeated input, a multiple of it and a generic one: singular matrices, and layers narrower
    # than the number of inputs.
    x = [[1.0, 0.0, 0.5], [1.0, 0.0, 0.5], [2.0, 0.0, 1.0], [-0.3, 1.0, 0.2]]
    count = 20_000
    law, dense = (
        sample_grams(x, widths=widths, sampler=s, samples=count, seed=seed, keep=count)
        for s, seed in (("law", 1), ("dense", 2))
    )
    for name in ("nngp", "ntk"):
        ours, theirs = getattr(law, name), getattr(dense, name)
        for a, b in ((0, 0), (0, 3), (3, 3), (2, 3)):
            assert stats.ks_2samp(ours[:, a, b], theirs[:, a, b]).pvalue > LEAST_P, (name, a, b)
        largest = [getattr(g, f"{name}_largest") for g in (law, dense)]
        assert stats.ks_2samp(*largest).pvalue > LEAST_P
        for g in (ours, theirs):
            assert g[:, 0, 1] == pytest.approx(g[:, 0, 0], rel=1e-9, abs=1e-14)
            assert 2 * g[:, 0, 3] == pytest.approx(g[:, 2, 3], rel=1e-9, abs=1e-12)
    # The diagonal is the one-input tangent kernel.
    one = sample_paths(["ntk"], x=x[3], widths=widths, samples=count, seed=5, keep=count)
    assert stats.ks_2samp(law.ntk[:, 3, 3], one["ntk"].values).pvalue > LEAST_P


def test_the_largest_fraction_shows_that_a_sample_missed_a_moment() -> None:
    q = sample_paths(["dzdx"], {"dzdx": (2, 8)}, widths=[32] * 5, samples=20_000)["dzdx"]
    assert q.max_fraction[0] < 0.1
    assert q.max_fraction[1] > 2 * q.max_fraction[0]
    assert q.largest**8 / 20_000 / q.mean[1] == pytest.approx(q.max_fraction[1], rel=1e-12)


def test_progress_counts_networks() -> None:
    told: list[tuple[int, int]] = []
    sample_paths(["z"], widths=[4], samples=1000, progress=lambda *a: told.append(a))
    assert told[-1] == (1000, 1000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [4, 0]}, "widths must be at least 1, not 0"),
        ({"widths": []}, "at least one layer"),
        ({"widths": [2 * 10**9]}, r"widths must be in 1\.\.1000000000"),
        ({"x": [0.0, 0.0]}, "x must be finite and not 0"),
        ({"x": [1.0, math.nan]}, "x must be finite and not 0"),
        ({"x": [1.0, 2.0], "n0": 3}, "n0 must be the length of x, 2, not 3"),
        ({"mu": "rademacher"}, "sampler must be dense unless mu is gaussian"),
        ({"mu": "cauchy"}, "mu must be"),
        ({"sampler": "exact"}, "sampler must be law or dense"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"orders": {"z": (3,)}}, "orders of z must be even"),
        ({"quantities": ["y"]}, "quantity must be one of"),
        ({"n_out": 0}, "n_out must be at least 1"),
        ({"seed": -1}, "seed must be"),
        ({"threads": -1}, "threads must be"),
    ],
)
def test_bad_input(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"quantities": ["z"], "widths": [4], "samples": 10} | changes
    with pytest.raises(ValueError, match=message):
        sample_paths(**arguments)
