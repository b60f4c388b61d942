"""How long does the posterior of an infinitely wide network take, against NumPy and SciPy?

    python bench/bench_predict.py [--depths 3 50] [--inputs 1000] [--tests 4000]

Mean and variance of a Gaussian process with the NNGP kernel of ReLU networks on test points, with
observation noise, in float64 and on one thread on either side: `nnth.predict`, and the arc-cosine
recursion in NumPy, on the same entries and no more, with a Cholesky factor by SciPy. nnth computes
the eigenvectors of the kernel, which give all times of training, and their errors; hence its linear
algebra takes longer, and `kernel_ratio` compares the kernels alone. Rounds alternate. Means and
variances of both sides must agree, or the bench fails. Prints the medians and the ratio's extremes
over the rounds, and appends a row per depth to bench/bench_predict.csv.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from measure import append, in_turn, machine, ratios, shown, spread
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from nnth import predict
from nnth._kernels.kernel import infinite_network
from nnth._kernels.network_kernel import network_rows

Array = NDArray[np.float64]
NOISE = 0.01
MOST_DIFFERENCE = 1e-8  # rounding of 1e-16 times a condition number of 1e6


def relu_kernel(x: Array, rows: int, depth: int) -> tuple[Array, Array]:
    """Return rows of the NNGP kernel at C_b = 0, C_w = 2, and its diagonal (Cho and Saul, 2009)."""
    norms = np.linalg.norm(x, axis=1)
    scale = np.outer(norms[:rows], norms)
    rho = x[:rows] @ x.T / scale
    for _ in range(depth):
        np.clip(rho, -1.0, 1.0, out=rho)
        rho = (np.sqrt(1.0 - rho * rho) + (np.pi - np.arccos(rho)) * rho) / np.pi
    return 2.0 / x.shape[1] * scale * rho, 2.0 / x.shape[1] * norms**2


def posterior(x: Array, y: Array, tests: Array, depth: int) -> tuple[Array, Array]:
    """Return mean and variance on the test points, by a Cholesky factor."""
    m = len(x)
    kernel, diagonal = relu_kernel(np.concatenate((x, tests)), m, depth)
    factor, lower = cho_factor(kernel[:, :m] + NOISE * np.eye(m), lower=True)
    half = solve_triangular(factor, kernel[:, m:], lower=True)
    mean = kernel[:, m:].T @ cho_solve((factor, lower), y)
    return mean, diagonal[m:] - np.sum(half * half, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="*", default=[3, 50])
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--tests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for depth in args.depths:
        compare(depth, args)


def compare(depth: int, args: argparse.Namespace) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(args.inputs, 10))
    tests = random.normal(size=(args.tests, 10))
    y = np.sin(x[:, 0]) + 0.1 * random.normal(size=args.inputs)
    every, network = np.concatenate((x, tests)), infinite_network("relu", depth=depth)

    def ours() -> tuple[Array, Array]:
        law = predict(x, y, tests, depth=depth, kernel="nngp", ridge=NOISE, threads=1)
        return law.mean[0, :, 0], law.variance[0]

    work: dict[str, Callable[[], object]] = {
        "nnth": ours,
        "scipy": lambda: posterior(x, y, tests, depth),
        "nnth_kernel": lambda: network_rows(network, every, len(x), "nngp", threads=1),
        "numpy_kernel": lambda: relu_kernel(every, len(x), depth),
    }
    difference = max(
        float(np.abs(mine - theirs).max() / np.abs(theirs).max())
        for mine, theirs in zip(ours(), posterior(x, y, tests, depth), strict=True)
    )
    if difference > MOST_DIFFERENCE:
        raise SystemExit(f"the posteriors differ by {difference:.1g} of the largest value")
    times = in_turn(work, args.rounds)
    median = {name: statistics.median(values) for name, values in times.items()}
    row = {
        "depth": depth,
        "inputs": args.inputs,
        "tests": args.tests,
        "seconds": median["nnth"],
        "scipy_seconds": median["scipy"],
        **spread("ratio", ratios(times["scipy"], times["nnth"])),
        "kernel_seconds": median["nnth_kernel"],
        "kernel_ratio": statistics.median(ratios(times["numpy_kernel"], times["nnth_kernel"])),
        "difference": difference,
        "rounds": args.rounds,
        **machine(),
        "scipy": scipy.__version__,
    }
    print(shown(row), flush=True)
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
