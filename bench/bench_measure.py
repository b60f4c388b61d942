"""How long does the exact calculus of a network take on one core, and are its numbers right?

Each case is a random network on a box. The answer that is timed is compared with another route: the
sum of the areas of `nnth.cells` times the values of their maps at the centers of triangles, in
NumPy. Time is that of the core, with the count of cells that precedes it.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from measure import append, machine

import nnth
from nnth._regions.measured_numbers import measured

CASES = (((32, 32), 1.0), ((64, 64), 100.0), ((96, 96), 10.0), ((32, 32, 32), 10.0))
TOLERANCE = 1e-13  # of the mean square, relative


def mean_square(network: nnth.Network, box: float) -> float:
    """Return the average of f^2 by the midpoints of the sides of triangles, exact for squares."""
    found = nnth.cells(network, box, threads=1)
    total = 0.0
    for cell in range(len(found)):
        corners = found.corners[found.first[cell] : found.first[cell + 1]]
        row = found.maps[cell, 0]
        for a, b in itertools.pairwise(corners):
            triangle = np.stack([corners[0], a, b])
            middles = (triangle + np.roll(triangle, 1, axis=0)) / 2.0
            (ux, uy), (vx, vy) = triangle[1:] - triangle[0]
            values = middles @ row[:2] + row[2]
            total += abs(ux * vy - uy * vx) / 2.0 * float(np.mean(values**2))
    return total / (2.0 * box) ** 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    rows = []
    for widths, box in CASES:
        network = nnth.random_network(2, widths, seed=0)
        times = []
        for _ in range(args.repeats):
            start = time.process_time()
            (found,) = measured([network], 0.0, (-box, box), 1, None)
            times.append(time.process_time() - start)
        answer = found["outputs"][0]["second_moment"][0]
        other = mean_square(network, box)
        if abs(answer - other) > TOLERANCE * other:
            sys.exit(f"{widths}: {answer} differs from {other}")
        case = "2-" + "-".join(map(str, widths))
        print(f"{case}: {found['cells']} cells, {1e3 * statistics.median(times):.1f} ms")
        rows.append(
            {
                "case": case,
                "cells": found["cells"],
                "median_ms": 1e3 * statistics.median(times),
                "least_ms": 1e3 * min(times),
                "most_ms": 1e3 * max(times),
                **machine(),
            }
        )
    append(Path(__file__).with_name("bench_measure.csv"), rows)


if __name__ == "__main__":
    main()
