"""What does a Meijer G function of Bayesian interpolation cost, and how exact is it?

    python bench/bench_linear_nets.py

CPU time, on which a busy machine has less effect. Integrals of `nnth bayes` for L from 1 to 10^5
layers and P to 10^4, each 200 times in turn, against 30 digits of the same integral by mpmath's
loggamma on a vertical line, and for few layers mpmath's general `meijerg`. Then a row of
`nnth.bayes` (ten integrals), factors of products of 10 and 1000 layers, and the spectrum of a 2000
x 4000 matrix against NumPy's eigvalsh of a random matrix. Appends a row to
bench/bench_linear_nets.csv.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
from measure import append, machine, shown

import nnth
from nnth import _core

# P, log x, width, depth
CASES = (
    (10, 2.0, 20, 1),
    (20, 3.0, 64, 3),
    (20, 2.0, 64, 100_000),
    (10_000, 8.0, 30_000, 20),
    (10_000, 8.0, 100, 100_000),
    (1, -20.0, 3, 100_000),
)
RUNS = 200


def timed(work: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Return the median CPU seconds of a run, and the result of the last."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def exact(p: int, log_x: float, width: int, depth: int) -> mp.mpf:
    """Return log I_(P/2)(x) by a fine trapezoid on the vertical line through the saddle point."""
    b, a = mp.mpf(p) / 2, mp.mpf(width) / 2
    last = max(-b, -a)

    def exponent(s: mp.mpc) -> mp.mpc:
        step = mp.loggamma(a + s) - mp.loggamma(a) - s * mp.log(a)
        return mp.loggamma(b + s) - s * log_x + depth * step

    low, high = mp.mpf(10) ** -8, mp.mpf(10) ** 6
    for _ in range(60):
        d = mp.sqrt(low * high)
        s = last + d
        slope = mp.digamma(b + s) - log_x + depth * (mp.digamma(a + s) - mp.log(a))
        low, high = (low, d) if slope > 0 else (d, high)
    step = min(1 / mp.sqrt(mp.psi(1, b + s) + depth * mp.psi(1, a + s)), d) / 11
    top, total, k = exponent(s), mp.mpf(0), 0
    while True:
        w = mp.exp(exponent(mp.mpc(s, k * step)) - top) / (1 if k else 2)
        total += w.real
        if abs(w) < mp.mpf(10) ** -22:
            return top + mp.log(total * step / mp.pi)
        k += 1


def main() -> None:
    mp.mp.dps = 40
    row: dict[str, Any] = {}
    slowest, worst = 0.0, 0.0
    for p, log_x, width, depth in CASES:
        point = np.array([log_x])
        seconds, found = timed(
            lambda p=p, x=point, n=width, m=depth: _core.mellin_barnes(p / 2, x, [n / 2], [m]), RUNS
        )
        reference = exact(p, log_x, width, depth)
        apart = abs(float((found["log_value"][0] - reference) / reference))
        print(f"P={p} n={width} L={depth}: {1e6 * seconds:.0f} us, log off by {apart:.1e} of it")
        slowest, worst = max(slowest, seconds), max(worst, apart)
    if worst > 1e-11:
        raise SystemExit(f"an integral is off by {worst}")
    row |= {"integral_us": 1e6 * slowest, "integral_error": worst}
    x = mp.exp(2) * 10
    general, value = timed(lambda: mp.meijerg([[], []], [[5, 10], []], x), 3)
    value = float(mp.log(value / mp.gamma(10)))
    mine = _core.mellin_barnes(5.0, np.array([2.0]), [10.0], [1.0])["log_value"][0]
    if abs(mine - value) > 1e-12 * abs(value):
        raise SystemExit("mpmath's meijerg has another value")
    row["meijerg_us"] = 1e6 * general
    depths = list(range(1000))
    seconds, table = timed(
        lambda: nnth.bayes(norm2=2.0, points=20, n0=50, width=200, depth=depths, samples=0), 3
    )
    row["bayes_row_us"] = 1e6 * seconds / table.num_rows
    for depth in (10, 1000):
        count = 10**7 // depth
        seconds, table = timed(
            lambda d=depth, n=count: nnth.product(64, width=64, depth=[d], samples=n, threads=1), 3
        )
        if abs(table["z"][3]) > 5:
            raise SystemExit(f"a mean of log norms is off: z = {table['z'][3]}")
        row[f"factor_ns_{depth}"] = 1e9 * seconds / (count * (depth + 1))
    spectrum, _ = timed(lambda: _core.wishart_spectra(2000, 4000, 0, 0, 1, 1, None), 3)
    matrix = np.random.default_rng(0).standard_normal((2000, 4000))
    dense, values = timed(lambda: np.linalg.eigvalsh(matrix @ matrix.T / 4000), 1)
    law = nnth.MarchenkoPastur(0.5)
    if abs(values[-1] - law.edges[1]) > 0.05:
        raise SystemExit("the largest eigenvalue is far from the edge")
    row |= {"spectrum_s": spectrum, "dense_s": dense, "ratio": dense / spectrum}
    row |= machine()
    print(shown(row))
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
