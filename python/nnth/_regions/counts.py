"""Exact counts of the regions of ReLU networks."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._networks.ensemble import Ensemble, Tasks, ensemble
from nnth._networks.network import Network, require_relu, require_weights
from nnth._regions import any_dimension, polytope_domain
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
from nnth._runtime.work import assigned_range
from nnth._tables.statistics import ASYMPTOTIC, joined, mean_of, note_on_z, skewness, z_score
from nnth._tables.table import Meta, Table

if TYPE_CHECKING:
    from fractions import Fraction

    from nnth._tables.plot import Drawing

Array = NDArray[np.float64]
Domain = Literal["space", "box"]

MAX_REGIONS: Final = 10**10  # an estimate for n0 >= 3: hours of work
MAX_SEARCHED: Final = 10**9  # the same where cells are searched for
MAX_BOX: Final = 1e300  # the diagonals of larger boxes exceed the range of doubles
MAX_SMALL: Final = 50_000


# The columns of counts before exact_signs.
_COUNTED: Final = (
    *("activation_regions", "linear_regions", "bounded", "unbounded", "vertices", "edges"),
    *("mean_sides", "zero_cell_sides"),
)


@dataclass(frozen=True)
class RegionCounts:
    """Exact counts of the regions of one network, in the whole space or in a box.

    Attributes:
        activation_regions: The number of full-dimensional cells on which the pattern of active
            neurons is constant; they are convex polyhedra.
        linear_regions: The number of maximal sets of one gradient that are connected through
            facets; None if the regions were searched for.
        bounded: The number of bounded activation regions; in a box, of those without a side on its
            boundary.
        vertices, edges, sides: Faces of the complex of activation regions; a side is counted once
            for each region that it bounds. The vertices and sides of a box are counted too; faces
            at infinity are not.
        zero_cell_sides: The number of sides of the region around `point`; None if the point is on
            a boundary.
        zero_cell_measure: The length, area or volume of that region, with a relative error below
            1e-10; infinite if it is unbounded, NaN if the point is on a boundary.
        exact_signs: The number of signs that floating point left in doubt.
        layer_regions: The activation regions of the first 1, 2, ..., L hidden layers.

    If one hidden layer is counted by its characteristic polynomial, zero_cell_sides and exact_signs
    are None, and zero_cell_measure is NaN. The search, for n0 >= 5, knows activation_regions,
    bounded, exact_signs and layer_regions; the others are None, and zero_cell_measure is NaN.

    Example:
        >>> nnth.count_regions(nnth.random_network(2, (3,))).layer_regions
        (7,)
    """

    activation_regions: int
    linear_regions: int | None
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
        """Unbounded activation regions; in a box, those with a side on its boundary."""
        return self.activation_regions - self.bounded

    @property
    def mean_sides(self) -> float | None:
        """The mean number of sides of an activation region."""
        return None if self.sides is None else self.sides / self.activation_regions


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
    error below 1e-10 (unless it is below 1e-280). Cost: 0.5 to 2 us per region in the plane, some
    5 us for n0 = 3; memory for a stack of cells rather than a mesh. Error bounds grow with depth,
    and from about 20 layers on most signs need exact arithmetic: 1 ms per region for 20 layers of
    32. From n0 = 5 on, unless the walk through polytopes takes less than a second, and in polytopes
    a search by linear programs counts, in 10 to 50 us per region; each of its answers is proven by
    rounding bounds or in exact arithmetic. It counts no linear regions and no faces. With `point`,
    whose region only the walk measures, the walk counts up to n0 = 6, in 0.1 to 3 ms per region.
    One hidden layer with n0 >= 3 and more than 50,000 regions in the whole space is counted by the
    characteristic polynomial of its arrangement.

    Example:
        >>> counts = nnth.count_regions(nnth.random_network(2, (8,)))
        >>> counts.activation_regions, counts.bounded
        (37, 21)

    Source: Zaslavsky (1975) for one hidden layer; Grigsby and Lindsey (2022) for the complex.
    """
    require_relu(network)
    around: list[float] | list[Fraction] = _point(point, network.n0)
    if polytope_domain.is_polytope(domain):
        rows = polytope_domain.inequalities(domain, network.n0)
        _check_reach(network.n0, network.n0, network.widths)
        core = core_network(network)
        return RegionCounts(**any_dimension.search(core, rows, threads, progress))
    limits = check_domain(domain, box)
    measured = point is not None
    one_layer = network.depth == 1 and domain == "space"
    if network.n0 >= 3 and one_layer and not _is_small(network, measured):
        return _count_arrangement(network, threads, progress)
    if network.n0 <= 2 or domain == "box":
        _check_reach(network.n0, network.n0, network.widths)
        return _count(network, limits, around, measured, threads, progress)
    small, columns = any_dimension.reduced(network)
    _check_reach(network.n0, small.n0, network.widths)
    if small is not network:
        around = any_dimension.projected(network, columns, around)
    counts = _count(small, limits, around, measured, threads, progress)
    return _lifted(counts, network.n0 - small.n0)


def _count(
    network: Network,
    limits: tuple[float, float] | None,
    around: Sequence[float | Fraction],
    measured: bool,
    threads: int,
    progress: Progress | None,
) -> RegionCounts:
    """Return the counts by a walk through polytopes or, where that takes long, by a search."""
    core = core_network(network)
    if any_dimension.is_walked(network.n0, sum(network.widths), measured=measured):
        return count_core(core, limits, around, threads=threads, progress=progress)
    rows = any_dimension.halfspaces(network.n0, limits)
    return RegionCounts(**any_dimension.search(core, rows, threads, progress))


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


@lru_cache(maxsize=1)  # shared by all slices of a network, whose norms are costly
def core_network(network: Network) -> _core.RegionNetwork:
    """Return the core's network on the whole input space."""
    return _core.RegionNetwork(list(network.weights), list(network.biases))


def count_core(
    core: _core.RegionNetwork,
    limits: tuple[float, float] | None,
    point: Sequence[float | Fraction] | None,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionCounts:
    """Return the counts of the core's network on its slice, in limits[0] <= t_j <= limits[1].

    point: the exact coordinates t of the point whose region is measured.
    """
    at = None if point is None else _homogeneous(point)
    return RegionCounts(**_core.count_regions(core, limits, at, threads, progress))


def _homogeneous(point: Sequence[float | Fraction]) -> list[int]:
    """Return the point as integers over a common denominator, which comes last."""
    if not any(point):  # fractions would take a tenth of the time of a small count
        return [0] * len(point) + [1]
    exact = [x.as_integer_ratio() for x in point]
    last = math.lcm(*(denominator for _, denominator in exact))
    return [*(numerator * (last // denominator) for numerator, denominator in exact), last]


def regions(
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    domain: str = "space",
    box: float = 1.0,
    point: ArrayLike | None = None,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the exact numbers of regions of a ReLU network, or their means over random networks.

    With N hidden neurons, one hidden layer in general position has::

        activation_regions = sum_(i <= n0) C(N, i)

    and so have random networks of any depth on average, for n0 <= 2 in the limit of large widths.

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
        n0: The input dimension; 2 if None.
        domain: "space" for R^n0, "box" for the box of half side `box` around 0, or
            "polytope:FILE" for A x <= b: an `.npz` file with arrays A and b, or a table whose last
            column is b.
        box: Half the side of the box, R > 0.
        point: The point `(n0,)` whose region is measured; 0 if None.
        samples: The number of random networks; 1 if None.
        seed: Network s is a function of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the parts of the domain done and their number, a few times per second.

    Returns:
        A Table of one row: activation_regions, linear_regions, bounded, unbounded, vertices, edges,
        mean_sides and zero_cell_sides (see `nnth.RegionCounts`), means if there are several
        networks; exact_signs, their total; `expected`, the mean of activation_regions over random
        networks, exact for one hidden layer and the limit of large widths for more, NaN for a
        given network; `upper_bound`, the least of the proven bounds of Serra et al. and Montufar;
        `stderr`, the standard error of activation_regions over the samples;
        z = (activation_regions - expected)/stderr; `note`, why z is not normal; zero_cell_measure;
        layer_regions, text with a number for each layer. NaN marks unknown values; networks whose
        boundaries meet the point are left out of the means of its region. Integers above 9e18 are
        floats.

    Raises:
        ValueError: If an argument is out of range, or an exact count is out of reach: more than
            10^10 regions expected for n0 of 3 and 4, or 10^9 for more, with the rank of W_1 for n0
            in the whole space.
        KeyboardInterrupt: With the counts done so far.

    Accuracy and cost: as `nnth.count_regions`.

    Example:
        >>> table = nnth.regions(n0=2, width=8)
        >>> int(table["activation_regions"][0]), float(table["expected"][0])
        (37, 37.0)

    Source: Zaslavsky (1975); Montufar (2017) and Serra et al. (2018) for the bound; Hanin and
    Rolnick (2019) for the expectation.
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
    return count_table(networks, domain, box, point, threads, progress)


def count_table(
    networks: Ensemble,
    domain: str,
    box: float,
    point: ArrayLike | None,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the Table of `regions`."""
    polytope = polytope_domain.is_polytope(domain)
    limits = None if polytope else check_domain(domain, box)
    counts = count_all(networks, domain, box, point, threads, progress)
    found = [float(number(c.activation_regions)) for c in counts]
    mean, stderr = mean_of(np.array(found))
    expected = expected_count(networks, domain, box)
    columns = count_columns(counts) | {
        "expected": expected,
        "upper_bound": number(_upper(networks, counts)),
        "stderr": stderr,
        "z": float(z_score(mean - expected, stderr)),
        "note": joined(_note_on_search(counts), note_on_count(len(networks.widths), found, stderr)),
    }
    parameters = networks.parameters() | {
        "domain": polytope_domain.file_of_domain(domain),
        "box": box if domain == "box" else None,
        "point": None if point is None else _point(point, networks.n0),
    }
    table = one_row(columns | cell_columns(counts), parameters, networks)
    if polytope:
        return table
    return table.with_drawing(partial(picture_of, networks, None, limits, threads))


def picture_of(
    networks: Ensemble,
    along: Literal["line", "plane"] | None,
    limits: tuple[float, float] | None,
    threads: int,
) -> Drawing:
    """Return the picture of the first network, on its first random line or plane with `along`."""
    from nnth._regions.pictures import place_of

    return place_of(networks, along, limits).picture(threads=threads)


def note_on_count(layers: int, counts: Sequence[float], stderr: float) -> str:
    """Return why z of a mean count over random networks is not standard normal."""
    if not stderr > 0.0:
        return ""
    on_z = note_on_z(len(counts), float(skewness(counts)))
    return joined(ASYMPTOTIC if layers > 1 else "", on_z)


def _note_on_search(counts: Sequence[RegionCounts]) -> str:
    """Return what is unknown if regions were searched for."""
    searched = any(c.linear_regions is None for c in counts)
    return "linear regions and faces are not counted in this dimension" if searched else ""


def check_domain(domain: str, box: float) -> tuple[float, float] | None:
    """Return the limits of each coordinate, or None for the whole space, after checking them."""
    if domain not in ("space", "box"):
        raise ValueError(f"domain must be space or box, not {domain!r}")
    if not 0.0 < box < math.inf:
        raise ValueError(f"box must be finite and above 0, not {box:g}")
    if box > MAX_BOX:
        raise ValueError(f"box must be at most {MAX_BOX:g}, not {box:g}")
    return None if domain == "space" else (-float(box), float(box))


class OutOfReachError(ValueError):
    """An exact count would take too long."""


def _check_reach(n0: int, rank: int, widths: Sequence[int]) -> None:
    """Raise OutOfReachError if a count takes too long; only `rank` of the n0 inputs matter."""
    if rank <= 2:
        return
    estimate = zaslavsky(sum(widths), rank)
    walked = rank <= any_dimension.MAX_WALKED_DIMENSION
    if estimate <= (MAX_REGIONS if walked else MAX_SEARCHED):
        return
    about = f"{estimate:.2g}" if estimate < 10**300 else in_decimal(estimate)
    of_rank = f" (rank {rank})" if rank < n0 else ""
    raise OutOfReachError(
        f"n0 must be smaller for an exact count, not {n0}{of_rank}: about {about} regions; "
        "nnth regions along line and along plane count on random slices"
    )


def count_columns(counts: Sequence[RegionCounts]) -> dict[str, Any]:
    """Return the columns of counts: integers for one network, means for several."""
    columns = {name: _mean([getattr(c, name) for c in counts]) for name in _COUNTED}
    signs = [c.exact_signs for c in counts if c.exact_signs is not None]
    return columns | {"exact_signs": sum(signs) if signs else math.nan}


def cell_columns(counts: Sequence[RegionCounts]) -> dict[str, Any]:
    """Return the columns zero_cell_measure and layer_regions, which come last."""
    measures = [c.zero_cell_measure for c in counts if not math.isnan(c.zero_cell_measure)]
    layers = zip(*(c.layer_regions for c in counts), strict=True)
    texts = [str(layer[0] if len(layer) == 1 else _mean(layer)) for layer in layers]
    return {"zero_cell_measure": _mean(measures), "layer_regions": " ".join(texts)}


def one_row(columns: dict[str, Any], parameters: dict[str, Any], networks: Ensemble) -> Table:
    """Return a Table of one row with these values."""
    fixed = networks.given is not None and "lines" not in parameters
    meta = Meta("regions", parameters, seed=None if fixed else networks.seed)
    return Table({name: [value] for name, value in columns.items()}, meta)


def number(value: float) -> float:
    """Return an integer as a float if a column of 64-bit integers cannot hold it."""
    if isinstance(value, int) and value >= 2**63:
        return float(value) if value < 2**1023 else math.inf
    return value


def count_all(
    networks: Ensemble,
    domain: str,
    box: float,
    point: ArrayLike | None,
    threads: int,
    progress: Progress | None,
) -> list[RegionCounts]:
    """Return the counts of each network by `count_regions`."""
    if networks.given is None:
        require_weights((networks.n0, *networks.widths, networks.n_out))
    _point(point, networks.n0)
    if polytope_domain.is_polytope(domain):
        polytope_domain.inequalities(domain, networks.n0)
    if len(networks.widths) > 1 or domain != "space":
        _check_reach(networks.n0, _most_rank(networks, domain), networks.widths)
    check_memory_of_counts(networks.samples, len(networks.widths), "samples")

    assigned = assigned_range(networks.samples)
    if assigned.ready is not None:
        return assigned.ready  # type: ignore[no-any-return]
    counts: list[RegionCounts] = []
    with Tasks(assigned.count, "network", progress) as tasks:
        for sample in range(assigned.first, assigned.first + assigned.count):
            network = networks.network(sample)
            counts.append(
                count_regions(
                    network,
                    domain=domain,
                    box=box,
                    point=point,
                    threads=threads,
                    progress=tasks.part,
                )
            )
            tasks.finish(counts[-1].activation_regions)
    return assigned.record(counts)


def _most_rank(networks: Ensemble, domain: str) -> int:
    """Return the number of inputs that matter, before random networks are drawn."""
    if domain != "space" or networks.n0 <= 2:
        return networks.n0
    if networks.given is not None:
        return any_dimension.rank(networks.given)
    return min(networks.n0, networks.widths[0])


def check_memory_of_counts(counts: int, depth: int, name: str) -> None:
    """Raise MemoryError if `counts` RegionCounts of networks of this depth do not fit."""
    check_memory(counts * (800 + 40 * depth), f"{name} must be fewer: their counts")


def _point(point: ArrayLike | None, n0: int) -> list[float]:
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


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    if len(values) == 1 and known:
        return number(known[0])
    return float(np.mean([float(number(v)) for v in known])) if known else math.nan


def expected_count(networks: Ensemble, domain: str, box: float) -> float:
    """Return the expected number of activation regions; NaN for a given network or polytope."""
    if networks.variances is None or polytope_domain.is_polytope(domain):
        return math.nan
    limit = box if domain == "box" else None
    # In the whole space no more inputs matter than the first layer has neurons.
    n0 = networks.n0 if limit else min(networks.n0, networks.widths[0])
    return expected_regions(n0, networks.widths, **networks.variances, box=limit)


def _upper(networks: Ensemble, counts: Sequence[RegionCounts]) -> int:
    bound = best_upper(networks.n0, networks.widths)
    if len(networks.widths) == 1 and (networks.cb == 0.0 or _central(networks.given)):
        bound = min(bound, zaslavsky_central(networks.widths[0], networks.n0))
    return bound


def best_upper(n0: int, widths: Sequence[int]) -> int:
    """Return the least of the proven upper bounds for a network of this architecture."""
    bounds = (serra_2018_upper(n0, widths), montufar_2017_upper(n0, widths))
    return min(*bounds, patterns_upper(sum(widths)))


def _central(network: Network | None) -> bool:
    return network is not None and not network.biases[0].any()


def in_decimal(value: int) -> str:
    """Return an integer in decimal, or as a power of 10 if it has about 900 digits or more."""
    if value.bit_length() < 3000:
        return str(value)
    return f"10^{math.floor(value.bit_length() * math.log10(2.0))}"


def _count_arrangement(network: Network, threads: int, progress: Progress | None) -> RegionCounts:
    """Return the counts of one hidden layer in the whole space from its arrangement."""
    w, b = network.weights[0], network.biases[0]
    try:
        found = arrangement(w, b, threads=threads, progress=progress)
    except ValueError as error:  # there are too many subsets, since all numbers are finite
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

    On a hyperplane n.x + c = 0 it jumps by (sum of v_i |s_i|) n over the neurons i of the form
    s_i (n.x + c), with output weights v_i. The jump is the same everywhere on the hyperplane, so
    the cells of the remaining hyperplanes are the linear regions. Computed over the rationals.
    """
    from fractions import Fraction

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
