"""Batches: the examples of each step, a function of the seed and the step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._runtime import streams
from nnth._runtime.random import uniforms

Sampling: TypeAlias = Literal["shuffled", "replacement", "bernoulli"]

_DRAWS: Final = 2**14


class Batch(NamedTuple):
    """The examples of a step, `(batch,)` or `(networks, batch)`.

    The gradient of the mean over these examples is multiplied by `factor`.
    """

    examples: NDArray[np.intp]
    factor: float = 1.0


class Batches(Protocol):
    """The batches of a training."""

    def at(self, step: int) -> Batch | None:
        """Return the batch of step 0, 1, ..., or None for all examples."""


@dataclass(frozen=True)
class Shuffled:
    """Batches without replacement: each epoch is a permutation from a stream of its own.

    The last batch of an epoch has the examples that are left.

    Args:
        points: The number of examples.
        size: The examples of a batch, from 1 to points.
        seed: The seed of the permutations.

    Example:
        >>> from nnth import lab
        >>> batches = lab.Shuffled(points=5, size=2)
        >>> epoch = [batches.at(step).examples.tolist() for step in range(3)]
        >>> [len(examples) for examples in epoch], sorted(sum(epoch, []))
        ([2, 2, 1], [0, 1, 2, 3, 4])
    """

    points: int
    size: int
    seed: int = 0
    _order: dict[int, NDArray[np.intp]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, step: int) -> Batch | None:
        """Return the batch of a step, None where it has all examples."""
        if self.size == self.points:
            return None
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch not in self._order:
            draws = uniforms(self.seed, streams.BATCHES.first + epoch, self.points)
            self._order.clear()
            self._order[epoch] = np.argsort(draws, kind="stable")
        return Batch(self._order[epoch][place * self.size : (place + 1) * self.size])

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches of an epoch."""
        return -(-self.points // self.size)


@dataclass(frozen=True)
class WithReplacement:
    """Batches of examples that are drawn independently, for each network its own.

    Args:
        points: The number of examples.
        size: The examples of a batch.
        networks: The number of networks of the ensemble; None for one network `(P,)`.
        seed: The seed of the draws.
        stream: The stream of the draws.
    """

    points: int
    size: int
    networks: int | None = None
    seed: int = 0
    stream: int = streams.BATCHES.first
    _drawn: dict[int, NDArray[np.intp]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, step: int) -> Batch:
        """Return the batch of a step."""
        shape = (self.size,) if self.networks is None else (self.networks, self.size)
        count = math.prod(shape)
        steps = max(1, _DRAWS // count)  # small batches are drawn for many steps at once
        group, place = divmod(step, steps)
        if group not in self._drawn:
            start = group * steps * count
            words = _core.uniforms(self.seed, self.stream, start, steps * count, 1)
            self._drawn.clear()
            self._drawn[group] = (words * self.points).astype(np.intp).reshape(steps, *shape)
        return Batch(self._drawn[group][place])


@dataclass(frozen=True)
class Bernoulli:
    """Batches that have each example with the same probability, independently.

    The gradient of a batch is the sum over its examples over the mean size, without bias.

    Args:
        points: The number of examples.
        size: The mean number of examples of a batch, above 0 and at most points.
        seed: The seed of the draws.
    """

    points: int
    size: float
    seed: int = 0

    def at(self, step: int) -> Batch:
        """Return the batch of a step; it may be empty."""
        words = _core.uniforms(self.seed, streams.BATCHES.first, step * self.points, self.points, 1)
        chosen = np.flatnonzero(words * self.points < self.size)
        return Batch(chosen, len(chosen) / self.size)


def batches_named(sampling: Sampling, points: int, size: int, seed: int = 0) -> Batches:
    """Return the batches of a kind of sampling, for one network.

    Raises ValueError if the kind is unknown.
    """
    match sampling:
        case "shuffled":
            return Shuffled(points, size, seed)
        case "replacement":
            return WithReplacement(points, size, seed=seed)
        case "bernoulli":
            return Bernoulli(points, size, seed)
    raise ValueError(f"sampling must be one of {', '.join(get_args(Sampling))}, not {sampling!r}")
