"""nnth's side of bench_lab.py: what peers/lab_torch.py answers, in the same words.

    OPENBLAS_NUM_THREADS=1 python bench/lab_nnth.py PROBLEM.npz --loss squared

The job `products` times the products of matrices of the descent alone: those of the forward pass,
of the backward pass and of the gradients, by NumPy on arrays of the same shapes.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers.serving import serve

from nnth import lab


class Problem:
    """The networks with their data."""

    def __init__(self, path: Path, loss: Any) -> None:
        with np.load(path) as saved:
            arrays = {name: saved[name] for name in saved.files}
        layers = range(1, sum(name.startswith("W") for name in arrays) + 1)
        self.weights = [arrays[f"W{i}"] for i in layers]
        sizes = [arrays["X"].shape[1], *(w.shape[-2] for w in self.weights)]
        model = lab.model(sizes[0], sizes[1:-1], sizes[-1], act="tanh", cw=1.0)
        self.objective = lab.Objective(model, arrays["X"], arrays["y"], loss=loss)
        networks = len(self.weights[0])
        parts = [arrays[f"{kind}{i}"].reshape(networks, -1) for i in layers for kind in "Wb"]
        theta = np.concatenate(parts, axis=1)
        self.theta = theta if networks > 1 else theta[0]

    def descend(self, request: dict[str, Any]) -> Callable[[], Any]:
        descent = lab.Descent(self.objective, lab.SGD(request["rate"]), self.theta)

        def run() -> Any:
            for _ in descent.take(request["steps"]):
                pass
            return descent.theta

        return run

    def products(self, request: dict[str, Any]) -> Callable[[], Any]:
        """Return the products of one network after another, in place."""
        m, steps = self.objective.examples, request["steps"]
        h = [self.objective.x, *(np.ones((m, w.shape[-2])) for w in self.weights)]
        delta, gradients = [a.copy() for a in h], [w[0].copy() for w in self.weights]

        def run() -> Any:
            for _ in range(steps):
                for network in range(len(self.weights[0])):
                    for layer, w in enumerate(self.weights):
                        np.matmul(h[layer], w[network].T, out=delta[layer + 1])
                    for layer, w in reversed(list(enumerate(self.weights))):
                        np.matmul(delta[layer + 1].T, h[layer], out=gradients[layer])
                        if layer:
                            np.matmul(delta[layer + 1], w[network], out=delta[layer])
            return gradients[0]

        return run


def answer(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    make = problem.products if request["job"] == "products" else problem.descend
    seconds = []
    for _ in range(request["repeats"]):
        work = make(request)
        begin = time.process_time()
        found = work()
        seconds.append(time.process_time() - begin)
    if "save" in request:
        np.save(request["save"], np.atleast_2d(found))
    return {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", type=Path, help=".npz with W1, b1, ..., X, y")
    parser.add_argument("--loss", required=True)
    args = parser.parse_args()
    problem = Problem(args.problem, args.loss)
    serve(lambda request: answer(problem, request))


if __name__ == "__main__":
    main()
