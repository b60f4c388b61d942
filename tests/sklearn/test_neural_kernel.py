"""nnth.sklearn.NeuralKernel against separate formulas, nnth's functions, and scikit-learn."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVC

import nnth
from nnth.sklearn import NeuralKernel

Matrix = NDArray[Any]

X = np.random.default_rng(0).standard_normal((30, 4))
Y = np.sin(X[:, 0]) + 0.1 * X[:, 1] ** 2
NEW = np.random.default_rng(1).standard_normal((7, 4))


def relu_kernels(x: Matrix, cb: complex, cw: complex, depth: int) -> tuple[Matrix, Matrix]:
    """Return NNGP and tangent kernel by Cho and Saul's formula, for complex variances too."""
    k = cb + cw * (x @ x.T) / x.shape[1]
    theta = k
    for _ in range(depth):
        root = np.sqrt(np.diagonal(k))
        size = np.outer(root, root)
        c = k / size
        np.fill_diagonal(c, 1.0)
        angle = np.arccos(c)
        e = size * (np.sqrt(1.0 - c * c) + (np.pi - angle) * c) / (2.0 * np.pi)
        k = cb + cw * e
        theta = k + cw * (np.pi - angle) / (2.0 * np.pi) * theta
    return k, theta


@pytest.mark.parametrize("depth", [1, 5])
@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_values_and_gradients_of_relu(kernel: str, depth: int) -> None:
    cb, cw = 0.3, 1.7
    which = 1 if kernel == "ntk" else 0
    found, gradient = NeuralKernel("relu", depth, kernel, cb, cw)(X, eval_gradient=True)
    expected = relu_kernels(X, cb, cw, depth)[which]
    scale = expected.max()
    assert np.abs(found - expected).max() < 1e-13 * scale
    # The complex step takes no difference, so that it is exact to rounding.
    step = 1e-30
    for i, shifted in enumerate([(cb * (1.0 + 1j * step), cw), (cb, cw * (1.0 + 1j * step))]):
        exact = relu_kernels(X, *shifted, depth)[which].imag / step
        assert np.abs(gradient[..., i] - exact).max() < 1e-10 * scale  # as the docstring states


def test_gradient_by_quadrature() -> None:
    """For tanh: differences of nnth.kernel, which integrates every pair, with another step."""
    cb, cw, x = 0.2, 1.5, X[:6]
    _, gradient = NeuralKernel("tanh", 1, "nngp", cb, cw)(x, eval_gradient=True)
    for i, j in [(0, 1), (2, 5)]:

        def value(shift: float, i: int = i, j: int = j) -> float:
            table = nnth.kernel("tanh", depth=1, cb=shift, cw=cw, x_a=x[i], x_b=x[j])
            return float(table["k_ab"][-1])

        h = 1e-3 * cb
        points = [value(cb + n * h) for n in (-2, -1, 1, 2)]
        slope = np.dot(points, [1.0, -8.0, 8.0, -1.0]) / (12.0 * h)
        assert gradient[i, j, 0] == pytest.approx(cb * slope, abs=1e-8)


def test_cross_and_diagonal_belong_to_one_matrix() -> None:
    kernel = NeuralKernel("gelu", 2, cb=0.1, cw=1.5)
    whole = kernel(np.concatenate((X, NEW)))
    assert np.abs(kernel(X, NEW) - whole[:30, 30:]).max() < 1e-13 * whole.max()
    assert np.abs(kernel(NEW, X) - whole[30:, :30]).max() < 1e-13 * whole.max()
    assert np.array_equal(kernel(X, X), kernel(X))
    assert kernel.diag(X) == pytest.approx(kernel(X).diagonal(), rel=1e-15)
    assert np.array_equal(kernel(X), nnth.gram(X, "gelu", depth=2, cb=0.1, cw=1.5).ntk)


def test_hyperparameters() -> None:
    kernel = NeuralKernel("relu", 2, cb=0.1, cw=2.0, cw_bounds=(0.5, 8.0))
    assert [h.name for h in kernel.hyperparameters] == ["cb", "cw"]
    assert np.exp(kernel.theta) == pytest.approx([0.1, 2.0])
    assert np.exp(kernel.bounds[1]) == pytest.approx([0.5, 8.0])
    moved = kernel.clone_with_theta(np.log([0.2, 3.0]))
    assert (moved.cb, moved.cw) == pytest.approx((0.2, 3.0))
    assert clone(kernel) == kernel != moved
    assert NeuralKernel().theta.size == 0
    assert NeuralKernel(cb=0.0, cw=2.0).theta.size == 1
    assert NeuralKernel(cb=0.1, cw=2.0, cb_bounds="fixed").theta.size == 1
    values, gradient = NeuralKernel()(X, eval_gradient=True)
    assert gradient.shape == (*values.shape, 0)
    assert not kernel.is_stationary()
    assert repr(kernel) == "NeuralKernel('relu', depth=2, kernel='ntk', cb=0.1, cw=2)"
    assert pickle.loads(pickle.dumps(kernel)) == kernel


def test_gaussian_process_regression() -> None:
    """Mean and deviation at fixed hyperparameters agree with nnth.predict and nnth.rkhs_fit."""
    kernel = NeuralKernel("relu", 2, "nngp", cb=0.1, cw=2.0)
    model = GaussianProcessRegressor(kernel, alpha=0.01, optimizer=None).fit(X, Y)
    mean, std = model.predict(NEW, return_std=True)
    options: dict[str, Any] = {"depth": 2, "cb": 0.1, "cw": 2.0}
    theory = nnth.predict(X, Y, NEW, kernel="nngp", ridge=0.01, **options)
    assert mean == pytest.approx(theory.mean[0, :, 0], abs=1e-11)
    assert std**2 == pytest.approx(theory.variance[0], abs=1e-11)
    fit = nnth.rkhs_fit(X, Y, "nngp", ridge=0.01, **options)
    assert model.log_marginal_likelihood() == pytest.approx(
        float(fit.table()["log_marginal"][0]), rel=1e-11
    )
    ours, deviation = fit.predict(NEW, return_std=True)
    assert mean == pytest.approx(ours[:, 0], abs=1e-11)
    assert std == pytest.approx(deviation, abs=1e-10)


@pytest.mark.slow
def test_hyperparameters_are_optimized_in_a_sum_and_a_product() -> None:
    kernel = ConstantKernel(1.0, "fixed") * NeuralKernel("erf", 1, cb=0.1, cw=2.0)
    kernel = kernel + WhiteKernel(0.01, "fixed")
    model = GaussianProcessRegressor(kernel).fit(X, Y)
    start = model.log_marginal_likelihood(kernel.theta)
    value, gradient = model.log_marginal_likelihood(kernel.theta, eval_gradient=True)
    assert value == pytest.approx(start)
    assert model.log_marginal_likelihood_value_ > start + 1.0
    for i in range(2):
        h = np.zeros(2)
        h[i] = 1e-4
        change = model.log_marginal_likelihood(kernel.theta + h) - model.log_marginal_likelihood(
            kernel.theta - h
        )
        assert gradient[i] == pytest.approx(change / 2e-4, rel=1e-5, abs=1e-5)


def test_kernel_ridge_and_support_vectors() -> None:
    kernel = NeuralKernel("erf", 2, cb=0.1, cw=2.0)
    ridge = KernelRidge(kernel=kernel, alpha=0.01).fit(X, Y)
    fit = nnth.rkhs_fit(X, Y, "ntk", "erf", ridge=0.01, depth=2, cb=0.1, cw=2.0)
    assert ridge.predict(NEW) == pytest.approx(fit.predict(NEW)[:, 0], abs=1e-11)
    labels = X[:, 0] * X[:, 1] > 0.0
    ours, precomputed = SVC(kernel=kernel).fit(X, labels), SVC(kernel="precomputed")
    precomputed.fit(kernel(X), labels)
    assert np.array_equal(
        ours.decision_function(NEW), precomputed.decision_function(kernel(NEW, X))
    )


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (NeuralKernel("nothing"), "nothing"),
        (NeuralKernel(depth=0), "depth must be at least 1, not 0"),
        (NeuralKernel(kernel="rbf:1"), "kernel must be nngp or ntk, not 'rbf:1'"),  # type: ignore[arg-type]
        (NeuralKernel("step", cw=2.0), "tangent kernel is infinite"),
        (NeuralKernel(cb=0.1), "cw must be given"),
    ],
)
def test_refusals(kernel: NeuralKernel, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel(X)


def test_a_gradient_needs_one_set_of_inputs() -> None:
    with pytest.raises(ValueError, match="eval_gradient must be False where Y is given"):
        NeuralKernel(cb=0.1, cw=2.0)(X, NEW, eval_gradient=True)
