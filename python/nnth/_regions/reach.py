"""Which counts are within reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from nnth._regions import any_dimension
from nnth._regions.bounds import zaslavsky
from nnth._runtime.memory import check_memory

MAX_REGIONS: Final = 10**10  # an estimate for n0 >= 3: hours of work
MAX_SEARCHED: Final = 10**9  # the same where cells are searched for


class OutOfReachError(ValueError):
    """An exact count would take too long."""


def check_reach(n0: int, rank: int, widths: Sequence[int]) -> None:
    """Raise OutOfReachError if a count takes too long; only `rank` of the n0 inputs matter."""
    if rank <= 2:
        return
    estimate = zaslavsky(sum(widths), rank)
    walked = rank <= any_dimension.MAX_WALKED_DIMENSION
    if estimate <= (MAX_REGIONS if walked else MAX_SEARCHED):
        return
    about = f"{estimate:.2g}" if estimate < 10**300 else in_decimal(estimate)
    of_rank = f" (rank {rank})" if rank < n0 else ""
    raise OutOfReachError(
        f"n0 must be smaller for an exact count, not {n0}{of_rank}: about {about} regions; "
        "nnth regions along line and along plane count on random slices"
    )


def check_memory_of_counts(counts: int, depth: int, name: str) -> None:
    """Raise MemoryError if `counts` RegionCounts of networks of this depth do not fit."""
    check_memory(counts * (800 + 40 * depth), f"{name} must be fewer: their counts")


def in_decimal(value: int) -> str:
    """Return an integer in decimal, or as a power of 10 if it has about 900 digits or more."""
    if value.bit_length() < 3000:
        return str(value)
    return f"10^{math.floor(value.bit_length() * math.log10(2.0))}"
