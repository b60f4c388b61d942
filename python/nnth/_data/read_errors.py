"""Errors of reading damaged files, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LONGEST: Final = 400  # characters of a reason


@contextmanager
def reraise_as_value_error(what: str) -> Iterator[None]:
    """Turn every error of the block, which reads a file, into a ValueError "`what`: the reason".

    NumPy and zipfile do not document what they raise for damaged files; KeyError, OSError,
    struct.error, tokenize.TokenError, lzma.LZMAError and others occur. The file is opened outside
    the block, so that a missing file raises its own error.
    """
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what}: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """Return the reason of an error in reading a file, a short line that can be printed."""
    if isinstance(error, MemoryError):
        return "an array in it does not fit in memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    reason = str(error).splitlines()[0] if str(error) else "it ends early"
    if "allow_pickle" in reason:  # of numpy.load
        return "it holds Python objects (a pickle), which are never loaded"
    return _printable(reason)


def _printable(reason: str) -> str:
    """Return a short line that a terminal shows as it is, whatever a file has put into it."""
    short = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in short)
