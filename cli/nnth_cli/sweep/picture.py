"""The rows of a sweep as a Table, and its figure: one column against another, in groups."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnth import __version__
from nnth._tables.plot import Plot, Series, symbol
from nnth._tables.table import Column, Meta, Table
from nnth_cli.sweep.journal import MARKS
from nnth_cli.wording import hint


@dataclass(frozen=True)
class Picture:
    """The columns of the figure of a sweep: y against x for each value of `by`.

    `error` is the standard error of y, and `theory` its prediction.
    """

    x: str
    y: str
    by: str | None
    error: str | None
    theory: str | None
    log_x: bool
    log_y: bool

    def check(self, columns: Iterable[str]) -> None:
        """Raise ValueError for a column that does not exist."""
        known = [name for name in columns if name not in MARKS]
        named = {"x": self.x, "y": self.y, "by": self.by, "error": self.error}
        for option, name in {**named, "theory": self.theory}.items():
            if name is not None and name not in known:
                problem = f"there is no {name!r}; {hint(name, known)}"
                raise ValueError(f"--plot-{option} must be a column: {problem}")

    def of(self, table: Table) -> Table:
        """Return the table in order of x with its figure. Raise ValueError for a column of text."""
        for option, name in (
            ("x", self.x),
            ("y", self.y),
            ("error", self.error),
            ("theory", self.theory),
        ):
            if name is not None and table[name].dtype.kind not in "fiu":
                raise ValueError(f"--plot-{option} {name} must be a column of numbers")
        order = np.lexsort((table[self.x], self._rank(table)))
        groups = [table[self.by]] if self.by else []
        places = set(zip(table[self.x].tolist(), *(g.tolist() for g in groups), strict=True))
        points = self.error is not None or self.theory is not None or len(places) < table.num_rows
        plot = Plot(
            x=self.x,
            y_label=symbol(self.y),
            series=(Series(y=self.y, points=points, error=self.error, theory=self.theory),),
            log_x=self.log_x,
            log_y=self.log_y,
            by=self.by,
        )
        return Table({name: table[name][order] for name in table}, table.meta, plot=plot)

    def _rank(self, table: Table) -> Column:
        """Return the rank of each row's group: numbers ascending, texts in order of appearance."""
        if self.by is None:
            return np.zeros(table.num_rows, dtype=np.int64)
        values = table[self.by].tolist()
        if table[self.by].dtype.kind in "fiu":
            return table[self.by]
        places = {value: i for i, value in enumerate(dict.fromkeys(values))}
        return np.array([places[value] for value in values])


def table_of_rows(
    command: str,
    options: Iterable[str],
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    varied: Sequence[str],
    keep: Iterable[str] = (),
) -> Table:
    """Return the rows of a file as a Table: varied columns first, without rows of failed points.

    An option that is the same in all rows becomes a parameter, unless `keep` names it.
    """
    good = [row for row in rows if not row["failure"]]
    order = dict.fromkeys((*(name for name in varied if name in columns), *columns))
    cells = {name: [row.get(name) for row in good] for name in order if name not in MARKS}
    fixed = {"version", *options}.difference(keep)
    same = {
        name: values[0]
        for name, values in cells.items()
        if name in fixed and values and all(value == values[0] for value in values)
    }
    apart = ("seed", "version")
    parameters = {n: None if v == "" else v for n, v in same.items() if n not in apart}
    seed = same.get("seed")
    seed = None if seed is None or seed == "" else int(seed)
    version = str(same.get("version", "" if "version" in columns else __version__))
    varying = {name: _column(values) for name, values in cells.items() if name not in same}
    return Table(varying, Meta(f"sweep {command}", parameters, seed=seed, version=version))


def _column(values: Sequence[Any]) -> Column:
    """Return cells of a file as numbers if all of them are, NaN standing for empty cells."""
    if values and all(isinstance(value, bool) or value in ("true", "false") for value in values):
        return np.array([value in (True, "true") for value in values])
    with suppress(ValueError, OverflowError):
        return np.array([int(str(value)) for value in values], dtype=np.int64)
    with suppress(ValueError):
        return np.array([np.nan if v in (None, "") else float(str(v)) for v in values])
    return np.array(["" if value is None else _text(value) for value in values])


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
