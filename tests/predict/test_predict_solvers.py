"""Predictions at infinite time by each solver, against eigenvectors, to the errors they state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnth
from nnth._kernels.solvers import MOST_TESTS, ConvergenceError

RNG = np.random.default_rng(3)
X, TESTS = RNG.normal(size=(60, 4)), RNG.normal(size=(9, 4))
Y = np.stack((np.sin(X[:, 0]), X[:, 1] * X[:, 2]), axis=1)
SOLVERS = ("cholesky", "blocked", "cg")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("ridge", [0.3, 1e-4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_noise": "none"},
        {"kernel": "nngp"},
        {"kernel": "nngp", "target_noise": "none"},
        {"ntk": "pdlt"},
        {"ntk": "bias", "act": "erf"},
    ],
)
def test_solvers_agree_with_eigenvectors(
    solver: Any, ridge: float, options: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"x_test": TESTS, "depth": 2, "ridge": ridge, **options}
    exact = nnth.predict(X, Y, **given)
    found = nnth.predict(X, Y, solver=solver, **given)
    assert exact.meta.parameters["solver"] == "eigenvectors"
    assert found.meta.parameters["solver"] == solver
    law, reference = found.distributions[0], exact.distributions[0]
    # Both sides are within their errors, of which the reference's are of rounding.
    assert np.abs(found.mean - exact.mean).max() <= law.error + reference.error
    gap = np.abs(found.variance - exact.variance).max()
    assert gap <= law.variance_error + reference.variance_error
    assert found.train_mean == pytest.approx(exact.train_mean, abs=1e-6)
    assert law.residual <= (1e-8 if solver == "cg" else 1e-13)
    if solver == "cg":
        assert np.isnan(law.condition)
        assert gap <= 1e-5
        return
    assert found.mean == pytest.approx(exact.mean, abs=1e-11)
    assert found.variance == pytest.approx(exact.variance, abs=1e-11)
    # The 1-norm of a matrix of 60 rows is at most sqrt(60) times the spectral norm, and LAPACK's
    # estimate at least a third of it.
    assert reference.condition / 3.0 <= law.condition <= 60.0 * reference.condition


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("options", [{}, {"ntk": "pdlt"}, {"kernel": "nngp"}])
def test_errors_of_cg_hold_at_loose_tolerances(seed: int, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(seed)
    x, y, tests = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), rng.normal(size=(10, 3))
    given: dict[str, Any] = {"ridge": 10.0 ** rng.uniform(-3, 1), "depth": 1, **options}
    for noise in ("own", "none"):
        given["target_noise"] = noise
        exact = nnth.predict(x, y, tests, **given)
        found = nnth.predict(
            x, y, tests, solver="cg", tolerance=10.0 ** rng.uniform(-3, -1), seed=seed, **given
        )
        law = found.distributions[0]
        assert np.abs(found.mean - exact.mean).max() <= law.error + 1e-9
        assert np.abs(found.variance - exact.variance).max() <= law.variance_error + 1e-9


def test_auto_takes_a_factor_for_many_points_and_infinite_time_only() -> None:
    x = np.random.default_rng(0).normal(size=(520, 3))
    y = x[:, 0]
    options: dict[str, Any] = {"x_test": TESTS[:, :3], "ridge": 0.1}
    one = nnth.predict(x, y, **options)
    two = nnth.predict(x, y, times=(1.0, np.inf), **options)
    assert one.meta.parameters["solver"] == "cholesky"
    assert two.meta.parameters["solver"] == "eigenvectors"
    assert one.mean[0] == pytest.approx(two.mean[1], abs=1e-11)
    assert one.variance[0] == pytest.approx(two.variance[1], abs=1e-11)
    both = nnth.predict(x, y, times=(np.inf, np.inf), **options)
    assert (both.mean == one.mean).all()


def test_cg_leaves_out_the_variances_of_many_tests_and_says_so() -> None:
    tests = np.random.default_rng(1).normal(size=(MOST_TESTS + 1, 4))
    found = nnth.predict(X, Y, tests, tests[:, :2], ridge=0.1, solver="cg")
    exact = nnth.predict(X, Y, tests, tests[:, :2], ridge=0.1)
    assert np.isnan(found.variance).all()
    # Without the variances there are no weights, and the error is a wider bound.
    law = found.distributions[0]
    assert np.abs(found.mean - exact.mean).max() <= law.error < 1e-3
    row = found.table()
    assert row["status"].tolist() == ["no variance"]
    assert row["note"][0].startswith("cg does not compute condition; variances of at most 256")
    assert np.isnan([row["nll"][0], row["net_error"][0], row["variance_error"][0]]).all()
    assert row["test_error"][0] == pytest.approx(exact.table()["test_error"][0], rel=1e-6)
    assert set(found.points()["note"]) == {row["note"][0]}
    assert found.table().meta.seed == 0


def test_without_a_ridge_cg_has_no_bound_and_says_so() -> None:
    found = nnth.predict(X, Y, TESTS, solver="cg", act="erf")
    exact = nnth.predict(X, Y, TESTS, act="erf")
    assert found.mean == pytest.approx(exact.mean, abs=1e-5)
    assert found.table()["error"].tolist() == [np.inf]
    assert "without a larger ridge errors have no bound" in found.table()["note"][0]


def test_a_singular_kernel_is_never_an_answer() -> None:
    x, y = np.concatenate((X, X)), np.concatenate((Y, -Y))
    for solver in ("cholesky", "blocked"):
        with pytest.raises(ValueError, match=r"ridge must be above .*, or times finite, not 0"):
            nnth.predict(x, y, TESTS, solver=solver)  # type: ignore[arg-type]
    with pytest.raises(ConvergenceError, match=r"cg stopped after .* steps at a residual"):
        nnth.predict(x, y, TESTS, solver="cg")


def test_refusals() -> None:
    for arguments, message in (
        ({"times": (1.0,), "solver": "blocked"}, "times must be inf, and not 1, for solver block"),
        ({"times": (1.0,), "samples": 3, "solver": "cg"}, "samples must be 0, not 3, for solver"),
        ({"samples": 3, "solver": "blocked"}, "samples must be 0, not 3, for solver blocked"),
        ({"solver": "lu"}, "solver must be auto, cholesky, blocked or cg, not 'lu'"),
        ({"tolerance": 0.0}, "tolerance must be above 0 and below 1, not 0"),
        (
            {"solver": "cg", "act": "step", "cw": 2.0},
            "kernel must be nngp for an activation that jumps",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            nnth.predict(X, Y, TESTS, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_one_krylov_space_has_the_means_of_all_finite_times(kernel: Any, ridge: float) -> None:
    times = (300.0, 0.0, 0.1, 3.0, 30.0)
    call: dict[str, Any] = {"kernel": kernel, "ridge": ridge, "eta": 0.7, "times": times}
    exact = nnth.predict(X, Y, TESTS, **call)
    for tolerance in (1e-3, 1e-10):
        found = nnth.predict(X, Y, TESTS, solver="cg", tolerance=tolerance, **call)
        gaps = np.abs(found.mean - exact.mean).max(axis=(1, 2))
        for gap, law, other in zip(gaps, found.distributions, exact.distributions, strict=True):
            assert gap <= law.error + other.error
            assert law.residual <= tolerance + 1e-12
        assert found.train_mean == pytest.approx(exact.train_mean, abs=2.0 * tolerance * len(X))
    assert gaps.max() < 1e-6
    assert np.isnan(found.variance).all()
    assert found.table()["status"].tolist() == ["no variance"] * len(times)
    assert "nor variances at finite times" in found.table()["note"][0]


def test_finite_and_infinite_times_in_one_call() -> None:
    both = nnth.predict(X, Y, TESTS, ridge=0.1, times=(np.inf, 2.0), solver="cg")
    end = nnth.predict(X, Y, TESTS, ridge=0.1, solver="cg")
    assert (both.mean[0] == end.mean[0]).all()
    assert both.variance[0] == pytest.approx(end.variance[0])
    assert both.mean[1] == pytest.approx(
        nnth.predict(X, Y, TESTS, ridge=0.1, times=(2.0,)).mean[0], abs=1e-9
    )


def test_a_space_that_is_invariant_and_targets_of_zero() -> None:
    # The kernel of two orthogonal inputs of the same length has the eigenvector (1, 1).
    x, y = np.eye(2), np.array([[1.0, 0.0], [1.0, 0.0]])
    call: dict[str, Any] = {"times": (0.5, 1e9), "ridge": 0.0}
    exact = nnth.predict(x, y, [[1.0, 2.0]], **call)
    found = nnth.predict(x, y, [[1.0, 2.0]], solver="cg", **call)
    assert found.mean == pytest.approx(exact.mean, abs=1e-12)
    assert found.distributions[1].residual < 1e-12


def test_a_time_that_takes_too_many_steps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnth._predict import krylov_flow

    monkeypatch.setattr(krylov_flow, "MOST_STEPS", 5)
    with pytest.raises(ConvergenceError, match=r"after 5 steps at a residual of .* shorter times"):
        nnth.predict(X, Y, TESTS, times=(1e6,), solver="cg")


def test_a_blocked_factor_of_several_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnth._kernels.solvers import blocked

    monkeypatch.setattr(blocked, "panel_width", lambda _: 17)
    found = nnth.predict(X, Y, TESTS, ridge=0.1, solver="blocked")
    exact = nnth.predict(X, Y, TESTS, ridge=0.1)
    assert found.mean == pytest.approx(exact.mean, abs=1e-11)
    assert found.variance == pytest.approx(exact.variance, abs=1e-11)
