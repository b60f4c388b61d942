"""Run a computation as a whole, only as far as its checks, or on a part of its sample.

A computation calls `validated()` where its checks end and its work begins, and
`sample_in_parts(draw, samples)` where it draws networks. `nnth sweep` uses these calls: `dry_run`
stops at the first, `sample_part` draws a part of the networks, perhaps on another machine, and
`from_parts` computes the result from all parts, the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

R = TypeVar("R")
S = TypeVar("S")


class _ChecksPassedError(BaseException):
    """The exception that ends a dry run. No handler of Exception catches it."""


# What a run does instead of the whole. Every command imports this module: a dataclass would take
# 0.3 ms each time.
class _DryRun:
    pass


class _Part:
    def __init__(self, index: int, count: int) -> None:
        self.index, self.count = index, count
        self.drawn: list[Any] = []


class _Parts:
    def __init__(self, samples: Iterator[Any]) -> None:
        self.samples = samples


_mode: ContextVar[_DryRun | _Part | _Parts | None] = ContextVar("_mode", default=None)


def validated() -> None:
    """Mark the point where the checks of a computation's input end and its work begins."""
    if isinstance(_mode.get(), _DryRun):
        raise _ChecksPassedError


def sample_in_parts(draw: Callable[[int, int], S], samples: int, *, tile: int = 1) -> S:
    """Return draw(0, samples): the sample of networks 0, ..., samples - 1.

    It implies `validated()`.

    Args:
        draw: Draws the networks first, ..., first + count - 1 for arguments (first, count), and
            returns a list, or an object with a method `merge`. `nnth._data.states` can keep
            dataclasses of numbers, strings, arrays and such dataclasses in a file.
        samples: The number of networks.
        tile: Parts begin at multiples of this number.
    """
    assigned = assigned_range(samples, tile)
    if assigned.ready is not None:
        return assigned.ready  # type: ignore[no-any-return]
    return assigned.record(draw(assigned.first, assigned.count))


@dataclass(frozen=True)
class AssignedRange:
    """The networks that this run draws: `count` of them from `first` on; none if `ready` is set.

    ready: the sample of all parts, which were drawn before. part: where this part is recorded.
    """

    first: int
    count: int
    ready: Any = None
    part: _Part | None = None

    def record(self, sample: S) -> S:
        """Keep the sample of this part, and return it."""
        if self.part is not None:
            self.part.drawn.append(sample)
        return sample


def assigned_range(samples: int, tile: int = 1) -> AssignedRange:
    """Return the range of the networks 0, ..., samples - 1 that this run draws.

    See `sample_in_parts`, which draws the range by one call; it implies `validated()`.
    """
    validated()
    match _mode.get():
        case _Part() as part:
            tiles = -(-samples // tile)
            first = tile * (tiles * part.index // part.count)
            last = min(samples, tile * (tiles * (part.index + 1) // part.count))
            if first < last:
                return AssignedRange(first, last - first, part=part)
            part.drawn.append(None)
            return AssignedRange(0, 1)  # in place of an empty part
        case _Parts() as parts:
            return AssignedRange(0, 0, ready=next(parts.samples))
        case _:
            return AssignedRange(0, samples)


def dry_run(computation: Callable[[], R]) -> R | None:
    """Run a computation up to `validated()` and return None, or its result if it never calls it.

    Errors of the checks are raised.
    """
    with _run(_DryRun()):
        try:
            return computation()
        except _ChecksPassedError:
            return None


def sample_part(computation: Callable[[], object], index: int, count: int) -> list[Any]:
    """Return the samples of part `index` of `count`, one for each call of `sample_in_parts`.

    None marks an empty range; the list is empty if the computation does not sample.
    """
    part = _Part(index, count)
    with _run(part):
        computation()
    return part.drawn


def from_parts(computation: Callable[[], R], parts: Sequence[Sequence[Any]]) -> R:
    """Return the computation's result from the samples of all parts, in order of their index."""
    samples = (reduce(_merged, drawn) for drawn in zip(*parts, strict=True))
    with _run(_Parts(samples)):
        return computation()


@contextmanager
def _run(mode: _DryRun | _Part | _Parts) -> Iterator[None]:
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def _merged(one: Any, next_one: Any) -> Any:
    if one is None or next_one is None:
        return next_one if one is None else one
    return one + next_one if isinstance(one, list) else one.merge(next_one)
