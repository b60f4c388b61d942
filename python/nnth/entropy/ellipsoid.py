"""Ellipsoids in l2, the unit ball of R^d and of the Hilbert space of a kernel among them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from nnth.entropy.body import Bracket
from nnth.typing import Floats

MAX_AXES: Final = 10_000_000
_MANY_BITS: Final = 60  # 2^n axes are more than there are
_STRETCHES: Final = (0.1, 0.3, 1.0, 3.0)  # s in (u + v)^2 <= (1 + s) u^2 + (1 + 1/s) v^2
_CUTS: Final = 12  # numbers of axes that are tried
_HALVINGS: Final = 60


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """The points of l2 with sum (x_j/b_j)^2 <= 1.

    values: the axes b > 0, descending, `(groups,)`; ends: how many there are up to the end of each
    group. rest: the largest of those that follow, 0 if there are no more. regular: whether the
    axes decay as a power, so that the bound of volumes is the asymptotic.
    """

    values: Floats
    ends: Floats
    rest: float = 0.0
    regular: bool = False
    hilbert: ClassVar[bool] = True

    @cached_property
    def _logs(self) -> Floats:
        return np.cumsum(np.log(self.values) * np.diff(self.ends, prepend=0.0))

    def least(self, n: int) -> float:
        """Return sup_k 2^(-n/k) (b_1...b_k)^(1/k), eps of H(eps) >= sum_(b_j > eps) ln(b_j/eps)."""
        return float(math.exp(((self._logs - n * math.log(2.0)) / self.ends).max()))

    def most(self, n: int) -> float:
        """Return six times that, which is enough: Carl & Stephani (1990), eq. 1.3.2."""
        least = self.least(n)
        if least <= self.rest:
            raise ValueError(
                f"bits must be fewer than {n}: of this ellipsoid {self.ends[-1]:g} axes are known, "
                f"and balls of radius {least:.1g} are near those that follow"
            )
        return min(float(self.values[0]), 6.0 * least)

    def entropy(self, n: int) -> Bracket:
        volume, most = self.least(n), self.most(n)
        if self.ends[-1] == 1.0 and self.rest == 0.0:
            return Bracket(volume, volume)  # an interval
        # 2^n closed sets without antipodes do not cover a sphere of that many dimensions.
        antipodes = self.kolmogorov(2**n - 1).upper if n < _MANY_BITS else 0.0
        upper = min(most, self._cover(n, volume))
        return Bracket(min(max(volume, antipodes), upper), upper)

    def asymptotic(self, n: int) -> float:
        return self.least(n) if self.regular and n else math.nan

    def kolmogorov(self, n: int) -> Bracket:
        if n < self.ends[-1]:
            width = float(self.values[int(np.searchsorted(self.ends, n, side="right"))])
            return Bracket(width, width)
        return Bracket(0.0, self.rest)

    def stable(self, n: int) -> Bracket:
        """d_n: below by Borsuk and Ulam on a ball of n + 1 dimensions, above by a projection."""
        return self.kolmogorov(n)

    def _cover(self, n: int, volume: float) -> float:
        """Return the radius of a cover by points that differ in the first k axes alone.

        Balls of radius r/2 around points r apart lie in an ellipsoid with the squared axes (1 + s)
        b_j^2 + (1 + 1/s) r^2/4, so that at most prod sqrt(4 (1 + s) b_j^2/r^2 + 1 + 1/s) of them
        do; what is left of the other axes is at most b_(k+1): r^2 + b_(k+1)^2.
        """
        counts, logs = np.diff(self.ends, prepend=0.0), np.log2(self.values)
        following = np.append(self.values[1:], self.rest)
        last = int(np.searchsorted(-self.values, -volume / 4.0, side="right")) - 1
        best = math.inf
        for cut in np.unique(np.linspace(0, max(last, 0), _CUTS).astype(int)):
            for s in _STRETCHES:
                large, small = math.log2(4.0 * (1.0 + s)), math.log2(1.0 + 1.0 / s)
                low, high = math.log2(volume) - 4.0, float(logs[0]) + 4.0
                for _ in range(_HALVINGS):
                    middle = 0.5 * (low + high)
                    sizes = np.logaddexp2(large + 2.0 * (logs[: cut + 1] - middle), small)
                    bits = 0.5 * float((counts[: cut + 1] * sizes).sum())
                    low, high = (low, middle) if bits <= n else (middle, high)
                if high < logs[0] + 4.0:  # some radius was enough
                    best = min(best, math.hypot(2.0**high, following[cut]))
        return best


def ball(d: int, radius: float = 1.0) -> Ellipsoid:
    """Return the Euclidean ball of R^d."""
    return Ellipsoid(np.array([radius]), np.array([float(d)]))


def of_axes(axes: Floats) -> Ellipsoid:
    """Return the ellipsoid of these axes, in any order; those that are 0 do not count."""
    values, counts = np.unique(axes[axes > 0.0], return_counts=True)
    return Ellipsoid(values[::-1].copy(), np.cumsum(counts[::-1]).astype(np.float64))


def power_law(p: float, bits: int) -> Ellipsoid:
    """Return the ellipsoid with b_j = j^-p, as many axes as so many bits may ask for.

    The volume is largest at k near n ln(2)/p; four times as many axes are kept.
    """
    count = int(4.0 * (bits + 8) * math.log(2.0) / p) + 64
    if count > MAX_AXES:
        raise ValueError(f"bits and power must need at most {MAX_AXES} axes, not {count}")
    j = np.arange(1.0, count + 1.0)
    return Ellipsoid(j**-p, j, rest=(count + 1.0) ** -p, regular=True)
