"""Counts on the lines and planes through given points, against the exact oracle.

The oracle counts the regions of the network composed with the slice, whose first layer is a matrix
of rational numbers: the points themselves, without a basis of the plane. No count has a tolerance.
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from region_nets import KINDS, Net, nets
from region_oracle import Complex, Counts, faces

from nnth._networks.ensemble import ensemble
from nnth._networks.network import Network, random_network
from nnth._regions.cells import cells_of
from nnth._regions.core_counts import RegionCounts
from nnth._regions.counts import count_regions
from nnth._regions.pictures import place
from nnth._regions.slices import Slice, count_slice, plane_through
from nnth._regions.through import regions_on_plane, regions_through
from nnth._regions.triangle import Triangle

Floats = NDArray[np.float64]
Rational = list[list[Fraction]]

ORDERS = list(itertools.permutations(range(3)))
FIELDS = [
    "activation_regions",
    "linear_regions",
    "bounded",
    "unbounded",
    "vertices",
    "edges",
    "sides",
    "zero_cell_sides",
    "layer_regions",
]


def few(examples: int) -> settings:
    return settings(max_examples=examples)


def rational(values: Any) -> list[Fraction]:
    return [Fraction(x) for x in np.asarray(values, dtype=np.float64).tolist()]


def composed(n: Net, origin: Sequence[Fraction], directions: Rational, box: Any = None) -> Complex:
    """Return the cells of the network at origin + sum_j t_j directions[j]."""
    rows = [rational(row) for row in n.weights[0]]
    weights = [
        [sum((w * x for w, x in zip(row, d, strict=True)), Fraction(0)) for d in directions]
        for row in rows
    ]
    biases = [
        sum((w * x for w, x in zip(row, origin, strict=True)), Fraction(c))
        for row, c in zip(rows, n.biases[0].tolist(), strict=True)
    ]
    return faces([weights, *n.weights[1:]], [biases, *n.biases[1:]], box=box)


def on_plane(n: Net, points: Floats) -> Counts:
    """Return the oracle's counts around the mean of the points, in coordinates from the first."""
    p, q, r = (rational(x) for x in points)
    u, v = ([y - x for x, y in zip(p, end, strict=True)] for end in (q, r))
    return composed(n, p, [u, v]).counts([Fraction(1, 3), Fraction(1, 3)])


def on_segment(n: Net, first: Floats, second: Floats) -> Counts:
    """Return the oracle's counts, from the middle to the ends at -1 and 1."""
    a, b = rational(first), rational(second)
    middle = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
    return composed(n, middle, [[y - x for x, y in zip(middle, b, strict=True)]], box=1).counts()


def figures(counted: RegionCounts | Counts) -> dict[str, Any]:
    return {name: getattr(counted, name) for name in FIELDS}


def network(n: Net) -> Network:
    return Network(weights=n.weights, biases=n.biases)


def without_biases(n: Net) -> Net:
    return Net(n.weights, tuple(0.0 * b for b in n.biases))


# Three points for which 0 is often on their plane: 0 is one of them, or the third point is a sum of
# integer multiples of the others. Multiples of small dyadic numbers are exact.
def _triple(rng: np.random.Generator, n0: int) -> Floats:
    kind = rng.integers(5)
    points = (
        rng.normal(size=(3, n0))
        if kind < 2
        else rng.integers(-9, 10, size=(3, n0)) / rng.choice([1.0, 4.0, 10.0])
    )
    if kind % 2 == 0:
        points[rng.integers(3)] = 0.0
    elif kind == 3:
        points = np.round(4.0 * points)
        points[2] = rng.integers(-3, 4) * points[0] + rng.integers(-3, 4) * points[1]
    triple: Floats = points * 10.0 ** rng.choice([0, 0, 0, -3, 3])
    return triple


TRIPLES = st.builds(
    lambda n0, seed: _triple(np.random.default_rng(seed), n0),
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
)


@few(150)
@given(st.data())
def test_planes(data: st.DataObject) -> None:
    points = data.draw(TRIPLES)
    n = data.draw(nets((points.shape[1],), width=4, depth=3, kinds=KINDS))
    if data.draw(st.booleans()):
        n = without_biases(n)
    p, q, r = (rational(x) for x in points)
    u, v = ([y - x for x, y in zip(p, end, strict=True)] for end in (q, r))
    assume(
        any(x * y != z * w for (x, w), (z, y) in itertools.permutations(zip(u, v, strict=True), 2))
    )
    expected = figures(on_plane(n, points))
    order = data.draw(st.sampled_from(ORDERS))
    for rows in (points, points[list(order)]):
        where = plane_through(rows, None, from_zero=True)
        assert figures(count_slice(network(n), where)) == expected
    assert figures(count_slice(network(n), plane_through(points, None))) == expected


@few(150)
@given(st.data())
def test_segments(data: st.DataObject) -> None:
    points = data.draw(TRIPLES)[:2]
    n = data.draw(nets((points.shape[1],), width=4, depth=3, kinds=KINDS))
    if data.draw(st.booleans()):
        n = without_biases(n)
    factor = data.draw(st.sampled_from([None, -1.0, -2.0, -3.0, -0.5, -0.7]))
    if factor is not None:
        points[1] = factor * points[0]
    table = regions_through(points[[0, 1, 0]], network(n))
    if np.array_equal(points[0], points[1]):
        assert table["activation_regions"].tolist() == [1, 1]
        return
    expected = on_segment(n, *points)
    assert table["activation_regions"].tolist() == [expected.activation_regions] * 2
    assert table["linear_regions"].tolist() == [expected.linear_regions] * 2


@few(60)
@given(st.data())
def test_boxes_are_on_the_plane_itself(data: st.DataObject) -> None:
    """The oracle counts in the coordinates of the chart, over the rational numbers."""
    points = data.draw(TRIPLES)
    try:
        where = plane_through(points, (-1.5, 1.5))
    except ValueError:
        assume(False)
    n = data.draw(nets((points.shape[1],), width=4, depth=2, kinds=KINDS))
    if data.draw(st.booleans()):
        n = without_biases(n)
    p, q, r = (rational(x) for x in points)
    u, v = ([y - x for x, y in zip(p, end, strict=True)] for end in (q, r))
    assert where.chart is not None
    (a, b, c), (d, e, f) = (rational(row) for row in where.chart)
    directions = [[a * x + d * y for x, y in zip(u, v, strict=True)]]
    directions += [[b * x + e * y for x, y in zip(u, v, strict=True)]]
    origin = [o + c * x + f * y for o, x, y in zip(p, u, v, strict=True)]
    expected = composed(n, origin, directions, box=1.5).counts(where.point)
    assert figures(count_slice(network(n), where)) == figures(expected)


@pytest.mark.parametrize("widths", [(5,), (12,), (6, 5), (5, 4, 6)])
def test_networks_without_biases_have_cones_on_planes_through_0(widths: tuple[int, ...]) -> None:
    """N lines through 0 make 2 N cones, in any order of the points, which are data and 0."""
    net = random_network(7, widths, cb=0.0, seed=2)
    points = np.zeros((3, 7))
    points[1:] = np.random.default_rng(1).normal(size=(2, 7))
    tables = [regions_on_plane(points[list(order)], net) for order in ORDERS]
    for name in ("activation_regions", "linear_regions", "bounded", "vertices", "zero_cell_sides"):
        assert len({table[name][0] for table in tables}) == 1, name
    assert tables[0]["vertices"][0] == 1
    assert tables[0]["bounded"][0] == 0
    regions = tables[0]["activation_regions"][0]
    assert regions == 2 * widths[0] if len(widths) == 1 else regions % 2 == 0
    assert tables[0]["zero_cell_sides"][0] == 2
    # A line through 0 is cut there and nowhere else, though 0 is not represented exactly on it.
    line = np.stack([points[1], -2.0 * points[1]])
    assert regions_through(line, net)["activation_regions"].tolist() == [2]


def test_a_plane_of_two_inputs_is_all_of_them() -> None:
    net = random_network(2, (8, 8), cb=0.0, seed=1)
    table = regions_on_plane(np.random.default_rng(0).normal(size=(3, 2)), net)
    assert table["activation_regions"][0] == count_regions(net).activation_regions
    assert table["vertices"][0] == 1


def test_the_mean_of_the_points_may_be_on_a_boundary() -> None:
    net = random_network(2, (5,), cb=0.0, seed=1)
    around = [[3.0, 1.0], [-1.0, 2.0], [-2.0, -3.0]]
    assert math.isnan(regions_on_plane(around, net)["zero_cell_sides"][0])
    # A third of the sum of the points is on the line x_1 = 1/3, and no double is.
    line = Network(
        weights=(np.array([[3.0, 0.0]]), np.ones((1, 1))), biases=(np.array([-1.0]), np.zeros(1))
    )
    assert math.isnan(
        regions_on_plane([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], line)["zero_cell_sides"][0]
    )


@pytest.mark.parametrize("scale", [1e-290, 1e-160, 1e-5, 1e5, 1e160, 1e290])
def test_units_do_not_matter(scale: float) -> None:
    """Powers of two near the scales change only exponents, and no digit of the points."""
    unit = 2.0 ** round(math.log2(scale))
    points = np.random.default_rng(3).normal(size=(3, 4))
    net = random_network(4, (6, 5), seed=4)
    scaled = Network(weights=net.weights, biases=tuple(b * unit for b in net.biases))
    for name in ("activation_regions", "linear_regions", "vertices", "zero_cell_sides"):
        plain = regions_on_plane(points, net)[name]
        assert regions_on_plane(points * unit, scaled)[name] == plain
    expected = regions_through(points, net)
    found = regions_through(points * unit, scaled)
    assert found["activation_regions"].tolist() == expected["activation_regions"].tolist()
    assert found["length"] / unit == pytest.approx(expected["length"], rel=1e-15)


def test_differences_beyond_doubles() -> None:
    """From -1.7e308 to 1.7e308 the line is as any other, but its length is infinite."""
    end = np.array([1.7e308, 1.1e308, -1.3e308])
    net = random_network(3, (9, 5), cb=0.0, seed=1)
    table = regions_through(np.stack([end, -end]), net)
    assert table["activation_regions"].tolist() == [2]
    assert table["length"].tolist() == [math.inf]
    biased = random_network(3, (9, 5), seed=1)
    points = np.stack([end, -end])
    scaled = Network(weights=biased.weights, biases=tuple(np.ldexp(b, 1000) for b in biased.biases))
    smaller = regions_through(np.ldexp(points, -1000), biased)
    assert (
        regions_through(points, scaled)["activation_regions"].tolist()
        == smaller["activation_regions"].tolist()
    )


def test_lengths_and_expectations_of_small_and_large_segments() -> None:
    shape: dict[str, Any] = {"n0": 3, "widths": (20,)}
    for scale in (1e-200, 1e200):
        table = regions_through([[scale, 0.0, 0.0], [0.0, scale, 0.0]], cb=0.0, **shape)
        assert table["length"][0] == pytest.approx(scale * math.sqrt(2.0), rel=1e-15)
        assert table["expected"][0] == pytest.approx(1.0 + 20.0 * 0.5, rel=1e-14)  # a right angle


@few(60)
@given(TRIPLES)
def test_axes_are_orthonormal_and_the_first_is_along_the_first_side(points: Floats) -> None:
    try:
        triangle = Triangle(points)
    except ValueError:
        assume(False)
    sides = (points[1:] - points[0]).T
    lengths = np.linalg.norm(sides, axis=0)
    height = abs(1.0 / triangle.axes[1, 1])
    basis = sides @ triangle.axes
    rounding = 1e-14 * lengths.max() / height
    assert basis.T @ basis == pytest.approx(np.eye(2), abs=rounding)
    assert basis[:, 0] == pytest.approx(sides[:, 0] / lengths[0], abs=1e-14)


def test_collinear_points_are_detected_exactly() -> None:
    step = np.array([0.1, 0.7, -0.3])
    first = np.array([1.0, 2.0, 4.0])
    exact = np.array([first, first + 0.25, first + 0.75])
    for order in ORDERS:
        with pytest.raises(ValueError, match="not on a line"):
            regions_on_plane(exact[list(order)], widths=(4,), n0=3)
    with pytest.raises(ValueError, match="not on a line"):
        regions_on_plane([first, first, first + 1.0], widths=(4,), n0=3)
    # 3 step is rounded: the points span a plane, but a thin triangle
    near = np.array([0.0 * step, step, 3.0 * step])
    net = random_network(3, (5, 4), seed=2)
    expected = on_plane(Net(net.weights, net.biases), near).activation_regions
    for order in ORDERS:
        assert regions_on_plane(near[list(order)], net)["activation_regions"][0] == expected
    with pytest.raises(ValueError, match="sides and heights from 1e-300 to 1e300"):
        regions_on_plane([[0.0, 0.0], [1e-310, 0.0], [0.0, 1.0]], widths=(4,))


def test_files_of_integers_and_short_floats(tmp_path: Path) -> None:
    points = np.array([[0, 3, -1, 2], [5, 1, 0, 0], [-5, -1, 1, 7]])
    net = random_network(4, (8, 6), seed=5)
    expected = regions_on_plane(points.astype(float), net)["activation_regions"][0]
    for dtype in ("int8", "int64", "float32", ">f8", "float16"):
        np.save(tmp_path / "points.npy", points.astype(dtype))
        assert regions_on_plane(tmp_path / "points.npy", net)["activation_regions"][0] == expected
    short = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.save(tmp_path / "short.npy", short)
    assert (
        regions_through(tmp_path / "short.npy", net)["activation_regions"].tolist()
        == regions_through(short.astype(float), net)["activation_regions"].tolist()
    )
    with pytest.raises(ValueError, match="integers that a float64 holds, not 9007199254740993"):
        regions_through(np.array([[2**53 + 1, 0], [0, 1]]), widths=(4,))


def test_pictures_and_cells_show_the_plane_that_is_counted() -> None:
    net = random_network(5, (5,), cb=0.0, seed=3)
    points = np.zeros((3, 5))
    points[1:] = np.random.default_rng(0).normal(size=(2, 5))
    spot = place(ensemble(net), along="plane", points=points)
    cones = regions_on_plane(points, net)["activation_regions"][0]
    assert len(spot.cells()) == cones == 10
    (where,) = spot.slices
    assert isinstance(where, Slice)
    found = cells_of(net, where, (-4.0, 4.0))
    inputs = found.origin + found.centers @ found.directions.T
    values = np.einsum("iod,id->io", found.maps[:, :, :-1], found.centers) + found.maps[:, :, -1]
    assert values == pytest.approx(net(inputs), rel=1e-9, abs=1e-12)
    assert found.origin == pytest.approx(points.mean(axis=0), abs=1e-15)
