"""Activations by name or by expression."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

from nnth import _core
from nnth._activations.catalogue import CATALOGUE, ENTRIES, Parameter
from nnth._activations.expression import ExpressionError, parse

_RELU = ENTRIES["relu"].expression


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes:
        name: The name or the expression, as the user wrote it.
        expression: The function of z, from which every fact is computed. For a function of the
            catalogue it is the catalogue's expression, however the user wrote it.
        form: The name of the closed form of its Gaussian expectations, None without one.
        parameter: The parameter of the closed form.
        critical: The pair (C_b, C_w) at which perturbations neither grow nor fade (chi_par =
            chi_perp = 1), None where none is known.
        near_zero: The polynomials that replace the expression where its terms cancel at 0
            (`nnth._activations.near_zero`), None where they do not cancel.
        core: The activation of the core.
    """

    name: str
    expression: str
    form: str | None = None
    parameter: float = 0.0
    critical: tuple[float, float] | None = None
    near_zero: tuple[float, list[float], list[float]] | None = field(default=None, repr=False)
    core: _core.Activation = field(init=False, repr=False, compare=False)

    @property
    def is_relu(self) -> bool:
        """Whether the function is max(z, 0)."""
        if self.expression == _RELU:
            return True
        from nnth._activations.smoothness import slopes  # takes 20 ms, and imports NumPy

        return slopes(self.expression) == (0.0, 1.0)

    def __post_init__(self) -> None:
        program = parse(self.expression)
        core = _core.Activation(program, self.form, self.parameter, self.near_zero)
        object.__setattr__(self, "core", core)


@lru_cache(maxsize=64)  # parsing takes as long as counting the regions of a small network
def activation(act: str) -> Activation:
    """Return the activation with this name or expression.

    Args:
        act: A name of `nnth.CATALOGUE`, as "gelu"; with its parameter after a colon where it has
            one, as "leaky_relu:0.1", "relu_power:3" or "elu:1"; or an expression in z, as
            "z*sigmoid(1.702*z)". "gaussian" is exp(-z^2). Expressions consist of numbers, z, pi, e,
            `+ - * / **` (or ^), the functions exp, expm1, log, log1p, sqrt, abs, sign, step, max,
            min, relu, tanh, sigmoid, softplus, erf, Phi, sin, cos and atan, and
            `where(z > c, a, b)`.

    Returns:
        The activation: its name, expression, closed form (`form`, None without one) with its
        `parameter`, and its `critical` pair (C_b, C_w), None where none is known. An expression
        that equals a function of the catalogue has the same properties under its own name.

    Raises:
        ValueError: If `act` is neither, with the nearest name.

    An expression is compared with the catalogue by its Taylor expansions, to 30 digits. Cost: 1 to
    30 ms for an expression, once.

    Example:
        >>> nnth.activation("gelu").critical
        (0.172..., 1.983...)
        >>> nnth.activation("0.5*z*(1 + erf(z/sqrt(2)))").form
        'gelu'
        >>> nnth.activation("leaky_relu:0.1").parameter
        0.1
    """
    name, colon, text = act.strip().partition(":")
    if name in ENTRIES:
        return _named(act.strip(), name, text if colon else None)
    if name.isidentifier() and name != "z":
        near = difflib.get_close_matches(name.lower(), CATALOGUE, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(CATALOGUE)}"
        raise ValueError(f"act must be a known activation or an expression in z, not {act!r}{hint}")
    try:
        return _from_expression(act)
    except ExpressionError as error:
        raise ValueError(f"act {error}") from None


def _named(act: str, name: str, text: str | None) -> Activation:
    """Return an activation of the catalogue, with the text of its parameter, if it has one."""
    entry = ENTRIES[name]
    a = _value(name, entry.parameter, text)
    return Activation(
        act,
        entry.expression.format(a=a),
        entry.form,
        entry.form_parameter if entry.parameter is None else a,
        entry.critical(a) if callable(entry.critical) else entry.critical,
    )


def _from_expression(text: str) -> Activation:
    """Return the activation of an expression.

    Its properties do not depend on how it is written: a function of the catalogue has the
    catalogue's properties, and a function that is 0 at 0, or has a derivative of 0 there, keeps its
    digits.
    """
    plain = Activation(text, text)
    from nnth._activations.near_zero import near_zero  # imports NumPy, which names do not need
    from nnth._activations.recognition import recognized

    known = recognized(plain)
    if known is not None:
        return replace(known, name=text)
    near = near_zero(tuple(parse(text)))
    return plain if near is None else replace(plain, near_zero=near)


def _value(name: str, parameter: Parameter | None, text: str | None) -> float:
    """Return the value of a parameter from its text, or its default; 0 without a parameter."""
    if parameter is None:
        if text is not None:
            raise ValueError(f"act {name} takes no parameter, not {text!r}")
        return 0.0
    if text is None:
        return parameter.default
    if not text.strip():
        raise ValueError(f"act {name}: must have a number after the colon, or no colon")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"act {name}'s parameter must be a finite number, not {text!r}")
    if not parameter.above < value <= parameter.most:
        raise ValueError(
            f"act {name} must have a {parameter.name} above {parameter.above:g} and at most "
            f"{parameter.most:g}, not {value:g}"
        )
    return value
