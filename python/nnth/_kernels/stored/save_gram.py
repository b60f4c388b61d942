"""Kernel matrices of a data set in files, which need not fit in memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np

from nnth import __version__
from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.blocks import check_range_of_float32
from nnth._kernels.gram import HALF_UNIT, Precision
from nnth._kernels.kernel import Ntk, network_of
from nnth._kernels.network_kernel import Matrices, NetworkBlocks
from nnth._kernels.stored.filling import TileWorker, fill, here, in_workers, on_scheduler
from nnth._kernels.stored.journal import Journal, StoreError
from nnth._kernels.stored.place import Place
from nnth._kernels.stored.stored_gram import StoredGram
from nnth._kernels.stored.tiling import SIDE, Tiling
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._tables.table import Meta, Table

MAX_JOBS: Final = 1024


def save_gram(
    x: Data,
    file: str | os.PathLike[str],
    act: str | None = None,
    *,
    layers: str | None = None,
    depth: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    kernel: Matrices = "both",
    ntk: Ntk = "ntk",
    dtype: Precision = "float64",
    tile: int = SIDE,
    jobs: int = 0,
    scheduler: str | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Write the kernel matrices of a data set to files, in tiles, and return a row for each.

    The matrices are those of `nnth.gram`. They need not fit in memory: tiles on and above the
    diagonal are computed one after another and written, as are their mirror images. A call that
    was ended in any way, by SIGKILL too, is continued by the same call, which computes the tiles
    that are not on the disk yet. Until all are, they are in a folder beside the file whose name
    ends in `.unfinished`; then the matrices get their names, and the folder is removed.

    Args:
        x: Inputs `(m, n_0)`, as in `nnth.gram`.
        file: A name that ends in `.npy`: the file of the matrix, for `numpy.load(file,
            mmap_mode="r")`; for kernel "both", k.npy stands for k.nngp.npy and k.ntk.npy. Or one
            that ends in `.zarr`: a zarr group with the arrays nngp and ntk, whose chunks are the
            tiles; it needs the package zarr. Files of this name are replaced.
        act: Activation, as in `nnth.kernel`.
        layers: The layers of the network, instead of `act` and `depth`, as in `nnth.kernel`.
        depth: Number L of hidden layers, 1 to 10^7; 10 by default.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        kernel: The matrices: "nngp", "ntk" or "both".
        ntk: NTK convention, as in `nnth.kernel`.
        dtype: The type of the entries in the files, "float64" or "float32".
        tile: The number of rows of a tile, at least 1.
        jobs: The number of worker processes on this machine that compute, with a thread each; 0
            for this process. A script needs `if __name__ == "__main__":` for them.
        scheduler: The address of a dask scheduler, as in tcp://127.0.0.1:8786, whose workers
            compute; they must see the folder of `file` at the same path, and `file` must end in
            `.zarr`.
        threads: Number of threads of this process, 0 for all.
        progress: Called as `progress(done, total)` with hundredths of tiles of this call, and then
            of those that are read for eigenvalues.

    Returns:
        A Table with the columns of `Gram.table` and `note`. If m is at most 20000 and the matrices
        fit in memory, all eigenvalues are computed; otherwise the largest one, by the Lanczos
        method, and min_eigenvalue and condition are NaN. `eigenvalue_error` then bounds the
        distance to an eigenvalue by the residual.

    Raises:
        ValueError: For arguments out of range, and if the folder of unfinished work was begun with
            other arguments, other inputs or by another version.
        OSError: If the matrices do not fit on the disk, with their size, before any work.

    Accuracy: that of `nnth.gram`, and the rounding to `dtype`. The bytes do not depend on threads,
    workers and interruptions. Cost: that of `nnth.gram`, and the time to write; memory: some
    tiles, under 1 GiB for those of 2048 rows, and the inputs.

    Example:
        >>> table = nnth.save_gram("wine", "k.npy", depth=3, kernel="ntk")
        >>> np.load("k.npy", mmap_mode="r").shape
        (178, 178)

    Source: Lee et al. (2018); Jacot et al. (2018); for Lanczos Parlett (1998).
    """
    stored = fill_gram(
        x,
        file,
        act,
        layers=layers,
        depth=depth,
        cb=cb,
        cw=cw,
        kernel=kernel,
        ntk=ntk,
        dtype=dtype,
        tile=tile,
        jobs=jobs,
        scheduler=scheduler,
        threads=threads,
        progress=progress,
    )
    table = stored.table(threads=threads, progress=progress)
    stored.conclude()
    return table


def fill_gram(
    x: Data,
    file: str | os.PathLike[str],
    act: str | None = None,
    *,
    layers: str | None = None,
    depth: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    kernel: Matrices = "both",
    ntk: Ntk = "ntk",
    dtype: Precision = "float64",
    tile: int = SIDE,
    jobs: int = 0,
    scheduler: str | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> StoredGram:
    """Write the matrices of `save_gram`, whose folder of unfinished work stays for its table."""
    data = data_of(x, "x")
    network = network_of(act, layers, depth=depth, cb=cb, cw=cw, ntk=ntk)
    if kernel not in get_args(Matrices):
        raise ValueError(f"kernel must be nngp, ntk or both, not {kernel!r}")
    if dtype not in HALF_UNIT:
        raise ValueError(f"dtype must be float64 or float32, not {dtype!r}")
    inputs, dimension = data.shape
    side = min(check_integer("tile", tile), inputs)
    names = ("nngp", "ntk") if kernel == "both" else (kernel,)
    place = Place(Path(file), names, Tiling(inputs, side), dtype)
    place.check()
    _check_workers(jobs, scheduler, place)
    _check_not_read(x, place)
    check_memory(8 * len(names) * 8 * side**2, f"tile must be smaller: tiles of {side} x {side}")
    blocks = NetworkBlocks(network, data, kernel, threads=threads)
    diagonals = {"nngp": blocks.nngp_diagonal, "ntk": blocks.ntk_diagonal}
    if dtype == "float32":
        for name in names:
            check_range_of_float32(diagonals[name], name)
    header = {
        "nnth": __version__,
        "form": place.form,
        **network.parameters,
        "kernel": kernel,
        "dtype": dtype,
        "tile": tile,
        "inputs": [inputs, dimension],
        "sha256": hashlib.sha256(np.ascontiguousarray(data).data).hexdigest(),
    }
    journal = _opened(place, header)
    try:
        engine = here(blocks, place)
        if jobs or scheduler is not None:
            token = hashlib.sha256(json.dumps(header).encode()).hexdigest()[:16]
            np.save(place.inputs(token), data)
            worker = TileWorker(_at_one_path(place), network, kernel, token)
            engine = in_workers(worker, jobs) if jobs else on_scheduler(worker, str(scheduler))
        fill(engine, journal, place.tiling.upper(), progress)
        error = max(journal.errors.values()) + HALF_UNIT[dtype]
        place.publish({**header, "error": error})
    except BaseException as stopped:
        if not journal.errors:
            place.remove_folder()
        elif isinstance(stopped, KeyboardInterrupt):
            done = f"{len(journal.errors)} of {len(place.tiling.upper())} tiles"
            reason = f"{done} are in {place.folder}; run it again for the rest"
            raise KeyboardInterrupt(reason) from None
        raise
    finally:
        journal.close()
    parameters = {
        **{"x": file_of(x), **network.parameters, "points": inputs, "n0": dimension},
        **{"x_test": None, "points_test": None, "dtype": dtype},
    }
    return StoredGram(place, diagonals, error, blocks.method, Meta("gram", parameters))


def _check_workers(jobs: int, scheduler: str | None, place: Place) -> None:
    check_integer("jobs", jobs, minimum=0, maximum=MAX_JOBS)
    if jobs and scheduler is not None:
        raise ValueError("jobs and scheduler must not both be given")
    if scheduler is not None and place.form == "npy":
        raise ValueError(
            f"file must end in .zarr with scheduler, as machines must not write to one file, "
            f"not {str(place.file)!r}"
        )


def _check_not_read(x: Data, place: Place) -> None:
    if not isinstance(x, str | os.PathLike) or not Path(x).exists():
        return
    for target in place.targets:
        if target.exists() and target.samefile(x):
            raise ValueError(f"file must not be a file to read: {target}")


def _at_one_path(place: Place) -> Place:
    """Return the place with an absolute path, for other processes."""
    return replace(place, file=place.file.absolute())


def _opened(place: Place, header: Mapping[str, Any]) -> Journal:
    """Return the journal, of a folder that is made anew or of one with unfinished work."""
    new = not place.folder.exists()
    place.folder.mkdir(exist_ok=True)
    journal = Journal(place.journal, header)
    try:
        if not journal.begun:
            place.create(header)
            journal.begin()
        elif not place.whole() or (
            place.published() and len(journal.errors) < len(place.tiling.upper())
        ):
            raise StoreError(f"{place.folder} has no matrices: remove it")
    except BaseException:
        if new:
            place.remove_folder()
        journal.close()
        raise
    return journal
