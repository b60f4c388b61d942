"""Rows and figures of relations with two sides, each measured or exact."""

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
    """A relation lhs = rhs for one case, with the standard error of lhs - rhs.

    `i` and `j` are the indices of parameters, -1 for none; `limit` is the value of both sides for
    small steps, and `lecture_value` the number in lecture notes, both NaN for none. `note` gives
    the reason if z is not approximately standard normal.
    """

    relation: str
    case: str
    lhs: float
    rhs: float
    stderr: float
    i: int = -1
    j: int = -1
    limit: float = math.nan
    lecture_value: float = math.nan
    note: str = ""

    @property
    def z(self) -> float:
        """(lhs - rhs)/stderr."""
        return float(z_score(self.lhs - self.rhs, self.stderr))


def table_of(rows: Sequence[Relation], meta: Meta, *, picture: Lines | None = None) -> Table:
    """Return a Table with a row per relation."""
    ends = ("limit", "lecture_value", "note")
    names = ("relation", "case", "i", "j", "lhs", "rhs", "stderr", "z", *ends)
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in names}
    return Table(columns, meta, plot=picture or _sides(rows))


def _sides(rows: Sequence[Relation]) -> Lines:
    """Return a figure of lhs against rhs, in units of the largest side of each relation."""
    rows = [row for row in rows if math.isfinite(row.lhs) and math.isfinite(row.rhs)]
    largest: dict[str, float] = {}
    for row in rows:
        size = max(abs(row.lhs), abs(row.rhs), largest.get(row.relation, 0.0))
        largest[row.relation] = size or 1.0
    points, hollow = [], []
    for case in dict.fromkeys(row.case for row in rows):
        # The relation "gradient" is left out, as its sides are 0 and have no unit.
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
        x_label="rhs / largest side of the relation",
        y_label="lhs / largest side of the relation",
    )
