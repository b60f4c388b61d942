"""Solvers of linear systems with kernel matrices of any size."""

from nnth._kernels.solvers.blocked import BlockedCholesky
from nnth._kernels.solvers.choice import (
    Choice,
    SolverName,
    check_tolerance,
    choose,
    solver_of,
    work_of,
)
from nnth._kernels.solvers.cholesky import Cholesky
from nnth._kernels.solvers.conjugate_gradients import (
    MOST_TESTS,
    PROBES,
    ConjugateGradients,
)
from nnth._kernels.solvers.system import ConvergenceError, Estimate, Solution, Solver, System
from nnth._kernels.solvers.work import WorkFolder

__all__ = [
    "MOST_TESTS",
    "PROBES",
    "BlockedCholesky",
    "Choice",
    "Cholesky",
    "ConjugateGradients",
    "ConvergenceError",
    "Estimate",
    "Solution",
    "Solver",
    "SolverName",
    "System",
    "WorkFolder",
    "check_tolerance",
    "choose",
    "solver_of",
    "work_of",
]
