"""Symmetric laws of the entries of W-hat, known by their even moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Final

ORDERS: Final = range(2, 17, 2)  # of the moments of a law known by name


@dataclass(frozen=True)
class WeightLaw:
    """A symmetric law of variance one: a name and the moments mu2, mu4, ..., exactly.

    `moments`: of order 2, 4, ..., as many as are known.
    """

    name: str
    moments: tuple[Fraction, ...]

    @property
    def order(self) -> int:
        """The highest order whose moment is known."""
        return 2 * len(self.moments)

    @property
    def kurtosis(self) -> Fraction:
        """The excess kurtosis mu4 - 3, the fourth cumulant. Raises ValueError without mu4."""
        return self.moment(4) - 3

    @property
    def is_gaussian(self) -> bool:
        """Whether this is the Gaussian, and not another law with the same first moments."""
        return self.name == "gaussian"

    def moment(self, order: int) -> Fraction:
        """Return E w^order for an even order >= 0. Raises ValueError where it is not known."""
        if order > self.order:
            raise ValueError(
                f"mu must give its moments up to order {order}, and {self.name} lacks "
                f"mu{self.order + 2}"
            )
        return self.moments[order // 2 - 1] if order else Fraction(1)

    def doubles(self, order: int) -> list[tuple[float, float]]:
        """Return E w^0, E w^2, ..., E w^order, each as a double and the rest of it.

        Raises ValueError where they are not known, or leave the range of doubles.
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

LAWS: Final = tuple(_NAMED)


def weight_law(mu: str | Sequence[float | Fraction] | WeightLaw) -> WeightLaw:
    """Return a symmetric law of variance one by its name, or by its even moments.

    mu: "gaussian" N(0, 1); "rademacher" +-1 with equal chances; "uniform" on [-sqrt 3, sqrt 3];
        "laplace" with density exp(-sqrt 2 |w|)/sqrt 2; or the moments of order 2, 4, 6, ..., eight
        at most, as numbers or as text: "1,3,15,105", "1,1.8,27/7". A number counts as what it is,
        a decimal or a fraction in text as what is written. A WeightLaw is returned as it is.

    Raises ValueError for another name, mu2 other than 1, and numbers that are no law's moments:
    mu4 < 1, or any with which a Hankel matrix of the moments has a negative minor (Stieltjes).
    """
    if isinstance(mu, WeightLaw):
        return mu
    if isinstance(mu, str):
        name = mu.strip().lower()
        if name in _NAMED:
            return WeightLaw(name, tuple(_NAMED[name](order // 2) for order in ORDERS))
        values = [_number(part, mu) for part in mu.split(",")]
    else:
        values = [_number(part, "moments") for part in mu]
    _require_law(values)
    return WeightLaw(",".join(map(_shown, values)), tuple(values))


def _number(part: str | float | Fraction, whole: str) -> Fraction:
    try:
        text = part.strip() if isinstance(part, str) else part
        if isinstance(text, str) and len(text) > 400:
            raise ValueError
        return Fraction(text)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(
            f"mu must be one of {', '.join(LAWS)} or moments such as 1,3,15,105, not "
            f"{str(part)[:40]!r}" + (f" in {whole[:40]!r}" if part != whole else "")
        ) from None


def _shown(value: Fraction) -> str:
    return str(value) if value.denominator < 10**6 else repr(float(value))


def _require_law(values: Sequence[Fraction]) -> None:
    if not 1 <= len(values) <= len(ORDERS):
        raise ValueError(f"mu must be from 1 to {len(ORDERS)} moments, not {len(values)}")
    if values[0] != 1:
        raise ValueError(f"mu2 must be 1, the variance of the weights, not {_shown(values[0])}")
    if len(values) > 1 and values[1] < 1:
        raise ValueError(f"mu4 must be at least 1 = mu2^2, not {_shown(values[1])}")
    # m_a = E (w^2)^a are moments of a law on [0, inf) if and only if the pivots of (m_(i+j)) and
    # (m_(i+j+1)), taken in turn, are positive; or positive up to one that is 0, and 0 from there.
    m = [Fraction(1), *values]
    finite = False  # whether w^2 is known to have finitely many values, which fix what follows
    pivots = [_pivots(m, 0), _pivots(m, 1)]
    for a in range(1, len(m)):
        pivot = pivots[a % 2][a // 2]
        if pivot < 0 or (finite and pivot != 0):
            before = ", ".join(f"mu{2 * i} = {_shown(v)}" for i, v in enumerate(m[1:a], 1))
            raise ValueError(
                f"mu must be moments of a law: none has mu{2 * a} = {_shown(m[a])} after {before}"
            )
        finite = finite or pivot == 0


def _pivots(m: Sequence[Fraction], shift: int) -> list[Fraction]:
    """Return the pivots of elimination in (m_(i+j+shift)); -1 from a 0 that is no zero row."""
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
