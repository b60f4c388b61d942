"""Parametrizations: how the scales of a layer depend on the width of the network.

In the abc-parametrization of Yang and Hu (2021), W = n^multiplier w with w ~ N(0, c n^variance) is
trained at the learning rate eta n^rate. Every parametrization is a row of `EXPONENTS` for each kind
of layer. They are equivalent under multiplier + t, variance - 2 t, and rate - 2 t for gradient
descent or rate - t for Adam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

from nnth._kernels.kernel import Ntk

Parametrization: TypeAlias = Literal["standard", "ntk", "mean-field", "mup"]
Kind: TypeAlias = Literal["input", "hidden", "output"]


class Exponents(NamedTuple):
    """The powers of the width n in the variance, the multiplier and the learning rate of W."""

    variance: float = 0.0
    multiplier: float = 0.0
    rate: float = 0.0


_SAME: Final = Exponents()
_STANDARD: Final = {"input": _SAME, "hidden": Exponents(-1.0), "output": Exponents(-1.0)}

# For the kinds of optimizers whose steps are proportional to the gradient ("sgd") or do not depend
# on its size ("adam"). Yang and Hu (2021), table 1; Yang et al. (2022), table 8.
EXPONENTS: Final[dict[tuple[Parametrization, Literal["sgd", "adam"]], dict[str, Exponents]]] = {
    ("standard", "sgd"): _STANDARD,
    ("standard", "adam"): _STANDARD,
    ("ntk", "sgd"): {
        "input": _SAME,
        "hidden": Exponents(multiplier=-0.5),
        "output": Exponents(multiplier=-0.5),
    },
    ("mean-field", "sgd"): {
        "input": Exponents(rate=1.0),
        "output": Exponents(multiplier=-1.0, rate=1.0),
    },
    ("mup", "sgd"): {
        "input": Exponents(rate=1.0),
        "hidden": Exponents(-1.0),
        "output": Exponents(multiplier=-1.0, rate=1.0),
    },
    ("mup", "adam"): {
        "input": _SAME,
        "hidden": Exponents(-1.0, rate=-1.0),
        "output": Exponents(multiplier=-1.0),
    },
}
PARAMETRIZATIONS: Final = tuple(dict.fromkeys(name for name, _ in EXPONENTS))


@dataclass(frozen=True)
class LayerScale:
    """The scales of a layer: W = weight_multiplier w and b = bias_multiplier a.

    w ~ N(0, weight_variance) and a ~ N(0, bias_variance) are the parameters, trained at the
    learning rates weight_rate eta and bias_rate eta; a rate of 0 freezes them.
    """

    weight_variance: float
    bias_variance: float = 0.0
    weight_multiplier: float = 1.0
    bias_multiplier: float = 1.0
    weight_rate: float = 1.0
    bias_rate: float = 1.0

    @property
    def trained(self) -> bool:
        """Whether a learning rate is not 0."""
        return self.weight_rate != 0.0 or self.bias_rate != 0.0

    def folded(self) -> LayerScale:
        """Return the equivalent scales with multipliers 1 for steps proportional to the gradient.

        The parameters are W and b themselves; the learning rates have the squares of the
        multipliers. Gradient descent with or without momentum and gradient flow are the same,
        weight decay is not.
        """
        w, b = self.weight_multiplier**2, self.bias_multiplier**2
        return LayerScale(
            weight_variance=w * self.weight_variance,
            bias_variance=b * self.bias_variance,
            weight_rate=w * self.weight_rate,
            bias_rate=b * self.bias_rate,
        )

    def frozen(self) -> LayerScale:
        """Return the same scales with learning rates of 0."""
        return LayerScale(
            self.weight_variance,
            self.bias_variance,
            self.weight_multiplier,
            self.bias_multiplier,
            weight_rate=0.0,
            bias_rate=0.0,
        )


def layer_scales(
    sizes: Sequence[int],
    parametrization: Parametrization,
    optimizer: Literal["sgd", "adam"],
    *,
    cb: float,
    cw: float,
) -> tuple[LayerScale, ...]:
    """Return the scales of the layers of a network with the sizes n_0, ..., n_(L+1).

    The width n of a hidden or output layer is its fan-in, that of the input layer its fan-out. At
    the start z^1 has the variance cb + cw |x|^2/n_0 in all parametrizations, and so has each next
    layer with its fan-in, but for the output of "mean-field" and "mup", whose variance falls as
    1/n. Biases are weights of a constant input 1: their scales are those of an input layer, the
    output's bias without a power of n.

    Raises:
        ValueError: If the parametrization is not known, or not with this optimizer or depth.
    """
    found = EXPONENTS.get((parametrization, optimizer))
    if found is None:
        known = [name for name, kind in EXPONENTS if kind == optimizer]
        raise ValueError(
            f"parametrization must be one of {', '.join(known)} with an optimizer like "
            f"{optimizer}, not {parametrization!r}"
        )
    layers = list(pairwise(sizes))
    if len(layers) > 2 and "hidden" not in found:
        raise ValueError(
            f"parametrization {parametrization} must have one hidden layer, not {len(layers) - 1}"
        )
    scales = []
    for i, (fan_in, fan_out) in enumerate(layers):
        last = i + 1 == len(layers)
        kind: Kind = "output" if last else "hidden" if i else "input"
        power = found[kind] if len(layers) > 1 else _SAME  # a linear model has no width
        n = fan_in if i else fan_out
        # Of an input layer only the constant c = cw/n_0 depends on the fan-in.
        weight = cw if i else cw / fan_in
        of_bias = found["input"].rate if not last else 0.0
        scale = LayerScale(
            weight_variance=weight * n**power.variance,
            weight_multiplier=n**power.multiplier,
            weight_rate=n**power.rate,
            bias_variance=cb,
            bias_rate=fan_out**of_bias,
        )
        scales.append(_with_unit_variances(scale, cb) if parametrization == "ntk" else scale)
    return tuple(scales)


def _with_unit_variances(scale: LayerScale, cb: float) -> LayerScale:
    """Return scales in which w and a are standard normal, as Jacot et al. (2018) define them."""
    return LayerScale(
        weight_variance=1.0,
        bias_variance=1.0,
        weight_multiplier=scale.weight_multiplier * scale.weight_variance**0.5,
        bias_multiplier=cb**0.5,
    )


def tangent_scales(sizes: Sequence[int], ntk: Ntk, *, cb: float, cw: float) -> list[LayerScale]:
    """Return the scales whose tangent kernel is that of `nnth.kernel` in a convention, folded.

    The learning rates of b and W are cb and cw/fan-in ("ntk"), 1 and cw/fan-in ("bias"), or 1 and
    1/fan-in ("pdlt").
    """
    return [
        LayerScale(
            weight_variance=cw / fan_in,
            bias_variance=cb,
            weight_rate=(1.0 if ntk == "pdlt" else cw) / fan_in,
            bias_rate=cb if ntk == "ntk" else 1.0,
        )
        for fan_in in sizes[:-1]
    ]
