"""Stationary SGD: the exact covariance by all batches, relations, walks, small networks."""

from __future__ import annotations

import math
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from processes import call, interrupted, refusal, rows_of

import nnth
from nnth import _core
from nnth._sgd.regression import SCHEMES, Scheme
from nnth._sgd.walks import circle_distribution


def problem(m: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((m, d)), random.standard_normal(m)


def batches(m: int, b: int, scheme: str) -> list[tuple[float, tuple[int, ...]]]:
    """Return every batch with its probability."""
    if scheme == "with":
        return [(m**-b, chosen) for chosen in product(range(m), repeat=b)]
    if scheme == "without":
        every = list(combinations(range(m), b))
        return [(1.0 / len(every), chosen) for chosen in every]
    p = b / m
    return [
        (p ** len(chosen) * (1.0 - p) ** (m - len(chosen)), chosen)
        for size in range(m + 1)
        for chosen in combinations(range(m), size)
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_covariance_by_all_batches(scheme: Scheme) -> None:
    """Moments of a step, by enumeration of batches, are iterated until they are stationary."""
    m, d, b, rate = 5, 2, 2, 0.15
    x, y = problem(m, d)
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    residuals = x @ best - y
    maps = []
    for share, chosen in batches(m, b, scheme):
        rows, errors = x[list(chosen)], residuals[list(chosen)]
        maps.append((share, np.eye(d) - rate / b * rows.T @ rows, -rate / b * rows.T @ errors))
    mean, second = np.zeros(d), np.zeros((d, d))
    for _ in range(2000):
        second = sum(
            p * (a @ second @ a.T + np.outer(a @ mean, c) + np.outer(c, a @ mean) + np.outer(c, c))
            for p, a, c in maps
        )
        mean = sum(p * (a @ mean + c) for p, a, c in maps)
    assert mean == pytest.approx(0.0, abs=1e-15)
    found = nnth.sgd_covariance(x, y, eta=rate, batch=b, scheme=scheme)
    assert found == pytest.approx(second, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("m", "d", "b"), [(12, 10, 4), (9, 17, 3), (30, 8, 7), (3, 1, 1)])
def test_chains_are_those_of_numpy(scheme: Scheme, m: int, d: int, b: int) -> None:
    """One step from 0 uses the gradient of its batch: mean and second moment over 2^11 chains."""
    x, residuals = problem(m, d, 1)
    chains = 2**11
    delta, squares, gradients = _core.sgd_chains(
        x, residuals, SCHEMES[scheme], b, 0.1, 0, 2, chains, 3, 0, None
    )
    np.testing.assert_allclose(squares[:, 0, -1], squares[:, -1, 0], rtol=1e-12)
    # delta is 0 and then -0.1 g: averages over both steps.
    g = -2.0 * delta / 0.1
    by_hand = 0.005 * g[:, :, None] * g[:, None, :]
    np.testing.assert_allclose(squares, by_hand, rtol=1e-12, atol=1e-15)
    each = x * residuals[:, None]
    mean, second = each.mean(axis=0), each.T @ each / m
    strength = {"bernoulli": 1.0 - b / m, "with": 1.0}
    factor = strength.get(scheme, (m - b) / (m - 1.0)) / b
    expected = factor * (second - (0.0 if scheme == "bernoulli" else np.outer(mean, mean)))
    trace = np.trace(expected)
    assert g.mean(axis=0) == pytest.approx(mean, abs=5.0 * math.sqrt(trace / chains))
    spread = ((g - mean) ** 2).sum(axis=1)
    assert spread.mean() == pytest.approx(trace, abs=5.0 * spread.std() / math.sqrt(chains) + 1e-12)
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize("d", [3, 10, 20])  # one block of lanes, two, and more
def test_a_chain_without_noise_is_gradient_descent(d: int) -> None:
    """The batch has all points without replacement, and every step is computed in NumPy."""
    m, rate, steps = 25, 0.1, 300  # more than a block of steps
    x, residuals = problem(m, d, 2)
    delta, squares, gradients = _core.sgd_chains(
        x, residuals, "without replacement", m, rate, 7, steps, 2, 0, 1, None
    )
    at, states, slopes = np.zeros(d), [], []
    for _ in range(7 + steps):
        g = x.T @ (x @ at + residuals) / m
        states.append(at)
        slopes.append(g)
        at = at - rate * g
    kept, pulls = np.array(states[7:]), np.array(slopes[7:])
    for chain in (0, 1):
        assert delta[chain] == pytest.approx(kept.mean(axis=0), rel=1e-10)
        assert squares[chain] == pytest.approx(kept.T @ kept / steps, rel=1e-10)
        assert gradients[chain] == pytest.approx(pulls.T @ pulls / steps, rel=1e-9, abs=1e-14)


def test_relations_hold_and_a_wrong_constant_would_not() -> None:
    table = nnth.regression_relations(points=10, n0=2, steps=10**7, seed=1)
    assert np.abs(table["z"]).max() < 4.5  # the largest of 27 rows
    at = table["relation"] == "trace"
    # 1/m in place of 1/(m - 1), or M in place of M - g g^T, would be hundreds of deviations off.
    assert (table["stderr"][at] / table["rhs"][at]).max() < 0.003
    assert (table["stderr"][table["relation"] == "covariance"]).max() < 1e-3
    covariances = [
        table["rhs"][(table["relation"] == "covariance") & (table["case"] == s)]
        for s in SCHEMES.values()
    ]
    assert np.abs(covariances[0] / covariances[2] - 1.0).min() > 0.02


@pytest.mark.threads
def test_threads_and_seed() -> None:
    one = nnth.regression_relations(n0=3, steps=10**6, seed=5, threads=1)
    assert one.to_csv() == nnth.regression_relations(n0=3, steps=10**6, seed=5, threads=3).to_csv()
    other = nnth.regression_relations(n0=3, steps=10**6, seed=6)
    assert other["lhs"].tolist() != one["lhs"].tolist()


def test_the_valley() -> None:
    table = nnth.valley_relations(steps=2000)
    assert np.abs(table["z"]).max() < 4.0
    rows = {(r, i): k for k, (r, i) in enumerate(zip(table["relation"], table["i"], strict=True))}
    assert table["lhs"][rows["curvature", 0]] > 100.0 * table["stderr"][rows["curvature", 0]]
    assert table["lhs"][rows["trace", -1]] < 0.0
    assert (
        np.abs(table["lhs"][:3] - table["lecture_value"][:3]).min()
        > 100.0 * table["stderr"][:3].max()
    )
    # The leading order: at a hundredth of the rate the deviation is a hundredth.
    small = nnth.valley_relations(eta=0.01, steps=2)
    assert small["rhs"] == pytest.approx(small["limit"], rel=0.03)
    assert small["rhs"] != pytest.approx(small["limit"], rel=1e-4)


def test_the_circle() -> None:
    table = nnth.circle_relations()
    assert np.abs(table["z"]).max() < 4.0
    assert np.abs(table["lhs"] - table["lecture_value"]).min() > 30.0 * table["stderr"].max()
    # The stationary distribution of the chain tends to 4/5 and 2/3 as dt tends to 0.
    for turn, limit in ((0.5, 0.8), (math.pi / 256, 2.0 / 3.0)):
        mass, law = circle_distribution(256, turn)
        assert mass == pytest.approx(limit, abs=0.003)
        assert law.sum() == pytest.approx(1.0, abs=1e-12)
        assert law.min() > -1e-15  # some positions are never reached in some direction
    coarse, fine = (abs(circle_distribution(n, 0.5)[0] - 0.8) for n in (16, 64))
    assert fine < 0.3 * coarse  # the error is of first order in dt


@pytest.mark.parametrize("noise", [0.5, 20.0, 60.0, 85.0, 300.0])
def test_the_exact_side_of_the_valley_by_integrals(noise: float) -> None:
    """E exp(-c theta^2) for each direction is infinite if the integrand grows."""
    from scipy.integrate import quad

    from nnth._sgd.walks import CURVATURES, DIRECTIONS

    rate = 0.1
    table = nnth.valley_relations(eta=rate, noise_strength=noise, steps=2)
    variance = rate * noise / (2.0 * (1.0 - rate * CURVATURES))
    grows = []
    for i, row in enumerate(np.flatnonzero(table["relation"] == "curvature")):
        ratio, least = 1.0, math.inf
        for j, s in enumerate(variance):
            c = rate * float(DIRECTIONS[i] @ (CURVATURES[j] * DIRECTIONS[j]))
            least = min(least, 1.0 + 2.0 * c * s)
            # The exponent of the integrand over that of the normal density, in units of s.
            a = 0.5 + c * s
            ratio *= (
                math.inf
                if a <= 0.0
                else quad(lambda x, a=a: math.exp(-a * x * x), -math.inf, math.inf)[0]
            ) / math.sqrt(2.0 * math.pi)
        expected = float(CURVATURES[i]) * (ratio - 1.0)
        grows.append(math.isinf(expected))
        assert table["rhs"][row] == pytest.approx(expected, rel=1e-7)
        # If the square of the averaged quantity has no mean, stderr has no meaning.
        assert math.isnan(table["z"][row]) == (least <= 0.5)
        assert ("infinite variance" in table["note"][row]) == (least <= 0.5)
    assert any(grows) == (noise > 200.0)
    assert math.isinf(table["rhs"][-1]) == any(grows)


def test_the_valley_at_any_rate_and_noise() -> None:
    """Walkers start from the stationary distribution, so that small rates take no longer."""
    for rate, noise in ((1e-9, 1.0), (1.0 - 1e-9, 1000.0), (0.999, 1e-3), (0.1, 1000.0)):
        table = nnth.valley_relations(eta=rate, noise_strength=noise, steps=2)
        assert not np.isnan(table["rhs"]).any()
        assert np.abs(table["z"][:3]).max() < 5.0  # the variances, which are stationary
    small = nnth.valley_relations(eta=1e-9, steps=2)
    assert small["rhs"][3:] == pytest.approx(small["limit"][3:], rel=1e-6)  # not lost in 1 - 1


def test_the_path_of_a_net() -> None:
    table = nnth.net_relations(steps=4096)
    assert table["lhs"] == pytest.approx(table["limit"], rel=1e-9, abs=1e-12)  # along any path
    assert np.abs(table["z"][2:5]).max() > 10.0  # before the walk is stationary
    assert abs(table["z"][-1]) < np.abs(table["z"][:-1]).max()
    with pytest.raises(OverflowError, match="eta must be smaller"):
        nnth.net_relations(eta=50.0, steps=64)


def test_the_gradient_of_the_net_by_differences() -> None:
    from nnth._sgd.net import _objective

    random = np.random.default_rng(0)
    x, y = random.standard_normal((6, 3)), random.standard_normal(6)
    theta, chosen = random.standard_normal((2, 4 * 3 + 4)), np.array([[0, 1, 1], [2, 5, 3]])

    def loss(theta: np.ndarray) -> np.ndarray:
        values = []
        for row, some in zip(theta, chosen, strict=True):
            f = np.tanh(x[some] @ row[:12].reshape(4, 3).T) @ row[12:]
            values.append(0.5 * np.mean((f - y[some]) ** 2) + 0.05 * row @ row)
        return np.array(values)

    _, gradient = _objective(x, y, 4, 0.1).gradient(theta, chosen)
    for k in range(theta.shape[1]):
        step = 1e-5 * np.eye(theta.shape[1])[k]
        expected = (loss(theta + step) - loss(theta - step)) / 2e-5
        assert gradient[:, k] == pytest.approx(expected, abs=1e-8)


def test_bad_input() -> None:
    x, y = problem(6, 2)
    for arguments, message in (
        ({"eta": 0.0}, "eta must be above 0"),
        ({"eta": 50.0}, "eta must be smaller: at 50 variances grow by"),
        ({"batch": 7}, "batch must be from 1 to the 6 points"),
        ({"batch": 6}, "batch must be below the 6 points for noise"),
        ({"steps": 10}, "steps must be at least 256"),
        ({"relations": ["trace", "tracee"]}, "relations must be of gradient"),
        (
            {"scheme": "with replacement"},
            "scheme must be one of bernoulli, with, without, all, not with replacement",
        ),
        ({"relations": []}, "relations must be of gradient, trace, matrix, covariance, not none"),
    ):
        with pytest.raises(ValueError, match=message):
            nnth.regression_relations(x, y, **arguments)
    with pytest.raises(ValueError, match="x must have rank 3"):
        nnth.regression_relations(np.hstack([x, np.zeros((6, 1))]), y)
    with pytest.raises(ValueError, match="y must not be fitted exactly"):
        nnth.regression_relations(x, x @ [1.0, 2.0])
    with pytest.raises(ValueError, match="x must have at most 48 columns"):
        nnth.sgd_covariance(np.ones((60, 49)), np.ones(60), eta=0.1, batch=1)
    with pytest.raises(ValueError, match="places must be at least 8"):
        nnth.circle_relations(places=4)
    with pytest.raises(ValueError, match="eta must be above 0 and below 1"):
        nnth.valley_relations(eta=1.0)
    with pytest.raises(ValueError, match="scheme must be"):
        _core.sgd_chains(x, y, "all", 2, 0.1, 0, 1, 1, 0, 1, None)
    with pytest.raises(ValueError, match="dimensions must be from 1 to 64"):
        _core.sgd_chains(np.ones((2, 65)), y[:2], "bernoulli", 1, 0.1, 0, 1, 1, 0, 1, None)


def test_the_command(tmp_path: Path) -> None:
    x, y = problem(8, 2)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    data = ("--x", tmp_path / "data.npz", "--y", tmp_path / "data.npz")
    more = ("--scheme", "without", "--relations", "covariance", "--steps", 10**6)
    rows = rows_of(call("sgd", *data, *more, "--plot", tmp_path / "sides.svg"))
    assert tuple(rows[0])[:8] == ("relation", "case", "i", "j", "lhs", "rhs", "stderr", "z")
    assert [(row["i"], row["j"]) for row in rows] == [("0", "0"), ("0", "1"), ("1", "1")]
    rate = 0.5 / (x**2).sum(axis=1).max()
    exact = nnth.sgd_covariance(x, y, eta=rate, batch=4, scheme="without")
    assert [float(row["rhs"]) for row in rows] == [exact[0, 0], exact[0, 1], exact[1, 1]]
    assert {(row["points"], row["n0"]) for row in rows} == {("8", "2")}
    assert "lhs = rhs" in (tmp_path / "sides.svg").read_text()
    assert "no such option: --width" in refusal("sgd", "circle", "--width", 3)
    assert "--x and --n0 must not" in refusal("sgd", *data, "--n0", 2)
    assert "--y must come with --x" in refusal("sgd", *data[2:])
    assert "n0 must be at most 48, not 49" in refusal("sgd", "--n0", 49)


@pytest.mark.subprocess
def test_an_interrupt_ends_the_chains() -> None:
    out, _ = interrupted("sgd", "--steps", 10**12)
    assert out == ""
