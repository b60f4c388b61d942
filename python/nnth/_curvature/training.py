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
from typing import Any, Final, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import Activation, activation
from nnth._curvature.checkpoint import read_checkpoint, write_checkpoint
from nnth._curvature.losses import LOSSES, Array, Loss
from nnth._curvature.objective import (
    Curvature,
    Objective,
    ParameterLayout,
    layout_of,
    network_of,
    theta_of,
)
from nnth._data.examples import Examples, Source, load_examples
from nnth._data.files import File, file_of
from nnth._kernels.kernel import variances
from nnth._networks.network import (
    MAX_LAYERS,
    MAX_WIDTH,
    Network,
    parse_widths,
    random_network,
)
from nnth._networks.network_files import load_network
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats, Progress

T = TypeVar("T")

DEFAULT_STEPS: Final = 1000
MAX_STEPS: Final = 10**9  # a day or more for the smallest network
_SECONDS_BETWEEN_SAVES: Final = 1.0


class DivergedError(Exception):
    """The loss of a training is no longer a finite number."""


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """The data, network, loss and descent of a training.

    With the gradient g of the loss on a batch, a step is ::

        v <- momentum v + g + weight_decay theta,   theta <- theta - eta v

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
        momentum: Momentum coefficient, at least 0 and below 1.
        weight_decay: Coefficient of the L2 penalty; loss and curvature are without the penalty.
        dtype: "float64" or "float32", the precision of training; measurements use float64.
        eta: Learning rate, positive.
        seed: Seed of network, data and batches.

    Example:
        >>> setup = nnth.TrainingSetup(data="iris", widths=(16,), steps=50)
        >>> setup.training().layout.sizes
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
    momentum: float = 0.0
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

    def _check(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {self.loss!r}")
        if self.dtype not in ("float64", "float32"):
            raise ValueError(f"dtype must be float64 or float32, not {self.dtype!r}")
        if not 0.0 < self.eta < math.inf:
            raise ValueError(f"eta must be above 0 and finite, not {self.eta:g}")
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(f"momentum must be at least 0 and below 1, not {self.momentum:g}")
        if not 0.0 <= self.weight_decay < math.inf:
            raise ValueError(
                f"weight_decay must be at least 0 and finite, not {self.weight_decay:g}"
            )

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


@dataclass(frozen=True, eq=False)
class State:
    """The state of a training; `loss` is the loss before the last step."""

    step: int
    theta: Array
    velocity: Array
    loss: float = math.nan


class Snapshot:
    """A network in training after some step, with its parameters, loss and curvature."""

    def __init__(self, training: Training, step: int, theta: Floats) -> None:
        self.training, self.step, self.theta = training, step, theta

    @cached_property
    def curvature(self) -> Curvature:
        """The loss in float64, with its gradient and Hessian-vector products."""
        return self.training.objective.at(self.theta)

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
        self.layout: ParameterLayout = layout_of(net)
        self.act: Activation = activation(net.activation)
        self.theta: Floats = theta_of(net)
        self.objective = Objective(self.layout, self.act, setup.loss, data.x, data.y)
        self.trained = self.objective  # in the precision of the training
        if setup.dtype != "float64":
            self.trained = Objective(
                self.layout, self.act, setup.loss, data.x, data.y, np.dtype(setup.dtype)
            )
        self._order: tuple[int, NDArray[np.intp]] | None = None

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
            "widths": self.layout.sizes[1:-1],
            "act": self.act.name,
            "cb": cb,
            "cw": cw,
            "loss_function": setup.loss,
            "eta": setup.eta,
            "steps": self.steps,
            "batch": setup.batch,
            "momentum": setup.momentum,
            "weight_decay": setup.weight_decay,
            "dtype": setup.dtype,
        }

    def network(self, theta: Floats) -> Network:
        """Return the network with these parameters."""
        return network_of(self.layout, theta, self.act.name)

    @property
    def threshold(self) -> float:
        """The sharpness 2 (1 + momentum)/eta - weight_decay above which descent diverges."""
        setup = self.setup
        return 2.0 * (1.0 + setup.momentum) / setup.eta - setup.weight_decay

    def ratio(self, sharpness: float) -> float:
        """Return eta (sharpness + weight_decay)/(2 (1 + momentum)): above 1 descent diverges."""
        setup = self.setup
        total = sharpness + setup.weight_decay
        return setup.eta * total / (2.0 * (1.0 + setup.momentum))

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
        neurons = len(self.examples.x) * sum(self.layout.sizes)
        needed = 8 * (4 * neurons + (vectors + 6) * self.layout.size)
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
        state = self.start()
        evaluations: dict[int, T] = {}
        if file is not None and file.exists():
            saved = read_checkpoint(file, self.settings())
            state = State(saved.step, saved.theta, saved.velocity)
            evaluations = dict(zip(saved.evaluated_steps, saved.evaluations, strict=True))
            if state.step > self.steps:
                raise ValueError(
                    f"steps must be at least {state.step}, where checkpoint {file} is, not "
                    f"{self.steps}"
                )
            missed = [step for step in steps if step < state.step and step not in evaluations]
            if missed:
                raise ValueError(
                    f"checkpoint {file} is at step {state.step}, and nothing was measured at "
                    f"{missed[0]}"
                )
        run = _Run(self, state, evaluations, file)
        try:
            run.to_the_end(steps, evaluate, progress)
        except KeyboardInterrupt as stop:
            run.save()
            kept_in = "" if file is None else f", kept in {file}"
            if stop.args:
                raise
            raise KeyboardInterrupt(
                f"{run.state.step} of {self.steps} steps were trained{kept_in}"
            ) from None
        return History(
            [evaluations[step] for step in steps], steps, run.state.theta.astype(np.float64)
        )

    def at_rate(self, eta: float) -> Training:
        """Return the same training at another learning rate."""
        net = self.network(self.theta)
        return Training(replace(self.setup, eta=eta), self.examples, net, self.steps)

    def start(self) -> State:
        """Return the state before the first step."""
        dtype = self.trained.dtype
        return State(0, self.theta.astype(dtype), np.zeros((), dtype))

    def next_state(self, state: State) -> State:
        """Return the state after one step of gradient descent. Raises DivergedError."""
        setup = self.setup
        value, gradient = self.trained.gradient(state.theta, self._batch(state.step))
        self.require_finite(value, state.step)
        if setup.weight_decay:
            gradient += setup.weight_decay * state.theta
        if setup.momentum:
            gradient += setup.momentum * state.velocity
        velocity = gradient if setup.momentum else state.velocity
        theta = state.theta - setup.eta * gradient
        return State(state.step + 1, theta, velocity, value)

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

    def _batch(self, step: int) -> NDArray[np.intp] | None:
        """Return the examples of a step; each epoch is a permutation from a stream of its own."""
        size, points = self.setup.batch, len(self.examples.x)
        if size is None or size == points:
            return None
        epoch, place = divmod(step, -(-points // size))
        if self._order is None or self._order[0] != epoch:
            draws = uniforms(self.setup.seed, streams.BATCHES.first + epoch, points)
            self._order = epoch, np.argsort(draws, kind="stable")
        return self._order[1][place * size : (place + 1) * size]

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
        self, training: Training, state: State, evaluations: dict[int, Any], file: Path | None
    ) -> None:
        self.training, self.state, self.evaluations, self.file = training, state, evaluations, file
        self._saved = time.monotonic()

    def to_the_end(
        self, steps: Sequence[int], evaluate: Callable[[Snapshot], Any], progress: Progress | None
    ) -> None:
        """Train until the last step."""
        training, remaining = self.training, set(steps) - set(self.evaluations)
        with np.errstate(over="ignore", invalid="ignore"):
            while True:
                if self.state.step in remaining:
                    theta = self.state.theta.astype(np.float64)
                    snapshot = Snapshot(training, self.state.step, theta)
                    training.require_finite(snapshot.loss, snapshot.step)
                    self.evaluations[self.state.step] = evaluate(snapshot)
                if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
                    self.save()
                if self.state.step >= training.steps:
                    break
                self.state = training.next_state(self.state)
                if progress is not None and self.state.step % 8 == 0:
                    progress(self.state.step, training.steps)
        if not np.isfinite(self.state.theta).all():
            training.require_finite(math.nan, self.state.step)
        self.save()

    def save(self) -> None:
        """Write a checkpoint, if a file is given."""
        if self.file is not None:
            write_checkpoint(
                self.file,
                self.training.settings(),
                self.state.step,
                self.state.theta,
                self.state.velocity,
                self.evaluations,
            )
        self._saved = time.monotonic()


def accuracy(outputs: Array, data: Examples) -> float:
    """Return the fraction of examples whose largest output is their label; NaN without classes."""
    if data.labels is None:
        return math.nan
    return float(np.mean(outputs.argmax(axis=1) == data.labels))
