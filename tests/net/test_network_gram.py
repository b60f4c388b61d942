"""The empirical tangent kernel of a given network, and `nnth gram --net`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import call, refusal, rows_of

from nnth import Network, network_gram, random_network
from nnth._lab.derivatives import output_gradients
from nnth._lab.model import model_of, theta_of
from nnth._net.network_gram import alignment

dice = np.random.default_rng(5)
X = dice.normal(size=(6, 3))
TESTS = dice.normal(size=(2, 3))


def net_of(act: str, outputs: int = 2) -> Network:
    drawn = random_network(3, [7, 5], n_out=outputs, cw=1.5, cb=0.3, seed=2)
    return Network(drawn.weights, drawn.biases, act)


def jacobian(net: Network, x: Any, rates: Any = 1.0) -> Any:
    """Return J `(m, outputs, P)` times the roots of the learning rates."""
    return output_gradients(model_of(net), theta_of(net), x)[1] * np.sqrt(rates)


@pytest.mark.parametrize("act", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_kernel_is_that_of_the_jacobian(act: str, outputs: int) -> None:
    net = net_of(act, outputs)
    found = network_gram(X, net, x_test=TESTS, full=True, by_layer=True)
    j, other = jacobian(net, X), jacobian(net, TESTS)
    full = np.einsum("ikp,jlp->ijkl", j, j)
    scale = np.abs(full).max()
    assert found.ntk_full is not None
    assert found.by_layer is not None
    assert np.abs(found.ntk_full - full).max() <= 1e-13 * scale
    assert np.abs(found.ntk - np.einsum("ijkk->ij", full)).max() <= 1e-13 * scale
    assert np.abs(found.ntk_test - np.einsum("ikp,jkp->ij", other, j)).max() <= 1e-13 * scale
    own = np.einsum("ikp,ikp->i", other, other)
    assert np.abs(found.ntk_test_diagonal - own).max() <= 1e-13 * max(scale, own.max())
    sizes = [w.size + b.size for w, b in zip(net.weights, net.biases, strict=True)]
    ends = np.cumsum([0, *sizes])
    for layer, part in enumerate(found.by_layer):
        own = j[:, :, ends[layer] : ends[layer + 1]]
        assert np.abs(part - np.einsum("ikp,jkp->ij", own, own)).max() <= 1e-13 * scale


def test_rates_of_infinite_width_scale_each_parameter() -> None:
    net, cb, cw = net_of("tanh"), 0.4, 1.7
    rates = np.concatenate(
        [np.repeat([cw / w.shape[1], cb], [w.size, len(w)]) for w in net.weights]
    )
    j = jacobian(net, X, rates)
    found = network_gram(X, net, rates="ntk", cb=cb, cw=cw)
    assert np.allclose(found.ntk, np.einsum("ikp,jkp->ij", j, j), rtol=1e-12)


def test_wide_random_networks_approach_the_kernel_of_infinite_width() -> None:
    distances = []
    for width in (64, 256, 1024):
        nets = [random_network(3, [width] * 2, n_out=2, cw=2.0, cb=0.5, seed=s) for s in range(6)]
        tables = [network_gram(X, net, rates="ntk", cb=0.5, cw=2.0).table() for net in nets]
        distances.append(np.sqrt(np.mean([table["distance"][0] ** 2 for table in tables])))
    # The root mean square falls as width^(-1/2): by 2 for each factor of 4, within its noise.
    assert distances[0] > 1.4 * distances[1] > 1.96 * distances[2]
    assert distances[2] < 0.15


def test_the_variances_of_a_network_are_those_it_was_drawn_with() -> None:
    net = random_network(50, [400, 400], cw=1.5, cb=0.3, seed=1)
    parameters = network_gram(dice.normal(size=(4, 50)), net, rates="ntk").meta.parameters
    assert parameters["cw"] == pytest.approx(1.5, rel=0.02)
    assert parameters["cb"] == pytest.approx(0.3, rel=0.3)


def test_alignment_and_effective_rank_are_those_of_their_definitions() -> None:
    y = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
    table = network_gram(X, net_of("relu"), y=y).table()
    k = network_gram(X, net_of("relu")).ntk
    expected = y @ k @ y / (y @ y * np.sqrt(np.sum(k * k)))
    assert table["alignment"][0] == pytest.approx(expected, rel=1e-12)
    p = np.linalg.eigvalsh(k) / np.trace(k)
    p = p[p > 0.0]
    assert table["effective_rank"][0] == pytest.approx(np.exp(-np.sum(p * np.log(p))), rel=1e-9)
    assert alignment(np.outer(y, y), y[:, None]) == pytest.approx(1.0, rel=1e-14)
    two = np.stack([y, X[:, 0]], axis=1)
    assert alignment(two @ two.T, two) == pytest.approx(1.0, rel=1e-14)


def test_the_command_prints_the_table_and_saves_the_matrices(tmp_path: Path) -> None:
    net_of("tanh").save(tmp_path / "net.npz")
    np.save(tmp_path / "x.npy", X)
    rows = rows_of(
        call(
            *("gram", "--x", "x.npy", "--net", "net.npz", "--by-layer", "--save", "k.npz"),
            cwd=tmp_path,
        )
    )
    assert [(row["kernel"], row["layer"]) for row in rows] == [
        ("ntk", "-1"),
        ("features", "-1"),
        *(("ntk", str(layer)) for layer in (1, 2, 3)),
    ]
    assert float(rows[0]["trace"]) == pytest.approx(sum(float(r["trace"]) for r in rows[2:]))
    with np.load(tmp_path / "k.npz") as saved:
        assert np.array_equal(saved["ntk"], network_gram(X, net_of("tanh"), by_layer=True).ntk)


def test_targets_are_those_of_the_data_that_are_given(tmp_path: Path) -> None:
    net_of("tanh", 1).save(tmp_path / "net.npz")
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "both.npz", x=X, y=X[:, 0])
    for given in (("x.npy",), ("--x", "x.npy")):
        rows = rows_of(call("gram", *given, "--net", "net.npz", cwd=tmp_path))
        assert rows[0]["alignment"] == "nan"
    expected = network_gram(X, net_of("tanh", 1), y=X[:, 0]).table()["alignment"][0]
    for given in (("both.npz",), ("--x", "both.npz"), ("x.npy", "--y", "both.npz")):
        rows = rows_of(call("gram", *given, "--net", "net.npz", cwd=tmp_path))
        assert float(rows[0]["alignment"]) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--net", "net.npz", "--depth", "3"), "--net and --depth must not both be given"),
        (("--net", "net.npz", "--cw", "2"), "--cw must not be given with --rates standard"),
        (("--by-layer",), "--by-layer must come with --net"),
        (("--net", "net.npz", "--y", "y.npy"), "y must have 6 rows, as x has, not 2"),
        (("--net", "other.npz"), "x must have 4 columns, as net has inputs, not 3"),
    ],
)
def test_wrong_options_are_refused(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    net_of("tanh").save(tmp_path / "net.npz")
    random_network(4, [3]).save(tmp_path / "other.npz")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.ones(2))
    assert message in refusal("gram", "--x", "x.npy", *options, cwd=tmp_path)
