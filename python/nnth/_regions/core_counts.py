"""Counts of one network by the core."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from nnth import _core
from nnth._networks.network import Network
from nnth._runtime.typing import Progress

if TYPE_CHECKING:
    from fractions import Fraction


@dataclass(frozen=True)
class RegionCounts:
    """Exact counts of the regions of one network, in the whole space, a box or a polytope.

    Attributes:
        activation_regions: The number of full-dimensional cells on which the pattern of active
            neurons is constant; they are convex polyhedra.
        linear_regions: The number of maximal sets of one gradient that are connected through
            facets; None if the regions were searched for.
        bounded: The number of bounded activation regions; in a domain, of those without a side on
            its boundary.
        vertices, edges, sides: Faces of the complex of activation regions; a side is counted once
            for each region that it bounds. The vertices and sides of a domain are counted too;
            faces at infinity are not.
        zero_cell_sides: The number of sides of the region around `point`; None if the point is on
            a boundary.
        zero_cell_measure: The length, area or volume of that region, with a relative error below
            1e-10; infinite if it is unbounded, NaN if the point is on a boundary.
        exact_signs: The number of signs that floating point left in doubt.
        layer_regions: The activation regions of the first 1, 2, ..., L hidden layers.

    If one hidden layer is counted by its characteristic polynomial, zero_cell_sides and exact_signs
    are None, and zero_cell_measure is NaN. The search, for n0 >= 5 and in domains of many
    inequalities, knows activation_regions, bounded, exact_signs and layer_regions; the others are
    None, and zero_cell_measure is NaN.

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
        """Unbounded activation regions; in a domain, those with a side on its boundary."""
        return self.activation_regions - self.bounded

    @property
    def mean_sides(self) -> float | None:
        """The mean number of sides of an activation region."""
        return None if self.sides is None else self.sides / self.activation_regions


@lru_cache(maxsize=1)  # shared by all slices of a network, whose norms are costly
def core_network(network: Network) -> _core.RegionNetwork:
    """Return the core's network on the whole input space."""
    return _core.RegionNetwork(list(network.weights), list(network.biases))


def count_core(
    core: _core.RegionNetwork,
    domain: _core.RegionDomain,
    point: Sequence[float | Fraction] | None,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionCounts:
    """Return the counts of the core's network on its slice, in a domain of the slice.

    point: the exact coordinates t of the point whose region is measured.
    """
    at = None if point is None else _homogeneous(point)
    return RegionCounts(**_core.count_regions(core, domain, at, threads, progress))


def _homogeneous(point: Sequence[float | Fraction]) -> list[int]:
    """Return the point as integers over a common denominator, which comes last."""
    if not any(point):  # fractions would take a tenth of the time of a small count
        return [0] * len(point) + [1]
    exact = [x.as_integer_ratio() for x in point]
    last = math.lcm(*(denominator for _, denominator in exact))
    return [*(numerator * (last // denominator) for numerator, denominator in exact), last]
