"""Ensembles of more networks than are trained at once: in chunks, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from nnth._lab.descent import Descent
from nnth._lab.model import Model
from nnth._networks.passes import Array
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress

# What is recorded of the networks of a chunk, `(networks, ...)`, as a function of theta.
Record: TypeAlias = Callable[[Array], Array]

# Numbers in the parameters and layers of the networks that are trained together. They stay in a
# core's cache; with fewer the time of Python shows.
_NUMBERS: Final = 2**17


def chunks(model: Model, samples: int, examples: int) -> list[range]:
    """Return the networks 0, ..., samples - 1 in ranges that are trained together."""
    numbers = model.size + examples * sum(model.sizes)
    size = max(1, min(samples, _NUMBERS // numbers))
    return [range(i, min(i + size, samples)) for i in range(0, samples, size)]


def train_in_chunks(
    start: Callable[[range], tuple[Descent, Record]],
    networks: Sequence[range],
    stops: Sequence[int],
    shape: tuple[int, ...],
    *,
    progress: Progress | None = None,
) -> Floats:
    """Train networks a chunk at a time, and return what is recorded of them on the way.

    Args:
        start: Returns the descent of the networks of a chunk before its first step, and what is
            recorded of them.
        networks: The chunks, as `chunks` returns them.
        stops: The numbers of steps after which the networks are recorded, in ascending order.
        shape: The shape of what is recorded of one network.
        progress: Called as progress(done, total) with the steps of all networks.

    Returns:
        An array `(len(stops), samples, *shape)`.

    Raises:
        MemoryError: If it does not fit in memory.
    """
    samples, last = networks[-1].stop, stops[-1]
    needed = 8 * int(np.prod((len(stops), samples, *shape), dtype=object))
    check_memory(needed, "samples must be fewer: their outputs", fraction=0.5)
    recorded = np.empty((len(stops), samples, *shape))
    for chosen in networks:
        descent, record = start(chosen)
        with np.errstate(over="ignore", invalid="ignore"):  # of networks that diverge
            for i, stop in enumerate(stops):
                for step in descent.take(stop - descent.step):
                    if progress is not None and step % 8 == 0:
                        progress(chosen.start * last + step * len(chosen), samples * last)
                recorded[i, chosen.start : chosen.stop] = record(descent.theta)
    return recorded
