"""What does it cost to write kernel matrices in tiles, and what do two workers and zarr gain?

    python bench/bench_store.py [--inputs 8000] [--dimension 784] [--rounds 3] [--cluster]
    python bench/bench_store.py --compression

The ReLU kernels of depth 3 of random inputs, both matrices in float32, are written to .npy files
and to a zarr group, and by one and by two worker processes with one thread each (--cluster: of a
dask scheduler on this machine). Beside them: the time to compute the same tiles without writing, a
product of the same inputs by NumPy, and the time to write as many bytes. All sides run in turn; the
matrices of all are compared with those in memory. The first round is not counted. Each writer runs
in a process of its own, whose peak memory is shown. Appends a row to bench/bench_store.csv.
--compression prints what compressors save, and their speed, on 1024 x 1024 entries of the tangent
kernel of the digits.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr
from measure import append, machine, ratios, seconds, shown

import nnth
from nnth._kernels.kernel import infinite_network
from nnth._kernels.network_kernel import NetworkBlocks
from nnth._kernels.stored.save_gram import fill_gram
from nnth._kernels.stored.tiling import SIDE, Tiling

DEPTH = 3


def write(arguments: dict[str, object]) -> None:
    """Write the matrices, and print seconds and the peak memory; run as a process of its own."""
    taken = seconds(lambda: fill_gram(**arguments).conclude())  # type: ignore[arg-type]
    print(json.dumps([taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))


def written(**arguments: object) -> tuple[float, float]:
    command = [sys.executable, __file__, "--write", json.dumps(arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    taken, memory = json.loads(done.stdout)
    return taken, memory


def computed(x: np.ndarray) -> float:
    """Return the time to compute all tiles of both matrices, without writing."""
    blocks = NetworkBlocks(infinite_network("relu", depth=DEPTH), x)
    tiling = Tiling(len(x), SIDE)

    def compute() -> None:
        for i, j in tiling.upper():
            rows, columns = tiling.range(i), tiling.range(j)
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            blocks.fill(rows, columns, **{n: np.empty(shape, np.float32) for n in ("nngp", "ntk")})

    return seconds(compute)


def bytes_written(folder: Path, size: int) -> float:
    piece = np.ones(2**24, dtype=np.uint8)

    def work() -> None:
        with (folder / "bytes").open("wb") as stream:
            for _ in range(0, size, len(piece)):
                stream.write(piece)
            os.fsync(stream.fileno())

    taken = seconds(work)
    (folder / "bytes").unlink()
    return taken


def cluster(workers: int) -> "subprocess.Popen[str]":
    script = (
        "import sys; from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        f"    with LocalCluster(n_workers={workers}, threads_per_worker=1) as c:\n"
        "        print(c.scheduler_address, flush=True); sys.stdin.read()\n"
    )
    file = Path(tempfile.gettempdir()) / f"nnth-cluster-{workers}.py"
    file.write_text(script)
    pipe = subprocess.PIPE
    command = [sys.executable, str(file)]
    return subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def check(folder: Path, x: np.ndarray) -> None:
    whole = nnth.gram(x, "relu", depth=DEPTH).ntk
    assert whole is not None
    wanted = whole.astype(np.float32)
    for file in folder.glob("*.zarr"):
        assert np.array_equal(zarr.open_group(file, mode="r")["ntk"][:], wanted), file
    for file in folder.glob("*.ntk.npy"):
        assert np.array_equal(np.load(file, mmap_mode="r"), wanted), file


def compression() -> None:
    whole = nnth.gram("digits", "relu", depth=DEPTH).ntk
    assert whole is not None
    compressors = {
        "none": None,
        "zstd": zarr.codecs.ZstdCodec(level=1),
        "blosc lz4": zarr.codecs.BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"),
        "blosc zstd": zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"),
    }
    for dtype in ("float32", "float64"):
        matrix = whole[:1024, :1024].astype(dtype)
        for name, compressor in compressors.items():
            with tempfile.TemporaryDirectory() as folder:
                array = zarr.create_array(
                    folder, data=matrix, chunks=matrix.shape, compressors=compressor, overwrite=True
                )
                taken = seconds(lambda array=array, matrix=matrix: array.__setitem__(..., matrix))
                assert np.array_equal(array[:], matrix)
                saved = 1.0 - array.nbytes_stored() / matrix.nbytes
            print(f"{dtype} {name}: {saved:.0%} saved, {matrix.nbytes / taken / 1e6:.0f} MB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=8000)
    parser.add_argument("--dimension", type=int, default=784)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--compression", action="store_true")
    parser.add_argument("--write", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.compression:
        compression()
        return
    if given.write:
        write(json.loads(given.write))
        return
    x = np.random.default_rng(0).normal(size=(given.inputs, given.dimension))
    size = 2 * 4 * given.inputs**2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", x)
        common = {"x": str(folder / "x.npy"), "act": "relu", "depth": DEPTH, "dtype": "float32"}
        clusters = {n: cluster(n) for n in (1, 2)} if given.cluster else {}
        addresses = {n: c.stdout.readline().strip() for n, c in clusters.items() if c.stdout}

        def by(workers: int) -> dict[str, object]:
            return {"scheduler": addresses[workers]} if clusters else {"jobs": workers}

        sides: dict[str, Callable[[], tuple[float, float]]] = {
            "product": lambda: (seconds(lambda: x @ x.T), 0.0),
            "tiles": lambda: (computed(x), 0.0),
            "bytes": lambda: (bytes_written(folder, size), 0.0),
            "npy": lambda: written(**common, file=str(folder / "k.npy")),
            "zarr": lambda: written(**common, file=str(folder / "k.zarr")),
            "one_worker": lambda: written(**common, file=str(folder / "one.zarr"), **by(1)),
            "two_workers": lambda: written(**common, file=str(folder / "two.zarr"), **by(2)),
        }
        times: dict[str, list[float]] = {side: [] for side in sides}
        memory: dict[str, float] = {}
        for number in range(given.rounds + 1):
            for side, work in sides.items():
                taken, memory[side] = work()
                if number:
                    times[side].append(taken)
        check(folder, x)
        for process in clusters.values():
            process.communicate()
        shutil.rmtree(folder / "k.zarr")
    gain = ratios(times["one_worker"], times["two_workers"])
    row = {
        "inputs": given.inputs,
        "dimension": given.dimension,
        "gigabytes": size / 1e9,
        **{f"{side}_s": statistics.median(taken) for side, taken in times.items()},
        "gain_of_two": statistics.median(gain),
        "gain_low": min(gain),
        "gain_high": max(gain),
        "memory_gib": memory["zarr"],
        "workers": "dask" if given.cluster else "processes",
        **machine(),
    }
    print(shown(row))
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
