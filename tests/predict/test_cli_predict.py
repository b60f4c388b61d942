"""`nnth predict` and `nnth hermite` run as processes: columns, bad input, files, pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import call, interrupted, refusal, rows_of

from nnth import hermite, predict

pytestmark = pytest.mark.subprocess


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return the options of a training set and a test set."""
    random = np.random.default_rng(0)
    options = []
    for name, m in (("x", 10), ("x-test", 4)):
        x = random.standard_normal((m, 3))
        for option, array in ((name, x), (name.replace("x", "y"), np.sin(x[:, 0]))):
            np.save(tmp_path / f"{option}.npy", array)
            options += [f"--{option}", str(tmp_path / f"{option}.npy")]
    return options


def test_predict_in_a_pipe_is_what_the_package_returns(files: list[str]) -> None:
    rows = rows_of(call("predict", *files, "--times", "0,log:0.1:10:3,inf", "--ridge", 0.1))
    table = predict(
        *(Path(files[i]) for i in (1, 3, 5, 7)), times=(0.0, 0.1, 1.0, 10.0, np.inf), ridge=0.1
    ).table()
    assert tuple(rows[0])[:6] == (
        "time",
        "train_error",
        "test_error",
        "variance",
        "net_error",
        "nll",
    )
    assert [float(row["time"]) for row in rows] == [0.0, 0.1, 1.0, 10.0, np.inf]
    # In two processes the last bits of LAPACK may differ with the alignment of memory.
    for name in ("train_error", "test_error", "variance", "nll"):
        assert [float(row[name]) for row in rows] == pytest.approx(table[name], rel=1e-9)
    assert {row["x_test"] for row in rows} == {files[5]}


def test_predict_writes_every_point(files: list[str], tmp_path: Path) -> None:
    target = tmp_path / "law.npz"
    more = ("--times", "0,1", "--samples", 3, "--width", 8, "--save", target)
    rows = rows_of(call("predict", *files, *more, "--by-point"))
    assert len(rows) == 2 * 4
    with np.load(target) as law:
        assert sorted(law) == [
            "mean",
            "sim_mean",
            "sim_stderr",
            "sim_variance",
            "times",
            "variance",
        ]
        assert law["mean"].shape == (2, 4, 1)
        assert [float(row["mean"]) for row in rows] == law["mean"].ravel().tolist()
        assert [float(row["sim_mean"]) for row in rows] == law["sim_mean"].ravel().tolist()


@pytest.mark.slow
def test_pictures(files: list[str], tmp_path: Path) -> None:
    flow, series = tmp_path / "flow.svg", tmp_path / "series.png"
    call("predict", *files, "--times", "0,log:0.1:10:5", "--samples", 2, "--plot", flow)
    assert "one network, test" in flow.read_text()
    call("hermite", "dual", "--act", "relu", "--plot", series)
    assert series.stat().st_size > 10_000
    for act in ("tanh", "linear"):
        done = call("hermite", "--act", act, "--plot", tmp_path / "energy.pdf")
        assert (done.returncode, done.stderr) == (0, "")


def test_predict_refuses_before_it_works(files: list[str], tmp_path: Path) -> None:
    assert "--width must come with --samples" in refusal("predict", *files, "--width", 8)
    assert "--plot must come with two" in refusal("predict", *files, "--plot", tmp_path / "a.png")
    assert "'--times': must be numbers" in refusal("predict", *files, "--times", "0,x")
    assert "'--times': must be numbers" in refusal("predict", *files, "--times", "1,soon")
    assert "times must be" in refusal("predict", *files, "--times", "1,-2")
    assert "must end in .npz" in refusal("predict", *files, "--save", tmp_path / "law.csv")
    assert "--y-test must come with --x-test" in refusal("predict", *files[:4], *files[6:])
    assert "--target-noise must come with --ridge" in refusal(
        "predict", *files, "--target-noise", "own"
    )
    twice = np.ones((10, 3))
    np.save(files[1], twice)
    target = tmp_path / "law.npz"
    assert "ridge must be above" in refusal("predict", *files, "--save", target)
    assert not target.exists()


def test_an_interrupt_ends_a_training(files: list[str]) -> None:
    arguments = ["--times", 20, "--samples", 5000, "--width", 1024]
    out, _ = interrupted("predict", *files, *arguments)
    assert out == ""


def test_hermite_in_a_pipe_is_what_the_package_returns() -> None:
    rows = rows_of(call("hermite", "--act", "gelu", "--terms", 12, "--variance", 2))
    table = hermite("gelu", terms=12, variance=2.0)
    assert tuple(rows[0])[:6] == ("k", "coefficient", "energy", "cumulative", "error", "status")
    for name in ("coefficient", "energy", "cumulative", "error"):
        assert [float(row[name]) for row in rows] == table[name].tolist()
    assert rows[0]["odd_part"] == "polynomial of degree 1"
    dual = rows_of(call("hermite", "dual", "--terms", "2,4", "--rho", "0,0.5,1"))
    assert [(row["terms"], row["rho"]) for row in dual[:4]] == [
        ("2", "0.0"),
        ("2", "0.5"),
        ("2", "1.0"),
        ("4", "0.0"),
    ]


def test_hermite_refuses() -> None:
    assert "'--terms': '2,4' is not a valid" in refusal("hermite", "--terms", "2,4")
    assert "o such option: --rho" in refusal("hermite", "--rho", "0.5")
    assert "'--terms': must be integers" in refusal("hermite", "dual", "--terms", "many")
    assert "rho must be in [-1, 1], not 2" in refusal("hermite", "dual", "--rho", "2")
