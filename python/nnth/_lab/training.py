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
from typing import Any, Final, Generic, Literal, TypeVar, get_args

import numpy as np

from nnth._activations.activation import activation
from nnth._data.examples import Examples, Source, load_examples
from nnth._data.files import File, file_of
from nnth._kernels.kernel import variances
from nnth._lab.batches import Shuffled
from nnth._lab.checkpoint import read_checkpoint, write_checkpoint
from nnth._lab.curvature import Curvature
from nnth._lab.descent import Descent
from nnth._lab.losses import LOSSES, Loss
from nnth._lab.model import model_of, theta_of
from nnth._lab.objective import Objective
from nnth._lab.optimizers import SGD, Adam, Optimizer, RMSprop
from nnth._networks.network import (
    MAX_LAYERS,
    MAX_WIDTH,
    Network,
    parse_widths,
    random_network,
)
from nnth._networks.network_files import load_network
from nnth._networks.passes import Array
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress

T = TypeVar("T")

OptimizerName = Literal["sgd", "momentum", "nesterov", "adam", "rmsprop"]

_OF_OPTIMIZERS: Final = ("momentum", "beta1", "beta2", "epsilon")
DEFAULT_STEPS: Final = 1000
MAX_STEPS: Final = 10**9  # a day or more for the smallest network
_SECONDS_BETWEEN_SAVES: Final = 1.0


class DivergedError(Exception):
    """The loss of a training is no longer a finite number."""


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """The data, network, loss and descent of a training.

    With the gradient g of the loss on a batch plus weight_decay theta, a step is ::

        sgd, momentum   v <- momentum v + g,   theta <- theta - eta v
        nesterov        v <- momentum v + g,   theta <- theta - eta (g + momentum v)
        adam, rmsprop   as in `nnth.lab.Adam` and `nnth.lab.RMSprop`

    Args:
        data: Labeled examples: a name, a file or arrays, as `nnth.load_examples` takes them.
        points: Use only the first `points` examples; by default all, or 200 for clusters.
        center: Subtract the mean of the inputs from each.
        net: A Network, or a .npz or .safetensors file, to start from instead of a random network.
        width: Width of each hidden layer, without widths.
        depth: Number of hidden layers, without widths.
        widths: Widths of the hidden layers, as (64, 32) or "64*10", instead of width and depth.
        act: Activation, a name or an expression in z; by default tanh, or that of the net.
        cb: Bias variance; by default critical for the activation, or 0 if cw is given.
        cw: Weight variance, divided by the fan-in; by default critical for the activation.
        loss: "cross-entropy" for classes, or "squared", `|f - y|^2/2`; means over the examples.
        steps: Number of steps, at most 10^9; by default 1000, or 0 if a net is given.
        batch: Examples per step, drawn without replacement in each epoch; by default all.
        optimizer: "sgd", "momentum", "nesterov", "adam" or "rmsprop"; by default sgd, or momentum
            where a momentum coefficient is given.
        momentum: Momentum coefficient, at least 0 and below 1; by default 0.9 for momentum and
            nesterov, and 0 for sgd and rmsprop.
        beta1: Decay of Adam's mean of the gradients, at least 0 and below 1.
        beta2: Decay of the mean of the squared gradients, at least 0 and below 1; by default 0.999
            for adam and 0.99 for rmsprop.
        epsilon: Added to the denominators of adam and rmsprop, at least 0.
        weight_decay: Coefficient of the L2 penalty; loss and curvature are without the penalty.
        dtype: "float64" or "float32", the precision of training; measurements use float64.
        eta: Learning rate, positive.
        seed: Seed of network, data and batches.

    Example:
        >>> setup = nnth.TrainingSetup(data="iris", widths=(16,), steps=50)
        >>> setup.training().model.sizes
        (4, 16, 3)
    """

    data: Source = "clusters:0.25"
    points: int | None = None
    center: bool = False
    net: Network | str | os.PathLike[str] | None = None
    width: int = 32
    depth: int = 2
    widths: Sequence[int] | str | None = None
    act: str | None = None
    cb: float | None = None
    cw: float | None = None
    loss: Loss = "cross-entropy"
    steps: int | None = None
    batch: int | None = None
    optimizer: OptimizerName | None = None
    momentum: float | None = None
    beta1: float = 0.9
    beta2: float | None = None
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    dtype: Literal["float64", "float32"] = "float64"
    eta: float = 0.1
    seed: int = 0

    def training(self) -> Training:
        """Return the training at its start. Raises ValueError if the arguments do not fit."""
        self._check()
        found = load_examples(self.data, points=self.points, seed=self.seed)
        if self.loss == "cross-entropy" and not found.classes:
            raise ValueError("loss must be squared where targets are no classes")
        found = found.centered() if self.center else found
        net = self._network(found)
        if (net.n0, net.n_out) != (found.x.shape[1], found.y.shape[1]):
            raise ValueError(
                f"net must map {found.x.shape[1]} inputs to {found.y.shape[1]} outputs, as the "
                f"data, not {net.n0} to {net.n_out}"
            )
        if self.batch is not None and check_integer("batch", self.batch) > len(found.x):
            raise ValueError(f"batch must be at most {len(found.x)} examples, not {self.batch}")
        default = DEFAULT_STEPS if self.net is None else 0
        steps = default if self.steps is None else check_integer("steps", self.steps, 0, MAX_STEPS)
        return Training(self, found, net, steps)

    @property
    def optimizer_name(self) -> str:
        """The name of the optimizer, also where none is given."""
        return self.optimizer or ("momentum" if self.momentum else "sgd")

    def rule(self) -> Optimizer:
        """Return the optimizer. Raises ValueError if its arguments do not fit."""
        name = self.optimizer_name
        if name not in get_args(OptimizerName):
            known = ", ".join(get_args(OptimizerName))
            raise ValueError(f"optimizer must be one of {known}, not {name!r}")
        decay, beta = self.weight_decay, self.momentum
        if name == "adam":
            if beta is not None:
                raise ValueError(f"momentum must not be given for adam, and is {beta:g}")
            square = 0.999 if self.beta2 is None else self.beta2
            return Adam(self.eta, self.beta1, square, self.epsilon, decay)
        if name == "rmsprop":
            square = 0.99 if self.beta2 is None else self.beta2
            return RMSprop(self.eta, beta or 0.0, square, self.epsilon, decay)
        if name == "sgd" and beta:
            raise ValueError(f"momentum must be 0 for sgd, not {beta:g}: the optimizer is momentum")
        default = 0.0 if name == "sgd" else 0.9
        momentum = default if beta is None else beta
        return SGD(self.eta, momentum, name == "nesterov", decay)

    def _check(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {self.loss!r}")
        if self.dtype not in ("float64", "float32"):
            raise ValueError(f"dtype must be float64 or float32, not {self.dtype!r}")
        self.rule()

    def _network(self, found: Examples) -> Network:
        if isinstance(self.net, Network):
            return self.net
        if self.net is not None:
            return load_network(self.net, self.act)
        act = activation("tanh" if self.act is None else self.act)
        cb, cw = variances(act, self.cb, self.cw)
        widths: Sequence[int]
        if self.widths is None:
            width = check_integer("width", self.width, maximum=MAX_WIDTH)
            widths = (width,) * check_integer("depth", self.depth, maximum=MAX_LAYERS)
        else:
            widths = parse_widths(self.widths) if isinstance(self.widths, str) else self.widths
        drawn = random_network(
            found.x.shape[1],
            widths,
            n_out=found.y.shape[1],
            cw=cw,
            cb=cb,
            seed=self.seed,
        )
        return Network(drawn.weights, drawn.biases, act.name)


class Snapshot:
    """A network in training after some step, with its parameters, loss and curvature.

    state: the arrays of the optimizer, of which a preconditioner is made.
    """

    def __init__(self, training: Training, descent: Descent) -> None:
        self.training, self.step = training, descent.step
        self.theta = descent.theta.astype(np.float64)
        self.state = [array.copy() for array in descent.state]

    @property
    def preconditioner(self) -> Array | None:
        """The diagonal by which the optimizer divides the gradients; None if it does not."""
        return self.training.rule.preconditioner(self.state, self.step) if self.step else None

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
    def network(self) -> Network:
        """The network with these parameters."""
        return self.training.network(self.theta)


class Training:
    """A training at its start, from `TrainingSetup.training`."""

    def __init__(self, setup: TrainingSetup, data: Examples, net: Network, steps: int) -> None:
        self.setup, self.examples, self.steps = setup, data, steps
        self.model, self.theta = model_of(net), theta_of(net)
        self.act = activation(net.activation)
        self.rule = setup.rule()

        def objective(dtype: str) -> Objective:
            return Objective(self.model, data.x, data.y, loss=setup.loss, dtype=dtype)

        self.objective = objective("float64")
        # In the precision of the training.
        self.trained = self.objective if setup.dtype == "float64" else objective(setup.dtype)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the training for the record of a table."""
        setup = self.setup
        net = setup.net
        cb, cw = variances(self.act, setup.cb, setup.cw) if net is None else (None, None)
        return {
            "data": self.examples.source,
            "points": len(self.examples.x),
            "center": setup.center,
            "net": file_of(net),
            "widths": self.model.sizes[1:-1],
            "act": self.act.name,
            "cb": cb,
            "cw": cw,
            "loss_function": setup.loss,
            "eta": setup.eta,
            "steps": self.steps,
            "batch": setup.batch,
            "optimizer": setup.optimizer_name,
            **{name: getattr(self.rule, name, None) for name in _OF_OPTIMIZERS},
            "weight_decay": setup.weight_decay,
            "dtype": setup.dtype,
        }

    def network(self, theta: Floats) -> Network:
        """Return the network with these parameters."""
        return self.model.network(theta)

    @property
    def threshold(self) -> float:
        """The (preconditioned) sharpness above which descent on a quadratic diverges.

        Without a preconditioner the weight decay, which adds to every eigenvalue, is taken off.
        """
        coupled = 0.0 if self.rule.kind == "adam" else self.setup.weight_decay
        return self.rule.threshold - coupled

    def ratio(self, sharpness: float) -> float:
        """Return the sharpness plus the weight decay over the threshold: above 1 descent diverges.

        With a preconditioner it is the preconditioned sharpness, which has the weight decay.
        """
        coupled = 0.0 if self.rule.kind == "adam" else self.setup.weight_decay
        return (sharpness + coupled) / self.rule.threshold

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
        neurons = len(self.examples.x) * sum(self.model.sizes)
        needed = 8 * (4 * neurons + (vectors + 6) * self.model.size)
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
        net = self.network(self.theta)
        return Training(replace(self.setup, eta=eta), self.examples, net, self.steps)

    def descent(self) -> Descent:
        """Return the descent before the first step."""
        setup, points = self.setup, len(self.examples.x)
        batches = None if setup.batch is None else Shuffled(points, setup.batch, setup.seed)
        return Descent(self.trained, self.rule, self.theta, batches=batches)

    def take_step(self, descent: Descent) -> None:
        """Take one step of the descent. Raises DivergedError."""
        descent.loss, gradient = descent.gradient()
        self.require_finite(float(descent.loss), descent.step)
        descent.advance(gradient)

    def require_finite(self, loss: float, step: int) -> None:
        """Raise DivergedError if the loss is not finite, or ValueError if this is at the start."""
        if math.isfinite(loss):
            return
        if step == 0:
            raise ValueError(
                f"{'cb, cw, act' if self.setup.net is None else 'net'} and data must give a "
                f"finite loss at the start, not {loss:g}"
            )
        eta, decay = self.setup.eta, self.setup.weight_decay
        rule = f"eta must be smaller than {eta:g}"
        if decay:
            rule = f"eta and weight_decay must be smaller than {eta:g} and {decay:g}"
        raise DivergedError(f"{rule}: the loss is {loss:g} after {step} steps")

    def settings(self) -> dict[str, Any]:
        """Return the settings that must match for a checkpoint to be resumed."""
        content = hashlib.sha256()
        for array in (self.examples.x, self.examples.y, self.theta):
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
