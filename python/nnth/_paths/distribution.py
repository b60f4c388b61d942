"""The distribution of (dz_q/dx_p)^2 in random ReLU networks, its log-normal limits, and a sample.

For Gaussian weights (dz_q/dx_p)^2 = (2/n_0) chi^2_1 P with P = prod_l (2/n_l) chi^2_(B_l), which
tends to exp N(-b/2, b), b = 5 sum 1/n_l + 2 k4/n_1 (Hanin and Nica 2018). The factor chi^2_1 of the
output remains in the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._paths.ensemble import PathEnsemble, path_ensemble
from nnth._paths.log_moments import (
    CHI2_LOG_MEAN,
    CHI2_LOG_VARIANCE,
    path_log_cdf,
    path_log_moments,
)
from nnth._paths.moments import Weights
from nnth._paths.paths import draw
from nnth._paths.samplers import PathSample, Sampler
from nnth._runtime.typing import Progress
from nnth._tables.plot import Lines, histogram
from nnth._tables.table import Table

Array = NDArray[np.float64]

KEPT: Final = 1_000_000  # the largest number of networks whose values are compared
LEVELS: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

_POINTS: Final = 4000
_NODES: Final = 161
_NOTES: Final = {
    "sample": "",
    "exact": "(2/n0) chi^2_1 prod (2/n_l) chi^2_(B_l)",
    "lognormal-chi2": "(2/n0) chi^2_1 exp N(-b/2, b)",
    "lognormal": "exp N(-b/2, b) of lecture notes, without 2/n0 and the chi^2_1 of the output",
}


@dataclass(frozen=True, eq=False)
class LogDistribution:
    """A distribution of log (dz_q/dx_p)^2, given that it is finite: moments and cdf on a grid."""

    name: str
    log_mean: float
    log_var: float
    v: Array
    cdf: Array

    def at(self, values: Array) -> Array:
        """Return the cdf at some values, to 1e-5."""
        return np.interp(values, self.v, self.cdf)

    def quantiles(self) -> Array:
        """Return the quantiles of (dz_q/dx_p)^2 itself at the levels LEVELS."""
        rising = np.concatenate(([True], np.diff(self.cdf) > 0.0))
        return np.exp(np.interp(LEVELS, self.cdf[rising], self.v[rising]))


def path_distribution(
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    mu: Weights = "gaussian",
    sampler: Sampler | None = None,
    n0: int = 2,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the distribution of (dz_q/dx_p)^2 with log-normal ones and a sample.

    For Gaussian weights, with B_l ~ Bin(n_l, 1/2) and b = 5 sum_l 1/n_l (+ 2 k4/n_1 for others)::

        (dz/dx)^2 = (2/n_0) chi^2_1 prod_l (2/n_l) chi^2_(B_l) -> (2/n_0) chi^2_1 exp N(-b/2, b)

    Args:
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 10 if None.
        widths: The widths of the hidden layers, in place of `width` and `depth`.
        mu: The distribution of the weights, as in `nnth.paths`.
        sampler: "law" or "dense", as in `nnth.paths`.
        n0: The input dimension.
        samples: The number of random networks, as in `nnth.paths`; at most the first 10^6 are
            compared with the distributions.
        seed: Network s is a function of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the networks drawn and their number, a few times per second.

    Returns:
        A Table with a row for each distribution: `distribution`, its name: "sample"; "exact", for
        Gaussian weights; "lognormal-chi2", (2/n_0) chi^2_1 exp N(-b/2, b); "lognormal",
        exp N(-b/2, b); `ks`, the Kolmogorov-Smirnov distance of the sample from it, and `ks_95`,
        which a sample of the true distribution exceeds with probability 1/20 (1.358/sqrt(samples));
        `distance`, the largest difference from the exact cdf; log_mean and log_var; the quantiles
        q01 to q99 of (dz/dx)^2; `dead`, the probability of 0; `note`. All columns but `dead` are
        conditional on no dead layer.

    Raises:
        ValueError: As `nnth.paths`.

    Accuracy: 1e-5 for ks and distance, a relative 1e-3 for quantiles. Cost: that of the sample.

    Example:
        >>> table = nnth.path_distribution(width=50, depth=10, samples=0)
        >>> table["distribution"].tolist(), table["log_var"].round(2).tolist()
        (['exact', 'lognormal-chi2', 'lognormal'], [6.02, 5.93, 1.0])

    Source: Hanin and Nica (2018).
    """
    networks = path_ensemble(
        width=width,
        depth=depth,
        widths=widths,
        mu=mu,
        sampler=sampler,
        n0=n0,
        samples=samples,
        seed=seed,
    )
    sample = draw(networks, {"dzdx": (2,)}, keep=KEPT, threads=threads, progress=progress)
    return distribution_table(networks, sample)


def distribution_table(networks: PathEnsemble, sample: PathSample | None) -> Table:
    """Return the Table of `path_distribution`, given a sample with kept values of dzdx."""
    distributions = distributions_of(networks)
    exact = next((d for d in distributions if d.name == "exact"), None)
    values = _log_squares(sample)
    dead = path_log_moments(n0=networks.n0, widths=networks.widths).dead
    rows: list[dict[str, Any]] = []
    if sample is not None:
        seen = sample["dzdx"]
        levels = (
            np.exp(np.quantile(values, LEVELS)) if values.size else np.full(len(LEVELS), np.nan)
        )
        rows.append(
            _row("sample", math.nan, math.nan, 2 * seen.log_mean, 4 * seen.log_variance, levels)
            | {"dead": seen.dead / seen.count}
        )
    for d in distributions:
        distance = math.nan if exact is None else float(np.max(np.abs(exact.cdf - d.at(exact.v))))
        ks = ks_distance(values, d.at)
        rows.append(
            _row(d.name, ks, distance, d.log_mean, d.log_var, d.quantiles())
            | {"dead": dead if d.name == "exact" else 0.0}
        )
    for row in rows:
        tested = values.size and row["distribution"] != "sample"
        row["ks_95"] = 1.358 / math.sqrt(values.size) if tested else math.nan
        row["note"] = _NOTES[row["distribution"]]
    order = ("distribution", "ks", "ks_95", "distance", "log_mean", "log_var")
    quantiles = [f"q{round(100 * level):02}" for level in LEVELS]
    names = (*order, *quantiles, "dead", "note")
    columns = {name: [row[name] for row in rows] for name in names}
    return Table(columns, networks.meta(), plot=partial(distribution_picture, networks, sample))


def ks_distance(values: Array, cdf: Callable[[Array], Array]) -> float:
    """Return the Kolmogorov-Smirnov distance of an ascending sample from a cdf; NaN if empty."""
    n = values.size
    if n == 0:
        return math.nan
    at, steps = cdf(values), np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - at), np.max(at - steps[:-1])))


def distributions_of(networks: PathEnsemble) -> list[LogDistribution]:
    """Return the distributions of log (dz_q/dx_p)^2. Raises ValueError for linear networks."""
    if networks.linear:
        raise ValueError("linear must be false: the distributions are those of ReLU networks")
    sizes: Any = {"n0": networks.n0, "widths": networks.widths}
    found = path_log_moments(mu=networks.weights, **sizes)
    b, shift = found.lognormal_variance, math.log(found.scale) - found.lognormal_variance / 2
    mean, variance = shift + CHI2_LOG_MEAN, b + CHI2_LOG_VARIANCE
    distributions = []
    if found.log_mean is not None and found.log_variance is not None:
        v = _grid(found.log_mean, found.log_variance)
        cdf = np.maximum.accumulate(path_log_cdf(v, **sizes))
        distributions.append(LogDistribution("exact", found.log_mean, found.log_variance, v, cdf))
    v = _grid(mean, variance)
    cdf = _lognormal_chi2_cdf(v, shift, b)
    distributions.append(LogDistribution("lognormal-chi2", mean, variance, v, cdf))
    normal = NormalDist(-b / 2, math.sqrt(b))
    v = normal.mean + normal.stdev * np.linspace(-8.0, 8.0, _POINTS)
    cdf = np.array([normal.cdf(value) for value in v.tolist()])
    distributions.append(LogDistribution("lognormal", -b / 2, b, v, cdf))
    return distributions


def distribution_picture(networks: PathEnsemble, sample: PathSample | None) -> Lines:
    """Return the histogram of log (dz_q/dx_p)^2 in a sample, if any, with the distributions."""
    distributions, values = distributions_of(networks), _log_squares(sample)
    first = distributions[0]
    low, high = (float(x) for x in np.interp((0.002, 0.9998), first.cdf, first.v))
    note = "networks with derivative 0 are left out"
    bars = None
    if values.size:
        bars = histogram(f"{values.size} networks", values, low, high)
        if sample is not None and sample.samples > KEPT:
            note += f"; the first {KEPT} of {sample.samples} networks are drawn"
    x = np.linspace(low, high, 600)
    labels = {
        "exact": "exact",
        "lognormal-chi2": r"$(2/n_0)\,\chi^2_1\, e^{N(-b/2,\, b)}$",
        "lognormal": r"$e^{N(-b/2,\, b)}$, lecture notes",
    }
    step = 1e-3 * (high - low)
    lines = tuple(
        (labels[d.name], x, (d.at(x + step) - d.at(x - step)) / (2 * step)) for d in distributions
    )
    return Lines(
        bars=bars,
        lines=lines,
        x_label=r"$\log\,(\partial z/\partial x)^2$",
        y_label="density",
        note=note,
    )


def _row(
    name: str,
    ks: float,
    distance: float,
    mean: float,
    variance: float,
    levels: Array,
) -> dict[str, Any]:
    row: dict[str, Any] = {"distribution": name, "ks": ks, "distance": distance}
    row |= {"log_mean": mean, "log_var": variance}
    return row | {f"q{round(100 * p):02}": float(q) for p, q in zip(LEVELS, levels, strict=True)}


def _log_squares(sample: PathSample | None) -> Array:
    """Return log (dz_q/dx_p)^2 of the kept networks in ascending order, without infinite ones."""
    if sample is None:
        return np.empty(0)
    logs = sample["dzdx"].log_values
    return np.sort(2.0 * logs[np.isfinite(logs)])


def _grid(mean: float, variance: float) -> Array:
    """Return a grid for log chi^2_1 plus a normal variable, which has a long lower tail."""
    spread = math.sqrt(max(variance - CHI2_LOG_VARIANCE, 0.0))
    return np.linspace(mean - 26.0 - 8.0 * spread, mean + 6.0 + 8.0 * spread, _POINTS)


def _lognormal_chi2_cdf(v: Array, shift: float, b: float) -> Array:
    """Return P(shift + sqrt(b) G + log chi^2_1 <= v), averaged over G by the trapezoidal rule."""
    from scipy.special import erf

    g = np.linspace(-8.0, 8.0, _NODES)
    weights = np.exp(-(g**2) / 2)
    weights /= weights.sum()
    root = np.exp(np.minimum(v[:, None] - shift - math.sqrt(b) * g, 8.0) / 2) / math.sqrt(2)
    return np.asarray(erf(root) @ weights, dtype=np.float64)
