"""The regions of a ReLU network as geometry: polygons or intervals, affine maps, patterns."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._networks.network import Network
from nnth._regions.domains import core_domain
from nnth._regions.slices import Slice, core_slice, count_slice
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells(Result):
    """All activation regions of a network in a box, in the coordinates t of a slice.

    Attributes:
        first: `(cells + 1,)`; the corners of cell i are first[i] to first[i + 1] - 1, from left to
            right, or counter-clockwise.
        corners: The coordinates of the corners `(sides, d)`, d = 1 or 2.
        side_layers, side_neurons: `(sides,)`; the hidden layer and the neuron on which side k lies,
            both from 0, or -1 on the box. Side k is corner k of an interval; in a polygon it runs
            from corner k to the next.
        maps: `(cells, n_out, d + 1)`; on cell i the network is
            maps[i, :, :d] @ t + maps[i, :, d].
        patterns: `(cells, neurons)` of 0 and 1; the active hidden neurons, layer by layer.
        widths: The widths of the hidden layers.
        limits: The box is limits[0] <= t_j <= limits[1].
        origin, directions: `(n0,)`, `(n0, d)`; t is the input origin + directions @ t, up to
            rounding on slices through given points.

    Example:
        >>> found = nnth.cells(nnth.random_network(2, (8,)), box=1.0)
        >>> bool(np.isclose(found.areas.sum(), 4.0))
        True
    """

    first: Integers
    corners: Array
    side_layers: NDArray[np.int32]
    side_neurons: NDArray[np.int32]
    maps: Array
    patterns: NDArray[np.uint8]
    widths: tuple[int, ...]
    limits: tuple[float, float]
    origin: Array
    directions: Array

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def dimension(self) -> int:
        """The dimension d: 1 for intervals, 2 for polygons."""
        return int(self.corners.shape[1])

    @cached_property
    def next_corner(self) -> Integers:
        """The index of the next corner around the cell, `(sides,)`."""
        following = np.arange(1, len(self.corners) + 1)
        following[self.first[1:] - 1] = self.first[:-1]
        return following

    @cached_property
    def areas(self) -> Array:
        """The length or area of each cell, `(cells,)`, up to rounding of its corners."""
        starts = self.first[:-1]
        if self.dimension == 1:
            lengths: Array = self.corners[starts + 1, 0] - self.corners[starts, 0]
            return lengths
        # Relative to the first corner of each cell, to avoid cancellation far from 0.
        x, y = (self.corners - self.corners[starts].repeat(np.diff(self.first), axis=0)).T
        areas: Array = 0.5 * np.add.reduceat(
            x * y[self.next_corner] - x[self.next_corner] * y, starts
        )
        return areas

    @cached_property
    def centers(self) -> Array:
        """The mean of the corners of each cell, an interior point, `(cells, d)`."""
        sums = np.add.reduceat(self.corners, self.first[:-1], axis=0)
        centers: Array = sums / np.diff(self.first)[:, None]
        return centers

    @cached_property
    def gradient_norms(self) -> Array:
        """The Frobenius norm of the Jacobian in t on each cell, `(cells,)`."""
        norms: Array = np.sqrt(np.sum(self.maps[:, :, :-1] ** 2, axis=(1, 2)))
        return norms

    @cached_property
    def last_layers(self) -> NDArray[np.int32]:
        """The last hidden layer, from 1, with a side of each cell, or 0 if none has, `(cells,)`."""
        layers: NDArray[np.int32] = np.maximum.reduceat(self.side_layers, self.first[:-1]) + 1
        return layers

    @cached_property
    def active(self) -> Integers:
        """The number of active hidden neurons in each cell, `(cells,)`."""
        counts: Integers = self.patterns.sum(axis=1, dtype=np.int64)
        return counts

    @cached_property
    def inner_sides(self) -> Integers:
        """The sides between two cells, each listed once: in the cell where its neuron is active."""
        cells = np.repeat(np.arange(len(self)), np.diff(self.first))
        offsets = np.concatenate([[0], np.cumsum(self.widths)])
        inner = np.flatnonzero(self.side_layers >= 0)
        neurons = offsets[self.side_layers[inner]] + self.side_neurons[inner]
        sides: Integers = inner[self.patterns[cells[inner], neurons] == 1]
        return sides

    def arrays(self) -> dict[str, Any]:
        """Return all arrays by name, and `areas`."""
        found = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        return found | {"areas": self.areas}

    def table(self) -> Table:
        """Return a row for each cell: area, center, sides, active, last_layer, gradient_norm.

        Columns: `cell`, from 0; `area`, the area, or the length on a line; `center_1` and, in a
        plane, `center_2`, the mean of the corners; `sides`, their number; `active`, the number of
        active hidden neurons; `last_layer`, the last hidden layer, from 1, with a side of the
        cell, or 0; `gradient_norm`, the Frobenius norm of the Jacobian in t.
        """
        centers = {f"center_{i}": center for i, center in enumerate(self.centers.T, 1)}
        columns = {
            "cell": np.arange(len(self)),
            "area": self.areas,
            **centers,
            "sides": np.diff(self.first),
            "active": self.active,
            "last_layer": self.last_layers,
            "gradient_norm": self.gradient_norms,
        }
        return Table(columns, Meta("cells", {"widths": self.widths, "limits": self.limits}))


def cells(
    network: Network,
    box: float | tuple[float, float] = 1.0,
    *,
    origin: ArrayLike | None = None,
    directions: ArrayLike | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> Cells:
    """Return the activation regions of a ReLU network in a box of a line or a plane.

    The slice of the inputs, and the network on cell i with the row maps[i] = (A, c), are::

        x = origin + directions t,  z(t) = A t + c

    Args:
        network: A network of ReLU layers.
        box: Half the side of the box around 0, finite and > 0; or the limits (low, high) of all
            coordinates.
        origin: The input `(n0,)` at t = 0; 0 if None.
        directions: `(n0, d)` with d = 1 or 2; if None, the whole input space, n0 = d.
        threads: The number of threads of the preceding count, 0 for all.
        progress: Called with the cells done and their number, a few times per second.

    Returns:
        Cells: corners, sides, affine maps and activation patterns.

    Raises:
        ValueError: If an argument is out of range.
        MemoryError: If the cells would not fit, with their size, before any work.

    Accuracy: cells and patterns are exact, corners and maps rounded. Cost: about a microsecond per
    cell; memory: one byte per neuron and some 200 bytes per cell.

    Example:
        >>> found = nnth.cells(nnth.random_network(2, (8,)), box=1.0)
        >>> len(found), found.maps.shape[1:], found.patterns.shape[1]
        (16, (1, 3), 8)

    Source: as `nnth.count_regions`.
    """
    basis = np.eye(network.n0) if directions is None else np.asarray(directions, dtype=np.float64)
    if basis.ndim != 2 or basis.shape[0] != network.n0 or not 1 <= basis.shape[1] <= 2:
        what = (
            "n0 must be 1 or 2" if directions is None else "directions must be (n0, 1) or (n0, 2)"
        )
        raise ValueError(
            f"{what} for cells, not {network.n0 if directions is None else basis.shape}"
        )
    start = np.zeros(network.n0) if origin is None else np.asarray(origin, dtype=np.float64)
    if start.shape != (network.n0,):
        raise ValueError(f"origin must have {network.n0} coordinates, not shape {start.shape}")
    low, high = box if isinstance(box, tuple) else (-box, box)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        shown = (
            f"{float(low):g} to {float(high):g}" if isinstance(box, tuple) else f"{float(box):g}"
        )
        raise ValueError(f"box must be finite and above 0, not {shown}")
    limits = (float(low), float(high))
    where = Slice.along(start, np.ascontiguousarray(basis), limits)
    return cells_of(network, where, limits, threads=threads, progress=progress)


def cells_of(
    network: Network,
    where: Slice,
    limits: tuple[float, float],
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> Cells:
    """Return the activation regions of a network on a slice, within limits."""
    counts = count_slice(network, replace(where, limits=limits), threads=threads)
    _check_memory(network, where.dimension, counts.activation_regions, counts.sides or 0)
    core = core_slice(network, where)
    found = _core.region_cells(
        core, core_domain(limits, where.dimension), counts.activation_regions, progress
    )
    return Cells(
        **found,
        widths=network.widths,
        limits=limits,
        origin=where.center,
        directions=where.directions,
    )


def _check_memory(network: Network, dimension: int, count: int, sides: int) -> None:
    needed = count * (sum(network.widths) + 8 * network.n_out * (dimension + 1) + 8)
    needed += sides * (8 * dimension + 8)
    what = f"the box must be smaller: its {count} cells, twice during the computation,"
    check_memory(2 * needed, what)
