"""Linear regions of ReLU networks, counted exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from nnth import _core
from nnth.network import Network

Domain = Literal["space", "box"]
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class RegionCounts:
    activation_regions: int
    linear_regions: int
    bounded: int
    vertices: int
    edges: int
    sides: int
    zero_cell_sides: int | None
    zero_cell_measure: float
    exact_signs: int
    layer_regions: tuple[int, ...]

    @property
    def unbounded(self) -> int:
        return self.activation_regions - self.bounded

    @property
    def mean_sides(self) -> float:
        return self.sides / self.activation_regions


def count_regions(
    network: Network,
    *,
    domain: Domain = "space",
    box: float = 1.0,
    at: ArrayLike | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> RegionCounts:
    core = _core.RegionNetwork(list(network.weights), list(network.biases), None)
    point = [0.0] * network.n0 if at is None else [float(t) for t in at]
    return RegionCounts(
        **_core.count_regions(core, None if domain == "space" else (-box, box), point, threads, progress)
    )
