"""The infinitely wide network of a model, against ensembles of its networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nnth
from nnth import lab
from nnth._lab.parametrization import tangent_scales

X = np.array([[1.0, 0.5, -0.3], [0.2, -1.0, 0.4], [0.0, 0.3, 0.8]])


def in_convention(ntk: Any, widths: tuple[int, ...], cb: float = 0.3, cw: float = 1.7) -> lab.Model:
    model = lab.model(3, widths, act="tanh", cb=cb, cw=cw)
    return replace(model, scales=tuple(tangent_scales(model.sizes, ntk, cb=cb, cw=cw)))


@pytest.mark.parametrize("ntk", ["ntk", "bias", "pdlt"])
@pytest.mark.parametrize("widths", [(64,), (1500, 1500)])
def test_its_kernels_are_means_over_ensembles(ntk: str, widths: tuple[int, ...]) -> None:
    """With one hidden layer at any width; with two the corrections of order 1/n are below z = 1."""
    model = in_convention(ntk, widths)
    found = lab.infinite_network(model)
    assert found.ntk == ntk
    infinite = nnth.gram(X, **found.parameters)
    theta = model.draw(1000 if len(widths) == 1 else 16, seed=8)
    outputs = model.outputs(theta, X)[..., 0]
    samples = {
        "nngp": outputs[:, :, None] * outputs[:, None, :],
        "ntk": np.concatenate([lab.tangent_kernel(model, one[None], X) for one in theta]),
    }
    for name, of in samples.items():
        stderr = of.std(axis=0, ddof=1) / np.sqrt(len(of))
        z = (of.mean(axis=0) - getattr(infinite, name)) / stderr
        assert np.abs(z).max() < 5.0, name


def test_every_equivalent_form_is_recognized() -> None:
    """Multipliers, variances and rates together make W and its step."""
    standard = lab.model(3, (16, 8), act="tanh", cb=0.3, cw=1.7, parametrization="ntk")
    for model in (standard, standard.folded(), in_convention("ntk", (16, 8))):
        found = lab.infinite_network(model)
        assert (found.act.name, found.depth, found.ntk) == ("tanh", 2, "ntk")
        assert (found.cb, found.cw) == pytest.approx((0.3, 1.7), rel=1e-12)
    without = lab.model(3, (16,), act="relu", cw=2.0, biases=False, parametrization="ntk")
    assert lab.infinite_network(without).cb == 0.0
    table = nnth.kernel(**lab.infinite_network(without).parameters)
    assert table["k_aa"].tolist() == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lab.model(3, (16,), act="tanh", parametrization="standard"), "tangent kernel with a"),
        (lab.model(3, (16,), act="tanh", parametrization="mup"), "in layer 2"),
        (lab.model(3, (16,), act="tanh", parametrization="mean-field"), "in layer 2"),
        (lab.model(3, (4, 4), act=("tanh", "relu"), parametrization="ntk"), "one activation"),
        (lab.model(3, (), act=(), cw=1.0, parametrization="ntk"), "hidden layers"),
        (
            lab.model(3, (16,), act="tanh", cb=0.1, cw=1.0, parametrization="ntk").with_trained(
                (True, False)
            ),
            r"\(0, 0\) in layer 2",
        ),
    ],
)
def test_models_without_a_limit(model: lab.Model, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lab.infinite_network(model)
