"""The tiles of a symmetric matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

SIDE: Final = 2048  # two float64 tiles take 64 MiB; smaller ones make many small files and writes

Tile: TypeAlias = tuple[int, int]  # the row and the column of a tile, counted in tiles


@dataclass(frozen=True)
class Tiling:
    """A matrix of `inputs` rows in square tiles of `side` rows, of which the last are smaller."""

    inputs: int
    side: int

    @property
    def count(self) -> int:
        """The number of rows of tiles."""
        return -(-self.inputs // self.side)

    def upper(self) -> list[Tile]:
        """Return the tiles on and above the diagonal, row by row."""
        return [(i, j) for i in range(self.count) for j in range(i, self.count)]

    def range(self, number: int) -> slice:
        """Return the rows, or columns, of a tile."""
        first = number * self.side
        return slice(first, min(first + self.side, self.inputs))
