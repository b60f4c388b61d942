"""The norm of a product of Gaussian matrices: exact, sampled, and in two limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._linear_nets.layers import (
    MAX_INPUT,
    Layers,
    architectures,
    check_sample,
    log_products,
    scales_of,
)
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import sample_in_parts, validated
from nnth._tables.plot import Lines, histogram, unreliable
from nnth._tables.statistics import mean_of, note_on_z, skewness, variance_and_stderr, z_score
from nnth._tables.table import Meta, Table

# The quantities E |theta|^(2 q), with their q.
POWERS: Final = {"norm": 0.5, "norm2": 1.0, "norm4": 2.0}
QUANTITIES: Final = (*POWERS, "log_norm", "log_norm_variance")
_LABELS: Final = {
    "norm": r"$E\,|\theta|$",
    "norm2": r"$E\,|\theta|^2$",
    "norm4": r"$E\,|\theta|^4$",
    "log_norm": r"$E \log|\theta|$",
    "log_norm_variance": r"$\mathrm{Var} \log|\theta|$",
}
_MARGIN: Final = 1.0  # standard deviations that a sample must reach beyond those of the moment
_STREAMS: Final = streams.SAMPLES.count  # random streams for the samples of one depth


def product(
    n0: int = 64,
    *,
    width: int | None = None,
    depth: int | Sequence[int] | None = None,
    widths: Sequence[int] | str | None = None,
    sigma2: float = 1.0,
    samples: int = 100_000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return moments of the norm of theta = W_(L+1) ... W_1, a product of Gaussian matrices.

    W_l has independent N(0, sigma2/n_(l-1)) entries, l = 1..L+1, and W_(L+1) has one row. The
    direction of theta is uniform, and its norm has the distribution of::

        |theta|^2 = sigma2^(L+1) prod_(l=0..L) chi^2_(n_l)/n_l
        E log|theta|^2 = sum_l (psi(n_l/2) - log(n_l/2)) + (L+1) log sigma2
        Var log|theta|^2 = sum_l psi'(n_l/2)

    With sigma2 = 1 the two limits differ: the norm tends to 1 if the width is infinite first, and
    to 0 if the depth is, although its mean square is always 1.

    Args:
        n0: The input dimension n_0, at least 1.
        width: The width of all hidden layers; 64 if None.
        depth: One or several numbers of hidden layers L, with rows for each; 10 if None. Depth 0 is
            a single Gaussian vector.
        widths: The widths of the hidden layers, as numbers or text such as "64*10", in place of
            `width` and `depth`.
        sigma2: The variance of the weights times their fan-in.
        samples: The number of norms, sampled from their exact distribution in O(L) each; 0 for the
            theory alone.
        seed: Norm s at the i-th depth is a function of (seed, i, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table with a row for each depth and quantity: quantity, of which norm, norm2 and norm4 are
        the moments `E |theta|^k`, log_norm and log_norm_variance the mean and variance of the log
        of the norm; exact; mean, stderr and z of the sample; depth; asymptotic, by the log-normal
        limit of large widths `log|theta|^2 ~ N((L+1) log sigma2 - T, 2 T)`, T = sum_(l=0..L) 1/n_l;
        width_first and depth_first, the limits of infinite width and then depth, and in the other
        order; error, the relative error of exact (absolute for log_norm and its variance); note.

    Raises:
        ValueError: If an argument is out of range.

    Cost: 10 ns per sample and layer.

    Example:
        >>> table = nnth.product(8, width=8, depth=3, samples=0)
        >>> table["quantity"][:3].tolist(), table["exact"][:3].round(4).tolist()
        (['norm', 'norm2', 'norm4'], [0.8828, 1.0, 2.4414])

    Source: Hanin and Nica (2018) for the product; Hanin and Zlokapa (2022) for the prior.
    """
    if check_integer("n0", n0) > MAX_INPUT:
        raise ValueError(f"n0 must be at most {MAX_INPUT}, not {n0}")
    networks, shape = architectures(widths, width, depth, (10,))
    (scale,) = _one(scales_of(sigma2))
    check_sample(samples, seed)
    validated()
    rows: list[dict[str, Any]] = []
    drawn: list[Floats | None] = []
    for i, hidden in enumerate(networks):
        layers = hidden.with_layer(n0)
        shift = layers.depth * math.log(scale)
        logs = None
        if samples:

            def draw(
                first: int, count: int, layers: Layers = layers, run: int = i * _STREAMS
            ) -> Any:
                return log_products(
                    layers,
                    0.0,
                    seed=seed,
                    start=run + first,
                    samples=count,
                    threads=threads,
                    progress=progress,
                )

            logs = shift + sample_in_parts(draw, samples).values  # log |theta|^2
        drawn.append(logs)
        rows += [_row(name, layers, math.log(scale), logs) for name in QUANTITIES]
    names = (
        "quantity",
        "exact",
        "mean",
        "stderr",
        "z",
        "depth",
        "asymptotic",
        "width_first",
        "depth_first",
        "error",
        "note",
    )
    parameters = {
        "n0": n0,
        **shape,
        "sigma2": scale,
        "samples": samples,
    }
    meta = Meta("product", parameters, seed if samples else None)
    columns = {name: [row[name] for row in rows] for name in names}
    if len(networks) > 1:
        return Table(columns, meta, plot=_moments_picture(rows))
    picture = _density_picture(networks[0], n0, math.log(scale), drawn[0])
    return Table(columns, meta, plot=picture)


def _one(values: list[float]) -> list[float]:
    if len(values) != 1:
        raise ValueError(f"sigma2 must be one number, not {len(values)}")
    return values


def _row(name: str, layers: Layers, log_scale: float, logs: Floats | None) -> dict[str, Any]:
    """Return a row; the layers are those of widths n_0 to n_L, including the input."""
    shift, total = layers.depth * log_scale, layers.inverse_widths
    digits, none = 8.0 * np.finfo(float).eps, (math.nan, math.nan)
    row: dict[str, Any] = {"quantity": name, "depth": layers.depth - 1, "note": ""}
    row["width_first"], row["depth_first"] = _limits(name, log_scale)
    pairs = list(zip(layers.shapes, layers.counts, strict=True))
    if name in POWERS:
        q = POWERS[name]
        exponent = q * shift + layers.log_moment(q)
        row["exact"] = _exp(exponent)
        row["asymptotic"] = _exp(q * shift + (q * q - q) * total)
        row["error"] = digits * (1.0 + abs(q * shift) + abs(layers.log_moment(q)))
        row["mean"], row["stderr"] = none if logs is None else _moment(logs, q)
        row["note"] = "" if logs is None else _unseen(q, total, len(logs))
        if row["exact"] in (0.0, math.inf):
            row["note"] = "exceeds the range of doubles: see log_norm"
    elif name == "log_norm":
        psi = math.fsum(m * float(_core.digamma_less_log(a)) for a, m in pairs)
        row["exact"], row["asymptotic"] = 0.5 * (shift + psi), 0.5 * (shift - total)
        row["error"] = digits * (abs(shift) + abs(psi))
        row["mean"], row["stderr"] = none if logs is None else mean_of(0.5 * logs)
    else:
        row["exact"] = 0.25 * math.fsum(m * float(_core.polygamma(1, a)) for a, m in pairs)
        row["asymptotic"], row["error"] = 0.5 * total, digits * row["exact"]
        row["mean"], row["stderr"] = (
            none if logs is None else map(float, variance_and_stderr(0.5 * logs))
        )
    row["z"] = float(z_score(row["mean"] - row["exact"], row["stderr"]))
    if logs is not None and not row["note"]:
        row["note"] = note_on_z(len(logs), float(skewness(_averaged(name, logs))))
    return row


def _averaged(name: str, logs: Floats) -> Floats:
    """Return the values whose average estimates a quantity, up to a factor."""
    if name in POWERS:
        return np.asarray(np.exp(POWERS[name] * (logs - logs.max())))
    return logs if name == "log_norm" else np.asarray((logs - logs.mean()) ** 2)


def _unseen(q: float, total: float, samples: int) -> str:
    """Return a note if a sample misses E|theta|^(2 q), or the variance that its error depends on.

    The main contributions lie q sqrt(2 T) and 2 q sqrt(2 T) standard deviations of log|theta|^2
    from its mean; the sample reaches sqrt(2 log samples) standard deviations.
    """
    deviations, reach = q * math.sqrt(2.0 * total), math.sqrt(2.0 * math.log(samples))
    if deviations > reach - _MARGIN:
        return "sample is too small for this moment: products that dominate it are too rare"
    if 2.0 * deviations > reach:
        return "sample is too small for its variance: stderr is too small"
    return ""


def _limits(name: str, log_scale: float) -> tuple[float, float]:
    """Return the limits of infinite width and then depth, and of infinite depth and then width.

    A layer multiplies |theta|^(2 q) by sigma2^q (1 + q (q - 1)/n + ...) on average: for sigma2 = 1
    the term 1/n determines the limit of infinite depth, otherwise sigma2 does for large n.
    """
    direction = math.copysign(math.inf, log_scale) if log_scale else 0.0
    if name == "log_norm_variance":
        return 0.0, math.inf
    if name == "log_norm":
        return direction, direction or -math.inf
    limit = _exp(direction)
    q = POWERS[name]
    return limit, limit if log_scale else 0.0 if q < 1.0 else 1.0 if q == 1.0 else math.inf


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < 709.78 else math.inf


def _moment(logs: Floats, q: float) -> tuple[float, float]:
    """Return the mean of exp(q logs) and its standard error, without premature overflow."""
    top = q * float(logs.max())
    mean, stderr = mean_of(np.exp(q * logs - top))
    return mean * _exp(top), stderr * _exp(top)


def log_norm_density(v: Floats, hidden: Layers, n0: int, log_scale: float) -> Floats:
    """Return the exact density of log|theta| at v, by one Mellin-Barnes integral for each.

    |theta|^2 = sigma2^(L+1) (G/(n0/2)) T, with G a gamma variable of shape b = n0/2 and T the
    product over the hidden layers; its logarithm has the density I_b(x)/Gamma(b),
    x = b |theta|^2/sigma2^(L+1).
    """
    b = 0.5 * n0
    log_x = math.log(b) + 2.0 * v - (hidden.depth + 1) * log_scale
    found = _core.mellin_barnes(b, log_x, hidden.shapes, hidden.multiplicities)
    values: Floats = 2.0 * np.exp(found["log_value"] - float(_core.log_gamma(b)))
    return values


def _density_picture(hidden: Layers, n0: int, log_scale: float, logs: Floats | None) -> Lines:
    layers = hidden.with_layer(n0)
    pairs = list(zip(layers.shapes, layers.counts, strict=True))
    shift, total = layers.depth * log_scale, layers.inverse_widths
    psi = math.fsum(m * float(_core.digamma_less_log(a)) for a, m in pairs)
    spread = 0.5 * math.sqrt(math.fsum(m * float(_core.polygamma(1, a)) for a, m in pairs))
    middle = 0.5 * (shift + psi)
    v = np.linspace(middle - 4.5 * spread, middle + 4.0 * spread, 200)
    exact = log_norm_density(v, hidden, n0, log_scale)
    bars = None
    if logs is not None:
        bars = histogram(f"{logs.size} products", 0.5 * logs, float(v[0]), float(v[-1]))
    center = 0.5 * (shift - total)
    normal = np.exp(-((v - center) ** 2) / total) / math.sqrt(math.pi * total)
    return Lines(
        lines=(("exact", v, exact), (r"$N(-T/2,\, T/2)$, large widths", v, normal)),
        bars=bars,
        x_label=r"$\log|\theta|$",
        y_label="density",
        note=f"T, the sum of 1/n_l over the layers, is {total:.4g}",
    )


def _moments_picture(rows: list[dict[str, Any]]) -> Lines:
    """Return the moments of |theta| against depth: theory as lines, samples as points."""
    lines, points, hollow = [], [], []
    for name in POWERS:
        mine = sorted((row for row in rows if row["quantity"] == name), key=lambda r: r["depth"])
        x = np.array([row["depth"] for row in mine], dtype=np.float64)
        y, mean, stderr = (
            np.array([row[column] for row in mine]) for column in ("exact", "mean", "stderr")
        )
        lines.append((_LABELS[name], x, y))
        points.append(("", x, mean, stderr))
        hollow.append(unreliable(row["note"] for row in mine))
    return Lines(
        lines=tuple(lines),
        points=tuple(points),
        hollow=tuple(hollow),
        pairs=True,
        log_y=True,
        x_label="depth $L$",
        y_label=r"moments of $|\theta|$",
        note="lines: exact; points: samples",
    )
