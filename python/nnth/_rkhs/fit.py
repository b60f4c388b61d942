"""Regression in the Hilbert space of a kernel, on data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.data_kernel import KernelLike, kernel_of
from nnth._kernels.kernel import Ntk
from nnth._kernels.protocol import DataKernel
from nnth._kernels.solvers import (
    MOST_TESTS,
    PROBES,
    Choice,
    Solver,
    SolverName,
    System,
    check_tolerance,
    choose,
    solver_of,
    work_of,
)
from nnth._rkhs.inputs import check_regression, regression_data, regression_tests
from nnth._rkhs.learning_curve import drawn_errors, expected_error
from nnth._rkhs.regression import Regression, regression
from nnth._rkhs.selection import Criterion, Selection, selected
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import sample_in_parts
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.statistics import joined, mean_and_stderr
from nnth._tables.table import Meta, Table


@dataclass(frozen=True, eq=False)
class KernelFit(Result):
    """Kernel ridge regression on a data set; see `nnth.rkhs_fit`.

    Attributes:
        x: Inputs `(m, n_0)`.
        y: Targets `(m, outputs)`.
        x_test: Test inputs, or None.
        y_test: Test targets, or None.
        kernel: The kernel.
        ridge: The ridge.
        solver: The solver, and why it was chosen.
        tolerance: The tolerance of the solver cg.
        solution: The arrays of the solution.
        meta: The parameters of the computation.
        selection: The hyperparameters that were selected, or None.
    """

    x: Floats
    y: Floats
    x_test: Floats | None
    y_test: Floats | None
    kernel: DataKernel
    ridge: float
    solver: Choice
    tolerance: float
    solution: Regression
    meta: Meta
    selection: Selection | None = None

    @property
    def alpha(self) -> Floats:
        """Coefficients `(m, outputs)` of f = sum_i alpha_i K(x_i, .)."""
        return self.solution.alpha

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

        f(z) = sum_i alpha_i K(x_i, z), and the variance is K(z, z) - k_z' (K + ridge)^-1 k_z with
        k_z = (K(x_i, z))_i.

        Args:
            x_new: New inputs `(k, n_0)`, or the path of a file.
            return_std: Whether to return the standard deviation as well.
            threads: Number of threads for the kernel, 0 for all.

        Returns:
            f, of shape `(k, outputs)`; with `return_std` the pair of f and the standard deviation
            `(k,)` of the Gaussian process given the data, without the noise of an observation. A
            variance below 0, which is rounding, has the standard deviation 0.

        Raises:
            ValueError: If `x_new` has not the dimension of `x`, or the kernel is a given matrix.

        Cost: the kernel of m k pairs; with `return_std` O(m^2 k), and once the factor, O(m^3); by
        conjugate gradients as many iterations as for k targets.
        """
        new = data_of(x_new, "x_new")
        if new.shape[1] != self.x.shape[1]:
            raise ValueError(
                f"x_new must have the {self.x.shape[1]} columns of x, not {new.shape[1]}"
            )
        cross = self.kernel.cross(self.x, new, threads=threads)
        mean = cross.T @ self.alpha
        if not return_std:
            return mean
        prior = self.kernel.diagonal(new, threads=threads)
        variance = prior - self._solver.explained(cross)[0]
        return mean, np.sqrt(np.maximum(variance, 0.0))

    @cached_property
    def _solver(self) -> Solver:
        """The solver of K + ridge, made anew."""
        system = System(self.kernel.blocks(self.x), len(self.x), self.ridge)
        return solver_of(self.solver, system, tolerance=self.tolerance, seed=0, probes=0)

    def table(self) -> Table:
        """Return a row for each output, as `nnth rkhs fit` prints them; see `nnth.rkhs_fit`."""
        found, outputs = self.solution, self.y.shape[1]
        columns: dict[str, Any] = {
            "output": np.arange(outputs),
            "rkhs_norm2": found.norm2,
            "log_marginal": found.log_marginal,
            "loo_error": np.mean((found.left_out - self.y) ** 2, axis=0),
            "train_error": np.mean((found.fitted - self.y) ** 2, axis=0),
        }
        if self.x_test is not None:
            if self.y_test is not None:
                columns["test_error"] = np.mean((found.prediction - self.y_test) ** 2, axis=0)
            columns["variance"] = np.full(outputs, found.variance.mean())
            columns["variance_error"] = np.full(outputs, found.variance_error)
        columns |= {
            "effective_dimension": np.full(outputs, found.effective_dimension),
            "gradient": found.gradient,
            "residual": found.residual,
            "condition": np.full(outputs, found.condition),
            "error": found.error,
            "log_marginal_stderr": np.full(outputs, found.log_marginal_stderr),
            "effective_dimension_stderr": np.full(outputs, found.effective_dimension_stderr),
            "note": [self._note()] * outputs,
        }
        if self.selection is not None:
            columns |= self.selection.columns(outputs)
        return Table(columns, self.meta, plot=self._picture())

    def _note(self) -> str:
        """Return why the solver was chosen, and which columns it leaves without a value."""
        notes = [self.solver.reason]
        if self.selection is not None:
            notes.insert(0, self.selection.note)
        if self.solver.name == "cg":
            notes.append("cg computes neither loo_error nor condition")
            if self.x_test is not None and len(self.x_test) > MOST_TESTS:
                notes.append(f"variances of at most {MOST_TESTS} test points")
            if np.isnan(self.solution.log_marginal_stderr):
                notes.append("the random vectors did not converge")
            if np.isinf(self.solution.error).all():
                notes.append("without a larger ridge errors have no bound")
        return joined(*notes)

    def arrays(self) -> dict[str, Floats]:
        """Return alpha, fitted and left_out and, with test inputs, prediction and variance."""
        found = self.solution
        arrays = {"alpha": found.alpha, "fitted": found.fitted, "left_out": found.left_out}
        if self.x_test is not None:
            arrays |= {"prediction": found.prediction, "variance": found.variance}
        return arrays

    def _picture(self) -> Lines:
        found = self.solution
        if self.x_test is not None and self.x_test.shape[1] == 1:
            order = np.argsort(self.x_test[:, 0])
            t, mean = self.x_test[order, 0], found.prediction[order, 0]
            deviation = np.sqrt(np.maximum(found.variance[order], 0.0))
            return Lines(
                lines=((r"$f(x) \pm$ s.d.", t, mean),),
                bands=((t, mean - deviation, mean + deviation),),
                points=(("data", self.x[:, 0], self.y[:, 0], None),),
                x_label="$x$",
                y_label="$f(x)$",
            )
        ends = np.array([self.y.min(), self.y.max()])
        known = np.isfinite(found.left_out).all()
        label, values = ("left out", found.left_out) if known else ("fitted", found.fitted)
        without = "prediction without it, $f_{-i}(x_i)$"
        return Lines(
            lines=(("prediction = target", ends, ends),),
            points=((label, self.y.ravel(), values.ravel(), None),),
            x_label="target $y_i$",
            y_label=without if known else "prediction $f(x_i)$",
        )


@serial_blas
def rkhs_fit(
    x: Data,
    y: Data | None = None,
    kernel: KernelLike = "rbf:1",
    act: str = "relu",
    *,
    ridge: float = 1e-3,
    x_test: Data | None = None,
    y_test: Data | None = None,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    select: Sequence[str] = (),
    criterion: Criterion = "evidence",
    solver: SolverName = "auto",
    tolerance: float = 1e-8,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> KernelFit:
    """Return the kernel ridge regression of data, which is Gaussian-process regression.

    In the Hilbert space H_K of the kernel, with its norm `|f|`::

        f = argmin (1/2) sum_i (y_i - f(x_i))^2 + (ridge/2) |f|^2 = sum_i alpha_i K(x_i, .)
        alpha = (K + ridge)^-1 y
        variance(z) = K(z, z) - k_z' (K + ridge)^-1 k_z,   k_z = (K(x_i, z))_i

    f is the mean, and variance the variance, of a Gaussian process of covariance K given values
    with noise of variance `ridge`.

    Args:
        x: Inputs `(m, n_0)`, or the name or path of a data set.
        y: Targets `(m,)` or `(m, outputs)`, or a path.
        kernel: "rbf:S", exp(-`|x - y|^2`/(2 S^2)); "laplace:S", exp(-`|x - y|`/S); "nngp" or "ntk"
            of an infinitely wide network; a function of two sets of inputs `(m, n_0)`, `(k, n_0)`
            that returns the matrix `(m, k)`; or the kernel matrix of the inputs, followed by
            the test inputs.
        act: Activation of the network, as in `nnth.kernel`.
        ridge: Ridge, finite, at least 0.
        x_test: Test inputs `(m_test, n_0)`, or a path.
        y_test: Test targets, or a path.
        depth: Number of hidden layers of the network.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        select: Names of hyperparameters to select, of cw, cb, depth and ridge for a network, and of
            length, the S of rbf:S and laplace:S, and ridge; the given values are where the search
            starts. The optimum is local: the best of three starts, from 1, 5 and 1/5 times the
            given values (0.01 for a variance of 0), by L-BFGS-B in logarithms with differences of
            exact values; the depth climbs by single layers. Bounds: cw 1e-4 to 1e4, cb 1e-8 to 1e4,
            length 1e-4 to 1e6, depth 1 to 50, ridge 1e-10 to 100 times the mean square of y.
        criterion: "evidence", the log marginal likelihood, summed over outputs, or "leave-one-out",
            the mean square of leave-one-out errors.
        solver: "cholesky" factors the matrix in memory; "blocked" factors it in a scratch file of
            half its size; "cg" takes conjugate gradients on a kernel that is not stored; "auto"
            takes the first that fits. "blocked" and "cg" are refused with select, whose search
            factors matrices in memory.
        tolerance: Largest norm of the residual that "cg" leaves, relative to the targets; above 0
            and below 1.
        checkpoint: A folder in which "blocked" and "cg" keep their work, as in `nnth.predict`; for
            a kernel that is given by its name, and without `select`.
        seed: Seed of the preconditioner and of the random vectors of "cg".
        threads: Number of threads for the kernel, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A KernelFit. Its `table()` has a row for each output and the columns output; rkhs_norm2 =
        alpha' K alpha; log_marginal, the log density of y; loo_error, the mean square error at each
        point of the function fitted without it, alpha_i/((K + ridge)^-1)_ii; train_error; with
        x_test: test_error (with y_test), variance, its mean over test points, and variance_error,
        an estimate of the largest error of a variance; effective_dimension = tr K (K + ridge)^-1;
        gradient, the largest derivative of the objective along any K(z, .) of a training or test
        point, relative to that at f = 0: 0 by the representer theorem; residual of the linear
        system over the largest target; condition, `|A|_1 |A^-1|_1` of A = K + ridge; error, an
        estimate of the largest error of a prediction. With `select` also selected_NAME and, from
        the Hessian of the evidence, NAME_stderr of each; criterion_value; criterion_gradient, its
        largest derivative by the logarithm of a selected value that is not at a bound; evaluations
        of the criterion; note, which names values at a bound.

    Raises:
        ValueError: For arguments out of range, for a matrix that is singular to rounding, and for a
            checkpoint of other inputs or arguments.

    Accuracy: one step of iterative refinement; alpha, norms and log densities lose as many digits
    as `condition` has, predictions far fewer. Cost: the kernel matrix, O(m^3) for three times a
    Cholesky factorization, O(m_test m^2); memory of two matrices.

    Example:
        >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
        >>> fit = nnth.rkhs_fit(x, np.sin(3.0 * x[:, 0]), "rbf:0.5", ridge=1e-4)
        >>> mean, std = fit.predict([[0.25]], return_std=True)
        >>> mean.round(2), std.round(2)
        (array([[0.68]]), array([0.01]))

    Source: Kimeldorf and Wahba (1971); Rasmussen and Williams (2006), eqs. 2.25-2.30, 5.10-5.12.
    """
    inputs, targets = regression_data(x, y)
    tests, answers = regression_tests(inputs, targets, x_test, y_test)
    check_regression(inputs, targets, ridge)
    check_tolerance(tolerance)
    kept = _checkpoint(checkpoint, kernel, select)
    network: dict[str, Any] = {"depth": depth, "cb": cb, "cw": cw, "ntk": ntk}
    selection = None
    if select and solver in ("blocked", "cg"):
        raise ValueError(
            f"solver must be auto or cholesky with select, not {solver}: the search factors "
            "matrices in memory"
        )
    if not select:
        chosen = kernel_of(kernel, act, **network)
    else:
        asked: dict[str, Any] = {"select": select, "criterion": criterion, "threads": threads}
        selection = selected(inputs, targets, kernel, act, ridge=ridge, **network, **asked)
        chosen, ridge = selection.kernel, selection.ridge
    choice = choose(solver, len(inputs), ridge, kept)
    data = inputs if tests is None else np.concatenate((inputs, tests))
    blocks = chosen.blocks(data, threads=threads)
    described = {**chosen.parameters, "ridge": ridge}
    both = inputs, data[len(inputs) :]
    with work_of(choice, kept, described, both, tolerance=tolerance, seed=seed) as work:
        system = System(blocks, len(inputs), ridge, threads=threads, progress=progress, work=work)
        made = solver_of(choice, system, tolerance=tolerance, seed=seed, probes=PROBES)
        solution = regression(made, targets)
    parameters = {
        "x": file_of(x),
        "y": file_of(y),
        "x_test": file_of(x_test),
        "y_test": file_of(y_test),
        **chosen.parameters,
        "ridge": ridge,
        "solver": choice.name,
        "tolerance": tolerance if choice.name == "cg" else None,
        "points": len(inputs),
        "n0": inputs.shape[1],
        "select": ",".join(select) or None,
        "criterion": criterion if select else None,
    }
    return KernelFit(
        x=inputs,
        y=targets,
        x_test=tests,
        y_test=answers,
        kernel=chosen,
        ridge=ridge,
        solver=choice,
        tolerance=tolerance,
        solution=solution,
        meta=Meta("rkhs fit", parameters, seed if choice.name == "cg" else None),
        selection=selection,
    )


@serial_blas
def rkhs_learning_curve(
    x: Data,
    y: Data | None = None,
    kernel: KernelLike = "rbf:1",
    act: str = "relu",
    *,
    sizes: Sequence[int] | None = None,
    ridge: float = 1e-3,
    samples: int = 20,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the error of kernel ridge regression as a function of the number of training points.

    Training sets of n points are drawn from the m points of the data, and the error is measured on
    the other points. The theory has, with the eigenvalues a_j of the kernel matrix of all points::

        ridge = mu (n/m - t)/(1 - t),   t = (1/m) sum_j a_j/(a_j + mu)

    Args:
        x: Inputs `(m, n_0)`, or the name or path of a data set.
        y: Targets `(m,)` or `(m, outputs)`, or a path.
        kernel: "rbf:S", exp(-`|x - y|^2`/(2 S^2)); "laplace:S", exp(-`|x - y|`/S); "nngp" or "ntk"
            of an infinitely wide network; a function of two sets of inputs `(m, n_0)`, `(k, n_0)`
            that returns the matrix `(m, k)`; or the kernel matrix of the inputs.
        act: Activation of the network, as in `nnth.kernel`.
        sizes: Sizes n of the training sets, 1 to m - 1; by default m/32, m/16, m/8, m/4, m/2.
        ridge: Ridge, finite, above 0.
        samples: Number of training sets of each size, at least 2.
        depth: Number of hidden layers of the network.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        seed: Seed of the training sets.
        threads: Number of threads for the kernel, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Table with a row for each size and the columns size; test_error, its mean over training
        sets and outputs; stderr; theory; deviation = test_error/theory - 1 (NaN where the theory is
        0). The theory takes the eigenvectors of the kernel matrix as a uniformly random rotation:
        it is good to some percent if eigenvectors are spread over many points, and less good if few
        points are far from all others.

    Raises:
        ValueError: For arguments out of range.

    Accuracy: `stderr` is the standard error of the mean; that of the theory is not known. Cost: one
    eigendecomposition, O(m^3), and O(n^3 + m n) for each training set.

    Example:
        >>> x = nnth.normals(0, 0, 200).reshape(100, 2)
        >>> curve = nnth.rkhs_learning_curve(x, x[:, 0], "rbf:1", sizes=[10, 50], ridge=0.1)
        >>> curve["size"].tolist()
        [10, 50]
        >>> bool(curve["test_error"][1] < curve["test_error"][0])
        True

    Source: LeJeune et al. (2024), theorem 4.1; for m -> inf Sollich (2002), Bordelon et al.
    (2020).
    """
    inputs, targets = regression_data(x, y)
    check_regression(inputs, targets, ridge)
    if ridge == 0.0:
        raise ValueError("ridge must be above 0 for a learning curve, not 0")
    if sizes is None:
        sizes = sorted({max(1, len(inputs) >> halvings) for halvings in range(1, 6)})
    sizes = [check_integer("sizes", size) for size in sizes]
    if not sizes or max(sizes) >= len(inputs):
        said = max(sizes) if sizes else "none"
        raise ValueError(f"sizes must be from 1 to {len(inputs) - 1}, below the inputs, not {said}")
    samples = check_integer("samples", samples, 2)
    chosen = kernel_of(kernel, act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    matrix = chosen.rows(inputs, len(inputs), threads=threads).matrix
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, samples)

    errors = np.array(
        sample_in_parts(drawn_errors(matrix, targets, sizes, ridge, seed, report), samples)
    )
    with factoring(len(matrix)):
        spectrum, vectors = np.linalg.eigh(matrix)
    power = np.mean((vectors.T @ targets) ** 2, axis=1)  # over outputs, as the errors are
    spectrum = np.maximum(spectrum, 0.0)
    theory = np.array([expected_error(spectrum, power, size, ridge) for size in sizes])
    mean, stderr = mean_and_stderr(errors)
    columns = {
        "size": np.array(sizes),
        "test_error": mean,
        "stderr": stderr,
        "theory": theory,
        "deviation": np.divide(mean, theory, out=np.full_like(mean, np.nan), where=theory > 0.0)
        - 1.0,
    }
    parameters = {
        "x": file_of(x),
        "y": file_of(y),
        **chosen.parameters,
        "ridge": ridge,
        "samples": samples,
        "points": len(inputs),
        "n0": inputs.shape[1],
    }
    order = np.argsort(columns["size"])
    at = columns["size"][order].astype(np.float64)
    plot = Lines(
        lines=(("from the spectrum", at, theory[order]),),
        points=(("drawn", at, mean[order], stderr[order]),),
        log_x=True,
        log_y=True,
        x_label="training points $n$",
        y_label="error $E$",
    )
    return Table(columns, Meta("rkhs curve", parameters, seed), plot=plot)


def _checkpoint(
    checkpoint: str | os.PathLike[str] | None, kernel: KernelLike, select: Sequence[str]
) -> Path | None:
    if checkpoint is None:
        return None
    if select:
        raise ValueError("checkpoint and select must not both be given")
    if not isinstance(kernel, str):
        raise ValueError("kernel must be a name with checkpoint, which is of one kernel")
    return Path(checkpoint)
