"""The layers of deep linear networks, grouped by width, and products of their gamma variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._networks.network import MAX_WIDTH, parse_widths
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats, Progress

MAX_DEPTH: Final = 10_000_000
MAX_INPUT: Final = 10**9
MAX_SAMPLES: Final = 2**27  # one number is stored for each
SIGMA2_RANGE: Final = (1e-100, 1e100)


@dataclass(frozen=True)
class Layers:
    """Hidden layers 1, ..., L: the distinct widths, and the number of layers of each."""

    widths: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def depth(self) -> int:
        """The number of hidden layers L."""
        return sum(self.counts)

    @property
    def shapes(self) -> list[float]:
        """The shapes n/2 of the gamma variables chi^2_n/2."""
        return [0.5 * n for n in self.widths]

    @property
    def multiplicities(self) -> list[float]:
        """The counts as floats, for the core."""
        return [float(m) for m in self.counts]

    @property
    def inverse_widths(self) -> float:
        """The sum of 1/n_l over the hidden layers."""
        return math.fsum(m / n for n, m in zip(self.widths, self.counts, strict=True))

    def log_moment(self, power: float) -> float:
        """Return log E prod_l (chi^2_(n_l)/n_l)^power, for power > -n_l/2 in every layer."""
        pairs = zip(self.shapes, self.counts, strict=True)
        return math.fsum(m * float(_core.log_gamma_step(a, power)) for a, m in pairs)

    def with_layer(self, width: int) -> Layers:
        """Return these layers and one of another width."""
        return Layers((*self.widths, width), (*self.counts, 1))


def layers_of(widths: Sequence[int]) -> Layers:
    """Return the layers of these widths. Raises ValueError for one out of range."""
    counts: dict[int, int] = {}
    for n in widths:
        if check_integer("widths", n) > MAX_WIDTH:
            raise ValueError(f"widths must be at most {MAX_WIDTH}, not {n}")
        counts[n] = counts.get(n, 0) + 1
    return Layers(tuple(counts), tuple(counts.values()))


def architectures(
    widths: Sequence[int] | str | None,
    width: int | None,
    depth: int | Sequence[int] | None,
    depths: Sequence[int] = (1,),
) -> tuple[list[Layers], dict[str, Any]]:
    """Return one or several architectures, in order, and the parameters width and widths.

    widths: the widths of one architecture, in place of a width (64 if None) and one or several
        depths (`depths` if None).

    Raises ValueError if both are given, or a number is out of range.
    """
    if widths is not None:
        if width is not None or depth is not None:
            raise ValueError("widths must not come with width or depth")
        listed = parse_widths(widths) if isinstance(widths, str) else tuple(widths)
        if not listed:
            raise ValueError("widths must hold a number, and is empty; use depth 0 for no layers")
        found = layers_of(listed)
        pairs = zip(found.widths, found.counts, strict=True)
        text = ",".join(f"{n}*{m}" if m > 1 else str(n) for n, m in pairs)
        return [found], {"width": None, "widths": text}
    n = check_integer("width", 64 if width is None else width)
    if n > MAX_WIDTH:
        raise ValueError(f"width must be at most {MAX_WIDTH}, not {n}")
    asked = depths if depth is None else [depth] if isinstance(depth, int) else list(depth)
    if not asked:
        raise ValueError("depth must hold a number, and is empty")
    for value in asked:
        if check_integer("depth", value, minimum=0) > MAX_DEPTH:
            raise ValueError(f"depth must be at most {MAX_DEPTH}, not {value}")
    found_at = [Layers((n,), (value,)) if value else Layers((), ()) for value in asked]
    return found_at, {"width": n, "widths": None}


def scales_of(sigma2: float | Sequence[float]) -> list[float]:
    """Return the prior variances sigma^2 as a list. Raises ValueError for one out of range."""
    values = [float(v) for v in np.asarray(sigma2, dtype=np.float64).reshape(-1)]
    if not values:
        raise ValueError("sigma2 must hold a number, and is empty")
    for value in values:
        if not value > 0.0:
            raise ValueError(f"sigma2 must be positive, not {value:g}")
        if not SIGMA2_RANGE[0] <= value <= SIGMA2_RANGE[1]:
            raise ValueError(
                f"sigma2 must be from {SIGMA2_RANGE[0]:g} to {SIGMA2_RANGE[1]:g}, not {value:g}"
            )
    return values


@dataclass(frozen=True)
class LogProducts:
    """Logarithms of products of gamma variables, one for each sample."""

    values: Floats

    def merge(self, other: LogProducts) -> LogProducts:
        """Return the samples of both."""
        return replace(self, values=np.concatenate((self.values, other.values)))


def log_products(
    layers: Layers,
    tilt: float,
    *,
    seed: int,
    start: int,
    samples: int,
    threads: int,
    progress: Progress | None,
) -> LogProducts:
    """Return log prod_l G_l/(n_l/2) for each sample, with gamma variables of shape n_l/2 + tilt.

    Sample s is a function of (seed, start + s) alone.
    """
    shapes = layers.shapes
    return LogProducts(
        _core.log_gamma_products(
            [a + tilt for a in shapes],
            shapes,
            list(layers.counts),
            seed,
            start,
            samples,
            threads,
            progress,
        )
    )


def check_sample(samples: int, seed: int) -> None:
    """Raise ValueError if `samples` is outside [0, 2^27] or the seed is invalid."""
    if check_integer("samples", samples, minimum=0) > MAX_SAMPLES:
        raise ValueError(f"samples must be at most {MAX_SAMPLES}, not {samples}")
    check_seed(seed)


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed outside [0, 2^64)."""
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), not {seed}")
