"""Whether SGD on a small network has become stationary."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._activations.activation import activation
from nnth._lab.batches import WithReplacement
from nnth._lab.descent import Descent
from nnth._lab.model import Model
from nnth._lab.objective import Objective, Penalty
from nnth._lab.optimizers import SGD
from nnth._lab.parametrization import LayerScale
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._sgd.rows import Relation, table_of
from nnth._tables.plot import Lines, unreliable
from nnth._tables.statistics import mean_of
from nnth._tables.table import Meta, Table

_INPUTS: Final = 4
_POINTS: Final = 32
_NETS: Final = 32
MAX_STEPS: Final = 10**6
_NOTE: Final = "z tests whether the networks are stationary, which takes time"


@serial_blas
def net_relations(
    *,
    width: int = 8,
    eta: float = 0.1,
    batch: int = 4,
    weight_decay: float = 0.01,
    steps: int = 16384,
    seed: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return a test of whether SGD on a small network is stationary, for windows of its steps.

    With the gradient g_B of a batch, any T steps from theta_0 to theta_T satisfy ::

        mean[theta.g_B] - (eta/2) mean[|g_B|^2] = (|theta_0|^2 - |theta_T|^2)/(2 eta T)

    In a stationary state both sides have the mean 0. The loss is `(f - y)^2/2 + (weight_decay/2)
    |theta|^2` for f = a.tanh(W x + c) on 32 points x of 4 standard normals with normal targets y;
    32 networks start from different weights.

    Args:
        width: Width of the hidden layer, from 1 to 256.
        eta: Learning rate.
        batch: Points in a batch, drawn with replacement.
        weight_decay: Coefficient of the L2 penalty; at 0 a stationary state may not exist.
        steps: Number of steps, from 64 to 10^6, in windows each as long as all before it.
        seed: Seed of data, networks and batches.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A Table with a row per window: relation ("path"), case (the steps of the window), lhs =
        `mean[theta.g_B]`, rhs = `(eta/2) mean[|g_B|^2]`, the standard error stderr of their
        difference over networks, z = (lhs - rhs)/stderr, and limit, which is lhs from the end
        points of the window and equals it to rounding. A z of more than a few in size shows that
        the networks were not stationary in the window; a small z may be an accident, as the
        difference changes its sign on the way. i, j and lecture_value are not used.

    Raises:
        ValueError: If an argument is out of range.
        OverflowError: If the networks diverge at this learning rate.

    Accuracy: stderr is the only error beyond rounding. Cost: about 0.1 ms per step.

    Example:
        >>> table = nnth.net_relations(width=4, steps=128)
        >>> table["case"].tolist()
        ['steps 0 to 64', 'steps 64 to 128']
        >>> bool(np.allclose(table["lhs"], table["limit"]))
        True

    Source: Yaida (2019), eqs. 5-8.
    """
    width, batch, steps = (
        check_integer("width", width),
        check_integer("batch", batch),
        check_integer("steps", steps, 64),
    )
    limits = (("width", width, 256), ("batch", batch, 4096), ("steps", steps, MAX_STEPS))
    for name, value, most in limits:
        if value > most:
            raise ValueError(f"{name} must be at most {most}, not {value}")
    if not (0.0 < eta <= 1e3 and 0.0 <= weight_decay <= 1e3):
        raise ValueError(
            f"eta and weight_decay must be from 0 to 1000, not {eta:g} and {weight_decay:g}"
        )
    validated()
    data = normals(seed, streams.SGD_NET_DATA.first, _POINTS * (_INPUTS + 1)).reshape(
        _POINTS, _INPUTS + 1
    )
    x, y = np.hstack([data[:, :-1], np.ones((_POINTS, 1))]), data[:, -1]
    inner = width * (_INPUTS + 1)
    theta = np.stack([normals(seed, net, inner + width) for net in range(_NETS)])
    theta[:, :inner] /= math.sqrt(_INPUTS)
    theta[:, inner:] /= math.sqrt(width)
    objective = _objective(x, y, width, weight_decay)
    batches = WithReplacement(_POINTS, batch, _NETS, seed, streams.SGD_NET_BATCHES.first)
    descent = Descent(objective, SGD(eta), theta, batches=batches)
    ends = [64]
    while ends[-1] < steps:
        ends.append(min(2 * ends[-1], steps))
    rows, start = [], 0
    for end in ends:
        first = (descent.theta**2).sum(axis=1)
        pull, square = np.zeros_like(theta), np.zeros_like(theta)  # the terms of each parameter
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            for step in range(start, end):
                _, g = descent.gradient()
                pull += descent.theta * g
                square += g * g
                descent.advance(g)
                if progress is not None and step % 16 == 0:
                    progress(step, steps)
        if not (np.abs(descent.theta).max() < 1e100):
            raise OverflowError(f"eta must be smaller: networks diverge at {eta:g}")
        count = end - start
        left, right = pull.sum(axis=1) / count, 0.5 * eta * square.sum(axis=1) / count
        path = (first - (descent.theta**2).sum(axis=1)) / (2.0 * eta * count)
        rows.append(
            Relation(
                "path",
                f"steps {start} to {end}",
                float(left.mean()),
                float(right.mean()),
                mean_of(left - right)[1],
                limit=float((right + path).mean()),
                note=_NOTE,
            )
        )
        start = end
    settings = {"width": width, "eta": eta, "batch": batch, "weight_decay": weight_decay}
    over = np.array(ends, dtype=np.float64)
    lhs, rhs, error = (
        np.array([getattr(row, name) for row in rows]) for name in ("lhs", "rhs", "stderr")
    )
    picture = Lines(
        lines=((r"$(\eta/2)\,\langle |g_B|^2 \rangle$", over, rhs),),
        points=((r"$\langle \theta\cdot g_B \rangle$", over, lhs, error),),
        hollow=(unreliable(row.note for row in rows),),
        log_x=True,
        x_label="end of the window, steps",
        y_label="mean over the window",
    )
    return table_of(rows, Meta("sgd net", {**settings, "steps": steps}, seed), picture=picture)


def _objective(x: Floats, y: Floats, width: int, weight_decay: float) -> Objective:
    """Return the loss with the penalty, of networks with the parameters W row by row, and a."""
    model = Model(
        (x.shape[1], width, 1), (activation("tanh"),), (LayerScale(1.0),) * 2, (False,) * 2
    )
    return Objective(model, x, y[:, None], penalty=Penalty(weight_decay))
