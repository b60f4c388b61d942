"""Kernels that the user gives: a function of two sets of inputs, or a matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np

from nnth._kernels.blocks import FilledBlocks, KernelBlocks, Work
from nnth._kernels.protocol import DataKernel
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated

_EPS: Final = float(np.finfo(float).eps)
_ASYMMETRY: Final = 1e-8  # relative to the diagonal: the asymmetry that rounding may cause
_TOGETHER: Final = 16  # inputs whose diagonal entries are asked for together
_NETWORK: Final = ("act", "depth", "cb", "cw", "ntk")

KernelFunction = Callable[[Floats, Floats], Any]


@dataclass(frozen=True, eq=False)
class FunctionKernel(DataKernel):
    """A function that returns the matrix K(x_i, y_j) of the inputs `(m, n_0)` and `(k, n_0)`.

    Its values are taken as correctly rounded: `error` is one unit of rounding.
    """

    function: KernelFunction

    @property
    def parameters(self) -> dict[str, Any]:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return {"kernel": name, **dict.fromkeys(_NETWORK)}

    def blocks(
        self, data: Floats, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelBlocks:
        validated()
        lock = Lock()  # blocks may be asked for by several threads, for which no function is ready
        some = (data[i : i + _TOGETHER] for i in range(0, len(data), _TOGETHER))
        diagonal = np.concatenate([self._values(x, x).diagonal() for x in some])

        def fill(rows: range, columns: range, out: Floats, work: Work) -> None:
            x, y = data[rows.start : rows.stop], data[columns.start : columns.stop]
            with lock:
                out[...] = self._values(x, y)

        return FilledBlocks(diagonal, _EPS, fill)

    def _values(self, x: Floats, y: Floats) -> Floats:
        values = np.array(self.function(x, y), dtype=np.float64)
        if values.shape != (len(x), len(y)) or not np.isfinite(values).all():
            shape = f"finite numbers of shape {(len(x), len(y))}"
            found = f"shape {values.shape}" if np.isfinite(values).all() else "others"
            raise ValueError(f"kernel must return {shape}, not {found}")
        return values


@dataclass(frozen=True, eq=False)
class MatrixKernel(DataKernel):
    """The kernel matrix of the inputs, of test inputs after those of training."""

    matrix: Floats

    @property
    def parameters(self) -> dict[str, Any]:
        return {"kernel": "matrix", **dict.fromkeys(_NETWORK)}

    def blocks(
        self, data: Floats, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelBlocks:
        if len(data) != len(self.matrix):
            raise ValueError(
                f"kernel must be a matrix of the {len(data)} inputs, test inputs last, not of "
                f"{len(self.matrix)}"
            )
        validated()

        def fill(rows: range, columns: range, out: Floats, work: Work) -> None:
            out[...] = self.matrix[rows.start : rows.stop, columns.start : columns.stop]

        return FilledBlocks(self.matrix.diagonal().copy(), _EPS, fill)

    def cross(self, x: Floats, y: Floats, *, threads: int = 0) -> Floats:
        raise ValueError("kernel must be a name or a function for new inputs, not a matrix")

    def diagonal(self, x: Floats, *, threads: int = 0) -> Floats:
        return self.cross(x, x)


def matrix_kernel(values: Any) -> MatrixKernel:
    """Return the kernel of a given matrix; raises ValueError unless it is symmetric and finite."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"kernel must be a square matrix, not an array of shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("kernel must be a matrix of finite numbers")
    asymmetry = np.abs(matrix - matrix.T).max(initial=0.0)
    if asymmetry > _ASYMMETRY * np.abs(matrix.diagonal()).max(initial=0.0):
        raise ValueError(f"kernel must be symmetric, and K_ij - K_ji reaches {asymmetry:.2g}")
    return MatrixKernel(0.5 * (matrix + matrix.T))
