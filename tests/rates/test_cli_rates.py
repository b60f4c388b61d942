"""`nnth rates` run as a process: subcommands, columns, bad input, files, pictures, interrupts."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np
import processes
import pytest
from processes import interrupted, rows_of

from nnth import rates

pytestmark = pytest.mark.subprocess

call = partial(processes.call, "rates")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with inputs and targets."""
    random = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", random.standard_normal((6, 5)))
    np.save(tmp_path / "y.npy", random.standard_normal(6))
    return tmp_path


def test_a_new_users_first_command() -> None:
    rows = rows_of(call("--act", "relu", "--width", 32, "--depth", 3, "--samples", 50))
    assert len(rows) == 20
    assert list(rows[0])[:10] == [
        "layer",
        "quantity",
        "parametrization",
        "mean",
        "stderr",
        "theory",
        "z",
        "eta",
        "error",
        "note",
    ]
    assert (rows[0]["theory"], rows[1]["theory"], rows[2]["theory"]) == ("128.0", "4.0", "8.0")
    assert (rows[0]["act"], rows[0]["width"], rows[0]["seed"]) == ("relu", "32", "0")
    table = rates("relu", width=32, depth=3, samples=50)
    assert [row["mean"] for row in rows] == [repr(mean) for mean in table["mean"].tolist()]


@pytest.mark.parametrize(
    ("arguments", "rows", "column"),
    [
        ("layers --depth 3 --samples 5 --plot a.png", 20, "eta"),
        ("descent --x x.npy --plot a.png", 5, "measured"),
        ("descent --x x.npy --y y.npy --samples 2 --width 16 --steps 9", 5, "net_loss"),
        ("descent --points 4 --n0 3", 5, "rank"),
        (
            "noise --x x.npy --gradient-noise 0.5 --samples 10 --steps 50 --plot a.pdf",
            3,
            "stationary",
        ),
        ("training --width 16,32 --samples 3 --plot a.svg", 46, "exponent"),
        ("training --width 16,32 --samples 3 --x x.npy --y y.npy", 46, "note"),
    ],
)
def test_subcommands(arguments: str, rows: int, column: str, folder: Path) -> None:
    table = rows_of(call(*arguments.split(), cwd=folder))
    assert len(table) == rows
    assert column in table[0]
    if "--plot" in arguments:
        assert (folder / arguments.split()[-1]).stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--width 3,4", "'--width': '3,4' is not a valid int"),
        ("training --width 3,x", "'--width': must be integers, as in 1,2,4 or 0:20"),
        ("training --width 64", "width must be two or more, ascending, not 64"),
        ("--samples -1", "samples must be at least 0, not -1"),
        ("--x x.npy", "no such option: --x"),
        ("noise --gradient-noise 0", "must be from 1e-50 to 1e50, not 0"),
        ("descent --y y.npy", "--y must come with --x"),
        ("descent --x x.npy --points 20", "--x and --points must not both be given"),
        ("noise --x x.npy --n0 10", "--x and --n0 must not both be given"),
        ("training --x x.npy --n0 4", "--x and --n0 must not both be given"),
        ("training --x x.npy", "--x and --y must be given together"),
        ("descent --x none.npy", "none.npy"),
    ],
)
def test_bad_input_is_named(arguments: str, message: str, folder: Path) -> None:
    done = call(*arguments.split(), "--append", "rows.csv", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "rows.csv").exists()


def test_a_loop_appends(tmp_path: Path) -> None:
    for depth in (2, 4):
        done = call("--depth", depth, "--samples", 0, "--append", "rows.csv", cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert [row["depth"] for row in rows if row["layer"] == "0"] == ["2"] * 4 + ["4"] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--width 500 --depth 20 --samples 1000000", "networks were drawn"),
        ("training --samples 100000", "trainings were done"),
        ("noise --x x.npy --samples 1000000", "steps were taken"),
        ("descent --x x.npy --samples 5 --width 4096 --steps 20000", " of 5 rates"),
    ],
)
def test_an_interrupt_ends_it_at_once(arguments: str, message: str, folder: Path) -> None:
    out, err = interrupted("rates", *arguments.split(), cwd=folder)
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
