"""Time torch, curvlinops or hessian-eigenthings on the Hessian of a small MLP.

    PEER/bin/python curvature_peers.py PROBLEM.npz --peer curvlinops [--threads 1]

Run by the python of the peer's own environment (README.md). PROBLEM.npz has W1, b1, W2, b2, ...,
W a row a neuron, and the data X `(m, n0)` and y `(m,)`, integer classes. The net is W1 x + b1,
tanh, W2 ..., without tanh at the end; the loss is the mean cross-entropy over all m points, in one
batch and in float64. Vectors are the parameters one after another as W1, b1, W2, b2, ..., matrices
row by row.

The process answers requests, one JSON object a line, by one a line, and ends with its input
(serving.py). Every request has a `job`, may have `repeats` (1), and is answered with `seconds`, one
a repeat, and what the last repeat gave. Reading and writing files is not timed.

| job | peers | further keys of the request | further keys of the answer |
|---|---|---|---|
| `about` | all | | `peer`, `threads`, `parameters`, `loss`, `versions`; `seconds` is [] |
| `gd_step` | torch | `rate` (0.1), `save` FILE.npy | `loss` before the step |
| `hvp` | all | `vector` FILE.npy, `save` FILE.npy | `norm` |
| `top` | not torch | `count` (10), `tolerance` (1e-3) | `eigenvalues`, decreasing; `products` |
| `density` | not torch | `steps` (100), `probes` (1), `seed` (0) | below |

`gd_step` is zero_grad, forward, backward and torch.optim.SGD.step; FILE.npy gets all parameters
after it, and they are put back once the clock has stopped, so that every repeat takes the same
step. `hvp` writes H v to FILE.npy; torch's is the usual double backward, gradient included. `top`
has the largest eigenvalues (not magnitudes), each to a residual of `tolerance` times itself.
curvlinops does it as its documentation says, by scipy's `eigsh(which="LA")` on `to_scipy()`;
hessian-eigenthings by its `lanczos`, whose default of 2 count steps does not reach the tolerance,
with as few steps as converge, a multiple of `count`, found before the clock starts.
`density` is each package's function with its own defaults but `steps` and `probes` (curvlinops'
first finds the ends of the spectrum with `eigsh`, as its users get it). It answers with `bottom`
and `top`, the ends of the spectrum, and `mass`, `mean` and `second` moment of the density,
smoothing included; hessian-eigenthings' adds `nodes` and `weights` of the quadrature. An error ends
the process, and is the last line of its standard error.

    echo '{"job": "top"}' | PEER/bin/python curvature_peers.py PROBLEM.npz --peer curvlinops
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from serving import serve
from torch import nn

PACKAGES = {"torch": "torch", "curvlinops": "curvlinops-for-pytorch"}


class Problem:
    """The net with its data, as torch has them."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as saved:
            arrays = {name: saved[name] for name in saved.files}
        self.x = torch.tensor(arrays["X"], dtype=torch.float64)
        self.y = torch.tensor(arrays["y"], dtype=torch.int64)
        depth = sum(name.startswith("W") for name in arrays)
        layers: list[nn.Module] = []
        for i in range(1, depth + 1):
            weight, bias = (torch.tensor(arrays[f"{k}{i}"], dtype=torch.float64) for k in "Wb")
            layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
            layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
            layers += [layer, nn.Tanh()]
        self.net = nn.Sequential(*layers[:-1])
        self.criterion = nn.CrossEntropyLoss()
        self.parameters = list(self.net.parameters())
        self.size = sum(p.numel() for p in self.parameters)

    def loss(self) -> torch.Tensor:
        return self.criterion(self.net(self.x), self.y)


def flat(tensors: Any) -> torch.Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


class Torch:
    """What one writes in torch itself."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        parameters = self.problem.parameters
        parts = vector.split([p.numel() for p in parameters])
        shaped = [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
        slope = torch.autograd.grad(self.problem.loss(), parameters, create_graph=True)
        return flat(torch.autograd.grad(slope, parameters, grad_outputs=shaped))


class Curvlinops(Torch):
    def __init__(self, problem: Problem) -> None:
        from curvlinops import HessianLinearOperator

        super().__init__(problem)
        self.operator = HessianLinearOperator(
            problem.net, problem.criterion, problem.parameters, [(problem.x, problem.y)]
        )

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self.operator @ vector
        return product

    def top(self, count: int, tolerance: float) -> Callable[[], dict[str, Any]]:
        from scipy.sparse.linalg import LinearOperator, eigsh

        wrapped, products = self.operator.to_scipy(), [0]

        def counted(vector: np.ndarray) -> np.ndarray:
            products[0] += 1
            return wrapped @ vector

        def run() -> dict[str, Any]:
            products[0] = 0
            operator = LinearOperator(wrapped.shape, matvec=counted, dtype=wrapped.dtype)
            start = np.random.default_rng(0).standard_normal(wrapped.shape[0])
            values, _ = eigsh(operator, k=count, which="LA", tol=tolerance, v0=start)
            return {"eigenvalues": sorted(values.tolist(), reverse=True), "products": products[0]}

        return run

    def density(self, steps: int, probes: int, seed: int) -> dict[str, Any]:
        from curvlinops.papyan2020traces.spectrum import lanczos_approximate_spectrum

        torch.manual_seed(seed)
        margin = 0.05
        grid, density = lanczos_approximate_spectrum(
            self.operator, steps, num_repeats=probes, margin=margin
        )
        pad = margin / (1.0 + 2.0 * margin) * float(grid[-1] - grid[0])
        ends = {"bottom": float(grid[0]) + pad, "top": float(grid[-1]) - pad}
        return ends | moments(grid, density)


class HessianEigenthings(Torch):
    def __init__(self, problem: Problem) -> None:
        from hessian_eigenthings import HessianOperator, supervised_loss

        super().__init__(problem)
        batches = [(problem.x, problem.y)]
        self.operator = HessianOperator(problem.net, batches, supervised_loss(problem.criterion))
        self._steps: dict[tuple[int, float], int] = {}  # that converge, by count and tolerance

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self.operator.matvec(vector)
        return product

    def top(self, count: int, tolerance: float) -> Callable[[], dict[str, Any]]:
        from hessian_eigenthings import lanczos

        def run(steps: int) -> Any:
            return lanczos(
                self.operator,
                k=count,
                max_iter=steps,
                tol=tolerance,
                which="LA",
                reorthogonalize=True,
                seed=0,
            )

        steps = self._steps.get((count, tolerance), 2 * count)
        while (count, tolerance) not in self._steps:
            if bool(run(steps).converged.all()):
                self._steps[count, tolerance] = steps
            else:
                steps += count

        def timed() -> dict[str, Any]:
            return {"eigenvalues": run(steps).eigenvalues.tolist(), "products": steps}

        return timed

    def density(self, steps: int, probes: int, seed: int) -> dict[str, Any]:
        from hessian_eigenthings import spectral_density

        found = spectral_density(self.operator, num_runs=probes, lanczos_steps=steps, seed=seed)
        nodes, weights = found.raw_eigenvalues, found.raw_weights
        return {
            "bottom": float(nodes.min()),
            "top": float(nodes.max()),
            **moments(found.grid, found.density),
            "nodes": nodes.tolist(),
            "weights": weights.tolist(),
        }


def moments(grid: torch.Tensor, density: torch.Tensor) -> dict[str, float]:
    named = zip(("mass", "mean", "second"), range(3), strict=True)
    return {name: float(torch.trapezoid(density * grid**power, grid)) for name, power in named}


PEERS = {"torch": Torch, "curvlinops": Curvlinops, "hessian-eigenthings": HessianEigenthings}


def gradient_step(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    optimizer = torch.optim.SGD(problem.parameters, lr=request.get("rate", 0.1))
    start = [p.detach().clone() for p in problem.parameters]
    seconds = []
    for _ in range(request.get("repeats", 1)):
        with torch.no_grad():
            for parameter, value in zip(problem.parameters, start, strict=True):
                parameter.copy_(value)
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss = problem.loss()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
    if "save" in request:
        np.save(request["save"], flat(problem.parameters).numpy())
    with torch.no_grad():
        for parameter, value in zip(problem.parameters, start, strict=True):
            parameter.copy_(value)
    optimizer.zero_grad()
    return {"seconds": seconds, "loss": float(loss.detach())}


def repeated(request: dict[str, Any], work: Callable[[], Any]) -> tuple[list[float], Any]:
    seconds = []
    for _ in range(request.get("repeats", 1)):
        begin = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - begin)
    return seconds, found


def answer(peer: Any, name: str, request: dict[str, Any]) -> dict[str, Any]:
    job = request["job"]
    if job == "about":
        package = PACKAGES.get(name, name)
        versions = {p: importlib.metadata.version(p) for p in (package, "torch", "numpy")}
        return {
            "seconds": [],
            "peer": name,
            "threads": torch.get_num_threads(),
            "parameters": peer.problem.size,
            "loss": float(peer.problem.loss().detach()),
            "versions": versions | {"python": platform.python_version()},
        }
    if job == "gd_step" and name == "torch":
        return gradient_step(peer.problem, request)
    if job == "hvp":
        vector = torch.tensor(np.load(request["vector"]), dtype=torch.float64)
        seconds, product = repeated(request, lambda: peer.multiply(vector))
        if "save" in request:
            np.save(request["save"], product.detach().numpy())
        return {"seconds": seconds, "norm": float(product.detach().norm())}
    if job == "top" and name != "torch":
        work = peer.top(request.get("count", 10), request.get("tolerance", 1e-3))
        seconds, found = repeated(request, work)
        return {"seconds": seconds, **found}
    if job == "density" and name != "torch":
        settings = [request.get(k, v) for k, v in (("steps", 100), ("probes", 1), ("seed", 0))]
        seconds, found = repeated(request, lambda: peer.density(*settings))
        return {"seconds": seconds, **found}
    raise ValueError(f"{name} has no job {job!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time torch packages on the Hessian of an MLP.")
    parser.add_argument("problem", type=Path, help=".npz with W1, b1, ..., X, y")
    parser.add_argument("--peer", choices=list(PEERS), required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")  # deprecations within the packages
    peer = PEERS[args.peer](Problem(args.problem))
    serve(lambda request: answer(peer, args.peer, request))


if __name__ == "__main__":
    main()
