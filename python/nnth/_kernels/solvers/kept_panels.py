"""The panels of a factor that are on the disk, from which a call that was ended is continued."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nnth._kernels.journal import StoreError
from nnth._kernels.solvers.scratch import Panels
from nnth._kernels.solvers.system import System
from nnth._runtime.typing import Floats


class KeptPanels:
    """Notes in the folder of the work which panels are in their file, and the sums of |K_ij|.

    A panel is noted once it is on the disk, which another thread waits for; at the end of a block
    of this context all are noted. Without a folder nothing is noted.
    """

    def __init__(self, panels: Panels, system: System) -> None:
        self._panels, self._system, self._work = panels, system, system.work
        self._writer: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def restored(self) -> tuple[int, Floats]:
        """Return the number of panels that are there, and the sums over their columns.

        Raises StoreError if the journal has panels that are not in the file.
        """
        m, work = self._panels.rows, self._work
        found = [] if work is None else [entry for entry in work.entries if "panel" in entry]
        done = len(found)
        if work is None or not done:
            return 0, np.zeros(m)
        at = 8 * m * (done - 1)
        whole = self._file.exists() and self._file.stat().st_size >= at + 8 * m
        if not whole or not self._panels.has(done):
            raise StoreError(f"{work.path} has no factor: remove it")
        self._system.note_error(max(entry["error"] for entry in found))
        with self._file.open("rb") as stream:
            stream.seek(at)
            return done, np.fromfile(stream, dtype=np.float64, count=m)

    def finished(self, panel: int, sums: Floats) -> None:
        """Take note of a panel that is written, with the sums that include it."""
        if self._writer is not None:
            self._settle()
            error = self._system.error
            self._last = self._writer.submit(self._note, panel, sums.copy(), error)

    def __enter__(self) -> KeptPanels:
        if self._work is not None:
            self._writer = ThreadPoolExecutor(1)
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._settle()
            self._writer.shutdown()

    @property
    def _file(self) -> Path:
        assert self._work is not None
        return self._work.path / "sums.bin"

    def _settle(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def _note(self, panel: int, sums: Floats, error: float) -> None:
        assert self._work is not None
        self._panels.sync()
        with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as stream:
            stream.seek(8 * len(sums) * panel)
            stream.write(sums.data)
            stream.flush()
            os.fsync(stream.fileno())
        self._work.add(panel=panel, error=error)
