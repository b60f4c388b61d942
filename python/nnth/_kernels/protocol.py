"""The kernel protocol: the methods of a kernel that Gram matrices, regression and spectra use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nnth._kernels.blocks import KernelBlocks
from nnth._kernels.sphere import AngularValues, Levels
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress


@dataclass(frozen=True, eq=False)
class KernelRows:
    """The first rows `(count, m)` of a kernel matrix, its whole diagonal `(m,)`, and their error.

    `error` estimates the error of an entry relative to the geometric mean of its two diagonal
    entries.
    """

    matrix: Floats
    diagonal: Floats
    error: float


class DataKernel(Protocol):
    """A positive semi-definite kernel of vectors; what needs only blocks is inherited."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the columns of a record that describe the kernel."""
        ...

    def blocks(
        self, data: Floats, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelBlocks:
        """Return the blocks of the kernel matrix of the inputs `(m, n_0)`.

        It checks the inputs, calls `validated()`, and computes the diagonal, and what all blocks
        share. Blocks are computed on `threads` threads, 0 for all. The data must not be changed
        while blocks are asked for. `progress` is called as `progress(0, 1)` a few times a second.
        """
        ...

    def rows(
        self, data: Floats, count: int, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelRows:
        """Return the first `count` rows of the kernel matrix of the inputs `(m, n_0)`."""
        check_memory_of_matrices(count, len(data), 1)
        blocks = self.blocks(data, threads=threads, progress=progress)
        matrix = blocks.block(slice(0, count), slice(None), progress=progress)
        return KernelRows(matrix, blocks.diagonal, blocks.error)

    def cross(self, x: Floats, y: Floats, *, threads: int = 0) -> Floats:
        """Return the matrix K(x_i, y_j) of two sets of inputs."""
        check_memory_of_matrices(len(x), len(y), 1)
        blocks = self.blocks(np.concatenate((x, y)), threads=threads)
        return np.asarray(blocks.block(slice(0, len(x)), slice(len(x), None)))

    def diagonal(self, x: Floats, *, threads: int = 0) -> Floats:
        """Return K(x_i, x_i)."""
        return self.blocks(x, threads=threads).diagonal


class SphereKernel(DataKernel, Protocol):
    """A kernel that on a sphere depends only on the angle of two inputs."""

    def sphere_norm(self, norm: float | None) -> float | None:
        """Return the `|x|^2/n_0` of the sphere, given or by default; None means the unit sphere."""
        ...

    def at_angles(self, angles: Floats, norm: float | None) -> AngularValues:
        """Return the kernel of two inputs on the sphere as a function of their angle."""
        ...

    def levels(self, d: int, count: int, norm: float | None) -> Levels:
        """Return the eigenvalues of the first `count` levels on the sphere S^(d-1)."""
        ...

    def decay(self, d: int) -> float:
        """Return the power of the level with which eigenvalues decay.

        It is -inf for decay faster than any power, and NaN for a polynomial, which has no
        eigenvalues from some level on, and where the power is not known.
        """
        ...


def check_memory_of_matrices(rows: int, inputs: int, matrices: int, size: int = 8) -> None:
    """Raise MemoryError, with the size, if matrices `(rows, inputs)` do not fit in memory.

    size: The number of bytes of an entry.
    """
    needed = size * matrices * rows * inputs
    what = f"x must have fewer than {inputs} rows: {matrices} matrices of {rows} x {inputs}"
    check_memory(needed, what)
