"""Trajectories of gradient descent on one data point, step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._catapult.start import (
    DEFAULT_ETA_LAMBDA0,
    ENDINGS,
    MODELS,
    Rates,
    Start,
    check_run,
    phase_of,
    rates_of,
    start_of,
    steps_of,
)
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.table import Meta, Table

Columns = dict[str, list[Any]]  # arrays of each column, one for each trajectory

_MEMORY_FRACTION: Final = 0.3
_BYTES_PER_ROW: Final = 600  # including texts
_MAX_CURVES: Final = 12
_MIN_LOSS_SHOWN, _MAX_LOSS_SHOWN, _MAX_CURVATURE_SHOWN = 1e-12, 1e4, 8.0


def catapult(
    eta: float | Sequence[float] | None = None,
    *,
    eta_lambda0: float | Sequence[float] | None = None,
    target: float = 0.0,
    kappa: float | None = None,
    lambda0: float | None = None,
    z0: float | None = None,
    width: int = 1024,
    n0: int = 10,
    samples: int = 0,
    steps: int = 60,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the steps of gradient descent on one data point: output, curvature and loss.

    A network z = n^(-1/2) sum_i v_i relu(u_i.x/n_0^(1/2)) of width n, whose gates do not change,
    with the loss (z - y)^2/2, r = z - y, kappa = `|x|^2/(n n_0)` and the tangent kernel lambda
    obeys exactly::

        r' = r (1 - eta lambda + kappa eta^2 z r),
        lambda' = lambda + eta kappa r (eta lambda r - 4 z).

    For y = 0 training is lazy below eta lambda_0 = 2. From there to 4 the loss grows, to order n at
    most, until lambda, which only falls, is small enough for it to fall: the catapult. Beyond 4 it
    diverges. For other y the threshold is 4 + kappa eta^2 y (z_0 - y), as the line eta lambda = 4 +
    kappa eta^2 y r is mapped to itself. A network whose gates are free departs from this.

    Args:
        eta: Learning rates, one or more, ascending.
        eta_lambda0: Instead, learning rates times lambda_0 of each start; by default 0.5, 3 and
            4.5, one for each phase.
        target: Target y of the data point.
        kappa: `|x|^2/(n n_0)`, above 0. Default: 1/width, that is `|x|^2` = n_0.
        lambda0: Tangent kernel of the recursion at the start without networks. Default: 1.
            Networks have lambda_0 >= 2 kappa^(1/2) `|z_0|`; `note` says where a start has less.
        z0: Output of the recursion at the start without networks. Default: 1.
        width: Width n of the networks.
        n0: Their input dimension n_0.
        samples: Number of networks drawn, v_i and the entries of u_i ~ N(0, 1), and trained with
            frozen and with free gates, besides the recursion from their own z_0 and lambda_0; 0 for
            the recursion alone.
        steps: Number of steps, from 1 to 10^7.
        seed: Seed of the random numbers; network s is stream s of it.
        threads: Number of threads, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total).

    Returns:
        A Table with one row for each step of each rate, sample and model. Columns: step (0 is the
        start), z, lambda, loss; phase (by eta lambda_0, for y = 0); model ("recursion", "frozen
        gates" or "relu"); sample, eta and eta_lambda0; flipped, the fraction of gates that have
        changed; deviation, the distance of z - y and lambda from the recursion, relative to the
        largest `|z - y|` so far and to lambda (inf once the recursion has diverged); outcome and
        outcome_step; error; note. Outcomes: "converged", at the first step with eta lambda < 2 and
        `|z - y|` below 1e-6 of the first; "diverged", at the first with `|z - y|` above 1e100, from
        which it never returns, and which has no row; "dead", with all gates shut, where all
        gradients are 0 and the rows end; "unsettled".

    Raises:
        ValueError: An argument is out of range.
        MemoryError: The rows would not fit; raised before any work.

    Accuracy: `error`, the estimated relative error of z - y and lambda. Recursion and frozen gates
    are computed in numbers of 106 bits, as errors grow by orders of magnitude while the loss does;
    free gates in doubles, without an estimate (NaN). Cost: 0.3 ns a neuron and step for free gates,
    some 50 ns for frozen ones.

    Example:
        >>> table = nnth.catapult()
        >>> table["outcome"][table["step"] == 0].tolist()
        ['converged', 'unsettled', 'diverged']

    Source: Lewkowycz et al. (2020), arXiv:2003.02218; Zhu et al. (2022), arXiv:2205.11787.
    """
    start = start_of(lambda0, z0, target, kappa, width, n0, samples)
    rates = rates_of(eta, eta_lambda0, DEFAULT_ETA_LAMBDA0)
    steps = steps_of(steps)
    check_run(seed, threads)
    _check_memory(start, rates, steps)
    validated()
    columns: Columns = {}
    count = len(rates.values)
    for i, rate in enumerate(rates.values):
        if not start.samples:
            _append(columns, [_recursion(start, rate, rates.relative_to_curvature, steps)])
            continue

        def on_progress(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, count * total)

        trajectories, outcomes = _core.catapult_trajectories(
            start.width,
            start.x,
            start.target,
            rate,
            rates.relative_to_curvature,
            steps,
            seed,
            0,
            start.samples,
            threads,
            on_progress,
        )
        for sample in range(start.samples):
            eta_lambda0_given = rate if rates.relative_to_curvature else None
            _append(
                columns, _network_rows(start, eta_lambda0_given, trajectories, outcomes, sample)
            )
    arrays = {name: np.concatenate(values) for name, values in columns.items()}
    parameters = rates.parameter | start.parameters() | {"steps": steps}
    meta = Meta("catapult trajectory", parameters, seed=seed if start.samples else None)
    return Table(arrays, meta, plot=_picture(arrays, start, rates))


def _recursion(start: Start, rate: float, relative_to_curvature: bool, steps: int) -> Columns:
    assert start.lambda0 is not None
    assert start.z0 is not None
    eta = rate / start.lambda0 if relative_to_curvature else rate
    found = _core.catapult_trajectory(
        eta, start.kappa, start.target, start.z0, start.lambda0, steps
    )
    ending, step = int(found["ending"][0]), int(found["step"][0])
    zero = np.zeros(len(found["z"]))
    first = rate if relative_to_curvature else eta * start.lambda0
    return _rows(
        start,
        first,
        0,
        0,
        found["z"],
        found["lambda"],
        eta,
        zero,
        zero,
        ending,
        step,
        found["error"],
    )


def _network_rows(
    start: Start,
    eta_lambda0: float | None,
    trajectories: dict[str, Any],
    outcomes: dict[str, Any],
    sample: int,
) -> list[Columns]:
    """Return the rows of all models of a network, those of the recursion first."""
    out = []
    own = {name: trajectories[name][sample, 0] for name in ("z", "lambda")}
    recursion_length = int(trajectories["length"][sample, 0])
    for model in range(len(MODELS)):
        count = int(trajectories["length"][sample, model])
        z, curvature, flipped, error = (
            trajectories[name][sample, model, :count]
            for name in ("z", "lambda", "flipped", "error")
        )
        both = min(count, recursion_length)
        deviation = np.full(count, math.inf)
        with np.errstate(all="ignore"):
            size = np.maximum.accumulate(np.abs(own["z"][:both] - start.target))
            of_z = np.abs(z[:both] - own["z"][:both]) / np.where(size > 0.0, size, 1.0)
            at = own["lambda"][:both]
            of_lambda = np.abs(curvature[:both] - at) / np.where(at != 0.0, np.abs(at), 1.0)
        deviation[:both] = np.maximum(of_z, of_lambda)
        if model == 1:  # computed in the same arithmetic, with errors that grow alike
            error = trajectories["error"][sample, 0, :count]
            error = np.append(error, np.full(count - len(error), math.nan))
        elif model == 2:
            error = np.full(count, math.nan)
        eta = float(outcomes["eta"][sample, model])
        first = eta * float(curvature[0]) if eta_lambda0 is None else eta_lambda0
        out.append(
            _rows(
                start,
                first,
                model,
                sample,
                z,
                curvature,
                eta,
                flipped,
                deviation,
                int(outcomes["ending"][sample, model]),
                int(outcomes["step"][sample, model]),
                error,
            )
        )
    return out


def _rows(
    start: Start,
    first: float,
    model: int,
    sample: int,
    z: Floats,
    curvature: Floats,
    eta: float,
    flipped: Floats,
    deviation: Floats,
    ending: int,
    step: int,
    error: Floats,
) -> Columns:
    count = len(z)
    phase = "dead" if curvature[0] == 0.0 else phase_of(first)
    columns: dict[str, Any] = {
        "step": np.arange(count),
        "z": z,
        "lambda": curvature,
        "loss": 0.5 * (z - start.target) ** 2,
        "phase": phase,
        "model": MODELS[model],
        "sample": sample,
        "eta": eta,
        "eta_lambda0": first,
        "flipped": flipped,
        "deviation": deviation,
        "outcome": ENDINGS[ending],
        "outcome_step": step,
        "error": error,
        "note": _note(start, z, curvature, first, ending),
    }
    return {name: [np.broadcast_to(value, count)] for name, value in columns.items()}


def _note(start: Start, z: Floats, curvature: Floats, first: float, ending: int) -> str:
    if not start.samples and curvature[0] < 2.0 * math.sqrt(start.kappa) * abs(z[0]):
        return "no network starts here: lambda0 is below 2 sqrt(kappa) |z0|"
    if start.target != 0.0 and (first < 4.0) == (ENDINGS[ending] == "diverged"):
        return "the target is not 0: the threshold is 4 + kappa eta^2 target (z_0 - target)"
    return ""


def _append(columns: Columns, parts: Sequence[Columns] | list[Columns]) -> None:
    """Add the trajectories of a network, with their rows in the order of steps."""
    joined = {name: np.concatenate([p[name][0] for p in parts]) for name in parts[0]}
    order = np.argsort(joined["step"], kind="stable")
    for name, values in joined.items():
        columns.setdefault(name, []).append(values[order])


def _check_memory(start: Start, rates: Rates, steps: int) -> None:
    trajectories = len(MODELS) * start.samples or 1
    rows = len(rates.values) * trajectories * (steps + 1)
    what = f"samples or steps must be fewer (catapult phases has no steps): {rows} rows"
    check_memory(rows * _BYTES_PER_ROW, what, fraction=_MEMORY_FRACTION)


def _picture(columns: dict[str, Any], start: Start, rates: Rates) -> Panels:
    """Draw loss and curvature of the first network against the steps."""
    losses: list[tuple[str, Floats, Floats]] = []
    curvatures: list[tuple[str, Floats, Floats]] = []
    models = MODELS if start.samples else MODELS[:1]
    most = max(1, _MAX_CURVES // len(models))
    shown = rates.values[:most]
    first = columns["sample"] == 0
    # Axis limits: the smallest value relative to the first, and the largest peak shown.
    limits = (
        _MIN_LOSS_SHOWN * max(float(columns["loss"][0]), 1e-300),
        _MAX_LOSS_SHOWN / start.kappa,
    )
    ends = np.append(np.flatnonzero(np.diff(columns["eta"][first])) + 1, first.sum())
    at = 0
    for end in ends[: len(shown)].tolist():
        of_rate = np.flatnonzero(first)[at:end]
        at = end
        for name in models:
            rows = of_rate[columns["model"][of_rate] == name]
            label = f"$\\eta\\lambda_0 = {columns['eta_lambda0'][rows[0]]:.3g}$"
            if len(models) > 1:
                label += f", {name}"
            step = columns["step"][rows].astype(np.float64)
            loss, curvature = columns["loss"][rows], columns["eta"][rows] * columns["lambda"][rows]
            losses.append((label, *_within(step, loss, *limits)))
            curvatures.append((label, *_within(step, curvature, 0.0, _MAX_CURVATURE_SHOWN)))
    last = max(float(x[-1]) for _, x, _ in losses)  # the last step with a loss in the picture
    curvatures = [(label, x[x <= last], y[x <= last]) for label, x, y in curvatures]
    note = "" if start.samples <= 1 else "network 0 is drawn"
    if len(rates.values) > most:
        note = "; ".join(filter(None, [note, f"the first {most} rates are drawn"]))
    edge = ("$\\eta\\lambda = 2$", np.array([0.0, last]), np.array([2.0, 2.0]))
    return Panels(
        panels=(
            Lines(
                lines=tuple(losses),
                log_y=True,
                x_label="step $t$",
                y_label="loss $(z - y)^2/2$",
                note=note,
            ),
            Lines(
                lines=(*curvatures, edge),
                x_label="step $t$",
                y_label="curvature $\\eta\\lambda$",
                note=note,
            ),
        )
    )


def _within(x: Floats, y: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """Return the curve up to the first point beyond these limits, which is put on the limit."""
    out = np.flatnonzero(~((y >= low) & (y <= high)))
    end = int(out[0]) + 1 if len(out) else len(y)
    shown = np.clip(y[:end], low, high)
    return x[:end], np.where(shown > 0.0, shown, math.nan)
