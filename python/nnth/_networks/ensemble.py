"""The networks of a computation: samples of a random network, or a given one."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from nnth._data.files import File, file_of
from nnth._networks.network import (
    Network,
    hidden_widths,
    named_network,
    random_network,
    require_relu,
)
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Progress
from nnth._runtime.work import assigned_range

T = TypeVar("T")
S = TypeVar("S", bound="Mergeable")

MAX_SAMPLES: Final = streams.SAMPLES.count

_PARTS: Final = 64  # ranges of a sample; statistics are available between them after an interrupt
_TILE: Final = 256  # networks; ranges of whole tiles merge to the last bit
_GRAIN: Final = 1000  # steps of progress per task


class Mergeable(Protocol):
    """A sample of a range of networks, to which that of the next range can be added."""

    def merge(self: S, other: S) -> S:
        """Return the sample of both ranges."""


@dataclass(frozen=True)
class Ensemble:
    """Networks of one architecture: `samples` random ones (cw, cb, seed), or the one `given`."""

    n0: int
    widths: tuple[int, ...]
    n_out: int
    cw: float | None
    cb: float | None
    samples: int
    seed: int
    net: File
    given: Network | None

    def network(self, sample: int) -> Network:
        """Return network 0, 1, ..., samples - 1."""
        if self.given is not None:
            return self.given
        return random_network(
            self.n0,
            self.widths,
            n_out=self.n_out,
            cw=0.0 if self.cw is None else self.cw,
            cb=0.0 if self.cb is None else self.cb,
            seed=self.seed,
            sample=sample,
        )

    @property
    def variances(self) -> dict[str, float] | None:
        """The variances cw and cb of random networks; None for a given network."""
        if self.given is not None or self.cw is None or self.cb is None:
            return None
        return {"cw": self.cw, "cb": self.cb}

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the networks that a table records."""
        return {
            "net": self.net,
            "n0": self.n0,
            "widths": self.widths,
            "n_out": self.n_out,
            "cw": self.cw,
            "cb": self.cb,
            "samples": self.samples,
        }


def ensemble(
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> Ensemble:
    """Return the given network, or random networks of one architecture.

    Args:
        net: A Network; the path of a file that `nnth.load_network` reads; a name that
            `nnth.named_network` knows; or None for random networks.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, in place of `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension; 2 if None.
        samples: The number of random networks; 1 if None.
        seed: Network s is stream s of the seed.

    Raises:
        ValueError: If an argument is out of range, or is given although `net` is.
    """
    if net is not None:
        given: dict[str, object] = {"n0": n0, "width": width, "depth": depth, "widths": widths}
        given |= {"n_out": n_out, "cb": cb, "cw": cw, "samples": samples}
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} must not be given where net is, and is {value}")
        network, source = find_network(net)
        require_relu(network)
        return Ensemble(
            network.n0, network.widths, network.n_out, None, None, 1, seed, source, network
        )
    samples = check_integer("samples", _either(samples, 1))
    if samples >= MAX_SAMPLES:
        raise ValueError(f"samples must be below {MAX_SAMPLES}, not {samples}")
    return Ensemble(
        check_integer("n0", _either(n0, 2)),
        hidden_widths(widths, width, depth, default=(64, 1)),
        check_integer("n_out", _either(n_out, 1)),
        float(_either(cw, 2.0)),
        float(_either(cb, 1.0)),
        samples,
        seed,
        File(None),
        None,
    )


class Tasks:
    """Progress through equal tasks, each of which reports its own progress.

    As a context it turns a KeyboardInterrupt into one that states the progress.
    """

    def __init__(self, count: int, noun: str, progress: Progress | None) -> None:
        self.done = 0
        self._count, self._noun, self._progress = count, noun, progress
        self._share = 0.0
        self._regions = 0

    def part(self, done: int, total: int) -> None:
        """Report the progress of the current task."""
        self._share = done / total if total else 0.0
        self._report()

    def finish(self, regions: int) -> None:
        """End the current task, which has counted this number of regions."""
        self.done, self._share = self.done + 1, 0.0
        self._regions += regions
        self._report()

    def statement(self) -> str:
        """The progress of a task."""
        share = f"{self._share:.0%} of the parts of"
        if self._count == 1:
            return f"{share} the {self._noun} were counted"
        found = f" ({self._regions / self.done:.6g} activation regions each)" if self.done else ""
        done = f"{self.done} of {self._count} {self._noun}s"
        return f"{done} were counted{found}, and {share} the next"

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(_GRAIN * self.done + round(_GRAIN * self._share), _GRAIN * self._count)

    def __enter__(self) -> Tasks:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt) and not error.args:
            raise KeyboardInterrupt(self.statement()) from None


class Ranges(Generic[S]):
    """Iterate over the ranges (first, count) in which the networks of a sample are drawn.

    The sample of each range is passed to `add`; `sample` is the sample of all of them. As a
    context, a KeyboardInterrupt becomes one that states how many networks were drawn, and the text
    that `so_far` returns for the sample.
    """

    sample: S

    def __init__(
        self,
        samples: int,
        progress: Progress | None,
        so_far: Callable[[S], str] = lambda _: "",
        parts: int = _PARTS,
    ) -> None:
        self._assigned = assigned_range(samples, _TILE)
        self._progress, self._so_far, self._parts = progress, so_far, parts
        self._drawn = self._begun = 0

    def progress(self, done: int, _total: int) -> None:
        """Report the progress of the range being drawn."""
        self._begun = self._drawn + done
        if self._progress is not None:
            self._progress(self._begun, self._assigned.count)

    def add(self, sample: S) -> None:
        """Add the sample of the range being drawn."""
        self.sample = self.sample.merge(sample) if self._drawn else sample

    def __iter__(self) -> Iterator[tuple[int, int]]:
        count = self._assigned.count
        size = _TILE * max(1, math.ceil(count / (self._parts * _TILE)))
        while self._drawn < count:
            step = min(size, count - self._drawn)
            yield self._assigned.first + self._drawn, step
            self._drawn += step
            self.progress(0, 0)

    def __enter__(self) -> Ranges[S]:
        if self._assigned.ready is not None:
            self.sample = self._assigned.ready
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt) and not error.args:
            text = self._so_far(self.sample) if self._drawn else ""
            result = f"; the first {self._drawn}: {text}" if text else ""
            raise KeyboardInterrupt(
                f"{self._begun} of {self._assigned.count} networks were drawn{result}"
            ) from None
        if error is None and self._assigned.ready is None:
            self._assigned.record(self.sample)


def in_parts(
    draw: Callable[[int, int, Progress], S],
    samples: int,
    progress: Progress | None,
    so_far: Callable[[S], str] = lambda _: "",
    parts: int = _PARTS,
) -> S:
    """Return the sample of networks 0, ..., samples - 1, drawn in about `parts` ranges.

    draw: takes the first network of a range, their number and a progress; see `Ranges`.
    """
    with Ranges(samples, progress, so_far, parts) as ranges:
        for first, count in ranges:
            ranges.add(draw(first, count, ranges.progress))
    return ranges.sample


def find_network(
    net: Network | str | os.PathLike[str], act: str | None = None
) -> tuple[Network, File]:
    """Return a network that is given, is in a file, or has a name, and the File for tables.

    Args:
        net: A Network; the path of a file that `load_network` reads; or a name that `named_network`
            knows.
        act: The activation, if a file does not name it.

    Raises:
        ValueError: If there is no such network, or its activation is not `act`.
    """
    from nnth._networks.network_files import SUFFIXES, load_network

    if isinstance(net, os.PathLike) or (isinstance(net, str) and Path(net).suffix in SUFFIXES):
        return load_network(net, act), file_of(net)
    network = _named(net, SUFFIXES) if isinstance(net, str) else net
    if act is not None and act != network.activation:
        raise ValueError(f"act must be that of the network, {network.activation}, not {act!r}")
    return network, File(net if isinstance(net, str) else None)


def _named(name: str, suffixes: Sequence[str]) -> Network:
    try:
        return named_network(name)
    except ValueError as error:
        files = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise ValueError(f"net must be a file ending in {files}, or a name: {error}") from None


def _either(value: T | None, default: T) -> T:
    return default if value is None else value
