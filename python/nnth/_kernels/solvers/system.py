"""The linear systems K + ridge that the solvers solve, and what they return."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from nnth._kernels.blocks import KernelBlocks
from nnth._kernels.operator import KernelOperator
from nnth._kernels.solvers.work import WorkFolder, digest
from nnth._runtime.typing import Floats, Progress

_EPS: Final = float(np.finfo(float).eps)
# Test points whose systems are solved together: as many as take half a GiB, within these bounds.
_TEST_BLOCK: Final = (256, 1024)
_TEST_ENTRIES: Final = 2**26
_ERROR: Final = "error_of_entries"


class ConvergenceError(Exception):
    """Conjugate gradients have not reached the residual that was asked for."""


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error: 0 where it is computed, NaN where it is not known."""

    value: float
    stderr: float = 0.0


@dataclass(frozen=True, eq=False)
class Solution:
    """`values` X `(m, k)` of (K + ridge) X = B, the product K X, and `misfit` = B - (K + ridge) X.

    The misfit is that of the values, computed anew, and not that of a recursion.
    """

    values: Floats
    product: Floats
    misfit: Floats


class System:
    """The matrix K + ridge of the first m inputs of some blocks; the other inputs are test inputs.

    Args:
        blocks: The kernel of training and test inputs.
        m: Number of training inputs.
        ridge: At least 0, added to the diagonal.
        threads: Number of threads, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.
        remedy: What helps against a singular matrix beside a ridge, for the error.
        work: The folder in which what was computed is kept; None if it is not.
    """

    def __init__(
        self,
        blocks: KernelBlocks,
        m: int,
        ridge: float,
        *,
        threads: int = 0,
        progress: Progress | None = None,
        remedy: str = "",
        work: WorkFolder | None = None,
    ) -> None:
        self.blocks, self.m, self.ridge, self.work = blocks, m, ridge, work
        self.threads, self.progress, self._remedy = threads, progress, remedy
        self._noted = 0.0
        self.diagonal = blocks.diagonal[:m]
        self.tests = blocks.diagonal[m:]
        training = slice(0, m)
        self._operator = KernelOperator(blocks, rows=training, columns=training, threads=threads)

    @property
    def error(self) -> float:
        """The error of the entries that were computed, here or by calls that this continues."""
        return max(self.blocks.error, self._noted)

    def note_error(self, error: float) -> None:
        """Take note of the error of entries that a call computed which this continues."""
        self._noted = max(self._noted, error)

    @property
    def entry_error(self) -> float:
        """A bound of |dK| in the spectral norm, for the errors dK of the entries."""
        return self.error * float(self.diagonal.sum())

    @property
    def inverse_bound(self) -> float:
        """The bound 1/(ridge - |dK|) of |(K + ridge)^-1| for K >= 0; infinite without a ridge."""
        left = self.ridge - self.entry_error
        return 1.0 / left if left > 0.5 * self.ridge > 0.0 else math.inf

    def product(self, vectors: Floats) -> Floats:
        """Return K times vectors `(m, k)`, with tiles of K that are computed on the fly."""
        return np.asarray(self._operator @ vectors)

    def checked(self, values: Floats, right: Floats) -> Solution:
        """Return the solution with its product and its misfit."""
        product = self.product(values)
        return Solution(values, product, right - product - self.ridge * values)

    def test_blocks(self) -> Iterator[slice]:
        """Yield ranges of test inputs whose systems are solved together."""
        least, most = _TEST_BLOCK
        size = min(most, max(least, _TEST_ENTRIES // self.m))
        for first in range(0, len(self.tests), size):
            yield slice(first, min(first + size, len(self.tests)))

    def cross(self, tests: slice) -> Floats:
        """Return the kernels `(m, tests)` of training inputs and a range of test inputs."""
        columns = slice(self.m + tests.start, self.m + tests.stop)
        return np.asarray(self.blocks.block(slice(0, self.m), columns))

    def kept(self, name: str, compute: Callable[[], dict[str, Any]], *of: Floats) -> dict[str, Any]:
        """Return what `compute` returns, from the folder of the work if it is there.

        `of` are the arrays, besides the system, of which it is a function.
        """
        if self.work is None:
            return compute()
        key = f"{name}-{digest(*of)}" if of else name
        found = self.work.arrays(key)
        if found is None:
            found = {item: np.asarray(value) for item, value in compute().items()}
            self.work.keep(key, {**found, _ERROR: np.asarray(self.error)})
        else:
            self.note_error(float(found.pop(_ERROR)))
        return found

    def report(self, fraction: float) -> None:
        """Report the fraction of the work that is done."""
        if self.progress is not None:
            self.progress(round(1e4 * min(fraction, 1.0)), 10_000)

    def refusal(self, size: float) -> ValueError:
        """Return the error of a matrix of 1-norm `size` that is singular to rounding."""
        least = max(self.m * _EPS * size, self.entry_error)
        return ValueError(
            f"ridge must be above about {least:.1g}{self._remedy}, not {self.ridge:g}: the kernel "
            "matrix of these points is singular to rounding"
        )


class Solver(Protocol):
    """A way to solve (K + ridge) X = B; see `solver_of`."""

    @property
    def name(self) -> str:
        """The name, as in the option --solver."""
        ...

    @property
    def system(self) -> System:
        """The system K + ridge."""
        ...

    @property
    def most_tests(self) -> int | None:
        """The number of test points for which it is worth while to solve systems; None for all."""
        ...

    @property
    def size(self) -> float:
        """An upper bound of |K + ridge| in the spectral norm."""
        ...

    @property
    def inverse_norm(self) -> float:
        """An upper bound of |(K + ridge)^-1| in the spectral norm; infinite if none is known."""
        ...

    @property
    def condition(self) -> float:
        """The condition number of K + ridge in the 1-norm; NaN if it is not known."""
        ...

    def product(self, vectors: Floats) -> Floats:
        """Return K times vectors `(m, k)`."""
        ...

    def solve(self, right: Floats) -> Solution:
        """Return the solution for right-hand sides `(m, k)`, as exact as the solver can."""
        ...

    def apply(self, right: Floats) -> tuple[Floats, Floats]:
        """Return X ~ (K + ridge)^-1 B and its misfit, 0 where that is rounding."""
        ...

    def explained(self, cross: Floats) -> tuple[Floats, Floats]:
        """Return k' (K + ridge)^-1 k `(k,)` for columns k, and its error beyond rounding."""
        ...

    def log_determinant(self) -> Estimate:
        """Return log det(K + ridge)."""
        ...

    def effective_dimension(self) -> Estimate:
        """Return tr K (K + ridge)^-1."""
        ...

    def inverse_diagonal(self) -> Floats | None:
        """Return the diagonal of (K + ridge)^-1, or None where it would not be exact."""
        ...
