"""The bounds of the theorem, and its assumptions on activation and data.

z(x) = n^(-1/2) sum_i v_i s(w_i.x), |v_i| <= 1 fixed, |s'|, |s''| <= 1, |x| <= 1, L = |r|^2/(2 m) on
m data points, gradient flow at rate eta, K(0) >= lambda_0. Du et al. (2019), arXiv:1810.02054,
prove it for ReLU; here it is for smooth activations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._activations.activation import Activation
from nnth._runtime.typing import Floats

_GRID_END: Final = 40.0  # beyond, activations are taken as constant or unbounded
_GRID_POINTS: Final = 80_001
_TOLERANCE: Final = 1e-9


def movement_bound(lambda_0: float, m: int, n: int, loss: float) -> float:
    """Return D* = 2 2^(1/2) m L(0)^(1/2)/(lambda_0 n^(1/2)), a bound on the movement of each w_i.

    It holds while K >= lambda_0/2: |w_i'| <= eta (2 L/n)^(1/2), L <= exp(-eta lambda_0 t/m) L(0).
    """
    return 2.0 * math.sqrt(2.0) * m * math.sqrt(loss) / (lambda_0 * math.sqrt(n))


def kernel_bound(movement: float, m: int) -> float:
    """Return 2 m D, a bound on |K - K(0)| when no w_i has moved by more than D."""
    return 2.0 * m * movement


def radius(lambda_0: float, m: int) -> float:
    """Return D = lambda_0/(4 m), within which K stays above lambda_0/2."""
    return lambda_0 / (4.0 * m)


def width_needed(lambda_0: float, m: int, loss: float) -> float:
    """Return 128 m^4 L(0)/lambda_0^4; for wider networks D* < D and K >= lambda_0/2 for all t."""
    return 128.0 * m**4 * loss / lambda_0**4


def bernstein_probability(t: float, m: int, variance: float, largest: float) -> float:
    """Return 2 m exp(-(t^2/2)/(U + B t/3)), at most 1: a bound on P(|Z| >= t).

    Z = sum_j S_j, independent symmetric m x m matrices of mean 0, |S_j| <= B = largest, and U =
    variance = |sum_j E S_j^2|. Tropp (2012), Found. Comput. Math. 12, theorem 1.4.
    """
    if not t > 0.0:
        return 1.0
    return min(1.0, 2.0 * m * math.exp(-0.5 * t * t / (variance + largest * t / 3.0)))


def bernstein_radius(probability: float, m: int, variance: float, largest: float) -> float:
    """Return the t at which the Bernstein bound equals `probability`, in (0, 1)."""
    fold = math.log(2.0 * m / probability)
    third = fold * largest / 3.0
    return third + math.sqrt(third * third + 2.0 * fold * variance)


@dataclass(frozen=True)
class Smoothness:
    """The largest |s|, |s'| and |s''|, inf where they are unbounded."""

    value: float
    derivative: float
    second_derivative: float

    @property
    def why_value(self) -> str:
        """The reason why |s| <= 1 does not hold; empty if it holds."""
        return _above_one("|s|", self.value)

    @property
    def why_derivative(self) -> str:
        """The reason why |s'| <= 1 does not hold; empty if it holds."""
        return _above_one("|s'|", self.derivative)

    @property
    def why_second_derivative(self) -> str:
        """The reason why |s''| <= 1 does not hold; empty if it holds."""
        return _above_one("|s''|", self.second_derivative)


def _above_one(name: str, size: float) -> str:
    if size <= 1.0 + _TOLERANCE:
        return ""
    return f"{name} is not bounded" if math.isinf(size) else f"{name} reaches {size:.4g}, above 1"


def smoothness(act: Activation) -> Smoothness:
    """Return the bounds of an activation, from values on a grid of step 0.001 on [-40, 40].

    Accuracy: about 1e-7 for functions that vary on a scale of 1. Where s jumps s' is unbounded, and
    where s' jumps s'' is.
    """
    z = np.linspace(-_GRID_END, _GRID_END, _GRID_POINTS)
    with np.errstate(all="ignore"):
        found = [np.abs(values) for values in act.core.evaluate(z)]
    value, derivative, second = (
        float(np.max(v)) if np.isfinite(v).all() else math.inf for v in found
    )
    if found[0][-1] > 10.0 or found[0][0] > 10.0:  # it is still growing at an end of the grid
        value = math.inf
    for at in act.core.breaks(_GRID_END):
        values, derivatives, _ = act.core.evaluate(np.array([at - 1e-7, at + 1e-7]))
        if abs(values[1] - values[0]) > 1e-4:
            derivative = second = math.inf
        elif abs(derivatives[1] - derivatives[0]) > 1e-4:
            second = math.inf
    return Smoothness(value, derivative, second)


def parallel_pair(x: Floats) -> tuple[int, int] | None:
    """Return two rows that are parallel or opposite, to 1e-7 in the angle, or None."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = np.abs(unit @ unit.T) - 2.0 * np.eye(len(x))
    i, j = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
    return (int(min(i, j)), int(max(i, j))) if cosines[i, j] > 1.0 - 1e-14 else None
