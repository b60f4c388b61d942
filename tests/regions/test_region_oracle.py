"""The exact oracle of regions against theorems, small networks, and points of the plane."""

import itertools
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from region_nets import RADII, Net, gaussian, net, nets, one_layer, tents
from region_oracle import Complex, Vector, between, dot, faces, interval, solution, step

exhaustive = settings(max_examples=100)
BOXES = st.none() | RADII


def at(point: Vector) -> list[Fraction]:
    return [Fraction(x, point[-1]) for x in point[:-1]]


def forward(n: Net, x: list[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Return hidden pre-activations, all layers in a row, and outputs."""
    seen: list[Fraction] = []
    for w, b in zip(n.weights, n.biases, strict=True):
        z = [
            sum((Fraction(a) * v for a, v in zip(row, x, strict=True)), Fraction(c))
            for row, c in zip(w.tolist(), b.tolist(), strict=True)
        ]
        seen += z
        x = [max(v, Fraction(0)) for v in z]
    return seen[: -len(z)], z


# The functions of the oracle.


@exhaustive
@given(
    st.integers(1, 4).flatmap(
        lambda d: st.lists(st.tuples(*[st.integers(-2, 2)] * (d + 1)), min_size=1, max_size=7)
    )
)
def test_a_solution_solves_the_system_or_a_combination_proves_that_none_exists(
    forms: list[Vector],
) -> None:
    dim = len(forms[0]) - 1
    found = solution(forms, dim)
    if found is not None:
        assert found[-1] > 0
        assert all(dot(f, found) > 0 for f in forms)
        return
    # Farkas' lemma, by Caratheodory with at most dim + 1 forms: a combination with positive weights
    # has no variable left and is not positive.
    assert any(
        refutes(chosen)
        for size in range(1, dim + 2)
        for chosen in itertools.combinations(set(forms), size)
    )


def refutes(forms: tuple[Vector, ...]) -> bool:
    """Return whether the one dependency of the linear parts has positive weights and value <= 0."""
    columns = list(zip(*(f[:-1] for f in forms), strict=True))
    kernel = null_space([list(map(Fraction, c)) for c in columns], len(forms))
    if len(kernel) != 1:
        return False
    weights = kernel[0] if kernel[0][0] > 0 else [-x for x in kernel[0]]
    return all(x > 0 for x in weights) and dot_(weights, [f[-1] for f in forms]) <= 0


def dot_(u: list[Fraction], v: list[int]) -> Fraction:
    return sum((a * b for a, b in zip(u, v, strict=True)), Fraction(0))


def eliminate(rows: list[list[Fraction]]) -> tuple[list[list[Fraction]], list[int]]:
    """Return the rows after Gauss-Jordan elimination, and the columns of their leading ones."""
    rows = [row[:] for row in rows]
    pivots: list[int] = []
    for j in range(len(rows[0]) if rows else 0):
        k = len(pivots)
        p = next((i for i in range(k, len(rows)) if rows[i][j]), None)
        if p is None:
            continue
        rows[k], rows[p] = rows[p], rows[k]
        rows[k] = [x / rows[k][j] for x in rows[k]]
        for i in range(len(rows)):
            if i != k:
                rows[i] = [x - rows[i][j] * y for x, y in zip(rows[i], rows[k], strict=True)]
        pivots.append(j)
    return rows[: len(pivots)], pivots


def null_space(rows: list[list[Fraction]], size: int) -> list[list[Fraction]]:
    reduced, pivots = eliminate(rows)
    kernel = []
    for j in set(range(size)) - set(pivots):
        vector = [Fraction(int(i == j)) for i in range(size)]
        for row, pivot in zip(reduced, pivots, strict=True):
            vector[pivot] = -row[j]
        kernel.append(vector)
    return kernel


@given(st.fractions(), st.fractions())
def test_between_is_strictly_between(a: Fraction, b: Fraction) -> None:
    low, high = ((x.numerator, x.denominator) for x in sorted((a, b)))
    assert Fraction(*between(low, None)) > Fraction(*low)
    assert Fraction(*between(None, high)) < Fraction(*high)
    if a != b:
        assert min(a, b) < Fraction(*between(low, high)) < max(a, b)


def test_an_interval_needs_length_and_a_form_that_is_zero_only_stops_strict_ones() -> None:
    assert interval([(1, -1), (-2, 3)], strict=True) == ((1, 1), (3, 2))
    assert interval([(1, -1), (-1, 1)], strict=False) is None
    assert interval([(0, 0)], strict=True) is None
    assert interval([(0, 0), (0, 1)], strict=False) == (None, None)
    assert interval([(0, -1)], strict=False) is None


# One layer.


def characteristic_polynomial(planes: set[tuple[Fraction, ...]], dim: int) -> Counter[int]:
    """Whitney: return the sum of (-1)^|B| t^(d - rank B) over subsets with a common point."""
    out: Counter[int] = Counter()
    for size in range(len(planes) + 1):
        for chosen in itertools.combinations(planes, size):
            _, pivots = eliminate([list(p) for p in chosen])
            if dim not in pivots:
                out[dim - len(pivots)] += (-1) ** size
    return out


@exhaustive
@given(
    st.integers(1, 4).flatmap(
        lambda d: st.lists(
            st.tuples(*[st.integers(-2, 2)] * (d + 1)), min_size=1, max_size=6 if d < 4 else 5
        )
    )
)
def test_any_arrangement_of_planes_by_zaslavskys_theorem(rows: list[Vector]) -> None:
    dim = len(rows[0]) - 1
    proper = [r for r in rows if any(r[:-1])]
    planes = {
        tuple(Fraction(x, next(filter(None, r))) for x in r) for r in proper
    }  # the leading entry is 1, so that equal planes have equal rows
    chi = characteristic_polynomial(planes, dim)
    got = faces(*one_layer([r[:-1] for r in rows], [r[-1] for r in rows])).counts()
    assert got.activation_regions == abs(sum(c * (-1) ** k for k, c in chi.items()))
    full_rank = len(eliminate([list(p[:-1]) for p in planes])[1]) == dim
    assert got.bounded == (abs(sum(chi.values())) if full_rank else 0)
    # A vertex is the only common point of its planes: by all subsets of d planes.
    meets = set()
    for chosen in itertools.combinations(planes, dim):
        reduced, pivots = eliminate([list(p) for p in chosen])
        if pivots == list(range(dim)):
            meets.add(tuple(-row[-1] for row in reduced))
    assert got.vertices == len(meets)


@pytest.mark.parametrize(("dim", "n"), [(1, 6), (2, 1), (2, 7), (3, 5), (4, 4), (4, 5)])
def test_planes_in_general_position(dim: int, n: int) -> None:
    got = faces(*gaussian((dim, n, 1), seed=n, bias=1.0)).counts()
    assert got.activation_regions == sum(math.comb(n, i) for i in range(dim + 1))
    assert got.bounded == math.comb(n - 1, dim)
    assert got.vertices == math.comb(n, dim)
    assert got.edges == math.comb(n, dim - 1) * (n - dim + 2)  # the lines, each cut into pieces
    assert got.sides == 2 * n * sum(math.comb(n - 1, i) for i in range(dim))
    assert got.linear_regions == got.activation_regions
    assert got.layer_regions == (got.activation_regions,)


@pytest.mark.parametrize(("dim", "n"), [(2, 1), (2, 6), (3, 5), (4, 5)])
def test_planes_in_general_position_through_the_origin(dim: int, n: int) -> None:
    got = faces(*gaussian((dim, n, 1), seed=n, bias=0.0)).counts()
    assert got.activation_regions == 2 * sum(math.comb(n - 1, i) for i in range(dim))
    assert got.bounded == 0
    assert got.vertices == (n >= dim)
    assert got.zero_cell_sides is None


def test_the_plane_without_lines_and_with_one() -> None:
    nothing = faces(*one_layer([[0, 0], [0, 0]], [1, 0])).counts()
    assert (nothing.activation_regions, nothing.unbounded, nothing.sides) == (1, 1, 0)
    assert (nothing.vertices, nothing.edges, nothing.zero_cell_sides) == (0, 0, 0)
    line = faces(*one_layer([[1, 2]], [1])).counts()
    assert (line.activation_regions, line.unbounded, line.sides) == (2, 2, 2)
    assert (line.vertices, line.edges, line.zero_cell_sides) == (0, 1, 1)
    strips = faces(*one_layer([[1, 2], [-2, -4], [2, 4]], [1, 1, 2])).counts()
    assert (strips.activation_regions, strips.unbounded, strips.sides) == (3, 3, 4)
    assert (strips.vertices, strips.edges, strips.zero_cell_sides) == (0, 2, 2)


def test_a_grid_in_a_box_whose_border_carries_lines() -> None:
    rows = [(1, 0), (0, 1)]
    grid = one_layer([r for r in rows for _ in range(5)], [-2, -1, 0, 1, 2] * 2)
    inside = faces(*grid, box=2.0).counts(at=(0.5, 0.5))
    assert (inside.activation_regions, inside.bounded, inside.unbounded) == (16, 4, 12)
    assert (inside.vertices, inside.edges, inside.sides) == (25, 40, 64)
    assert inside.zero_cell_sides == 4
    whole = faces(*grid).counts()
    assert (whole.activation_regions, whole.bounded, whole.unbounded) == (36, 16, 20)
    assert (whole.vertices, whole.edges) == (25, 60)
    assert whole.zero_cell_sides is None
    assert faces(*grid, box=0.5).counts().activation_regions == 4


def test_lines_through_the_corners_of_a_box() -> None:
    net_ = one_layer([[1, 1], [1, -1], [1, 1]], [-0.2, 0, 0])
    got = faces(*net_, box=0.1).counts()  # the first line touches the box in a corner
    assert (got.activation_regions, got.vertices, got.edges, got.sides) == (4, 5, 8, 12)


# Any depth.


@exhaustive
@given(nets((1,), width=5, depth=4), BOXES)
def test_the_line_by_sorted_breakpoints(n: Net, box: float | None) -> None:
    """Another method in one dimension: between neighbors, bisect where a neuron changes sign."""
    radius = None if box is None else Fraction(box)
    points: list[Fraction] = []
    activations = []
    position = 0
    for w in n.weights[:-1]:
        new = []
        for left, right in itertools.pairwise([None, *points, None]):
            a, b = two_points(left, right)
            za, zb = forward(n, [a])[0], forward(n, [b])[0]
            for i in range(position, position + len(w)):
                if za[i] != zb[i]:
                    x = a - za[i] * (b - a) / (zb[i] - za[i])
                    if (left is None or left < x) and (right is None or x < right):
                        new.append(x)
        points = sorted({*points, *new})
        position += len(w)
        activations.append(1 + sum(radius is None or abs(x) < radius for x in points))
    if radius is not None:
        points = [x for x in points if abs(x) < radius]
    slopes = []
    ends = [None, None] if radius is None else [-radius, radius]
    for left, right in itertools.pairwise([ends[0], *points, ends[1]]):
        a, b = two_points(left, right)
        ya, yb = forward(n, [a])[1], forward(n, [b])[1]
        slopes.append([(v - u) / (b - a) for u, v in zip(ya, yb, strict=True)])
    got = faces(*n, box=box).counts()
    assert got.layer_regions == tuple(activations)
    assert got.activation_regions == activations[-1]
    assert got.linear_regions == 1 + sum(s != t for s, t in itertools.pairwise(slopes))
    pieces, border = activations[-1], 0 if box is None else 2
    assert got.vertices == pieces - 1 + border
    assert (got.edges, got.sides) == (pieces, 2 * pieces - 2 + border)
    assert got.unbounded == min(2, pieces)
    place = sum(x < 0 for x in points)
    open_ends = (place == 0) + (place == len(points)) if box is None else 0
    assert got.zero_cell_sides == (None if Fraction(0) in points else 2 - open_ends)


def two_points(left: Fraction | None, right: Fraction | None) -> tuple[Fraction, Fraction]:
    if left is None:
        left = Fraction(0) if right is None else right - 1
    if right is None:
        right = left + 1
    return (2 * left + right) / 3, (left + 2 * right) / 3


@pytest.mark.parametrize("k", [2, 3, 7, 9])
def test_tents(k: int) -> None:
    whole = faces(*tents(k)).counts()
    assert (whole.activation_regions, whole.linear_regions) == (2**k + 2, 2**k + 2)
    # [0, 1] moved to the box: x = (u + 1) / 2
    (w, b), *rest = zip(*tents(k), strict=True)
    moved = faces(*net((w / 2, b + w[:, 0] / 2), *rest), box=1.0).counts()
    assert (moved.activation_regions, moved.linear_regions) == (2**k, 2**k)


def test_neurons_that_cancel_leave_one_linear_region() -> None:
    same = ([[1, 1], [1, 1], [1, -1]], [1, 1, 0])
    got = faces(*net(same, ([[1, -1, 0]], [0]))).counts()
    assert (got.activation_regions, got.linear_regions) == (4, 1)
    got = faces(*net(same, ([[1, -1, 0], [0, 0, 1]], [0, 0]))).counts()
    assert (got.activation_regions, got.linear_regions) == (4, 2)
    got = faces(*net(([[1, 0], [-1, 0]], [0, 0]), ([[1, -1]], [0]))).counts()
    assert (got.activation_regions, got.linear_regions) == (2, 1)


def test_equal_gradients_that_meet_in_a_point_are_two_linear_regions() -> None:
    """max(min(x, y), 0) + max(min(-x, -y), 0): 0 on two opposite quadrants."""
    first = ([[1, 0], [-1, 0], [0, 1], [0, -1], [1, -1], [-1, 1]], [0] * 6)
    second = ([[1, -1, 0, 0, -1, 0], [-1, 1, 0, 0, 0, -1]], [0, 0])
    got = faces(*net(first, second, ([[1, 1]], [0]))).counts()
    assert (got.activation_regions, got.linear_regions) == (6, 6)
    # Without the second minimum its quadrant joins the other two.
    got = faces(*net(first, second, ([[1, 0]], [0]))).counts()
    assert (got.activation_regions, got.linear_regions) == (6, 3)


def test_a_line_that_bends() -> None:
    """max(x, 0) + max(y, 0) - 1: an L of two rays and a diagonal, over four quadrants."""
    got = faces(*net(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [-1]), ([[1]], [0]))).counts((0.2, 0.2))
    assert got.layer_regions == (4, 7)
    assert got.activation_regions == 7
    # 0 on the quadrant below, and one region on each of the three others
    assert got.linear_regions == 4
    assert (got.bounded, got.vertices, got.edges) == (1, 3, 9)
    assert got.sides == 18
    assert got.zero_cell_sides == 3


def test_numbers_far_apart() -> None:
    w = [[1e150, 0.0], [1e-150, 1e-150], [0.0, 1e150], [1e-150, 1e150]]
    got = faces(*one_layer(w, [1e-150, 1e150, 0.0, 1e-150])).counts()
    assert (got.activation_regions, got.bounded, got.vertices) == (11, 3, 6)


def euler(c: Complex) -> int:
    """Return the alternating sum over the open faces of all dimensions, here for d <= 3."""
    borders = sum(len(c.box.intersection(cell.facets)) for cell in c.cells)
    facets, odd = divmod(c.sides + borders, 2)
    assert not odd
    if c.dim == 1:
        assert len(c.vertices) == facets
        return len(c.vertices) - len(c.cells)
    if c.dim == 2:
        assert len(c.edges) == facets
        return len(c.vertices) - len(c.edges) + len(c.cells)
    return len(c.vertices) - len(c.edges) + facets - len(c.cells)


@exhaustive
@given(nets((1, 2), width=5, depth=4) | nets((3,), width=3, depth=2), BOXES)
def test_cells_fit_together(n: Net, box: float | None) -> None:
    """Euler's relation: a closed ball has 1, the open one (-1)^d; a T-junction would violate it."""
    c = faces(*n, box=box)
    assert euler(c) == (1 if box is not None else (-1) ** c.dim)
    # Each facet belongs to two cells, or to one at the border, and in the plane it is one edge.
    sharing = Counter(edge for edges in c.cell_edges for edge in edges)
    if c.dim == 2:
        assert set(sharing.values()) <= ({2} if box is None else {1, 2})
    for i, cell in enumerate(c.cells):
        for f in set(cell.facets) - c.box:
            back = tuple(-x for x in f)
            others = [j for j, other in enumerate(c.cells) if back in other.facets]
            assert sum(c.share_facet(i, j, f) for j in others) == 1


@exhaustive
@given(nets((1, 2), width=5, depth=4) | nets((3, 4), width=3, depth=2), BOXES)
def test_cells_agree_with_forward_passes(n: Net, box: float | None) -> None:
    c = faces(*n, box=box)
    assert len({cell.pattern for cell in c.cells}) == len(c.cells)
    ratios = set()
    for cell in c.cells:
        assert all(dot(f, cell.inside) > 0 for f in cell.facets)
        hidden, out = forward(n, at(cell.inside))
        assert cell.pattern == tuple(z > 0 for z in hidden)
        values = [Fraction(dot(f, cell.inside), cell.inside[-1]) for f in cell.forms]
        assert [v == 0 for v in values] == [v == 0 for v in out]
        ratios |= {v / y for v, y in zip(values, out, strict=True) if y}
    assert len(ratios) <= 1  # the one factor that made the output's numbers integers


@exhaustive
@given(nets((2,), width=5, depth=4) | nets((2,), width=3, depth=8), BOXES)
def test_linear_regions_by_walking_over_edges(n: Net, box: float | None) -> None:
    """Gradients are differences of forward passes inside a cell, neighbors share an edge."""
    c = faces(*n, box=box)
    gradients = []
    for cell in c.cells:
        here = at(cell.inside)
        slopes = []
        for direction in ((1, 0), (0, 1)):
            there = at(step(cell.inside, direction, cell.facets))
            run = sum(b - a for a, b in zip(here, there, strict=True))
            ends = zip(forward(n, here)[1], forward(n, there)[1], strict=True)
            slopes.append([(v - u) / run for u, v in ends])
        gradients.append(slopes)
    left, regions = set(range(len(c.cells))), 0
    while left:
        regions += 1
        reached = [left.pop()]
        while reached:
            i = reached.pop()
            for j in list(left):
                if gradients[i] == gradients[j] and c.cell_edges[i] & c.cell_edges[j]:
                    left.remove(j)
                    reached.append(j)
    assert c.linear_regions == regions


@exhaustive
@given(nets((1, 2), width=5, depth=4), BOXES, st.data())
def test_every_point_is_in_the_cell_of_its_pattern(
    n: Net, box: float | None, data: st.DataObject
) -> None:
    c = faces(*n, box=box)
    fraction = st.fractions(-1, 1, max_denominator=50)
    for _ in range(10):
        x = [(box or 3) * Fraction(data.draw(fraction)) for _ in range(c.dim)]
        point = (*(int(v * 10**6) for v in x), 10**6)
        around = [cell for cell in c.cells if all(dot(f, point) > 0 for f in cell.facets)]
        assert len(around) <= 1
        if around:
            assert around[0].pattern == tuple(z > 0 for z in forward(n, at(point))[0])
            assert c.sides_at(at(point)) == len(around[0].facets)
        else:  # the point is on a border: of the box, or where a pre-activation is 0
            on_box = box is not None and max(map(abs, at(point))) >= Fraction(box)
            assert on_box or any(z == 0 for z in forward(n, at(point))[0])


@exhaustive
@given(nets((2,), width=4, depth=3))
def test_bounded_regions_are_those_inside_a_large_box(n: Net) -> None:
    c = faces(*n)
    points = c.vertices | {edge.line for edge in c.edges if edge.line is not None}
    reach = max((abs(x) for p in points for x in at(p)), default=Fraction(0)) + 1
    boxed = faces(*n, box=reach)
    assert len(boxed.cells) == len(c.cells)
    assert boxed.counts().bounded == c.counts().bounded
    assert boxed.linear_regions == c.linear_regions
    assert boxed.layer_regions == c.layer_regions


def test_relations_for_generic_networks() -> None:
    for seed, shape in enumerate([(2, 5, 5, 1), (2, 3, 3, 3, 3, 1), (2, 9, 1)]):
        boxed = faces(*gaussian(shape, seed), box=1.0).counts()
        assert boxed.sides == 4 * boxed.activation_regions
        whole = faces(*gaussian(shape, seed)).counts()
        assert 2 * whole.activation_regions == 2 + 2 * whole.vertices + whole.unbounded
        assert whole.sides == 4 * whole.activation_regions - 4 - whole.unbounded


def test_the_region_around_a_given_point() -> None:
    triangle = one_layer([[1, 0], [0, 1], [1, 1]], [0, 0, -1])

    def sides(*point: Any) -> int | None:
        return faces(*triangle).sides_at(point)

    assert sides(0.25, 0.25) == 3
    assert sides(2, 2) == 3
    assert sides(-1, -1) == 2
    assert sides(0, 5) is None
    assert sides(0, 0) is None
    assert faces(*triangle, box=1.0).sides_at((2, 2)) is None
    assert np.isclose(faces(*triangle).counts().mean_sides, 18 / 7)
