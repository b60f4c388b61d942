"""One-sided Taylor expansions of activations, in eighty decimal digits.

Values in doubles do not show whether a function vanishes at a point, or which derivative jumps
there: in softplus(z) - log(2) the digits cancel. Here every operation of a program is applied to a
series in t = |z - at| > 0, by the recurrences of automatic differentiation (Griewank and Walther
2008, chapter 13); a sum that is smaller than its terms by 10^40 is 0. A number is the decimal in
the expression, so 0.1 is one tenth, and pi and e are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

from nnth._activations.expression import Instruction

TERMS: Final = 32  # the terms of a series; fewer after cancellation
_DIGITS: Final = 80
_NEGLIGIBLE: Final = Decimal("1e-40")  # a sum below this fraction of its terms is 0
_LAST: Final = Decimal("1e-85")  # the last term of a sum, relative to the first
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_PI: Final = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
)
_FAR: Final = Decimal(10**12)  # sines of larger numbers have too few digits
_LARGE: Final = Decimal(10**6)  # exponentials of larger numbers overflow
_ERF_IS_ONE: Final = 12  # erfc(12) is below 1e-63
_FAR_TAIL: Final = 1000  # Phi(-1000) is 1e-217150
_SIMPLE: Final = 10**4  # exponents that are fractions with at most this denominator are exact


class NoExpansionError(ArithmeticError):
    """Raised for a function without a known expansion in integer powers times one power."""


@dataclass(frozen=True)
class Expansion:
    """sum_n terms[n] t^(order + n), t = |z - at|; without terms the function is 0 there."""

    order: Fraction
    terms: tuple[Decimal, ...]

    def coefficient(self, power: int) -> Decimal:
        """Return the coefficient of t^power; 0 beyond the known terms."""
        n = power - self.order
        if n.denominator != 1 or not 0 <= n < len(self.terms):
            return _ZERO
        return self.terms[int(n)]

    @property
    def known(self) -> Fraction:
        """The power below which coefficients are known."""
        return self.order + len(self.terms) if self.terms else Fraction(TERMS)

    def sign_at(self, t: Decimal) -> int:
        """Return the sign of the function at a small distance t; t = 0 is the limit from above."""
        if not self.terms:
            return 0
        value = self.terms[0] if t == 0 else self.terms[-1]
        for term in reversed(self.terms[:-1] if t else ()):
            value = value * t + term
        return 1 if value > 0 else -1 if value < 0 else 0


def expansion(
    program: Sequence[Instruction], side: int, at: Decimal = _ZERO, aside: float = 0.0
) -> Expansion:
    """Return the expansion of a program on one side, +1 or -1, of a point.

    For a function with pieces it is the expansion of the piece next to the point, or of the piece
    at the distance `aside`, if the point is only known to that accuracy.

    Accuracy: some 70 digits of every coefficient, fewer after cancellation. Cost: 0.1 to 1 ms per
    operation.

    Raises:
        NoExpansionError: At a pole, or at a branch point whose powers do not differ by integers,
        inside a function that is singular there.
    """
    distance = Decimal(aside)

    def sign(a: Expansion) -> int:
        return a.sign_at(distance)

    with localcontext() as context:
        context.prec = _DIGITS
        context.Emax, context.Emin = 10**9, -(10**9)
        stack: list[Expansion] = []
        for name, value in program:
            if name == "constant":
                stack.append(_constant(_exact(value)))
            elif name == "z":
                stack.append(_stripped(Fraction(0), _padded([at, Decimal(side)])))
            elif name == "power":
                stack.append(_power(stack.pop(), _exponent(value)))
            elif name in _PIECES:
                a = stack.pop()
                stack.append(_PIECES[name](a, sign(a)))
            elif name in ("maximum", "minimum"):
                b, a = stack.pop(), stack.pop()
                direction = 1 if name == "maximum" else -1
                stack.append(_chosen(direction * sign(_subtract(a, b)), a, b))
            elif name in _UNARY:
                stack.append(_UNARY[name](stack.pop()))
            elif name in _BINARY:
                b, a = stack.pop(), stack.pop()
                stack.append(_BINARY[name](a, b))
            else:  # where
                b, a, condition = stack.pop(), stack.pop(), stack.pop()
                stack.append(_chosen(sign(condition), a, b))
        return stack.pop()


def _exact(value: float) -> Decimal:
    if value == math.pi:
        return _PI
    return _ONE.exp() if value == math.e else Decimal(repr(value))


def _exponent(value: float) -> Fraction:
    simple = Fraction(value).limit_denominator(_SIMPLE)
    return simple if float(simple) == value else Fraction(value)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _sum(terms: Iterable[Decimal]) -> Decimal:
    """Return the sum, or 0 if it is rounding of its terms."""
    total = size = _ZERO
    for term in terms:
        total += term
        size += abs(term)
    return total if abs(total) > _NEGLIGIBLE * size else _ZERO


def _padded(terms: list[Decimal]) -> list[Decimal]:
    return [*terms, *[_ZERO] * (TERMS - len(terms))]


def _constant(value: Decimal) -> Expansion:
    return _stripped(Fraction(0), _padded([value]))


def _stripped(order: Fraction, terms: Sequence[Decimal]) -> Expansion:
    first = next((n for n, term in enumerate(terms) if term), None)
    return (
        Expansion(Fraction(0), ()) if first is None else Expansion(order + first, (*terms[first:],))
    )


def _scaled(a: Expansion, factor: Decimal | int) -> Expansion:
    return (
        Expansion(a.order, tuple(factor * term for term in a.terms)) if factor else _constant(_ZERO)
    )


def _add(a: Expansion, b: Expansion) -> Expansion:
    if not a.terms or not b.terms:
        return a if a.terms else b
    apart = b.order - a.order
    if apart < 0:
        return _add(b, a)
    if apart.denominator != 1:
        raise NoExpansionError
    shifted = [_ZERO] * int(apart) + list(b.terms)
    count = min(len(a.terms), len(shifted))
    return _stripped(
        a.order, [_sum(pair) for pair in zip(a.terms[:count], shifted[:count], strict=True)]
    )


def _subtract(a: Expansion, b: Expansion) -> Expansion:
    return _add(a, _scaled(b, -1))


def _products(a: Sequence[Decimal], b: Sequence[Decimal], n: int) -> Decimal:
    """Return the n-th coefficient of a product."""
    return _sum(a[k] * b[n - k] for k in range(n + 1) if a[k] and b[n - k])


def _multiply(a: Expansion, b: Expansion) -> Expansion:
    count = min(len(a.terms), len(b.terms))
    terms = [_products(a.terms, b.terms, n) for n in range(count)]
    return _stripped(a.order + b.order, terms)


def _power(a: Expansion, p: Fraction) -> Expansion:
    """Return b = a^p, from a b' = p a' b: n a_0 b_n = sum_k (k p - n + k) a_k b_(n-k).

    Integer powers are products, because the recurrence loses digits.
    """
    if p == 0:
        return _constant(_ONE)
    if not a.terms:
        if p < 0:
            raise NoExpansionError
        return a
    if p.denominator == 1 and p > 1:
        half = _power(a, Fraction(int(p) // 2))
        whole = _multiply(half, half)
        return _multiply(whole, a) if int(p) % 2 else whole
    if p == 1:
        return a
    lead, exponent = a.terms[0], _decimal(p)
    if p.denominator == 1:
        first = lead ** int(p)
    elif lead < 0:
        raise NoExpansionError
    else:
        first = (exponent * lead.ln()).exp()
    present = [(k, term) for k, term in enumerate(a.terms) if term and k]
    terms = [first]
    for n in range(1, len(a.terms)):
        parts = ((k * exponent - n + k) * x * terms[n - k] for k, x in present if k <= n)
        terms.append(_sum(parts) / (n * lead))
    return _stripped(a.order * p, terms)


def _divide(a: Expansion, b: Expansion) -> Expansion:
    return _multiply(a, _power(b, Fraction(-1)))


def _chosen(sign: int, a: Expansion, b: Expansion) -> Expansion:
    """Return a or b by the sign of a condition, and their mean for 0, as in a program."""
    return a if sign > 0 else b if sign < 0 else _scaled(_add(a, b), Decimal("0.5"))


def _dense(a: Expansion) -> list[Decimal]:
    """Return the coefficients of t^0, t^1, ... of the argument of an entire function."""
    if not a.terms:
        return [_ZERO] * TERMS
    if a.order < 0 or a.order.denominator != 1:
        raise NoExpansionError
    return ([_ZERO] * int(a.order) + list(a.terms))[:TERMS]


def _integrated(first: Decimal, slope: Sequence[Decimal], a: Sequence[Decimal]) -> list[Decimal]:
    """Return f(a) from f(a_0) and f'(a): n f_n = sum_k k a_k f'_(n-k)."""
    present = [(k, k * x) for k, x in enumerate(a) if x and k]
    return [first] + [
        _sum(x * slope[n - k] for k, x in present if k <= n) / n for n in range(1, len(a))
    ]


def _exp(a: Expansion) -> Expansion:
    x = _dense(a)
    if abs(x[0]) > _LARGE:
        raise NoExpansionError
    present = [(k, k * term) for k, term in enumerate(x) if term and k]
    terms = [x[0].exp()]
    for n in range(1, len(x)):
        terms.append(_sum(y * terms[n - k] for k, y in present if k <= n) / n)
    return _stripped(Fraction(0), terms)


def _expm1(a: Expansion) -> Expansion:
    return _add(_exp(a), _constant(-_ONE))


def _log(a: Expansion) -> Expansion:
    x = _dense(a)
    if x[0] <= 0:
        raise NoExpansionError
    inverse = _dense(_power(a, Fraction(-1)))
    return _stripped(Fraction(0), _integrated(_log_of(x[0]), inverse, x))


def _log_of(x: Decimal) -> Decimal:
    """Return log(x), and 0 if x is 1 to rounding."""
    return _ZERO if abs(x - 1) < _NEGLIGIBLE else x.ln()


def _sigmoid(a: Expansion) -> Expansion:
    return _power(_add(_exp(_scaled(a, -1)), _constant(_ONE)), Fraction(-1))


def _tanh(a: Expansion) -> Expansion:
    growth = _expm1(_scaled(a, 2))
    return _divide(growth, _add(growth, _constant(Decimal(2))))


def _softplus(a: Expansion) -> Expansion:
    x = _dense(a)
    first = max(x[0], _ZERO) + (1 + (-abs(x[0])).exp()).ln()
    return _stripped(Fraction(0), _integrated(first, _dense(_sigmoid(a)), x))


def _erf(a: Expansion) -> Expansion:
    x = _dense(a)
    density = _scaled(_exp(_scaled(_power(a, Fraction(2)), -1)), 2 / _PI.sqrt())
    return _stripped(Fraction(0), _integrated(_erf_of(x[0]), _dense(density), x))


def _erf_of(x: Decimal) -> Decimal:
    """Return erf x = 2 x e^(-x^2)/sqrt(pi) sum_n (2 x^2)^n/(2n + 1)!!."""
    if abs(x) > _ERF_IS_ONE:
        return Decimal(1).copy_sign(x)
    term = total = _ONE
    n = 0
    while term > _LAST * total:
        n += 1
        term *= 2 * x * x / (2 * n + 1)
        total += term
    return 2 * x * (-x * x).exp() / _PI.sqrt() * total


def _normal_cdf(a: Expansion) -> Expansion:
    x = _dense(a)
    half_square = _scaled(_power(a, Fraction(2)), -Decimal("0.5"))
    density = _scaled(_exp(half_square), 1 / (2 * _PI).sqrt())
    return _stripped(Fraction(0), _integrated(_normal_cdf_of(x[0]), _dense(density), x))


def _normal_cdf_of(x: Decimal) -> Decimal:
    """Return Phi(x); in the tail, where 1 + erf has no digits, by Laplace's continued fraction."""
    if x > -2:
        return (1 + _erf_of(x / Decimal(2).sqrt())) / 2
    if x < -_FAR_TAIL:
        raise NoExpansionError
    fraction = -x
    for n in range(int(20000 / (x * x)) + 60, 0, -1):  # its error is about exp(-2 |x| sqrt(2 n))
        fraction = -x + n / fraction
    return (-x * x / 2).exp() / (2 * _PI).sqrt() / fraction


def _sine_and_cosine(a: Expansion) -> tuple[Expansion, Expansion]:
    x = _dense(a)
    sine, cosine = ([value] for value in _sincos_of(x[0]))
    present = [(k, k * term) for k, term in enumerate(x) if term and k]
    for n in range(1, len(x)):
        sine.append(_sum(y * cosine[n - k] for k, y in present if k <= n) / n)
        cosine.append(-_sum(y * sine[n - k] for k, y in present if k <= n) / n)
    return _stripped(Fraction(0), sine), _stripped(Fraction(0), cosine)


def _sincos_of(x: Decimal) -> tuple[Decimal, Decimal]:
    if abs(x) > _FAR:
        raise NoExpansionError
    x = x - 2 * _PI * (x / (2 * _PI)).to_integral_value()
    sums, term, n = [_ZERO, _ZERO], _ONE, 0
    while abs(term) > _LAST:
        sums[n % 2] += -term if n % 4 >= 2 else term
        n += 1
        term *= x / n
    cosine, sine = (_ZERO if abs(value) < _NEGLIGIBLE else value for value in sums)
    return sine, cosine


def _atan(a: Expansion) -> Expansion:
    slope = _power(_add(_multiply(a, a), _constant(_ONE)), Fraction(-1))
    x = _dense(a)
    return _stripped(Fraction(0), _integrated(_atan_of(x[0]), _dense(slope), x))


def _atan_of(x: Decimal) -> Decimal:
    """Return atan x by atan x = 2 atan(x/(1 + sqrt(1 + x^2))), three times, and the series."""
    if abs(x) > 1:
        return (_PI / 2).copy_sign(x) - _atan_of(1 / x)
    for _ in range(3):
        x = x / (1 + (1 + x * x).sqrt())
    total, power, n = _ZERO, x, 0
    while abs(power) > _LAST:
        total += power / (2 * n + 1)
        power *= -x * x
        n += 1
    return 8 * total


# Functions of an expansion and the sign of its value.
_PIECES: Final[dict[str, Callable[[Expansion, int], Expansion]]] = {
    "abs": _scaled,
    "sign": lambda _, sign: _constant(Decimal(sign)),
    "step": lambda _, sign: _constant(Decimal(sign + 1) / 2),
}

_UNARY: Final[dict[str, Callable[[Expansion], Expansion]]] = {
    "negate": lambda a: _scaled(a, -1),
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": lambda a: _log(_add(a, _constant(_ONE))),
    "sqrt": lambda a: _power(a, Fraction(1, 2)),
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "erf": _erf,
    "normal_cdf": _normal_cdf,
    "sin": lambda a: _sine_and_cosine(a)[0],
    "cos": lambda a: _sine_and_cosine(a)[1],
    "atan": _atan,
}

_BINARY: Final[dict[str, Callable[[Expansion, Expansion], Expansion]]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
}
