"""The catalogue of activations, the only place that lists their names.

A new activation is a line here. Its other properties are computed from its expression: derivatives,
kinks, jumps, smoothness, parity, fixed points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Pair = tuple[float, float]


@dataclass(frozen=True)
class Parameter:
    """The parameter of a family of activations.

    default: Its value if the activation is written without one.
        name: Its name in messages.
        default: Its value in an activation that is written without one.
        fit: Returns its value from the function itself, for a function of the family.
        above, most: It lies in (above, most].
    """

    name: str
    default: float
    fit: Callable[[Callable[[float], float]], float]
    above: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True)
class Entry:
    """An activation of the catalogue, or a family of them with one parameter.

    Attributes:
        expression: The function of z, with {a!r} for the parameter of a family.
        form: The name of its closed form in the core, None without one.
        form_parameter: The parameter of the closed form; of a family it is the family's.
        critical: The pair (C_b, C_w) at which perturbations neither grow nor fade (chi_par =
            chi_perp = 1), a function of the parameter in a family; None where there is none.
        parameter: The parameter of a family, None for a single activation.
    """

    expression: str
    form: str | None = None
    form_parameter: float = 0.0
    critical: Pair | Callable[[float], Pair | None] | None = None
    parameter: Parameter | None = None


# Klambauer et al. (2017), eq. 2: the constants that make (0, 1) a fixed point of mean and variance.
_SELU: Final = "1.0507009873554805*(max(z, 0) + 1.6732632423543772*expm1(min(z, 0)))"

ENTRIES: Final[dict[str, Entry]] = {
    "relu": Entry("relu(z)", "leaky_relu", 0.0, critical=(0.0, 2.0)),
    "leaky_relu": Entry(
        "where(z > 0, z, {a!r}*z)",
        "leaky_relu",
        critical=lambda slope: (0.0, 2.0 / (1.0 + slope * slope)),
        parameter=Parameter("slope", 0.01, lambda f: -f(-1.0)),
    ),
    "abs": Entry("abs(z)", "leaky_relu", -1.0, critical=(0.0, 1.0)),
    "relu_power": Entry(
        "relu(z)**{a!r}",
        "relu_power",
        critical=lambda power: (0.0, 2.0) if power == 1.0 else None,
        parameter=Parameter("power", 2.0, lambda f: math.log2(f(2.0)), above=0.0, most=20.0),
    ),
    "step": Entry("step(z)", "step"),
    "linear": Entry("z", "leaky_relu", 1.0, critical=(0.0, 1.0)),
    "erf": Entry("erf(z)", "erf", critical=(0.0, math.pi / 4.0)),
    "tanh": Entry("tanh(z)", critical=(0.0, 1.0)),
    "sin": Entry("sin(z)", "sin", critical=(0.0, 1.0)),
    "cos": Entry("cos(z)", "cos"),
    "exp": Entry("exp(z)", "exp"),
    "gaussian": Entry("exp(-z**2)", "gaussian"),
    "gelu": Entry("z*Phi(z)", "gelu", critical=(0.17292239075606735, 1.983058257437547)),
    "silu": Entry("z*sigmoid(z)", critical=(0.5551431707215304, 1.9880046782694920)),
    "softplus": Entry("softplus(z)"),
    "sigmoid": Entry("sigmoid(z)"),
    "elu": Entry(
        "max(z, 0) + {a!r}*expm1(min(z, 0))",
        critical=lambda scale: (0.0, 2.0 / (1.0 + scale * scale)),
        parameter=Parameter("scale", 1.0, lambda f: f(-1.0) / math.expm1(-1.0)),
    ),
    "selu": Entry(_SELU, critical=(0.0, 0.4767710178827529)),
    "mish": Entry("z*tanh(softplus(z))", critical=(0.09452178737066785, 2.013524069719529)),
    "hard_tanh": Entry("max(min(z, 1), -1)", critical=(0.0, 1.0)),
    "softsign": Entry("z/(1 + abs(z))", critical=(0.0, 1.0)),
}

CATALOGUE: Final = tuple(ENTRIES)
