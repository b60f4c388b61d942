"""The domains of counts."""

from __future__ import annotations

import math
from typing import Final, Literal

Domain = Literal["space", "box"]

MAX_BOX: Final = 1e300  # the diagonals of larger boxes exceed the range of doubles


def check_domain(domain: str, box: float) -> tuple[float, float] | None:
    """Return the limits of each coordinate, or None for the whole space, after checking them."""
    if domain not in ("space", "box"):
        raise ValueError(f"domain must be space or box, not {domain!r}")
    if not 0.0 < box < math.inf:
        raise ValueError(f"box must be finite and above 0, not {box:g}")
    if box > MAX_BOX:
        raise ValueError(f"box must be at most {MAX_BOX:g}, not {box:g}")
    return None if domain == "space" else (-float(box), float(box))
