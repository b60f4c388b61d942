"""What results of computations have in common: a table, and arrays that go to a file."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnth._tables.table import Table


class ArrayResult(ABC):
    """A result with a table of rows and named arrays."""

    @abstractmethod
    def table(self) -> Table:
        """Return the rows that the command prints."""

    @abstractmethod
    def arrays(self) -> Mapping[str, Any]:
        """Return the arrays by the names that they have in a file."""

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the arrays to an .npz file.

        Args:
            file: The path; its suffix must be .npz.

        Raises:
            ValueError: If the suffix is not .npz.
        """
        if Path(file).suffix != ".npz":
            raise ValueError(f"file must end in .npz, not {os.fspath(file)!r}")
        np.savez(file, **self.arrays())
