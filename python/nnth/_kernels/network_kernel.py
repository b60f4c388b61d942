"""The kernels of an infinitely wide network as kernels of data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from nnth import _core
from nnth._activations.smoothness import polynomial, roughness
from nnth._kernels.kernel import InfiniteNetwork
from nnth._kernels.protocol import KernelRows, SphereKernel, check_memory_of_matrices
from nnth._kernels.sphere import AngularValues, Levels, funk_hecke
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated

_TINY: Final = float(np.finfo(float).tiny)  # smaller doubles have fewer digits

Matrices = Literal["nngp", "ntk", "both"]


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
    validated()
    nngp, ntk = (
        np.empty((count, len(data))) if matrices in (name, "both") else None
        for name in ("nngp", "ntk")
    )
    error, method, nngp_diagonal, ntk_diagonal = _core.gram_into(
        network.act.core, network.config, data, threads, progress, nngp, ntk
    )
    return NetworkRows(nngp, ntk, nngp_diagonal, ntk_diagonal, error, method)


@dataclass(frozen=True, eq=False)
class NetworkKernel(SphereKernel):
    """The NNGP kernel, or the tangent kernel, at the output of an infinitely wide network."""

    kind: Literal["nngp", "ntk"]
    network: InfiniteNetwork

    @property
    def parameters(self) -> dict[str, Any]:
        described = {"kernel": self.kind, **self.network.parameters}
        return described if self.kind == "ntk" else {**described, "ntk": None}

    def rows(
        self, data: Floats, count: int, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelRows:
        found = network_rows(
            self.network, data, count, self.kind, threads=threads, progress=progress
        )
        nngp = self.kind == "nngp"
        matrix = found.nngp if nngp else found.ntk
        assert matrix is not None
        return KernelRows(matrix, found.nngp_diagonal if nngp else found.ntk_diagonal, found.error)

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
