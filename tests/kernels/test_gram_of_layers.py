"""Gram matrices of networks of layers: every map against the recursion of each pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnth
from nnth._kernels import network_kernel
from nnth._kernels.layers import layered_network

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(40, 6)) * RANDOM.uniform(0.3, 3.0, size=(40, 1))
X[5] = X[4]  # equal rows are still two rows
X[7] = -X[6]
X[9] = X[8] + 1e-9
X[11] = 0.0
SPHERE = RANDOM.normal(size=(40, 6))
SPHERE /= np.linalg.norm(SPHERE, axis=1, keepdims=True)
SPHERE[5], SPHERE[7] = SPHERE[4], -SPHERE[6]
CLOSE = SPHERE * RANDOM.uniform(1.0, 1.2, size=(40, 1))

BIASED = "dense:2,0.1 residual(relu dense:1,0.3) relu dropout:0.2 dense:1.5,0.1"
PLAIN_BLOCKS = (
    "dense:2 residual(relu dense:2) residual(leaky_relu:0.2 dense) layernorm erf dense:1,1"
)


def check(gram: nnth.Gram, x: Any, layers: str, pairs: list[tuple[int, int]]) -> None:
    assert gram.nngp is not None
    assert gram.ntk is not None
    for i, j in pairs:
        row = nnth.kernel(layers=layers, x_a=x[i], x_b=x[j])[-1:]
        names = ("aa", "aa") if i == j else ("ab", "ab")
        for matrix, kind, name in zip((gram.nngp, gram.ntk), ("k", "theta"), names, strict=True):
            value = row[f"{kind}_{name}"][0]
            scale = np.sqrt(row[f"{kind}_aa"][0] * row[f"{kind}_bb"][0])
            error = gram.error + row["error"][0]
            assert abs(matrix[i, j] - value) <= error * scale, (i, j, kind)
            assert matrix[i, j] == matrix[j, i]


PAIRS = [(4, 5), (6, 7), (8, 9), (11, 12), (0, 1), (4, 4), (11, 11), (20, 30), (39, 0)]


@pytest.mark.parametrize(
    ("x", "layers", "method"),
    [
        ("X", BIASED, "layered"),
        ("X", "dense:2,0.2 residual(erf dense:1,0.1) scale:0.5", "layered"),
        ("X", "dense:2,0.2 residual(gelu dense:1,0.1) sin dense leaky_relu:-0.5", "layered"),
        ("CLOSE", "dense:2,0.2 residual(tanh dense:1,0.1) erf dense leaky_relu:-0.5", "table"),
        ("X", "dense:2,0.2 relu_power:3 dense", "pairwise"),
        ("SPHERE", BIASED, "composed"),
        ("SPHERE", PLAIN_BLOCKS, "composed"),
        ("SPHERE", "dense:1.2,0.1 residual(tanh dense:1,0.1) relu", "composed"),
    ],
)
def test_entries_are_those_of_the_recursion(x: str, layers: str, method: str) -> None:
    data = {"X": X, "SPHERE": SPHERE, "CLOSE": CLOSE}[x]
    gram = nnth.gram(data, layers=layers)
    assert gram.method == method
    assert gram.error < 1e-10
    check(gram, data, layers, PAIRS)


def test_correlations_after_a_layernorm_need_no_norms() -> None:
    data = np.delete(X, 11, axis=0)
    gram = nnth.gram(data, layers=PLAIN_BLOCKS)
    assert gram.method == "composed"
    check(gram, data, PLAIN_BLOCKS, [(4, 5), (6, 7), (8, 9), (0, 1), (3, 3)])
    assert gram.nngp is not None
    assert np.ptp(gram.nngp.diagonal()) == 0.0


@pytest.mark.parametrize(
    ("layers", "composed"),
    [
        ("dense residual(relu dense) relu_power:2", True),
        ("dense residual(relu_power:2 dense)", False),  # a sum of two powers of the norm
        ("dense residual(relu dense:1,0.1)", False),
        ("dense layernorm residual(relu_power:2 dense:1,0.1)", True),
        ("dense step residual(dense)", False),  # a power of the angle that depends on depth
    ],
)
def test_networks_that_scale_with_the_norm_are_composed(layers: str, composed: bool) -> None:
    data = np.delete(X, 11, axis=0)
    gram = nnth.gram(data, layers=layers, kernel="nngp")
    assert (gram.method == "composed") == composed
    row = nnth.kernel(layers=layers, x_a=data[0], x_b=data[1])[-1:]
    assert gram.nngp is not None
    assert gram.nngp[0, 1] == pytest.approx(row["k_ab"][0], rel=1e-10)


def test_only_diagonals_have_the_masks_of_dropout() -> None:
    layers = "dense:2 relu dropout:0.5"
    gram = nnth.gram(X[:4], layers=layers, x_test=X[:6])
    assert gram.nngp is not None
    assert gram.nngp_test is not None
    assert gram.nngp_test_diagonal is not None
    without = nnth.gram(X[:4], layers="dense:2 relu", x_test=X[:6])
    assert without.nngp is not None
    assert without.nngp_test is not None
    np.testing.assert_allclose(gram.nngp_test, without.nngp_test, rtol=1e-13)
    np.testing.assert_allclose(gram.nngp.diagonal(), 2.0 * without.nngp.diagonal(), rtol=1e-14)
    np.testing.assert_allclose(gram.nngp_test_diagonal[:4], gram.nngp.diagonal(), rtol=1e-14)


def test_a_plain_network_as_layers() -> None:
    plain = nnth.gram(X, "relu", depth=3, cw=1.5, cb=0.1)
    layers = nnth.gram(X, layers="dense relu dense relu dense relu dense", cw=1.5, cb=0.1)
    for name in ("nngp", "ntk"):
        matrix = getattr(plain, name)
        scale = np.sqrt(np.outer(matrix.diagonal(), matrix.diagonal()))
        apart = np.abs(getattr(layers, name) - matrix)
        assert np.all(apart <= (plain.error + layers.error) * scale)
        np.testing.assert_allclose(getattr(layers, name).diagonal(), matrix.diagonal(), rtol=2e-15)


def test_blocks_have_the_bits_of_the_matrix() -> None:
    whole = nnth.gram(X, layers=BIASED).ntk
    assert whole is not None
    blocks = network_kernel.NetworkBlocks(layered_network(BIASED), X, threads=2)
    part = np.empty((13, 29))
    blocks.fill(slice(7, 20), slice(3, 32), ntk=part)
    np.testing.assert_array_equal(part, whole[7:20, 3:32])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("dense layernorm dense", "layernorm of a variance of 0: that of row 11 before layer 2"),
        ("dense scale:1e200 relu", "leaves the range of doubles in layer 2"),
    ],
)
def test_matrices_that_do_not_exist(layers: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nnth.gram(X, layers=layers)


def test_tiles_of_a_network_of_layers(tmp_path: Path) -> None:
    nnth.save_gram(X, tmp_path / "k.npy", layers=BIASED, kernel="ntk", tile=16)
    np.testing.assert_array_equal(np.load(tmp_path / "k.npy"), nnth.gram(X, layers=BIASED).ntk)
