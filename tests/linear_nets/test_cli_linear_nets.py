"""`nnth mp`, `nnth product` and `nnth bayes` run as processes: columns, files, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import call, interrupted, refusal, rows_of

import nnth

pytestmark = pytest.mark.subprocess

DESCRIBED = ("--norm2", 2, "--points", 20, "--n0", 50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a data set, points to predict, and values there."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 9))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x.sum(axis=1))
    np.savetxt(tmp_path / "new.csv", rng.standard_normal((3, 9)), delimiter=",")
    np.save(tmp_path / "v.npy", np.zeros(3))
    return tmp_path


def test_bayes_in_a_pipe_equals_the_result_of_the_package() -> None:
    rows = rows_of(call("bayes", *DESCRIBED, "--width", 30, "--depth", "0:3", "--sigma2", "0.5,1"))
    table = nnth.bayes(norm2=2.0, points=20, n0=50, width=30, depth=[0, 1, 2], sigma2=[0.5, 1.0])
    assert list(rows[0])[:13] == [
        "depth",
        "sigma2",
        "nu",
        "lambda_post",
        "log_evidence",
        "log_z",
        "sigma2_star",
        "sigma2_star_asymptotic",
        "perp_norm2",
        "perp_norm2_limit",
        "check",
        "check_stderr",
        "ess",
    ]
    assert [row["log_evidence"] for row in rows] == [
        repr(v) for v in table["log_evidence"].tolist()
    ]
    assert [row["check"] for row in rows] == [repr(v) for v in table["check"].tolist()]
    assert (rows[0]["points"], rows[0]["n0"], rows[0]["seed"]) == ("20", "50", "0")
    again = rows_of(
        call(
            "bayes",
            *DESCRIBED,
            "--width",
            30,
            "--depth",
            "0,1,2",
            "--sigma2",
            "0.5,1",
            "--threads",
            1,
        )
    )
    assert again == rows


def test_bayes_on_files_predicts_and_draws(folder: Path) -> None:
    data = ("--x", folder / "x.npy", "--y", folder / "y.npy", "--width", 20)
    (row,) = rows_of(call("bayes", *data, "--depth", 1))
    table = nnth.bayes(folder / "x.npy", folder / "y.npy", width=20, depth=1)
    assert float(row["log_evidence"]) == pytest.approx(table["log_evidence"][0], rel=1e-12)
    picture = folder / "band.png"
    rows = rows_of(
        call(
            "bayes",
            "predict",
            *data,
            "--depth",
            2,
            "--x-test",
            folder / "new.csv",
            "--y-test",
            folder / "v.npy",
            "--quantiles",
            "0.1,0.9",
            "--plot",
            picture,
        )
    )
    assert list(rows[0])[:13] == [
        "depth",
        "sigma2",
        "point",
        "mean",
        "std",
        "perp",
        "q10",
        "q90",
        "kurtosis",
        "y",
        "log_density",
        "log_gaussian",
        "note",
    ]
    assert len(rows) == 3
    assert picture.stat().st_size > 10_000
    evidence = folder / "evidence.svg"
    rows_of(
        call("bayes", *data, "--depth", "log:1:1000:5", "--sigma2", "1,1.1", "--plot", evidence)
    )
    assert "importance sampling" in evidence.read_text()


def test_mp_and_product_in_a_pipe(tmp_path: Path) -> None:
    rows = rows_of(
        call("mp", "--alpha", 2, "--rows", 5, "--samples", 2, "--plot", tmp_path / "a.png")
    )
    assert list(rows[0])[:4] == ["x", "pdf", "cdf", "empirical"]
    assert (len(rows), rows[0]["x"], rows[0]["cdf"], rows[0]["atom"]) == (6, "0.0", "0.5", "0.5")
    assert float(rows[0]["ks"]) < 0.005
    (row,) = rows_of(
        call("mp", "--points", 30, "--n0", 60, "--quantiles", 0.5, "--sampler", "dense")
    )
    assert float(row["cdf"]) == pytest.approx(0.5, abs=1e-12)
    rows = rows_of(
        call("product", "--widths", "8*3,4", "--samples", 500, "--plot", tmp_path / "b.png")
    )
    assert list(rows[0])[:5] == ["quantity", "exact", "mean", "stderr", "z"]
    assert [row["quantity"] for row in rows] == [
        "norm",
        "norm2",
        "norm4",
        "log_norm",
        "log_norm_variance",
    ]
    assert (rows[0]["width_first"], rows[0]["depth_first"]) == ("1.0", "0.0")
    many = rows_of(
        call("product", "--depth", "0:7:3", "--samples", 0, "--plot", tmp_path / "c.pdf")
    )
    assert [row["depth"] for row in many[::5]] == ["0", "3", "6"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mp", "--points", 5), "--points and --n0 must both be given"),
        (("mp", "--alpha", 1, "--points", 5), "--alpha and --points must not both be given"),
        (("mp", "--alpha", -1), "alpha must be from"),
        (
            ("mp", "--rows", 101, "--quantiles", 0.5),
            "--rows and --quantiles must not both be given",
        ),
        (("mp", "--alpha", 1, "--quantiles", 2), "--quantiles must be above 0 and below 1"),
        (("mp", "--alpha", 1, "--samples", -1), "samples must be at least 0"),
        (("product", "--widths", "3", "--depth", 2), "--widths and --depth must not both be given"),
        (("product", "--depth", "2.5"), "must be integers, as in 1,2,4"),
        (("product", "--depth", "5:5"), "the range 5:5 has no values"),
        (("product", "--sigma2", 0), "sigma2 must be positive, not 0"),
        (("bayes", *DESCRIBED, "--sigma2", "1,x"), "must be finite numbers"),
        (("bayes", *DESCRIBED, "--sigma2", "nan"), "must be finite numbers"),
        (("bayes", *DESCRIBED, "--x", "x.npy"), "--x and --points must not both be given"),
        (("bayes", "--y", "y.npy"), "--y must come with --x"),
        (("bayes", "--points", 50), "must be 1 <= points < n0"),
        (("bayes", "predict", "--x-test", "new.npy"), "--x-test must come with --x"),
        (("bayes", "predict", "--points", 50), "points must be below n0, not 50 and 50"),
        (("bayes", "predict", "--n0", 10**9), "n0 must be at most 4096"),
        (("bayes", "--x", "no.npy", "--y", "no.npy"), "no.npy"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[object, ...], message: str) -> None:
    assert message in refusal(*arguments)


def test_files_that_do_not_fit(folder: Path) -> None:
    x, y, new = folder / "x.npy", folder / "y.npy", folder / "new.csv"
    wide, two = folder / "wide.npy", folder / "two.npy"
    np.save(wide, np.ones((3, 4)))
    np.save(two, np.ones((5, 2)))
    assert "--x must come with --x-test" in refusal("bayes", "predict", "--x", x, "--y", y)
    assert "--x must come with --y" in refusal("bayes", "predict", "--x", x, "--x-test", new)
    assert "--x and --y must both be given" in refusal("bayes", "--x", x)
    assert "one number for each of 5" in refusal("bayes", "--x", x, "--y", two)
    assert "--x-test must have as many" in refusal(
        "bayes", "predict", "--x", x, "--y", y, "--x-test", wide
    )
    target = folder / "out.csv"
    np.save(x, np.ones((5, 9)))
    assert "independent rows" in refusal("bayes", "--x", x, "--y", y, "-o", target)
    assert not target.exists()


def test_a_sweep_in_parts_has_the_bits_of_the_whole(tmp_path: Path) -> None:
    options = ("--depth", 40, "--width", 8, "--samples", 1000, "--seed", 3)
    whole = rows_of(call("product", *options))
    parts = rows_of(
        call(
            "sweep", "product", *options, "--split", 3, "-o", tmp_path / "a.csv", "--format", "csv"
        )
    )
    assert [row["mean"] for row in parts] == [row["mean"] for row in whole]


@pytest.mark.parametrize(
    "work",
    [
        ("bayes", *DESCRIBED, "--depth", 100_000, "--samples", 1_000_000),
        ("product", "--depth", 100_000, "--samples", 1_000_000),
        ("mp", "--points", 20_000, "--n0", 20_000),
    ],
)
def test_an_interrupt_is_answered(work: tuple[object, ...]) -> None:
    out, _ = interrupted(*work)
    assert out == ""
