"""Statements of lectures on numbers of linear regions, compared with exact counts."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._networks.network import named_network, random_network
from nnth._regions.bounds import (
    best_upper,
    lecture_upper,
    zaslavsky,
    zero_cell_sides_expected,
)
from nnth._regions.count_table import regions
from nnth._regions.counts import count_regions
from nnth._regions.distance import regions_distance
from nnth._regions.measure import regions_measure
from nnth._regions.through import regions_through
from nnth._tables.statistics import mean_of

LECTURE: Final = "12/5"


def arrangements(run: Run) -> list[Statement]:
    """One layer has sum_(i <= n0) C(n, i) regions: its hyperplanes are in general position."""
    found = []
    for n0, n in ((1, 50), (2, 40), (3, 16)):
        network = random_network(n0, (n,), seed=run.seed)
        counted = count_regions(network, threads=run.threads).activation_regions
        text = f"number of regions = sum_(i <= n0) C(n, i), n0 = {n0}, n = {n}"
        found.append(Statement(LECTURE, text, zaslavsky(n, n0), counted))
    return found


def bounds(run: Run) -> list[Statement]:
    """No network exceeds the bounds: 3^N of the lecture, and the sharper one of Serra et al."""
    widths = (8, 8)
    found = []
    for name, bound in (
        ("3^N", lecture_upper(sum(widths))),
        ("the bound of Serra et al. (2018)", best_upper(2, widths)),
    ):
        most = max(
            count_regions(
                random_network(2, widths, seed=run.seed, sample=i), threads=1
            ).activation_regions
            for i in range(run.nets(1000))
        )
        text = (
            f"largest number of regions of {run.nets(1000)} networks <= {name}, n0 = 2, widths 8,8"
        )
        found.append(Statement(LECTURE, text, bound, most, relation="<="))
    return found


def telgarsky(run: Run) -> list[Statement]:
    """The tent map composed k times has 2^k pieces on [0, 1] and 2^k + 2 on the line.

    The notes have 2 2^k.
    """
    k = 16
    network = named_network(f"telgarsky:{k}")
    inside = regions_through([[0.0], [1.0]], network, threads=run.threads)["linear_regions"][0]
    counts = count_regions(network, threads=run.threads)
    assert counts.linear_regions is not None
    counted = counts.linear_regions
    return [
        Statement(
            LECTURE,
            f"number of pieces on [0, 1] = 2^k, k = {k} tent maps of {3 * k - 1} neurons",
            2.0**k,
            float(inside),
        ),
        Statement(
            LECTURE,
            f"number of pieces on the line = 2^k + 2, k = {k} tent maps",
            2.0**k + 2.0,
            counted,
            notes=2.0 * 2.0**k,
        ),
    ]


def random_networks(run: Run) -> list[Statement]:
    """Random networks have on average as many regions as one layer of all their neurons.

    This is exact for one layer; for more layers it is the limit of large widths, and `error` bounds
    the difference from it.
    """
    found = []
    for n0, widths, box, text, error in (
        (1, (64,), 1.0, "pieces on [-R, R] = 1 + (2/pi) n atan(R/g), width 64", 0.0),
        (
            1,
            (64, 64),
            1.0,
            "pieces on [-R, R] = 1 + sum_l (2/pi) n_l atan(R/g_l), widths 64,64",
            0.03,
        ),
        (2, (32, 32), math.inf, "regions of the plane = 1 + N + C(N, 2), widths 32,32", 0.03),
    ):
        table = regions(
            n0=n0,
            widths=widths,
            samples=run.nets(4000),
            seed=run.seed,
            threads=run.threads,
            domain="space" if math.isinf(box) else "box",
            box=1.0,
        )
        theory = float(table["expected"][0])
        found.append(
            Statement(
                LECTURE,
                f"mean number of {text}",
                theory,
                float(table["activation_regions"][0]),
                float(table["stderr"][0]),
                error=error * theory,
            )
        )
    return found


def density(run: Run) -> list[Statement]:
    """E regions in [a, b] <= 1 + C |a - b| N with C = 1/(pi g), the maximum of a Cauchy density.

    g = (C_b/C_w)^(1/2) is the scale of the distribution of the zeros of a neuron.
    """
    widths, half, g = (32, 32, 32), 0.05, math.sqrt(0.5)
    table = regions(
        n0=1,
        widths=widths,
        domain="box",
        box=half,
        samples=run.nets(20_000),
        seed=run.seed,
        threads=run.threads,
    )
    bound = 1.0 + 2.0 * half * sum(widths) / (math.pi * g)
    text = f"mean number of regions in [a, b] <= 1 + |a - b| N/(pi g), widths 32*3, b = -a = {half}"
    return [
        Statement(
            LECTURE,
            text,
            bound,
            float(table["activation_regions"][0]),
            float(table["stderr"][0]),
            relation="<=",
        )
    ]


def zero_cell(run: Run) -> list[Statement]:
    """The number of sides of the polygon around 0 for one layer and n0 = 2.

    The lecture poses it as an open problem.
    """
    n, samples = 16, run.nets(20_000)
    cells = [
        count_regions(random_network(2, (n,), seed=run.seed, sample=i), threads=1)
        for i in range(samples)
    ]
    sides = np.array([float(cell.zero_cell_sides or 0) for cell in cells])
    small = [
        count_regions(random_network(2, (6,), seed=run.seed, sample=i), threads=1)
        for i in range(samples)
    ]
    unbounded = sum(math.isinf(cell.zero_cell_measure) for cell in small) / samples
    chance = 6.0 / 2.0**5
    return [
        Statement(
            LECTURE,
            f"mean number of sides of the polygon around 0, {n} neurons",
            zero_cell_sides_expected(n),
            *mean_of(sides),
        ),
        Statement(
            LECTURE,
            "mean number of sides of the polygon around 0 -> pi^2/2, 10^6 neurons",
            math.pi**2 / 2.0,
            zero_cell_sides_expected(10**6),
            error=1e-5,
        ),
        Statement(
            LECTURE,
            "P(the polygon around 0 is unbounded) = n/2^(n-1), 6 neurons",
            chance,
            unbounded,
            math.sqrt(chance * (1.0 - chance) / samples),
        ),
    ]


def averages(run: Run) -> list[Statement]:
    """Averages of random networks over a box, exactly at every width."""
    box, layers = 1.5, 2
    table = regions_measure(
        n0=2, widths=(8,) * layers, samples=run.nets(2000), box=box, points=0, seed=run.seed,
        threads=run.threads,
    ).table()  # fmt: skip
    texts = {
        "second_moment": "mean of f^2 over a box = K^(L+1), K^(l+1) = C_b + C_w K^l/2",
        "gradient_mean_square": "mean of |grad f|^2 over a box = C_w (C_w/2)^L",
        "positive_fraction": "share of a box where f > 0 = 1/2",
    }
    return [
        Statement(
            "-",
            f"{text}, widths 8,8",
            float(table[f"{name}_expected"][0]),
            float(table[name][0]),
            float(table[f"{name}_stderr"][0]),
        )
        for name, text in texts.items()
    ]


def variation(run: Run) -> list[Statement]:
    """The tent map composed k times goes up and down 2^(k-1) times: its variation is 2^k."""
    k = 10
    network = named_network(f"telgarsky:{k}")
    table = regions_measure(network, box=1.0, threshold=0.5, points=0, threads=run.threads).table()
    lower = regions_measure(
        network, box=1.0, threshold=0.5, against=named_network("telgarsky:1"), points=0
    ).table()
    return [
        Statement(
            "-",
            f"number of points where the tent map composed {k} times is 1/2 = 2^k",
            2.0**k,
            float(table["boundary_length"][0]),
        ),
        Statement(
            "-",
            f"largest distance of the tent map and its {k}-th iterate = 1",
            1.0,
            float(lower["linf"][0]),
            error=1e-12,
        ),
    ]


def distances(run: Run) -> list[Statement]:
    """The mean distance of a point to the nearest boundary, exact for one layer."""
    found = []
    for widths, error in (((16,), 0.0), ((32, 32), 0.03)):
        table = regions_distance(
            [[0.6, -0.3, 0.5]], widths=widths, n0=3, samples=run.nets(2000), seed=run.seed
        )
        theory = float(table["expected"][0])
        text = ",".join(map(str, widths))
        found.append(
            Statement(
                "-",
                f"mean distance to the nearest boundary, n0 = 3, widths {text}",
                theory,
                float(table["distance"][0]),
                float(table["stderr"][0]),
                error=error * theory,
            )
        )
    return found


STATEMENTS: Final[tuple[Check, ...]] = (
    arrangements,
    bounds,
    telgarsky,
    random_networks,
    density,
    zero_cell,
    averages,
    variation,
    distances,
)
