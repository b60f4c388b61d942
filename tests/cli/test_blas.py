"""The BLAS has one thread in every function and command, and more only for large matrices."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from test_every_command import CALLS, run
from threadpoolctl import threadpool_info, threadpool_limits

from nnth._runtime.blas import WORTH_THREADS, factoring, serial_blas

LINEAR_ALGEBRA = {
    np.linalg: ("eigh", "eigvalsh", "svd", "lstsq", "solve", "norm", "matrix_rank"),
    scipy.linalg: ("cho_factor", "cho_solve", "solve_triangular", "qr"),
}


def threads_of_blas() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the BLAS two threads, as for a user without settings in the environment."""
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    limits = threadpool_limits(limits=2, user_api="blas")
    with threadpool_limits():  # when it exits, other threads of Python may set limits again
        pass
    yield
    left = threads_of_blas()
    limits.restore_original_limits()
    assert left == {2}


@serial_blas
def seen(rows: int = 0, *, threads: int = 0) -> set[int]:
    with factoring(rows):
        return threads_of_blas()


def test_one_thread_within_and_as_many_as_before_afterwards() -> None:
    assert seen() == {1}
    assert threads_of_blas() == {2}


def test_a_large_matrix_has_the_threads_of_the_function() -> None:
    assert seen(WORTH_THREADS - 1, threads=2) == {1}
    assert seen(WORTH_THREADS, threads=2) == {2}
    assert seen(WORTH_THREADS, threads=1) == {1}


def test_an_error_gives_the_threads_back() -> None:
    @serial_blas
    def fails() -> None:
        raise ValueError("x must be right")

    with pytest.raises(ValueError, match="must be right"):
        fails()
    assert threads_of_blas() == {2}


def test_functions_that_overlap_in_threads_leave_it_as_it_was() -> None:
    inside, may_end = threading.Event(), threading.Event()

    @serial_blas
    def waits() -> None:
        inside.set()
        may_end.wait(60.0)

    first = threading.Thread(target=waits, daemon=True)
    first.start()
    assert inside.wait(60.0)
    assert seen() == {1}
    assert threads_of_blas() == {1}  # because one call still runs
    may_end.set()
    first.join()
    assert threads_of_blas() == {2}


@pytest.mark.parametrize(("command", "words"), [(c, w) for c in CALLS for w in CALLS[c]])
def test_every_command_factors_small_matrices_on_one_thread(
    command: str, words: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: set[int] = set()
    looked = 0  # a flow factors thousands of times, and one check takes as long as a factorization

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal looked
            looked += 1
            if looked <= 50 or looked % 500 == 0:
                found.update(threads_of_blas())
            return function(*args, **kwargs)

        return call

    for module, names in LINEAR_ALGEBRA.items():
        for name in names:
            monkeypatch.setattr(module, name, watched(getattr(module, name)))
    for _ in range(2):  # the first imports modules, which may compute constants
        found.clear()
        assert run(*command.split(), *words.split(), "--format", "csv") == 0
    assert found <= {1}


@pytest.mark.subprocess
def test_the_program_starts_with_one_thread_that_sleeps_while_it_waits() -> None:
    program = (
        "import nnth_cli.start as start, nnth_cli.main as main\n"
        "main.main = lambda: None\n"
        "start.main()\n"
        "import os, numpy, threadpoolctl\n"
        "print({p['num_threads'] for p in threadpoolctl.threadpool_info()},"
        " os.environ['OPENBLAS_NUM_THREADS'])"
    )
    around = {n: v for n, v in os.environ.items() if not n.endswith(("_NUM_THREADS", "_TIMEOUT"))}
    for given, one in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=around | given,
        )
        assert done.stdout.split()[-1] == one
