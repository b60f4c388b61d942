"""The result of regression with the kernels of infinite width, and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._predict.kernel_flow import OutputDistribution
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines, unreliable
from nnth._tables.result import Result
from nnth._tables.statistics import ASYMPTOTIC, joined, mean_of, note_on_z, skewness, z_score
from nnth._tables.table import Meta, Table

# The step is stable for the kernel of infinite width, to which large targets leave no network.
_DIVERGED: Final = "a network diverges: the targets are too large for a network of this width"


@dataclass(frozen=True, eq=False)
class Simulation:
    """Means, standard errors and variances `(times, m_test, outputs)` over trained networks.

    `expected` `(times, m_test, outputs)` and `expected_variance` `(times, m_test)` are the mean and
    variance at infinite width after the same steps. `net_error` `(times, networks)` is the mean of
    (f - target)^2 over test points and outputs; without test targets the target is the expected
    mean.
    """

    mean: Floats
    stderr: Floats
    variance: Floats
    expected: Floats
    expected_variance: Floats
    net_error: Floats


@dataclass(frozen=True, eq=False)
class Prediction(Result):
    """The distribution of trained networks on test points, at each of `times`; see `nnth.predict`.

    Attributes:
        times: Times `(times,)`.
        mean: Means `(times, m_test, outputs)`.
        variance: Variances `(times, m_test)`, the same for every output.
        train_mean: Means at the training points `(times, m, outputs)`.
        distributions: For each time also condition, residual and errors; see `nnth.predict`.
        ridge: The ridge s^2.
        x: Training inputs.
        y: Training targets; for class numbers one-hot vectors minus 1/classes.
        x_test: Test inputs.
        y_test: Test targets, or None.
        labels: Whether the targets are classes.
        simulation: Means and variances of trained networks, or None.
        note: Why the solver was chosen, and what it does not compute.
        meta: The parameters of the computation.
    """

    times: Floats
    mean: Floats
    variance: Floats
    train_mean: Floats
    distributions: tuple[OutputDistribution, ...]
    ridge: float
    x: Floats
    y: Floats
    x_test: Floats
    y_test: Floats | None
    labels: bool
    simulation: Simulation | None
    note: str
    meta: Meta

    def table(self) -> Table:
        """Return a row for each time, as `nnth predict` prints them.

        Returns:
            A Table with the columns time; train_error and test_error, mean square errors of the
            mean prediction; accuracy, with labels, the fraction of test points whose class has the
            largest mean; variance, its mean over test points; net_error = test_error + variance,
            the expected error of one network; nll, the mean negative log density of a test value
            under N(mean, variance + ridge); condition, residual, error, variance_error (see
            `nnth.predict`); status: "ok", or "rounding" if the smallest predictive variance is not
            above its error, so that nll is unreliable, or "no variance" if the solver computes
            none; note, a remark on the solver.

            With samples also sim_net_error, the mean error of the networks, sim_stderr, z, and in
            note a remark on z; max_deviation and max_z, the largest deviation of the mean outputs
            and the largest `|z|`; step_error, the largest difference between the means of gradient
            flow and of the gradient descent steps that were taken.
        """
        rows = [self._row(i) for i in range(len(self.times))]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return Table(columns, self.meta, plot=self._picture(columns))

    def points(self) -> Table:
        """Return a row for each time, test point and output.

        Returns:
            A Table with the columns time, point, output, mean, variance, error, variance_error and,
            if there are test targets, target. With samples also sim_mean, sim_stderr, z,
            sim_variance and note; z compares the networks with infinitely wide networks after the
            same steps.
        """
        times, points, outputs = self.mean.shape
        each = points * outputs
        columns: dict[str, Any] = {
            "time": np.repeat(self.times, each),
            "point": np.tile(np.repeat(np.arange(points), outputs), times),
            "output": np.tile(np.arange(outputs), times * points),
            "mean": self.mean.ravel(),
            "variance": np.repeat(self.variance.ravel(), outputs),
            "error": np.repeat([at.error for at in self.distributions], each),
            "variance_error": np.repeat(
                [at.variance_error for at in self.distributions], points * outputs
            ),
        }
        if self.y_test is not None:
            columns["target"] = np.tile(self.y_test.ravel(), times)
        if self.simulation is not None:
            sim = self.simulation
            columns["sim_mean"] = sim.mean.ravel()
            columns["sim_stderr"] = sim.stderr.ravel()
            columns["z"] = z_score(sim.mean - sim.expected, sim.stderr).ravel()
            columns["sim_variance"] = sim.variance.ravel()
            # At t = 0 the outputs are symmetric about 0 at every width.
            on_z = note_on_z(sim.net_error.shape[1])
            notes = [
                joined(ASYMPTOTIC if time > 0.0 else "", on_z)
                if np.isfinite(error).all()
                else _DIVERGED
                for time, error in zip(self.times, sim.net_error, strict=True)
            ]
            columns["note"] = np.repeat(notes, each)
        else:
            columns["note"] = [self.note] * (times * each)
        return Table(columns, self.meta, plot=self._outputs())

    def arrays(self) -> dict[str, Floats]:
        """Return times, mean, variance and, with samples, sim_mean, sim_stderr, sim_variance."""
        arrays = {"times": self.times, "mean": self.mean, "variance": self.variance}
        if self.simulation is not None:
            arrays["sim_mean"] = self.simulation.mean
            arrays["sim_stderr"] = self.simulation.stderr
            arrays["sim_variance"] = self.simulation.variance
        return arrays

    def _row(self, i: int) -> dict[str, Any]:
        law, mean, variance = self.distributions[i], self.mean[i], self.variance[i]
        row = {
            "time": float(self.times[i]),
            "train_error": float(np.mean((self.train_mean[i] - self.y) ** 2)),
        }
        spread = variance + self.ridge
        if self.y_test is not None:
            square = (mean - self.y_test) ** 2
            row["test_error"] = float(np.mean(square))
            if self.labels:
                hits = mean.argmax(axis=1) == self.y_test.argmax(axis=1)
                row["accuracy"] = float(np.mean(hits))
        row["variance"] = float(np.mean(variance))
        if self.y_test is not None:
            row["net_error"] = row["test_error"] + row["variance"]
            row["nll"] = np.nan
            if (spread > 0.0).all():
                logs = np.log(2.0 * np.pi * spread)[:, None] + square / spread[:, None]
                row["nll"] = 0.5 * float(np.mean(logs))
        row |= {"condition": law.condition, "residual": law.residual, "error": law.error}
        row["variance_error"] = law.variance_error
        certain = float(spread.min()) > law.variance_error
        if self.simulation is not None:
            row |= self._simulated(self.simulation, i)
        known = not np.isnan(spread).any()
        status = ("ok" if certain else "rounding") if known else "no variance"
        note = row.pop("note", self.note)
        return {**row, "status": status, "note": note}

    def _simulated(self, sim: Simulation, i: int) -> dict[str, Any]:
        target = sim.expected[i] if self.y_test is None else self.y_test
        theory = np.mean((sim.expected[i] - target) ** 2) + np.mean(sim.expected_variance[i])
        error = sim.net_error[i]
        mean, stderr = mean_of(error)
        deviation = sim.mean[i] - sim.expected[i]
        return {
            "sim_net_error": mean,
            "sim_stderr": stderr,
            "z": float(z_score(mean - theory, stderr)),
            "max_deviation": float(np.abs(deviation).max()),
            "max_z": float(np.abs(z_score(deviation, sim.stderr[i])).max()),
            "step_error": float(np.abs(sim.expected[i] - self.mean[i]).max()),
            "note": joined(ASYMPTOTIC, note_on_z(len(error), float(skewness(error))))
            if np.isfinite(error).all()
            else _DIVERGED,
        }

    def _picture(self, columns: dict[str, list[Any]]) -> Lines | None:
        drawn = np.isfinite(self.times) & (self.times > 0.0)
        if np.count_nonzero(drawn) < 2:
            return None
        names = {
            "net_error": "one network, test",
            "variance": "variance $\\mathrm{Var}\\,f(t)$",
            "test_error": "mean $\\mathrm{E}\\,f(t)$, test",
            "train_error": "mean, training",
        }
        order = np.argsort(self.times[drawn], kind="stable")
        t = self.times[drawn][order]
        found = {n: np.asarray(columns[n])[drawn][order] for n in names if n in columns}
        points: tuple[Any, ...] = ()
        hollow: tuple[Any, ...] = ()
        if self.simulation is not None:
            mean, error = (
                np.asarray(columns[n])[drawn][order] for n in ("sim_net_error", "sim_stderr")
            )
            points = ((f"{self.simulation.net_error.shape[1]} networks", t, mean, error),)
            hollow = (unreliable(columns["note"])[drawn][order],)
        return Lines(
            lines=tuple((names[name], t, y) for name, y in found.items()),
            points=points,
            hollow=hollow,
            pairs="net_error" in found,  # the first line, which the points estimate
            log_x=True,
            log_y=all((y > 0.0).all() for y in found.values()),
            x_label="time $t$",
            y_label="mean square error",
            note="" if drawn.all() else "times 0 and inf have no place on the axis",
        )

    def _outputs(self) -> Lines:
        """Return a picture of the outputs at the last time, over inputs or against targets."""
        i = int(np.argmax(self.times))
        mean, spread = self.mean[i], np.sqrt(np.maximum(self.variance[i], 0.0))
        outputs = mean.shape[1]
        note = "one standard deviation of a network's output"
        time = "\\infty" if np.isinf(self.times[i]) else f"{self.times[i]:g}"
        y_label = f"output $f(x)$ at $t = {time}$"
        if self.x.shape[1] > 1:
            return self._against_targets(mean, spread, y_label, f"error bars: {note}")
        at = self.x_test[:, 0]
        order = np.argsort(at, kind="stable")
        points: list[Any] = [
            ("" if k else "data", self.x[:, 0], self.y[:, k], None) for k in range(outputs)
        ]
        if (sim := self.simulation) is not None:
            count = sim.net_error.shape[1]
            points += [
                (
                    "" if k else f"{count} networks",
                    at,
                    *(a[i, :, k] for a in (sim.mean, sim.stderr)),
                )
                for k in range(outputs)
            ]
        return Lines(
            lines=tuple(
                ("mean" if outputs == 1 else f"mean of output {k}", at[order], mean[order, k])
                for k in range(outputs)
            ),
            bands=tuple(
                (at[order], (mean[:, k] - spread)[order], (mean[:, k] + spread)[order])
                for k in range(outputs)
            ),
            points=tuple(points),
            pairs=outputs > 1,  # a color is an output, if there are several
            x_label="input $x$",
            y_label=y_label,
            note=f"band: {note}",
        )

    def _against_targets(self, mean: Floats, spread: Floats, y_label: str, note: str) -> Lines:
        """Return means and standard deviations over targets, or else over test points."""
        outputs = mean.shape[1]
        x = np.tile(np.arange(float(len(mean)))[:, None], outputs)
        lines: tuple[Any, ...] = ()
        x_label = "test point"
        if self.y_test is not None:
            x, x_label = self.y_test, "target"
            ends = np.array([x.min(), x.max()])
            lines = (("output = target", ends, ends),)
        return Lines(
            lines=lines,
            points=tuple(
                ("mean" if outputs == 1 else f"mean of output {k}", x[:, k], mean[:, k], spread)
                for k in range(outputs)
            ),
            x_label=x_label,
            y_label=y_label,
            note=note,
        )
