"""What bounds entropy numbers by widths, and widths by entropy numbers, with its constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from nnth.entropy.body import Body

# 4 ln 2/(e^2/2 - e^3/3) at e = 3/5 is 25.7: dimensions a bit that keep distances within a factor 2.
DIMENSIONS_A_BIT: Final = 26
_GRID: Final = 400  # values of delta, over so many powers of e
_SPAN: Final = 40.0


def of_entropy(body: Body, n: int) -> float:
    """Return 3 eps_floor(n/26) >= delta_n; NaN where distances are not those of a Hilbert space.

    The centres of 2^k balls go to R^(26k) with distances kept up to a factor of 2, by a map that is
    1-Lipschitz, and back by one that is 2-Lipschitz; both extend (Kirszbraun): |f - M a f| <= eps +
    2 eps.
    """
    if not body.hilbert:
        return math.nan
    return 3.0 * body.entropy(n // DIMENSIONS_A_BIT).upper


def converse(body: Body, n: int) -> float:
    """Return a bound that delta_n is not below.

    For any delta > delta_n points of K more than 4 delta apart go to points more than delta apart,
    in a ball of radius 2R of R^n, R that of K: there are at most (1 + 4R/delta)^n, and where no
    more fit they cover, eps_ceil(n log2(1 + 4R/delta)) <= 4 delta. Of a grid of delta the largest
    that lower bounds of eps forbid is returned.
    """
    radius = body.most(0)
    if n == 0 or radius == 0.0:
        return body.entropy(0).lower
    for step in range(_GRID):
        delta = radius * math.exp(-_SPAN * step / _GRID)
        if body.least(math.ceil(n * math.log2(1.0 + 4.0 * radius / delta))) > 4.0 * delta:
            return delta
    return 0.0


def carl_ratios(body: Body, numbers: Sequence[int], rate: float) -> dict[int, float]:
    """Return sup_(1 <= k <= n) k^r eps_k/sup_(1 <= k <= n) k^r d_(k-1) for each n.

    It is bounded by a C_r of any set: Carl (1981), theorem 1. Upper bounds stand above, lower ones
    below; NaN for n = 0.
    """
    found, above, below = {0: math.nan}, 0.0, 0.0
    for k in range(1, max(numbers, default=0) + 1):
        above = max(above, k**rate * body.most(k))
        below = max(below, k**rate * body.kolmogorov(k - 1).lower)
        found[k] = above / below if below > 0.0 else math.nan
    return {n: found[n] for n in numbers}
