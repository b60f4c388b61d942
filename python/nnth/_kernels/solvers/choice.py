"""The solver that the option --solver names, or that fits the size of a system."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final, Literal

from nnth._kernels.solvers.blocked import BlockedCholesky
from nnth._kernels.solvers.cholesky import Cholesky
from nnth._kernels.solvers.conjugate_gradients import ConjugateGradients
from nnth._kernels.solvers.scratch import Panels, scratch_folder
from nnth._kernels.solvers.system import Solver, System
from nnth._runtime.memory import available_memory

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


def choose(solver: SolverName, m: int, ridge: float) -> Choice:
    """Return the solver for m inputs: the one that is named, or by "auto" the first that fits.

    "auto" takes "cholesky" if the matrix fits in memory, "blocked" if half of it fits in the folder
    of scratch files, and otherwise "cg".

    Raises ValueError for an unknown name, and MemoryError if only "cg" fits and there is no ridge.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be auto, cholesky, blocked or cg, not {solver!r}")
    if solver != "auto":
        return Choice(solver)
    needed, memory = 8 * m * m, available_memory()
    if memory is None or needed <= _MATRIX * memory:
        return Choice("cholesky")
    matrix = f"a matrix of {needed / _GIB:.1f} GiB does not fit in memory"
    file = Panels.bytes_needed(m, 128)
    if file <= _FILE * shutil.disk_usage(scratch_folder()).free:
        return Choice("blocked", f"solver blocked: {matrix}, its factor fits on disk")
    if ridge > 0.0:
        return Choice("cg", f"solver cg: {matrix}, nor its factor of {file / _GIB:.1f} GiB on disk")
    raise MemoryError(
        f"x must have fewer than {m} rows, or ridge be above 0 for the solver cg: {matrix}, nor "
        f"its factor of {file / _GIB:.1f} GiB in {scratch_folder()}"
    )


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
