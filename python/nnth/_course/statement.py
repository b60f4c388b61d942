"""Statements of the theory as numbers, compared with measurements and with lecture notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from nnth._tables.statistics import beyond, z_score

DEVIATIONS: Final = 5.0  # the largest |z| at which a statement holds


@dataclass(frozen=True)
class Statement:
    """A number of the theory with its measurement, and the number in lecture notes that err.

    Args:
        lecture: The lecture of the course.
        statement: The statement in words, with its case.
        theory: The number; with relation "<=" or ">=" a bound on the measurement.
        measured: The measurement.
        stderr: Standard error of the measurement, 0 if nothing is random.
        error: Largest difference without chance: rounding, or orders that the theory leaves out.
        notes: The number in the lecture notes, NaN if they are right.
        relation: Relation of the measurement to the number: "=", "<=" or ">=".
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
        """The part of measured - theory beyond `error`, in standard errors (infinite if 0)."""
        return self._deviations(self.theory)

    @property
    def z_notes(self) -> float:
        """The same for measured - notes; NaN without notes."""
        return self._deviations(self.notes)

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the theory."""
        return self._agrees(self.z)

    @property
    def notes_hold(self) -> bool:
        """Whether the measurement agrees with the notes; False without notes."""
        return self._agrees(self.z_notes)

    def _deviations(self, value: float) -> float:
        return float(z_score(beyond(self.measured - value, self.error), self.stderr))

    def _agrees(self, z: float) -> bool:
        match self.relation:
            case "=":
                return abs(z) <= DEVIATIONS
            case "<=":
                return z <= DEVIATIONS
            case ">=":
                return z >= -DEVIATIONS


@dataclass(frozen=True)
class Run:
    """The options of a verification: `quick` uses a tenth of the networks."""

    quick: bool = False
    seed: int = 0
    threads: int = 0

    def nets(self, samples: int) -> int:
        """Return the number of networks to draw in place of `samples`."""
        return max(samples // 10, 2) if self.quick else samples


# A function that returns statements checked together. STATEMENTS of a theory lists its checks.
Check: TypeAlias = Callable[[Run], Sequence[Statement]]
