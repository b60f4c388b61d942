"""Spectra of given matrices, data or weights, beside the Marchenko-Pastur distribution."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._linear_nets.marchenko_pastur import MarchenkoPastur
from nnth._linear_nets.tracy_widom import tail
from nnth._networks.network import Network
from nnth._networks.network_files import load_network
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.table import Meta, Table

LEVEL: Final = 0.005  # of the test of a spike: some such spikes are found without a signal
_NO_BULK: Final = "no noise is found: more than half of the eigenvalues would be spikes"
_LEAST: Final = 4  # eigenvalues of a matrix to which the distribution can be fitted


@dataclass(frozen=True)
class Fit:
    """The Marchenko-Pastur distribution of a noise variance sigma2, and the spikes above it.

    Attributes:
        values: The eigenvalues `(p,)`, descending.
        n: The larger dimension of the matrix; alpha = p/n is at most 1.
        sigma2: The variance of the noise, NaN where no noise is found.
        spikes: The number of eigenvalues that noise does not explain.
        statistics: The largest eigenvalue without those above it, in the units of the Tracy-Widom
            distribution, `(p,)`; NaN beyond the first that is no spike.
    """

    values: Floats
    n: int
    sigma2: float
    spikes: int
    statistics: Floats

    @property
    def alpha(self) -> float:
        """The ratio of the dimensions."""
        return len(self.values) / self.n

    @property
    def theory(self) -> MarchenkoPastur:
        """The distribution of eigenvalues over sigma2."""
        return MarchenkoPastur(self.alpha)

    @property
    def ks(self) -> float:
        """The Kolmogorov-Smirnov distance of the eigenvalues that are no spikes."""
        bulk = np.sort(self.values[self.spikes :]) / self.sigma2
        at = self.theory.cdf(bulk)
        steps = np.arange(len(bulk) + 1) / len(bulk)
        return float(max(np.max(steps[1:] - at), np.max(at - steps[:-1])))

    def populations(self) -> tuple[Floats, Floats, Floats]:
        """Return for each spike its population eigenvalue, the stderr, and the squared cosine.

        lambda = (sigma2 + l)(1 + alpha sigma2/l) for the population eigenvalue sigma2 + l; the
        cosine is that of the angle between the eigenvectors of sample and population.
        """
        alpha, spikes = self.alpha, self.values[: self.spikes]
        excess = spikes / self.sigma2 - 1.0 - alpha
        l = 0.5 * (excess + np.sqrt(np.maximum(excess**2 - 4.0 * alpha, 0.0)))  # noqa: E741
        inside = np.maximum(1.0 - alpha / l**2, 0.0)
        stderr = (1.0 + l) * math.sqrt(2.0 / self.n) / np.sqrt(np.where(inside > 0.0, inside, 1.0))
        stderr = np.where(inside > 0.0, stderr, np.nan)
        return self.sigma2 * (1.0 + l), self.sigma2 * stderr, inside / (1.0 + alpha / l)


def fitted(values: Floats, n: int) -> Fit:
    """Return the fit to descending eigenvalues of A A'/n, A `(p, n)`, p <= n.

    Spikes are tested one after the other, from the largest eigenvalue on: each must be above the
    0.5 % point of the largest eigenvalue of noise of the p - k dimensions that are left. The noise
    variance is that of the eigenvalues which are left, corrected for what spikes take from them; it
    is NaN, and there are no spikes, where more than half of the eigenvalues would be spikes.

    Source: Kritchman and Nadler (2008); Johnstone (2001); Ma (2012), for the scaling.
    """
    p = len(values)
    statistics = np.full(p, np.nan)
    spikes = 0
    while True:
        sigma2 = _noise(values, n, spikes)
        if spikes > p // 2 or not sigma2 > 0.0:
            return Fit(values, n, math.nan, 0, np.full(p, np.nan))
        statistics[spikes] = _statistic(values[spikes] / sigma2, p - spikes, n)
        if not tail(statistics[spikes]) < LEVEL:
            break
        spikes += 1
    return Fit(values, n, sigma2, spikes, statistics)


def _statistic(value: float, p: int, n: int) -> float:
    """Return a largest eigenvalue in the units of the Tracy-Widom distribution (Ma 2012)."""
    a, b = math.sqrt(n - 0.5), math.sqrt(p - 0.5)
    center, scale = (a + b) ** 2 / n, (a + b) * (1.0 / a + 1.0 / b) ** (1.0 / 3.0) / n
    return float((value - center) / scale)


def _noise(values: Floats, n: int, spikes: int) -> float:
    """Return the noise variance behind some spikes (Kritchman and Nadler 2008, eqs. 15-18)."""
    p = len(values)
    rest = float(values[spikes:].sum())
    sigma2 = rest / (p - spikes)
    for _ in range(30 if spikes else 0):
        half = 0.5 * (values[:spikes] + sigma2 * (1.0 - (p - spikes) / n))
        root = np.maximum(half**2 - values[:spikes] * sigma2, 0.0)
        taken = float(np.sum(values[:spikes] - half - np.sqrt(root)))
        after = (rest + taken) / (p - spikes)
        if abs(after - sigma2) <= 1e-14 * sigma2:
            break
        sigma2 = after
    return sigma2


@serial_blas
def mp_spectra(
    x: Data | None = None,
    *,
    net: Network | str | os.PathLike[str] | None = None,
    keep_mean: bool = False,
    standardize: bool = False,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the eigenvalues of data, or of each weight matrix of a network, beside noise.

    Of a matrix A of p x n independent entries of variance sigma2, alpha = p/n <= 1, the eigenvalues
    of A A'/n have the Marchenko-Pastur distribution. A spike is an eigenvalue above its edge that
    noise does not explain; with a population eigenvalue sigma2 + l it is at ::

        (sigma2 + l)(1 + alpha sigma2/l)   for l > sigma2 sqrt(alpha), else at the edge

    and the squared cosine between the eigenvectors of sample and population is
    (1 - alpha sigma2^2/l^2)/(1 + alpha sigma2/l).

    Args:
        x: A matrix `(m, n_0)`: an array, a file or a named data set. The eigenvalues are those of
            the covariance X'X/(m - 1), or of X'X/m with `keep_mean`; for n_0 above m - 1 of the
            transpose.
        net: A Network, or a file that `nnth.load_network` reads, in place of x.
        keep_mean: Whether to leave the columns of x as they are, not less their means.
        standardize: Whether to divide each column of x by its standard deviation.
        threads: Threads of LAPACK for matrices of 2000 rows and more, 0 for all.
        progress: Called as progress(done, total) with matrices.

    Returns:
        A Table with a row for each matrix and eigenvalue, descending: matrix ("x", or "W1", "W2",
        ...), index, eigenvalue; expected, the quantile of the fitted distribution at the level
        1 - (index - 1/2)/p; p_value, the probability that noise has a larger largest eigenvalue,
        of the spikes and the first eigenvalue after them, else NaN; population, population_stderr
        and cosine2 of spikes, else NaN; alpha, sigma2, upper_edge, spikes and ks, the
        Kolmogorov-Smirnov distance of the other eigenvalues from the distribution, of each matrix;
        note, if more than half of the eigenvalues of a matrix would be spikes: they are then not
        compared with noise.

    Raises:
        ValueError: If the matrix has fewer than 4 eigenvalues, or all its entries are equal.
        MemoryError: If the matrix does not fit in memory.

    Accuracy: p_value is that of normal entries as p and n grow; at p = 10 it is somewhat too large.
    Where the entries of a matrix are not independent, as of trained weights, ks is large, and
    p_value means little.

    Example:
        >>> noise = nnth.normals(1, 0, 200 * 50).reshape(200, 50)
        >>> int(nnth.mp_spectra(noise)["spikes"][0])
        0
        >>> signal = nnth.normals(1, 1, 200)[:, None] * np.eye(50)[0]
        >>> table = nnth.mp_spectra(noise + 2.0 * signal)
        >>> int(table["spikes"][0]), bool(abs(table["population"][0] - 5.0) < 1.5)
        (1, True)

    Source: Marchenko and Pastur (1967); Baik et al. (2005) and Paul (2007) for spikes; Tracy and
    Widom (1996); Kritchman and Nadler (2008) for the fit.
    """
    if (x is None) == (net is None):
        raise ValueError("x or net must be given, and not both")
    if net is None:
        assert x is not None
        matrices = {"x": _prepared(data_of(x, "x"), not keep_mean, standardize)}
    else:
        network = net if isinstance(net, Network) else load_network(net)
        matrices = {f"W{i}": (w, w.shape[0]) for i, w in enumerate(network.weights, 1)}
        matrices = {name: one for name, one in matrices.items() if min(one[0].shape) >= _LEAST}
        if not matrices:
            raise ValueError(f"net must have a matrix of {_LEAST} rows and columns")
    validated()
    fits: dict[str, Fit] = {}
    for i, (name, (matrix, rows)) in enumerate(matrices.items()):
        fits[name] = fitted(*_eigenvalues(name, matrix, rows))
        if progress is not None:
            progress(i + 1, len(matrices))
    parts = [_columns(name, fit) for name, fit in fits.items()]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    parameters: dict[str, Any] = {
        "x": file_of(x),
        "net": file_of(net),
        "keep_mean": keep_mean if net is None else None,
        "standardize": standardize if net is None else None,
    }
    return Table(columns, Meta("mp", parameters), plot=_picture(fits))


def _prepared(data: Floats, center: bool, standardize: bool) -> tuple[Floats, int]:
    """Return the matrix of the data, and the number of its independent rows."""
    if not center and not standardize:
        return data, len(data)
    check_memory(8 * data.size, "x must be smaller: a copy of it")
    matrix = data - data.mean(axis=0) if center else data.copy()
    if standardize:
        size = np.sqrt(np.mean(matrix**2, axis=0))
        if not size.all():
            raise ValueError(f"x must vary in column {int(np.argmin(size)) + 1} to be standardized")
        matrix /= size
    return matrix, len(data) - center


def _eigenvalues(name: str, matrix: Floats, rows: int) -> tuple[Floats, int]:
    """Return the descending eigenvalues and the larger dimension."""
    p, n = sorted((rows, matrix.shape[1]))
    if p < _LEAST:
        raise ValueError(f"{name} must have at least {_LEAST} eigenvalues, not {p}")
    with factoring(p):
        singular = np.linalg.svd(matrix, compute_uv=False)[:p]
    if not singular[0] > 0.0:
        raise ValueError(f"{name} must have entries that differ")
    return singular**2 / n, n


def _columns(name: str, fit: Fit) -> dict[str, Any]:
    p = len(fit.values)
    levels = 1.0 - (np.arange(p) + 0.5) / p
    beyond = np.full(p - fit.spikes, np.nan)
    population, stderr, cosine = (np.concatenate((a, beyond)) for a in fit.populations())
    return {
        "matrix": np.full(p, name),
        "index": np.arange(1, p + 1),
        "eigenvalue": fit.values,
        "expected": fit.sigma2 * fit.theory.quantile(levels),
        "p_value": tail(fit.statistics),
        "population": population,
        "population_stderr": stderr,
        "cosine2": cosine,
        "alpha": np.full(p, fit.alpha),
        "sigma2": np.full(p, fit.sigma2),
        "upper_edge": np.full(p, fit.sigma2 * fit.theory.edges[1]),
        "spikes": np.full(p, fit.spikes),
        "ks": np.full(p, fit.ks),
        "note": np.full(p, "" if fit.sigma2 > 0.0 else _NO_BULK),
    }


def _picture(fits: dict[str, Fit]) -> Panels:
    """Return the eigenvalues by rank beside the quantiles of the fitted distributions."""
    panels = []
    for name, fit in fits.items():
        p = len(fit.values)
        rank = np.arange(1.0, p + 1.0)
        expected = fit.sigma2 * fit.theory.quantile(1.0 - (rank - 0.5) / p)
        panels.append(
            Lines(
                lines=(("Marchenko-Pastur", rank, expected),),
                points=((name, rank, fit.values, None),),
                log_x=True,
                log_y=True,
                x_label="rank $i$",
                y_label=r"eigenvalue $\lambda_i$",
                note=f"{name}: spikes {fit.spikes}, KS distance {fit.ks:.2g}",
            )
        )
    return Panels(panels=tuple(panels))
