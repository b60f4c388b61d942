"""The search for regions against rational linear programs, and against the walk."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.cells import regions as oracle

import nnth
from nnth import Network, _core, count_regions, random_network
from nnth._regions.any_dimension import projected, reduced
from nnth._regions.bounds import zaslavsky
from nnth._regions.core_counts import core_network, count_core
from nnth._regions.domains import core_domain

Array = NDArray[np.float64]


def search(
    network: Network, domain: _core.RegionDomain | Array | None = None, threads: int = 1
) -> dict[str, Any]:
    if domain is None:
        domain = core_domain(None, network.n0)
    elif isinstance(domain, np.ndarray):
        domain = _core.RegionDomain.polytope(network.n0, domain.ravel())
    return _core.search_regions(core_network(network), domain, threads, None)


def degenerate(n0: int, widths: tuple[int, ...], seed: int) -> Network:
    """Return a network of small integers with zero, equal, opposite and parallel rows."""
    rng = np.random.default_rng((n0, *widths, seed))
    sizes = [n0, *widths, 1]
    weights, biases = [], []
    for n, m in itertools.pairwise(sizes):
        w = rng.integers(-2, 3, (m, n)) * (rng.random((m, n)) < 0.7) * 1.0
        b = rng.integers(-1, 2, m) * float(seed % 3 > 0)
        if m > 1 and seed % 2:
            w[-1] = w[0] * rng.choice([-1.0, 1.0, 2.0])
            b[-1] = b[0] * rng.choice([-1.0, 0.0, 1.0])
        if m > 1 and seed % 5 == 0:
            w[0] = 0.0
        weights.append(w)
        biases.append(b)
    return Network(weights, biases)


SHAPES = [(5, (3, 2)), (5, (6,)), (6, (4, 2)), (6, (2, 3, 2)), (7, (3, 3)), (8, (4, 2)), (3, (5,))]


@pytest.mark.parametrize(("n0", "widths"), SHAPES)
def test_degenerate_networks_have_the_regions_of_rational_programs(
    n0: int, widths: tuple[int, ...]
) -> None:
    for seed in range(6):
        network = degenerate(n0, widths, seed)
        layers, bounded = oracle(network.weights, network.biases)
        found = search(network)
        assert (list(found["layer_regions"]), found["bounded"]) == (layers, bounded), seed


@pytest.mark.parametrize("n0", [2, 3])
def test_polytopes_have_the_regions_of_rational_programs(n0: int) -> None:
    rng = np.random.default_rng(n0)
    for seed in range(8):
        network = degenerate(n0, (3, 3), seed)
        rows = np.column_stack([rng.integers(-2, 3, (5, n0)), rng.integers(1, 4, 5)]).astype(float)
        rows[4] = 2.0 * rows[3]  # the same inequality twice
        layers, _ = oracle(network.weights, network.biases, [*rows])
        assert list(search(network, rows)["layer_regions"]) == layers, seed


@pytest.mark.parametrize("n0", [1, 2, 3, 4])
@pytest.mark.parametrize("limits", [None, (-1.0, 1.0)])
def test_the_walk_finds_the_same_cells(n0: int, limits: tuple[float, float] | None) -> None:
    for seed in range(6):
        for network in (random_network(n0, (5, 4), seed=seed), degenerate(n0, (5, 4), seed)):
            domain = core_domain(limits, n0)
            walked = count_core(core_network(network), domain, None)
            found = search(network, domain)
            assert found["layer_regions"] == walked.layer_regions
            assert found["bounded"] == walked.bounded


@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1e8, 1e140])
def test_scales_change_nothing(scale: float) -> None:
    network = random_network(5, (5, 4), seed=2)
    expected = search(network)
    scaled = [network.weights[0] * scale, *network.weights[1:]]
    found = search(Network(scaled, network.biases))
    assert found["layer_regions"] == expected["layer_regions"]
    assert found["bounded"] == expected["bounded"]


def test_nearly_equal_hyperplanes_enclose_cells_that_doubles_hardly_see() -> None:
    rng = np.random.default_rng(1)
    w, b = rng.normal(size=(4, 5)), rng.normal(size=4)
    b_above = np.nextafter(b, np.inf)
    network = Network([np.vstack([w, w]), np.ones((1, 8))], [np.concatenate([b, b_above]), [0.0]])
    assert search(network)["activation_regions"] == 3**4


def test_one_layer_has_the_regions_of_zaslavsky() -> None:
    for n0, n in ((5, 9), (8, 11), (12, 10)):
        found = search(random_network(n0, (n,), seed=n))
        assert found["activation_regions"] == zaslavsky(n, n0)


@pytest.mark.threads
def test_threads_change_nothing() -> None:
    network = random_network(6, (7, 7), seed=4)
    assert search(network, threads=3) == search(network)


def test_an_empty_domain_is_an_error() -> None:
    rows = np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]])  # x = 1
    with pytest.raises(ValueError, match="the domain must have interior points"):
        search(random_network(2, (3,)), rows)


# The rank of the first layer.


def low_rank(n0: int, widths: tuple[int, ...], rank: int, seed: int) -> Network:
    rng = np.random.default_rng((n0, *widths, rank, seed))
    network = random_network(n0, widths, seed=seed, cb=float(seed % 3 > 0))
    left = rng.integers(-3, 4, (widths[0], rank)).astype(float)
    right = rng.integers(-3, 4, (rank, n0)).astype(float)
    return Network([left @ right, *network.weights[1:]], network.biases)


@pytest.mark.parametrize("n0", [3, 4])
def test_the_reduced_network_has_the_counts_of_all_inputs(n0: int) -> None:
    for seed in range(8):
        network = low_rank(n0, (4, 3), 1 + seed % (n0 - 1), seed)
        point = None if seed % 2 else np.arange(n0) / 3.0
        found = count_regions(network, point=point)
        exact = [0.0] * n0 if point is None else [float(x) for x in point]
        walked = count_core(core_network(network), core_domain(None, n0), exact)
        for name in walked.__dict__:
            if name != "exact_signs":
                values = (getattr(found, name), getattr(walked, name))
                assert str(values[0]) == str(values[1]), (seed, name)


def test_the_rank_is_that_of_the_doubles() -> None:
    rng = np.random.default_rng(3)
    for rank in (1, 3, 6):
        matrix = rng.integers(-9, 9, (20, rank)) @ rng.integers(-9, 9, (rank, 30)) * 1.0
        assert len(_core.basis_columns(matrix, 64, None)) == np.linalg.matrix_rank(matrix)
    thirds = np.array([[1.0, 1.0], [1 / 3, np.nextafter(1 / 3, 1.0)]])
    assert _core.basis_columns(thirds, 64, None) == [0, 1]
    assert _core.basis_columns(np.zeros((2, 3)), 64, None) == []
    wide = np.array([[1e300, 1e-300], [1e-300, 1e300]])
    assert len(_core.basis_columns(wide, 64, None)) == 2


def test_a_projected_point_has_the_same_pre_activations() -> None:
    network = low_rank(7, (5, 3), 3, 2)
    small, columns = reduced(network)
    x = np.arange(7) / 7.0
    u = projected(network, columns, [float(v) for v in x])
    assert small.n0 == 3
    np.testing.assert_allclose(
        small.weights[0] @ np.array(u, dtype=float), network.weights[0] @ x, rtol=1e-12
    )


def test_many_inputs_into_few_neurons_are_counted() -> None:
    table = nnth.regions(n0=64, widths=(4, 4), seed=1)
    reduced_to = random_network(64, (4, 4), seed=1)
    small = Network([reduced_to.weights[0][:, :4], *reduced_to.weights[1:]], reduced_to.biases)
    walked = count_core(core_network(small), core_domain(None, 4), [0.0] * 4)
    assert table["activation_regions"][0] == walked.activation_regions
    assert table["linear_regions"][0] == walked.linear_regions
    assert table["bounded"][0] == 0


def test_an_unknown_count_is_nan_and_the_note_says_so() -> None:
    table = nnth.regions(n0=12, widths=(8, 5), seed=3)
    assert np.isnan(table["linear_regions"][0])
    assert "linear regions" in str(table["note"][0])
    assert table["activation_regions"][0] + 0 == table["unbounded"][0]
    assert table["activation_regions"][0] <= table["upper_bound"][0]
