"""The solver that the option --solver names, or that fits the size of a system."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from nnth._kernels.solvers.blocked import BlockedCholesky
from nnth._kernels.solvers.cholesky import Cholesky
from nnth._kernels.solvers.conjugate_gradients import ConjugateGradients
from nnth._kernels.solvers.scratch import Panels, scratch_folder
from nnth._kernels.solvers.system import Solver, System
from nnth._kernels.solvers.work import WorkFolder, begun_with, check_folder
from nnth._runtime.memory import available_memory
from nnth._runtime.typing import Floats

SolverName = Literal["auto", "cholesky", "blocked", "cg"]
SOLVERS: Final = ("auto", "cholesky", "blocked", "cg")

_GIB: Final = 2**30
_MATRIX: Final = 0.8  # of the available memory: what one matrix may take
_FILE: Final = 0.9  # of the free room of the scratch folder


@dataclass(frozen=True)
class Choice:
    """The name of a solver, and why it was chosen: empty if it was given, or is the usual one."""

    name: Literal["cholesky", "blocked", "cg"]
    reason: str = ""


def choose(solver: SolverName, m: int, ridge: float, checkpoint: Path | None = None) -> Choice:
    """Return the solver for m inputs: the one that is named, or by "auto" the first that fits.

    "auto" takes "cholesky" if the matrix fits in memory and there is no checkpoint, "blocked" if
    half of it fits in the folder of scratch files or of the checkpoint, and otherwise "cg".

    Raises ValueError for an unknown name and for "cholesky" with a checkpoint, and MemoryError if
    only "cg" fits and there is no ridge.
    """
    if checkpoint is not None:
        check_folder(checkpoint)
    if solver not in SOLVERS:
        raise ValueError(f"solver must be auto, cholesky, blocked or cg, not {solver!r}")
    if solver == "cholesky" and checkpoint is not None:
        raise ValueError("solver must be blocked or cg with checkpoint, not cholesky")
    if solver != "auto":
        return Choice(solver)
    if checkpoint is not None and (begun := begun_with(checkpoint)) is not None:
        return _continuable(begun)
    needed, memory = 8 * m * m, available_memory()
    fits = memory is None or needed <= _MATRIX * memory
    if fits and checkpoint is None:
        return Choice("cholesky")
    matrix = f"a matrix of {needed / _GIB:.1f} GiB does not fit in memory"
    file = Panels.bytes_needed(m, 128)
    folder = scratch_folder() if checkpoint is None else str(checkpoint.resolve().parent)
    if file <= _FILE * shutil.disk_usage(folder).free:
        if checkpoint is not None:
            return _continuable("blocked")
        return Choice("blocked", f"solver blocked: {matrix}, its factor fits on disk")
    if ridge > 0.0 and checkpoint is not None:
        return _continuable("cg")
    if ridge > 0.0:
        return Choice("cg", f"solver cg: {matrix}, nor its factor of {file / _GIB:.1f} GiB on disk")
    raise MemoryError(
        f"x must have fewer than {m} rows, or ridge be above 0 for the solver cg: {matrix}, nor "
        f"its factor of {file / _GIB:.1f} GiB in {folder}"
    )


def _continuable(name: Literal["blocked", "cg"]) -> Choice:
    """Return the choice, with words that are the same when the call is continued."""
    return Choice(name, f"solver {name}: with a checkpoint")


@contextmanager
def work_of(
    choice: Choice,
    checkpoint: Path | None,
    parameters: Mapping[str, Any],
    data: tuple[Floats, Floats],
    *,
    tolerance: float,
    seed: int,
) -> Iterator[WorkFolder | None]:
    """Open the folder for the system of a kernel with these parameters; None without a checkpoint.

    `data` are the inputs and the test inputs. Raises ValueError if the folder is of other work.
    """
    if checkpoint is None:
        yield None
        return
    inputs, tests = data
    hashed = hashlib.sha256(np.ascontiguousarray(inputs).data)
    hashed.update(np.ascontiguousarray(tests).data if tests.size else b"")
    problem: dict[str, Any] = {"solver": choice.name, **parameters}
    if choice.name == "cg":
        problem |= {"tolerance": tolerance, "seed": seed}
    shapes = {"inputs": list(inputs.shape), "test_inputs": list(tests.shape)}
    work = WorkFolder(checkpoint, {**problem, **shapes, "sha256": hashed.hexdigest()})
    try:
        yield work
    finally:
        work.close()


def solver_of(
    choice: Choice, system: System, *, tolerance: float, seed: int, probes: int
) -> Solver:
    """Return the solver; tolerance, seed and probes are for `ConjugateGradients`."""
    if choice.name == "cholesky":
        return Cholesky(system)
    if choice.name == "blocked":
        return BlockedCholesky(system)
    return ConjugateGradients(system, tolerance=tolerance, seed=seed, probes=probes)


def check_tolerance(tolerance: float) -> None:
    """Raise ValueError unless the tolerance is above 0 and below 1."""
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance must be above 0 and below 1, not {tolerance:g}")
