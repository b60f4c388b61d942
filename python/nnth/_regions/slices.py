"""Regions of ReLU networks along random lines and planes, and along paths: for inputs of any size.

On a line or plane through 0 a random network has the law of a network with one input or two; lines
that meet a ball in all ways alike measure the boundary between regions (Crofton's formula).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._data.data import Data, data_of
from nnth._data.files import File, file_of
from nnth._networks.ensemble import MAX_SAMPLES, Ensemble, Shape, Tasks, ensemble
from nnth._networks.network import Network
from nnth._regions.bounds import expected_regions
from nnth._regions.counts import (
    Domain,
    RegionCounts,
    best_upper,
    cell_columns,
    check_domain,
    check_memory_of_counts,
    core_network,
    count_columns,
    count_core,
    note_on_count,
    number,
    one_row,
    picture_of,
)
from nnth._regions.triangle import Triangle
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals, uniforms
from nnth._runtime.typing import Progress
from nnth._runtime.work import sample_in_parts, validated
from nnth._tables.plot import Drawing
from nnth._tables.statistics import mean_of, z_score
from nnth._tables.table import Meta, Table

Array = NDArray[np.float64]
Along = Literal["line", "plane"]

POINTS: Final = 10  # of a path, where none are given


@dataclass(frozen=True, eq=False)
class Slice:
    """The points origin + (ends - start) @ s, s = chart @ (t, 1), within limits or everywhere.

    The core takes every number as it is: a difference is not rounded, and so a slice through points
    holds these points. t are its coordinates.

    origin, start: `(n0,)`; ends: `(n0, d)`, d = 1 or 2. chart: `(d, d + 1)`, or None for s = t.
    limits: limits[0] <= t_j <= limits[1], or None for all t.
    point: the coordinates t of the point whose region is measured.
    """

    origin: Array
    ends: Array
    limits: tuple[float, float] | None
    start: Array
    chart: Array | None
    point: tuple[float | Fraction, ...]

    @classmethod
    def along(cls, origin: Array, directions: Array, limits: tuple[float, float] | None) -> Slice:
        """Return the points origin + directions @ t."""
        zero = (0.0,) * directions.shape[1]
        return cls(origin, directions, limits, np.zeros(len(origin)), None, zero)

    @property
    def dimension(self) -> int:
        """1 for lines, 2 for planes."""
        return int(self.ends.shape[1])

    @property
    def directions(self) -> Array:
        """What a coordinate adds to the input, rounded: `(n0, d)`."""
        differences: Array = self.ends - self.start[:, None]
        return differences if self.chart is None else differences @ self.chart[:, :-1]

    @property
    def center(self) -> Array:
        """The input at t = 0, rounded: `(n0,)`."""
        if self.chart is None:
            return self.origin
        center: Array = self.origin + (self.ends - self.start[:, None]) @ self.chart[:, -1]
        return center


@serial_blas
def regions_along(
    along: Along,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    lines: int = 100,
    domain: Domain = "space",
    box: float = 1.0,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return the mean numbers of regions on random lines or planes, each counted exactly.

    along, domain: "line" and "space": lines through 0 of uniform direction. "plane": planes through
        0, likewise, the whole or the square |t_1|, |t_2| <= R with R = box. "line" and "box":
        lines that meet the ball |x| <= R sqrt(n0), uniform in direction and position, within it.
        Points are x = t u with |u|^2 = n0, or t_1 u + t_2 v with |u|^2 = |v|^2 = n0/2: in t
        a random network is one with n0 = 1 or 2, for which R is the size of its box.
    lines: random slices of each network; at least 1.
    net, box, threads, progress and the shape: as in `nnth.regions`; `seed` also draws the slices.

    Returns a Table of one row with the columns of `nnth.regions`, means over all slices of all
    networks (exact_signs in all), and boundary_density: the (n0 - 1)-dimensional measure of the
    boundary between regions per volume of the ball, (activation_regions - 1) n0/(2 R sqrt(n0)),
    NaN but for lines in a box. For a line the region around the point is the one around its point
    nearest to 0.

    `expected` is the mean over random networks, and lines:
    1 + sum_l n_l (2/pi) E[atan(T/sqrt(g_l^2 + h^2))] in the ball, h sqrt(n0) being a line's
    distance from 0, T = sqrt(R^2 - h^2) and g_l as in `expected_regions` for n0 = 1. Slices of one
    network are independent only given it: with several samples `stderr` is that of their means,
    and z compares these with `expected`; with one it is the standard error over slices of the mean
    for this network, and z is NaN.

    Accuracy: counts are exact for the slice as its doubles have it. Cost: a line takes a product
    of each layer with a vector a piece. Raises ValueError for arguments out of range.

    Source: Hanin & Rolnick (2019); Santalo (2004), ch. 14, for Crofton's formula.
    """
    nets = ensemble(net, **shape)
    check_domain(domain, box)
    if along not in ("line", "plane"):
        raise ValueError(f"along must be line or plane, not {along!r}")
    if along == "plane" and nets.n0 < 2:
        raise ValueError(f"n0 must be at least 2 for a plane, not {nets.n0}")
    lines = check_integer("lines", lines)
    if lines >= MAX_SAMPLES:
        raise ValueError(f"lines must be below {MAX_SAMPLES}, not {lines}")
    radius = box if domain == "box" else None
    check_memory_of_counts(nets.samples * lines, len(nets.widths), "samples and lines")

    def count_range(first: int, networks: int) -> list[list[RegionCounts]]:
        counts: list[list[RegionCounts]] = []
        with Tasks(networks * lines, "slice", progress) as tasks:
            for sample in range(first, first + networks):
                network = nets.network(sample)
                counts.append([])
                for where in random_slices(along, nets, sample, lines, radius):
                    found = count_slice(network, where, threads=threads, progress=tasks.part)
                    counts[-1].append(found)
                    tasks.finish(found.activation_regions)
        return counts

    counts = sample_in_parts(count_range, nets.samples)
    means = [float(np.mean([c.activation_regions for c in of_net])) for of_net in counts]
    every = [c for of_net in counts for c in of_net]
    several = nets.samples > 1
    each = means if several else [float(number(c.activation_regions)) for c in every]
    mean, stderr = mean_of(np.array(each))
    expected = _expected(nets, along, radius)
    dimension = 1 if along == "line" else 2
    density = math.nan
    if along == "line" and radius is not None:
        density = (mean - 1.0) * nets.n0 / (2.0 * radius * math.sqrt(nets.n0))
    columns = count_columns(every) | {
        "expected": expected,
        "upper_bound": number(best_upper(dimension, nets.widths)),
        "stderr": stderr,
        "z": float(z_score(mean - expected, stderr)) if several else math.nan,
        "note": note_on_count(len(nets.widths), means, stderr if several else math.nan),
    }
    parameters = nets.parameters() | {"domain": domain, "box": radius}
    parameters |= {"along": along, "lines": lines}
    columns |= cell_columns(every) | {"boundary_density": density}
    picture = partial(picture_of, nets, along, check_domain(domain, box), threads)
    return one_row(columns, parameters, nets).with_drawing(picture)


@serial_blas
def regions_through(
    through: Data | None = None,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    points: int | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return the numbers of regions along the segments between points, a row a segment.

    through: `(m, n0)`, m >= 2, finite; or the path of a file that `nnth.load_data` reads.
    points: without `through`, number of points, by default 10, drawn with N(0, 1) coordinates.
    net, threads, progress and the shape (of one sample): as in `nnth.regions`; n0 is by default
        that of the points.

    Returns a Table of m - 1 rows: segment (1..m-1), activation_regions and linear_regions that
    the open segment has, exact_signs, expected, length. `expected` is the mean over random
    networks, 1 + sum_l (n_l/pi) (angle at which the segment is seen from distance g_l), which is
    exact for one hidden layer and the limit of large widths for more; NaN for a given network.

    Accuracy: counts are exact for the points as their doubles have them: neither the line through
    two of them nor its ends are rounded, and a point given twice is a segment of one region.
    Raises ValueError for arguments out of range.
    """
    nets, data = nets_and_points(through, net, points, shape)
    if len(data) < 2:
        raise ValueError(f"through must hold at least 2 points, not {len(data)}")
    validated()
    network = nets.network(0)
    counts = []
    with Tasks(len(data) - 1, "segment", progress) as tasks:
        for where in segments(data):
            counts.append(count_slice(network, where, threads=threads, progress=tasks.part))
            tasks.finish(counts[-1].activation_regions)
    columns: dict[str, Any] = {
        "segment": np.arange(1, len(data)),
        "activation_regions": [c.activation_regions for c in counts],
        "linear_regions": [c.linear_regions for c in counts],
        "exact_signs": [c.exact_signs or 0 for c in counts],
        "expected": [_expected_on_segment(nets, a, b) for a, b in pairwise(data)],
        "length": [_distance(a, b) for a, b in pairwise(data)],
    }
    parameters = nets.parameters() | {"through": file_of(through), "points": len(data)}
    fixed = nets.given is not None and through is not None
    meta = Meta("regions", parameters, seed=None if fixed else nets.seed)
    return Table(
        columns, meta, plot=partial(_picture, nets, tuple(segments(data)), "point", threads)
    )


def _picture(nets: Ensemble, slices: tuple[Slice, ...], along: str, threads: int) -> Drawing:
    """Return the picture of the first network on the given slices."""
    from nnth._regions.pictures import Place

    names = {"line": ("$t$",), "plane": ("$t_1$", "$t_2$"), "point": ("point",)}[along]
    return Place(nets.network(0), slices, names).picture(threads=threads)


def regions_on_line(
    through: Data,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    domain: Domain = "space",
    box: float = 1.0,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return the numbers of regions on the line through two points, in one row.

    through: `(2, n0)`, two points; or a file. The coordinate on the line is the length from the
    middle of the points, towards the second: a box is a segment around the middle. Else as
    `nnth.regions`; n0 is by default that of the points, the region around the point is the one
    around the middle, and `expected` is the mean over random networks as in `regions_through`, NaN
    for a given network, and on the whole line for networks without biases.

    Accuracy: counts are exact for the line that holds the points as their doubles have them. A box
    is a segment of length 2 R up to rounding. Raises ValueError where the distance of the points is
    not from 1e-300 to 1e300.
    """
    nets, data = nets_and_points(through, net, None, shape)
    limits = check_domain(domain, box)
    where = line_through(data, limits)
    expected = _expected_on_line(nets, data, None if limits is None else box)
    return _on_slice("line", where, nets, file_of(through), box, expected, threads, progress)


def regions_on_plane(
    through: Data,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    domain: Domain = "space",
    box: float = 1.0,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return the numbers of regions on the plane through three points, in one row.

    through: `(3, n0)`, not on a line; or a file. Coordinates on the plane are lengths from the mean
    of the points, the first axis along the second point minus the first: so a box turns with the
    order of the points, and what is counted on the whole plane does not depend on it. Else as
    `nnth.regions`; n0 is by default that of the points, the region around the point is the one
    around the mean, and `expected` is NaN.

    Accuracy: counts are exact for the plane that holds the points as their doubles have them,
    which may hold 0; whether they are on a line is decided exactly too. A box is a square up to
    2^-52 times the longest side of the points' triangle over its least height.

    Raises ValueError for points on a line, and where a side or a height is not from 1e-300 to
    1e300.
    """
    nets, data = nets_and_points(through, net, None, shape)
    where = plane_through(data, check_domain(domain, box), from_zero=domain == "space")
    return _on_slice("plane", where, nets, file_of(through), box, math.nan, threads, progress)


def _on_slice(
    along: Along,
    where: Slice,
    nets: Ensemble,
    through: File,
    box: float,
    expected: float,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the counts of one network on the line or plane through given points, in one row."""
    validated()
    with Tasks(1, along, progress) as tasks:
        counts = [count_slice(nets.network(0), where, threads=threads, progress=tasks.part)]
    columns = count_columns(counts) | {
        "expected": expected,
        "upper_bound": number(best_upper(where.dimension, nets.widths)),
        "stderr": math.nan,
        "z": math.nan,
    }
    parameters = nets.parameters() | {
        "domain": "space" if where.limits is None else "box",
        "box": None if where.limits is None else box,
        "through": through,
        "along": along,
    }
    picture = partial(_picture, nets, (where,), along, threads)
    return one_row(columns | cell_columns(counts), parameters, nets).with_drawing(picture)


def count_slice(
    network: Network, where: Slice, *, threads: int = 0, progress: Progress | None = None
) -> RegionCounts:
    """Return the exact counts of a network on a slice of its input space."""
    return count_core(
        core_slice(network, where), where.limits, where.point, threads=threads, progress=progress
    )


def core_slice(network: Network, where: Slice) -> _core.RegionNetwork:
    """Return the core's description of a network on a slice."""
    chart = np.empty(0) if where.chart is None else where.chart
    return core_network(network).on_slice(where.origin, where.ends, where.start, chart)


def random_slices(
    along: Along, nets: Ensemble, sample: int, count: int, radius: float | None
) -> Iterator[Slice]:
    """Yield the slices of network `sample`: as `regions_along` describes them.

    Slice i is made of stream (sample + 1) 2^32 + i, which no network uses.
    """
    n0 = nets.n0
    for i in range(count):
        stream = (sample + 1) * MAX_SAMPLES + i
        drawn = normals(nets.seed, stream, 2 * n0).reshape(2, n0)
        u = drawn[0] / np.linalg.norm(drawn[0])
        across = drawn[1] - (drawn[1] @ u) * u
        across -= (across @ u) * u  # once more, for the digits that the first has lost
        if along == "plane":
            plane = np.column_stack([u, across / np.linalg.norm(across)]) * math.sqrt(n0 / 2.0)
            limits = None if radius is None else (-radius, radius)
            yield Slice.along(np.zeros(n0), plane, limits)
        else:
            direction = (u * math.sqrt(n0))[:, None]
            if radius is None or n0 == 1:
                limits = None if radius is None else (-radius, radius)
                yield Slice.along(np.zeros(n0), direction, limits)
                continue
            # Uniform in the ball across: the radius is a power of a uniform.
            uniform = float(uniforms(nets.seed, stream, 1, 2 * n0)[0])
            share = uniform ** (1.0 / (n0 - 1))
            half = radius * math.sqrt(-math.expm1(2.0 * math.log(uniform) / (n0 - 1)))
            origin = across * (share * radius * math.sqrt(n0) / float(np.linalg.norm(across)))
            yield Slice.along(origin, direction, (-half, half))


def segments(points: Array) -> Iterator[Slice]:
    """Yield the segments from each point to the next, t in [0, 1]."""
    for a, b in pairwise(points):
        yield Slice(a, b[:, None], (0.0, 1.0), a, None, (0.0,))


def line_through(points: Array, limits: tuple[float, float] | None) -> Slice:
    """Return the line through two points, in lengths from their middle; see regions_on_line."""
    if len(points) != 2:
        raise ValueError(f"through must hold 2 points for a line, not {len(points)}")
    length = _distance(points[0], points[1])
    if not 1e-300 <= length <= 1e300:
        raise ValueError(
            f"through must hold points at a distance from 1e-300 to 1e300, not {length:g}"
        )
    chart = np.array([[1.0 / length, 0.5]])
    return Slice(points[0], points[1][:, None], limits, points[0], chart, (0.0,))


def plane_through(
    points: Array, limits: tuple[float, float] | None, *, from_zero: bool = False
) -> Slice:
    """Return the plane through three points, in lengths from their mean; see regions_on_plane.

    from_zero: lengths from 0 instead, where 0 is on the plane: there the regions of a network
    without biases are cones, and signs at 0 need no exact arithmetic.
    """
    if len(points) != 3:
        raise ValueError(f"through must hold 3 points for a plane, not {len(points)}")
    triangle = Triangle(points)
    chart = np.zeros((2, 3))
    chart[:, :2] = triangle.axes
    third = Fraction(1, 3)
    zero = triangle.zero if from_zero else None
    if zero is None:
        origin = points[0]
        chart[:, 2] = 1.0 / 3.0
        mean = [third - Fraction(s) for s in chart[:, 2].tolist()]
    else:
        origin = np.zeros(len(points[0]))
        mean = [third - s for s in zero]
    (a, b), (_, c) = ([Fraction(x) for x in row] for row in triangle.axes.tolist())
    point = ((mean[0] - b * mean[1] / c) / a, mean[1] / c)
    ends = np.ascontiguousarray(points[1:].T)
    return Slice(origin, ends, limits, points[0], chart, point)


def nets_and_points(
    through: Data | None,
    net: Network | str | os.PathLike[str] | None,
    points: int | None,
    shape: Shape,
) -> tuple[Ensemble, Array]:
    """Return the network, and the points `(m, n0)` of a line, a plane or a path.

    Raises ValueError for several networks, and points that are not of as many coordinates as the
    network has inputs, which by default are as many.
    """
    if through is None:
        nets = ensemble(net, **shape)
        data = _drawn_points(nets, POINTS if points is None else points)
    elif points is not None:
        raise ValueError("points must not come with through")
    else:
        data = data_of(through, "through")
        if net is None and shape.get("n0") is None:
            shape = {**shape, "n0": data.shape[1]}
        nets = ensemble(net, **shape)
    if nets.samples > 1:
        raise ValueError(f"samples must be 1 where through is given, not {nets.samples}")
    if data.shape[1] != nets.n0:
        raise ValueError(
            f"through must hold points of {nets.n0} coordinates, as n0 is {nets.n0}, not "
            f"{data.shape[1]}"
        )
    return nets, data


def _drawn_points(nets: Ensemble, points: int) -> Array:
    """Return points with N(0, 1) coordinates, of a stream that no network and no slice has."""
    count = check_integer("points", points, minimum=2)
    check_memory(16 * count * nets.n0, "points and n0 must be smaller: the points")
    return normals(nets.seed, streams.SLICE_POINTS.first, count * nets.n0).reshape(count, nets.n0)


def _expected(nets: Ensemble, along: Along, radius: float | None) -> float:
    if nets.law is None:
        return math.nan
    if along == "plane" or radius is None or nets.n0 == 1:
        dimension = 1 if along == "line" else 2
        return expected_regions(dimension, nets.widths, **nets.law, box=radius)
    # A line's distance is h = R exp(-y^2/(n0 - 1)), with y^2 exponential: smooth in y. Beyond y = 7
    # there is 1e-21 of the mass.
    nodes, weights = np.polynomial.legendre.leggauss(80)
    y = 3.5 * (nodes + 1.0)
    mass = 3.5 * weights * 2.0 * y * np.exp(-y * y)
    log = -y * y / (nets.n0 - 1)
    h, half = radius * np.exp(log), radius * np.sqrt(-np.expm1(2.0 * log))
    total = 1.0
    for n, g in zip(nets.widths, _scales(nets), strict=True):
        total += n * 2.0 / math.pi * float(mass @ np.arctan2(half, np.hypot(g, h)))
    return total


def _expected_on_segment(nets: Ensemble, first: Array, second: Array) -> float:
    """Return 1 + sum_l n_l/pi (atan(t_1/G) - atan(t_0/G)), G^2 = g_l^2 + h^2.

    h is the distance of the line from 0, t_0 and t_1 the ends counted from the point nearest to 0,
    all over sqrt(n0): on the line, a neuron of layer l is at t normal of variance t^2 + G^2, with
    a slope of variance 1, up to one factor, and so its zeros have the density G/(pi (t^2 + G^2)).
    """
    if nets.law is None:
        return math.nan
    # In a unit in which no square overflows; angles have none.
    a, b, unit = _scaled(first, second)
    length = float(np.linalg.norm(b - a))
    if length == 0.0:
        return 1.0
    direction = (b - a) / length
    start = float(a @ direction)
    h = float(np.linalg.norm(a - start * direction))
    scale = math.sqrt(nets.n0)
    total = 1.0
    for n, g in zip(nets.widths, _scales(nets), strict=True):
        with np.errstate(over="ignore"):
            away = math.hypot(float(np.ldexp(g, -unit)), h / scale)
        angle = math.atan2((start + length) / scale, away) - math.atan2(start / scale, away)
        total += n * angle / math.pi
    return total


def _expected_on_line(nets: Ensemble, points: Array, radius: float | None) -> float:
    """Return the mean over random networks on the line through two points, or a part of it."""
    if nets.law is None:
        return math.nan
    if nets.law["cw"] == 0.0:  # nothing depends on the input
        return 1.0
    if radius is None:
        # The line is seen at an angle of pi from any distance above 0.
        return 1.0 + sum(nets.widths) if nets.law["cb"] > 0.0 else math.nan
    first, second = points
    middle = 0.5 * first + 0.5 * second
    half = (0.5 * second - 0.5 * first) * (2.0 / _distance(first, second)) * radius
    return _expected_on_segment(nets, middle - half, middle + half)


def _distance(first: Array, second: Array) -> float:
    """Return the distance of two points, whose squares may overflow or be 0."""
    a, b, unit = _scaled(first, second)
    try:
        return math.ldexp(float(np.linalg.norm(b - a)), unit)
    except OverflowError:
        return math.inf


def _scaled(first: Array, second: Array) -> tuple[Array, Array, int]:
    """Return both over 2^e, their largest coordinate from 1/2 to 1, or in all 0; and e."""
    unit = math.frexp(max(float(np.abs(first).max()), float(np.abs(second).max())))[1]
    return np.ldexp(first, -unit), np.ldexp(second, -unit), unit


def _scales(nets: Ensemble) -> Sequence[float]:
    """Return g_1, ..., g_L for one input: g_l^2 = (cb/cw) sum_(j < l) (2/cw)^j."""
    law = nets.law or {}
    cw, cb = law["cw"], law["cb"]
    if cw == 0.0:  # nothing depends on the input
        return [math.inf] * len(nets.widths)
    with np.errstate(over="ignore"):
        sums = np.cumsum(np.power(2.0 / cw, np.arange(len(nets.widths))))
        scales: list[float] = (math.sqrt(cb / cw) * np.sqrt(sums)).tolist()
    return scales
