"""The names of the files that a computation reads, with hashes of their content."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

_HASH_DIGITS: Final = 16  # 64 bits, enough to distinguish files

# The hashes of the files that were read, by name; None for data sets with a name.
_digests: dict[str, str | None] = {}


@dataclass(frozen=True)
class File:
    """The name of a file that was read, and the hash of its content.

    The Meta of a table keeps the names among its parameters, and the digests of all files in
    `sha256`, its last parameter.

    Args:
        name: The name of the file, or None if data were given as arrays or not at all.
        digest: The first 16 digits of the SHA-256 of the content, or None if no file was read.
    """

    name: str | None
    digest: str | None = None


def file_of(values: Any) -> File:
    """Return the File of data that were given as a path, `-`, a name, or in another form."""
    if not isinstance(values, str | os.PathLike):
        return File(None)
    name = os.fspath(values)
    return File(name, _digests[str(Path(name))])


def remember_content(path: str | os.PathLike[str], *streams: BinaryIO) -> None:
    """Keep the hash of the content of streams, one after the other, as the hash of a file.

    It is called with the streams that the data are read from, so that the hash belongs to the data
    even if the file changes later. The streams are at their start before and after the call.
    """
    import hashlib  # OpenSSL takes 3 ms to load, and most commands read no file

    content = hashlib.sha256()
    for stream in streams:
        while block := stream.read(1 << 20):
            content.update(block)
        stream.seek(0)
    _digests[str(Path(path))] = content.hexdigest()[:_HASH_DIGITS]


def remember_name(name: str) -> None:
    """Keep the name of a data set, for which no file was read."""
    _digests[str(Path(name))] = None
