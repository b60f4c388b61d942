"""The work of a solver in a folder, from which a call that was ended is continued."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnth import __version__
from nnth._data.saving import replaced
from nnth._kernels.journal import WorkJournal
from nnth._runtime.typing import Floats

_JOURNAL = "journal.jsonl"


class WorkFolder:
    """A folder with the work of a solver on one system, which stays when the work is done.

    A journal has the description of the system, and an entry for each finished part whose numbers
    are in a file of the solver. Results of other parts are arrays in .npz files, which are written
    whole or not at all. What is there is not computed again, after SIGKILL too.

    Attributes:
        path: The folder.
        entries: The entries of the journal.
    """

    def __init__(self, path: Path, problem: Mapping[str, Any]) -> None:
        """Open the folder, or make it.

        Args:
            path: The folder, which is made in a folder that is there.
            problem: What decides the numbers that are kept.

        Raises:
            ValueError: As `check_folder` does, and if the folder was begun with another problem.
            StoreError: If another process works in it.
        """
        check_folder(path)
        self.path = path
        path.mkdir(exist_ok=True)
        self._journal = WorkJournal(
            path / _JOURNAL, {"nnth": __version__, **problem}, work="solution"
        )
        if not self._journal.begun:
            self._journal.begin()
        self.entries = self._journal.entries

    def add(self, **entry: Any) -> None:
        """Add an entry to the journal, of a part that is on the disk."""
        self._journal.append(entry)

    def found(self, name: str, otherwise: Callable[[], int]) -> int:
        """Return the number of this name in the journal; if it has none, enter and return it."""
        for entry in self.entries:
            if name in entry:
                return int(entry[name])
        value = otherwise()
        self.add(**{name: value})
        return value

    def arrays(self, name: str) -> dict[str, Any] | None:
        """Return the arrays of this name, or None if they are not there."""
        file = self._file(name)
        if not file.exists():
            return None
        with np.load(file, allow_pickle=False) as found:
            return {key: found[key] for key in found.files}

    def keep(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write arrays to a file, whole or not at all."""
        with replaced(self._file(name)) as stream:
            np.savez(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())

    def forget(self, name: str) -> None:
        """Remove the file of this name, if there is one."""
        self._file(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let other processes work in the folder."""
        self._journal.close()

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.npz"


def digest(*arrays: Floats) -> str:
    """Return a hash of the numbers of arrays, for the name of what was computed from them."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(repr(array.shape).encode())
        found.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return found.hexdigest()[:16]


def check_folder(path: Path) -> None:
    """Raise ValueError unless the folder can be made, is empty, or has the work of a solver."""
    place = path if path.exists() else path.resolve().parent
    if not place.is_dir():
        is_file = path.exists()
        rule = " must be a folder, not a file" if is_file else f": there is no folder {place}"
        raise ValueError(f"checkpoint {path}{rule}")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(f"checkpoint {path}: no permission to write")
    if path.exists() and not (path / _JOURNAL).exists() and any(path.iterdir()):
        raise ValueError(f"checkpoint {path} must be a new folder: it has files of something else")


def begun_with(path: Path) -> Literal["blocked", "cg"] | None:
    """Return the solver of the work in a folder, or None if there is none."""
    try:
        with (path / _JOURNAL).open(encoding="utf-8") as stream:
            found = json.loads(stream.readline()).get("solver")
    except (OSError, ValueError, AttributeError):
        return None
    return found if found in ("blocked", "cg") else None
