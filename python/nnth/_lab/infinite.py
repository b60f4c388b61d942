"""The infinitely wide network beside a model: its activation, variances and tangent kernel."""

from __future__ import annotations

import math
from typing import Final

from nnth._kernels.kernel import InfiniteNetwork, Ntk, kernel_config
from nnth._lab.model import Model

_ROUNDING: Final = 1e-12  # relative, of products of multipliers, variances and rates


def infinite_network(model: Model) -> InfiniteNetwork:
    """Return the infinitely wide network whose kernels are the limits of those of a model.

    W and b must have the variances C_w/fan-in and C_b in every layer, and with the squares of the
    multipliers the learning rates C_w/fan-in and C_b ("ntk"), C_w/fan-in and 1 ("bias") or 1/fan-in
    and 1 ("pdlt"), in whatever form: a multiplier of W and a rate of w are one number here.

    Args:
        model: A model with at least one hidden layer and one activation. A layer without biases has
            C_b = 0.

    Returns:
        An InfiniteNetwork, whose `parameters` are arguments of `nnth.kernel` and `nnth.gram`.

    Raises:
        ValueError: If the model does not fit; the message names the layer. "mup" and "mean-field"
            have outputs that vanish at the start, and the tangent kernel of "standard" grows with
            the width.

    Example:
        >>> import numpy as np
        >>> import nnth
        >>> from nnth import lab
        >>> model = lab.model(3, (4000,), act="tanh", cb=0.1, cw=2.0, parametrization="ntk")
        >>> x = np.eye(3)
        >>> infinite = nnth.gram(x, **lab.infinite_network(model).parameters)
        >>> finite = lab.tangent_kernel(model, model.draw()[0], x)
        >>> bool(np.abs(finite - infinite.ntk).max() < 0.1)
        True

    Source: Jacot et al. (2018), theorem 1; for "pdlt" Roberts et al. (2022), chapter 8.
    """
    if not model.acts or len(set(model.acts)) > 1 or model.gates is not None:
        raise ValueError("model must have hidden layers of one activation, and no gates")
    variances = [_variances(model, layer) for layer in range(len(model.scales))]
    cb, cw = variances[0]
    for layer, found in enumerate(variances, 1):
        if not _equal(found, (cb, cw)):
            raise ValueError(
                f"model must have one C_b and C_w in all layers, not ({cb:g}, {cw:g}) in layer 1 "
                f"and ({found[0]:g}, {found[1]:g}) in layer {layer}"
            )
    rates = [_rates(model, layer) for layer in range(len(model.scales))]
    conventions: dict[Ntk, tuple[float, float]] = {
        "ntk": (cb, cw),
        "bias": (1.0, cw),
        "pdlt": (1.0, 1.0),
    }
    for ntk, expected in conventions.items():
        if all(_equal(found, expected) for found in rates):
            depth = len(model.acts)
            return InfiniteNetwork(
                model.acts[0], depth, cb, cw, ntk, kernel_config(cb, cw, depth, ntk)
            )
    described = "; ".join(
        f"({b:g}, {w:g}) in layer {layer}" for layer, (b, w) in enumerate(rates, 1)
    )
    raise ValueError(
        "model must have a tangent kernel with a limit: learning rates of b and of W times the "
        f"fan-in of ({cb:g}, {cw:g}), (1, {cw:g}) or (1, 1) in all layers, not {described}"
    )


def _variances(model: Model, layer: int) -> tuple[float, float]:
    """Return the variance of b, and that of W times the fan-in."""
    scale = model.scales[layer]
    bias = scale.bias_variance * scale.bias_multiplier**2 if model.biased[layer] else 0.0
    return bias, scale.weight_variance * scale.weight_multiplier**2 * model.sizes[layer]


def _rates(model: Model, layer: int) -> tuple[float, float]:
    """Return the learning rates of b, and of W times the fan-in, over eta."""
    scale = model.scales[layer]
    bias = scale.bias_rate * scale.bias_multiplier**2 if model.biased[layer] else 0.0
    return bias, scale.weight_rate * scale.weight_multiplier**2 * model.sizes[layer]


def _equal(found: tuple[float, float], expected: tuple[float, float]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(math.isclose(a, b, rel_tol=_ROUNDING) for a, b in pairs)
