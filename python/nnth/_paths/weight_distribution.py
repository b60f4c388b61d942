"""Symmetric distributions of the entries of W-hat, given by their even moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Final

ORDERS: Final = range(2, 17, 2)  # the orders of the moments that a named distribution has


@dataclass(frozen=True)
class WeightDistribution:
    """A symmetric distribution of variance one, given by its even moments.

    Attributes:
        name: The name, as "gaussian", or the moments as text.
        moments: E w^2, E w^4, ... as Fractions, up to the highest order that is known.

    Example:
        >>> nnth.weight_distribution("1,1.8,27/7").moments
        (Fraction(1, 1), Fraction(9, 5), Fraction(27, 7))
    """

    name: str
    moments: tuple[Fraction, ...]

    @property
    def order(self) -> int:
        """The highest order whose moment is known."""
        return 2 * len(self.moments)

    @property
    def kurtosis(self) -> Fraction:
        """The excess kurtosis mu4 - 3. Raises ValueError if mu4 is not known."""
        return self.moment(4) - 3

    @property
    def is_gaussian(self) -> bool:
        """Whether this is the Gaussian, rather than a distribution with the same first moments."""
        return self.name == "gaussian"

    def moment(self, order: int) -> Fraction:
        """Return E w^order for an even order >= 0. Raises ValueError if it is not known."""
        if order > self.order:
            raise ValueError(
                f"mu must give its moments up to order {order}, and {self.name} lacks "
                f"mu{self.order + 2}"
            )
        return self.moments[order // 2 - 1] if order else Fraction(1)

    def doubles(self, order: int) -> list[tuple[float, float]]:
        """Return E w^0, E w^2, ..., E w^order, each as a double and its rounding error.

        Raises ValueError if a moment is not known or exceeds the range of doubles.
        """
        pairs = []
        for known in (self.moment(a) for a in range(0, order + 1, 2)):
            try:
                high = float(known)
            except OverflowError:
                raise ValueError("moments of mu must be at most 1e100") from None
            pairs.append((high, float(known - Fraction(high))))
        return pairs


_NAMED: Final = {
    "gaussian": lambda a: Fraction(factorial(2 * a), 2**a * factorial(a)),
    "rademacher": lambda a: Fraction(1),
    "uniform": lambda a: Fraction(3**a, 2 * a + 1),
    "laplace": lambda a: Fraction(factorial(2 * a), 2**a),
}

NAMES: Final = tuple(_NAMED)


def weight_distribution(
    mu: str | Sequence[float | Fraction] | WeightDistribution,
) -> WeightDistribution:
    """Return a symmetric distribution of variance one, by its name or its even moments.

    Args:
        mu: "gaussian", N(0, 1); "rademacher", +-1 with equal probabilities; "uniform" on
            [-sqrt 3, sqrt 3]; "laplace", of density `exp(-sqrt 2 |w|)/sqrt 2`; or up to eight
            moments of orders 2, 4, 6, ..., as numbers or as text: "1,3,15,105", "1,1.8,27/7".
            Floats are taken at their binary value, decimals and fractions in text as written. A
            WeightDistribution is returned unchanged.

    Returns:
        A WeightDistribution with exact moments.

    Raises:
        ValueError: If the name is not known, if mu2 is not 1, or if no distribution has these
            moments: a Hankel matrix of the moments then has a negative minor (Stieltjes).

    Example:
        >>> nnth.weight_distribution("laplace").moment(4)
        Fraction(6, 1)
    """
    if isinstance(mu, WeightDistribution):
        return mu
    if isinstance(mu, str):
        name = mu.strip().lower()
        if name in _NAMED:
            return WeightDistribution(name, tuple(_NAMED[name](order // 2) for order in ORDERS))
        values = [_number(part, mu) for part in mu.split(",")]
    else:
        values = [_number(part, "moments") for part in mu]
    _check_moments(values)
    return WeightDistribution(",".join(map(_shown, values)), tuple(values))


def _number(part: str | float | Fraction, whole: str) -> Fraction:
    try:
        text = part.strip() if isinstance(part, str) else part
        if isinstance(text, str) and len(text) > 400:
            raise ValueError
        return Fraction(text)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(
            f"mu must be one of {', '.join(NAMES)} or moments such as 1,3,15,105, not "
            f"{str(part)[:40]!r}" + (f" in {whole[:40]!r}" if part != whole else "")
        ) from None


def _shown(value: Fraction) -> str:
    return str(value) if value.denominator < 10**6 else repr(float(value))


def _check_moments(values: Sequence[Fraction]) -> None:
    if not 1 <= len(values) <= len(ORDERS):
        raise ValueError(f"mu must be from 1 to {len(ORDERS)} moments, not {len(values)}")
    if values[0] != 1:
        raise ValueError(f"mu2 must be 1, the variance of the weights, not {_shown(values[0])}")
    if len(values) > 1 and values[1] < 1:
        raise ValueError(f"mu4 must be at least 1 = mu2^2, not {_shown(values[1])}")
    # m_a = E (w^2)^a are moments of a distribution on [0, inf) if and only if the pivots of
    # (m_(i+j)) and (m_(i+j+1)), taken in turn, are all positive, or positive before one that is 0
    # and 0 after it.
    m = [Fraction(1), *values]
    finite = False  # whether w^2 has finitely many values, which determine all further moments
    pivots = [_pivots(m, 0), _pivots(m, 1)]
    for a in range(1, len(m)):
        pivot = pivots[a % 2][a // 2]
        if pivot < 0 or (finite and pivot != 0):
            before = ", ".join(f"mu{2 * i} = {_shown(v)}" for i, v in enumerate(m[1:a], 1))
            raise ValueError(
                f"mu must be moments of a distribution: none has mu{2 * a} = {_shown(m[a])} "
                f"after {before}"
            )
        finite = finite or pivot == 0


def _pivots(m: Sequence[Fraction], shift: int) -> list[Fraction]:
    """Return the pivots of elimination in (m_(i+j+shift)); -1 after a 0 in a nonzero row."""
    size = (len(m) - 1 - shift) // 2 + 1
    rows = [[m[i + j + shift] for j in range(size)] for i in range(size)]
    pivots: list[Fraction] = []
    for i in range(size):
        pivot = rows[i][i]
        if pivot == 0 and any(rows[i][i:]):
            pivots.append(pivot)
            return pivots + [Fraction(-1)] * (size - 1 - i)
        pivots.append(pivot)
        for j in range(i + 1, size):
            factor = rows[j][i] / pivot if pivot else Fraction(0)
            rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    return pivots
