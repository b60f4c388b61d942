"""What relations of stochastic gradient descent have in common: two sides, measured or exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth.table import Meta, Table

Floats: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[int, int], object]


@dataclass(frozen=True)
class Relation:
    """lhs = rhs for one case: `stderr` is of lhs - rhs.

    i, j: of which parameters, -1 for none. limit: of both sides for small steps, where it is
    another number; notes: what lecture notes have instead; NaN for none.
    """

    relation: str
    case: str
    lhs: float
    rhs: float
    stderr: float
    i: int = -1
    j: int = -1
    limit: float = math.nan
    notes: float = math.nan

    @property
    def z(self) -> float:
        """(lhs - rhs)/stderr, 0 where the two are the same number."""
        if self.lhs == self.rhs:
            return 0.0
        return (self.lhs - self.rhs) / self.stderr if self.stderr else math.inf


def table_of(rows: Sequence[Relation], meta: Meta) -> Table:
    """Return a row a relation: relation, case, i, j, lhs, rhs, stderr, z, limit, notes."""
    names = ("relation", "case", "i", "j", "lhs", "rhs", "stderr", "z", "limit", "notes")
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in names}
    return Table(columns, meta)


def mean_of(values: Floats) -> tuple[float, float]:
    """Return the mean of independent values `(n,)` and its standard error."""
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)
