"""Learning curves of kernel ridge regression on the sphere, without data: theory and samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.kernel import Ntk
from nnth._kernels.protocol import SphereKernel
from nnth._kernels.solvers import (
    Choice,
    SolverName,
    System,
    check_tolerance,
    choose,
    solver_of,
)
from nnth._kernels.sphere import gegenbauer, multiplicities
from nnth._rkhs.spectrum import MAX_DIMENSION, MAX_NORM
from nnth._rkhs.sphere_theory import MOST_LEVELS, Expectation, check_rank, expectations
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer, check_nonnegative
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import sample_in_parts, validated
from nnth._tables.plot import Lines
from nnth._tables.statistics import joined, mean_and_stderr, note_on_z, skewness, z_score
from nnth._tables.table import Meta, Table

TEST_POINTS: Final = 1000  # on which a sample measures its error
SIZES: Final = tuple(2**power for power in range(11))
_DIRECTIONS: Final = 64  # of the functions P_k(x.u) whose sum is a target
_LARGEST: Final = 1e100  # of weights, noise and ridge, whose products are doubles
_EPS: Final = float(np.finfo(float).eps)
_SMALL_DIMENSION: Final = 4

Target = Mapping[int, float] | Iterable[tuple[int, float]]


@serial_blas
def rkhs_sphere_curve(
    kernel: str = "ntk",
    act: str = "relu",
    *,
    n0: int = 10,
    target: Target,
    ridge: float = 1e-3,
    sizes: Sequence[int] = SIZES,
    label_noise: float = 0.0,
    samples: int = 0,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    norm: float | None = None,
    solver: SolverName = "auto",
    tolerance: float = 1e-8,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the test error of kernel ridge regression on the sphere as a function of the size.

    The fit f = argmin sum_i (y_i - f(x_i))^2 + ridge `|f|^2` has N points x_i, uniform on the
    sphere, and y_i = f*(x_i) + noise. With the eigenvalues lambda_k and multiplicities N(d, k) of
    `nnth.rkhs_spectrum`, and a target f* whose part of degree k has the mean square w_k::

        N = sum_k N(d, k) L_k + ridge/kappa,   L_k = lambda_k/(lambda_k + kappa)
        E (f - f*)^2 = E_0 (sum_k (1 - L_k)^2 w_k + V) - V,   E_0 = N/(N - sum_k N(d, k) L_k^2)

    Args:
        kernel: "nngp" or "ntk" of an infinitely wide network; "rbf:S", exp(-`|x - y|^2`/(2 S^2)),
            or "laplace:S", exp(-`|x - y|`/S), on the unit sphere.
        act: Activation of the network, as in `nnth.kernel`.
        n0: Dimension d of the inputs, at least 2.
        target: The mean square w_k of the part of the target of each degree k, as {1: 0.5, 2: 0.5}
            or in pairs; degrees are 0 to 1999, each given once.
        ridge: Ridge, finite, at least 0.
        sizes: Sizes N of the training sets.
        label_noise: Variance V of the noise of the training targets; test targets have none.
        samples: Number of training sets of each size that are drawn and fitted; 0 for the theory
            alone, otherwise at least 2.
        depth: Number of hidden layers of the network.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        norm: `|x|^2/n_0` of the inputs of the network, as in `nnth.rkhs_spectrum`.
        solver: Solver of the fits of samples, as in `nnth.rkhs_fit`: "cg" and "blocked" need no
            matrix in memory, and "auto" takes the first that fits the largest size.
        tolerance: Largest norm of the residual that "cg" leaves, relative to the targets; above 0
            and below 1.
        seed: Seed of points, targets and noise, and of the preconditioner of "cg".
        threads: Number of threads for the kernel, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Table with a row for each size and the columns size; kappa; theory, the test error;
        learnability_K = L_K of each degree K of the target; mean, stderr and z of the samples (NaN
        without them), whose errors are measured on 1000 other points each; kappa_error and
        theory_error, bounds of the absolute errors of both; note. Values that the eigenvalues in
        doubles do not determine are NaN, and the note says so.

    Raises:
        ValueError: For arguments out of range, and for ridge = 0 with more points than eigenvalues
            that are not 0.
        ConvergenceError: If "cg" does not reach the tolerance, with the residual that it reached.
        MemoryError: If the samples do not fit, with the size, before any work.

    Accuracy: the theory takes the features of the kernel as Gaussian. It is good for large d or
    slowly decreasing eigenvalues; at d = 3 and 4, and without a ridge, it may be wrong by a factor.
    Its formula is computed to relative errors of 1e-8 (kappa) and 1e-7, as far as doubles determine
    the eigenvalues near kappa. Cost: up to some seconds for 2000 levels; O(N^3) for a sample, or
    with "cg" the kernel of N^2/2 pairs in an iteration, some five times as long at 6000 points.

    Example:
        >>> curve = nnth.rkhs_sphere_curve("ntk", n0=10, target={1: 1.0}, sizes=[1, 10, 100])
        >>> curve["theory"].round(4)
        array([0.9524, 0.4265, 0.0017])

    Source: Bordelon et al. (2020); Canatar et al. (2021); Simon et al. (2021).
    """
    chosen = named_kernel(kernel, act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    d = check_integer("n0", n0, 2, MAX_DIMENSION)
    radius = chosen.sphere_norm(norm)
    if radius is not None and not 0.0 < radius <= MAX_NORM:
        raise ValueError(f"norm must be positive and at most {MAX_NORM:g}, not {radius:g}")
    weights = _weights(target)
    _check_size("ridge", ridge)
    _check_size("label_noise", label_noise)
    sizes = [check_integer("sizes", size) for size in sizes]
    if not sizes:
        raise ValueError("sizes must have at least one size, not none")
    samples = check_integer("samples", samples, 0)
    if samples == 1:
        raise ValueError("samples must be 0 or at least 2, not 1")
    check_tolerance(tolerance)
    choice = _choice(solver, max(sizes), d, ridge) if samples else None
    check_rank(chosen, d, radius, ridge, max(sizes))
    validated()
    levels = sorted(weights)
    power = np.array([weights[level] for level in levels])
    found = expectations(chosen, d, radius, levels, power, label_noise, ridge, sizes)
    errors = None
    if choice is not None:
        problem = _Problem(
            chosen,
            d,
            radius,
            levels,
            power,
            label_noise,
            ridge,
            sizes,
            choice,
            tolerance,
            threads,
        )
        drawn = sample_in_parts(problem.draw(seed, samples, progress), samples)
        errors = np.array(drawn)
    columns = _columns(found, levels, sizes, errors, d, chosen.decay(d))
    if choice is not None and choice.reason:
        columns["note"] = [joined(note, choice.reason) for note in columns["note"]]
    notes = [_note_on_samples(errors, i) for i in range(len(sizes))]
    parameters: dict[str, Any] = {**chosen.parameters, "n0": d, "norm": radius}
    parameters |= {
        "target": ",".join(f"{level}:{weights[level]:g}" for level in levels),
        "ridge": ridge,
        "label_noise": label_noise,
        "samples": samples,
        "solver": None if choice is None else choice.name,
        "tolerance": tolerance if choice is not None and choice.name == "cg" else None,
    }
    meta = Meta("rkhs curve", parameters, seed if samples else None)
    return Table(columns, meta, plot=_picture(columns, sizes, notes))


def _choice(solver: SolverName, most: int, d: int, ridge: float) -> Choice:
    """Return the solver for the largest size.

    Raises MemoryError if its points do not fit, or the matrices of "cholesky", and of "auto" if
    nothing does.
    """
    rule = "sizes must be smaller with samples"
    check_memory(8 * 4 * d * (most + TEST_POINTS), f"{rule}: their points")
    try:
        choice = choose(solver, most, ridge)
    except MemoryError as error:
        raise MemoryError(f"{rule}: {str(error).partition(': ')[2]}") from None
    needed = 8 * (most * (2 * most + TEST_POINTS) + d * (most + TEST_POINTS))
    if choice.name == "cholesky":
        check_memory(needed, f"{rule}, or solver be blocked or cg: their kernel matrices")
    return choice


def _weights(target: Target) -> dict[int, float]:
    """Return the weight of each level, after checks."""
    weights: dict[int, float] = {}
    for level, weight in target.items() if isinstance(target, Mapping) else target:
        if not isinstance(level, int | np.integer):
            raise ValueError(f"target must have whole numbers as levels, not {level!r}")
        if not 0 <= level < MOST_LEVELS:
            raise ValueError(f"target must have levels from 0 to {MOST_LEVELS - 1}, not {level}")
        if level in weights:
            raise ValueError(f"target must have each level once, not level {level} twice")
        if not 0.0 <= weight <= _LARGEST:
            raise ValueError(
                f"target must have weights from 0 to {_LARGEST:g}, not {weight:g} at level {level}"
            )
        weights[int(level)] = float(weight)
    if not weights:
        raise ValueError("target must have at least one level, not none")
    return weights


def _check_size(name: str, value: float) -> None:
    if check_nonnegative(name, value) > _LARGEST:
        raise ValueError(f"{name} must be at most {_LARGEST:g}, not {value:g}")


@dataclass(frozen=True, eq=False)
class _Problem:
    """Training sets on the sphere of `|x|^2/n_0` = norm, or on the unit sphere."""

    kernel: SphereKernel
    d: int
    norm: float | None
    levels: list[int]
    weights: Floats
    noise: float
    ridge: float
    sizes: list[int]
    solver: Choice
    tolerance: float
    threads: int

    def draw(
        self, seed: int, samples: int, progress: Progress | None
    ) -> Callable[[int, int], list[Floats]]:
        """Return the function that draws samples and returns the errors `(sizes,)` of each."""

        def drawn(first: int, count: int) -> list[Floats]:
            found = []
            for done, sample in enumerate(range(first, first + count)):
                if progress is not None:
                    progress(done, samples)
                found.append(self._errors(seed, sample))
            return found

        return drawn

    @np.errstate(over="ignore", invalid="ignore")  # errors beyond the doubles are infinite
    def _errors(self, seed: int, sample: int) -> Floats:
        """Return the mean square errors of the fits of a sample on its test points.

        The smaller training sets are the first points of the largest. NaN where the matrix
        K + ridge is singular to rounding.
        """
        from scipy.linalg import lapack

        most = max(self.sizes)
        points = self._points(seed, streams.SAMPLES.first + sample, most)
        tests = self._points(seed, streams.RKHS_TEST_POINTS.first + sample, TEST_POINTS)
        both = np.concatenate((points, tests))
        values = self._target(seed, sample, both)
        noise = normals(seed, streams.TARGET_NOISE.first + sample, most, threads=self.threads)
        observed = values[:most] + math.sqrt(self.noise) * noise
        radius = 1.0 if self.norm is None else math.sqrt(self.norm * self.d)
        if self.solver.name != "cholesky":
            fits = [
                self._solved(radius * points[:size], radius * tests, observed[:size], seed)
                for size in self.sizes
            ]
            return np.array([np.mean((fit - values[most:]) ** 2) for fit in fits])
        matrix = self.kernel.rows(radius * both, most, threads=self.threads).matrix
        errors = np.full(len(self.sizes), math.nan)
        for i, size in enumerate(self.sizes):
            system = np.array(matrix[:size, :size], order="F")  # always a copy
            system[np.arange(size), np.arange(size)] += self.ridge
            length = float(np.abs(system).sum(axis=0).max())
            factor, failed = lapack.dpotrf(system, lower=1, clean=0, overwrite_a=1)
            if failed or lapack.dpocon(factor, length, uplo="L")[0] <= 0.1 * size * _EPS:
                continue
            alpha = lapack.dpotrs(factor, observed[:size], lower=1)[0]
            missed = alpha @ matrix[:size, most:] - values[most:]
            errors[i] = np.mean(missed**2)
        return errors

    def _solved(self, points: Floats, tests: Floats, observed: Floats, seed: int) -> Floats:
        """Return a fit at the test points, without a matrix; NaN if it is singular to rounding."""
        blocks = self.kernel.blocks(np.concatenate((points, tests)), threads=self.threads)
        system = System(blocks, len(points), self.ridge, threads=self.threads)
        try:
            solver = solver_of(self.solver, system, tolerance=self.tolerance, seed=seed, probes=0)
        except ValueError:  # of a factor
            return np.full(len(tests), math.nan)
        alpha = solver.solve(observed[:, None]).values[:, 0]
        return np.concatenate([system.cross(at).T @ alpha for at in system.test_blocks()])

    def _points(self, seed: int, stream: int, count: int) -> Floats:
        """Return uniform points of the unit sphere."""
        drawn = normals(seed, stream, count * self.d, threads=self.threads).reshape(count, self.d)
        return np.asarray(drawn / np.sqrt(np.einsum("ij,ij->i", drawn, drawn))[:, None])

    def _target(self, seed: int, sample: int, points: Floats) -> Floats:
        """Return the values of a random target.

        Its part of degree k is a sum of a_j P_k(x.u_j) over random directions u_j. Since the mean
        of P_k(x.u) P_k(x.v) is P_k(u.v)/N(d, k), the a_j are scaled so that the mean square of the
        part is its weight, and not only on average.
        """
        stream = streams.RKHS_TARGETS.first + sample
        count = _DIRECTIONS * (self.d + len(self.levels))
        drawn = normals(seed, stream, count, threads=self.threads)
        u = drawn[: _DIRECTIONS * self.d].reshape(_DIRECTIONS, self.d)
        u = u / np.sqrt(np.einsum("ij,ij->i", u, u))[:, None]
        a = drawn[_DIRECTIONS * self.d :].reshape(len(self.levels), _DIRECTIONS)
        cosines = np.clip(np.concatenate((points, u)) @ u.T, -1.0, 1.0)
        total = np.zeros(len(points))
        for level, weight, factors in zip(self.levels, self.weights, a, strict=True):
            values = _polynomial(self.d, level, cosines) @ factors
            # The last rows are at the directions: sum_ij a_i a_j P_k(u_i.u_j), which is N(d, k)
            # times the mean square.
            square = float(factors @ values[len(points) :])
            count = multiplicities(self.d, level + 1)[level]
            total += math.sqrt(weight) * values[: len(points)] * math.sqrt(count / square)
        return total


def _polynomial(d: int, level: int, t: Floats) -> Floats:
    """Return P_k(t) of the shape of t."""
    return np.asarray(gegenbauer(d, level + 1, t.ravel())[level].reshape(t.shape))


def _columns(
    found: list[Expectation],
    levels: list[int],
    sizes: list[int],
    errors: Floats | None,
    d: int,
    decay: float,
) -> dict[str, Any]:
    theory = np.array([one.error for one in found])
    learned = np.array([one.learnability for one in found])
    unknown = np.full(len(sizes), math.nan)
    mean, stderr = (unknown, unknown) if errors is None else mean_and_stderr(errors)
    theory_error = np.array([one.error_error for one in found])
    with np.errstate(invalid="ignore"):  # an infinite theory has no z
        z = z_score(mean - theory, stderr)
    columns: dict[str, Any] = {
        "size": np.array(sizes),
        "kappa": np.array([one.kappa for one in found]),
        "theory": theory,
    }
    columns |= {f"learnability_{level}": learned[:, i] for i, level in enumerate(levels)}
    columns |= {"mean": mean, "stderr": stderr, "z": z}
    columns["kappa_error"] = np.array([one.kappa_error for one in found])
    columns["theory_error"] = theory_error
    columns["note"] = [
        joined(_note_on_theory(decay, d, one), _note_on_samples(errors, i))
        for i, one in enumerate(found)
    ]
    return columns


def _note_on_theory(decay: float, d: int, found: Expectation) -> str:
    if math.isnan(found.kappa):
        return "kappa is not known: eigenvalues of its size are below their errors"
    if math.isinf(found.error):
        return "the error is infinite: there are as many points as eigenvalues that are not 0"
    if d <= _SMALL_DIMENSION:
        return f"theory is of large n0, and may be wrong by a factor at n0 = {d}"
    if math.isinf(decay):
        return f"theory is of large n0 or slow decay of eigenvalues, and may be low at n0 = {d}"
    return ""


def _note_on_samples(errors: Floats | None, i: int) -> str:
    if errors is None:
        return ""
    if np.isnan(errors[:, i]).any():
        return "no mean: a kernel matrix of this size is singular to rounding"
    return note_on_z(len(errors), float(skewness(errors[:, i])))


def _picture(columns: Mapping[str, Any], sizes: list[int], notes: list[str]) -> Lines:
    order = np.argsort(sizes, kind="stable")
    at = np.array(sizes, dtype=np.float64)[order]
    mean, stderr = columns["mean"][order], columns["stderr"][order]
    seen = np.isfinite(mean)
    points = (("mean of samples", at[seen], mean[seen], stderr[seen]),) if seen.any() else ()
    hollow = np.array([bool(note) for note in notes])[order][seen]
    left = int((~seen).sum()) if seen.any() else 0
    return Lines(
        lines=(("theory", at, columns["theory"][order]),),
        points=points,
        hollow=(hollow,) if seen.any() else (),
        log_x=True,
        log_y=True,
        x_label="training points $N$",
        y_label=r"test error $\mathrm{E} (f - f^*)^2$",
        note=f"{left} of {len(sizes)} sizes have no mean" if left else "",
    )
