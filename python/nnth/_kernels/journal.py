"""The journal of a long computation: what of it is on the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

# What differs, in the words of an error; other entries of a header are arguments.
_IN_WORDS: Final = {
    "sha256": "other inputs",
    "inputs": "inputs of another shape",
    "test_inputs": "test inputs of another shape",
}


class StoreError(Exception):
    """Work that is kept on disk cannot be continued."""


class WorkJournal:
    """A file whose first line describes the work, followed by a line for each finished part.

    The file is locked while it is open, so that one process writes to it at a time. The end of a
    line that a killed process has left is removed.

    Attributes:
        entries: The entry of each line after the first.
        begun: Whether the first line is there.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, work: str) -> None:
        """Open a journal; `work` names the work in the error of a second process.

        Raises:
            ValueError: If the journal is of other work.
            StoreError: If another process has it open.
        """
        self.entries: list[Any] = []
        self._path, self._header, self._work = path, dict(header), work
        self._stream = path.open("a+b", buffering=0)
        try:
            self._lock()
            self._stream.seek(0)
            text = self._stream.read()
            lines = text[: text.rfind(b"\n") + 1].splitlines()
            self._stream.truncate(sum(len(line) + 1 for line in lines))
            self.begun = bool(lines)
            if lines:
                self._compare(json.loads(lines[0]))
            self.entries = [json.loads(line) for line in lines[1:]]
        except BaseException:
            self._stream.close()
            raise

    def begin(self) -> None:
        """Write the first line."""
        self._write(self._header)
        self.begun = True

    def append(self, entry: Any) -> None:
        """Add the entry of a part, which must be on the disk."""
        self._write(entry)
        self.entries.append(entry)

    def close(self) -> None:
        """Close the file, and let other processes open it."""
        self._stream.close()

    def _write(self, entry: Any) -> None:
        self._stream.write(f"{json.dumps(entry)}\n".encode())

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # not on Windows
            return
        try:
            fcntl.flock(self._stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = self._path.stat()
        except (BlockingIOError, FileNotFoundError):  # not there: finished in this moment
            there = None
        here = os.fstat(self._stream.fileno())
        if there is None or (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            raise StoreError(f"{self._path.parent}: another process is writing this {self._work}")

    def _compare(self, header: Mapping[str, Any]) -> None:
        for name in sorted({*header, *self._header}, key=[*self._header, *header].index):
            before, now = header.get(name), self._header.get(name)
            if before == now:
                continue
            difference = _IN_WORDS.get(name, f"{name} {before}, not {now}")
            raise ValueError(
                f"{self._path.parent} was begun with {difference}: continue it with the same "
                "arguments, or remove it"
            )
