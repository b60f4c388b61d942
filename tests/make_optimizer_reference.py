"""Make tests/reference/optimizers.json: descents of a small network by torch's own optimizers.

Usage (a second; needs torch, which the tests that read the file do not):

    python tests/make_optimizer_reference.py [--out FILE]

The network 3-5-4-2 with tanh is trained in float64 on ten points, the loss half the mean squared
error, all points at each step. A case is an optimizer of torch.optim with its arguments, and
perhaps a schedule of torch.optim.lr_scheduler with its own; it has the parameters W1 row by row,
b1, W2, ... after some steps. The start and the data are in the file too, every number with all its
digits.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

SIZES = (3, 5, 4, 2)
POINTS = 10
STEPS = (1, 10, 100)
HERE = Path(__file__).resolve().parent

# Optimizer and arguments; schedule and arguments.
CASES: dict[str, tuple[str, dict[str, Any], str | None, dict[str, Any]]] = {
    "gradient descent": ("SGD", {"lr": 0.3}, None, {}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}, None, {}),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True}, None, {}),
    "weight decay": ("SGD", {"lr": 0.2, "weight_decay": 0.05}, None, {}),
    "momentum, weight decay": (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.02},
        None,
        {},
    ),
    "nesterov, weight decay": (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02},
        None,
        {},
    ),
    "adam": ("Adam", {"lr": 0.02}, None, {}),
    "adam, other arguments": ("Adam", {"lr": 0.01, "betas": [0.7, 0.95], "eps": 1e-3}, None, {}),
    "adam, coupled decay": ("Adam", {"lr": 0.02, "weight_decay": 0.05}, None, {}),
    "adamw": ("AdamW", {"lr": 0.02, "weight_decay": 0.1}, None, {}),
    "rmsprop": ("RMSprop", {"lr": 0.01}, None, {}),
    "rmsprop, momentum": ("RMSprop", {"lr": 0.005, "momentum": 0.8, "alpha": 0.95}, None, {}),
    "rmsprop, weight decay": (
        "RMSprop",
        {"lr": 0.005, "momentum": 0.5, "weight_decay": 0.05, "eps": 1e-4},
        None,
        {},
    ),
    "step": ("SGD", {"lr": 0.3}, "StepLR", {"step_size": 7, "gamma": 0.8}),
    "cosine": ("Adam", {"lr": 0.05}, "CosineAnnealingLR", {"T_max": 100}),
    "linear": (
        "SGD",
        {"lr": 0.2, "momentum": 0.5},
        "LinearLR",
        {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 80},
    ),
    "warmup": (
        "Adam",
        {"lr": 0.02},
        "LinearLR",
        {"start_factor": 1 / 16, "end_factor": 1.0, "total_iters": 15},
    ),
}


def problem() -> dict[str, Any]:
    """Return the start and the data."""
    dice = np.random.default_rng(24)
    size = sum(rows * (columns + 1) for columns, rows in pairwise(SIZES))
    return {
        "sizes": list(SIZES),
        "x": dice.normal(size=(POINTS, SIZES[0])).tolist(),
        "y": dice.normal(size=(POINTS, SIZES[-1])).tolist(),
        "theta": (0.6 * dice.normal(size=size)).tolist(),
    }


def network(theta: Any) -> torch.nn.Sequential:
    """Return the network with these parameters."""
    layers: list[torch.nn.Module] = []
    for columns, rows in pairwise(SIZES):
        layers += [torch.nn.Linear(columns, rows, dtype=torch.float64), torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    torch.nn.utils.vector_to_parameters(torch.tensor(theta, dtype=torch.float64), net.parameters())
    return net


def descended(start: dict[str, Any], name: str) -> dict[str, list[float]]:
    """Return the parameters after each of STEPS."""
    optimizer_name, arguments, schedule_name, of_schedule = CASES[name]
    x, y = (torch.tensor(start[key], dtype=torch.float64) for key in ("x", "y"))
    net = network(start["theta"])
    optimizer = getattr(torch.optim, optimizer_name)(net.parameters(), **arguments)
    schedule = None
    if schedule_name is not None:
        schedule = getattr(torch.optim.lr_scheduler, schedule_name)(optimizer, **of_schedule)
    found = {}
    for step in range(1, STEPS[-1] + 1):
        optimizer.zero_grad()
        (0.5 * (net(x) - y).square().sum(dim=1).mean()).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if step in STEPS:
            vector = torch.nn.utils.parameters_to_vector(net.parameters())
            found[str(step)] = vector.detach().tolist()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "reference" / "optimizers.json")
    start = problem()
    cases = [
        {
            "name": name,
            "optimizer": optimizer,
            "arguments": arguments,
            "schedule": schedule,
            "schedule_arguments": of_schedule,
            "theta": descended(start, name),
        }
        for name, (optimizer, arguments, schedule, of_schedule) in CASES.items()
    ]
    kept = {"torch": torch.__version__, "problem": start, "cases": cases}
    parser.parse_args().out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
