"""Time the empirical tangent kernel of a network by torch.func or by nngeometry.

    PEER/bin/python tangent_torch.py NET.npz INPUTS.npy --peer torch|nngeometry

Run by the python of the peer's own environment (README.md). NET.npz has W1, b1, W2, b2, ...; the
net is W1 x + b1, tanh, W2 ..., in float64, and inputs have a row a data point.

The process answers requests, one JSON object a line, by one a line, and ends with its input
(serving.py). `about` is answered with the `version`. `kernel` is computed `repeats` times, of the
first `points` inputs, and answered with `seconds`, of processor time, one a repeat; `save` FILE.npy
gets the kernel of each pair of outputs `(m, m, outputs, outputs)`, or its trace `(m, m)`. torch
takes the Jacobian of each example by vmap of jacrev, and contracts it parameter by parameter, as
PyTorch's tutorial on neural tangent kernels does; with `full` false over equal outputs alone.
nngeometry, which has no trace alone, makes a GramMatrix of the pairs, in one batch.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from serving import serve
from torch import nn
from torch.func import functional_call, jacrev, vmap


def network(path: Path) -> nn.Sequential:
    with np.load(path) as saved:
        arrays = {name: torch.tensor(saved[name]) for name in saved.files if name[0] in "Wb"}
    layers: list[nn.Module] = []
    for i in range(1, len(arrays) // 2 + 1):
        weight = arrays[f"W{i}"]
        layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(arrays[f"b{i}"])
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def by_torch(net: nn.Sequential, x: torch.Tensor, full: bool) -> torch.Tensor:
    parameters = {name: one.detach() for name, one in net.named_parameters()}

    def outputs(own: dict[str, torch.Tensor], one: torch.Tensor) -> torch.Tensor:
        return functional_call(net, own, (one.unsqueeze(0),)).squeeze(0)

    jacobians = vmap(jacrev(outputs), (None, 0))(parameters, x)
    pairs = "iap,jbp->ijab" if full else "iap,jap->ij"
    return sum(torch.einsum(pairs, j.flatten(2), j.flatten(2)) for j in jacobians.values())


def by_nngeometry(net: nn.Sequential, x: torch.Tensor, full: bool) -> torch.Tensor:
    from nngeometry import GramMatrix
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(x.clone()), batch_size=len(x))
    found = GramMatrix(model=net, loader=loader, function=lambda *d: net(d[0])).to_torch()
    pairs = found.permute(1, 3, 0, 2)
    return pairs if full else torch.einsum("ijaa->ij", pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("net", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--peer", choices=("torch", "nngeometry"), required=True)
    args = parser.parse_args()
    net, x = network(args.net), torch.tensor(np.load(args.inputs))
    compute = by_torch if args.peer == "torch" else by_nngeometry

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["job"] == "about":
            import importlib.metadata

            return {"version": importlib.metadata.version(args.peer)}
        seconds = []
        for _ in range(request["repeats"]):
            begin = time.process_time()
            found = compute(net, x[: request["points"]], request["full"])
            seconds.append(time.process_time() - begin)
        np.save(request["save"], found.detach().numpy())
        return {"seconds": seconds}

    serve(answer)


if __name__ == "__main__":
    main()
