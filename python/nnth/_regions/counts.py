"""Exact counts of the regions of a ReLU network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from nnth._networks.network import Network, require_relu
from nnth._regions import any_dimension
from nnth._regions.bounds import zaslavsky
from nnth._regions.core_counts import RegionCounts, core_network, count_core
from nnth._regions.domains import CountDomain, count_domain
from nnth._regions.one_layer import count_arrangement
from nnth._regions.reach import check_reach
from nnth._runtime.typing import Progress

if TYPE_CHECKING:
    from fractions import Fraction

MAX_SMALL: Final = 50_000


def count_regions(
    network: Network,
    *,
    domain: str = "space",
    box: float = 1.0,
    point: ArrayLike | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionCounts:
    """Return the exact numbers of regions of a ReLU network.

    One hidden layer of N neurons in general position has::

        activation_regions = sum_(i <= n0) C(N, i)

    Degenerate networks are counted correctly: parallel, concurrent and repeated hyperplanes, dead
    neurons, maps of any rank. In the whole space n0 is replaced by the rank of W_1, since the
    network is constant in the other directions: 64 inputs into 6 neurons are a problem in R^6. (A
    box has all its dimensions.)

    Args:
        network: A network of ReLU layers.
        domain: "space" for R^n0, "box" for the box of half side `box` around 0, or
            "polytope:FILE" for A x <= b: an `.npz` file with arrays A and b, or a table whose last
            column is b.
        box: Half the side of the box, R > 0.
        point: The point `(n0,)` whose region is measured; 0 if None.
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the parts of the domain done and their number, a few times per second.

    Returns:
        RegionCounts, exact for the network whose numbers are these doubles.

    Raises:
        ValueError: If an argument is out of range, or an exact count is out of reach: more than
            10^10 regions expected for n0 of 3 and 4, or 10^9 for more, with the rank of W_1 for n0
            in the whole space.
        KeyboardInterrupt: With the work done so far.

    Accuracy: exact. Signs are taken from floating point with a proven error bound, and from exact
    arithmetic where that leaves a doubt; Euler's identities are checked in every run. Only
    zero_cell_measure is rounded: it is a sum of volumes of simplices, all positive, with a relative
    error below 1e-10 (unless it is below 1e-280). Cost: 0.5 to 2 us per region in the plane, some 5
    us for n0 = 3; memory for a stack of cells rather than a mesh. Error bounds grow with depth, and
    from about 20 layers on most signs need exact arithmetic: 1 ms per region for 20 layers of 32.
    From n0 = 5 on, unless the walk through polytopes takes less than a second, and in domains of
    many inequalities, a search by linear programs counts, in 10 to 50 us per region; each of its
    answers is proven by rounding bounds or in exact arithmetic. It counts no linear regions and no
    faces. With `point`, whose region only the walk measures, the walk counts up to n0 = 6, in 0.1
    to 3 ms per region. One hidden layer with n0 >= 3 and more than 50,000 regions in the whole
    space is counted by the characteristic polynomial of its arrangement.

    Example:
        >>> counts = nnth.count_regions(nnth.random_network(2, (8,)))
        >>> counts.activation_regions, counts.bounded
        (37, 21)

    Source: Zaslavsky (1975) for one hidden layer; Grigsby and Lindsey (2022) for the complex.
    """
    require_relu(network)
    around: list[float] | list[Fraction] = checked_point(point, network.n0)
    where = count_domain(domain, box)
    measured = point is not None
    one_layer = network.depth == 1 and domain == "space"
    if network.n0 >= 3 and one_layer and not _is_small(network, measured):
        return count_arrangement(network, threads, progress)
    if network.n0 <= 2 or domain != "space":
        where.core(network.n0)  # for its checks, which come before those of the reach
        check_reach(network.n0, network.n0, network.widths)
        return _count(network, where, around, measured, threads, progress)
    small, columns = any_dimension.reduced(network)
    check_reach(network.n0, small.n0, network.widths)
    if small is not network:
        around = any_dimension.projected(network, columns, around)
    counts = _count(small, where, around, measured, threads, progress)
    return _lifted(counts, network.n0 - small.n0)


def _count(
    network: Network,
    where: CountDomain,
    around: Sequence[float | Fraction],
    measured: bool,
    threads: int,
    progress: Progress | None,
) -> RegionCounts:
    """Return the counts by a walk through polytopes or, where that takes long, by a search."""
    core, domain = core_network(network), where.core(network.n0)
    neurons, rows = sum(network.widths), where.rows(network.n0)
    if any_dimension.is_walked(network.n0, neurons, measured=measured, rows=rows):
        return count_core(core, domain, around, threads=threads, progress=progress)
    return RegionCounts(**any_dimension.search(core, domain, threads, progress))


def _lifted(counts: RegionCounts, dimensions: int) -> RegionCounts:
    """Return the counts in a space of `dimensions` more, in which nothing changes.

    A region is unbounded there, a vertex is a flat of that dimension, and volumes are infinite.
    """
    if dimensions == 0:
        return counts
    measure = counts.zero_cell_measure
    none = None if counts.vertices is None else 0
    return replace(
        counts,
        bounded=0,
        vertices=none,
        edges=counts.vertices if dimensions == 1 else none,
        zero_cell_measure=measure if math.isnan(measure) else math.inf,
    )


def checked_point(point: ArrayLike | None, n0: int) -> list[float]:
    """Return the checked coordinates of a point, 0 by default."""
    found = np.zeros(n0) if point is None else np.asarray(point, dtype=np.float64)
    if found.shape != (n0,):
        raise ValueError(f"point must have {n0} coordinates, as n0 is {n0}, not {found.size}")
    if not np.isfinite(found).all():
        raise ValueError(f"point must hold finite numbers, not {found[~np.isfinite(found)][0]}")
    return [float(x) for x in found]


def _is_small(network: Network, measured: bool) -> bool:
    """Whether visiting all cells takes little time, so that all counts are available."""
    neurons = network.widths[0]
    is_walked = any_dimension.is_walked(network.n0, neurons, measured=measured)
    return is_walked and zaslavsky(neurons, network.n0) <= MAX_SMALL
