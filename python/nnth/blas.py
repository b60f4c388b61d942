"""How many threads the BLAS takes, while something is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Let NumPy and SciPy multiply matrices on so many threads, 0 for as many as they like.

    Small products are slower on several, and far slower where other work shares the cores.
    """
    with threadpool_limits(limits=threads or None, user_api="blas"):
        yield
