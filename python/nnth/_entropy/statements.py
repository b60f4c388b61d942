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
    """eps_n = A T/(n + 1): 2^n zigzags that are constant on the first interval are a cover."""
    n = 6
    # Functions with slopes +-1 on a fine grid: some zigzag is within eps of each at all times.
    steps, count = 12, 300
    h = 1.0 / ((n + 1) * steps)
    signs = np.sign(normals(run.seed, 0, count * (n + 1) * steps)).reshape(count, -1)
    drawn = np.concatenate((np.zeros((count, 1)), np.cumsum(signs * h, axis=1)), axis=1)
    times = np.arange(drawn.shape[1]) * h
    eps = Lipschitz(1.0, 1.0).entropy(n).upper
    zigzags = []
    for turns in product((-1.0, 1.0), repeat=n):
        # Constant on [0, eps], then linear; at each multiple of eps the value is one, too.
        values = np.concatenate(([0.0, 0.0], np.cumsum(turns) * eps))
        zigzags.append(np.interp(times, np.arange(n + 2) * eps, values))
    centers = np.array(zigzags)
    largest = max(float(np.abs(centers - one).max(axis=1).min()) for one in drawn)
    text = f"largest distance of Lipschitz functions from 2^{n} centers <= A T/(n + 1)"
    return [Statement(LECTURE, text, eps, largest, error=1e-14, relation="<=")]


def johnson_lindenstrauss(run: Run) -> list[Statement]:
    """26 n dimensions preserve squared distances of 2^n points up to factors 1 +- 3/5."""
    m, e = projected_dimension(2**8), DISTORTION
    tests = run.nets(20_000)
    squares = (normals(run.seed, 0, tests * m).reshape(tests, m) ** 2).mean(axis=1)
    outside = float((np.abs(squares - 1.0) > e).mean())
    # By the lemma's proof a pair fails with probability at most 2 exp(-m (e^2/2 - e^3/3)/2).
    chance = 2.0 * math.exp(-m * (e**2 / 2.0 - e**3 / 3.0) / 2.0)
    # A mean of m squares exceeds 1 + e with probability exp(-m (e - ln(1 + e))/2), to first order
    # in the exponent (Cramer), and there are 2^(2n)/2 pairs.
    exact = 4.0 * math.log(2.0) / (e - math.log1p(e))
    return [
        Statement(
            LECTURE,
            "dimensions per bit that random projections need, e = 3/5 <= 26",
            float(DIMENSIONS_A_BIT),
            exact,
            relation="<=",
        ),
        Statement(
            LECTURE,
            "P(a projection changes a squared distance by over 3/5) <= the lemma's bound",
            chance,
            outside,
            stderr=math.sqrt(chance / tests),
            relation="<=",
        ),
    ]


def covers(run: Run) -> list[Statement]:
    """Balls of twice the radius of a maximal packing are a cover; balls of its radius are not."""
    # Between centers less than 4 apart on a line no other ball of radius 1 has room.
    gap = 3.9
    centers = np.arange(0.0, 20.0, gap)
    line = np.linspace(0.0, float(centers[-1]), 2001)
    farthest = float(np.abs(line[:, None] - centers).min(axis=1).max())
    text = "radius at which a maximal packing by balls of radius 1 becomes a cover of a line"
    return [Statement(LECTURE, text, gap / 2.0, farthest, error=0.01, notes=1.0)]


def widths(run: Run) -> list[Statement]:
    """eps_n/d_n and the ratio in Carl's inequality, for the ellipsoid with axes 1/j."""
    body = power_law(1.0)
    ratio = body.least(1000) / body.kolmogorov(1000).upper
    # p/(n ln 2) over 1/(n + 1).
    carl = carl_ratios(body, [1000], 1.0)[1000]
    return [
        Statement(
            LECTURE,
            "eps_n/d_n -> 1/ln 2, ellipsoid with axes 1/j",
            1.0 / math.log(2.0),
            ratio,
            error=0.01,
        ),
        Statement(
            LECTURE,
            "sup k eps_k/sup k d_(k-1) <= 6/ln 2, ellipsoid with axes 1/j",
            6.0 / math.log(2.0),
            carl,
            relation="<=",
        ),
    ]


STATEMENTS: Final[tuple[Check, ...]] = (lipschitz, johnson_lindenstrauss, covers, widths)
