"""Ellipsoids in l2, such as the unit balls of R^d and of the Hilbert space of a kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from nnth._entropy.body import Bracket
from nnth._runtime.typing import Floats

LEAST_POWER: Final = 1e-9  # below it the numbers of axes of a power law exceed 2^53
_MANY_BITS: Final = 1000  # 2^n is a double
_STRETCHES: Final = np.array([0.1, 0.3, 1.0, 3.0])  # s: (u + v)^2 <= (1 + s) u^2 + (1 + 1/s) v^2
_CUTS: Final = 12  # number of cuts k that are tried
_NEWTON_STEPS: Final = 100  # a dozen are usual
_SINGLE_AXES: Final = 64  # the first axes of a power law, which are not grouped
_GROUP: Final = 2.0**-6  # the largest difference of base-2 logarithms within a group


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """The points of l2 with sum (x_j/b_j)^2 <= 1.

    values: the axes b > 0, descending, `(groups,)`. ends: the number of axes up to the end of each
    group. rest: the largest of the axes that follow, or 0 if there are none. regular: whether the
    axes decay as a power, so that the volume bound is asymptotically exact.
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
        """Return 6 `least(n)`, an upper bound of eps_n: Carl and Stephani (1990), eq. 1.3.2."""
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
        # A sphere of dimension 2^n - 1 is not covered by 2^n closed sets without antipodes.
        antipodes = self.kolmogorov(2**n - 1).lower if n < _MANY_BITS else 0.0
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
        """Return d_n: from below by Borsuk and Ulam in n + 1 dimensions, above by a projection."""
        return self.kolmogorov(n)

    def _cover(self, n: int, volume: float) -> float:
        """Return the radius of a cover by points that differ only in the first k axes.

        Balls of radius r/2 around points at distances r lie in an ellipsoid with the squared axes
        (1 + s) b_j^2 + (1 + 1/s) r^2/4, so that there are at most
        prod sqrt(4 (1 + s) b_j^2/r^2 + 1 + 1/s) of them. The other axes add at most b_(k+1), so
        that the squared radius of the cover is r^2 + b_(k+1)^2.
        """
        counts, logs = np.diff(self.ends, prepend=0.0), np.log2(self.values)
        following = np.append(self.values[1:], self.rest)
        last = int(np.searchsorted(-self.values, -volume / 4.0, side="right")) - 1
        best = math.inf
        for cut in np.unique(np.linspace(0, max(last, 0), _CUTS).astype(int)):
            radii = _radii(counts[: cut + 1], logs[: cut + 1], n, math.log2(volume) - 4.0)
            best = min(best, math.hypot(float(radii.min()), following[cut]))
        return best


def _radii(counts: Floats, logs: Floats, n: int, low: float) -> Floats:
    """Return the least r of each s with prod sqrt(4 (1 + s) b^2/r^2 + 1 + 1/s) <= 2^n; or infinity.

    counts, logs: the number of axes with each base-2 logarithm. Newton's method in log r, in which
    the logarithm of the product is convex, approaches the root from below, starting at `low`.
    """
    large, small = np.log2(4.0 * (1.0 + _STRETCHES)), np.log2(1.0 + 1.0 / _STRETCHES)
    possible = 0.5 * small * counts.sum() < n
    x = np.full(len(_STRETCHES), low)
    for _ in range(_NEWTON_STEPS):
        of_axes = large + 2.0 * (logs[:, None] - x)
        sizes = np.logaddexp2(of_axes, small)
        excess = 0.5 * counts @ sizes - n
        slope = counts @ np.exp2(of_axes - sizes)
        step = np.where(possible, excess / np.where(slope > 0.0, slope, 1.0), 0.0)
        x = x + step
        if np.all(np.abs(step) <= 1e-15 * np.abs(x)) or not np.all(x < logs[0] + 4.0):
            break
    # A radius above 16 times the largest axis is of no use. Rounding is well below 1e-12.
    found = possible & (x < logs[0] + 4.0)
    return np.where(found, np.exp2(np.where(found, x, 0.0)) * (1.0 + 1e-12), math.inf)


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """The ellipsoid with b_j = j^-p; no result for n depends on which other n are computed."""

    p: float
    hilbert: ClassVar[bool] = True

    def _axis(self, j: float) -> float:
        return math.exp(-self.p * math.log(j))

    def _longest(self, n: int) -> int:
        """Return the k of the sup in `least`: the first with p (k ln(k + 1) - ln k!) >= n ln 2.

        The inequality says that term k is at least term k + 1; its left side grows with k.
        """
        low, high = 0, 1

        def enough(k: int) -> bool:
            return self.p * (k * math.log(k + 1.0) - math.lgamma(k + 1.0)) >= n * math.log(2.0)

        while not enough(high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high

    def least(self, n: int) -> float:
        """Return sup_k 2^(-n/k) (k!)^(-p/k), over all axes."""
        k = self._longest(n)
        return math.exp(-(n * math.log(2.0) + self.p * math.lgamma(k + 1.0)) / k)

    def most(self, n: int) -> float:
        return min(1.0, 6.0 * self.least(n))

    def entropy(self, n: int) -> Bracket:
        return self._known(n).entropy(n)

    def _known(self, n: int) -> Ellipsoid:
        """Return an ellipsoid that contains this one, with the axes that n bits need, in groups.

        The volume bound is largest at k axes, and four times as many are kept. All axes of a group
        get the length of its first axis, whose base-2 logarithm exceeds that of the last by at most
        2^-6. Covers of the larger set cover this one; `least` is that of this set.
        """
        count = 4.0 * self._longest(n + 8) + 64.0
        growth = 2.0 ** min(_GROUP / self.p, 500.0)
        first = np.arange(1.0, min(count, _SINGLE_AXES) + 1.0)
        rest = [float(first[-1]) + 1.0]
        while rest[-1] <= count:
            rest.append(float(np.floor(min(max(rest[-1] * growth, rest[-1] + 1.0), count + 1.0))))
        starts = np.append(first, rest)
        with np.errstate(under="ignore"):
            values = np.exp(-self.p * np.log(starts))
        some = values[:-1] > 0.0  # axes that underflow to 0 are left out
        return _OfPowerLaw(
            values[:-1][some], starts[1:][some] - 1.0, float(values[1:][some][-1]), True, self
        )

    def asymptotic(self, n: int) -> float:
        return self.least(n) if n else math.nan

    def kolmogorov(self, n: int) -> Bracket:
        width = self._axis(n + 1.0)
        return Bracket(width, width)

    def stable(self, n: int) -> Bracket:
        """Return d_n, as `Ellipsoid.stable`."""
        return self.kolmogorov(n)


@dataclass(frozen=True, eq=False)
class _OfPowerLaw(Ellipsoid):
    """An ellipsoid that contains that of a power law, with the volumes and widths of the latter."""

    law: PowerLaw | None = None

    def least(self, n: int) -> float:
        assert self.law is not None
        return self.law.least(n)

    def most(self, n: int) -> float:
        assert self.law is not None
        return self.law.most(n)

    def kolmogorov(self, n: int) -> Bracket:
        assert self.law is not None
        return self.law.kolmogorov(n)


def ball(d: int, radius: float = 1.0) -> Ellipsoid:
    """Return the Euclidean ball of R^d."""
    return Ellipsoid(np.array([radius]), np.array([float(d)]))


def of_axes(axes: Floats) -> Ellipsoid:
    """Return the ellipsoid of these axes, in any order; axes of length 0 are left out."""
    values, counts = np.unique(axes[axes > 0.0], return_counts=True)
    return Ellipsoid(values[::-1].copy(), np.cumsum(counts[::-1]).astype(np.float64))


def power_law(p: float) -> PowerLaw:
    """Return the ellipsoid with b_j = j^-p."""
    if p < LEAST_POWER:
        raise ValueError(f"set power:p must have p of at least {LEAST_POWER:g}, not {p:g}")
    return PowerLaw(p)
