"""How long do exact moments of random ReLU networks take, and what is their error?

    python bench/bench_paths_exact.py [--repeats 7]

Equal widths (64) and widths that all differ, depth 50 and 10^5; fractions beside the core at depth
50. Each result is checked: at depth 50 against fractions, at depth 10^5 with Gaussian weights
against the closed form in mpmath. Prints a table and appends one row a case to
bench/bench_paths_exact.csv.
"""

import argparse
import csv
import math
import platform
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
from machine import cpu_model

from nnth import _core, ntk_moments, path_moments
from nnth.paths.moments import MAX_ORDER, QUANTITIES

N0 = 16


def closed_form_log(order: int, widths: list[int]) -> mpmath.mpf:
    """Return log E (dz/dx)^order for Gaussian weights, by factorial moments of the binomial."""
    k = order // 2
    falling = [1]
    for i in range(k):
        grown = [*(c * (j + 2 * i) for j, c in enumerate(falling)), 0]
        for j, c in enumerate(falling):
            grown[j + 1] += c
        falling = grown
    total = mpmath.log(math.prod(range(1, order, 2))) + k * mpmath.log(mpmath.mpf(2) / N0)
    for n in set(widths):
        factor = sum(c * math.perm(n, j) * 2 ** (k - j) for j, c in enumerate(falling))
        total += widths.count(n) * mpmath.log(mpmath.mpf(factor) / mpmath.mpf(n) ** k)
    return total


def median(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times), max(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    machine = f"{cpu_model()}, {platform.system()} {platform.machine()}"
    print(f"median of {repeats}, one thread; {machine}")
    print(f"nnth {_core.__version__} ({_core.compiler})")
    x, rows = np.linspace(1.0, 2.0, N0), []
    shapes = {
        "64 x 50": [64] * 50,
        "64 x 10^5": [64] * 100_000,
        "all different x 10^5": list(range(10_000, 110_000)),
    }
    for shape, widths in shapes.items():
        for quantity in QUANTITIES:
            for order in (4, 8, MAX_ORDER[quantity]):

                def core(
                    quantity: str = quantity, order: int = order, widths: list[int] = widths
                ) -> tuple[float, float]:
                    found = path_moments(quantity, order, n0=N0, widths=widths, n_out=2, x=x)
                    return float(found.values[0]), float(found.logs[0])

                value, logarithm = core()
                error, exact = "", ""
                if len(widths) == 50:
                    begin = time.perf_counter()
                    truth = path_moments(
                        quantity, order, n0=N0, widths=widths, n_out=2, x=x, exact=True
                    ).fractions
                    exact = f"{1e3 * (time.perf_counter() - begin):.3g}"
                    assert truth is not None
                    error = f"{float(abs(Fraction(value) / truth[0] - 1)):.1e}"
                elif quantity == "dzdx" and len(set(widths)) == 1:
                    with mpmath.workdps(40):
                        log = closed_form_log(order, widths)
                        error = f"{float(abs(logarithm / log - 1)):.1e}"
                if error and float(error) > 1e-13:
                    raise SystemExit(f"{quantity}, order {order}, {shape}: error {error}")
                middle, most = median(core, repeats)
                rows.append([shape, quantity, order, middle, most, error, exact])
        middle, most = median(lambda widths=widths: ntk_moments(n0=N0, widths=widths, x=x), repeats)
        rows.append([shape, "ntk", 2, middle, most, "", ""])
    for shape, quantity, order, middle, most, error, exact in rows:
        print(
            f"{shape:22}{quantity:9}{order:3}{middle:10.3f} ms   max {most:8.3f}"
            f"   error {error or '-':8}" + (f"fractions {exact} ms" if exact else "")
        )
    path = Path(__file__).with_suffix(".csv")
    begun = path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not begun:
            header = "widths quantity order milliseconds most error fractions_milliseconds"
            writer.writerow([*header.split(), "machine", "compiler", "version"])
        writer.writerows([*row, machine, _core.compiler, _core.__version__] for row in rows)


if __name__ == "__main__":
    main()
