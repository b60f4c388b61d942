"""Lazy against mean-field training: how far two-layer networks move, as powers of their width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth.activation import Activation, activation
from nnth.network import whole
from nnth.plot import Lines
from nnth.random import normals
from nnth.table import Meta, Table
from nnth.work import begin

Floats = NDArray[np.float64]
Progress = Callable[[int, int], object]

QUANTITIES: Final = ("output", "features", "weights", "ntk", "loss")
_DATA_STREAM: Final = 2**33
_SYMBOLS: Final = {
    "output": "$|f_0|$",
    "features": "$|\\Delta h|/|h|$",
    "weights": "$|\\Delta \\theta|/|\\theta|$",
    "ntk": "$|\\Delta \\Theta|/|\\Theta|$",
}


@dataclass(frozen=True)
class Regime:
    """f = n^-power sum_i a_i s(w_i.x), trained at the rate n^rate eta_0 for both layers.

    exponents: of the width, in the order of QUANTITIES; none for the loss.
    """

    name: str
    power: float
    rate: float
    exponents: tuple[float, float, float, float]


REGIMES: Final = (
    Regime("lazy", 0.5, 0.0, (0.0, -0.5, -0.5, -1.0)),
    Regime("mean field", 1.0, 1.0, (-0.5, 0.0, 0.0, 0.0)),
)


def training_scalings(
    act: str = "tanh",
    *,
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    points: int = 6,
    dimension: int = 4,
    steps: int = 50,
    samples: int = 32,
    seed: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how far trained two-layer networks move from where they began, against their width.

    f(x) = n^-p sum_i a_i s(w_i.x), a_i and the entries of w_i ~ N(0, 1), loss (1/2) sum (f - y)^2,
    full-batch gradient descent on both layers. Lazy: p = 1/2 and the rate eta_0; mean field: p = 1
    and the rate n eta_0, so that f moves alike in both. eta_0 = 1/(2 points). With p = 1 in the
    parameters A = a/n, w and a rate that does not grow, as lecture notes have it, the kernel is of
    order n and the loss explodes: the third regime here, "mean field at rate 1", five steps of it.

    act: as in `nnth.kernel`. widths: two or more, ascending. points, dimension: of the data, x on
    the unit sphere and y ~ N(0, 1), drawn anew for each network. steps, samples: at least 1 and 2.
    seed: network s of width n is stream s of it. progress: called with the work done and in all.

    Returns a Table, a row a regime, width and quantity: regime, width, quantity ("output": root
    mean square of f before training; "features", "weights", "ntk": changes of s(w.x), of all
    parameters and of the tangent kernel on the data, relative to their norms; "loss": after over
    before), mean (the geometric one), stderr, exponent (fitted to log mean against log width, each
    weighed by its standard error), exponent_stderr, theory, z (of the exponent).

    Accuracy: exponents are those of large widths; at finite ones they are off by order 1/n of the
    least, which a large sample sees. Cost: samples steps n points (dimension + 2) multiplications.

    Raises ValueError for arguments out of range.

    Source: Chizat, Oyallon & Bach (2019); Mei, Montanari & Nguyen (2018); Jacot et al. (2018).
    """
    chosen = activation(act)
    sizes = [whole("widths", width) for width in widths]
    if len(sizes) < 2 or sizes != sorted(set(sizes)):
        raise ValueError(f"widths must be two or more, ascending, not {','.join(map(str, sizes))}")
    points, dimension = whole("points", points), whole("dimension", dimension)
    steps, samples = whole("steps", steps), whole("samples", samples)
    if samples < 2:
        raise ValueError(f"samples must be at least 2, not {samples}")
    begin()
    measured = np.empty((len(REGIMES) + 1, len(sizes), samples, len(QUANTITIES)))
    done = 0
    for i, width in enumerate(sizes):
        for sample in range(samples):
            data = _data(points, dimension, seed, sample)
            net = normals(seed, sample, width * (dimension + 1)).reshape(width, dimension + 1)
            for j, regime in enumerate(REGIMES):
                measured[j, i, sample] = _movement(chosen, regime, net, data, steps)
            measured[-1, i, sample] = _explosion(chosen, net, data)
            done += 1
            if progress is not None:
                progress(done, len(sizes) * samples)
    parameters = {"act": chosen.name, "widths": tuple(sizes), "points": points}
    parameters |= {"dimension": dimension, "steps": steps, "samples": samples}
    return _table(np.array(sizes, dtype=np.float64), measured, Meta("rates", parameters, seed=seed))


def _data(points: int, dimension: int, seed: int, sample: int) -> tuple[Floats, Floats]:
    draws = normals(seed, _DATA_STREAM + sample, points * (dimension + 1))
    x = draws[: points * dimension].reshape(points, dimension)
    return x / np.linalg.norm(x, axis=1, keepdims=True), draws[points * dimension :]


def _forward(act: Activation, w: Floats, x: Floats) -> tuple[Floats, Floats]:
    """s(w_i.x) and s'(w_i.x), `(n, points)` each."""
    z = w @ x.T
    value, slope, _ = act.core.evaluate(z.ravel())
    return value.reshape(z.shape), slope.reshape(z.shape)


def _kernel(a: Floats, h: Floats, slope: Floats, x: Floats) -> Floats:
    """sum_i s s + a_i^2 s' s' x.x, the tangent kernel but for its scale."""
    backward = a[:, None] * slope
    return h.T @ h + (backward.T @ backward) * (x @ x.T)


def _movement(
    act: Activation, regime: Regime, net: Floats, data: tuple[Floats, Floats], steps: int
) -> list[float]:
    x, y = data
    n = len(net)
    scale = n**-regime.power
    eta = 0.5 / len(y) * n**regime.rate
    a0, w0 = net[:, 0], net[:, 1:]
    a, w = a0, w0
    h, slope = _forward(act, w, x)
    h0, kernel0, f0 = h, _kernel(a, h, slope, x), scale * (a @ h)
    for _ in range(steps):
        residual = scale * (a @ h) - y
        step_w = (a[:, None] * slope * residual) @ x
        a, w = a - eta * scale * (h @ residual), w - eta * scale * step_w
        h, slope = _forward(act, w, x)
    moved = np.sqrt(np.sum((a - a0) ** 2) + np.sum((w - w0) ** 2))
    change = np.linalg.norm(_kernel(a, h, slope, x) - kernel0) / np.linalg.norm(kernel0)
    f = scale * (a @ h)
    return [
        float(np.sqrt(np.mean(f0**2))),
        float(np.linalg.norm(h - h0) / np.linalg.norm(h0)),
        float(moved / np.linalg.norm(net)),
        float(change),
        float(np.sum((f - y) ** 2) / np.sum((f0 - y) ** 2)),
    ]


def _explosion(act: Activation, net: Floats, data: tuple[Floats, Floats]) -> list[float]:
    """Mean field in the parameters A = a/n and w at the rate eta_0: the growth of the loss."""
    x, y = data
    top, w = net[:, 0] / len(net), net[:, 1:]
    eta = 0.5 / len(y)
    h, slope = _forward(act, w, x)
    before = np.sum((top @ h - y) ** 2)
    for _ in range(5):
        residual = top @ h - y
        step_w = (top[:, None] * slope * residual) @ x
        top, w = top - eta * (h @ residual), w - eta * step_w
        h, slope = _forward(act, w, x)
    return [np.nan] * 4 + [float(np.sum((top @ h - y) ** 2) / before)]


def _fit(widths: Floats, mean: Floats, stderr: Floats) -> tuple[float, float]:
    """Slope and its standard error of log mean against log width, weighed by relative errors."""
    x, weight = np.log(widths), 1.0 / stderr**2
    centre = np.average(x, weights=weight)
    spread = np.sum(weight * (x - centre) ** 2)
    return float(np.sum(weight * (x - centre) * mean) / spread), float(spread**-0.5)


def _table(widths: Floats, measured: Floats, meta: Meta) -> Table:
    names = [*(regime.name for regime in REGIMES), "mean field at rate 1"]
    rows: list[tuple[Any, ...]] = []
    lines, points = [], []
    samples = measured.shape[2]
    for j, name in enumerate(names):
        for q, quantity in enumerate(QUANTITIES):
            if np.isnan(measured[j, 0, 0, q]):
                continue
            logs = np.log(measured[j, :, :, q])
            mean, error = logs.mean(axis=1), logs.std(axis=1, ddof=1) / np.sqrt(samples)
            exponent, stderr = _fit(widths, mean, error)
            has_theory = j < len(REGIMES) and quantity != "loss"
            theory = REGIMES[j].exponents[q] if has_theory else np.nan
            z = (exponent - theory) / stderr
            for width, m, e in zip(widths, mean, error, strict=True):
                rows.append(
                    (name, int(width), quantity, np.exp(m), np.exp(m) * e, exponent, stderr,
                     theory, z)
                )  # fmt: skip
            if has_theory and quantity != "output":
                # A line of the exponent in theory, through the largest width.
                line = np.exp(mean[-1]) * (widths / widths[-1]) ** theory
                label = f"{_SYMBOLS[quantity]}, {name}: $n^{{{theory:g}}}$"
                lines.append((label, widths, line))
                points.append(("", widths, np.exp(mean), np.exp(mean) * error))
    columns = (
        "regime", "width", "quantity", "mean", "stderr", "exponent", "exponent_stderr", "theory",
        "z",
    )  # fmt: skip
    plot = Lines(
        lines=tuple(lines), points=tuple(points), pairs=True, log_x=True, log_y=True,
        x_label="width $n$", y_label="relative change in training",
    )  # fmt: skip
    return Table(dict(zip(columns, zip(*rows, strict=True), strict=True)), meta, plot=plot)
