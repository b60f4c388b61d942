"""Cholesky factor of a matrix that does not fit in memory, panel by panel in a scratch file."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final, TypeVar

import numpy as np

from nnth import _core
from nnth._kernels.solvers.kept_panels import KeptPanels
from nnth._kernels.solvers.scratch import Panels
from nnth._kernels.solvers.system import Estimate, Solution, System
from nnth._runtime.memory import available_memory, check_memory
from nnth._runtime.typing import Floats

T = TypeVar("T")

_EPS: Final = float(np.finfo(float).eps)
_STRIP: Final = 1024  # rows that a thread multiplies at a time
_WIDTHS: Final = (128, 4096)  # of a panel: a product with fewer columns is slow
_HAGER_STEPS: Final = 5  # as in LAPACK


class BlockedCholesky:
    """The factor L of K + ridge in a scratch file of half a matrix.

    The left-looking algorithm computes a panel of columns of the kernel, subtracts the products of
    the panels before it, which are read from the file, factors it and writes it once. Each product
    is divided into strips of a fixed number of rows, each by one thread, so that the result has the
    same bits on any number of threads. Memory: one panel, and a few strips. If the system has a
    folder of work, the file is there with a record of its panels, and what it has is not computed
    again.

    Args:
        system: K + ridge.
        width: Columns of a panel; by default as many, from 128 to 4096, as take a sixth of the
            available memory.

    Raises ValueError if K + ridge is singular to rounding, MemoryError if a panel of 128 columns
    does not fit, and OSError if the file does not.

    Source: Higham (2002), chapter 10.
    """

    name: Final = "blocked"
    most_tests: Final = None

    def __init__(self, system: System, *, width: int | None = None) -> None:
        self.system = system
        self._workers = _core.thread_count(system.threads)
        m, work = system.m, system.work

        def chosen() -> int:
            return panel_width(m) if width is None else width

        if work is None:
            self._panels = Panels(m, chosen())
        else:
            columns = work.found("panel_width", chosen)
            _check_panel(m, columns)
            self._panels = Panels(m, columns, work.path / "factor.bin")
        self._kept = KeptPanels(self._panels, system)
        self._size = 0.0
        self._pivots = np.empty(system.m)
        self._factor()

    @property
    def size(self) -> float:
        """The 1-norm of K + ridge."""
        return self._size

    @property
    def inverse_norm(self) -> float:
        """The estimate of the 1-norm of the inverse, or 1/ridge if that is less."""
        bound = self.system.inverse_bound
        return min(bound, self._inverse_size)

    @property
    def condition(self) -> float:
        """The condition number in the 1-norm, with an estimate of that of the inverse."""
        return self._size * self._inverse_size

    def product(self, vectors: Floats) -> Floats:
        """Return K V, from tiles of K that are computed anew."""
        return self.system.product(vectors)

    def solve(self, right: Floats) -> Solution:
        """Return the solution after a step of iterative refinement."""

        def compute() -> dict[str, Floats]:
            values = self.apply(right)[0]
            values += self.apply(self.system.checked(values, right).misfit)[0]
            return vars(self.system.checked(values, right))

        return Solution(**self.system.kept("solution", compute, right))

    def apply(self, right: Floats) -> tuple[Floats, Floats]:
        """Return (K + ridge)^-1 B by one pass through the file in each direction."""
        return self._backward(self.half(right.copy())), np.zeros_like(right)

    def half(self, right: Floats, first_panel: int = 0) -> Floats:
        """Return L^-1 B in place, for B that is 0 above a panel."""
        panels = self._panels
        for panel in range(first_panel, panels.count):
            at = panels.columns(panel)
            right[at] = self._triangular(panel, right[at])
            solved = np.ascontiguousarray(right[at])

            def subtract(rows: slice, panel: int = panel, solved: Floats = solved) -> None:
                right[rows] -= panels.read(panel, rows.start, rows.stop) @ solved

            self._in_strips(subtract, at.stop)
        return right

    def explained(self, cross: Floats) -> tuple[Floats, Floats]:
        """Return the squared norms of L^-1 k."""
        half = self.half(cross.copy())
        return np.einsum("ij,ij->j", half, half), np.zeros(cross.shape[1])

    def log_determinant(self) -> Estimate:
        """Return log det(K + ridge)."""
        return Estimate(2.0 * float(np.log(self._pivots).sum()))

    def inverse_diagonal(self) -> Floats:
        """Return the diagonal of (K + ridge)^-1, which takes as long as the factor."""
        return self._inverse_diagonal

    def effective_dimension(self) -> Estimate:
        """Return m - ridge tr (K + ridge)^-1."""
        return Estimate(float(self.system.m - self.system.ridge * self._inverse_diagonal.sum()))

    def close(self) -> None:
        """Close the file, which is gone if it is a scratch file."""
        self._panels.close()

    def _factor(self) -> None:
        system, panels, m = self.system, self._panels, self.system.m
        done, sums = self._kept.restored()
        memory = np.empty(m * panels.width)
        with self._kept:
            for k in range(done, panels.count):
                at = panels.columns(k)
                panel = memory[: (m - at.start) * (at.stop - at.start)].reshape(m - at.start, -1)
                system.blocks.block(slice(at.start, m), at, out=panel)
                self._sum_up(sums, panel, at)
                diagonal = np.arange(at.stop - at.start)
                panel[diagonal, diagonal] = system.diagonal[at] + system.ridge
                for p in range(k):
                    self._subtract(p, panel, at)
                self._divide(panel, at, sums)
                panels.write(k, panel)
                self._kept.finished(k, sums)
                system.report(1.0 - (1.0 - at.stop / m) ** 2 * (1.0 + 2.0 * at.stop / m))
        self._size = float(sums.max()) + system.ridge
        for k in range(panels.count):
            at = panels.columns(k)
            self._pivots[at] = panels.read(k, at.start, at.stop).diagonal()
        if float(self._pivots.min()) ** 2 <= m * _EPS * 0.1 * self._size:
            raise system.refusal(self._size)

    def _subtract(self, p: int, panel: Floats, at: slice) -> None:
        """Subtract the product of panel p with its rows of these columns."""
        panels = self._panels
        top = panels.read(p, at.start, at.stop).T

        def subtract(rows: slice) -> None:
            left = panels.read(p, rows.start, rows.stop)
            panel[rows.start - at.start : rows.stop - at.start] -= left @ top

        self._in_strips(subtract, at.start)

    def _divide(self, panel: Floats, at: slice, sums: Floats) -> None:
        """Factor the top block of a panel, and divide the rows below by it."""
        from scipy.linalg import lapack, solve_triangular

        width = at.stop - at.start
        factor, failed = lapack.dpotrf(panel[:width].T, lower=0, clean=1)
        if failed:
            raise self.system.refusal(float(sums.max()) + self.system.ridge)
        panel[:width] = factor.T

        def divide(rows: slice) -> None:
            strip = panel[rows.start - at.start : rows.stop - at.start]
            strip[:] = solve_triangular(factor, strip.T, trans="T", check_finite=False).T

        self._in_strips(divide, at.stop)

    def _sum_up(self, sums: Floats, panel: Floats, at: slice) -> None:
        """Add the entries of a panel, and of its mirror image, to the sums of |K_ij|."""
        for first in range(at.start, self.system.m, _STRIP):
            part = np.abs(panel[first - at.start : first - at.start + _STRIP])
            sums[at] += part.sum(axis=0)
            last = first + len(part)
            begin = max(first, at.stop)
            if begin < last:
                sums[begin:last] += part[begin - first :].sum(axis=1)

    def _backward(self, right: Floats) -> Floats:
        """Return L'^-1 B in place."""
        panels = self._panels
        for panel in reversed(range(panels.count)):
            at = panels.columns(panel)

            def product(rows: slice, panel: int = panel) -> Floats:
                return panels.read(panel, rows.start, rows.stop).T @ right[rows]

            for part in self._in_strips(product, at.stop):  # summed in order
                right[at] -= part
            right[at] = self._triangular(panel, right[at], transposed=True)
        return right

    def _triangular(self, panel: int, right: Floats, *, transposed: bool = False) -> Floats:
        from scipy.linalg import solve_triangular

        at = self._panels.columns(panel)
        corner = self._panels.read(panel, at.start, at.stop)
        return np.asarray(
            solve_triangular(
                corner, right, lower=True, trans="T" if transposed else "N", check_finite=False
            )
        )

    def _in_strips(self, work: Callable[[slice], T], first: int) -> list[T]:
        """Return work(rows) of strips of the rows from `first` on, in order, on all threads."""
        strips = [
            slice(i, min(i + _STRIP, self.system.m)) for i in range(first, self.system.m, _STRIP)
        ]
        if self._workers == 1 or len(strips) == 1:
            return [work(rows) for rows in strips]
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                return list(pool.map(work, strips))
            except BaseException:  # an interrupt does not wait for the strips that are left
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @cached_property
    def _inverse_diagonal(self) -> Floats:
        """The diagonal of the inverse: squared norms of the columns of L^-1, panel by panel."""
        panels, m = self._panels, self.system.m
        found = np.empty(m)
        for k in range(panels.count):
            at = panels.columns(k)

            def compute(k: int = k, at: slice = at) -> dict[str, Floats]:
                identity = np.zeros((m, at.stop - at.start))
                identity[at] = np.eye(at.stop - at.start)
                half = self.half(identity, k)[at.start :]
                return {"diagonal": np.einsum("ij,ij->j", half, half)}

            found[at] = self.system.kept(f"inverse-{k}", compute)["diagonal"]
            self.system.report(1.0 - (1.0 - at.stop / m) ** 3)
        return found

    @cached_property
    def _inverse_size(self) -> float:
        """An estimate of the 1-norm of the inverse, from below and mostly exact."""
        kept = self.system.kept("inverse-norm", lambda: {"norm": inverse_size(self)})
        return float(kept["norm"])


def inverse_size(solver: BlockedCholesky) -> float:
    """Return an estimate of the 1-norm of the inverse, from below and mostly exact.

    Source: Hager (1984); Higham (1988).
    """
    m = solver.system.m
    signs = np.where(np.arange(m) % 2 == 0, 1.0, -1.0)
    alternating = signs * (1.0 + np.arange(m) / max(m - 1, 1))
    # The last of Higham's vectors goes through the file with the first.
    first = solver.apply(np.stack((np.full(m, 1.0 / m), alternating), axis=1))[0]
    other = 2.0 * float(np.abs(first[:, 1]).sum()) / (3.0 * m)
    y, best, visited = first[:, :1], 0.0, -1
    for _ in range(_HAGER_STEPS):
        norm = float(np.abs(y).sum())
        if norm <= best:
            break
        best = norm
        gradient = np.abs(solver.apply(np.where(y >= 0.0, 1.0, -1.0))[0][:, 0])
        steepest = int(gradient.argmax())
        if steepest == visited:
            break
        visited = steepest
        unit = np.zeros((m, 1))
        unit[steepest] = 1.0
        y = solver.apply(unit)[0]
    return max(best, other)


def panel_width(m: int) -> int:
    """Return the columns of a panel that take a sixth of the available memory, from 128 to 4096.

    Raises MemoryError if 128 columns take more than is available.
    """
    least, most = _WIDTHS
    _check_panel(m, least)
    free = available_memory()
    width = most if free is None else free // 6 // (8 * m)
    return min(m, int(min(max(width // least * least, least), most)))


def _check_panel(m: int, width: int) -> None:
    check_memory(8 * m * 3 * width, f"x must have fewer than {m} rows: panels of the factor")
