"""Files written whole or not at all, and files that many processes add rows to."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO


def check_target(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Raises ValueError unless `path` ends in one of the suffixes and can be written."""
    if path.suffix.lower() not in suffixes:
        known = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
        raise ValueError(f"{option} must end in {known}, not {str(path)!r}")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ValueError(f"{option} {path}: there is no folder {folder}")
    if path.exists() and not path.is_file():
        raise ValueError(f"{option} {path}: not a regular file")
    writable = os.access(folder, os.W_OK | os.X_OK)  # a replacement is made beside the target
    if not writable or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        raise ValueError(f"{option} {path}: no permission to write")


def append_rows(
    path: Path, rows: str, *, columns: Sequence[str], warn: Callable[[str], None]
) -> None:
    """Adds whole rows, CSV or JSON lines by suffix, to a file that others add to as well.

    An advisory lock (`flock`) is held meanwhile, so rows of several processes never mix; what a
    failed write left is taken back. A new or empty CSV file gets its header first. A last line
    without a newline, left by a killed process or an editor, is ended if it is a whole row, and
    else removed with a warning that shows it. Raises ValueError, the file untouched, when it has
    other columns.
    """
    import fcntl  # POSIX only, as is the promise of safe appending

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
    """Raises ValueError when a file of rows is there already and has other columns."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        first = stream.readline()
    if first:
        _style_of(path, columns).check(first.decode(errors="replace"))


def write_all(stream: BinaryIO, data: bytes) -> None:
    """Writes all of the data, or raises OSError.

    One `write` is seldom not enough, but when a disk fills up or a reader leaves in the middle of
    a long one, it returns a short count without an error, and that even on a buffered stream.
    """
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


class _Csv:
    """What appending knows of a CSV file with these columns."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self.opening = ",".join(columns) + "\n"

    def check(self, first_line: str) -> None:
        """Raises ValueError when the first line is not this table's header."""
        _check_columns(self.path, next(csv.reader([first_line]), []), self.columns)

    def is_row(self, line: str) -> bool:
        return len(next(csv.reader([line]))) == len(self.columns)


class _JsonLines:
    """What appending knows of a file of JSON lines with these columns."""

    opening = ""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)

    def check(self, first_line: str) -> None:
        """Raises ValueError when the first line is not a record of this table's columns."""
        record = _object(first_line)
        if record is None:
            raise ValueError(f"--append {self.path}: its first line is not a JSON object")
        _check_columns(self.path, list(record), self.columns)

    def is_row(self, line: str) -> bool:
        return _object(line) is not None


def _style_of(path: Path, columns: Sequence[str]) -> _Csv | _JsonLines:
    return _Csv(path, columns) if path.suffix.lower() == ".csv" else _JsonLines(path, columns)


def _sound_size(stream: BinaryIO, style: _Csv | _JsonLines, warn: Callable[[str], None]) -> int:
    """The size of the file once its columns are checked and its last line is mended."""
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
    raise ValueError(f"--append {path}: its columns are others: {'; '.join(differences)}")


def _object(line: str) -> dict[str, object] | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
