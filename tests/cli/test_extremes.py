"""Extreme values: each is refused at once in one line, or handled without a library's warning."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nnth
from nnth_cli import main as program

# Sizes that exceed the memory of any machine: they are refused before any work, so that the test is
# fast.
TOO_LARGE = [
    "rates --depth 1000000000",
    "rates --depth 10000000",
    "rates --width 1000 --depth 100000",
    "kernel --depth 1000000000",
    "kernel --method gauss-hermite --nodes 1000000000000000000",
    "gram x.npy --depth 1000000000",
    "gp --depth 1000000000",
    "gp --samples 1000000000000000000",
    "gp --width 1000000000000000000",
    "paths --samples 1000000000000000000",
    "product --samples 1000000000",
    "product --depth 1000000000",
    "mp --rows 1000000000",
    "mp --points 1000000000 --n0 1000000000 --samples 2",
    "lazy --width 1000000000",
    "entropy --bits 1000000000",
    "entropy --set sphere --n0 1000000000",
    "rkhs sample --x x.npy --samples 1000000000000000000",
    "rates noise --x x.npy --gradient-noise 1 --samples 1000000000000000",
    "sgd valley --steps 1000000000",
    "sgd circle --steps 1000000000",
    "sgd circle --places 1000000000",
    "sgd net --steps 1000000000",
    "catapult --width 1000000000",
    "hessian --probes 1000000000000",
    "hessian --points 1000000000000",
    "sharpness --steps 1000000000000000000",
    "classes --data clusters:1:1000000000:1000000000",
    "sweep paths --vary width=3,4 --split 1000000000",
    "sweep paths --vary width=3,4 --jobs 1000000",
    "catapult --samples 1000000000000000000",
    "quadratic --parameters 1000000000",
    "predict --x x.npy --y y.npy --x-test x.npy --times 1 --samples 1000000000000000000",
]

# Values that once caused a library's warning or an overflow.
EXTREME = [
    "entropy --set power:1e300",
    "entropy --set power:5e-324",
    "entropy --set lipschitz:1e300,1e300",
    "entropy --set interval --exponent 1e300",
    "entropy --set sphere --n0 4 --cw 5e-324",
    "predict --x twice.npy --y y.npy --x-test x.npy --times 1000",
    "predict --x x.npy --y y.npy --x-test x.npy --times 1e308 --eta 10",
    "sgd valley --noise-strength 1000 --eta 0.99 --steps 2",
    "sgd --n0 2 --points 6 --eta 1e300",
    "gp --norm 1e308 --samples 10",
    "rates --cw 1e300 --depth 2 --width 8",
    "rkhs spectrum --kernel ntk --n0 4 --levels 5 --norm 1e308",
    "rkhs sample --x x.npy --kernel nngp --scale 1e308",
    "hessian --points 8 --widths 4 --steps 2 --act log(z) --cw 1",
    "hessian --points 8 --widths 4 --steps 2 --act z**3+1",
    "sharpness --points 8 --widths 4,4 --steps 2 --act relu --cw 1e308",
    "sharpness scan --points 20 --widths 4,4 --steps 2 --act relu --cw 1e308",
    "regions bounds --widths 6,6 --domain box --box 1e300",
    "regions along line --lines 3 --n0 5 --widths 6 --domain box --cw 0",
    "margin --points 8 --n0 2 --log-times 5e-324",
    "quadratic --parameters 6 --points 2 --times 1e308 --eps 0.1",
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with small data; `twice` has each input twice, and its kernel is singular."""
    x = np.random.default_rng(0).normal(size=(6, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x.sum(axis=1))
    np.save(tmp_path / "twice.npy", np.concatenate((x[:3], x[:3])))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)
    return tmp_path


def run(command: str) -> int:
    return program.run(program.get_command(program.app), command.split())


@pytest.mark.parametrize("command", TOO_LARGE)
def test_sizes_are_refused_before_the_work(
    command: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run(command)
    out, err = capfd.readouterr()
    assert (code in (1, 2), out) == (True, ""), err
    assert re.fullmatch(r"nnth: error: [^\n]+\n", err), err
    # Exceeding a limit is wrong use; exceeding the memory of this machine is a failure.
    assert code == 2 or "not enough memory" in err, err
    assert "TRACEBACK" not in err


@pytest.mark.parametrize("command", EXTREME)
def test_extremes_come_to_no_warning_of_a_library(
    command: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Warnings are errors in these tests, and the error would appear in the message.
    code = run(f"{command} --format csv")
    out, err = capfd.readouterr()
    assert code in (0, 2), err
    assert "Warning" not in err
    assert "Error" not in err
    assert (err == "") == (code == 0)
    assert (out == "") == (code == 2)


# Commands on data that is scaled by powers of ten.
ON_DATA = [
    "predict --x x.npy --y y.npy --x-test x.npy --times 1,inf --ridge 0.1",
    "predict --x x.npy --y y.npy --x-test x.npy --times 1 --samples 3 --width 4",
    "rkhs fit --x x.npy --y y.npy --kernel rbf:1 --ridge 0.1",
    "rkhs fit --x x.npy --y y.npy --kernel ntk --ridge 0.1",
    "sgd --x x.npy --y y.npy --steps 256",
    "entropy --set functions --functions x.npy --bits 0,1",
    "entropy --set functions --functions x.npy --bits 0,1 --metric sup",
    "entropy --set nets --x x.npy --widths 4 --samples 5 --bits 0,1",
    "lazy --x x.npy --y y.npy --width 4,8 --samples 2 --normalize --times 1",
]


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("command", ON_DATA)
def test_data_of_any_size_come_to_no_warning(
    command: str, scale: float, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("x", "y"):
        np.save(files / f"{name}.npy", scale * np.load(files / f"{name}.npy"))
    code = run(f"{command} --format csv")
    err = capfd.readouterr().err
    assert code in (0, 2), err
    assert (err == "") == (code == 0), err
    assert "Warning" not in err
    assert "Error" not in err


def test_a_singular_kernel_at_finite_times() -> None:
    """Eigenvalues that rounding makes negative do not grow: the limit is that of a pair."""
    x = np.random.default_rng(0).normal(size=(3, 3))
    y, u = x[:, :1] ** 2, x[:2] + 0.1
    twice = np.concatenate((x, x))
    times = (1.0, 1e3, 1e6)
    found = nnth.predict(twice, np.concatenate((y, y)), u, times=times)
    # With each example given twice the rate is twice as large.
    once = nnth.predict(x, y, u, times=tuple(2.0 * t for t in times))
    assert np.isfinite(found.mean).all()
    assert found.mean == pytest.approx(once.mean, abs=1e-10)
    assert found.variance == pytest.approx(once.variance, abs=1e-10)
