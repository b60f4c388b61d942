"""Sharpness along gradient descent, and `nnth sharpness`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import call, refusal, rows_of

from nnth import Network, TrainingSetup, hessian, sharpness, sharpness_scan
from nnth._lab.curvature import Curvature
from nnth._lab.phases import is_dead


def test_gradient_descent_settles_at_the_edge_of_stability() -> None:
    """Cohen et al. (2021): 300 digits, tanh 64-32-32-10, squared loss, full-batch descent."""
    setup = TrainingSetup(
        data="digits", points=300, center=True, loss="squared", eta=0.25, steps=6000, cw=1.0
    )
    table = sharpness(setup, at=[0, 480, *range(1440, 6001, 120)]).table()
    ratio, loss = table["ratio"], table["loss"]
    assert ratio[0] < ratio[1] < 0.8  # it rises
    # The trajectory is chaotic, and differs between BLAS libraries: the ratio stayed within 0.016
    # of 1 in all that were tried, and the loss decreases only over long times, by a quarter or more
    # in 1200 steps.
    late = ratio[table["step"] >= 2600]
    assert abs(late.mean() - 1.0) < 0.03
    assert abs(late - 1.0).max() < 0.1
    assert np.all(loss[12::10] < 0.9 * loss[2:-10:10])
    assert table["threshold"][0] == 8.0
    assert np.all(table["residual"] <= 1e-4 * table["sharpness"])


@pytest.mark.parametrize("eta", [0.3, 0.4, 0.6])
def test_other_rates_settle_at_their_edge(eta: float) -> None:
    setup = TrainingSetup(
        data="digits", points=300, center=True, loss="squared", eta=eta, steps=4000, cw=1.0
    )
    ratio = sharpness(setup, at=range(3000, 4001, 50)).table()["ratio"]
    assert abs(ratio.mean() - 1.0) < 0.03


def test_momentum_moves_the_threshold() -> None:
    setup = TrainingSetup(
        data="clusters:2:10:20", loss="squared", eta=0.45, momentum=0.5, steps=3000
    )
    table = sharpness(setup, at=range(2500, 3001, 50)).table()
    assert table["threshold"][0] == pytest.approx(20.0 / 3.0)
    assert abs(table["ratio"].mean() - 1.0) < 0.05


def test_sharpness_is_the_largest_eigenvalue() -> None:
    setup = TrainingSetup(points=30, widths=(6,), steps=20, loss="squared")
    table = sharpness(setup, at=(0, 20)).table()
    top = hessian(setup, at=(0, 20), top=1, bottom=0, tolerance=1e-10).table()
    assert np.abs(table["sharpness"] - top["eigenvalue"]).max() <= table["residual"].max()
    assert np.array_equal(table["loss"], top["loss"])
    assert sharpness(setup).table()["step"].tolist() == list(range(21))
    assert sharpness(TrainingSetup(points=30, widths=(6,), steps=700)).table().num_rows == 60


def test_phases_of_a_linear_model() -> None:
    """Without hidden layers the loss is quadratic near its end: lazy below 2, no other phase."""
    x = np.linspace(-1.0, 1.0, 9)[:, None]
    setup = TrainingSetup(
        data=(x, 0.5 * x + 0.25), widths=(400,), act="linear", loss="squared", steps=200, seed=2
    )
    table = sharpness_scan(setup, eta_lambda0=(0.5, 1.9, 2.2, 30.0))
    assert table["phase"].tolist() == ["lazy", "lazy", "catapult", "divergent"]
    lazy = table["phase"] == "lazy"
    assert np.all(table["peak_loss"][lazy] == table["start_loss"][lazy])
    assert table["peak_loss"][2] > table["start_loss"][2]
    # Lewkowycz et al. (2020): the catapult ends where eta lambda is below 2.
    assert table["eta_lambda"][2] < 2.0 < table["eta_lambda0"][2]
    assert abs(table["eta_lambda"][0] / 0.5 - 1.0) < 0.05
    assert np.all(table["correlation"][:3] > 0.9)
    assert np.isnan(table["accuracy"]).all()
    assert (table["loss"][3], math.isnan(table["ratio"][3])) == (math.inf, True)
    assert table["diverged_step"][3] > 0
    assert table["diverged_step"][:3].tolist() == [-1, -1, -1]


def test_rates_are_divided_by_lambda0() -> None:
    setup = TrainingSetup(data="clusters:1:3:4", points=20, widths=(5,), loss="squared", steps=3)
    training = setup.training()
    curvature = Curvature(training.objective, training.theta)
    full = np.array([curvature.gauss_newton(unit) for unit in np.eye(training.model.size)])
    lambda0 = np.linalg.eigvalsh(full).max()
    table = sharpness_scan(setup, eta_lambda0=(1.0,))
    assert table["eta"][0] == pytest.approx(1.0 / lambda0, rel=1e-7)
    theta = training.theta
    for _ in range(3):
        theta = theta - table["eta"][0] * training.objective.gradient(theta)[1]
    expected = theta @ training.theta / np.linalg.norm(theta) / np.linalg.norm(training.theta)
    assert table["correlation"][0] == pytest.approx(expected, rel=1e-12)
    assert table["loss"][0] == pytest.approx(training.objective.gradient(theta)[0], rel=1e-12)


SMALL: dict[str, Any] = {"data": "clusters:1:3:4", "points": 30, "loss": "squared"}
RATES = (1.0, 4.0, 8.0, 13.0, 20.0, 40.0)


@pytest.mark.parametrize(
    ("act", "width", "phases"),
    [
        ("relu", 12, {"lazy", "catapult", "divergent"}),
        ("relu", 3, {"lazy", "catapult", "dead", "undecided"}),
        ("tanh", 12, {"lazy", "catapult", "divergent"}),
    ],
)
def test_phases_agree_with_a_descent_by_hand(act: str, width: int, phases: set[str]) -> None:
    """From eight starts, losses of a separate descent and dense Hessians confirm every phase."""
    met = set()
    for seed in range(8):
        setup = TrainingSetup(**SMALL, act=act, widths=(width,), seed=seed, steps=200)
        table = sharpness_scan(setup, eta_lambda0=RATES)
        columns = {name: table[name].tolist() for name in table}
        steps = 50
        shorter = sharpness_scan(replace(setup, steps=steps), eta_lambda0=RATES)
        for i, decided in enumerate(columns["decided_step"]):
            known = 0 <= decided <= steps
            assert shorter["decided_step"][i] == (decided if known else -1)
            assert shorter["phase"][i] == (columns["phase"][i] if known else "undecided")
        training = setup.training()
        y = training.examples.y
        constant = 0.5 * np.mean(np.sum((y - y.mean(axis=0)) ** 2, axis=1))
        assert table["constant_loss"] == pytest.approx(constant, rel=1e-14)
        for i, phase in enumerate(columns["phase"]):
            met.add(phase)
            decided, eta = columns["decided_step"][i], columns["eta"][i]
            if phase == "undecided":
                assert (decided, columns["note"][i][:4]) == (-1, "the ")
                continue
            losses, theta = by_hand(training, eta, decided)
            best = min(losses[0], constant)
            match phase:
                case "lazy" | "catapult":
                    assert (max(losses) > losses[0]) == (phase == "catapult")
                    assert max(losses[-max(10, decided // 2) :]) < 0.9 * best
                    curvature = Curvature(training.objective, theta)
                    units = np.eye(training.model.size)
                    full = np.array([curvature.hessian(unit) for unit in units])
                    assert np.linalg.eigvalsh(0.5 * (full + full.T))[-1] < 2.0 / eta
                    assert columns["loss"][i] < best  # at the end the loss still decreases
                case "divergent":
                    assert not losses[-1] <= 1e10 * max(losses[0], constant)
                    assert columns["diverged_step"][i] == decided
                case "dead":
                    outputs = training.objective.outputs(theta)
                    assert np.ptp(outputs, axis=0).max() == 0.0
                    gradient = training.objective.gradient(theta)[1]
                    assert not gradient[: width * 5].any()  # of W_1 and b_1
    assert met >= phases


def by_hand(training: Any, eta: float, steps: int) -> tuple[list[float], Any]:
    """Return the losses of gradient descent up to a step, and the parameters after it."""
    theta, losses = training.theta, []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps + 1):
            loss, gradient = training.objective.gradient(theta)
            losses.append(loss)
            here, theta = theta, theta - eta * gradient
    return losses, here


def test_a_large_but_finite_loss_is_no_catapult() -> None:
    """A last layer that diverges grows by a constant factor, and overflows only after long."""
    setup = TrainingSetup(**SMALL, widths=(12,), steps=40)
    table = sharpness_scan(setup, eta_lambda0=(9.0,))
    losses, _ = by_hand(setup.training(), table["eta"][0], 40)
    assert math.isfinite(losses[-1])
    assert losses[-1] > 1e12
    assert (table["phase"][0], table["loss"][0]) == ("divergent", math.inf)


def test_a_batch_that_diverges_decides_the_phase() -> None:
    """Steps between epochs know a batch only; the loss on all examples decides the phase."""
    setup = TrainingSetup(**SMALL | {"batch": 6}, widths=(12,), steps=40)
    table = sharpness_scan(setup, eta_lambda0=(0.1, 10.0))
    assert (table["phase"][1], table["loss"][1]) == ("divergent", math.inf)
    assert table["decided_step"][1] == table["diverged_step"][1] >= 0
    assert table["phase"][0] != "divergent"


def closed(bias: float = -1.0, second: float = -1.0) -> Network:
    """Return a ReLU network on the plane that is inactive near 0, with the output 0.5."""
    return Network(
        (0.1 * np.ones((3, 2)), np.ones((3, 3)), np.ones((1, 3))),
        (np.full(3, bias), np.full(3, second), np.array([0.5])),
        "relu",
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"momentum": 0.9},
        {"optimizer": "nesterov"},
        {"weight_decay": 0.1},
        {"batch": 3},
        {"batch": 8, "sampling": "replacement"},
        {"batch": 3, "sampling": "bernoulli"},
    ],
)
def test_inactive_relus_are_dead_at_once(change: dict[str, Any]) -> None:
    x = np.random.default_rng(1).uniform(-1.0, 1.0, (8, 2))
    setup = TrainingSetup(data=(x, x[:, 0] + 0.3), net=closed(), loss="squared", steps=50, **change)
    # Only the output's bias has a gradient, and its eigenvalue is 1: rates equal eta.
    table = sharpness_scan(setup, eta_lambda0=(0.5, 1.5))
    assert table["eta"] == pytest.approx([0.5, 1.5], rel=1e-12)
    assert table["phase"].tolist() == ["dead", "dead"]
    assert table["decided_step"].tolist() == [0, 0]
    assert table["loss"][0] >= table["constant_loss"][0] * (1.0 - 1e-12)


def test_relus_that_become_active_again_are_not_dead() -> None:
    """Momentum returns the biases of inactive units above 0; tanh leaves saturation."""
    x = np.random.default_rng(1).uniform(-1.0, 1.0, (8, 2))
    setup = TrainingSetup(
        data=(x, x[:, 0]), net=closed(-1.0, 1.0), loss="squared", momentum=0.9, eta=0.1
    )
    training = setup.training()
    rising = np.zeros_like(training.theta)
    rising[6:9] = -2.0  # biases b_1 that rise to -1 + 0.1 * 9 * 2
    descent = training.descent()
    assert is_dead(training, descent)
    descent.state = [rising]
    assert not is_dead(training, descent)
    tanh = Network(closed(40.0, 1.0).weights, closed(40.0, 1.0).biases, "tanh")
    still = TrainingSetup(data=(x, x[:, 0]), net=tanh, loss="squared").training()
    decaying = TrainingSetup(data=(x, x[:, 0]), net=tanh, loss="squared", weight_decay=0.1)
    assert is_dead(still, still.descent())
    assert not is_dead(decaying.training(), still.descent())


def test_a_dead_network_whose_bias_diverges_is_dead_with_a_note() -> None:
    x = np.random.default_rng(1).uniform(-1.0, 1.0, (8, 2))
    setup = TrainingSetup(data=(x, x[:, 0] + 0.3), net=closed(), loss="squared", steps=500)
    table = sharpness_scan(setup, eta_lambda0=(2.5,))
    assert (table["phase"][0], table["loss"][0]) == ("dead", math.inf)
    assert table["note"][0] == "diverged after its phase was decided"


def test_the_limit_of_relu_networks() -> None:
    """Lewkowycz et al. (2020), section 1: wide ReLU networks train up to about 12/lambda_0.

    Other activations train up to about 4. At this width the limits of starts differ by some units.
    """
    limits = []
    for seed in range(3):
        setup = TrainingSetup(
            data="digits",
            points=100,
            widths=(96, 96, 96),
            act="relu",
            loss="squared",
            steps=80,
            seed=seed,
        )
        table = sharpness_scan(setup, eta_lambda0=(2.0, 6.0, 9.0, 12.0, 16.0, 32.0))
        assert table["phase"][0] == "lazy"
        assert set(table["phase"][1:3]) == {"catapult"}
        assert table["phase"][-1] == "divergent"
        trained = np.isin(table["phase"], ["lazy", "catapult"])
        limits.append(table["eta_lambda0"][trained].max())
    assert 9.0 <= np.mean(limits) <= 16.0


@pytest.mark.parametrize(
    ("optimizer", "momentum", "of_rate_1"),
    [("sgd", 0.0, 2.0), ("momentum", 0.5, 3.0), ("nesterov", 0.5, 1.5)],
)
def test_weight_decay_is_part_of_the_threshold(
    optimizer: Any, momentum: float, of_rate_1: float
) -> None:
    """On a quadratic of curvature 1 descent with decay 0.5 diverges above eta = 2/1.5."""
    x = np.random.default_rng(1).uniform(-1.0, 1.0, (8, 2))
    net = Network(closed().weights, closed().biases, "0*z")  # its output is a bias
    for eta in (0.97 * of_rate_1 / 1.5, 1.05 * of_rate_1 / 1.5):
        setup = TrainingSetup(
            data=(x, x[:, 0] + 0.3),
            net=net,
            loss="squared",
            steps=600,
            eta=eta,
            weight_decay=0.5,
            optimizer=optimizer,
            momentum=momentum,
        )
        table = sharpness(setup, at=(0, 600)).table()
        ratio = eta * 1.5 / of_rate_1
        assert table["ratio"] == pytest.approx([ratio, ratio], rel=1e-12)
        assert table["sharpness"] == pytest.approx([1.0, 1.0], rel=1e-12)
        assert table["threshold"][0] == pytest.approx(of_rate_1 / eta - 0.5, rel=1e-12)
        assert (table["loss"][1] > 1e3) == (ratio > 1.0)
        scan = sharpness_scan(replace(setup, steps=3), eta_lambda0=(eta,))
        assert scan["ratio"][0] == pytest.approx(ratio, rel=1e-12)


@pytest.mark.parametrize("rates", [(), (0.0,), (math.inf,), (2.0, 1.0)])
def test_bad_rates_are_refused(rates: Any) -> None:
    with pytest.raises(ValueError, match="eta_lambda0 must be"):
        sharpness_scan(TrainingSetup(points=8, widths=(3,)), eta_lambda0=rates)


def test_a_trained_network_is_saved_and_evaluated_again(tmp_path: Path) -> None:
    words = ["--points", 30, "--widths", "5", "--loss", "squared"]
    first = call(
        "sharpness",
        *words,
        "--data",
        "clusters:0.3",
        "--steps",
        50,
        "--at",
        "50",
        "--save-net",
        "net.npz",
        cwd=tmp_path,
    )
    again = call(
        "sharpness",
        "--net",
        "net.npz",
        "--data",
        "clusters:0.3",
        "--points",
        30,
        "--loss",
        "squared",
        cwd=tmp_path,
    )
    one, other = rows_of(first)[-1], rows_of(again)[-1]
    assert other["act"] == "tanh"
    for name in ("loss", "sharpness", "accuracy"):
        assert one[name] == other[name]


def test_options_that_cannot_be_combined(tmp_path: Path) -> None:
    assert "--net and --widths must not both be given" in refusal(
        "sharpness", "--net", "n.npz", "--widths", "4", cwd=tmp_path
    )
    assert "--net and --depth must not both be given" in refusal(
        "classes", "outliers", "--net", "n.npz", "--depth", 2, cwd=tmp_path
    )
    assert "--widths and --width must not both be given" in refusal(
        "hessian", "--widths", "4", "--width", 32
    )
    assert "no such option: --eta" in refusal("sharpness", "scan", "--eta", 1).lower()
    assert "no such option: --eta-lambda0" in refusal("sharpness", "--eta-lambda0", 1).lower()
    assert "'--at': must be integers" in refusal("hessian", "--at", "0.5")
    wrong = refusal("hessian", "--checkpoint", "c.txt")
    assert "--checkpoint must end in .json, not 'c.txt'" in wrong
