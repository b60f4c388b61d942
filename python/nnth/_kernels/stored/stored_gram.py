"""The table and the picture of kernel matrices in files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from nnth._kernels.gram import Gram, heat_map
from nnth._kernels.stored.matrices import StoredMatrix
from nnth._kernels.stored.place import Place
from nnth._kernels.stored.spectrum import largest_eigenvalue
from nnth._runtime.blas import serial_blas
from nnth._runtime.memory import available_memory
from nnth._runtime.typing import Floats, Progress
from nnth._tables.plot import Panels
from nnth._tables.table import Meta, Table

# All eigenvalues of more inputs take longer than the entries: 20000 take minutes on two cores.
_WHOLE_SPECTRUM: Final = 20_000


@dataclass(frozen=True, eq=False)
class StoredGram:
    """Finished kernel matrices in files, and the folder that lets the same call find them.

    Attributes are as in `Gram`; `diagonals` are those of the kernels, by name.
    """

    place: Place
    diagonals: dict[str, Floats]
    error: float
    method: str
    meta: Meta

    @property
    def fits(self) -> bool:
        """Whether the matrices, and one more for all eigenvalues, fit in memory."""
        size = self.place.tiling.inputs
        free = available_memory()
        needed = 8 * size**2 * (len(self.place.names) + 1)
        return size <= _WHOLE_SPECTRUM and (free is None or needed < 0.9 * free)

    @serial_blas
    def table(self, *, threads: int = 0, progress: Progress | None = None) -> Table:
        """Return the Table of `save_gram`.

        With 2000 inputs or more, the last digits of the eigenvalues may depend on threads.
        """
        return self._whole(threads) if self.fits else self._extreme(progress)

    def conclude(self) -> None:
        """Remove the folder by which the same call would find the matrices finished."""
        self.place.remove_folder()

    def _whole(self, threads: int) -> Table:
        found: dict[str, Any] = {
            name: _rows(matrix, slice(0, self.place.tiling.inputs))
            for name, matrix in self.place.matrices().items()
        }
        matrices = {"nngp": None, "ntk": None, **found}
        gram = Gram(**matrices, error=self.error, method=self.method, meta=self.meta)
        table = gram.table(threads=threads)
        notes = [self._note("eigenvalues in memory")] * table.num_rows
        return Table({**table, "note": notes}, self.meta, plot=table.drawing)

    def _extreme(self, progress: Progress | None) -> Table:
        rows = [self._row(*item, progress) for item in self.place.matrices().items()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return Table(columns, self.meta, plot=partial(_picture, self.place.matrices()))

    def _row(self, name: str, matrix: StoredMatrix, progress: Progress | None) -> dict[str, Any]:
        diagonal = self.diagonals[name]
        trace, largest = float(diagonal.sum()), float(diagonal.max())
        value = bound = np.nan
        how = "no eigenvalues, as the diagonal is infinite"
        if np.isfinite(largest):
            found = largest_eigenvalue(matrix, largest or 1.0, progress)
            value = found.value
            bound = found.residual + self.error * trace
            how = f"largest eigenvalue after {found.products} products, the others not computed"
        return {
            "kernel": name,
            "trace": trace,
            "min_eigenvalue": np.nan,
            "max_eigenvalue": value,
            "condition": np.nan,
            "error": self.error,
            "method": self.method,
            "eigenvalue_error": bound,
            "note": self._note(how),
        }

    def _note(self, how: str) -> str:
        return f"in tiles of {self.place.tiling.side} rows; {how}"


@dataclass(frozen=True)
class _Rows:
    """A matrix in a file, of which a few rows at a time are read."""

    matrix: StoredMatrix

    def __len__(self) -> int:
        return self.matrix.tiling.inputs

    def __getitem__(self, rows: slice) -> Floats:
        return _rows(self.matrix, slice(*rows.indices(len(self))[:2]))


def _rows(matrix: StoredMatrix, rows: slice) -> Floats:
    whole = slice(0, matrix.tiling.inputs)
    return matrix.read(rows, whole).astype(np.float64, copy=False)


def _picture(matrices: dict[str, StoredMatrix]) -> Panels:
    return Panels(panels=tuple(heat_map(name, _Rows(m)) for name, m in matrices.items()))
