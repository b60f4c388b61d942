"""Where kernel matrices are written: a folder of unfinished work, then their files."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from nnth._kernels.gram import Precision
from nnth._kernels.stored.journal import StoreError
from nnth._kernels.stored.matrices import (
    OURS,
    Form,
    NpyMatrix,
    StoredMatrix,
    ZarrMatrix,
    require_zarr,
)
from nnth._kernels.stored.tiling import Tiling

_GIB: Final = 2**30
_GROUP: Final = "matrices.zarr"


@dataclass(frozen=True)
class Place:
    """The files of kernel matrices with the names `names`, of which `file` is the user's.

    The matrices are made in a folder beside `file`, and moved when they are whole. A `.zarr` file
    is a group with an array for each; an `.npy` file is the matrix itself if there is one, and
    otherwise each has a file whose name has that of the matrix before the suffix.
    """

    file: Path
    names: tuple[str, ...]
    tiling: Tiling
    dtype: Precision

    @property
    def form(self) -> Form:
        """The kind of the files."""
        return "zarr" if self.file.suffix.lower() == ".zarr" else "npy"

    @property
    def folder(self) -> Path:
        """The folder of unfinished work."""
        return self.file.with_name(f"{self.file.name}.unfinished")

    @property
    def journal(self) -> Path:
        """The file of the journal."""
        return self.folder / "journal.jsonl"

    def inputs(self, token: str) -> Path:
        """Return the file from which workers read the inputs of the work with this token."""
        return self.folder / f"inputs-{token}.npy"

    def check_inputs(self, token: str) -> None:
        """Raise StoreError, in a worker, if there are no inputs with this token."""
        if not self.inputs(token).exists():
            raise StoreError(
                f"{self.file}: worker {socket.gethostname()} does not see the folder "
                f"{self.folder}: all workers must, on a common file system"
            )

    @property
    def targets(self) -> list[Path]:
        """The files, or the folder, of the finished matrices."""
        return [target for _, target in self._moves()]

    def matrices(self) -> dict[str, StoredMatrix]:
        """Return the matrices by name, finished or not, to be read."""
        found = {}
        for name, unfinished in self.unfinished().items():
            target = self.file / name if self.form == "zarr" else self._target(name)
            moved = not unfinished.path.exists()
            found[name] = replace(unfinished, path=target) if moved else unfinished
        return found

    def unfinished(self) -> dict[str, StoredMatrix]:
        """Return the matrices in the folder by name, to be written."""
        if self.form == "zarr":
            group = self.folder / _GROUP
            return {n: ZarrMatrix(group / n, self.tiling, self.dtype) for n in self.names}
        return {n: NpyMatrix(self.folder / f"{n}.npy", self.tiling, self.dtype) for n in self.names}

    def check(self) -> None:
        """Raise ValueError or OSError if the matrices cannot be written here."""
        if self.file.suffix.lower() not in (".npy", ".zarr"):
            raise ValueError(f"file must end in .npy or .zarr, not {str(self.file)!r}")
        parent = self.file.resolve().parent
        if not parent.is_dir():
            raise ValueError(f"{self.file}: there is no folder {parent}")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise ValueError(f"{self.file}: no permission to write")
        if self.form == "zarr":
            require_zarr()
        for target in self.targets:
            if target.exists() and not self._replaceable(target):
                kind = "kernel matrices of nnth" if self.form == "zarr" else "a regular file"
                raise ValueError(f"{target}: there is something else than {kind}")
        self._check_space(parent)

    def create(self, record: Mapping[str, Any]) -> None:
        """Make the files of the matrices anew; `record` becomes an attribute of a zarr group."""
        if self.form == "zarr":
            require_zarr().create_group(
                self.folder / _GROUP, overwrite=True, attributes={OURS: dict(record)}
            )
        for matrix in self.unfinished().values():
            matrix.create()

    def whole(self) -> bool:
        """Return whether each matrix has its file, in the folder or at its end."""
        return all(work.exists() or target.exists() for work, target in self._moves())

    def published(self) -> bool:
        """Return whether a matrix has its name already."""
        return any(not work.exists() for work, _ in self._moves())

    def publish(self, record: Mapping[str, Any]) -> None:
        """Give the finished matrices their names."""
        for work, target in self._moves():
            if not work.exists():  # a process was killed after this move
                continue
            if self.form == "zarr":
                require_zarr().open_group(work, mode="r+").attrs[OURS] = dict(record)
                if target.exists():
                    target.rename(self.folder / f"replaced-{os.urandom(6).hex()}")
            work.replace(target)

    def remove_folder(self) -> None:
        """Remove the folder of unfinished work; the journal goes last."""
        for path in self.folder.iterdir():
            if path != self.journal:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.folder)

    def _moves(self) -> Sequence[tuple[Path, Path]]:
        """Return what is to be moved to where when the matrices are whole."""
        if self.form == "zarr":
            return [(self.folder / _GROUP, self.file)]
        return [(matrix.path, self._target(name)) for name, matrix in self.unfinished().items()]

    def _target(self, name: str) -> Path:
        one = len(self.names) == 1
        return self.file if one else self.file.with_suffix(f".{name}{self.file.suffix}")

    def _replaceable(self, target: Path) -> bool:
        if self.form == "npy":
            return target.is_file()
        try:
            group = require_zarr().open_group(target, mode="r")
        except (OSError, ValueError):
            return False
        return OURS in group.attrs

    def _check_space(self, parent: Path) -> None:
        size = self.tiling.inputs**2 * np.dtype(self.dtype).itemsize * len(self.names)
        there = sum(
            512 * path.stat().st_blocks for path in self.folder.rglob("*") if path.is_file()
        )
        free = shutil.disk_usage(parent).free
        if size - there > free:
            reason = f"needs {size / _GIB:.1f} GiB, and {free / _GIB:.1f} GiB are free"
            raise OSError(errno.ENOSPC, reason, str(self.file))
