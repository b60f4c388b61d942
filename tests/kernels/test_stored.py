"""Kernel matrices in files: the same numbers as in memory, whatever is asked for and goes wrong."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import nnth
from nnth import gram, gram_blocks, save_gram
from nnth._kernels.kernel import infinite_network
from nnth._kernels.stored import stored_gram
from nnth._kernels.stored.filling import TileWorker
from nnth._kernels.stored.journal import Journal, StoreError
from nnth._kernels.stored.place import Place
from nnth._kernels.stored.tiling import Tiling

ROWS = 45
FORMS = ("npy", "zarr")


@pytest.fixture
def x() -> NDArray[np.float64]:
    return np.random.default_rng(3).normal(size=(ROWS, 5))


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(form: str, name: str = "ntk", file: str = "k") -> NDArray[Any]:
    """Return a matrix as a user would read it."""
    if form == "npy":
        matrix: NDArray[Any] = np.load(f"{file}.{name}.npy", mmap_mode="r")
        return matrix
    zarr = pytest.importorskip("zarr")
    return np.asarray(zarr.open_group(f"{file}.zarr", mode="r")[name])


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def needs(form: str) -> None:
    if form == "zarr":
        pytest.importorskip("zarr")


# The numbers.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("act", "tile"),
    [("relu", 1), ("relu", 45), ("relu", 100), ("gelu", 7), ("step", 44), ("tanh", 20)],
)
def test_the_bits_of_the_matrices_in_memory(
    form: str, act: str, tile: int, x: NDArray[np.float64]
) -> None:
    if tile == 1:
        x = x[:6]
    needs(form)
    whole = gram(x, act, depth=2, cb=0.1, cw=0.8)
    table = save_gram(x, f"k.{form}", act, depth=2, cb=0.1, cw=0.8, tile=tile)
    for name, matrix in whole.arrays().items():
        assert np.array_equal(read(form, name), matrix)
    assert table["error"][0] == whole.error
    in_memory = whole.table()
    for name, column in in_memory.items():
        assert np.array_equal(table[name], column, equal_nan=column.dtype == float)
    assert table.constants == in_memory.constants
    assert files() == (["k.zarr"] if form == "zarr" else ["k.nngp.npy", "k.ntk.npy"])


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_one_matrix_has_the_name_that_is_given(
    kernel: Literal["nngp", "ntk"], x: NDArray[np.float64]
) -> None:
    save_gram(x, "k.npy", depth=2, kernel=kernel, tile=9)
    assert files() == ["k.npy"]
    assert np.array_equal(np.load("k.npy"), gram(x, depth=2).arrays()[kernel])


@pytest.mark.parametrize("form", FORMS)
def test_single_precision_is_rounded_once(form: str, x: NDArray[np.float64]) -> None:
    needs(form)
    table = save_gram(x, f"k.{form}", depth=2, dtype="float32", tile=20)
    single, whole = read(form), gram(x, depth=2)
    assert single.dtype == np.float32
    assert whole.ntk is not None
    assert np.array_equal(single, whole.ntk.astype(np.float32))
    assert table["error"][0] == pytest.approx(2.0**-24, rel=1e-3)
    true, bound = whole.table(), table["eigenvalue_error"]
    for name in ("min_eigenvalue", "max_eigenvalue"):
        assert (abs(table[name] - true[name]) <= bound).all()


@pytest.mark.subprocess
@pytest.mark.parametrize("form", FORMS)
def test_processes_write_the_same_bytes(form: str, x: NDArray[np.float64]) -> None:
    needs(form)
    save_gram(x, f"k.{form}", "gelu", depth=2, tile=16)
    save_gram(x, f"j.{form}", "gelu", depth=2, tile=16, jobs=2)
    for name in ("nngp", "ntk"):
        assert np.array_equal(read(form, name), read(form, name, "j"))


@pytest.mark.threads
def test_threads_write_the_same_bytes(x: NDArray[np.float64]) -> None:
    for threads in (1, 3):
        save_gram(x, f"k{threads}.npy", kernel="ntk", depth=2, tile=16, threads=threads)
    assert Path("k1.npy").read_bytes() == Path("k3.npy").read_bytes()


# Eigenvalues of matrices that do not fit in memory.


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """All eigenvalues take more memory than there is."""
    monkeypatch.setattr(stored_gram, "available_memory", lambda: 10)


@pytest.mark.parametrize(
    ("form", "act", "scale", "tile"),
    [
        ("zarr", "relu", 1.0, 9),
        ("npy", "relu", 1.0, 100),
        ("npy", "sin", 1.0, 20),
        ("npy", "relu", 1e150, 20),
        ("npy", "relu", 1e-150, 20),
        ("npy", "linear", 1.0, 9),
    ],
)
@pytest.mark.usefixtures("no_memory")
def test_the_largest_eigenvalue(
    form: str, act: str, scale: float, tile: int, x: NDArray[np.float64]
) -> None:
    needs(form)
    steps: list[tuple[int, int]] = []
    table = save_gram(
        scale * x,
        f"k.{form}",
        act,
        depth=2,
        cb=0.0,
        cw=1.0,
        tile=tile,
        progress=lambda *at: steps.append(at),
    )
    true = gram(scale * x, act, depth=2, cb=0.0, cw=1.0).table()
    assert np.isnan(table["min_eigenvalue"]).all()
    assert np.isnan(table["condition"]).all()
    assert table["trace"] == pytest.approx(true["trace"], rel=1e-13)
    difference = abs(table["max_eigenvalue"] - true["max_eigenvalue"])
    assert (difference <= table["eigenvalue_error"]).all()
    # The error of a Ritz value is of the order of the square of its residual.
    assert table["max_eigenvalue"] == pytest.approx(true["max_eigenvalue"], rel=1e-12)
    assert (table["eigenvalue_error"] <= 2e-7 * table["max_eigenvalue"]).all()
    assert all(0 < done <= total for done, total in steps)
    assert "largest eigenvalue after" in table["note"][0]
    assert "others not computed" in table["note"][0]


@pytest.mark.usefixtures("no_memory")
def test_special_matrices(x: NDArray[np.float64]) -> None:
    for name, data in (("zeros", 0.0 * x), ("equal", np.ones_like(x)), ("one", x[:1])):
        table = save_gram(data, "k.npy", depth=1, tile=10)
        true = gram(data, depth=1).table()
        bound = table["eigenvalue_error"] + true["eigenvalue_error"]
        assert (abs(table["max_eigenvalue"] - true["max_eigenvalue"]) <= bound).all(), name
    table = save_gram(x, "k.npy", "step", depth=1, cb=0.0, cw=1.0, tile=10)
    assert np.isinf(table["trace"][1])
    assert np.isnan(table["max_eigenvalue"][1])
    assert "diagonal is infinite" in table["note"][1]


@pytest.mark.usefixtures("no_memory")
def test_the_picture_is_that_of_the_matrices(x: NDArray[np.float64]) -> None:
    table = save_gram(x, "k.npy", depth=2, tile=10)
    drawn, true = table.drawing, gram(x, depth=2).table().drawing
    for mine, theirs in zip(drawn.panels, true.panels[:2], strict=True):  # type: ignore[union-attr]
        assert np.array_equal(mine.values, theirs.values)


# Interruptions within one process; tests that kill processes are in test_stored_killed.py.


class StopError(Exception):
    pass


def stopped_after(tiles: int, *arguments: Any, **more: Any) -> list[Any]:
    """Stop a call after some tiles, and return the lines of its journal."""

    def progress(done: int, _: int) -> None:
        if done == 100 * tiles:
            raise StopError

    with pytest.raises(StopError):
        save_gram(*arguments, **more, progress=progress)
    journal = Path(f"{arguments[1]}.unfinished/journal.jsonl")
    return [json.loads(line) for line in journal.read_text().splitlines()]


@pytest.mark.parametrize("form", FORMS)
def test_an_unfinished_matrix_has_no_name_and_unknown_tiles(
    form: str, x: NDArray[np.float64]
) -> None:
    needs(form)
    stopped_after(2, x, f"k.{form}", kernel="ntk", tile=10)
    assert files() == [f"k.{form}.unfinished"]
    if form == "zarr":
        zarr = pytest.importorskip("zarr")
        unfinished = zarr.open_group("k.zarr.unfinished/matrices.zarr", mode="r")["ntk"]
        assert np.isnan(unfinished[20:, 20:]).all()


def test_an_old_file_stays_until_the_new_one_is_whole(x: NDArray[np.float64]) -> None:
    for form in FORMS:
        needs(form)
        save_gram(x, f"k.{form}", depth=2, tile=10)
        old = read(form).copy()
        stopped_after(3, x, f"k.{form}", depth=3, tile=10)
        assert np.array_equal(read(form), old)
        save_gram(x, f"k.{form}", depth=3, tile=10)
        assert np.array_equal(read(form), gram(x, depth=3).ntk)
        assert not Path(f"k.{form}.unfinished").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 3}, "depth 2, not 3"),
        ({"act": "gelu"}, "act relu, not gelu"),
        ({"cb": 0.5, "cw": 2.0}, "cb 0.0, not 0.5"),
        ({"cw": 1.5}, "cw 2.0, not 1.5"),
        ({"kernel": "ntk"}, "kernel both, not ntk"),
        ({"ntk": "bias"}, "ntk ntk, not bias"),
        ({"dtype": "float32"}, "dtype float64, not float32"),
        ({"tile": 11}, "tile 10, not 11"),
        ({"x": "other"}, "other inputs"),
        ({"x": "fewer"}, "inputs of another shape"),
    ],
)
def test_other_arguments_are_refused(
    change: dict[str, Any], words: str, x: NDArray[np.float64]
) -> None:
    given: dict[str, Any] = {"x": x, "file": "k.npy", "depth": 2, "tile": 10}
    stopped_after(2, given.pop("x"), given.pop("file"), **given)
    before = Path("k.npy.unfinished/journal.jsonl").read_bytes()
    inputs = {"other": x + 1e-16 + 1e-15 * abs(x), "fewer": x[1:]}
    change = {name: inputs[value] if name == "x" else value for name, value in change.items()}
    with pytest.raises(ValueError, match=r"^k\.npy\.unfinished was begun with ") as refused:
        save_gram(**{"x": x, "file": "k.npy", **given, **change})
    assert words in str(refused.value)
    assert str(refused.value).endswith("or remove it")
    assert Path("k.npy.unfinished/journal.jsonl").read_bytes() == before
    save_gram(x, "k.npy", depth=2, tile=10, cb=0.0, cw=2.0)  # the critical pair, in other words


def test_another_version_is_refused(
    x: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after(2, x, "k.npy", tile=10)
    monkeypatch.setattr("nnth._kernels.stored.save_gram.__version__", "99.0")
    with pytest.raises(ValueError, match=r"begun with nnth 0.*, not 99\.0"):
        save_gram(x, "k.npy", tile=10)


@pytest.mark.parametrize("torn", [b"[4, ", b"[1, 1, 1e-14]", b"\xff"])
def test_a_torn_line_is_forgotten(torn: bytes, x: NDArray[np.float64]) -> None:
    stopped_after(2, x, "k.npy", tile=10)
    journal = Path("k.npy.unfinished/journal.jsonl")
    whole = journal.read_bytes()
    journal.write_bytes(whole + torn)
    stopped_after(1, x, "k.npy", tile=10)
    assert journal.read_bytes().startswith(whole + b"[0, 2, ")
    save_gram(x, "k.npy", tile=10)
    assert np.array_equal(read("npy"), gram(x).ntk)


def test_one_process_at_a_time(x: NDArray[np.float64]) -> None:
    lines = stopped_after(2, x, "k.npy", tile=10)
    journal = Journal(Path("k.npy.unfinished/journal.jsonl"), lines[0])
    with pytest.raises(StoreError, match="another process is writing"):
        save_gram(x, "k.npy", tile=10)
    journal.close()
    save_gram(x, "k.npy", tile=10)


def test_a_damaged_folder_is_refused(x: NDArray[np.float64]) -> None:
    stopped_after(2, x, "k.npy", tile=10)
    Path("k.npy.unfinished/ntk.npy").unlink()
    with pytest.raises(StoreError, match="has no matrices: remove it"):
        save_gram(x, "k.npy", tile=10)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_call_that_ends_while_the_files_get_their_names(
    form: str, moved: int, x: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(form)
    replace, count = Path.replace, 0

    def fails(path: Path, target: Path) -> Path:
        nonlocal count
        if not path.parent.name.endswith(".unfinished"):  # zarr itself replaces files
            return replace(path, target)
        count += 1
        if count > moved:
            raise StopError
        return replace(path, target)

    def ended(*_: object, **__: object) -> None:
        raise StopError

    def no_tile(*_: object) -> None:
        raise AssertionError("a tile is computed twice")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        patched.setattr(stored_gram.StoredGram, "table", ended)  # here at the latest
        with pytest.raises(StopError):
            save_gram(x, f"k.{form}", tile=10)
    save_gram(x, f"k.{form}", tile=10, progress=no_tile)
    assert np.array_equal(read(form), gram(x).ntk)


def test_a_full_disk(x: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**12}))
        with pytest.raises(OSError, match=r"needs 0\.0 GiB, and 0\.0 GiB are free") as full:
            save_gram(x, "k.npy", tile=10)
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, "k.npy")
    assert files() == []

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    stopped_after(2, x, "k.npy", tile=10)
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", no_space)
        with pytest.raises(OSError, match="No space left") as full:
            save_gram(x, "k.npy", tile=10)
    assert full.value.filename == "k.npy"
    save_gram(x, "k.npy", tile=10)
    assert np.array_equal(read("npy"), gram(x).ntk)


def test_a_worker_of_other_work_writes_nothing(x: NDArray[np.float64]) -> None:
    stopped_after(2, x, "k.npy", depth=2, tile=10)
    place = Place(Path("k.npy"), ("nngp", "ntk"), Tiling(ROWS, 10), "float64")
    network = infinite_network("relu", depth=3)
    worker = TileWorker(place, network, "both", "a token")
    before = Path("k.npy.unfinished/ntk.npy").read_bytes()
    with pytest.raises(StoreError, match=r"^k\.npy: worker .* does not see the folder"):
        worker((2, 3))
    np.save(place.inputs("a token"), x)
    worker((2, 3))
    assert Path("k.npy.unfinished/ntk.npy").read_bytes() != before


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"file": "k.csv"}, "file must end in .npy or .zarr, not 'k.csv'"),
        ({"file": "no/k.npy"}, "there is no folder"),
        ({"tile": 0}, "tile must be at least 1, not 0"),
        ({"jobs": -1}, "jobs must be at least 0, not -1"),
        ({"jobs": 10**6}, "jobs must be at most 1024"),
        ({"jobs": 1, "scheduler": "tcp://127.0.0.1:1"}, "jobs and scheduler must not both"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "file must end in .zarr with scheduler"),
        ({"dtype": "float16"}, "dtype must be float64 or float32, not 'float16'"),
        ({"kernel": "rbf"}, "kernel must be nngp, ntk or both, not 'rbf'"),
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"act": "relu_power:2", "depth": 60, "cw": 1e9}, "depth must be at most"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    arguments: dict[str, Any], words: str, x: NDArray[np.float64]
) -> None:
    with pytest.raises(ValueError, match=r"must|there is") as refused:
        save_gram(**{"x": x, "file": "k.npy", **arguments})
    assert words in str(refused.value)
    assert files() == []


def test_only_matrices_of_nnth_are_replaced(x: NDArray[np.float64]) -> None:
    zarr = pytest.importorskip("zarr")
    Path("k.npy").mkdir()
    with pytest.raises(ValueError, match=r"^k\.npy: there is something else than a regular file"):
        save_gram(x, "k.npy", kernel="ntk")
    Path("a.zarr").mkdir()
    zarr.create_array("b.zarr", shape=(2, 2), dtype="f8")
    zarr.create_group("c.zarr", attributes={"of": "somebody"})
    Path("d.zarr").write_text("")
    for name in "abcd":
        with pytest.raises(ValueError, match=rf"^{name}\.zarr: there is something else"):
            save_gram(x, f"{name}.zarr")


def test_inputs_are_not_overwritten(x: NDArray[np.float64]) -> None:
    np.save("k.ntk.npy", x)
    with pytest.raises(ValueError, match=r"^file must not be a file to read: k\.ntk\.npy"):
        save_gram("k.ntk.npy", "k.npy")
    assert np.array_equal(np.load("k.ntk.npy"), x)


def test_without_zarr(x: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnth._kernels.stored.matrices.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'nnth\[zarr\]'"):
        save_gram(x, "k.zarr")


# Tiles, and blocks of dask arrays.


@pytest.mark.parametrize(("inputs", "side"), [(1, 1), (10, 3), (9, 3), (5, 7)])
def test_tiles_cover_the_upper_half(inputs: int, side: int) -> None:
    tiling = Tiling(inputs, side)
    seen = np.zeros((inputs, inputs), dtype=int)
    for i, j in tiling.upper():
        seen[tiling.range(i), tiling.range(j)] += 1
        if i != j:
            seen[tiling.range(j), tiling.range(i)] += 1
    assert (seen == 1).all()


def test_files_are_beside_the_name(tmp_path: Path) -> None:
    place = Place(tmp_path / "k.v1.npy", ("nngp", "ntk"), Tiling(3, 2), "float64")
    assert [path.name for path in place.targets] == ["k.v1.nngp.npy", "k.v1.ntk.npy"]
    assert place.folder == tmp_path / "k.v1.npy.unfinished"


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_blocks_of_a_dask_array(
    kernel: Literal["nngp", "ntk"], dtype: Literal["float32", "float64"], x: NDArray[np.float64]
) -> None:
    da = pytest.importorskip("dask.array")
    matrix = gram_blocks(x, "gelu", depth=2, kernel=kernel, dtype=dtype, tile=20)
    whole = gram(x, "gelu", depth=2).arrays()[kernel].astype(dtype)
    assert matrix.chunks == ((20, 20, 5), (20, 20, 5))
    assert matrix.dtype == dtype
    for scheduler in ("synchronous", "threads"):
        assert np.array_equal(matrix.compute(scheduler=scheduler), whole)
    values = da.linalg.svd_compressed(matrix, 1, n_power_iter=2, seed=0)[1].compute()
    assert values == pytest.approx(np.linalg.eigvalsh(whole)[-1:], rel=1e-3)
    other = gram_blocks(x, "gelu", depth=3, kernel=kernel, dtype=dtype, tile=20)
    assert other.name != matrix.name


def test_dask_solves_with_blocks(x: NDArray[np.float64]) -> None:
    da = pytest.importorskip("dask.array")
    matrix = gram_blocks(x, depth=2, tile=15) + da.eye(ROWS, chunks=15)
    solved = da.linalg.solve(matrix, da.ones(ROWS, chunks=15), assume_a="pos").compute()
    kernel = gram(x, depth=2).ntk
    assert kernel is not None
    assert kernel @ solved + solved == pytest.approx(np.ones(ROWS), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kernel": "both"}, "kernel must be nngp or ntk, not 'both'"),
        ({"dtype": "int8"}, "dtype must be float64 or float32"),
        ({"tile": -1}, "tile must be at least 1"),
    ],
)
def test_bad_blocks(arguments: dict[str, Any], words: str, x: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=words):
        nnth.gram_blocks(x, **arguments)
