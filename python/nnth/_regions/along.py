"""Regions of ReLU networks on random lines and planes, for inputs of any dimension.

Lines drawn uniformly among those that meet a ball measure the boundary between regions (Crofton).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial

import numpy as np

from nnth._networks.ensemble import MAX_SAMPLES, Ensemble, Tasks, ensemble
from nnth._networks.network import Network
from nnth._regions.bounds import best_upper
from nnth._regions.core_counts import RegionCounts
from nnth._regions.count_table import (
    cell_columns,
    count_columns,
    note_on_count,
    number,
    one_row,
    picture_of,
)
from nnth._regions.domains import Domain, check_domain
from nnth._regions.reach import check_memory_of_counts
from nnth._regions.slice_expectations import expected_on_slices
from nnth._regions.slices import Along, count_slice, random_slices
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Progress
from nnth._runtime.work import assigned_range
from nnth._tables.statistics import mean_of, z_score
from nnth._tables.table import Table


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
    expected = expected_on_slices(networks, along, radius)
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
