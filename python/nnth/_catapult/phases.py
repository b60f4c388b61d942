"""The outcome of training on one data point over learning rates: lazy, catapult, divergent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._catapult.start import (
    ENDINGS,
    MODELS,
    Rates,
    Start,
    check_run,
    peak_time,
    phase_of,
    rates_of,
    start_of,
    steps_of,
)
from nnth._networks.ensemble import in_parts
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.table import Meta, Table

DEFAULT_ETA_LAMBDA0: Final = tuple(i / 10 for i in range(2, 47))

_FIELDS: Final = ("ending", "step", "eta", "z", "lambda", "peak", "peak_step")
_MEMORY_FRACTION: Final = 0.3
_LOW_QUANTILE, _HIGH_QUANTILE = 0.1, 0.9


@dataclass
class Endings:
    """Outcomes of trainings: fields of Outcome (recursion.hpp), `(networks, rates, models)`."""

    fields: dict[str, Any]

    def merge(self, other: Endings) -> Endings:
        """Return the outcomes of both ranges of networks."""
        joined = {name: np.concatenate([self.fields[name], other.fields[name]]) for name in _FIELDS}
        return Endings(joined)


def catapult_phases(
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
    steps: int = 1000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how gradient descent on one data point ends, at each of many learning rates.

    The models are those of `nnth.catapult`. For the target y = 0 in theory::

        lazy for eta lambda_0 < 2 < catapult < 4 < divergent.

    Args:
        eta: Learning rates, one or more, ascending.
        eta_lambda0: Instead, learning rates times lambda_0 of each start; by default 0.2, 0.3, ...,
            4.6.
        target: Target y of the data point.
        kappa: `|x|^2/(n n_0)`, above 0. Default: 1/width, that is `|x|^2` = n_0.
        lambda0: Tangent kernel of the recursion at the start without networks. Default: 1.
        z0: Output of the recursion at the start without networks. Default: 1.
        width: Width n of the networks.
        n0: Their input dimension n_0.
        samples: Number of random networks drawn, 0 for the recursion alone.
        steps: Number of steps after which a training ends, from 1 to 10^7.
        seed: Seed of the random numbers; network s is stream s of it.
        threads: Number of threads, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total) with numbers of networks.

    Returns:
        A Table with one row for each rate and model. Columns: eta_lambda0 and eta (one of them as
        given, the other the median over networks); phase (by eta_lambda0, for y = 0); model; nets,
        the number of networks; converged, diverged, dead and unsettled, fractions of the networks;
        settled_step and diverged_step, medians over those that do (inf if none does); peak_loss and
        peak_step, medians of the largest loss (inf where it diverges) and of its step (-1 if all
        diverge); peak_theory, log n/(2 log(eta lambda_0 - 1)), and peak_from_start, the same with
        1/q_0 for n, q_0 = kappa (eta z_0)^2, both NaN outside the catapult phase; final_eta_lambda,
        final_low and final_high, the median and the deciles of eta lambda at the end (inf for
        networks that diverge, 0 if all are dead). A dead network, whose gates are all shut, has
        the loss y^2/2 whatever its data are; it is left out of all medians.

    Raises:
        ValueError: An argument is out of range.
        MemoryError: The outcomes would not fit; raised before any work.
        KeyboardInterrupt: With the number of networks that were trained.

    Accuracy: outcomes are computed in doubles; within rounding of a threshold they may differ
    between the models. Cost: 0.3 ns a neuron, step and rate: at width 1024, 40,000 trainings of up
    to 100 steps a second on one thread.

    Example:
        >>> table = nnth.catapult_phases(eta_lambda0=[1.0, 3.0, 4.5])
        >>> table["phase"].tolist(), table["converged"].tolist()
        (['lazy', 'catapult', 'divergent'], [1.0, 1.0, 0.0])

    Source: Lewkowycz et al. (2020), arXiv:2003.02218, section 2.
    """
    start = start_of(lambda0, z0, target, kappa, width, n0, samples)
    rates = rates_of(eta, eta_lambda0, DEFAULT_ETA_LAMBDA0)
    steps = steps_of(steps)
    check_run(seed, threads)
    _check_memory(start, rates)
    if not start.samples:
        validated()
        found = _recursion_outcomes(start, rates, steps, threads, progress)
    else:
        found = in_parts(
            lambda first, count, on_progress: _network_outcomes(
                start, rates, steps, seed, first, count, threads, on_progress
            ),
            start.samples,
            progress,
        ).fields
    columns = _columns(start, rates, found)
    parameters = rates.parameter | start.parameters() | {"steps": steps}
    meta = Meta("catapult phases", parameters, seed=seed if start.samples else None)
    return Table(columns, meta, plot=_picture(columns, start))


def _recursion_outcomes(
    start: Start, rates: Rates, steps: int, threads: int, progress: Progress | None
) -> dict[str, Any]:
    assert start.lambda0 is not None
    assert start.z0 is not None
    values = np.array(rates.values) / (start.lambda0 if rates.relative_to_curvature else 1.0)
    found = _core.catapult_outcomes(
        values, start.kappa, start.target, start.z0, start.lambda0, steps, threads, progress
    )
    return {name: found[name][None, :, None] for name in _FIELDS}


def _network_outcomes(
    start: Start,
    rates: Rates,
    steps: int,
    seed: int,
    first: int,
    count: int,
    threads: int,
    progress: Progress | None,
) -> Endings:

    def on_progress(done: int, total: int) -> None:  # items are networks at some rates
        if progress is not None:
            progress(count * done // max(total, 1), count)

    found = _core.catapult_nets(
        start.width,
        start.x,
        start.target,
        rates.values,
        rates.relative_to_curvature,
        steps,
        seed,
        first,
        count,
        threads,
        on_progress,
    )
    return Endings({name: found[name] for name in _FIELDS})


def _columns(start: Start, rates: Rates, found: dict[str, Any]) -> dict[str, Any]:
    models = MODELS if start.samples else MODELS[:1]
    rows: list[dict[str, Any]] = []
    for i, rate in enumerate(rates.values):
        for k, model in enumerate(models):
            outcomes = {name: found[name][:, i, k] for name in _FIELDS}
            rows.append(_row(start, rates, rate, model, outcomes))
    return {name: [row[name] for row in rows] for name in rows[0]}


def _row(start: Start, rates: Rates, rate: float, model: str, of: dict[str, Any]) -> dict[str, Any]:
    """Return the row of one rate and model; `of` has the outcomes of all networks."""
    kinds = {name: of["ending"] == k for k, name in enumerate(ENDINGS)}
    alive = ~kinds["dead"]
    stayed = alive & ~kinds["diverged"]
    eta = _median(of["eta"][alive]) if alive.any() else 0.0
    if rates.relative_to_curvature:
        first = rate
    else:
        first = rate * (start.lambda0 if start.lambda0 is not None else start.kappa * start.width)
    final = np.where(kinds["diverged"], math.inf, of["eta"] * of["lambda"])[alive]
    peak = np.where(kinds["diverged"], math.inf, 0.5 * of["peak"] ** 2)[alive]
    n = 1.0 / start.kappa if not start.samples else float(start.width)
    # Random networks have E z_0^2 = kappa n/2.
    square = start.z0**2 if start.z0 is not None else 0.5 * start.kappa * n
    q = start.kappa * eta**2 * square
    return {
        "eta_lambda0": first,
        "eta": eta,
        "phase": phase_of(first),
        "model": model,
        "nets": len(alive),
        "converged": float(kinds["converged"].mean()),
        "diverged": float(kinds["diverged"].mean()),
        "dead": float(kinds["dead"].mean()),
        "unsettled": float(kinds["unsettled"].mean()),
        "settled_step": _median(of["step"][kinds["converged"]]),
        "diverged_step": _median(of["step"][kinds["diverged"]]),
        "peak_loss": _median(peak) if alive.any() else 0.5 * start.target**2,
        "peak_step": int(_median(of["peak_step"][stayed])) if stayed.any() else -1,
        "peak_theory": peak_time(first, n),
        "peak_from_start": peak_time(first, 1.0 / q if q > 0.0 else math.inf),
        "final_eta_lambda": _quantile(final, 0.5),
        "final_low": _quantile(final, _LOW_QUANTILE),
        "final_high": _quantile(final, _HIGH_QUANTILE),
    }


def _quantile(values: Floats, level: float) -> float:
    """Return a quantile without interpolation, as values may be infinite; 0 for an empty sample."""
    if not len(values):
        return 0.0
    return float(np.sort(values)[math.ceil(level * len(values)) - 1])


def _median(values: Any) -> float:
    return _quantile(np.asarray(values, dtype=np.float64), 0.5) if len(values) else math.inf


def _check_memory(start: Start, rates: Rates) -> None:
    trainings = len(rates.values) * (len(MODELS) * start.samples or 1)
    needed = 4 * 8 * len(_FIELDS) * trainings
    what = f"samples must be fewer: the outcomes of {trainings} trainings"
    check_memory(needed, what, fraction=_MEMORY_FRACTION)


def _picture(columns: dict[str, Any], start: Start) -> Panels:
    """Draw the largest loss and the final curvature against the rate, with the phases' edges."""
    every = {name: np.array(values) for name, values in columns.items()}
    peaks, finals, bands = [], [], []
    for model in dict.fromkeys(columns["model"]):
        rows = every["model"] == model
        x = every["eta_lambda0"][rows]

        def shown(name: str, rows: Any = rows) -> Floats:
            values = every[name][rows]
            return np.where((values > 0.0) & np.isfinite(values), values, math.nan)

        peaks.append((model, x, shown("peak_loss")))
        finals.append((model, x, shown("final_eta_lambda")))
        high = np.where(np.isfinite(every["final_high"][rows]), every["final_high"][rows], math.nan)
        bands.append((x, shown("final_low"), high))
    edges = (("lazy | catapult", 2.0), ("catapult | divergent", 4.0))
    x = every["eta_lambda0"]
    marks = tuple(edge for edge in edges if x.min() <= edge[1] <= x.max())
    label = "$\\eta\\lambda_0$"
    note = (
        ""
        if not start.samples
        else (
            "medians over networks, with deciles; dead networks and infinite medians are left out"
        )
    )
    return Panels(
        panels=(
            Lines(
                lines=tuple(peaks),
                marks=marks,
                log_y=True,
                x_label=label,
                y_label="largest loss",
                note=note,
            ),
            Lines(
                lines=tuple(finals),
                bands=tuple(bands),
                marks=marks,
                x_label=label,
                y_label="final curvature $\\eta\\lambda$",
                note=note,
            ),
        )
    )
