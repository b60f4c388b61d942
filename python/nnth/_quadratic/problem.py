"""The model that the arguments describe: from a file, a random one, or a network's expansion."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of, target_vector
from nnth._networks.network import Network, parse_widths, random_network
from nnth._networks.network_files import load_network
from nnth._quadratic.expansion import ExpandedNet, expanded_net
from nnth._quadratic.model import QuadraticModel, check_size, load_model, random_model
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

_RANDOM_INPUT_DIMENSION: Final = 3


def problem_of(
    model: QuadraticModel | str | os.PathLike[str] | None,
    parameters: int,
    points: int,
    net: Network | str | os.PathLike[str] | None,
    act: str | None,
    widths: Sequence[int] | str,
    x: Data | None,
    y: Data | None,
    seed: int,
) -> tuple[QuadraticModel, ExpandedNet | None]:
    """Return the model, and its network if it is an expansion; raises ValueError for conflicts."""
    if model is not None and net is not None:
        raise ValueError("model and net must not both be given")
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together")
    if net is not None:
        expanded = _expanded_net(net, act, widths, x, y, points, seed)
        return expanded.quadratic_model(), expanded
    if x is not None:
        raise ValueError("x must come with net")
    if model is None:
        return random_model(parameters, points, seed=seed), None
    found = model if isinstance(model, QuadraticModel) else load_model(model)
    check_size(found.p, found.n)
    return found, None


def _expanded_net(
    net: Network | str | os.PathLike[str],
    act: str | None,
    widths: Sequence[int] | str,
    x: Data | None,
    y: Data | None,
    points: int,
    seed: int,
) -> ExpandedNet:
    found = _given_network(net, act)
    chosen = activation("tanh" if act is None else act).name
    if x is not None and y is not None:
        inputs = data_of(x, "x")
        targets = target_vector(y, len(inputs))
    else:
        inputs, targets = _random_data(
            points, _RANDOM_INPUT_DIMENSION if found is None else found.n0, seed
        )
    if found is None:
        sizes = parse_widths(widths) if isinstance(widths, str) else tuple(widths)
        count = sum(
            a * (b + 1) for a, b in zip((*sizes, 1), (inputs.shape[1], *sizes), strict=True)
        )
        check_size(count, len(inputs))
        drawn = random_network(inputs.shape[1], sizes, cw=1.0, cb=0.0, seed=seed)
        found = Network(drawn.weights, drawn.biases, chosen)
    return expanded_net(found, inputs, targets)


def _given_network(net: Network | str | os.PathLike[str], act: str | None) -> Network | None:
    """Return the network, None for a random one. Raises ValueError if it has another activation."""
    if not isinstance(net, Network):
        return None if os.fspath(net) == "random" else load_network(net, act)
    if act is not None and activation(act).expression != activation(net.activation).expression:
        raise ValueError(f"act must be that of net, {net.activation[:40]!r}, not {act[:40]!r}")
    return net


def _random_data(points: int, n0: int, seed: int) -> tuple[Floats, Floats]:
    points = check_integer("points", points)
    check_memory(8 * points * (n0 + 1), "points must be fewer: their inputs")
    draws = normals(seed, streams.QUADRATIC_DATA.first, points * (n0 + 1))
    inputs = draws[: points * n0].reshape(points, n0)
    return inputs / np.linalg.norm(inputs, axis=1, keepdims=True), draws[points * n0 :]
