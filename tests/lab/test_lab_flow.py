"""Gradient flow: closed forms, the limit of descent, ensembles; networks that are linearized."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from nnth import lab
from nnth._kernels.modes import descent_gain
from nnth._lab.flow import StiffFlowError

DICE = np.random.default_rng(3)


def problem(
    widths: tuple[int, ...] = (8, 5), n_out: int = 2, points: int = 3, **options: Any
) -> tuple[lab.Model, Any, Any]:
    options = {"act": "tanh", "cb": 0.2, "cw": 1.4, "parametrization": "ntk"} | options
    dice = np.random.default_rng(5)
    x, y = dice.normal(size=(points, 3)), dice.normal(size=(points, n_out))
    return lab.model(3, widths, n_out, **options), x, y


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("stiff", [True, False])
def test_a_linear_model_is_a_matrix_exponential(mean: bool, stiff: bool) -> None:
    model, x, y = problem((), n_out=1, points=6, parametrization="standard", biases=False)
    theta = model.draw(seed=1)[0]
    times = [0.0, 0.3, 2.0, 9.0]
    found = lab.gradient_flow(
        lab.Objective(model, x, y, mean=mean), theta, times, tolerance=1e-11, stiff=stiff
    )
    best = np.linalg.lstsq(x, y[:, 0], rcond=None)[0]
    hessian = x.T @ x / (len(x) if mean else 1)
    for time, state in zip(times, found, strict=True):
        expected = best + expm(-time * hessian) @ (theta - best)
        # The tolerance of a step, times at most some hundred steps.
        assert np.abs(state - expected).max() < 1e-8


def test_descent_approaches_the_flow_linearly_in_the_rate() -> None:
    """The error of descent at the rate eta is c eta + O(eta^2), which two rates cancel."""
    model, x, y = problem()
    theta, end = model.draw(seed=2)[0], 2.0
    objective = lab.Objective(model, x, y)
    flow = lab.gradient_flow(objective, theta, [end], tolerance=1e-12)[0]
    ends = []
    for steps in (200, 400, 800):
        descent = lab.Descent(objective, lab.SGD(eta=end / steps), theta)
        for _ in descent.take(steps):
            pass
        ends.append(descent.theta)
    errors = [np.abs(one - flow).max() for one in ends]
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2.0, rel=0.02)
    once = [2.0 * fine - coarse for coarse, fine in pairwise(ends)]
    left = [np.abs(one - flow).max() for one in once]
    assert left[0] / left[1] == pytest.approx(4.0, rel=0.05)
    assert np.abs((4.0 * once[1] - once[0]) / 3.0 - flow).max() < 0.01 * left[1]


def test_frozen_layers_and_rates() -> None:
    """The learning rates multiply the gradient, and multipliers are a matter of form."""
    model, x, y = problem()
    theta = model.draw(seed=3)[0]
    frozen = model.with_trained((False, True, False))
    still = lab.gradient_flow(lab.Objective(frozen, x, y), theta, [1.0])[0] - theta
    moving = np.zeros(model.size, dtype=bool)
    for part in model.slices[1]:
        moving[part] = True
    assert not still[~moving].any()
    assert (still[moving] != 0.0).all()
    folded = model.folded()
    multipliers = model.multipliers
    assert multipliers is not None
    ends = [
        lab.gradient_flow(lab.Objective(of, x, y), start, [1.0], tolerance=1e-12)[0]
        for of, start in ((model, theta), (folded, multipliers * theta))
    ]
    assert np.abs(multipliers * ends[0] - ends[1]).max() < 1e-10


def test_each_network_of_an_ensemble_is_as_by_itself() -> None:
    model, x, y = problem()
    theta = model.draw(3, seed=4)
    own_x = np.stack([x, 2.0 * x, -x])
    penalty = lab.Penalty(0.3, theta + 1.0)
    objective = lab.Objective(model, own_x, y, penalty=penalty)
    together = lab.gradient_flow(objective, theta, [0.5, 1.0])
    assert together.shape == (2, 3, model.size)
    for i in range(3):
        alone = lab.Objective(model, own_x[i], y, penalty=lab.Penalty(0.3, theta[i] + 1.0))
        assert (lab.gradient_flow(alone, theta[i], [0.5, 1.0]) == together[:, i]).all()


@pytest.mark.parametrize(
    ("times", "theta", "message"),
    [
        ([1.0, 0.5], None, "times must be ascending"),
        ([-1.0], None, "times must be ascending, at least 0"),
        ([math.inf], None, "finite, not inf"),
        ([1.0], np.zeros(3), "theta must have shape"),
    ],
)
def test_bad_arguments(times: Any, theta: Any, message: str) -> None:
    model, x, y = problem()
    theta = model.draw()[0] if theta is None else theta
    with pytest.raises(ValueError, match=message):
        lab.gradient_flow(lab.Objective(model, x, y), theta, times)
    single = lab.Objective(model, x, y, dtype=np.float32)
    with pytest.raises(ValueError, match="float64, not float32"):
        lab.gradient_flow(single, model.draw()[0], [1.0])
    with pytest.raises(StiffFlowError, match="more than 3 steps"):
        lab.gradient_flow(lab.Objective(model, x, y), model.draw()[0], [50.0], most_steps=3)


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("parametrization", ["ntk", "standard", "mup"])
def test_a_linearized_network_is_the_flow_of_its_first_order_expansion(
    mean: bool, parametrization: str
) -> None:
    model, x, y = problem(parametrization=parametrization)
    x_test = DICE.normal(size=(4, 3))
    theta = model.draw(2, seed=5)
    linear = lab.linearized(lab.Objective(model, x, y, mean=mean), theta)
    times, eta, steps = [0.0, 0.4, 3.0], 0.03, [0, 1, 7]
    found, after = linear.flow(times, x_test), linear.descent(eta, steps, x_test)
    inside = linear.flow(times)
    for i, one in enumerate(theta):
        f, jacobian = (a.reshape(6, *a.shape[2:]) for a in lab.output_gradients(model, one, x))
        g, tested = (a.reshape(8, *a.shape[2:]) for a in lab.output_gradients(model, one, x_test))
        rates = np.ones(model.size) if model.rates is None else model.rates
        hessian = rates[:, None] * (jacobian.T @ jacobian) / (3 if mean else 1)
        force = -rates * (jacobian.T @ (f - y.ravel())) / (3 if mean else 1)
        # d(change)/dt = force - hessian change, as one exponential of a larger matrix.
        whole = np.zeros((model.size + 1, model.size + 1))
        whole[:-1, :-1], whole[:-1, -1] = -hessian, force
        for k, time in enumerate(times):
            change = expm(time * whole)[:-1, -1]
            assert np.abs(found[k, i].ravel() - g - tested @ change).max() < 1e-10
            assert np.abs(inside[k, i].ravel() - f - jacobian @ change).max() < 1e-10
        change, taken = np.zeros(model.size), 0
        for k, count in enumerate(steps):
            for _ in range(count - taken):
                change = change + eta * (force - hessian @ change)
            taken = count
            assert np.abs(after[k, i].ravel() - g - tested @ change).max() < 1e-10


def test_a_linearized_network_at_infinity() -> None:
    """It fits what it can: all data, or the least squares of fewer parameters than data."""
    model, x, y = problem()
    linear = lab.linearized(lab.Objective(model, x, y), model.draw(seed=6)[0])
    assert np.abs(linear.flow([np.inf])[0] - y).max() < 1e-9
    small, x, y = problem((), n_out=1, points=6)
    line = lab.linearized(lab.Objective(small, x, y), small.draw(seed=6)[0])
    design = np.column_stack([x, np.ones(6)])
    expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert np.abs(line.flow([np.inf])[0] - expected).max() < 1e-11
    assert line.eigenvalues.shape == (6,)
    assert (line.eigenvalues[:2] < 1e-14).all()


def test_descent_beyond_the_largest_rate_diverges() -> None:
    mu = np.array([0.0, 0.5, 1.0, 1.5, 3.0])
    for steps in (0, 1, 2, 5):
        expected = [steps, *((1.0 - (1.0 - mu[1:]) ** steps) / mu[1:])]
        assert descent_gain(mu, [(1.0, steps)]) == pytest.approx(np.array(expected), rel=1e-14)
    assert np.isinf(descent_gain(mu, [(1.0, 10_000)])[-1])


def test_wide_networks_approach_their_linearization() -> None:
    """Their distance during training falls as 1/width (Dyer and Gur-Ari 2020)."""
    widths, distances = (64, 256, 1024, 4096), []
    steps, eta = 20, 0.2
    x_test = np.random.default_rng(1).normal(size=(4, 3))
    for width in widths:
        model, x, y = problem((width,), n_out=1)
        theta = model.draw(16, seed=7)
        objective = lab.Objective(model, x, y)
        linear = lab.linearized(objective, theta)
        descent = lab.Descent(objective, lab.SGD(eta=eta), theta)
        for _ in descent.take(steps):
            pass
        before, expected = linear.descent(eta, [0, steps], x_test)
        assert np.abs(expected - before).max() > 0.3  # they have moved
        distance = objective.outputs(descent.theta, x_test) - expected
        distances.append(np.sqrt(np.mean(distance**2)))
    slope = np.polyfit(np.log(widths), np.log(distances), 1)[0]
    # Of 16 networks of each width; width^(-1/2), the known bound, would be -0.5.
    assert slope == pytest.approx(-1.0, abs=0.15)


def test_objectives_that_cannot_be_linearized() -> None:
    model, x, y = problem()
    theta = model.draw()[0]
    for options in ({"loss": "cross-entropy"}, {"penalty": lab.Penalty(0.1)}):
        with pytest.raises(ValueError, match="objective must be the squared loss"):
            lab.linearized(lab.Objective(model, x, y, **options), theta)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="times must be at least 0, not -1"):
        lab.linearized(lab.Objective(model, x, y), theta).flow([-1.0])
