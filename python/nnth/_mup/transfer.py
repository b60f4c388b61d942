"""The best learning rate of networks of several widths, in two or more parametrizations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._activations.activation import activation
from nnth._data.examples import Examples, Source, load_examples
from nnth._kernels.kernel import variances
from nnth._lab.batches import Shuffled
from nnth._lab.descent import Descent
from nnth._lab.ensembles import chunks
from nnth._lab.model import Model, model
from nnth._lab.objective import Objective
from nnth._lab.optimizers import SGD, Adam
from nnth._lab.parametrization import EXPONENTS, LayerScale
from nnth._mup.theory import (
    MAX_DEPTH,
    Kind,
    Name,
    check_network_memory,
    exponents,
    lab_name,
)
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._networks.network import MAX_WIDTH
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.statistics import log_slopes, mean_and_stderr, mean_of
from nnth._tables.table import Meta, Table

_EVERY: Final = 8  # steps between two looks whether all networks diverged


@dataclass(frozen=True, eq=False)
class MupTransfer(Result):
    """The losses of networks of several widths after training at several learning rates.

    Attributes:
        parametrizations: The parametrizations.
        widths: The widths n, ascending `(widths,)`.
        eta: The learning rates, ascending `(rates,)`.
        losses: The loss on all examples after training, infinite where it diverged,
            `(parametrizations, widths, rates, samples)`.
        start_loss: The loss before training `(parametrizations, widths, samples)`.
        meta: The parameters of the computation.
    """

    parametrizations: tuple[str, ...]
    widths: NDArray[np.int64]
    eta: Floats
    losses: Floats
    start_loss: Floats
    meta: Meta

    def table(self) -> Table:
        """Return a row for each parametrization and width, as `nnth mup transfer` prints them.

        Returns:
            A Table with the columns parametrization, width; best_eta, the geometric mean over
            networks of the learning rate with the smallest loss, interpolated by a parabola in the
            logarithms, and its stderr; loss, the smallest of the mean losses over learning rates,
            and loss_stderr; slope, the mean over networks of the slope of log best_eta against
            log n over all widths, and slope_stderr; theory_slope, 0 in "mup", where the best rate
            is the same at all widths, and NaN elsewhere, where theory has no power of n for it; and
            note, where the best rate is at an end of those that were tried, so that best_eta is
            only a bound.
        """
        rows: list[dict[str, Any]] = []
        for i, name in enumerate(self.parametrizations):
            best = np.stack([self._best(i, j) for j in range(len(self.widths))])
            slope, slope_stderr = mean_of(log_slopes(self.widths, best))
            for j, n in enumerate(self.widths):
                mean, stderr = mean_of(best[j])
                means = self.losses[i, j].mean(axis=-1)
                at = int(np.argmin(means))
                rows.append(
                    {
                        "parametrization": name,
                        "width": int(n),
                        "best_eta": math.exp(mean),
                        "stderr": math.exp(mean) * stderr,
                        "loss": float(means[at]),
                        "loss_stderr": mean_of(self.losses[i, j, at])[1],
                        "slope": slope,
                        "slope_stderr": slope_stderr,
                        "theory_slope": 0.0 if name == "mup" else math.nan,
                        "note": self._note(i, j),
                    }
                )
        columns = {column: [row[column] for row in rows] for column in rows[0]}
        return Table(columns, self.meta, plot=self._picture())

    def rates(self) -> Table:
        """Return a row for each parametrization, width and learning rate.

        Returns:
            A Table with the columns parametrization, width, eta; loss and stderr, over networks,
            infinite and NaN where a network diverged; start_loss, before training; and diverged,
            the number of networks whose loss is not finite.
        """
        names, widths, eta, samples = self.losses.shape
        each = widths * eta
        with np.errstate(invalid="ignore"):
            loss, stderr = mean_and_stderr(self.losses, axis=-1)
        start = np.repeat(self.start_loss.mean(axis=-1)[..., None], eta, axis=-1)
        columns: dict[str, Any] = {
            "parametrization": np.repeat(self.parametrizations, each),
            "width": np.tile(np.repeat(self.widths, eta), names),
            "eta": np.tile(self.eta, names * widths),
            "loss": loss.ravel(),
            "stderr": stderr.ravel(),
            "start_loss": start.ravel(),
            "diverged": samples - np.isfinite(self.losses).sum(axis=-1).ravel(),
        }
        return Table(columns, self.meta, plot=self._picture())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return widths, eta, losses and start_loss."""
        return {
            "widths": self.widths,
            "eta": self.eta,
            "losses": self.losses,
            "start_loss": self.start_loss,
        }

    def _best(self, i: int, j: int) -> Floats:
        """Return the logarithm of the best learning rate of each network."""
        return np.array([_lowest(np.log(self.eta), each) for each in self.losses[i, j].T])

    def _note(self, i: int, j: int) -> str:
        at = np.argmin(self.losses[i, j], axis=0)
        ends = [end for end, k in (("smallest", 0), ("largest", len(self.eta) - 1)) if k in at]
        return f"the best eta of a network is the {' or the '.join(ends)} of all" if ends else ""

    def _picture(self) -> Panels:
        panels = []
        for i, name in enumerate(self.parametrizations):
            lines = []
            for j, n in enumerate(self.widths):
                mean = self.losses[i, j].mean(axis=-1)
                shown = np.isfinite(mean) & (mean < 2.0 * self.start_loss[i, j].mean())
                lines.append((f"$n = {n}$", self.eta[shown], mean[shown]))
            panels.append(
                Lines(
                    lines=tuple(lines),
                    log_x=True,
                    log_y=True,
                    x_label="learning rate $\\eta$",
                    y_label=f"loss after training, {name}",
                    note="losses above twice that of the start are not drawn",
                )
            )
        return Panels(panels=tuple(panels))


@serial_blas
def mup_transfer(
    data: Source = "clusters:4:10:20",
    *,
    parametrization: Sequence[Name] = ("sp", "mup"),
    optimizer: Kind = "adam",
    width: Sequence[int] = (32, 64, 128, 256),
    depth: int = 2,
    act: str = "relu",
    cw: float | None = None,
    base: int | None = None,
    eta: Sequence[float] | None = None,
    loss: Literal["cross-entropy", "squared"] = "cross-entropy",
    points: int | None = None,
    batch: int = 50,
    steps: int = 40,
    samples: int = 3,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> MupTransfer:
    """Return the loss after training over widths and learning rates, in several parametrizations.

    In maximal update parametrization the best learning rate does not depend on the width, so that
    the rate of a small network is also that of a large one; in the standard parametrization it
    falls with the width. With W = (n/n_base)^multiplier w, w ~ N(0, c (n/n_base)^variance) and the
    learning rate eta (n/n_base)^rate of w, all parametrizations are the same at the width n_base.

    Args:
        data: Labeled examples: a name, a file or arrays, as `nnth.load_examples` takes them.
        parametrization: The parametrizations to compare, of "sp", "mup", "ntk" and "mean-field".
        optimizer: "sgd", or "adam" with its usual betas and epsilon 1e-8.
        width: Widths n to compare, two or more, ascending.
        depth: Number of hidden layers, 1 to 1000.
        act: Activation: a name, `name:parameter`, or an expression in z.
        cw: Weight variance C_w over the fan-in at the base; by default critical for act.
        base: The width n_base; by default the smallest width.
        eta: Learning rates, three or more, positive and ascending; by default 10 in equal ratios
            from 1e-3 to 1 for adam, and from 1e-2 to 10 for sgd.
        loss: "cross-entropy" for classes, or "squared", `|f - y|^2/2`; means over the examples.
        points: Use only the first `points` examples; by default all, or 200 for clusters.
        batch: Examples per step, without replacement in each epoch, or all if there are fewer.
        steps: Number of steps, at least 1.
        samples: Number of networks of each width, at least 2.
        seed: Seed of the random numbers; network s is stream s of it at every width, and the
            batches are the same for all.
        threads: Number of threads that draw weights, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total).

    Returns:
        A `MupTransfer`.

    Raises:
        ValueError: If an argument is out of range, or every network diverges at every rate.
        MemoryError: If a network does not fit in memory.

    Accuracy: the standard errors are those over networks; batches and examples are the same for
    all, and learning rates between those tried are interpolated. Cost: about 1 ns a weight, example
    and step.

    Example:
        >>> found = nnth.mup_transfer("clusters:1:4:8", width=[16, 64], steps=20)
        >>> found.losses.shape
        (2, 2, 10, 3)

    Source: Yang et al. (2022), figure 1 and table 8.
    """
    depth = check_integer("depth", depth, maximum=MAX_DEPTH)
    names = list(parametrization)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"parametrization must be one or more different names, not {names}")
    for name in names:
        exponents(name, optimizer, depth)
    sizes = [check_integer("width", n, maximum=MAX_WIDTH) for n in width]
    if len(sizes) < 2 or sizes != sorted(set(sizes)):
        raise ValueError(f"width must be two or more, ascending, not {','.join(map(str, sizes))}")
    base = sizes[0] if base is None else check_integer("base", base, maximum=MAX_WIDTH)
    rates = _rates(optimizer, eta)
    steps, samples = check_integer("steps", steps), check_integer("samples", samples, 2)
    if samples >= MAX_SAMPLES:
        raise ValueError(f"samples must be below {MAX_SAMPLES}, not {samples}")
    if loss not in ("cross-entropy", "squared"):
        raise ValueError(f"loss must be cross-entropy or squared, not {loss!r}")
    examples = load_examples(data, points=points, seed=seed)
    if loss == "cross-entropy" and not examples.classes:
        raise ValueError("loss must be squared where targets are no classes")
    batch = min(check_integer("batch", batch), len(examples.x))
    shape = (examples.x.shape[1], depth, examples.y.shape[1])
    models = {
        (name, n): based_model(name, optimizer, n, base, shape, act, cw)
        for name in names
        for n in sizes
    }
    check_network_memory(models[names[0], sizes[-1]], batch, "width, depth or batch")
    outcomes = len(names) * len(sizes) * len(rates) * samples
    check_memory(2 * 8 * outcomes, "samples must be fewer: their losses", fraction=0.5)
    _core.thread_count(threads)
    validated()
    runs = _Runs(examples, loss, batch, steps, samples, seed, optimizer)
    total, done = len(rates) * sum(one.size for one in models.values()), 0
    losses = np.empty((len(names), len(sizes), len(rates), samples))
    start = np.empty((len(names), len(sizes), samples))
    for i, name in enumerate(names):
        for j, n in enumerate(sizes):
            one = models[name, n]
            start[i, j] = runs.start(one)
            for k, rate in enumerate(rates):
                losses[i, j, k] = runs.trained(one, rate)
                done += one.size
                if progress is not None:
                    progress(done, total)
    if not np.isfinite(losses).any():
        raise ValueError("eta must be smaller: every network diverges at every learning rate")
    parameters = {
        "data": examples.source,
        "points": len(examples.x),
        "parametrization": ",".join(names),
        "optimizer": optimizer,
        "depth": depth,
        "act": activation(act).name,
        "cw": variances(activation(act), None, cw)[1],
        "base": base,
        "loss_function": loss,
        "batch": batch,
        "steps": steps,
        "samples": samples,
    }
    meta = Meta("mup transfer", parameters, seed=seed)
    return MupTransfer(tuple(names), np.array(sizes), rates, losses, start, meta)


def _rates(optimizer: Kind, eta: Sequence[float] | None) -> Floats:
    if eta is None:
        first, last = (-3.0, 0.0) if optimizer == "adam" else (-2.0, 1.0)
        return np.logspace(first, last, 10)
    rates = np.asarray(eta, dtype=np.float64)
    if (
        len(rates) < 3
        or not (rates[0] > 0.0 and (np.diff(rates) > 0.0).all())
        or np.isinf(rates[-1])
    ):
        raise ValueError(
            f"eta must be three or more, positive and ascending, not {','.join(map(str, rates))}"
        )
    return rates


def based_model(
    name: Name,
    optimizer: Kind,
    n: int,
    base: int,
    shape: tuple[int, int, int],
    act: str,
    cw: float | None = None,
) -> Model:
    """Return the model of width n, whose scales at the width `base` are those of "sp".

    shape: the numbers of inputs, hidden layers and outputs.
    """
    n0, depth, n_out = shape
    widths = (n,) * depth
    one = model(n0, widths, n_out, act=act, cw=cw, parametrization="standard", optimizer=optimizer)
    found = EXPONENTS[lab_name(name), optimizer]
    relative = n / base
    scales = []
    for i, (scale, (fan_in, _)) in enumerate(zip(one.scales, pairwise(one.sizes), strict=True)):
        kind = "output" if i == depth else "hidden" if i else "input"
        power = found[kind]
        # With the fan-in base in place of n, the variance of "sp" is that of the base.
        variance = scale.weight_variance * (fan_in / base if i else 1.0)
        scales.append(
            LayerScale(
                weight_variance=variance * relative**power.variance,
                bias_variance=scale.bias_variance,
                weight_multiplier=relative**power.multiplier,
                weight_rate=relative**power.rate,
                bias_rate=relative ** (found["input"].rate if i < depth else 0.0),
            )
        )
    return replace(one, scales=tuple(scales))


@dataclass(frozen=True)
class _Runs:
    """Trainings that differ in their model and learning rate."""

    examples: Examples
    loss: Literal["cross-entropy", "squared"]
    batch: int
    steps: int
    samples: int
    seed: int
    optimizer: Kind

    def start(self, one: Model) -> Floats:
        """Return the losses before training `(samples,)`."""
        objective = self._objective(one)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [objective.value(one.draw(nets, seed=self.seed)) for nets in self._chunks(one)]
        found = np.concatenate(parts)
        if not np.isfinite(found).all():
            raise ValueError("cw and data must be smaller: the loss at the start is not finite")
        return found

    def trained(self, one: Model, eta: float) -> Floats:
        """Return the losses after training `(samples,)`, infinite where it diverged."""
        objective = self._objective(one)
        rule = SGD(eta) if self.optimizer == "sgd" else Adam(eta)
        points = len(self.examples.x)
        batches = None if self.batch == points else Shuffled(points, self.batch, self.seed)
        found = []
        for nets in self._chunks(one):
            descent = Descent(objective, rule, one.draw(nets, seed=self.seed), batches=batches)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                for step in descent.take(self.steps):
                    if step % _EVERY == 0 and not np.isfinite(descent.loss).any():
                        break
                value = objective.value(descent.theta)
            found.append(np.where(np.isfinite(value), value, np.inf))
        return np.concatenate(found)

    def _objective(self, one: Model) -> Objective:
        return Objective(one, self.examples.x, self.examples.y, loss=self.loss)

    def _chunks(self, one: Model) -> list[range]:
        return chunks(one, self.samples, len(self.examples.x))


def _lowest(x: Floats, values: Floats) -> float:
    """Return where values at ascending x are smallest, by a parabola of their logarithms.

    The parabola goes through the smallest value and its neighbors; at an end, or beside a value
    that is not finite, the place of the smallest value is returned.
    """
    i = int(np.argmin(values))
    if i in (0, len(x) - 1) or not np.isfinite(values[i - 1 : i + 2]).all() or values[i] <= 0.0:
        return float(x[i])
    left, right = x[i - 1] - x[i], x[i + 1] - x[i]
    y = np.log(values[i - 1 : i + 2])
    below, above = (y[0] - y[1]) / left, (y[2] - y[1]) / right
    curvature = (above - below) / (right - left)
    if curvature <= 0.0:
        return float(x[i])
    return float(x[i] - 0.5 * (below - curvature * left) / curvature)
