"""Time torch on gradient descent of one network or many.

    PEER/bin/python lab_torch.py PROBLEM.npz --loss squared

Run by the python of the peer's own environment (README.md). PROBLEM.npz has W1, b1, W2, b2, ...
`(networks, n_l, n_(l-1))` and `(networks, n_l)`, and the data X `(m, n0)` and y `(m, n_out)`,
one-hot for classes. The nets are W1 x + b1, tanh, W2 ..., without tanh at the end; the loss is the
mean cross-entropy, or half the mean squared error, over all m points, in float64 on one thread.

The process answers requests, one JSON object a line, by one a line, and ends with its input
(serving.py). `about` is answered with torch's `version`. `descent` takes `steps` steps at `rate`
from the start, `repeats` times, and answers with `seconds`, of processor time, one a repeat; `save`
FILE.npy gets the parameters after them `(networks, P)`. Its `method` is `loop`, torch.nn and
torch.optim.SGD on one network after another, or `vmap`, torch.func's stack_module_state,
functional_call, grad and vmap on all. What is made once, as modules and stacks, is not timed.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from serving import serve
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap


class Problem:
    """The networks with their data, as torch has them."""

    def __init__(self, path: Path, loss: str) -> None:
        with np.load(path) as saved:
            arrays = {name: torch.tensor(saved[name]) for name in saved.files}
        self.x, y = arrays["X"], arrays["y"]
        self.arrays, self.depth = arrays, sum(name.startswith("W") for name in arrays)
        labels = y.argmax(dim=1)
        self.loss: Callable[[torch.Tensor], torch.Tensor] = (
            (lambda f: nn.functional.cross_entropy(f, labels))
            if loss == "cross-entropy"
            else (lambda f: 0.5 * (f - y).square().sum(dim=1).mean())
        )

    def nets(self) -> list[nn.Sequential]:
        return [self.net(i) for i in range(len(self.arrays["W1"]))]

    def net(self, network: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for i in range(1, self.depth + 1):
            weight, bias = (self.arrays[f"{k}{i}"][network] for k in "Wb")
            layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
            layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
            layers += [layer, nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    def loop(self, steps: int, rate: float) -> Callable[[], Any]:
        nets = self.nets()
        optimizers = [torch.optim.SGD(net.parameters(), lr=rate) for net in nets]

        def run() -> Any:
            for net, optimizer in zip(nets, optimizers, strict=True):
                for _ in range(steps):
                    optimizer.zero_grad()
                    self.loss(net(self.x)).backward()
                    optimizer.step()
            return [[p.detach() for p in net.parameters()] for net in nets]

        return run

    def vmap(self, steps: int, rate: float) -> Callable[[], Any]:
        nets = self.nets()
        stacked, _ = stack_module_state(nets)
        parameters = {name: value.detach() for name, value in stacked.items()}
        base = copy.deepcopy(nets[0]).to("meta")
        slope = vmap(grad(lambda p: self.loss(functional_call(base, p, (self.x,)))))

        def run() -> Any:
            with torch.no_grad():
                for _ in range(steps):
                    gradients = slope(parameters)
                    for name, value in parameters.items():
                        value.sub_(gradients[name], alpha=rate)
            return [[value[i] for value in parameters.values()] for i in range(len(nets))]

        return run


def answer(problem: Problem, request: dict[str, Any]) -> dict[str, Any]:
    if request["job"] == "about":
        return {"version": torch.__version__}
    make = {"loop": problem.loop, "vmap": problem.vmap}[request["method"]]
    seconds = []
    for _ in range(request["repeats"]):
        work = make(request["steps"], request["rate"])
        begin = time.process_time()
        found = work()
        seconds.append(time.process_time() - begin)
    theta = [torch.cat([part.reshape(-1) for part in parts]).numpy() for parts in found]
    np.save(request["save"], np.stack(theta))
    return {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time torch on gradient descent.")
    parser.add_argument("problem", type=Path, help=".npz with W1, b1, ..., X, y")
    parser.add_argument("--loss", choices=["squared", "cross-entropy"], required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    problem = Problem(args.problem, args.loss)
    serve(lambda request: answer(problem, request))


if __name__ == "__main__":
    main()
