"""The robustness radius of points: their distance to the decision boundary of a ReLU network."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._networks.network import Network
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._tables.statistics import joined

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_NODES: Final = 10**7
_EXACT: Final = 1e-8  # the relative distance of bounds that agree


@dataclass(frozen=True, eq=False)
class Radii:
    """Bounds of the distances of points `(m,)` to the decision boundary of a network.

    lower, upper: in the 2-norm; `upper` is the distance of a point at which the rival wins,
        infinite if none was found.
    lower_linf, upper_linf: the same in the maximum norm.
    winner: the largest output at the point; of one output, 1 if it is positive and else 0.
    rival: the output that wins at the distance `upper`; the winner if none was found.
    """

    lower: Array
    upper: Array
    lower_linf: Array
    upper_linf: Array
    winner: Integers
    rival: Integers


def check_nodes(nodes: int, n0: int, widths: Sequence[int], points: int, threads: int) -> None:
    """Raise ValueError unless so many nodes of a search are allowed, MemoryError for memory."""
    if isinstance(nodes, bool) or not isinstance(nodes, int | np.integer):
        raise ValueError(f"search_nodes must be a whole number, not {nodes!r}")
    if not 0 <= nodes <= MAX_NODES:
        raise ValueError(f"search_nodes must be from 0 to {MAX_NODES}, not {nodes}")
    if nodes == 0:
        return
    at_once = min(points, threads or os.cpu_count() or 1)
    # A program has the inverse of a basis and the matrices of a layer.
    check_memory(
        at_once * 8 * (2 * n0**2 + 3 * n0 * sum(widths)),
        "n0 must be smaller: programs of the search",
    )
    # A node leaves a child for each neuron, and the signs of all neurons once for each layer.
    check_memory(
        at_once * int(nodes) * sum(widths) * (46 + len(widths)),
        "search_nodes must be fewer: nodes of the search",
    )


def radii(network: Network, x: Array, nodes: int, threads: int, progress: Progress | None) -> Radii:
    """Return bounds of the robustness radius of points `(m, n0)` after at most `nodes` nodes."""
    from nnth._regions.core_counts import core_network

    core = core_network(network)
    points = np.ascontiguousarray(x)

    def search(maximum_norm: bool) -> dict[str, Any]:
        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(done + total * maximum_norm, 2 * total)

        return _core.decision_radii(core, points, maximum_norm, nodes, threads, report)

    two, maximum = search(False), search(True)
    return Radii(
        two["lower"],
        two["upper"],
        maximum["lower"],
        maximum["upper"],
        two["winner"],
        two["rival"],
    )


def radius_columns(found: Sequence[Radii], points: int) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of the radius, means over several networks, and a note for each point."""
    if not found:
        unknown = np.full(points, math.nan)
        names = ("radius", "radius_upper", "radius_linf", "radius_linf_upper", "output", "rival")
        return dict.fromkeys(names, unknown), [""] * points

    def mean(name: str) -> Array:
        values: Array = np.mean([getattr(each, name) for each in found], axis=0)
        return values

    one = len(found) == 1
    columns = {
        "radius": mean("lower"),
        "radius_upper": mean("upper"),
        "radius_linf": mean("lower_linf"),
        "radius_linf_upper": mean("upper_linf"),
        "output": found[0].winner if one else np.full(points, math.nan),
        "rival": found[0].rival if one else np.full(points, math.nan),
    }
    notes = []
    for i in range(points):
        two, maximum = (
            _open(columns[name][i], columns[f"{name}_upper"][i])
            for name in ("radius", "radius_linf")
        )
        if two and two == maximum:
            notes.append(f"radius and radius_linf are lower bounds: {two}")
        else:
            notes.append(
                joined(
                    two and f"radius is a lower bound: {two}",
                    maximum and f"radius_linf is a lower bound: {maximum}",
                )
            )
    return columns, notes


def _open(lower: float, upper: float) -> str:
    """Return what the bounds of a radius leave open; nothing if they agree."""
    if lower == upper or upper - lower <= _EXACT * upper < math.inf:
        return ""
    return "no boundary was found" if upper == math.inf else "more nodes are needed"
