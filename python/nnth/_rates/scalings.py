"""Lazy against mean-field training: how far two-layer networks move, as powers of their width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._data.data import Data, data_of, target_vector
from nnth._data.files import file_of
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._networks.gradient_descent import relative_loss
from nnth._networks.network import MAX_WIDTH
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.statistics import (
    ASYMPTOTIC,
    joined,
    log_slopes,
    mean_and_stderr,
    mean_of,
    note_on_z,
    z_score,
)
from nnth._tables.table import Meta, Table

# Inputs `(networks or 1, m, n_0)` and targets `(networks or 1, m)`.
DataSets = tuple[Floats, Floats]

_BATCH: Final = 2**14  # numbers of one array
_HOPELESS: Final = 1e100  # a loss from which nothing returns
_SYMBOLS: Final = {
    "features": "$|\\Delta h|/|h|$",
    "weights": "$|\\Delta \\theta|/|\\theta|$",
    "ntk": "$|\\Delta \\Theta|/|\\Theta|$",
    "eta_lambda": "$\\eta\\,\\lambda_{\\max}$",
}
_SURE: Final = 3.0  # standard errors
_MOVEMENTS: Final = ("features", "weights", "ntk")
_DRAWN: Final = {
    "lazy": _MOVEMENTS,
    "mean field": _MOVEMENTS,
    "mean field at rate 1": ("eta_lambda",),
}


@dataclass(frozen=True)
class Regime:
    """f = n^-power sum_i a_i s(w_i.x), trained at n^a_rate eta_0 for a and n^w_rate eta_0 for w.

    exponents: of the width, for the quantities that are told. That of ntk is of smooth activations:
    as large a share of the neurons as weights move passes a kink, and the kernel with it.
    """

    power: float
    a_rate: float
    w_rate: float
    exponents: dict[str, float]


# Mean field in the parameters A = a/n, w at one rate for both is that of a at n^2 times the rate.
REGIMES: Final = {
    "lazy": Regime(
        0.5,
        0.0,
        0.0,
        {
            "output": 0.0,
            "features": -0.5,
            "weights": -0.5,
            "ntk": -1.0,
            "loss": 0.0,
            "eta_lambda": 0.0,
            "first_step": 0.0,
        },
    ),
    "mean field": Regime(
        1.0,
        1.0,
        1.0,
        {
            "output": -0.5,
            "features": 0.0,
            "weights": 0.0,
            "ntk": 0.0,
            "loss": 0.0,
            "eta_lambda": 0.0,
            "first_step": 0.0,
        },
    ),
    "frozen": Regime(
        1.0,
        0.0,
        0.0,
        {
            "output": -0.5,
            "features": -1.0,
            "weights": -1.0,
            "ntk": -1.5,
            "eta_lambda": -1.0,
            "first_step": -1.0,
        },
    ),
    "mean field at rate 1": Regime(
        1.0,
        2.0,
        0.0,
        {
            "output": -0.5,
            "eta_lambda": 1.0,
            "first_step": 2.0,
        },
    ),
}
QUANTITIES: Final = tuple(REGIMES["lazy"].exponents)


@serial_blas
def training_scalings(
    act: str = "tanh",
    *,
    width: Sequence[int] = (64, 128, 256, 512, 1024),
    x: Data | None = None,
    y: Data | None = None,
    points: int = 6,
    n0: int = 4,
    steps: int = 50,
    samples: int = 32,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how far trained two-layer networks move from where they began, against their width.

    f(x) = n^-p sum_i a_i s(w_i.x), a_i and the entries of w_i ~ N(0, 1), loss (1/2) sum (f - y)^2,
    full-batch gradient descent on both layers; eta_0 = 1/(2 points). "lazy": p = 1/2 and the rate
    eta_0. "mean field": p = 1 and the rate n eta_0, so that f moves alike in both. "frozen": p = 1
    at the rate eta_0, which teaches nothing. "mean field at rate 1": in the parameters A = a/n and
    w at the rate eta_0 for both, as lecture notes have it, the kernel is of order n and the loss
    explodes.

    act: as in `nnth.kernel`. width: two or more, ascending. x, y: data `(m, n_0)` and
    `(m,)`, or files, together. points, n0: without them, `points` inputs on the unit sphere of this
    dimension, and y ~ N(0, 1), drawn anew for each sample, and the same at all widths.
    steps, samples: at least 1 and 2. seed: sample s is stream s of it, of which wider networks
    take more. threads: that draw weights, 0 = all; the result is the same. progress: called with
    the work done and in all.

    Returns a Table, a row a regime, width and quantity: regime, width, quantity, mean (the
    geometric one), stderr, exponent (the mean over samples of the slope of its logarithm against
    that of the width), exponent_stderr, theory, z (of the exponent), note (where a quantity is 0
    or not finite in a network and has no exponent; and where the exponent changes from the smaller
    half of the widths to the larger by more than three standard errors, so that they are too small
    for the theory's). Quantities: "output", root mean square of f
    before training; "features", "weights", "ntk", changes of s(w.x), of all parameters and of the
    tangent kernel on the data, relative to their norms; "loss", after over before; "eta_lambda",
    rates times the largest eigenvalue of the tangent kernel before training, below 2 where
    gradient descent converges, to first order; "first_step", the change of the loss in one step,
    relative to it.

    Accuracy: theory is of large widths; at finite ones exponents are off by more than their error,
    most of all that of the lazy kernel where the activation has kinks: -1/2 in the limit, -0.64 for
    relu at widths from 256 to 16384. Cost: 40 ns a network, step, neuron and point.

    Raises ValueError for arguments out of range; KeyboardInterrupt saying what was done.

    Source: Chizat, Oyallon & Bach (2019); Mei, Montanari & Nguyen (2018); Jacot et al. (2018).
    """
    chosen = activation(act)
    sizes = [check_integer("width", n) for n in width]
    if len(sizes) < 2 or sizes != sorted(set(sizes)):
        raise ValueError(f"width must be two or more, ascending, not {','.join(map(str, sizes))}")
    if sizes[-1] > MAX_WIDTH:
        raise ValueError(f"width must be at most {MAX_WIDTH}, not {sizes[-1]}")
    steps, samples = check_integer("steps", steps), check_integer("samples", samples, 2)
    if samples >= MAX_SAMPLES:
        raise ValueError(f"samples must be below {MAX_SAMPLES}, not {samples}")
    given = _given_data(x, y)
    if given is None:
        points, n0 = check_integer("points", points), check_integer("n0", n0)
        check_memory(8 * 3 * points * (points + n0), "points and n0 must be smaller: the matrices")
    else:
        points, n0 = given[0].shape[1:]
    _core.thread_count(threads)
    validated()
    measured: dict[tuple[str, int], dict[str, Floats]] = {}
    total, done = len(REGIMES) * sum(sizes) * samples, 0
    try:
        for n in sizes:
            for name, regime in REGIMES.items():
                parts = []
                for nets in _batches(n, samples, max(points, n0)):
                    data = _data(points, n0, seed, nets) if given is None else given
                    parts.append(train(chosen, regime, n, data, steps, seed, nets, threads))
                    done += n * len(nets)
                    if progress is not None:
                        progress(done, total)
                measured[name, n] = {q: np.concatenate([p[q] for p in parts]) for q in parts[0]}
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{len(measured)} of {len(REGIMES) * len(sizes)} trainings were done"
        ) from None
    parameters = {
        "act": chosen.name,
        "width": tuple(sizes),
        "x": file_of(x),
        "y": file_of(y),
        "points": points,
        "n0": n0,
        "steps": steps,
        "samples": samples,
    }
    return _table(
        sizes, measured, _has_kinks(chosen), Meta("rates training", parameters, seed=seed)
    )


def _has_kinks(act: Activation) -> bool:
    """Whether s' jumps where neurons come."""
    for at in act.core.breaks(8.0):
        _, slopes, _ = act.core.evaluate(np.array([at - 1e-7, at + 1e-7]))
        if abs(slopes[1] - slopes[0]) > 1e-4:
            return True
    return False


def train(
    act: Activation,
    regime: Regime,
    n: int,
    data: DataSets,
    steps: int,
    seed: int,
    nets: range,
    threads: int = 0,
) -> dict[str, Floats]:
    """Return the quantities of `training_scalings` of these networks of width n, `(networks,)`.

    data: one for each network, or one for all. Where the loss left all bounds it is infinite, and
    what moved until then is nan. Products are by einsum, which has no threads: BLAS may sum in an
    order that depends on theirs.
    """
    x, y = data
    n0 = x.shape[2]
    draws = np.stack([normals(seed, s, n * (n0 + 1), threads=threads) for s in nets])
    each = draws.reshape(-1, n, n0 + 1).transpose(0, 2, 1)
    a, w = each[:, 0].copy(), each[:, 1:].copy()
    a0, w0 = a.copy(), w.copy()
    gram = np.einsum("spd,sqd->spq", x, x)
    scale, eta = n**-regime.power, 0.5 / x.shape[1]
    a_step, w_step = eta * n**regime.a_rate * scale, eta * n**regime.w_rate * scale

    def forward() -> tuple[Floats, Floats, Floats]:
        """s(w_i.x) and s'(w_i.x), `(networks, m, n)` each, and f, `(networks, m)`."""
        z = np.einsum("sdn,spd->spn", w, x)
        h, slope = np.empty_like(z), np.empty_like(z)
        act.core.evaluate_into(z, h, slope)
        return h, slope, scale * np.einsum("sn,spn->sp", a, h)

    def kernel(h: Floats, slope: Floats) -> Floats:
        """The tangent kernel with the rates in it: f moves by -kernel (f - y) in a step."""
        back = a[:, None] * slope
        of_w = np.einsum("spn,sqn->spq", back, back) * gram
        of_a = np.einsum("spn,sqn->spq", h, h)
        return np.asarray(scale * (a_step * of_a + w_step * of_w))

    with np.errstate(over="ignore", invalid="ignore"):
        h0, slope, f0 = forward()
        h, f, kernel0 = h0, f0, kernel(h0, slope)
        if not np.isfinite(kernel0).all():
            raise ValueError(
                f"x must be smaller: the tangent kernel of {act.name} leaves the range of doubles"
            )
        found = {
            "output": np.sqrt(np.mean(f0**2, axis=1)),
            "eta_lambda": np.linalg.eigvalsh(kernel0)[:, -1],
        }
        for step in range(steps):
            residual = f - y
            of_w = np.einsum("spn,spd->sdn", slope, residual[:, :, None] * x)
            of_a = np.einsum("spn,sp->sn", h, residual)
            w -= (w_step * a)[:, None] * of_w
            a -= a_step * of_a
            h, slope, f = forward()
            loss = relative_loss(f - y, f0 - y)
            if step == 0:
                found["first_step"] = np.abs(loss - 1.0)
            if not np.any(loss < _HOPELESS):
                break
        moved = {
            "features": _share(h - h0, h0),
            "weights": np.hypot(_norms(a - a0), _norms(w - w0)) / _norms(draws),
            "ntk": _share(kernel(h, slope) - kernel0, kernel0),
        }
    lost = ~(loss < _HOPELESS)
    found |= {name: np.where(lost, math.nan, values) for name, values in moved.items()}
    return found | {"loss": np.where(lost, math.inf, loss)}


def _norms(arrays: Floats) -> Floats:
    return np.asarray(np.sqrt(np.sum(arrays.reshape(len(arrays), -1) ** 2, axis=1)))


def _share(changes: Floats, arrays: Floats) -> Floats:
    """|changes|/|arrays|, and 0 where these are 0: all is dead there, and nothing moves."""
    sizes = _norms(arrays)
    return np.where(sizes > 0.0, _norms(changes) / np.where(sizes > 0.0, sizes, 1.0), 0.0)


def _batches(n: int, samples: int, numbers: int) -> Iterator[range]:
    size = max(1, min(samples, _BATCH // (n * numbers)))
    for start in range(0, samples, size):
        yield range(start, min(start + size, samples))


def _data(points: int, n0: int, seed: int, nets: range) -> DataSets:
    count = points * (n0 + 1)
    draws = np.stack([normals(seed, streams.SCALINGS_DATA.first + s, count) for s in nets])
    x = draws[:, : points * n0].reshape(-1, points, n0)
    return x / np.linalg.norm(x, axis=2, keepdims=True), draws[:, points * n0 :]


def _given_data(x: Data | None, y: Data | None) -> DataSets | None:
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together")
    if x is None or y is None:
        return None
    inputs = data_of(x, "x")
    return inputs[None], target_vector(y, len(inputs))[None]


def _note(quantity: str, values: Floats) -> str:
    if not np.isfinite(values).all():
        return "training diverges"
    if values.all():
        return ""
    return "does not move" if quantity in _MOVEMENTS else "is 0"


def _drift(sizes: Floats, logs: Floats) -> str:
    """Say how the exponent changes from the smaller widths to the larger, if it surely does."""
    if len(sizes) < 3:
        return ""
    middle = len(sizes) // 2
    small = log_slopes(sizes[: middle + 1], logs[: middle + 1])
    large = log_slopes(sizes[middle:], logs[middle:])
    change, error = mean_of(large - small)
    if not abs(change) > _SURE * error:
        return ""
    return f"widths are too small: the exponent goes from {small.mean():.3g} to {large.mean():.3g}"


def _table(
    widths: Sequence[int],
    measured: dict[tuple[str, int], dict[str, Floats]],
    kinked: bool,
    meta: Meta,
) -> Table:
    rows: list[dict[str, Any]] = []
    lines, points = [], []
    sizes = np.array(widths, dtype=np.float64)
    for name, regime in REGIMES.items():
        for quantity, theory in regime.exponents.items():
            values = np.stack([measured[name, n][quantity] for n in widths])
            if kinked and quantity == "ntk":
                theory = regime.exponents["weights"]
            with np.errstate(all="ignore"):
                logs, note = np.log(values), _note(quantity, values)
                log_mean, log_error = mean_and_stderr(logs, axis=1)
                mean = np.exp(log_mean)
                error = mean * log_error
            exponent, stderr = (np.nan, np.nan) if note else mean_of(log_slopes(sizes, logs))
            z = float(z_score(exponent - theory, stderr))
            note = note or joined(ASYMPTOTIC, _drift(sizes, logs), note_on_z(logs.shape[1]))
            for n, m, e in zip(widths, mean, error, strict=True):
                rows.append(
                    {
                        "regime": name,
                        "width": n,
                        "quantity": quantity,
                        "mean": m,
                        "stderr": e,
                        "exponent": exponent,
                        "exponent_stderr": stderr,
                        "theory": theory,
                        "z": z,
                        "note": note,
                    }
                )
            if quantity in _DRAWN.get(name, ()) and np.isfinite(exponent):
                # A line of the exponent in theory, through the largest width.
                label = f"{_SYMBOLS[quantity]}, {name}: $n^{{{theory:g}}}$"
                lines.append(("", sizes, mean[-1] * (sizes / sizes[-1]) ** theory))
                points.append((label, sizes, mean, error))
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    plot = Lines(
        lines=tuple(lines),
        points=tuple(points),
        pairs=True,
        log_x=True,
        log_y=True,
        x_label="width $n$",
        y_label="relative change in training",
    )
    return Table(columns, meta, plot=plot)
