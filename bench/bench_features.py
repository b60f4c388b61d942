"""What does regression on random features of a million points cost, and how good is it?

    python bench/bench_features.py [--points 1000000] [--features 1024] [--kernel ntk] [--depth 1]

Points are uniform on the sphere in ten dimensions, the target is a polynomial of degree two with
noise of deviation 0.1, and 1000 further points without noise measure the error. Everything is
included: features, sums, factor, errors of the kernel and of fits to a subset. The error must be
below that of the kernel itself on the subset, and the error of the kernel within a factor of two of
the law 1/N, or the bench fails. Seconds are of the processor; memory is the peak beyond the data.
Appends a row to bench/bench_features.csv.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from measure import append, machine, shown
from numpy.typing import NDArray

import nnth

DIMENSION = 10
TESTS = 1000


def target(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(5.0 * x[:, 0] * x[:, 1] + 2.0 * x[:, 2])


def points(stream: int, count: int) -> NDArray[np.float64]:
    x = nnth.normals(1, stream, DIMENSION * count).reshape(count, DIMENSION)
    return np.asarray(x / np.sqrt(np.einsum("ij,ij->i", x, x))[:, None])


def peak() -> float:
    """Return the largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--kernel", default="ntk")
    parser.add_argument("--depth", type=int, default=1)
    args = parser.parse_args()
    x, tests = points(0, args.points), points(2, TESTS)
    y = target(x) + 0.1 * nnth.normals(1, 1, args.points)
    before, clock = peak(), time.process_time()
    fit = nnth.rkhs_feature_fit(
        x,
        y,
        args.kernel,
        depth=args.depth,
        features=args.features,
        ridge=0.1,
        x_test=tests,
        y_test=target(tests),
    )
    seconds = time.process_time() - clock
    table = fit.table()
    names = ("test_error", "kernel_rms", "predicted_rms", "subset_exact_error")
    found = {name: float(table[name][0]) for name in names}
    assert found["test_error"] < found["subset_exact_error"]
    assert 0.5 < found["kernel_rms"] / found["predicted_rms"] < 2.0
    row = {**vars(args), "seconds": seconds, "mib": peak() - before, **found, **machine()}
    print(shown(row), flush=True)
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
