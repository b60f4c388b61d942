"""Kernels on data by name: radial basis functions, and those of infinitely wide networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._kernels.gram import check_memory_of_matrices, gram_rows
from nnth._kernels.kernel import Ntk, core_network, variances
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated

_FAR: Final = 1e10  # |x|^2/S^2 at which the expansion of squares keeps 6 digits
_EPS: Final = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class KernelRows:
    """The first rows `(rows, m)` of a kernel matrix, the whole diagonal `(m,)`, and their error.

    `error` estimates that of an entry over the geometric mean of its two diagonal entries.
    """

    matrix: Floats
    diagonal: Floats
    error: float


@dataclass(frozen=True, eq=False)
class RadialKernel:
    """exp(-|x - y|^2/(2 S^2))."""

    scale: float

    @property
    def parameters(self) -> dict[str, Any]:
        """What a record says of it."""
        network = dict.fromkeys(("act", "depth", "cb", "cw", "ntk"))
        return {"kernel": f"rbf:{self.scale!r}", **network}

    def rows(self, data: Floats, rows: int, **_: Any) -> KernelRows:
        """Return rows of its matrix on a data set."""
        check_memory_of_matrices(rows, len(data), 1)
        validated()
        # From the center distances are differences of the smallest numbers.
        with np.errstate(over="ignore", invalid="ignore"):
            centered = (data - data.mean(axis=0)) / self.scale
            squares = np.einsum("ij,ij->i", centered, centered)
        if not squares.max() < _FAR:
            return self._by_differences(data, rows)
        matrix = centered[:rows] @ centered.T
        matrix -= 0.5 * squares[:rows, None]
        matrix -= 0.5 * squares
        np.minimum(matrix, 0.0, out=matrix)
        np.exp(matrix, out=matrix)
        matrix[np.arange(rows), np.arange(rows)] = 1.0
        error = _EPS * (1.0 + data.shape[1] ** 0.5) * (1.0 + float(squares.max()))
        return KernelRows(matrix, np.ones(len(data)), error)

    def _by_differences(self, data: Floats, rows: int) -> KernelRows:
        """Return the same at any size of the data: from each row's differences, which are slower.

        A distance that overflows is infinite, and the kernel 0. Otherwise the exponent t has a
        relative error of d/2 + 3 roundings, and t exp(-t) is below 1.
        """
        matrix = np.empty((rows, len(data)))
        with np.errstate(over="ignore"):
            for i in range(rows):
                apart = (data - data[i]) / self.scale
                np.exp(-0.5 * np.einsum("ij,ij->i", apart, apart), out=matrix[i])
        return KernelRows(matrix, np.ones(len(data)), _EPS * (0.5 * data.shape[1] + 3.0))


@dataclass(frozen=True, eq=False)
class NetworkKernel:
    """The NNGP kernel, or the tangent kernel, at the output of an infinitely wide network."""

    kind: Literal["nngp", "ntk"]
    act: Activation
    depth: int
    cb: float
    cw: float
    ntk: Ntk
    network: _core.Network

    @property
    def parameters(self) -> dict[str, Any]:
        """What a record says of it."""
        ntk = self.ntk if self.kind == "ntk" else None
        made = {"kernel": self.kind, "act": self.act.name, "depth": self.depth}
        return {**made, "cb": self.cb, "cw": self.cw, "ntk": ntk}

    def rows(
        self, data: Floats, rows: int, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelRows:
        """Return rows of its matrix on a data set."""
        made = gram_rows(
            data, rows, self.act, self.network, self.kind, threads=threads, progress=progress
        )
        nngp = self.kind == "nngp"
        matrix = made.nngp if nngp else made.ntk
        assert matrix is not None
        diagonal = made.nngp_diagonal if nngp else made.ntk_diagonal
        return KernelRows(matrix, diagonal, made.error)


Kernel = RadialKernel | NetworkKernel


def kernel_of(
    kernel: str,
    act: str = "relu",
    *,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
) -> Kernel:
    """Return the kernel named: "rbf:S" (S = 1 by default), "nngp" or "ntk" of a network.

    Raises ValueError for a kernel that is not known and arguments out of range.
    """
    name, mark, text = kernel.partition(":")
    if name == "rbf":
        try:
            scale = float(text) if mark else 1.0
        except ValueError:
            scale = math.nan
        if not 0.0 < scale < math.inf:
            raise ValueError(f"kernel rbf must have a positive finite scale, not {text!r}")
        return RadialKernel(scale)
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel must be rbf:S, nngp or ntk, not {kernel!r}")
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    network = core_network(cb, cw, depth, ntk)
    layers = _core.kernel(
        chosen.core, _core.Method.__members__["auto"], 100, network, _core.Inputs(1.0, 1.0, 1.0)
    )
    if kernel == "ntk" and np.isinf(layers["theta_aa"][-1]):
        raise ValueError(f"kernel must be nngp for act {act}, whose tangent kernel is infinite")
    return NetworkKernel("nngp" if kernel == "nngp" else "ntk", chosen, depth, cb, cw, ntk, network)
