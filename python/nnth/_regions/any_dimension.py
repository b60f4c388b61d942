"""Counts of regions in any dimension: the rank of the first layer, and the search."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nnth import _core
from nnth._networks.network import Network
from nnth._regions.bounds import zaslavsky

if TYPE_CHECKING:
    from fractions import Fraction

    from nnth._runtime.typing import Progress

# Below these numbers of regions the walk through polytopes, which knows all faces, takes at most
# about a second: 25, 100 and 3000 us per region in dimension 4, 5 and 6 (bench/bench_search.py).
MAX_WALKED: Final = {5: 10_000, 6: 300}
MAX_WALKED_DIMENSION: Final = 4  # where the walk is as fast as the search
# A walk starts at the vertices of the domain, found in exact arithmetic, whose number grows with
# that of its inequalities: 32 have up to 464 in dimension 4.
MAX_ROWS: Final = 32
MAX_ROWS_IN_PLANE: Final = 256
MAX_RANK: Final = 64  # beyond it, counts of networks that have this rank are out of reach


def is_walked(dimension: int, neurons: int, *, measured: bool = False, rows: int = 0) -> bool:
    """Whether polytopes are walked through, which counts their faces, instead of a search.

    measured: whether the region of a point is to be measured, which only the walk does. rows: the
    number of inequalities of the domain, unless it is a box or the whole space.
    """
    if rows > (MAX_ROWS if dimension > 2 else MAX_ROWS_IN_PLANE):
        return False
    if dimension <= MAX_WALKED_DIMENSION or (measured and dimension in MAX_WALKED):
        return True
    limit = MAX_WALKED.get(dimension, 0)
    return limit > 0 and zaslavsky(neurons, dimension) <= limit


@lru_cache(maxsize=1)
def reduced(network: Network) -> tuple[Network, tuple[int, ...]]:
    """Return a network with as many inputs as its first layer has rank, and these inputs.

    Columns of W_1 that are a basis of all its columns give the same pre-activations: R^n0 is the
    product of the space of the reduced network with one in which nothing changes. The rank is that
    of these doubles, proven modulo primes; ranks above `MAX_RANK` are returned as that.
    """
    columns = tuple(_core.basis_columns(network.weights[0], MAX_RANK, None))
    if len(columns) == network.n0 or len(columns) == MAX_RANK or not columns:
        return network, tuple(range(network.n0))
    first = np.ascontiguousarray(network.weights[0][:, columns])
    return Network((first, *network.weights[1:]), network.biases), columns


def rank(network: Network) -> int:
    """Return the rank of the first layer, at least 1 and at most MAX_RANK unless it is n0."""
    return reduced(network)[0].n0


def projected(
    network: Network, columns: Sequence[int], point: Sequence[float | Fraction]
) -> list[Fraction]:
    """Return the point of the reduced network with the same pre-activations, exactly.

    It is the solution u of W_1[:, columns] u = W_1 x.
    """
    from fractions import Fraction  # which imports decimal, and most counts have no point

    weights = network.weights[0].tolist()
    exact = [Fraction(x) for x in point]
    if not any(exact):
        return [Fraction(0)] * len(columns)
    pivots: list[tuple[int, list[Fraction]]] = []
    for weight in weights:
        row = [Fraction(weight[c]) for c in columns]
        row.append(sum((Fraction(w) * x for w, x in zip(weight, exact, strict=True)), Fraction(0)))
        for pivot, other in pivots:
            row = [a - row[pivot] * b for a, b in zip(row, other, strict=True)]
        found = next((c for c, value in enumerate(row[:-1]) if value), None)
        if found is None:
            continue
        row = [value / row[found] for value in row]
        pivots = [
            (pivot, [a - other[found] * b for a, b in zip(other, row, strict=True)])
            for pivot, other in pivots
        ]
        pivots.append((found, row))
    return [row[-1] for _, row in sorted(pivots, key=lambda entry: entry[0])]


def search(
    core: _core.RegionNetwork,
    domain: _core.RegionDomain,
    threads: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """Return the fields of RegionCounts that the search counts; the others are unknown."""
    unknown = {"linear_regions": None, "vertices": None, "edges": None, "sides": None}
    counted = _core.search_regions(core, domain, threads, progress)
    return unknown | {"zero_cell_sides": None, "zero_cell_measure": np.nan} | counted
