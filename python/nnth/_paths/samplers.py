"""Random ReLU nets sampled: by the laws of their layers, or with every weight drawn.

No biases; every matrix, first and last included, is sqrt(2/fan-in) times independent entries of
variance 1. cpp/nnth/paths/law.hpp, gram_sampler.hpp and dense.hpp state the three samplers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._runtime.typing import Floats, Progress

Mu = Literal["gaussian", "rademacher", "uniform", "laplace"]
Sampler = Literal["law", "dense"]

# The quantities of which moments are asked, with their usual orders.
QUANTITIES: Final[Mapping[str, tuple[int, ...]]] = {
    "dzdx": (2, 4, 6, 8),
    "z": (2, 4, 6, 8),
    "normz": (2, 4, 6, 8),
    "normh": (2, 4, 6, 8),
    "gradient": (2, 4, 6, 8),
    "jacobian": (2, 4, 6, 8),
    "ntk": (1, 2),
    "ntk_standard": (1, 2),
}
MAX_ORDER: Final = 32
_KERNELS: Final = ("ntk", "ntk_standard")


@dataclass(frozen=True)
class QuantitySample:
    """Statistics of one quantity q >= 0 over the nets of a run.

    orders, mean, stderr: arrays of one length: E q^order, estimated, and the standard error of the
        estimate, which is itself an estimate and too small where max_share is not.
    log_of_mean: natural logarithm of mean, finite where mean leaves the range of doubles.
    max_share: what the largest net contributes to the sum of q^order, from 1/count to 1. Near 1 the
        sample has not seen the moment: its mean is then far below the expectation more often than
        not, by more than its standard error says.
    count, dead: nets, and those with q = 0 exactly.
    least, largest: of the nets with q > 0; 0 if there are none.
    log_mean, log_variance: of the natural logarithm of q over the nets with q > 0; nan for too few.
    values, log_values: q and log q of the first nets, as many as were kept.
    """

    name: str
    orders: tuple[int, ...]
    mean: Floats
    stderr: Floats
    log_of_mean: Floats
    max_share: Floats
    count: int
    dead: int
    least: float
    largest: float
    log_mean: float
    log_variance: float
    values: Floats
    log_values: Floats
    state: tuple[int, ...]

    def merge(self, other: QuantitySample) -> QuantitySample:
        """Return the statistics of both runs together; the values kept are one after the other."""
        state = _core.merge_moments(list(self.state), list(other.state))
        values = np.concatenate([self.values, other.values])
        logs = np.concatenate([self.log_values, other.log_values])
        return _statistics(self.name, state, values, logs)


@dataclass(frozen=True)
class PathSample:
    """What `sample_paths` returns: its parameters, and statistics by the name of the quantity."""

    n0: int
    widths: tuple[int, ...]
    n_out: int
    mu: Mu
    sampler: Sampler
    seed: int
    start: int
    samples: int
    quantities: dict[str, QuantitySample]

    def __getitem__(self, name: str) -> QuantitySample:
        """Return the statistics of one quantity."""
        return self.quantities[name]

    def merge(self, other: PathSample) -> PathSample:
        """Return the sample of both ranges of nets, `other` beginning where this one ends.

        The statistics are those of one run over both, to the last bit if the ranges meet at a
        multiple of 256. Raises ValueError for samples that do not fit together.
        """
        if other.start != self.start + self.samples:
            raise ValueError(
                f"other must start at net {self.start + self.samples}, not {other.start}"
            )
        if replace(other, start=0, samples=0, quantities={}) != replace(
            self, start=0, samples=0, quantities={}
        ) or list(other.quantities) != list(self.quantities):
            raise ValueError("other must be a sample of the same nets and quantities")
        merged = {k: v.merge(other.quantities[k]) for k, v in self.quantities.items()}
        return replace(self, samples=self.samples + other.samples, quantities=merged)


@dataclass(frozen=True)
class GramSample:
    """What `sample_grams` returns, over `samples` nets and m inputs.

    nngp_mean, ntk_mean, nngp_second, ntk_second: `(m, m)`: means of the matrices and of their
        entries squared.
    nngp_largest, ntk_largest: `(samples,)`: the largest eigenvalue in each net.
    nngp, ntk: `(keep, m, m)`: the matrices of the first nets.
    """

    seed: int
    start: int
    samples: int
    nngp_mean: Floats
    nngp_second: Floats
    ntk_mean: Floats
    ntk_second: Floats
    nngp_largest: Floats
    ntk_largest: Floats
    nngp: Floats
    ntk: Floats
    state: NDArray[np.int64]

    def merge(self, other: GramSample) -> GramSample:
        """Return the sample of both ranges of nets: the same bits as one run over both.

        Raises ValueError where `other` does not begin at the net after this one's last.
        """
        if other.seed != self.seed or other.start != self.start + self.samples:
            raise ValueError(
                f"other must start at net {self.start + self.samples} of seed {self.seed}, "
                f"not {other.start} of {other.seed}"
            )
        return _gram_sample(
            self.seed,
            self.start,
            self.samples + other.samples,
            _core.merge_sums(self.state, other.state),
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("nngp_largest", "ntk_largest", "nngp", "ntk")
            ),
        )


def sample_paths(
    quantities: Sequence[str] = ("dzdx", "z", "ntk"),
    orders: Mapping[str, Sequence[int]] | None = None,
    *,
    n0: int | None = None,
    widths: Sequence[int],
    n_out: int = 1,
    x: ArrayLike | None = None,
    mu: Mu = "gaussian",
    sampler: Sampler = "law",
    samples: int,
    seed: int = 0,
    start: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
    keep: int = 0,
) -> PathSample:
    """Return statistics of random ReLU nets at one input: nets start, ..., start + samples - 1.

    quantities: of "dzdx" |dz_1/dx_1|, "z" |z_1|, "normz" |z|, "normh" |h^L|, "gradient" |dz_1/dx|,
        "jacobian" |dz/dx|_F, "ntk" the tangent kernel of z_1 at x for the parameters W-hat, and
        "ntk_standard" the same for the parameters W.
    orders: of the moments of each, QUANTITIES by default; even and at most 32 (any up to 16 for
        the tangent kernels).
    n0: input dimension, the length of x by default or else 1. widths: n_1..n_L, each in 1..10^9.
        n_out: outputs. x: input `(n0,)`, all ones by default; not zero.
    mu: law of the weights: "gaussian", "rademacher" (+-1), "uniform", "laplace", of variance 1.
    sampler: "law" draws what the weights do rather than the weights: O(L) random numbers a net,
        exactly in law, for Gaussian weights only. Quantities of one net belong together, but for
        dzdx, which is the z of the same net rescaled and has the law of dzdx only by itself, and
        jacobian with n_out > 1, whose nets are others; it costs k^3 a layer, k = min(n0, n_out).
        "dense" draws every weight that meets an active neuron; a neuron with z = 0, which weights
        with atoms make likely, is active by a fair coin.
    samples: nets. seed, start: in [0, 2^64); net s is a function of (seed, s) alone.
    threads: 0 means all; the result does not depend on it. keep: values kept of the first nets.
    progress: called with nets done and nets in all, a few times a second.

    Returns a PathSample. Accuracy: the law is exact up to the rounding of doubles, the 2^-64 grid
    of its normals and the 2e-21 of a layer's active neurons that lie beyond 9.5 deviations. Cost on
    one core: about 9 ns a layer for "law", half as much again with a tangent kernel or gradient;
    3 ns a weight drawn for "dense" and Gaussian weights. Memory does not grow with samples.

    Raises ValueError for arguments out of range, and for what "law" cannot do.

    Source: Hanin & Nica (2018); Marsaglia & Tsang (2000) for chi-squares.
    """
    n0, vector = _input(n0, x)
    asked = _asked(quantities, orders)
    _check(mu, sampler, samples, seed, start, threads, keep)
    if n_out < 1:
        raise ValueError(f"n_out must be at least 1, not {n_out}")
    states, values, logs = _core.sample_paths(
        vector,
        _widths(widths),
        n_out,
        mu,
        [
            (name, [k if name in _KERNELS else k // 2 for k in powers])
            for name, powers in asked.items()
        ],
        sampler == "dense",
        seed,
        start,
        samples,
        keep,
        threads,
        _in_nets(progress, samples),
    )
    return PathSample(
        n0=n0,
        widths=tuple(int(n) for n in widths),
        n_out=n_out,
        mu=mu,
        sampler=sampler,
        seed=seed,
        start=start,
        samples=samples,
        quantities={
            name: _statistics(name, state, values[i], logs[i])
            for i, (name, state) in enumerate(zip(asked, states, strict=True))
        },
    )


def sample_grams(
    x: ArrayLike,
    *,
    widths: Sequence[int],
    mu: Mu = "gaussian",
    sampler: Sampler = "law",
    samples: int,
    seed: int = 0,
    start: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
    keep: int = 0,
) -> GramSample:
    """Return Gram matrices over inputs of random ReLU nets with one output.

    NNGP: (2/n_L) <h^L_a, h^L_b>, the covariance of the outputs given the hidden layers. NTK: the
    tangent kernel Theta_ab for the parameters W-hat.

    x: inputs `(m, n0)`, a row an input, none of them zero. The others as for `sample_paths`; "law"
    costs O(L n m) normals and O(L n m^2) operations a net.

    Returns a GramSample. Accuracy: exact in law up to rounding, which directions of relative size
    below about 1e-7 between nearly parallel inputs do not survive. Raises ValueError for arguments
    out of range and for "law" with weights that are not Gaussian.
    """
    inputs = np.ascontiguousarray(x, dtype=np.float64)
    if inputs.ndim != 2 or inputs.size == 0:
        raise ValueError(f"x must be a matrix with a row an input, not of shape {inputs.shape}")
    _check(mu, sampler, samples, seed, start, threads, keep)
    state, nngp_largest, ntk_largest, nngp, ntk = _core.sample_grams(
        inputs,
        _widths(widths),
        mu,
        sampler == "dense",
        seed,
        start,
        samples,
        keep,
        threads,
        _in_nets(progress, samples),
    )
    return _gram_sample(seed, start, samples, state, nngp_largest, ntk_largest, nngp, ntk)


def _statistics(name: str, state: Sequence[int], values: Floats, logs: Floats) -> QuantitySample:
    found = _core.moments_of(list(state))
    # The core has the moments of q^2, but for the tangent kernels.
    root = 1 if name in _KERNELS else 2
    return QuantitySample(
        name=name,
        orders=tuple(root * int(p) for p in found["powers"]),
        mean=found["mean"],
        stderr=found["stderr"],
        log_of_mean=found["log_of_mean"],
        max_share=found["max_share"],
        count=found["count"],
        dead=found["zeros"],
        least=float(np.exp(found["log_least"] / root)),
        largest=float(np.exp(found["log_largest"] / root)),
        log_mean=found["log_mean"] / root,
        log_variance=found["log_variance"] / root**2,
        values=values,
        log_values=logs,
        state=tuple(state),
    )


def _gram_sample(
    seed: int,
    start: int,
    samples: int,
    state: NDArray[np.int64],
    nngp_largest: Floats,
    ntk_largest: Floats,
    nngp: Floats,
    ntk: Floats,
) -> GramSample:
    means = _core.totals(state) / samples
    return GramSample(
        seed=seed,
        start=start,
        samples=samples,
        nngp_mean=means[0],
        nngp_second=means[1],
        ntk_mean=means[2],
        ntk_second=means[3],
        nngp_largest=nngp_largest,
        ntk_largest=ntk_largest,
        nngp=nngp,
        ntk=ntk,
        state=state,
    )


def _input(n0: int | None, x: ArrayLike | None) -> tuple[int, list[float]]:
    if x is None:
        n0 = 1 if n0 is None else n0
        if n0 < 1:
            raise ValueError(f"n0 must be at least 1, not {n0}")
        return n0, [1.0] * n0
    vector = np.asarray(x, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"x must be a vector, not an array of shape {vector.shape}")
    if n0 is not None and n0 != vector.size:
        raise ValueError(f"n0 must be the length of x, {vector.size}, not {n0}")
    return vector.size, vector.tolist()


def _widths(widths: Sequence[int]) -> list[int]:
    for n in widths:
        if n < 1:
            raise ValueError(f"widths must be at least 1, not {n}")
    return [int(n) for n in widths]


def _asked(
    quantities: Sequence[str], orders: Mapping[str, Sequence[int]] | None
) -> dict[str, tuple[int, ...]]:
    orders = {} if orders is None else orders
    for name in orders:
        if name not in quantities:
            raise ValueError(f"orders must be of quantities asked for, and {name!r} is not")
    asked = {}
    for name in quantities:
        if name not in QUANTITIES:
            raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, not {name!r}")
        asked[name] = tuple(int(k) for k in orders.get(name, QUANTITIES[name]))
        step, most = (1, MAX_ORDER // 2) if name in _KERNELS else (2, MAX_ORDER)
        for k in asked[name]:
            if not (step <= k <= most and k % step == 0):
                kind = "even and " if step == 2 else ""
                raise ValueError(f"orders of {name} must be {kind}in {step}..{most}, not {k}")
    return asked


def _check(
    mu: str, sampler: str, samples: int, seed: int, start: int, threads: int, keep: int
) -> None:
    if mu not in ("gaussian", "rademacher", "uniform", "laplace"):
        raise ValueError(f"mu must be gaussian, rademacher, uniform or laplace, not {mu!r}")
    if sampler not in ("law", "dense"):
        raise ValueError(f"sampler must be law or dense, not {sampler!r}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    if threads < 0:
        raise ValueError(f"threads must be at least 0, not {threads}")
    if keep < 0:
        raise ValueError(f"keep must be at least 0, not {keep}")
    for name, value in (("seed", seed), ("start", start)):
        if not 0 <= value < 2**64:
            raise ValueError(f"{name} must be in [0, 2**64), not {value}")
    if start + samples > 2**64 - 1:
        raise ValueError(f"start + samples must be below 2**64, not {start + samples}")


def _in_nets(progress: Progress | None, samples: int) -> Progress | None:
    if progress is None:
        return None
    tell = progress
    return lambda done, total: tell(samples * done // total, samples)
