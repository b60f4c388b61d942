"""Sharpness along gradient descent, and `nnth sharpness`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import call, refusal, rows_of

from nnth import TrainingSetup, hessian, sharpness, sharpness_scan


def test_the_setup_of_the_lecture_settles_at_the_edge_of_stability() -> None:
    """Cohen et al. (2021): 300 digits, tanh 64-32-32-10, squared loss, full-batch descent."""
    setup = TrainingSetup(
        data="digits", points=300, centre=True, loss="squared", eta=0.25, steps=6000, cw=1.0
    )
    table = sharpness(setup, at=[0, 480, *range(1440, 6001, 120)]).summary()
    ratio, loss = table["ratio"], table["loss"]
    assert ratio[0] < ratio[1] < 0.8  # it rises
    # The trajectory is chaotic, and another on every BLAS: it stays near 2/eta, within 0.016 where
    # it was seen, and the loss falls in the long run alone, by a quarter or more in 1200 steps.
    late = ratio[table["step"] >= 2600]
    assert abs(late.mean() - 1.0) < 0.03
    assert abs(late - 1.0).max() < 0.1
    assert np.all(loss[12::10] < 0.9 * loss[2:-10:10])
    assert table["threshold"][0] == 8.0
    assert np.all(table["residual"] <= 1e-4 * table["sharpness"])


@pytest.mark.parametrize("eta", [0.3, 0.4, 0.6])
def test_other_rates_settle_there_too(eta: float) -> None:
    setup = TrainingSetup(
        data="digits", points=300, centre=True, loss="squared", eta=eta, steps=4000, cw=1.0
    )
    ratio = sharpness(setup, at=range(3000, 4001, 50)).summary()["ratio"]
    assert abs(ratio.mean() - 1.0) < 0.03


def test_momentum_moves_the_threshold() -> None:
    setup = TrainingSetup(
        data="clusters:2:10:20", loss="squared", eta=0.45, momentum=0.5, steps=3000
    )
    table = sharpness(setup, at=range(2500, 3001, 50)).summary()
    assert table["threshold"][0] == pytest.approx(20.0 / 3.0)
    assert abs(table["ratio"].mean() - 1.0) < 0.05


def test_sharpness_is_the_largest_eigenvalue() -> None:
    setup = TrainingSetup(points=30, widths=(6,), steps=20, loss="squared")
    table = sharpness(setup, at=(0, 20)).summary()
    top = hessian(setup, at=(0, 20), top=1, bottom=0, tolerance=1e-10).summary()
    assert np.abs(table["sharpness"] - top["eigenvalue"]).max() <= table["residual"].max()
    assert np.array_equal(table["loss"], top["loss"])
    assert sharpness(setup).summary()["step"].tolist() == list(range(21))
    assert len(sharpness(TrainingSetup(points=30, widths=(6,), steps=700)).summary()) == 60


def test_a_linear_model_has_its_phases_where_theory_has_them() -> None:
    """With no hidden bend the loss is quadratic near its end: lazy below 2 and no other phase."""
    x = np.linspace(-1.0, 1.0, 9)[:, None]
    setup = TrainingSetup(
        data=(x, 0.5 * x + 0.25), widths=(400,), act="linear", loss="squared", steps=200, seed=2
    )
    table = sharpness_scan(setup, eta_lambda0=(0.5, 1.9, 2.2, 30.0))
    assert table["phase"].tolist() == ["lazy", "lazy", "catapult", "divergent"]
    lazy = table["phase"] == "lazy"
    assert np.all(table["peak_loss"][lazy] == 1.0)
    assert table["peak_loss"][2] > 1.0
    # Lewkowycz et al. (2020): the catapult ends where eta lambda is below 2.
    final = table["curvature_change"] * table["eta_lambda0"]
    assert final[2] < 2.0 < table["eta_lambda0"][2]
    assert abs(table["curvature_change"][0] - 1.0) < 0.05
    assert np.all(table["correlation"][:3] > 0.9)
    assert np.isnan(table["accuracy"]).all()
    assert (table["loss"][3], math.isnan(table["ratio"][3])) == (math.inf, True)
    assert table["diverged_step"][3] > 0
    assert table["diverged_step"][:3].tolist() == [-1, -1, -1]


def test_rates_are_those_times_lambda0() -> None:
    setup = TrainingSetup(data="clusters:1:3:4", points=20, widths=(5,), loss="squared", steps=3)
    training = setup.training()
    curvature = training.objective.at(training.theta)
    full = np.array([curvature.gauss_newton(unit) for unit in np.eye(training.shape.size)])
    lambda0 = np.linalg.eigvalsh(full).max()
    table = sharpness_scan(setup, eta_lambda0=(1.0,))
    assert table["eta"][0] == pytest.approx(1.0 / lambda0, rel=1e-7)
    theta = training.theta
    for _ in range(3):
        theta = theta - table["eta"][0] * training.objective.gradient(theta)[1]
    expected = theta @ training.theta / np.linalg.norm(theta) / np.linalg.norm(training.theta)
    assert table["correlation"][0] == pytest.approx(expected, rel=1e-12)
    assert table["loss"][0] == pytest.approx(training.objective.gradient(theta)[0], rel=1e-12)


@pytest.mark.parametrize("rates", [(), (0.0,), (math.inf,), (2.0, 1.0)])
def test_bad_rates_are_named(rates: Any) -> None:
    with pytest.raises(ValueError, match="eta_lambda0 must be"):
        sharpness_scan(TrainingSetup(points=8, widths=(3,)), eta_lambda0=rates)


def test_a_trained_network_is_saved_and_looked_at_again(tmp_path: Path) -> None:
    words = ["--points", 30, "--widths", "5", "--loss", "squared"]
    first = call("sharpness", *words, "--data", "clusters:0.3", "--steps", 50, "--at", "50",
                 "--save-net", "net.npz", cwd=tmp_path)  # fmt: skip
    again = call("sharpness", "--net", "net.npz", "--data", "clusters:0.3", "--points", 30,
                 "--loss", "squared", cwd=tmp_path)  # fmt: skip
    one, other = rows_of(first)[-1], rows_of(again)[-1]
    assert other["act"] == "tanh"
    for name in ("loss", "sharpness", "accuracy"):
        assert one[name] == other[name]


def test_the_command_says_what_does_not_go_together(tmp_path: Path) -> None:
    assert "--net and --widths must not both be given" in refusal(
        "sharpness", "--net", "n.npz", "--widths", "4", cwd=tmp_path
    )
    assert "--scan and --eta must not both be given" in refusal("sharpness", "--scan", "--eta", 1)
    assert "--eta-lambda0 must come with --scan" in refusal("sharpness", "--eta-lambda0", 1)
    assert "at must be" in refusal("hessian", "--at", "0.5")
    wrong = refusal("hessian", "--checkpoint", "c.txt")
    assert "--checkpoint must end in .json, not 'c.txt'" in wrong
