"""Kernel ridge regression and Gaussian processes, against closed forms and direct algebra."""

from __future__ import annotations

from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

import nnth
from nnth._rkhs.learning_curve import expected_error
from nnth._tables.plot import Lines

Floats = NDArray[np.float64]

RNG = np.random.default_rng(5)
X, U = RNG.normal(size=(30, 3)), RNG.normal(size=(6, 3))
Y = np.stack((np.sin(X[:, 0]), X[:, 1] ** 2), axis=1)
RIDGE = 0.05


def radial(a: Floats, b: Floats, scale: float) -> Floats:
    distances: Floats = ((a[:, None] - b) ** 2).sum(axis=-1)
    return np.exp(-distances / (2.0 * scale**2))


def network(kind: str, a: Floats, b: Floats) -> Floats:
    both = np.concatenate((a, b))
    made = nnth.gram(both, "erf", depth=2, cw=1.0)
    matrix = made.nngp if kind == "nngp" else made.ntk
    assert matrix is not None
    return matrix[: len(a), len(a) :]


def test_against_high_precision() -> None:
    """All numbers agree to 1e-10 with 50 digits, for a matrix of condition 1e6."""
    x, y, ridge = X[:12, :1], Y[:12, :1], 1e-5
    found = nnth.rkhs_fit(x, y, "rbf:0.8", ridge=ridge, x_test=U[:, :1])
    with mp.workdps(50):

        def k(a: float, b: float) -> mp.mpf:
            return mp.exp(-((mp.mpf(a) - mp.mpf(b)) ** 2) / (2 * mp.mpf(0.8) ** 2))

        m = len(x)
        matrix = mp.matrix(m, m)
        for i in range(m):
            for j in range(m):
                matrix[i, j] = k(x[i, 0], x[j, 0]) + (mp.mpf(ridge) if i == j else 0)
        targets = mp.matrix(y[:, 0].tolist())
        inverse = matrix**-1
        alpha = inverse * targets
        norm2 = (alpha.T * (targets - mp.mpf(ridge) * alpha))[0]
        log_marginal = (
            -(targets.T * alpha)[0] / 2 - mp.log(mp.det(matrix)) / 2 - m * mp.log(2 * mp.pi) / 2
        )
        left_out = [float(targets[i] - alpha[i] / inverse[i, i]) for i in range(m)]
        cross = [[k(a, b) for b in x[:, 0]] for a in U[:, 0]]
        means = [float((mp.matrix([row]) * alpha)[0]) for row in cross]
        variances = [float(1 - (mp.matrix([r]) * inverse * mp.matrix([r]).T)[0]) for r in cross]
        alphas = [float(value) for value in alpha]
        norm2, log_marginal = float(norm2), float(log_marginal)
    solution = found.solution
    assert 1e5 < solution.condition < 1e7
    assert solution.prediction[:, 0] == pytest.approx(means, abs=1e-10)
    assert solution.variance == pytest.approx(variances, abs=1e-10)
    assert np.abs(solution.prediction[:, 0] - means).max() <= solution.error[0]
    assert np.abs(solution.variance - variances).max() <= solution.variance_error
    assert solution.left_out[:, 0] == pytest.approx(left_out, abs=1e-10)
    # The condition 1e6 multiplies the rounding of a kernel's entry.
    assert found.alpha[:, 0] == pytest.approx(alphas, rel=1e-8)
    assert solution.norm2[0] == pytest.approx(norm2, rel=1e-10)
    assert solution.log_marginal[0] == pytest.approx(log_marginal, rel=1e-10)


@pytest.mark.parametrize("m", [1, 2, 7, 255, 256, 257, 300])
def test_the_condition_is_computed_and_not_estimated(m: int) -> None:
    x = np.random.default_rng(m).normal(size=(m, 2))
    found = nnth.rkhs_fit(x, x[:, :1], "rbf:1", ridge=1e-2).solution.condition
    system = radial(x, x, 1.0) + 1e-2 * np.eye(m)
    exact = np.abs(system).sum(0).max() * np.abs(np.linalg.inv(system)).sum(0).max()
    # Conditions are up to 3e4, and the error of an inverse is that times rounding.
    assert found == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("kernel", ["rbf:1.3", "nngp", "ntk"])
def test_every_number_by_direct_algebra(kernel: str) -> None:
    found = nnth.rkhs_fit(
        X, Y, kernel, "erf", ridge=RIDGE, x_test=U, y_test=np.ones((6, 2)), depth=2, cw=1.0
    )
    if kernel.startswith("rbf"):
        matrix, cross, own = radial(X, X, 1.3), radial(X, U, 1.3), radial(U, U, 1.3)
    else:
        matrix, cross, own = (network(kernel, a, b) for a, b in ((X, X), (X, U), (U, U)))
    system = matrix + RIDGE * np.eye(30)
    alpha = np.linalg.solve(system, Y)
    table, row = found.table(), found.solution
    assert found.alpha == pytest.approx(alpha, rel=1e-10, abs=1e-10)
    assert table["rkhs_norm2"] == pytest.approx(np.diag(alpha.T @ matrix @ alpha), rel=1e-10)
    sign, log_det = np.linalg.slogdet(system)
    assert sign == 1.0
    density = -0.5 * (Y * alpha).sum(0) - 0.5 * log_det - 15.0 * np.log(2.0 * np.pi)
    assert table["log_marginal"] == pytest.approx(density, rel=1e-10)
    assert row.prediction == pytest.approx(cross.T @ alpha, abs=1e-10)
    spread = np.diag(own - cross.T @ np.linalg.solve(system, cross))
    assert row.variance == pytest.approx(spread, abs=1e-10)
    left_out = np.empty_like(Y)
    for i in range(30):
        rest = np.arange(30) != i
        part = np.linalg.solve(system[np.ix_(rest, rest)], Y[rest])
        left_out[i] = matrix[i, rest] @ part
    assert row.left_out == pytest.approx(left_out, abs=1e-10)
    assert table["loo_error"] == pytest.approx(((left_out - Y) ** 2).mean(0), rel=1e-9)
    assert table["train_error"] == pytest.approx(((matrix @ alpha - Y) ** 2).mean(0), rel=1e-9)
    assert table["test_error"] == pytest.approx(((cross.T @ alpha - 1.0) ** 2).mean(0), rel=1e-9)
    dimension = np.trace(np.linalg.solve(system, matrix))
    assert table["effective_dimension"] == pytest.approx(dimension, rel=1e-10)
    assert table["gradient"].max() < 1e-12
    # The error of the inverse is rounding times the condition, about 1e3.
    assert table["condition"][0] == pytest.approx(np.linalg.cond(system, 1), rel=1e-11)


def test_the_representer_theorem() -> None:
    """With the sections of other points allowed too, the minimizer has weight 0 on them."""
    found = nnth.rkhs_fit(X, Y, "rbf:1.3", ridge=RIDGE, x_test=U)
    every = np.concatenate((X, U))
    inner = radial(every, every, 1.3)
    values = inner[:30]
    # The stationary point of |y - V a|^2/2 + ridge a'Ga/2 over all 36 coefficients.
    system = values.T @ values + RIDGE * inner
    coefficients = np.linalg.solve(system, values.T @ Y)
    assert np.abs(coefficients[30:]).max() < 1e-9 * np.abs(coefficients).max()
    assert coefficients[:30] == pytest.approx(found.alpha, rel=1e-7)


def test_two_points_by_hand() -> None:
    """x.y is linear regression: K = [[2, 0], [0, 2]] of a linear layer, C_w/n_0 x.y = 2 x.y."""
    x, y = np.eye(2), np.array([3.0, -1.0])
    found = nnth.rkhs_fit(x, y, "nngp", "linear", ridge=2.0, cw=2.0, x_test=np.ones((1, 2)))
    # Two layers of weights: K = 2 (2 x.y/2) = 2 x.y; alpha = y/4.
    assert found.alpha[:, 0] == pytest.approx([0.75, -0.25], rel=1e-14)
    assert found.solution.norm2[0] == pytest.approx(2.0 * (0.75**2 + 0.25**2), rel=1e-14)
    assert found.solution.prediction[0, 0] == pytest.approx(1.0, rel=1e-14)
    assert found.solution.variance[0] == pytest.approx(4.0 - 2.0, rel=1e-14)


def test_the_learning_curve_of_a_rotation_without_direction() -> None:
    """If the eigenvectors are a random rotation, the theory is exact up to 1/m."""
    m, ridge, rng = 400, 0.5, np.random.default_rng(1)
    spectrum = 200.0 / np.arange(1.0, m + 1.0) ** 1.5
    power = 1.0 / np.arange(1.0, m + 1.0)
    for points in (20, 100, 350):
        errors = []
        for _ in range(6):
            vectors = np.linalg.qr(rng.normal(size=(m, m)))[0]
            matrix = (vectors * spectrum) @ vectors.T
            y = vectors @ (np.sqrt(power) * rng.choice([-1.0, 1.0], m))
            some, rest = slice(None, points), slice(points, None)
            system = matrix[some, some] + ridge * np.eye(points)
            misses = matrix[rest, some] @ np.linalg.solve(system, y[some]) - y[rest]
            errors.append(np.mean(misses**2))
        stderr = np.std(errors, ddof=1) / 6**0.5
        theory = expected_error(spectrum, power, points, ridge)
        # 5 standard errors of some percent; without h', or with p for h, the error is 20 % and
        # more.
        assert stderr < 0.1 * theory
        assert np.mean(errors) == pytest.approx(theory, abs=5.0 * stderr)


def test_a_learning_curve_of_targets_that_are_0_has_no_deviation() -> None:
    x = RNG.normal(size=(8, 2))
    table = nnth.rkhs_learning_curve(x, np.zeros(8), "ntk", "relu", sizes=[3], samples=3)
    assert table["test_error"].tolist() == table["theory"].tolist() == [0.0]
    assert np.isnan(table["deviation"]).all()


def test_learning_curves_of_data() -> None:
    angles = np.linspace(0.0, 2.0 * np.pi, 120, endpoint=False)
    x = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    y = np.sin(2.0 * angles) + 0.3 * RNG.normal(size=120)
    table = nnth.rkhs_learning_curve(
        x, y, "ntk", "relu", sizes=[40, 10], ridge=0.5, samples=30, seed=2
    )
    assert table["size"].tolist() == [40, 10]
    assert np.abs(table["deviation"]).max() < 0.15
    assert table["theory"][0] < table["theory"][1]
    again = nnth.rkhs_learning_curve(x, y, "ntk", "relu", sizes=[10], ridge=0.5, samples=30, seed=2)
    # The last bits of LAPACK may differ with the alignment of memory.
    assert again["test_error"][0] == pytest.approx(table["test_error"][1], rel=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ridge": -1.0}, "ridge must be finite and at least 0, not -1"),
        ({"y": Y[:4]}, "y must have a row for each of 30 inputs, not 4"),
        ({"y_test": Y}, "y_test must come with x_test"),
        ({"x_test": U[:, :2]}, "x_test must have the 3 columns of x, not 2"),
        ({"x_test": U, "y_test": Y}, r"y_test must be of shape \(6, 2\), not \(30, 2\)"),
        ({"x": np.ones((30, 3)), "ridge": 0.0}, "ridge must be above about .* singular"),
        ({"kernel": "rbf:50", "ridge": 0.0}, "ridge must be above about .* singular"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nnth.rkhs_fit(**{"x": X, "y": Y, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ridge": 0.0}, "ridge must be above 0 for a learning curve, not 0"),
        ({"sizes": [30]}, "sizes must be from 1 to 29, below the inputs, not 30"),
        ({"sizes": [0]}, "sizes must be at least 1, not 0"),
        ({"samples": 1}, "samples must be at least 2, not 1"),
    ],
)
def test_refusals_of_a_curve(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nnth.rkhs_learning_curve(X, Y, **{"sizes": [5], **arguments})  # type: ignore[arg-type]


def test_files_hold_what_the_package_returns(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", x=X, y=Y)
    found = nnth.rkhs_fit(tmp_path / "train.npz", tmp_path / "train.npz", ridge=RIDGE, x_test=U)
    arrays = found.arrays()
    assert set(arrays) == {"alpha", "fitted", "left_out", "prediction", "variance"}
    assert arrays["alpha"].shape == (30, 2)
    assert found.table().meta.parameters["x"] == str(tmp_path / "train.npz")


def test_pictures() -> None:
    line = np.linspace(-2.0, 2.0, 9)[:, None]
    one = nnth.rkhs_fit(X[:, :1], Y[:, 0], "rbf:1", ridge=RIDGE, x_test=line)
    drawn = one.table().drawing
    assert isinstance(drawn, Lines)
    assert drawn.lines[0][2].tolist() == one.solution.prediction[:, 0].tolist()
    middle = (drawn.bands[0][1] + drawn.bands[0][2]) / 2.0
    assert middle == pytest.approx(one.solution.prediction[:, 0], abs=1e-14)
    many = nnth.rkhs_fit(X, Y, ridge=RIDGE)
    drawn = many.table().drawing
    assert isinstance(drawn, Lines)
    assert drawn.points[0][2].tolist() == many.solution.left_out.ravel().tolist()
    curve = nnth.rkhs_learning_curve(X, Y, sizes=[9, 3], ridge=RIDGE)
    assert isinstance(curve.drawing, Lines)
    assert curve.drawing.points[0][1].tolist() == [3.0, 9.0]
    assert curve.drawing.lines[0][2].tolist() == curve["theory"][::-1].tolist()


@pytest.mark.parametrize("size", [1e6, 1e12, 1e160, 1e308])
def test_inputs_of_any_size_have_a_radial_kernel_to_its_error(size: float) -> None:
    """Pairs of points are close: squares of 1e12 would lose all digits of their distance."""
    x = np.array([[size, 0.0], [size, 0.5], [-size, 0.25], [-size, -0.25], [0.0, 0.1]])
    y = np.array([1.0, -1.0, 2.0, 0.5, 0.3])
    summary = nnth.rkhs_fit(x, y, "rbf:0.7", ridge=0.1).table()
    near = np.exp(-0.25 / (2 * 0.7**2))
    k = np.eye(5)
    k[0, 1] = k[1, 0] = k[2, 3] = k[3, 2] = near
    alpha = np.linalg.solve(k + 0.1 * np.eye(5), y)
    wanted = float(alpha @ k @ alpha)
    assert summary["rkhs_norm2"][0] == pytest.approx(wanted, rel=1e-13)
    assert summary["error"][0] < 1e-12
