"""The table of `nnth.regions`: exact counts, or their means over random networks."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from nnth._networks.ensemble import Ensemble, Tasks, ensemble
from nnth._networks.network import Network, require_weights
from nnth._regions import any_dimension, polytope_domain
from nnth._regions.bounds import best_upper, expected_regions, zaslavsky_central
from nnth._regions.core_counts import RegionCounts
from nnth._regions.counts import checked_point, count_regions
from nnth._regions.domains import count_domain
from nnth._regions.reach import check_memory_of_counts, check_reach
from nnth._runtime.typing import Progress
from nnth._runtime.work import assigned_range
from nnth._tables.statistics import ASYMPTOTIC, joined, mean_of, note_on_z, skewness, z_score
from nnth._tables.table import Meta, Table

if TYPE_CHECKING:
    from nnth._tables.plot import Drawing

# The columns of counts before exact_signs.
_COUNTED: Final = (
    *("activation_regions", "linear_regions", "bounded", "unbounded", "vertices", "edges"),
    *("mean_sides", "zero_cell_sides"),
)


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
    where = count_domain(domain, box)
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
        "point": None if point is None else checked_point(point, networks.n0),
    }
    table = one_row(columns | cell_columns(counts), parameters, networks)
    if where.is_polytope:
        return table
    return table.with_drawing(partial(picture_of, networks, None, where.limits, threads))


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
    return (
        "linear regions and faces are not counted in this dimension or domain" if searched else ""
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
    checked_point(point, networks.n0)
    count_domain(domain, box).core(networks.n0)
    if len(networks.widths) > 1 or domain != "space":
        check_reach(networks.n0, _most_rank(networks, domain), networks.widths)
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


def _central(network: Network | None) -> bool:
    return network is not None and not network.biases[0].any()
