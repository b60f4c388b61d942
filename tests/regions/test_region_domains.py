"""Domains of counts by linear inequalities: the walk against the search and known polytopes."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.cells import regions as oracle

from nnth import Network, RegionCounts, _core, count_regions, random_network
from nnth._regions.any_dimension import MAX_ROWS, MAX_ROWS_IN_PLANE
from nnth._regions.core_counts import core_network, count_core

Array = NDArray[np.float64]


def walk(network: Network, rows: Array, threads: int = 1) -> RegionCounts:
    domain = _core.RegionDomain.polytope(network.n0, rows.ravel())
    return count_core(core_network(network), domain, [0.0] * network.n0, threads=threads)


def box(n0: int, radius: float) -> Array:
    return np.column_stack([np.vstack([-np.eye(n0), np.eye(n0)]), np.full(2 * n0, radius)])


def integers(n0: int, widths: tuple[int, ...], seed: int) -> Network:
    """Return a network of small integers, some of whose hyperplanes meet in common points."""
    rng = np.random.default_rng((n0, *widths, seed))
    shapes = [(m, n) for n, m in itertools.pairwise([n0, *widths, 1])]
    return Network(
        [rng.integers(-3, 4, shape) * 1.0 for shape in shapes],
        [rng.integers(-2, 3, m) * 1.0 for m, _ in shapes],
    )


def constant(n0: int) -> Network:
    """Return a network with one cell."""
    return Network([np.zeros((1, n0)), np.ones((1, 1))], [np.ones(1), np.zeros(1)])


@pytest.mark.parametrize("n0", [1, 2, 3, 4])
def test_a_box_by_inequalities_is_the_box(n0: int) -> None:
    for seed in range(4):
        network = random_network(n0, (5, 3), seed=seed) if seed % 2 else integers(n0, (4, 3), seed)
        rows = box(n0, 1.5)
        rows = np.vstack([rows, 2.0 * rows[::-1], np.eye(n0 + 1)[n0]])  # twice, and 1 >= 0
        expected = count_regions(network, domain="box", box=1.5, threads=1)
        found = walk(network, rows)
        assert found.zero_cell_measure == pytest.approx(
            expected.zero_cell_measure, rel=1e-10, nan_ok=True
        )
        same = {"zero_cell_measure": 0.0, "exact_signs": 0}
        assert replace(found, **same) == replace(expected, **same), seed


@pytest.mark.parametrize("n0", [1, 2, 3, 4])
def test_linear_maps_of_network_and_domain_change_nothing(n0: int) -> None:
    """f on the box has the counts of f(U x) on the polytope of all x with U x in the box."""
    rng = np.random.default_rng(n0)
    for seed in range(4):
        network = integers(n0, (5, 3), seed)
        lower, upper = np.tril(rng.integers(-1, 2, (n0, n0)), -1), rng.integers(-1, 2, (n0, n0))
        u = (np.eye(n0) + lower) @ (np.eye(n0) + np.triu(upper, 1))  # of determinant 1
        mapped = Network([network.weights[0] @ u, *network.weights[1:]], network.biases)
        rows = box(n0, 2.0)
        expected, found = (
            walk(network, rows),
            walk(mapped, np.hstack([rows[:, :-1] @ u, rows[:, -1:]])),
        )
        assert found.zero_cell_measure == pytest.approx(
            expected.zero_cell_measure, rel=1e-10, nan_ok=True
        )
        same = {"zero_cell_measure": 0.0, "exact_signs": 0}
        assert replace(found, **same) == replace(expected, **same), seed


@pytest.mark.parametrize("n0", [1, 2, 3, 4])
def test_the_walk_finds_the_cells_of_the_search_and_of_rational_programs(n0: int) -> None:
    """The rows are random, so that some domains are unbounded and some rows touch or miss them."""
    rng = np.random.default_rng(n0)
    for seed in range(8):
        network = integers(n0, (3, 3), seed)
        rows = np.column_stack([rng.integers(-2, 3, (5, n0)), rng.integers(1, 4, 5)]).astype(float)
        found = walk(network, rows)
        domain = _core.RegionDomain.polytope(n0, rows.ravel())
        searched = _core.search_regions(core_network(network), domain, 1, None)
        assert found.layer_regions == searched["layer_regions"], seed
        assert found.bounded == searched["bounded"], seed
        if n0 <= 3 and seed < 4:
            layers, _ = oracle(network.weights, network.biases, [*rows])
            assert list(found.layer_regions) == layers, seed


@pytest.mark.parametrize("n0", [3, 4, 5])
def test_cross_polytopes_have_their_faces(n0: int) -> None:
    """Each vertex lies on 2^(n0 - 1) sides."""
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=n0)))
    found = walk(constant(n0), np.column_stack([signs, np.ones(2**n0)]))
    volume = 2.0**n0 / np.prod(np.arange(1, n0 + 1))
    assert (found.activation_regions, found.bounded) == (1, 0)
    assert (found.vertices, found.edges) == (2 * n0, 2 * n0 * (n0 - 1))
    assert found.sides == found.zero_cell_sides == 2**n0
    assert found.zero_cell_measure == pytest.approx(volume, rel=1e-10)


@pytest.mark.parametrize(
    ("rows", "faces"),
    [
        ([[1.0, 0.0, 1.0]], (0, 1, 1)),  # a half-plane
        ([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]], (0, 2, 2)),  # a strip
        ([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], (1, 2, 2)),  # a quadrant
        ([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], (1, 2, 2)),  # a row through a vertex
    ],
)
def test_faces_at_infinity_are_not_counted(
    rows: list[list[float]], faces: tuple[int, int, int]
) -> None:
    found = walk(constant(2), np.array(rows))
    assert (found.vertices, found.edges, found.sides) == faces
    assert found.zero_cell_sides == faces[2]
    assert found.zero_cell_measure == np.inf
    beyond = np.column_stack([rows, np.zeros(len(rows))])[:, [0, 1, 3, 2]]  # times a line
    solid = walk(constant(3), beyond)
    assert (solid.vertices, solid.edges, solid.sides) == (0, faces[0], faces[2])


def test_a_strip_that_is_cut_has_its_faces() -> None:
    network = Network([[[0.0, 1.0]], [[1.0]]], [[0.5], [0.0]])
    found = walk(network, np.array([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]))
    assert (found.activation_regions, found.linear_regions, found.bounded) == (2, 2, 0)
    assert (found.vertices, found.edges, found.sides) == (2, 5, 6)


def test_extreme_rows_change_nothing() -> None:
    network = random_network(3, (6, 4), seed=1)
    rows = box(3, 1.0)
    expected = walk(network, rows)
    for scale in (1e-150, 1e150):
        found = walk(network, rows * scale)
        measure = found.zero_cell_measure
        assert measure == pytest.approx(expected.zero_cell_measure, rel=1e-10)
        same = {"zero_cell_measure": 0.0, "exact_signs": 0}
        assert replace(found, **same) == replace(expected, **same)


@pytest.mark.threads
def test_threads_change_nothing() -> None:
    rows = np.column_stack([np.vstack([np.eye(3), -np.ones((1, 3))]), np.ones(4)])
    network = random_network(3, (12, 8), seed=4)
    assert walk(network, rows, threads=3) == walk(network, rows)


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]],  # x = 1
        [[1.0, 0.0, -2.0], [-1.0, 0.0, 1.0]],  # 2 <= x <= 1
        [[0.0, 0.0, -1.0]],
    ],
)
def test_a_domain_without_interior_is_an_error(rows: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="the domain must have interior points"):
        walk(random_network(2, (3,)), np.array(rows))


def test_many_inequalities_are_searched(tmp_path: Path) -> None:
    """The walk and the search agree where one inequality more makes the difference."""
    rng = np.random.default_rng(5)
    for n0, most in ((2, MAX_ROWS_IN_PLANE), (3, MAX_ROWS)):
        network = random_network(n0, (6, 4), seed=2)
        normals = rng.normal(size=(most, n0))
        for count in (most, most + 1):
            a = np.vstack([normals, normals[:1]])[:count]
            np.savez(tmp_path / f"{count}.npz", A=a, b=np.ones(count))
        walked, searched = (
            count_regions(network, domain=f"polytope:{tmp_path / f'{count}.npz'}", threads=1)
            for count in (most, most + 1)
        )
        assert walked.vertices is not None
        assert searched.vertices is None
        assert walked.layer_regions == searched.layer_regions
        assert walked.bounded == searched.bounded


# Files.


def test_a_file_of_inequalities_is_a_domain(tmp_path: Path) -> None:
    network = random_network(3, (5, 4), seed=1)
    a, b = np.vstack([np.eye(3), -np.eye(3)]), np.full(6, 2.0)
    np.savez(tmp_path / "box.npz", A=a, b=b)
    np.savetxt(tmp_path / "box.csv", np.column_stack([a, b]), delimiter=",")
    expected = count_regions(network, domain="box", box=2.0)
    for name in ("box.npz", "box.csv"):
        found = count_regions(network, domain=f"polytope:{tmp_path / name}")
        assert found.layer_regions == expected.layer_regions
        assert found.bounded == expected.bounded


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"A": np.eye(2), "b": np.ones(2)}, "domain must be in 3 dimensions, as n0 is 3, not 2"),
        ({"A": np.eye(3), "b": np.ones(2)}, "must have an entry for each of 3 rows of A"),
        ({"A": np.eye(3)}, "it must hold an array named b"),
        ({"A": np.vstack([np.eye(3), -np.eye(3)]), "b": np.zeros(6)}, "must have interior points"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, arrays: dict[str, Array], message: str) -> None:
    np.savez(tmp_path / "p.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        count_regions(random_network(3, (4,)), domain=f"polytope:{tmp_path / 'p.npz'}")


@pytest.mark.parametrize("domain", ["polytop:p.npz", "polytope:", "disk"])
def test_a_domain_of_another_name_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="domain must be space, box or polytope:FILE, not"):
        count_regions(random_network(2, (4,)), domain=domain)
