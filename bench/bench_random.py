"""How many normals per second does one core draw, against NumPy's ziggurat and Box-Muller?

    python bench/bench_random.py [--count 8000] [--repeats 1001]

Every generator fills the same number of draws on one thread, the repeats interleaved so that a
busy machine disturbs all alike. The default count stays in cache and in memory that the allocator
reuses: page faults of a new large array are not measured. The timed draws are checked: the first
four moments within five standard errors, and for nnth equality with draws in other parts. Prints
a table and appends one row per generator to bench/bench_random.csv.
"""

import argparse
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import append, in_turn, machine, shown
from numpy.typing import NDArray

from nnth._runtime.random import normals, uniforms

Array = NDArray[np.float64]


def box_muller(u: Array) -> Array:
    """Return Box-Muller as written in NumPy; log, cos and sin are NumPy's, vectorized or libm's."""
    half = u.size // 2
    r = np.sqrt(-2.0 * np.log(u[:half]))
    angle = 2.0 * np.pi * u[half:]
    return np.concatenate([r * np.cos(angle), r * np.sin(angle)])


def check(name: str, z: Array) -> None:
    exact, variance = (0.0, 1.0, 0.0, 3.0), (1.0, 2.0, 15.0, 96.0)
    for order in range(1, 5):
        error = float((z**order).mean()) - exact[order - 1]
        if abs(error) > 5.0 * math.sqrt(variance[order - 1] / z.size):
            raise SystemExit(f"{name}: moment {order} is off by {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=8_000)
    parser.add_argument("--repeats", type=int, default=1001)
    options = parser.parse_args()
    count: int = options.count - options.count % 2
    philox = np.random.Generator(np.random.Philox(1))
    pcg = np.random.Generator(np.random.PCG64(1))

    contenders: dict[str, Callable[[], Array]] = {
        "nnth normals": lambda: normals(1, 2, count, threads=1),
        "numpy Philox, ziggurat": lambda: philox.standard_normal(count),
        "numpy PCG64, ziggurat": lambda: pcg.standard_normal(count),
        "numpy Philox, Box-Muller": lambda: box_muller(1.0 - philox.random(count)),
        "nnth uniforms": lambda: uniforms(1, 2, count, threads=1),
        "numpy Philox, uniforms": lambda: philox.random(count),
    }
    for name, draw in contenders.items():  # this warms up as well
        z = draw()
        check(name, box_muller(z) if "uniforms" in name else z)
    pieces = [normals(1, 2, 1000, start) for start in range(0, 10_000, 1000)]
    if not np.array_equal(np.concatenate(pieces), normals(1, 2, 10_000)):
        raise SystemExit("nnth normals: pieces differ from the whole")

    found_on = machine()
    print(f"{count} draws, median of {options.repeats}, 1 thread; {shown(found_on)}")
    rows = []
    for name, times in in_turn(contenders, options.repeats).items():
        rate = count / statistics.median(times) * 1e-6
        low, _, high = statistics.quantiles((count / t * 1e-6 for t in times), n=4)
        print(f"{name:28}{rate:8.1f} M/s   quartiles {low:.1f} to {high:.1f}")
        row = {"generator": name, "count": count, "threads": 1, "million_per_second": rate}
        rows.append(row | {"quartile_1": low, "quartile_3": high} | found_on)
    append(Path(__file__).with_suffix(".csv"), rows)


if __name__ == "__main__":
    main()
