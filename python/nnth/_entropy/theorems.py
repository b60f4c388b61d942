"""Bounds of entropy numbers by widths, and of widths by entropy numbers, with their constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from nnth._entropy.body import Body

# 4 ln 2/(e^2/2 - e^3/3) at e = 3/5 is 25.7: this number of dimensions per bit keeps distances
# within a factor of 2.
DIMENSIONS_A_BIT: Final = 26
_MOST_BITS: Final = 60  # per dimension: no delta below exp(-40) R is tried


def of_entropy(body: Body, n: int) -> float:
    """Return 3 eps_floor(n/26) >= delta_n, or NaN outside Hilbert spaces.

    The centers of 2^k balls are mapped to R^(26k) with distances preserved up to a factor of 2, by
    a 1-Lipschitz map, and back by a 2-Lipschitz map; both extend (Kirszbraun): |f - M a f| <= eps +
    2 eps.
    """
    if not body.hilbert:
        return math.nan
    return 3.0 * body.entropy(n // DIMENSIONS_A_BIT).upper


def converse(body: Body, n: int) -> float:
    """Return a lower bound of delta_n.

    For any delta > delta_n the points of a packing of K with distances above 4 delta are mapped to
    points with distances above delta in a ball of R^n of radius 2R, where R is the radius of K. So
    a packing has at most (1 + 4R/delta)^n points, and a maximal packing is a cover:
    eps_ceil(n log2(1 + 4R/delta)) <= 4 delta. The result is the supremum of the delta that a lower
    bound of eps excludes. For N = ceil(n log2(1 + 4R/delta)), which holds for delta from
    a_N = 4R/(2^(N/n) - 1) to a_(N-1), these are the delta below eps_N/4. They decrease with N, so
    that the first N that has one decides. N is at most 60 n.
    """
    radius = body.most(0)
    if n == 0 or radius == 0.0:
        return body.entropy(0).lower

    def edge(bits: int) -> float:
        return 4.0 * radius / math.expm1(bits / n * math.log(2.0)) if bits else math.inf

    def first(low: int, high: int) -> int | None:
        """Return the first N of low..high with eps_N/4 > a_N, or None; both decrease with N."""
        if not 0.25 * body.least(low) > edge(high):
            return None
        if low == high:
            return low
        middle = (low + high) // 2
        found = first(low, middle)
        return first(middle + 1, high) if found is None else found

    bits = first(1, _MOST_BITS * n)
    return 0.0 if bits is None else min(0.25 * body.least(bits), edge(bits - 1))


def carl_ratios(body: Body, numbers: Sequence[int], rate: float) -> dict[int, float]:
    """Return sup_(1 <= k <= n) k^r eps_k/sup_(1 <= k <= n) k^r d_(k-1) for each n.

    For every set it is bounded by a constant C_r: Carl (1981), theorem 1. The numerator has the
    upper bounds of eps_k, the denominator the lower bounds of d_(k-1). NaN for n = 0.
    """
    found, above, below = {0: math.nan}, 0.0, 0.0
    for k in range(1, max(numbers, default=0) + 1):
        power = k**rate
        if power * body.most(k) > above:  # `most` is an upper bound that costs little
            above = max(above, power * body.entropy(k).upper)
        below = max(below, power * body.kolmogorov(k - 1).lower)
        found[k] = above / below if below > 0.0 else math.nan
    return {n: found[n] for n in numbers}
