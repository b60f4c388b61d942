"""How many threads the BLAS uses: one, and more only for matrices that are large enough to gain.

Small products and factorizations are slower on several threads, and 3 to 40 times slower where
other work shares the processors, since a thread of the BLAS waits for the others at full speed.
So every public function that multiplies or factors matrices is a `serial_blas`, and factors a
matrix that may be large under `factoring(rows)`.
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

WORTH_THREADS = 2000  # rows of a matrix from which two threads factor it in two thirds of the time

_threads: ContextVar[int] = ContextVar("_threads", default=0)  # of the function that runs


def serial_blas(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, during which the BLAS uses one thread.

    Afterwards the BLAS has as many threads as before. What is factored under `factoring` follows
    the argument `threads` of the function.
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
    """Let the BLAS use `threads` threads, 0 for all processors."""
    with threadpool_limits(limits=_core.thread_count(threads), user_api="blas"):
        yield


def factoring(rows: int) -> AbstractContextManager[None]:
    """Let the BLAS use the threads of the `serial_blas` that runs, for so many rows or more.

    A factor then depends on the number of threads, by rounding.
    """
    return blas_threads(_threads.get()) if rows >= WORTH_THREADS else nullcontext()


class _Serial:
    """A context in which the BLAS has one thread; it may be entered again, by any thread.

    The limit holds for the process. The thread that set it gives it up: others, which entered
    meanwhile, neither set nor restore anything.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: int | None = None  # the thread of Python that set the limit
        self._entered = 0  # by the owner
        self._limits: threadpool_limits | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._owner is None:
                self._owner = get_ident()
                if not _one_from_the_start():
                    # SciPy has a BLAS of its own, and limits reach only what is loaded.
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
    """Whether the environment gives every BLAS one thread, as the command line has it."""
    return os.environ.get("OPENBLAS_NUM_THREADS") == os.environ.get("MKL_NUM_THREADS") == "1"


_SERIAL = _Serial()
