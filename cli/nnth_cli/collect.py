"""A command called for its Table alone, by another command: nothing is printed or written."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnth.table import Table

_tables: "ContextVar[list[Table] | None]" = ContextVar("_tables", default=None)


def collecting() -> bool:
    """Whether a command's Table goes to its caller."""
    return _tables.get() is not None


def hand_over(table: "Table") -> bool:
    """Gives a Table to whoever collects; False where nobody does."""
    tables = _tables.get()
    if tables is None:
        return False
    tables.append(table)
    return True


def table_of(command: Callable[[], object]) -> "Table":
    """The Table that a command delivers."""
    tables: list[Table] = []
    token = _tables.set(tables)
    try:
        command()
    finally:
        _tables.reset(token)
    (table,) = tables
    return table
