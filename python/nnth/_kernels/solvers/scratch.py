"""Blocks of columns of a triangular matrix in a file without a name."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from nnth._runtime.typing import Floats

_GIB: Final = 2**30
# Larger than /tmp, which may lie in memory, by the Filesystem Hierarchy Standard.
_PREFERRED: Final = "/var/tmp"


def scratch_folder() -> str:
    """Return $TMPDIR, or /var/tmp where it exists, or the system's folder for temporary files."""
    given = os.environ.get("TMPDIR")
    if not given and Path(_PREFERRED).is_dir() and os.access(_PREFERRED, os.W_OK):
        return _PREFERRED
    return tempfile.gettempdir()


class Panels:
    """The panels of a lower triangular matrix: `width` columns, from their diagonal block down.

    A scratch file has no name once it is open (on Windows it is deleted as it is closed), so that
    it disappears with the process however that ends. It is read and written by explicit calls,
    which raise OSError where a memory map would end the process by a signal when a disk is full.

    Args:
        rows: Number of rows of the matrix.
        width: Number of columns of a panel; the last may have fewer.
        file: A file that stays, and may have panels already; by default a scratch file.

    Raises OSError if the folder has not the room.
    """

    def __init__(self, rows: int, width: int, file: Path | None = None) -> None:
        self.rows, self.width = rows, width
        self.count = -(-rows // width)
        self._starts = [self._entries(panel) for panel in range(self.count + 1)]
        folder, size = scratch_folder() if file is None else str(file.parent), 8 * self._starts[-1]
        there = 512 * file.stat().st_blocks if file is not None and file.exists() else 0
        free = shutil.disk_usage(folder).free
        if size > free + there:
            other = "TMPDIR names another folder"
            raise OSError(
                f"{folder} must have {size / _GIB:.1f} GiB for the factor, and has "
                f"{(free + there) / _GIB:.1f} GiB" + (f"; {other}" if file is None else "")
            )
        self._file: Any = (
            tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
            if file is None
            else os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        )
        weakref.finalize(self, self._file.close)  # without the warning of a file left open
        self._lock = Lock()  # of its position, which the threads that read share

    @staticmethod
    def bytes_needed(rows: int, width: int) -> int:
        """Return the size of the file."""
        return 4 * rows * (rows + width)

    def columns(self, panel: int) -> slice:
        """Return the range of the columns of a panel, which are also the rows of its top block."""
        first = panel * self.width
        return slice(first, min(first + self.width, self.rows))

    def write(self, panel: int, values: Floats) -> None:
        """Write a panel `(rows below and at its diagonal block, columns)`."""
        assert values.flags.c_contiguous
        self._file.seek(8 * self._starts[panel])
        left = values.data.cast("B")
        while left.nbytes:  # a call writes at most 2 GiB
            left = left[self._file.write(left[:_GIB]) :]

    def read(self, panel: int, first: int, last: int, out: Floats | None = None) -> Floats:
        """Return the rows first, ..., last - 1 of the matrix, in the columns of a panel."""
        columns = self.columns(panel)
        width = columns.stop - columns.start
        rows = last - first
        values = np.empty((rows, width)) if out is None else out[:rows, :width]
        if not values.flags.c_contiguous:
            values = np.empty((rows, width))
        offset = 8 * (self._starts[panel] + (first - columns.start) * width)
        self._fill(values.data.cast("B"), offset)
        return values

    def has(self, panels: int) -> bool:
        """Return whether the file is as long as so many panels."""
        return os.fstat(self._file.fileno()).st_size >= 8 * self._starts[panels]

    def sync(self) -> None:
        """Return when what was written is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _fill(self, left: memoryview, offset: int) -> None:
        with self._lock:
            self._file.seek(offset)
            while left.nbytes:  # a call reads at most 2 GiB
                read = self._file.readinto(left[:_GIB])
                if not read:
                    raise OSError("the scratch file is shorter than what was written to it")
                left = left[read:]

    def _entries(self, panel: int) -> int:
        """Return the number of entries of the panels before this one."""
        full = min(panel, self.rows // self.width)
        entries = full * self.width * self.rows - self.width**2 * full * (full - 1) // 2
        if panel > full:
            entries += (self.rows - full * self.width) ** 2
        return entries
