"""Determinantal samples against minors of matrices, and the probability of every subset."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import nnth

X = np.random.default_rng(2).normal(size=(5, 2))


def test_every_subset_has_its_probability() -> None:
    """P(S) = det L_S/det(1 + L) of all 32 subsets of five points."""
    found = nnth.rkhs_sample(X, "rbf:1", scale=2.0, samples=20_000, seed=1)
    ell = 2.0 * np.exp(-((X[:, None] - X) ** 2).sum(-1) / 2.0)
    total = np.linalg.det(np.eye(5) + ell)
    counts: dict[tuple[int, ...], int] = {}
    for subset in found.subsets:
        key = tuple(subset.tolist())
        counts[key] = counts.get(key, 0) + 1
    chi_square = 0.0
    for size in range(6):
        for subset in combinations(range(5), size):
            chance = np.linalg.det(ell[np.ix_(subset, subset)]) / total if subset else 1 / total
            expected = 20_000 * chance
            chi_square += (counts.get(subset, 0) - expected) ** 2 / expected
    # 31 degrees of freedom: chi-square exceeds 75 with a probability of 2e-5.
    assert chi_square < 75.0
    assert found.log_normalizer == pytest.approx(np.log(total), rel=1e-12)
    marginal = ell @ np.linalg.inv(np.eye(5) + ell)
    assert found.marginal == pytest.approx(marginal, abs=1e-13)
    assert found.expected_size == pytest.approx(np.trace(marginal), rel=1e-12)


def test_frequencies_of_points_and_pairs() -> None:
    x = np.random.default_rng(3).normal(size=(40, 3))
    found = nnth.rkhs_sample(x, "ntk", "tanh", size=6.0, samples=4000, depth=2)
    table = found.table()
    assert found.expected_size == pytest.approx(6.0, rel=1e-12)
    assert table["inclusion"].sum() == pytest.approx(6.0, rel=1e-12)
    for name in ("z", "pair_z"):
        # The largest of 40 exceeds 4.5 once in 4000 seeds; wrong probabilities of pairs would
        # exceed it.
        assert np.abs(table[name]).max() < 4.5
        assert 0.6 < table[name].std() < 1.4
    alone = table["inclusion"] * table["inclusion"][table["partner"]]
    assert (table["pair_inclusion"] < alone).all()
    record = table.meta.parameters
    z = (record["mean_size"] - 6.0) / record["size_stderr"]
    assert abs(z) < 4.5


def test_points_that_are_the_same_are_never_together() -> None:
    x = np.array([[0.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    found = nnth.rkhs_sample(x, "rbf:1", scale=100.0, samples=300)
    assert all(not {0, 1} <= set(subset.tolist()) for subset in found.subsets)
    assert max(map(len, found.subsets)) == 2


def test_a_sample_is_a_function_of_seed_and_number() -> None:
    few = nnth.rkhs_sample(X, samples=5, seed=7)
    many = nnth.rkhs_sample(X, samples=50, seed=7)
    assert [s.tolist() for s in few.subsets] == [s.tolist() for s in many.subsets[:5]]
    other = nnth.rkhs_sample(X, samples=50, seed=8)
    assert [s.tolist() for s in other.subsets] != [s.tolist() for s in many.subsets]
    arrays = many.arrays()
    assert arrays["subsets"].shape == (50, 5)
    assert arrays["subsets"].sum(axis=1).tolist() == [len(s) for s in many.subsets]


def test_one_point() -> None:
    table = nnth.rkhs_sample(np.ones((1, 2)), samples=2000).table()
    assert table["inclusion"].tolist() == [0.5]
    assert abs(table["z"][0]) < 4.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 1.0, "size": 2.0}, "scale and size must not both be given"),
        ({"scale": 0.0}, "scale must be positive and finite, not 0"),
        ({"size": 5.0}, "size must be below the number of points, 5, not 5"),
        ({"kernel": "nngp", "act": "linear", "size": 2.0}, "size must be below the rank .* 2, not"),
        ({"samples": 1}, "samples must be at least 2, not 1"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nnth.rkhs_sample(X, **arguments)  # type: ignore[arg-type]
