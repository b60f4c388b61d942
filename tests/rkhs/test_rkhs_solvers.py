"""Kernel ridge regression by each solver, to the errors that it states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnth
from nnth._kernels.solvers import ConvergenceError

RNG = np.random.default_rng(6)
X, TESTS = RNG.normal(size=(70, 3)), RNG.normal(size=(8, 3))
Y = np.stack((np.sin(X[:, 0]), X[:, 1] ** 2), axis=1)


@pytest.mark.parametrize("kernel", ["rbf:1.5", "laplace:2", "nngp", "ntk"])
@pytest.mark.parametrize("ridge", [0.2, 1e-5])
def test_solvers_agree(kernel: str, ridge: float) -> None:
    def fit(solver: Any) -> nnth.KernelFit:
        return nnth.rkhs_fit(
            X, Y, kernel, ridge=ridge, x_test=TESTS, y_test=TESTS[:, :2], solver=solver
        )

    exact, blocked, cg = fit("cholesky"), fit("blocked"), fit("cg")
    table, other = exact.table(), blocked.table()
    for name in table:
        if name in ("condition", "gradient", "residual", "error", "variance_error", "note"):
            continue
        assert other[name] == pytest.approx(table[name], rel=1e-7, abs=1e-10), name
    # Hager's estimate is from below, and seldom below a third.
    assert table["condition"][0] / 3.0 <= other["condition"][0] <= 1.0001 * table["condition"][0]
    found = cg.table()
    assert np.isnan(found["loo_error"]).all()
    assert np.isnan(found["condition"]).all()
    assert (found["residual"] < 1e-7).all()
    both = exact.solution.error.max() + cg.solution.error.max()
    assert np.abs(cg.solution.prediction - exact.solution.prediction).max() <= both
    # With d the misfit, |d' A^-1 y| <= |d| |y|/ridge, and twice that for alpha' K alpha.
    sizes = np.linalg.norm(Y, axis=0)
    reach = 4.0 * np.linalg.norm(Y - cg.solution.fitted - ridge * cg.alpha, axis=0) * sizes / ridge
    assert (np.abs(found["rkhs_norm2"] - table["rkhs_norm2"]) <= reach + 1e-6).all()
    gap = np.abs(cg.solution.variance - exact.solution.variance).max()
    assert gap <= cg.solution.variance_error + exact.solution.variance_error
    for name in ("log_marginal", "effective_dimension"):
        # Six standard errors of Student's t at 15 degrees of freedom; and of targets the misfit.
        slack = 6.0 * found[f"{name}_stderr"] + reach
        assert (np.abs(found[name] - table[name]) <= slack).all(), name
    assert (table["log_marginal_stderr"] == 0.0).all()
    assert table["note"].tolist() == ["", ""]
    assert found["note"][0] == "cg computes neither loo_error nor condition"
    assert cg.meta.seed == 0
    assert exact.meta.seed is None


def test_new_points_have_the_deviation_of_the_test_points() -> None:
    for solver in ("cholesky", "blocked", "cg"):
        fit = nnth.rkhs_fit(X, Y, "rbf:1", ridge=0.1, x_test=TESTS, solver=solver)  # type: ignore[arg-type]
        mean, deviation = fit.predict(TESTS, return_std=True)
        assert mean == pytest.approx(fit.solution.prediction, abs=1e-12)
        assert deviation**2 == pytest.approx(fit.solution.variance, abs=1e-9)


def test_seeds_change_estimates_and_no_solution() -> None:
    one, again, other = (
        nnth.rkhs_fit(X, Y, "ntk", ridge=0.1, solver="cg", seed=seed) for seed in (1, 1, 2)
    )
    assert (one.alpha == again.alpha).all()
    assert one.table()["log_marginal"].tolist() == again.table()["log_marginal"].tolist()
    assert (one.table()["log_marginal"] != other.table()["log_marginal"]).all()
    assert one.alpha == pytest.approx(other.alpha, abs=1e-5)


def test_one_point_and_more_outputs_than_points() -> None:
    for solver in ("cholesky", "blocked", "cg"):
        fit = nnth.rkhs_fit(
            [[0.5]],
            [[1.0, -2.0, 0.0]],
            "rbf:1",
            ridge=1.0,
            x_test=[[0.5]],
            solver=solver,  # type: ignore[arg-type]
        )
        assert fit.alpha == pytest.approx(np.array([[0.5, -1.0, 0.0]]), abs=1e-7)
        assert fit.solution.variance == pytest.approx([0.5], abs=1e-7)
        assert fit.table()["log_marginal"] == pytest.approx(
            -0.5 * np.array([0.5, 2.0, 0.0]) - 0.5 * np.log(2.0) - 0.5 * np.log(2.0 * np.pi),
            abs=1e-7,
        )


def test_a_singular_matrix_is_never_an_answer() -> None:
    x, y = np.concatenate((X, X)), np.concatenate((Y, -Y))
    for solver in ("cholesky", "blocked"):
        with pytest.raises(ValueError, match=r"ridge must be above about .* singular to rounding"):
            nnth.rkhs_fit(x, y, "ntk", ridge=0.0, solver=solver)  # type: ignore[arg-type]
    with pytest.raises(ConvergenceError, match="a ridge above 0 or the solver blocked"):
        nnth.rkhs_fit(x, y, "ntk", ridge=0.0, solver="cg")


def test_a_picture_without_the_left_out_points() -> None:
    drawn = nnth.rkhs_fit(X, Y, "ntk", ridge=0.1, solver="cg").table().drawing
    assert drawn.points[0][0] == "fitted"  # type: ignore[union-attr]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="solver must be auto, cholesky, blocked or cg, not 'qr'"):
        nnth.rkhs_fit(X, Y, solver="qr")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tolerance must be above 0 and below 1, not 1"):
        nnth.rkhs_fit(X, Y, solver="cg", tolerance=1.0)
