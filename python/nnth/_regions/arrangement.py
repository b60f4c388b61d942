"""Exact counts of a hyperplane arrangement: the regions of one hidden layer of a ReLU net."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from nnth import _core


@dataclass(frozen=True)
class Arrangement:
    """Counts of the arrangement of hyperplanes w_i . x + b_i = 0 in R^d, as exact integers.

    `general_position`: any min(n, d) normals are independent and no d + 1 hyperplanes meet.
    `hyperplanes`: distinct ones; a row of zero weights is none.
    `rank`: of the normals.
    `regions`, `bounded`: the cells of R^d and those of them that are bounded.
    `vertices`, `edges`, `facets`: faces of dimension 0, 1 and d - 1 (in R^1 edges are regions).
    `whitney`: |w_0|, ..., |w_rank|; the characteristic polynomial is
    sum_k (-1)^k |w_k| t^(d - k).
    """

    general_position: bool
    hyperplanes: int
    rank: int
    regions: int
    bounded: int
    vertices: int
    edges: int
    facets: int
    whitney: tuple[int, ...]


def arrangement(
    weights: ArrayLike,
    biases: ArrayLike,
    *,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Arrangement:
    """Return what the hyperplanes w_i . x + b_i = 0 cut R^d into, counted exactly.

    In general position, regions = sum_{i<=d} C(n, i) and bounded = C(n-1, d); in general, regions
    = (-1)^d chi(-1) and bounded = |chi(1)|, with chi the characteristic polynomial.

    weights: `(n, d)`, finite, a row a neuron; d >= 1. biases: `(n,)`, finite.
    threads: 0 = all; the result is the same for any number.
    progress: called with the work done and in all a few times a second, from this thread; each
    stage of the work counts anew.

    Returns an Arrangement of Python integers, which may exceed 64 bits.

    Accuracy: exact for the values the floats have. Hyperplanes meet, coincide or are parallel only
    if they are so exactly; there is no tolerance, and general position is proved, not assumed.
    Cost: one elimination for n <= d. Else, in general position, a few tens of nanoseconds for each
    of sum_{i<=k} C(n, i) subsets, k the lesser of d and n - d - 1; one less without biases. Where
    other hyperplanes meet or are parallel, k = d, and that times up to 3 d + 1; for weights that
    fill their 53 bits times about d + 2 again.

    Raises ValueError for shapes that do not fit, values that are not finite and more than 1e10
    subsets.

    Source: Zaslavsky (1975), theorems A and C; Whitney (1932).
    """
    w = np.asarray(weights, dtype=np.float64)
    b = np.asarray(biases, dtype=np.float64)
    if w.ndim != 2 or w.shape[1] == 0:
        raise ValueError(f"weights must be (n, d) with d at least 1, not {w.shape}")
    if b.shape != w.shape[:1]:
        raise ValueError(f"biases must be ({w.shape[0]},) as weights has rows, not {b.shape}")
    try:
        counts = _core.count_arrangement(w, b, threads, progress)
    except _core.TooManySubsetsError as error:
        raise ValueError(f"{error}; count along lines instead (--along line)") from None
    total = _EMPTY
    for component in counts.components:
        total = total.times(_faces(component))
    missing = w.shape[1] - counts.rank  # every face is a product with R^missing
    return Arrangement(
        general_position=counts.general_position,
        hyperplanes=counts.hyperplanes,
        rank=counts.rank,
        regions=total.regions,
        bounded=0 if missing else abs(sum(total.whitney[::2]) - sum(total.whitney[1::2])),
        vertices=total.vertices if missing == 0 else 0,
        edges=(total.edges, total.vertices)[missing] if missing < 2 else 0,
        facets=total.facets,
        whitney=total.whitney,
    )


@dataclass(frozen=True)
class _Faces:
    """Whitney numbers and faces of dimension 0, 1, r - 1 of an arrangement of rank r in R^r."""

    whitney: tuple[int, ...]
    vertices: int
    edges: int
    facets: int

    @property
    def regions(self) -> int:
        return sum(self.whitney)

    def times(self, other: _Faces) -> _Faces:
        """Return the product: its faces are the products of faces, its polynomial of theirs."""
        whitney = [0] * (len(self.whitney) + len(other.whitney) - 1)
        for i, a in enumerate(self.whitney):
            for j, b in enumerate(other.whitney):
                whitney[i + j] += a * b
        return _Faces(
            tuple(whitney),
            self.vertices * other.vertices,
            self.edges * other.vertices + self.vertices * other.edges,
            self.facets * other.regions + self.regions * other.facets,
        )


_EMPTY = _Faces((1,), 1, 0, 0)  # R^0 without hyperplanes


def _faces(component: _core.Component) -> _Faces:
    n, r = component.hyperplanes, component.rank
    if not component.uniform:
        whitney = tuple(component.whitney)
        return _Faces(whitney, component.vertices, component.edges, component.facets)
    central = component.central and n > r
    whitney = _uniform_whitney(n, r, central)
    # A flat of dimension k lies on r - k hyperplanes, the others cut it as they do R^k; the lines
    # of a central arrangement are cut at the center alone.
    return _Faces(
        whitney,
        vertices=1 if central else comb(n, r),
        edges=comb(n, r - 1) * (2 if central else n - r + 2),
        facets=n * sum(_uniform_whitney(n - 1, r - 1, central)),
    )


def _uniform_whitney(n: int, r: int, central: bool) -> tuple[int, ...]:
    """|w_k| = C(n, k), but for n hyperplanes through a point of R^r the last is C(n-1, r-1)."""
    last = comb(n - 1, r - 1) if central else comb(n, r)
    return (*(comb(n, k) for k in range(r)), last)
