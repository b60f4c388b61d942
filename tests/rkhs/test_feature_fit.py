"""Random features: their mean and variance, their regression against one with a matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnth
from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.features import NormalEquations, feature_map
from nnth._rkhs.feature_errors import kernel_errors

RNG = np.random.default_rng(11)
X = RNG.normal(size=(60, 3)) * RNG.uniform(0.5, 2.0, size=(60, 1))
Y = np.stack((np.sin(X[:, 0]), X[:, 1] ** 2), axis=1)
TESTS = RNG.normal(size=(7, 3))

NETWORKS: list[dict[str, Any]] = [
    {"kernel": "nngp", "act": "relu"},
    {"kernel": "ntk", "act": "relu"},
    {"kernel": "nngp", "act": "tanh", "cb": 0.3, "cw": 1.5},
    {"kernel": "ntk", "act": "gelu", "cb": 0.1, "cw": 1.2, "ntk": "bias"},
    {"kernel": "ntk", "act": "abs", "cb": 0.1, "cw": 0.9, "ntk": "pdlt"},
    {"kernel": "ntk", "act": "leaky_relu:0.2", "cb": 0.2, "cw": 1.0},
    {"kernel": "rbf:1.3"},
    {"kernel": "laplace:2"},
]


def products(kernel: Any, x: Any, features: int, maps: int) -> Any:
    """Return the products of features `(maps, m, m)` of independent maps."""
    drawn = [feature_map(kernel, x, features, seed=5, member=r) for r in range(maps)]
    blocks = [one.block(x, threads=1) for one in drawn]
    return np.stack([phi @ phi.T for phi in blocks])


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: "-".join(map(str, one.values())))
def test_the_mean_of_products_is_the_kernel(network: dict[str, Any]) -> None:
    kernel = named_kernel(**network)
    x = X[:6]
    found = products(kernel, x, 66, 300)
    exact = kernel.rows(x, 6).matrix
    mean, stderr = found.mean(axis=0), found.std(axis=0, ddof=1) / math.sqrt(300)
    z = (mean - exact) / np.maximum(stderr, 1e-13 * exact.max())
    # The largest of 21 entries, each nearly normal: 4.5 has the probability 1e-4.
    assert np.abs(z).max() < 4.5
    assert stderr.max() < 0.05 * exact.max()


@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_the_variance_of_one_hidden_layer_is_that_of_its_neurons(act: str) -> None:
    # Of n neurons, C_w/n sum s(a) s(b) has the variance C_w^2/n (E[s^2 s^2] - E[s s]^2).
    square = {"relu": "relu(z)*relu(z)", "tanh": "tanh(z)*tanh(z)"}[act]
    x, n, cw = X[:2], 64, 1.5
    kernel = named_kernel("nngp", act, cb=0.0, cw=cw)
    mean = nnth.gram(x, act, depth=1, cb=0.0, cw=1.0, kernel="nngp").nngp
    # With C_w = 1 in both layers; the inputs carry the weight variance of the first layer.
    scaled = math.sqrt(cw) * x
    mean = nnth.gram(scaled, act, depth=1, cb=0.0, cw=1.0, kernel="nngp").nngp
    fourth = nnth.gram(scaled, square, depth=1, cb=0.0, cw=1.0, kernel="nngp").nngp
    assert mean is not None
    assert fourth is not None
    theory = cw**2 / n * (fourth - mean**2)
    found = products(kernel, x, n, 4000).var(axis=0, ddof=1)
    assert found == pytest.approx(theory, rel=0.15)  # six deviations of a variance of 4000 values


def test_the_variance_of_tangent_features() -> None:
    # The products are s'(a) s'(b) t(a) t(b) with t normal of covariance K: for ReLU, E[s' s' s' s']
    # = E[s' s'] = D, and E[t t t t] = K_aa K_bb + 2 K_ab^2.
    x, n = X[:2], 64
    kernel = named_kernel("ntk", "relu", cb=0.0, cw=1.0)
    k = x @ x.T / 3.0
    d = 0.5 - np.arccos(np.clip(k[0, 1] / math.sqrt(k[0, 0] * k[1, 1]), -1, 1)) / (2.0 * math.pi)
    ab = d * (k[0, 0] * k[1, 1] + 2.0 * k[0, 1] ** 2) - (d * k[0, 1]) ** 2
    drawn = [feature_map(kernel, x, n, seed=3, member=r) for r in range(4000)]
    blocks = np.stack([one.block(x, threads=1)[:, n // 2 :] for one in drawn])
    found = np.einsum("rj,rj->r", blocks[:, 0], blocks[:, 1]).var(ddof=1)
    assert found == pytest.approx(ab / (n // 2), rel=0.2)


def test_a_deep_network_has_the_bias_that_small_sets_predict() -> None:
    kernel = named_kernel("nngp", "relu", depth=3)
    x = X[:40]
    one = feature_map(kernel, x, 1024, seed=2)
    errors = kernel_errors(kernel, x, one, seed=2, threads=1)
    assert errors.rms == pytest.approx(errors.predicted, rel=1.0)
    # Hanin and Nica: a product of widths n and 3 layers varies by 5 L/n, whose root is near 0.1.
    assert 0.01 < errors.predicted < 0.2
    assert abs(errors.bias) < 5.0 * errors.bias_stderr + 5.0 * 3.0 / 1024


@pytest.mark.parametrize("kernel", ["ntk", "nngp", "rbf:1.5"])
def test_the_fit_is_that_of_the_matrix_of_products(kernel: str) -> None:
    ridge = 0.05
    fit = nnth.rkhs_feature_fit(
        X, Y, kernel, features=80, ridge=ridge, x_test=TESTS, y_test=Y[:7], seed=4
    )
    one = fit.solved.sums.features
    phi, at = one.block(X, threads=1), one.block(TESTS, threads=1)
    exact = nnth.rkhs_fit(
        X, Y, np.vstack((phi, at)) @ np.vstack((phi, at)).T, ridge=ridge, x_test=TESTS, y_test=Y[:7]
    )
    table, other = fit.table(), exact.table()
    names = ("rkhs_norm2", "log_marginal", "train_error", "test_error", "variance")
    for name in (*names, "effective_dimension"):
        assert table[name] == pytest.approx(other[name], rel=1e-8), name
    assert fit.prediction is not None
    gap = np.abs(fit.prediction - exact.solution.prediction).max(axis=0)
    assert (gap <= fit.prediction_error + exact.solution.error).all()
    assert fit.variance == pytest.approx(exact.solution.variance, abs=1e-9)
    assert np.abs(fit.prediction - at @ fit.weights).max() < 1e-10
    mean, deviation = fit.predict(TESTS, return_std=True)
    assert (mean == fit.prediction).all()
    assert deviation**2 == pytest.approx(fit.variance)


def test_blocks_of_rows_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnth._kernels.features import normal_equations

    def fit(threads: int) -> Any:
        return nnth.rkhs_feature_fit(X, Y, "ntk", features=300, depth=2, ridge=0.1, threads=threads)

    one, three = fit(1), fit(3)
    assert (one.weights == three.weights).all()
    assert one.kernel_errors.rms == three.kernel_errors.rms
    monkeypatch.setattr(normal_equations, "ROWS", 7)
    assert fit(1).weights == pytest.approx(one.weights, rel=1e-6, abs=1e-8)


def test_units_do_not_matter() -> None:
    def fit(scale: float) -> Any:
        return nnth.rkhs_feature_fit(
            scale * X, Y, "ntk", features=64, ridge=0.1 * scale * scale, x_test=scale * TESTS
        )

    usual = fit(1.0)
    for scale in (2.0**-400, 2.0**400):
        other = fit(scale)
        assert (other.prediction == usual.prediction).all()
        assert other.kernel_errors.rms == pytest.approx(usual.kernel_errors.rms, rel=1e-12)


def test_large_targets_and_one_far_input() -> None:
    large = nnth.rkhs_feature_fit(X, 1e100 * np.sign(Y), "ntk", features=64, ridge=0.1).table()
    usual = nnth.rkhs_feature_fit(X, np.sign(Y), "ntk", features=64, ridge=0.1).table()
    assert large["train_error"] == pytest.approx(1e200 * usual["train_error"], rel=1e-9)
    far = np.concatenate((X, np.full((1, 3), 1e150)))
    fit = nnth.rkhs_feature_fit(far, np.ones(61), "rbf:1", features=256, ridge=0.1)
    assert fit.kernel_errors.rms < 3.0 * fit.kernel_errors.predicted


def test_sums_are_those_of_all_rows() -> None:
    kernel = named_kernel("rbf:1")
    one = feature_map(kernel, X, 64, seed=0)
    whole = NormalEquations(one, 2, unit=1.0, threads=1).add(X, Y)
    parts = NormalEquations(one, 2, unit=1.0, threads=1).add(X[:9], Y[:9]).add(X[9:], Y[9:])
    assert parts.points == whole.points == 60
    assert parts.product(np.eye(64)) == pytest.approx(whole.product(np.eye(64)), rel=1e-13)
    phi = one.block(X, threads=1)
    assert whole.product(np.eye(64)) == pytest.approx(phi.T @ phi, rel=1e-12, abs=1e-13)
    assert whole.trace == pytest.approx(60.0)


def test_errors_of_few_points_and_notes() -> None:
    fit = nnth.rkhs_feature_fit(X[:2], Y[:2], "nngp", features=64, ridge=0.1)
    table = fit.table()
    assert np.isnan(table["kernel_rms_stderr"]).all()
    assert "one pair has no standard error" in table["note"][0]
    many = nnth.rkhs_feature_fit(X, Y, "nngp", features=64, ridge=0.1).table()
    assert "kernel_max is that of 30 pairs of 1770" in many["note"][0]
    assert many["subset"].tolist() == [30, 30]
    fitted = nnth.rkhs_feature_fit(X, 0.0 * Y, "nngp", features=64, ridge=0.1).table()
    assert (fitted["train_error"] == 0.0).all()


def test_a_subset_has_the_errors_of_its_fits() -> None:
    fit = nnth.rkhs_feature_fit(X, Y, "ntk", features=1024, ridge=0.5, seed=1)
    table = fit.table()
    change = table["subset_feature_error"] - table["subset_exact_error"]
    # |f - g|^2 = (f - y)^2 - (g - y)^2 - 2 (f - g)(g - y), and the mean of the last by Schwarz.
    size = table["prediction_rms"]
    assert (np.abs(change) <= size**2 + 2.0 * size * np.sqrt(table["subset_exact_error"])).all()
    assert (size < 0.5 * np.sqrt(table["subset_exact_error"])).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 63}, "features must be at least 64, not 63"),
        ({"features": 65, "kernel": "rbf:1"}, "features must be even for kernel rbf:1"),
        ({"ridge": 0.0}, "ridge must be above 0 with features, not 0"),
        ({"ridge": 1e-14}, "ridge must be above .* the rounding of their sums, not 1e-14"),
        ({"act": "step", "cw": 1.0}, "kernel must be nngp for act step"),
        ({"kernel": np.eye(60)}, "kernel must be rbf:S, laplace:S, nngp or ntk with features"),
        ({"x": X[:1], "y": Y[:1]}, "x must have at least 2 rows with features, not 1"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"x": X, "y": Y, "kernel": "ntk", "features": 64, "ridge": 0.1}
    with pytest.raises(ValueError, match=message):
        nnth.rkhs_feature_fit(**call | arguments)


def test_a_search_needs_a_matrix() -> None:
    with pytest.raises(ValueError, match="solver must be auto or cholesky with select, not cg"):
        nnth.rkhs_fit(X, Y, "rbf:1", ridge=0.1, select=("ridge",), solver="cg")
