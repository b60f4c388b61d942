"""The robustness radius, against all activation patterns, by sampling, and by symmetries."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from oracles import decision_radius as oracle

from nnth._networks.network import Network, random_network
from nnth._regions.distance import regions_distance
from nnth._regions.radius import radii


def random_case(seed: int) -> tuple[Network, Any]:
    """Return a network and a point, of small integers for even seeds."""
    rng = np.random.default_rng(seed)
    widths = [(4,), (3, 3), (2, 2, 2)][seed % 3]
    sizes = (int(rng.integers(1, 4)), *widths, int(rng.integers(1, 4)))
    shapes = [(rows, columns) for columns, rows in itertools.pairwise(sizes)]
    if seed % 2:
        weights = [rng.normal(size=shape) for shape in shapes]
        biases = [0.7 * rng.normal(size=rows) for rows, _ in shapes]
        return Network(tuple(weights), tuple(biases)), rng.normal(size=sizes[0])
    weights = [rng.integers(-2, 3, size=shape) for shape in shapes]
    biases = [rng.integers(-1, 2, size=rows) for rows, _ in shapes]
    x = rng.integers(-2, 3, size=sizes[0]).astype(float)
    return Network(tuple(weights), tuple(biases)), x


@pytest.mark.parametrize("seeds", [range(4), pytest.param(range(4, 60), marks=pytest.mark.slow)])
def test_the_radius_is_the_least_over_all_patterns(seeds: range) -> None:
    finite = 0
    for seed in seeds:
        network, x = random_case(seed)
        expected = oracle.radii(network, x)
        found = radii(network, x[None], 10_000, 1, None)
        bounds = [
            (found.lower[0], found.upper[0], expected[0]),
            (found.lower_linf[0], found.upper_linf[0], expected[1]),
        ]
        for lower, upper, exact in bounds:
            assert lower <= upper
            if exact == math.inf:
                assert upper == math.inf
                assert lower > 1e9
            else:
                finite += 1
                assert lower == pytest.approx(exact, rel=1e-8, abs=1e-12)
                assert upper == pytest.approx(exact, rel=1e-8, abs=1e-12)
    assert finite > len(seeds) / 2


def test_no_sample_within_the_radius_has_another_winner() -> None:
    network = random_network(6, (10, 10), n_out=3, seed=2)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 6))
    few, many = (radii(network, points, nodes, 1, None) for nodes in (3, 20_000))
    assert (few.lower <= many.lower * (1 + 1e-9)).all()  # a bound, whatever the limit
    assert (few.lower_linf <= many.lower_linf * (1 + 1e-9)).all()
    assert (few.lower > 0).all()
    assert (many.upper - many.lower <= 1e-8 * many.upper).all()
    assert (many.upper_linf <= many.upper * (1 + 1e-9)).all()
    assert (many.upper <= many.upper_linf * math.sqrt(6) * (1 + 1e-9)).all()
    for i, x in enumerate(points):
        steps = rng.normal(size=(20_000, 6))
        steps *= many.lower[i] * (1 - 1e-9) / np.linalg.norm(steps, axis=1, keepdims=True)
        assert (network(x + steps).argmax(axis=1) == many.winner[i]).all()
        corners = many.lower_linf[i] * (1 - 1e-9) * rng.choice([-1.0, 1.0], size=(20_000, 6))
        assert (network(x + corners).argmax(axis=1) == many.winner[i]).all()


def test_scales_and_permutations() -> None:
    network, x = random_case(7)
    one = radii(network, x[None], 10_000, 1, None)
    scaled = Network(
        tuple(w * 2.0**300 if i == 0 else w for i, w in enumerate(network.weights)),
        tuple(b * 2.0**300 for b in network.biases),
    )
    same = radii(scaled, x[None], 10_000, 1, None)
    assert same.lower[0] == pytest.approx(one.lower[0], rel=1e-9)
    assert same.lower_linf[0] == pytest.approx(one.lower_linf[0], rel=1e-9)
    order = np.random.default_rng(0).permutation(network.widths[0])
    w, b = network.weights, network.biases
    permuted = Network((w[0][order], w[1][:, order], *w[2:]), (b[0][order], *b[1:]))
    same = radii(permuted, x[None], 10_000, 1, None)
    assert same.upper[0] == pytest.approx(one.upper[0], rel=1e-9)


def test_the_columns() -> None:
    # f = |x| - 1 on the line: positive at 3, and 0 at 1.
    network = Network(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [-1.0]))
    table = regions_distance([[3.0], [0.25], [1.0]], network, search_nodes=100)
    assert table["radius"] == pytest.approx([2.0, 0.75, 0.0])
    assert table["radius_upper"] == pytest.approx([2.0, 0.75, 0.0])
    assert table["radius_linf"] == pytest.approx([2.0, 0.75, 0.0])
    assert table["output"].tolist() == [1, 0, 0]
    assert table["rival"].tolist() == [0, 1, 1]
    assert list(table["note"]) == ["", "", ""]
    none = regions_distance([[3.0]], network)
    assert np.isnan(none["radius"][0])
    cut = regions_distance([[3.0] * 5], random_network(5, (20, 20)), search_nodes=1)
    assert "lower bound" in cut["note"][0]
    # f = |x| touches 0 at a point where rounding may leave it positive.
    touching = random_network(1, (20, 20), cb=0.0)
    table = regions_distance([[3.0], [-0.3]], touching, search_nodes=100)
    assert table["radius_linf_upper"] == pytest.approx([3.0, 0.3])
    assert table["radius"] == pytest.approx([3.0, 0.3])


@pytest.mark.parametrize("nodes", [-1, 10**7 + 1, 1.5, True])
def test_bad_limits_are_refused(nodes: Any) -> None:
    with pytest.raises(ValueError, match="search_nodes must be"):
        regions_distance(points=1, search_nodes=nodes)


def test_infinite_pre_activations_are_refused() -> None:
    huge = Network(([[1e200]], [[1e200]]), ([0.0], [0.0]))
    with pytest.raises(ValueError, match="range of doubles"):
        regions_distance([[1.0]], huge, search_nodes=10)
    with pytest.raises(ValueError, match="cw and cb must be smaller"):
        regions_distance(points=1, widths=(3, 3), cw=1e300, search_nodes=10)
