"""How many random nets per second by conditional sampling, against NumPy drawing every weight?

    python bench/bench_gp.py [--acts relu tanh gelu] [--width 1024] [--inputs 4] [--depth 3]

Kernels and collective observables of each net at several inputs, in float64 and on one thread on
either side: `nnth.sample_layers`, and NumPy filling a weight matrix in place with its ziggurat and
multiplying. Rounds alternate. Both sides' mean kernels must agree with the infinite-width kernel
and its first correction, or the bench fails. The time for the normal variables of a net alone is a
lower limit for nnth. Prints the medians and the ratio's extremes over the rounds, and appends a row
per activation to bench/bench_gp.csv.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import append, machine, ratios, shown, spread
from numpy.typing import NDArray

from nnth import _core, four_point_vertex, normals, sample_layers
from nnth._activations.activation import activation
from nnth._gp.vertex import Vertex

Array = NDArray[np.float64]
MOST_Z = 5.0
ACTS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
    "gelu": lambda z: z * _core.normal_probability(z),  # NumPy has no erf
}


class DenseNets:
    """Nets with all their weights, one after another."""

    def __init__(self, act: str, x: Array, n: int, depth: int, cb: float, cw: float) -> None:
        self._act, self._x, self._depth = ACTS[act], x, depth
        self._random = np.random.default_rng(1)
        self._cb, self._cw, self._n = cb, cw, n
        self._first, self._weights = np.empty((n, x.shape[1])), np.empty((n, n))
        self._kernels: list[float] = []

    def draw(self) -> None:
        """Draw one net: the kernels of its layers, and the observables of nnth."""
        above, weights = self._x.T, self._first
        for _ in range(self._depth):
            self._random.standard_normal(out=weights)
            scale = math.sqrt(self._cw / weights.shape[1])
            z = scale * (weights @ above)
            if self._cb > 0.0:
                z += math.sqrt(self._cb) * self._random.standard_normal((self._n, 1))
            above, weights = self._act(z), self._weights
            kernel = self._cb + self._cw / self._n * (above.T @ above)
            (z**2).mean(axis=0)
        self._kernels.append(float(kernel[0, 1]))

    def z_score(self, limit: Vertex) -> float:
        """Return z of the mean of an entry off the diagonal."""
        found = np.array(self._kernels)
        expected = float((limit.kernel + limit.correction)[-1, 0, 1])
        return float((found.mean() - expected) / (found.std() / math.sqrt(found.size)))


def seconds_each(draw: Callable[[int], object], seconds: float) -> float:
    """Return the seconds per net, measured for about `seconds` seconds."""
    count = 1
    while True:
        begin = time.perf_counter()
        draw(count)
        elapsed = time.perf_counter() - begin
        if elapsed > seconds / 2:
            return elapsed / count
        count = max(count + 1, int(count * min(16.0, seconds / max(elapsed, 1e-6))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--acts", nargs="*", default=list(ACTS), choices=list(ACTS))
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--inputs", type=int, default=4)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each timing")
    args = parser.parse_args()
    for act in args.acts:
        compare(act, args)


def compare(act: str, args: argparse.Namespace) -> None:
    n, m, depth = args.width, args.inputs, args.depth
    x = np.random.default_rng(0).normal(size=(m, 16))
    chosen = activation(act)
    assert chosen.critical is not None
    cb, cw = chosen.critical
    widths = [n] * depth
    limit = four_point_vertex(x, act, widths=widths)
    dense = DenseNets(act, x, n, depth, cb, cw)

    def ours(count: int) -> None:
        sample = sample_layers(x, act, widths=widths, samples=count, threads=1, limit=limit)
        if count > 1000:
            found = sample.shift(limit.kernel)
            z = (found.value - limit.correction)[-1, 0, 1] / found.stderr[-1, 0, 1]
            if abs(z) > MOST_Z:
                raise SystemExit(f"nnth's mean kernel is {z:.1f} deviations off for {act}")

    def theirs(count: int) -> None:
        for _ in range(count):
            dense.draw()

    numbers = n * m * depth
    times: dict[str, list[float]] = {name: [] for name in ("nnth", "numpy", "normals")}
    for _ in range(args.rounds):
        times["nnth"].append(seconds_each(ours, args.seconds))
        times["numpy"].append(seconds_each(theirs, args.seconds))
        times["normals"].append(
            seconds_each(lambda k: [normals(1, 2, n * m, threads=1) for _ in range(k * depth)], 0.2)
        )
    ours(2000)
    if abs(z := dense.z_score(limit)) > MOST_Z:
        raise SystemExit(f"NumPy's mean kernel is {z:.1f} deviations off for {act}")
    median = {name: statistics.median(values) for name, values in times.items()}
    row = {
        "act": act,
        "width": n,
        "inputs": m,
        "depth": depth,
        "nets_per_second": 1 / median["nnth"],
        "numpy_nets_per_second": 1 / median["numpy"],
        **spread("ratio", ratios(times["numpy"], times["nnth"])),
        "ns_a_neuron": 1e9 * median["nnth"] / numbers,
        "normals_share": median["normals"] / median["nnth"],
        "rounds": args.rounds,
        **machine(),
    }
    print(shown(row), flush=True)
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
