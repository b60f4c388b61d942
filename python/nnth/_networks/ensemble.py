"""The networks a computation runs over: samples of a random one, or one that is given."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypedDict, TypeVar, Unpack

from nnth._data.files import File, file_of
from nnth._networks.network import (
    Network,
    named_network,
    parse_widths,
    random_network,
    require_relu,
)
from nnth._networks.network_files import SUFFIXES, load_network
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Progress
from nnth._runtime.work import sample_in_parts

T = TypeVar("T")
S = TypeVar("S", bound="Mergeable")

MAX_SAMPLES: Final = streams.SAMPLES.count

_PARTS: Final = 64  # of a sample: what an interrupt leaves
_TILE: Final = 256  # nets; parts of whole tiles merge to the last bit
_GRAIN: Final = 1000  # steps of progress a task


class Mergeable(Protocol):
    """A sample of a range of networks, to which that of the next range can be added."""

    def merge(self: S, other: S) -> S:
        """Return the sample of both ranges."""


class Shape(TypedDict, total=False):
    """What random networks are like; each may be left out.

    n0: dimension of the input, 2. widths: of the hidden layers, (64,), or text as "64*10,32".
    n_out: dimension of the output, 1. cw, cb: W_l ~ N(0, cw/n_(l-1)), b_l ~ N(0, cb),
    2 and 1. samples: networks, 1. seed: 0; sample s is stream s of the seed.
    """

    n0: int | None
    widths: Sequence[int] | str | None
    n_out: int | None
    cw: float | None
    cb: float | None
    samples: int | None
    seed: int


@dataclass(frozen=True)
class Ensemble:
    """Networks of one shape: `samples` random ones (cw, cb, seed), or the one `given`."""

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
    def law(self) -> dict[str, float] | None:
        """The variances cw and cb of random networks; None for a given one."""
        if self.given is not None or self.cw is None or self.cb is None:
            return None
        return {"cw": self.cw, "cb": self.cb}

    def parameters(self) -> dict[str, Any]:
        """What a table's record says of the networks."""
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
    net: Network | str | os.PathLike[str] | None = None, **shape: Unpack[Shape]
) -> Ensemble:
    """Return the networks that are asked for.

    net: a Network; the path of a file that `nnth.load_network` reads; a name that
        `nnth.named_network` knows; or None for random networks, of this Shape.

    Raises ValueError for an argument out of range, or of the shape beside a network.
    """
    seed = shape.get("seed", 0)
    given = {name: value for name, value in shape.items() if value is not None and name != "seed"}
    if net is not None:
        for name, value in given.items():
            raise ValueError(f"{name} must not be given where net is, and is {value}")
        network = _network(net)
        require_relu(network)
        named = isinstance(net, str) and not _is_file(net)
        source = File(str(net)) if named else file_of(net)
        return Ensemble(
            network.n0, network.widths, network.n_out, None, None, 1, seed, source, network
        )
    widths = shape.get("widths") or (64,)
    samples = check_integer("samples", _either(shape.get("samples"), 1))
    if samples >= MAX_SAMPLES:
        raise ValueError(f"samples must be below {MAX_SAMPLES}, not {samples}")
    return Ensemble(
        check_integer("n0", _either(shape.get("n0"), 2)),
        parse_widths(widths) if isinstance(widths, str) else tuple(map(_width, widths)),
        check_integer("n_out", _either(shape.get("n_out"), 1)),
        float(_either(shape.get("cw"), 2.0)),
        float(_either(shape.get("cb"), 1.0)),
        samples,
        seed,
        File(None),
        None,
    )


class Tasks:
    """Progress through equal tasks, each of which tells its own.

    As a context it turns a KeyboardInterrupt into one that says how far the work was.
    """

    def __init__(self, count: int, noun: str, progress: Progress | None) -> None:
        self.done = 0
        self._count, self._noun, self._progress = count, noun, progress
        self._share = 0.0
        self._regions = 0

    def part(self, done: int, total: int) -> None:
        """The progress of the task at hand."""
        self._share = done / total if total else 0.0
        self._report()

    def finish(self, regions: int) -> None:
        """Ends the task at hand, which has counted so many regions."""
        self.done, self._share = self.done + 1, 0.0
        self._regions += regions
        self._report()

    def statement(self) -> str:
        """How far the work is."""
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


def in_parts(
    part: Callable[[int, int, Progress | None], S],
    samples: int,
    progress: Progress | None,
    so_far: Callable[[S], str] = lambda _: "",
    parts: int = _PARTS,
) -> S:
    """Return the sample of networks 0, ..., samples - 1, drawn in about so many parts.

    A KeyboardInterrupt becomes one that says how many there were, and what of them.
    """

    def draw_range(first: int, count: int) -> S:
        return _in_parts(part, first, count, progress, so_far, parts)

    return sample_in_parts(draw_range, samples, tile=_TILE)


def _in_parts(
    part: Callable[[int, int, Progress | None], S],
    first: int,
    samples: int,
    progress: Progress | None,
    so_far: Callable[[S], str],
    parts: int,
) -> S:
    size = _TILE * max(1, math.ceil(samples / (parts * _TILE)))
    sample: S | None = None
    done = start = 0

    def tell(here: int, _total: int) -> None:
        nonlocal done
        done = start + here
        if progress is not None:
            progress(done, samples)

    try:
        while start < samples:
            found = part(first + start, min(size, samples - start), tell)
            sample = found if sample is None else sample.merge(found)
            start = done = start + min(size, samples - start)
            tell(0, samples)
    except KeyboardInterrupt as stop:
        if stop.args:
            raise
        said = f"; the first {start}: {so_far(sample)}" if sample and so_far(sample) else ""
        raise KeyboardInterrupt(f"{done} of {samples} networks were drawn{said}") from None
    assert sample is not None
    return sample


def _network(net: Network | str | os.PathLike[str]) -> Network:
    if isinstance(net, Network):
        return net
    if not isinstance(net, str) or _is_file(net):
        return load_network(net)
    try:
        return named_network(net)
    except ValueError as error:
        files = " or ".join(SUFFIXES)
        raise ValueError(f"net must be a file ending in {files}, or a name: {error}") from None


def _is_file(net: str | os.PathLike[str]) -> bool:
    """Whether a net is given as a file, and not by its name."""
    return isinstance(net, os.PathLike) or Path(net).suffix in SUFFIXES


def _width(value: int) -> int:
    return check_integer("widths", value)


def _either(value: T | None, default: T) -> T:
    return default if value is None else value
