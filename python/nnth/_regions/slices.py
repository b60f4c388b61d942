"""Regions of ReLU networks on lines and planes and along paths, for inputs of any dimension.

On a line or plane through 0 a random network has the distribution of a network with one input or
two. Lines drawn uniformly among those that meet a ball measure the boundary between regions
(Crofton).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._data.data import Data, data_of
from nnth._data.files import File, file_of
from nnth._networks.ensemble import MAX_SAMPLES, Ensemble, Tasks, ensemble
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
from nnth._runtime.work import assigned_range, validated
from nnth._tables.plot import Drawing
from nnth._tables.statistics import mean_of, z_score
from nnth._tables.table import Meta, Table

Array = NDArray[np.float64]
Along = Literal["line", "plane"]

POINTS: Final = 10  # random points of a path by default


@dataclass(frozen=True, eq=False)
class Slice:
    """The points origin + (ends - start) @ s, s = chart @ (t, 1), for t within limits or all t.

    The core takes every number exactly: differences are not rounded, so that a slice through points
    contains these points.

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
        """The dimension d: 1 for lines, 2 for planes."""
        return int(self.ends.shape[1])

    @property
    def directions(self) -> Array:
        """The derivative of the input by each coordinate, rounded: `(n0, d)`."""
        differences: Array = self.ends - self.start[:, None]
        return differences if self.chart is None else differences @ self.chart[:, :-1]

    @property
    def center(self) -> Array:
        """The input at t = 0, rounded: `(n0,)`."""
        if self.chart is None:
            return self.origin
        center: Array = self.origin + (self.ends - self.start[:, None]) @ self.chart[:, -1]
        return center


def regions_along(
    along: Along,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    domain: Domain = "space",
    box: float = 1.0,
    lines: int = 100,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the mean numbers of regions on random lines or planes, each counted exactly.

    With N hidden neurons, a line or plane through 0 meets on average::

        1 + N regions on the line,  1 + N + C(N, 2) regions on the plane

    Points are `x = t u` with `|u|^2 = n0`, or `t_1 u + t_2 v` with `|u|^2 = |v|^2 = n0/2`: in t a
    random network is one with n0 = 1 or 2, in a box of the same R.

    Args:
        along: "line" or "plane".
        net: A Network; the path of a file that `nnth.load_network` reads; a name such as
            "telgarsky:5"; or None for random networks, which the arguments up to `n0` describe.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension; 2 if None.
        domain: "space" for whole lines and planes through 0, of uniform direction; "box" for the
            square `|t_1|, |t_2| <= R` on planes through 0, and for lines that meet the ball
            `|x| <= R sqrt(n0)`, uniform in direction and position, within the ball.
        box: R, > 0.
        lines: The number of random lines or planes for each network, at least 1.
        samples: The number of random networks; 1 if None.
        seed: Networks and slices are functions of (seed, sample, slice).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table of one row with the columns of `nnth.regions`, means over all slices of all networks
        (exact_signs is a total), and boundary_density: for lines in a box the (n0 - 1)-dimensional
        measure of the boundary between regions per volume of the ball,
        (activation_regions - 1) n0/(2 R sqrt(n0)), otherwise NaN. The region around the point is
        that around 0, or around the point of a line nearest to 0.

        `expected` is the mean over random networks; over lines in the ball it is
        1 + sum_l n_l (2/pi) E[atan(T/sqrt(g_l^2 + h^2))], with h sqrt(n0) the distance of a line
        from 0, T = sqrt(R^2 - h^2), g_l^2 = (cb/cw) sum_(j < l) (2/cw)^j. Slices of one network are
        independent only given the network: with several samples `stderr` is that of the means of
        the networks and z compares these with `expected`; with one sample it is the standard error
        over the slices of this network, and z is NaN.

    Raises:
        ValueError: If an argument is out of range.
        KeyboardInterrupt: With the counts done so far.

    Accuracy: counts are exact for the doubles of each slice. Cost: a line takes one product of each
    layer with a vector for each piece.

    Example:
        >>> table = nnth.regions_along("line", n0=100, widths=[16, 16], lines=10)
        >>> float(table["expected"][0])
        33.0

    Source: Hanin and Rolnick (2019); Santalo (2004), chapter 14, for the formula of Crofton.
    """
    networks = ensemble(
        net,
        width=width,
        depth=depth,
        widths=widths,
        n_out=n_out,
        cb=cb,
        cw=cw,
        n0=n0,
        samples=samples,
        seed=seed,
    )
    return along_table(along, networks, domain, box, lines, threads, progress)


@serial_blas
def along_table(
    along: Along,
    networks: Ensemble,
    domain: Domain,
    box: float,
    lines: int,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the Table of `regions_along`."""
    check_domain(domain, box)
    if along not in ("line", "plane"):
        raise ValueError(f"along must be line or plane, not {along!r}")
    if along == "plane" and networks.n0 < 2:
        raise ValueError(f"n0 must be at least 2 for a plane, not {networks.n0}")
    lines = check_integer("lines", lines)
    if lines >= MAX_SAMPLES:
        raise ValueError(f"lines must be below {MAX_SAMPLES}, not {lines}")
    radius = box if domain == "box" else None
    check_memory_of_counts(networks.samples * lines, len(networks.widths), "samples and lines")

    counts = _count_along(along, networks, lines, radius, threads, progress)
    means = [float(np.mean([c.activation_regions for c in slices])) for slices in counts]
    every = [c for slices in counts for c in slices]
    several = networks.samples > 1
    each = means if several else [float(number(c.activation_regions)) for c in every]
    mean, stderr = mean_of(np.array(each))
    expected = _expected(networks, along, radius)
    dimension = 1 if along == "line" else 2
    density = math.nan
    if along == "line" and radius is not None:
        density = (mean - 1.0) * networks.n0 / (2.0 * radius * math.sqrt(networks.n0))
    columns = count_columns(every) | {
        "expected": expected,
        "upper_bound": number(best_upper(dimension, networks.widths)),
        "stderr": stderr,
        "z": float(z_score(mean - expected, stderr)) if several else math.nan,
        "note": note_on_count(len(networks.widths), means, stderr if several else math.nan),
    }
    parameters = networks.parameters() | {"domain": domain, "box": radius}
    parameters |= {"along": along, "lines": lines}
    columns |= cell_columns(every) | {"boundary_density": density}
    picture = partial(picture_of, networks, along, check_domain(domain, box), threads)
    return one_row(columns, parameters, networks).with_drawing(picture)


def _count_along(
    along: Along,
    networks: Ensemble,
    lines: int,
    radius: float | None,
    threads: int,
    progress: Progress | None,
) -> list[list[RegionCounts]]:
    """Return the counts on the slices of each network."""
    assigned = assigned_range(networks.samples)
    if assigned.ready is not None:
        return assigned.ready  # type: ignore[no-any-return]
    counts: list[list[RegionCounts]] = []
    with Tasks(assigned.count * lines, "slice", progress) as tasks:
        for sample in range(assigned.first, assigned.first + assigned.count):
            network = networks.network(sample)
            counts.append([])
            for where in random_slices(along, networks, sample, lines, radius):
                found = count_slice(network, where, threads=threads, progress=tasks.part)
                counts[-1].append(found)
                tasks.finish(found.activation_regions)
    return assigned.record(counts)


def regions_through(
    through: Data | None = None,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    points: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the exact numbers of regions on the segments between points, a row for each segment.

    The mean over random networks is exact for one hidden layer, and for more the limit of large
    widths. With the angle under which the segment is seen from distance g_l::

        expected = 1 + sum_l (n_l/pi) angle_l

    Args:
        through: The points `(m, n0)`, m >= 2, finite; or a data file.
        net: A Network; the path of a file that `nnth.load_network` reads; a name such as
            "telgarsky:5"; or None for random networks, which the arguments up to `n0` describe.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension; that of the points, or 2, if None.
        points: Without `through`, the number of points drawn with N(0, 1) coordinates; 10 if None.
        seed: The seed of the network and of random points.
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table of m - 1 rows: segment, 1 to m - 1; activation_regions and linear_regions of the
        open segment; exact_signs; expected, NaN for a given network; length.

    Raises:
        ValueError: If an argument is out of range, or the points do not have n0 coordinates.

    Accuracy: counts are exact for the points as their doubles have them: neither the line through
    two points nor its ends are rounded, and a repeated point is a segment of one region.

    Example:
        >>> table = nnth.regions_through([[0.0], [1.0]], "telgarsky:4")
        >>> table["linear_regions"].tolist(), table["length"].tolist()
        ([16], [1.0])

    Source: Hanin and Rolnick (2019).
    """
    data, n0 = points_and_dimension(through, points, net, n0)
    networks = ensemble(
        net,
        width=width,
        depth=depth,
        widths=widths,
        n_out=n_out,
        cb=cb,
        cw=cw,
        n0=n0,
        seed=seed,
    )
    return through_table(networks, data, points, file_of(through), threads, progress)


@serial_blas
def through_table(
    networks: Ensemble,
    given: Array | None,
    points: int | None,
    through: File,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the Table of `regions_through`, given the points or their number."""
    data = checked_points(networks, given, points)
    if len(data) < 2:
        raise ValueError(f"through must hold at least 2 points, not {len(data)}")
    validated()
    network = networks.network(0)
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
        "expected": [_expected_on_segment(networks, a, b) for a, b in pairwise(data)],
        "length": [_distance(a, b) for a, b in pairwise(data)],
    }
    parameters = networks.parameters() | {"through": through, "points": len(data)}
    fixed = networks.given is not None and given is not None
    meta = Meta("regions", parameters, seed=None if fixed else networks.seed)
    return Table(
        columns, meta, plot=partial(_picture, networks, tuple(segments(data)), "point", threads)
    )


def _picture(networks: Ensemble, slices: tuple[Slice, ...], along: str, threads: int) -> Drawing:
    """Return the picture of the first network on the given slices."""
    from nnth._regions.pictures import Place

    names = {"line": ("$t$",), "plane": ("$t_1$", "$t_2$"), "point": ("point",)}[along]
    return Place(networks.network(0), slices, names).picture(threads=threads)


def regions_on_line(
    through: Data,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    domain: Domain = "space",
    box: float = 1.0,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the exact numbers of regions on the line through two points, in one row.

    The coordinate t is the length from the middle of the points towards the second::

        x = (x_1 + x_2)/2 + t (x_2 - x_1)/|x_2 - x_1|

    Args:
        through: The two points `(2, n0)`, or a data file.
        net: A Network; the path of a file that `nnth.load_network` reads; a name such as
            "telgarsky:5"; or None for random networks, which the arguments up to `n0` describe.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension; that of the points, or 2, if None.
        domain: "space" for the whole line, or "box" for the segment `|t| <= box`.
        box: Half the length of the segment, > 0.
        seed: The seed of the network.
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table of one row with the columns of `nnth.regions`. The region around the point is that
        around the middle; `expected` is the mean over random networks as in
        `nnth.regions_through`, NaN for a given network, and on the whole line for networks without
        biases.

    Raises:
        ValueError: If an argument is out of range, or the distance of the points is not from 1e-300
            to 1e300.

    Accuracy: counts are exact for the line that contains the points as their doubles have them. A
    box is a segment of length 2 R up to rounding.

    Example:
        >>> table = nnth.regions_on_line([[0.0, 0.0], [1.0, 1.0]], width=8)
        >>> int(table["activation_regions"][0]), float(table["expected"][0])
        (9, 9.0)

    Source: Hanin and Rolnick (2019).
    """
    data, n0 = points_and_dimension(through, None, net, n0)
    networks = ensemble(
        net,
        width=width,
        depth=depth,
        widths=widths,
        n_out=n_out,
        cb=cb,
        cw=cw,
        n0=n0,
        seed=seed,
    )
    return on_line_table(networks, data, domain, box, file_of(through), threads, progress)


@serial_blas
def on_line_table(
    networks: Ensemble,
    given: Array | None,
    domain: Domain,
    box: float,
    through: File,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the Table of `regions_on_line`."""
    data = checked_points(networks, given, None)
    where = line_through(data, check_domain(domain, box))
    expected = _expected_on_line(networks, data, None if where.limits is None else box)
    return _on_slice("line", where, networks, through, box, expected, threads, progress)


def regions_on_plane(
    through: Data,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    domain: Domain = "space",
    box: float = 1.0,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the exact numbers of regions on the plane through three points, in one row.

    The coordinates t are lengths from the mean of the points, along orthonormal axes u and v of
    which u has the direction from the first point to the second::

        x = (x_1 + x_2 + x_3)/3 + t_1 u + t_2 v

    Args:
        through: The three points `(3, n0)`, not on a line, or a data file.
        net: A Network; the path of a file that `nnth.load_network` reads; a name such as
            "telgarsky:5"; or None for random networks, which the arguments up to `n0` describe.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension; that of the points, or 2, if None.
        domain: "space" for the whole plane, or "box" for the square `|t_1|, |t_2| <= box`, which
            depends on the order of the points.
        box: Half the side of the square, > 0.
        seed: The seed of the network.
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table of one row with the columns of `nnth.regions`. The region around the point is that
        around the mean of the points; `expected` is NaN.

    Raises:
        ValueError: If an argument is out of range, the points are on a line, or a side or height of
            their triangle is not from 1e-300 to 1e300.

    Accuracy: counts are exact for the plane that contains the points as their doubles have them,
    and 0 if it is on their plane; whether points are on a line is decided exactly. A box is a
    square up to 2^-52 times the ratio of the longest side of the triangle to its least height.

    Example:
        >>> corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
        >>> int(nnth.regions_on_plane(corners, width=8)["activation_regions"][0])
        37

    Source: Hanin and Rolnick (2019).
    """
    data, n0 = points_and_dimension(through, None, net, n0)
    networks = ensemble(
        net,
        width=width,
        depth=depth,
        widths=widths,
        n_out=n_out,
        cb=cb,
        cw=cw,
        n0=n0,
        seed=seed,
    )
    return on_plane_table(networks, data, domain, box, file_of(through), threads, progress)


@serial_blas
def on_plane_table(
    networks: Ensemble,
    given: Array | None,
    domain: Domain,
    box: float,
    through: File,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the Table of `regions_on_plane`."""
    data = checked_points(networks, given, None)
    where = plane_through(data, check_domain(domain, box), from_zero=domain == "space")
    return _on_slice("plane", where, networks, through, box, math.nan, threads, progress)


def _on_slice(
    along: Along,
    where: Slice,
    networks: Ensemble,
    through: File,
    box: float,
    expected: float,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the counts of one network on the line or plane through given points, in one row."""
    validated()
    with Tasks(1, along, progress) as tasks:
        counts = [count_slice(networks.network(0), where, threads=threads, progress=tasks.part)]
    columns = count_columns(counts) | {
        "expected": expected,
        "upper_bound": number(best_upper(where.dimension, networks.widths)),
        "stderr": math.nan,
        "z": math.nan,
    }
    parameters = networks.parameters() | {
        "domain": "space" if where.limits is None else "box",
        "box": None if where.limits is None else box,
        "through": through,
        "along": along,
    }
    picture = partial(_picture, networks, (where,), along, threads)
    return one_row(columns | cell_columns(counts), parameters, networks).with_drawing(picture)


def count_slice(
    network: Network, where: Slice, *, threads: int = 0, progress: Progress | None = None
) -> RegionCounts:
    """Return the exact counts of a network on a slice of its input space."""
    return count_core(
        core_slice(network, where), where.limits, where.point, threads=threads, progress=progress
    )


def core_slice(network: Network, where: Slice) -> _core.RegionNetwork:
    """Return the core's network on a slice."""
    chart = np.empty(0) if where.chart is None else where.chart
    return core_network(network).on_slice(where.origin, where.ends, where.start, chart)


def random_slices(
    along: Along, networks: Ensemble, sample: int, count: int, radius: float | None
) -> Iterator[Slice]:
    """Yield the slices of network `sample` that `regions_along` describes.

    Slice i is drawn from stream (sample + 1) 2^32 + i, which no network uses.
    """
    n0 = networks.n0
    for i in range(count):
        stream = (sample + 1) * MAX_SAMPLES + i
        drawn = normals(networks.seed, stream, 2 * n0).reshape(2, n0)
        u = drawn[0] / np.linalg.norm(drawn[0])
        across = drawn[1] - (drawn[1] @ u) * u
        across -= (across @ u) * u  # again, to correct for the rounding of the first time
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
            # The offset is uniform in the ball across u: its radius is a power of a uniform number.
            uniform = float(uniforms(networks.seed, stream, 1, 2 * n0)[0])
            fraction = uniform ** (1.0 / (n0 - 1))
            half = radius * math.sqrt(-math.expm1(2.0 * math.log(uniform) / (n0 - 1)))
            origin = across * (fraction * radius * math.sqrt(n0) / float(np.linalg.norm(across)))
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

    from_zero: if 0 is on the plane, take lengths from 0: the regions of a network without biases
    are cones there, and signs at 0 need no exact arithmetic.
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


def points_and_dimension(
    through: Data | None, points: int | None, net: object, n0: int | None
) -> tuple[Array | None, int | None]:
    """Return the given points `(m, n0)`, if any, and n0, by default that of the points."""
    if through is None:
        return None, n0
    if points is not None:
        raise ValueError("points must not come with through")
    data = data_of(through, "through")
    return data, data.shape[1] if net is None and n0 is None else n0


def checked_points(networks: Ensemble, data: Array | None, points: int | None) -> Array:
    """Return the points `(m, n0)`, which are random if none are given.

    Raises ValueError unless the inputs of the networks have as many coordinates.
    """
    if data is None:
        return _random_points(networks, POINTS if points is None else points)
    if data.shape[1] != networks.n0:
        raise ValueError(
            f"through must hold points of {networks.n0} coordinates, as n0 is {networks.n0}, not "
            f"{data.shape[1]}"
        )
    return data


def _random_points(networks: Ensemble, points: int) -> Array:
    """Return points with N(0, 1) coordinates, from a stream that no network and no slice uses."""
    count = check_integer("points", points, minimum=2)
    check_memory(16 * count * networks.n0, "points and n0 must be smaller: the points")
    return normals(networks.seed, streams.SLICE_POINTS.first, count * networks.n0).reshape(
        count, networks.n0
    )


def _expected(networks: Ensemble, along: Along, radius: float | None) -> float:
    """Return the mean over random networks and random slices; NaN for a given network."""
    if networks.variances is None:
        return math.nan
    if along == "plane" or radius is None or networks.n0 == 1:
        dimension = 1 if along == "line" else 2
        return expected_regions(dimension, networks.widths, **networks.variances, box=radius)
    # The distance of a line is h = R exp(-y^2/(n0 - 1)) with an exponential variable y^2, so that
    # the integrand is smooth in y. The mass beyond y = 7 is 1e-21.
    nodes, weights = np.polynomial.legendre.leggauss(80)
    y = 3.5 * (nodes + 1.0)
    mass = 3.5 * weights * 2.0 * y * np.exp(-y * y)
    log = -y * y / (networks.n0 - 1)
    h, half = radius * np.exp(log), radius * np.sqrt(-np.expm1(2.0 * log))
    total = 1.0
    for n, g in zip(networks.widths, _scales(networks), strict=True):
        total += n * 2.0 / math.pi * float(mass @ np.arctan2(half, np.hypot(g, h)))
    return total


def _expected_on_segment(networks: Ensemble, first: Array, second: Array) -> float:
    """Return 1 + sum_l n_l/pi (atan(t_1/G) - atan(t_0/G)), G^2 = g_l^2 + h^2.

    h is the distance of the line from 0 and t_0, t_1 are the ends measured from the point nearest
    to 0, all divided by sqrt(n0). At t, a neuron of layer l is normal with variance t^2 + G^2 and
    has a derivative of variance 1, up to a common factor, so that its zeros have the density
    G/(pi (t^2 + G^2)).
    """
    if networks.variances is None:
        return math.nan
    # In a unit in which no square overflows; angles do not depend on it.
    a, b, unit = _scaled(first, second)
    length = float(np.linalg.norm(b - a))
    if length == 0.0:
        return 1.0
    direction = (b - a) / length
    start = float(a @ direction)
    h = float(np.linalg.norm(a - start * direction))
    scale = math.sqrt(networks.n0)
    total = 1.0
    for n, g in zip(networks.widths, _scales(networks), strict=True):
        with np.errstate(over="ignore"):
            away = math.hypot(float(np.ldexp(g, -unit)), h / scale)
        angle = math.atan2((start + length) / scale, away) - math.atan2(start / scale, away)
        total += n * angle / math.pi
    return total


def _expected_on_line(networks: Ensemble, points: Array, radius: float | None) -> float:
    """Return the mean over random networks on the line through two points, or on a segment."""
    if networks.variances is None:
        return math.nan
    if networks.variances["cw"] == 0.0:  # the network does not depend on the input
        return 1.0
    if radius is None:
        # A whole line has the angle pi as seen from any point off the line.
        return 1.0 + sum(networks.widths) if networks.variances["cb"] > 0.0 else math.nan
    first, second = points
    middle = 0.5 * first + 0.5 * second
    half = (0.5 * second - 0.5 * first) * (2.0 / _distance(first, second)) * radius
    return _expected_on_segment(networks, middle - half, middle + half)


def _distance(first: Array, second: Array) -> float:
    """Return the distance of two points, also where squares would overflow or vanish."""
    a, b, unit = _scaled(first, second)
    try:
        return math.ldexp(float(np.linalg.norm(b - a)), unit)
    except OverflowError:
        return math.inf


def _scaled(first: Array, second: Array) -> tuple[Array, Array, int]:
    """Return both points divided by 2^e, and e: the largest coordinate is from 1/2 to 1, or 0."""
    unit = math.frexp(max(float(np.abs(first).max()), float(np.abs(second).max())))[1]
    return np.ldexp(first, -unit), np.ldexp(second, -unit), unit


def _scales(networks: Ensemble) -> Sequence[float]:
    """Return g_1, ..., g_L for one input: g_l^2 = (cb/cw) sum_(j < l) (2/cw)^j."""
    variances = networks.variances or {}
    cw, cb = variances["cw"], variances["cb"]
    if cw == 0.0:  # the network does not depend on the input
        return [math.inf] * len(networks.widths)
    with np.errstate(over="ignore"):
        sums = np.cumsum(np.power(2.0 / cw, np.arange(len(networks.widths))))
        scales: list[float] = (math.sqrt(cb / cw) * np.sqrt(sums)).tolist()
    return scales
