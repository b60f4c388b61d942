"""Lines, planes and segments in the input space of a ReLU network, and its regions on one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._networks.ensemble import MAX_SAMPLES, Ensemble
from nnth._networks.network import Network
from nnth._regions.core_counts import RegionCounts, core_network, count_core
from nnth._regions.domains import core_domain
from nnth._regions.lengths import distance
from nnth._regions.triangle import Triangle
from nnth._runtime.random import normals, uniforms
from nnth._runtime.typing import Progress

Array = NDArray[np.float64]
Along = Literal["line", "plane"]


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


def count_slice(
    network: Network, where: Slice, *, threads: int = 0, progress: Progress | None = None
) -> RegionCounts:
    """Return the exact counts of a network on a slice of its input space."""
    return count_core(
        core_slice(network, where),
        core_domain(where.limits, where.dimension),
        where.point,
        threads=threads,
        progress=progress,
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
    length = distance(points[0], points[1])
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
