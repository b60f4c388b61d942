"""Statements on entropy numbers and widths, compared with covers, packings and projections."""

from __future__ import annotations

import math
from itertools import product
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._entropy.body import Lipschitz
from nnth._entropy.ellipsoid import power_law
from nnth._entropy.finite import DISTORTION, projected_dimension
from nnth._entropy.theorems import DIMENSIONS_A_BIT, carl_ratios
from nnth._runtime.random import normals

LECTURE: Final = "11/28"


def lipschitz(run: Run) -> list[Statement]:
    """eps_n = A T/(n + 1): 2^n zigzags, flat on the first of n + 1 intervals, cover."""
    n = 6
    # Functions with slopes +-1 on a fine grid; the zigzags are off by at most eps at any time.
    steps, count = 12, 300
    h = 1.0 / ((n + 1) * steps)
    signs = np.sign(normals(run.seed, 0, count * (n + 1) * steps)).reshape(count, -1)
    drawn = np.concatenate((np.zeros((count, 1)), np.cumsum(signs * h, axis=1)), axis=1)
    times = np.arange(drawn.shape[1]) * h
    eps = Lipschitz(1.0, 1.0).entropy(n).upper
    zigzags = []
    for turns in product((-1.0, 1.0), repeat=n):
        # Flat on [0, eps], then a corner at each multiple of eps: values are multiples of eps.
        values = np.concatenate(([0.0, 0.0], np.cumsum(turns) * eps))
        zigzags.append(np.interp(times, np.arange(n + 2) * eps, values))
    centers = np.array(zigzags)
    largest = max(float(np.abs(centers - one).max(axis=1).min()) for one in drawn)
    text = f"2^{n} balls of radius A T/(n + 1) cover Lipschitz functions: the farthest <= it"
    return [Statement(LECTURE, text, eps, largest, error=1e-14, relation="<=")]


def johnson_lindenstrauss(run: Run) -> list[Statement]:
    """26 dimensions a bit keep squared distances of 2^n points within 1 +- 3/5."""
    m, e = projected_dimension(2**8), DISTORTION
    tests = run.nets(20_000)
    squares = (normals(run.seed, 0, tests * m).reshape(tests, m) ** 2).mean(axis=1)
    outside = float((np.abs(squares - 1.0) > e).mean())
    # The lemma's proof: a pair fails with a chance of at most 2 exp(-m (e^2/2 - e^3/3)/2).
    chance = 2.0 * math.exp(-m * (e**2 / 2.0 - e**3 / 3.0) / 2.0)
    # A mean of m squares is beyond 1 + e with a chance exp(-m (e - ln(1 + e))/2), to first order in
    # the exponent (Cramer), and there are 2^(2n)/2 pairs.
    exact = 4.0 * math.log(2.0) / (e - math.log1p(e))
    return [
        Statement(
            LECTURE,
            "dimensions a bit that random projections need, e = 3/5, <= 26",
            float(DIMENSIONS_A_BIT),
            exact,
            relation="<=",
        ),
        Statement(
            LECTURE,
            "chance that one changes a square by more than 3/5 <= the lemma's",
            chance,
            outside,
            stderr=math.sqrt(chance / tests),
            relation="<=",
        ),
    ]


def covers(run: Run) -> list[Statement]:
    """Balls of twice the radius of a maximal packing cover, and those of the radius do not."""
    # Centers less than 4 apart on a line: no other ball of radius 1 fits between them.
    gap = 3.9
    centers = np.arange(0.0, 20.0, gap)
    line = np.linspace(0.0, float(centers[-1]), 2001)
    farthest = float(np.abs(line[:, None] - centers).min(axis=1).max())
    text = "radius with which the centers of a maximal packing by balls of radius 1 cover a line"
    return [Statement(LECTURE, text, gap / 2.0, farthest, error=0.01, notes=1.0)]


def widths(run: Run) -> list[Statement]:
    """eps_n and delta_n are not of one order: an ellipsoid of d dimensions has delta_d = 0."""
    body = power_law(1.0)
    ratio = body.least(1000) / body.kolmogorov(1000).upper
    # p/(n ln 2) over 1/(n + 1).
    carl = carl_ratios(body, [1000], 1.0)[1000]
    return [
        Statement(
            LECTURE, "eps_n/d_n of axes 1/j -> 1/ln 2", 1.0 / math.log(2.0), ratio, error=0.01
        ),
        Statement(
            LECTURE,
            "sup k eps_k/sup k d_(k-1) of axes 1/j <= 6/ln 2",
            6.0 / math.log(2.0),
            carl,
            relation="<=",
        ),
    ]


STATEMENTS: Final[tuple[Check, ...]] = (lipschitz, johnson_lindenstrauss, covers, widths)
