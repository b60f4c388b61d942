"""The description of a training: data, network, loss and descent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nnth._activations.activation import activation
from nnth._data.examples import Examples, Source, examples_of, load_examples
from nnth._data.named_data import CLUSTER_POINTS
from nnth._kernels.kernel import variances
from nnth._lab.batches import Batches, Sampling, Shuffled, batches_named
from nnth._lab.losses import LOSSES, Loss
from nnth._lab.optimizers import Optimizer, OptimizerName, optimizer_named
from nnth._lab.schedules import Schedule
from nnth._lab.training import Training
from nnth._networks.network import (
    MAX_LAYERS,
    MAX_WIDTH,
    Network,
    parse_widths,
    random_network,
)
from nnth._networks.network_files import load_network
from nnth._runtime.checks import check_integer, check_nonnegative

DEFAULT_STEPS: Final = 1000
MAX_STEPS: Final = 10**9  # a day or more for the smallest network


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """The data, network, loss and descent of a training.

    With the gradient g of the loss on a batch plus weight_decay theta, a step is ::

        sgd, momentum   v <- momentum v + g,   theta <- theta - eta v
        nesterov        v <- momentum v + g,   theta <- theta - eta (g + momentum v)
        adam, rmsprop   as in `nnth.lab.Adam` and `nnth.lab.RMSprop`

    with eta times the factor of the schedule at this step.

    Args:
        data: Labeled examples: a name, a file or arrays, as `nnth.load_examples` takes them.
        test_data: Labeled examples of the same classes that are only evaluated, or None. If they
            have the name of data, or are clusters, they are those after the examples of data.
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
        batch: Examples per step; by default all.
        sampling: "shuffled" for batches without replacement in each epoch, "replacement" for
            batches of independent examples, "bernoulli" for batches that have each example
            independently with the probability batch/points, and their gradients times their size
            over batch; only with batch. By default shuffled.
        label_noise: Standard deviation of normal noise that is added to the targets anew in each
            step, for the squared loss.
        gradient_noise: Standard deviation of normal noise that is added to each component of the
            gradient in each step.
        optimizer: "sgd", "momentum", "nesterov", "adam" or "rmsprop"; by default sgd, or momentum
            if a momentum coefficient above 0 is given.
        momentum: Momentum coefficient, at least 0 and below 1, not for adam; by default 0.9 for
            momentum and nesterov, and 0 for rmsprop.
        beta1: Decay of the mean of the gradients of adam, at least 0 and below 1; by default 0.9.
        beta2: Decay of the mean of the squared gradients of adam and rmsprop, at least 0 and below
            1; by default 0.999 for adam and 0.99 for rmsprop.
        epsilon: Added to the denominators of adam and rmsprop, at least 0; by default 1e-8.
        weight_decay: Coefficient of the L2 penalty; loss and curvature are without the penalty.
        dtype: "float64" or "float32", the precision of training; measurements use float64.
        eta: Learning rate, positive.
        schedule: Factor of the learning rate by step, as `nnth.lab.Schedule` takes it:
            "constant", "warmup:N", "linear:N", "cosine:N", "step:N:F", or several with "*" between
            them.
        seed: Seed of network, data, batches and noise.

    Example:
        >>> setup = nnth.TrainingSetup(data="iris", widths=(16,), steps=50)
        >>> setup.training().model.sizes
        (4, 16, 3)
    """

    data: Source = "clusters:0.25"
    test_data: Source | None = None
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
    sampling: Sampling | None = None
    label_noise: float = 0.0
    gradient_noise: float = 0.0
    optimizer: OptimizerName | None = None
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    epsilon: float | None = None
    weight_decay: float = 0.0
    dtype: Literal["float64", "float32"] = "float64"
    eta: float = 0.1
    schedule: str = "constant"
    seed: int = 0

    def training(self) -> Training:
        """Return the training at its start. Raises ValueError if the arguments do not fit."""
        self._check()
        found = load_examples(self.data, points=self.points, seed=self.seed)
        if self.loss == "cross-entropy" and not found.classes:
            raise ValueError("loss must be squared where targets are no classes")
        test = None if self.test_data is None else self._held_out(self.test_data, found)
        if self.center:
            mean = found.x.mean(axis=0)
            found = found.centered(mean)
            test = None if test is None else test.centered(mean)
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
        return Training(self, found, test, net, steps)

    @property
    def optimizer_name(self) -> OptimizerName:
        """The name of the optimizer, also if none is given."""
        return self.optimizer or ("momentum" if self.momentum else "sgd")

    def rule(self) -> Optimizer:
        """Return the optimizer. Raises ValueError if its arguments do not fit."""
        return optimizer_named(
            self.optimizer_name,
            eta=self.eta,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
        )

    def batches(self, points: int) -> Batches | None:
        """Return the batches of this number of examples; None if each step takes all."""
        if self.batch is None:
            return None
        found = batches_named(self.sampling or "shuffled", points, self.batch, self.seed)
        return None if isinstance(found, Shuffled) and self.batch == points else found

    def _check(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {self.loss!r}")
        if self.dtype not in ("float64", "float32"):
            raise ValueError(f"dtype must be float64 or float32, not {self.dtype!r}")
        self.rule()
        Schedule(self.schedule)
        batches_named(self.sampling or "shuffled", 1, 1)
        if self.sampling is not None and self.batch is None:
            raise ValueError(f"batch must be given with sampling {self.sampling}")
        check_nonnegative("label_noise", self.label_noise)
        check_nonnegative("gradient_noise", self.gradient_noise)
        if self.label_noise and self.loss != "squared":
            raise ValueError(f"loss must be squared with label_noise, not {self.loss}")

    def _held_out(self, source: Source, found: Examples) -> Examples:
        """Return the test examples. Raises ValueError if they do not fit those of the training."""
        points = len(found.x)
        drawn = isinstance(source, str) and source.startswith("clusters:")
        named = not (isinstance(source, tuple) or isinstance(self.data, tuple))
        same = named and os.fspath(source) == os.fspath(self.data)  # type: ignore[arg-type]
        count = points + CLUSTER_POINTS if drawn else None
        test = examples_of("test_data", source, points=count, seed=self.seed)
        if same or drawn:
            if len(test.x) <= points:
                raise ValueError(
                    f"points must be below {len(test.x)} with test_data {source}, whose other "
                    f"examples are the test, not {points}"
                )
            test = test.after(points)
        shape, expected = (test.x.shape[1], test.y.shape[1]), (found.x.shape[1], found.y.shape[1])
        if shape != expected or test.classes != found.classes:
            kind = "classes" if found.classes else "outputs"
            raise ValueError(
                f"test_data must have {expected[0]} inputs and {expected[1]} {kind}, as the data, "
                f"not {shape[0]} and {shape[1]}"
            )
        return test

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
