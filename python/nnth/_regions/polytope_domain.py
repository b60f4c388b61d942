"""Domains A x <= b, from files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import as_data, read_file
from nnth._data.files import File, file_of

Array = NDArray[np.float64]

PREFIX: Final = "polytope:"


def is_polytope(domain: object) -> bool:
    """Whether a domain is of the form polytope:FILE."""
    return isinstance(domain, str) and domain.startswith(PREFIX)


def file_of_domain(domain: str) -> File | str:
    """Return the domain for the parameters of a table, with the hash of its file."""
    if not is_polytope(domain):
        return domain
    return File(domain, file_of(domain.removeprefix(PREFIX)).digest)


@lru_cache(maxsize=1)  # for the networks of one table
def inequalities(domain: str, n0: int) -> Array:
    """Return the rows (n, c) of n.x + c >= 0 of a domain polytope:FILE.

    The file is an `.npz` with arrays A `(m, n0)` and b `(m,)`, or a table whose last column is b.
    Raises ValueError for files of another form; OSError if it cannot be read.
    """
    text = domain.removeprefix(PREFIX)
    if Path(text).suffix.lower() == ".npz":
        a = as_data(read_file(text, "A", "domain", alone=False), f"A in {text}")
        limits = read_file(text, "b", "domain", alone=False)
        b = as_data(np.reshape(limits, (-1, 1)), f"b in {text}")[:, 0]
        if len(b) != len(a):
            raise ValueError(f"b in {text} must have an entry for each of {len(a)} rows of A")
    else:
        table = as_data(read_file(text, "A", "domain"), text)
        a, b = table[:, :-1], table[:, -1]
    if a.shape[1] != n0:
        raise ValueError(
            f"domain must be in {n0} dimensions, as n0 is {n0}, not {a.shape[1]}: {text} holds A "
            "and, as the last column of a table, b"
        )
    rows: Array = np.column_stack([-a, b])
    return rows
