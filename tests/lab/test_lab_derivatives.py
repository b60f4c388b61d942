"""Derivatives of the laboratory against complex steps of networks in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plain_networks import COMPLEX, PlainNetwork, along_axes, multipliers, probabilities

from nnth import lab
from nnth._lab import objective as objective_module

CB, CW = 0.3, 1.5
M, N_OUT = 9, 3
MIXED = "tanh,exp(-z**2)"  # an activation for each layer
ACTS = (*COMPLEX, MIXED)
# Rounding of sums of a hundred terms of order 1, relative to the largest entry.
EXACT = 1e-12

WIDTHS = {"mean-field": (7,)}
PARAMETRIZATIONS = [
    ("standard", "sgd"),
    ("ntk", "sgd"),
    ("mean-field", "sgd"),
    ("mup", "sgd"),
    ("mup", "adam"),
]
LOSSES = ("squared", "cross-entropy")


class Problem:
    """A model of the laboratory, the same in plain NumPy, parameters and data."""

    def __init__(
        self,
        act: str = "tanh",
        parametrization: Any = "standard",
        optimizer: Any = "sgd",
        biases: bool = True,
        gates: bool = False,
        m: int = M,
    ) -> None:
        widths = WIDTHS.get(parametrization, (7, 5))
        acts = tuple(act.split(",")) if "," in act else (act,) * len(widths)
        acts = acts[: len(widths)]
        sizes = (4, *widths, N_OUT)
        self.model = lab.model(
            4,
            widths,
            N_OUT,
            act=acts,
            cb=CB,
            cw=CW,
            biases=biases,
            parametrization=parametrization,
            optimizer=optimizer,
        )
        dice = np.random.default_rng(3)
        self.theta = self.model.draw(3, seed=1)
        self.theta += 0.1 * dice.normal(size=self.theta.shape)  # no parameter is special
        kept = self.theta[0] + 0.3 * dice.normal(size=self.model.size) if gates else None
        if gates:
            self.model = lab.Model(
                self.model.sizes, self.model.acts, self.model.scales, self.model.biased, kept
            )
        factors = multipliers(parametrization, sizes, CB, CW)
        self.plain = PlainNetwork(sizes, acts, factors, biases, kept)
        self.x = dice.normal(size=(m, 4))
        self.y = np.eye(N_OUT)[dice.integers(0, N_OUT, m)]

    def objective(self, loss: Any, dtype: Any = np.float64) -> lab.Objective:
        return lab.Objective(self.model, self.x, self.y, loss=loss, dtype=dtype)


def assert_equal(found: Any, expected: Any, tolerance: float = EXACT) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def check_loss(problem: Problem, loss: Any) -> None:
    """Compare the loss, and all its derivatives, at the first of three networks."""
    theta, x, y, plain = problem.theta[0], problem.x, problem.y, problem.plain
    objective = problem.objective(loss)
    curvature = lab.Curvature(objective, theta)
    units = np.eye(plain.size)
    value = plain.loss(theta, x, y, loss)
    gradient = along_axes(lambda t: plain.loss(t, x, y, loss), theta)
    for found in (objective.gradient(theta), (curvature.value, curvature.gradient)):
        assert found[0] == pytest.approx(value, rel=EXACT)
        assert_equal(found[1], gradient)
    assert objective.value(theta) == pytest.approx(value, rel=EXACT)
    assert_equal(curvature.hessian(units), plain.hessian(theta, x, y, loss))
    assert_equal(curvature.gauss_newton(units), plain.gauss_newton(theta, x, loss))
    jacobian = plain.jacobian(theta, x)
    dice = np.random.default_rng(5)
    v, u = dice.normal(size=plain.size), dice.normal(size=y.shape)
    assert_equal(curvature.outputs, plain.outputs(theta, x))
    assert_equal(curvature.output_change(v), jacobian @ v)
    assert_equal(curvature.pull_back(u), np.einsum("mk,mkp->p", u, jacobian))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("parametrization", "optimizer"), PARAMETRIZATIONS)
@pytest.mark.parametrize("act", ACTS)
def test_the_loss_and_its_derivatives_are_those_of_complex_steps(
    act: str, parametrization: str, optimizer: str, loss: str
) -> None:
    for biases in (True, False):
        check_loss(Problem(act, parametrization, optimizer, biases), loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_several_blocks_of_examples_not_all_of_a_length(loss: str) -> None:
    check_loss(Problem("sin", m=1100), loss)


def test_signals_and_inputs_of_layers_make_the_pull_back() -> None:
    problem = Problem("tanh", m=1100)
    curvature = lab.Curvature(problem.objective("squared"), problem.theta[0])
    u = np.random.default_rng(1).normal(size=problem.y.shape)
    pairs = zip(curvature.error_signals(u), curvature.layer_inputs(), strict=True)
    parts = [part for d, h in pairs for part in ((d.T @ h).ravel(), d.sum(axis=0))]
    assert_equal(np.concatenate(parts), curvature.pull_back(u))


def test_kinks_have_no_curvature() -> None:
    model = lab.model(4, (7, 5), N_OUT, act="relu", cb=CB, cw=CW)
    problem = Problem()
    objective = lab.Objective(model, problem.x, problem.y)
    theta, rate = problem.theta[0], 1e-7
    v = np.random.default_rng(2).normal(size=model.size)
    both = [objective.gradient(theta + s * rate * v)[1] for s in (1.0, -1.0)]
    # No gate flips within 1e-7 here, and between gates the loss is a polynomial.
    found = lab.Curvature(objective, theta).hessian(v)
    assert np.allclose(found, (both[0] - both[1]) / (2 * rate), atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_single_precision_is_near_double(loss: str) -> None:
    problem = Problem("sigmoid", "mup", m=1100)
    wide, narrow = problem.objective(loss), problem.objective(loss, np.float32)
    for theta in (problem.theta, problem.theta[0]):
        value, gradient = narrow.gradient(theta.astype(np.float32))
        assert gradient.dtype == np.float32
        assert value == pytest.approx(wide.gradient(theta)[0], rel=1e-6)
        assert 1e-9 < np.abs(gradient - wide.gradient(theta)[1]).max() < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_with_frozen_gates_too(parametrization: str, loss: str) -> None:
    check_loss(Problem(MIXED, parametrization, gates=True), loss)


@pytest.mark.parametrize(("parametrization", "optimizer"), PARAMETRIZATIONS)
@pytest.mark.parametrize("act", ACTS)
def test_gradients_and_hessians_of_the_outputs(
    act: str, parametrization: str, optimizer: str
) -> None:
    for biases in (True, False):
        problem = Problem(act, parametrization, optimizer, biases)
        model, plain, x = problem.model, problem.plain, problem.x[:4]
        outputs, gradients = lab.output_gradients(model, problem.theta, x)
        for s, theta in enumerate(problem.theta):
            assert_equal(outputs[s], plain.outputs(theta, x))
            assert_equal(gradients[s], plain.jacobian(theta, x))
        expansion = lab.expansion(model, problem.theta[0], x)
        assert_equal(expansion.outputs, outputs[0])
        assert_equal(expansion.gradients, gradients[0])
        assert_equal(expansion.hessians, plain.output_hessians(problem.theta[0], x))


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize(("parametrization", "optimizer"), PARAMETRIZATIONS)
def test_the_tangent_kernel_is_that_of_jacobians_and_learning_rates(
    parametrization: str, optimizer: str, biases: bool
) -> None:
    problem = Problem("sin", parametrization, optimizer, biases)
    model, x = problem.model, problem.x
    x_test = np.random.default_rng(8).normal(size=(4, 4))
    rates = np.ones(model.size) if model.rates is None else model.rates
    ends = [max(w.stop, b.stop) for w, b in model.slices]
    layers = [slice(first, last) for first, last in zip([0, *ends], ends, strict=False)]
    for s, theta in enumerate(problem.theta):
        j, j_test = (problem.plain.jacobian(theta, at) for at in (x, x_test))
        for rows, left in ((None, j), (x_test, j_test)):
            parts = [
                np.einsum("ikp,p,jlp->ijkl", left[..., part], rates[part], j[..., part])
                for part in layers
            ]
            for full in (True, False):
                shown = parts if full else [np.einsum("ijkk->ij", part) for part in parts]
                for by_layer in (True, False):
                    expected = np.array(shown) if by_layer else np.sum(shown, axis=0)
                    for at in (theta, problem.theta):
                        found = lab.tangent_kernel(model, at, x, rows, full=full, by_layer=by_layer)
                        if at.ndim == 2:
                            found = found[:, s] if by_layer else found[s]
                        assert_equal(found, expected)


def test_gradient_flow_moves_the_outputs_by_the_tangent_kernel() -> None:
    # One small step of descent with the learning rates of mup: df = -eta K l'(f) + O(eta^2).
    problem = Problem("tanh", "mup")
    objective, theta = problem.objective("cross-entropy"), problem.theta[0]
    kernel = lab.tangent_kernel(problem.model, theta, problem.x, full=True)
    f = objective.outputs(theta)
    slope = (probabilities(f) - problem.y) / M
    moved = []
    for eta in (1e-4, -1e-4):
        descent = lab.Descent(objective, lab.SGD(abs(eta)), theta)
        _, gradient = descent.gradient()
        descent.advance(np.sign(eta) * gradient)
        moved.append(objective.outputs(descent.theta))
    # The difference of both has an error of third order: 1e-8 times third derivatives.
    change = (moved[0] - moved[1]) / 2e-4
    assert_equal(change, -np.einsum("ijkl,jl->ik", kernel, slope), 1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("parametrization", "optimizer"), PARAMETRIZATIONS)
def test_ensembles_on_the_same_data_and_on_their_own(
    parametrization: str, optimizer: str, loss: Any
) -> None:
    problem = Problem("softplus", parametrization, optimizer)
    dice = np.random.default_rng(6)
    x = dice.normal(size=(3, M, 4))
    y = np.eye(N_OUT)[dice.integers(0, N_OUT, (3, M))]
    own = lab.Objective(problem.model, x, y, loss=loss)
    shared = problem.objective(loss)
    for objective, of in (
        (own, lambda s: (x[s], y[s])),
        (shared, lambda s: (problem.x, problem.y)),
        (lab.Objective(problem.model, problem.x, y, loss=loss), lambda s: (problem.x, y[s])),
        (lab.Objective(problem.model, x, problem.y, loss=loss), lambda s: (x[s], problem.y)),
    ):
        values, gradients = objective.gradient(problem.theta)
        assert_equal(values, objective.value(problem.theta))
        for s, theta in enumerate(problem.theta):
            own_x, own_y = of(s)
            value = problem.plain.loss(theta, own_x, own_y, loss)
            assert values[s] == pytest.approx(value, rel=EXACT)
            assert_equal(gradients[s], problem.plain.gradient(theta, own_x, own_y, loss))
            assert_equal(objective.outputs(problem.theta)[s], problem.plain.outputs(theta, own_x))
    _, gradients = lab.output_gradients(problem.model, problem.theta, x)
    kernel = lab.tangent_kernel(problem.model, problem.theta, x)
    for s, theta in enumerate(problem.theta):
        assert_equal(gradients[s], problem.plain.jacobian(theta, x[s]))
        assert_equal(kernel[s], lab.tangent_kernel(problem.model, theta, x[s]))


def test_a_sum_is_the_mean_times_the_examples() -> None:
    problem = Problem()
    mean = problem.objective("squared")
    total = lab.Objective(problem.model, problem.x, problem.y, mean=False)
    for theta in (problem.theta, problem.theta[0]):
        for found, expected in zip(total.gradient(theta), mean.gradient(theta), strict=True):
            assert_equal(np.asarray(found), M * np.asarray(expected))
    v, at = np.arange(problem.model.size, dtype=float), problem.theta[0]
    whole, part = lab.Curvature(total, at), lab.Curvature(mean, at)
    assert_equal(whole.hessian(v), M * part.hessian(v))


def test_blocks_of_examples_and_of_networks_change_rounding_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = Problem("sin", "mup")
    objective = problem.objective("cross-entropy")
    value, gradient = objective.gradient(problem.theta)
    v = np.random.default_rng(4).normal(size=problem.model.size)
    product = lab.Curvature(objective, problem.theta[0]).hessian(v)
    monkeypatch.setattr(objective_module, "BLOCK", 2)
    monkeypatch.setattr(objective_module, "_TOGETHER", 1)
    again = objective.gradient(problem.theta)
    assert_equal(again[0], value)
    assert_equal(again[1], gradient)
    assert_equal(lab.Curvature(objective, problem.theta[0]).hessian(v), product)


@pytest.mark.parametrize(
    "trained", [(True, False, True), (False, True, False), (False, False, True)]
)
def test_layers_that_are_not_trained_keep_their_parameters(trained: tuple[bool, ...]) -> None:
    problem = Problem("tanh", "mup")
    frozen = problem.model.with_trained(trained)
    objective = lab.Objective(frozen, problem.x, problem.y)
    _, gradient = objective.gradient(problem.theta)
    _, whole = problem.objective("squared").gradient(problem.theta)
    descent = lab.Descent(objective, lab.SGD(0.1), problem.theta)
    list(descent.take(5))
    for moves, (weights, biases) in zip(trained, frozen.slices, strict=True):
        part = np.r_[weights, biases]
        assert np.array_equal(descent.theta[:, part], problem.theta[:, part]) is not moves
        if moves:
            assert np.array_equal(gradient[:, part], whole[:, part])
    first = trained.index(True)
    before = slice(0, frozen.slices[first][0].start)
    assert not gradient[:, before].any()
    kernel = lab.tangent_kernel(frozen, problem.theta, problem.x, by_layer=True)
    assert [bool(part.any()) for part in kernel] == list(trained)


@pytest.mark.parametrize("parametrization", ["standard", "ntk", "mup"])
def test_the_last_layer_alone_trains_as_it_does_within_the_network(parametrization: Any) -> None:
    problem = Problem("tanh", parametrization)
    frozen = problem.model.with_trained((False, False, True))
    whole = lab.Descent(lab.Objective(frozen, problem.x, problem.y), lab.SGD(0.2), problem.theta)
    own, start, inputs = problem.model.last_layer(problem.theta, problem.x)
    assert own.sizes == (5, N_OUT)
    part = lab.Descent(lab.Objective(own, inputs, problem.y), lab.SGD(0.2), start)
    for _ in zip(whole.take(20), part.take(20), strict=True):
        pass
    weights, _ = problem.model.slices[-1]
    assert_equal(part.theta, whole.theta[:, weights.start :], 1e-13)
    assert not np.array_equal(start, part.theta)


@pytest.mark.parametrize(("parametrization", "optimizer"), PARAMETRIZATIONS)
@pytest.mark.parametrize("biases", [True, False])
def test_the_folded_model_is_the_same_function_with_the_same_descent(
    parametrization: str, optimizer: str, biases: bool
) -> None:
    problem = Problem("tanh", parametrization, optimizer, biases)
    model, folded = problem.model, problem.model.folded()
    assert folded.multipliers is None
    factors = np.ones(model.size) if model.multipliers is None else model.multipliers
    assert_equal(folded.draw(2, seed=3), factors * model.draw(2, seed=3), 1e-15)
    for rule in (lab.SGD(0.3), lab.SGD(0.1, 0.9), lab.SGD(0.1, 0.9, nesterov=True)):
        both = [
            lab.Descent(lab.Objective(one, problem.x, problem.y), rule, theta)
            for one, theta in ((model, problem.theta), (folded, factors * problem.theta))
        ]
        assert_equal(*(one.objective.outputs(one.theta) for one in both))
        for one in both:
            list(one.take(30))
        assert_equal(factors * both[0].theta, both[1].theta)
        assert not np.allclose(both[1].theta, factors * problem.theta)
    kernels = [
        lab.tangent_kernel(one, theta, problem.x)
        for one, theta in ((model, problem.theta), (folded, factors * problem.theta))
    ]
    assert_equal(*kernels)


def test_a_penalty_adds_its_gradient_and_nothing_to_the_loss() -> None:
    problem = Problem("sin")
    theta, plain = problem.theta[0], problem.plain
    dice = np.random.default_rng(2)
    strength, anchor = dice.uniform(size=plain.size), dice.normal(size=plain.size)
    penalty = lab.Penalty(strength, anchor)
    objective = lab.Objective(problem.model, problem.x, problem.y, penalty=penalty)
    expected = along_axes(
        lambda t: (
            plain.loss(t, problem.x, problem.y, "squared")
            + np.sum(strength * (t - anchor) ** 2) / 2
        ),
        theta,
    )
    value, gradient = objective.gradient(theta)
    assert_equal(gradient, expected)
    assert value == pytest.approx(plain.loss(theta, problem.x, problem.y, "squared"), rel=EXACT)


def test_descent_with_a_penalty_ends_at_ridge_regression() -> None:
    dice = np.random.default_rng(1)
    x, y = dice.normal(size=(6, 10)), dice.normal(size=(6, 1))
    model = lab.model(10, (), biases=False, cw=1.0)
    start, ridge = model.draw(4, seed=2), 0.3
    penalty = lab.Penalty(ridge, start)
    objective = lab.Objective(model, x, y, mean=False, penalty=penalty)
    descent = lab.Descent(objective, lab.SGD(1.0 / (np.linalg.norm(x, 2) ** 2 + ridge)), start)
    list(descent.take(3000))  # the slowest rate is ridge/(|x|^2 + ridge), about 1/100
    for theta, theta_0 in zip(descent.theta, start, strict=True):
        shift = np.linalg.solve(x.T @ x + ridge * np.eye(10), x.T @ (y[:, 0] - x @ theta_0))
        assert_equal(theta, theta_0 + shift, 1e-11)
