"""A file of lines to which several processes add blocks, each reading those of the others."""

import fcntl
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnth._data.saving import system_errors_naming
from nnth_cli.files import write_all
from nnth_cli.sweep.locks import DRAFT, is_at

_SYNC_SECONDS = 0.05  # a power failure may lose this much work; a killed process loses none


class SharedLines(ABC):
    """Blocks of lines, each added by one write under a lock (`flock`).

    `read_lines` is called with new lines. The incomplete block of a killed process is cut off by
    the next process that holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._stream: int | None = None
        self._end = 0  # end of the complete blocks that were read or written
        self._synced = 0.0

    @abstractmethod
    def read_lines(self, data: bytes) -> int:
        """Process new lines (the first ones if `at_start`); return the bytes in complete blocks."""

    @abstractmethod
    def forget(self) -> None:
        """Reset the state, before the file is read again from its start."""

    @property
    def at_start(self) -> bool:
        """Whether no byte of the file has been read."""
        return self._end == 0

    def refresh(self) -> None:
        """Read the new lines of the file, if it exists."""
        if self.path.exists():
            with self.locked():
                pass

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, after reading the new lines. The file must exist."""
        while True:
            if self._stream is None:
                self._stream = os.open(self.path, os.O_RDWR | os.O_APPEND)
                self._end = 0
                self.forget()
            fcntl.flock(self._stream, fcntl.LOCK_EX)
            if is_at(self._stream, self.path):
                break
            self._let_go()
        try:
            self._catch_up(self._stream)
            yield
        finally:
            if self._stream is not None:
                fcntl.flock(self._stream, fcntl.LOCK_UN)

    def write(self, block: bytes) -> None:
        """Add a block, within `locked`."""
        assert self._stream is not None
        try:
            with (
                system_errors_naming(self.path),
                open(self._stream, "ab", buffering=0, closefd=False) as stream,
            ):
                write_all(stream, block)
        except BaseException:
            os.ftruncate(self._stream, self._end)
            raise
        self._end += len(block)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        if self._stream is not None:
            os.fdatasync(self._stream)
            self._synced = time.monotonic()

    def create(self, opening: bytes) -> None:
        """Create the file with this content, unless another process has created it."""
        draft = self._draft()
        try:
            with system_errors_naming(self.path), draft.open("xb") as stream:
                write_all(stream, opening)
                os.fsync(stream.fileno())
            with suppress(FileExistsError):
                os.link(draft, self.path)  # unlike a rename, it does not replace a file
        finally:
            draft.unlink(missing_ok=True)

    def replace(self, content: bytes) -> None:
        """Replace the file by one with other content, within `locked`; the lock is kept."""
        draft = self._draft()
        fresh = os.open(draft, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.fchmod(fresh, self.path.stat().st_mode & 0o7777)
            fcntl.flock(fresh, fcntl.LOCK_EX)
            with (
                system_errors_naming(self.path),
                open(fresh, "ab", buffering=0, closefd=False) as stream,
            ):
                write_all(stream, content)
            os.fsync(fresh)
            draft.replace(self.path)
        except BaseException:
            os.close(fresh)
            draft.unlink(missing_ok=True)
            raise
        self._let_go()
        self._stream, self._end = fresh, 0
        self.forget()
        self._catch_up(fresh)

    def close(self) -> None:
        """Close the file, with all of it on the disk."""
        if self._stream is not None:
            self.sync()
            self._let_go()

    def bytes_at(self, start: int, length: int) -> bytes:
        """Return a part of the file."""
        assert self._stream is not None
        return _read(self._stream, start, length)

    def _catch_up(self, stream: int) -> None:
        size = os.fstat(stream).st_size
        if size < self._end:  # the file was edited
            self._end = 0
            self.forget()
        if size > self._end:
            self._end += self.read_lines(_read(stream, self._end, size - self._end))
            if self._end < size:
                os.ftruncate(stream, self._end)

    def _let_go(self) -> None:
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def _draft(self) -> Path:
        return self.path.with_name(f".{self.path.name}{DRAFT}{os.urandom(6).hex()}")


def _read(stream: int, start: int, length: int) -> bytes:
    """Return all of these bytes; one call of the system returns at most 2 GB."""
    pieces = []
    while length and (piece := os.pread(stream, length, start)):
        pieces.append(piece)
        start, length = start + len(piece), length - len(piece)
    return b"".join(pieces)
