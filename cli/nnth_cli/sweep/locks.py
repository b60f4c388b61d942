"""Which sweeps may work on a file at the same time: one, or the shards of one."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = ".draft-"  # in the names of files that take their place when they are whole


class SweepBusyError(Exception):
    """Another sweep is at work on the file."""


@contextmanager
def sweep_of(path: Path, *, shard: bool) -> Iterator[None]:
    """Holds a file for a sweep, or with others for a shard.

    The lock is on a file of its own beside it, gone when the last has left it; of a killed process
    the system takes it away. Raises SweepBusyError at once.
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
            os.close(descriptor)  # its last holder has just removed it
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
            for left in _drafts(target):  # of sweeps that were killed: nobody else is here
                left.unlink(missing_ok=True)
            name.unlink(missing_ok=True)
        except BlockingIOError:
            pass  # other shards are still there
        os.close(descriptor)


def _drafts(target: Path) -> list[Path]:
    """Drafts of the file and of the parts of its points."""
    names = (f".{target.name}{DRAFT}", f"..{target.name}.parts{DRAFT}")
    return [path for path in target.parent.iterdir() if path.name.startswith(names)]


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one of this name, not one that was removed or replaced."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
