"""Training by gradient descent: one network, or an ensemble of networks at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from nnth._lab.batches import Batches
from nnth._lab.objective import Objective
from nnth._lab.optimizers import Optimizer
from nnth._networks.passes import Array
from nnth._runtime import streams
from nnth._runtime.checks import check_nonnegative
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats


class Descent:
    """The training of a network `(P,)` or an ensemble `(networks, P)`, and its state.

    With the gradient g of the objective on the batch of the step, the learning rates of the model
    and the factor of the schedule, a step is ::

        theta <- theta - eta factor rates direction(g)

    Args:
        objective: The loss.
        optimizer: `SGD`, `Adam` or `RMSprop`.
        theta: The parameters at the start, which are copied, in the type of the objective.
        batches: The batches; by default all examples.
        schedule: The factor of the learning rate of step 0, 1, ..., as a `Schedule`; by default 1.
        label_noise: Standard deviation of normal noise that is added to the targets of each batch
            anew.
        gradient_noise: Standard deviation of normal noise that is added to each component of the
            gradient in each step.
        seed: The seed of the noise.
        samples: The numbers of the networks, which have their own noise; by default 0, 1, ....

    Attributes:
        step: The number of steps so far.
        theta: The parameters after these steps.
        state: The arrays of the optimizer.
        loss: The loss on the batch before the last step, of each network.

    Example:
        >>> from nnth import lab
        >>> model = lab.model(1, (32,), act="tanh")
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> objective = lab.Objective(model, x, x**3)
        >>> descent = lab.Descent(objective, lab.SGD(0.05, momentum=0.9), model.draw(samples=3))
        >>> for step in descent.take(300):
        ...     pass
        >>> descent.step, bool((descent.loss < 0.01).all())
        (300, True)
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        theta: Array,
        *,
        batches: Batches | None = None,
        schedule: Callable[[int], float] | None = None,
        label_noise: float = 0.0,
        gradient_noise: float = 0.0,
        seed: int = 0,
        samples: range | None = None,
    ) -> None:
        check_nonnegative("label_noise", label_noise)
        check_nonnegative("gradient_noise", gradient_noise)
        self.objective, self.optimizer = objective, optimizer
        self.theta = np.array(theta, dtype=objective.dtype)
        self.state = optimizer.start(self.theta)
        self.step = 0
        self.loss: Floats = np.full(self.theta.shape[:-1], math.nan)
        self._batches, self._schedule = batches, schedule
        self._label_noise, self._gradient_noise, self._seed = label_noise, gradient_noise, seed
        self._samples = range(int(np.prod(self.theta.shape[:-1]))) if samples is None else samples
        rates = objective.model.rates
        self._rates = None if rates is None else rates.astype(objective.dtype)

    def gradient(self) -> tuple[Floats, Array]:
        """Return the losses and the gradients on the batch of this step, with the noise."""
        batch = None if self._batches is None else self._batches.at(self.step)
        examples, factor = (None, 1.0) if batch is None else batch
        targets = self._noisy_targets(examples) if self._label_noise else None
        loss, gradient = self.objective.gradient(self.theta, examples, targets, factor=factor)
        if self._gradient_noise:
            gradient += self._gradient_noise * self._noise(
                streams.GRADIENT_NOISE.first, self.theta.shape[-1:], self.theta.shape[-1]
            )
        return loss, gradient

    def advance(self, gradient: Array) -> None:
        """Take the step of a gradient, whose array is used for it."""
        optimizer = self.optimizer
        direction = optimizer.direction(self.theta, gradient, self.state, self.step)
        eta = optimizer.eta * (1.0 if self._schedule is None else self._schedule(self.step))
        rates = eta if self._rates is None else eta * self._rates
        self.theta -= np.multiply(direction, rates, out=gradient)
        self.step += 1

    def take(self, steps: int) -> Iterator[int]:
        """Take steps, and yield the number of steps so far after each."""
        for _ in range(steps):
            self.loss, gradient = self.gradient()
            self.advance(gradient)
            yield self.step

    def resume(self, step: int, theta: Array, state: list[Array]) -> None:
        """Continue from the step, the parameters and the arrays of another descent."""
        self.step, self.theta, self.state = step, theta, state

    def _noisy_targets(self, examples: NDArray[np.intp] | None) -> Array:
        y = self.objective.y
        if examples is not None:
            y = y[examples] if y.ndim == 2 else np.take_along_axis(y, examples[..., None], axis=-2)
        # Draws that a step may take: only batches with replacement, whose size is constant, may be
        # larger than the data.
        every = max(self.objective.examples, y.shape[-2]) * y.shape[-1]
        noise = self._noise(streams.LABEL_NOISE.first, y.shape[-2:], every)
        return np.asarray(y + self._label_noise * noise)

    def _noise(self, first: int, shape: tuple[int, ...], every: int) -> Array:
        """Return standard normal noise of this step, of the shape for each network.

        A step has `every` draws of its own, of which it takes the first.
        """
        count, start = int(np.prod(shape)), self.step * every
        drawn = [normals(self._seed, first + s, count, start) for s in self._samples]
        noise = np.stack(drawn).reshape(*self.theta.shape[:-1], *shape)
        return noise.astype(self.objective.dtype, copy=False)
