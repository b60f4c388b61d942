"""Files that a computation reads: their names, with a hash of what was in them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

_DIGITS: Final = 16  # of SHA-256, 64 bits: enough to tell files apart

# Of the files read so far, by name, at the last reading; None for the name of a data set.
_digests: dict[str, str | None] = {}


@dataclass(frozen=True)
class File:
    """The name of a file that was read, as a record keeps it, and the hash of its content.

    name: None where data were given as arrays, or not at all. digest: the first 16 digits of the
    SHA-256 of the content; None where nothing was read. The Meta of a table keeps the names among
    its parameters, in place, and the digests of all files in `sha256`, the last parameter.
    """

    name: str | None
    digest: str | None = None


def file_of(values: Any) -> File:
    """Return the file that data were read from (a path or `-`), the name of their set, or none."""
    if not isinstance(values, str | os.PathLike):
        return File(None)
    name = os.fspath(values)
    return File(name, _digests[str(Path(name))])


def remember_content(path: str | os.PathLike[str], *streams: BinaryIO) -> None:
    """Keep the hash of what streams hold, one after the other, as the content of a file.

    Called where a file is read, on the streams that are read, so that the hash is of what was used
    even where the file changes after that. The streams stand at their beginning before and after.
    """
    content = hashlib.sha256()
    for stream in streams:
        while block := stream.read(1 << 20):
            content.update(block)
        stream.seek(0)
    _digests[str(Path(path))] = content.hexdigest()[:_DIGITS]


def remember_name(name: str) -> None:
    """Keep the name of a data set that was used, which no file was read for."""
    _digests[str(Path(name))] = None
