"""Files that are written whole or not at all, and results that are written to .npz files."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ArrayResult(ABC):
    """Base class of results that are named arrays."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the result by name."""

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the arrays to an .npz file under the names of `arrays()`, whole or not at all.

        Args:
            file: The name of the file, which must end in .npz. A file of this name is replaced.

        Raises:
            ValueError: If the name has another suffix.
            OSError: If the file cannot be written.
        """
        save_arrays(file, self.arrays())


def save_arrays(file: str | os.PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Write named arrays to an .npz file, whole or not at all."""
    if Path(file).suffix.lower() != ".npz":
        raise ValueError(f"file must end in .npz, not {os.fspath(file)!r}")
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    with replaced(Path(file)) as stream:
        np.savez(stream, **named)


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary stream to a new file, which replaces `path` if the block ends without error.

    Otherwise `path` stays as it was, and the new file is removed. Errors of the operating system
    name `path`.
    """
    target = path.resolve()  # a symbolic link stays one
    draft = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    try:
        with system_errors_naming(path), draft.open("xb") as stream:
            if target.exists():
                draft.chmod(stat.S_IMODE(target.stat().st_mode))
            yield stream
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def system_errors_naming(path: Path) -> Iterator[None]:
    """Add the name of this file to errors of the operating system: failed writes name none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
