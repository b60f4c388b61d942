"""The Bayesian evidence of deep linear networks over depths and prior variances."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from nnth._data.data import Data
from nnth._data.files import file_of
from nnth._linear_nets.evidence import (
    Interpolant,
    Posterior,
    check,
    interpolant_of,
    interpolant_without_data,
)
from nnth._linear_nets.layers import (
    Layers,
    LogProducts,
    architectures,
    check_sample,
    log_products,
    scales_of,
)
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import sample_in_parts, validated
from nnth._tables.plot import Lines, unreliable
from nnth._tables.table import Meta, Table

COLUMNS: Final = (
    "depth",
    "sigma2",
    "nu",
    "lambda_post",
    "log_evidence",
    "log_z",
    "sigma2_star",
    "sigma2_star_asymptotic",
    "perp_norm2",
    "perp_norm2_limit",
    "check",
    "check_stderr",
    "ess",
    "log_evidence_star",
    "perp_norm2_star",
    "best_bound",
    "perp_check",
    "perp_check_stderr",
    "error",
    "note",
)
DEPTHS: Final = (0, 1, 3, 10, 30, 100)
_STREAMS: Final = streams.SAMPLES.count  # random streams for the samples of one row
_FEW: Final = 100.0  # with fewer effective samples a standard error is unreliable


@serial_blas
def bayes(
    x: Data | None = None,
    y: Data | None = None,
    *,
    norm2: float | None = None,
    points: int | None = None,
    n0: int | None = None,
    width: int | None = None,
    depth: int | Sequence[int] | None = None,
    widths: Sequence[int] | str | None = None,
    sigma2: float | Sequence[float] = 1.0,
    samples: int = 1000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the evidence and the posterior of deep linear networks that interpolate a data set.

    f(x) = W_(L+1) ... W_1 x = theta'x, where W_l has independent N(0, sigma2/n_(l-1)) entries,
    given f(x_i) = y_i at m < n_0 points, the rows of X. With theta_* the interpolant of least
    norm::

        p(Y) = (pi |theta_*|^2)^(-m/2) I_(m/2)(x) det(X X')^(-1/2)
        E |theta_perp|^2 = (n_0 - m) (|theta_*|^2/2) I_(m/2-1)(x)/I_(m/2)(x)
        I_b(x) = (1/2 pi i) int Gamma(b + s) x^(-s)
                 prod_l Gamma(n_l/2 + s)/Gamma(n_l/2) (n_l/2)^(-s) ds
        x = |theta_*|^2 n_0/(2 sigma2^(L+1))

    I_b is a Meijer G function, and the formulas are exact at any width.

    Args:
        x: The inputs X `(m, n_0)`, or a data file.
        y: The targets `(m,)`, or a data file.
        norm2: Without `x`, the squared norm of theta_*; X X' then counts as the identity.
        points: Without `x`, the number of data points m.
        n0: Without `x`, the input dimension n_0.
        width: The width of all hidden layers; 64 if None.
        depth: One or several numbers of hidden layers L, with rows for each; 0, 1, 3, 10, 30
            and 100 if None. Depth 0 is the linear model.
        widths: The widths of the hidden layers, as numbers or text such as "64*10", in place of
            `width` and `depth`.
        sigma2: One or several prior variances of the weights times their fan-in, with a row for
            each.
        samples: The number of samples of the importance sampling that checks the evidence, 0 for
            none.
        seed: Sample s of row i is a function of (seed, i, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table with a row for each depth and sigma2: depth, sigma2; nu = `|theta_*|^2 n_0/m`;
        lambda_post = m sum 1/n_l, the effective depth; log_evidence, the log density of Y; log_z =
        log_evidence + m log(2 pi) + log det(X X')/2, the normalization of the source; sigma2_star,
        which maximizes the evidence, and its limit nu^(1/(L+1)), sigma2_star_asymptotic;
        perp_norm2, the posterior mean of `|theta_perp|^2`, and its limit at large m and n at fixed
        ratios, perp_norm2_limit; check, check_stderr and ess, log_evidence by importance sampling,
        its standard error, and the effective sample size; log_evidence_star and perp_norm2_star, at
        sigma2_star; best_bound, which no prior of the norm of theta exceeds and infinite effective
        depth at sigma2 = 1 attains for large m, to first order in m; perp_check, perp_check_stderr;
        error, the error of log_evidence; note.

    Raises:
        ValueError: If m >= n_0, the rows of x are dependent, y = 0, shapes do not fit, or an
            argument is out of range.

    Accuracy: `error`, some 1e-15 of the largest term and, with data, of the condition of X. Cost: a
    singular value decomposition, five integrals per row, and 10 ns per sample and layer. An
    integral takes 0.1 ms at any depth of one width; it has a term for each distinct width, so that
    10^5 of them take seconds.

    Example:
        >>> table = nnth.bayes(norm2=2.0, points=20, n0=50, depth=[0, 10], samples=0)
        >>> table["log_evidence"].round(3).tolist(), table["lambda_post"].tolist()
        ([-29.259, -10.156], [0.0, 3.125])

    Source: Hanin and Zlokapa (2022), theorems 1, 3 and 6.
    """
    data = data_or_description(x, y, norm2, points, n0)
    networks, shape = architectures(widths, width, depth, DEPTHS)
    scales = scales_of(sigma2)
    check_sample(samples, seed)
    validated()
    rows: list[dict[str, Any]] = []
    work = [(layers, scale) for layers in networks for scale in scales]
    total, done = sum(layers.depth + 1 for layers, _ in work), 0
    for layers, scale in work:
        posterior = Posterior(data, layers, math.log(scale))
        report = _part_of(progress, done, layers.depth + 1, total)
        draw = _draws(layers, samples, seed, len(rows) * _STREAMS, threads, report)
        rows.append(_row(posterior, scale, draw if samples else None))
        done += layers.depth + 1
        if progress is not None:
            progress(done, total)
    parameters: dict[str, Any] = {
        "x": file_of(x),
        "y": file_of(y),
        **shape,
        "points": data.p,
        "n0": data.n0,
        "norm2": data.norm2,
        "samples": samples,
    }
    table = {name: [row[name] for row in rows] for name in COLUMNS}
    meta = Meta("bayes", parameters, seed if samples else None)
    return Table(table, meta, plot=_picture(rows, f"m = {data.p}, n0 = {data.n0}"))


def data_or_description(
    x: Data | None, y: Data | None, norm2: float | None, points: int | None, n0: int | None
) -> Interpolant:
    """Return the interpolant of the data, or of their description. Raises ValueError."""
    described = {"norm2": norm2, "points": points, "n0": n0}
    given = [name for name, value in described.items() if value is not None]
    if x is not None or y is not None:
        if x is None or y is None:
            raise ValueError("x and y must both be given")
        if given:
            raise ValueError(f"{given[0]} must not come with x and y, which determine it")
        return interpolant_of(x, y)
    if norm2 is None or points is None or n0 is None:
        raise ValueError("x and y must be given, or norm2, points and n0 instead")
    return interpolant_without_data(norm2, points, n0)


def _part_of(progress: Progress | None, before: int, part: int, total: int) -> Progress | None:
    """Return the progress of a part of the work, `part` of `total` units after `before` units."""
    if progress is None:
        return None
    return lambda done, of: progress(before * of + part * done, total * of)


def _draws(
    layers: Layers, samples: int, seed: int, start: int, threads: int, progress: Progress | None
) -> Callable[[float], LogProducts]:
    """Return a function that draws the samples of a row, given their tilt."""

    def draw(tilt: float) -> LogProducts:
        return sample_in_parts(
            lambda first, count: log_products(
                layers,
                tilt,
                seed=seed,
                start=start + first,
                samples=count,
                threads=threads,
                progress=progress,
            ),
            samples,
        )

    return draw


def _row(
    posterior: Posterior, scale: float, draw: Callable[[float], LogProducts] | None
) -> dict[str, Any]:
    data, best = posterior.data, posterior.best()
    row: dict[str, Any] = {
        "depth": posterior.layers.depth,
        "sigma2": scale,
        "nu": data.nu,
        "lambda_post": data.p * posterior.layers.inverse_widths,
        "log_evidence": posterior.log_evidence,
        "log_z": posterior.log_z,
        "sigma2_star": math.exp(best.log_scale),
        "sigma2_star_asymptotic": math.exp(math.log(data.nu) / (posterior.layers.depth + 1)),
        "perp_norm2": posterior.perp_norm2,
        "perp_norm2_limit": posterior.perp_norm2_limit,
        "log_evidence_star": best.log_evidence,
        "perp_norm2_star": best.perp_norm2,
        "best_bound": posterior.best_bound,
        "error": posterior.error,
        "note": "",
    }
    names = ("check", "check_stderr", "ess", "perp_check", "perp_check_stderr")
    row |= dict.fromkeys(names, math.nan)
    if draw is not None:
        found = check(posterior, draw)
        row |= {
            "check": found.log_evidence,
            "check_stderr": found.stderr,
            "ess": found.ess,
            "perp_check": found.perp_norm2,
            "perp_check_stderr": found.perp_stderr,
        }
        if found.ess < _FEW:
            row["note"] = "few effective samples: check and its stderr are unreliable"
        elif found.perp_ess < _FEW:
            row["note"] = "few effective samples for perp_check: it and its stderr are unreliable"
    return row


def _picture(rows: list[dict[str, Any]], data: str) -> Lines:
    """Return the evidence against depth, a line for each sigma2, or against sigma2 at one depth."""
    depths = sorted({row["depth"] for row in rows})
    across, by = ("depth", "sigma2") if len(depths) > 1 else ("sigma2", "depth")
    values = sorted({row[across] for row in rows})
    lines, points, hollow = [], [], []
    for value in dict.fromkeys(row[by] for row in rows):
        mine = sorted((row for row in rows if row[by] == value), key=lambda row: row[across])
        x, y, seen, stderr = (
            np.array([row[name] for row in mine], dtype=np.float64)
            for name in (across, "log_evidence", "check", "check_stderr")
        )
        label = rf"$\sigma^2 = {value:g}$" if by == "sigma2" else f"$L = {value}$"
        lines.append((label, x, y))
        points.append(("", x, seen, stderr))
        hollow.append(unreliable(row["note"] for row in mine))
    ends = np.array([values[0], values[-1]], dtype=np.float64)
    limit = rows[0]["best_bound"]
    lines.append(
        (r"best scale; $\lambda \to \infty$, then $m \to \infty$", ends, np.full(2, limit))
    )
    wide = values[0] >= 0 and len(values) > 2 and values[-1] > 50 * max(values[1], 1e-300)
    sampled = any(np.isfinite(seen).any() for _, _, seen, _ in points)
    return Lines(
        lines=tuple(lines),
        points=tuple(points),
        hollow=tuple(hollow),
        pairs=True,
        log_x=bool(wide and values[0] > 0),
        x_label="depth $L$" if across == "depth" else r"prior variance $\sigma^2$",
        y_label=r"log evidence $\log\, p(Y)$",
        note=f"{data}; lines: exact; points: importance sampling" if sampled else data,
    )
