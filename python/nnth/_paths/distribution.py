"""The law of (dz_q/dx_p)^2 in random ReLU networks, beside log-normal approximations and a sample.

For Gaussian weights (dz_q/dx_p)^2 = (2/n_0) chi^2_1 P with P = prod_l (2/n_l) chi^2_(B_l), which
tends to exp N(-b/2, b), b = 5 sum 1/n_l + 2 k4/n_1 (Hanin & Nica 2018). The chi^2_1 of the output
stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Any, Final, Unpack

import numpy as np
from numpy.typing import NDArray

from nnth._paths.laws import CHI2_LOG_MEAN, CHI2_LOG_VARIANCE, path_laws, path_log_cdf
from nnth._paths.nets import NetsOfAnyInput, PathNets, path_nets
from nnth._paths.paths import draw
from nnth._paths.samplers import PathSample
from nnth._runtime.typing import Progress
from nnth._tables.plot import Lines, histogram
from nnth._tables.table import Table

Array = NDArray[np.float64]

KEPT: Final = 1_000_000  # values of a sample, of more networks the first
LEVELS: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

_POINTS: Final = 4000
_NODES: Final = 161
_NOTES: Final = {
    "sample": "",
    "exact": "(2/n0) chi^2_1 prod (2/n_l) chi^2_(B_l)",
    "lognormal-chi2": "(2/n0) chi^2_1 exp N(-b/2, b)",
    "lognormal": "the notes' exp N(-b/2, b), without 2/n0 and the chi^2_1 of the output",
}


@dataclass(frozen=True, eq=False)
class LogLaw:
    """A law of log (dz_q/dx_p)^2, where it is finite: moments, and its cdf on a grid."""

    name: str
    log_mean: float
    log_var: float
    v: Array
    cdf: Array

    def at(self, values: Array) -> Array:
        """Return the cdf, to 1e-5."""
        return np.interp(values, self.v, self.cdf)

    def quantiles(self) -> Array:
        """Return those of LEVELS, of (dz_q/dx_p)^2 itself."""
        rising = np.concatenate(([True], np.diff(self.cdf) > 0.0))
        return np.exp(np.interp(LEVELS, self.cdf[rising], self.v[rising]))


def path_distribution(
    *, threads: int = 0, progress: Progress | None = None, **nets: Unpack[NetsOfAnyInput]
) -> Table:
    """Return the laws that (dz_q/dx_p)^2 has and is said to have, beside a sample.

    Arguments as in `nnth.paths`, without x, of which (dz_q/dx_p)^2 does not depend.

    Returns a Table, a row a law: law, "sample", "exact" (for Gaussian weights), "lognormal-chi2"
    ((2/n0) chi^2_1 exp N(-b/2, b)) and "lognormal" (exp N(-b/2, b)); `ks`, the Kolmogorov-Smirnov
    distance of the sample from it, and `ks_95`, what that of the true law exceeds once in twenty
    (1.358/sqrt(networks)); `distance` of the law from the exact one; log_mean, log_var; quantiles
    q01 to q99 of (dz_q/dx_p)^2; dead, the chance of 0; note. All but `dead` are given that no layer
    is dead. A sample of more than 10^6 networks is compared by its first 10^6.

    Accuracy: 1e-5 of ks and distance; 1e-3 relative of the quantiles of laws.
    Raises ValueError as `nnth.paths`, and for linear networks.
    """
    drawn = path_nets(**nets)
    sample = draw(drawn, {"dzdx": (2,)}, keep=KEPT, threads=threads, progress=progress)
    return distribution_table(drawn, sample)


def distribution_table(nets: PathNets, sample: PathSample | None) -> Table:
    """Return the Table of `path_distribution` of a sample whose values of dzdx are kept."""
    laws = laws_of(nets)
    exact = next((law for law in laws if law.name == "exact"), None)
    values = _log_squares(sample)
    dead = path_laws(n0=nets.n0, widths=nets.widths).dead
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
    for law in laws:
        far = math.nan if exact is None else float(np.max(np.abs(exact.cdf - law.at(exact.v))))
        rows.append(
            _row(
                law.name,
                ks_distance(values, law.at),
                far,
                law.log_mean,
                law.log_var,
                law.quantiles(),
            )
            | {"dead": dead if law.name == "exact" else 0.0}
        )
    for row in rows:
        tested = values.size and row["law"] != "sample"
        row["ks_95"] = 1.358 / math.sqrt(values.size) if tested else math.nan
        row["note"] = _NOTES[row["law"]]
    order = ("law", "ks", "ks_95", "distance", "log_mean", "log_var")
    quantiles = [f"q{round(100 * level):02}" for level in LEVELS]
    names = (*order, *quantiles, "dead", "note")
    columns = {name: [row[name] for row in rows] for name in names}
    return Table(columns, nets.meta(), plot=partial(distribution_picture, nets, sample))


def ks_distance(values: Array, cdf: Callable[[Array], Array]) -> float:
    """Return the Kolmogorov-Smirnov distance of a sample, ascending, from a law; NaN of none."""
    n = values.size
    if n == 0:
        return math.nan
    at, steps = cdf(values), np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - at), np.max(at - steps[:-1])))


def laws_of(nets: PathNets) -> list[LogLaw]:
    """Return the laws of log (dz_q/dx_p)^2. Raises ValueError for linear networks."""
    if nets.linear:
        raise ValueError("linear must be false: the laws are those of ReLU networks")
    found = path_laws(n0=nets.n0, widths=nets.widths, mu=nets.law)
    b, shift = found.lognormal_variance, math.log(found.scale) - found.lognormal_variance / 2
    mean, variance = shift + CHI2_LOG_MEAN, b + CHI2_LOG_VARIANCE
    laws = []
    if found.log_mean is not None and found.log_variance is not None:
        v = _grid(found.log_mean, found.log_variance)
        cdf = np.maximum.accumulate(path_log_cdf(v, n0=nets.n0, widths=nets.widths))
        laws.append(LogLaw("exact", found.log_mean, found.log_variance, v, cdf))
    v = _grid(mean, variance)
    laws.append(LogLaw("lognormal-chi2", mean, variance, v, _lognormal_chi2_cdf(v, shift, b)))
    normal = NormalDist(-b / 2, math.sqrt(b))
    v = normal.mean + normal.stdev * np.linspace(-8.0, 8.0, _POINTS)
    cdf = np.array([normal.cdf(value) for value in v.tolist()])
    laws.append(LogLaw("lognormal", -b / 2, b, v, cdf))
    return laws


def distribution_picture(nets: PathNets, sample: PathSample | None) -> Lines:
    """Return the histogram of log (dz_q/dx_p)^2 of a sample, if there is one, and the laws."""
    laws, values = laws_of(nets), _log_squares(sample)
    first = laws[0]
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
        "lognormal": r"$e^{N(-b/2,\, b)}$, the notes' law",
    }
    step = 1e-3 * (high - low)
    lines = tuple(
        (labels[law.name], x, (law.at(x + step) - law.at(x - step)) / (2 * step)) for law in laws
    )
    return Lines(
        bars=bars,
        lines=lines,
        x_label=r"$\log\,(\partial z/\partial x)^2$",
        y_label="density",
        note=note,
    )


def _row(
    law: str,
    ks: float,
    distance: float,
    mean: float,
    variance: float,
    levels: Array,
) -> dict[str, Any]:
    row: dict[str, Any] = {"law": law, "ks": ks, "distance": distance}
    row |= {"log_mean": mean, "log_var": variance}
    return row | {f"q{round(100 * p):02}": float(q) for p, q in zip(LEVELS, levels, strict=True)}


def _log_squares(sample: PathSample | None) -> Array:
    """Return log (dz_q/dx_p)^2 of the kept networks that have one, ascending."""
    if sample is None:
        return np.empty(0)
    logs = sample["dzdx"].log_values
    return np.sort(2.0 * logs[np.isfinite(logs)])


def _grid(mean: float, variance: float) -> Array:
    """Return points for a law of log chi^2_1 plus something normal: its lower tail is long."""
    spread = math.sqrt(max(variance - CHI2_LOG_VARIANCE, 0.0))
    return np.linspace(mean - 26.0 - 8.0 * spread, mean + 6.0 + 8.0 * spread, _POINTS)


def _lognormal_chi2_cdf(v: Array, shift: float, b: float) -> Array:
    """Return P(shift + sqrt(b) G + log chi^2_1 <= v), the mean over G by the trapezoidal rule."""
    g = np.linspace(-8.0, 8.0, _NODES)
    weights = np.exp(-(g**2) / 2)
    weights /= weights.sum()
    root = np.exp(np.minimum(v[:, None] - shift - math.sqrt(b) * g, 8.0) / 2) / math.sqrt(2)
    erf = np.asarray(np.frompyfunc(math.erf, 1, 1)(root), dtype=np.float64)
    return np.asarray(erf @ weights, dtype=np.float64)
