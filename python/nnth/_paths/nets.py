"""The random networks that path counting is about: their shape, their law, how they are drawn."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data, load_data
from nnth._data.files import File, file_of
from nnth._networks.network import parse_widths
from nnth._paths.laws import path_laws
from nnth._paths.moments import Law, input_vector, layer_sizes
from nnth._paths.samplers import Mu
from nnth._paths.weight_law import LAWS, WeightLaw, weight_law
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._tables.table import Meta

Array = NDArray[np.float64]
Sampler = Literal["law", "dense"]

SAMPLES: Final = 10_000
MAX_N0: Final = 10_000_000
MAX_SAMPLES: Final = streams.PATH_NETWORKS.count  # groups of 256, of which sums hold 2^31
CONTINUOUS: Final = ("gaussian", "uniform", "laplace")


class NetsOfAnyInput(TypedDict, total=False):
    """What the networks are like and how they are drawn; each may be left out.

    n0: dimension of the input, that of x or else 2. widths: of the hidden layers, or text as
    "64*10,32"; ten of 64. n_out: dimension of the output, 1. mu: law of the entries of W-hat, by
    its name or its even moments (`nnth.weight_law`); "gaussian". linear: without activations.
    samples: networks, 10,000; 0 where only moments of mu are known or the network is linear.
    sampler: "law" draws what Gaussian weights do to norms, O(L) numbers a network, exactly in law;
    "dense" draws every weight; "law" where mu is Gaussian. seed: 0.
    """

    n0: int | None
    widths: Sequence[int] | str | None
    n_out: int | None
    mu: Law
    linear: bool
    samples: int | None
    sampler: Sampler | None
    seed: int


class Nets(NetsOfAnyInput, total=False):
    """The same with x: the input `(n0,)`, or a data file with one row; all ones if left out."""

    x: Data | None


@dataclass(frozen=True, eq=False)
class PathNets:
    """Random networks of one shape, their input, and how they are drawn; see `Nets`."""

    n0: int
    widths: tuple[int, ...]
    n_out: int
    law: WeightLaw
    x: Array | None
    file: File
    linear: bool
    samples: int
    sampler: Sampler
    seed: int

    @property
    def point(self) -> Array:
        """The input."""
        return np.ones(self.n0) if self.x is None else self.x

    @property
    def mu(self) -> Mu:
        """The name of the law, of networks that can be drawn."""
        names: dict[str, Mu] = {
            "gaussian": "gaussian",
            "rademacher": "rademacher",
            "uniform": "uniform",
            "laplace": "laplace",
        }
        return names[self.law.name]

    @property
    def inverse_widths(self) -> float:
        """T, the sum of 1/n_l over the hidden layers."""
        return math.fsum(1 / n for n in self.widths)

    @property
    def dead(self) -> float:
        """The probability that z and its derivatives are 0; NaN where mu may have atoms."""
        if self.law.name not in CONTINUOUS:
            return math.nan
        if self.linear:
            return 0.0
        return path_laws(n0=self.n0, widths=self.widths).dead

    def parameters(self) -> dict[str, Any]:
        """What a table's record says of the networks; widths as in "64*10,32".

        Of an input with more than 100 coordinates it has the file, if it is of one.
        """
        runs = [(n, len(list(group))) for n, group in groupby(self.widths)]
        short = self.x is not None and self.n0 <= 100
        from_file = None if self.file.name is None else self.file
        return {
            "n0": self.n0,
            "widths": ",".join(f"{n}*{count}" if count > 1 else str(n) for n, count in runs),
            "depth": len(self.widths),
            "inverse_widths": self.inverse_widths,
            "n_out": self.n_out,
            "mu": self.law.name,
            "x": self.x if short else from_file,
            "linear": self.linear,
            "samples": self.samples,
            "sampler": self.sampler if self.samples else None,
        }

    def meta(self, **more: Any) -> Meta:
        """Return what made a table, with further parameters."""
        return Meta("paths", self.parameters() | more, seed=self.seed if self.samples else None)


def path_nets(**nets: Unpack[Nets]) -> PathNets:
    """Return the networks that are asked for, checked.

    Raises ValueError for what is out of range, for "law" where weights are not Gaussian, and for
    samples of networks that cannot be drawn: linear ones, and laws of which moments are known.
    """
    x, file = nets.get("x"), File(None)
    if isinstance(x, str | os.PathLike):
        rows = load_data(x)
        if len(rows) != 1:
            raise ValueError(f"x must have one row, the input, not {len(rows)} as in {x}")
        file, x = file_of(x), rows[0]
    n0 = nets.get("n0")
    if n0 is None:
        n0 = 2 if x is None else int(np.size(x))
    widths = nets.get("widths")
    listed = parse_widths(widths) if isinstance(widths, str) else widths
    n_out = nets.get("n_out")
    n0, hidden, outputs = layer_sizes(
        check_integer("n0", n0),
        (64,) * 10 if listed is None else listed,
        1 if n_out is None else n_out,
    )
    if n0 > MAX_N0:
        raise ValueError(f"n0 must be at most {MAX_N0}, not {n0}")
    if not hidden:
        raise ValueError("widths must have at least one layer, not none")
    point = None if x is None else input_vector(x, n0)
    law, linear = weight_law(nets.get("mu", "gaussian")), nets.get("linear", False)
    reason = "for linear networks" if linear else f"where mu is known by its moments, {law.name}"
    drawn = not linear and law.name in LAWS
    samples = nets.get("samples")
    samples = (SAMPLES if drawn else 0) if samples is None else check_integer("samples", samples, 0)
    if samples > MAX_SAMPLES:
        raise ValueError(f"samples must be at most 2**39, not {samples}")
    if samples and not drawn:
        raise ValueError(f"samples must be 0 {reason}, not {samples}")
    sampler = nets.get("sampler")
    if sampler not in (None, "law", "dense"):
        raise ValueError(f"sampler must be law or dense, not {sampler!r}")
    if sampler == "law" and not law.is_gaussian:
        raise ValueError(
            f"sampler must be dense for mu {law.name}, not law: only Gaussian weights turn every "
            "direction alike, so that norms are all that matters"
        )
    if sampler is None:
        sampler = "law" if law.is_gaussian else "dense"
    seed = nets.get("seed", 0)
    return PathNets(n0, hidden, outputs, law, point, file, linear, samples, sampler, seed)
