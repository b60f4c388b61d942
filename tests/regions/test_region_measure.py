"""The length, area and volume of the region around a point, against exact rational volumes."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from region_nets import KINDS, Net, nets, one_layer
from region_oracle import Vector, dot, faces

from nnth._networks.network import Network, random_network
from nnth._regions.core_counts import RegionCounts
from nnth._regions.count_table import regions
from nnth._regions.counts import count_regions

# measure.hpp promises 1e-10; the oracle's rational number is rounded to a float once.
TOLERANCE = 1.001e-10


def few(examples: int) -> settings:
    return settings(max_examples=examples)


def volume(forms: Sequence[Sequence[Fraction]], dim: int) -> Fraction:
    """Return the volume of {a . x + b >= 0} for all forms (a, b), by Lasserre's recursion (1983).

    V = 1/d sum_i b_i V_i over the facets, V_i the volume of facet i in the variables except x_j
    over |a_ij|. It is exact, for bounded polyhedra only.
    """
    kept: dict[tuple[Fraction, ...], Fraction] = {}
    for form in forms:
        slopes = form[:-1]
        size = next((abs(a) for a in slopes if a), None)
        if size is None:
            if form[-1] < 0:
                return Fraction(0)
            continue
        direction = tuple(a / size for a in slopes)
        kept[direction] = min(kept.get(direction, form[-1] / size), form[-1] / size)
    if dim == 1:
        low, high = -kept[(Fraction(1),)], kept[(Fraction(-1),)]
        return max(high - low, Fraction(0))
    total = Fraction(0)
    for direction, constant in kept.items():
        j = next(i for i, a in enumerate(direction) if a)
        pivot = direction[j]
        on_facet = [
            [
                x - other[j] / pivot * a
                for i, (x, a) in enumerate(zip(other, direction, strict=True))
                if i != j
            ]
            + [b - other[j] / pivot * constant]
            for other, b in kept.items()
            if other != direction
        ]
        total += constant * volume(on_facet, dim - 1) / abs(pivot)
    return total / dim


def exact_volume(n: Net, box: float, at: Sequence[float]) -> Fraction | None:
    """Return the volume of the oracle's cell around a point; None if the point is on a boundary."""
    found = faces(*n, box=box)
    point = [Fraction(x) for x in at]
    last = math.lcm(*(x.denominator for x in point))
    p: Vector = (*(int(x * last) for x in point), last)
    around = [cell for cell in found.cells if all(dot(f, p) > 0 for f in cell.facets)]
    if not around:
        return None
    return volume([[Fraction(x) for x in f] for f in around[0].facets], len(at))


def counted(n: Net, box: float | None, at: Sequence[float]) -> RegionCounts:
    where: dict[str, Any] = {} if box is None else {"domain": "box", "box": box}
    return count_regions(Network(weights=n.weights, biases=n.biases), point=at, **where)


def measured(n: Net, box: float | None, at: Sequence[float]) -> float:
    return counted(n, box, at).zero_cell_measure


@pytest.mark.parametrize(
    ("dim", "width", "examples"), [(1, 5, 30), (2, 5, 60), (3, 4, 60), (4, 3, 25)]
)
def test_drawn_networks(dim: int, width: int, examples: int) -> None:
    @few(examples)
    @given(nets((dim,), width=width, depth=2, kinds=KINDS), st.integers(0, 99))
    def check(n: Net, seed: int) -> None:
        at = np.random.default_rng(seed).integers(-3, 4, size=dim) / 4
        expected = exact_volume(n, 1.0, at.tolist())
        found = measured(n, 1.0, at.tolist())
        if expected is None:
            assert math.isnan(found)
        else:
            assert abs(Fraction(found) - expected) <= TOLERANCE * expected

    check()


@pytest.mark.parametrize("dim", range(1, 7))
def test_simplices_boxes_and_cross_polytopes(dim: int) -> None:
    """The volumes are known; a vertex of a cross polytope lies on 2^(dim - 1) hyperplanes."""
    unit = np.eye(dim)
    zero = [0.0] * dim
    simplex = one_layer(np.vstack([unit, np.ones((1, dim))]), [1.0] * dim + [-1.0])
    # x_i >= -1 and sum x <= 1: a simplex with edges dim + 1 along the axes.
    assert measured(simplex, None, zero) == pytest.approx(
        (dim + 1) ** dim / math.factorial(dim), rel=1e-10
    )
    sides = one_layer(np.vstack([unit, unit]), [0.25] * dim + [-0.5] * dim)
    assert measured(sides, None, zero) == pytest.approx(0.75**dim, rel=1e-10)
    assert measured(sides, 0.375, zero) == pytest.approx(0.625**dim, rel=1e-10)
    corners = np.array(list(itertools.product([1.0, -1.0], repeat=dim)))
    cross = one_layer(corners, [-1.0] * len(corners))
    if dim < 5:  # 2^5 hyperplanes in R^5 make too many cells for a test
        assert measured(cross, 1.5, zero) == pytest.approx(
            2.0**dim / math.factorial(dim), rel=1e-10
        )
    assert measured(one_layer(unit, [1.0] * dim), None, zero) == math.inf


@pytest.mark.parametrize(("dim", "width"), [(2, 6), (3, 5), (4, 4), (5, 3), (6, 3)])
def test_cells_of_a_box_add_up_to_it(dim: int, width: int) -> None:
    network = random_network(dim, (width,), seed=dim)
    rng = np.random.default_rng(0)
    total, found = 0.0, {}
    w, b = network.weights[0], network.biases[0]
    count = count_regions(network, domain="box", box=2.0).activation_regions
    for x in rng.uniform(-2.0, 2.0, size=(20_000, dim)):
        pattern = tuple(w @ x + b > 0)
        if pattern not in found:
            found[pattern] = count_regions(
                network, domain="box", box=2.0, point=x
            ).zero_cell_measure
            total += found[pattern]
    # Cells that 20,000 points miss have a few ten-thousandths of the box in total.
    missed = count - len(found)
    assert total == pytest.approx(4.0**dim, rel=1e-10 if missed == 0 else 2e-3)
    assert total <= 4.0**dim * (1 + 1e-10)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("gap", [1e-6, 1e-12, 2.0**-50])
def test_thin_cells_far_away(dim: int, gap: float) -> None:
    """The two hyperplanes are so near that doubles do not distinguish the vertices."""
    rng = np.random.default_rng(dim)
    row = rng.normal(size=dim)
    n = one_layer(np.vstack([row, row]), [0.3, 0.3 - gap])
    at = row / (row @ row) * (-0.3 + gap / 2)
    expected = exact_volume(n, 1.0, at.tolist())
    found = measured(n, 1.0, at.tolist())
    if expected is None:  # the rounded point may be on the other side of one
        assert math.isnan(found)
    else:
        assert abs(Fraction(found) - expected) <= TOLERANCE * expected


def test_a_cell_that_only_integers_measure() -> None:
    """With a width of 2^-40 at a distance of 2^8, doubles lose all but a few bits of the area."""
    far, gap = 2.0**8, 2.0**-40
    n = one_layer([[1.0, 0.0], [1.0, gap / 4]], [-far, -far - gap])
    at = (far + gap / 8, 0.5)
    expected = exact_volume(n, 2.0 * far, at)
    assert expected is not None
    assert abs(Fraction(measured(n, 2.0 * far, at)) - expected) <= TOLERANCE * expected


def test_units_and_permutations() -> None:
    n = random_network(3, (6, 5), seed=1)
    plain = count_regions(n, domain="box", box=1.0).zero_cell_measure
    permuted = Network((n.weights[0][:, [2, 0, 1]], *n.weights[1:]), n.biases)
    assert count_regions(permuted, domain="box", box=1.0).zero_cell_measure == pytest.approx(
        plain, rel=2e-10
    )
    for power in (-90, 90):
        scaled = Network(n.weights, tuple(np.ldexp(b, power) for b in n.biases))
        found = count_regions(scaled, domain="box", box=2.0**power).zero_cell_measure
        assert found == math.ldexp(plain, 3 * power)


def test_the_column_of_the_table() -> None:
    for n0 in (3, 4):
        table = regions(n0=n0, widths=(6,), domain="box", samples=3, seed=1)
        expected = [
            count_regions(
                random_network(n0, (6,), seed=1, sample=s), domain="box"
            ).zero_cell_measure
            for s in range(3)
        ]
        assert table["zero_cell_measure"][0] == pytest.approx(np.mean(expected), rel=1e-15)
        assert 0.0 < table["zero_cell_measure"][0] < 2.0**n0
