"""What random features change: measured errors of a kernel, and of a regression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth import _core
from nnth._kernels.blocks import KernelBlocks
from nnth._kernels.features import FeatureMap, NormalEquations, feature_map
from nnth._kernels.protocol import DataKernel
from nnth._kernels.solvers import Cholesky, System
from nnth._runtime.typing import Floats
from nnth._tables.statistics import mean_of

PAIRS: Final = 1000
SETS: Final = 16  # of N/16 features each, which together cost less than the N
SUBSET: Final = 1000


@dataclass(frozen=True, eq=False)
class KernelErrors:
    """Errors of products of features, relative to sqrt(K(x, x) K(z, z)), on pairs x, z of inputs.

    Attributes:
        exact: The kernel of the pairs over sqrt(K(x, x) K(z, z)) `(pairs,)`.
        error: The error of each pair `(pairs,)`.
        rms: The root mean square over all pairs of inputs, estimated from these.
        rms_stderr: Its standard error, NaN for one pair.
        largest: The largest of the pairs.
        predicted: The root mean square that the law 1/N predicts from independent small sets.
        predicted_stderr: Its standard error.
        bias: The mean over pairs and sets of features, that the law 1/N predicts from small sets.
        bias_stderr: Its standard error.
    """

    exact: Floats
    error: Floats
    rms: float
    rms_stderr: float
    largest: float
    predicted: float
    predicted_stderr: float
    bias: float
    bias_stderr: float


def kernel_errors(
    kernel: DataKernel, data: Floats, features: FeatureMap, *, seed: int, threads: int
) -> KernelErrors:
    """Return the errors of features on disjoint pairs of inputs: rows 0 and 1, 2 and 3, ...

    The law: an entry is a mean of n terms, so that its variance is v/n + O(1/n^2) and its bias b/n
    + O(1/n^2). v and b are estimated from `SETS` independent maps with fewer features.
    """
    count = len(data) // 2
    blocks = kernel.blocks(data, threads=threads)
    sizes = np.sqrt(blocks.diagonal[0::2]) * np.sqrt(blocks.diagonal[1::2])
    sizes = np.where(sizes > 0.0, sizes, 1.0)
    exact = _pairs(blocks, count) / sizes
    many = _core.thread_count(threads)

    def errors(one: FeatureMap) -> Floats:
        phi = one.block(data, threads=many)
        left, right = phi[0::2] / np.sqrt(sizes)[:, None], phi[1::2] / np.sqrt(sizes)[:, None]
        return np.asarray(np.einsum("ij,ij->i", left, right) - exact)

    error = errors(features)
    small = max(features.count // (2 * SETS) * 2, 4)
    maps = [feature_map(kernel, data, small, seed=seed, member=r + 1) for r in range(SETS)]
    drawn = np.stack([errors(one) for one in maps])
    ratio = maps[0].draws / features.draws
    # Of each set the mean over pairs of (e - mean over sets)^2, unbiased for v/n.
    around = np.square(drawn - drawn.mean(axis=0)).mean(axis=1) * (SETS / (SETS - 1.0))
    variance, variance_stderr = mean_of(around)
    bias, bias_stderr = mean_of(drawn.mean(axis=1))
    predicted = math.sqrt(variance * ratio)
    square, square_stderr = mean_of(error**2)
    rms = math.sqrt(square)
    return KernelErrors(
        exact=exact,
        error=error,
        rms=rms,
        rms_stderr=0.5 * square_stderr / rms if rms > 0.0 else square_stderr,
        largest=float(np.abs(error).max()),
        predicted=predicted,
        predicted_stderr=0.5 * variance_stderr * ratio / predicted if predicted > 0.0 else 0.0,
        bias=bias * ratio,
        bias_stderr=bias_stderr * ratio,
    )


def _pairs(blocks: KernelBlocks, count: int) -> Floats:
    """Return the entries of rows 2i and 2i + 1."""
    found = np.empty(count)
    for i in range(count):
        row = slice(2 * i, 2 * i + 1)
        found[i] = blocks.block(row, slice(2 * i + 1, 2 * i + 2))[0, 0]
    return found


@dataclass(frozen=True, eq=False)
class SubsetErrors:
    """Mean square errors of two fits to a subset of the points, on other points.

    Attributes:
        points: The number of points of the subset.
        exact: The error of the regression with the kernel, `(outputs,)`.
        of_features: The error of the regression with the features.
        difference_stderr: The standard error of of_features - exact, from the points.
        deviation: The root mean square of the difference of the two functions.
    """

    points: int
    exact: Floats
    of_features: Floats
    difference_stderr: Floats
    deviation: Floats


def subset_errors(
    kernel: DataKernel,
    data: Floats,
    targets: Floats,
    ridge: float,
    features: FeatureMap,
    *,
    unit: float,
    threads: int,
) -> SubsetErrors:
    """Return the errors of fits to the first half of some points, at most 1000, on the other."""
    m = -(-len(data) // 2)
    system = System(kernel.blocks(data, threads=threads), m, ridge, threads=threads)
    alpha = Cholesky(system).solve(targets[:m]).values
    exact = np.empty((len(data) - m, targets.shape[1]))
    for at in system.test_blocks():
        exact[at] = system.cross(at).T @ alpha
    sums = NormalEquations(features, targets.shape[1], unit=unit, threads=threads)
    solved = sums.add(data[:m], targets[:m]).solve(ridge)
    found = solved.predict(data[m:], variance=False, threads=threads)[0]
    squares = [np.square(f - targets[m:]) for f in (exact, found)]
    stderr = [mean_of(column)[1] for column in (squares[1] - squares[0]).T]
    return SubsetErrors(
        points=m,
        exact=squares[0].mean(axis=0),
        of_features=squares[1].mean(axis=0),
        difference_stderr=np.array(stderr),
        deviation=np.sqrt(np.square(found - exact).mean(axis=0)),
    )
