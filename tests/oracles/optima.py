"""Largest margins, interpolants of diagonal networks and entropy numbers, by their definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog, minimize

Floats = NDArray[np.float64]


def max_margin(x: Floats, y: Floats) -> Floats | None:
    """Return w_hat = argmin |w|^2 subject to y_i w.x_i >= 1; None if no w separates.

    Every support is tried: w is a combination of at most d support vectors, on which y_i w.x_i = 1;
    among the feasible w the shortest is the minimum. The search is exhaustive, for a dozen points.
    """
    z = x * y[:, None]
    m, d = z.shape
    best, least = None, math.inf
    for size in range(1, min(m, d) + 1):
        for support in itertools.combinations(range(m), size):
            rows = z[list(support)]
            w, *_ = np.linalg.lstsq(rows, np.ones(size), rcond=None)  # the shortest solution
            if (z @ w >= 1 - 1e-9).all() and w @ w < least:
                best, least = w, float(w @ w)
    return best


def separable(x: Floats, y: Floats) -> bool:
    """Return whether some w has y_i w.x_i >= 1 for all i, by a linear program."""
    z = x * y[:, None]
    free = [(None, None)] * z.shape[1]
    found = linprog(np.zeros(z.shape[1]), A_ub=-z, b_ub=-np.ones(len(z)), bounds=free)
    return bool(found.status == 0)


def diagonal(x: Floats, y: Floats, alpha: float, theta0: Floats) -> Floats:
    """Return argmin Q(beta) subject to X beta = y, over the null space of X.

    Q = sum_i w_i q(beta_i/w_i), q(z) = 2 - sqrt(4 + z^2) + z asinh(z/2), w = alpha^2 theta_0^2;
    its gradient is asinh(beta/(2 w)) and its Hessian 1/sqrt(beta^2 + 4 w^2): Woodworth et al.
    (2020). Newton's method with halved steps.
    """
    w = alpha**2 * theta0**2
    basis = null_space(x)
    start, *_ = np.linalg.lstsq(x, y, rcond=None)

    def value(beta: Floats) -> float:
        ratio = beta / w
        fall = ratio**2 / (2 + np.hypot(2, ratio))  # hypot(2, ratio) - 2, without cancellation
        return float((w * (ratio * np.arcsinh(ratio / 2) - fall)).sum())

    beta = start
    for _ in range(200):
        slope = basis.T @ np.arcsinh(beta / (2 * w))
        if np.abs(slope).max(initial=0.0) < 1e-13 * np.arcsinh(np.abs(beta) / (2 * w)).max():
            break
        curvature = basis.T @ ((1 / np.hypot(beta, 2 * w))[:, None] * basis)
        move = -basis @ np.linalg.solve(curvature, slope)
        size = 1.0
        while value(beta + size * move) > value(beta) + 1e-14 * abs(value(beta)) and size > 1e-12:
            size /= 2
        beta = beta + size * move
    return beta


def least_l1(x: Floats, y: Floats) -> float:
    """Return the least |beta|_1 with X beta = y, by linear programming."""
    d = x.shape[1]
    found = linprog(np.ones(2 * d), A_eq=np.hstack([x, -x]), b_eq=y, bounds=[(0, None)] * (2 * d))
    return float(found.fun)


def least_weighted(x: Floats, y: Floats, theta0: Floats) -> Floats:
    """Return argmin sum beta_i^2/theta_0i^2 subject to X beta = y, by its normal equations."""
    w = theta0**2
    return w * (x.T @ np.linalg.solve((x * w) @ x.T, y))


def box_entropy(sides: Sequence[float], n: int) -> Fraction:
    """Return the least radius of 2^n sup-norm balls that cover prod [-b_j, b_j].

    It is the least eps with prod ceil(b_j/eps) <= 2^n. The product decreases only at the eps =
    b_j/k, with k <= 2^n.
    """
    exact = [Fraction(b) for b in sides]
    fits = (
        side / k
        for side in exact
        for k in range(1, 2**n + 1)
        if math.prod(math.ceil(b / (side / k)) for b in exact) <= 2**n
    )
    return min(fits)


def ellipsoid_lower(axes: Sequence[float], n: int) -> float:
    """Return sup_k 2^(-n/k) (b_1 ... b_k)^(1/k) for axes in descending order, by volumes."""
    ordered = sorted(axes, reverse=True)
    return max(
        math.exp((math.fsum(math.log(b) for b in ordered[:k]) - n * math.log(2)) / k)
        for k in range(1, len(ordered) + 1)
    )


def descend(f, start: Floats) -> Floats:  # type: ignore[no-untyped-def]
    """Return a minimum by BFGS, to check the others."""
    return minimize(f, start, method="BFGS", options={"gtol": 1e-12}).x
