"""Time random ReLU nets in torch: derivative and tangent kernel, or Gram matrices.

    TORCH/bin/python paths_torch.py --width 64 --depth 20 --method vmap --threads 1

Run by the python of its own environment (README.md). Weights are drawn inside the timing, as they
are in nnth. `vmap` is torch.func: vmap of grad with respect to input and weights, over a batch of
nets. `batched` is written by hand: batched matrix products forward and back, no autograd. `gram` is
`batched` for several inputs of the same net. Batches of all sizes are tried and the fastest is
reported. Prints one JSON object: nets a second, and the means its nets gave.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable

import torch


def weights(batch: int, n: list[int], dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.randn(batch, n[l + 1], n[l], dtype=dtype) for l in range(len(n) - 1)]  # noqa: E741


def by_vmap(batch: int, n: list[int], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared derivative by the first input, and the tangent kernel, of each net."""

    def output(x: torch.Tensor, net: list[torch.Tensor]) -> torch.Tensor:
        h = x
        for i, w in enumerate(net):
            z = math.sqrt(2.0 / w.shape[1]) * (w @ h)
            h = torch.relu(z) if i < len(net) - 1 else z
        return h[0]

    by_x, by_net = torch.func.vmap(torch.func.grad(output, argnums=(0, 1)), in_dims=(None, 0))(
        x, weights(batch, n, x.dtype)
    )
    return by_x[:, 0] ** 2, sum((g**2).sum((1, 2)) for g in by_net)


def by_hand(batch: int, n: list[int], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared derivative by the first input, and tangent kernels [net, m, m]; x is [m, n0]."""
    net = weights(batch, n, x.dtype)
    h = x.T.expand(batch, *x.T.shape)  # [net, n, m]
    hidden, gates = [h], []
    for i, w in enumerate(net):
        h = torch.bmm(w, h).mul_(math.sqrt(2.0 / n[i]))
        if i < len(net) - 1:
            gates.append(h > 0)
            h = h.clamp_(min=0.0)
            hidden.append(h)
    d = torch.ones(batch, 1, x.shape[0], dtype=x.dtype)
    kernel = torch.zeros(batch, x.shape[0], x.shape[0], dtype=x.dtype)
    for i in range(len(net) - 1, -1, -1):
        gram = torch.bmm(hidden[i].mT, hidden[i])
        kernel += (2.0 / n[i]) * gram * torch.bmm(d.mT, d)
        d = torch.bmm(net[i].mT, d).mul_(math.sqrt(2.0 / n[i]))
        if i > 0:
            d = d * gates[i - 1]
    return d[:, 0, 0] ** 2, kernel


def rate(step: Callable[[int], object], batch: int, seconds: float) -> float:
    """Nets a second over at least `seconds`, after one warm-up."""
    step(batch)
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds or count == 0:
        step(batch)
        count += batch
    return count / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time random ReLU nets in torch.")
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--inputs", type=int, default=1, help="m, for gram: x_a = (cos, sin)")
    parser.add_argument("--method", choices=["vmap", "batched", "gram"], required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    parser.add_argument("--seconds", type=float, default=3.0, help="of every batch size")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    dtype = getattr(torch, args.dtype)
    if args.method == "gram":
        angles = [0.5 * a for a in range(args.inputs)]
        x = torch.tensor([[math.cos(a), math.sin(a)] for a in angles], dtype=dtype)
    else:
        x = torch.ones(1, 1, dtype=dtype)
    n = [x.shape[1], *[args.width] * args.depth, 1]
    total = [0, 0.0, 0.0, 0.0]  # nets, squared derivative, kernel, its square

    def step(batch: int) -> None:
        square, kernel = by_vmap(batch, n, x[0]) if args.method == "vmap" else by_hand(batch, n, x)
        kernel = kernel.reshape(batch, -1)[:, 0]
        total[0] += batch
        total[1] += float(square.sum())
        total[2] += float(kernel.sum())
        total[3] += float((kernel.double() ** 2).sum())

    weight_bytes = 8.0 * args.width**2 * args.depth
    batches = [b for b in (1, 8, 64, 256) if b * weight_bytes <= 2e9]
    with torch.no_grad() if args.method != "vmap" else torch.enable_grad():
        rates = {b: rate(step, b, args.seconds) for b in batches}
    best = max(rates, key=lambda b: rates[b])
    mean = total[2] / total[0]
    record = {
        "peer": "torch",
        "method": args.method,
        "dtype": args.dtype,
        "width": args.width,
        "depth": args.depth,
        "inputs": args.inputs,
        "threads": torch.get_num_threads(),
        "batch": best,
        "nets_per_second": rates[best],
        "rates": rates,
        "nets": total[0],
        "square_derivative": total[1] / total[0],
        "kernel": mean,
        "kernel_stderr": math.sqrt(max(total[3] / total[0] - mean**2, 0.0) / total[0]),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
