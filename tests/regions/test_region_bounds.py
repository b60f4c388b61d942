"""Counts, bounds and expectations of regions, against brute force and simulation."""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnth import Network, random_network
from nnth._regions import bounds as rb
from nnth._regions.bounds import expected_regions, intersections

SHAPES = st.tuples(st.integers(1, 7), st.lists(st.integers(1, 6), min_size=1, max_size=4))


def regions_of_arrangement(planes: list[list[Fraction]]) -> int:
    """Return the number of regions of hyperplanes (w, b), by deletion and restriction, exactly."""
    monic = [[v / next(u for u in plane if u) for v in plane] for plane in planes]
    distinct = [plane for i, plane in enumerate(monic) if plane not in monic[:i]]
    if not distinct:
        return 1
    *rest, last = distinct
    pivot = next(i for i, v in enumerate(last[:-1]) if v)
    restricted = []
    for plane in rest:
        factor = plane[pivot] / last[pivot]
        row = [a - factor * c for a, c in zip(plane, last, strict=True)]
        del row[pivot]
        if any(row[:-1]):  # else they are parallel
            restricted.append(row)
    return regions_of_arrangement(rest) + regions_of_arrangement(restricted)


def generic(n: int, d: int, *, central: bool = False) -> list[list[Fraction]]:
    """Return hyperplanes of the moment curve: any d normals, or d + 1 rows, are independent."""
    rows = [[Fraction(i + 1) ** k for k in range(d + 1)] for i in range(n)]
    return [[*row[:-1], Fraction(0)] if central else row for row in rows]


@pytest.mark.parametrize(("n", "d"), [*itertools.product(range(7), range(1, 5))])
def test_zaslavsky_counts_arrangements(n: int, d: int) -> None:
    assert rb.zaslavsky(n, d) == regions_of_arrangement(generic(n, d))
    assert rb.zaslavsky_central(n, d) == regions_of_arrangement(generic(n, d, central=True))
    # At infinity every hyperplane passes through 0: those regions are the unbounded ones.
    assert rb.zaslavsky_bounded(n, d) == rb.zaslavsky(n, d) - rb.zaslavsky_central(n, d)


def test_counts_are_exact_however_long() -> None:
    assert rb.zaslavsky(100, 784) == 2**100 == rb.patterns_upper(100)
    assert rb.zaslavsky(10**6, 2) == 1 + 10**6 + 10**6 * (10**6 - 1) // 2
    assert rb.lecture_upper(100) == 515377520732011331036461129765621272702107522001


def serra_by_enumeration(n0: int, widths: Sequence[int]) -> int:
    """Return the bound of Theorem 1 of Serra et al. by enumeration, as it is stated."""
    total = 0
    for j in itertools.product(*(range(n + 1) for n in widths)):
        left = [n0, *(n - k for n, k in zip(widths, j, strict=True))]
        if all(j[i] <= min(*left[: i + 1], widths[i]) for i in range(len(widths))):
            total += math.prod(math.comb(n, k) for n, k in zip(widths, j, strict=True))
    return total


@given(SHAPES)
@settings(max_examples=100)
def test_bounds_are_in_order_and_serra_is_the_sum_of_the_theorem(
    shape: tuple[int, list[int]],
) -> None:
    n0, widths = shape
    serra = rb.serra_2018_upper(n0, widths)
    assert serra == serra_by_enumeration(n0, widths)
    assert rb.montufar_2014_lower(n0, widths) <= serra <= rb.montufar_2017_upper(n0, widths)
    assert rb.montufar_2017_upper(n0, widths) <= rb.patterns_upper(sum(widths))


def test_bounds_of_known_shapes() -> None:
    # For one layer all bounds are Zaslavsky's number.
    for bound in (rb.montufar_2014_lower, rb.montufar_2017_upper, rb.serra_2018_upper):
        assert bound(3, [10]) == 1 + 10 + 45 + 120
    # The values: folds 2^2 2^2 times 1 + 5 + 10; (1 + 4 + 6) (1 + 5 + 10) (1 + 5 + 10).
    assert rb.montufar_2014_lower(2, (4, 5, 5)) == 4 * 4 * 16
    assert rb.montufar_2014_lower(9, (4, 5, 2)) == rb.montufar_2014_lower(2, (4, 5, 2))
    assert rb.montufar_2017_upper(2, (4, 5, 5)) == 11 * 16 * 16
    # After a bottleneck of 1 the image is on a line: (1 + 1)(1 + 5).
    assert rb.montufar_2017_upper(4, (1, 5)) == 12
    # The bound of Serra et al. counts the inactive neuron, whose image is a point: 1 (1 + 5) + 1.
    assert rb.serra_2018_upper(4, (1, 5)) == 7
    # On a line the bound is attained for widths of 3 and more: Serra et al. (2018).
    assert rb.serra_2018_upper(1, (3, 4, 5)) == 4 * 5 * 6


def test_bounds_of_thousands_of_digits() -> None:
    bound = rb.serra_2018_upper(784, [1000] * 10)
    assert 2**9000 < bound < rb.montufar_2017_upper(784, [1000] * 10) < 2**10_000


def test_hanin_and_rolnick() -> None:
    assert rb.hanin_rolnick_upper(2, 96) == pytest.approx(96**2 / 2, rel=1e-14)
    assert rb.hanin_rolnick_upper(3, 10, t=2.0) == pytest.approx(20**3 / 6, rel=1e-14)
    assert rb.hanin_rolnick_upper(5, 4) == 16.0
    assert rb.hanin_rolnick_upper(784, 10**6) == math.inf
    # The computation of 800^n0/n0! passes 10^340.
    exact = Fraction(800) ** 2400 / math.factorial(2400)
    assert rb.hanin_rolnick_upper(2400, 3200, t=0.25) == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rb.zaslavsky(-1, 2), "n must be at least 0, not -1"),
        (lambda: rb.zaslavsky_central(3, 0), "d must be at least 1, not 0"),
        (lambda: rb.zaslavsky_bounded(3, 1.5), "d must be a whole number, not 1.5"),
        (lambda: rb.serra_2018_upper(0, [3]), "n0 must be at least 1, not 0"),
        (lambda: rb.montufar_2017_upper(2, []), "widths must hold at least one hidden layer"),
        (lambda: rb.montufar_2014_lower(2, [3, 0]), "widths must be at least 1, not 0"),
        (lambda: rb.patterns_upper(-1), "neurons must be at least 0, not -1"),
        (lambda: rb.hanin_rolnick_upper(2, 3, t=0.0), "t must be finite and above 0, not 0"),
        (lambda: expected_regions(2, [3], cw=0.0), "cw must be finite and above 0, not 0"),
        (lambda: expected_regions(2, [3], cb=-1.0), "cb must be finite and at least 0"),
        (lambda: expected_regions(2, [3], box=math.inf), "box must be finite and above 0, not inf"),
        (lambda: rb.zero_cell_sides_expected(0), "n must be at least 1, not 0"),
    ],
)
def test_arguments_out_of_range_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def breaks_along(start: Any, end: Any, net: Network) -> list[int]:
    """Return the numbers of sign changes of the neurons of each hidden layer along a segment."""
    t = np.array([0.0, 1.0])
    values = np.array([start, end], dtype=float)
    counts = []
    for w, b in zip(net.weights[:-1], net.biases[:-1], strict=True):
        z = values @ w.T + b
        at, neuron = np.nonzero((z[:-1] > 0) != (z[1:] > 0))
        counts.append(len(at))
        part = z[at, neuron] / (z[at, neuron] - z[at + 1, neuron])
        met = z[at] + part[:, None] * (z[at + 1] - z[at])
        met[np.arange(len(at)), neuron] = 0.0
        times = np.concatenate([t, t[at] + part * (t[at + 1] - t[at])])
        order = np.argsort(times, kind="stable")
        t = times[order]
        values = np.maximum(np.concatenate([z, met])[order], 0.0)
    return counts


def mean_and_error(samples: Sequence[Any]) -> tuple[Any, Any]:
    values = np.asarray(samples, dtype=float)
    return values.mean(axis=0), values.std(axis=0) / math.sqrt(len(values))


@pytest.mark.parametrize(("cw", "cb", "radius"), [(2.0, 1.0, 1.0), (1.0, 0.3, 2.0)])
def test_breaks_on_a_line_layer_by_layer(cw: float, cb: float, radius: float) -> None:
    widths, nets = (100, 100, 100), 80
    samples = [
        breaks_along(
            [-radius],
            [radius],
            random_network(1, widths, cw=cw, cb=cb, seed=1, sample=s),
        )
        for s in range(nets)
    ]
    mean, error = mean_and_error(samples)
    expected = [
        expected_regions(1, widths[: depth + 1], cw=cw, cb=cb, box=radius) for depth in range(3)
    ]
    # Standard errors are 0.5 to 2 %. The layers differ by 10 to 20 %, and by more for a wrong g.
    assert np.all(np.abs(mean - np.diff([1.0, *expected])) < 3.5 * error)
    assert np.all(error < 0.02 * mean)
    assert expected_regions(1, widths, cw=cw, cb=cb) == 301.0


def test_one_layer_on_a_line_is_exact_at_any_width() -> None:
    net = random_network(1, (1,), seed=0)
    assert breaks_along([-1e9], [1e9], net) == [1]
    samples = [
        breaks_along([-0.5], [0.5], random_network(1, (2,), seed=3, sample=s)) for s in range(4000)
    ]
    mean, error = mean_and_error(samples)
    # g = 1/sqrt(2): 2 (2/pi) atan(sqrt(2)/2).
    assert expected_regions(1, (2,), box=0.5) - 1.0 == pytest.approx(
        4 / math.pi * math.atan(0.5**0.5)
    )
    assert abs(mean[0] - 4 / math.pi * math.atan(0.5**0.5)) < 3.5 * error[0]
    assert error[0] < 0.012


def test_neurons_meet_the_sides_of_a_square_as_often_as_they_should() -> None:
    widths, radius = (60, 60), 1.5
    corners = radius * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    samples = []
    for s in range(150):
        net = random_network(2, widths, cw=1.5, cb=0.7, seed=4, sample=s)
        samples.append(
            sum(np.array(breaks_along(a, b, net)) for a, b in itertools.pairwise(corners))
        )
    mean, error = mean_and_error(samples)
    # g_l^2 = (2 0.7/1.5) (1, 1 + 4/3).
    expected = [60 * rb.crossings(math.sqrt(v), radius) for v in (1.4 / 1.5, 1.4 / 1.5 * 7 / 3)]
    assert np.all(np.abs(mean - expected) < 3.5 * error)
    assert np.all(error < 0.015 * mean)


def test_without_biases_a_circle_around_zero_meets_every_neuron_twice() -> None:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    samples = []
    for s in range(150):
        net = random_network(2, (60, 60), cb=0.0, seed=5, sample=s)
        samples.append(sum(sum(breaks_along(a, b, net)) for a, b in itertools.pairwise(corners)))
    mean, error = mean_and_error(samples)
    assert abs(mean - expected_regions(2, (60, 60), cb=0.0)) < 3.5 * error
    assert error < 0.02 * 240
    assert expected_regions(2, (60, 60), cb=0.0, box=3.0) == 240.0
    assert expected_regions(1, (5, 5), cb=0.0) == 2.0
    assert expected_regions(3, (5,), cb=0.0, box=1.0) == 2.0 * (1 + 4 + 6)


def test_one_scale_has_a_closed_form() -> None:
    for g, radius in itertools.product((1e-9, 0.3, 1.0, 7.0), (1e-3, 1.0, 50.0)):
        ratio = radius / (g + math.hypot(g, math.sqrt(2.0) * radius))
        closed = 4.0 / math.pi * math.atan(2.0 * ratio**2)
        assert intersections(g, np.array([g]), radius)[0] == pytest.approx(closed, rel=1e-13)


@pytest.mark.parametrize(("g", "h", "radius"), [(1.0, 2.0, 1.0), (0.1, 4.0, 3.0)])
def test_the_density_of_intersections_integrates_over_the_square(
    g: float, h: float, radius: float
) -> None:
    def mass(r: Any) -> Any:
        """Return the density with its angular part by mpmath, its radial one in closed form."""
        a, b = sorted((h / mpmath.hypot(r, h), g / mpmath.hypot(r, g)))
        ellipse = 2 / mpmath.pi * b * mpmath.ellipe(1 - (a / b) ** 2)
        return r * ellipse / (2 * mpmath.pi * mpmath.hypot(r, g) * mpmath.hypot(r, h))

    def wedge(angle: Any) -> Any:
        reach = radius / mpmath.cos(angle)
        marks = [v for v in (g, 10 * g, 100 * g, h) if v < radius]
        return mpmath.quad(mass, [0, *sorted(marks), reach], maxdegree=6)

    with mpmath.workdps(16):
        brute = 8 * mpmath.quad(wedge, [0, mpmath.pi / 4], method="gauss-legendre", maxdegree=3)
    assert intersections(g, np.array([h]), radius)[0] == pytest.approx(float(brute), abs=1e-11)


def test_any_two_lines_meet_once_in_the_plane() -> None:
    met = intersections(1.0, np.array([1.0, 2.0, 1e3, 1e8]), 1e14)
    assert met == pytest.approx(np.ones(4), abs=1e-5)


def test_two_lines_of_different_scales_meet_in_the_square_as_often_as_sampled() -> None:
    rng = np.random.default_rng(2)
    g, h, radius, count = 0.5, 3.0, 2.0, 400_000
    u, v = rng.normal(size=(2, 2, count))
    b, c = g * rng.normal(size=count), h * rng.normal(size=count)
    det = u[0] * v[1] - u[1] * v[0]
    x, y = (u[1] * c - v[1] * b) / det, (v[0] * b - u[0] * c) / det
    within = np.mean((np.abs(x) < radius) & (np.abs(y) < radius))
    # The standard error is 0.0008, 0.2 %.
    assert abs(within - intersections(g, np.array([h]), radius)[0]) < 0.0027


def test_layers_meet_in_a_square_as_often_as_they_should() -> None:
    """Sign changes of the second layer are counted along the chords of the first layer's lines."""
    widths, radius = (40, 40), 1.0
    samples = []
    for s in range(60):
        net = random_network(2, widths, seed=6, sample=s)
        met = 0
        for w, b in zip(net.weights[0], net.biases[0], strict=True):
            foot, along = -b * w / (w @ w), np.array([-w[1], w[0]])
            # The part of the line within |x|, |y| <= radius.
            ends = np.sort([(side * radius - foot) / along for side in (-1.0, 1.0)], axis=0)
            low, high = ends[0].max(), ends[1].min()
            if low < high:
                met += breaks_along(foot + low * along, foot + high * along, net)[1]
        samples.append(met)
    mean, error = mean_and_error(samples)
    expected = 1600 * intersections(1.0, np.array([math.sqrt(2.0)]), radius)[0]
    # The scale of the first layer for both would give 24 % more, the scale of the second 19 % less.
    assert abs(mean - expected) < 3.5 * error
    assert error < 0.04 * mean


def cells_in_square(net: Network, radius: float) -> int:
    """Return the number of cells of [-radius, radius]^2, splitting polygons neuron by neuron."""
    square = radius * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    cells = [(square, np.eye(2), np.zeros(2))]
    for w, b in zip(net.weights[:-1], net.biases[:-1], strict=True):
        after = []
        for polygon, slope, offset in cells:
            rows, shifts = w @ slope, w @ offset + b
            parts = [polygon]
            for row, shift in zip(rows, shifts, strict=True):
                parts = [half for part in parts for half in halves(part, row, shift)]
            for part in parts:
                on = rows @ part.mean(axis=0) + shifts > 0
                after.append((part, rows * on[:, None], shifts * on))
        cells = after
    return len(cells)


def halves(polygon: Any, row: Any, shift: float) -> list[Any]:
    z = polygon @ row + shift
    if z.min() >= 0.0 or z.max() <= 0.0:
        return [polygon]
    sides: tuple[list[Any], list[Any]] = ([], [])
    for k in range(len(polygon)):
        if (z[k - 1] > 0) != (z[k] > 0):
            cut = polygon[k - 1] + (polygon[k] - polygon[k - 1]) * (z[k - 1] / (z[k - 1] - z[k]))
            sides[0].append(cut)
            sides[1].append(cut)
        sides[int(z[k] > 0)].append(polygon[k])
    return [np.array(side) for side in sides]


def test_one_layer_in_a_square_is_exact_at_any_width() -> None:
    samples = [cells_in_square(random_network(2, (8,), seed=7, sample=s), 0.8) for s in range(1000)]
    mean, error = mean_and_error(samples)
    # The standard error is 1 %. Of 13.8 regions, 5.7 are due to the boundary and 7.1 to the pairs.
    assert abs(mean - expected_regions(2, (8,), box=0.8)) < 3.5 * error
    assert error < 0.015 * mean


def test_two_layers_in_a_square() -> None:
    samples = [
        cells_in_square(random_network(2, (30, 30), cw=1.0, seed=8, sample=s), 1.0)
        for s in range(30)
    ]
    mean, error = mean_and_error(samples)
    expected = expected_regions(2, (30, 30), cw=1.0, box=1.0)
    # Widths of 30 are some per cent below the limit. Of 295 regions, 94 are due to pairs in the
    # first layer, 40 to pairs in the second, 126 to pairs of both; the tests above distinguish
    # them.
    assert abs(mean - expected) < 2.0 * error + 0.05 * expected
    assert error < 0.06 * expected


def test_large_boxes_have_the_counts_of_the_plane() -> None:
    for n0, widths in ((1, (7, 5)), (2, (32, 32, 32)), (2, (9,))):
        whole = expected_regions(n0, widths)
        assert whole == rb.zaslavsky(sum(widths), n0)
        assert expected_regions(n0, widths, box=1e12) == pytest.approx(whole, rel=1e-9)
        assert expected_regions(n0, widths, cb=1e-30) == whole
        assert expected_regions(n0, widths, cb=1e-30, box=1e-3) == pytest.approx(whole, 1e-9)
        assert expected_regions(n0, widths, box=1e-12) == pytest.approx(1.0, abs=1e-9)


def test_where_no_formula_is_known_the_expectation_is_nan() -> None:
    assert math.isnan(expected_regions(3, (9,), box=1.0))
    # The formula gives 22, but no network has more than 7.
    assert math.isnan(expected_regions(2, (1, 5)))
    assert expected_regions(3, (9, 9)) == rb.zaslavsky(18, 3)
    assert expected_regions(784, (2000,) * 3) == math.inf


def test_scales_beyond_doubles_are_lines_at_infinity() -> None:
    shallow = expected_regions(2, (5,) * 60, cw=0.01, box=1.0)
    assert expected_regions(2, (5,) * 600, cw=0.01, box=1.0) == pytest.approx(shallow, rel=1e-12)
    assert expected_regions(1, (5,) * 600, cw=0.01, box=1.0) < 6.0


def zero_cell_sides(n: int, rng: np.random.Generator) -> int:
    """Return the number of sides of the cell of 0 among n Gaussian lines."""
    w = rng.normal(size=(n, 2))
    b = rng.normal(size=n)
    w, b = w * np.sign(b)[:, None], np.abs(b)  # the cell is w.x + b > 0
    along = np.stack([-w[:, 1], w[:, 0]], axis=1)
    foot = -w * (b / np.sum(w * w, axis=1))[:, None]
    speed = along @ w.T  # the slopes of the other lines' values along each line
    np.fill_diagonal(speed, 1.0)
    times = -(foot @ w.T + b) / speed
    np.fill_diagonal(times, np.nan)
    low = np.nanmax(np.where(speed > 0, times, -np.inf), axis=1)
    high = np.nanmin(np.where(speed < 0, times, np.inf), axis=1)
    return int(np.count_nonzero(low < high))


@pytest.mark.parametrize("n", [3, 8, 32])
def test_sides_of_the_zero_cell_as_sampled(n: int) -> None:
    rng = np.random.default_rng(n)
    mean, error = mean_and_error([zero_cell_sides(n, rng) for _ in range(4000)])
    assert abs(mean - rb.zero_cell_sides_expected(n)) < 3.5 * error
    assert error < 0.02


@pytest.mark.parametrize("n", [2, 3, 8, 16, 64, 1000, 100_000])
def test_sides_of_the_zero_cell_are_the_integral(n: int) -> None:
    with mpmath.workdps(30):
        tail = [mpmath.pi * (1 - mpmath.mpf(c) / n) for c in (200, 50, 10, 3, 1) if 2 * c < n]
        integral = mpmath.quad(
            lambda a: (a / mpmath.pi) ** (n - 2) * mpmath.sin(a), [mpmath.pi / 2, *tail, mpmath.pi]
        )
        exact = mpmath.binomial(n, 2) * integral + mpmath.mpf(n) / mpmath.mpf(2) ** (n - 1)
    assert rb.zero_cell_sides_expected(n) == pytest.approx(float(exact), rel=1e-13)


def test_sides_of_the_zero_cell_of_few_and_many_lines() -> None:
    assert rb.zero_cell_sides_expected(1) == 1.0
    assert rb.zero_cell_sides_expected(2) == pytest.approx(2.0, rel=1e-15)
    assert rb.zero_cell_sides_expected(10**7) == pytest.approx(math.pi**2 / 2.0, rel=1e-6)
