"""What random features of a kernel are, and the columns that several threads compute."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from nnth._runtime.typing import Floats

ROWS: Final = 2048  # inputs of a block: to draw its weights takes a tenth of their products
PANEL: Final = 256  # features that a thread computes at a time


class FeatureMap(Protocol):
    """Random features: a function phi of an input with E phi(x).phi(y) = K(x, y).

    Its random numbers are a function of its seed, and are drawn anew for each block of inputs, so
    that it takes no memory. The values have the same bits with any number of threads.
    """

    @property
    def count(self) -> int:
        """Return the number N of features."""
        ...

    @property
    def draws(self) -> int:
        """Return the number n of independent terms of phi(x).phi(y), whose variance is O(1/n)."""
        ...

    def block(self, x: Floats, *, threads: int) -> Floats:
        """Return phi of inputs `(rows, n_0)`, an array `(rows, N)`."""
        ...


def on_threads(work: Callable[[slice], None], count: int, threads: int) -> None:
    """Call work(columns) for panels of `count` columns, each on one thread."""
    panels = [slice(at, min(at + PANEL, count)) for at in range(0, count, PANEL)]
    if threads == 1 or len(panels) == 1:
        for panel in panels:
            work(panel)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            list(pool.map(work, panels))
        except BaseException:  # an interrupt does not wait for the panels that are left
            pool.shutdown(wait=False, cancel_futures=True)
            raise
