"""Files that are damaged, or of another kind: one line says so, whatever reading them raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reraise_as_value_error(what: str) -> Iterator[None]:
    """Turn every error of the block, which reads a file, into a ValueError "`what`: the reason".

    NumPy and zipfile have no list of what they raise for bytes that make no sense: KeyError,
    OSError, struct.error, tokenize.TokenError, lzma.LZMAError and more were seen. The file is to
    be opened outside, as one that is not there is no damage.
    """
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what}: {_reason_of(error)}") from None


def _reason_of(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "an array in it does not fit in memory"
    reason = str(error).splitlines()[0] if str(error) else "it ends early"
    if "pickle" in reason:
        return "it holds Python objects (a pickle), which are never loaded"
    return reason
