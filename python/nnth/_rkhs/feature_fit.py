"""Regression with random features of a kernel, on any number of data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, overload

import numpy as np

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.features import (
    NormalEquations,
    Solved,
    check_memory_of_features,
    feature_map,
)
from nnth._kernels.kernel import Ntk
from nnth._kernels.protocol import DataKernel
from nnth._rkhs.feature_errors import (
    PAIRS,
    SETS,
    SUBSET,
    KernelErrors,
    SubsetErrors,
    kernel_errors,
    subset_errors,
)
from nnth._rkhs.inputs import check_regression, regression_data, regression_tests
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.statistics import joined
from nnth._tables.table import Meta, Table

FEWEST: Final = 64
_WORST: Final = 0.3  # an error of the kernel at which features hardly stand for it


@dataclass(frozen=True, eq=False)
class FeatureFit(Result):
    """Ridge regression on random features of a kernel; see `nnth.rkhs_feature_fit`.

    Attributes:
        solved: The coefficients and the factor of their equations.
        prediction: f at the test inputs `(m_test, outputs)`, or None.
        variance: The variance of the process there `(m_test,)`, or None.
        y_test: Test targets, or None.
        prediction_error: A bound of the rounding of a prediction `(outputs,)`.
        kernel_errors: Errors of the kernel on sampled pairs of inputs.
        subset_errors: Errors of fits to a subset of the points, or None for one point.
        n0: The dimension of the inputs.
        meta: The parameters of the computation.
    """

    solved: Solved
    prediction: Floats | None
    variance: Floats | None
    y_test: Floats | None
    prediction_error: Floats
    kernel_errors: KernelErrors
    subset_errors: SubsetErrors
    n0: int
    meta: Meta

    @property
    def weights(self) -> Floats:
        """Coefficients `(N, outputs)` of f = phi.weights."""
        return self.solved.weights / self.solved.sums.unit

    @overload
    def predict(
        self, x_new: Data, *, return_std: Literal[False] = False, threads: int = 0
    ) -> Floats: ...
    @overload
    def predict(
        self, x_new: Data, *, return_std: Literal[True], threads: int = 0
    ) -> tuple[Floats, Floats]: ...
    @serial_blas
    def predict(
        self, x_new: Data, *, return_std: bool = False, threads: int = 0
    ) -> Floats | tuple[Floats, Floats]:
        """Return the values of f at new inputs, with the standard deviation of the process.

        f(z) = phi(z).weights, and the variance is ridge phi(z)' (Phi' Phi + ridge)^-1 phi(z).

        Args:
            x_new: New inputs `(k, n_0)`, or the path of a file.
            return_std: Whether to return the standard deviation as well.
            threads: Number of threads, 0 for all.

        Returns:
            f, of shape `(k, outputs)`; with `return_std` the pair of f and the standard deviation
            `(k,)` of the process whose covariance is the product of features, given the data.

        Raises:
            ValueError: If `x_new` has not the dimension of the data.

        Cost: the features of k inputs, and N^2 operations an input for a deviation.
        """
        new = data_of(x_new, "x_new")
        if new.shape[1] != self.n0:
            raise ValueError(f"x_new must have the {self.n0} columns of x, not {new.shape[1]}")
        mean, variance, _ = self.solved.predict(new, variance=return_std, threads=threads)
        return (mean, np.sqrt(variance)) if return_std else mean

    @serial_blas
    def table(self) -> Table:
        """Return a row for each output, as `nnth rkhs fit --features` prints them.

        The columns are those that `nnth.rkhs_feature_fit` describes.
        """
        solved, errors, subset = self.solved, self.kernel_errors, self.subset_errors
        sums = solved.sums
        outputs = len(sums.squares)
        square, rounding = solved.square_error()

        def every(value: float) -> Floats:
            return np.full(outputs, value)

        columns: dict[str, Any] = {
            "output": np.arange(outputs),
            "rkhs_norm2": solved.norm2(),
            "log_marginal": solved.log_marginal(),
            "loo_error": every(math.nan),
            "train_error": square / sums.points,
        }
        if self.prediction is not None:
            assert self.variance is not None
            if self.y_test is not None:
                columns["test_error"] = np.mean((self.prediction - self.y_test) ** 2, axis=0)
            columns["variance"] = every(self.variance.mean())
        scale = np.sqrt(np.einsum("ij,ij->j", sums.right, sums.right))
        misfit = solved.misfit()
        left = np.sqrt(np.einsum("ij,ij->j", misfit, misfit))
        columns |= {
            "effective_dimension": every(solved.effective_dimension),
            "gradient": left / np.where(scale > 0.0, scale, 1.0),
            "condition": every(1.0 / solved.reciprocal),
            "error": self.prediction_error,
            "kernel_rms": every(errors.rms),
            "kernel_rms_stderr": every(errors.rms_stderr),
            "kernel_max": every(errors.largest),
            "predicted_rms": every(errors.predicted),
            "predicted_rms_stderr": every(errors.predicted_stderr),
            "kernel_bias": every(errors.bias),
            "kernel_bias_stderr": every(errors.bias_stderr),
            "subset": every(subset.points),
            "subset_exact_error": subset.exact,
            "subset_feature_error": subset.of_features,
            "difference_stderr": subset.difference_stderr,
            "prediction_rms": subset.deviation,
            "note": [self._note(bool(square[i] <= rounding[i])) for i in range(outputs)],
        }
        return Table(columns, self.meta, plot=self._picture())

    def _note(self, rounded: bool) -> str:
        """Return which columns have no value, and what the sampled numbers cannot see."""
        pairs = len(self.kernel_errors.error)
        every = self.solved.sums.points * (self.solved.sums.points - 1) // 2
        notes = ["one pass over the data computes no loo_error"]
        if every > pairs:
            notes.append(f"kernel_max is that of {pairs} pairs of {every}")
        if pairs == 1:
            notes.append("one pair has no standard error")
        if self.kernel_errors.rms > _WORST:
            notes.append("more features are needed to stand for the kernel")
        if rounded:
            notes.append("train_error is not above its rounding")
        return joined(*notes)

    def arrays(self) -> dict[str, Floats]:
        """Return weights, the sampled pairs and, with test inputs, prediction and variance."""
        arrays = {
            "weights": self.weights,
            "pairs_exact": self.kernel_errors.exact,
            "pairs_error": self.kernel_errors.error,
        }
        if self.prediction is not None:
            assert self.variance is not None
            arrays |= {"prediction": self.prediction, "variance": self.variance}
        return arrays

    def _picture(self) -> Lines:
        exact = self.kernel_errors.exact
        ends = np.array([exact.min(), exact.max()])
        count = len(exact)
        return Lines(
            lines=(("features = kernel", ends, ends),),
            points=((f"{count} pairs", exact, exact + self.kernel_errors.error, None),),
            x_label="kernel $K(x, z)/\\sqrt{K(x, x) K(z, z)}$",
            y_label="$\\phi(x) \\cdot \\phi(z)$, in the same unit",
        )


@serial_blas
def rkhs_feature_fit(
    x: Data,
    y: Data | None = None,
    kernel: str = "rbf:1",
    act: str = "relu",
    *,
    features: int = 1024,
    ridge: float = 1e-3,
    x_test: Data | None = None,
    y_test: Data | None = None,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> FeatureFit:
    """Return the ridge regression of data on random features of a kernel, in one pass over them.

    Features phi of an input are N random numbers with E phi(x).phi(z) = K(x, z), and f is the
    kernel ridge regression of `nnth.rkhs_fit` with the product of features in the place of K::

        f = phi.w,   w = (Phi' Phi + ridge)^-1 Phi' y,   Phi = (phi(x_1), ..., phi(x_m))'
        variance(z) = ridge phi(z)' (Phi' Phi + ridge)^-1 phi(z)

    For a network phi are the neurons of the last hidden layer of a random network of width N, and
    for the tangent kernel half of them and half products s'(z) t, where t is a second random
    network, of the covariance of the tangent kernel one layer below. For rbf and laplace they are
    cosines and sines.

    Args:
        x: Inputs `(m, n_0)` of any number m, at least 2, or the name or path of a data set.
        y: Targets `(m,)` or `(m, outputs)`, or a path.
        kernel: "rbf:S", exp(-`|x - y|^2`/(2 S^2)); "laplace:S", exp(-`|x - y|`/S); "nngp" or "ntk"
            of an infinitely wide network.
        act: Activation of the network, as in `nnth.kernel`.
        features: Number N of features, at least 64, even for rbf and laplace.
        ridge: Ridge, finite, above the rounding of sums, about 1e-12 sum_i K(x_i, x_i).
        x_test: Test inputs `(m_test, n_0)`, or a path.
        y_test: Test targets, or a path.
        depth: Number of hidden layers of the network.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        seed: Seed of the features, and of the points on which their errors are measured.
        threads: Number of threads, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A FeatureFit. Its `table()` has a row for each output and the columns of `nnth.rkhs_fit`, of
        the kernel phi.phi, where loo_error is NaN, gradient is the derivative of the objective
        along all functions, condition is that of Phi' Phi + ridge, and error bounds the rounding of
        a prediction for these features. Errors of the kernel are relative to sqrt(K(x, x) K(z, z)),
        on 1000 disjoint random pairs of points: kernel_rms, their root mean square, with its
        standard error over the choice of pairs; kernel_max, the largest of the pairs;
        predicted_rms, the root mean square over features that the law 1/N predicts from 16 further
        sets of N/16 features, from which that of one set differs by about four of its standard
        errors; kernel_bias, the mean error that it predicts from them, 0 for one
        hidden layer, rbf and laplace and O(depth/N) otherwise. Errors of regression, by fits to
        `subset` points, at most 1000, on as many others: subset_exact_error with the kernel itself,
        subset_feature_error with the features, the standard error of their difference, and
        prediction_rms, the root mean square of the difference of the two functions. note says what
        has no value.

    Raises:
        ValueError: For arguments out of range, and a ridge below the rounding of the sums.
        MemoryError: If the features do not fit, with the size, before any work.

    Accuracy: phi(x).phi(z) is the kernel with a standard deviation O(1/sqrt(N)), which kernel_rms
    measures. Cost: m N^2 operations for the sums and, for a network, 2 m N^2 for each hidden layer
    but one, three times that for ntk; memory of two matrices `(N, N)` and of blocks of 2048 inputs.
    The result is the same to the last bit for any number of threads.

    Example:
        >>> x = nnth.normals(0, 0, 4000).reshape(2000, 2)
        >>> fit = nnth.rkhs_feature_fit(x, x[:, 0], "ntk", features=512, ridge=0.1)
        >>> fit.predict([[2.0, 1.0]]).round(1)
        array([[2.]])
        >>> bool(fit.kernel_errors.rms < 0.1)
        True

    Source: Rahimi and Recht (2007); Zandieh et al. (2021); Han et al. (2022).
    """
    inputs, targets = regression_data(x, y)
    tests, answers = regression_tests(inputs, targets, x_test, y_test)
    check_regression(inputs, targets, ridge)
    features = check_integer("features", features, FEWEST)
    if len(inputs) < 2:
        raise ValueError("x must have at least 2 rows with features, not 1")
    if ridge == 0.0:
        raise ValueError("ridge must be above 0 with features, not 0")
    if not isinstance(kernel, str):
        raise ValueError("kernel must be rbf:S, laplace:S, nngp or ntk with features")
    chosen = named_kernel(kernel, act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    made = feature_map(chosen, inputs, features, seed=seed)
    check_memory_of_features(features)
    validated()
    order = np.argsort(uniforms(seed, streams.FEATURE_POINTS.first, len(inputs)), kind="stable")
    pairs = inputs[order[: 2 * min(PAIRS, len(inputs) // 2)]]

    def report(points: int) -> None:
        if progress is not None:
            progress(points, len(inputs))

    report(0)
    errors = kernel_errors(chosen, pairs, made, seed=seed, threads=threads)
    unit = _unit(chosen, pairs, ridge, threads)
    some = order[: 2 * SUBSET]
    subset = subset_errors(
        chosen, inputs[some], targets[some], ridge, made, unit=unit, threads=threads
    )
    sums = NormalEquations(made, targets.shape[1], unit=unit, threads=threads)
    solved = sums.add(inputs, targets, report).solve(ridge)
    prediction = variance = None
    largest = sums.largest
    if tests is not None:
        prediction, variance, largest = solved.predict(tests, variance=True, threads=threads)
        largest = max(largest, sums.largest)
    parameters = {
        "x": file_of(x),
        "y": file_of(y),
        "x_test": file_of(x_test),
        "y_test": file_of(y_test),
        **chosen.parameters,
        "features": features,
        "ridge": ridge,
        "solver": "normal equations",
        "points": len(inputs),
        "n0": inputs.shape[1],
        "pairs": len(errors.error),
        "sets": SETS,
    }
    return FeatureFit(
        solved=solved,
        prediction=prediction,
        variance=variance,
        y_test=answers,
        prediction_error=solved.error(largest),
        kernel_errors=errors,
        subset_errors=subset,
        n0=inputs.shape[1],
        meta=Meta("rkhs fit", parameters, seed),
    )


def _unit(kernel: DataKernel, data: Floats, ridge: float, threads: int) -> float:
    """Return the power of 2 near the root of the ridge or the largest K(x, x) of some inputs."""
    largest = max(float(kernel.diagonal(data, threads=threads).max()), ridge)
    return 2.0 ** round(0.5 * math.log2(largest))
