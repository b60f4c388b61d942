"""Parametrizations: variances at the start, learning rates, and what they do to wide networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnth
from nnth import lab

CB, CW = 0.3, 1.5
ALL = [
    ("standard", "sgd"),
    ("standard", "adam"),
    ("ntk", "sgd"),
    ("mean-field", "sgd"),
    ("mup", "sgd"),
    ("mup", "adam"),
]


def shallow(width: int, parametrization: Any, optimizer: Any = "sgd", **options: Any) -> lab.Model:
    return lab.model(
        3,
        (width,),
        2,
        act="tanh",
        cb=CB,
        cw=CW,
        parametrization=parametrization,
        optimizer=optimizer,
        **options,
    )


@pytest.mark.parametrize(("parametrization", "optimizer"), ALL)
def test_the_variance_of_every_layer_at_the_start(parametrization: str, optimizer: str) -> None:
    n, networks = 50, 4000
    model = shallow(n, parametrization, optimizer)
    x = np.array([[0.7, -1.1, 2.0]])
    theta = model.draw(networks, seed=3)
    (w1, b1), _ = model.effective_layers(theta)
    assert b1 is not None
    z1 = np.einsum("sij,j->si", w1, x[0]) + b1
    first = CB + CW * np.sum(x**2) / 3
    # 200 thousand normals: 5 standard errors of a variance are 1.6 percent.
    assert z1.var() == pytest.approx(first, rel=0.016)
    f = model.outputs(theta, x)[:, 0]
    second_moment = float(np.mean(np.tanh(z1) ** 2))
    fall = 1 / n if parametrization in ("mean-field", "mup") else 1.0
    # 8 thousand outputs, nearly normal: 5 standard errors are 8 percent.
    assert f.var() == pytest.approx(CB + fall * CW * second_moment, rel=0.08)


@pytest.mark.parametrize(
    ("parametrization", "optimizer", "weights", "biases"),
    [
        ("standard", "sgd", (1, 1, 1), (1, 1, 1)),
        ("standard", "adam", (1, 1, 1), (1, 1, 1)),
        ("ntk", "sgd", (1, 1, 1), (1, 1, 1)),
        ("mup", "sgd", (64, 1, 16), (64, 16, 1)),
        ("mup", "adam", (1, 1 / 64, 1), (1, 1, 1)),
    ],
)
def test_learning_rates_are_those_of_the_papers(
    parametrization: Any, optimizer: Any, weights: Any, biases: Any
) -> None:
    model = lab.model(
        3, (64, 16), 2, act="tanh", parametrization=parametrization, optimizer=optimizer
    )
    assert [scale.weight_rate for scale in model.scales] == pytest.approx(weights)
    assert [scale.bias_rate for scale in model.scales] == pytest.approx(biases)
    for scale, (w, b), of_w, of_b in zip(model.scales, model.slices, weights, biases, strict=True):
        rates = np.ones(model.size) if model.rates is None else model.rates
        assert np.allclose(rates[w], of_w)
        assert np.allclose(rates[b], of_b)
        assert scale.frozen().weight_rate == scale.frozen().bias_rate == 0.0


@pytest.mark.parametrize("outputs", [1, 4])
def test_a_linear_model_is_the_same_in_all_parametrizations(outputs: int) -> None:
    for parametrization, optimizer in ALL:
        model = lab.model(
            9, (), outputs, cw=1.8, parametrization=parametrization, optimizer=optimizer
        )
        ((w, _),) = model.effective_layers(model.draw(3000, seed=1))
        # 27 thousand normals: 5 standard errors are 4.3 percent.
        assert w.var() == pytest.approx(1.8 / 9, rel=0.045)
        if parametrization != "ntk":
            assert model.rates is None


def test_the_standard_parametrization_draws_the_networks_of_random_network() -> None:
    model = lab.model(3, (6, 5), 2, act="tanh", cb=CB, cw=CW)
    theta = model.draw(3, seed=4)
    for sample in range(3):
        net = nnth.random_network(3, (6, 5), n_out=2, cb=CB, cw=CW, seed=4, sample=sample)
        assert np.allclose(theta[sample], lab.theta_of(net), rtol=1e-15)
        x = np.random.default_rng(0).normal(size=(5, 3))
        found = model.network(theta[sample])
        assert np.allclose(found(x), model.outputs(theta[sample], x), rtol=1e-13)
        assert np.array_equal(lab.theta_of(found), theta[sample])
        assert lab.model_of(found).sizes == model.sizes


def test_all_parametrizations_draw_of_the_same_numbers() -> None:
    drawn = {}
    for parametrization, optimizer in ALL:
        model = shallow(20, parametrization, optimizer)
        theta = model.draw(2, seed=7)
        drawn[parametrization, optimizer] = [w for w, _ in model.effective_layers(theta)]
    for (parametrization, _), (first, last) in drawn.items():
        fall = math.sqrt(20) if parametrization in ("mean-field", "mup") else 1.0
        assert np.allclose(first, drawn["standard", "sgd"][0], rtol=1e-13)
        assert np.allclose(fall * last, drawn["standard", "sgd"][1], rtol=1e-13)


def change_of_features(width: int, parametrization: Any, optimizer: Any) -> float:
    """Return the root mean square of the change of z^2 in one step, at a fixed eta."""
    model = lab.model(
        3, (width, width), act="tanh", cw=1.0, parametrization=parametrization, optimizer=optimizer
    )
    dice = np.random.default_rng(0)
    x, y = dice.normal(size=(4, 3)), dice.normal(size=(4, 1))
    theta = model.draw(4, seed=1)
    rule = lab.SGD(0.01) if optimizer == "sgd" else lab.Adam(0.01)
    descent = lab.Descent(lab.Objective(model, x, y), rule, theta)
    list(descent.take(1))
    ends = [np.arctanh(model.run(at, x).inputs[2]) for at in (theta, descent.theta)]
    return float(np.sqrt(np.mean((ends[1] - ends[0]) ** 2)))


@pytest.mark.parametrize(
    ("parametrization", "optimizer", "exponent"),
    [("mup", "sgd", 0.0), ("mup", "adam", 0.0), ("ntk", "sgd", -0.5), ("standard", "adam", 1.0)],
)
def test_features_move_as_the_theory_says(
    parametrization: str, optimizer: str, exponent: float
) -> None:
    # Yang and Hu (2021): in mup the change of features does not depend on the width, in the
    # tangent kernel's parametrization it falls as n^(-1/2); Adam's steps add up to n in others.
    widths = (64, 512)
    changes = [change_of_features(width, parametrization, optimizer) for width in widths]
    found = math.log(changes[1] / changes[0]) / math.log(widths[1] / widths[0])
    assert found == pytest.approx(exponent, abs=0.15)


def test_unknown_parametrizations_are_refused() -> None:
    with pytest.raises(ValueError, match="parametrization must be one of standard, mup with an"):
        lab.model(2, (3,), parametrization="ntk", optimizer="adam")
    with pytest.raises(ValueError, match="parametrization must be one of standard, ntk"):
        lab.model(2, (3,), parametrization="other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mean-field must have one hidden layer, not 2"):
        lab.model(2, (3, 3), parametrization="mean-field")
    with pytest.raises(ValueError, match="act must be one or 2 activations, not 1"):
        lab.model(2, (3, 3), act=("tanh",))
    for options in ({"cb": -1.0, "cw": 1.0}, {"cw": math.inf}):
        with pytest.raises(ValueError, match="must be finite and at least 0"):
            lab.model(2, (3,), **options)
