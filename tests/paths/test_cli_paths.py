"""`nnth paths` run as a process: columns, modes, bad input, files, pictures, interrupts."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import processes
import pytest
from processes import interrupted, rows_of

from nnth import paths

pytestmark = pytest.mark.subprocess

call = partial(processes.call, "paths")
refusal = partial(processes.refusal, "paths")


PROMISED = ("quantity", "order", "exact", "mean", "stderr", "z", "asymptotic")


def test_a_new_users_first_command() -> None:
    rows = rows_of(call("--width", 64, "--depth", 20))
    assert tuple(rows[0])[: len(PROMISED)] == PROMISED
    assert [row["quantity"] for row in rows[::4]] == ["dzdx", "z", "normz", "jacobian", "ntk"]
    assert (rows[0]["exact"], rows[0]["n0"], rows[0]["widths"]) == ("1.0", "2", "64*20")
    assert (rows[0]["samples"], rows[0]["sampler"], rows[0]["seed"]) == ("10000", "law", "0")
    table = paths(widths=(64,) * 20)
    assert [row["mean"] for row in rows] == [repr(value) for value in table["mean"].tolist()]


def test_weights_that_are_not_gaussian_are_sampled_densely() -> None:
    shape = ("--n0", 16, "--widths", "64,64", "--mu", "rademacher", "--samples", 500)
    done = call(*shape, "--sampler", "dense")
    (row, *_) = rows_of(done)
    assert (row["mu"], row["sampler"], row["exact"]) == ("rademacher", "dense", "0.125")
    assert done.stdout == call(*shape).stdout


def test_theory_alone_and_fractions() -> None:
    rows = rows_of(
        call(
            "--n0",
            1,
            "--widths",
            "8*2,4",
            "--samples",
            0,
            "--exact",
            "--orders",
            "2,4",
            "--quantities",
            "dzdx",
        )
    )
    fourth = 12 * Fraction(13, 8) ** 2 * Fraction(9, 4)
    assert [row["fraction"] for row in rows] == ["2", str(fourth)]
    assert (rows[0]["mean"], rows[0]["seed"], rows[0]["sampler"]) == ("nan", "", "")
    assert rows[1]["exact"] == repr(float(fourth))


def test_moments_of_weights() -> None:
    by_moments = rows_of(call("--width", 9, "--mu-moments", "1,3,15,105"))
    by_name = rows_of(call("--width", 9, "--samples", 0))
    assert [row["exact"] for row in by_moments] == [row["exact"] for row in by_name]
    assert {row["mu"] for row in by_moments} == {"1,3,15,105"}


def test_an_input_by_numbers_and_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", [[1.0, -2.0, 0.5]])
    shape = ("--width", 9, "--samples", 50, "--mu", "uniform")
    given = rows_of(call(*shape, "--x", "1,-2,0.5"))
    loaded = rows_of(call(*shape, "--x", "x.npy", cwd=tmp_path))
    assert given == loaded
    assert (given[0]["n0"], given[0]["x"]) == ("3", "1.0,-2.0,0.5")


@pytest.mark.parametrize("form", ["jsonl", "table"])
def test_formats(form: str) -> None:
    done = call("--width", 5, "--samples", 0, "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    if form == "jsonl":
        record, *_ = map(json.loads, done.stdout.splitlines())
        assert (record["exact"], record["mean"], record["sampler"]) == (1.0, "NaN", None)
    else:
        assert "asymptotic" in done.stdout


def test_the_same_for_any_number_of_threads() -> None:
    assert len({call("--samples", 20_000, "--threads", n).stdout for n in (1, 2)}) == 1


def test_subcommands(tmp_path: Path) -> None:
    rows = rows_of(call("distribution", "--width", 20))
    names = [row["distribution"] for row in rows]
    assert names == [
        "sample",
        "exact",
        "lognormal-chi2",
        "lognormal",
    ]
    assert float(rows[1]["ks"]) < float(rows[3]["ks"])
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(4, 6)))
    shape = ("--width", 16, "--depth", 2, "--samples", 300)
    bounds = rows_of(call("spectrum", *shape, "--x", "x.npy", "--delta", "0.1", cwd=tmp_path))
    assert [(row["bound"], row["valid"]) for row in bounds] == [
        ("trace", "true"),
        ("trace, one-sided", "true"),
        ("lecture", "false"),
    ]
    assert (bounds[0]["x"], bounds[0]["points"], bounds[0]["n0"]) == ("x.npy", "4", "6")
    (row,) = rows_of(call("angles", "--width", 16, "--depth", 1, "--rho", 0.5, "--samples", 300))
    assert float(row["limit"]) == pytest.approx(0.471166, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--width 0", "width must be at least 1, not 0"),
        ("--widths 3 --depth 3", "--widths and --depth must not both be given"),
        ("--mu-moments 1,0.9", "mu4 must be at least 1 = mu2^2, not 9/10"),
        ("--mu-moments 1,3 --mu gaussian", "--mu and --mu-moments must not both be given"),
        ("--mu-moments gaussian", "--mu-moments must be numbers"),
        ("--x 0,0", "x must not be 0"),
        ("--x 1,nan", "must be finite numbers, as in 1,2,4"),
        ("--orders 3", "orders must be even except for ntk, not 3"),
        (
            "--orders 2,x",
            "must be integers, as in 1,2,4",
        ),
        ("--linear --plot a.png", "--linear and --plot must not both be given"),
        ("spectrum --x x.npy --points 10", "--x and --points must not both be given"),
        ("spectrum --x x.npy --n0 10", "--x and --n0 must not both be given"),
        ("spectrum --x x.npy", "x.npy: No such file or directory"),
        ("spectrum --delta 1", "delta must be between 0 and 1, not 1"),
        ("angles --rho 2", "rho must be in [-1, 1], not 2"),
        ("--linear --samples 10000", "samples must be 0 for linear networks, not 10000"),
        ("--save a.csv", "--save must end in .npz, not 'a.csv'"),
        ("--save a.npz --samples 0", "--save must come with --samples"),
        ("--save a.npz --mu-moments 1,3", "these networks cannot be sampled"),
        ("distribution --save a.npz --samples 0", "--save must come with --samples"),
    ],
)
def test_an_error_names_the_option_and_leaves_no_file(
    arguments: str, message: str, tmp_path: Path
) -> None:
    assert message in refusal(*arguments.split(), "-o", "r.csv", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_samples_that_would_not_fit_are_refused_before_work(tmp_path: Path) -> None:
    done = call("--save", "a.npz", "--samples", 2**38, "-o", "r.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not enough memory. --samples must be fewer" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_loop_over_depths_appends(tmp_path: Path) -> None:
    for depth in (1, 2, 4):
        done = call(
            "--n0",
            1,
            "--width",
            32,
            "--depth",
            depth,
            "--quantities",
            "dzdx",
            "--orders",
            4,
            "--samples",
            100,
            "--append",
            "r.csv",
            cwd=tmp_path,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with (tmp_path / "r.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["depth"] for row in rows] == ["1", "2", "4"]
    expected = [12 * (1 + 5 / 32) ** depth for depth in (1, 2, 4)]
    assert [float(row["exact"]) for row in rows] == pytest.approx(expected, rel=1e-14)


def test_samples_are_saved(tmp_path: Path) -> None:
    rows = rows_of(call("--samples", 1000, "--save", "s.npz", cwd=tmp_path))
    values = np.load(tmp_path / "s.npz")
    assert values.files == ["dzdx", "z", "normz", "jacobian", "ntk"]
    assert {values[name].shape for name in values.files} == {(1000,)}
    for row in rows:
        mean = np.mean(values[row["quantity"]] ** int(row["order"]))
        assert mean == pytest.approx(float(row["mean"]), rel=1e-9)


def test_a_picture_needs_no_row_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "r.png"
    rows = rows_of(call("--quantities", "ntk", "--plot", path))
    assert {row["quantity"] for row in rows} == {"ntk"}
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        "distribution --mu rademacher --samples 200 --width 8",
        "--samples 0",
        "angles --rho 0.5,0 --samples 50",
        "spectrum --x x.npy --samples 50",
        "--width 1 --depth 30 --samples 100",
    ],
)
def test_pictures(arguments: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    done = call(*arguments.split(), "--plot", "r.svg", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "r.svg").read_bytes().startswith(b"<?xml")


def test_an_interrupt_reports_the_work_done_and_leaves_no_file(tmp_path: Path) -> None:
    out, err = interrupted("paths", "--samples", 2 * 10**10, "-o", "r.csv", cwd=tmp_path)
    assert out == ""
    assert err.startswith("nnth: interrupted: ")
    assert "of 20000000000 networks were drawn" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_has_formula_source_and_example() -> None:
    said = call("moments", "--help").stdout
    for word in (
        "12/n0^2 exp(5 T)",
        "Source: Hanin and Nica",
        "Example: nnth paths",
        "--mu-moments",
    ):
        assert word in said
