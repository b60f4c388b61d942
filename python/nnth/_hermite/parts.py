"""The even and the odd part of an activation: each zero, a polynomial, or not a polynomial.

Properties that the expression proves are taken from it; the others are determined from values, to a
stated tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

import numpy as np

from nnth._activations.activation import Activation
from nnth._activations.expression import parse

MAX_DEGREE: Final = 200  # E[z^(2d)] leaves the range of doubles at d = 151

# A part that is recognized as a polynomial by its values has at most this degree.
MAX_DEGREE_FROM_VALUES: Final = 64
_POINTS: Final = 1024
_RADII: Final = tuple(4.0**i for i in range(1, 13))
_COEFFICIENT_NOISE: Final = 1e-13  # relative to the largest value

_ODD_FUNCTIONS: Final = {"tanh", "erf", "sin", "atan", "sign"}
_EVEN_FUNCTIONS: Final = {"cos", "abs"}
# Functions whose composition with a nonconstant polynomial is analytic and never algebraic, because
# of an essential singularity at infinity, infinitely many poles, or logarithmic branch points.
_TRANSCENDENTAL: Final = {
    "exp",
    "expm1",
    "tanh",
    "sigmoid",
    "softplus",
    "erf",
    "normal_cdf",
    "sin",
    "cos",
    "atan",
}


@dataclass(frozen=True)
class Part:
    """A function: a polynomial of this degree, -1 for zero, or None if it is not a polynomial."""

    degree: int | None

    def __str__(self) -> str:
        match self.degree:
            case None:
                return "not a polynomial"
            case -1:
                return "zero"
            case _:
                return f"polynomial of degree {self.degree}"


@dataclass(frozen=True)
class Parts:
    """The even and the odd part of an activation, and the proof of each.

    A proof "expression" means that the part follows from the expression. A proof "values" means: a
    polynomial has no Chebyshev coefficient of a degree from its own + 1 to 1023 above 1e-13 of the
    largest value, on any of the intervals [-4^i, 4^i], i = 1..12, where values are finite; a part
    that is not a polynomial has one of a degree above 64 on one of them.
    """

    even: Part
    odd: Part
    even_proof: Literal["expression", "values"]
    odd_proof: Literal["expression", "values"]

    @property
    def parity(self) -> Literal["even", "odd", "none"]:
        """The parity of the activation."""
        if self.odd.degree == -1:
            return "even"
        return "odd" if self.even.degree == -1 else "none"

    @property
    def proof(self) -> str:
        """The method that found both parts: "expression" only if the expression proves both."""
        both = {self.even_proof, self.odd_proof}
        return "expression" if both == {"expression"} else "values"


@dataclass(frozen=True)
class _Fact:
    """Properties of an expression that are proven.

    polynomial: exact coefficients, lowest first and the last not 0, or None. parity: 1 even, -1
    odd, 0 unknown. transcendental: whether it is known not to be an algebraic function.
    """

    polynomial: tuple[Fraction, ...] | None = None
    parity: int = 0
    transcendental: bool = False


def parts(act: Activation) -> Parts:
    """Return the even and the odd part of an activation, with their proofs.

    Cost: some milliseconds where values are used. Raises ValueError for a polynomial of degree
    above 200.
    """
    fact = _fact(parse(act.expression))
    if fact.polynomial is not None:
        even, odd = (Part(_last(fact.polynomial, first)) for first in (0, 1))
        return Parts(even, odd, "expression", "expression")
    even, odd = _parts_from_values(act)
    if fact.parity == 0:
        return Parts(even, odd, "values", "values")
    whole = Part(None) if fact.transcendental else (even if fact.parity > 0 else odd)
    proof: Literal["expression", "values"] = "expression" if fact.transcendental else "values"
    if fact.parity > 0:
        return Parts(whole, Part(-1), proof, "expression")
    return Parts(Part(-1), whole, "expression", proof)


def _parts_from_values(act: Activation) -> tuple[Part, Part]:
    """Return the even and the odd part, judged by values of the activation."""
    angle = (np.arange(_POINTS) + 0.5) * (np.pi / _POINTS)
    nodes = np.cos(angle)
    nodes[_POINTS // 2 :] = -nodes[: _POINTS // 2][::-1]  # 0 is not among them
    turn = np.exp(-0.5j * np.pi / _POINTS * np.arange(_POINTS))
    degrees = [-1, -1]
    for radius in _RADII:
        values = act.core.evaluate(radius * nodes)[0]
        if not np.isfinite(values).all():
            break
        values /= max(float(np.abs(values).max()), np.finfo(float).tiny)
        transform = np.fft.rfft(np.concatenate((values, values[::-1])))[:_POINTS]
        coefficients = np.abs((turn * transform).real) / _POINTS
        for first in (0, 1):
            large = np.flatnonzero(coefficients[first::2] > _COEFFICIENT_NOISE)
            if large.size:
                degrees[first] = max(degrees[first], 2 * int(large[-1]) + first)
    even, odd = (Part(None if degree > MAX_DEGREE_FROM_VALUES else degree) for degree in degrees)
    return even, odd


def _fact(program: list[tuple[str, float]]) -> _Fact:
    stack: list[_Fact] = []
    for name, value in program:
        match name:
            case "constant":
                stack.append(_polynomial([Fraction(value)]))
            case "z":
                stack.append(_polynomial([Fraction(0), Fraction(1)]))
            case "power":
                stack.append(_power(stack.pop(), value))
            case "negate":
                stack.append(_product(stack.pop(), _polynomial([Fraction(-1)])))
            case "add" | "subtract" | "multiply" | "divide":
                b, a = stack.pop(), stack.pop()
                stack.append(_binary(name, a, b))
            case "maximum" | "minimum" | "where":
                operands = [stack.pop() for _ in range(3 if name == "where" else 2)]
                stack.append(_Fact(parity=int(all(o.parity == 1 for o in operands))))
            case _:
                stack.append(_function(name, stack.pop()))
    return stack.pop()


def _polynomial(coefficients: list[Fraction]) -> _Fact:
    while coefficients and coefficients[-1] == 0:
        coefficients.pop()
    _check_degree(len(coefficients) - 1)
    even, odd = (any(coefficients[first::2]) for first in (0, 1))
    return _Fact(tuple(coefficients), parity=0 if even and odd else -1 if odd else 1)


def _check_degree(degree: int) -> None:
    if degree > MAX_DEGREE:
        raise ValueError(f"act must not be a polynomial of degree above {MAX_DEGREE}, as {degree}")


def _binary(name: str, a: _Fact, b: _Fact) -> _Fact:
    if name == "divide":
        if b.polynomial is not None and len(b.polynomial) == 1:
            return _product(a, _polynomial([1 / b.polynomial[0]]))
        rational = b.polynomial is not None and len(b.polynomial) > 0
        return _Fact(parity=a.parity * b.parity, transcendental=a.transcendental and rational)
    if name == "multiply":
        return _product(a, b)
    return _sum(a, b, 1 if name == "add" else -1)


def _sum(a: _Fact, b: _Fact, sign: int) -> _Fact:
    if a.polynomial is not None and b.polynomial is not None:
        total = [Fraction(0)] * max(len(a.polynomial), len(b.polynomial))
        for i, value in enumerate(a.polynomial):
            total[i] += value
        for i, value in enumerate(b.polynomial):
            total[i] += sign * value
        return _polynomial(total)
    if a.polynomial == ():
        return b if sign > 0 else _product(b, _polynomial([Fraction(-1)]))
    if b.polynomial == ():
        return a
    # The sum of two transcendental terms may be algebraic.
    one = (a.transcendental and b.polynomial is not None) or (
        b.transcendental and a.polynomial is not None
    )
    return _Fact(parity=a.parity if a.parity == b.parity else 0, transcendental=one)


def _product(a: _Fact, b: _Fact) -> _Fact:
    if a.polynomial is not None and b.polynomial is not None:
        product = [Fraction(0)] * max(len(a.polynomial) + len(b.polynomial) - 1, 0)
        for i, left in enumerate(a.polynomial):
            for j, right in enumerate(b.polynomial):
                product[i + j] += left * right
        return _polynomial(product)
    one = (a.transcendental and bool(b.polynomial)) or (b.transcendental and bool(a.polynomial))
    return _Fact(parity=a.parity * b.parity, transcendental=one)


def _power(base: _Fact, exponent: float) -> _Fact:
    whole = exponent == int(exponent)
    if base.polynomial is not None and whole and exponent >= 0:
        _check_degree((len(base.polynomial) - 1) * int(exponent))
        result = _polynomial([Fraction(1)])
        for _ in range(int(exponent)):
            result = _product(result, base)
        return result
    if exponent == 0:
        return _polynomial([Fraction(1)])
    parity = base.parity
    if parity == -1:
        parity = 0 if not whole else 1 if int(exponent) % 2 == 0 else -1
    return _Fact(parity=parity, transcendental=base.transcendental)


def _function(name: str, argument: _Fact) -> _Fact:
    parity = argument.parity
    if name in _EVEN_FUNCTIONS:
        parity = abs(parity)
    elif name not in _ODD_FUNCTIONS:
        parity = max(parity, 0)
    varies = argument.polynomial is not None and len(argument.polynomial) > 1
    return _Fact(parity=parity, transcendental=varies and name in _TRANSCENDENTAL)


def _last(polynomial: tuple[Fraction, ...], first: int) -> int:
    """Return the degree of the even (first = 0) or odd (1) part, -1 where it is zero."""
    return max((k for k in range(first, len(polynomial), 2) if polynomial[k]), default=-1)
