"""`nnth gp` as a process: in a pipe, in a loop, interrupted, with bad arguments."""

import csv
import re
from functools import partial
from pathlib import Path

import numpy as np
import processes
import pytest
from processes import interrupted, rows_of

pytestmark = pytest.mark.subprocess

call = partial(processes.call, "gp")


def test_a_pipe_gets_rows_with_their_parameters() -> None:
    arguments = ("--act", "tanh", "--width", "8,32", "--depth", 1, "--samples", 500, "--seed", 3)
    rows = rows_of(call(*arguments))
    assert [*rows[0]][:6] == ["width", "layer", "quantity", "observable", "input_a", "input_b"]
    assert [*rows[0]][15:] == [
        "act",
        "widths",
        "depth",
        "cb",
        "cw",
        "x",
        "norm",
        "rho",
        "samples",
        "sha256",
        "seed",
        "version",
    ]
    last = rows[-1]
    assert (last["width"], last["layer"], last["quantity"]) == ("32", "2", "excess_kurtosis")
    assert (last["act"], last["samples"], last["seed"]) == ("tanh", "500", "3")
    # The number of threads and the format change no number.
    assert call(*arguments, "--threads", 1).stdout == call(*arguments, "--format", "csv").stdout


def test_inputs_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", [[1.0, 2.0], [0.5, 0.5], [-1.0, 0.3]])
    done = call(
        "--x",
        "x.npy",
        "--widths",
        "16,8",
        "--quantities",
        "covariance,correction",
        "--samples",
        300,
        cwd=tmp_path,
    )
    rows = rows_of(done)
    assert len(rows) == 6 * (3 + 2)
    assert {row["x"] for row in rows} == {"x.npy"}
    assert {row["widths"] for row in rows} == {"16,8"}


def test_a_loop_appends(tmp_path: Path) -> None:
    for act in ("relu", "tanh"):
        done = call(
            "--act", act, "--width", 16, "--samples", 200, "--append", "r.csv", cwd=tmp_path
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with (tmp_path / "r.csv").open() as stream:
        assert {row["act"] for row in csv.DictReader(stream)} == {"relu", "tanh"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--width 16,a", "must be integers, as in 1,2,4"),
        ("--widths 8 --depth 2", "--widths and --depth must not both be given"),
        ("--x no.npy", "no.npy: No such file or directory"),
        ("--x no.npy --rho 0.5", "--x and --rho must not both be given"),
        ("--quantities kurtosis", "quantities must be of covariance"),
        ("--act sigmoid", "cw must be given: no critical pair is known for act sigmoid"),
        ("--samples 1", "samples must be 0 or at least 2, not 1"),
    ],
)
def test_an_error_names_the_option_and_leaves_no_file(
    arguments: str, message: str, tmp_path: Path
) -> None:
    done = call(*arguments.split(), "-o", "r.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nnth: error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        "--width 8,64 --depth 5",
        "--width 16",
        "--samples 0",
        "--quantities observable_variance",
        "--quantities covariance --width 8",
    ],
)
def test_pictures(arguments: str, tmp_path: Path) -> None:
    path = tmp_path / "r.svg"
    done = call("--samples", 200, *arguments.split(), "--plot", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_bytes().startswith(b"<?xml")


def test_an_interrupt_reports_the_work_done_and_leaves_no_file(tmp_path: Path) -> None:
    out, err = interrupted("gp", "--samples", 10**9, "-o", "r.csv", cwd=tmp_path)
    assert out == ""
    done = r"at width 16 \d+ of 1000000000 networks were drawn|no networks were drawn yet[^\n]*"
    assert re.fullmatch(rf"nnth: interrupted: ({done})[^\n]*\n", err), err
    assert list(tmp_path.iterdir()) == []


def test_help_has_formula_source_and_example() -> None:
    said = call("--help").stdout
    for word in ("chi_par^2 V", "Source: Neal (1996)", "Example: nnth gp", "--quantities"):
        assert word in said
