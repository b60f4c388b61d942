"""What does each solver of kernel regression cost, beside scikit-learn, and which preconditioner?

    python bench/bench_solvers.py [--points 5000] [--tests 100] [--ridge 0.01] [--rounds 1]
    python bench/bench_solvers.py --preconditioners
    python bench/bench_solvers.py --parts [--points 5000]

Regression of ten classes with the tangent kernel of ReLU at depth 3, on digits that are enlarged to
28 x 28 pixels, turned and shifted (examples/many_digits.py). Each side runs in a process of its
own, in turn, everything included: kernel, solution, predictions, and for the solvers of nnth their
variances and errors, which scikit-learn does not compute. scikit-learn is KernelRidge with the
kernel `nnth.sklearn.NeuralKernel`, a callable that returns the matrix of two sets of inputs.
Predictions of all sides must agree to 1e-5, or the bench fails. Seconds are of the processor, since
threads of the BLAS wait in a busy loop; memory is the peak beyond that of a process with the data
alone. `of_seconds` and `of_memory` are those of scikit-learn over those of a side.

--parts times what the cost of the routes is made of: the product with the kernel, the panels of the
blocked factor, and a product of matrices of the shapes in it by the BLAS alone.

With --preconditioners it counts instead the iterations of conjugate gradients to 1e-8 with partial
Cholesky factors of random pivots (Chen et al. 2025), which nnth uses, and of the largest pivots,
and with a Nystrom approximation from random vectors (Frangella et al. 2023), and the processor time
of their making, on the 1797 digits of scikit-learn and on these. Appends rows to
bench/bench_solvers.csv, _preconditioners.csv and _parts.csv.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import append, machine, shown
from numpy.typing import NDArray
from peers.serving import peak_rss_mb

Floats = NDArray[np.float64]
FOLDER = Path(__file__).parent
SIDES = ("data", "sklearn", "cholesky", "blocked", "cg")
MOST_DIFFERENCE = 1e-5
DEPTH = 3
PANEL, STRIP = 2048, 1024  # columns of a panel, and rows that a thread multiplies at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--ridge", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=list(SIDES))
    parser.add_argument("--preconditioners", action="store_true")
    parser.add_argument("--parts", action="store_true")
    parser.add_argument(
        "--tolerances", nargs="*", type=float, default=[1e-6, 1e-8], help="of cg, in --parts"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        one_side(args.child, args.file, args.ridge)
    elif args.preconditioners:
        compare_preconditioners(args.points)
    elif args.parts:
        parts(args.points, args.ridge, args.tolerances)
    else:
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Run all sides in turn, and print a row for each as soon as it is there."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(data, args.points, args.tests)
        for number in range(args.rounds):
            base, peer, reference = 0.0, None, None
            for side in args.sides:
                result = measured(side, data, args.ridge)
                mean = np.array(result.pop("mean"))
                if side == "data":
                    base = result["memory"]
                    continue
                result["memory"] -= base
                peer = result if side == "sklearn" else peer
                reference = mean if reference is None else reference
                row = {
                    "side": side,
                    "round": number,
                    "points": args.points,
                    "tests": args.tests,
                    "ridge": args.ridge,
                    **result,
                    "of_seconds": peer["seconds"] / result["seconds"] if peer else np.nan,
                    "of_memory": peer["memory"] / result["memory"] if peer else np.nan,
                    "difference": float(np.abs(mean - reference).max()),
                    **machine(),
                }
                print(shown(row), flush=True)
                append(Path(__file__).with_suffix(".csv"), [row])
                if row["difference"] > MOST_DIFFERENCE:
                    raise SystemExit(f"the predictions of {side} differ by {row['difference']:.1g}")


def measured(side: str, data: Path, ridge: float) -> dict[str, Any]:
    """Run a side in a process of its own."""
    command = [sys.executable, __file__, "--child", side, "--file", str(data)]
    ended = subprocess.run(
        [*command, "--ridge", str(ridge)], check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(ended.stdout))


def write_data(path: Path, points: int, tests: int) -> None:
    """Write digits, turned and shifted."""
    sys.path.insert(0, str(FOLDER.parent / "examples"))
    from many_digits import many_digits
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images / 16.0, digits.target
    tested = np.arange(len(labels)) % 6 == 5
    x, y = many_digits(images[~tested], labels[~tested], points, 0, 0)
    x_test, _ = many_digits(images[tested], labels[tested], tests, 0, 1)
    np.savez(path, x=x, y=y, x_test=x_test)


def one_side(side: str, file: Path, ridge: float) -> None:
    """Print predictions, seconds of the processor and the peak of memory in GiB."""
    with np.load(file) as data:
        x, y, x_test = data["x"], data["y"], data["x_test"]
    targets = (y[:, None] == np.arange(10.0)) - 0.1
    begun, started = time.process_time(), time.perf_counter()
    result: dict[str, Any] = {}
    mean = np.zeros((1, 1))
    if side == "sklearn":
        from sklearn.kernel_ridge import KernelRidge

        from nnth.sklearn import NeuralKernel

        model = KernelRidge(alpha=ridge, kernel=NeuralKernel(depth=DEPTH))
        mean = model.fit(x, targets).predict(x_test)
    elif side != "data":
        import nnth

        found = nnth.predict(x, targets, x_test, depth=DEPTH, ridge=ridge, solver=side)  # type: ignore[arg-type]
        mean = found.mean[0]
        at = found.distributions[0]
        result = {"residual": at.residual, "error": at.error, "condition": at.condition}
    result |= {
        "seconds": time.process_time() - begun,
        "elapsed": time.perf_counter() - started,
        "memory": peak_rss_mb() / 2**10,
        "mean": mean.tolist(),
    }
    print(json.dumps(result))


def parts(points: int, ridge: float, tolerances: list[float]) -> None:
    """Print seconds of the parts of each route, elapsed and of the processor."""
    from nnth import _core
    from nnth._kernels.kernel import infinite_network
    from nnth._kernels.network_kernel import NetworkKernel
    from nnth._kernels.solvers import BlockedCholesky, ConjugateGradients, System
    from nnth._runtime.blas import blas_threads, serial_blas

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        write_data(path, points, 1)
        with np.load(path) as data:
            x, y = data["x"], data["y"]
    targets = (y[:, None] == np.arange(10.0)) - 0.1
    system = System(
        NetworkKernel("ntk", infinite_network("relu", depth=DEPTH)).blocks(x), points, ridge
    )
    row: dict[str, Any] = {"points": points, "n0": x.shape[1], "ridge": ridge}

    def timed(name: str, work: Any) -> Any:
        begun, started = time.process_time(), time.perf_counter()
        found = work()
        row[f"{name}_s"] = time.perf_counter() - started
        row[f"{name}_cpu_s"] = time.process_time() - begun
        return found

    @serial_blas
    def routes() -> None:
        timed("product", lambda: system.product(targets))
        width = min(points, PANEL)
        factor = timed("factor", lambda: BlockedCholesky(system, width=width))
        row["gflops"] = points**3 / 3.0 / row["factor_s"] / 1e9
        timed("pass", lambda: factor.half(targets.copy()))
        timed("condition", lambda: factor.condition)
        timed("direct", lambda: factor.solve(targets))
        for tolerance in tolerances:
            solver = timed(
                "preconditioner",
                lambda of=tolerance: ConjugateGradients(system, tolerance=of, probes=0),
            )
            timed(f"cg_{tolerance:g}", lambda s=solver: s.solve(targets))
            row[f"steps_{tolerance:g}"] = solver.steps

    routes()
    a, b = np.ones((2 * STRIP, PANEL)), np.ones((PANEL, PANEL))
    with blas_threads(0):
        timed("dgemm", lambda: [a @ b for _ in range(4)])
    row["dgemm_gflops"] = 4 * 2.0 * a.size * PANEL / row["dgemm_s"] / 1e9
    row["threads"] = _core.thread_count(0)
    print(shown(row), flush=True)
    append(Path(__file__).with_name("bench_solvers_parts.csv"), [{**row, **machine()}])


def compare_preconditioners(points: int) -> None:
    from sklearn.datasets import load_digits

    import nnth
    from nnth._runtime.blas import serial_blas

    digits = load_digits()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        write_data(path, points, 1)
        with np.load(path) as data:
            sets = {
                "digits": (digits.data / 16.0, digits.target),
                "shifted": (data["x"], data["y"]),
            }
    for name, (x, y) in sets.items():
        matrix = nnth.gram(x, depth=DEPTH, kernel="ntk").ntk
        targets = (y[:, None] == np.arange(10.0)) - 0.1
        serial_blas(iterations)(name, matrix, targets)


def iterations(name: str, matrix: Floats, targets: Floats) -> None:
    from nnth._kernels.blocks import FilledBlocks
    from nnth._kernels.solvers import ConjugateGradients, System
    from nnth._kernels.solvers.preconditioner import Preconditioner, partial_cholesky

    def fill(rows: range, columns: range, out: Floats, _: object) -> None:
        out[...] = matrix[rows.start : rows.stop, columns.start : columns.stop]

    blocks = FilledBlocks(matrix.diagonal(), 1e-14, fill)
    ways = {
        "random pivots": lambda rank: partial_cholesky(blocks, len(matrix), rank, 0),
        "largest pivots": lambda rank: largest_pivots(matrix, rank),
        "nystrom": lambda rank: nystrom(matrix, rank),
    }
    for rank in (250, 500, 1000):
        for way, make in ways.items():
            begun = time.process_time()
            factor, left = make(rank)
            row: dict[str, Any] = {
                "data": name,
                "points": len(matrix),
                "rank": rank,
                "way": way,
                "seconds": time.process_time() - begun,
            }
            for ridge in (1.0, 0.1, 0.01, 1e-4):
                solver = ConjugateGradients(
                    System(blocks, len(matrix), ridge), tolerance=1e-8, probes=0, rank=1
                )
                solver.preconditioner = Preconditioner(factor, left, ridge)
                solver.solve(targets)
                row[f"steps_{ridge:g}"] = solver.steps
            print(shown(row), flush=True)
            append(
                Path(__file__).with_name("bench_solvers_preconditioners.csv"),
                [{**row, **machine()}],
            )


def largest_pivots(matrix: Floats, rank: int) -> tuple[Floats, Floats]:
    """Return the partial Cholesky factor whose next pivot is the largest that is left."""
    left, factor = matrix.diagonal().copy(), np.zeros((len(matrix), rank))
    for k in range(rank):
        pivot = int(left.argmax())
        column = matrix[:, pivot] - factor[:, :k] @ factor[pivot, :k]
        factor[:, k] = column / np.sqrt(column[pivot])
        left = np.maximum(left - factor[:, k] ** 2, 0.0)
    return factor, left


def nystrom(matrix: Floats, rank: int) -> tuple[Floats, Floats]:
    """Return the factor of K O (O' K O)^-1 O' K for random O; algorithm 2.1 of the source."""
    from scipy.linalg import cholesky, solve_triangular

    random = np.random.default_rng(1).normal(size=(len(matrix), rank))
    directions = np.linalg.qr(random)[0]
    product = matrix @ directions
    shift = np.sqrt(len(matrix)) * np.spacing(np.linalg.norm(product))
    product += shift * directions
    corner = cholesky(directions.T @ product)
    vectors, values, _ = np.linalg.svd(
        solve_triangular(corner, product.T, trans="T").T, full_matrices=False
    )
    factor = vectors * np.sqrt(np.maximum(values**2 - shift, 0.0))
    return factor, np.maximum(matrix.diagonal() - np.einsum("ij,ij->i", factor, factor), 0.0)


if __name__ == "__main__":
    main()
