"""Statements of the theory as numbers, beside what is measured and what lecture notes have."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from nnth._tables.statistics import beyond, z_score

DEVIATIONS: Final = 5.0  # more than so many from a number, and what was said of it fails


@dataclass(frozen=True)
class Statement:
    """A number in theory and measured; where lecture notes err, as they have it too.

    lecture: of the course. statement: in words, and for which case. theory: the number; with
    relation "<=" or ">=" a bound that what is measured keeps. stderr: the standard error of
    `measured`, 0 where nothing is random. error: the most that may lie between the two without
    chance: rounding, or orders that the theory leaves out. notes: the number of the notes, NaN
    where they do not err.
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
        """What of measured - theory is beyond `error`, in standard errors; infinite without."""
        return self._deviations(self.theory)

    @property
    def z_notes(self) -> float:
        """The same of measured - notes; NaN without notes."""
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
        return float(z_score(beyond(self.measured - value, self.error), self.stderr))

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
