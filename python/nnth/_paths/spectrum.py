"""The tangent kernel of several inputs at finite width: its largest eigenvalue, and its entries.

Beside what is measured stand bounds of the eigenvalue, and of the entries the limit of infinite
width; and what lecture notes said of both, marked as what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._networks.ensemble import in_parts
from nnth._paths.moments import ntk_moments, ntk_off_diagonal
from nnth._paths.nets import NetsOfAnyInput, PathNets, path_nets
from nnth._paths.samplers import GramSample, sample_grams
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
POINTS: Final = 10  # inputs drawn, where none are given
INPUT: Final = 10  # their dimension
MAX_INPUTS: Final = 1000
MAX_DRAWN: Final = 10_000  # dimensions of inputs that are drawn
_CURVE: Final = 101  # points of the theory in a picture

_TRACE: Final = (
    "lambda_max <= Tr Theta, whose mean and deviation are at most the sums of Theta_aa's"
)
_WHY: Final = (
    "a deep tangent kernel is no sum of independent matrices, R bounds it only with probability "
    "1 - delta, and C_0 counts L layers of L + 1"
)
_FROZEN_NOTE: Final = (
    "of the kernel of the first layer's weights where the output's are +-1 and frozen: a sum of n "
    "independent matrices, each at most R = 4/(n n0) lambda_max(X X^T)"
)


@serial_blas
def path_spectrum(
    x: Data | None = None,
    *,
    points: int | None = None,
    delta: Sequence[float] = DELTAS,
    threads: int = 0,
    progress: Progress | None = None,
    **nets: Unpack[NetsOfAnyInput],
) -> Table:
    """Return bounds of the largest eigenvalue of the tangent kernel over inputs, and what it is.

    x: `(m, n0)`, m <= 1000, or a data file; no row 0. points: without x, number of inputs that are
    drawn with N(0, 1) entries, by default 10, of n0 dimensions, by default 10. delta: in (0, 1).
    The others as in `nnth.paths`, with n_out = 1.

    Returns a Table, a row a delta and statement: delta; bound (its name), value, which the
    eigenvalue exceeds with probability at most delta where `valid`; `measured`, the quantile
    1 - delta of the sample; `exceeded`, the share of networks above the bound; source, note. The
    bounds: "trace", sum_a E Theta_aa (1 + sqrt(V_a/delta)) by Chebyshev, V_a = Var Theta_aa/
    (E Theta_aa)^2 exactly; "trace, one-sided" with sqrt(V_a (1/delta - 1)) by Cantelli; "lecture",
    the matrix Chernoff bound of the notes, which is not valid. For one layer and Gaussian weights
    two more, of another kernel, that of weights below frozen outputs of +-1, measured as well:
    "frozen, Chernoff" and "frozen, Bernstein".

    Raises ValueError as `nnth.paths`; for linear networks and several outputs.
    Source: Tropp (2012), Theorems 1.1 and 1.4, for the matrix bounds.
    """
    data = _inputs(x, points, nets)
    drawn = _checked({**nets, "n0": data.shape[1]})
    for chance in delta:
        if not 0.0 < chance < 1.0:
            raise ValueError(f"delta must be between 0 and 1, not {chance:g}")
    sample = _grams(drawn, data, threads, progress)
    largest = np.empty(0) if sample is None else np.sort(sample.ntk_largest)
    moments = [ntk_moments(n0=drawn.n0, widths=drawn.widths, mu=drawn.law, x=row) for row in data]
    means = np.array([found.mean for found in moments])
    spreads = np.sqrt([found.relative_variance for found in moments])
    frozen = _frozen(drawn, data)
    rows = []
    for chance in delta:
        quick = (chance, largest)
        chebyshev = float(np.sum(means * (1.0 + spreads / math.sqrt(chance))))
        cantelli = float(np.sum(means * (1.0 + spreads * math.sqrt(1.0 / chance - 1.0))))
        rows.append(_bound(*quick, "trace", chebyshev, True, "Chebyshev", _TRACE))
        rows.append(_bound(*quick, "trace, one-sided", cantelli, True, "Cantelli", _TRACE))
        wrong = _lecture(data, drawn, means, spreads, chance)
        rows.append(_bound(*quick, "lecture", wrong, False, "lecture", f"invalid: {_WHY}"))
        if len(drawn.widths) == 1 and drawn.law.is_gaussian:
            for kind, bound in _frozen_bounds(data, drawn.widths[0], chance):
                source = f"Tropp (2012), Theorem {'1.1' if kind == 'Chernoff' else '1.4'}"
                kernel = (chance, frozen, f"frozen, {kind}")
                rows.append(_bound(*kernel, bound, True, source, _FROZEN_NOTE))
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    # Inputs that are drawn are those of the seed, also where no network is.
    meta = drawn.meta(x=file_of(x), points=len(data))
    if x is None:
        meta = replace(meta, seed=drawn.seed)
    return Table(columns, meta, plot=_picture(largest, rows))


def path_angles(
    rho: ArrayLike,
    *,
    threads: int = 0,
    progress: Progress | None = None,
    **nets: Unpack[NetsOfAnyInput],
) -> Table:
    """Return the tangent kernel of two inputs with |x|^2 = n0 at given cosines, off the diagonal.

    rho: cosines, `(k,)` or one, in [-1, 1]. The others as in `nnth.paths`, n0 >= 2, n_out = 1.

    Returns a Table, a row a cosine: rho; `limit`, Theta_ab/E Theta_aa at infinite width;
    `product`, the notes' formula, false: the cosine times the product over layers of P(both gates
    open)/P(one is); `mean` of the sample at these widths with stderr and z = (mean - limit)/stderr,
    which for one layer and Gaussian weights is standard normal and else shows O(1/n); z_product,
    against the product; note, why z is not normal.

    Raises ValueError as `nnth.paths`. Source: Cho & Saul (2009), Jacot et al. (2018).
    """
    cosines = np.atleast_1d(np.asarray(rho, dtype=np.float64))
    if cosines.ndim != 1 or cosines.size == 0:
        raise ValueError(f"rho must be a vector, not of shape {cosines.shape}")
    for cosine in cosines.tolist():
        if not -1.0 <= cosine <= 1.0:
            raise ValueError(f"rho must be in [-1, 1], not {cosine:g}")
    drawn = _checked(nets)
    if drawn.n0 < 2:
        raise ValueError(f"n0 must be at least 2 for two inputs, not {drawn.n0}")
    depth = len(drawn.widths)
    diagonal = 2.0 * (depth + 1)
    columns: dict[str, list[float]] = {
        name: [] for name in ("rho", "limit", "product", "mean", "stderr", "z", "z_product")
    }
    notes: list[str] = []
    for i, cosine in enumerate(cosines.tolist()):
        theory = ntk_off_diagonal(cosine, depth)
        pair = np.zeros((2, drawn.n0))
        pair[0, 0] = 1.0
        pair[1, :2] = cosine, math.sqrt((1.0 - cosine) * (1.0 + cosine))

        def tell(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, cosines.size * total)

        sample = _grams(drawn, math.sqrt(drawn.n0) * pair, threads, tell)
        mean = stderr = math.nan
        if sample is not None:
            mean = float(sample.ntk_mean[0, 1])
            square = float(sample.ntk_second[0, 1])
            stderr = math.sqrt(max(square - mean**2, 0.0) / max(sample.samples - 1, 1)) / diagonal
            mean /= diagonal
        row = {
            "rho": cosine,
            "limit": theory.limit,
            "product": theory.product + 0.0,  # not -0
            "mean": mean,
            "stderr": stderr,
            "z": float(z_score(mean - theory.limit, stderr)),
            "z_product": float(z_score(mean - theory.product, stderr)),
        }
        for name, value in row.items():
            columns[name].append(value)
        exact = depth == 1 and drawn.law.is_gaussian
        why = joined("" if exact else ASYMPTOTIC, note_on_z(drawn.samples))
        notes.append(why if stderr > 0.0 else "")
    at = np.linspace(cosines.min(), cosines.max(), _CURVE)
    curve = [ntk_off_diagonal(cosine, depth) for cosine in at.tolist()]
    sampled = np.array(columns["mean"]), np.array(columns["stderr"])
    plot = Lines(
        lines=(
            ("infinite width", at, np.array([theory.limit for theory in curve])),
            ("the notes' product, false", at, np.array([theory.product for theory in curve])),
        ),
        points=(("sample", cosines, *sampled),) if drawn.samples else (),
        hollow=(unreliable(notes),),
        x_label=r"cosine $\rho$",
        y_label=r"$\Theta_{ab}/\Theta_{aa}$",
    )
    return Table({**columns, "note": notes}, drawn.meta(), plot=plot)


def _inputs(x: Data | None, points: int | None, nets: NetsOfAnyInput) -> Array:
    """Return the inputs that are given, or drawn, checked."""
    n0 = nets.get("n0")
    if x is None:
        m = check_integer("points", POINTS if points is None else points)
        n0 = check_integer("n0", INPUT if n0 is None else n0)
        if m > MAX_INPUTS:
            raise ValueError(f"points must be at most {MAX_INPUTS}, not {m}")
        if n0 > MAX_DRAWN:
            raise ValueError(f"n0 must be at most {MAX_DRAWN} where inputs are drawn, not {n0}")
        return normals(
            check_integer("seed", nets.get("seed", 0), 0), streams.PATH_INPUTS.first, m * n0
        ).reshape(m, n0)
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


def _checked(nets: NetsOfAnyInput) -> PathNets:
    drawn = path_nets(**nets)
    if drawn.linear:
        raise ValueError("linear must be false: the kernels are those of ReLU networks")
    if drawn.n_out != 1:
        raise ValueError(f"n_out must be 1 for tangent kernels of one output, not {drawn.n_out}")
    return drawn


def _grams(
    nets: PathNets, inputs: Array, threads: int, progress: Progress | None
) -> GramSample | None:
    validated()
    if not nets.samples:
        return None

    def part(start: int, count: int, told: Progress | None) -> GramSample:
        return sample_grams(
            inputs,
            widths=nets.widths,
            mu=nets.mu,
            sampler=nets.sampler,
            samples=count,
            seed=nets.seed,
            start=start,
            threads=threads,
            progress=told,
        )

    return in_parts(part, nets.samples, progress)


def _bound(
    delta: float, largest: Array, name: str, value: float, valid: bool, source: str, note: str
) -> dict[str, Any]:
    there = largest.size > 0
    return {
        "delta": delta,
        "bound": name,
        "value": value,
        "measured": float(np.quantile(largest, 1.0 - delta)) if there else math.nan,
        "exceeded": float(np.mean(largest > value)) if there else math.nan,
        "valid": valid,
        "source": source,
        "note": note,
    }


def _lecture(data: Array, nets: PathNets, means: Array, spreads: Array, delta: float) -> float:
    """Return the notes' (1 + eps) C_0 with m (e^eps/(1 + eps)^(1 + eps))^(C_0/R) = delta.

    C_0 = min(largest row sum, Frobenius norm) of 2 L/n_0 |x_a.x_b| (1 - th_ab/pi), and
    R = sum_a E Theta_aa (1 + sqrt(m V_a/delta)); layers of E Theta_aa as in the notes, L of L + 1.
    """
    depth, m = len(nets.widths), len(data)
    gram = data @ data.T
    norms = np.sqrt(np.diag(gram))
    angles = np.arccos(np.clip(gram / np.outer(norms, norms), -1.0, 1.0))
    k = 2.0 * depth / nets.n0 * np.abs(gram) * (1.0 - angles / np.pi)
    c0 = min(float(k.sum(axis=1).max()), float(np.linalg.norm(k)))
    r = float(np.sum(means * depth / (depth + 1) * (1.0 + np.sqrt(m / delta) * spreads)))
    return _chernoff(c0, r, m, delta)


def _chernoff(mu: float, r: float, m: int, delta: float) -> float:
    """Return (1 + eps) mu with m (e^eps/(1 + eps)^(1 + eps))^(mu/r) = delta."""
    target = r / mu * math.log(m / delta)
    return mu * (1.0 + _root(lambda e: (1.0 + e) * math.log1p(e) - e, target))


def _root(rising: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    while rising(high) < target:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return high


def _frozen_mean(data: Array) -> Array:
    """Return E K of K_ab = 4/(n n0) x_a.x_b sum_j 1[w_j.x_a > 0] 1[w_j.x_b > 0]."""
    gram = data @ data.T
    norms = np.sqrt(np.diag(gram))
    angles = np.arccos(np.clip(gram / np.outer(norms, norms), -1.0, 1.0))
    mean: Array = 4.0 / data.shape[1] * gram * (np.pi - angles) / (2.0 * np.pi)
    return mean


def _frozen_bounds(data: Array, n: int, delta: float) -> list[tuple[str, float]]:
    """Return what the frozen kernel's largest eigenvalue exceeds with probability <= delta.

    Summands A_j = 4/(n n0) D_j X X^T D_j, D_j the gates: 0 <= A_j <= R. Chernoff: P(lambda_max >=
    (1 + eps) mu) <= m (e^eps/(1 + eps)^(1 + eps))^(mu/R), mu = lambda_max(E K). Bernstein:
    P(lambda_max(K - E K) >= t) <= m exp(-t^2/2/(s^2 + R t/3)), s^2 <= R mu as A_j^2 <= R A_j.
    """
    m = len(data)
    r = 4.0 / (n * data.shape[1]) * float(np.linalg.eigvalsh(data @ data.T)[-1])
    mu = float(np.linalg.eigvalsh(_frozen_mean(data))[-1])
    log = math.log(m / delta)
    t = r * log / 3 + math.sqrt((r * log / 3) ** 2 + 2 * r * mu * log)
    return [("Chernoff", _chernoff(mu, r, m, delta)), ("Bernstein", mu + t)]


def _frozen(nets: PathNets, data: Array) -> Array:
    """Return the largest eigenvalues of the frozen kernel in at most 1000 networks, ascending."""
    if len(nets.widths) > 1 or not nets.law.is_gaussian or not nets.samples:
        return np.empty(0)
    n, n0 = nets.widths[0], data.shape[1]
    # Gates depend on W_1 through the plane, line, ... of the inputs alone: coordinates by QR.
    coordinates = np.asarray(np.linalg.qr(data.T, mode="r"), dtype=np.float64).T
    gram = 4.0 / (n * n0) * data @ data.T
    found = []
    for i in range(min(nets.samples, 1000)):
        count = n * coordinates.shape[1]
        w = normals(nets.seed, streams.PATH_FROZEN_WEIGHTS.first + i, count).reshape(
            n, coordinates.shape[1]
        )
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
    named = {"trace": "trace bound", "lecture": "the notes' bound, invalid"}
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
