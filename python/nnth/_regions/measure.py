"""The exact calculus of a ReLU network on a box: extrema, averages and level sets."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from nnth._data.files import File
from nnth._networks.ensemble import Ensemble, ensemble, find_network
from nnth._networks.network import Network, require_relu, require_weights
from nnth._regions.bounds import zaslavsky
from nnth._regions.cells import Cells, cells_of
from nnth._regions.domains import check_domain
from nnth._regions.measure_table import BOUNDED, MeasuredNetworks, columns_of
from nnth._regions.measured_numbers import draw_numbers, measured, measured_network
from nnth._regions.reach import MAX_REGIONS, OutOfReachError
from nnth._regions.slices import Slice
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._runtime.work import sample_in_parts, validated
from nnth._tables.plot import Drawing
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_N0: Final = 4
POINTS: Final = 10_000


@dataclass(frozen=True, eq=False)
class RegionMeasures(Result):
    """Exact numbers of a network on a box, and its level sets.

    Attributes:
        rows: The Table of `nnth.regions_measure`.
        network: The network that is measured, f or f - g, the first of several.
        limits: The box is limits[0] <= x_j <= limits[1].
        threshold: T.

    Example:
        >>> found = nnth.regions_measure(nnth.random_network(2, (8,)), points=0)
        >>> round(float(found.table()["lipschitz"][0]), 6) > 0
        True
    """

    rows: Table
    network: Network
    limits: tuple[float, float]
    threshold: float

    def table(self) -> Table:
        """Return the Table of `nnth.regions_measure`."""
        return self.rows

    @cached_property
    def level_sets(self) -> tuple[Array, Integers, Integers]:
        """Polylines on which f = T, for n0 = 1 and 2.

        Points `(points, n0)`; the first point of each line, and the number of points
        `(lines + 1,)`; the output of each line, from 0, `(lines,)`. A closed line ends in its first
        point.
        """
        check_picture(self.network.n0, "level sets")
        found = measured([self.network], self.threshold, self.limits, 0, None)[0]["outputs"]
        points = np.concatenate([output["level_points"] for output in found])
        lengths = [np.diff(output["level_first"]) for output in found]
        first = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        outputs = np.repeat(np.arange(len(found)), [len(lines) for lines in lengths])
        return points, first.astype(np.int64), outputs.astype(np.int64)

    @cached_property
    def cells(self) -> Cells:
        """The cells of the network, for n0 = 1 and 2."""
        check_picture(self.network.n0, "cells")
        n0 = self.network.n0
        where = Slice.along(np.zeros(n0), np.eye(n0), self.limits)
        return cells_of(self.network, where, self.limits)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return level_points, level_first and level_output of `level_sets`, and all of `cells`."""
        points, first, outputs = self.level_sets
        lines = {"level_points": points, "level_first": first, "level_output": outputs}
        return lines | self.cells.arrays()


def regions_measure(
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    domain: Literal["box"] = "box",
    box: float = 1.0,
    threshold: float = 0.0,
    against: Network | str | os.PathLike[str] | None = None,
    points: int = POINTS,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionMeasures:
    """Return exact extrema, averages and level sets of a ReLU network f on a box.

    Averages are sums over the simplices of the cells, on which f is linear::

        mean = V^-1 integral f dx = V^-1 sum over simplices of |S| (f_0 + ... + f_n0)/(n0 + 1)

    With `against` they are those of the difference f - g of two networks.

    Args:
        net: A Network; the path of a file that `nnth.load_network` reads; a name such as
            "telgarsky:5"; or None for random networks, which the arguments up to `n0` describe.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension, 1 to 4; 2 if None.
        domain: "box", for the box of half side `box` around 0.
        box: Half the side of the box, R > 0.
        threshold: T, finite.
        against: The network g, as `net`, with as many inputs and outputs.
        points: The number of random points of the box in the averages beside the exact ones, 0 for
            none.
        samples: The number of random networks; 1 if None.
        seed: Network s, and its random points, are functions of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it. A single
            network is walked on one.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        RegionMeasures. Its Table has a row for each output, from 0: `lipschitz`, the largest `|grad
        f|` over the cells; `mean`, `second_moment`, `gradient_mean_square`, the averages over the
        box of f, f^2 and `|grad f|^2`; `positive_fraction`, the share of the box where f > T;
        `boundary_length` of {f = T}, the number of its points for n0 = 1; `components_positive`,
        `components_negative`, the connected components of {f > T} and {f < T}; `holes`, the first
        Betti number of {f > T}; `l2`, the root of second_moment; `linf`, the largest `|f|`;
        `minimum` and `maximum`; `total_variation`, the integral of `|grad f|`; `curvature`, the
        mass of the Hessian measure, the sum over facets between cells of `|jump of grad f|` times
        their measure; `level_fraction`, the share of the cells on which f = T; `cells`, the
        activation regions; `exact_signs`; `lipschitz_at_i`, a point of the steepest cell, and
        `linf_at_i`, one of the largest `|f|`. NAME_error bounds the error of NAME. NAME_sampled is
        the average over the random points and NAME_z its distance from NAME in standard errors. Of
        several networks all are means, places are NaN, and NAME_stderr is the standard error of the
        mean over the networks, NAME_expected the mean over random networks, and NAME_expected_z
        their distance in standard errors. `note` says why a z is not normal. NaN marks what is
        unknown: topology, boundary_length and curvature for n0 = 3 and 4.

        Where f = T on a whole cell, that cell is neither in {f > T} nor in {f < T}, and
        boundary_length is that of {f = T} without the inner points of such cells. Sets are subsets
        of the closed box. Cells that meet only in a vertex v are in one component if f(v) > T.

    Raises:
        ValueError: If an argument is out of range, n0 is above 4, or f overflows.
        MemoryError: If the cells would not fit, with their size, before they are made.
        KeyboardInterrupt: With the number of networks done.

    Accuracy: cells, signs at their vertices and topology are exact. NAME_error is a proven bound,
    some 1e-12 of the largest `|f|` at two hidden layers, and grows with the norms of the layers;
    differences from rational arithmetic are below 1e-13. Cost: some 5 us for each cell of a line
    or a plane, 0.1 ms of one in space.

    Example:
        >>> net = nnth.Network([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
        >>> found = nnth.regions_measure(net, threshold=0.5).table()
        >>> float(found["total_variation"][0]), int(found["components_positive"][0])
        (2.0, 2)

    Source: Hanin and Rolnick (2019) for boundaries; Grigsby and Lindsey (2022) for the complex.
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
    return measures(
        networks, domain, box, threshold, against, points, threads=threads, progress=progress
    )


def measures(
    networks: Ensemble,
    domain: str,
    box: float,
    threshold: float,
    against: Network | str | os.PathLike[str] | None,
    points: int,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionMeasures:
    """Return the result of `regions_measure`."""
    if domain != "box":
        raise ValueError(f"domain must be box, not {domain!r}: integrals over it must be finite")
    limits = check_domain("box", box) or (-1.0, 1.0)
    if not math.isfinite(threshold):
        raise ValueError(f"threshold must be finite, not {threshold:g}")
    points = check_integer("points", points, minimum=0)
    _check_reach(networks)
    other, source = _other(networks, against)
    check_memory(
        networks.samples * networks.n_out * 8 * (2 * len(BOUNDED) + 20),
        "samples must be fewer: their numbers",
    )

    def draw(first: int, count: int) -> MeasuredNetworks:
        return draw_numbers(
            networks, other, threshold, limits, points, first, count, threads, progress
        )

    validated()
    drawn = sample_in_parts(draw, networks.samples)
    parameters = networks.parameters() | {
        "domain": domain,
        "box": box,
        "threshold": threshold,
        "against": source,
        "points": points,
    }
    network = measured_network(networks.network(0), other, limits)
    fixed = networks.given is not None and points == 0
    meta = Meta("regions measure", parameters, seed=None if fixed else networks.seed)
    table = Table(columns_of(networks, other, box, threshold, points, drawn), meta)
    found = RegionMeasures(table, network, limits, float(threshold))
    if networks.n0 > 2:
        return found
    first = f"the first of {networks.samples} networks" if networks.samples > 1 else ""
    picture = partial(_picture, found, first)
    return RegionMeasures(table.with_drawing(picture), network, limits, float(threshold))


def _picture(found: RegionMeasures, note: str) -> Drawing:
    from nnth._regions.pictures import level_picture

    return level_picture(found.network, found.limits, found.level_sets, found.threshold, note)


def check_picture(n0: int, noun: str) -> None:
    """Raise ValueError for more than two inputs, naming what needs fewer."""
    if n0 > 2:
        raise ValueError(f"n0 must be 1 or 2 for {noun}, not {n0}")


def _check_reach(networks: Ensemble) -> None:
    if networks.given is None:
        require_weights((networks.n0, *networks.widths, networks.n_out))
    if networks.n0 > MAX_N0:
        raise OutOfReachError(f"n0 must be at most {MAX_N0}, not {networks.n0}")
    estimate = zaslavsky(sum(networks.widths), networks.n0)
    if networks.n0 > 2 and estimate > MAX_REGIONS:
        raise OutOfReachError(
            f"n0 must be smaller for an exact measure, not {networks.n0}: about "
            f"{float(estimate):.2g} cells"
        )


def _other(
    networks: Ensemble, against: Network | str | os.PathLike[str] | None
) -> tuple[Network | None, File]:
    if against is None:
        return None, File(None)
    try:
        other, source = find_network(against)
    except ValueError as error:
        text = str(error)
        raise ValueError(
            "against" + text.removeprefix("net") if text.startswith("net ") else text
        ) from None
    require_relu(other)
    for name, here, there in (
        ("inputs", networks.n0, other.n0),
        ("outputs", networks.n_out, other.n_out),
    ):
        if here != there:
            raise ValueError(f"against must have {here} {name}, as the network has, not {there}")
    return other, source
