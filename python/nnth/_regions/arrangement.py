"""Exact counts of a hyperplane arrangement: the regions of one hidden layer of a ReLU network."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from nnth import _core
from nnth._runtime.typing import Progress


@dataclass(frozen=True)
class Arrangement:
    """Exact counts of the arrangement of the hyperplanes w_i . x + b_i = 0 in R^d.

    Attributes:
        general_position: Whether any min(n, d) normals are independent and no d + 1 hyperplanes
            meet.
        hyperplanes: The number of distinct hyperplanes; a row of zero weights is none.
        rank: The rank of the normals.
        regions: The number of cells of R^d.
        bounded: The number of bounded cells.
        vertices: The number of faces of dimension 0.
        edges: The number of faces of dimension 1; in R^1 the regions.
        facets: The number of faces of dimension d - 1.
        whitney: The Whitney numbers `|w_0|, ..., |w_rank|`; the characteristic polynomial is
            `sum_k (-1)^k |w_k| t^(d - k)`.

    Example:
        >>> nnth.arrangement([[1.0], [1.0]], [0.0, 1.0]).whitney
        (1, 2)
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
    progress: Progress | None = None,
) -> Arrangement:
    """Return exact counts of the faces into which hyperplanes w_i . x + b_i = 0 cut R^d.

    In general position, and with the characteristic polynomial chi in general::

        regions = sum_(i <= d) C(n, i) = (-1)^d chi(-1),  bounded = C(n-1, d) = |chi(1)|

    Args:
        weights: The normals `(n, d)`, one neuron per row, finite; d >= 1.
        biases: The offsets `(n,)`, finite.
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second; each stage of the
            computation starts again at 0.

    Returns:
        An Arrangement of Python integers, which may exceed 64 bits.

    Raises:
        ValueError: If shapes do not fit, a number is not finite, or there are more than 10^10
            subsets to consider.

    Accuracy: exact for the values of the floats. Hyperplanes meet, coincide or are parallel only if
    they do so exactly, without a tolerance, and general position is proved. Cost: one elimination
    for n <= d; otherwise, in general position, some ten nanoseconds for each of the
    sum_(i <= k) C(n, i) subsets, k the lesser of d and n - d - 1 (one less without biases). If
    other hyperplanes meet or are parallel, k = d and the cost is up to 3 d + 1 times as large; for
    weights that use all 53 bits it is about d + 2 times larger again.

    Example:
        >>> found = nnth.arrangement([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 1.0])
        >>> found.regions, found.bounded, found.general_position
        (7, 1, True)

    Source: Zaslavsky (1975), theorems A and C; Whitney (1932).
    """
    w = np.asarray(weights, dtype=np.float64)
    b = np.asarray(biases, dtype=np.float64)
    if w.ndim != 2 or w.shape[1] == 0:
        raise ValueError(f"weights must be (n, d) with d at least 1, not {w.shape}")
    if b.shape != w.shape[:1]:
        raise ValueError(
            f"biases must be ({w.shape[0]},), one for each row of weights, not {b.shape}"
        )
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
        """Return the product arrangement: faces and polynomials are products too."""
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
    # A flat of dimension k lies on r - k hyperplanes, and the others cut it as they cut R^k. The
    # lines of a central arrangement are cut only at the center.
    return _Faces(
        whitney,
        vertices=1 if central else comb(n, r),
        edges=comb(n, r - 1) * (2 if central else n - r + 2),
        facets=n * sum(_uniform_whitney(n - 1, r - 1, central)),
    )


def _uniform_whitney(n: int, r: int, central: bool) -> tuple[int, ...]:
    """Return |w_k| = C(n, k); the last is C(n-1, r-1) if all hyperplanes meet in a point."""
    last = comb(n - 1, r - 1) if central else comb(n, r)
    return (*(comb(n, k) for k in range(r)), last)
