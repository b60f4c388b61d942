"""What relations of stochastic gradient descent have in common: two sides, measured or exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnth._tables.plot import Lines, unreliable
from nnth._tables.statistics import z_score
from nnth._tables.table import Meta, Table


@dataclass(frozen=True)
class Relation:
    """lhs = rhs for one case: `stderr` is of lhs - rhs.

    i, j: of which parameters, -1 for none. limit: of both sides for small steps, where it is
    another number; notes: what lecture notes have instead; NaN for none. note: why z is not that of
    a standard normal variable.
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
    note: str = ""

    @property
    def z(self) -> float:
        """(lhs - rhs)/stderr, as `nnth._tables.statistics.z_score`."""
        return float(z_score(self.lhs - self.rhs, self.stderr))


def table_of(rows: Sequence[Relation], meta: Meta, *, picture: Lines | None = None) -> Table:
    """Return a row a relation: relation, case, i, j, lhs, rhs, stderr, z, limit, notes, note."""
    names = ("relation", "case", "i", "j", "lhs", "rhs", "stderr", "z", "limit", "notes", "note")
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in names}
    return Table(columns, meta, plot=picture or _sides(rows))


def _sides(rows: Sequence[Relation]) -> Lines:
    """One side against the other, a color a case, each in units of the largest of its relation."""
    rows = [row for row in rows if math.isfinite(row.lhs) and math.isfinite(row.rhs)]
    largest: dict[str, float] = {}
    for row in rows:
        size = max(abs(row.lhs), abs(row.rhs), largest.get(row.relation, 0.0))
        largest[row.relation] = size or 1.0
    points, hollow = [], []
    for case in dict.fromkeys(row.case for row in rows):
        # A gradient of 0 has no size of its own.
        of_case = [row for row in rows if row.case == case and row.relation != "gradient"]
        unit = np.array([largest[row.relation] for row in of_case])
        lhs, rhs, error = (
            np.array([getattr(row, name) for row in of_case]) / unit
            for name in ("lhs", "rhs", "stderr")
        )
        if of_case:
            points.append((case, rhs, lhs, error))
            hollow.append(unreliable(row.note for row in of_case))
    ends = np.array([min([0.0, *(p[1].min() for p in points)]), 1.0])
    return Lines(
        lines=(("lhs = rhs", ends, ends),),
        points=tuple(points),
        hollow=tuple(hollow),
        x_label="rhs, over the largest of its relation",
        y_label="lhs, likewise",
    )
