"""Kernels of data: names, functions and matrices, in gram, rkhs_fit, rkhs_sample and spectra."""

from __future__ import annotations

import math
import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

import nnth
from nnth._kernels.data_kernel import kernel_of, named_kernel
from nnth._kernels.protocol import DataKernel, SphereKernel
from nnth._rkhs.fit import KernelFit

X = np.random.default_rng(0).standard_normal((25, 3))
Y = np.stack((np.sin(X[:, 0]), X[:, 1]), axis=1)
NEW = np.random.default_rng(1).standard_normal((6, 3))
DISTANCES = np.linalg.norm(X[:, None] - X, axis=2)

NAMED = ["rbf:0.8", "laplace:1.5", "nngp", "ntk"]


def laplace(x: Any, y: Any) -> NDArray[Any]:
    return np.exp(-np.linalg.norm(np.asarray(x)[:, None] - np.asarray(y), axis=2) / 1.5)


def kernels() -> list[DataKernel]:
    return [*(kernel_of(name, depth=2, cb=0.1, cw=2.0) for name in NAMED), kernel_of(laplace)]


@pytest.mark.parametrize("kernel", kernels(), ids=[*NAMED, "function"])
def test_rows_cross_and_diagonal_are_parts_of_one_matrix(kernel: DataKernel) -> None:
    every = np.concatenate((X, NEW))
    whole = kernel.rows(every, len(every))
    tolerance = 1e-14 + whole.error
    assert np.abs(whole.matrix - whole.matrix.T).max() <= tolerance * whole.diagonal.max()
    assert np.array_equal(whole.matrix.diagonal(), whole.diagonal)
    scale = np.sqrt(np.outer(whole.diagonal, whole.diagonal))
    cross = kernel.cross(X, NEW) / scale[:25, 25:]
    assert np.abs(cross - whole.matrix[:25, 25:] / scale[:25, 25:]).max() < tolerance
    assert np.abs(kernel.cross(NEW, X).T / scale[:25, 25:] - cross).max() < tolerance
    assert kernel.diagonal(NEW) == pytest.approx(whole.diagonal[25:], rel=1e-14)
    assert np.linalg.eigvalsh(whole.matrix)[0] > 0.0


def test_laplace_is_its_formula() -> None:
    assert kernel_of("laplace:1.5").rows(X, 25).matrix == pytest.approx(laplace(X, X), rel=1e-14)
    far = kernel_of("laplace").rows(np.array([[0.0], [3.0], [1e308]]), 1)
    assert far.matrix[0] == pytest.approx([1.0, math.exp(-3.0), 0.0], rel=1e-15)


@pytest.mark.parametrize(("kernel", "d"), [("laplace:1", 3), ("laplace:0.3", 5), ("rbf:0.7", 4)])
def test_levels_are_integrals_over_the_angle(kernel: str, d: int) -> None:
    """Compare with mpmath in 30 digits, with separate Gegenbauer polynomials."""
    table = nnth.rkhs_spectrum(kernel, n0=d, levels=12)
    scale = float(kernel.partition(":")[2])
    half = (d - 2) / mpmath.mpf(2)

    def value(theta: Any) -> Any:
        distance = 2 * mpmath.sin(theta / 2) / scale
        if kernel.startswith("rbf"):
            return mpmath.exp(-distance * distance / 2)
        return mpmath.exp(-distance)

    for k in (0, 1, 4, 11):
        with mpmath.workdps(30):
            top = mpmath.gegenbauer(k, half, 1)
            integral = mpmath.quad(
                lambda t, k=k, top=top: (
                    value(t)
                    * mpmath.gegenbauer(k, half, mpmath.cos(t))
                    / top
                    * mpmath.sin(t) ** (d - 2)
                ),
                mpmath.linspace(0, mpmath.pi, 9),
            )
            factor = mpmath.gamma(d / mpmath.mpf(2)) / (
                mpmath.sqrt(mpmath.pi) * mpmath.gamma((d - 1) / mpmath.mpf(2))
            )
        assert abs(float(factor * integral) - table["eigenvalue"][k]) <= table["error"][k]
        assert table["error"][k] < 1e-13


def test_laplace_decays_as_a_tangent_kernel() -> None:
    table = nnth.rkhs_spectrum("laplace:1", n0=3, levels=120)
    assert table["theory_slope"][0] == -3.0
    assert table["slope"][-1] == pytest.approx(-3.0, abs=0.01)


@pytest.mark.parametrize("angle", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("name", NAMED)
def test_values_at_angles_are_those_of_inputs(name: str, angle: float) -> None:
    kernel: SphereKernel = named_kernel(name, "erf", depth=2, cb=0.1, cw=2.0)
    norm = kernel.sphere_norm(None)
    radius = 1.0 if norm is None else math.sqrt(2.0 * norm)
    pair = radius * np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
    found = kernel.at_angles(np.array([angle]), norm)
    expected = kernel.rows(pair, 2).matrix
    assert found.values[0] == pytest.approx(expected[0, 1], rel=1e-13)
    assert found.top == pytest.approx(expected[0, 0], rel=1e-13)


def fits() -> dict[str, KernelFit]:
    network: dict[str, Any] = {"depth": 2, "cb": 0.1, "cw": 2.0}
    found = {n: nnth.rkhs_fit(X, Y, n, "erf", ridge=0.05, **network) for n in NAMED}
    return found | {"function": nnth.rkhs_fit(X, Y, laplace, ridge=0.05)}


@pytest.mark.parametrize("name", [*NAMED, "function"])
def test_predictions_at_new_inputs_are_the_closed_form(name: str) -> None:
    fit = fits()[name]
    k = fit.kernel.rows(np.concatenate((X, NEW)), 31).matrix
    inverse = np.linalg.inv(k[:25, :25] + 0.05 * np.eye(25))
    across = k[25:, :25]
    mean, std = fit.predict(NEW, return_std=True)
    assert mean == pytest.approx(across @ inverse @ Y, abs=1e-11)
    variance = k.diagonal()[25:] - np.einsum("ij,jk,ik->i", across, inverse, across)
    assert std**2 == pytest.approx(variance, abs=1e-11)
    assert np.array_equal(fit.predict(NEW), mean)
    # The same test points in a single call.
    network = {} if name == "function" else {"act": "erf", "depth": 2, "cb": 0.1, "cw": 2.0}
    kernel = laplace if name == "function" else name
    given = nnth.rkhs_fit(X, Y, kernel, ridge=0.05, x_test=NEW, **network).arrays()
    assert mean == pytest.approx(given["prediction"], abs=1e-12)
    assert std**2 == pytest.approx(given["variance"], abs=1e-12)


def test_a_fit_can_be_pickled_and_predicts_the_same() -> None:
    fit = fits()["ntk"]
    again = pickle.loads(pickle.dumps(fit))
    assert np.array_equal(again.predict(NEW), fit.predict(NEW))


def test_a_function_and_a_matrix_stand_for_a_named_kernel() -> None:
    every = np.concatenate((X, NEW))
    named = nnth.rkhs_fit(X, Y, "laplace:1.5", x_test=NEW).table()
    for kernel in (laplace, laplace(every, every)):
        given = nnth.rkhs_fit(X, Y, kernel, x_test=NEW).table()
        for column in ("rkhs_norm2", "log_marginal", "loo_error", "variance"):
            assert given[column] == pytest.approx(named[column], rel=1e-11)
    sampled = [
        nnth.rkhs_sample(X, kernel, size=5.0, samples=20).table()
        for kernel in ("laplace:1.5", laplace, laplace(X, X))
    ]
    for table in sampled:
        assert table["inclusion"] == pytest.approx(sampled[0]["inclusion"], abs=1e-12)
    curves = [
        nnth.rkhs_learning_curve(X, Y, kernel, sizes=[5, 10], samples=5)
        for kernel in ("laplace:1.5", laplace)
    ]
    assert curves[0]["theory"] == pytest.approx(curves[1]["theory"], rel=1e-11)
    assert curves[1].meta.parameters["kernel"] == "laplace"


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("laplace:0", "kernel laplace must have a positive finite scale, not '0'"),
        ("poly", "kernel must be rbf:S, laplace:S, nngp or ntk, not 'poly'"),
        (np.ones((2, 3)), "kernel must be a square matrix, not an array of shape"),
        (np.eye(4), "kernel must be a matrix of the 25 inputs, test inputs last, not of 4"),
        (np.triu(np.ones((25, 25))), "kernel must be symmetric, and K_ij - K_ji reaches 1"),
        (np.full((25, 25), np.nan), "kernel must be a matrix of finite numbers"),
        (lambda x, y: np.ones(3), "kernel must return finite numbers of shape"),
        (lambda x, y: np.full((len(x), len(y)), np.inf), "kernel must return finite numbers"),
    ],
)
def test_refusals(kernel: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nnth.rkhs_fit(X, Y, kernel)


def test_a_matrix_has_no_values_at_new_inputs() -> None:
    fit = nnth.rkhs_fit(X, Y, laplace(X, X))
    with pytest.raises(ValueError, match="kernel must be a name or a function for new inputs"):
        fit.predict(NEW)
    with pytest.raises(ValueError, match="x_new must have the 3 columns of x, not 2"):
        fit.predict(NEW[:, :2])


def test_results_are_tables_arrays_and_files(tmp_path: Any) -> None:
    results = [
        nnth.gram(X, depth=1),
        nnth.predict(X, Y, NEW, times=[1.0]),
        fits()["rbf:0.8"],
        nnth.rkhs_sample(X, "rbf:1", samples=5),
    ]
    for number, result in enumerate(results):
        assert isinstance(result.table(), nnth.Table)
        result.save(tmp_path / f"{number}.npz")
        with np.load(tmp_path / f"{number}.npz") as written:
            assert {*written} == {*result.arrays()}
            for name, values in result.arrays().items():
                assert np.array_equal(written[name], values)
    with pytest.raises(ValueError, match=r"file must end in .npz, not 'gram.csv'"):
        results[0].save("gram.csv")


def test_a_depth_that_is_no_integer_is_named() -> None:
    with pytest.raises(ValueError, match=r"depth must be a whole number, not 3.0"):
        nnth.kernel("relu", depth=3.0)  # type: ignore[arg-type]
