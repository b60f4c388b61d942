"""The catalogue of activations, and activations given as expressions in z."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from nnth import _core
from nnth._activations.expression import ExpressionError, parse


@dataclass(frozen=True)
class Activation:
    """An activation function.

    `name` is as the user wrote it, `expression` the function of z. `form` names the closed form of
    its Gaussian expectations with `parameter`, where there is one. `critical` is the pair (C_b,
    C_w) at which perturbations neither grow nor fade (chi_par = chi_perp = 1), where one is known.
    `core` is what the core computes with: the expression, or `instead` of it another one of the
    same function; with the polynomials `near_zero` where its terms cancel at 0 (`nnth.near_zero`).
    """

    name: str
    expression: str
    form: str | None = None
    parameter: float = 0.0
    critical: tuple[float, float] | None = None
    instead: str | None = field(default=None, repr=False)
    near_zero: tuple[float, list[float], list[float]] | None = field(default=None, repr=False)
    core: _core.Activation = field(init=False, repr=False, compare=False)

    @property
    def is_relu(self) -> bool:
        """Whether the function is max(z, 0)."""
        return self.form == "leaky_relu" and self.parameter == 0.0

    def __post_init__(self) -> None:
        program = parse(self.expression if self.instead is None else self.instead)
        core = _core.Activation(program, self.form, self.parameter, self.near_zero)
        object.__setattr__(self, "core", core)


# Makes an activation from the name as written and its parameter.
Maker = Callable[[str, float], Activation]


def _leaky_relu(name: str, slope: float) -> Activation:
    critical = (0.0, 2.0 / (1.0 + slope * slope))
    return Activation(name, f"where(z > 0, z, {slope!r}*z)", "leaky_relu", slope, critical=critical)


def _relu_power(name: str, power: float) -> Activation:
    if not 0.0 < power <= 20.0:
        raise ValueError(f"act relu_power must have a power above 0 and at most 20, not {power:g}")
    critical = (0.0, 2.0) if power == 1.0 else None
    return Activation(name, f"relu(z)**{power!r}", "relu_power", power, critical=critical)


def _elu(name: str, scale: float) -> Activation:
    critical = (0.0, 2.0 / (1.0 + scale * scale))
    return Activation(name, f"max(z, 0) + {scale!r}*expm1(min(z, 0))", critical=critical)


def _plain(
    expression: str,
    form: str | None = None,
    parameter: float = 0.0,
    critical: tuple[float, float] | None = None,
) -> Maker:
    def make(name: str, _: float) -> Activation:
        return Activation(name, expression, form, parameter, critical=critical)

    return make


# Klambauer et al. (2017), eq. 2: the constants that make (0, 1) a fixed point of mean and variance.
_SELU: Final = "1.0507009873554805*(max(z, 0) + 1.6732632423543772*expm1(min(z, 0)))"

_MAKERS: Final[dict[str, Maker]] = {
    "relu": _plain("relu(z)", "leaky_relu", 0.0, (0.0, 2.0)),
    "leaky_relu": _leaky_relu,
    "abs": _plain("abs(z)", "leaky_relu", -1.0, (0.0, 1.0)),
    "relu_power": _relu_power,
    "step": _plain("step(z)", "step"),
    "linear": _plain("z", "leaky_relu", 1.0, (0.0, 1.0)),
    "erf": _plain("erf(z)", "erf", critical=(0.0, math.pi / 4.0)),
    "tanh": _plain("tanh(z)", critical=(0.0, 1.0)),
    "sin": _plain("sin(z)", "sin", critical=(0.0, 1.0)),
    "cos": _plain("cos(z)", "cos"),
    "exp": _plain("exp(z)", "exp"),
    "gaussian": _plain("exp(-z**2)", "gaussian"),
    "gelu": _plain("z*Phi(z)", "gelu", critical=(0.17292239075606735, 1.983058257437547)),
    "silu": _plain("z*sigmoid(z)", critical=(0.5551431707215304, 1.9880046782694920)),
    "softplus": _plain("softplus(z)"),
    "sigmoid": _plain("sigmoid(z)"),
    "elu": _elu,
    "selu": _plain(_SELU, critical=(0.0, 0.4767710178827529)),
    "mish": _plain("z*tanh(softplus(z))", critical=(0.09452178737066785, 2.013524069719529)),
    "hard_tanh": _plain("max(min(z, 1), -1)", critical=(0.0, 1.0)),
}

# Activations written `name:parameter`, with the parameter's default.
_DEFAULTS: Final = {"leaky_relu": 0.01, "relu_power": 2.0, "elu": 1.0}

CATALOGUE: Final = tuple(_MAKERS)


@lru_cache(maxsize=64)  # every network asks, and parsing takes as long as counting a small one
def activation(act: str) -> Activation:
    """Return the activation named or written in `act`.

    `act`: a name of CATALOGUE (`"gelu"`), with a parameter where it takes one (`"leaky_relu:0.1"`,
    `"relu_power:3"`, `"elu:1"`), or an expression in z (`"z*sigmoid(1.702*z)"`). "gaussian" is
    exp(-z^2). An expression that equals a function of the catalogue, as `"2*sigmoid(2*z)-1"` equals
    tanh, gives that activation under the name of the expression.

    Raises ValueError, naming the nearest name, when `act` is none of these.
    """
    name, colon, parameter = act.strip().partition(":")
    if name in _MAKERS:
        return _MAKERS[name](act.strip(), _parameter(name, parameter if colon else None))
    if name.isidentifier() and name != "z":
        near = difflib.get_close_matches(name.lower(), CATALOGUE, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(CATALOGUE)}"
        raise ValueError(f"act must be a known activation or an expression in z, not {act!r}{hint}")
    try:
        return _written(act)
    except ExpressionError as error:
        raise ValueError(f"act {error}") from None


def _written(text: str) -> Activation:
    """Return the activation of an expression, with what is known of its function.

    That does not depend on how it is written: a function of the catalogue has its closed form, its
    critical pair and its program under any other expression as well, and a function that vanishes
    at 0, or a derivative of which does, keeps its digits there.
    """
    plain = Activation(text, text)
    from nnth._activations.near_zero import (
        near_zero,  # what they import takes time that names do without
    )
    from nnth._activations.recognition import recognized

    known = recognized(plain)
    if known is not None:
        return replace(known, name=text, expression=text, instead=known.expression)
    near = near_zero(tuple(parse(text)))
    return plain if near is None else replace(plain, near_zero=near)


def _parameter(name: str, text: str | None) -> float:
    if text is None:
        return _DEFAULTS.get(name, 0.0)
    if name not in _DEFAULTS:
        raise ValueError(f"act {name} takes no parameter, not {text!r}")
    if not text.strip():
        raise ValueError(f"act {name}: must have a number after the colon, or no colon")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"act {name}'s parameter must be a finite number, not {text!r}")
    return value
