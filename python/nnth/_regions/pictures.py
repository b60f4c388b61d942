"""Pictures of regions: the cells of a plane, or a function on a line with its breakpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from nnth._networks.ensemble import Ensemble
from nnth._networks.network import Network
from nnth._regions.cells import Cells, cells_of
from nnth._regions.core_counts import RegionCounts, count_core
from nnth._regions.domains import Domain, check_domain, core_domain
from nnth._regions.given_points import checked_points
from nnth._regions.slices import (
    Along,
    Slice,
    core_slice,
    line_through,
    plane_through,
    random_slices,
    segments,
)
from nnth._tables.plot import Drawing, Lines, Tessellation

Color = Literal["gradient", "layer", "pattern", "active"]

MAX_CELLS: Final = 300_000  # more cells than this are smaller than the pixels of a picture

_SHOWN_FRACTION: Final = 0.8  # the least fraction of the regions that a window shows
_MAX_STRETCH: Final = 3.0  # a window for all regions may be larger by at most this factor
_REACH: Final = 2.0**60
_MAX_NAMED: Final = 10  # more layers of breakpoints than this share one entry of the legend

_SCALES: Final[dict[Color, Literal["amounts", "steps", "names"]]] = {
    "gradient": "amounts",
    "layer": "steps",
    "pattern": "names",
    "active": "amounts",
}
_LABELS: Final[dict[Color, str]] = {
    "gradient": r"gradient norm $\|\partial z/\partial x\|_F$",
    "layer": "layer of the last cut",
    "pattern": "",
    "active": "active neurons",
}


@dataclass(frozen=True, eq=False)
class Place:
    """The place of a picture of regions: a plane, a line, or the segments of a path.

    names: the names of the coordinates. first: text such as "the first of 10 networks".
    """

    network: Network
    slices: tuple[Slice, ...]
    names: tuple[str, ...]
    first: str = ""

    def picture(self, color: Color = "gradient", *, threads: int = 0) -> Drawing:
        """Return the picture.

        A box is shown whole if it has at most 300,000 cells; otherwise it is halved until it has.
        In the whole space the window is a square around 0 with all vertices, or with four fifths of
        the regions if the others are far away. The note names the part that is shown. A function on
        a line is drawn with its breakpoints.

        color: "gradient" for the Frobenius norm of the Jacobian in the coordinates of the slice,
        "layer" for the last layer that cut the cell, "pattern" for one color per pattern, "active"
        for the number of active neurons.
        """
        if color not in _LABELS:
            raise ValueError(f"color must be {', '.join(_LABELS)}, not {color!r}")
        if len(self.slices) > 1 or self.names == ("point",):
            note = "the points are at 0, 1, 2, ..."
            pieces = [
                cells_of(self.network, where, (0.0, 1.0), threads=threads) for where in self.slices
            ]
            return curve(pieces, x_label="path", note=note)
        (where,) = self.slices
        limits, note = window(self.network, where, threads=threads)
        note = "; ".join(part for part in (self.first, note) if part)
        found = cells_of(self.network, where, limits, threads=threads)
        if where.dimension == 1:
            return curve([found], x_label=self.names[0], note=note)
        return tessellation(found, color, names=self.names, note=note)

    def cells(self, *, threads: int = 0) -> Cells:
        """Return the cells of the box; in the whole space, the cells of the picture."""
        (where,) = self.slices
        limits = where.limits or window(self.network, where, threads=threads)[0]
        return cells_of(self.network, where, limits, threads=threads)


def place(
    networks: Ensemble,
    *,
    along: Along | None = None,
    points: NDArray[np.float64] | None = None,
    domain: Domain = "space",
    box: float = 1.0,
) -> Place:
    """Return the place of the picture of a count: of the first network and the first slice.

    points: those of `regions_on_line` and `regions_on_plane`, or None for random slices.

    Raises ValueError for n0 above 2 without `along`.
    """
    limits = check_domain(domain, box)
    if along is not None and points is not None:
        through = plane_through if along == "plane" else line_through
        names = ("$t$",) if along == "line" else ("$t_1$", "$t_2$")
        where = through(checked_points(networks, points, None), limits)
        return Place(networks.network(0), (where,), names)
    return place_of(networks, along, limits)


def place_of(networks: Ensemble, along: Along | None, limits: tuple[float, float] | None) -> Place:
    """Return the place of the picture of the first network, on its first random slice if any."""
    network = networks.network(0)
    if along is not None:
        names = ("$t$",) if along == "line" else ("$t_1$", "$t_2$")
        slices = random_slices(along, networks, 0, 1, None if limits is None else limits[1])
        return Place(network, tuple(slices), names, f"the first random {along}")
    if networks.n0 > 2:
        raise ValueError(
            f"n0 must be 1 or 2 for a picture or cells, not {networks.n0}; "
            "nnth regions along line and along plane have a slice"
        )
    whole = Slice.along(np.zeros(networks.n0), np.eye(networks.n0), limits)
    names = ("$x$",) if networks.n0 == 1 else ("$x_1$", "$x_2$")
    first = f"the first of {networks.samples} networks" if networks.samples > 1 else ""
    return Place(network, (whole,), names, first)


def level_picture(
    network: Network,
    limits: tuple[float, float],
    level_sets: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
    threshold: float,
    note: str = "",
) -> Drawing:
    """Return the picture of a network on a box, with the polylines on which f = threshold.

    level_sets: points, first points and outputs, as `RegionMeasures.level_sets`.
    """
    where = Slice.along(np.zeros(network.n0), np.eye(network.n0), limits)
    shown, part = window(network, where)
    cells = cells_of(network, where, shown)
    points, first, _ = level_sets
    level = f"f = {threshold:g}"
    if network.n0 == 1:
        drawn = curve([cells], x_label="$x$", note="; ".join(n for n in (note, part) if n))
        at = points[(shown[0] <= points[:, 0]) & (points[:, 0] <= shown[1]), 0]
        series = (level, at, np.full(len(at), threshold), None)
        across = ("", np.array(shown), np.full(2, threshold))
        return replace(drawn, points=(*drawn.points, series), lines=(*drawn.lines, across))
    line = f"line: {level}" if len(points) else f"{level} nowhere in the box"
    note = "; ".join(n for n in (note, part, line) if n)
    lines = tuple(np.split(points, first[1:-1])) if len(points) else ()
    return replace(tessellation(cells, "gradient", note=note), lines=lines)


def path_place(
    networks: Ensemble, given: NDArray[np.float64] | None = None, points: int | None = None
) -> Place:
    """Return the place of the picture of a path, given its points or their number."""
    data = checked_points(networks, given, points)
    return Place(networks.network(0), tuple(segments(data)), ("point",))


def tessellation(
    cells: Cells, color: Color, *, names: Sequence[str] = ("$x_1$", "$x_2$"), note: str = ""
) -> Tessellation:
    """Return the picture of cells in the plane."""
    sides = cells.inner_sides
    ends = np.stack([cells.corners[sides], cells.corners[cells.next_corner[sides]]], axis=1)
    layers = cells.side_layers[sides]
    return Tessellation(
        first=cells.first,
        corners=cells.corners,
        values=_values(cells, color),
        edges=tuple(ends[layers == i] for i in range(len(cells.widths))),
        limits=cells.limits,
        scale=_SCALES[color],
        value_label=_LABELS[color],
        x_label=names[0],
        y_label=names[1],
        note=note,
    )


def curve(pieces: Sequence[Cells], *, x_label: str = "x", note: str = "") -> Lines:
    """Return the function on intervals of a line; several are drawn at [i, i + 1], i = 0, 1, ..."""
    xs, ys, layers = [], [], []
    for i, cells in enumerate(pieces):
        order = np.argsort(cells.centers[:, 0], kind="stable")
        left = cells.first[:-1][order]
        maps = cells.maps[order]
        ends = np.append(left, left[-1] + 1)
        t = cells.corners[ends, 0]
        maps = np.concatenate([maps, maps[-1:]])
        xs.append(t + i if len(pieces) > 1 else t)
        ys.append(maps[:, :, 0] * t[:, None] + maps[:, :, 1])
        layers.append(cells.side_layers[ends] + 1)
    x, y, layer = np.concatenate(xs), np.concatenate(ys), np.concatenate(layers)
    cut = np.unique(layer[layer > 0]).tolist()
    if len(cut) > _MAX_NAMED:
        note = "; ".join(part for part in (note, f"layers {cut[0]} (dark) to {cut[-1]}") if part)
    return Lines(
        lines=tuple(("", x, output) for output in y.T),
        points=tuple(
            (f"layer {i}" if len(cut) <= _MAX_NAMED else "", x[layer == i], y[layer == i, 0], None)
            for i in cut
        ),
        x_label=x_label,
        y_label="output $z(x)$",
        note=note,
    )


def window(network: Network, where: Slice, *, threads: int = 0) -> tuple[tuple[float, float], str]:
    """Return the limits of the picture of a slice, and a note on the part that is shown.

    If there are very many regions, only those near the window are counted.
    """
    core = core_slice(network, where)

    def counted(limits: tuple[float, float] | None) -> RegionCounts:
        return count_core(core, core_domain(limits, where.dimension), None, threads=threads)

    def within(radius: float) -> int:
        return counted((-radius, radius)).activation_regions

    if where.limits is not None:
        shown = _part(where.limits, counted)
        note = "" if shown == where.limits else f"the part {_interval(shown, where)} of the box"
        return shown, note
    noun = "breakpoints" if where.dimension == 1 else "vertices"
    radius = 2.0**-12
    while radius < 2.0**12 and within(radius) <= MAX_CELLS:
        radius *= 2.0
    if radius < 2.0**12:  # a picture cannot show all regions
        limits = (-radius / 2.0, radius / 2.0)
        count = _inner_vertices(counted(limits), where)
        return limits, f"window {_interval(limits, where)} with {count} {noun}"
    counts = counted(None)
    radius = _radius(within, counts.activation_regions) if counts.vertices else 1.0
    limits = (-radius, radius)
    if where.dimension == 1 and within(radius) == counts.activation_regions > 1:
        ends = cells_of(network, where, limits, threads=threads).corners
        low, high = (float(x) for x in np.unique(ends)[[1, -2]])
        margin = 0.06 * (high - low) or 0.5 * radius
        limits = (float(f"{low - margin:.3g}"), float(f"{high + margin:.3g}"))
        if not (limits[0] < low and high < limits[1]):
            limits = (low - margin, high + margin)
    count = _inner_vertices(counted(limits), where)
    return limits, f"window {_interval(limits, where)} with {count} of {counts.vertices} {noun}"


def _part(
    limits: tuple[float, float], counted: Callable[[tuple[float, float]], RegionCounts]
) -> tuple[float, float]:
    """Return the largest box that a picture can show, halving the given box around its middle."""
    middle, half = sum(limits) / 2.0, (limits[1] - limits[0]) / 2.0
    shown = limits
    for halvings in range(
        24, -1, -1
    ):  # from small to large, since a count of all regions may take long
        size = math.ldexp(half, -halvings)
        larger = (middle - size, middle + size) if halvings else limits
        if counted(larger).activation_regions > MAX_CELLS:
            break
        shown = larger
    return shown


def _radius(within: Callable[[float], int], total: int) -> float:
    """Return a radius with all vertices, or with most regions if the others are far away."""
    enough, radius = math.ceil(_SHOWN_FRACTION * total), 1.0
    while within(radius) < enough and radius < _REACH:
        radius *= 2.0
    while within(radius / 2.0) >= enough and radius > 1.0 / _REACH:
        radius /= 2.0
    for factor in (2.0**-0.5, 2.0**-0.25, 2.0**-0.125):  # as precisely as a picture needs
        if within(radius * factor) >= enough:
            radius *= factor
    far = radius
    while within(far) < total and far < _MAX_STRETCH * radius:
        far *= 1.25
    if within(far) == total:
        radius = 1.05 * far
    while within(radius) > MAX_CELLS:
        radius /= 2.0
    return float(f"{radius:.2g}")


def _inner_vertices(inside: RegionCounts, where: Slice) -> int:
    """Return the number of vertices inside a box, without those on its boundary."""
    # An inner edge is two sides, an edge on the boundary is one, with one vertex each.
    border = 2 if where.dimension == 1 else 2 * (inside.edges or 0) - (inside.sides or 0)
    return (inside.vertices or 0) - border


def _interval(limits: tuple[float, float], where: Slice) -> str:
    power = "" if where.dimension == 1 else "^2"
    return f"[{limits[0]:.3g}, {limits[1]:.3g}]{power}"


def _values(cells: Cells, color: Color) -> NDArray[Any]:
    match color:
        case "gradient":
            return cells.gradient_norms
        case "layer":
            return cells.last_layers
        case "active":
            return cells.active
    # A number in [0, 1) for each pattern, which differs for patterns that differ in one neuron.
    return (cells.patterns @ np.random.default_rng(0).random(cells.patterns.shape[1])) % 1.0
