"""The kernels of an infinitely wide network as kernels of data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Literal

import numpy as np

from nnth._activations.smoothness import polynomial, roughness
from nnth._kernels.blocks import KernelBlocks, Numbers, block_memory, bounds, range_of
from nnth._kernels.kernel import AnyNetwork, InfiniteNetwork
from nnth._kernels.protocol import SphereKernel, check_memory_of_matrices
from nnth._kernels.sphere import AngularValues, Levels, funk_hecke
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated

_TINY: Final = float(np.finfo(float).tiny)  # smaller doubles have fewer digits

Matrices = Literal["nngp", "ntk", "both"]


class NetworkBlocks:
    """Blocks of the NNGP and of the tangent kernel of inputs `(m, n_0)`.

    The data are not copied, and must not be changed. An entry has the same bits in any block, with
    any number of threads.

    Attributes:
        inputs: The number m of inputs.
        nngp_diagonal: The diagonal `(m,)` of the NNGP kernel.
        ntk_diagonal: The diagonal `(m,)` of the tangent kernel.
        method: How pairs of inputs are computed, as in `Gram`.
    """

    def __init__(
        self,
        network: AnyNetwork,
        data: Floats,
        matrices: Matrices = "both",
        *,
        threads: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Compute the diagonals, and what all blocks of the matrices share; raises as `gram`."""
        validated()
        self._core = network.blocks(data, matrices != "nngp", threads, progress)
        self._threads = threads
        self._lock = Lock()
        self._found = 0.0
        self.inputs = len(data)
        self.nngp_diagonal = self._core.nngp_diagonal
        self.ntk_diagonal = self._core.ntk_diagonal
        self.method = self._core.method

    @property
    def error(self) -> float:
        """Return the estimated error of the diagonals and of the blocks computed so far."""
        return float(np.maximum(self._core.error, self._found))

    def fill(
        self,
        rows: slice,
        columns: slice,
        *,
        nngp: Numbers | None = None,
        ntk: Numbers | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Fill blocks of one or both matrices, which must both be float64 or both float32.

        Args: as `KernelBlocks.block` has them.
        """
        i, j = range_of(rows, self.inputs), range_of(columns, self.inputs)
        many = self._threads if threads is None else threads
        found = self._core.fill(bounds(i), bounds(j), many, progress, nngp, ntk)
        with self._lock:  # blocks may be computed by several threads
            self._found = float(np.maximum(self._found, found))


@dataclass(frozen=True, eq=False)
class OneNetworkKernel:
    """Blocks of one of the two kernels: `KernelBlocks`."""

    kind: Literal["nngp", "ntk"]
    both: NetworkBlocks

    @property
    def inputs(self) -> int:
        """Return the number m of inputs."""
        return self.both.inputs

    @property
    def diagonal(self) -> Floats:
        """Return the diagonal `(m,)`."""
        return self.both.nngp_diagonal if self.kind == "nngp" else self.both.ntk_diagonal

    @property
    def error(self) -> float:
        """Return the estimated error of the diagonal and of the blocks computed so far."""
        return self.both.error

    def block(
        self,
        rows: slice,
        columns: slice,
        *,
        out: Numbers | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Return a block; see `KernelBlocks`."""
        i, j = range_of(rows, self.inputs), range_of(columns, self.inputs)
        memory = block_memory(out, i, j)
        nngp, ntk = (memory, None) if self.kind == "nngp" else (None, memory)
        self.both.fill(rows, columns, nngp=nngp, ntk=ntk, threads=threads, progress=progress)
        return memory


@dataclass(frozen=True, eq=False)
class NetworkRows:
    """The first rows `(count, m)` of kernel matrices, and whole diagonals `(m,)`; see `Gram`."""

    nngp: Floats | None
    ntk: Floats | None
    nngp_diagonal: Floats
    ntk_diagonal: Floats
    error: float
    method: str


def network_rows(
    network: InfiniteNetwork,
    data: Floats,
    count: int,
    matrices: Matrices,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> NetworkRows:
    """Return the first `count` rows of the matrices of `gram`, the same to the last bit.

    data: `(m, n_0)`; count: 1 to m. Time and memory are those of the entries that are returned.
    Raises as `gram` does.
    """
    check_memory_of_matrices(count, len(data), 2 if matrices == "both" else 1)
    blocks = NetworkBlocks(network, data, matrices, threads=threads, progress=progress)
    nngp, ntk = (
        np.empty((count, len(data))) if matrices in (name, "both") else None
        for name in ("nngp", "ntk")
    )
    blocks.fill(slice(0, count), slice(None), nngp=nngp, ntk=ntk, progress=progress)
    return NetworkRows(
        nngp, ntk, blocks.nngp_diagonal, blocks.ntk_diagonal, blocks.error, blocks.method
    )


@dataclass(frozen=True, eq=False)
class NetworkKernel(SphereKernel):
    """The NNGP kernel, or the tangent kernel, at the output of an infinitely wide network."""

    kind: Literal["nngp", "ntk"]
    network: InfiniteNetwork

    @property
    def parameters(self) -> dict[str, Any]:
        described = {"kernel": self.kind, **self.network.parameters}
        return described if self.kind == "ntk" else {**described, "ntk": None}

    def blocks(
        self, data: Floats, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelBlocks:
        both = NetworkBlocks(self.network, data, self.kind, threads=threads, progress=progress)
        return OneNetworkKernel(self.kind, both)

    def sphere_norm(self, norm: float | None) -> float | None:
        """Return 1/C_w by default, at which the first layer has the kernel C_b + cos(theta).

        Raises ValueError if C_w is 0, or its inverse is not a double.
        """
        if norm is not None:
            return norm
        cw = self.network.cw
        if cw < _TINY:
            rule = "above 0" if cw == 0.0 else f"at least {_TINY:g}"
            raise ValueError(f"cw must be {rule} on the sphere, or norm be given, not {cw:g}")
        return 1.0 / cw

    def at_angles(self, angles: Floats, norm: float | None) -> AngularValues:
        assert norm is not None
        # The kernels depend only on norms and angles: two coordinates are enough.
        radius = math.sqrt(2.0) * math.sqrt(norm)  # 2 norm may overflow
        circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
        rows = self.rows(radius * np.concatenate(([[1.0, 0.0]], circle)), 1)
        return AngularValues(rows.matrix[0, 1:], float(rows.diagonal[0]), rows.error)

    def levels(self, d: int, count: int, norm: float | None) -> Levels:
        return funk_hecke(lambda angles: self.at_angles(angles, norm), d, count)

    def decay(self, d: int) -> float:
        """Return the power of the level, from the roughness of the activation.

        A kernel whose first power of the angle that is not smooth on the sphere is theta^a has mu_k
        ~ k^(1 - d - a) (Bietti and Bach 2021, theorem 1), as has theta^a log theta for even a.
        Where the p-th derivative of the activation is the first that jumps, or it has a term
        |z - z_0|^p, a = 2p + 1 (nngp) or 2p - 1 (ntk) at any depth, but for nngp and p < 1/2: then
        1 - cos theta' ~ theta^(2p + 1) is larger than theta^2, a layer takes theta to a power of
        it, and a = 2 (p + 1/2)^L after L of them.
        """
        expression = self.network.act.expression
        order = roughness(expression)
        if math.isinf(order):
            return math.nan if polynomial(expression) else -math.inf
        if self.kind == "ntk":
            return 1.0 - d - (2.0 * order - 1.0) if order > 0.5 else math.nan
        depth = self.network.depth
        power = 2.0 * order + 1.0 if order >= 0.5 else 2.0 * (order + 0.5) ** depth
        return 1.0 - d - power
