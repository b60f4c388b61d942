"""The number of threads of the BLAS: one, and more only for large matrices.

Small products and factorizations are slower on several threads, and 3 to 40 times slower if other
work shares the processors, because threads of the BLAS wait for each other in a busy loop. Every
public function that multiplies or factors matrices is therefore decorated with `serial_blas`, and
factors matrices that may be large within `factoring(rows)`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from threading import Lock, get_ident
from typing import ParamSpec, TypeVar, cast

from threadpoolctl import threadpool_limits

from nnth import _core

P = ParamSpec("P")
R = TypeVar("R")

WORTH_THREADS = 2000  # from this number of rows on, two threads take two thirds of the time of one

_threads: ContextVar[int] = ContextVar(
    "_threads", default=0
)  # the argument of the running function


def serial_blas(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with the BLAS limited to one thread while it runs.

    Matrices that are factored within `factoring` use the number of threads in the argument
    `threads` of the function.
    """

    @wraps(function)
    def serial(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _threads.set(cast(int, kwargs.get("threads", 0)))
        try:
            with _SERIAL:
                return function(*args, **kwargs)
        finally:
            _threads.reset(token)

    return serial


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Let the BLAS use `threads` threads within the block, 0 for all processors."""
    with threadpool_limits(limits=_core.thread_count(threads), user_api="blas"):
        yield


def factoring(rows: int) -> AbstractContextManager[None]:
    """Let the BLAS factor a matrix of many rows on the threads of the running `serial_blas`.

    The result then depends on the number of threads, by rounding.
    """
    return blas_threads(_threads.get()) if rows >= WORTH_THREADS else nullcontext()


class _Serial:
    """A reentrant context in which the BLAS has one thread.

    The limit holds for the process. The thread that set it removes it; other threads that enter in
    the meantime neither set nor restore anything.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: int | None = None  # the thread of Python that set the limit
        self._entered = 0  # the number of times that the owner has entered
        self._limits: threadpool_limits | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._owner is None:
                self._owner = get_ident()
                if not _one_from_the_start():
                    # SciPy has its own BLAS, and limits apply only to libraries that are loaded.
                    import scipy.linalg  # noqa: F401

                    self._limits = threadpool_limits(limits=1, user_api="blas").__enter__()
            if self._owner == get_ident():
                self._entered += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if self._owner != get_ident():
                return
            self._entered -= 1
            if self._entered == 0:
                self._owner, limits, self._limits = None, self._limits, None
                if limits is not None:
                    limits.__exit__(None, None, None)


def _one_from_the_start() -> bool:
    """Return whether the environment gives every BLAS one thread, as the command line does."""
    return os.environ.get("OPENBLAS_NUM_THREADS") == os.environ.get("MKL_NUM_THREADS") == "1"


_SERIAL = _Serial()
