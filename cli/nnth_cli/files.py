"""Check the files to write, and add rows to files that several processes write to."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO


def check_target(
    option: str, path: Path, suffixes: Sequence[str], folders: Sequence[str] = ()
) -> None:
    """Raise ValueError unless `path` ends in one of the suffixes and can be written.

    `folders` are the suffixes of names of folders.
    """
    if path.suffix.lower() not in suffixes:
        known = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
        raise ValueError(f"{option} must end in {known}, not {str(path)!r}")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ValueError(f"{option} {path}: there is no folder {folder}")
    folder_wanted = path.suffix.lower() in folders
    if path.exists() and not (path.is_dir() if folder_wanted else path.is_file()):
        kind = "folder" if folder_wanted else "regular file"
        raise ValueError(f"{option} {path}: not a {kind}")
    writable = os.access(folder, os.W_OK | os.X_OK)  # a replacement is created in the same folder
    if not writable or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        raise ValueError(f"{option} {path}: no permission to write")


def append_rows(
    path: Path, rows: str, *, columns: Sequence[str], warn: Callable[[str], None]
) -> None:
    """Add whole rows to a file to which other processes may add rows too.

    An advisory lock (`flock`) keeps rows of several processes apart, and the remains of a failed
    write are removed. A new or empty CSV file starts with a header. A last line without a newline,
    left by a killed process or an editor, is completed if it is a whole row; otherwise it is
    removed, with a warning that shows it.

    Args:
        path: The name of the file.
        rows: The rows as text, CSV or JSON lines according to the suffix of `path`.
        columns: The names of the columns.
        warn: Called with the text of a warning.

    Raises:
        ValueError: If the file has other columns; it is left as it is.
    """
    import fcntl  # POSIX only

    from nnth._data.saving import system_errors_naming

    style = _style_of(path, columns)
    with system_errors_naming(path), path.open("a+b", buffering=0) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        size = _sound_size(stream, style, warn)
        try:
            write_all(stream, (rows if size else style.opening + rows).encode())
        except BaseException:
            stream.truncate(size)
            raise


def check_header(path: Path, columns: Sequence[str]) -> None:
    """Raise ValueError if a file of rows exists and has other columns."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        first = stream.readline()
    if first:
        _style_of(path, columns).check(first.decode(errors="replace"))


def write_all(stream: BinaryIO, data: bytes) -> None:
    """Write all of the data, or raise OSError.

    If a disk fills up or a reader closes the pipe during a long `write`, it returns a short count
    without an error, even on a buffered stream; the next one raises the error.
    """
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


class _Csv:
    """The header and the rows of a CSV file with these columns."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self.opening = ",".join(columns) + "\n"

    def check(self, first_line: str) -> None:
        """Raise ValueError if the first line is not the header of these columns."""
        _check_columns(self.path, next(csv.reader([first_line]), []), self.columns)

    def is_row(self, line: str) -> bool:
        """Return whether a line is a whole row."""
        return len(next(csv.reader([line]))) == len(self.columns)


class _JsonLines:
    """The records of a file of JSON lines with these columns."""

    opening = ""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)

    def check(self, first_line: str) -> None:
        """Raise ValueError if the first line is not a record of these columns."""
        record = _object(first_line)
        if record is None:
            raise ValueError(f"--append {self.path}: its first line is not a JSON object")
        _check_columns(self.path, list(record), self.columns)

    def is_row(self, line: str) -> bool:
        """Return whether a line is a whole record."""
        return _object(line) is not None


def _style_of(path: Path, columns: Sequence[str]) -> _Csv | _JsonLines:
    return _Csv(path, columns) if path.suffix.lower() == ".csv" else _JsonLines(path, columns)


def _sound_size(stream: BinaryIO, style: _Csv | _JsonLines, warn: Callable[[str], None]) -> int:
    """Return the size of the file, after checking its columns and completing its last line."""
    stream.seek(0)
    first = stream.readline()
    if not first:
        return 0
    style.check(first.decode(errors="replace"))
    size = stream.seek(-1, os.SEEK_END) + 1
    if stream.read(1) == b"\n":
        return size
    stream.seek(0)
    last = stream.read().rpartition(b"\n")[2]
    if style.is_row(last.decode(errors="replace")):
        write_all(stream, b"\n")
        return size + 1
    warn(f"{style.path} ended in a half-written row, now removed: {last.decode(errors='replace')}")
    stream.truncate(size - len(last))
    return size - len(last)


def _check_columns(path: Path, there: list[str], here: list[str]) -> None:
    if there == here:
        return
    missing = [name for name in here if name not in there]
    strange = [name for name in there if name not in here]
    differences = [f"it has no {', '.join(missing)}"] if missing else []
    differences += [f"it has {', '.join(strange)}"] if strange else []
    if not differences:
        differences = ["they are in another order"]
    raise ValueError(
        f"--append {path} must have the columns of the table: {'; '.join(differences)}"
    )


def _object(line: str) -> dict[str, object] | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
