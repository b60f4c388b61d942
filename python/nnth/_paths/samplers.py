"""Samples of random ReLU networks: from the distribution of their layers, or weight by weight.

There are no biases; every matrix, first and last included, is sqrt(2/fan-in) times independent
entries of variance 1. The samplers are documented in norm_sampler.hpp, gram_sampler.hpp and
dense_network.hpp of cpp/nnth/paths.
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

# The quantities, with the default orders of their moments.
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
    """Statistics of one quantity q >= 0 over a sample of networks.

    Attributes:
        name: The name of the quantity.
        orders: The orders of the moments.
        mean: The estimates of E q^order `(orders,)`.
        stderr: Their standard errors, which are estimates too: if max_fraction is large, they
            are too small.
        log_of_mean: The logarithms of mean, also outside the range of doubles.
        max_fraction: The largest contribution of one network to the sum of q^order, from 1/count
            to 1. Near 1 the sample misses the moment: its mean is then usually far below the
            expectation, by more than its standard error.
        count, dead: The number of networks, and of those with q = 0 exactly.
        least, largest: The least and largest q > 0; 0 if there is none.
        log_mean, log_variance: Of log q over networks with q > 0; NaN for too few.
        values, log_values: q and log q of the first networks, as many as were kept.
    """

    name: str
    orders: tuple[int, ...]
    mean: Floats
    stderr: Floats
    log_of_mean: Floats
    max_fraction: Floats
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
        """Return the statistics of both samples together, with the kept values of both."""
        state = _core.merge_moments(list(self.state), list(other.state))
        values = np.concatenate([self.values, other.values])
        logs = np.concatenate([self.log_values, other.log_values])
        return _statistics(self.name, state, values, logs)


@dataclass(frozen=True)
class PathSample:
    """The result of `sample_paths`: its arguments, and statistics of each quantity by name."""

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
        """Return the sample of both ranges of networks; `other` must start where this one ends.

        The statistics equal those of one run over both ranges, to the last bit if the ranges meet
        at a multiple of 256. Raises ValueError for samples that do not fit together.
        """
        if other.start != self.start + self.samples:
            raise ValueError(
                f"other must start at network {self.start + self.samples}, not {other.start}"
            )
        if replace(other, start=0, samples=0, quantities={}) != replace(
            self, start=0, samples=0, quantities={}
        ) or list(other.quantities) != list(self.quantities):
            raise ValueError("other must be a sample of the same networks and quantities")
        merged = {k: v.merge(other.quantities[k]) for k, v in self.quantities.items()}
        return replace(self, samples=self.samples + other.samples, quantities=merged)


@dataclass(frozen=True)
class GramSample:
    """The result of `sample_grams`, over `samples` networks and m inputs.

    Attributes:
        nngp_mean, ntk_mean: The means of the matrices `(m, m)`.
        nngp_second, ntk_second: The means of their squared entries `(m, m)`.
        nngp_largest, ntk_largest: The largest eigenvalue in each network `(samples,)`.
        nngp, ntk: The matrices of the first networks `(keep, m, m)`.
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
        """Return the sample of both ranges of networks, the same bits as one run over both.

        Raises ValueError if `other` does not start where this one ends.
        """
        if other.seed != self.seed or other.start != self.start + self.samples:
            raise ValueError(
                f"other must start at network {self.start + self.samples} of seed {self.seed}, "
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
    widths: Sequence[int],
    mu: Mu = "gaussian",
    sampler: Sampler = "law",
    n0: int | None = None,
    n_out: int = 1,
    x: ArrayLike | None = None,
    samples: int,
    start: int = 0,
    keep: int = 0,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> PathSample:
    """Return statistics of the random ReLU networks start, ..., start + samples - 1 at one input.

    For Gaussian weights the layers of a network depend on one another only through their norms
    `h_l = |h^l|`. With the number B_l ~ Bin(n_l, 1/2) of active neurons::

        h_l^2 = (2/n_(l-1)) h_(l-1)^2 chi^2_(B_l)

    Args:
        quantities: Of "dzdx", `|dz_1/dx_1|`; "z", `|z_1|`; "normz", `|z|`; "normh", `|h^L|`;
            "gradient", `|dz_1/dx|`; "jacobian", `|dz/dx|_F`; "ntk", the tangent kernel of z_1 at x
            for the parameters W-hat; "ntk_standard", the same for the parameters W.
        orders: The orders of the moments of each quantity, even and at most 32 (for the tangent
            kernels any order up to 16); by default 2, 4, 6, 8, and 1, 2 for the kernels.
        widths: The widths of the hidden layers, from 1 to 10^9.
        mu: The distribution of the weights, of variance 1: "gaussian", "rademacher" (+-1),
            "uniform" or "laplace".
        sampler: "law" samples norms, in O(L) random numbers per network, from their exact
            distribution for Gaussian weights. The quantities of one network belong together,
            except for dzdx, which is z rescaled and follows the distribution of dzdx only by
            itself, and the Jacobian for n_out > 1, which is drawn separately and costs k^3 per
            layer, k = min(n0, n_out). "dense" samples every weight that meets an active neuron; a
            neuron with z = 0, likely if weights have atoms, is active by a fair coin.
        n0: The input dimension; the length of `x`, or 1, if None.
        n_out: The output dimension.
        x: The input `(n0,)`, not 0; all ones if None.
        samples: The number of networks, at least 1.
        start: The first network, in [0, 2^64).
        keep: The number of networks whose values are kept.
        seed: Network s is a function of (seed, s) alone; seed in [0, 2^64).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the networks done and their number, a few times per second.

    Returns:
        A PathSample; `sample["dzdx"].mean` has the moments of dzdx.

    Raises:
        ValueError: If an argument is out of range, or "law" cannot sample the quantity.

    Accuracy: exact in distribution up to the rounding of doubles, the 2^-64 grid of the normals and
    a probability of 2e-21 that the active neurons of a layer exceed 9.5 standard deviations. Cost
    on one core: about 9 ns per layer for "law", half as much again with a kernel or gradient; 3 ns
    per weight for "dense" and Gaussian weights. Memory does not grow with samples.

    Example:
        >>> sample = nnth.sample_paths(["dzdx"], n0=1, widths=[8, 8], samples=20_000)
        >>> second = sample["dzdx"]
        >>> bool(abs(second.mean[0] - 2.0) < 5.0 * second.stderr[0])
        True

    Source: Hanin and Nica (2018); Marsaglia and Tsang (2000) for chi-squares.
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
        _in_networks(progress, samples),
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
    start: int = 0,
    keep: int = 0,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> GramSample:
    """Return Gram matrices over inputs of random ReLU networks with one output.

    The NNGP kernel is the covariance of the outputs given the hidden layers; the NTK is the tangent
    kernel for the parameters W-hat::

        K_ab = (2/n_L) <h^L_a, h^L_b>,  Theta_ab = sum over weights of (dz_a/dw)(dz_b/dw)

    Args:
        x: The inputs `(m, n0)`, one per row, none of them 0.
        widths: The widths of the hidden layers.
        mu: The distribution of the weights, as in `nnth.sample_paths`.
        sampler: "law", in O(L n m) normals and O(L n m^2) operations per network, for Gaussian
            weights; "dense" samples every weight.
        samples: The number of networks, at least 1.
        start: The first network, in [0, 2^64).
        keep: The number of networks whose matrices are kept.
        seed: Network s is a function of (seed, s) alone; seed in [0, 2^64).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the networks done and their number, a few times per second.

    Returns:
        A GramSample.

    Raises:
        ValueError: If an argument is out of range, or "law" comes with weights that are not
            Gaussian.

    Accuracy: exact in distribution up to rounding, except for directions of relative size below
    about 1e-7 between nearly parallel inputs.

    Example:
        >>> found = nnth.sample_grams(np.eye(2), widths=[16], samples=1000)
        >>> found.ntk_mean.shape, found.ntk_largest.shape
        ((2, 2), (1000,))

    Source: Hanin and Nica (2019), for the tangent kernel at finite width.
    """
    inputs = np.ascontiguousarray(x, dtype=np.float64)
    if inputs.ndim != 2 or inputs.size == 0:
        raise ValueError(
            f"x must be a matrix with an input in each row, not of shape {inputs.shape}"
        )
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
        _in_networks(progress, samples),
    )
    return _gram_sample(seed, start, samples, state, nngp_largest, ntk_largest, nngp, ntk)


def _statistics(name: str, state: Sequence[int], values: Floats, logs: Floats) -> QuantitySample:
    found = _core.moments_of(list(state))
    # The core has the moments of q^2, except for the tangent kernels.
    root = 1 if name in _KERNELS else 2
    return QuantitySample(
        name=name,
        orders=tuple(root * int(p) for p in found["powers"]),
        mean=found["mean"],
        stderr=found["stderr"],
        log_of_mean=found["log_of_mean"],
        max_fraction=found["max_fraction"],
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
            raise ValueError(f"orders must be those of {', '.join(quantities)}, not of {name!r}")
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


def _in_networks(progress: Progress | None, samples: int) -> Progress | None:
    if progress is None:
        return None
    report = progress
    return lambda done, total: report(samples * done // total, samples)
