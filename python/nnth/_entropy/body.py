"""Sets with known entropy numbers and widths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import ClassVar, Protocol


@dataclass(frozen=True)
class Bracket:
    """A number between two bounds, which is exact if they are equal."""

    lower: float
    upper: float

    @property
    def exact(self) -> float:
        """The number, or NaN if it is not known."""
        return self.lower if self.lower == self.upper else math.nan


class Body(Protocol):
    """A compact set K of functions or points.

    entropy(n) is eps_n, the least radius of 2^n balls that cover K. kolmogorov(n) is d_n, the
    largest distance of K from the best linear space of dimension n. stable(n) is delta_n, the least
    error of 2-Lipschitz maps to R^n and back. asymptotic(n) is the limit form of eps_n for large n,
    or NaN if it is not known. least(n) and most(n) are bounds of eps_n that cost little. hilbert is
    whether the distances are those of a Hilbert space.
    """

    @property
    def hilbert(self) -> bool: ...
    def entropy(self, n: int) -> Bracket: ...
    def least(self, n: int) -> float: ...
    def most(self, n: int) -> float: ...
    def asymptotic(self, n: int) -> float: ...
    def kolmogorov(self, n: int) -> Bracket: ...
    def stable(self, n: int) -> Bracket: ...


@dataclass(frozen=True)
class Box:
    """The points with |x_j| <= b_j in the sup norm; with one side, an interval.

    N(eps) = prod ceil(b_j/eps). The widths are b_(n+1): from below by the theorem of Borsuk and
    Ulam, since K contains a ball of that radius in n + 1 dimensions; from above by the linear space
    of the n longest sides.
    """

    sides: tuple[float, ...]
    hilbert: ClassVar[bool] = False

    def entropy(self, n: int) -> Bracket:
        radius = float(_box_radius(self.sides, n))
        return Bracket(radius, radius)

    def _volumes(self, n: int) -> list[float]:
        """Return 2^(-n/k) (b_1...b_k)^(1/k) of the longest k sides, for each k."""
        logs = list(accumulate(math.log(side) for side in sorted(self.sides, reverse=True)))
        return [math.exp((log - n * math.log(2.0)) / k) for k, log in enumerate(logs, 1)]

    def least(self, n: int) -> float:
        return max(self._volumes(n))

    def most(self, n: int) -> float:
        # ceil(b/eps) <= 2b/eps for each side that is longer than eps.
        return min(max(self.sides), 2.0 * self.least(n))

    def asymptotic(self, n: int) -> float:
        return self._volumes(n)[-1]

    def kolmogorov(self, n: int) -> Bracket:
        width = sorted(self.sides, reverse=True)[n] if n < len(self.sides) else 0.0
        return Bracket(width, width)

    def stable(self, n: int) -> Bracket:
        return self.kolmogorov(n)


def _box_radius(sides: Sequence[float], n: int) -> Fraction:
    """Return the least eps with prod ceil(b_j/eps) <= 2^n, in rational arithmetic: some b_j/k."""
    exact, most = [Fraction(side) for side in sides], 2**n
    low: Fraction
    high: Fraction
    # At `low` the longest side alone needs too many balls; at `high` sides are halved n/d times.
    low, high = max(exact) / 2 ** (n + 1), max(exact) / 2 ** (n // len(sides))
    # Just below `high` a side needs floor(b/high) + 1 balls. Once the product exceeds 2^n, `high`
    # is the result.
    while math.prod(side // high + 1 for side in exact) <= most:
        middle = (low + high) / 2
        counts = [math.ceil(side / middle) for side in exact]
        if math.prod(counts) <= most:
            high = max(side / k for side, k in zip(exact, counts, strict=True))
        else:
            low = middle
    return high


@dataclass(frozen=True)
class Lipschitz:
    """Functions on [0, T] with f(0) = 0 and |f(s) - f(t)| <= A |s - t|, in the sup norm.

    N(eps) = 2^(ceil(A T/eps) - 1) (Kolmogorov and Tikhomirov, 1959). The widths are
    A T/(2n + 1): from below by the theorem of Borsuk and Ulam on zigzags of slopes +-A with n
    corners, whose least height it is; from above by the values at n points in the middle of
    intervals, and 0 on a first interval half as long.
    """

    slope: float
    length: float
    hilbert: ClassVar[bool] = False

    def entropy(self, n: int) -> Bracket:
        radius = self.most(n)
        return Bracket(radius, radius)

    def least(self, n: int) -> float:
        return self.most(n)

    def most(self, n: int) -> float:
        return self.slope * self.length / (n + 1)

    def asymptotic(self, n: int) -> float:
        return self.slope * self.length / n if n else math.nan

    def kolmogorov(self, n: int) -> Bracket:
        width = self.slope * self.length / (2 * n + 1)
        return Bracket(width, width)

    def stable(self, n: int) -> Bracket:
        return self.kolmogorov(n)
