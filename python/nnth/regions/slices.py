"""Regions of ReLU networks along random lines and planes, and along paths: for inputs of any size.

On a line or plane through 0 a random network has the law of a network with one input or two; lines
that meet a ball in all ways alike measure the boundary between regions (Crofton's formula).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth.checks import whole
from nnth.data import Data, data_of
from nnth.ensemble import MAX_SAMPLES, Ensemble, Shape, Tasks, ensemble
from nnth.files import file_of
from nnth.network import Network
from nnth.random import normals, uniforms
from nnth.regions.bounds import expected_regions
from nnth.regions.counts import (
    Domain,
    RegionCounts,
    best_upper,
    cell_columns,
    check_domain,
    core_network,
    count_columns,
    count_core,
    number,
    one_row,
    standard_error,
    z_score,
)
from nnth.table import Meta, Table
from nnth.typing import Progress
from nnth.work import begin, sampled

Array = NDArray[np.float64]
Along = Literal["line", "plane"]


@dataclass(frozen=True)
class Slice:
    """The points origin + directions @ t, with t in limits[0] <= t_j <= limits[1] or everywhere.

    origin: `(n0,)`; directions: `(n0, d)`, d = 1 or 2.
    """

    origin: Array
    directions: Array
    limits: tuple[float, float] | None

    @property
    def dimension(self) -> int:
        """1 for lines, 2 for planes."""
        return int(self.directions.shape[1])


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
    lines = whole("lines", lines)
    if lines >= MAX_SAMPLES:
        raise ValueError(f"lines must be below {MAX_SAMPLES}, not {lines}")
    radius = box if domain == "box" else None

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

    counts = sampled(count_range, nets.samples)
    means = [float(np.mean([c.activation_regions for c in of_net])) for of_net in counts]
    every = [c for of_net in counts for c in of_net]
    mean = float(np.mean(means))
    several = nets.samples > 1
    stderr = standard_error(means if several else [c.activation_regions for c in every])
    expected = _expected(nets, along, radius)
    dimension = 1 if along == "line" else 2
    density = math.nan
    if along == "line" and radius is not None:
        density = (mean - 1.0) * nets.n0 / (2.0 * radius * math.sqrt(nets.n0))
    columns = count_columns(every) | {
        "expected": expected,
        "upper_bound": number(best_upper(dimension, nets.widths)),
        "stderr": stderr,
        "z": z_score(mean, expected, stderr) if several else math.nan,
    }
    parameters = nets.parameters() | {"domain": domain, "box": radius}
    parameters |= {"along": along, "lines": lines}
    return one_row(columns | cell_columns(every) | {"boundary_density": density}, parameters, nets)


def regions_through(
    points: Data,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return the numbers of regions along the segments between points, a row a segment.

    points: `(m, n0)`, m >= 2, finite; or the path of a file that `nnth.load_data` reads.
    net, threads, progress and the shape (of one sample): as in `nnth.regions`.

    Returns a Table of m - 1 rows: segment (1..m-1), activation_regions and linear_regions that
    the open segment has, exact_signs, expected, length. `expected` is the mean over random
    networks, 1 + sum_l (n_l/pi) (angle at which the segment is seen from distance g_l), which is
    exact for one hidden layer and the limit of large widths for more; NaN for a given network.

    Accuracy: exact for the line from the first point in the direction of the difference of the
    two, rounded to doubles. Raises ValueError for arguments out of range.
    """
    nets = ensemble(net, **shape)
    data = path_points(points, nets)
    if len(data) < 2:
        raise ValueError(f"through must hold at least 2 points, not {len(data)}")
    begin()
    network = nets.network(0)
    counts, expected = [], []
    with Tasks(len(data) - 1, "segment", progress) as tasks:
        for where in segments(data):
            counts.append(count_slice(network, where, threads=threads, progress=tasks.part))
            expected.append(_expected_on_segment(nets, where))
            tasks.finish(counts[-1].activation_regions)
    columns = {
        "segment": np.arange(1, len(data)),
        "activation_regions": [c.activation_regions for c in counts],
        "linear_regions": [c.linear_regions for c in counts],
        "exact_signs": [c.exact_signs or 0 for c in counts],
        "expected": expected,
        "length": np.linalg.norm(np.diff(data, axis=0), axis=1),
    }
    parameters = nets.parameters() | {"through": file_of(points)}
    return Table(columns, Meta("regions", parameters, seed=None if nets.given else nets.seed))


def regions_on_plane(
    points: Data,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    domain: Domain = "space",
    box: float = 1.0,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return the numbers of regions on the plane through three points, in one row.

    points: `(3, n0)`, not on a line; or a file. Coordinates on the plane are lengths from the mean
    of the points, the first axis along the second point minus the first. Else as `nnth.regions`;
    the region looked at is the one around the mean, and `expected` is NaN.
    """
    nets = ensemble(net, **shape)
    where = plane_through(path_points(points, nets), check_domain(domain, box))
    begin()
    with Tasks(1, "plane", progress) as tasks:
        counts = [count_slice(nets.network(0), where, threads=threads, progress=tasks.part)]
    columns = count_columns(counts) | {
        "expected": math.nan,
        "upper_bound": number(best_upper(2, nets.widths)),
        "stderr": math.nan,
        "z": math.nan,
    }
    parameters = nets.parameters() | {
        "domain": domain,
        "box": box if domain == "box" else None,
        "through": file_of(points),
        "along": "plane",
    }
    return one_row(columns | cell_columns(counts), parameters, nets)


def count_slice(
    network: Network, where: Slice, *, threads: int = 0, progress: Progress | None = None
) -> RegionCounts:
    """Return the exact counts of a network on a slice of its input space."""
    origin = [0.0] * where.dimension
    point = origin if where.limits is None or where.limits[0] < 0.0 < where.limits[1] else None
    return count_core(
        core_slice(network, where), where.limits, point, threads=threads, progress=progress
    )


def core_slice(network: Network, where: Slice) -> _core.RegionNetwork:
    """Return the core's description of a network on a slice."""
    return core_network(network).on_slice(where.origin, where.directions)


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
            yield Slice(np.zeros(n0), plane, limits)
        else:
            direction = (u * math.sqrt(n0))[:, None]
            if radius is None or n0 == 1:
                limits = None if radius is None else (-radius, radius)
                yield Slice(np.zeros(n0), direction, limits)
                continue
            # Uniform in the ball across: the radius is a power of a uniform.
            uniform = float(uniforms(nets.seed, stream, 1, 2 * n0)[0])
            share = uniform ** (1.0 / (n0 - 1))
            half = radius * math.sqrt(-math.expm1(2.0 * math.log(uniform) / (n0 - 1)))
            origin = across * (share * radius * math.sqrt(n0) / float(np.linalg.norm(across)))
            yield Slice(origin, direction, (-half, half))


def segments(points: Array) -> Iterator[Slice]:
    """Yield the segments from each point to the next, t in [0, 1]."""
    for a, b in pairwise(points):
        yield Slice(a, (b - a)[:, None], (0.0, 1.0))


def plane_through(points: Array, limits: tuple[float, float] | None) -> Slice:
    """Return the plane through three points, with an orthonormal basis; see regions_on_plane."""
    if len(points) != 3:
        raise ValueError(f"through must hold 3 points for a plane, not {len(points)}")
    basis, size = np.linalg.qr((points[1:] - points[0]).T)
    if len(points[0]) < 2 or abs(size[1, 1]) <= 1e-12 * np.abs(size).max():
        raise ValueError("through must hold 3 points that are not on a line for a plane")
    signs = np.where(np.diag(size) < 0.0, -1.0, 1.0)
    return Slice(points.mean(axis=0), np.ascontiguousarray(basis * signs), limits)


def path_points(points: Data, nets: Ensemble) -> Array:
    """Return the points as `(m, n0)`; raise ValueError where they are not."""
    if nets.samples > 1:
        raise ValueError(f"samples must be 1 where through is given, not {nets.samples}")
    data = data_of(points, "through")
    if data.shape[1] != nets.n0:
        raise ValueError(
            f"through must hold points of {nets.n0} coordinates, as n0 is {nets.n0}, not "
            f"{data.shape[1]}"
        )
    return data


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


def _expected_on_segment(nets: Ensemble, where: Slice) -> float:
    """Return 1 + sum_l n_l/pi (atan(t_1/G) - atan(t_0/G)), G^2 = g_l^2 + h^2.

    h is the distance of the line from 0, t_0 and t_1 the ends counted from the point nearest to 0,
    all over sqrt(n0): on the line, a neuron of layer l is at t normal of variance t^2 + G^2, with
    a slope of variance 1, up to one factor, and so its zeros have the density G/(pi (t^2 + G^2)).
    """
    if nets.law is None:
        return math.nan
    direction = where.directions[:, 0]
    length = float(np.linalg.norm(direction))
    if length == 0.0:
        return 1.0
    unit = direction / length
    start = float(where.origin @ unit)
    h = float(np.linalg.norm(where.origin - start * unit))
    scale = math.sqrt(nets.n0)
    total = 1.0
    for n, g in zip(nets.widths, _scales(nets), strict=True):
        away = math.hypot(g, h / scale)
        angle = math.atan2((start + length) / scale, away) - math.atan2(start / scale, away)
        total += n * angle / math.pi
    return total


def _scales(nets: Ensemble) -> Sequence[float]:
    """Return g_1, ..., g_L for one input: g_l^2 = (bias_var/cw) sum_(j < l) (2/cw)^j."""
    law = nets.law or {}
    cw, bias_var = law["cw"], law["bias_var"]
    sums = np.cumsum(np.power(2.0 / cw, np.arange(len(nets.widths))))
    scales: list[float] = (math.sqrt(bias_var / cw) * np.sqrt(sums)).tolist()
    return scales
