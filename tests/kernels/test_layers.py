"""`layers`: networks of layers of any kind, against their recursion with mpmath."""

from __future__ import annotations

import pickle
from typing import Any

import layers_oracle as oracle
import mpmath as mp
import numpy as np
import pytest

import nnth
from nnth._kernels.layers import layered_network

DENSE, BIASED = ("dense", 2.0, 0.0), ("dense", 1.5, 0.25)
BLOCK = ("residual", [("relu",), DENSE])
COLUMNS = ("k_aa", "k_bb", "k_ab", "theta_aa", "theta_bb", "theta_ab")

NETWORKS: dict[str, list[oracle.Layer]] = {
    "plain": [BIASED, ("relu",), BIASED, ("erf",), DENSE],
    "features": [DENSE, ("relu",)],
    "pre-activation": [BIASED, BLOCK, BLOCK, ("relu",), DENSE],
    "of features": [
        DENSE,
        ("relu",),
        ("residual", [DENSE, ("erf",), BIASED]),
        ("scale", 0.5),
        BIASED,
    ],
    "normalized": [
        BIASED,
        ("residual", [("layernorm",), ("erf",), DENSE]),
        ("layernorm",),
        ("relu",),
        BIASED,
    ],
    "dropout": [DENSE, ("relu",), ("dropout", 0.1), BIASED, ("dropout", 0.5), DENSE, ("erf",)],
    "nested": [
        DENSE,
        ("residual", [("residual", [("relu",), BIASED]), ("scale", -3.0), ("erf",), DENSE]),
    ],
    "dense twice": [
        ("scale", 2.0),
        BIASED,
        BIASED,
        ("residual", [DENSE, ("scale", 0.1)]),
        ("erf",),
    ],
    "deep": [DENSE, *[("residual", [("relu",), ("dense", 0.1, 0.0)])] * 100, ("layernorm",), DENSE],
    "deep with biases": [
        BIASED,
        *[("residual", [("layernorm",), ("relu",), ("dense", 0.5, 0.1), ("scale", 0.3)])] * 40,
    ],
}

A = np.array([1.0, -0.5, 2.0])
STEP = np.array([1e-9, -3e-9, 2e-9])
PAIRS: dict[str, tuple[Any, Any]] = {
    "any": (A, [0.3, 1.0, -1.0]),
    "near": (A, A + STEP),
    "nearly parallel": (A, 3.0 * A + STEP),
    "parallel": (A, 4.0 * A),
    "equal": (A, A),
    "opposite": (A, -A),
    "nearly opposite": (A, 100.0 * STEP - A),
    "tiny": (1e-50 * A, [1e-50, 2e-50, 0.0]),
    "huge": (1e50 * A, [1e50, 2e50, 0.0]),
    "tiny and huge": (1e-50 * A, [1e50, 2e50, 0.0]),
}


def check_row(found: dict[str, float], right: oracle.Row) -> None:
    size = {"k_ab": mp.sqrt(right.k_aa * right.k_bb)}
    size["theta_ab"] = mp.sqrt(right.theta_aa * right.theta_bb)
    for column in COLUMNS:
        value = getattr(right, column)
        assert abs(found[column] - value) <= found["error"] * size.get(column, value), column
    gap = right.k_aa + right.k_bb - 2 * right.k_ab
    minus = 1 - right.k_ab / size["k_ab"]
    # The digits of nnth.kernel, 1e-16/sqrt(1 - corr), lose a factor in many layers.
    digits = 1e-13 + 1e-14 / mp.sqrt(max(minus, mp.mpf(10) ** -40))
    assert abs(found["gap"] - gap) <= digits * gap + 1e-30 * right.k_aa, (minus, digits)


CASES = [
    (name, pair)
    for name in NETWORKS
    for pair in (["any", "nearly parallel"] if name.startswith("deep") else PAIRS)
]


@pytest.mark.parametrize(("name", "pair"), CASES)
def test_every_row_is_within_its_error_of_the_recursion(name: str, pair: str) -> None:
    layers, (x_a, x_b) = NETWORKS[name], PAIRS[pair]
    found = nnth.kernel(layers=oracle.spelled(layers), x_a=x_a, x_b=x_b)
    with mp.workdps(oracle.DIGITS):
        exact = oracle.kernels(layers, x_a, x_b)
        assert len(found["layer"]) == len(exact)
        for row, right in enumerate(exact):
            check_row(
                {column: float(found[column][row]) for column in (*COLUMNS, "gap", "error")}, right
            )
    assert max(found["error"]) < 1e-10


PLAIN = (
    "k_aa",
    "k_bb",
    "k_ab",
    "corr",
    "gap",
    "theta_aa",
    "theta_bb",
    "theta_ab",
    "error",
    "status",
)


@pytest.mark.parametrize("act", ["relu", "gelu", "tanh", "step", "'z*tanh(z)'"])
@pytest.mark.parametrize("inputs", [{"rho": 0.5}, {"rho": -1.0}, {"x_a": [0, 0], "x_b": [1, 2]}])
def test_a_plain_network_as_layers_has_the_same_bits(act: str, inputs: Any) -> None:
    plain = nnth.kernel(act.strip("'"), depth=4, cw=1.7, cb=0.1, **inputs)
    spelled = "dense " + " ".join([f"{act} dense"] * 4)
    layers = nnth.kernel(layers=spelled, cw=1.7, cb=0.1, **inputs)
    assert layers["op"].tolist()[:2] == ["dense:1.7,0.1", act]
    for name in PLAIN:
        np.testing.assert_array_equal(np.asarray(layers[name])[::2], plain[name], err_msg=name)
    assert np.isnan(layers["chi_par"]).all()


def test_the_methods_agree_within_their_errors() -> None:
    table = nnth.kernel(layers="dense:2 residual(erf dense) layernorm gelu", method="all", nodes=60)
    by = {
        name: np.asarray(table["method"]) == name
        for name in ("closed", "quadrature", "gauss-hermite")
    }
    for name in COLUMNS:
        values = {method: np.asarray(table[name])[rows] for method, rows in by.items()}
        for method in ("quadrature", "gauss-hermite"):
            error = (
                np.asarray(table["error"])[by[method]] + np.asarray(table["error"])[by["closed"]]
            )
            assert np.all(
                np.abs(values[method] - values["closed"]) <= 2.0 * error * values["closed"]
            )


def test_dropout_tells_equal_inputs_apart() -> None:
    table = nnth.kernel(layers="dense:2 relu dropout:0.25", x_a=[1.0, 2.0], x_b=[1.0, 2.0])
    assert table["k_aa"][2] == table["k_aa"][1] / 0.75
    assert table["k_ab"][2] == pytest.approx(table["k_ab"][1], rel=1e-15)
    assert table["corr"][2] == 0.75
    assert table["gap"][2] == pytest.approx(2.0 * table["k_aa"][2] * 0.25, rel=1e-15)


@pytest.mark.parametrize(
    ("layers", "inputs", "status"),
    [
        ("dense relu dense", {"x_a": [0, 0], "x_b": [1, 2]}, ["zero", "zero", "zero"]),
        (
            "dense layernorm dense",
            {"x_a": [0, 0], "x_b": [1, 2]},
            ["zero", "undefined", "undefined"],
        ),
        ("dense:1,1 layernorm", {"x_a": [0, 0], "x_b": [1, 2]}, ["ok", "ok"]),
        ("dense scale:0 dense", {}, ["ok", "zero", "zero"]),
        ("dense step dense layernorm", {}, ["ok", "infinite", "infinite", "infinite"]),
        ("dense scale:1e200 scale:1e-200", {}, ["ok", "overflow", "overflow"]),
        ("dense scale:1e-155 dense layernorm", {}, ["ok", "underflow", "underflow", "underflow"]),
    ],
)
def test_the_status_of_a_row(layers: str, inputs: Any, status: list[str]) -> None:
    assert list(nnth.kernel(layers=layers, **inputs)["status"]) == status


def test_a_huge_factor_loses_no_digits() -> None:
    table = nnth.kernel(layers="dense scale:1e-200 scale:1e150 scale:1e50", norm=1e300, rho=0.5)
    assert table["k_ab"][1:] == pytest.approx([5e-101, 5e199, 5e299], rel=1e-14)


@pytest.mark.parametrize(
    ("layers", "normal"),
    [
        ("dense", "dense:3,0.5"),
        ("  dense:2.0\trelu   dense:1e-3,0 ", "dense:2,0.5 relu dense:0.001"),
        ("dense residual(  relu dense:1,0 )", "dense:3,0.5 residual(relu dense:1)"),
        ("dense 'z * tanh(z)' scale:-2", "dense:3,0.5 'z * tanh(z)' scale:-2"),
        ('dense "relu(z)" dropout:0', "dense:3,0.5 'relu(z)' dropout:0"),
        ("dense leaky_relu:0.1 dropout:.5", "dense:3,0.5 leaky_relu:0.1 dropout:0.5"),
    ],
)
def test_the_normal_form(layers: str, normal: str) -> None:
    network = layered_network(layers, cw=3.0, cb=0.5)
    assert network.layers == normal
    again = layered_network(normal)
    assert again.layers == normal
    assert again.operations == network.operations
    assert pickle.loads(pickle.dumps(network)).layers == normal


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("", "layers must have a layer"),
        ("relu", "'relu' as layer 1: a dense layer must come before it, and it is the inputs"),
        ("layernorm", "'layernorm' as layer 1: a dense layer must come before"),
        ("dense relu tanh", "'tanh' as layer 3: .* it comes after features"),
        ("dense dropout:0.1 relu", "'relu' as layer 3"),
        ("dense relu layernorm", "'layernorm' as layer 3"),
        ("dense relu residual(relu dense) dense", "'relu' as layer 3: .* after features"),
        ("residual(dense)", "residual of the inputs"),
        ("dense residual(relu)", r"'residual\(relu\)' as layer 3: it must hold a dense of its own"),
        ("dense residual()", "dense of its own"),
        ("dense residual(layernorm)", "dense of its own"),
        ("dense residual(scale:2)", "dense of its own"),
        ("dense residual(residual(dense))", "dense of its own"),
        ("dense residual(dense relu)", "must end in a dense, and ends in features"),
        ("dense relu residual(dense dropout:0.1)", "ends in features"),
        ("dropout:0.1", "dropout of the inputs"),
        ("dense dropout:1", "'dropout:1' as layer 2: the rate must be at least 0 and below 1"),
        ("dense dropout:-0.1", "rate"),
        ("dense dropout", "it is dropout:RATE"),
        ("dense:0", "weight variance must be above 0"),
        ("dense:-1", "weight variance must be above 0"),
        ("dense:1,-1", "bias variance must be at least 0"),
        ("dense:1,2,3", "it is dense:CW,CB"),
        ("dense:nan", "'nan' is no finite number"),
        ("dense:1,inf", "'inf' is no finite number"),
        ("dense:", "'' is no finite number"),
        ("scale:inf", "'inf' is no finite number"),
        ("dense scale", "it is scale:A"),
        ("dense layernorm:2", "takes no number"),
        ("dense residual(dense", r"a \) for each \("),
        ("dense dense)", r"a \( for each \)"),
        ("dense 'z", "a second '"),
        ("dense residual(dense)relu", "a blank before 'relu'"),
        ("dense'z'", "a blank before"),
        ("dense z*tanh(z)", "in quotes"),
        ("dense 'tan(z)'", "must not call 'tan'"),
        ("dense residual relu", "it is residual\\(...\\)"),
        ("dence relu", "'dence' as layer 1: did you mean dense"),
        ("dense rellu", "did you mean relu"),
        ("dense relu:3", "takes no parameter"),
        ("dense " + "residual(" * 200 + "dense" + ")" * 200, "nested at most 100"),
    ],
)
def test_what_is_refused(layers: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        nnth.kernel(layers=layers)
    assert str(error.value).startswith("layers must ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [{"act": "relu"}, {"depth": 10}, {"ntk": "pdlt"}, {"cw": 0.0}])
def test_what_layers_exclude(given: Any) -> None:
    with pytest.raises(ValueError, match="with layers"):
        nnth.kernel(layers="dense", **given)
