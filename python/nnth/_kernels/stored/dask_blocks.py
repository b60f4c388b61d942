"""A kernel matrix as a dask array, whose blocks are computed when they are needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data, data_of
from nnth._kernels.blocks import KernelBlocks, check_range_of_float32
from nnth._kernels.gram import HALF_UNIT, Precision
from nnth._kernels.kernel import Ntk, infinite_network
from nnth._kernels.network_kernel import NetworkKernel
from nnth._kernels.stored.tiling import SIDE, Tiling
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats
from nnth._runtime.work import validated

if TYPE_CHECKING:
    import dask.array as da

_preparing = threading.Lock()


def gram_blocks(
    x: Data,
    act: str = "relu",
    *,
    depth: int = 10,
    cb: float | None = None,
    cw: float | None = None,
    kernel: Literal["nngp", "ntk"] = "ntk",
    ntk: Ntk = "ntk",
    dtype: Precision = "float64",
    tile: int = SIDE,
) -> da.Array:
    """Return a kernel matrix of a data set as a dask array, whose blocks the core computes.

    The matrix is that of `nnth.gram`. It is not kept: a block is computed whenever dask needs it,
    by the scheduler of dask that is in use, in threads, processes or on a cluster. Blocks below
    the diagonal are the transposed ones above it. So `dask.array.linalg` and all of `dask.array`
    can be used on a matrix that does not fit in memory.

    Args:
        x: Inputs `(m, n_0)`, as in `nnth.gram`; they are a part of the graph of tasks.
        act: Activation, as in `nnth.kernel`.
        depth: Number L of hidden layers, 1 to 10^7.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        kernel: The kernel, "nngp" or "ntk".
        ntk: NTK convention, as in `nnth.kernel`.
        dtype: The type of the entries, "float64" or "float32".
        tile: The number of rows of a block, at least 1.

    Returns:
        A dask array `(m, m)`.

    Raises:
        ValueError: For arguments out of range, and if dask is not installed. Errors of the kernel
            itself, as its overflow, are raised when a block is computed.

    Accuracy and cost of an entry: those of `nnth.gram`, on one thread for each block.

    Example:
        >>> matrix = nnth.gram_blocks("wine", depth=3, tile=100)
        >>> matrix.chunks
        ((100, 78), (100, 78))
        >>> top = matrix @ np.ones(178)  # not computed yet
        >>> float(top.compute().max().round(2))
        680.57

    Source: Lee et al. (2018); Jacot et al. (2018).
    """
    data = data_of(x, "x")
    network = infinite_network(act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel must be nngp or ntk, not {kernel!r}")
    if dtype not in HALF_UNIT:
        raise ValueError(f"dtype must be float64 or float32, not {dtype!r}")
    tiling = Tiling(len(data), check_integer("tile", tile))
    if find_spec("dask") is None:
        raise ValueError("gram_blocks needs dask: pip install 'nnth[cluster]'")
    validated()
    array: Any = import_module("dask.array")
    token = import_module("dask.base").tokenize(data, network.parameters, kernel, dtype, tile)
    name, source = f"{kernel}-{token}", f"inputs-{token}"
    graph: dict[Any, Any] = {source: _Recipe(NetworkKernel(kernel, network), data, dtype)}
    for i, j in tiling.upper():
        graph[name, i, j] = (_block, source, tiling.range(i), tiling.range(j))
        if i != j:
            graph[name, j, i] = (np.transpose, (name, i, j))
    sizes = tuple(tiling.range(i).stop - tiling.range(i).start for i in range(tiling.count))
    made: da.Array = array.Array(graph, name, (sizes, sizes), dtype=dtype)
    return made


@dataclass(frozen=True, eq=False)
class _Recipe:
    """The kernel and the inputs; a process prepares the blocks once."""

    kernel: NetworkKernel
    data: Floats
    dtype: Precision

    @cached_property
    def blocks(self) -> KernelBlocks:
        blocks = self.kernel.blocks(self.data, threads=1)
        if self.dtype == "float32":
            check_range_of_float32(blocks.diagonal, self.kernel.kind)
        return blocks

    def __reduce__(self) -> tuple[Any, ...]:  # without what is prepared
        return _Recipe, (self.kernel, self.data, self.dtype)


def _block(recipe: _Recipe, rows: slice, columns: slice) -> NDArray[Any]:
    with _preparing:  # one of the threads prepares, and the others wait
        blocks = recipe.blocks
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    made: NDArray[Any] = blocks.block(rows, columns, out=np.empty(shape, recipe.dtype))
    return made
