"""A kernel matrix as an operator: products with vectors, without the matrix in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Final, TypeVar

import numpy as np

from nnth import _core
from nnth._kernels.blocks import KernelBlocks, range_of
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats, Progress

R = TypeVar("R")

# The side of a tile: at least that of some milliseconds, and at most that of some ten.
_LEAST_SIDE: Final = 128
_MOST_SIDE: Final = 512
_TILES_A_SIDE: Final = 16  # so many tiles a side keep all threads busy


class KernelOperator:
    """The kernel matrix of m inputs, or a block of it, that multiplies vectors.

    The product is the sum over tiles T_IJ of the matrix, each computed when it is needed and not
    kept::

        (K V)_I = sum_J T_IJ V_J

    On one side of the diagonal, T_JI = T_IJ' is the same tile, and is used for both. Tiles are
    computed and multiplied by several threads, each tile by one thread and a BLAS of one thread,
    and their products are added in the order of the tiles. So the result is the same to the last
    bit for any number of threads, with one BLAS on one machine.

    Attributes:
        shape: The numbers of rows and columns.
        products: The number of products with a matrix that were computed so far.
    """

    def __init__(
        self,
        blocks: KernelBlocks,
        *,
        rows: slice = slice(None),
        columns: slice = slice(None),
        threads: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Take the blocks of a kernel.

        Args:
            blocks: The blocks, as `DataKernel.blocks` returns them.
            rows: Consecutive inputs, those of the rows of the operator; all by default.
            columns: Consecutive inputs, those of its columns; all by default.
            threads: Number of threads, 0 for all.
            progress: Called as `progress(done, total)` with numbers of tiles, in each product.

        Raises:
            ValueError: If the diagonal of the kernel is not finite.
        """
        if not np.isfinite(blocks.diagonal).all():
            raise ValueError("kernel must have a finite diagonal to multiply vectors")
        self._blocks = blocks
        self._rows, self._columns = range_of(rows, blocks.inputs), range_of(columns, blocks.inputs)
        self._symmetric = self._rows == self._columns
        self._threads = _core.thread_count(threads)
        self._progress = progress
        self.shape = (len(self._rows), len(self._columns))
        self.products = 0

    @property
    def blocks(self) -> KernelBlocks:
        """Return the blocks of the kernel."""
        return self._blocks

    @property
    def error(self) -> float:
        """Return the estimated error of the entries that were computed so far."""
        return self._blocks.error

    @property
    def diagonal(self) -> Floats:
        """Return the entries K(x_i, x_i) of the rows."""
        return self._blocks.diagonal[self._rows.start : self._rows.stop]

    @serial_blas
    def __matmul__(self, v: Floats) -> Floats:
        """Return K V for V `(columns,)` or `(columns, k)`.

        Cost: that of the entries of the matrix, or of half of them where rows and columns are the
        same, and k multiplications an entry. Memory: V, the product, and two tiles of at most 2 MB
        for each thread.
        """
        values = np.ascontiguousarray(v, dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != self.shape[1]:
            raise ValueError(f"a factor must have {self.shape[1]} rows, not shape {values.shape}")
        factor = values[:, None] if values.ndim == 1 else values
        product = np.zeros((self.shape[0], factor.shape[1]))
        tiles = list(self._tiles())
        with _in_order(self._multiplied(factor), tiles, self._threads) as results:
            for done, (tile, result) in enumerate(zip(tiles, results, strict=True), 1):
                product[tile.rows] += result.down
                if result.across is not None:
                    product[tile.columns] += result.across
                if self._progress is not None:
                    self._progress(done, len(tiles))
        self.products += 1
        return product[:, 0] if values.ndim == 1 else product

    def _tiles(self) -> Iterator[_Tile]:
        """Yield the tiles, of a symmetric operator those on and above the diagonal."""
        rows, columns = _cuts(self.shape[0]), _cuts(self.shape[1])
        for i, down in enumerate(rows):
            for j, across in enumerate(columns):
                if not self._symmetric or j >= i:
                    yield _Tile(down, across, self._symmetric and j > i)

    def _multiplied(self, factor: Floats) -> Callable[[_Tile, Event], _Products]:
        """Return the function of a tile that computes it, and multiplies it by its factors."""
        top, left = self._rows.start, self._columns.start

        def multiply(tile: _Tile, stop: Event) -> _Products:
            def check(done: int, total: int) -> None:
                if stop.is_set():
                    raise _StoppedError

            check(0, 1)
            entries = self._blocks.block(
                _shifted(tile.rows, top), _shifted(tile.columns, left), threads=1, progress=check
            )
            across = entries.T @ factor[tile.rows] if tile.mirrored else None
            return _Products(entries @ factor[tile.columns], across)

        return multiply


@dataclass(frozen=True)
class _Tile:
    """Rows and columns of the operator, and whether the tile stands for its mirror image too."""

    rows: slice
    columns: slice
    mirrored: bool


@dataclass(frozen=True)
class _Products:
    """The products of a tile, for its rows; and of its mirror image, for its columns."""

    down: Floats
    across: Floats | None


class _StoppedError(Exception):
    """Another thread has stopped the product."""


@contextmanager
def _in_order(
    function: Callable[[_Tile, Event], R], tiles: list[_Tile], threads: int
) -> Iterator[Iterator[R]]:
    """Give the values of the function at all tiles in order, computed by several threads.

    At most two values for each thread are kept. However the block ends, the threads end with it.
    """
    stop = Event()
    waiting: deque[Future[R]] = deque()
    executor = ThreadPoolExecutor(threads)

    def results() -> Iterator[R]:
        for tile in tiles:
            if len(waiting) == 2 * threads:
                yield waiting.popleft().result()
            waiting.append(executor.submit(function, tile, stop))
        while waiting:
            yield waiting.popleft().result()

    try:
        yield results()
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


def _cuts(count: int) -> list[slice]:
    """Return the sides of the tiles, which depend on nothing but the number of inputs."""
    side = min(_MOST_SIDE, max(_LEAST_SIDE, -(-count // (64 * _TILES_A_SIDE)) * 64))
    return [slice(at, min(count, at + side)) for at in range(0, count, side)]


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
