"""How much longer than the product of the inputs does it take to fill kernel matrices, or use them?

    python bench/bench_tiles.py [--inputs 10000] [--n0 784] [--depth 3] [--threads 0]

Both ReLU kernels of normal inputs are filled in float64 and in float32, and the tangent kernel as
an operator multiplies 1, 10 and 100 vectors without being stored. The BLAS multiplies the same
inputs by a copy of them (dgemm; by themselves it would compute a half), on as many threads. Times
are processor time, which other work on the machine affects less; rounds alternate. Float32 must be
the float64 numbers rounded, sampled entries must agree with `nnth.kernel`, and products with those
of the matrix, or the bench fails. Appends a row to bench/bench_tiles.csv.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import append, in_turn, machine, ratios, shown, spread

import nnth
from nnth import _core
from nnth._kernels.kernel import infinite_network
from nnth._kernels.network_kernel import NetworkBlocks, OneNetworkKernel
from nnth._kernels.operator import KernelOperator
from nnth._runtime.blas import blas_threads

VECTORS = (1, 10, 100)
SAMPLED = 50
MOST_ERROR = 1e-12  # of an entry and of a product, relative to their sizes: closed forms


def check_entries(x: np.ndarray, nngp: np.ndarray, ntk: np.ndarray, depth: int) -> None:
    for i, j in np.random.default_rng(1).integers(0, len(x), (SAMPLED, 2)):
        rows = nnth.kernel("relu", depth=depth, x_a=x[i], x_b=x[j])
        for matrix, name in ((nngp, "k"), (ntk, "theta")):
            size = np.sqrt(rows[f"{name}_aa"][-1] * rows[f"{name}_bb"][-1])
            if not abs(matrix[i, j] - rows[f"{name}_ab"][-1]) <= MOST_ERROR * size:
                raise SystemExit(f"the entry of rows {i} and {j} differs from nnth.kernel")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10000)
    parser.add_argument("--n0", type=int, default=784)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    m, threads = args.inputs, _core.thread_count(args.threads)
    random = np.random.default_rng(0)
    x = random.normal(size=(m, args.n0))
    copy, factors = x.copy(), random.normal(size=(m, max(VECTORS)))
    both = NetworkBlocks(infinite_network("relu", depth=args.depth), x, threads=threads)
    operator = KernelOperator(OneNetworkKernel("ntk", both), threads=threads)
    matrices = {
        dtype: {name: np.zeros((m, m), dtype) for name in ("nngp", "ntk")}
        for dtype in ("float64", "float32")
    }
    product = np.zeros((m, m))
    every = slice(None)

    def dgemm() -> None:
        with blas_threads(threads):
            np.matmul(x, copy.T, out=product)

    work: dict[str, Callable[[], object]] = {
        "dgemm": dgemm,
        "float64": lambda: both.fill(every, every, **matrices["float64"]),
        "float32": lambda: both.fill(every, every, **matrices["float32"]),
        "ntk": lambda: both.fill(every, every, ntk=matrices["float64"]["ntk"]),
        **{f"times_{k}": lambda k=k: operator @ factors[:, :k] for k in VECTORS},
    }
    times = in_turn(work, args.rounds, time.process_time)
    wide = matrices["float64"]
    check_entries(x, wide["nngp"], wide["ntk"], args.depth)
    for name, matrix in matrices["float32"].items():
        if not all(
            np.array_equal(a, b.astype("f4")) for a, b in zip(matrix, wide[name], strict=True)
        ):
            raise SystemExit(f"{name} in float32 is not the float64 matrix rounded")
    expected = wide["ntk"] @ factors
    off = float(np.abs(operator @ factors - expected).max() / np.abs(expected).max())
    if off > MOST_ERROR:
        raise SystemExit(f"products of the operator differ by {off:.1g} of the largest")
    row = {
        **{"inputs": m, "n0": args.n0, "depth": args.depth, "threads": threads},
        **spread("dgemm_seconds", times["dgemm"]),
        **spread("float64_over_dgemm", ratios(times["float64"], times["dgemm"])),
        **spread("float32_over_dgemm", ratios(times["float32"], times["dgemm"])),
        **spread("ntk_seconds", times["ntk"]),
    }
    for k in VECTORS:
        row |= spread(f"times_{k}_over_ntk", ratios(times[f"times_{k}"], times["ntk"]))
    print(shown(row))
    append(Path(__file__).with_suffix(".csv"), [row | machine()])


if __name__ == "__main__":
    main()
