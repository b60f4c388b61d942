"""Lazy against mean-field training: how far two-layer networks move, as powers of their width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth import _core
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

    exponents: of the width, in the order of QUANTITIES; none for the loss. Of the lazy kernel it is
    that of smooth activations: a share n^-1/2 of the neurons passes a kink, and the kernel with it.
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
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how far trained two-layer networks move from where they began, against their width.

    f(x) = n^-p sum_i a_i s(w_i.x), a_i and the entries of w_i ~ N(0, 1), loss (1/2) sum (f - y)^2,
    full-batch gradient descent on both layers. Lazy: p = 1/2 and the rate eta_0; mean field: p = 1
    and the rate n eta_0, so that f moves alike in both. eta_0 = 1/(2 points). With p = 1 in the
    parameters A = a/n, w and a rate that does not grow, as lecture notes have it, the kernel is of
    order n and the loss explodes: the third regime here, "mean field at rate 1", five steps of it.

    act: as in `nnth.kernel`. widths: two or more, ascending. points, dimension: of the data, x on
    the unit sphere and y ~ N(0, 1), drawn anew for each sample, and the same at all widths. steps,
    samples: at least 1 and 2. seed: sample s is stream s of it, of which wider networks take more.
    threads: that draw weights, 0 = all; the result is the same.
    progress: called with the work done and in all.

    Returns a Table, a row a regime, width and quantity: regime, width, quantity ("output": root
    mean square of f before training; "features", "weights", "ntk": changes of s(w.x), of all
    parameters and of the tangent kernel on the data, relative to their norms; "loss": after over
    before), mean (the geometric one), stderr, exponent (the mean over samples of the slope of its
    logarithm against that of the width), exponent_stderr, theory, z (of the exponent),
    note (where a quantity is 0 or not finite and has no exponent).

    Accuracy: theory is of large widths; at finite ones exponents are off by more than their error,
    most of all that of the lazy kernel where the activation has kinks: -1/2 in the limit, -0.64 for
    relu at widths from 256 to 16384. Cost: samples steps n points (dimension + 2) multiplications.

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
    _core.thread_count(threads)
    begin()
    measured = np.empty((len(REGIMES) + 1, len(sizes), samples, len(QUANTITIES)))
    done = 0
    for i, width in enumerate(sizes):
        for sample in range(samples):
            data = _data(points, dimension, seed, sample)
            draws = normals(seed, sample, width * (dimension + 1), threads=threads)
            net = draws.reshape(width, dimension + 1)
            with np.errstate(all="ignore"):  # what diverges is noted
                for j, regime in enumerate(REGIMES):
                    measured[j, i, sample] = _movement(chosen, regime, net, data, steps)
                measured[-1, i, sample] = _explosion(chosen, net, data)
            done += 1
            if progress is not None:
                progress(done, len(sizes) * samples)
    parameters = {"act": chosen.name, "widths": tuple(sizes), "points": points}
    parameters |= {"dimension": dimension, "steps": steps, "samples": samples}
    meta = Meta("rates", parameters, seed=seed)
    return _table(np.array(sizes, dtype=np.float64), measured, meta, kinked=_has_kinks(chosen))


def _has_kinks(act: Activation) -> bool:
    """Whether s' jumps where neurons come."""
    for at in act.core.breaks(8.0):
        _, slopes, _ = act.core.evaluate(np.array([at - 1e-7, at + 1e-7]))
        if abs(slopes[1] - slopes[0]) > 1e-4:
            return True
    return False


# Products are by einsum, which has no threads: BLAS may sum in an order that depends on theirs.


def _data(points: int, dimension: int, seed: int, sample: int) -> tuple[Floats, Floats]:
    draws = normals(seed, _DATA_STREAM + sample, points * (dimension + 1))
    x = draws[: points * dimension].reshape(points, dimension)
    return x / np.linalg.norm(x, axis=1, keepdims=True), draws[points * dimension :]


def _forward(act: Activation, w: Floats, x: Floats) -> tuple[Floats, Floats]:
    """s(w_i.x) and s'(w_i.x), `(n, points)` each."""
    z = np.einsum("id,pd->ip", w, x)
    value, slope, _ = act.core.evaluate(z.ravel())
    return value.reshape(z.shape), slope.reshape(z.shape)


def _weighted(weights: Floats, values: Floats) -> Floats:
    return np.asarray(np.einsum("i,ip->p", weights, values))


def _kernel(a: Floats, h: Floats, slope: Floats, x: Floats) -> Floats:
    """sum_i s s + a_i^2 s' s' x.x, the tangent kernel but for its scale."""
    backward = a[:, None] * slope
    forward: Floats = np.einsum("ip,iq->pq", h, h)
    gates: Floats = np.einsum("ip,iq->pq", backward, backward)
    angles: Floats = np.einsum("pd,qd->pq", x, x)
    return forward + gates * angles


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
    h0, kernel0, f0 = h, _kernel(a, h, slope, x), scale * _weighted(a, h)
    for _ in range(steps):
        residual = scale * _weighted(a, h) - y
        step_w = np.einsum("ip,pd->id", a[:, None] * slope * residual, x)
        a, w = a - eta * scale * _weighted(residual, h.T), w - eta * scale * step_w
        h, slope = _forward(act, w, x)
    moved = np.sqrt(np.sum((a - a0) ** 2) + np.sum((w - w0) ** 2))
    change = np.linalg.norm(_kernel(a, h, slope, x) - kernel0) / np.linalg.norm(kernel0)
    f = scale * _weighted(a, h)
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
    before = np.sum((_weighted(top, h) - y) ** 2)
    for _ in range(5):
        residual = _weighted(top, h) - y
        step_w = np.einsum("ip,pd->id", top[:, None] * slope * residual, x)
        top, w = top - eta * _weighted(residual, h.T), w - eta * step_w
        h, slope = _forward(act, w, x)
    return [np.nan] * 4 + [float(np.sum((_weighted(top, h) - y) ** 2) / before)]


def _exponent(widths: Floats, logs: Floats) -> tuple[float, float]:
    """Mean and standard error over samples of the slope of logs `(widths, samples)`."""
    x = np.log(widths) - np.log(widths).mean()
    slopes = np.einsum("i,is->s", x, logs) / np.sum(x * x)
    return float(slopes.mean()), float(slopes.std(ddof=1) / np.sqrt(len(slopes)))


def _note(values: Floats) -> str:
    if not np.isfinite(values).all():
        return "training diverges"
    return "" if values.all() else "does not move"


def _table(widths: Floats, measured: Floats, meta: Meta, *, kinked: bool) -> Table:
    rows: list[tuple[Any, ...]] = []
    lines, points = [], []
    asked = [(j, q) for j in range(len(REGIMES)) for q in range(len(QUANTITIES))]
    for j, q in [*asked, (len(REGIMES), len(QUANTITIES) - 1)]:
        values, quantity = measured[j, :, :, q], QUANTITIES[q]
        name = REGIMES[j].name if j < len(REGIMES) else "mean field at rate 1"
        has_theory = j < len(REGIMES) and quantity != "loss"
        theory = REGIMES[j].exponents[q] if has_theory else np.nan
        if theory == -1.0 and kinked:
            theory = -0.5
        with np.errstate(all="ignore"):
            logs, note = np.log(values), _note(values)
            mean = np.exp(logs.mean(axis=1))
            error = mean * logs.std(axis=1, ddof=1) / np.sqrt(logs.shape[1])
            exponent, stderr = (np.nan, np.nan) if note else _exponent(widths, logs)
            z = (exponent - theory) / stderr
        for width, m, e in zip(widths, mean, error, strict=True):
            rows.append((name, int(width), quantity, m, e, exponent, stderr, theory, z, note))
        if has_theory and quantity != "output" and not note:
            # A line of the exponent in theory, through the largest width.
            label = f"{_SYMBOLS[quantity]}, {name}: $n^{{{theory:g}}}$"
            lines.append((label, widths, mean[-1] * (widths / widths[-1]) ** theory))
            points.append(("", widths, mean, error))
    columns = (
        "regime", "width", "quantity", "mean", "stderr", "exponent", "exponent_stderr", "theory",
        "z", "note",
    )  # fmt: skip
    plot = Lines(
        lines=tuple(lines), points=tuple(points), pairs=True, log_x=True, log_y=True,
        x_label="width $n$", y_label="relative change in training",
    )  # fmt: skip
    return Table(dict(zip(columns, zip(*rows, strict=True), strict=True)), meta, plot=plot)
