"""The training of a network by gradient descent, and its evaluation at some of the steps."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

from nnth._activations.activation import activation
from nnth._data.examples import Examples
from nnth._data.files import File, file_of
from nnth._kernels.kernel import variances
from nnth._lab.checkpoint import read_checkpoint, write_checkpoint
from nnth._lab.curvature import Curvature
from nnth._lab.descent import Descent
from nnth._lab.model import model_of, theta_of
from nnth._lab.objective import Objective
from nnth._lab.schedules import Schedule
from nnth._networks.network import Network
from nnth._networks.passes import Array
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress

if TYPE_CHECKING:
    from nnth._lab.setup import TrainingSetup

T = TypeVar("T")

_OF_OPTIMIZERS: Final = ("momentum", "beta1", "beta2", "epsilon")
_SECONDS_BETWEEN_SAVES: Final = 1.0
_EVALUATIONS: Final = 12  # between the first step and the last, where all of a path is shown


class DivergedError(Exception):
    """The loss of a training is no longer a finite number."""


@dataclass(frozen=True)
class Evaluation:
    """The step, loss and accuracy of an evaluation; NaN without classes or test examples."""

    step: int
    loss: float
    accuracy: float
    test_loss: float
    test_accuracy: float


class Snapshot:
    """A network in training after some step, with its parameters, loss and curvature.

    state: the arrays of the optimizer, of which a preconditioner is made.
    """

    def __init__(self, training: Training, descent: Descent) -> None:
        self.training, self.step = training, descent.step
        self.theta = descent.theta.astype(np.float64)
        self.state = [array.copy() for array in descent.state]

    @property
    def preconditioner(self) -> Floats | None:
        """The diagonal `(P,)` by which the last step divided the gradients.

        None for an optimizer that does not divide them, and before the first step.
        """
        if not self.step:
            return None
        found = self.training.rule.preconditioner(self.state, self.step)
        return None if found is None else found.astype(np.float64)

    @cached_property
    def curvature(self) -> Curvature:
        """The loss in float64, with its gradient and Hessian-vector products."""
        return Curvature(self.training.objective, self.theta)

    @property
    def loss(self) -> float:
        """L(theta), without the L2 penalty."""
        return self.curvature.value

    @property
    def accuracy(self) -> float:
        """The fraction of examples that are classified correctly; NaN without classes."""
        return accuracy(self.curvature.outputs, self.training.examples)

    @property
    def test_loss(self) -> float:
        """L(theta) on the test examples; NaN without any."""
        test = self.training.test
        return math.nan if test is None else float(test.value_of(self._test_outputs))

    @property
    def test_accuracy(self) -> float:
        """The fraction of test examples that are classified correctly; NaN without any."""
        test = self.training.test_examples
        return math.nan if test is None else accuracy(self._test_outputs, test)

    @property
    def scores(self) -> tuple[int, float, float, float, float]:
        """The values of an `Evaluation`."""
        return self.step, self.loss, self.accuracy, self.test_loss, self.test_accuracy

    @property
    def network(self) -> Network:
        """The network with these parameters."""
        return self.training.network(self.theta)

    @cached_property
    def _test_outputs(self) -> Array:
        assert self.training.test is not None
        return self.training.test.outputs(self.theta)


class Training:
    """A training at its start, from `TrainingSetup.training`."""

    def __init__(
        self,
        setup: TrainingSetup,
        data: Examples,
        test: Examples | None,
        net: Network,
        steps: int,
    ) -> None:
        self.setup, self.examples, self.test_examples, self.steps = setup, data, test, steps
        self.model, self.theta = model_of(net), theta_of(net)
        self.act = activation(net.activation)
        self.rule, self.schedule = setup.rule(), Schedule(setup.schedule)
        self.batches = setup.batches(len(data.x))

        def objective(of: Examples, dtype: str = "float64") -> Objective:
            return Objective(self.model, of.x, of.y, loss=setup.loss, dtype=dtype)

        self.objective = objective(data)
        # In the precision of the training.
        self.trained = self.objective if setup.dtype == "float64" else objective(data, setup.dtype)
        self.test = None if test is None else objective(test)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the training for the record of a table."""
        setup = self.setup
        net = setup.net
        cb, cw = variances(self.act, setup.cb, setup.cw) if net is None else (None, None)
        return {
            "data": self.examples.source,
            "test_data": None if self.test_examples is None else self.test_examples.source,
            "points": len(self.examples.x),
            "center": setup.center,
            "net": file_of(net),
            "widths": self.model.sizes[1:-1],
            "act": self.act.name,
            "cb": cb,
            "cw": cw,
            "loss_function": setup.loss,
            "eta": setup.eta,
            "schedule": setup.schedule,
            "steps": self.steps,
            "batch": setup.batch,
            "sampling": None if setup.batch is None else setup.sampling or "shuffled",
            "label_noise": setup.label_noise,
            "gradient_noise": setup.gradient_noise,
            "optimizer": setup.optimizer_name,
            **{name: getattr(self.rule, name, None) for name in _OF_OPTIMIZERS},
            "weight_decay": setup.weight_decay,
            "dtype": setup.dtype,
        }

    def network(self, theta: Floats) -> Network:
        """Return the network with these parameters."""
        return self.model.network(theta)

    def threshold(self, step: int) -> float:
        """Return the sharpness above which descent on a quadratic diverges, at the rate of a step.

        Without a preconditioner the weight decay, which adds to every eigenvalue, is taken off;
        with one the sharpness is the preconditioned one, which has it.
        """
        return self.rule.threshold(self.schedule(step)) - self._apart

    def ratio(self, sharpness: float, step: int) -> float:
        """Return the sharpness over its threshold, both with the weight decay.

        With a preconditioner `sharpness` is the preconditioned one. Above 1 descent on a quadratic
        diverges.
        """
        return (sharpness + self._apart) / self.rule.threshold(self.schedule(step))

    @property
    def preconditioned(self) -> bool:
        """Whether the optimizer divides the gradients by a preconditioner."""
        return self.rule.kind == "adam"

    @property
    def _apart(self) -> float:
        """The weight decay that is not part of the sharpness."""
        return 0.0 if self.preconditioned else self.setup.weight_decay

    def evaluation_steps(self, at: Sequence[int] | None) -> list[int]:
        """Return the evaluation steps, sorted; by default the last step.

        Raises ValueError for steps out of range.
        """
        steps = (
            [self.steps] if at is None else sorted({check_integer("at", step, 0) for step in at})
        )
        if not steps or steps[-1] > self.steps:
            raise ValueError(f"at must be one or more of 0 to {self.steps}, the steps, not {at}")
        return steps

    def check_memory(self, vectors: int) -> None:
        """Raise MemoryError if the curvature and this number of vectors do not fit in memory."""
        tests = 0 if self.test_examples is None else len(self.test_examples.x)
        neurons = (4 * len(self.examples.x) + tests) * sum(self.model.sizes)
        needed = 8 * (neurons + (vectors + 8) * self.model.size)
        check_memory(needed, "points or widths must be fewer: curvature and eigenvectors")

    def train(
        self,
        at: Sequence[int],
        evaluate: Callable[[Snapshot], T],
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> History[T]:
        """Train, and return the evaluations of the network at some steps, 0 being the start.

        `evaluate` maps a Snapshot to a result, which with a checkpoint is a dataclass of the
        package (`nnth._data.states`). The checkpoint is a .json file, written every second; a
        training with the same setup resumes from it with the same bits.

        Raises ValueError for steps out of range and for a checkpoint of another training, and
        DivergedError.
        """
        steps = self.evaluation_steps(at)
        file = None if checkpoint is None else Path(checkpoint)
        descent = self.descent()
        evaluations: dict[int, T] = {}
        if file is not None and file.exists():
            saved = read_checkpoint(file, self.settings())
            descent.resume(saved.step, saved.theta, saved.state)
            evaluations = dict(zip(saved.evaluated_steps, saved.evaluations, strict=True))
            if saved.step > self.steps:
                raise ValueError(
                    f"steps must be at least {saved.step}, where checkpoint {file} is, not "
                    f"{self.steps}"
                )
            missed = [step for step in steps if step < saved.step and step not in evaluations]
            if missed:
                raise ValueError(
                    f"checkpoint {file} is at step {saved.step}, and nothing was measured at "
                    f"{missed[0]}"
                )
        run = _Run(self, descent, evaluations, file)
        try:
            run.to_the_end(steps, evaluate, progress)
        except KeyboardInterrupt as stop:
            run.save()
            kept_in = "" if file is None else f", kept in {file}"
            if stop.args:
                raise
            raise KeyboardInterrupt(
                f"{descent.step} of {self.steps} steps were trained{kept_in}"
            ) from None
        return History(
            [evaluations[step] for step in steps], steps, descent.theta.astype(np.float64)
        )

    def at_rate(self, eta: float) -> Training:
        """Return the same training at another learning rate."""
        setup, net = replace(self.setup, eta=eta), self.network(self.theta)
        return Training(setup, self.examples, self.test_examples, net, self.steps)

    def descent(self) -> Descent:
        """Return the descent before the first step."""
        return Descent(
            self.trained,
            self.rule,
            self.theta,
            batches=self.batches,
            schedule=self.schedule,
            label_noise=self.setup.label_noise,
            gradient_noise=self.setup.gradient_noise,
            seed=self.setup.seed,
        )

    def take_step(self, descent: Descent) -> None:
        """Take one step of the descent. Raises DivergedError."""
        descent.loss, gradient = descent.gradient()
        self.require_finite(float(descent.loss), descent.step)
        descent.advance(gradient)

    def require_finite(self, loss: float, step: int) -> None:
        """Raise DivergedError if the loss is not finite, or ValueError if this is at the start."""
        if math.isfinite(loss):
            return
        if step == 0 and not self.setup.label_noise:  # which alone may be too large
            raise ValueError(
                f"{'cb, cw, act' if self.setup.net is None else 'net'} and data must give a "
                f"finite loss at the start, not {loss:g}"
            )
        names = ("weight_decay", "label_noise", "gradient_noise")
        sizes = {"eta": self.setup.eta} | {name: getattr(self.setup, name) for name in names}
        sizes = {name: value for name, value in sizes.items() if value}
        values = " and ".join(f"{value:g}" for value in sizes.values())
        raise DivergedError(
            f"{' and '.join(sizes)} must be smaller than {values}: the loss is {loss:g} after "
            f"{step} steps"
        )

    def settings(self) -> dict[str, Any]:
        """Return the settings that must match for a checkpoint to be resumed."""
        content = hashlib.sha256()
        arrays = [self.examples.x, self.examples.y, self.theta]
        if self.test_examples is not None:
            arrays += [self.test_examples.x, self.test_examples.y]
        for array in arrays:
            content.update(np.ascontiguousarray(array).tobytes())
        settings = {
            name: value.name if isinstance(value, File) else value
            for name, value in self.parameters().items()
        }
        settings |= {"seed": self.setup.seed, "content": content.hexdigest()}
        del settings["steps"]
        return settings


@dataclass(frozen=True, eq=False)
class History(Generic[T]):
    """The evaluations of a training at `steps`, and the parameters theta at its end."""

    evaluations: list[T]
    steps: list[int]
    theta: Floats


class _Run:
    """A training in progress."""

    def __init__(
        self, training: Training, descent: Descent, evaluations: dict[int, Any], file: Path | None
    ) -> None:
        self.training, self.descent = training, descent
        self.evaluations, self.file = evaluations, file
        self._saved = time.monotonic()

    def to_the_end(
        self, steps: Sequence[int], evaluate: Callable[[Snapshot], Any], progress: Progress | None
    ) -> None:
        """Train until the last step."""
        training, descent = self.training, self.descent
        remaining = set(steps) - set(self.evaluations)
        with np.errstate(over="ignore", invalid="ignore"):
            while True:
                if descent.step in remaining:
                    snapshot = Snapshot(training, descent)
                    training.require_finite(snapshot.loss, snapshot.step)
                    self.evaluations[descent.step] = evaluate(snapshot)
                if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
                    self.save()
                if descent.step >= training.steps:
                    break
                training.take_step(descent)
                if progress is not None and descent.step % 8 == 0:
                    progress(descent.step, training.steps)
        if not np.isfinite(descent.theta).all():
            training.require_finite(math.nan, descent.step)
        self.save()

    def save(self) -> None:
        """Write a checkpoint, if a file is given."""
        if self.file is not None:
            settings = self.training.settings()
            write_checkpoint(self.file, settings, self.descent, self.evaluations)
        self._saved = time.monotonic()


def accuracy(outputs: Array, data: Examples) -> float:
    """Return the fraction of examples whose largest output is their label; NaN without classes."""
    if data.labels is None:
        return math.nan
    return float(np.mean(outputs.argmax(axis=1) == data.labels))


def default_steps(steps: int) -> list[int]:
    """Return 0, the last step, and up to 12 between in equal ratios."""
    between = np.rint(np.geomspace(1, max(steps, 1), _EVALUATIONS)).astype(int).tolist()
    return sorted({0, *(step for step in between if step <= steps)})
