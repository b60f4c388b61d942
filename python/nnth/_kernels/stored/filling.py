"""Compute the tiles of kernel matrices and write them, here, in processes or on a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth._data.saving import system_errors_naming
from nnth._kernels.kernel import AnyNetwork
from nnth._kernels.network_kernel import Matrices, NetworkBlocks
from nnth._kernels.stored.journal import Journal, StoreError
from nnth._kernels.stored.place import Place
from nnth._kernels.stored.tiling import Tile
from nnth._runtime.typing import Progress
from nnth._runtime.workers import Lost, in_processes

# Computes tiles and writes them; `done` is told of those on the disk.
Engine: TypeAlias = Callable[[Sequence[Tile], "Reports"], None]

_PARTS: Final = 100  # of a tile, in reports of progress


@dataclass
class Reports:
    """What an engine reports: tiles on the disk, and how far it is with the next.

    Progress is that of this call in hundredths of tiles, so that it gives the time that is left.
    """

    journal: Journal
    progress: Progress | None
    total: int
    finished: int = 0

    def done(self, tile: Tile, error: float) -> None:
        """Take note of a tile that is on the disk."""
        self.journal.add(tile, error)
        self.finished += 1
        self._show(0)

    def within(self, done: int, total: int) -> None:
        """Take note of the progress within a tile, whose predecessor may be unfinished."""
        self._show(min(_PARTS - 1, max(1, _PARTS * done // max(total, 1))))

    def _show(self, parts: int) -> None:
        if self.progress is not None:
            self.progress(_PARTS * self.finished + parts, _PARTS * self.total)


def fill(
    engine: Engine, journal: Journal, tiles: Iterable[Tile], progress: Progress | None
) -> None:
    """Let the engine compute the tiles that the journal lacks."""
    missing = [tile for tile in tiles if tile not in journal.errors]
    if missing:
        engine(missing, Reports(journal, progress, len(missing)))


def _computed(
    blocks: NetworkBlocks, place: Place, tile: Tile, progress: Progress | None = None
) -> dict[str, NDArray[Any]]:
    """Return a tile of each matrix."""
    rows, columns = _ranges(place, tile)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    made: dict[str, Any] = {name: np.empty(shape, place.dtype) for name in place.names}
    blocks.fill(rows, columns, progress=progress, **made)
    return made


def _write(place: Place, tile: Tile, made: Mapping[str, NDArray[Any]]) -> None:
    """Write a tile of each matrix and its mirror image, and return when they are on the disk."""
    rows, columns = _ranges(place, tile)
    with system_errors_naming(place.file):
        for name, matrix in place.unfinished().items():
            block = made[name]
            mirrored = [] if rows == columns else [(columns, rows, block.T)]
            matrix.write([(rows, columns, block), *mirrored])


def _ranges(place: Place, tile: Tile) -> tuple[slice, slice]:
    return place.tiling.range(tile[0]), place.tiling.range(tile[1])


def here(blocks: NetworkBlocks, place: Place) -> Engine:
    """Return the engine of this process, which computes a tile while the last one is written."""

    def compute(tiles: Sequence[Tile], reports: Reports) -> None:
        last: tuple[Tile, float, Future[None]] | None = None

        def settle() -> None:
            nonlocal last
            if last is not None:
                (tile, error, written), last = last, None
                written.result()
                reports.done(tile, error)

        with ThreadPoolExecutor(1) as writer:
            try:
                for tile in tiles:
                    made = _computed(blocks, place, tile, reports.within)
                    settle()
                    last = tile, blocks.error, writer.submit(_write, place, tile, made)
            finally:  # after Ctrl-C, too: the tile is whole
                settle()

    return compute


@dataclass(frozen=True)
class TileWorker:
    """The function by which a worker process computes a tile and writes it.

    The files must be at the same place for all processes. Each reads the inputs once, and keeps
    what it has prepared for the last `token`, which stands for inputs and arguments. A worker of
    a call that was killed may go on after other work has begun in the same folder; it finds no
    inputs of its token then, and writes nothing.
    """

    place: Place
    network: AnyNetwork
    kernel: Matrices
    token: str

    def __call__(self, tile: Tile) -> float:
        with _preparing:  # one thread of a process prepares, and the others wait
            blocks = _prepared(self.token, self.place, self.network, self.kernel)
        made = _computed(blocks, self.place, tile)
        self.place.check_inputs(self.token)
        _write(self.place, tile, made)
        return blocks.error


_preparing = threading.Lock()


@lru_cache(maxsize=1)
def _prepared(token: str, place: Place, network: AnyNetwork, kernel: Matrices) -> NetworkBlocks:
    place.check_inputs(token)
    return NetworkBlocks(network, np.load(place.inputs(token)), kernel, threads=1)


def in_workers(worker: TileWorker, jobs: int) -> Engine:
    """Return the engine of worker processes of this machine, with one thread each."""
    return partial(_by_workers, lambda tiles: in_processes(worker, tiles, jobs))


def on_scheduler(worker: TileWorker, address: str) -> Engine:
    """Return the engine of a dask cluster, with one thread for each tile."""
    from nnth._runtime.cluster import on_cluster

    return partial(_by_workers, lambda tiles: on_cluster(worker, tiles, address))


def _by_workers(
    results: Callable[[Sequence[Tile]], Iterator[tuple[Tile, float | Lost]]],
    tiles: Sequence[Tile],
    reports: Reports,
) -> None:
    """Compute the tiles, and those again whose workers were killed, while any is finished."""
    while tiles:
        lost: list[Tile] = []
        for tile, result in results(tiles):
            if isinstance(result, Lost):
                lost.append(tile)
                reason = result.reason
            else:
                reports.done(tile, result)
        if len(lost) == len(tiles):
            raise StoreError(f"no worker has finished a tile: {reason}")
        tiles = lost
