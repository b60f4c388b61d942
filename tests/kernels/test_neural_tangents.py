"""The table of docs/neural-tangents.md: the recursions of neural-tangents against nnth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nnth

Matrix = NDArray[np.float64]

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((12, 5))


def relu(k: Matrix) -> tuple[Matrix, Matrix]:
    """Return E[s s] and E[s' s'] of stax.Relu."""
    size = np.sqrt(np.outer(k.diagonal(), k.diagonal()))
    c = np.clip(k / size, -1.0, 1.0)
    np.fill_diagonal(c, 1.0)
    angle = np.arccos(c)
    e = size * (np.sin(angle) + (np.pi - angle) * c) / (2.0 * np.pi)
    return e, (np.pi - angle) / (2.0 * np.pi)


def erf(k: Matrix) -> tuple[Matrix, Matrix]:
    """Return E[s s] and E[s' s'] of stax.Erf."""
    factor = 1.0 + 2.0 * k.diagonal()
    e = 2.0 / np.pi * np.arcsin(2.0 * k / np.sqrt(np.outer(factor, factor)))
    return e, 4.0 / np.pi / np.sqrt(np.outer(factor, factor) - 4.0 * k**2)


def stax(
    w_std: float, b_std: float | None, dense: int, act: Any, parameterization: str, fan_in: float
) -> tuple[Matrix, Matrix]:
    """Return nngp and ntk of `dense` layers Dense, with an activation between consecutive ones."""
    nngp, ntk = X @ X.T / X.shape[1], np.zeros((len(X), len(X)))
    for layer in range(dense):
        if layer:
            nngp, derivatives = act(nngp)
            ntk = ntk * derivatives
        before = nngp
        nngp = w_std**2 * before + (0.0 if b_std is None else b_std**2)
        if parameterization == "ntk":
            ntk = nngp + w_std**2 * ntk
        else:
            ntk = fan_in * before + w_std**2 * ntk + (0.0 if b_std is None else 1.0)
    return nngp, ntk


def matrices(act: str, w_std: float, b_std: float | None, dense: int, ntk: Any) -> nnth.Gram:
    cb = 0.0 if b_std is None else b_std**2
    return nnth.gram(X, act, depth=dense - 1, cw=w_std**2, cb=cb, ntk=ntk)


def agree(found: Any, expected: Matrix) -> bool:
    # arccos loses digits for nearly parallel inputs; here only the diagonal has such pairs.
    return bool(np.abs(found - expected).max() < 1e-13 * np.abs(expected).max())


ACTIVATIONS = [("relu", relu), ("erf", erf)]


@pytest.mark.parametrize("dense", [2, 4])
@pytest.mark.parametrize("b_std", [None, 0.3])
@pytest.mark.parametrize(("name", "act"), ACTIVATIONS)
def test_ntk_parameterization(name: str, act: Any, b_std: float | None, dense: int) -> None:
    nngp, ntk = stax(1.5, b_std, dense, act, "ntk", 0.0)
    found = matrices(name, 1.5, b_std, dense, "ntk")
    assert agree(found.nngp, nngp)
    assert agree(found.ntk, ntk)


@pytest.mark.parametrize(("name", "act"), ACTIVATIONS)
def test_standard_parameterization_with_fan_in_one_is_pdlt(name: str, act: Any) -> None:
    nngp, ntk = stax(1.5, 0.3, 4, act, "standard", 1.0)
    found = matrices(name, 1.5, 0.3, 4, "pdlt")
    assert agree(found.nngp, nngp)
    assert agree(found.ntk, ntk)


@pytest.mark.parametrize(("name", "act"), ACTIVATIONS)
def test_standard_parameterization_without_biases(name: str, act: Any) -> None:
    _, ntk = stax(1.5, None, 4, act, "standard", 64.0)
    found = matrices(name, 1.5, None, 4, "ntk").ntk
    assert found is not None
    assert agree(64.0 / 1.5**2 * found, ntk)


@pytest.mark.parametrize(("name", "act"), ACTIVATIONS)
def test_standard_parameterization_with_biases_from_two_conventions(name: str, act: Any) -> None:
    _, ntk = stax(1.5, 0.3, 4, act, "standard", 64.0)
    bias, pdlt = (matrices(name, 1.5, 0.3, 4, kind).ntk for kind in ("bias", "pdlt"))
    assert bias is not None
    assert pdlt is not None
    weights = (bias - pdlt) / (1.5**2 - 1.0)
    assert agree(pdlt - weights + 64.0 * weights, ntk)


@pytest.mark.parametrize("relative", [True, False])
def test_predictions(relative: bool) -> None:
    """gradient_descent_mse: exp(-T t/y.size) of T + diag_reg (times the mean of its diagonal)."""
    y = np.stack((np.sin(X[:9, 0]), X[:9, 1]), axis=1)
    _, ntk = stax(1.5, 0.3, 3, relu, "ntk", 0.0)
    train, across = ntk[:9, :9], ntk[9:, :9]
    diag_reg = 0.01
    ridge = diag_reg * train.diagonal().mean() if relative else diag_reg
    values, vectors = np.linalg.eigh(train + ridge * np.eye(9))
    t, learning_rate = 40.0, 0.7
    decay = -np.expm1(-values * learning_rate * t / y.size) / values
    expected = across @ (vectors * decay) @ vectors.T @ y
    found = nnth.predict(
        X[:9],
        y,
        X[9:],
        depth=2,
        cw=1.5**2,
        cb=0.3**2,
        ridge=float(ridge),
        times=[t / y.size],
        eta=learning_rate,
    )
    assert found.mean[0] == pytest.approx(expected, abs=1e-12)


def test_sigmoid_like_and_sign() -> None:
    table = nnth.kernel("0.5*erf(z/2.4020563531719796)+0.5", depth=1, cw=1.0)
    scale = 2.4020563531719796**2
    product = np.arcsin(2.0 * 0.5 / scale / (1.0 + 2.0 / scale)) * 2.0 / np.pi
    assert table["k_ab"][1] == pytest.approx(0.25 * product + 0.25, rel=1e-12)
    assert nnth.kernel("sign(z)", depth=1, cw=1.0)["k_ab"][1] == pytest.approx(1.0 / 3.0, rel=1e-12)
