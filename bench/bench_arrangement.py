"""How long does it take to prove general position and count regions, exactly, and otherwise?

    python bench/bench_arrangement.py [--threads 0] [--repeats 5]

Gaussian layers of a ReLU net, which are in general position; the same without biases; and
arrangements that are not. NumPy's determinants of all sets of d + 1 rows, in floating point and so
without proof, are timed beside the smaller Gaussian ones. Region counts are checked against closed
forms. Prints a table and appends one row a case to bench/bench_arrangement.csv.
"""

import argparse
import csv
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, factorial
from pathlib import Path

import numpy as np
from machine import cpu_model
from numpy.typing import NDArray

from nnth import _core, arrangement

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    name: str
    weights: Array
    biases: Array
    regions: int


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for n, d in ((64, 2), (64, 3), (64, 4), (64, 5), (20, 10), (64, 784)):
        regions = sum(comb(n, i) for i in range(d + 1))
        yield Case(f"Gaussian {n} in R^{d}", rng.normal(size=(n, d)), rng.normal(size=n), regions)
    for n, d in ((64, 4), (784, 3)):
        regions = 2 * sum(comb(n - 1, i) for i in range(d))
        weights = rng.normal(size=(n, d))
        yield Case(f"Gaussian {n} in R^{d}, no biases", weights, np.zeros(n), regions)
    for d, regions in ((5, 11292), (6, 1066044)):
        rows = np.array([v for v in product((0.0, 1.0), repeat=d) if any(v)])
        yield Case(f"resonance in R^{d}", rows, np.zeros(len(rows)), regions)
    rows = np.array([np.eye(8)[i] - np.eye(8)[j] for i, j in combinations(range(8), 2)])
    yield Case("braid in R^8", rows, np.zeros(len(rows)), factorial(8))
    weights = rng.normal(size=(64, 4))
    weights[1] = weights[0]  # so no two of up to four hyperplanes that meet may be this pair
    regions = sum(comb(64, k) for k in range(5)) - sum(comb(62, k) for k in range(3))
    yield Case("Gaussian 64 in R^4, two parallel", weights, rng.normal(size=64), regions)


def determinants(case: Case) -> bool:
    n, d = case.weights.shape
    rows = np.column_stack([case.weights, case.biases])
    sets = np.array(list(combinations(range(n), d + 1)))
    return bool((np.linalg.det(rows[sets]) != 0.0).all())


def seconds(call: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    machine = f"{cpu_model()}, {platform.system()} {platform.machine()}"
    threads = _core.thread_count(options.threads)
    print(f"median of {options.repeats}, {threads} threads; {machine}")
    print(f"nnth {_core.__version__} ({_core.compiler}), numpy {np.__version__}")
    rows = []
    for case in cases():
        found = arrangement(case.weights, case.biases, threads=threads)
        if found.regions != case.regions:
            raise SystemExit(f"{case.name}: {found.regions} regions, not {case.regions}")
        times = seconds(
            lambda case=case: arrangement(case.weights, case.biases, threads=threads),
            options.repeats,
        )
        median = statistics.median(times)
        n, d = case.weights.shape
        numpy = ""
        if found.general_position and n > d and comb(n, d + 1) < 10**6:
            numpy = f"{1e3 * min(seconds(lambda case=case: determinants(case), 1)):.1f}"
        beside = f"   numpy {numpy} ms" if numpy else ""
        print(f"{case.name:36}{1e3 * median:10.2f} ms   max {1e3 * max(times):.2f}{beside}")
        rows.append([case.name, threads, 1e3 * median, 1e3 * min(times), 1e3 * max(times), numpy])
    path = Path(__file__).with_suffix(".csv")
    begun = path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not begun:
            header = "case threads milliseconds least most numpy_milliseconds machine compiler"
            writer.writerow([*header.split(), "version"])
        writer.writerows([*row, machine, _core.compiler, _core.__version__] for row in rows)


if __name__ == "__main__":
    main()
