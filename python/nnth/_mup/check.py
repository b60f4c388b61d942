"""How far one optimizer moves the layers of networks of several widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._activations.activation import activation
from nnth._kernels.kernel import variances
from nnth._lab.descent import Descent
from nnth._lab.ensembles import chunks
from nnth._lab.model import Model, model, preactivations
from nnth._lab.objective import Objective
from nnth._lab.optimizers import SGD, Adam
from nnth._mup.theory import (
    MAX_DEPTH,
    Kind,
    Name,
    change_slopes,
    check_network_memory,
    exponents,
    lab_name,
)
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._networks.network import MAX_WIDTH
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals, uniforms
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, unreliable
from nnth._tables.statistics import joined, log_slopes, mean_and_stderr, mean_of, note_on_power
from nnth._tables.table import Meta, Table

_EPS: Final = float(np.finfo(float).eps)
_ROUNDING: Final = 1e-3  # the largest error of a change, relative to it, from rounding
_SATURATED: Final = 0.1  # a change over the preactivations from which it is no longer small
_SYMBOLS: Final = {"input": "$z^1$", "hidden": "$z^L$", "output": "$f$"}


@serial_blas
def mup_check(
    parametrization: Name = "mup",
    *,
    optimizer: Kind = "sgd",
    width: Sequence[int] = (64, 128, 256, 512, 1024, 2048),
    depth: int = 3,
    act: str = "tanh",
    cw: float | None = None,
    n0: int = 10,
    points: int = 8,
    eta: float = 1e-6,
    steps: int = 3,
    samples: int = 20,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the exponents of a parametrization, and how far training moves each layer.

    The networks have `depth` hidden layers of width n, one output and no biases. With
    W = n^multiplier w, w ~ N(0, c n^variance) and the learning rate eta n^rate of w, where c does
    not depend on n, `steps` full-batch steps are taken on the loss sum_a (f(x_a) - y_a)^2/(2 m). A
    parametrization is maximal update ("mup") if no layer moves by a power of n.

    Args:
        parametrization: "sp" (standard, with one learning rate for all layers), "mup", "ntk" or
            "mean-field"; the last one has one hidden layer.
        optimizer: "sgd", or "adam" with beta1 = 0.9, beta2 = 0.999 and epsilon = 0.
        width: Widths n to compare, two or more, ascending.
        depth: Number of hidden layers, 1 to 1000.
        act: Activation: a name, `name:parameter`, or an expression in z.
        cw: Weight variance C_w over the fan-in, of z^1 over n_0; by default critical for act.
        n0: Dimension of the inputs, at least 1.
        points: Number m of standard normal inputs, with targets of +1 or -1; they are the same for
            all networks.
        eta: Learning rate, positive. Theory is for small ones, at which a change is linear in eta.
        steps: Number of steps, at least 1.
        samples: Number of networks of each width, at least 2.
        seed: Seed of the random numbers; network s is stream s of it at every width.
        threads: Number of threads that draw weights, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total).

    Returns:
        A Table with a row for each kind of layer: input (W_1), hidden (W_2 to W_L, none at depth 1)
        and output. Columns: layer; variance, multiplier, rate; theory_slope, the power of n, at a
        small rate, of the root mean square over inputs and units of the change of z^1 (input), of
        z^L (hidden) and of f (output); slope, the mean over networks of the slope of its logarithm
        against log n, and slope_stderr; start, the root mean square of the same preactivations
        before training at the largest width, and change, that of their change (geometric means);
        note, where the changes are not small, are rounding, or follow no power of n at these
        widths.

    Raises:
        ValueError: If an argument is out of range, or the networks diverge.
        MemoryError: If a network does not fit in memory.

    Accuracy: slopes at finite widths differ from theory by more than slope_stderr, at the default
    widths by up to 0.1. Cost: about 100 ns a weight, step and network.

    Example:
        >>> table = nnth.mup_check("sp", width=[32, 64, 128], samples=4)
        >>> dict(zip(table["layer"].tolist(), table["theory_slope"].tolist()))
        {'input': -0.5, 'hidden': 0.5, 'output': 1.0}

    Source: Yang and Hu (2021), table 1; Yang et al. (2022), tables 3 and 8.
    """
    depth = check_integer("depth", depth, maximum=MAX_DEPTH)
    powers = exponents(parametrization, optimizer, depth)
    chosen = activation(act)
    sizes = [check_integer("width", n) for n in width]
    if len(sizes) < 2 or sizes != sorted(set(sizes)):
        raise ValueError(f"width must be two or more, ascending, not {','.join(map(str, sizes))}")
    if sizes[-1] > MAX_WIDTH:
        raise ValueError(f"width must be at most {MAX_WIDTH}, not {sizes[-1]}")
    n0, points = check_integer("n0", n0), check_integer("points", points)
    steps, samples = check_integer("steps", steps), check_integer("samples", samples, 2)
    if samples >= MAX_SAMPLES:
        raise ValueError(f"samples must be below {MAX_SAMPLES}, not {samples}")
    rule = SGD(eta) if optimizer == "sgd" else Adam(eta, epsilon=0.0)
    models = {
        n: model(
            n0,
            (n,) * depth,
            act=act,
            cw=cw,
            biases=False,
            parametrization=lab_name(parametrization),
            optimizer=optimizer,
        )
        for n in sizes
    }
    check_network_memory(models[sizes[-1]], points, "width, depth, n0 or points")
    outcomes = len(sizes) * samples * (6 if depth > 1 else 4)
    check_memory(2 * 8 * outcomes, "samples must be fewer: their changes", fraction=0.5)
    _core.thread_count(threads)
    validated()
    x = normals(seed, streams.MUP_INPUTS.first, points * n0).reshape(points, n0)
    y = np.where(uniforms(seed, streams.MUP_TARGETS.first, points) < 0.5, -1.0, 1.0)[:, None]
    total, done = samples * sum(one.size for one in models.values()), 0
    found = {}
    for n, one in models.items():
        parts = []
        for nets in chunks(one, samples, points):
            descent = Descent(Objective(one, x, y), rule, one.draw(nets, seed=seed))
            parts.append(_sizes_and_changes(one, descent, x, steps))
            done += len(nets) * one.size
            if progress is not None:
                progress(done, total)
        found[n] = np.concatenate(parts)
    measured = np.stack([found[n] for n in sizes])  # (widths, samples, layers, start and change)
    parameters = {
        "parametrization": parametrization,
        "optimizer": optimizer,
        "width": tuple(sizes),
        "depth": depth,
        "act": chosen.name,
        "cw": variances(chosen, None, cw)[1],
        "n0": n0,
        "points": points,
        "eta": eta,
        "steps": steps,
        "samples": samples,
    }
    slopes = change_slopes(powers, optimizer)
    return _table(powers, slopes, sizes, measured, Meta("mup check", parameters, seed=seed))


def _sizes_and_changes(one: Model, descent: Descent, x: Floats, steps: int) -> Floats:
    """Train, and return the sizes of z^1, z^L, f and of their changes `(networks, layers, 2)`."""
    last = len(one.sizes) - 1
    at = sorted({1, last - 1, last})
    before = preactivations(one, descent.theta, x, at)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in descent.take(steps):
            pass
        after = preactivations(one, descent.theta, x, at)
        pairs = [(_size(z), _size(moved - z)) for z, moved in zip(before, after, strict=True)]
    return np.stack([np.stack(pair, axis=-1) for pair in pairs], axis=1)


def _size(values: Floats) -> Floats:
    """Return the root mean square over inputs and units, of each network."""
    return np.asarray(np.sqrt(np.mean(values**2, axis=(-2, -1))))


def _table(
    powers: dict[str, Any],
    theory: dict[str, float],
    widths: Sequence[int],
    measured: Floats,
    meta: Meta,
) -> Table:
    sizes = np.array(widths, dtype=np.float64)
    rows, lines, points, hollow = [], [], [], []
    for i, (layer, power) in enumerate(powers.items()):
        start, change = measured[:, :, i, 0], measured[:, :, i, 1]
        note = _note(start, change)
        with np.errstate(all="ignore"):
            logs = np.log(change)
            mean, error = mean_and_stderr(logs, axis=1)
            slope, stderr = mean_of(log_slopes(sizes, logs))
            typical = float(np.exp(np.log(start[-1]).mean()))
        note = joined(note, note_on_power(sizes, logs)) if np.isfinite(slope) else note
        rows.append(
            {
                "layer": layer,
                "variance": power.variance,
                "multiplier": power.multiplier,
                "rate": power.rate,
                "theory_slope": theory[layer],
                "slope": slope if np.isfinite(slope) else np.nan,
                "slope_stderr": stderr,
                "start": typical,
                "change": float(np.exp(mean[-1])),
                "note": note,
            }
        )
        if np.isfinite(mean).all():
            height = np.exp(mean)
            label = f"{layer}, {_SYMBOLS[layer]}: $n^{{{theory[layer]:g}}}$"
            lines.append(("", sizes, height[-1] * (sizes / sizes[-1]) ** theory[layer]))
            points.append((label, sizes, height, height * error))
            hollow.append(unreliable([note] * len(sizes)))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    picture = Lines(
        lines=tuple(lines),
        points=tuple(points),
        hollow=tuple(hollow),
        pairs=True,
        log_x=True,
        log_y=True,
        x_label="width $n$",
        y_label="change of preactivations in training",
    )
    return Table(columns, meta, plot=picture if points else None)


def _note(start: Floats, change: Floats) -> str:
    """Return why changes `(widths, samples)` have no slope, or one of another rate."""
    if not np.isfinite(change).all():
        return "training diverges"
    if not change.all():
        return "does not move"
    if (_EPS * start > _ROUNDING * change).any():
        return "the change is of the size of its rounding: eta is too small"
    if (change > _SATURATED * start).any():
        return "the changes saturate: theory is of small learning rates"
    return ""
