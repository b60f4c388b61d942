"""The tangent kernel of several inputs at finite width: its largest eigenvalue, and its entries.

Samples are compared with bounds of the eigenvalue and with the entries at infinite width. Two
formulas of lecture notes, both wrong, are included and marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._networks.ensemble import Ranges
from nnth._paths.ensemble import PathEnsemble, path_ensemble
from nnth._paths.moments import Weights, ntk_moments, ntk_off_diagonal
from nnth._paths.samplers import GramSample, Sampler, sample_grams
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, histogram, unreliable
from nnth._tables.statistics import ASYMPTOTIC, joined, note_on_z, z_score
from nnth._tables.table import Table

Array = NDArray[np.float64]

DELTAS: Final = (0.1, 0.01)
POINTS: Final = 10  # random inputs by default
RANDOM_N0: Final = 10  # the dimension of random inputs by default
MAX_INPUTS: Final = 1000
MAX_RANDOM_N0: Final = 10_000
_CURVE: Final = 101  # points of the theory in a picture

_TRACE: Final = (
    "lambda_max <= Tr Theta, whose mean is the sum of the means of Theta_aa, and whose standard "
    "deviation is at most the sum of theirs"
)
_WHY: Final = (
    "a deep tangent kernel is not a sum of independent matrices, R bounds it only with probability "
    "1 - delta, and C_0 counts L of the L + 1 layers"
)
_FROZEN_NOTE: Final = (
    "for the kernel of the first layer below a frozen output layer of +-1: a sum of n independent "
    "matrices, each at most R = 4/(n n0) lambda_max(X X^T)"
)


@serial_blas
def path_spectrum(
    x: Data | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    mu: Weights = "gaussian",
    sampler: Sampler | None = None,
    points: int | None = None,
    n0: int | None = None,
    delta: Sequence[float] = DELTAS,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return bounds on the largest eigenvalue of the tangent kernel, and a sample of it.

    With probability 1 - delta, for the tangent kernel Theta over the inputs x_a::

        lambda_max(Theta) <= Tr Theta <= sum_a E Theta_aa (1 + sqrt(V_a/delta))
        V_a = Var Theta_aa/(E Theta_aa)^2

    Args:
        x: The inputs `(m, n0)`, m <= 1000, none of them 0, or a data file.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 10 if None.
        widths: The widths of the hidden layers, in place of `width` and `depth`.
        mu: The distribution of the weights, as in `nnth.paths`.
        sampler: "law" or "dense", as in `nnth.paths`.
        points: Without `x`, the number of inputs drawn with N(0, 1) entries; 10 if None.
        n0: Without `x`, the dimension of the inputs; 10 if None.
        delta: The probabilities with which a bound may fail, in (0, 1).
        samples: The number of random networks, as in `nnth.paths`.
        seed: Network s is a function of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the networks drawn and their number, a few times per second.

    Returns:
        A Table with a row for each delta and bound: delta; bound, its name; value, which the
        eigenvalue exceeds with probability at most delta if `valid`; `measured`, the quantile
        1 - delta of the sample; `exceeded`, the fraction of networks above the bound; valid;
        source; note. The bounds: "trace", by Chebyshev, as above with the exact V_a; "trace,
        one-sided", with sqrt(V_a (1/delta - 1)), by Cantelli; "lecture", the matrix Chernoff bound
        of lecture notes, whose proof is not valid. For one layer and Gaussian weights two more,
        "frozen, Chernoff" and "frozen, Bernstein", for the kernel of the first layer below a frozen
        output layer of +-1, which is sampled as well.

    Raises:
        ValueError: If an argument is out of range, or `points` or another `n0` comes with `x`.

    Cost: that of the sample, O(L n m) normals and O(L n m^2) operations per network: minutes for
    1000 networks of 5 layers of 256 neurons at 60 inputs.

    Example:
        >>> table = nnth.path_spectrum(np.eye(3), width=32, depth=2, delta=[0.1], samples=0)
        >>> table["bound"].tolist(), table["value"].round(1).tolist()
        (['trace', 'trace, one-sided', 'lecture'], [14.8, 14.3, 24.5])

    Source: Hanin and Nica (2019); Tropp (2012), theorems 1.1 and 1.4, for the matrix bounds.
    """
    data = _inputs(x, points, n0, seed)
    networks = path_ensemble(
        width=width,
        depth=depth,
        widths=widths,
        mu=mu,
        sampler=sampler,
        n0=data.shape[1],
        samples=samples,
        seed=seed,
    )
    for chance in delta:
        if not 0.0 < chance < 1.0:
            raise ValueError(f"delta must be between 0 and 1, not {chance:g}")
    sample = _grams(networks, data, threads, progress)
    largest = np.empty(0) if sample is None else np.sort(sample.ntk_largest)
    moments = [
        ntk_moments(n0=networks.n0, widths=networks.widths, mu=networks.weights, x=row)
        for row in data
    ]
    means = np.array([found.mean for found in moments])
    spreads = np.sqrt([found.relative_variance for found in moments])
    frozen = _frozen(networks, data)
    rows = []
    for chance in delta:
        quick = (chance, largest)
        chebyshev = float(np.sum(means * (1.0 + spreads / math.sqrt(chance))))
        cantelli = float(np.sum(means * (1.0 + spreads * math.sqrt(1.0 / chance - 1.0))))
        rows.append(_bound(*quick, "trace", chebyshev, True, "Chebyshev", _TRACE))
        rows.append(_bound(*quick, "trace, one-sided", cantelli, True, "Cantelli", _TRACE))
        wrong = _lecture(data, networks, means, spreads, chance)
        rows.append(_bound(*quick, "lecture", wrong, False, "lecture", f"invalid: {_WHY}"))
        if len(networks.widths) == 1 and networks.weights.is_gaussian:
            for kind, bound in _frozen_bounds(data, networks.widths[0], chance):
                source = f"Tropp (2012), Theorem {'1.1' if kind == 'Chernoff' else '1.4'}"
                kernel = (chance, frozen, f"frozen, {kind}")
                rows.append(_bound(*kernel, bound, True, source, _FROZEN_NOTE))
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    # Random inputs depend on the seed even if no network is sampled.
    meta = networks.meta(x=file_of(x), points=len(data))
    if x is None:
        meta = replace(meta, seed=networks.seed)
    return Table(columns, meta, plot=_picture(largest, rows))


def path_angles(
    rho: ArrayLike,
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
    """Return the tangent kernel of two inputs with `|x|^2 = n0` at given cosines of their angle.

    At infinite width, with th the angle of the inputs at a layer and K_0 = Theta_0 = rho::

        K' = (sin th + (pi - th) cos th)/pi,  Theta' = K' + Theta (pi - th)/pi

    Args:
        rho: The cosines, one or `(k,)`, in [-1, 1].
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 10 if None.
        widths: The widths of the hidden layers, in place of `width` and `depth`.
        mu: The distribution of the weights, as in `nnth.paths`.
        sampler: "law" or "dense", as in `nnth.paths`.
        n0: The input dimension, at least 2.
        samples: The number of random networks for each cosine, as in `nnth.paths`.
        seed: Network s is a function of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table with a row for each cosine: rho; `limit`, Theta_ab/E Theta_aa at infinite width;
        `product`, the false formula of lecture notes, rho times the product over layers of
        P(both gates open)/P(one gate open); `mean` of the sample at these widths, stderr, and
        z = (mean - limit)/stderr, which is standard normal for one layer and Gaussian weights and
        else shows terms of order 1/n; z_product, against the product; `note`, why z is not normal.

    Raises:
        ValueError: As `nnth.paths`, and if a cosine is outside [-1, 1].

    Cost: that of the sample, as for `nnth.path_spectrum` with two inputs.

    Example:
        >>> table = nnth.path_angles([0.5, 0.0], width=32, depth=1, samples=0)
        >>> table["limit"].round(4).tolist(), table["product"].round(4).tolist()
        ([0.4712, 0.1592], [0.3333, 0.0])

    Source: Cho and Saul (2009); Jacot et al. (2018).
    """
    cosines = np.atleast_1d(np.asarray(rho, dtype=np.float64))
    if cosines.ndim != 1 or cosines.size == 0:
        raise ValueError(f"rho must be a vector, not of shape {cosines.shape}")
    for cosine in cosines.tolist():
        if not -1.0 <= cosine <= 1.0:
            raise ValueError(f"rho must be in [-1, 1], not {cosine:g}")
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
    if networks.n0 < 2:
        raise ValueError(f"n0 must be at least 2 for two inputs, not {networks.n0}")
    layers = len(networks.widths)
    diagonal = 2.0 * (layers + 1)
    columns: dict[str, list[float]] = {
        name: [] for name in ("rho", "limit", "product", "mean", "stderr", "z", "z_product")
    }
    notes: list[str] = []
    for i, cosine in enumerate(cosines.tolist()):
        theory = ntk_off_diagonal(cosine, layers)
        pair = np.zeros((2, networks.n0))
        pair[0, 0] = 1.0
        pair[1, :2] = cosine, math.sqrt((1.0 - cosine) * (1.0 + cosine))

        def report(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, cosines.size * total)

        sample = _grams(networks, math.sqrt(networks.n0) * pair, threads, report)
        mean = stderr = math.nan
        if sample is not None:
            mean = float(sample.ntk_mean[0, 1])
            square = float(sample.ntk_second[0, 1])
            stderr = math.sqrt(max(square - mean**2, 0.0) / max(sample.samples - 1, 1)) / diagonal
            mean /= diagonal
        row = {
            "rho": cosine,
            "limit": theory.limit,
            "product": theory.product + 0.0,  # turn -0 into 0
            "mean": mean,
            "stderr": stderr,
            "z": float(z_score(mean - theory.limit, stderr)),
            "z_product": float(z_score(mean - theory.product, stderr)),
        }
        for name, value in row.items():
            columns[name].append(value)
        exact = layers == 1 and networks.weights.is_gaussian
        why = joined("" if exact else ASYMPTOTIC, note_on_z(networks.samples))
        notes.append(why if stderr > 0.0 else "")
    at = np.linspace(cosines.min(), cosines.max(), _CURVE)
    curve = [ntk_off_diagonal(cosine, layers) for cosine in at.tolist()]
    sampled = np.array(columns["mean"]), np.array(columns["stderr"])
    plot = Lines(
        lines=(
            ("infinite width", at, np.array([theory.limit for theory in curve])),
            ("product of lecture notes, false", at, np.array([theory.product for theory in curve])),
        ),
        points=(("sample", cosines, *sampled),) if networks.samples else (),
        hollow=(unreliable(notes),),
        x_label=r"cosine $\rho$",
        y_label=r"$\Theta_{ab}/\Theta_{aa}$",
    )
    return Table({**columns, "note": notes}, networks.meta(), plot=plot)


def _inputs(x: Data | None, points: int | None, n0: int | None, seed: int) -> Array:
    """Return the checked inputs, which are random if none are given."""
    if x is None:
        m = check_integer("points", POINTS if points is None else points)
        n0 = check_integer("n0", RANDOM_N0 if n0 is None else n0)
        if m > MAX_INPUTS:
            raise ValueError(f"points must be at most {MAX_INPUTS}, not {m}")
        if n0 > MAX_RANDOM_N0:
            raise ValueError(f"n0 must be at most {MAX_RANDOM_N0} for random inputs, not {n0}")
        return normals(check_integer("seed", seed, 0), streams.PATH_INPUTS.first, m * n0).reshape(
            m, n0
        )
    if points is not None:
        raise ValueError("points must not come with x")
    data = data_of(x, "x")
    if n0 is not None and n0 != data.shape[1]:
        raise ValueError(f"n0 must be that of x, {data.shape[1]}, not {n0}")
    if len(data) > MAX_INPUTS:
        raise ValueError(f"x must have at most {MAX_INPUTS} rows, not {len(data)}")
    for i, row in enumerate(data):
        if not row.any():
            raise ValueError(f"x must not be 0, and row {i} is")
    return data


def _grams(
    networks: PathEnsemble, inputs: Array, threads: int, progress: Progress | None
) -> GramSample | None:
    """Return a sample of the Gram matrices over the inputs, or None without samples."""
    validated()
    if not networks.samples:
        return None
    with Ranges[GramSample](networks.samples, progress) as ranges:
        for first, count in ranges:
            ranges.add(
                sample_grams(
                    inputs,
                    widths=networks.widths,
                    mu=networks.mu,
                    sampler=networks.sampler,
                    samples=count,
                    start=first,
                    seed=networks.seed,
                    threads=threads,
                    progress=ranges.progress,
                )
            )
    return ranges.sample


def _bound(
    delta: float, largest: Array, name: str, value: float, valid: bool, source: str, note: str
) -> dict[str, Any]:
    sampled = largest.size > 0
    return {
        "delta": delta,
        "bound": name,
        "value": value,
        "measured": float(np.quantile(largest, 1.0 - delta)) if sampled else math.nan,
        "exceeded": float(np.mean(largest > value)) if sampled else math.nan,
        "valid": valid,
        "source": source,
        "note": note,
    }


def _lecture(
    data: Array, networks: PathEnsemble, means: Array, spreads: Array, delta: float
) -> float:
    """Return (1 + eps) C_0 with m (e^eps/(1 + eps)^(1 + eps))^(C_0/R) = delta, of lecture notes.

    C_0 = min(largest row sum, Frobenius norm) of 2 L/n_0 |x_a.x_b| (1 - th_ab/pi), and
    R = sum_a E Theta_aa (1 + sqrt(m V_a/delta)), with L instead of L + 1 layers in E Theta_aa.
    """
    depth, m = len(networks.widths), len(data)
    gram = data @ data.T
    norms = np.sqrt(np.diag(gram))
    angles = np.arccos(np.clip(gram / np.outer(norms, norms), -1.0, 1.0))
    k = 2.0 * depth / networks.n0 * np.abs(gram) * (1.0 - angles / np.pi)
    c0 = min(float(k.sum(axis=1).max()), float(np.linalg.norm(k)))
    r = float(np.sum(means * depth / (depth + 1) * (1.0 + np.sqrt(m / delta) * spreads)))
    return _chernoff(c0, r, m, delta)


def _chernoff(mu: float, r: float, m: int, delta: float) -> float:
    """Return (1 + eps) mu with m (e^eps/(1 + eps)^(1 + eps))^(mu/r) = delta."""
    target = r / mu * math.log(m / delta)
    return mu * (1.0 + _root(lambda e: (1.0 + e) * math.log1p(e) - e, target))


def _root(rising: Callable[[float], float], target: float) -> float:
    """Return the argument > 0 at which an increasing function reaches a target, by bisection."""
    low, high = 0.0, 1.0
    while rising(high) < target:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return high


def _frozen_mean(data: Array) -> Array:
    """Return E K for K_ab = 4/(n n0) x_a.x_b sum_j 1[w_j.x_a > 0] 1[w_j.x_b > 0]."""
    gram = data @ data.T
    norms = np.sqrt(np.diag(gram))
    angles = np.arccos(np.clip(gram / np.outer(norms, norms), -1.0, 1.0))
    mean: Array = 4.0 / data.shape[1] * gram * (np.pi - angles) / (2.0 * np.pi)
    return mean


def _frozen_bounds(data: Array, n: int, delta: float) -> list[tuple[str, float]]:
    """Return bounds that the largest eigenvalue of the frozen kernel K exceeds with p <= delta.

    K is a sum of A_j = 4/(n n0) D_j X X^T D_j, D_j the gates, with 0 <= A_j <= R. Chernoff:
    P(lambda_max >= (1 + eps) mu) <= m (e^eps/(1 + eps)^(1 + eps))^(mu/R), mu = lambda_max(E K).
    Bernstein: P(lambda_max(K - E K) >= t) <= m exp(-t^2/2/(s^2 + R t/3)), s^2 <= R mu, because
    A_j^2 <= R A_j.
    """
    m = len(data)
    r = 4.0 / (n * data.shape[1]) * float(np.linalg.eigvalsh(data @ data.T)[-1])
    mu = float(np.linalg.eigvalsh(_frozen_mean(data))[-1])
    log = math.log(m / delta)
    t = r * log / 3 + math.sqrt((r * log / 3) ** 2 + 2 * r * mu * log)
    return [("Chernoff", _chernoff(mu, r, m, delta)), ("Bernstein", mu + t)]


def _frozen(networks: PathEnsemble, data: Array) -> Array:
    """Return the ascending largest eigenvalues of the frozen kernel in at most 1000 networks."""
    if len(networks.widths) > 1 or not networks.weights.is_gaussian or not networks.samples:
        return np.empty(0)
    n, n0 = networks.widths[0], data.shape[1]
    # Gates depend on W_1 only through its projection on the span of the inputs: coordinates by QR.
    coordinates = np.asarray(np.linalg.qr(data.T, mode="r"), dtype=np.float64).T
    gram = 4.0 / (n * n0) * data @ data.T
    found = []
    for i in range(min(networks.samples, 1000)):
        count = n * coordinates.shape[1]
        stream = streams.PATH_FROZEN_WEIGHTS.first + i
        w = normals(networks.seed, stream, count).reshape(n, coordinates.shape[1])
        gates = (w @ coordinates.T > 0.0).astype(np.float64)
        found.append(float(np.linalg.eigvalsh(gram * (gates.T @ gates))[-1]))
    return np.sort(found)


def _picture(largest: Array, rows: Sequence[dict[str, Any]]) -> Lines:
    positive = largest[largest > 0.0]
    bars = None
    if positive.size:
        low, high = float(positive[0]), float(positive[-1])
        bars = histogram(
            f"{largest.size} networks",
            positive,
            low,
            high * 1.000000001,
            log=True,
            count=largest.size,
        )
    delta = rows[0]["delta"]
    named = {"trace": "trace bound", "lecture": "lecture bound, invalid"}
    marks = tuple(
        (f"{named[row['bound']]}, $\\delta = {delta:g}$", row["value"])
        for row in rows
        if row["delta"] == delta and row["bound"] in named
    )
    return Lines(
        bars=bars,
        marks=marks,
        log_x=True,
        x_label=r"largest eigenvalue $\lambda_{\max}(\Theta)$",
        y_label=r"density of $\log\,\lambda_{\max}$",
    )
