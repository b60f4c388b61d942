"""The phase of a training at a large learning rate: lazy, catapult, dead or divergent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from nnth._data.examples import Examples
from nnth._lab.descent import Descent
from nnth._lab.objective import Objective
from nnth._lab.optimizers import SGD
from nnth._lab.training import Training
from nnth._networks.passes import Array

Phase: TypeAlias = Literal["lazy", "catapult", "dead", "divergent", "undecided"]

# A loss is a fit below FIT times, and diverged above DIVERGED times, those of the start and of the
# best constant output.
FIT: Final = 0.9
DIVERGED: Final = 1e10
# A fit counts once it has lasted from step t to _HOLDS t, and for _LEAST_STEPS steps.
_HOLDS: Final = 2
_LEAST_STEPS: Final = 10
_CHECK_EVERY: Final = 8  # costly checks are repeated after 1/8 of the steps so far
_STEPS_AHEAD: Final = (*range(1, 9), *(round(8 * 1.25**k) for k in range(1, 53)))  # to 10^6
_NEGLIGIBLE: Final = 1e-30  # fraction of the parameters below which they change no sign


def constant_loss(examples: Examples, loss: str) -> float:
    """Return the least loss of an output that is the same for every input.

    It is half the variance of the targets for the squared loss, and the entropy of the class
    fractions for cross-entropy.
    """
    if not np.ptp(examples.y, axis=0).any():
        return 0.0  # exactly
    mean = examples.y.mean(axis=0)
    if loss == "squared":
        return float(0.5 * np.mean(np.sum((examples.y - mean) ** 2, axis=1)))
    return float(-np.sum(mean[mean > 0.0] * np.log(mean[mean > 0.0])))


@dataclass
class PhaseDetector:
    """Decides the phase of a training from its losses; a decided phase is final.

    Every rule depends only on the steps so far:

        divergent   the loss is not finite, or above 1e10 times the larger of the loss at the start
                    and that of the best constant output
        dead        the output does not depend on the input and never will again (`is_dead`)
        lazy        the loss is a fit, below 0.9 times both, and has been one from some step t to
                    2 t, for 10 steps or more; the sharpness is below its threshold; and the loss
                    has never been above its start
        catapult    the same for a loss that has been above its start

    With weight decay, "above its start" refers to L + (weight_decay/2) |theta|^2, which is what
    descends. With constant targets only the start counts.

    `constant` is the `constant_loss`. `stable` returns whether the sharpness is below
    its threshold; it is called only if all other conditions hold.
    """

    training: Training
    constant: float
    stable: Callable[[], bool]
    phase: Phase = "undecided"
    decided_step: int = -1
    start: float = math.nan
    peak: float = -math.inf
    rose: bool = False

    def __post_init__(self) -> None:
        self._descends_from = math.nan
        self._fit_since = self._next_stability_check = self._next_dead_check = 0
        self._missing = "the loss has not been a fit"

    @property
    def missing(self) -> str:
        """The condition that an undecided training lacks; empty for a decided one."""
        return self._missing if self.phase == "undecided" else ""

    def update(self, state: Descent, loss: float) -> None:
        """Use the loss on all examples after some steps, which come in their order."""
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
            self._check_fit(state)
        else:
            if self._fit_since <= state.step and state.step:
                self._missing = "the loss has not been a fit for long"
            self._fit_since = state.step + 1
            self._check_dead(state, loss)

    def has_diverged(self, loss: float) -> bool:
        """Return whether the loss is so large that no training recovers from it."""
        return not loss <= DIVERGED * max(self.start, self.constant)

    def _check_fit(self, state: Descent) -> None:
        step = state.step
        long_enough = max(_HOLDS * self._fit_since, self._fit_since + _LEAST_STEPS)
        if step < max(long_enough, self._next_stability_check):
            return
        if self.stable():
            self._decide("catapult" if self.rose else "lazy", step)
        else:
            self._next_stability_check = step + max(1, step // _CHECK_EVERY)
            self._missing = "the sharpness has not been below its threshold"

    def _check_dead(self, state: Descent, loss: float) -> None:
        # The loss of a constant output is at least the best constant's, except for rounding.
        if state.step < self._next_dead_check or loss < self.constant * (1.0 - 1e-6):
            return
        if is_dead(self.training, state):
            self._decide("dead", state.step)
        self._next_dead_check = state.step + max(1, state.step // _CHECK_EVERY)

    def _penalty(self, theta: Array) -> float:
        decay = self.training.setup.weight_decay
        return 0.5 * decay * float(np.vdot(theta, theta)) if decay else 0.0

    def _decide(self, phase: Phase, step: int) -> None:
        self.phase, self.decided_step = phase, step


def is_dead(training: Training, state: Descent) -> bool:
    """Return whether the output no longer depends on the input, and no gradient can change that.

    In some hidden layer all examples have the same values and all derivatives are 0, as when no
    ReLU of the layer is active on any example. The gradient is then 0 in that layer and all before
    it, whose parameters do not change without momentum and weight decay. With these they follow a
    linear recursion, and the condition is checked along it: after 1, ..., 8 steps, and up to 10^6
    in ratios of 5/4, or until 1e-30 of the parameters is left.
    """
    dead: set[int] | None = None
    for theta in parameters_ahead(training, state):
        here = set(_dead_layers(training.trained, theta))
        dead = here if dead is None else dead & here
        if not dead:
            return False
    return True


def parameters_ahead(training: Training, state: Descent) -> Iterator[Array]:
    """Yield the parameters now and after further steps with a gradient of 0."""
    rule, theta = training.rule, state.theta
    yield theta
    assert isinstance(rule, SGD)
    momentum, decay = rule.momentum, rule.weight_decay
    if not (momentum or decay):
        return
    # A step as a matrix for the pair (theta, v): v' = momentum v + decay theta, and theta' is theta
    # less eta v', or with Nesterov less eta (decay theta + momentum v').
    velocity = np.array([decay, momentum])
    change = velocity * momentum + np.array([decay, 0.0]) if rule.nesterov else velocity
    step = np.array([np.array([1.0, 0.0]) - rule.eta * change, velocity])
    velocity_now = state.state[0] if momentum else np.zeros((), theta.dtype)
    for count in _STEPS_AHEAD:
        of_theta, of_velocity = np.linalg.matrix_power(step, count)[0]
        if abs(of_theta) + abs(of_velocity) < _NEGLIGIBLE:
            return
        yield (of_theta * theta + of_velocity * velocity_now).astype(theta.dtype, copy=False)


def _dead_layers(objective: Objective, theta: Array) -> Iterator[int]:
    run = objective.model.run(theta, objective.x, order=1)
    for layer, derivative in enumerate(run.derivatives):
        h = run.inputs[layer + 1]
        if not derivative.any() and np.array_equal(h, np.broadcast_to(h[0], h.shape)):
            yield layer
