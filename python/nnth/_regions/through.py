"""Regions of ReLU networks through given points: on segments, on a line, on a plane."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data
from nnth._data.files import File, file_of
from nnth._networks.ensemble import Ensemble, Tasks, ensemble
from nnth._networks.network import Network
from nnth._regions.bounds import best_upper
from nnth._regions.count_table import cell_columns, count_columns, number, one_row
from nnth._regions.domains import Domain, check_domain
from nnth._regions.given_points import checked_points, points_and_dimension
from nnth._regions.lengths import distance
from nnth._regions.slice_expectations import expected_on_line, expected_on_segment
from nnth._regions.slices import Along, Slice, count_slice, line_through, plane_through, segments
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Drawing
from nnth._tables.table import Meta, Table

Array = NDArray[np.float64]


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
        "expected": [expected_on_segment(networks, a, b) for a, b in pairwise(data)],
        "length": [distance(a, b) for a, b in pairwise(data)],
    }
    parameters = networks.parameters() | {"through": through, "points": len(data)}
    fixed = networks.given is not None and given is not None
    meta = Meta("regions", parameters, seed=None if fixed else networks.seed)
    return Table(
        columns, meta, plot=partial(_picture, networks, tuple(segments(data)), "point", threads)
    )


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
    expected = expected_on_line(networks, data, None if where.limits is None else box)
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


def _picture(networks: Ensemble, slices: tuple[Slice, ...], along: str, threads: int) -> Drawing:
    """Return the picture of the first network on the given slices."""
    from nnth._regions.pictures import Place

    names = {"line": ("$t$",), "plane": ("$t_1$", "$t_2$"), "point": ("point",)}[along]
    return Place(networks.network(0), slices, names).picture(threads=threads)
