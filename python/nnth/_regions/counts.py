"""Regions of ReLU networks, counted exactly."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, Final, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._networks.ensemble import Ensemble, Shape, Tasks, ensemble
from nnth._networks.network import Network, require_relu, require_weights
from nnth._regions.arrangement import arrangement
from nnth._regions.bounds import (
    expected_regions,
    montufar_2017_upper,
    patterns_upper,
    serra_2018_upper,
    zaslavsky,
    zaslavsky_central,
)
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._runtime.work import sample_in_parts
from nnth._tables.plot import Drawing
from nnth._tables.statistics import ASYMPTOTIC, joined, mean_of, note_on_z, skewness, z_score
from nnth._tables.table import Meta, Table

Array = NDArray[np.float64]
Domain = Literal["space", "box"]

MAX_N0: Final = 6  # of deep networks, and in boxes
MAX_REGIONS: Final = 10**10  # estimated, for n0 >= 3: hours of work
MOST_BOX: Final = 1e300  # beyond, the lengths of its diagonals are no doubles
MAX_SMALL: Final = 50_000


# The columns that counts have, before exact_signs.
_COUNTED: Final = (
    *("activation_regions", "linear_regions", "bounded", "unbounded", "vertices", "edges"),
    *("mean_sides", "zero_cell_sides"),
)


@dataclass(frozen=True)
class RegionCounts:
    """Exact counts of the regions of one network, in the whole space or in a box.

    activation_regions: the full-dimensional cells on which the pattern of active neurons is
        constant; convex polyhedra.
    linear_regions: maximal connected sets, through facets, of one gradient.
    bounded: activation regions that are bounded; in a box, those without a side on its border.
    vertices, edges, sides: of the complex of activation regions; a side is counted once for each
        region that it bounds. A box's own corners and sides count too; in the whole space, what is
        at infinity does not.
    zero_cell_sides: sides of the region around `point`; None where that is on a boundary.
    zero_cell_measure: that region's length, area or volume, infinite if unbounded, NaN if none;
        with a relative error below 1e-10.
    exact_signs: signs that needed exact arithmetic, floating point being in doubt.
    layer_regions: activation regions of the first 1, 2, ..., L hidden layers.

    Where one hidden layer is counted by its characteristic polynomial, zero_cell_sides and
    exact_signs are None and zero_cell_measure is NaN.
    """

    activation_regions: int
    linear_regions: int
    bounded: int
    vertices: int | None
    edges: int | None
    sides: int | None
    zero_cell_sides: int | None
    zero_cell_measure: float
    exact_signs: int | None
    layer_regions: tuple[int, ...]

    @property
    def unbounded(self) -> int:
        """Activation regions that are not bounded; in a box, those with a side on its border."""
        return self.activation_regions - self.bounded

    @property
    def mean_sides(self) -> float | None:
        """Sides of an activation region, on average."""
        return None if self.sides is None else self.sides / self.activation_regions


def count_regions(
    network: Network,
    *,
    domain: Domain = "space",
    box: float = 1.0,
    point: ArrayLike | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionCounts:
    """Return the numbers of regions of a ReLU network, exact for the doubles that it is made of.

    domain: "space" for R^n0, or "box" for [-box, box]^n0.
    box: half the side of the box, finite, > 0.
    point: the point `(n0,)` whose region is measured, 0 by default.
    threads: 0 = all; the result is the same for any number.
    progress: called with the parts of the domain that are done, and their number, a few times a
        second from this thread.

    Returns RegionCounts. Degenerate networks are counted as they are: parallel, concurrent and
    repeated hyperplanes, dead neurons, maps of any rank.

    Accuracy: exact. Signs are taken from floating point with a proven bound of its error, and from
    exact arithmetic where that leaves doubt; Euler's identities are checked on every run. Only
    zero_cell_measure is rounded: a sum of the volumes of simplices, all positive, whose relative
    error is below 1e-10, by a proven bound or by exact arithmetic where that is larger (unless it
    is below 1e-280).
    Cost: 0.5 to 2 us a region in the plane, some 5 us for n0 = 3; memory a stack of cells, not a
    mesh. Error bounds grow with depth, and from about 20 layers on most signs are found exactly:
    1 ms a region for 20 layers of 32. One hidden layer over the whole space with more than 50,000
    regions, n0 >= 3: by the characteristic polynomial of the arrangement.

    Raises ValueError for arguments out of range, and for an exact count out of reach (n0 > 6, or
    more than 10^10 regions expected for n0 >= 3); KeyboardInterrupt saying what was done.

    Source: Zaslavsky (1975) for one hidden layer; Grigsby & Lindsey (2022) for the complex.
    """
    require_relu(network)
    limits = check_domain(domain, box)
    around = _point(point, network.n0)
    one_layer = network.depth == 1 and domain == "space"
    if network.n0 >= 3 and one_layer and not _is_small(network):
        return _count_arrangement(network, threads, progress)
    _check_reach(network.n0, network.widths)
    return count_core(core_network(network), limits, around, threads=threads, progress=progress)


@lru_cache(maxsize=1)  # one for all slices of a network: its norms are worth keeping
def core_network(network: Network) -> _core.RegionNetwork:
    """Return the core's description of a network on the whole of its input space."""
    return _core.RegionNetwork(list(network.weights), list(network.biases))


def count_core(
    core: _core.RegionNetwork,
    limits: tuple[float, float] | None,
    point: Sequence[float | Fraction] | None,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionCounts:
    """Return the counts of the core's network, on its slice, in limits[0] <= t_j <= limits[1].

    point: the coordinates t, exactly, of the point whose region is measured.
    """
    at = None if point is None else _homogeneous(point)
    return RegionCounts(**_core.count_regions(core, limits, at, threads, progress))


def _homogeneous(point: Sequence[float | Fraction]) -> list[int]:
    if not any(point):  # the usual one, whose fractions would be a tenth of a small count's time
        return [0] * len(point) + [1]
    exact = [x.as_integer_ratio() for x in point]
    last = math.lcm(*(denominator for _, denominator in exact))
    return [*(numerator * (last // denominator) for numerator, denominator in exact), last]


def regions(
    net: Network | str | os.PathLike[str] | None = None,
    *,
    domain: Domain = "space",
    box: float = 1.0,
    point: ArrayLike | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return the numbers of regions of a network, or their means over random ones, in one row.

    net: a Network, file or name (see `nnth.load_network`), or None for random networks of the given
        `n0`, `widths`, `n_out`, `cw`, `cb`, `samples` and `seed`.
    domain, box, point, threads, progress: as in `nnth.count_regions`.

    Returns a Table of one row: activation_regions, linear_regions, bounded, unbounded, vertices,
    edges, mean_sides, zero_cell_sides, exact_signs, expected, upper_bound, stderr, z, note,
    zero_cell_measure, layer_regions (text: a number a layer). With one sample counts are whole
    numbers (floats above 9e18); with more they are means over networks, except for exact_signs,
    the total. NaN is what is not there: of the region at a point on a boundary (such networks are
    left out of the mean), and where `nnth.count_regions` does not visit the cells.

    `expected` is the mean of activation_regions over random networks (`nnth._regions.bounds.
    expected_regions`: exact for one hidden layer, the limit of large widths for more), NaN for a
    given network; `stderr` the standard error of activation_regions over the samples and
    z = (activation_regions - expected)/stderr; `note` says why z is not normal. `upper_bound` is
    the best proven bound for a network of this shape; exact for one layer in general position over
    the whole space.

    Accuracy, cost: those of `nnth.count_regions`. Raises ValueError as it does, and as
    `nnth._networks.ensemble.ensemble`; KeyboardInterrupt with what was done.

    Source: Zaslavsky (1975), Montufar (2017), Serra et al. (2018) for the bound; Hanin & Rolnick
    (2019) for the method of the expectation.
    """
    nets = ensemble(net, **shape)
    check_domain(domain, box)
    counts = count_all(nets, domain, box, point, threads, progress)
    found = [float(number(c.activation_regions)) for c in counts]
    mean, stderr = mean_of(np.array(found))
    expected = expected_count(nets, domain, box)
    columns = count_columns(counts) | {
        "expected": expected,
        "upper_bound": number(_upper(nets, counts)),
        "stderr": stderr,
        "z": float(z_score(mean - expected, stderr)),
        "note": note_on_count(len(nets.widths), found, stderr),
    }
    parameters = nets.parameters() | {
        "domain": domain,
        "box": box if domain == "box" else None,
        "point": None if point is None else _point(point, nets.n0),
    }
    table = one_row(columns | cell_columns(counts), parameters, nets)
    return table.with_drawing(partial(picture_of, nets, None, check_domain(domain, box), threads))


def picture_of(
    nets: Ensemble,
    along: Literal["line", "plane"] | None,
    limits: tuple[float, float] | None,
    threads: int,
) -> Drawing:
    """Return the picture of the first network, on its first random line or plane with `along`."""
    from nnth._regions.pictures import place_of

    return place_of(nets, along, limits).picture(threads=threads)


def note_on_count(layers: int, counts: Sequence[float], stderr: float) -> str:
    """Return why z of a mean count over random networks is not standard normal."""
    if not stderr > 0.0:
        return ""
    on_z = note_on_z(len(counts), float(skewness(counts)))
    return joined(ASYMPTOTIC if layers > 1 else "", on_z)


def check_domain(domain: str, box: float) -> tuple[float, float] | None:
    """Return the limits of each coordinate, None for the whole space; raise ValueError if wrong."""
    if domain not in ("space", "box"):
        raise ValueError(f"domain must be space or box, not {domain!r}")
    if not 0.0 < box < math.inf:
        raise ValueError(f"box must be finite and above 0, not {box:g}")
    if box > MOST_BOX:
        raise ValueError(f"box must be at most {MOST_BOX:g}, not {box:g}")
    return None if domain == "space" else (-float(box), float(box))


class OutOfReachError(ValueError):
    """An exact count would take too long: slices may do."""


def _check_reach(n0: int, widths: Sequence[int]) -> None:
    if n0 <= 2:
        return
    estimate = zaslavsky(sum(widths), n0)
    if n0 <= MAX_N0 and estimate <= MAX_REGIONS:
        return
    about = f"{estimate:.2g}" if estimate < 10**300 else in_decimal(estimate)
    about = str(estimate) if estimate < 10**6 else about
    rule = f"at most {MAX_N0}" if n0 > MAX_N0 else "smaller"
    raise OutOfReachError(
        f"n0 must be {rule} for an exact count, not {n0}: about {about} regions; "
        "nnth regions along line and along plane count on random slices"
    )


def count_columns(counts: Sequence[RegionCounts]) -> dict[str, Any]:
    """Return the columns of counts: whole numbers for one, means for more."""
    columns = {name: _mean([getattr(c, name) for c in counts]) for name in _COUNTED}
    signs = [c.exact_signs for c in counts if c.exact_signs is not None]
    return columns | {"exact_signs": sum(signs) if signs else math.nan}


def cell_columns(counts: Sequence[RegionCounts]) -> dict[str, Any]:
    """Return the columns that follow the theory's: zero_cell_measure and layer_regions."""
    measures = [c.zero_cell_measure for c in counts if not math.isnan(c.zero_cell_measure)]
    layers = zip(*(c.layer_regions for c in counts), strict=True)
    texts = [str(layer[0] if len(layer) == 1 else _mean(layer)) for layer in layers]
    return {"zero_cell_measure": _mean(measures), "layer_regions": " ".join(texts)}


def one_row(columns: dict[str, Any], parameters: dict[str, Any], nets: Ensemble) -> Table:
    """Return the Table of one row with these values."""
    fixed = nets.given is not None and "lines" not in parameters
    meta = Meta("regions", parameters, seed=None if fixed else nets.seed)
    return Table({name: [value] for name, value in columns.items()}, meta)


def number(value: float) -> float:
    """Return a whole number as the float it is near where a column could not hold it."""
    if isinstance(value, int) and value >= 2**63:
        return float(value) if value < 2**1023 else math.inf
    return value


def count_all(
    nets: Ensemble,
    domain: Domain,
    box: float,
    point: ArrayLike | None,
    threads: int,
    progress: Progress | None,
) -> list[RegionCounts]:
    """Return the counts of each network, as `count_regions` has them."""
    if nets.given is None:
        require_weights((nets.n0, *nets.widths, nets.n_out))
    _point(point, nets.n0)
    if len(nets.widths) > 1 or domain == "box":
        _check_reach(nets.n0, nets.widths)
    check_memory_of_counts(nets.samples, len(nets.widths), "samples")

    def count_range(first: int, networks: int) -> list[RegionCounts]:
        counts = []
        with Tasks(networks, "net", progress) as tasks:
            for sample in range(first, first + networks):
                counts.append(
                    count_regions(
                        nets.network(sample),
                        domain=domain,
                        box=box,
                        point=point,
                        threads=threads,
                        progress=tasks.part,
                    )
                )
                tasks.finish(counts[-1].activation_regions)
        return counts

    return sample_in_parts(count_range, nets.samples)


def check_memory_of_counts(counts: int, depth: int, name: str) -> None:
    """Raise MemoryError where so many RegionCounts of networks of this depth do not fit."""
    check_memory(counts * (800 + 40 * depth), f"{name} must be fewer: their counts")


def _point(point: ArrayLike | None, n0: int) -> list[float]:
    found = np.zeros(n0) if point is None else np.asarray(point, dtype=np.float64)
    if found.shape != (n0,):
        raise ValueError(f"point must have {n0} coordinates, as n0 is {n0}, not {found.size}")
    if not np.isfinite(found).all():
        raise ValueError(f"point must hold finite numbers, not {found[~np.isfinite(found)][0]}")
    return [float(x) for x in found]


def _is_small(network: Network) -> bool:
    """Whether cells are visited in a second at most: then all is found that is asked for."""
    return network.n0 <= MAX_N0 and zaslavsky(network.widths[0], network.n0) <= MAX_SMALL


def _mean(values: Sequence[float | None]) -> float:
    there = [value for value in values if value is not None]
    if len(values) == 1 and there:
        return number(there[0])
    return float(np.mean([float(number(v)) for v in there])) if there else math.nan


def expected_count(nets: Ensemble, domain: Domain, box: float) -> float:
    """Return the mean number of activation regions of random networks; NaN for a given one."""
    if nets.law is None:
        return math.nan
    limit = box if domain == "box" else None
    return expected_regions(nets.n0, nets.widths, **nets.law, box=limit)


def _upper(nets: Ensemble, counts: Sequence[RegionCounts]) -> int:
    bound = best_upper(nets.n0, nets.widths)
    if len(nets.widths) == 1 and (nets.cb == 0.0 or _central(nets.given)):
        bound = min(bound, zaslavsky_central(nets.widths[0], nets.n0))
    return bound


def best_upper(n0: int, widths: Sequence[int]) -> int:
    """Return the least of the proven upper bounds for a network of this shape."""
    bounds = (serra_2018_upper(n0, widths), montufar_2017_upper(n0, widths))
    return min(*bounds, patterns_upper(sum(widths)))


def _central(network: Network | None) -> bool:
    return network is not None and not network.biases[0].any()


def in_decimal(value: int) -> str:
    """An exact whole number in decimal, or as a power where that is longer than a line."""
    if value.bit_length() < 3000:
        return str(value)
    return f"10^{math.floor(value.bit_length() * math.log10(2.0))}"


def _count_arrangement(network: Network, threads: int, progress: Progress | None) -> RegionCounts:
    """Return the counts of one hidden layer over the whole space: those of its arrangement."""
    w, b = network.weights[0], network.biases[0]
    try:
        found = arrangement(w, b, threads=threads, progress=progress)
    except ValueError as error:  # too many subsets: the network's numbers are finite
        raise OutOfReachError(str(error)) from None
    bends = _bending(network)
    linear = found.regions
    if len(bends) < len(w):
        linear = arrangement(w[bends], b[bends], threads=threads).regions if bends else 1
    return RegionCounts(
        activation_regions=found.regions,
        linear_regions=linear,
        bounded=found.bounded,
        vertices=found.vertices,
        edges=found.edges,
        sides=None if found.facets is None else 2 * found.facets,
        zero_cell_sides=None,
        zero_cell_measure=math.nan,
        exact_signs=None,
        layer_regions=(found.regions,),
    )


def _bending(network: Network) -> list[int]:
    """Return the neurons of one hidden layer on whose hyperplane the gradient jumps.

    On a hyperplane n.x + c = 0 it jumps by (sum of v_i |s_i|) n over the neurons i that are s_i
    (n.x + c), with output weights v_i: everywhere alike, and so the cells of those hyperplanes that
    are left are the linear regions. Decided over the rationals.
    """
    planes: dict[tuple[Fraction, ...], list[tuple[int, Fraction]]] = {}
    rows = np.column_stack([network.weights[0], network.biases[0]]).tolist()
    for i, row in enumerate(rows):
        scale = next((Fraction(x) for x in row[:-1] if x), None)
        if scale is not None:
            plane = tuple(Fraction(x) / scale for x in row)
            planes.setdefault(plane, []).append((i, abs(scale)))
    output = network.weights[1].tolist()
    kept = []
    for neurons in planes.values():
        jumps = (sum(Fraction(v[i]) * s for i, s in neurons) for v in output)
        if any(jump != 0 for jump in jumps):
            kept += [i for i, _ in neurons]
    return sorted(kept)
