"""The sharpness at which each optimizer becomes unstable, and the preconditioners."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nnth import TrainingSetup, sharpness, sharpness_scan
from nnth._curvature.sharpness import with_preconditioner
from nnth._lab.curvature import Curvature
from nnth._lab.optimizers import SGD, Adam, Optimizer, RMSprop
from nnth._lab.phases import parameters_ahead

P = np.array([0.3, 2.0, 0.05, 1.0, 7.0, 0.4])  # a preconditioner


@dataclass(frozen=True)
class FrozenAdam(Adam):
    """Adam whose preconditioner does not change."""

    def preconditioner(self, state: Any, step: int) -> Any:
        return P


@dataclass(frozen=True)
class FrozenRMSprop(RMSprop):
    """RMSprop whose preconditioner does not change."""

    def preconditioner(self, state: Any, step: int) -> Any:
        return P


ETA = 0.3
OPTIMIZERS: list[Optimizer] = [
    rule(ETA, *own, weight_decay=decay, **more)  # type: ignore[operator]
    for decay in (0.0, 0.7)
    for rule, own, more in (
        (SGD, (), {}),
        (SGD, (0.9,), {}),
        (SGD, (0.4,), {}),
        (SGD, (0.9,), {"nesterov": True}),
        (SGD, (0.4,), {"nesterov": True}),
        (FrozenAdam, (), {}),
        (FrozenAdam, (0.5,), {}),
        (FrozenAdam, (), {"decoupled": True}),
        (FrozenRMSprop, (), {}),
        (FrozenRMSprop, (0.8,), {}),
    )
]


def growth(rule: Optimizer, hessian: Any, steps: int = 1200) -> float:
    """Return |theta| after some steps on a quadratic, over that at the start."""
    theta = np.random.default_rng(5).normal(size=len(P))
    start, state = np.linalg.norm(theta), rule.start(theta)
    for step in range(steps):
        direction = rule.direction(theta, hessian @ theta, state, step)
        theta = theta - rule.eta * direction
        if not np.linalg.norm(theta) < 1e100:
            return math.inf
    return float(np.linalg.norm(theta) / start)


@pytest.mark.parametrize("rule", OPTIMIZERS, ids=repr)
def test_a_quadratic_diverges_from_the_threshold_on(rule: Any) -> None:
    """The steps of the optimizer, on matrices whose eigenvalue is 1% below or above it."""
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(len(P), len(P))))[0]
    spread = (rotation * np.linspace(0.3, 1.0, len(P))) @ rotation.T
    root = np.sqrt(P) if rule.kind == "adam" else np.ones(len(P))
    decay = 0.0 if getattr(rule, "decoupled", False) else rule.weight_decay
    for factor, diverges in ((0.99, False), (1.01, True)):
        # P^(-1/2) (H + decay) P^(-1/2) has the largest eigenvalue factor threshold.
        scaled = factor * rule.threshold() * spread
        grown = growth(rule, root[:, None] * scaled * root - decay * np.eye(len(P)))
        assert (grown > 1e3) if diverges else (grown < 1e-3), (factor, grown)


def test_thresholds_of_the_papers() -> None:
    """Cohen et al. (2021), appendix B; Cohen et al. (2022b), section 3: 38/eta for Adam."""
    assert Adam(0.1).threshold() == pytest.approx(380.0, rel=1e-13)
    assert SGD(0.1, 0.9).threshold() == pytest.approx(38.0, rel=1e-13)
    assert SGD(0.1, 0.9, nesterov=True).threshold() == pytest.approx(38.0 / 2.8, rel=1e-13)
    assert SGD(0.1).threshold(0.5) == 2.0 * SGD(0.1).threshold()
    assert {rule.threshold(0.0) for rule in OPTIMIZERS} == {math.inf}


def by_hand(setup: TrainingSetup, steps: int) -> tuple[Any, Any]:
    """Return theta and P after some steps, in plain NumPy."""
    training = setup.training()
    theta, eta, decay = training.theta.copy(), setup.eta, setup.weight_decay
    m = v = u = np.zeros_like(theta)
    for t in range(1, steps + 1):
        g = training.objective.gradient(theta)[1] + decay * theta
        if setup.optimizer == "adam":
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
            scale = np.sqrt(v / (1.0 - 0.99**t)) + 1e-4
            theta, p = theta - eta * m / (1.0 - 0.9**t) / scale, (1.0 - 0.9**t) * scale
        else:
            v = 0.99 * v + 0.01 * g**2
            p = np.sqrt(v) + 1e-4
            u = 0.6 * u + g / p
            theta = theta - eta * u
    return theta, p


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_the_preconditioned_sharpness_is_that_of_dense_matrices(
    optimizer: Any, decay: float
) -> None:
    setup = TrainingSetup(
        data="clusters:1:3:4",
        points=20,
        widths=(5,),
        loss="squared",
        optimizer=optimizer,
        momentum=0.6 if optimizer == "rmsprop" else None,
        beta2=0.99,
        epsilon=1e-4,
        weight_decay=decay,
        eta=0.01,
        steps=30,
    )
    table = sharpness(setup, at=(0, 1, 7, 30)).table()
    threshold = 2.0 * (19.0 if optimizer == "adam" else 1.6) / 0.01
    assert table["threshold"] == pytest.approx([threshold] * 4, rel=1e-12)
    training = setup.training()
    for row, steps in enumerate((1, 7, 30), 1):
        theta, p = by_hand(setup, steps)
        curvature = Curvature(training.objective, theta)
        full = np.array([curvature.hessian(unit) for unit in np.eye(len(theta))])
        plain = np.linalg.eigvalsh(0.5 * (full + full.T))[-1]
        with_p = np.linalg.eigvals((full + decay * np.eye(len(theta))) / p[:, None]).real.max()
        found, error = table["preconditioned_sharpness"][row], table["preconditioned_residual"][row]
        assert abs(found - with_p) <= error + 1e-9 * with_p
        assert error <= 1e-4 * found
        assert abs(table["sharpness"][row] - plain) <= table["residual"][row]
        assert table["ratio"][row] == found / table["threshold"][row]
    # No gradient has made a preconditioner before the first step.
    assert np.isnan([table[f"preconditioned_{n}"][0] for n in ("sharpness", "residual")]).all()
    assert math.isnan(table["ratio"][0])
    assert table["note"].tolist() == ["no preconditioner before the first step", "", "", ""]
    assert np.isfinite(table["sharpness"]).all()


def test_parameters_without_a_gradient_have_no_part_in_the_preconditioned_sharpness() -> None:
    """With epsilon = 0, P would be 0 for the weights of an input that is always 0."""
    dice = np.random.default_rng(2)
    x = dice.normal(size=(12, 3))
    still = np.c_[x, np.zeros(12)]
    found = []
    for inputs in (x, still):
        net = TrainingSetup(data=(still, x[:, :1]), widths=(4,), loss="squared").training()
        network = net.network(net.theta)
        if inputs is x:
            weights = (network.weights[0][:, :3].copy(), network.weights[1])
            network = type(network)(weights, network.biases, network.activation)
        setup = TrainingSetup(
            data=(inputs, x[:, :1]),
            net=network,
            loss="squared",
            optimizer="adam",
            epsilon=0.0,
            steps=9,
        )
        found.append(sharpness(setup).table()["preconditioned_sharpness"][-1])
    assert found[0] == pytest.approx(found[1], rel=1e-8)


def test_symmetric_and_plain_preconditioning_have_one_spectrum() -> None:
    dice = np.random.default_rng(3)
    a = dice.normal(size=(6, 6))
    hessian = a + a.T
    product = with_preconditioner(lambda v: hessian @ v, P, 0.3)
    found = np.array([product(unit) for unit in np.eye(6)])
    assert np.allclose(found, found.T, rtol=1e-13)
    plain = np.linalg.eigvals((hessian + 0.3 * np.eye(6)) / P[:, None]).real
    assert np.sort(np.linalg.eigvalsh(found)) == pytest.approx(np.sort(plain), rel=1e-10)


@pytest.mark.parametrize(
    ("own", "of_rate_1", "apart"),
    [
        ({"momentum": 0.5}, 3.0, 0.1),
        ({"optimizer": "nesterov", "momentum": 0.5}, 1.5, 0.1),
        ({"optimizer": "adam"}, 38.0, 0.0),
    ],
)
def test_the_threshold_follows_the_schedule(own: Any, of_rate_1: float, apart: float) -> None:
    setup = TrainingSetup(
        points=20,
        widths=(4,),
        steps=8,
        eta=0.02,
        schedule="warmup:4*linear:8",
        weight_decay=0.1,
        **own,
    )
    table = sharpness(setup, at=(1, 2, 6, 8)).table()
    factors = np.array([0.5 * 7 / 8, 0.75 * 6 / 8, 2 / 8])
    assert table["threshold"][:3] == pytest.approx(of_rate_1 / (0.02 * factors) - apart, rel=1e-12)
    assert (table["threshold"][3], table["ratio"][3]) == (math.inf, 0.0)
    used = "preconditioned_sharpness" if apart == 0.0 else "sharpness"
    ratio = (table[used] + apart)[:3] * 0.02 * factors / of_rate_1
    assert table["ratio"][:3] == pytest.approx(ratio, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "threshold", "margin"),
    [
        ({"momentum": 0.5, "eta": 0.4}, 7.5, 0.05),
        ({"optimizer": "nesterov", "eta": 0.15}, 3.8 / 2.8 / 0.15, 0.05),
        ({"optimizer": "adam", "eta": 0.01}, 3800.0, 0.05),
        # Its preconditioner follows the oscillations of the gradient, the less the larger beta2.
        ({"optimizer": "rmsprop", "beta2": 0.999, "eta": 0.001}, 2000.0, 0.1),
    ],
)
def test_each_optimizer_settles_at_its_threshold(
    own: dict[str, Any], threshold: float, margin: float
) -> None:
    """300 digits, tanh 64-32-32-10, squared loss, full batches: Cohen et al. (2021, 2022b)."""
    setup = TrainingSetup(
        data="digits",
        points=300,
        center=True,
        loss="squared",
        cw=1.0,
        steps=3000,
        **own,
    )
    table = sharpness(setup, at=[1, 50, *range(2000, 3001, 25)]).table()
    ratio, loss = table["ratio"], table["loss"]
    assert table["threshold"] == pytest.approx([threshold] * len(ratio), rel=1e-12)
    # The trajectory is chaotic, and another on every BLAS; the ratio may fall for a while after the
    # loss has risen, but on average it stays at 1.
    late = ratio[2:]
    assert abs(late.mean() - 1.0) < margin
    assert loss[2:].mean() < 0.1 * loss[1]
    used = "preconditioned_sharpness" if setup.optimizer in ("adam", "rmsprop") else "sharpness"
    assert ratio == pytest.approx(table[used] / threshold, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adam"}, "optimizer must be sgd, momentum or nesterov in a scan.* adam"),
        ({"optimizer": "rmsprop"}, "optimizer must be sgd, .* not rmsprop"),
        ({"schedule": "linear:9"}, "schedule must be constant in a scan of rates, not linear:9"),
        ({"label_noise": 0.1}, "label_noise must be 0 in a scan, not 0.1"),
        ({"gradient_noise": 0.1}, "gradient_noise must be 0 in a scan, not 0.1"),
    ],
)
def test_a_scan_is_of_steps_proportional_to_the_gradient(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sharpness_scan(TrainingSetup(points=8, widths=(3,), loss="squared", **change))


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_training_without_gradients_is_foreseen(nesterov: bool, decay: float) -> None:
    """The recursion by which a scan finds dead networks, against the steps of the optimizer."""
    setup = TrainingSetup(
        points=8,
        widths=(3,),
        optimizer="nesterov" if nesterov else "momentum",
        momentum=0.8,
        weight_decay=decay,
        eta=0.2,
    )
    training = setup.training()
    descent = training.descent()
    velocity = np.random.default_rng(1).normal(size=training.model.size)
    descent.state = [velocity.copy()]
    foreseen = [theta.copy() for theta in parameters_ahead(training, descent)]
    theta, state, found = training.theta.copy(), [velocity.copy()], [training.theta.copy()]
    for step in range(20):
        theta = theta - 0.2 * training.rule.direction(theta, np.zeros_like(theta), state, step)
        found.append(theta)
    # After 0 to 8 steps, and 10, 12, 16 and 20.
    for one, steps in zip(foreseen, (*range(9), 10, 12, 16, 20), strict=False):
        assert np.allclose(one, found[steps], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("own", "label"),
    [
        ({}, r"$2/\eta$"),
        ({"weight_decay": 0.1}, r"$2/\eta$ less the weight decay"),
        ({"momentum": 0.5}, r"$2(1+\beta)/\eta$"),
        ({"optimizer": "nesterov"}, r"$2(1+\beta)/((1+2\beta)\eta)$"),
        ({"optimizer": "adam", "weight_decay": 0.1}, r"$2(1+\beta_1)/((1-\beta_1)\eta)$"),
        ({"optimizer": "rmsprop"}, r"$2/\eta$"),
    ],
)
def test_the_figure_shows_what_the_threshold_is_about(own: Any, label: str) -> None:
    setup = TrainingSetup(points=8, widths=(3,), steps=4, eta=0.01, schedule="linear:4", **own)
    table = sharpness(setup).table()
    first, *others = table.drawing.panels
    ((name, steps, level),) = first.lines
    assert (name, steps.tolist()) == (label, [0.0, 1.0, 2.0, 3.0, 4.0])
    # The last rate is 0, whose threshold has no place on the axis.
    assert level[:4].tolist() == table["threshold"][:4].tolist()
    assert math.isnan(level[4])
    used = (
        "preconditioned_sharpness" if own.get("optimizer") in ("adam", "rmsprop") else "sharpness"
    )
    assert np.array_equal(first.points[0][2], table[used], equal_nan=True)
    assert len(others) == (2 if used.startswith("p") else 1)
    assert not [panel for panel in others if panel.lines]
