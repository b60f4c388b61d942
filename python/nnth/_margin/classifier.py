"""The classifier of largest margin, or a proof that no classifier separates the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.saving import ArrayResult
from nnth._runtime.typing import Floats

EPSILON: Final = float(np.finfo(np.float64).eps)
_MARGIN_ROUNDING: Final = 1e-9  # rounding of a support vector's y_i w.x_i, relative to |z_i| |w|
_MIN_MARGIN: Final = 1e-12  # least margin that is distinguished from 0, over the largest |x_i|
_MAX_SUPPORT_CHANGES: Final = 200
_MAX_ITERATIONS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Classifier(ArrayResult):
    """The classifier of largest margin, argmin `|w|^2` subject to y_i w.x_i >= 1.

    Its dual representation is w = sum_i a_i y_i x_i with a_i >= 0. If no w separates the data, the
    a_i have sum 1 and sum_i a_i y_i x_i = 0, which proves it.

    w: `(n_0,)`, NaN if the data are not separable. duals: a `(m,)`. support: which points have a_i
    > 0, `(m,)`. on_margin: which points have y_i w.x_i = 1, `(m,)`. separable: whether some w
    separates the data. regular: whether all points on the margin are support vectors, which holds
    for almost all data. error: the relative error of w, or that of 0 over the largest `|x_i|` if
    the data are not separable.
    """

    w: Floats
    duals: Floats
    support: NDArray[np.bool_]
    on_margin: NDArray[np.bool_]
    separable: bool
    regular: bool
    error: float

    @property
    def margin(self) -> float:
        """The distance 1/`|w|` of the nearest point from the boundary; NaN if not separable."""
        return 1.0 / float(np.linalg.norm(self.w))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return w, duals, support and on_margin."""
        names = ("w", "duals", "support", "on_margin")
        return {name: getattr(self, name) for name in names}


def classifier(z: Floats) -> Classifier:
    """Return the classifier of largest margin for z_i = y_i x_i `(m, n_0)`.

    Least distance programming by non-negative least squares (Lawson and Hanson 1974, chapter 23):
    with u >= 0 that minimizes |(Z^T u, sum u - 1)| and residual r, w = -r_(1..d)/r_(d+1); and r = 0
    if and only if sum u_i z_i = 0 with sum u_i = 1, the certificate of Gordan (1873). The support
    is taken from u; w and the duals are then computed from linear equations on it, with refinement.
    """
    from scipy.optimize import nnls

    scale = float(np.linalg.norm(z, axis=1).max())
    if scale == 0.0:
        return _inseparable(z, np.full(len(z), 1.0 / len(z)), 1.0)
    unit = z / scale
    system = np.vstack([unit.T, np.ones(len(z))])
    target = np.zeros(z.shape[1] + 1)
    target[-1] = 1.0
    u, residual = nnls(system, target, maxiter=100 * max(z.shape))
    if residual < _MIN_MARGIN:
        return _inseparable(z, u / u.sum(), scale)
    w, duals, error = _on_support(unit, u > 0.0)
    sizes = np.linalg.norm(unit, axis=1) * np.linalg.norm(w)
    on_margin = unit @ w <= 1.0 + _MARGIN_ROUNDING * np.maximum(sizes, 1.0)
    support = duals > 0.0
    regular = bool(np.array_equal(on_margin, support))
    if not regular and (softened := _softest_duals(unit[on_margin], w)) is not None:
        duals = np.zeros(len(z))
        duals[on_margin] = softened
        support, regular = on_margin.copy(), True
    return Classifier(
        w=w / scale,
        duals=duals / scale**2,
        support=support,
        on_margin=on_margin,
        separable=True,
        regular=regular,
        error=error,
    )


def _inseparable(z: Floats, duals: Floats, scale: float) -> Classifier:
    return Classifier(
        w=np.full(z.shape[1], np.nan),
        duals=duals,
        support=duals > 0.0,
        on_margin=np.zeros(len(z), dtype=np.bool_),
        separable=False,
        regular=False,
        error=float(np.linalg.norm(duals @ z)) / scale,
    )


def _on_support(z: Floats, support: NDArray[np.bool_]) -> tuple[Floats, Floats, float]:
    """Return w, duals and the relative error of w, from a support that is right up to rounding."""
    support = support.copy()
    for _ in range(_MAX_SUPPORT_CHANGES):
        w, some, error = _least_norm(z[support])
        duals = np.zeros(len(z))
        duals[support] = some
        if some.min() <= 0.0:
            support[np.flatnonzero(support)[some.argmin()]] = False
            continue
        margins = z @ w
        worst = int(margins.argmin())
        slack = 64.0 * EPSILON * max(1.0, float(np.linalg.norm(z[worst]) * np.linalg.norm(w)))
        if margins[worst] >= 1.0 - slack or support[worst]:
            return w, duals, error
        support[worst] = True
    raise ValueError(
        "x and y must be separable, or not separable, by more than rounding: the margin is about "
        f"{1.0 / float(np.linalg.norm(w)):.1g} of the largest |x_i|"
    )


def _least_norm(rows: Floats) -> tuple[Floats, Floats, float]:
    """Return the least w with rows @ w = 1, its coefficients in the rows, and its last change."""
    from scipy.linalg import qr, solve_triangular

    q, r = qr(rows.T, mode="economic")
    w, duals, change = np.zeros(rows.shape[1]), np.zeros(len(rows)), np.inf
    exact = rows.astype(np.longdouble)
    for _ in range(3):
        missing = (1.0 - exact @ w.astype(np.longdouble)).astype(np.float64)
        step = q @ solve_triangular(r, missing, trans="T")
        w = w + step
        change = float(np.linalg.norm(step) / np.linalg.norm(w))
    for _ in range(3):
        rest = (w - duals.astype(np.longdouble) @ exact).astype(np.float64)
        duals = duals + solve_triangular(r, q.T @ rest)
    return w, duals, max(change, EPSILON)


def _softest_duals(rows: Floats, w: Floats) -> Floats | None:
    """Return the duals a > 0 on the margin to which gradient flow leads, least sum a (log a - 1).

    a_i = exp(-z_i.r), where r minimizes sum exp(-z_i.r) + w.r by Newton's method; None if some dual
    must be 0, so that there is no such r.
    """
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    basis = right[values > values[0] * max(rows.shape) * EPSILON].T
    projected, target = rows @ basis, w @ basis
    r = np.zeros(basis.shape[1])
    for _ in range(_MAX_ITERATIONS):
        a = np.exp(-projected @ r)
        gradient = target - a @ projected
        step = -np.linalg.lstsq(projected.T @ (a[:, None] * projected), gradient, rcond=None)[0]
        derivative, part = float(step @ gradient), 1.0
        while part > 1e-9:
            with np.errstate(over="ignore", invalid="ignore"):
                there = float(step @ (target - np.exp(-projected @ (r + part * step)) @ projected))
            if abs(there) <= (1.0 - 0.1 * part) * abs(derivative):
                break
            part /= 2.0
        r = r + part * step
        a = np.exp(-projected @ r)
        if float(a.min()) < 1e-9 * float(a.max()):
            return None
        if float(np.abs(projected @ step).max()) <= 1e-13:
            return np.asarray(a)
    return None
