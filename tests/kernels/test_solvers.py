"""Solvers of K + ridge: each against plain algebra, to the error that it states."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.solvers import (
    BlockedCholesky,
    Choice,
    Cholesky,
    ConjugateGradients,
    ConvergenceError,
    Solver,
    System,
    choose,
    scratch,
)
from nnth._kernels.solvers import choice as choices
from nnth._kernels.solvers.preconditioner import Preconditioner, partial_cholesky
from nnth._kernels.solvers.scratch import Panels
from nnth._runtime.blas import serial_blas

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MatrixBlocks:
    """The blocks of a matrix that is stored."""

    matrix: Floats
    error: float = 1e-15

    @property
    def inputs(self) -> int:
        return len(self.matrix)

    @property
    def diagonal(self) -> Floats:
        return self.matrix.diagonal()

    def block(self, rows: slice, columns: slice, *, out: Any = None, **options: Any) -> Any:
        part = self.matrix[rows, columns]
        if out is None:
            return part.copy()
        out[...] = part
        return out


def kernel(m: int, seed: int = 0, scale: float = 1.5) -> Floats:
    """Return exp(-|x - y|^2/(2 S^2)) of m normal points in three dimensions."""
    x = np.random.default_rng(seed).normal(size=(m, 3))
    return np.exp(-((x[:, None] - x) ** 2).sum(-1) / (2.0 * scale**2))


def system(matrix: Floats, ridge: float, tests: int = 0, **options: Any) -> System:
    return System(MatrixBlocks(matrix), len(matrix) - tests, ridge, **options)


SOLVERS: dict[str, Callable[[System], Solver]] = {
    "cholesky": Cholesky,
    "blocked": lambda system: BlockedCholesky(system, width=7),
    "one panel": BlockedCholesky,
    "cg": lambda system: ConjugateGradients(system, tolerance=1e-8, rank=10),
}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("ridge", [1.0, 1e-3])
@pytest.mark.parametrize("m", [1, 2, 7, 8, 50])
def test_every_number_against_plain_algebra(name: str, ridge: float, m: int) -> None:
    """More outputs than points among them; a zero column has the solution 0."""
    matrix, tests = kernel(m + 5), 5
    train, cross = matrix[:m, :m], matrix[:m, m:]
    exact = train + ridge * np.eye(m)
    right = np.random.default_rng(1).normal(size=(m, 4))
    right[:, 2] = 0.0
    solver = SOLVERS[name](system(matrix, ridge, tests))
    found = solver.solve(right)
    # A misfit that is at most 1e-8 of the right-hand side is multiplied by the condition.
    reach = 1e-8 * np.linalg.cond(exact) if name == "cg" else 1e-10
    answer = np.linalg.solve(exact, right)
    assert np.abs(found.values - answer).max() <= reach * np.abs(answer).max()
    assert not found.values[:, 2].any()
    assert found.misfit == pytest.approx(right - exact @ found.values, abs=1e-12)
    assert found.product == pytest.approx(train @ found.values, abs=1e-12)
    assert np.linalg.norm(found.misfit, axis=0) == pytest.approx(0.0, abs=1e-8 * m)
    assert solver.product(right) == pytest.approx(train @ right, abs=1e-12)
    applied, misfit = solver.apply(cross)
    assert applied == pytest.approx(np.linalg.solve(exact, cross), abs=max(1e-9, reach))
    assert np.abs(misfit).max() <= 1e-7
    explained, error = solver.explained(cross)
    wanted = np.einsum("ij,ij->j", cross, np.linalg.solve(exact, cross))
    assert (np.abs(explained - wanted) <= error + 1e-11).all()
    # Errors are of second order: (1e-8 |k|)^2/ridge, with |k|^2 <= 50.
    assert error.max() <= 1e-16 * 50.0 / ridge * 1.01
    inverse = np.linalg.inv(exact)
    assert solver.inverse_norm >= np.linalg.norm(inverse, 2) * (1.0 - 1e-9)
    assert solver.size >= np.linalg.norm(exact, 2) * (1.0 - 1e-12)
    estimate = solver.log_determinant()
    # The quadrature of 16 random vectors: 6 standard errors of Student's t at 15 degrees.
    spread = 6.0 * estimate.stderr + 1e-9 * m
    assert estimate.value == pytest.approx(np.linalg.slogdet(exact)[1], abs=spread)
    diagonal = solver.inverse_diagonal()
    dimension = solver.effective_dimension()
    assert dimension.value == pytest.approx(
        m - ridge * np.trace(inverse), abs=6.0 * dimension.stderr + 1e-9 * m
    )
    if name == "cg":
        assert diagonal is None
        assert math.isnan(solver.condition)
        return
    assert estimate.stderr == dimension.stderr == 0.0
    assert diagonal == pytest.approx(inverse.diagonal(), rel=1e-10)
    condition = np.linalg.cond(exact, 1)
    assert solver.condition <= condition * (1.0 + 1e-9)
    # LAPACK's estimate is seldom below a third of the norm (Higham 1988).
    assert solver.condition >= condition / 3.0


@pytest.mark.parametrize("name", ["cholesky", "blocked", "one panel"])
def test_hostile_condition_numbers(name: str) -> None:
    """The residual of a direct solver is of rounding at condition 1e11."""
    matrix = kernel(60, scale=3.0)
    solver = SOLVERS[name](system(matrix, 1e-10))
    right = np.sin(np.arange(120.0)).reshape(60, 2)
    found = solver.solve(right)
    size = np.abs(matrix).sum(0).max() * np.abs(found.values).max()
    assert np.abs(found.misfit).max() <= 1e-14 * size
    assert solver.condition > 1e10


@pytest.mark.parametrize("name", ["cholesky", "blocked", "one panel"])
def test_duplicates_without_a_ridge_are_refused(name: str) -> None:
    matrix = np.tile(kernel(20), (2, 2))
    with pytest.raises(ValueError, match=r"ridge must be above about .* singular to rounding"):
        SOLVERS[name](system(matrix, 0.0))


def test_cg_without_a_ridge_reaches_the_tolerance_or_raises() -> None:
    """Targets in the range of a singular matrix have a solution, and others none."""
    matrix = np.tile(kernel(20), (2, 2))
    half = np.random.default_rng(2).normal(size=(20, 1))
    tolerance = 1e-6
    found = ConjugateGradients(system(matrix, 0.0), tolerance=tolerance, probes=0)
    within = matrix @ np.tile(half, (2, 1))
    solution = found.solve(within)
    misfit = within - matrix @ solution.values
    assert np.linalg.norm(misfit) <= tolerance * np.linalg.norm(within) * (1.0 + 1e-6)
    assert found.inverse_norm == math.inf
    with pytest.raises(ConvergenceError, match=r"cg stopped .* at a residual of .* of the targets"):
        found.solve(np.concatenate((half, -half)))


def test_duplicates_with_a_ridge_have_a_solution_by_every_solver() -> None:
    matrix = np.tile(kernel(20), (2, 2))
    right = np.arange(40.0)[:, None]
    exact = np.linalg.solve(matrix + 0.1 * np.eye(40), right)
    for name, make in SOLVERS.items():
        reach = 1e-6 if name == "cg" else 1e-11
        values = make(system(matrix, 0.1)).solve(right).values
        assert np.abs(values - exact).max() <= reach * np.abs(exact).max()


def test_a_kernel_of_zeros() -> None:
    for name, make in SOLVERS.items():
        solver = make(system(np.zeros((9, 9)), 2.0))
        assert solver.solve(np.ones((9, 1))).values == pytest.approx(0.5, rel=1e-8), name
        assert solver.log_determinant().value == pytest.approx(9.0 * math.log(2.0), rel=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_the_effect_of_the_residual_on_predictions_is_bounded(seed: int) -> None:
    """|k' A^-1 r| <= sqrt(K(z, z)/ridge) |r|, at loose tolerances, where r dominates."""
    rng = np.random.default_rng(seed)
    m, tests = int(rng.integers(5, 80)), 20
    ridge, tolerance = 10.0 ** rng.uniform(-6.0, 1.0), 10.0 ** rng.uniform(-4.0, -0.5)
    matrix = 10.0 ** rng.uniform(-3.0, 3.0) * kernel(m + tests, seed, 10.0 ** rng.uniform(-1, 1))
    train, cross = matrix[:m, :m], matrix[:m, m:]
    right = rng.normal(size=(m, 3))
    solver = ConjugateGradients(
        system(matrix, ridge, tests), tolerance=tolerance, rank=int(rng.integers(1, 20)), probes=0
    )
    found = solver.solve(right)
    assert (
        np.linalg.norm(found.misfit, axis=0) <= tolerance * np.linalg.norm(right, axis=0) * 1.001
    ).all()
    exact = np.linalg.solve(train + ridge * np.eye(m), right)
    off = np.abs(cross.T @ (found.values - exact)).max(axis=0)
    bound = math.sqrt(matrix.diagonal().max() * solver.inverse_norm)
    rounding = 1e-12 * np.abs(exact).sum(axis=0) * matrix.diagonal().max() + 1e-15
    assert (off <= bound * np.linalg.norm(found.misfit, axis=0) + rounding).all()
    explained, error = solver.explained(cross)
    wanted = np.einsum("ij,ij->j", cross, np.linalg.solve(train + ridge * np.eye(m), cross))
    slack = 1e-11 * matrix.diagonal().max() * (1.0 + matrix.diagonal().max() / ridge)
    assert (explained <= wanted + slack).all()
    assert (wanted - explained <= error + slack).all()


def test_estimates_of_many_seeds_have_the_spread_that_they_state() -> None:
    matrix, ridge = kernel(120, scale=0.6), 0.1
    exact = np.linalg.slogdet(matrix + ridge * np.eye(120))[1]
    inverse = np.linalg.inv(matrix + ridge * np.eye(120))
    dimension = 120.0 - ridge * np.trace(inverse)
    z = []
    for seed in range(20):
        solver = ConjugateGradients(system(matrix, ridge), tolerance=1e-8, seed=seed, rank=15)
        for found, wanted in (
            (solver.log_determinant(), exact),
            (solver.effective_dimension(), dimension),
        ):
            assert 0.0 < found.stderr < 0.1 * abs(wanted)
            z.append((found.value - wanted) / found.stderr)
    scores = np.array(z).reshape(20, 2)
    # Student's t of 15 degrees has variance 15/13: the mean of 20 has deviation 0.24.
    assert np.abs(scores.mean(axis=0)).max() < 1.0
    assert 0.5 < scores.std(axis=0).min() <= scores.std(axis=0).max() < 2.0


def test_more_random_pivots_leave_less_of_the_kernel() -> None:
    matrix = kernel(200, scale=0.5)
    left = []
    for rank in (10, 50, 150):
        factor, rest = partial_cholesky(MatrixBlocks(matrix), 200, rank, seed=3)
        assert factor.shape == (200, rank)
        gap = matrix - factor @ factor.T
        assert gap.diagonal() == pytest.approx(rest, abs=1e-12)
        assert np.linalg.eigvalsh(gap)[0] > -1e-12
        left.append(rest.mean())
    # The best of rank k leaves the eigenvalues beyond k; random pivots at most some times that.
    values = np.linalg.eigvalsh(matrix)[::-1]
    assert left[0] > left[1] > left[2]
    assert left[2] < 10.0 * values[150:].sum() / 200.0
    full, rest = partial_cholesky(MatrixBlocks(matrix), 200, 200, seed=3)
    assert full @ full.T == pytest.approx(matrix, abs=1e-10)


def test_powers_and_determinant_of_the_preconditioner() -> None:
    matrix = kernel(40)
    factor, left = partial_cholesky(MatrixBlocks(matrix), 40, 12, seed=0)
    made = Preconditioner(factor, left, 0.3)
    dense = factor @ factor.T + made.shift * np.eye(40)
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    root = made.power(0.5, made.power(0.5, vectors))
    assert root == pytest.approx(dense @ vectors, rel=1e-11, abs=1e-12)
    assert made.power(-1.0, dense @ vectors) == pytest.approx(vectors, rel=1e-9, abs=1e-11)
    assert made.log_determinant == pytest.approx(np.linalg.slogdet(dense)[1], rel=1e-12)
    assert made.trace_of_inverse == pytest.approx(np.trace(np.linalg.inv(dense)), rel=1e-10)


@pytest.mark.threads
def test_threads_leave_no_trace_in_any_bit() -> None:
    x = np.random.default_rng(4).normal(size=(1500, 4))
    right = x[:, :2]

    @serial_blas
    def solved(name: str, threads: int) -> list[Floats]:
        blocks = named_kernel("ntk").blocks(x, threads=threads)
        made = System(blocks, 1490, 0.1, threads=threads)
        solver: Solver = (
            BlockedCholesky(made, width=300)
            if name == "blocked"
            else ConjugateGradients(made, tolerance=1e-6, rank=100)
        )
        found = solver.solve(right[:1490])
        return [found.values, found.misfit, np.array([solver.log_determinant().value])]

    for name in ("blocked", "cg"):
        for one, four in zip(solved(name, 1), solved(name, 4), strict=True):
            assert one.tobytes() == four.tobytes(), name


def test_panels_give_back_what_was_written() -> None:
    for rows, width in ((1, 1), (10, 3), (9, 3), (4, 8)):
        panels = Panels(rows, width)
        wanted = np.tril(np.arange(1.0, rows * rows + 1.0).reshape(rows, rows))
        for k in range(panels.count):
            at = panels.columns(k)
            panels.write(k, np.ascontiguousarray(wanted[at.start :, at]))
        for k in reversed(range(panels.count)):
            at = panels.columns(k)
            assert (panels.read(k, at.start, rows) == wanted[at.start :, at]).all()
            assert (panels.read(k, rows - 1, rows) == wanted[-1:, at]).all()
        panels.close()


def test_a_scratch_file_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = scratch.shutil.disk_usage(".")
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(OSError, match=r"must have .* GiB for the factor"):
        Panels(100, 10)


def test_auto_takes_the_first_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = scratch.shutil.disk_usage(".")

    def free(memory: int | None, disk: int) -> None:
        monkeypatch.setattr(choices, "available_memory", lambda: memory)
        monkeypatch.setattr(choices.shutil, "disk_usage", lambda _: usage._replace(free=disk))

    m = 60_000  # 26.8 GiB
    free(2**36, 0)
    assert choose("auto", m, 0.0) == Choice("cholesky")
    free(None, 0)
    assert choose("auto", m, 0.0).name == "cholesky"
    free(2**33, 2**34)
    found = choose("auto", m, 0.0)
    assert found.name == "blocked"
    assert "26.8 GiB does not fit in memory" in found.reason
    free(2**33, 2**33)
    found = choose("auto", m, 0.1)
    assert found.name == "cg"
    assert "13.4 GiB on disk" in found.reason
    with pytest.raises(MemoryError, match="ridge be above 0 for the solver cg"):
        choose("auto", m, 0.0)
    assert choose("cg", 5, 0.0) == Choice("cg")
    with pytest.raises(ValueError, match="solver must be auto, cholesky, blocked or cg, not 'lu'"):
        choose("lu", 5, 0.0)  # type: ignore[arg-type]


@pytest.mark.subprocess
@pytest.mark.skipif(sys.platform == "win32", reason="the file has a name on Windows")
def test_no_file_is_left_however_the_process_ends(tmp_path: Path) -> None:
    """The file has no name from the start, so that even SIGKILL leaves nothing."""
    code = (
        "import os, signal\n"
        "from nnth._kernels.solvers.scratch import Panels\n"
        "panels = Panels(1000, 100)\n"
        "panels.write(0, __import__('numpy').ones((1000, 100)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert ended.returncode == -9
    assert list(tmp_path.iterdir()) == []
