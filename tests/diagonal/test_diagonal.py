"""Diagonal linear networks: the convex program against gradient flow and other programs."""

from __future__ import annotations

import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from processes import call, interrupted, refusal, rows_of
from scipy.integrate import DOP853
from scipy.optimize import linprog, minimize

import nnth
from nnth._diagonal.convex import Program, interpolation, penalty, smallest_scale
from nnth._diagonal.diagonal import sparse_regression


def problem(m: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((m, d))
    return x, x @ random.standard_normal(d)


def test_the_flow_ends_at_the_program_from_1e_8_to_100() -> None:
    """The promised accuracy is 1e-8; the error is rounding times the condition number."""
    for data in (
        {},
        {"points": 6, "n0": 30, "sparsity": 30},
        {"points": 3, "n0": 4, "sparsity": 1},
    ):
        table = nnth.diagonal(seed=3, **data).table()
        assert (table["alpha"].min(), table["alpha"].max()) == (1e-8, 100.0)
        assert table["difference"].max() < 1e-11
        assert table["residual"].max() < 1e-13
        assert set(table["status"].tolist()) == {"ok"}


def test_a_flow_that_its_solver_gives_up_says_so_in_its_row_alone() -> None:
    """One point is 10^12 times as large: LSODA warns, which would be an error here."""
    x, _ = problem(6, 3, 0)
    x[0] *= 1e12
    y = 3e8 * x.sum(axis=1)
    table = nnth.diagonal(x, y, alpha=[0.1, 1.0]).table()
    assert set(table["status"].tolist()) == {"the flow has not settled"}
    assert table["residual"].max() < 1e-12


def test_plain_parameters_flow_to_the_same_end() -> None:
    """Integrate theta itself by an explicit method without invariants, up to its tolerance."""
    x, y = problem(3, 6, 1)
    d, theta0 = 6, np.linspace(0.5, 2.0, 6)
    for alpha in (1.0,):

        def slope(_: float, theta: np.ndarray) -> np.ndarray:
            pull = 2.0 * x.T @ (x @ (theta[:d] ** 2 - theta[d:] ** 2) - y)
            return np.concatenate([-pull * theta[:d], pull * theta[d:]])

        start = alpha * np.concatenate([theta0, theta0])
        solver = DOP853(slope, 0.0, start, 1e3, rtol=1e-11, atol=1e-14)
        while solver.status == "running":
            solver.step()
            beta = solver.y[:d] ** 2 - solver.y[d:] ** 2
            if np.abs(x @ beta - y).max() < 1e-11:
                break
        found = nnth.diagonal(x, y, alpha=[alpha], theta0=theta0)
        assert found.beta[0] == pytest.approx(beta, abs=2e-9)


def test_the_program_by_a_general_method() -> None:
    """SLSQP on Q itself finds a minimum up to the square root of the rounding of Q."""
    x, y = problem(2, 5, 2)
    theta0 = np.array([1.0, 0.5, 2.0, 1.5, 0.8])
    found = nnth.diagonal(x, y, alpha=[0.3], theta0=theta0)
    log_w = 2.0 * np.log(0.3 * theta0)
    other = minimize(
        lambda beta: penalty(beta, log_w),
        np.linalg.pinv(x) @ y,
        method="SLSQP",
        constraints={"type": "eq", "fun": lambda beta: x @ beta - y},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    assert found.beta[0] == pytest.approx(other.x, abs=1e-5)
    assert found.table()["q"][0] == pytest.approx(other.fun, rel=1e-9)


def test_the_limits() -> None:
    """Basis pursuit by a linear program; weighted least squares by its formula."""
    for seed in (4, 5):
        x, y = problem(5, 12, seed)
        theta0 = np.linspace(0.5, 2.0, 12)
        found = nnth.diagonal(x, y, alpha=[1e-60, 1e6], theta0=theta0)
        program = linprog(np.ones(24), A_eq=np.hstack([x, -x]), b_eq=y, method="highs")
        vertex = program.x[:12] - program.x[12:]
        assert found.beta_l1 == pytest.approx(vertex, abs=1e-9)
        assert found.table()["error_l1"][0] < 1e-11
        weight = np.diag(theta0**2)
        expected = weight @ x.T @ np.linalg.solve(x @ weight @ x.T, y)
        assert found.beta_l2 == pytest.approx(expected, rel=1e-11)
        assert found.beta[1] == pytest.approx(expected, rel=1e-10)


def test_where_many_have_the_least_l1_norm() -> None:
    """beta_1 + beta_2 = 1: the least sum beta (log(beta/theta_0^2) - 1) is in ratio theta_0^2."""
    found = nnth.diagonal([[1.0, 1.0]], [1.0], alpha=[1e-8, 1e-60], theta0=[1.0, 2.0])
    assert found.beta_l1 == pytest.approx([0.2, 0.8], rel=1e-12)
    # beta_i = 2 w_i sinh z is proportional to w_i for one z, for any alpha.
    assert found.beta == pytest.approx(np.array([[0.2, 0.8]] * 2), rel=1e-12)
    # Opposite signs, a duplicated row and a column of zeros: rows of rank one.
    x = [[1.0, -1.0, 0.0, 2.0], [1.0, -1.0, 0.0, 2.0]]
    found = nnth.diagonal(x, [3.0, 3.0], alpha=[1e-8, 100.0])
    assert found.beta_l1 == pytest.approx([0.0, 0.0, 0.0, 1.5], abs=1e-12)
    assert found.beta_l2 == pytest.approx([0.5, -0.5, 0.0, 1.0], rel=1e-12)
    assert found.beta[:, 2].tolist() == found.beta_flow[:, 2].tolist() == [0.0, 0.0]
    assert found.table()["difference"].max() < 1e-12


def test_more_points_than_dimensions_and_one_coefficient() -> None:
    x, y = problem(9, 4, 6)  # consistent, with one solution
    found = nnth.diagonal(x, y, alpha=[1e-8, 1.0, 100.0])
    expected = np.linalg.lstsq(x, y, rcond=None)[0]
    assert found.beta == pytest.approx(np.array([expected] * 3), rel=1e-11)
    assert found.table()["difference"].max() < 1e-11
    assert nnth.diagonal([[2.0]], [-6.0], alpha=[1.0]).beta_flow == pytest.approx(-3.0)


def test_scales_are_independent_and_the_ends_are_reached() -> None:
    many = nnth.diagonal(alpha=[1e-60, 1e-8, 1.0, 1e6])
    assert nnth.diagonal(alpha=[1e-8]).beta[0].tolist() == many.beta[1].tolist()
    assert many.table()["difference"].max() < 1e-11
    # Scaling y is equivalent to scaling alpha: beta and alpha^2 scale alike.
    x, y = sparse_regression(5, 9, 2, 0)
    one = nnth.diagonal(x, y, alpha=[1e-3]).beta[0]
    large = nnth.diagonal(x, 1e6 * y, alpha=[1.0])
    assert large.beta[0] == pytest.approx(1e6 * one, rel=1e-10)
    assert large.table()["difference"].max() < 1e-11


@pytest.mark.parametrize("z", [0.0, 1e-9, 1e-3, 0.0099, 0.0101, 1.0, 1e3, 1e9, 1e40])
def test_the_penalty(z: float) -> None:
    """The penalty against 60 digits, also at w far from 1."""
    with mpmath.workdps(60):
        for w in (1e-30, 0.7):
            beta = z * w
            u = mpmath.mpf(beta) / mpmath.mpf(w)
            exact = mpmath.mpf(w) * (2 - mpmath.sqrt(4 + u**2) + u * mpmath.asinh(u / 2))
            got = penalty(np.array([-beta]), np.array([math.log(w)]))
            # log w has a rounding of 1e-16 log w, and so has z; the slope of q in it is at most 2.
            assert got == pytest.approx(float(exact), rel=4e-14, abs=1e-300)


def test_the_dual_at_many_scales_of_w() -> None:
    """By KKT, grad Q = arcsinh(beta/2w) is in the row space of X, up to the rounding of z."""
    x, y = sparse_regression(8, 20, 2, 1)
    equations = interpolation(x, y)
    for log_scale in (3.0, -5.0, -37.0, -300.0):
        program = Program(equations, np.zeros(20))
        beta = program.solve(log_scale)
        assert x @ beta == pytest.approx(y, abs=1e-12)
        with mpmath.workdps(30):
            w = mpmath.exp(log_scale)
            gradient = np.array([float(mpmath.asinh(mpmath.mpf(b) / (2 * w))) for b in beta])
        assert gradient == pytest.approx(equations.basis @ program.mu, abs=1e-12, rel=1e-12)
    limit, error = smallest_scale(equations, np.zeros(20))
    assert np.count_nonzero(np.abs(limit) > 1e-12) == 2  # recovered
    assert error < 1e-12


def test_bad_input() -> None:
    x, y = problem(3, 5, 0)
    for arguments, message in (
        ({"alpha": [0.0]}, "alpha must be from 1e-60 to 1e"),
        ({"alpha": [math.nan]}, "alpha must be from"),
        ({"alpha": []}, "alpha must be one number or several"),
        ({"theta0": [1.0, 0.0, 1.0, 1.0, 1.0]}, "theta0 must be from 1e-6"),
        ({"theta0": [1.0, 2.0]}, "theta0 must be one number or one for each of 5 columns"),
    ):
        with pytest.raises(ValueError, match=message):
            nnth.diagonal(x, y, **arguments)
    with pytest.raises(ValueError, match="least squares leave 0"):
        nnth.diagonal(np.vstack([x, x]), np.concatenate([y, y + 1.0]))
    with pytest.raises(ValueError, match="y must not be 0"):
        nnth.diagonal(x, 0.0 * y)
    with pytest.raises(ValueError, match="x and y must be given together"):
        nnth.diagonal(x)
    with pytest.raises(ValueError, match="y must be one number for each of 3"):
        nnth.diagonal(x, y[:2])
    with pytest.raises(ValueError, match="sparsity must be at most n0 = 2, not 3"):
        nnth.diagonal(n0=2)
    with pytest.raises(MemoryError, match="points or n0 must be smaller: their matrices take"):
        nnth.diagonal(n0=10**7)


def test_the_command(tmp_path: Path) -> None:
    x, y = problem(3, 5, 0)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    data = ("--x", tmp_path / "data.npz", "--y", tmp_path / "data.npz")
    target, picture = tmp_path / "beta.npz", tmp_path / "path.svg"
    more = ("--alpha", "1e-6,1", "--theta0", "1,1,2,1,1", "--save", target, "--plot", picture)
    rows = rows_of(call("diagonal", *data, *more))
    assert tuple(rows[0])[:8] == (
        "alpha",
        "difference",
        "q",
        "l1",
        "distance_l1",
        "distance_l2",
        "newton_steps",
        "residual",
    )
    assert [float(row["alpha"]) for row in rows] == [1e-6, 1.0]
    assert {row["theta0"] for row in rows} == {"1.0,1.0,2.0,1.0,1.0"}
    with np.load(target) as arrays:
        assert sorted(arrays) == ["alpha", "beta", "beta_flow", "beta_l1", "beta_l2"]
        l1 = np.abs(arrays["beta"]).sum(axis=1)
    assert [float(row["l1"]) for row in rows] == pytest.approx(l1, rel=1e-12)
    assert "gradient flow" in picture.read_text()
    assert "--x and --sparsity must not" in refusal("diagonal", *data, "--sparsity", 2)
    assert "--y must come with --x" in refusal("diagonal", *data[2:])
    assert "--save must end in .npz" in refusal("diagonal", "--save", tmp_path / "beta.csv")
    assert "alpha must be from" in refusal("diagonal", "--alpha", "-1")


@pytest.mark.subprocess
def test_an_interrupt_ends_the_flow() -> None:
    out, _ = interrupted("diagonal", "--points", 300, "--n0", 600)
    assert out == ""


@pytest.mark.parametrize("unit", [1e-150, 1e-3, 1e150])
def test_units_of_the_data_change_nothing(unit: float) -> None:
    x = np.random.default_rng(0).normal(size=(3, 6))
    one, other = (
        nnth.diagonal(scale * x, scale * x[:, 0], alpha=(1e-3, 1.0)).table()
        for scale in (1.0, unit)
    )
    assert set(other["status"]) == {"ok"}
    assert np.all(other["difference"] < 1e-12)
    assert np.allclose(other["l1"], one["l1"], rtol=1e-12)
    with np.errstate(over="ignore"):
        # The time at which the flow stops changing depends on rounding: powers of ten are compared.
        ratio = other["flow_time"] * unit * unit / one["flow_time"]
        assert np.all((ratio > 0.1) & (ratio < 10.0))
