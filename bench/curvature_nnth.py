"""nnth's side of bench_curvature.py: what peers/curvature_peers.py answers, in the same words.

    OPENBLAS_NUM_THREADS=1 python bench/curvature_nnth.py PROBLEM.npz

`top` asks for residuals of a tenth of `tolerance` times the largest eigenvalue, and checks that
each is at most `tolerance` times its own, as the peers' are. `density` is the quadrature itself,
with full reorthogonalization: its `top` and `bottom` are the extreme nodes.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  nnth loads it when it is needed first: not within the clock
from numpy.typing import NDArray
from peers.serving import serve

import nnth
from nnth import lab
from nnth._curvature.density import spectral_density
from nnth._runtime.lanczos import extreme_eigenpairs

Floats = NDArray[np.float64]
STREAM = 2**40  # of the vectors: those of small numbers are networks, of the same seed


class Problem:
    """The net with its data, and its curvature."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as saved:
            arrays = {name: saved[name] for name in saved.files}
        layers = range(1, sum(name.startswith("W") for name in arrays) + 1)
        sizes = [arrays["X"].shape[1], *(len(arrays[f"b{i}"]) for i in layers)]
        parts = [arrays[f"{kind}{i}"].ravel() for i in layers for kind in "Wb"]
        self.theta: Floats = np.concatenate(parts)
        self.model = lab.model(sizes[0], sizes[1:-1], sizes[-1], act="tanh")
        targets = np.eye(sizes[-1])[arrays["y"]]
        self.objective = lab.Objective(self.model, arrays["X"], targets, loss="cross-entropy")
        self.curvature = lab.Curvature(self.objective, self.theta)


def about(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    return {
        "seconds": [],
        "peer": "nnth",
        "threads": 1,
        "parameters": problem.model.size,
        "loss": problem.curvature.value,
        "versions": {"nnth": nnth.__version__},
    }


def timed(request: dict[str, Any], work: Callable[[], Any]) -> tuple[list[float], Any]:
    seconds = []
    for _ in range(request.get("repeats", 1)):
        begin = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - begin)
    return seconds, found


def gd_step(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    rate = request.get("rate", 0.1)

    descent = lab.Descent(problem.objective, lab.SGD(rate), problem.theta)

    def step() -> float:
        descent.resume(0, problem.theta.copy(), [])
        next(descent.take(1))
        return float(descent.loss)

    seconds, value = timed(request, step)
    if "save" in request:
        np.save(request["save"], descent.theta)
    return {"seconds": seconds, "loss": value}


def hvp(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    vector = np.load(request["vector"])
    seconds, product = timed(request, lambda: problem.curvature.hessian(vector))
    if "save" in request:
        np.save(request["save"], product)
    return {"seconds": seconds, "norm": float(np.linalg.norm(product))}


def top(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    count, tolerance = request.get("count", 10), request.get("tolerance", 1e-3)

    def run() -> Any:
        return extreme_eigenpairs(
            problem.curvature.hessian,
            problem.model.size,
            top=count,
            tolerance=0.1 * tolerance,
            seed=0,
            stream=STREAM,
        )[0]

    seconds, found = timed(request, run)
    if np.any(found.residuals > tolerance * np.abs(found.values)):
        raise SystemExit(f"residuals of {found.residuals} are too large for {found.values}")
    return {"seconds": seconds, "eigenvalues": found.values.tolist(), "products": found.products}


def density(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    steps, probes, seed = (
        request.get(k, v) for k, v in (("steps", 100), ("probes", 1), ("seed", 0))
    )

    def run() -> Any:
        return spectral_density(
            problem.curvature.hessian,
            problem.model.size,
            probes=probes,
            steps=steps,
            seed=seed,
            stream=STREAM,
        )

    seconds, found = timed(request, run)
    nodes, weights = found.nodes, found.weights
    moments = {
        name: found.moment(power)[0] for power, name in enumerate(("mass", "mean", "second"))
    }
    ends = {"bottom": float(nodes.min()), "top": float(nodes.max())}
    return {
        "seconds": seconds,
        **ends,
        **moments,
        "nodes": nodes.tolist(),
        "weights": weights.tolist(),
    }


JOBS = {"about": about, "gd_step": gd_step, "hvp": hvp, "top": top, "density": density}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", type=Path, help=".npz with W1, b1, ..., X, y")
    problem = Problem(parser.parse_args().problem)
    serve(lambda request: JOBS[request["job"]](problem, request))


if __name__ == "__main__":
    main()
