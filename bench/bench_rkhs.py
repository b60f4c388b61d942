"""How far is kernel ridge regression of 5000 points from the speed of LAPACK?

    python bench/bench_rkhs.py [--inputs 5000] [--tests 1000]

`nnth.rkhs_fit` with the kernel rbf:3 on ten-dimensional normal inputs, everything included: kernel,
Cholesky factor, coefficients, log marginal likelihood, leave-one-out errors, condition, predictions
and their variances at the tests. SciPy computes the factor alone (LAPACK's dpotrf), and factor with
inverse (dpotri), which leave-one-out errors need. One thread, processor time, rounds alternate; the
coefficients must agree, or the bench fails. Appends a row to bench/bench_rkhs.csv.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from measure import append, in_turn, machine, ratios, shown, spread
from scipy.linalg import lapack
from scipy.spatial.distance import cdist

from nnth import rkhs_fit

RIDGE, SCALE = 0.1, 3.0
MOST_DIFFERENCE = 1e-9  # of the largest coefficient: rounding times a condition of 1e5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    x, tests = random.normal(size=(args.inputs, 10)), random.normal(size=(args.tests, 10))
    y = np.sin(x[:, 0]) + 0.1 * random.normal(size=args.inputs)
    matrix = np.exp(-cdist(x, x, "sqeuclidean") / (2.0 * SCALE**2)) + RIDGE * np.eye(args.inputs)
    factor = lapack.dpotrf(matrix.T, lower=1)[0]
    alpha = lapack.dpotrs(factor, y, lower=1)[0]
    found = rkhs_fit(x, y, f"rbf:{SCALE}", ridge=RIDGE, threads=1)
    difference = float(np.abs(found.alpha[:, 0] - alpha).max() / np.abs(alpha).max())
    if difference > MOST_DIFFERENCE:
        raise SystemExit(f"the coefficients differ by {difference:.1g} of the largest")
    work: dict[str, Callable[[], object]] = {
        "fit": lambda: rkhs_fit(x, y, f"rbf:{SCALE}", ridge=RIDGE, threads=1),
        "fit_and_predict": lambda: rkhs_fit(
            x, y, f"rbf:{SCALE}", ridge=RIDGE, x_test=tests, threads=1
        ),
        "factor": lambda: lapack.dpotrf(matrix.T, lower=1),
        "inverse": lambda: lapack.dpotri(factor, lower=1),
    }
    times = in_turn(work, args.rounds, time.process_time)
    lapack_alone = [a + b for a, b in zip(times["factor"], times["inverse"], strict=True)]
    row = {
        "inputs": args.inputs,
        "tests": args.tests,
        **{f"{name}_seconds": statistics.median(values) for name, values in times.items()},
        **spread("ratio", ratios(times["fit"], lapack_alone)),
        "difference": difference,
        "rounds": args.rounds,
        **machine(),
        "scipy": scipy.__version__,
    }
    print(shown(row), flush=True)
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
