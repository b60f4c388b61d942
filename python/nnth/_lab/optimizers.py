"""Optimizers: rules that turn gradients into steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np

from nnth._networks.passes import Array
from nnth._runtime.checks import check_nonnegative


class Optimizer(Protocol):
    """A rule theta <- theta - eta direction, with a state of arrays of the shape of theta.

    kind: "sgd" where the direction is proportional to the gradients, "adam" where it does not
    depend on their size; a parametrization has its own learning rates for each.
    """

    @property
    def eta(self) -> float:
        """The learning rate."""

    @property
    def kind(self) -> Literal["sgd", "adam"]:
        """Whether the direction is proportional to the gradients."""

    def start(self, theta: Array) -> list[Array]:
        """Return the state before the first step."""

    def direction(self, theta: Array, gradient: Array, state: list[Array], step: int) -> Array:
        """Return the direction of step 0, 1, ..., and change the state; may reuse `gradient`."""

    def threshold(self, factor: float = 1.0) -> float:
        """Return the largest stable eigenvalue at the rate eta times a factor of a schedule.

        On a quadratic, with the preconditioner P of `preconditioner` held fixed, training diverges
        if an eigenvalue of P^-1 (H + weight_decay) is above it; decoupled decay is not added to H.
        """

    def preconditioner(self, state: list[Array], step: int) -> Array | None:
        """Return the diagonal P by which step number `step` = 1, 2, ... divided the gradients.

        It has the shape of theta, and is 1 where it would be 0; None for an optimizer without one.
        """


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with momentum if there is any.

    With the gradient g, a step is::

        v <- momentum v + g + weight_decay theta
        theta <- theta - eta v,   with nesterov theta <- theta - eta (g + weight_decay theta +
        momentum v)

    Its threshold is 2 (1 + momentum)/eta, and with nesterov that over 1 + 2 momentum.

    Args:
        eta: Learning rate, positive.
        momentum: Momentum coefficient, at least 0 and below 1.
        nesterov: Whether to use Nesterov's form of momentum.
        weight_decay: Coefficient of the L2 penalty, at least 0.

    Example:
        >>> from nnth import lab
        >>> lab.SGD(eta=0.25, momentum=0.5).threshold()
        12.0

    Source: Cohen et al. (2021), appendix B, for the thresholds.
    """

    eta: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    kind: Literal["sgd"] = field(default="sgd", init=False)

    def __post_init__(self) -> None:
        _check_rates(self.eta, self.weight_decay)
        _check_fraction("momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise ValueError("momentum must be above 0 with nesterov, not 0")

    def start(self, theta: Array) -> list[Array]:
        """Return the velocity v = 0, and nothing without momentum."""
        return [np.zeros_like(theta)] if self.momentum else []

    def direction(self, theta: Array, gradient: Array, state: list[Array], step: int) -> Array:
        """Return the gradient with the decay, or its sum with momentum."""
        if self.weight_decay:
            gradient += self.weight_decay * theta
        if not self.momentum:
            return gradient
        velocity = state[0]
        velocity *= self.momentum
        velocity += gradient
        if not self.nesterov:
            return velocity
        gradient += self.momentum * velocity
        return gradient

    def threshold(self, factor: float = 1.0) -> float:
        """Return the sharpness plus weight decay above which descent on a quadratic diverges."""
        momentum = self.momentum
        of_rate_1 = 2.0 * (1.0 + momentum) / (1.0 + 2.0 * momentum * self.nesterov)
        return _over_rate(of_rate_1, self.eta * factor)

    def preconditioner(self, state: list[Array], step: int) -> None:
        """Return None: the gradients are not divided."""


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), or AdamW with `decoupled` weight decay.

    With g the gradient plus weight_decay theta, after t steps::

        m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2
        theta <- theta - eta m/(1 - beta1^t)/((v/(1 - beta2^t))^(1/2) + epsilon)

    Decoupled weight decay is not part of g, but takes eta weight_decay theta off theta. With the
    preconditioner P = (1 - beta1^t) ((v/(1 - beta2^t))^(1/2) + epsilon) the threshold is
    2 (1 + beta1)/((1 - beta1) eta), 38/eta at the default.

    Args:
        eta: Learning rate, positive.
        beta1: Decay of the mean of the gradients, at least 0 and below 1.
        beta2: Decay of the mean of their squares, at least 0 and below 1.
        epsilon: Added to the denominator, at least 0.
        weight_decay: Coefficient of the L2 penalty, at least 0.
        decoupled: Whether the weight decay is decoupled (AdamW: Loshchilov and Hutter 2019).

    Source: Cohen et al. (2022b), section 3, for the threshold.
    """

    eta: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False
    kind: Literal["adam"] = field(default="adam", init=False)

    def __post_init__(self) -> None:
        _check_rates(self.eta, self.weight_decay)
        _check_fraction("beta1", self.beta1)
        _check_fraction("beta2", self.beta2)
        check_nonnegative("epsilon", self.epsilon)

    def start(self, theta: Array) -> list[Array]:
        """Return the means m = 0 and v = 0."""
        return [np.zeros_like(theta), np.zeros_like(theta)]

    def direction(self, theta: Array, gradient: Array, state: list[Array], step: int) -> Array:
        """Return the mean of the gradients over the root of that of their squares."""
        if self.weight_decay and not self.decoupled:
            gradient += self.weight_decay * theta
        mean, square = state
        mean *= self.beta1
        mean += (1.0 - self.beta1) * gradient
        square *= self.beta2
        gradient *= gradient
        gradient *= 1.0 - self.beta2
        square += gradient
        direction = np.divide(mean, self.preconditioner(state, step + 1), out=gradient)
        if self.weight_decay and self.decoupled:
            direction += self.weight_decay * theta
        return direction

    def threshold(self, factor: float = 1.0) -> float:
        """Return the preconditioned sharpness above which descent on a quadratic diverges."""
        decay = self.weight_decay if self.decoupled else 0.0
        of_mean = (1.0 + self.beta1) / (1.0 - self.beta1)
        return of_mean * (_over_rate(2.0, self.eta * factor) - decay)

    def preconditioner(self, state: list[Array], step: int) -> Array:
        """Return P of step number `step`, at least 1."""
        scale: Array = np.sqrt(state[1])
        scale /= math.sqrt(1.0 - self.beta2**step)
        scale += self.epsilon
        scale *= 1.0 - self.beta1**step
        return _not_zero(scale)


@dataclass(frozen=True)
class RMSprop:
    """RMSprop (Tieleman and Hinton 2012), with momentum if there is any.

    With g the gradient plus weight_decay theta::

        v <- beta2 v + (1 - beta2) g^2,   u <- momentum u + g/(v^(1/2) + epsilon)
        theta <- theta - eta u

    With the preconditioner P = v^(1/2) + epsilon the threshold is 2 (1 + momentum)/eta.

    Args:
        eta: Learning rate, positive.
        momentum: Momentum coefficient, at least 0 and below 1.
        beta2: Decay of the mean of the squares of the gradients, at least 0 and below 1.
        epsilon: Added to the denominator, at least 0.
        weight_decay: Coefficient of the L2 penalty, at least 0.

    Source: Cohen et al. (2022b), section 3, for the threshold.
    """

    eta: float
    momentum: float = 0.0
    beta2: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    kind: Literal["adam"] = field(default="adam", init=False)

    def __post_init__(self) -> None:
        _check_rates(self.eta, self.weight_decay)
        _check_fraction("momentum", self.momentum)
        _check_fraction("beta2", self.beta2)
        check_nonnegative("epsilon", self.epsilon)

    def start(self, theta: Array) -> list[Array]:
        """Return the mean v = 0, and u = 0 with momentum."""
        return [np.zeros_like(theta) for _ in range(2 if self.momentum else 1)]

    def direction(self, theta: Array, gradient: Array, state: list[Array], step: int) -> Array:
        """Return the gradient over the root of the mean of its squares, with momentum their sum."""
        if self.weight_decay:
            gradient += self.weight_decay * theta
        square = state[0]
        square *= self.beta2
        square += (1.0 - self.beta2) * gradient * gradient
        gradient /= self.preconditioner(state, step + 1)
        if not self.momentum:
            return gradient
        velocity = state[1]
        velocity *= self.momentum
        velocity += gradient
        return velocity

    def threshold(self, factor: float = 1.0) -> float:
        """Return the preconditioned sharpness above which descent on a quadratic diverges."""
        return _over_rate(2.0 * (1.0 + self.momentum), self.eta * factor)

    def preconditioner(self, state: list[Array], step: int) -> Array:
        """Return P of step number `step`, at least 1."""
        scale: Array = np.sqrt(state[0])
        scale += self.epsilon
        return _not_zero(scale)


OptimizerName: TypeAlias = Literal["sgd", "momentum", "nesterov", "adam", "rmsprop"]

# The arguments of each, with their defaults.
_ARGUMENTS: Final[dict[OptimizerName, dict[str, float]]] = {
    "sgd": {"momentum": 0.0},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "rmsprop": {"momentum": 0.0, "beta2": 0.99, "epsilon": 1e-8},
}


def optimizer_named(
    name: OptimizerName, *, eta: float, weight_decay: float = 0.0, **given: float | None
) -> Optimizer:
    """Return the optimizer with a name.

    Args:
        name: "sgd", "momentum", "nesterov", "adam" or "rmsprop".
        eta: Learning rate, positive.
        weight_decay: Coefficient of the L2 penalty, at least 0.
        **given: momentum, beta1, beta2 and epsilon, None for the default of the optimizer.

    Raises:
        ValueError: If the name is unknown, or an argument is out of range or is none of this
            optimizer.
    """
    if name not in _ARGUMENTS:
        raise ValueError(f"optimizer must be one of {', '.join(_ARGUMENTS)}, not {name!r}")
    chosen: dict[str, Any] = dict(_ARGUMENTS[name])
    for argument, value in given.items():
        if value is None:
            continue
        if argument not in chosen:
            raise ValueError(f"{argument} must not be given for {name}, and is {value:g}")
        chosen[argument] = value
    if name == "sgd" and chosen["momentum"]:
        raise ValueError(
            f"momentum must be 0 for sgd, not {chosen['momentum']:g}: with it the optimizer is "
            "momentum"
        )
    match name:
        case "adam":
            return Adam(eta, weight_decay=weight_decay, **chosen)
        case "rmsprop":
            return RMSprop(eta, weight_decay=weight_decay, **chosen)
    return SGD(eta, nesterov=name == "nesterov", weight_decay=weight_decay, **chosen)


def _over_rate(threshold: float, rate: float) -> float:
    """Return the threshold of the rate 1 over another rate, infinite for the rate 0."""
    return threshold / rate if rate else math.inf


def _not_zero(scale: Array) -> Array:
    """Return the scale with 1 in place of 0, where the gradient has always been 0."""
    return scale if scale.all() else np.where(scale == 0.0, 1.0, scale).astype(scale.dtype)


def _check_rates(eta: float, weight_decay: float) -> None:
    if not 0.0 < eta < math.inf:
        raise ValueError(f"eta must be above 0 and finite, not {eta:g}")
    check_nonnegative("weight_decay", weight_decay)


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} must be at least 0 and below 1, not {value:g}")
