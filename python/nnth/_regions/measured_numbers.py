"""The exact numbers of networks on a box by the core, network by network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._networks.ensemble import Ensemble
from nnth._networks.network import Network
from nnth._regions.bounds import zaslavsky
from nnth._regions.core_counts import core_network, count_core
from nnth._regions.domains import core_domain
from nnth._regions.measure_table import BOUNDED, COUNTS, MeasuredNetworks
from nnth._regions.measured_networks import difference_network, level_network
from nnth._regions.point_averages import point_averages
from nnth._regions.reach import MAX_REGIONS
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress

Array = NDArray[np.float64]


def measured_network(
    network: Network, other: Network | None, limits: tuple[float, float]
) -> Network:
    return network if other is None else difference_network(network, other, limits[1])


def draw_numbers(
    networks: Ensemble,
    other: Network | None,
    threshold: float,
    limits: tuple[float, float],
    points: int,
    first: int,
    count: int,
    threads: int,
    progress: Progress | None,
) -> MeasuredNetworks:
    """Return the numbers of networks first, ..., first + count - 1."""
    batch = 256 if count > 1 else 1
    found: MeasuredNetworks | None = None
    done = 0
    try:
        while done < count:
            size = min(batch, count - done)
            given = [networks.network(first + done + i) for i in range(size)]
            given_or_apart = [measured_network(network, other, limits) for network in given]

            def report(part: int, total: int, done: int = done, size: int = size) -> None:
                if progress is not None:
                    share = part / total if total else 1.0
                    progress(round(1000 * (done + size * share)), 1000 * count)

            exact = measured(given_or_apart, threshold, limits, threads, report)
            sampled = [
                point_averages(
                    network, other, threshold, limits, points, networks.seed, first + done + i
                )
                for i, network in enumerate(given)
            ]
            part = _gathered(exact, sampled)
            found = part if found is None else found.merge(part)
            done += size
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{done} of {count} networks were measured") from None
    assert found is not None
    return found


def measured(
    networks: Sequence[Network],
    threshold: float,
    limits: tuple[float, float],
    threads: int,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """Return the results of the core for several networks."""
    expected = [_expected_cells(network, limits, threads) for network in networks]
    levels = []
    for network in networks:
        level = level_network(network, threshold)
        levels.append(_core.RegionNetwork(list(level.weights), list(level.biases)))
    found = _core.measure_regions(levels, threshold != 0.0, limits, expected, threads, progress)
    for numbers in found:
        for output in numbers["outputs"]:
            if not all(math.isfinite(output[name][0]) for name in ("minimum", "maximum")):
                raise ValueError(
                    "cb and cw, or the weights of net, must be smaller: outputs leave the range of "
                    "doubles"
                )
    return found


def _expected_cells(network: Network, limits: tuple[float, float], threads: int) -> int:
    """Return the number of cells, or for n0 > 2 about as many; check that a mesh of them fits."""
    n0 = network.n0
    if n0 > 2:
        return min(zaslavsky(sum(network.widths), n0), MAX_REGIONS)
    counts = count_core(core_network(network), core_domain(limits, n0), None, threads=threads)
    needed = 8 * counts.activation_regions * (4 + n0 * network.n_out)
    needed += 8 * (counts.sides or 0) * (8 + n0 + 6 * network.n_out)
    check_memory(needed, f"the box must be smaller: its {counts.activation_regions} cells")
    return counts.activation_regions


def _gathered(
    exact: Sequence[dict[str, Any]], sampled: Sequence[tuple[Array, Array]]
) -> MeasuredNetworks:
    unknown = (math.nan, math.nan)
    values, counts, places = [], [], []
    for network in exact:
        outputs = network["outputs"]
        values.append([[output.get(name, unknown) for name in BOUNDED] for output in outputs])
        counts.append([[output.get(name, math.nan) for name in COUNTS] for output in outputs])
        places.append([[output["lipschitz_at"], _largest_at(output)] for output in outputs])
    bounded = np.array(values, dtype=np.float64)
    return MeasuredNetworks(
        values=bounded[..., 0],
        errors=bounded[..., 1],
        counts=np.array(counts, dtype=np.float64),
        places=np.array(places, dtype=np.float64),
        sampled=np.array([mean for mean, _ in sampled]),
        sampled_stderr=np.array([stderr for _, stderr in sampled]),
        cells=np.array([network["cells"] for network in exact], dtype=np.int64),
        exact_signs=np.array([network["exact_signs"] for network in exact], dtype=np.int64),
    )


def _largest_at(output: dict[str, Any]) -> list[float]:
    above = output["maximum"][0] >= -output["minimum"][0]
    return list(output["maximum_at" if above else "minimum_at"])
