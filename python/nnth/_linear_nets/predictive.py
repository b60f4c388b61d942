"""Predictions at test points of deep linear networks that interpolate a data set."""

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
# Sizes of random data, if none are given.
POINTS: Final = 20
RANDOM_N0: Final = 50
TEST_POINTS: Final = 10
MAX_RANDOM_N0: Final = 4096  # the singular value decomposition of larger data takes minutes
_LARGEST_V: Final = 350.0  # r^2 stays within the range of doubles
_STEPS: Final = 60
_LARGEST_ERROR: Final = 1e-6  # a density whose logarithm has a larger error is not returned
_SPAN: Final = 1e-13  # a smaller fraction of |x| outside the span of the data is rounding


class ErrorDistribution:
    """The posterior distribution of r, the error of a prediction divided by |x_perp| |theta_*|.

    r = g sqrt(tau)/|theta_*| with g ~ N(0, 1) has the density pi^(-1/2) (1 + r^2)^-(b + 1/2)
    I_(b+1/2)(x (1 + r^2))/I_b(x), b = m/2. In r = unit sinh v it is analytic for |Im v| < pi/2, and
    panels of 16 Gauss-Legendre nodes give its integrals to rounding.
    """

    def __init__(self, posterior: Posterior) -> None:
        self.posterior = posterior
        self.gaussian = not posterior.layers.depth
        self.infinite = posterior.inverse_scale == 0.0  # beyond the range of doubles
        # Densities are ratios of evidences and have the same error.
        self.lost = not self.gaussian and posterior.error > _LARGEST_ERROR
        if self.gaussian or self.infinite or self.lost:
            return
        # The scale E[1/tau | data]^(-1/2); the tail may be far longer.
        self.unit = 1.0 / math.sqrt(2.0 * posterior.inverse_scale)
        self.nodes, self.weights = _core.gauss_legendre(16)
        self.ends, self.masses = self._table()

    def quantile(self, level: float) -> float:
        """Return the quantile of r, to 1e-13 in probability."""
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
        """Return the density of v, r = unit sinh v."""
        r = self.unit * np.sinh(v)
        log_unit = 0.5 * math.log(self.posterior.data.norm2) + math.log(self.unit)
        values: Floats = np.exp(log_density_of(self.posterior, r) + log_unit) * np.cosh(v)
        return values

    def _mass(self, low: float, high: float) -> float:
        """Return the probability between two values of v, at most a panel apart."""
        half = 0.5 * (high - low)
        return half * float(self.weights @ self._density(0.5 * (low + high) + half * self.nodes))

    def _table(self) -> tuple[Floats, Floats]:
        """Return the ends of the panels of v > 0, and the probability from 0 to each."""
        ends, masses = [0.0], [0.0]
        while ends[-1] < _LARGEST_V and masses[-1] < 0.5 - 1e-15:
            added = self._mass(ends[-1], ends[-1] + 1.0)
            if added < 1e-17 and masses[-1] > 0.25:
                break  # the rest is rounding
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
    width: int | None = None,
    depth: int | Sequence[int] | None = None,
    widths: Sequence[int] | str | None = None,
    sigma2: float | Sequence[float] = 1.0,
    quantiles: Sequence[float] = LEVELS,
    seed: int = 0,
) -> Table:
    """Return the posterior predictions at test points of deep linear networks, exactly.

    Given f(x_i) = y_i, the prediction at x is a scale mixture of Gaussians, symmetric about its
    mean, with x_perp the part of x outside the span of the data and tau a random scale::

        f(x) = theta_*'x + |x_perp| sqrt(tau) g,  g ~ N(0, 1)
        p(f) = p_(m+1)(|theta_*|^2 + ((f - theta_*'x)/|x_perp|)^2)/(|x_perp| p_m(|theta_*|^2))

    Here p_k is the prior density of a k-dimensional part of theta at a given squared norm.

    Args:
        x: The inputs `(m, n_0)`, or a data file.
        y: The targets `(m,)`, or a data file.
        x_test: The test points `(k, n_0)`, or a data file.
        y_test: The values `(k,)` at which the density is taken; the means if None.
        points: Without `x`, the number of data points m drawn with N(0, 1) entries; 20 if None. Ten
            test points are drawn too, and all targets are theta'x with theta ~ N(0, 1/n_0).
        n0: Without `x`, the dimension of the points; 50 if None.
        width: The width of all hidden layers; 64 if None.
        depth: One or several numbers of hidden layers, with rows for each; 1 if None.
        widths: The widths of the hidden layers, in place of `width` and `depth`.
        sigma2: One or several prior variances of the weights times their fan-in, with rows for
            each.
        quantiles: The levels of the quantiles, in (0, 1); the column of 0.05 is q05.
        seed: The seed of random data.

    Returns:
        A Table with a row for each depth, sigma2 and test point: depth; sigma2; point, its row,
        from 0; mean; std; perp = `|x_perp|`; a column q.. for each level; kurtosis, the excess
        kurtosis, 0 for a Gaussian; y, where the density is taken; log_density; log_gaussian, that
        of the Gaussian of this mean and std, the limit; note, on rows where rounding leaves no
        correct digits. A point in the span of the data is predicted with certainty: std is 0 and
        there is no density.

    Raises:
        ValueError: As `nnth.bayes`, and if shapes do not fit.

    Accuracy: means have the error of a least-squares problem with the condition of X; std 1e-12,
    quantiles 1e-12 in probability, log_density 1e-13 of its largest term. Cost: one integral of
    0.1 ms per point.

    Example:
        >>> table = nnth.bayes_predictive(points=5, n0=20, width=10, depth=2, quantiles=[0.5])
        >>> table.num_rows, bool(np.all(table["q50"] == table["mean"]))
        (10, True)

    Source: Hanin and Zlokapa (2022), section 3.
    """
    given, is_random = {"x": x, "y": y, "x_test": x_test, "y_test": y_test}, x is None
    if is_random:
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} must come with x")
        sizes = POINTS if points is None else points, RANDOM_N0 if n0 is None else n0
        x, y, x_test, y_test = _random_data(*sizes, seed)
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
    table = Table(columns, Meta("bayes", parameters, seed if is_random else None))
    return table.with_drawing(_picture(table, len(tested), names, values is not None))


def _targets(y_test: Data, points: int) -> Floats:
    targets = targets_of(y_test, "y_test")
    if targets.shape != (points, 1):
        raise ValueError(
            f"y_test must be one number for each of {points} points, not of shape {targets.shape}"
        )
    return targets[:, 0]


def _random_data(points: int, n0: int, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return random training and test data of a linear function: x, y, x_test, y_test."""
    if not check_integer("points", points) < check_integer("n0", n0):
        raise ValueError(f"points must be below n0, not {points} and {n0}")
    if n0 > MAX_RANDOM_N0:
        raise ValueError(f"n0 must be at most {MAX_RANDOM_N0} for random data, not {n0}")
    check_seed(seed)
    inputs = normals(seed, 0, (points + TEST_POINTS) * n0).reshape(-1, n0)
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
    error = ErrorDistribution(posterior)
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
        with np.errstate(invalid="ignore"):  # 0 times infinity
            apart = perp * length * error.quantile(level)
        part[name] = mean + np.where(spanned, 0.0, apart)
    part["kurtosis"] = np.where(spanned, np.nan, posterior.kurtosis())
    part["y"] = where
    apart = np.divide(where - mean, perp, out=np.zeros(count), where=~spanned)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_perp = np.log(perp)
        gaussian = -0.5 * ((where - mean) / std) ** 2 - np.log(std) - 0.5 * math.log(2 * math.pi)
        if error.gaussian:
            exact = gaussian
        elif error.lost:
            exact = np.full(count, np.nan)
        else:
            exact = log_density_of(posterior, apart / length) - log_perp
    part["log_density"] = np.where(spanned, np.nan, exact)
    part["log_gaussian"] = np.where(spanned, np.nan, gaussian)
    far = "the scale exceeds the range of doubles" if error.infinite else ""
    if error.lost:
        far = f"no quantiles and density: the error of log evidence is {posterior.error:.1g}"
    part["note"] = ["in the span of the data: certain" if known else far for known in spanned]
    return part


def log_density_of(posterior: Posterior, r: Floats) -> Floats:
    """Return log p_(m+1)(|theta_*|^2 (1 + r^2)) - log p_m(|theta_*|^2)."""
    data = posterior.data
    log_growth = np.log1p(r * r)
    found = posterior.integrals(0.5 * (data.p + 1), posterior.log_x + log_growth)["log_value"]
    log_area = math.log(math.pi * data.norm2) + log_growth
    values: Floats = found - 0.5 * (data.p + 1) * log_area - posterior.log_density
    return values


def _outside(points: Floats, data: Interpolant) -> Floats:
    """Return |x_perp| of each point, or 0 if it is not more than rounding."""
    assert data.basis is not None
    rest = points - (points @ data.basis.T) @ data.basis
    rest -= (
        rest @ data.basis.T
    ) @ data.basis  # again, to remove the rounding error of the first time
    perp = np.linalg.norm(rest, axis=1)
    bound = _SPAN * data.condition * np.linalg.norm(points, axis=1)
    return np.where(perp <= bound, 0.0, perp)


def _names(quantiles: Sequence[float]) -> list[str]:
    """Return the names of the columns of these levels, such as q05, after checking them."""
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
    """Return the means with bands, for the first architecture and prior variance."""
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
    """Return the level of a column of quantiles, in per cent."""
    return float(name[1:].replace("_", "."))
