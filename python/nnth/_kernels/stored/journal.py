"""The journal of a matrix that is being written: which tiles of it are on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnth._kernels.journal import StoreError, WorkJournal
from nnth._kernels.stored.tiling import Tile

__all__ = ["Journal", "StoreError"]


class Journal(WorkJournal):
    """A journal with a line for each finished tile.

    Attributes:
        errors: The error of each finished tile.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        super().__init__(path, header, work="matrix")
        self.errors: dict[Tile, float] = {}
        for row, column, error in self.entries:
            self.errors[row, column] = error

    def add(self, tile: Tile, error: float) -> None:
        """Add a tile, which must be on the disk."""
        self.append([*tile, error])
        self.errors[tile] = error
