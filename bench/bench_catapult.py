"""How many trainings per second on one data point, against a NumPy loop over nets?

    python bench/bench_catapult.py [--widths 64 256 1024 4096] [--nets 50] [--threads 0]

A learning-rate sweep: each net at eta lambda_0 = 0.5, 1, ..., 3.5, with frozen and with free gates,
until its residual is 1e-6 of the first, 200 steps at most. The NumPy code is optimized:
preactivations of the data point instead of the weights in R^d, in-place operations on arrays of
neurons, and the net's weights are drawn before the clock starts; nnth draws them within its time,
and runs the recursion as well. Rounds alternate. Steps and last curvatures must agree, or the bench
fails. Prints medians and the ratio's extremes over the rounds, and appends a row per width to
bench/bench_catapult.csv.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from measure import append, machine, ratios, spread
from numpy.typing import NDArray

from nnth import _core, normals

Array = NDArray[np.float64]
D, STEPS, SHARE = 10, 200, 1e-6
RATES = tuple(0.5 * i for i in range(1, 8))  # at 4 the outcome depends on rounding


def drawn(m: int, nets: int) -> list[tuple[Array, Array]]:
    """Return a = u.x/sqrt(d), x = (1, ..., 1), and v of nets 0, 1, ... of seed 0."""
    out = []
    for net in range(nets):
        draws = normals(0, net, m * (D + 1))
        out.append((draws[m:].reshape(m, D).sum(axis=1) / np.sqrt(D), draws[:m].copy()))
    return out


def train(a0: Array, v0: Array, rate: float, frozen: bool, m: int) -> tuple[int, float]:
    """Return the steps until convergence to y = 0, and the last eta lambda."""
    on = a0 > 0.0
    a, v = (a0[on], v0[on]) if frozen else (a0.copy(), v0.copy())
    h, back = np.empty_like(a), np.empty_like(a)
    np.maximum(a, 0.0, out=h)
    eta = rate * m / (a0[on] @ a0[on] + v0[on] @ v0[on])
    z = first = float(v @ h)
    curvature = rate
    for step in range(1, STEPS + 1):
        size = eta * z / m
        if frozen:
            np.multiply(v, size, out=back)
            v -= size * h
            a -= back
            h = a
            square = v @ v
        else:
            np.multiply(v, h > 0.0, out=back)
            back *= size
            h *= size
            a -= back
            v -= h
            np.maximum(a, 0.0, out=h)
            np.multiply(v, h > 0.0, out=back)
            square = back @ v
        z = float(v @ h)
        curvature = eta * float(square + h @ h) / m
        if abs(z) <= SHARE * abs(first) and curvature < 2.0:
            return step, curvature
    return STEPS, curvature


def by_numpy(start: list[tuple[Array, Array]], m: int) -> Array:
    """Return steps and last curvatures, `(nets, rates, 2, 2)`."""
    return np.array(
        [[[train(*net, rate, f, m) for f in (True, False)] for rate in RATES] for net in start]
    )


def by_nnth(m: int, nets: int, threads: int) -> Array:
    found = _core.catapult_nets(m, np.ones(D), 0.0, RATES, True, STEPS, 0, 0, nets, threads, None)
    return np.stack([found["step"], found["eta"] * found["lambda"]], axis=-1)[:, :, 1:]


def compare(m: int, args: argparse.Namespace) -> None:
    start = drawn(m, args.nets)
    seconds: dict[str, list[float]] = {"nnth": [], "numpy": []}
    for _ in range(args.rounds):
        begin = time.perf_counter()
        ours = by_nnth(m, args.nets, args.threads)
        middle = time.perf_counter()
        theirs = by_numpy(start, m)
        seconds["nnth"].append(middle - begin)
        seconds["numpy"].append(time.perf_counter() - middle)
        same = np.isclose(ours[..., 1], theirs[..., 1], rtol=1e-6) & (
            ours[..., 0] == theirs[..., 0]
        )
        assert same.mean() > 0.99  # near 4 a few trainings are chaotic for long enough to differ
    ratio = spread("ratio", ratios(seconds["numpy"], seconds["nnth"]))
    rates = {
        name: 2 * len(RATES) * args.nets / statistics.median(times)
        for name, times in seconds.items()
    }
    print(
        f"m = {m:5d}: nnth {rates['nnth']:9.3g}/s  NumPy {rates['numpy']:8.3g}/s  "
        f"ratio {ratio['ratio']:.3g} ({ratio['ratio_low']:.3g} to {ratio['ratio_high']:.3g})"
    )
    row = {
        "width": m,
        "nets": args.nets,
        "threads": args.threads,
        "nnth_per_second": rates["nnth"],
        "numpy_per_second": rates["numpy"],
        **ratio,
        **machine(),
    }
    append(Path(__file__).with_suffix(".csv"), [row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="*", default=[64, 256, 1024, 4096])
    parser.add_argument("--nets", type=int, default=50)
    parser.add_argument("--threads", type=int, default=0, help="0 for all")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for m in args.widths:
        compare(m, args)


if __name__ == "__main__":
    main()
