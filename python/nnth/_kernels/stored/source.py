"""Tiles of the kernel matrices of a data set, computed when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnth._kernels.kernel import InfiniteNetwork
from nnth._kernels.network_kernel import Matrices, network_rows
from nnth._kernels.stored.matrices import DType
from nnth._runtime.typing import Floats


@dataclass(frozen=True, eq=False)
class TileSource:
    """Any block of the matrices; made once for a data set.

    An entry has the same bits in every block, whatever process and number of threads computes it.
    """

    network: InfiniteNetwork
    data: Floats
    names: tuple[str, ...]
    dtype: DType
    diagonals: dict[str, Floats]
    method: str

    @classmethod
    def of(cls, network: InfiniteNetwork, data: Floats, kernel: Matrices, dtype: DType, *, threads: int = 0) -> TileSource:
        f = network_rows(network, data, 1, kernel, threads=threads)
        names = names_of(kernel)
        d = {"nngp": f.nngp_diagonal, "ntk": f.ntk_diagonal}
        return cls(network, data, names, dtype, {n: d[n] for n in names}, f.method)

    def tile(self, rows: slice, columns: slice, *, threads: int = 0) -> tuple[dict[str, NDArray[Any]], float]:
        a, b = self.data[rows], self.data[columns]
        f = network_rows(self.network, np.concatenate((a, b)), len(a), "both", threads=threads)
        out = {}
        for name in self.names:
            k = getattr(f, name)[:, len(a):]
            if rows == columns:
                k = getattr(f, name)[:, :len(a)]
            out[name] = np.ascontiguousarray(k, dtype=self.dtype)
        return out, f.error


def names_of(kernel: Matrices) -> tuple[str, ...]:
    return ("nngp", "ntk") if kernel == "both" else (kernel,)
