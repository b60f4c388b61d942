"""Lazy and mean-field training of two-layer networks: changes as powers of the width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._data.data import Data, data_of, target_vector
from nnth._data.files import file_of
from nnth._lab.derivatives import tangent_kernel
from nnth._lab.descent import Descent
from nnth._lab.ensembles import chunks
from nnth._lab.losses import relative_loss
from nnth._lab.model import Model
from nnth._lab.objective import Objective
from nnth._lab.optimizers import SGD
from nnth._lab.parametrization import LayerScale
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._networks.network import MAX_WIDTH
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels, unreliable
from nnth._tables.statistics import (
    ASYMPTOTIC,
    joined,
    log_slopes,
    mean_and_stderr,
    mean_of,
    note_on_power,
    note_on_z,
    z_score,
)
from nnth._tables.table import Meta, Table

# Inputs `(networks or 1, m, n_0)` and targets `(networks or 1, m)`.
DataSets = tuple[Floats, Floats]

_DIVERGED_LOSS: Final = 1e100
_SYMBOLS: Final = {
    "features": "$|\\Delta h|/|h|$",
    "weights": "$|\\Delta \\theta|/|\\theta|$",
    "ntk": "$|\\Delta \\Theta|/|\\Theta|$",
    "eta_lambda": "$\\eta\\,\\lambda_{\\max}$",
}
_MOVEMENTS: Final = ("features", "weights", "ntk")
_DRAWN: Final = {
    "lazy": _MOVEMENTS,
    "mean field": _MOVEMENTS,
    "mean field at rate 1": ("eta_lambda",),
}


@dataclass(frozen=True)
class Regime:
    """f = n^-power sum_i a_i s(w_i.x), trained at n^a_rate eta_0 for a and n^w_rate eta_0 for w.

    exponents: exponent of the width for each quantity that has one. That of ntk is for smooth
    activations: with kinks, the fraction of neurons that cross a kink is as large as the relative
    change of weights, and so is the change of the kernel.
    """

    power: float
    a_rate: float
    w_rate: float
    exponents: dict[str, float]

    def model(self, act: Activation, n: int, n0: int) -> Model:
        """Return the networks of width n, with the parameters w row by row, and a."""
        scales = (
            LayerScale(1.0, weight_rate=n**self.w_rate),
            LayerScale(1.0, weight_rate=n**self.a_rate, weight_multiplier=n**-self.power),
        )
        return Model((n0, n, 1), (act,), scales, (False, False))


# In the parameters A = a/n and w, one rate for both is n^2 times the rate for a.
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
    samples: int = 32,
    steps: int = 50,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how far trained two-layer networks move, as powers of their width.

    With a_i and the entries of w_i ~ N(0, 1), full-batch gradient descent on both layers::

        f(x) = n^-p sum_i a_i s(w_i.x),    loss sum_a (f(x_a) - y_a)^2/2,    eta_0 = 1/(2 m).

    Regimes: "lazy", p = 1/2 at the rate eta_0; "mean field", p = 1 at the rate n eta_0, at which f
    moves as fast; "frozen", p = 1 at the rate eta_0, which learns nothing; "mean field at rate 1",
    in the parameters A = a/n and w at the rate eta_0 for both, as in lecture notes, where the
    tangent kernel is of order n and the loss explodes.

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z.
        width: Widths n to compare, two or more, ascending.
        x: Inputs `(m, n_0)`: an array, a file or a named data set, only with y.
        y: Targets `(m,)`.
        points: Number m of inputs on the unit sphere without x, with targets y ~ N(0, 1); both are
            drawn anew for each sample, and are the same at all widths.
        n0: Dimension n_0 of these inputs.
        samples: Number of networks of each width, at least 2.
        steps: Number of steps, at least 1.
        seed: Seed of the random numbers; sample s is stream s of it.
        threads: Number of threads that draw weights, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total).

    Returns:
        A Table with one row for each regime, width and quantity. Columns: regime, width, quantity;
        mean (geometric) and stderr over samples; exponent, the mean over samples of the slope of
        the logarithm against that of the width, and exponent_stderr; theory, the exponent at large
        widths; z, of the exponent; note, why a quantity has no exponent, and whether the exponent
        changes from the smaller to the larger widths by more than three standard errors, so that
        they are too small for theory. Quantities: "output", root mean square of f before training;
        "features", "weights" and "ntk", changes of s(w.x), of all parameters and of the tangent
        kernel on the data, relative to their norms; "loss", after training over before;
        "eta_lambda", rates times the largest eigenvalue of the tangent kernel before training,
        which must be below 2 for gradient descent to converge; "first_step", the relative change
        of the loss in one step.

    Raises:
        ValueError: An argument is out of range.
        KeyboardInterrupt: With the number of trainings that were done.

    Accuracy: theory is for large widths, and at finite ones exponents differ from it by more than
    their standard error; most of all that of the lazy kernel for activations with kinks, -1/2 in
    the limit and -0.64 for relu at widths from 256 to 16384. Cost: 40 ns a network, step, neuron
    and point.

    Example:
        >>> table = nnth.training_scalings(width=[16, 64, 256], samples=4, steps=20)
        >>> rows = (table["quantity"] == "features") & (table["width"] == 16)
        >>> dict(zip(table["regime"][rows].tolist(), table["theory"][rows].tolist()))
        {'lazy': -0.5, 'mean field': 0.0, 'frozen': -1.0}

    Source: Chizat et al. (2019); Mei et al. (2018); Jacot et al. (2018).
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
                for nets in chunks(regime.model(chosen, n, n0), samples, points):
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
    """Return whether s' jumps at a kink that preactivations reach."""
    for at in act.core.breaks(8.0):
        _, derivatives, _ = act.core.evaluate(np.array([at - 1e-7, at + 1e-7]))
        if abs(derivatives[1] - derivatives[0]) > 1e-4:
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

    data: one data set for each network, or one for all. Where the loss diverged it is infinite, and
    the changes are NaN.
    """
    x, y = data
    n0 = x.shape[2]
    draws = np.stack([normals(seed, s, n * (n0 + 1), threads=threads) for s in nets])
    each = draws.reshape(-1, n, n0 + 1)
    model = regime.model(act, n, n0)
    start = np.concatenate([each[:, :, 1:].reshape(len(nets), -1), each[:, :, 0]], axis=1)
    factors = 1.0 if model.multipliers is None else model.multipliers
    model = model.folded()
    objective = Objective(model, x, y[:, :, None], mean=False)
    descent = Descent(objective, SGD(0.5 / x.shape[1]), start * factors)

    def residuals() -> Floats:
        return objective.outputs(descent.theta)[:, :, 0] - y

    def features_and_kernel() -> tuple[Floats, Floats]:
        features = model.run(descent.theta, x).inputs[1]
        return features, tangent_kernel(model, descent.theta, x)

    with np.errstate(over="ignore", invalid="ignore"):
        before, (h0, kernel0) = residuals(), features_and_kernel()
        if not np.isfinite(kernel0).all():
            raise ValueError(
                f"x must be smaller: the tangent kernel of {act.name} leaves the range of doubles"
            )
        found = {
            "output": np.sqrt(np.mean((before + y) ** 2, axis=1)),
            "eta_lambda": descent.optimizer.eta * np.linalg.eigvalsh(kernel0)[:, -1],
        }
        highest = _DIVERGED_LOSS * objective.value(descent.theta)
        for _ in range(steps):
            loss, gradient = descent.gradient()
            if descent.step and not np.any(loss <= highest):
                break
            descent.advance(gradient)
            if descent.step == 1:
                found["first_step"] = np.abs(relative_loss(residuals(), before) - 1.0)
        loss, (h, kernel) = relative_loss(residuals(), before), features_and_kernel()
        changes = {
            "features": _relative_norms(h - h0, h0),
            "weights": _relative_norms(descent.theta / factors - start, start),
            "ntk": _relative_norms(kernel - kernel0, kernel0),
        }
    diverged = ~(loss < _DIVERGED_LOSS)
    found |= {name: np.where(diverged, math.nan, values) for name, values in changes.items()}
    return found | {"loss": np.where(diverged, math.inf, loss)}


def _norms(arrays: Floats) -> Floats:
    return np.asarray(np.sqrt(np.sum(arrays.reshape(len(arrays), -1) ** 2, axis=1)))


def _relative_norms(changes: Floats, arrays: Floats) -> Floats:
    """Return |changes|/|arrays|, and 0 where the arrays are 0, as those of dead networks."""
    sizes = _norms(arrays)
    return np.where(sizes > 0.0, _norms(changes) / np.where(sizes > 0.0, sizes, 1.0), 0.0)


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


def _table(
    widths: Sequence[int],
    measured: dict[tuple[str, int], dict[str, Floats]],
    kinked: bool,
    meta: Meta,
) -> Table:
    rows: list[dict[str, Any]] = []
    lines: dict[bool, list[Any]] = {True: [], False: []}
    points: dict[bool, list[Any]] = {True: [], False: []}
    hollow: dict[bool, list[Any]] = {True: [], False: []}
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
            note = note or joined(ASYMPTOTIC, note_on_power(sizes, logs), note_on_z(logs.shape[1]))
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
                # The line has the theoretical exponent and goes through the largest width.
                label = f"{_SYMBOLS[quantity]}, {name}: $n^{{{theory:g}}}$"
                moves = quantity in _MOVEMENTS
                lines[moves].append(("", sizes, mean[-1] * (sizes / sizes[-1]) ** theory))
                points[moves].append((label, sizes, mean, error))
                hollow[moves].append(unreliable([note] * len(sizes)))
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    panels = tuple(
        Lines(
            lines=tuple(lines[moves]),
            points=tuple(points[moves]),
            hollow=tuple(hollow[moves]),
            pairs=True,
            log_x=True,
            log_y=True,
            x_label="width $n$",
            y_label=label,
        )
        for moves, label in (
            (True, "relative change in training"),
            (False, "$\\eta\\,\\lambda_{\\max}$ at the start"),
        )
        if points[moves]
    )
    return Table(columns, meta, plot=Panels(panels=panels) if panels else None)
