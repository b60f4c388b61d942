"""`nnth rkhs` run as a process: a group of commands, columns, bad input, files, sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import call, interrupted, refusal, rows_of

from nnth import rkhs_fit, rkhs_sample, rkhs_spectrum

pytestmark = pytest.mark.subprocess


@pytest.fixture
def train(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).normal(size=(25, 3))
    np.savez(tmp_path / "train.npz", x=x, y=np.sin(x[:, 0]))
    return tmp_path / "train.npz"


def test_the_group_says_what_there_is() -> None:
    assert "rkhs must be followed by one of spectrum, fit, curve, sample" in refusal("rkhs")
    assert "no command 'spectra'; did you mean spectrum?" in refusal("rkhs", "spectra")
    shown = call("rkhs", "--help").stdout
    assert all(name in shown for name in ("spectrum", "fit", "curve", "sample"))
    assert "Funk" not in shown
    for name in ("spectrum", "fit", "curve", "sample"):
        said = call("rkhs", name, "-h").stdout
        assert "Source:" in said
        assert "Example: nnth rkhs" in said


def test_the_spectrum_in_a_pipe_is_what_the_package_returns(train: Path) -> None:
    rows = rows_of(call("rkhs", "spectrum", "--kernel", "nngp", "--n0", 5, "--levels", 6))
    table = rkhs_spectrum("nngp", n0=5, levels=6)
    assert tuple(rows[0])[:5] == (
        "level",
        "eigenvalue",
        "multiplicity",
        "cumulative_trace",
        "reliable",
    )
    assert [float(row["eigenvalue"]) for row in rows] == table["eigenvalue"].tolist()
    assert rows[0]["n0"] == "5"
    beside = rows_of(call("rkhs", "spectrum", "--x", train, "--levels", 2))
    assert float(beside[0]["nystrom"]) == pytest.approx(0.5, rel=0.5)


def test_a_fit_in_a_pipe_and_its_arrays(train: Path, tmp_path: Path) -> None:
    target = tmp_path / "fit.npz"
    more = ("--kernel", "rbf:2", "--ridge", 0.1, "--x-test", train, "--y-test", train)
    rows = rows_of(call("rkhs", "fit", "--x", train, "--y", train, *more, "--save", target))
    found = rkhs_fit(train, train, "rbf:2", ridge=0.1, x_test=train, y_test=train)
    table = found.table()
    for name in ("rkhs_norm2", "log_marginal", "loo_error", "test_error"):
        # In two processes the last bits of LAPACK may differ with the alignment of memory.
        assert float(rows[0][name]) == pytest.approx(table[name][0], rel=1e-9)
    with np.load(target) as arrays:
        assert set(arrays) == {"alpha", "fitted", "left_out", "prediction", "variance"}
        assert arrays["alpha"] == pytest.approx(found.alpha, rel=1e-9, abs=1e-12)
    curve = rows_of(call("rkhs", "curve", "--x", train, "--y", train, "--sizes", "5,10"))
    assert tuple(curve[0])[:5] == ("size", "test_error", "stderr", "theory", "deviation")


def test_samples_in_a_pipe_and_split(train: Path, tmp_path: Path) -> None:
    target = tmp_path / "sets.npz"
    options = ("--x", train, "--size", 4, "--samples", 40)
    rows = rows_of(call("rkhs", "sample", *options, "--seed", 3, "--save", target))
    table = rkhs_sample(train, size=4.0, samples=40, seed=3).table()
    assert [float(row["frequency"]) for row in rows] == table["frequency"].tolist()
    assert float(rows[0]["expected_size"]) == pytest.approx(4.0, rel=1e-9)
    with np.load(target) as arrays:
        assert arrays["subsets"].mean(axis=0).tolist() == table["frequency"].tolist()
    split = rows_of(call("sweep", "rkhs", "sample", *options, "--seed", 3, "--split", 3))
    assert [row["frequency"] for row in split] == [row["frequency"] for row in rows]


def test_a_sweep_of_one_of_the_group(tmp_path: Path) -> None:
    words = ("sweep", "rkhs", "spectrum", "--vary", "n0=3,4", "--levels", 2)
    rows = rows_of(call(*words))
    assert [row["n0"] for row in rows] == ["3", "3", "4", "4"]
    assert rows[0]["sweep_point"].startswith("rkhs spectrum:")
    target = tmp_path / "runs.csv"
    for _ in range(2):  # the second time no point is left
        assert call(*words, "-o", target).returncode == 0
        assert len(target.read_text().splitlines()) == 5
    plan = tmp_path / "plan.toml"
    plan.write_text('command = "rkhs spectrum"\noptions = { levels = 2 }\nvary = { n0 = [3, 4] }\n')
    assert [row["sweep_point"] for row in rows_of(call("sweep", plan))] == [
        r["sweep_point"] for r in rows
    ]
    assert "there is no command 'rkhs' to sweep; did you mean rkhs fit" in refusal("sweep", "rkhs")


@pytest.mark.slow
def test_pictures(train: Path, tmp_path: Path) -> None:
    pictures = {
        "levels.svg": ("spectrum", "--levels", 30),
        "nystrom.svg": ("spectrum", "--x", train),
        "fit.svg": ("fit", "--x", train, "--y", train),
        "curve.svg": ("curve", "--x", train, "--y", train, "--sizes", "4,8"),
        "chances.svg": ("sample", "--x", train, "--samples", 20),
    }
    for name, arguments in pictures.items():
        done = call("rkhs", *arguments, "--plot", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / name).stat().st_size > 5000


def test_refusals_before_any_work(train: Path, tmp_path: Path) -> None:
    data = ("--x", train, "--y", train)
    assert "--y-test must come with --x-test" in refusal("rkhs", "fit", *data, "--y-test", train)
    assert "o such option: --samples" in refusal("rkhs", "fit", *data, "--samples", 3)
    assert "'--sizes': must be integers" in refusal("rkhs", "curve", *data, "--sizes", "a")
    assert "--act must not be given with --kernel rbf:4" in refusal(
        "rkhs", "curve", *data, "--act", "relu"
    )
    assert "--scale and --size must not both" in refusal(
        "rkhs", "sample", "--x", train, "--scale", 2, "--size", 3
    )
    assert "must end in .npz" in refusal("rkhs", "fit", *data, "--save", "a.csv")
    target = tmp_path / "none.npz"
    assert "ridge must be above about" in refusal(
        "rkhs", "fit", *data, "--kernel", "rbf:99", "--ridge", 0, "--save", target
    )
    assert not target.exists()
    assert "no such file" in refusal("rkhs", "sample", "--x", tmp_path / "x.npy").lower()


def test_an_interrupt_ends_the_drawing(train: Path) -> None:
    out, _ = interrupted("rkhs", "sample", "--x", train, "--samples", 2_000_000)
    assert out == ""
