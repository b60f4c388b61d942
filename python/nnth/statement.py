"""Statements of the theory as numbers, beside what is measured and what lecture notes have."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

DEVIATIONS: Final = 5.0  # more than so many from a number, and what was said of it fails


@dataclass(frozen=True)
class Statement:
    """A number in theory and measured; where lecture notes err, as they have it too.

    lecture: of the course. statement: in words, and for which case. theory: the number; with
    relation "<=" or ">=" a bound that what is measured keeps. stderr: the standard error of
    `measured`, 0 where nothing is random. error: what else may lie between the two: rounding, or
    orders that the theory leaves out. notes: the number of the notes, NaN where they do not err.
    """

    lecture: str
    statement: str
    theory: float
    measured: float
    stderr: float = 0.0
    error: float = 0.0
    notes: float = math.nan
    relation: Literal["=", "<=", ">="] = "="

    @property
    def z(self) -> float:
        """measured - theory in units of stderr and error together."""
        return self._deviations(self.theory)

    @property
    def z_notes(self) -> float:
        """measured - notes in the same units; NaN without notes."""
        return self._deviations(self.notes)

    @property
    def holds(self) -> bool:
        """Whether the measurement bears the theory out."""
        return self._bears_out(self.z)

    @property
    def notes_hold(self) -> bool:
        """Whether the measurement bears the notes out; False without notes."""
        return self._bears_out(self.z_notes)

    def _deviations(self, value: float) -> float:
        difference, scale = self.measured - value, math.hypot(self.stderr, self.error)
        if difference == 0.0 or math.isnan(difference):
            return difference
        return difference / scale if scale else math.copysign(math.inf, difference)

    def _bears_out(self, z: float) -> bool:
        match self.relation:
            case "=":
                return abs(z) <= DEVIATIONS
            case "<=":
                return z <= DEVIATIONS
            case ">=":
                return z >= -DEVIATIONS


@dataclass(frozen=True)
class Run:
    """How statements are checked: `quick` with a tenth of the networks, from a seed, on threads."""

    quick: bool = False
    seed: int = 0
    threads: int = 0

    def nets(self, samples: int) -> int:
        """Return how many networks stand for `samples` of them."""
        return max(samples // 10, 2) if self.quick else samples


# One or more statements, checked together. A theory lists all of its own in `STATEMENTS`.
Check: TypeAlias = Callable[[Run], Sequence[Statement]]
