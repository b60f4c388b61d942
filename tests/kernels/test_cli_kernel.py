"""`nnth kernel` and `nnth gram` run as processes: columns, bad input, files, interrupts."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest
from processes import call, catches, interrupted, refusal, rows_of

from nnth import gram, kernel

pytestmark = pytest.mark.subprocess

NNTH = str(processes.NNTH)

RESULTS = (
    "layer",
    "k_aa",
    "k_bb",
    "k_ab",
    "corr",
    "gap",
    "theta_aa",
    "theta_bb",
    "theta_ab",
    "chi_par",
    "chi_perp",
    "error",
)


@pytest.fixture
def x(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).standard_normal((40, 5)))
    return path


# Tests of nnth kernel.


def test_a_pipe_gets_the_promised_columns_first() -> None:
    rows = rows_of(call("kernel", "--act", "relu", "--depth", 50))
    assert tuple(rows[0])[: len(RESULTS)] == RESULTS
    assert {"status", "act", "depth", "cb", "cw", "norm", "rho", "seed", "version"} <= set(rows[0])
    assert [int(row["layer"]) for row in rows] == list(range(1, 52))
    table = kernel("relu", depth=50)
    for name in RESULTS:  # the shortest text that reads back to the same bits
        assert [float(row[name]) for row in rows] == table[name].tolist()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_expression_with_a_weight_variance(form: str) -> None:
    act = "z*sigmoid(1.702*z)"
    done = call("kernel", "--act", act, "--cw", 2, "--depth", 20, "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    rows: list[dict[str, Any]] = (
        rows_of(done) if form == "csv" else list(map(json.loads, done.stdout.splitlines()))
    )
    assert len(rows) == 21
    assert tuple(rows[0])[: len(RESULTS)] == RESULTS
    assert {(row["act"], float(row["cb"]), float(row["cw"])) for row in rows} == {(act, 0.0, 2.0)}
    table = kernel(act, cw=2.0, depth=20)
    assert [float(row["theta_ab"]) for row in rows] == table["theta_ab"].tolist()


def test_two_vectors_are_the_inputs() -> None:
    rows = rows_of(call("kernel", "--depth", 3, "--x-a", "1,0,-2.5", "--x-b", "-1,2,0"))
    table = kernel(depth=3, x_a=[1, 0, -2.5], x_b=[-1, 2, 0])
    # Critical ReLU: C_b = 0, C_w = 2, n_0 = 3.
    assert table["k_ab"][0] == pytest.approx(-2 / 3, rel=1e-15)
    assert [float(row["k_ab"]) for row in rows] == table["k_ab"].tolist()
    assert rows[0]["x_a"] == "1.0,0.0,-2.5"
    assert rows[0]["rho"] == rows[0]["norm"] == ""


def test_norm_and_rho_have_defaults_of_their_own() -> None:
    (first, _) = rows_of(call("kernel", "--depth", 1, "--norm", 4))
    assert (float(first["norm"]), float(first["rho"])) == (4.0, 0.5)
    (first, _) = rows_of(call("kernel", "--depth", 1, "--rho", -0.25))
    assert (float(first["norm"]), float(first["rho"])) == (1.0, -0.25)
    assert float(first["corr"]) == -0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--act", "rellu"], "did you mean relu?"),
        (["--act", "z+"], "act "),
        (["--act", "__import__('os')", "--cw", "1"], "act "),
        (["--act", "tanh:2"], "act tanh takes no parameter, not '2'"),
        (["--act", "exp"], "cw must be given: no critical pair is known for act exp"),
        (["--act", "tanh", "--method", "closed"], "not 'closed'"),
        (["--depth", "0"], "depth must be at least 1, not 0"),
        (["--depth", "-3"], "depth must be at least 1, not -3"),
        (["--cw", "-1"], "cw must be finite and at least 0, not -1"),
        (["--cw", "1", "--cb", "-0.5"], "cb must be finite and at least 0, not -0.5"),
        (["--cw", "nan"], "cw must be finite and at least 0, not nan"),
        (["--cb", "1"], "--cw must be given where --cb is, and cb is 1"),
        (["--rho", "1.5"], "rho must be within [-1, 1], not 1.5"),
        (["--rho", "nan"], "rho must be within [-1, 1], not nan"),
        (["--norm", "-1"], "norm must be finite and at least 0, not -1"),
        (["--norm", "inf"], "norm must be finite and at least 0, not inf"),
        (["--x-a", "1,2", "--x-b", "1,2,3"], "--x-a and --x-b must have one length, not 2 and 3"),
        (["--x-a", "1,2"], "--x-a and --x-b must both be given"),
        (["--x-b", "1,2"], "--x-a and --x-b must both be given"),
        (["--x-a", "1,2", "--x-b", "2,1", "--rho", "0.5"], "--x-a and --rho must not both"),
        (["--x-a", "1,2", "--x-b", "2,1", "--norm", "1"], "--x-a and --norm must not both"),
        (["--x-a", "1", "--norm", "2"], "--x-a and --norm must not both"),
        (["--method", "gauss-hermite", "--nodes", "0"], "nodes"),
    ],
)
def test_kernel_names_what_is_wrong_and_leaves_no_file(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    assert message in refusal("kernel", *arguments, "-o", tmp_path / "k.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_table_goes_nowhere_it_cannot_go(tmp_path: Path) -> None:
    assert "--output must end in" in refusal("kernel", "-o", tmp_path / "k.npz")
    assert "there is no folder" in refusal("kernel", "-o", tmp_path / "no" / "k.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["kernel --depth 3000", "gram x.npy"])
def test_head_is_quiet(command: str, x: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{NNTH} {command} | head -n 1; echo ${{PIPESTATUS[0]}} >&2"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=x.parent,
    )
    assert done.stdout.startswith(("layer,", "kernel,"))
    assert done.stdout.count("\n") == 1
    # It may have written everything before the reader closed the pipe.
    assert done.stderr in ("0\n", "141\n")


# Tests of nnth gram.


def csv_of(array: Any, path: Path) -> None:
    np.savetxt(path, array, delimiter=",", fmt="%.17g")


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv"])
def test_gram_writes_what_the_function_returns(suffix: str, x: Path) -> None:
    file, out = x.with_name(f"y.{suffix}"), x.with_name("k.npz")
    write: dict[str, Callable[[], None]] = {
        "npy": lambda: np.save(file, np.load(x)),
        "npz": lambda: np.savez(file, labels=np.arange(3), x=np.load(x)),
        "csv": lambda: csv_of(np.load(x), file),
    }
    write[suffix]()
    arguments = ["--act", "gelu", "--depth", 4, "--cb", 0.1, "--cw", 1.5, "--ntk", "pdlt"]
    rows = rows_of(call("gram", file, *arguments, "--save", out))
    result = gram(np.load(x), "gelu", depth=4, cb=0.1, cw=1.5, ntk="pdlt")
    with np.load(out) as back:
        assert set(back) == {"nngp", "ntk"}
        assert np.array_equal(back["nngp"], np.asarray(result.nngp))
        assert np.array_equal(back["ntk"], np.asarray(result.ntk))
    assert [row["kernel"] for row in rows] == ["nngp", "ntk"]
    columns = ("kernel", "trace", "min_eigenvalue", "max_eigenvalue", "condition")
    assert tuple(rows[0])[: len(columns)] == columns
    for row, matrix in zip(rows, (result.nngp, result.ntk), strict=True):
        assert matrix is not None
        assert float(row["trace"]) == np.trace(matrix)
        least, most = np.linalg.eigvalsh(matrix)[[0, -1]]
        # The threads of LAPACK may divide the work differently in another process.
        assert float(row["max_eigenvalue"]) == pytest.approx(most, rel=1e-13)
        assert float(row["min_eigenvalue"]) == pytest.approx(least, abs=1e-13 * most)


@pytest.mark.parametrize("name", ["nngp", "ntk"])
def test_gram_writes_one_matrix_where_one_is_asked_for(name: str, x: Path) -> None:
    out = x.with_name("k.npz")
    (row,) = rows_of(call("gram", x, "--kernel", name, "--save", out))
    assert row["kernel"] == name
    with np.load(out) as back:
        assert list(back) == [name]


@pytest.mark.parametrize("act", ["relu", "gelu", "tanh", "hard_tanh"])
def test_threads_leave_the_same_file(act: str, x: Path) -> None:
    written = []
    for threads in (1, 2):
        out = x.with_name(f"{threads}.npz")
        rows_of(
            call(
                "gram",
                x,
                "--act",
                act,
                "--cw",
                1,
                "--depth",
                1,
                "--threads",
                threads,
                "--save",
                out,
            )
        )
        with np.load(out) as back:
            written.append({name: back[name].tobytes() for name in back})
    assert written[0] == written[1]


def save(array: Any) -> Callable[[Path], object]:
    return lambda path: np.save(path, array)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("x.npy", save(np.array([[1.0, np.nan]])), "not nan at row 0, column 1"),
        ("x.npy", save(np.array([{}, None])), "holds Python objects (a pickle)"),
        ("x.npy", save(np.ones(7)), "not of shape (7,)"),
        ("x.npy", save(np.ones((2, 2, 2))), "not of shape (2, 2, 2)"),
        ("x.npy", lambda path: path.write_bytes(b"\x93NUMPY"), "cannot be read as data"),
        ("x.npz", lambda path: path.write_bytes(b"PK\x03\x04"), "cannot be read as data"),
        ("x.csv", lambda path: path.write_text("1,2\n3\n"), "line 2 must have 2 fields"),
        ("x.csv", lambda path: path.write_text(""), "must hold numbers, and holds none"),
        ("x.txt", lambda path: path.write_text("1\n"), ".csv, .tsv, .parquet, not .txt"),
        ("x.npy", lambda path: None, "No such file or directory"),
        ("x.npy", lambda path: path.mkdir(), "Is a directory"),
    ],
)
def test_gram_names_the_file_and_what_is_wrong_with_it(
    name: str, write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    before = set(tmp_path.iterdir())
    said = refusal("gram", tmp_path / name, "--save", tmp_path / "k.npz")
    assert message in said
    assert str(tmp_path / name) in said
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--act", "tanhh"], "did you mean tanh?"),
        (["--depth", "0"], "depth must be at least 1, not 0"),
        (["--cw", "-1"], "cw must be finite and at least 0, not -1"),
        (["--threads", "-1"], "threads must be at least 0, not -1"),
        (["--kernel", "all"], "'--kernel'"),
        (["--act", "exp", "--cw", "1", "--depth", "9"], "depth must be at most "),
        (["--save", "k.csv"], "--save must end in .npz, .npy or .zarr, not 'k.csv'"),
        (["--save", "no/k.npz"], "there is no folder"),
        (["-o", "o.npz"], "--output must end in .csv, .jsonl"),
        (["--x", "x.npy"], "--x and FILE must not both be given"),
    ],
)
def test_gram_names_what_is_wrong_and_leaves_no_file(
    arguments: list[str], message: str, x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(x.parent)
    output = [] if "--save" in arguments else ["--save", "k.npz"]
    assert message in refusal("gram", x, *arguments, *output)
    assert list(x.parent.iterdir()) == [x]


# Each of these calls works for minutes: on the diagonals, a table or the pairs.
LONG: list[tuple[str, tuple[int, int], list[str]]] = [
    ("composed", (5000, 2000), ["--act", "relu", "--kernel", "nngp"]),
    ("layered", (3000, 5), ["--act", "gelu", "--depth", "2000"]),
    ("table", (100, 5), ["--act", "tanh", "--depth", "400"]),
    ("pairwise", (200, 5), ["--act", "hard_tanh", "--cw", "1", "--depth", "50"]),
]


@pytest.mark.parametrize(
    ("shape", "arguments"), [case[1:] for case in LONG], ids=[case[0] for case in LONG]
)
def test_an_interrupt_is_answered_at_once_and_leaves_no_file(
    shape: tuple[int, int], arguments: list[str], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal(shape))
    out, err = interrupted("gram", tmp_path / "x.npy", *arguments, "--save", tmp_path / "k.npz")
    assert (out, err) == ("", "")
    assert list(tmp_path.iterdir()) == [tmp_path / "x.npy"]


def test_an_interrupt_is_answered_among_the_eigenvalues_too(tmp_path: Path) -> None:
    out = tmp_path / "k.npz"
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((3000, 3)))
    command = [NNTH, "gram", str(tmp_path / "x.npy"), "--depth", "1", "--threads", "1"]
    command += ["--save", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # The file is written, and then the signal has its default action, as before a call of LAPACK.
    while process.poll() is None and not (out.exists() and not catches(process.pid, signal.SIGINT)):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=processes.PATIENCE) == (b"", b"")
    assert process.returncode == -signal.SIGINT
    with np.load(out) as back:  # finished parts remain
        assert back["nngp"].shape == (3000, 3000)
