"""The base class of results that are a Table and named arrays."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from numpy.typing import NDArray

from nnth._data.saving import ArrayResult
from nnth._tables.table import Table


class Result(ArrayResult):
    """Base class of results that have a table, arrays, and a file of these arrays."""

    @abstractmethod
    def table(self) -> Table:
        """Return the rows that the command prints."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the columns of `table()` by name."""
        return dict(self.table())
