"""Square matrices in files: .npy files that can be mapped into memory, and zarr arrays.

Both are written in blocks, by any number of processes that write different blocks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nnth._kernels.gram import Precision
from nnth._kernels.stored.tiling import Tiling

Form = Literal["npy", "zarr"]

OURS: Final = "nnth"  # the attribute of zarr groups that were written here


@dataclass(frozen=True)
class StoredMatrix(Protocol):
    """A square matrix `(m, m)` in a file or a folder."""

    path: Path
    tiling: Tiling
    dtype: Precision

    def create(self) -> None:
        """Make the file anew, with its whole size where the system can reserve it."""

    def write(self, blocks: Iterable[tuple[slice, slice, NDArray[Any]]]) -> None:
        """Write blocks, and return when they are on the disk."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a block."""
        ...


@dataclass(frozen=True)
class NpyMatrix(StoredMatrix):
    """A matrix in an .npy file, in rows."""

    def create(self) -> None:
        size = self.tiling.inputs
        # A file of the right size without data, which takes no space yet.
        np.lib.format.open_memmap(self.path, "w+", np.dtype(self.dtype), (size, size))
        if hasattr(os, "posix_fallocate"):  # a full disk is noticed now
            with self.path.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, self.path.stat().st_size)

    def write(self, blocks: Iterable[tuple[slice, slice, NDArray[Any]]]) -> None:
        with self.path.open("r+b", buffering=0) as stream:
            for rows, columns, block in blocks:
                for position, row in zip(self._places(rows, columns), block, strict=True):
                    stream.seek(position)
                    left = np.ascontiguousarray(row).data.cast("B")
                    while left:
                        left = left[stream.write(left) :]
            os.fsync(stream.fileno())

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        # A map of the file would count as memory of the process.
        block = np.empty((rows.stop - rows.start, columns.stop - columns.start), self.dtype)
        with self.path.open("rb", buffering=0) as stream:
            for position, row in zip(self._places(rows, columns), block, strict=True):
                stream.seek(position)
                left = memoryview(row).cast("B")
                while left:
                    found = stream.readinto(left)
                    if not found:
                        raise OSError(None, "the file is too short", str(self.path))
                    left = left[found:]
        return block

    def _places(self, rows: slice, columns: slice) -> Iterator[int]:
        """Yield the positions in the file at which the rows of a block begin."""
        size, item = self.tiling.inputs, np.dtype(self.dtype).itemsize
        start = self.path.stat().st_size - size * size * item
        for row in range(rows.start, rows.stop):
            yield start + (row * size + columns.start) * item


@dataclass(frozen=True)
class ZarrMatrix(StoredMatrix):
    """An array of a zarr group, whose chunks are the tiles; `path` is that of the array.

    Chunks are not compressed: the last digits of kernels are as good as random, so that a quarter
    of the space is saved at most, in more time than the kernels take.
    """

    def create(self) -> None:
        size, side = self.tiling.inputs, self.tiling.side
        require_zarr().create_array(
            self.path,
            shape=(size, size),
            chunks=(min(side, size),) * 2,
            dtype=self.dtype,
            compressors=None,
            fill_value=np.nan,  # of what has not been written
            overwrite=True,
        )

    def write(self, blocks: Iterable[tuple[slice, slice, NDArray[Any]]]) -> None:
        array = require_zarr().open_array(self.path, mode="r+")
        side = self.tiling.side
        for rows, columns, block in blocks:
            array[rows, columns] = block
            chunk = self.path / "c" / str(rows.start // side) / str(columns.start // side)
            with chunk.open("rb") as stream:
                os.fsync(stream.fileno())

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        found: NDArray[Any] = require_zarr().open_array(self.path, mode="r")[rows, columns]
        return found


def require_zarr() -> Any:
    """Return the module zarr; raises ValueError if it is not installed."""
    if find_spec("zarr") is None:
        raise ValueError("file needs zarr for a name in .zarr: pip install 'nnth[zarr]'")
    return import_module("zarr")
