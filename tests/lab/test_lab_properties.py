"""Properties of random architectures: derivatives, identities between them, ensembles, descent."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from plain_networks import COMPLEX, STEP, PlainNetwork, multipliers

from nnth import lab

EXACT = 1e-12
CB, CW = 0.2, 1.7


@st.composite
def problems(draw: Any) -> tuple[Any, PlainNetwork, Any, Any, Any]:
    """Return an objective, the same network in plain NumPy, an ensemble, its number and data."""
    depth = draw(st.integers(0, 3))
    sizes = tuple(draw(st.integers(1, 6)) for _ in range(depth + 2))
    acts = tuple(draw(st.sampled_from(list(COMPLEX))) for _ in range(depth))
    known = ["standard", "ntk", "mup"] + ["mean-field"] * (depth < 2)
    parametrization = draw(st.sampled_from(known))
    biases = draw(st.booleans())
    m, networks = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    loss = draw(st.sampled_from(["squared", "cross-entropy"]))
    model = lab.model(
        sizes[0],
        sizes[1:-1],
        sizes[-1],
        act=acts,
        cb=CB,
        cw=CW,
        biases=biases,
        parametrization=parametrization,
    )
    dice = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = dice.normal(size=(m, sizes[0]))
    y = np.eye(sizes[-1])[dice.integers(0, sizes[-1], m)]
    if loss == "squared":
        y = dice.normal(size=y.shape)
    theta = model.draw(networks, seed=draw(st.integers(0, 1000)))
    plain = PlainNetwork(sizes, acts, multipliers(parametrization, sizes, CB, CW), biases)
    return lab.Objective(model, x, y, loss=loss), plain, theta, loss, dice


def near(found: Any, expected: Any, size: Any = None) -> bool:
    """Return whether the error is EXACT of the largest entry, or of a size that cancels."""
    scale = np.abs(expected).max() if size is None else size
    return bool(np.abs(found - expected).max() <= EXACT * (scale + 1e-3))


@given(problems())
def test_gradients_and_products_are_those_of_complex_steps(problem: Any) -> None:
    objective, plain, theta, loss, dice = problem
    x, y = objective.x, objective.y
    assert objective.model.size == plain.size
    values, gradients = objective.gradient(theta)
    for s, one in enumerate(theta):
        assert near(values[s], plain.loss(one, x, y, loss))
        assert near(gradients[s], plain.gradient(one, x, y, loss))
        curvature = lab.Curvature(objective, one)
        v = dice.normal(size=plain.size)
        moved = plain.gradient(one + 1j * STEP * v, x, y, loss).imag / STEP
        assert near(curvature.hessian(v), moved)
        changed = plain.outputs(one + 1j * STEP * v, x).imag / STEP
        assert near(curvature.output_change(v), changed)


@given(problems())
def test_identities_between_derivatives(problem: Any) -> None:
    objective, plain, theta, _, dice = problem
    model, x, theta = objective.model, objective.x, theta[0]
    curvature = lab.Curvature(objective, theta)
    v, w = dice.normal(size=(2, plain.size))
    u = dice.normal(size=objective.y.shape)
    _, jacobian = lab.output_gradients(model, theta, x)
    size = np.abs(jacobian).max() * (1 + np.abs(jacobian).max()) * plain.size
    # <u, J v> = <J^T u, v>, and both are those of the gradients of the outputs.
    assert near(np.vdot(u, curvature.output_change(v)), curvature.pull_back(u) @ v, size)
    assert near(curvature.output_change(v), jacobian @ v, size)
    # The Hessian is symmetric; G = J^T l'' J/m.
    hv, hw = curvature.hessian(v), curvature.hessian(w)
    assert near(hv @ w, hw @ v, plain.size * max(np.abs(hv).max(), np.abs(hw).max()))
    inner = objective.loss.curvature(objective.loss.state(curvature.outputs), jacobian @ v)
    product = np.einsum("mk,mkp->p", inner, jacobian) / len(x)
    assert near(curvature.gauss_newton(v), product, size)
    # The kernel is J R J^T, symmetric, and its trace over outputs is the diagonal of the full one.
    rates = np.ones(plain.size) if model.rates is None else model.rates
    full = lab.tangent_kernel(model, theta, x, full=True)
    expected = np.einsum("ikp,p,jlp->ijkl", jacobian, rates, jacobian)
    assert near(full, expected)
    trace = lab.tangent_kernel(model, theta, x)
    assert near(trace, np.einsum("ijkk->ij", full))
    assert np.linalg.eigvalsh(trace)[0] >= -EXACT * np.trace(trace)


@given(problems())
def test_expansions_have_the_first_and_second_derivatives(problem: Any) -> None:
    objective, plain, theta, _, dice = problem
    model, x, theta = objective.model, objective.x[:3], theta[0]
    found = lab.expansion(model, theta, x)
    t = dice.normal(size=plain.size)
    ahead = theta + 1j * STEP * t
    first = plain.outputs(ahead, x).imag / STEP
    assert near(found.gradients @ t, first, 1 + np.abs(found.gradients).max() * np.abs(t).sum())
    for i in range(len(x)):
        for k in range(plain.sizes[-1]):
            moved = plain.output_gradient(x[i : i + 1], k, ahead).imag / STEP
            size = 1 + np.abs(found.hessians[i, k]).max() * np.abs(t).sum()
            assert near(found.hessians[i, k] @ t, moved, size)


@given(problems())
def test_ensembles_have_the_bytes_of_their_parts(problem: Any) -> None:
    objective, _, theta, _, _ = problem
    values, gradients = objective.gradient(theta)
    for s in range(len(theta)):
        value, gradient = objective.gradient(theta[s : s + 1])
        assert gradient.tobytes() == gradients[s].tobytes()
        assert value.tobytes() == values[s].tobytes()
        value, gradient = objective.gradient(theta[s])
        assert near(gradient, gradients[s])
        assert near(value, values[s])


@given(problems())
def test_the_folded_model_descends_alike_and_small_steps_descend(problem: Any) -> None:
    objective, plain, theta, loss, _ = problem
    model = objective.model
    folded = lab.Objective(model.folded(), objective.x, objective.y, loss=loss)
    factors = np.ones(plain.size) if model.multipliers is None else model.multipliers
    rule = lab.SGD(1e-3, 0.5)
    both = [
        lab.Descent(one, rule, start)
        for one, start in ((objective, theta), (folded, factors * theta))
    ]
    for descent in both:
        list(descent.take(5))
    assert near(factors * both[0].theta, both[1].theta)
    # A step along the gradient descends: eta |R g|^2 is far above eta^2 times the curvature.
    before, gradient = objective.gradient(theta)
    descent = lab.Descent(objective, lab.SGD(1e-6), theta)
    list(descent.take(1))
    rates = 1.0 if model.rates is None else model.rates
    expected = 1e-6 * np.sum(rates * gradient**2, axis=-1)
    moved = before - objective.value(descent.theta)
    assert np.all(np.abs(moved - expected) <= 1e-2 * expected + 1e-14 * (1 + np.abs(before)))
