"""The rows and sections of an explanation of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from nnth._curvature.class_parts import IdentityError
from nnth._lab.training import DivergedError
from nnth._runtime.lanczos import LanczosError
from nnth._tables.table import Meta, Table

NO_LAYER: Final = -1  # the layer of a row that is about the whole network
LEFT_OUT: Final = "left out"  # the quantity of a row that says what was left out, and why

_FAILURES: Final = (
    ValueError,
    MemoryError,
    ArithmeticError,
    DivergedError,
    IdentityError,
    LanczosError,
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One quantity of a network.

    Attributes:
        quantity: Its name.
        layer: The layer from 1, or NO_LAYER.
        value: Its value, NaN if it is left out.
        error: A bound on the error of the value from rounding or from an iteration; NaN without.
        stderr: The standard error of the value where it is a mean over a sample; NaN where it is
            about all examples.
        theory: What theory says the value is; NaN where it says nothing.
        note: A remark.
        command: A command that shows more.
    """

    quantity: str
    layer: int = NO_LAYER
    value: float = math.nan
    error: float = math.nan
    stderr: float = math.nan
    theory: float = math.nan
    note: str = ""
    command: str = ""


@dataclass(eq=False)
class Section:
    """One section of an explanation: rows, pictures, and what they say in plain sentences.

    Attributes:
        name: Its name in `only` and `skip`.
        title: Its title.
        theory: One sentence on what the theory says.
        rows: Its rows.
        pictures: Tables with figures, each with its description.
        summary: Sentences for the head of the page.
        warnings: Sentences about what a reader should look at first.
    """

    name: str
    title: str
    theory: str
    rows: list[Row] = field(default_factory=list)
    pictures: list[tuple[str, Table]] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, quantity: str, value: float, **others: object) -> None:
        """Add a row; a value that is undefined is left out in a row that says so."""
        if math.isnan(value):
            note = str(others.get("note", "")) or "it is undefined"
            self.leave_out(f"{quantity}", f"it leaves the range of doubles or is 0/0 ({note})")
            return
        self.rows.append(Row(quantity=quantity, value=float(value), **others))  # type: ignore[arg-type]

    def leave_out(self, what: str, why: str, command: str = "") -> None:
        """Add a row that says what is left out, and why."""
        self.rows.append(Row(quantity=LEFT_OUT, note=f"{what}: {why}", command=command))

    @contextmanager
    def part(self, what: str, command: str = "") -> Iterator[None]:
        """Let the block add rows; what it cannot compute is left out in a row of its own."""
        try:
            yield
        except _FAILURES as failure:
            self.leave_out(what, str(failure) or type(failure).__name__, command)

    @property
    def commands(self) -> list[str]:
        """The commands of its rows, each once."""
        return list(dict.fromkeys(row.command for row in self.rows if row.command))

    def value(self, quantity: str, layer: int = NO_LAYER) -> float:
        """Return the value of the row of a quantity, NaN if there is none."""
        found = (r.value for r in self.rows if (r.quantity, r.layer) == (quantity, layer))
        return next(found, math.nan)


def proportion_stderr(fraction: float, count: int) -> float:
    """Return the standard error of a fraction of independent examples, which is not 0 for 0 or 1.

    It is that of a fraction with two more successes and two more failures: Agresti and Coull
    (1998).
    """
    total = count + 4.0
    adjusted = (fraction * count + 2.0) / total
    return math.sqrt(adjusted * (1.0 - adjusted) / total)


def table_of(sections: Sequence[Section], meta: Meta) -> Table:
    """Return the rows of sections as a Table."""
    rows = [(section.name, row) for section in sections for row in section.rows]
    columns: dict[str, list[object]] = {"section": [name for name, _ in rows]}
    fields: dict[str, Callable[[Row], object]] = {
        "quantity": lambda row: row.quantity,
        "layer": lambda row: row.layer,
        "value": lambda row: row.value,
        "error": lambda row: row.error,
        "stderr": lambda row: row.stderr,
        "theory": lambda row: row.theory,
        "note": lambda row: row.note,
        "command": lambda row: row.command,
    }
    for name, of in fields.items():
        columns[name] = [of(row) for _, row in rows]
    return Table(columns, meta)  # type: ignore[arg-type]
