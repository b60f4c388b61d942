"""`nnth catapult`, `quadratic` and `lazy` run as processes: first calls of a user, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import call, interrupted, rows_of

from nnth import quadratic, random_model

pytestmark = pytest.mark.subprocess


def test_three_phases_in_a_picture(tmp_path: Path) -> None:
    rows = rows_of(call("catapult", "--plot", "a.svg", cwd=tmp_path))
    assert list(rows[0])[:5] == ["step", "z", "lambda", "loss", "phase"]
    assert [row["phase"] for row in rows if row["step"] == "0"] == ["lazy", "catapult", "divergent"]
    assert (tmp_path / "a.svg").stat().st_size > 1000


def test_one_trajectory_by_the_options_of_the_recursion() -> None:
    words = [
        "--eta",
        1.5,
        "--lambda0",
        2,
        "--z0",
        0.5,
        "--target",
        0.25,
        "--kappa",
        0.01,
        "--steps",
        1,
    ]
    rows = rows_of(call("catapult", *words))
    r, eta, kappa, lam, z = 0.25, 1.5, 0.01, 2.0, 0.5
    assert float(rows[1]["z"]) == pytest.approx(0.25 + r * (1 - eta * lam + kappa * eta**2 * z * r))
    assert float(rows[1]["lambda"]) == pytest.approx(
        lam + eta * kappa * r * (eta * lam * r - 4 * z)
    )
    assert (rows[0]["eta"], rows[0]["phase"], len(rows)) == ("1.5", "catapult", 2)


def test_phases_of_networks(tmp_path: Path) -> None:
    words = ["--width", 64, "--samples", 20, "--eta-lambda0", "1:4:1", "--plot", "a.png"]
    rows = rows_of(call("catapult", "phases", *words, cwd=tmp_path))
    assert [row["model"] for row in rows] == ["recursion", "frozen gates", "relu"] * 3
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_model_and_its_solution(tmp_path: Path) -> None:
    model = random_model(6, 2)
    np.savez(tmp_path / "m.npz", Phi=model.phi, Psi=model.psi, y=model.y, theta0=model.theta0)
    words = ["--model", "m.npz", "--eps", "0.01,0.02", "--times", "1,inf", "--save", "s.npz"]
    rows = rows_of(call("quadratic", *words, "--plot", "a.png", cwd=tmp_path))
    assert [row["time"] for row in rows[:8]] == ["1.0"] * 4 + ["inf"] * 4
    found = quadratic(model, eps=(0.01,))
    with np.load(tmp_path / "s.npz") as written:
        assert sorted(written.files) == ["theta_f", "theta_i_par", "theta_i_perp"]
        for name in written.files:
            assert written[name].tolist() == getattr(found, name).tolist()


def test_no_solution_is_written_where_there_is_none(tmp_path: Path) -> None:
    phi = np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    psi = random_model(3, 2).psi
    np.savez(tmp_path / "m.npz", Phi=phi, Psi=psi, y=np.ones(2), theta0=np.ones(3))
    done = call("quadratic", "--model", "m.npz", "--save", "s.npz", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has a limit" in done.stderr
    assert not (tmp_path / "s.npz").exists()


def test_a_network_as_a_quadratic_model() -> None:
    rows = rows_of(call("quadratic", "--net", "random", "--width", 4, "--points", 2, "--eps", 0.01))
    assert rows[-1]["quantity"] == "net beside model"


def test_lazy_over_widths(tmp_path: Path) -> None:
    rows = rows_of(
        call("lazy", "--width", "16,32", "--samples", 2, "--plot", "a.pdf", cwd=tmp_path)
    )
    assert [row["quantity"] for row in rows[:3]] == [
        "lambda_0",
        "kernel deviation",
        "second-layer deviation",
    ]
    assert len(rows) == 20
    assert (tmp_path / "a.pdf").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["catapult", "--eta", "0"], "eta must be above 0"),
        (["catapult", "--eta", "1,x"], "'--eta': must be finite numbers"),
        (
            ["catapult", "--eta-lambda0", "3:1:4"],
            "'--eta-lambda0': the list: the range 3:1:4 has no values",
        ),
        (["catapult", "--eta", "1", "--eta-lambda0", "0.5,3,4.5"], "must not both be given"),
        (["catapult", "--samples", "1", "--z0", "1"], "z0 must not be given with networks"),
        (["quadratic", "--model", "none.npz"], "none.npz"),
        (["quadratic", "--times", "1,soon"], "'--times': must be numbers"),
        (["quadratic", "--act", "tanh"], "--act must come with --net"),
        (["quadratic", "--net", "random", "--parameters", "3"], "--net and --parameters must not"),
        (["quadratic", "--model", "m.npz", "--points", "3"], "--model and --points must not"),
        (["quadratic", "--net", "net.npz", "--widths", "4"], "--net and --widths must not"),
        (["quadratic", "--net", "random", "--widths", "4", "--depth", "2"], "--widths and --depth"),
        (["quadratic", "--save", "s.npy"], "--save must end in .npz"),
        (["quadratic", "--net", "nets.npz"], "nets.npz"),
        (["lazy", "--width", "8,4"], "width must be ascending"),
        (["lazy", "--width", "8,x"], "'--width': must be integers"),
        (["lazy", "--normalize"], "--normalize must come with --x"),
        (["lazy", "--delta", "2"], "delta must be between 0 and 1"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    done = call(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.startswith("nnth: error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "after"),
    [
        (
            ["catapult", "phases", "--width", "100000", "--samples", "50", "--steps", "1000000"],
            None,
        ),
        (["lazy", "--width", "100000", "--samples", "50"], None),
        # This call reports no progress.
        (["quadratic", "--parameters", "300", "--points", "250"], 1.5),
    ],
    ids=["catapult", "lazy", "quadratic"],
)
def test_interrupts(words: list[str], after: float | None) -> None:
    out, _ = interrupted(*words, "--threads", 1, after=after)
    assert out == ""
