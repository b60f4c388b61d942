"""Kernel matrices in files, of processes that are killed: the same bytes, and no tile twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from processes import (
    PATIENCE,
    call,
    children_of,
    cluster_of_two,
    interrupted,
    refusal,
    rows_of,
    wait_for,
)

from nnth import gram, save_gram

pytestmark = pytest.mark.subprocess

ROWS, TILE = 40, 9
TILES = 15  # of five rows of tiles
FORMS = ("npy", "zarr")


@pytest.fixture
def x(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float64]:
    data = np.random.default_rng(5).normal(size=(ROWS, 4))
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", data)
    return data


def files_of(form: str, file: str = "k") -> dict[str, bytes]:
    """Return the files of finished matrices, without the record of a zarr group."""
    found = Path().glob(f"{file}.*.npy") if form == "npy" else Path(f"{file}.zarr").rglob("*")
    names = {str(path)[len(file) :]: path for path in found if path.is_file()}
    return {name: path.read_bytes() for name, path in names.items()}


class Stepwise:
    """A process that writes the matrices of x.npy and waits after each tile."""

    def __init__(self, form: str, **more: Any) -> None:
        arguments = {"x": "x.npy", "file": f"k.{form}", "depth": 2, "tile": TILE, **more}
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).parents[1] / "stepwise_gram.py"),
                json.dumps(arguments),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> tuple[int, int]:
        """Wait for the next tile; return the numbers of tiles done and to do of this process."""
        done, total = self._out.readline().split()
        return int(done), int(total)

    def go_on(self) -> None:
        """Let the process compute the next tile."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def step(self, tiles: int) -> None:
        """Wait for some tiles, and stop after the last."""
        for left in reversed(range(tiles)):
            self.wait()
            if left:
                self.go_on()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def _out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout


@contextmanager
def stepwise(form: str, **more: Any) -> Iterator[Stepwise]:
    run = Stepwise(form, **more)
    try:
        yield run
    finally:
        run.kill()


def journal_of(form: str) -> list[tuple[int, int]]:
    lines = Path(f"k.{form}.unfinished/journal.jsonl").read_text().splitlines()
    return [(row, column) for row, column, _ in map(json.loads, lines[1:])]


def finish(run: Stepwise, form: str) -> tuple[int, list[tuple[int, int]]]:
    """Let a process compute all its tiles; return their number, and the tiles of the journal."""
    done, total = run.wait()
    while done < total:
        run.go_on()
        done, _ = run.wait()
    journal = journal_of(form)
    run.go_on()
    _, err = run.process.communicate(timeout=PATIENCE)
    assert (run.process.returncode, err) == (0, "")
    return total, journal


def undisturbed(x: NDArray[np.float64], form: str, tile: int = TILE) -> dict[str, bytes]:
    if form == "zarr":
        pytest.importorskip("zarr")
    save_gram(x, f"whole.{form}", depth=2, tile=tile)
    return files_of(form, "whole")


@pytest.mark.parametrize("form", FORMS)
def test_killed_at_several_tiles_nothing_is_computed_twice(
    form: str, x: NDArray[np.float64]
) -> None:
    wanted, seen = undisturbed(x, form), 0
    for tiles in (1, 4, 5):
        with stepwise(form) as run:
            run.step(tiles)
            run.kill()
        there = len(journal_of(form))
        # That which was being written when the process was killed may be on the disk, too.
        assert seen + tiles <= there <= seen + tiles + 1
        assert not Path(f"k.{form}").exists()
        seen = there
    with stepwise(form) as run:
        left, journal = finish(run, form)
    assert left == TILES - seen
    assert len(journal) == len(set(journal)) == TILES
    assert files_of(form) == wanted
    assert not Path(f"k.{form}.unfinished").exists()


@pytest.mark.parametrize("form", FORMS)
def test_killed_after_the_last_tile(form: str, x: NDArray[np.float64]) -> None:
    wanted = undisturbed(x, form)
    with stepwise(form) as run:
        run.step(TILES)
        run.kill()
    assert len(journal_of(form)) == TILES
    done = call("gram", "x.npy", "--depth", 2, "--save", f"k.{form}")
    assert "was begun with tile 9, not 2048: continue it" in done.stderr  # the command has its own
    calls: list[int] = []
    save_gram("x.npy", f"k.{form}", depth=2, tile=TILE, progress=lambda done, _: calls.append(done))
    assert not calls  # no tile
    assert files_of(form) == wanted


def kill_workers(
    run: Stepwise, workers: Callable[[], list[int]], times: int, form: str
) -> list[tuple[int, int]]:
    """Kill workers while they work on tiles; return the tiles of the journal at the end.

    A worker may have ended its tile before it was killed. It is then replaced only for the next,
    and there may be none to be killed in the meantime.
    """
    killed = 0
    while killed < times:
        done, total = run.wait()
        assert done < total, "the work has ended before all kills"
        if there := workers():
            os.kill(there[killed % len(there)], signal.SIGKILL)
            killed += 1
        run.go_on()
    return finish(run, form)[1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("jobs", "times", "tile"), [(2, 2, TILE), pytest.param(1, 10, 5, marks=pytest.mark.nightly)]
)
def test_workers_that_are_killed_are_replaced(
    form: str, jobs: int, times: int, tile: int, x: NDArray[np.float64]
) -> None:
    wanted = undisturbed(x, form, tile)
    with stepwise(form, jobs=jobs, tile=tile) as run:
        journal = kill_workers(run, lambda: children_of(run.process), times, form)
    side = -(-ROWS // tile)
    assert sorted(journal) == [(i, j) for i in range(side) for j in range(i, side)]
    assert files_of(form) == wanted


@pytest.mark.parametrize(
    ("times", "tile"), [(1, TILE), pytest.param(10, 4, marks=pytest.mark.nightly)]
)
def test_a_cluster_that_loses_workers(times: int, tile: int, x: NDArray[np.float64]) -> None:
    pytest.importorskip("distributed")
    wanted = undisturbed(x, "zarr", tile)
    with (
        cluster_of_two() as (address, workers),
        stepwise("zarr", scheduler=address, tile=tile) as run,
    ):
        journal = kill_workers(run, workers, times, "zarr")
    side = -(-ROWS // tile)
    assert sorted(journal) == [(i, j) for i in range(side) for j in range(i, side)]
    assert files_of("zarr") == wanted


def test_a_call_goes_on_by_other_workers(x: NDArray[np.float64]) -> None:
    wanted = undisturbed(x, "npy")
    with stepwise("npy", jobs=1) as run:
        run.step(3)
        workers = children_of(run.process)
        run.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    with stepwise("npy") as run:
        left, journal = finish(run, "npy")
    assert left <= TILES - 3
    assert len(journal) == len(set(journal)) == TILES
    assert files_of("npy") == wanted


# The command.


@pytest.mark.parametrize("form", FORMS)
def test_the_command(form: str, x: NDArray[np.float64]) -> None:
    if form == "zarr":
        pytest.importorskip("zarr")
    rows = rows_of(call("gram", "x.npy", "--depth", 2, "--save", f"k.{form}"))
    whole = gram(x, depth=2).table()
    assert [float(row["max_eigenvalue"]) for row in rows] == whole["max_eigenvalue"].tolist()
    assert [row["note"] for row in rows] == ["in tiles of 40 rows; eigenvalues in memory"] * 2
    names = [f"k.{form}"] if form == "zarr" else ["k.nngp.npy", "k.ntk.npy"]
    assert sorted(path.name for path in Path().iterdir()) == [*names, "x.npy"]


@pytest.mark.slow
def test_an_interrupt_keeps_finished_tiles(x: NDArray[np.float64]) -> None:
    np.save("long.npy", np.random.default_rng(1).normal(size=(4100, 2)))
    words = ("gram", "long.npy", "--cb", 1, "--cw", 1, "--depth", 200)  # seconds for a tile
    with stepwise("npy", x="long.npy", cb=1, cw=1, depth=200, tile=2048) as run:
        run.step(1)
        run.kill()
    before = len(journal_of("npy"))
    _, err = interrupted(*words, "--save", "k.npy", "--threads", 1, cwd=Path.cwd())
    assert err.startswith("nnth: interrupted: ")
    assert " of 6 tiles are in k.npy.unfinished; run it again for the rest" in err
    assert len(journal_of("npy")) >= before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--save", "k.csv"), "--save must end in .npz, .npy or .zarr, not 'k.csv'"),
        (("--save", "no/k.npy"), "--save no/k.npy: there is no folder"),
        (("--jobs", 2), "--jobs must come with a --save in .npy or .zarr"),
        (("--save", "k.npz", "--jobs", 2), "--jobs must come with a --save in .npy or .zarr"),
        (("--save", "k.npy", "--jobs", -1), "--jobs must be at least 0, not -1"),
        (("--save", "k.npy", "--scheduler", "tcp://a:1"), "--save must end in .zarr with --sch"),
        (("--save", "x.npy"), "--save must not be a file to read: x.npy"),
        (("--save", "k.npy", "--net", "telgarsky:2"), "--save must end in .npz with --net"),
        (("--save", "k.npy", "--x-test", "x.npy"), "--save must end in .npz with --x-test"),
    ],
)
def test_bad_options(words: tuple[object, ...], message: str, x: NDArray[np.float64]) -> None:
    assert message in refusal("gram", "x.npy", *words)
    assert [path.name for path in Path().iterdir()] == ["x.npy"]


def test_other_options_are_refused(x: NDArray[np.float64]) -> None:
    with stepwise("npy", tile=2048) as run:
        run.step(1)
        run.kill()
    line = refusal("gram", "x.npy", "--depth", 3, "--save", "k.npy")
    assert "k.npy.unfinished was begun with --depth 2, not 3: continue it with the same" in line


def test_a_missing_scheduler(x: NDArray[np.float64]) -> None:
    pytest.importorskip("zarr")
    pytest.importorskip("distributed")
    done = call("gram", "x.npy", "--save", "k.zarr", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("nnth: error: --scheduler tcp://127.0.0.1:9 does not answer")
    assert [path.name for path in Path().iterdir()] == ["x.npy"]
