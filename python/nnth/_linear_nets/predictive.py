"""What deep linear networks that interpolate a data set predict at other points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._data.data import Data, data_of, targets_of
from nnth._data.files import file_of
from nnth._linear_nets.evidence import Interpolant, Posterior, interpolant_of
from nnth._linear_nets.layers import architectures, check_seed, scales_of
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.table import Meta, Table

LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
POINTS: Final = 20  # drawn, where there are no data
INPUT: Final = 50  # their dimension
TESTED: Final = 10  # drawn beside them, to predict at
MAX_DRAWN: Final = 4096  # dimensions: the singular values of more take minutes
_FARTHEST: Final = 350.0  # of v: r^2 stays in the range of numbers
_STEPS: Final = 60
_LOST: Final = 1e-6  # of a logarithm: a density off by more is no density
_SPAN: Final = 1e-13  # of |x|: no more of it is outside the span of the data than rounding makes


class Scale:
    """The law of an error of a prediction over |x_perp| |theta_*|, given the data: of

    r = g sqrt(tau)/|theta_*|, g ~ N(0, 1), with density pi^(-1/2) (1 + r^2)^-(b + 1/2)
    I_(b+1/2)(x (1 + r^2))/I_b(x), b = P/2. In r = unit sinh v it is analytic for |Im v| < pi/2, and
    panels of 16 Gauss-Legendre nodes give its integrals to rounding.
    """

    def __init__(self, posterior: Posterior) -> None:
        self.posterior = posterior
        self.gaussian = not posterior.layers.depth
        self.infinite = posterior.inverse_scale == 0.0  # beyond the range of numbers
        # Densities are ratios of evidences, and as good as these.
        self.lost = not self.gaussian and posterior.error > _LOST
        if self.gaussian or self.infinite or self.lost:
            return
        # The least of the scales, E[1/tau | data]^(-1/2); the tail may be far longer.
        self.unit = 1.0 / math.sqrt(2.0 * posterior.inverse_scale)
        self.nodes, self.weights = _core.gauss_legendre(16)
        self.ends, self.masses = self._table()

    def quantile(self, level: float) -> float:
        """The quantile of r, to 1e-13 of a probability."""
        if self.gaussian:
            tau = self.posterior.tau_mean()
            return NormalDist().inv_cdf(level) * math.sqrt(tau / self.posterior.data.norm2)
        mass = abs(level - 0.5)
        if mass == 0.0:
            return 0.0
        if self.lost:
            return math.nan
        if self.infinite:
            return math.copysign(math.inf, level - 0.5)
        panel = int(np.searchsorted(self.masses, mass, side="right")) - 1
        if panel >= len(self.ends) - 1:
            return math.copysign(math.inf, level - 0.5)
        start, (low, high) = self.ends[panel], self.ends[panel : panel + 2]
        v = 0.5 * (low + high)
        for _ in range(_STEPS):
            apart = float(self.masses[panel]) + self._mass(start, v) - mass
            low, high = (low, v) if apart > 0.0 else (v, high)
            following = v - apart / float(self._density(np.array([v]))[0])
            if not low <= following <= high:
                following = 0.5 * (low + high)
            if abs(following - v) <= 1e-14 * max(1.0, v):
                break
            v = following
        return math.copysign(self.unit * math.sinh(v), level - 0.5)

    def _density(self, v: Floats) -> Floats:
        """The density of v, r = unit sinh v."""
        r = self.unit * np.sinh(v)
        log_unit = 0.5 * math.log(self.posterior.data.norm2) + math.log(self.unit)
        values: Floats = np.exp(log_density_of(self.posterior, r) + log_unit) * np.cosh(v)
        return values

    def _mass(self, low: float, high: float) -> float:
        """The probability between two values of v, at most a panel apart."""
        half = 0.5 * (high - low)
        return half * float(self.weights @ self._density(0.5 * (low + high) + half * self.nodes))

    def _table(self) -> tuple[Floats, Floats]:
        ends, masses = [0.0], [0.0]
        while ends[-1] < _FARTHEST and masses[-1] < 0.5 - 1e-15:
            added = self._mass(ends[-1], ends[-1] + 1.0)
            if added < 1e-17 and masses[-1] > 0.25:
                break  # what is left is rounding
            ends.append(ends[-1] + 1.0)
            masses.append(masses[-1] + added)
        return np.array(ends), np.array(masses)


@serial_blas
def bayes_predictive(
    x: Data | None = None,
    y: Data | None = None,
    x_test: Data | None = None,
    y_test: Data | None = None,
    *,
    points: int | None = None,
    n0: int | None = None,
    widths: Sequence[int] | str | None = None,
    width: int | None = None,
    depth: int | Sequence[int] | None = None,
    sigma2: float | Sequence[float] = 1.0,
    quantiles: Sequence[float] = LEVELS,
    seed: int = 0,
) -> Table:
    """Return what deep linear networks that interpolate a data set predict at new points.

    The prediction at x is theta_*'x + |x_perp| sqrt(tau) g with g ~ N(0, 1), x_perp the part of x
    outside the span of the data and tau the random scale given the data: a scale mixture of
    Gaussians, symmetric about theta_*'x, with density

        p_(P+1)(|theta_*|^2 + ((f - theta_*'x)/|x_perp|)^2)/(|x_perp| p_P(|theta_*|^2)).

    x: `(P, n_0)`, y: `(P,)`, arrays or paths of files. x_test: points `(m, n_0)`; y_test: values
        `(m,)` at which the density is taken, by default the means.
    points, n0: without x, P (by default 20) points of n_0 (50) dimensions, and ten to predict at,
        are drawn with N(0, 1) entries, and the targets of all are theta'x, theta ~ N(0, 1/n_0).
    widths, width, sigma2: as in `nnth.bayes`. depth: one or several, by default 1. quantiles: their
        levels in (0, 1): 0.05 is the column q05. seed: of the data that are drawn.

    Returns a Table, a row a depth, sigma2 and point: depth, sigma2, point (its row, from 0), mean,
    std, perp = |x_perp|, a column q.. a level, kurtosis (excess, 0 for a Gaussian), y (where the
    density is taken), log_density, log_gaussian (that of the Gaussian of this mean and std, which
    the law tends to), note, which says where rounding leaves nothing of the law. A point in the
    span of the data is predicted with certainty: std 0 and no density, as the note says.

    Accuracy: means are as good as the condition of X lets them; std to 1e-12, quantiles to 1e-12
    in probability, log_density to 1e-13 of its largest term. Cost: an integral a point, some 0.1
    ms. Raises ValueError as `nnth.bayes`, and for shapes that do not fit.

    Source: Hanin & Zlokapa (2022), section 3.
    """
    given, drawn = {"x": x, "y": y, "x_test": x_test, "y_test": y_test}, x is None
    if drawn:
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} must come with x")
        sizes = POINTS if points is None else points, INPUT if n0 is None else n0
        x, y, x_test, y_test = _drawn_data(*sizes, seed)
    elif points is not None or n0 is not None:
        raise ValueError(f"{'n0' if points is None else 'points'} must not come with x")
    if x is None or y is None or x_test is None:
        raise ValueError(f"x must come with {'y' if y is None else 'x_test'}")
    data = interpolant_of(x, y)
    tested = data_of(x_test, "x_test")
    if tested.shape[1] != data.n0:
        raise ValueError(f"x_test must have as many columns as x, {data.n0}, not {tested.shape[1]}")
    values = None if y_test is None else _targets(y_test, len(tested))
    networks, shape = architectures(widths, width, depth)
    scales, names = scales_of(sigma2), _names(quantiles)
    validated()
    assert data.theta is not None
    mean = tested @ data.theta
    perp = _outside(tested, data)
    where = mean if values is None else values
    columns: dict[str, list[Any]] = {}
    for layers in networks:
        for scale in scales:
            posterior = Posterior(data, layers, math.log(scale))
            part = _rows(
                posterior, scale, mean, perp, where, dict(zip(names, quantiles, strict=True))
            )
            for name, column in part.items():
                columns.setdefault(name, []).extend(column)
    parameters: dict[str, Any] = {
        **{name: file_of(value) for name, value in given.items()},
        **shape,
        "points": data.p,
        "n0": data.n0,
        "norm2": data.norm2,
    }
    table = Table(columns, Meta("bayes", parameters, seed if drawn else None))
    return table.with_plot(_picture(table, len(tested), names, values is not None))


def _targets(y_test: Data, points: int) -> Floats:
    targets = targets_of(y_test, "y_test")
    if targets.shape != (points, 1):
        raise ValueError(
            f"y_test must be one number for each of {points} points, not of shape {targets.shape}"
        )
    return targets[:, 0]


def _drawn_data(points: int, n0: int, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return inputs and targets, and inputs and targets to test at, of a linear function."""
    if not check_integer("points", points) < check_integer("n0", n0):
        raise ValueError(f"points must be below n0, not {points} and {n0}")
    if n0 > MAX_DRAWN:
        raise ValueError(f"n0 must be at most {MAX_DRAWN} where data are drawn, not {n0}")
    check_seed(seed)
    inputs = normals(seed, 0, (points + TESTED) * n0).reshape(-1, n0)
    theta = normals(seed, 1, n0) / math.sqrt(n0)
    targets = inputs @ theta
    return inputs[:points], targets[:points], inputs[points:], targets[points:]


def _rows(
    posterior: Posterior,
    scale: float,
    mean: Floats,
    perp: Floats,
    where: Floats,
    quantiles: dict[str, float],
) -> dict[str, Any]:
    count, length = len(mean), math.sqrt(posterior.data.norm2)
    std = perp * math.sqrt(posterior.tau_mean())
    law = Scale(posterior)
    spanned = perp == 0.0
    part: dict[str, Any] = {
        "depth": [posterior.layers.depth] * count,
        "sigma2": [scale] * count,
        "point": list(range(count)),
        "mean": mean,
        "std": std,
        "perp": perp,
    }
    for name, level in quantiles.items():
        with np.errstate(invalid="ignore"):  # nothing times what is infinite
            apart = perp * length * law.quantile(level)
        part[name] = mean + np.where(spanned, 0.0, apart)
    part["kurtosis"] = np.where(spanned, np.nan, posterior.kurtosis())
    part["y"] = where
    apart = np.divide(where - mean, perp, out=np.zeros(count), where=~spanned)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_perp = np.log(perp)
        gaussian = -0.5 * ((where - mean) / std) ** 2 - np.log(std) - 0.5 * math.log(2 * math.pi)
        if law.gaussian:
            exact = gaussian
        elif law.lost:
            exact = np.full(count, np.nan)
        else:
            exact = log_density_of(posterior, apart / length) - log_perp
    part["log_density"] = np.where(spanned, np.nan, exact)
    part["log_gaussian"] = np.where(spanned, np.nan, gaussian)
    far = "the scale leaves the range of numbers" if law.infinite else ""
    if law.lost:
        far = f"quantiles and density are lost: log evidence is off by {posterior.error:.1g}"
    part["note"] = ["in the span of the data: certain" if known else far for known in spanned]
    return part


def log_density_of(posterior: Posterior, r: Floats) -> Floats:
    """Return log p_(P+1)(|theta_*|^2 (1 + r^2)) - log p_P(|theta_*|^2)."""
    data = posterior.data
    log_growth = np.log1p(r * r)
    found = posterior.integrals(0.5 * (data.p + 1), posterior.log_x + log_growth)["log_value"]
    log_area = math.log(math.pi * data.norm2) + log_growth
    values: Floats = found - 0.5 * (data.p + 1) * log_area - posterior.log_density
    return values


def _outside(points: Floats, data: Interpolant) -> Floats:
    """Return |x_perp| of each point, 0 where it is no more than rounding."""
    assert data.basis is not None
    rest = points - (points @ data.basis.T) @ data.basis
    rest -= (rest @ data.basis.T) @ data.basis  # again: the first time left rounding of |x|
    perp = np.linalg.norm(rest, axis=1)
    bound = _SPAN * data.condition * np.linalg.norm(points, axis=1)
    return np.where(perp <= bound, 0.0, perp)


def _names(quantiles: Sequence[float]) -> list[str]:
    names = []
    for level in quantiles:
        if not 0.0 < level < 1.0:
            raise ValueError(f"quantiles must be above 0 and below 1, not {level:g}")
        digits = f"{100.0 * level:.10f}".rstrip("0").rstrip(".")
        names.append("q" + digits.replace(".", "_").zfill(2))
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"quantiles must be different numbers, not {tuple(quantiles)}")
    return names


def _picture(table: Table, count: int, names: list[str], given: bool) -> Lines:
    """Return the means with bands, of the first architecture and prior variance alone."""
    x = np.arange(count, dtype=np.float64)
    first = slice(0, count)
    low, high = min(names, key=_percent), max(names, key=_percent)
    bands = ((x, table[low][first], table[high][first]),) if low != high else ()
    points = (("values", x, table["y"][first], None),) if given else ()
    depth, sigma2 = int(table["depth"][0]), float(table["sigma2"][0])
    return Lines(
        lines=((r"mean $\theta_*^T x$", x, table["mean"][first]),),
        points=points,
        bands=bands,
        x_label="point",
        y_label="prediction",
        note=f"depth {depth}, sigma2 {sigma2:g}"
        + (f"; the band is {_percent(low):g} to {_percent(high):g} %" if bands else ""),
    )


def _percent(name: str) -> float:
    """The level of a column of quantiles, in per cent."""
    return float(name[1:].replace("_", "."))
