"""How long do exact moments of random ReLU networks take, and what is their error?

    python bench/bench_paths_exact.py [--repeats 7]

Equal widths (64) and widths that all differ, depth 50 and 10^5; at depth 50 fractions are timed
too. Each result is checked: at depth 50 against fractions, at depth 10^5 with Gaussian weights
against the closed form in mpmath. Prints a table and appends one row per case to
bench/bench_paths_exact.csv.
"""

import argparse
import math
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from measure import append, machine, repeated, shown, spread

from nnth import ntk_moments, path_moments
from nnth._paths.moments import MAX_ORDER, QUANTITIES

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


def milliseconds(call: Callable[[], object], repeats: int) -> dict[str, float]:
    return spread("milliseconds", [1e3 * time for time in repeated(call, repeats)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    found_on = machine()
    print(f"median of {repeats}, one thread; {shown(found_on)}")
    x = np.linspace(1.0, 2.0, N0)
    rows: list[dict[str, Any]] = []
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
                error, exact = None, None
                if len(widths) == 50:
                    begin = time.perf_counter()
                    truth = path_moments(
                        quantity, order, n0=N0, widths=widths, n_out=2, x=x, exact=True
                    ).fractions
                    exact = 1e3 * (time.perf_counter() - begin)
                    assert truth is not None
                    error = float(abs(Fraction(value) / truth[0] - 1))
                elif quantity == "dzdx" and len(set(widths)) == 1:
                    with mpmath.workdps(40):
                        log = closed_form_log(order, widths)
                        error = float(abs(logarithm / log - 1))
                if error is not None and error > 1e-13:
                    raise SystemExit(f"{quantity}, order {order}, {shape}: error {error}")
                case = {"widths": shape, "quantity": quantity, "order": order}
                checked = {"error": error, "fractions_milliseconds": exact}
                rows.append(case | milliseconds(core, repeats) | checked)
        ntk = milliseconds(lambda widths=widths: ntk_moments(n0=N0, widths=widths, x=x), repeats)
        rows.append({"widths": shape, "quantity": "ntk", "order": 2} | ntk)
    for row in rows:
        print(f"{row['widths']:22}{row['quantity']:6}{shown(dict(list(row.items())[2:]))}")
    append(Path(__file__).with_suffix(".csv"), [row | found_on for row in rows])


if __name__ == "__main__":
    main()
