"""Phase diagrams of random networks: ordered, chaotic, and the edge of chaos between them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._activations.smoothness import slopes
from nnth._criticality.points import critical_points, variance_map
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import SYMBOLS, HeatMap, Lines
from nnth._tables.table import Meta, Table

MAX_GRID_POINTS: Final = 10_000_000

_CHI_TOLERANCE: Final = 1e-12  # a chi that differs from 1 by less counts as 1
_K_ZERO_LABEL: Final = "$K^\\star = 0$"
_MAX_LOG_CHI: Final = 700.0
_CURVE_POINTS: Final = 2000


@serial_blas
def phase(
    act: str = "tanh",
    *,
    cw: ArrayLike,
    cb: ArrayLike,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return every fixed point of the variance on a grid of weight and bias variances.

    At a fixed point K*, for z ~ N(0, K*)::

        K* = C_b + C_w E[s(z)^2],
        chi_par = (C_w/2) E[(s^2)''(z)],    chi_perp = C_w E[s'(z)^2].

    Variances near K* tend to it when `|chi_par|` < 1. Nearby inputs approach each other when
    chi_perp < 1 (ordered), and separate when chi_perp > 1 (chaotic). The correlation of two inputs
    tends to c*, and `|c - c*|` falls by the factor chi_c in each layer, where z_a and z_b have
    variance K* and correlation c*::

        c* = (C_b + C_w E[s(z_a) s(z_b)])/K*,    chi_c = C_w E[s'(z_a) s'(z_b)].

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z.
        cw: Weight variances `(n,)`, finite and at least 0.
        cb: Bias variances `(k,)`, finite and at least 0. All n k pairs are computed, at most 10^7.
        threads: Number of threads, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total) with numbers of weight variances.

    Returns:
        A Table with one row for each fixed point, in ascending order within a pair, or one row for
        a pair without any. Columns: cw, cb, k_star, chi_par and chi_perp; xi_q =
        `-1/log |chi_par|` and xi_c = -1/log chi_c, the numbers of layers over which a perturbation
        of the variance (negative where it grows) and of the correlation falls by e; phase
        ("ordered", "critical" or "chaotic", by chi_perp, or "no fixed point"); stability ("stable",
        "unstable", "marginal" where `|chi_par|` = 1, "neutral" where every K is fixed and k_star is
        NaN); residual, of the equation for K*, relative to K*; error, the estimated relative error
        of k_star; c_star and chi_c; c_error, the estimated absolute error of c_star. Where chi_perp
        <= 1, c_star is 1 and chi_c is chi_perp. Where chi_perp > 1 there is exactly one stable c*,
        in [0, 1), as the correlation after a layer is a power series in the one before it with
        coefficients >= 0. At K* = 0 with chi_perp > 1, and for linear activations, every
        correlation stays as it is, and c_star is NaN.

    Raises:
        ValueError: The activation is unknown, or a variance is out of range.

    Range: 0 and variances up to 1e8, or to k_most of the row where E[s^2] overflows earlier or the
    activation oscillates too fast. No fixed point there is missed: the turning points of the map
    are found first, and between two of them it has at most one.

    Accuracy: 1e-12, less where chi_par is near 1, as `error` states; c* to 1e-13/(1 - chi_c), as
    `c_error` states. Cost: 50 ms to 1 s for the activation; then 2 us a fixed point, or 10 to 50 us
    and core where E[s^2] has no closed form; and 10 us and core for c*, or 10 ms for c* > 0.98 of
    an activation with kinks.

    Example:
        >>> table = nnth.phase("tanh", cw=[1.0, 2.5], cb=[0.05])
        >>> table["phase"].tolist(), table["c_star"].round(3).tolist()
        (['ordered', 'chaotic'], [1.0, 0.447])

    Source: Poole et al. (2016); Schoenholz et al. (2017).
    """
    chosen = activation(act)
    weights, biases = _axis("cw", cw), _axis("cb", cb)
    if len(weights) * len(biases) > MAX_GRID_POINTS:
        raise ValueError(
            f"cw and cb must make at most {MAX_GRID_POINTS} pairs, not {len(weights) * len(biases)}"
        )
    validated()
    found = variance_map(chosen, threads=threads)
    rows = found.fixed_points(weights, biases, threads, progress)
    every = np.asarray(rows["every"])
    chi_par, chi_perp = rows["chi_par"], rows["chi_perp"]
    c_star, chi_c, c_error = _correlations(chosen, found, rows, every, threads, progress)
    columns: dict[str, Any] = {
        "cw": rows["cw"],
        "cb": rows["cb"],
        "k_star": np.where(every, np.nan, rows["k_star"]),
        "chi_par": chi_par,
        "chi_perp": chi_perp,
        "xi_q": _depth_scale(np.abs(chi_par)),
        "xi_c": _depth_scale(chi_c),
        "phase": _phases(chi_perp),
        "stability": _stabilities(chi_par, every),
        "residual": rows["residual"],
        "error": np.where(every, 0.0, rows["error"]),
        "c_star": c_star,
        "chi_c": chi_c,
        "c_error": c_error,
    }
    parameters = {"act": chosen.name, "k_most": found.most}
    table = Table(columns, Meta("phase", parameters))
    points, _ = critical_points(chosen, found, threads=threads)
    marks = tuple(
        (f"critical, {p.universality.replace('K* = 0', _K_ZERO_LABEL)}", p.cw, p.cb)
        for p in points
        if weights.min() <= p.cw <= weights.max() and biases.min() <= p.cb <= biases.max()
    )
    return table.with_drawing(_picture(table, weights, biases, found, marks))


def _correlations(
    act: Activation,
    found: _core.VarianceMap,
    rows: dict[str, Any],
    every: NDArray[np.bool_],
    threads: int,
    progress: Progress | None,
) -> tuple[Floats, Floats, Floats]:
    """Return c*, chi_c and the error of c*; NaN where no correlation is singled out."""
    c_star, chi_c, error = found.correlations(
        rows["k_star"], rows["error"], rows["cb"], rows["cw"], rows["chi_perp"], threads, progress
    )
    sides = slopes(act.expression) if every.any() else None
    if sides is not None and sides[0] == sides[1]:  # s(z) = a z preserves every correlation
        c_star[every] = chi_c[every] = error[every] = np.nan
    return c_star, chi_c, error


def _axis(name: str, values: ArrayLike) -> Floats:
    axis = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if axis.ndim != 1 or axis.size == 0:
        raise ValueError(f"{name} must be a vector, not an array of shape {axis.shape}")
    wrong = axis[~(np.isfinite(axis) & (axis >= 0.0))]
    if wrong.size:
        raise ValueError(f"{name} must be finite and at least 0, not {wrong[0]:g}")
    return np.unique(axis)


def _depth_scale(chi: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.where(np.abs(chi - 1.0) <= _CHI_TOLERANCE, np.inf, -1.0 / np.log(chi))


def _phases(chi_perp: Floats) -> NDArray[np.str_]:
    return np.select(
        [np.isnan(chi_perp), np.abs(chi_perp - 1.0) <= _CHI_TOLERANCE, chi_perp < 1.0],
        ["no fixed point", "critical", "ordered"],
        "chaotic",
    )


def _stabilities(chi_par: Floats, every: NDArray[np.bool_]) -> NDArray[np.str_]:
    size = np.abs(chi_par)
    return np.select(
        [every, np.isnan(chi_par), np.abs(size - 1.0) <= _CHI_TOLERANCE, size < 1.0],
        ["neutral", "", "marginal", "stable"],
        "unstable",
    )


def _picture(
    table: Table,
    weights: Floats,
    biases: Floats,
    found: _core.VarianceMap,
    marks: tuple[tuple[str, float, float], ...],
) -> HeatMap | Lines:
    """Draw the phase of the least attracting fixed point, and the edges between the phases."""
    tends = ~np.isin(table["stability"], ["unstable", ""])
    if len(weights) == 1 or len(biases) == 1:
        return _cut(table, tends, len(biases) == 1)
    values = np.full((len(biases), len(weights)), np.nan)
    across = np.searchsorted(weights, table["cw"][tends])
    up = np.searchsorted(biases, table["cb"][tends])
    with np.errstate(divide="ignore"):
        size = np.clip(np.log(table["chi_perp"][tends]), -_MAX_LOG_CHI, _MAX_LOG_CHI)
    values[up[::-1], across[::-1]] = size[::-1]  # the smallest comes last and stays visible
    k = np.geomspace(found.least, found.most, _CURVE_POINTS)
    square, derivative_square, curvature = found.exact(k)
    curves = []
    for label, change in (
        ("edge of chaos, $\\chi_\\perp = 1$", derivative_square),
        ("fixed points appear, $\\chi_\\parallel = 1$", curvature),
    ):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = np.where(change > 0.0, 1.0 / change, np.nan)
            y = k - x * square
            # An edge is drawn only where variances tend to the fixed point.
            y[(y < -1e-12 * k) | (x * curvature > 1.0 + 1e-9) | ~np.isfinite(y)] = np.nan
        inside = (x >= weights[0]) & (x <= weights[-1]) & (y <= biases[-1]) & (y >= biases[0])
        if inside.any():
            curves.append((label, x, y))
    return HeatMap(
        x=weights,
        y=biases,
        values=values,
        curves=tuple(curves),
        marks=marks,
        limit=1.0,
        value_label="ordered $< \\log\\,\\chi_\\perp <$ chaotic",
        missing="no stable fixed point",
        x_label=SYMBOLS["cw"],
        y_label=SYMBOLS["cb"],
    )


def _cut(table: Table, tends: NDArray[np.bool_], along_weights: bool) -> Lines:
    """Draw the susceptibilities at the least attracting fixed point against one variance."""
    name = "cw" if along_weights else "cb"
    axis, first = np.unique(table[name][tends], return_index=True)
    chis = (("chi_perp", "$\\chi_\\perp$"), ("chi_par", "$\\chi_\\parallel$"))
    return Lines(
        lines=(
            *((label, axis, table[column][tends][first]) for column, label in chis),
            ("critical", np.unique(table[name]), np.ones(len(np.unique(table[name])))),
        ),
        x_label=SYMBOLS[name],
        y_label="susceptibility $\\chi$ at $K^\\star$",
    )
