"""The random ReLU networks of path counting: architecture, weight distribution and sampling."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data, load_data
from nnth._data.files import File, file_of
from nnth._networks.network import hidden_widths
from nnth._paths.log_moments import path_log_moments
from nnth._paths.moments import Weights, input_vector, layer_sizes
from nnth._paths.samplers import Mu, Sampler
from nnth._paths.weight_distribution import NAMES, WeightDistribution, weight_distribution
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._tables.table import Meta

Array = NDArray[np.float64]

SAMPLES: Final = 10_000
MAX_N0: Final = 10_000_000
MAX_SAMPLES: Final = (
    streams.PATH_NETWORKS.count
)  # groups of 256 networks, of which the core's sums hold 2^31
CONTINUOUS: Final = ("gaussian", "uniform", "laplace")


@dataclass(frozen=True, eq=False)
class PathEnsemble:
    """Random networks of one architecture, their input, and how they are sampled."""

    n0: int
    widths: tuple[int, ...]
    n_out: int
    weights: WeightDistribution
    x: Array | None
    file: File
    linear: bool
    samples: int
    sampler: Sampler
    seed: int

    @property
    def point(self) -> Array:
        """The input, all ones by default."""
        return np.ones(self.n0) if self.x is None else self.x

    @property
    def mu(self) -> Mu:
        """The name of the weight distribution, for networks that can be sampled."""
        names: dict[str, Mu] = {
            "gaussian": "gaussian",
            "rademacher": "rademacher",
            "uniform": "uniform",
            "laplace": "laplace",
        }
        return names[self.weights.name]

    @property
    def inverse_widths(self) -> float:
        """T, the sum of 1/n_l over the hidden layers."""
        return math.fsum(1 / n for n in self.widths)

    @property
    def dead(self) -> float:
        """The probability that z and its derivatives are 0; NaN if mu may have atoms."""
        if self.weights.name not in CONTINUOUS:
            return math.nan
        if self.linear:
            return 0.0
        return path_log_moments(n0=self.n0, widths=self.widths).dead

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that a table records, with widths written as "64*10,32".

        An input of more than 100 coordinates is recorded by the name of its file, if it has one.
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
            "mu": self.weights.name,
            "x": self.x if short else from_file,
            "linear": self.linear,
            "samples": self.samples,
            "sampler": self.sampler if self.samples else None,
        }

    def meta(self, **more: Any) -> Meta:
        """Return the metadata of a table, with further parameters."""
        return Meta("paths", self.parameters() | more, seed=self.seed if self.samples else None)


def path_ensemble(
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    mu: Weights = "gaussian",
    sampler: Sampler | None = None,
    n0: int | None = None,
    n_out: int | None = None,
    x: Data | None = None,
    linear: bool = False,
    samples: int | None = None,
    seed: int = 0,
) -> PathEnsemble:
    """Return the random networks that these arguments of `nnth.paths` describe.

    Raises:
        ValueError: If an argument is out of range, if `sampler` is "law" and the weights are not
            Gaussian, or if networks that cannot be sampled (linear ones, and those of which only
            moments of mu are known) come with `samples`.
    """
    file = File(None)
    vector: Any = x
    if isinstance(x, str | os.PathLike):
        rows = load_data(x)
        if len(rows) != 1:
            raise ValueError(f"x must have one row, the input, not {len(rows)} as in {x}")
        file, vector = file_of(x), rows[0]
    if n0 is None:
        n0 = 2 if vector is None else int(np.size(vector))
    n0, hidden, outputs = layer_sizes(
        check_integer("n0", n0),
        hidden_widths(widths, width, depth, default=(64, 10)),
        1 if n_out is None else n_out,
    )
    if n0 > MAX_N0:
        raise ValueError(f"n0 must be at most {MAX_N0}, not {n0}")
    point = None if vector is None else input_vector(vector, n0)
    weights = weight_distribution(mu)
    reason = "for linear networks" if linear else f"if mu is given by its moments, {weights.name}"
    drawn = not linear and weights.name in NAMES
    samples = (SAMPLES if drawn else 0) if samples is None else check_integer("samples", samples, 0)
    if samples > MAX_SAMPLES:
        raise ValueError(f"samples must be at most 2**39, not {samples}")
    if samples and not drawn:
        raise ValueError(f"samples must be 0 {reason}, not {samples}")
    if sampler not in (None, "law", "dense"):
        raise ValueError(f"sampler must be law or dense, not {sampler!r}")
    if sampler == "law" and not weights.is_gaussian:
        raise ValueError(
            f"sampler must be dense for mu {weights.name}, not law: only Gaussian weights are "
            "invariant under rotations, so that the norms of the layers suffice"
        )
    if sampler is None:
        sampler = "law" if weights.is_gaussian else "dense"
    return PathEnsemble(n0, hidden, outputs, weights, point, file, linear, samples, sampler, seed)
