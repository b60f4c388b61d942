"""What becomes of a training at a large learning rate: lazy, catapult, dead or divergent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from nnth._curvature.losses import Array
from nnth._curvature.objective import Objective
from nnth._curvature.training import State, Training
from nnth._data.examples import Examples

Phase: TypeAlias = Literal["lazy", "catapult", "dead", "divergent", "undecided"]

FIT: Final = 0.9  # of the loss at the start and of the best constant output: below it is a fit
DIVERGED: Final = 1e10  # times the larger of these two: from there no training comes back
_HOLDS: Final = 2  # a fit counts once it has lasted from step t to this times t,
_AT_LEAST: Final = 10  # and for this many steps
_EVERY: Final = 8  # what costs is looked at again after an eighth of the steps so far
_AHEAD: Final = (*range(1, 9), *(round(8 * 1.25**k) for k in range(1, 53)))  # steps, to 10^6
_GONE: Final = 1e-30  # of the parameters: what is left of them then decides no sign


def constant_loss(examples: Examples, loss: str) -> float:
    """Return the least loss of an output that is the same for every input.

    Half the variance of the targets for a squared loss, the entropy of the shares of the classes
    for cross-entropy.
    """
    if not np.ptp(examples.y, axis=0).any():
        return 0.0  # to the last bit, so that nobody asks for less
    mean = examples.y.mean(axis=0)
    if loss == "squared":
        return float(0.5 * np.mean(np.sum((examples.y - mean) ** 2, axis=1)))
    return float(-np.sum(mean[mean > 0.0] * np.log(mean[mean > 0.0])))


@dataclass
class Follower:
    """Follows the losses of a training until its phase is decided, which then is so for good.

    Every rule looks at the steps so far and never at how many there will be:

        divergent   the loss is no finite number, or above 1e10 times the larger of the loss at the
                    start and of the best constant output
        dead        the output no longer depends on the input and never will again (`is_dead`)
        lazy        the loss is a fit, below 0.9 of both, and has been one from some step t to 2 t,
                    for 10 steps or more; the sharpness is below its threshold; and the loss has
                    never been above that at the start
        catapult    the same of a loss that has been above that at the start

    Where weights decay, "above that at the start" is said of L + (weight_decay/2) |theta|^2, which
    is what descends. Constant targets leave nothing to fit: there the start alone counts.

    constant: see `constant_loss`. stable: whether the sharpness at parameters theta is below its
    threshold; it is asked only where all else holds.
    """

    training: Training
    constant: float
    stable: Callable[[Array], bool]
    phase: Phase = "undecided"
    decided_step: int = -1
    start: float = math.nan
    peak: float = -math.inf
    rose: bool = False

    def __post_init__(self) -> None:
        self._descends_from = math.nan
        self._fit_since = self._asked_again = self._dead_again = 0
        self._why = "the loss has not been a fit"

    @property
    def why(self) -> str:
        """What an undecided training lacks; of another nothing."""
        return self._why if self.phase == "undecided" else ""

    def see(self, state: State, loss: float) -> None:
        """Take in the loss on all examples at a state; states come in the order of their steps."""
        descends = loss + self._penalty(state.theta)
        if not state.step:
            self.start, self._descends_from = loss, descends
        self.peak = max(self.peak, loss)
        if self.phase != "undecided":
            return
        self.rose |= descends > self._descends_from
        if self.has_diverged(loss):
            self._decide("divergent", state.step)
        elif loss < FIT * (min(self.start, self.constant) if self.constant else self.start):
            self._see_fit(state)
        else:
            if self._fit_since <= state.step and state.step:
                self._why = "the loss has not been a fit for long"
            self._fit_since = state.step + 1
            self._see_dead(state, loss)

    def has_diverged(self, loss: float) -> bool:
        """Whether a loss is one that no training comes back from."""
        return not loss <= DIVERGED * max(self.start, self.constant)

    def _see_fit(self, state: State) -> None:
        step = state.step
        if step < max(_HOLDS * self._fit_since, self._fit_since + _AT_LEAST, self._asked_again):
            return
        if self.stable(state.theta):
            self._decide("catapult" if self.rose else "lazy", step)
        else:
            self._asked_again = step + max(1, step // _EVERY)
            self._why = "the sharpness has not been below its threshold"

    def _see_dead(self, state: State, loss: float) -> None:
        # An output that is constant has no less than the best constant's loss, but for rounding.
        if state.step < self._dead_again or loss < self.constant * (1.0 - 1e-6):
            return
        if is_dead(self.training, state):
            self._decide("dead", state.step)
        self._dead_again = state.step + max(1, state.step // _EVERY)

    def _penalty(self, theta: Array) -> float:
        decay = self.training.setup.weight_decay
        return 0.5 * decay * float(np.vdot(theta, theta)) if decay else 0.0

    def _decide(self, phase: Phase, step: int) -> None:
        self.phase, self.decided_step = phase, step


def is_dead(training: Training, state: State) -> bool:
    """Return whether the output no longer depends on the input, and no gradient can change that.

    Some hidden layer has the same values for all examples, and all slopes there are 0, as where no
    ReLU of the layer is active on any example. The gradient then is 0 in that layer and all before
    it: without momentum and weight decay they never move again. With these they move on by a linear
    recursion, and the same is asked of where that leads: after 1, ..., 8 steps and on to 10^6 in
    ratios of 5/4, or until 1e-30 of them is left.
    """
    dead: set[int] | None = None
    for theta in _without_gradient(training, state):
        here = set(_dead_layers(training.trained, theta))
        dead = here if dead is None else dead & here
        if not dead:
            return False
    return True


def _without_gradient(training: Training, state: State) -> Iterator[Array]:
    """Yield where parameters are that have no gradient, now and after steps to come."""
    setup, theta = training.setup, state.theta
    yield theta
    if not (setup.momentum or setup.weight_decay):
        return
    # v' = m v + decay theta, theta' = theta - eta v', of the pair (theta, v).
    step = np.array(
        [
            [1.0 - setup.eta * setup.weight_decay, -setup.eta * setup.momentum],
            [setup.weight_decay, setup.momentum],
        ]
    )
    for count in _AHEAD:
        of_theta, of_velocity = np.linalg.matrix_power(step, count)[0]
        if abs(of_theta) + abs(of_velocity) < _GONE:
            return
        yield (of_theta * theta + of_velocity * state.velocity).astype(theta.dtype, copy=False)


def _dead_layers(objective: Objective, theta: Array) -> Iterator[int]:
    for layer, (h, slope) in enumerate(objective.hidden(theta)):
        if not slope.any() and np.array_equal(h, np.broadcast_to(h[0], h.shape)):
            yield layer
