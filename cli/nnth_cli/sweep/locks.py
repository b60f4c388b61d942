"""Locks on the file of a sweep, which only one sweep, or the shards of one, may use at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = ".draft-"  # part of the names of files that are renamed once they are complete


class SweepBusyError(Exception):
    """Another sweep is using the file."""


@contextmanager
def sweep_of(path: Path, *, shard: bool) -> Iterator[None]:
    """Lock a file for a sweep: exclusively, or shared with the other shards.

    The lock is on a separate file, which the last process removes; the system releases the lock of
    a killed process. Raises SweepBusyError at once if the file is locked.
    """
    target = path.resolve()
    name = target.with_name(f".{target.name}.lock")
    kind = fcntl.LOCK_SH if shard else fcntl.LOCK_EX
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while True:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if is_at(descriptor, name):
                break
            os.close(descriptor)  # the last process has just removed the lock file
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
    except BlockingIOError:
        os.close(descriptor)
        who = "a whole sweep" if shard else "another sweep"
        raise SweepBusyError(f"--output {path}: {who} is at work on this file") from None
    try:
        yield
    finally:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for draft in _drafts(target):  # left by killed sweeps: no other sweep has the lock
                draft.unlink(missing_ok=True)
            name.unlink(missing_ok=True)
        except BlockingIOError:
            pass  # other shards are still running
        os.close(descriptor)


def _drafts(target: Path) -> list[Path]:
    """Return the drafts of the file and of the parts of its points."""
    names = (f".{target.name}{DRAFT}", f"..{target.name}.parts{DRAFT}")
    return [path for path in target.parent.iterdir() if path.name.startswith(names)]


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file is still the file of this name, not removed or replaced."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
