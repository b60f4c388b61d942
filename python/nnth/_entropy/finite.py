"""Finite sets of functions: farthest-first covers, linear and random projections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._entropy.body import Bracket
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

# The Johnson-Lindenstrauss lemma as in Dasgupta and Gupta (2003): m >= 4 ln k/(e^2/2 - e^3/3)
# dimensions keep squared distances of k points within 1 +- e. With e = 3/5 lengths differ by a
# factor of 2.
DISTORTION: Final = 0.6
_RATE: Final = DISTORTION**2 / 2.0 - DISTORTION**3 / 3.0
_MOST_PAIRS: Final = 400  # the number of points for which all pairs are compared
_CHEAP: Final = 10**9  # the number of differences that the lower bound of a later row may take


def projected_dimension(points: int) -> int:
    """Return the number of dimensions that suffices for a number of points."""
    return math.ceil(4.0 * math.log(points) / _RATE)


@dataclass(frozen=True, eq=False)
class FiniteSet:
    """Functions given by values `(functions, points)`, in the L2 norm of the mean or the sup norm.

    The farthest-first radius rho after k centers (Gonzalez 1985) bounds the least radius of k
    balls: k + 1 functions have distances of at least rho, and two of them lie in one ball, so that
    the least radius is in [rho/2, rho]. Centers are computed when they are needed.
    """

    values: Floats
    hilbert: bool
    seed: int = 0

    @cached_property
    def vectors(self) -> Floats:
        """The functions, scaled so that distances are Euclidean or of the sup norm."""
        return self.values / math.sqrt(self.values.shape[1]) if self.hilbert else self.values

    @cached_property
    def _cover(self) -> _FarthestFirst:
        return _FarthestFirst(self.vectors, self.hilbert)

    def entropy(self, n: int) -> Bracket:
        if n == 0 and not self.hilbert:  # the center is the middle of the values at each point
            spread = float(np.ptp(self.values, axis=0).max()) / 2.0
            return Bracket(spread, spread)
        radius = self._cover.radius(min(2**n, len(self.values)))
        return Bracket(radius / 2.0, radius)

    def least(self, n: int) -> float:
        """Return the lower bound of eps_n, or 0 if the centers would take 10^9 differences."""
        known = max(_CHEAP // self.vectors.size, 1)
        return self.entropy(n).lower if 2**n <= known else 0.0

    def most(self, n: int) -> float:
        return self.entropy(n).upper

    def asymptotic(self, n: int) -> float:
        return math.nan

    @cached_property
    def _principal(self) -> tuple[Floats, Floats]:
        """Mean squared distances from the best n dimensions, and principal coefficients."""
        left, sizes, _ = np.linalg.svd(self.vectors, full_matrices=False)
        squares = np.cumsum((sizes**2)[::-1])[::-1] / len(self.values)
        noise = max(self.vectors.shape) * np.finfo(float).eps * sizes[0]
        return np.append(squares, 0.0), left * np.where(sizes > noise, sizes, 0.0)

    def kolmogorov(self, n: int) -> Bracket:
        """Return bounds of d_n: root mean square and largest distance from the best space."""
        if not self.hilbert:
            radius = float(np.abs(self.values).max())
            return Bracket(radius, radius) if n == 0 else Bracket(0.0, radius)
        squares, scores = self._principal
        if n >= scores.shape[1]:
            return Bracket(0.0, 0.0)
        rest = scores[:, n:]
        largest = math.sqrt(float(np.einsum("ij,ij->i", rest, rest).max()))
        return Bracket(min(math.sqrt(float(squares[n])), largest), largest)

    def stable(self, n: int) -> Bracket:
        """Return bounds of delta_n: d_n by a projection, eps_0 in the sup norm."""
        if not self.hilbert:
            return Bracket(0.0, self.entropy(0).upper)
        return Bracket(0.0, min(self.kolmogorov(n).upper, self.entropy(0).upper))

    def distortion(self, n: int) -> tuple[int, float, float]:
        """Return the least and largest ratio of squared distances of 2^n centers, projected.

        A Gaussian matrix projects the first 400 centers to the dimension of the lemma. The result
        is the dimension, the least and the largest ratio; NaN if there is no pair.
        """
        centers = self.vectors[self._cover.centers(min(2**n, _MOST_PAIRS))]
        k, size = centers.shape
        if k < 2:
            return 0, math.nan, math.nan
        m = projected_dimension(2**n)
        matrix = normals(self.seed, n, size * m).reshape(size, m) / math.sqrt(m)
        upper = np.triu_indices(k, 1)
        before, after = (_squares(vectors)[upper] for vectors in (centers, centers @ matrix))
        apart = before > 0.0
        if not apart.any():
            return m, math.nan, math.nan
        ratios = after[apart] / before[apart]
        return m, float(ratios.min()), float(ratios.max())


class _FarthestFirst:
    """Centers of a set of vectors, each the farthest from the centers before it."""

    def __init__(self, vectors: Floats, hilbert: bool) -> None:
        self._vectors, self._hilbert = vectors, hilbert
        self._centers = [int(self._distances(vectors.mean(axis=0)).argmin())]
        self._nearest = self._distances(vectors[self._centers[0]])
        self._radii = [float(self._nearest.max())]

    def centers(self, count: int) -> NDArray[np.intp]:
        """Return the first `count` centers, or fewer if these have all vectors."""
        self._grow(count)
        return np.array(self._centers[:count])

    def radius(self, count: int) -> float:
        """Return the largest distance of a vector from the first `count` centers."""
        self._grow(count)
        return self._radii[min(count, len(self._radii)) - 1]

    def _grow(self, count: int) -> None:
        while len(self._centers) < count and self._radii[-1] > 0.0:
            farthest = int(self._nearest.argmax())
            self._centers.append(farthest)
            self._nearest = np.minimum(self._nearest, self._distances(self._vectors[farthest]))
            self._radii.append(float(self._nearest.max()))

    def _distances(self, one: Floats) -> Floats:
        gaps = self._vectors - one
        if self._hilbert:
            return np.asarray(np.sqrt(np.einsum("ij,ij->i", gaps, gaps)))
        return np.asarray(np.abs(gaps).max(axis=1))


def _squares(vectors: Floats) -> Floats:
    """Return the squared distances of all pairs, with the mean subtracted against rounding."""
    centered = vectors - vectors.mean(axis=0)
    sizes = np.einsum("ij,ij->i", centered, centered)
    return np.asarray(np.maximum(sizes[:, None] + sizes - 2.0 * centered @ centered.T, 0.0))
