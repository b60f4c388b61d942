"""Tables of regions against theory and brute force: means, slices, paths, bounds, cells, pictures.

test_regions_exact.py tests the exactness of the counts themselves.
"""

from __future__ import annotations

import itertools
import math
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnth import (
    Cells,
    Network,
    Table,
    cells,
    count_regions,
    random_network,
    region_bounds,
    regions,
    regions_along,
    regions_on_line,
    regions_on_plane,
    regions_through,
)
from nnth._networks.ensemble import ensemble
from nnth._networks.network import telgarsky
from nnth._regions.bounds import expected_regions, zaslavsky
from nnth._regions.pictures import MAX_CELLS, Place, path_place, place
from nnth._regions.slices import random_slices
from nnth._runtime.random import normals
from nnth._tables.plot import Lines, Tessellation

Floats = NDArray[np.float64]

PROMISED = (
    "activation_regions",
    "linear_regions",
    "bounded",
    "unbounded",
    "vertices",
    "edges",
    "mean_sides",
    "zero_cell_sides",
    "exact_signs",
    "expected",
    "upper_bound",
)


def value(table: Table, name: str) -> Any:
    (found,) = table[name].tolist()
    return found


def one_layer(w: Any, b: Any) -> Network:
    return Network((np.array(w, float), np.ones((1, len(b)))), (np.array(b, float), np.zeros(1)))


# Tables.


def test_one_network_has_integers_and_the_promised_columns() -> None:
    table = regions(n0=2, widths=(64,), seed=3)
    assert table.columns[: len(PROMISED)] == PROMISED
    assert table.num_rows == 1
    for name in ("activation_regions", "linear_regions", "bounded", "vertices", "edges"):
        assert table[name].dtype.kind == "i"
    assert value(table, "activation_regions") == zaslavsky(64, 2) == value(table, "upper_bound")
    assert value(table, "expected") == zaslavsky(64, 2)
    assert math.isnan(value(table, "stderr"))
    assert math.isnan(value(table, "z"))
    assert value(table, "layer_regions") == "2081"
    assert dict(table.meta.parameters) == {
        "net": None,
        "sha256": None,
        "n0": 2,
        "widths": (64,),
        "n_out": 1,
        "cw": 2.0,
        "cb": 1.0,
        "samples": 1,
        "domain": "space",
        "box": None,
        "point": None,
    }
    assert table.meta.seed == 3


def test_means_are_over_the_networks() -> None:
    shape: dict[str, Any] = {"n0": 2, "widths": (6, 5), "samples": 4, "seed": 9}
    table = regions(domain="box", box=2.0, **shape)
    counts = [
        count_regions(random_network(2, (6, 5), seed=9, sample=s), domain="box", box=2.0)
        for s in range(4)
    ]
    found = [c.activation_regions for c in counts]
    assert value(table, "activation_regions") == np.mean(found)
    assert value(table, "stderr") == pytest.approx(np.std(found, ddof=1) / 2, rel=1e-14)
    assert value(table, "mean_sides") == pytest.approx(
        np.mean([c.sides / c.activation_regions for c in counts if c.sides]), rel=1e-14
    )
    layers = np.mean([c.layer_regions for c in counts], axis=0)
    assert [float(t) for t in value(table, "layer_regions").split()] == layers.tolist()


def test_the_zero_cell_is_left_out_where_the_point_is_on_a_boundary() -> None:
    table = regions(one_layer([[1, 0]], [0]))
    assert math.isnan(value(table, "zero_cell_sides"))
    assert math.isnan(value(table, "zero_cell_measure"))
    assert value(regions(one_layer([[1, 0]], [0]), point=(1, 0)), "zero_cell_sides") == 1


def test_networks_without_biases_have_the_bound_of_central_arrangements() -> None:
    table = regions(widths=(16,), cb=0.0, samples=3)
    assert value(table, "upper_bound") == value(table, "expected") == 32
    assert value(table, "activation_regions") == 32
    assert value(table, "z") == 0.0
    assert value(regions(one_layer([[1, 0], [0, 1]], [0, 0])), "upper_bound") == 4


# The seeds are fixed and the counts exact: |z| > 4 means a wrong constant, or a deep network too
# narrow for the limit of large widths, which these are not.
@pytest.mark.parametrize(
    ("n0", "widths", "domain", "box", "samples"),
    [
        (1, (32,), "box", 0.7, 400),
        (1, (48, 48), "space", 1.0, 200),
        (1, (48, 48), "box", 1.0, 200),
        (2, (24,), "box", 1.5, 200),
        (2, (32, 32, 32), "space", 1.0, 150),
        (2, (32, 32), "box", 10.0, 150),
        (3, (7,), "space", 1.0, 5),
    ],
)
def test_means_agree_with_the_expectation(
    n0: int, widths: tuple[int, ...], domain: Any, box: float, samples: int
) -> None:
    table = regions(n0=n0, widths=widths, domain=domain, box=box, samples=samples, seed=1)
    assert abs(value(table, "z")) < 4
    assert value(table, "upper_bound") >= value(table, "activation_regions")


def test_variances_scale_the_expectation() -> None:
    shape: dict[str, Any] = {"widths": (40,), "domain": "box", "samples": 150}
    for cw, cb in ((2.0, 0.25), (0.5, 1.0), (6.0, 1.0)):
        table = regions(cw=cw, cb=cb, **shape)
        assert abs(value(table, "z")) < 4
        assert value(table, "expected") != pytest.approx(value(regions(**shape), "expected"))


def test_given_networks() -> None:
    table = regions("telgarsky:5")
    assert value(table, "activation_regions") == 2**5 + 2
    assert table.meta.parameters["net"] == "telgarsky:5"
    assert table.meta.parameters["cw"] is None
    assert table.meta.seed is None
    assert math.isnan(value(table, "expected"))
    same = regions(telgarsky(5))
    assert value(same, "vertices") == value(table, "vertices")


def test_a_network_in_a_file(tmp_path: Path) -> None:
    net = random_network(2, (7, 3), seed=5)
    layers = zip(net.weights, net.biases, strict=True)
    arrays = {
        f"{name}{i}": array
        for i, layer in enumerate(layers, 1)
        for name, array in zip("Wb", layer, strict=True)
    }
    np.savez(tmp_path / "net.npz", **arrays)
    for file in (tmp_path / "net.npz", str(tmp_path / "net.npz")):
        found = value(regions(file), "activation_regions")
        assert found == value(regions(widths=(7, 3), seed=5), "activation_regions")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"net": "telgarsky:3", "n0": 1}, "n0 must not be given where net is, and is 1"),
        ({"net": "tents"}, r"net must be a file ending in \.npz, .* or \.h5, or a name"),
        ({"domain": "ball"}, "domain must be space, box or polytope:FILE, not 'ball'"),
        ({"box": math.inf, "domain": "box"}, "box must be finite and above 0, not inf"),
        ({"samples": 0}, "samples must be at least 1, not 0"),
        ({"point": (1.0,)}, "point must have 2 coordinates"),
        ({"point": (1.0, math.nan)}, "point must hold finite numbers, not nan"),
        ({"n0": 784, "widths": (64, 64)}, "n0 must be smaller for an exact count, not 784"),
        ({"n0": 6, "widths": (99, 99)}, "about .* regions; nnth regions along line and"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regions(**arguments)


def test_counts_that_would_not_fit_are_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 2**30)
    with pytest.raises(MemoryError, match=r"samples must be fewer: their counts take 3\.\d GiB"):
        regions(widths=(2,), samples=2**22)
    with pytest.raises(MemoryError, match=r"samples and lines must be fewer: their counts take"):
        regions_along("line", widths=(2,), samples=2**11, lines=2**11)


def test_an_interrupt_reports_the_work_done() -> None:
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if done > 2000:
            raise KeyboardInterrupt

    with pytest.raises(
        KeyboardInterrupt,
        match=r"2 of 5 networks were counted \(11 activation regions each\), and \d+% of",
    ):
        regions(samples=5, widths=(4,), progress=stop)
    assert all(total == 5000 for _, total in calls)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


# Statements.


def test_statements_are_in_order_and_exact() -> None:
    table = region_bounds(n0=2, widths=(8, 8))
    found = {
        b: (v, k) for b, v, k in zip(*(table[c] for c in ("bound", "value", "kind")), strict=True)
    }
    measured = table["activation_regions"][0]
    assert int(found["Montufar 2014"][0]) == (8 // 2) ** 2 * 37
    assert int(found["Serra 2018"][0]) <= int(found["Montufar 2017"][0]) == 37**2
    assert (found["2^N"][0], found["3^N"][0]) == (str(2**16), str(3**16))
    assert measured <= int(found["Serra 2018"][0])
    assert float(found["Kac-Rice"][0]) == expected_regions(2, (8, 8))
    one = region_bounds(widths=(9,))
    assert (one["bound"][0], one["value"][0], one["kind"][0]) == ("Zaslavsky", "46", "count")
    assert one["activation_regions"][0] == 46


def test_statements_of_a_box() -> None:
    table = region_bounds(widths=(9,), domain="box")
    assert (table["bound"][0], table["kind"][0]) == ("Zaslavsky", "upper")
    assert table.meta.parameters["box"] == 1.0
    assert region_bounds(widths=(9,)).meta.parameters["box"] is None
    counted = count_regions(random_network(2, (9,), seed=0), domain="box", box=1.0)
    assert table["activation_regions"][0] == counted.activation_regions < 46


def test_statements_need_no_count() -> None:
    table = region_bounds(n0=784, widths=(64, 64))
    assert np.isnan(table["activation_regions"]).all()
    assert str(2**128) in table["value"]


# Slices.


def test_slices_through_0_have_the_distribution_of_fewer_inputs() -> None:
    for along, dimension in (("line", 1), ("plane", 2)):
        table = regions_along(along, n0=20, widths=(24, 24), samples=60, lines=5)  # type: ignore[arg-type]
        assert value(table, "expected") == expected_regions(dimension, (24, 24))
        assert abs(value(table, "z")) < 4
        boxed = regions_along(  # type: ignore[call-overload]
            along, n0=20, widths=(30,), samples=60, lines=5, **({"domain": "box", "box": 0.8})
        )
        assert abs(value(boxed, "z")) < 4


def test_slices_in_a_space_of_their_own_dimension_are_the_space() -> None:
    net = random_network(1, (9, 9), seed=2)
    table = regions_along("line", net, lines=3)
    assert value(table, "activation_regions") == count_regions(net).activation_regions
    plane = random_network(2, (9, 9), seed=2)
    table = regions_along("plane", plane, lines=3)
    assert value(table, "activation_regions") == count_regions(plane).activation_regions


@pytest.mark.parametrize("n0", [2, 3, 40])
def test_lines_are_uniform_among_those_that_meet_the_ball(n0: int) -> None:
    nets = ensemble(n0=n0)
    radius = 1.5
    slices = list(random_slices("line", nets, 0, 4000, radius))
    halves = []
    for where in slices:
        u, o = where.directions[:, 0], where.origin
        assert where.limits is not None
        assert u @ u == pytest.approx(n0, rel=1e-12)
        assert abs(u @ o) < 1e-12 * n0
        end = o + where.limits[1] * u
        assert end @ end == pytest.approx(radius**2 * n0, rel=1e-12)
        halves.append(where.limits[1] / radius)
    # The distance from 0 has a power with a uniform distribution.
    uniform = (1.0 - np.square(halves)) ** ((n0 - 1) / 2)
    assert abs(uniform.mean() - 0.5) < 4 / math.sqrt(12 * 4000)
    assert abs(np.square(uniform).mean() - 1 / 3) < 4 * math.sqrt(4 / 45 / 4000)
    first = np.array([where.directions[0, 0] for where in slices])
    assert abs(np.square(first).mean() - 1.0) < 4 * math.sqrt(2.0 / 4000)


@pytest.mark.parametrize("n0", [2, 3])
def test_crofton_measures_a_hyperplane_through_the_center(n0: int) -> None:
    """A diameter of the disc per area is 2/(pi R); a disc of the ball per volume 3/(4 R)."""
    net = one_layer([[1.0] + [0.0] * (n0 - 1)], [0.0])
    lines = 4000
    table = regions_along("line", net, lines=lines, domain="box", box=2.0, seed=4)
    rho = 2.0 * math.sqrt(n0)
    density = {2: 2 / (math.pi * rho), 3: 3 / (4 * rho)}[n0]
    error = value(table, "stderr") * n0 / (2 * rho)
    assert abs(value(table, "boundary_density") - density) < 4 * error
    assert error < 0.03 * density


def test_the_expectation_on_lines_that_meet_a_ball() -> None:
    where: dict[str, Any] = {"domain": "box", "box": 1.3, "lines": 10, "seed": 1}
    for widths in ((30,), (60, 60)):
        table = regions_along("line", n0=5, widths=widths, samples=200, **where)
        assert abs(value(table, "z")) < 4
    # With one input the ball is the box.
    line = regions_along("line", n0=1, widths=(20,), domain="box", box=1.3, lines=1)
    assert value(line, "expected") == expected_regions(1, (20,), box=1.3)
    # In the plane, by Crofton from the density of a random line in a disc, n E|x on it|/area.
    flat = regions_along("line", n0=2, widths=(1,), domain="box", box=1.0, lines=1)
    radius, g = math.sqrt(2.0), 1.0  # g_1 for two inputs is 1, of length sqrt(2) sqrt(1/2)
    r = (np.arange(100_000) + 0.5) / 100_000 * radius
    # At distance r a neuron and its gradient give 1/2 E|grad| p(0): see `intersections`.
    rho = g / np.hypot(g, r)
    psi = (np.arange(400) + 0.5) / 400 * math.pi / 2
    ellipse = np.sqrt(np.sin(psi) ** 2 + np.outer(rho**2, np.cos(psi) ** 2)).mean(axis=1)
    length = ellipse * math.sqrt(math.pi / 2)  # the mean norm of a normal vector
    density = length / (math.sqrt(2 * math.pi) * np.hypot(g, r))
    mean_density = float(np.sum(density * 2 * r) / np.sum(2 * r))
    crossings = mean_density * 2 * radius / 2
    assert value(flat, "expected") - 1 == pytest.approx(crossings, rel=1e-4)


def test_the_standard_error_is_over_networks_or_over_slices_of_one() -> None:
    one = regions_along("line", n0=9, widths=(9, 9), lines=50, seed=1)
    assert math.isnan(value(one, "z"))
    assert value(one, "stderr") > 0
    assert math.isnan(value(one, "boundary_density"))
    net = random_network(9, (9, 9), seed=1)
    again = regions_along("line", net, lines=50, seed=1)
    assert value(again, "activation_regions") == value(one, "activation_regions")
    assert again.meta.seed == 1


def test_784_inputs() -> None:
    table = regions_along("line", n0=784, widths=(32, 32), lines=10, seed=3)
    assert abs(value(table, "activation_regions") - 65) < 30
    assert value(table, "upper_bound") == 33**2


@pytest.mark.threads
def test_threads_change_nothing() -> None:
    shape: dict[str, Any] = {"n0": 30, "widths": (9, 9), "lines": 4, "samples": 2}
    texts = {regions_along("plane", threads=t, **shape).to_csv() for t in (1, 2, 3)}
    assert len(texts) == 1


# Paths.


def patterns_on(net: Network, a: Floats, b: Floats, steps: int) -> int:
    """Return the number of runs of equal patterns on a fine rational grid of the open segment."""
    layers = [
        ([[Fraction(x) for x in row] for row in w.tolist()], [Fraction(x) for x in c.tolist()])
        for w, c in zip(net.weights[:-1], net.biases[:-1], strict=True)
    ]
    start = [Fraction(x) for x in a.tolist()]
    along = [Fraction(y) - Fraction(x) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    seen: list[tuple[bool, ...]] = []
    for i in range(steps):
        t = Fraction(2 * i + 1, 2 * steps)
        values = [x + t * d for x, d in zip(start, along, strict=True)]
        pattern: list[bool] = []
        for w, c in layers:
            z = [
                sum((p * q for p, q in zip(row, values, strict=True)), start=bias)
                for row, bias in zip(w, c, strict=True)
            ]
            pattern += [x > 0 for x in z]
            values = [max(x, Fraction(0)) for x in z]
        if not seen or seen[-1] != tuple(pattern):
            seen.append(tuple(pattern))
    return len(seen)


def test_a_path_has_the_pieces_of_a_fine_grid() -> None:
    # Small integers: breakpoints are far apart, and some points of the path are on boundaries.
    rng = np.random.default_rng(8)
    sizes = [(4, 3), (3, 4), (1, 3)]
    net = Network(
        tuple(rng.integers(-2, 3, size=s).astype(float) for s in sizes),
        tuple(rng.integers(-2, 3, size=s[0]).astype(float) for s in sizes),
    )
    points = rng.integers(-3, 4, size=(6, 3)).astype(float)
    table = regions_through(points, net)
    assert table.columns == (
        "segment",
        "activation_regions",
        "linear_regions",
        "exact_signs",
        "expected",
        "length",
    )
    assert table["segment"].tolist() == [1, 2, 3, 4, 5]
    expected = [patterns_on(net, a, b, 2000) for a, b in itertools.pairwise(points)]
    assert table["activation_regions"].tolist() == expected
    assert table["length"] == pytest.approx(np.linalg.norm(np.diff(points, axis=0), axis=1))
    assert np.isnan(table["expected"]).all()


def test_a_path_over_random_networks_agrees_with_its_expectation() -> None:
    points = np.array([[0.0, 0, 0, 0], [1, 2, -1, 0.5], [5, 5, 5, 5]])
    counts = np.array(
        [
            regions_through(points, random_network(4, (40,), seed=6, sample=s))[
                "activation_regions"
            ]
            for s in range(300)
        ]
    )
    expected = regions_through(points, n0=4, widths=(40,))["expected"]
    error = counts.std(axis=0, ddof=1) / math.sqrt(len(counts))
    assert (np.abs(counts.mean(axis=0) - expected) < 4 * error).all()


def test_a_point_given_twice_is_one_piece() -> None:
    table = regions_through([[1.0, 2.0], [1.0, 2.0]], widths=(9,))
    assert table["activation_regions"].tolist() == [1]
    assert (table["expected"][0], table["length"][0]) == (1.0, 0.0)


def test_points_that_are_drawn_are_those_of_the_seed() -> None:
    table = regions_through(points=4, n0=3, widths=(6, 6), seed=5)
    points = normals(5, 2**64 - 1, 12).reshape(4, 3)
    given = regions_through(points, n0=3, widths=(6, 6), seed=5)
    for name in table:
        assert table[name].tolist() == given[name].tolist()
    assert table.meta.parameters["points"] == 4
    # A given network is fixed; only the points are random.
    net = random_network(3, (6, 6), seed=5)
    assert regions_through(points, net).meta.seed is None
    assert regions_through(None, net).meta.seed == 0


def test_the_line_through_two_points_has_the_pieces_of_its_segments() -> None:
    rng = np.random.default_rng(3)
    for seed in range(5):
        net = random_network(6, (9, 7), seed=seed)
        first, second = rng.normal(size=(2, 6))
        middle, u = (first + second) / 2, (second - first) / np.linalg.norm(second - first)
        for radius in (0.5, 3.0):
            line = regions_on_line([first, second], net, domain="box", box=radius)
            path = regions_through([middle - radius * u, middle + radius * u], net)
            for name in ("activation_regions", "linear_regions"):
                assert value(line, name) == path[name][0]
        whole = regions_on_line([first, second], net)
        far = regions_through([middle - 1e4 * u, middle + 1e4 * u], net)
        assert value(whole, "activation_regions") == far["activation_regions"][0]
        assert value(whole, "vertices") == value(whole, "activation_regions") - 1
        assert value(regions_on_line([second, first], net), "vertices") == value(whole, "vertices")


def test_the_line_holds_its_points_exactly() -> None:
    # The hyperplane 4 x - y = 1 contains both points, so that the neuron is 0 on all of their line.
    points = [[1.0, 3.0], [2.0, 7.0]]
    weight, out = np.array([[4.0, -1.0]]), np.ones((1, 1))
    on = Network((weight, out), (np.array([-1.0]), np.zeros(1)))
    assert value(regions_on_line(points, on), "activation_regions") == 1
    # A parallel line at a distance of one rounding is not cut; one turned by as much is.
    beside = Network((weight, out), (np.array([-1.0 - 2.0**-52]), np.zeros(1)))
    assert value(regions_on_line(points, beside), "activation_regions") == 1
    turned = Network((weight - np.array([[0.0, 2.0**-50]]), out), (np.array([-1.0]), np.zeros(1)))
    assert value(regions_on_line(points, turned), "activation_regions") == 2


def test_lines_through_points_over_random_networks_agree_with_their_expectation() -> None:
    points = np.array([[0.2, 1.0, 0.0, -1.0], [1.0, 2.0, -1.0, 0.5]])
    counts = [
        value(regions_on_line(points, net, domain="box", box=1.5), "activation_regions")
        for net in (random_network(4, (20,), seed=2, sample=s) for s in range(300))
    ]
    boxed = regions_on_line(points, widths=(20,), domain="box", box=1.5)
    error = np.std(counts, ddof=1) / math.sqrt(len(counts))
    assert abs(np.mean(counts) - value(boxed, "expected")) < 4 * error
    assert error < 0.2  # a factor of 1.1 would be detected
    whole = regions_on_line(points, widths=(20,))
    assert value(whole, "activation_regions") == value(whole, "expected") == 21
    assert math.isnan(value(regions_on_line(points, widths=(20,), cb=0.0), "expected"))
    assert math.isnan(value(regions_on_line(points, random_network(4, (3,))), "expected"))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1.0, 2.0]], "through must hold 2 points for a line, not 1"),
        ([[1.0, 2.0], [1.0, 2.0]], "points at a distance from 1e-300 to 1e300, not 0"),
        ([[-1e308, 0.0], [1e308, 0.0]], "points at a distance from 1e-300 to 1e300, not"),
    ],
)
def test_invalid_lines_are_refused(points: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regions_on_line(points)


def test_the_plane_through_three_points() -> None:
    net = random_network(2, (8, 8), seed=1)
    whole = regions_on_plane([[0.0, 0], [1, 0.3], [0.2, 1]], net)
    assert value(whole, "activation_regions") == count_regions(net).activation_regions
    assert value(whole, "vertices") == count_regions(net).vertices
    high = regions_on_plane(np.eye(3, 50), n0=50, widths=(10,), domain="box", box=0.5)
    assert 1 < value(high, "activation_regions") <= zaslavsky(10, 2)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1.0, 2.0]], "at least 2 points, not 1"),
        ([[1.0, 2.0], [math.nan, 0.0]], "not nan at row 1"),
        ([1.0, 2.0], "not of shape"),
    ],
)
def test_invalid_paths_are_refused(points: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regions_through(points)
    with pytest.raises(ValueError, match="points of 2 coordinates, as n0 is 2, not 1"):
        regions_through([[1.0], [2.0]], n0=2)
    with pytest.raises(ValueError, match="points of 2 coordinates, as n0 is 2, not 1"):
        regions_through([[1.0], [2.0]], random_network(2, (3,)))
    with pytest.raises(ValueError, match="points must not come with through"):
        regions_through([[1.0], [2.0]], points=3)
    with pytest.raises(ValueError, match="not on a line"):
        regions_on_plane([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])


# Cells.

NETS = {
    "random": random_network(2, (12, 10), n_out=3, seed=4),
    "grid": one_layer([[1, 0]] * 3 + [[0, 1]] * 3, [-0.5, 0, 0.5] * 2),
    "deep": random_network(2, (5,) * 5, seed=2),
}


def checked_cells(net: Network, found: Cells) -> None:
    inputs = found.origin + found.centers @ found.directions.T
    values = np.einsum("iod,id->io", found.maps[:, :, :-1], found.centers) + found.maps[:, :, -1]
    assert values == pytest.approx(net(inputs), rel=1e-9, abs=1e-9)
    state, pattern = inputs, []
    for w, b in zip(net.weights[:-1], net.biases[:-1], strict=True):
        z = state @ w.T + b
        pattern.append(z > 0)
        state = np.maximum(z, 0)
    # A center may be closer to the side of a tiny cell than the rounding of z.
    agree = (np.concatenate(pattern, axis=1) == found.patterns).all(axis=1)
    assert agree[found.areas > 1e-9].all()
    assert (found.active == found.patterns.sum(axis=1)).all()


@pytest.mark.parametrize("name", list(NETS))
def test_cells_fill_the_box_and_agree_with_the_network(name: str) -> None:
    net, box = NETS[name], 1.25
    found = cells(net, box)
    counts = count_regions(net, domain="box", box=box)
    assert len(found) == counts.activation_regions
    assert len(found.corners) == counts.sides
    assert len({row.tobytes() for row in found.patterns}) == len(found)
    assert found.areas.sum() == pytest.approx((2 * box) ** 2, rel=1e-12)
    assert (found.areas > 0).all()
    checked_cells(net, found)
    assert counts.edges is not None
    border = int((found.side_layers < 0).sum())
    assert len(found.inner_sides) == counts.edges - border
    assert found.last_layers.max() <= net.depth


def test_cells_of_a_line_and_of_a_slice() -> None:
    line = random_network(1, (9, 9), seed=1)
    found = cells(line, (-1.0, 3.0))
    assert found.areas.sum() == pytest.approx(4.0, rel=1e-13)
    checked_cells(line, found)
    net = random_network(30, (9, 9), seed=1)
    rng = np.random.default_rng(1)
    found = cells(net, 2.0, origin=rng.normal(size=30), directions=rng.normal(size=(30, 2)))
    assert found.areas.sum() == pytest.approx(16.0, rel=1e-12)
    checked_cells(net, found)


def test_cells_are_saved_by_name(tmp_path: Path) -> None:
    found = cells(NETS["random"], 1.0)
    found.save(tmp_path / "cells.npz")
    with np.load(tmp_path / "cells.npz") as back:
        assert {"first", "corners", "maps", "patterns", "side_layers", "areas"} <= set(back)
        assert np.array_equal(back["corners"], found.corners)
        assert np.array_equal(back["widths"], [12, 10])
    with pytest.raises(ValueError, match="must end in"):
        found.save(tmp_path / "cells.npy")


@pytest.mark.parametrize("box", [0.0, -1.0, math.nan, (1.0, 1.0), (0.0, math.inf)])
def test_cells_need_a_box(box: Any) -> None:
    with pytest.raises(ValueError, match="box must be"):
        cells(NETS["grid"], box)


def test_cells_need_a_line_or_a_plane() -> None:
    with pytest.raises(ValueError, match="n0 must be 1 or 2 for cells, not 3"):
        cells(random_network(3, (4,)))
    with pytest.raises(ValueError, match="n0 must be 1 or 2 for a picture or cells, not 3"):
        place(ensemble(n0=3))


# Pictures.


def test_a_window_has_all_vertices_where_they_are_together() -> None:
    spot = place(ensemble(NETS["grid"]))
    picture = spot.picture("layer")
    assert isinstance(picture, Tessellation)
    assert picture.note.endswith("with 9 of 9 vertices")
    assert picture.limits[1] < 1.5
    assert len(picture.values) == 16


def test_a_window_has_most_vertices_where_some_are_far() -> None:
    spot = place(ensemble(widths=(40,), seed=3))
    picture = spot.picture()
    assert isinstance(picture, Tessellation)
    shown, total = (int(word) for word in picture.note.split() if word.isdigit())
    assert total == math.comb(40, 2)
    assert 0.7 * total < shown < total
    radius = picture.limits[1]
    edges = np.concatenate(picture.edges)
    inside = np.abs(edges.reshape(-1, 2)).max(axis=1) < radius * (1 - 1e-9)
    points = np.unique(np.round(edges.reshape(-1, 2)[inside], 9), axis=0)
    assert len(points) == shown


@pytest.mark.parametrize("color", ["gradient", "layer", "pattern", "active"])
def test_values_of_pictures(color: Any) -> None:
    picture = place(ensemble(widths=(9, 9)), domain="box", box=3.0).picture(color)
    assert isinstance(picture, Tessellation)
    assert np.isfinite(picture.values).all()
    assert len(picture.edges) == 2
    assert picture.note == ""
    with pytest.raises(ValueError, match="color must be gradient, layer, pattern, active"):
        place(ensemble()).picture("hue")  # type: ignore[arg-type]


def test_a_box_with_too_many_cells_is_shown_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["nnth._regions.pictures"], "MAX_CELLS", 50)
    picture = place(ensemble(widths=(30,)), domain="box", box=4.0).picture()
    assert isinstance(picture, Tessellation)
    assert len(picture.values) <= 50 < MAX_CELLS
    assert picture.note.startswith("the part [-")


def test_a_line_is_drawn_as_its_function() -> None:
    picture = place(ensemble("telgarsky:4")).picture()
    assert isinstance(picture, Lines)
    inner = sorted((x, y) for _, xs, ys, _ in picture.points for x, y in zip(xs, ys, strict=True))
    assert inner == [(i / 16, i % 2) for i in range(17)]
    net = random_network(40, (6, 6), seed=2)
    path = np.random.default_rng(0).normal(size=(3, 40))
    along = path_place(ensemble(net), path).picture()
    assert isinstance(along, Lines)
    ((_, x, y),) = along.lines
    assert (x[0], x[-1]) == (0.0, 2.0)
    ends = [float(np.interp(t, x, y)) for t in (0, 1, 2)]
    assert ends == pytest.approx(net(path)[:, 0], rel=1e-9)
    picture = place(ensemble(net), along="line", points=path[:2]).picture()
    assert isinstance(picture, Lines)
    ((_, t, y),) = picture.lines
    middle, u = path[:2].mean(axis=0), np.diff(path[:2], axis=0)[0]
    inputs = middle + t[:, None] * u / np.linalg.norm(u)
    assert y == pytest.approx(net(inputs)[:, 0], rel=1e-9)


def test_a_network_without_boundaries_has_a_picture() -> None:
    dead = one_layer([[0.0, 0.0]], [1.0])
    picture = place(ensemble(dead)).picture()
    assert isinstance(picture, Tessellation)
    assert len(picture.values) == 1
    assert isinstance(Place(dead, place(ensemble(dead)).slices, ("x", "y")).cells(), Cells)


# One hidden layer as an arrangement.


@pytest.mark.parametrize("seed", range(12))
def test_arrangements_and_cells_agree(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small integers: parallel, repeated and opposite planes, dead neurons, outputs that cancel."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 2, size=(9, 3)).astype(float)
    rows[6], rows[7] = 2.0 * rows[5], -rows[5]
    biases = rng.integers(-1, 2, size=9).astype(float)
    biases[6], biases[7] = 2.0 * biases[5], -biases[5]
    outputs = rng.integers(-1, 2, size=(2, 9)).astype(float)
    outputs[:, 5] = -2.0 * outputs[:, 6] - outputs[:, 7]  # the sum of these three is linear
    net = Network((rows, outputs), (biases, np.zeros(2)))
    by_cells = count_regions(net)
    # The name `regions` of the package is the function, and hides the module.
    monkeypatch.setattr(sys.modules["nnth._regions.counts"], "MAX_SMALL", 0)
    by_arrangement = count_regions(net)
    for name in ("activation_regions", "linear_regions", "bounded", "layer_regions"):
        assert getattr(by_arrangement, name) == getattr(by_cells, name)
    for name in ("vertices", "edges", "sides"):
        if getattr(by_cells, name) is not None:
            assert getattr(by_arrangement, name) == getattr(by_cells, name)


def test_a_layer_of_many_inputs() -> None:
    table = regions(n0=100, widths=(70,))
    assert value(table, "activation_regions") == 2.0**70
    assert value(table, "layer_regions") == str(2**70)
    assert value(table, "expected") == value(table, "upper_bound") == 2.0**70
    ten = regions(n0=10, widths=(15,), samples=2)
    assert value(ten, "activation_regions") == zaslavsky(15, 10)
    assert value(ten, "bounded") == math.comb(14, 10)
    with pytest.raises(ValueError, match=r"subsets.*--along line"):
        regions(n0=10, widths=(1000,))
    assert np.isnan(region_bounds(n0=10, widths=(1000,))["activation_regions"]).all()
