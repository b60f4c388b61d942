"""Selected hyperparameters, against draws of a process with known ones and plain densities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nnth import gram, normals, rkhs_fit
from nnth._rkhs.selection import BOUNDS


def inputs(m: int, n0: int = 3) -> np.ndarray:
    return normals(5, 7, m * n0).reshape(m, n0)


def drawn(matrix: np.ndarray, ridge: float, seed: int) -> np.ndarray:
    """Return values of a Gaussian process with noise."""
    m = len(matrix)
    factor = np.linalg.cholesky(matrix + ridge * np.eye(m))
    return factor @ normals(seed, 0, m)


def test_draws_of_a_network_have_the_weight_variance_and_the_ridge_that_made_them() -> None:
    """(log found - log true)/stderr over 20 draws: mean 0 and mean square 1, to 4 deviations.

    The stderr are those of the Hessian. Their bias, of order 1/m, is a tenth of a deviation here.
    """
    x = inputs(80)
    matrix = gram(x, "relu", depth=1, cw=1.5, cb=0.0, kernel="nngp").nngp
    assert matrix is not None
    z = []
    for seed in range(20):
        y = drawn(matrix, 0.05, seed)
        words: dict[str, Any] = {"cb": 0.0, "cw": 1.0, "ridge": 0.2, "select": ("cw", "ridge")}
        row = rkhs_fit(x, y, "nngp", "relu", **words).table()
        for name, true in (("cw", 1.5), ("ridge", 0.05)):
            value = row[f"selected_{name}"][0]
            z.append(np.log(value / true) * value / row[f"{name}_stderr"][0])
    scores = np.array(z).reshape(20, 2)
    assert np.abs(scores.mean(axis=0)).max() < 0.1 + 4.0 / np.sqrt(20.0)
    assert np.abs((scores**2).mean(axis=0) - 1.0).max() < 0.2 + 4.0 * np.sqrt(2.0 / 20.0)


def evidence(matrix: np.ndarray, y: np.ndarray, ridge: float) -> float:
    return float(multivariate_normal(cov=matrix + ridge * np.eye(len(y))).logpdf(y))


def radial(x: np.ndarray, length: float) -> np.ndarray:
    apart = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    return np.exp(-apart / (2.0 * length**2))


def test_the_optimum_is_that_of_a_plain_search() -> None:
    """The density on a grid of lengths and ridges, and derivatives of 0 at the optimum."""
    x = inputs(40, 2)
    y = drawn(radial(x, 1.0), 0.05, 3)
    row = rkhs_fit(x, y, "rbf:3", ridge=0.3, select=("length", "ridge")).table()
    length, ridge = row["selected_length"][0], row["selected_ridge"][0]
    best = evidence(radial(x, length), y, ridge)
    assert row["criterion_value"][0] == pytest.approx(best, rel=1e-9)
    assert row["log_marginal"][0] == pytest.approx(best, rel=1e-9)
    grid = [
        evidence(radial(x, a), y, b)
        for a in np.exp(np.linspace(-2.0, 2.0, 15))
        for b in np.exp(np.linspace(-8.0, 1.0, 15))
    ]
    assert best >= max(grid)
    assert row["criterion_gradient"][0] < 1e-4
    for step in (1e-3, -1e-3):
        assert evidence(radial(x, length * np.exp(step)), y, ridge) < best
        assert evidence(radial(x, length), y, ridge * np.exp(step)) < best


def test_standard_errors_are_those_of_the_inverse_hessian() -> None:
    """For the ridge alone, -d^2/dr^2 of -y'(K + r)^-1 y/2 - log det(K + r)/2, times r^2."""
    x = inputs(50)
    matrix = gram(x, "relu", depth=1, cw=2.0, cb=0.0, kernel="nngp").nngp
    assert matrix is not None
    y = drawn(matrix, 0.3, 1)
    row = rkhs_fit(x, y, "nngp", "relu", cw=2.0, cb=0.0, ridge=0.1, select=("ridge",)).table()
    r = row["selected_ridge"][0]
    inverse = np.linalg.inv(matrix + r * np.eye(50))
    alpha = inverse @ y
    first = 0.5 * float(alpha @ alpha) - 0.5 * np.trace(inverse)
    second = -float(alpha @ inverse @ alpha) + 0.5 * np.trace(inverse @ inverse)
    assert first == pytest.approx(0.0, abs=1e-5 / r)
    # Second differences with steps 0.01 in the logarithm: relative errors of 1e-4.
    assert row["ridge_stderr"][0] == pytest.approx((-second) ** -0.5, rel=1e-3)


def test_leave_one_out_errors_are_those_of_plain_fits() -> None:
    x = inputs(25)
    y = np.sin(2.0 * x[:, 0]) + 0.3 * normals(1, 1, 25)
    row = rkhs_fit(x, y, "rbf:1", select=("ridge", "length"), criterion="leave-one-out").table()
    length, ridge = row["selected_length"][0], row["selected_ridge"][0]

    def error(length: float, ridge: float) -> float:
        matrix, misses = radial(x, length), []
        for i in range(25):
            rest = np.delete(np.arange(25), i)
            system = matrix[np.ix_(rest, rest)] + ridge * np.eye(24)
            misses.append(y[i] - matrix[i, rest] @ np.linalg.solve(system, y[rest]))
        return float(np.mean(np.square(misses)))

    best = error(length, ridge)
    assert row["criterion_value"][0] == pytest.approx(best, rel=1e-9)
    assert row["loo_error"][0] == pytest.approx(best, rel=1e-9)
    for factor in (0.97, 1.03):
        assert error(length * factor, ridge) > best
        assert error(length, ridge * factor) > best
    assert np.isnan(row["ridge_stderr"][0])


def test_the_depth_climbs_to_the_best_of_its_neighbors() -> None:
    x = inputs(60)
    matrix = gram(x, "relu", depth=4, cw=2.0, cb=0.1, kernel="nngp").nngp
    assert matrix is not None
    y = drawn(matrix, 1e-3, 8)
    words: dict[str, Any] = {"cw": 2.0, "cb": 0.1, "ridge": 1e-3}
    row = rkhs_fit(x, y, "nngp", "relu", select=("depth",), **words).table()
    found = int(row["selected_depth"][0])
    values = {
        depth: rkhs_fit(x, y, "nngp", "relu", depth=depth, **words).table()["log_marginal"][0]
        for depth in (max(1, found - 1), found, found + 1)
    }
    assert values[found] == max(values.values()) == pytest.approx(row["criterion_value"][0])
    fit = rkhs_fit(x, y, "nngp", "relu", select=("depth",), **words)
    assert fit.table().meta.parameters["depth"] == found
    assert fit.predict(x[:3]) == pytest.approx(fit.solution.fitted[:3], rel=1e-9)


def test_a_value_at_a_bound_says_so() -> None:
    """The kernel of one layer grows as C_w^2, and targets of 10^7 want more than C_w = 10^4."""
    x = inputs(20)
    y = 1e7 * np.sin(x[:, 0])
    row = rkhs_fit(x, y, "nngp", cb=0.0, ridge=1.0, select=("cw",)).table()
    assert row["selected_cw"][0] == pytest.approx(BOUNDS["cw"][1])
    assert "cw is at its upper bound 1e+04" in row["note"][0]
    assert np.isnan(row["cw_stderr"][0])
    assert row["criterion_gradient"][0] == 0.0


def test_a_value_that_the_data_do_not_determine_says_so() -> None:
    """Pure noise is as likely at every length below the distances of the points."""
    row = rkhs_fit(inputs(20), normals(3, 3, 20), "laplace:1", ridge=0.1, select=("length",))
    assert "the evidence hardly depends on length here" in row.table()["note"][0]


def test_one_of_two_variances_can_be_given() -> None:
    """C_b and C_w are given together elsewhere, as the critical pair has both."""
    x = inputs(20)
    y = np.sin(x[:, 0])
    for words in ({"cb": 0.1}, {}):
        row = rkhs_fit(x, y, "nngp", depth=1, ridge=0.1, select=("cw",), **words).table()
        assert row.meta.parameters["cb"] == words.get("cb", 0.0)
    row = rkhs_fit(x, y, "nngp", depth=1, cw=2.0, ridge=0.1, select=("cb",)).table()
    assert row.meta.parameters["cw"] == 2.0
    with pytest.raises(ValueError, match="cw must be given where cb is"):
        rkhs_fit(x, y, "nngp", cb=0.1, ridge=0.1, select=("ridge",))


def test_several_outputs_add() -> None:
    x = inputs(30)
    y = np.stack((np.sin(x[:, 0]), x[:, 1]), axis=1) + 0.1 * normals(2, 2, 60).reshape(30, 2)
    table = rkhs_fit(x, y, "ntk", select=("cw", "cb", "ridge")).table()
    assert table["criterion_value"][0] == pytest.approx(table["log_marginal"].sum(), rel=1e-9)
    assert table["criterion_value"][0] == table["criterion_value"][1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"select": ("cz",)}, "select must name cw, cb, depth, length or ridge, not 'cz'"),
        ({"select": ("cw",)}, "select must name length, ridge for kernel rbf:1, not cw"),
        (
            {"select": ("length",), "kernel": "ntk"},
            "select must name cw, cb, depth, ridge for kernel ntk, not length",
        ),
        ({"select": ("ridge", "ridge")}, "select must name ridge once, not twice"),
        ({"select": ("ridge",), "criterion": "x"}, "criterion must be evidence or leave-one-out"),
        ({"select": ("ridge",), "y": np.zeros(6)}, "y must not be all 0 to select a ridge"),
        (
            {"select": ("ridge",), "kernel": np.eye(6)},
            "select must not be given for a kernel that is a function or a matrix",
        ),
        (
            {"select": ("length",), "kernel": "rbf:1e6", "ridge": 0.0},
            "ridge must be above the rounding of the kernel matrix",
        ),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    words = {"x": inputs(6), "y": normals(0, 0, 6), "kernel": "rbf:1", "ridge": 0.1, **arguments}
    with pytest.raises(ValueError, match=message):
        rkhs_fit(**words)


def test_points_that_no_memory_holds_are_refused() -> None:
    x = np.zeros((200_000, 1))
    with pytest.raises(MemoryError, match="x must have fewer points with select"):
        rkhs_fit(x, np.ones(200_000), "rbf:1", ridge=1.0, select=("ridge",))
