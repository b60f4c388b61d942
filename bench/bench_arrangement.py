"""How long does it take to prove general position and to count regions exactly?

    python bench/bench_arrangement.py [--threads 0] [--repeats 5]

Gaussian layers of a ReLU net, which are in general position; the same without biases; and
arrangements that are not in general position. For the smaller Gaussian layers NumPy's determinants
of all sets of d + 1 rows are timed too, in floating point and hence without proof. Region counts
are checked against closed forms. Prints a table and appends one row per case to
bench/bench_arrangement.csv.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, factorial
from pathlib import Path
from typing import Any

import numpy as np
from measure import append, machine, repeated, seconds, shown, spread
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
    weights[1] = weights[0]  # these two hyperplanes are equal
    regions = sum(comb(64, k) for k in range(5)) - sum(comb(62, k) for k in range(3))
    yield Case("Gaussian 64 in R^4, two parallel", weights, rng.normal(size=64), regions)


def determinants(case: Case) -> bool:
    n, d = case.weights.shape
    rows = np.column_stack([case.weights, case.biases])
    sets = np.array(list(combinations(range(n), d + 1)))
    return bool((np.linalg.det(rows[sets]) != 0.0).all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    found_on = machine()
    threads = _core.thread_count(options.threads)
    print(f"median of {options.repeats}, {threads} threads; {shown(found_on)}")
    rows: list[dict[str, Any]] = []
    for case in cases():
        found = arrangement(case.weights, case.biases, threads=threads)
        if found.regions != case.regions:
            raise SystemExit(f"{case.name}: {found.regions} regions, not {case.regions}")
        times = repeated(
            lambda case=case: arrangement(case.weights, case.biases, threads=threads),
            options.repeats,
        )
        n, d = case.weights.shape
        row: dict[str, Any] = {"case": case.name, "threads": threads}
        row |= spread("milliseconds", [1e3 * time for time in times])
        row["numpy_milliseconds"] = None
        if found.general_position and n > d and comb(n, d + 1) < 10**6:
            row["numpy_milliseconds"] = 1e3 * seconds(lambda case=case: determinants(case))
        print(f"{case.name:36}{shown({**row, 'case': None, 'threads': None})}")
        rows.append(row | found_on)
    append(Path(__file__).with_suffix(".csv"), rows)


if __name__ == "__main__":
    main()
