"""The domains of counts: the whole space, a box, or linear inequalities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from nnth import _core
from nnth._regions import polytope_domain

Domain = Literal["space", "box"]

MAX_BOX: Final = 1e300  # the diagonals of larger boxes exceed the range of doubles


@dataclass(frozen=True)
class CountDomain:
    """A domain of the counts of networks.

    name: "space", "box" or "polytope:FILE". box: half the side of a box.
    """

    name: str
    box: float

    @property
    def is_polytope(self) -> bool:
        """Whether it is A x <= b."""
        return polytope_domain.is_polytope(self.name)

    @property
    def limits(self) -> tuple[float, float] | None:
        """The limits of each coordinate, if it is a box."""
        return (-float(self.box), float(self.box)) if self.name == "box" else None

    def rows(self, n0: int) -> int:
        """Return the number of inequalities of a polytope, 0 for other domains."""
        return len(polytope_domain.inequalities(self.name, n0)) if self.is_polytope else 0

    def core(self, n0: int) -> _core.RegionDomain:
        """Return the domain of the core in n0 dimensions.

        Raises ValueError, or OSError, if the file of a polytope does not describe one.
        """
        if self.is_polytope:
            rows = polytope_domain.inequalities(self.name, n0)
            return _core.RegionDomain.polytope(n0, rows.ravel())
        return core_domain(self.limits, n0)


def count_domain(domain: str, box: float) -> CountDomain:
    """Return a domain after checking its name and the half side of a box."""
    if domain == polytope_domain.PREFIX or not polytope_domain.is_polytope(domain):
        if domain not in ("space", "box"):
            raise ValueError(f"domain must be space, box or polytope:FILE, not {domain!r}")
        check_domain(domain, box)
    return CountDomain(domain, box)


def core_domain(limits: tuple[float, float] | None, dimension: int) -> _core.RegionDomain:
    """Return the box limits[0] <= t_j <= limits[1], or the whole space, as a domain of the core."""
    if limits is None:
        return _core.RegionDomain.everything(dimension)
    return _core.RegionDomain.box(dimension, *limits)


def check_domain(domain: str, box: float) -> tuple[float, float] | None:
    """Return the limits of each coordinate, or None for the whole space, after checking them."""
    if domain not in ("space", "box"):
        raise ValueError(f"domain must be space or box, not {domain!r}")
    if not 0.0 < box < math.inf:
        raise ValueError(f"box must be finite and above 0, not {box:g}")
    if box > MAX_BOX:
        raise ValueError(f"box must be at most {MAX_BOX:g}, not {box:g}")
    return None if domain == "space" else (-float(box), float(box))
