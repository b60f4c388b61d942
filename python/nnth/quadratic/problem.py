"""The problem that is asked for: a model from a file, a random one, or a network's expansion."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth.activation import activation
from nnth.checks import whole
from nnth.data import Data, data_of, target_vector
from nnth.network import Network, parse_widths, random_network
from nnth.network_files import load_network
from nnth.quadratic.expansion import SmallNet, small_net
from nnth.quadratic.model import QuadraticModel, check_size, load_model, random_model
from nnth.random import normals

_DATA_STREAM: Final = 2**33


def problem_of(
    model: QuadraticModel | str | os.PathLike[str] | None,
    p: int | None,
    n: int | None,
    net: Network | str | os.PathLike[str] | None,
    act: str | None,
    widths: Sequence[int] | str | None,
    inputs: Data | None,
    y: Data | None,
    seed: int,
) -> tuple[QuadraticModel, SmallNet | None]:
    """Return the model, and the network it is of; raises ValueError for arguments that clash."""
    kind = "model" if model is not None else "net" if net is not None else "p"
    given = {"p": p, "n": n, "net": net, "act": act, "widths": widths, "inputs": inputs, "y": y}
    for_kind = {"model": (), "p": ("p", "n"), "net": ("net", "n", "act", "widths", "inputs", "y")}
    for name, value in given.items():
        if value is not None and name not in for_kind[kind]:
            where = {"model": "with model", "p": "without net", "net": "with net"}[kind]
            raise ValueError(f"{name} must not be given {where}")
    if model is not None:
        found = model if isinstance(model, QuadraticModel) else load_model(model)
        check_size(found.p, found.n)
        return found, None
    if net is None:
        return random_model(20 if p is None else p, 5 if n is None else n, seed=seed), None
    small = _small_net(net, act, widths, inputs, y, n, seed)
    return small.model(), small


def _small_net(
    net: Network | str | os.PathLike[str],
    act: str | None,
    widths: Sequence[int] | str | None,
    inputs: Data | None,
    y: Data | None,
    n: int | None,
    seed: int,
) -> SmallNet:
    chosen = activation("tanh" if act is None else act)
    if (inputs is None) != (y is None):
        raise ValueError("inputs and y must be given together")
    if inputs is not None and n is not None:
        raise ValueError("n must not be given with inputs, whose rows are the data points")
    found: Network | None = None
    if isinstance(net, Network):
        found = net
    elif os.fspath(net) != "random":
        found = load_network(net)
    if found is not None and widths is not None:
        raise ValueError("widths must not be given where net is a network of its own")
    if inputs is not None and y is not None:
        x = data_of(inputs, "inputs")
        targets = target_vector(y, len(x))
    else:
        count, dimension = whole("n", 3 if n is None else n), 3 if found is None else found.n0
        draws = normals(seed, _DATA_STREAM, count * (dimension + 1))
        x = draws[: count * dimension].reshape(count, dimension)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        targets = draws[count * dimension :]
    if found is None:
        sizes = parse_widths(widths) if isinstance(widths, str) else widths or (4,)
        parameters = sum(
            a * (b + 1) for a, b in zip((*sizes, 1), (x.shape[1], *sizes), strict=True)
        )
        check_size(parameters, len(x))
        found = random_network(x.shape[1], sizes, cw=1.0, cb=0.0, seed=seed)
    return small_net(found, chosen, x, targets)
