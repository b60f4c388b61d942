"""Kernels: the reference table, exact invariants, networks of finite width, extreme values."""

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnth import _core
from nnth._activations.activation import activation
from nnth._activations.catalogue import CATALOGUE
from nnth._kernels.kernel import Ntk, kernel
from nnth._tables.table import Table

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "kernel.json").read_text())
NAMES = REFERENCE["columns"][1:]
DIAGONAL = {"k_ab": ("k_aa", "k_bb"), "theta_ab": ("theta_aa", "theta_bb")}
ACTS = sorted({case["act"] for case in REFERENCE["cases"]})
METHODS = [
    (act, method)
    for act in ACTS
    for method in (["closed", "quadrature"] if activation(act).form else ["auto"])
]


def close(found: float, exact: float, scale: float, tolerance: float) -> bool:
    return found == exact or abs(found - exact) <= tolerance * scale


def compute(case: dict[str, Any], method: str) -> dict[str, Any]:
    # Unequal norms with one rho: `kernel` takes vectors or one norm, the core takes all three
    # numbers.
    inputs = _core.Inputs(case["norm_a"], case["norm_b"], case["rho"])
    ntk = _core.Ntk.__members__[case["ntk"]]
    # The closed form is tested at the full depth; for the quadrature 20 layers save half the time.
    depth = min(case["depth"], 20) if method == "quadrature" else case["depth"]
    network = _core.KernelConfig(case["cb"], case["cw"], depth, ntk)
    core = activation(case["act"]).core
    return _core.kernel(core, _core.Method.__members__[method], 2, network, inputs)


@pytest.mark.parametrize(("act", "method"), METHODS)
def test_reference_table(act: str, method: str) -> None:
    """Fifty layers accumulate rounding: 1e-12 for closed forms, 1e-11 for quadrature."""
    kernels = 1e-12 if method == "closed" else 1e-11
    tolerance = dict.fromkeys(NAMES, kernels) | {"gap": 1e-8, "chi_par": 1e-11, "chi_perp": 1e-11}
    cases = [case for case in REFERENCE["cases"] if case["act"] == act]
    assert cases
    for case in cases:
        found = compute(case, method)
        depth = len(found["k_aa"]) - 1
        assert depth >= min(case["depth"], 20)
        for layer, *texts in (row for row in case["rows"] if row[0] <= depth + 1):
            exact = {name: float(text) for name, text in zip(NAMES, texts, strict=True)}
            at = {name: float(found[name][layer - 1]) for name in [*NAMES, "error"]}
            context = (case, layer, at, exact)
            assert np.isfinite(at["error"]), context
            assert at["error"] <= 1e-8, context
            for name, value in exact.items():
                scale = abs(value)
                if name in DIAGONAL:
                    a, b = DIAGONAL[name]
                    scale = math.sqrt(exact[a]) * math.sqrt(exact[b])
                elif name == "corr":
                    scale = 1.0
                elif name == "gap":  # the table itself ends in 0 at 1e-60
                    scale = max(scale, 1e-51 * exact["k_aa"])
                elif name == "chi_par":  # 0 for the step, and of both signs for cos
                    scale = max(scale, 1e-4 * case["cw"])
                assert close(at[name], value, scale, tolerance[name]), (name, context)
                # The error of a value exceeds rounding only by as much as the row states.
                if name.startswith(("k_", "theta_")) and math.isfinite(scale):
                    assert close(at[name], value, scale, max(at["error"], 1e-15)), (name, context)


def test_the_reference_reaches_every_closed_form() -> None:
    forms = {activation(act).form for act in ACTS}
    assert forms >= {activation(act).form for act in CATALOGUE}


def j0(theta: float) -> float:
    return (math.pi - theta) / math.pi


def j1(theta: float) -> float:
    return (math.sin(theta) + (math.pi - theta) * math.cos(theta)) / math.pi


@pytest.mark.parametrize("cb", [0.0, 0.3])
@pytest.mark.parametrize("ntk", ["ntk", "bias", "pdlt"])
def test_ntk_conventions_of_relu(ntk: Ntk, cb: float) -> None:
    """The values follow from the arc-cosine kernels of Cho & Saul and the definitions of Theta."""
    cw, depth = 1.7, 8
    x_a, x_b = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.4, 2.5])
    s = np.array([[x_a @ x_a, x_a @ x_b], [x_a @ x_b, x_b @ x_b]]) / 3
    k = cb + cw * s
    theta = {"ntk": k, "bias": 1 + cw * s, "pdlt": 1 + s}[ntk].copy()
    table = kernel("relu", depth=depth, cb=cb, cw=cw, x_a=x_a, x_b=x_b, ntk=ntk)
    for layer in range(depth + 1):
        for matrix, name in ((k, "k"), (theta, "theta")):
            for (i, j), pair in {(0, 0): "aa", (0, 1): "ab", (1, 1): "bb"}.items():
                # Plain doubles have a few roundings per layer.
                assert table[f"{name}_{pair}"][layer] == pytest.approx(matrix[i, j], rel=1e-13)
        e, d = np.empty((2, 2)), np.empty((2, 2))
        for i in range(2):
            for j in range(2):
                norm = math.sqrt(k[i, i] * k[j, j])
                angle = 0.0 if i == j else math.acos(k[i, j] / norm)
                e[i, j], d[i, j] = norm * j1(angle) / 2, j0(angle) / 2
        k = cb + cw * e
        theta = {"ntk": k, "bias": 1 + cw * e, "pdlt": 1 + e}[ntk] + cw * d * theta


def test_conventions_agree_where_they_must() -> None:
    """For cb = 1 `ntk` and `bias` are one net; for cb = cw = 1 all three are."""
    for act in ("tanh", "gelu", "relu"):
        a, b = (kernel(act, depth=6, cb=1.0, cw=1.4, ntk=n) for n in ("ntk", "bias"))
        np.testing.assert_allclose(a["theta_ab"], b["theta_ab"], rtol=1e-14)  # the same sums
        a, b = (kernel(act, depth=6, cb=1.0, cw=1.0, ntk=n) for n in ("ntk", "pdlt"))
        np.testing.assert_allclose(a["theta_ab"], b["theta_ab"], rtol=1e-14)


FAST = ["relu", "leaky_relu:0.2", "abs", "relu_power:2", "erf", "gelu", "sin", "gaussian"]
vectors = st.lists(st.floats(-3, 3), min_size=3, max_size=3).filter(lambda x: math.hypot(*x) > 1e-3)


@settings(max_examples=80)
@given(act=st.sampled_from(FAST), a=vectors, b=vectors, cb=st.sampled_from([0.0, 0.2]))
def test_the_kernel_is_symmetric_bounded_and_blind_to_rotations(
    act: str, a: list[float], b: list[float], cb: float
) -> None:
    ab = kernel(act, depth=5, cb=cb, cw=1.1, x_a=a, x_b=b)
    ba = kernel(act, depth=5, cb=cb, cw=1.1, x_a=b, x_b=a)
    aa = kernel(act, depth=5, cb=cb, cw=1.1, x_a=a, x_b=a)
    turned = kernel(act, depth=5, cb=cb, cw=1.1, x_a=[-a[2], a[0], -a[1]], x_b=[-b[2], b[0], -b[1]])
    for k in ("k", "theta"):
        np.testing.assert_array_equal(ab[f"{k}_aa"], ba[f"{k}_bb"])
        np.testing.assert_array_equal(ab[f"{k}_aa"], aa[f"{k}_aa"])
        # Equal inputs: the off-diagonal entry is the diagonal one to the last bit.
        np.testing.assert_array_equal(aa[f"{k}_ab"], aa[f"{k}_aa"])
        scale = np.sqrt(ab[f"{k}_aa"] * ab[f"{k}_bb"]).max()
        for other in (ba, turned):
            # The sums have another order; the slope in Theta changes by the square root of the
            # rounding.
            tolerance = (1e-12 if k == "k" else 1e-7) * scale
            np.testing.assert_allclose(ab[f"{k}_ab"], other[f"{k}_ab"], rtol=0, atol=tolerance)
    assert (np.abs(ab["corr"]) <= 1).all()
    assert (ab["gap"] >= 0).all()
    assert (aa["gap"] == 0).all()
    assert (aa["corr"] == 1).all()
    gap = ab["k_aa"] + ab["k_bb"] - 2 * ab["k_ab"]
    size = ab["k_aa"] + ab["k_bb"]
    np.testing.assert_allclose(ab["gap"] / size, gap / size, rtol=0, atol=1e-14)  # subtraction
    # Theta is a Gram matrix, too.
    assert (ab["theta_ab"] ** 2 <= ab["theta_aa"] * ab["theta_bb"] * (1 + 1e-12)).all()


@settings(max_examples=60)
@given(
    slope=st.floats(-2, 2),
    norm=st.floats(1e-6, 1e6),
    factor=st.floats(1e-6, 1e6),
    rho=st.floats(-1, 1),
)
def test_scale_equivariance_without_bias(
    slope: float, norm: float, factor: float, rho: float
) -> None:
    """max(z, a z) commutes with a positive scale: K and Theta scale with |x|^2, chi not at all."""
    assume(slope != 1.0)
    act = f"leaky_relu:{slope!r}"
    one = kernel(act, depth=6, cw=1.3, norm=norm, rho=rho)
    two = kernel(act, depth=6, cw=1.3, norm=norm * factor, rho=rho)
    for name in ("k_aa", "k_ab", "theta_aa", "theta_ab", "gap"):
        # One rounding of norm * factor, and a few per layer.
        scale = one[name.replace("ab", "aa").replace("gap", "k_aa")] * factor
        np.testing.assert_allclose(two[name] / scale, one[name] * factor / scale, atol=1e-13)
    for name in ("corr", "chi_par", "chi_perp"):
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-13)


@pytest.mark.parametrize("act", ["tanh", "erf", "sin", "linear"])
def test_odd_activations_turn_the_sign_with_the_input(act: str) -> None:
    for rho in (0.3, 0.999999):
        a, b = (kernel(act, depth=5, cw=1.2, rho=r) for r in (rho, -rho))
        np.testing.assert_allclose(a["k_ab"], -b["k_ab"], rtol=1e-13)  # the sums differ
        np.testing.assert_allclose(a["theta_ab"], -b["theta_ab"], rtol=1e-13)


def test_linear_network_is_known() -> None:
    table = kernel("linear", depth=20, cb=0.0, cw=1.1, norm=2.0, rho=-0.3)
    k = 2.0 * 1.1 ** table["layer"]
    np.testing.assert_allclose(table["k_aa"], k, rtol=1e-14)
    np.testing.assert_allclose(table["k_ab"], -0.3 * k, rtol=1e-14)
    np.testing.assert_allclose(table["theta_ab"], -0.3 * k * table["layer"], rtol=1e-14)


@pytest.mark.parametrize("act", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("rho", [1 - 1e-8, 1 - 1e-12])
def test_gap_of_near_parallel_inputs_shrinks_by_chi(act: str, rho: float) -> None:
    """Gap' = chi_perp gap to first order, where subtraction would have no digit left."""
    table = kernel(act, depth=1, cb=0.1, cw=1.5, rho=rho)
    first_order = table["chi_perp"][0] * table["gap"][0]
    # The next term of relu is of relative order sqrt(1 - rho), and that of smooth activations of
    # order 1 - rho; the quadrature of tanh has an error of 1e-16/sqrt(1 - rho).
    assert table["gap"][1] == pytest.approx(first_order, rel=max(2 * math.sqrt(1 - rho), 1e-9))


# 40 networks of width 400; standard errors from their sample variance.
NETS, WIDTH, LAYERS = 40, 400, 2
MEASURED: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "abs(z-0.5)": (lambda z: np.abs(z - 0.5), lambda z: np.sign(z - 0.5)),
}


@pytest.mark.parametrize("act", MEASURED)
def test_wide_random_nets_have_these_kernels(act: str) -> None:
    """Averages over the last hidden layer, and the tangent kernel by backpropagation."""
    s, slope = MEASURED[act]
    cb, cw, n0 = 0.2, 1.5, 5
    rng = np.random.default_rng(11)
    x = rng.normal(size=(n0, 2))
    samples = []
    for _ in range(NETS):
        widths = [n0, *[WIDTH] * LAYERS, 1]
        hidden: list[NDArray[np.float64]] = [x]
        before: list[NDArray[np.float64]] = []
        weights = []
        for n_in, n_out in itertools.pairwise(widths):
            w = rng.normal(size=(n_out, n_in)) * math.sqrt(cw / n_in)
            weights.append(w)
            before.append(w @ hidden[-1] + rng.normal(size=(n_out, 1)) * math.sqrt(cb))
            hidden.append(s(before[-1]))
        k = cb + cw * hidden[-2].T @ hidden[-2] / WIDTH
        # The derivatives by W-hat and b-hat: cb and cw h.h/n of each layer, times the backward
        # signal's.
        theta = np.zeros((2, 2))
        back = np.ones((1, 2))
        for layer in range(LAYERS, -1, -1):
            h = hidden[layer]
            theta += (cb + cw * h.T @ h / len(h)) * (back.T @ back)
            if layer:
                back = (weights[layer].T @ back) * slope(before[layer - 1])
        samples.append([k[0, 0], k[0, 1], k[1, 1], theta[0, 0], theta[0, 1], theta[1, 1]])
    mean = np.mean(samples, axis=0)
    error = np.std(samples, axis=0, ddof=1) / math.sqrt(NETS)
    table = kernel(act, depth=LAYERS, cb=cb, cw=cw, x_a=x[:, 0], x_b=x[:, 1])
    names = ("k_aa", "k_ab", "k_bb", "theta_aa", "theta_ab", "theta_bb")
    exact = np.array([table[name][-1] for name in names])
    # Errors are 1 to 3 per cent, far below a wrong factor of 1.2; the width adds 1/400.
    assert (error < 0.04 * np.abs(exact[[0, 0, 2, 3, 3, 5]])).all()
    assert (np.abs(mean - exact) <= 4 * error).all()


def test_gauss_hermite_converges_for_tanh_and_says_how_far() -> None:
    exact = kernel("tanh", depth=3, cb=0.05, cw=1.0)
    off, said = [], []
    for nodes in (10, 20, 40):
        table = kernel("tanh", depth=3, cb=0.05, cw=1.0, method="gauss-hermite", nodes=nodes)
        off.append(np.abs(table["k_ab"] / exact["k_ab"] - 1).max())
        said.append(table["error"].max())
    # The error is geometric in sqrt(nodes), by the poles of tanh: 2e-3, 6e-5, 4e-7.
    assert off[0] > 10 * off[1] > 1000 * off[2]
    assert (np.array(said) >= off).all()
    assert off[2] < 1e-6


def test_gauss_hermite_does_not_converge_for_relu_and_says_so() -> None:
    exact = kernel("relu", depth=3, cw=2.0)
    for nodes in (20, 80, 100, 320):
        table = kernel("relu", depth=3, cw=2.0, method="gauss-hermite", nodes=nodes)
        off = np.abs(table["k_ab"] / exact["k_ab"] - 1).max()
        # The error is algebraic: a smooth activation would have all digits at 320 nodes.
        assert off > 1e-6
        assert table["error"].max() >= off


def test_method_all_puts_the_methods_of_a_layer_side_by_side() -> None:
    table = kernel("erf", depth=3, method="all", nodes=60)
    assert list(table["layer"]) == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert list(table["method"]) == ["closed", "quadrature", "gauss-hermite"] * 4
    closed, quadrature = (table["k_ab"][i::3] for i in (0, 1))
    np.testing.assert_allclose(closed, quadrature, rtol=1e-13)
    assert table.meta.parameters["nodes"] == 60
    assert (
        list(kernel("tanh", depth=1, method="all")["method"])
        == [
            "quadrature",
            "gauss-hermite",
        ]
        * 2
    )


def status(table: Table) -> list[str]:
    return [str(s) for s in table["status"]]


@pytest.mark.parametrize("act", CATALOGUE)
def test_zero_inputs_without_bias(act: str) -> None:
    table = kernel(act, depth=3, cb=0.0, cw=1.0, norm=0.0)
    finite = ("k_aa", "k_bb", "k_ab", "corr", "gap")
    assert all(np.isfinite(table[name]).all() for name in finite)
    assert table["k_aa"][0] == table["k_ab"][0] == table["gap"][0] == 0
    assert status(table)[0] == "zero"
    at_zero = float(activation(act).core.evaluate([0.0])[0][0])
    if act != "step":  # its square is 1/2 at 0+, and the value 1/2 there has the square 1/4
        assert table["k_aa"][1] == pytest.approx(at_zero**2, rel=1e-14)
    if at_zero == 0.0:
        assert set(status(table)) == {"zero"}


def test_a_singular_slope_at_zero_leaves_a_zero_input_zero() -> None:
    table = kernel("sqrt(abs(z))", depth=3, cb=0.0, cw=1.0, norm=0.0)
    assert (table["k_aa"] == 0).all()
    assert set(status(table)) == {"zero"}


def test_one_zero_input_has_no_correlation() -> None:
    table = kernel("relu", depth=3, cb=0.0, cw=2.0, x_a=[0.0, 0.0], x_b=[1.0, 2.0])
    assert status(table) == ["zero"] * 4
    assert (table["k_ab"] == 0).all()
    np.testing.assert_allclose(table["k_bb"], 5.0, rtol=1e-14)
    np.testing.assert_allclose(table["gap"], 5.0, rtol=1e-14)


@pytest.mark.parametrize("act", ["tanh", "silu", "gelu", "erf", "sin", "elu", "mish", "hard_tanh"])
@pytest.mark.parametrize("norm", [1e-16, 1e-30, 1e-200])
def test_tiny_inputs_see_the_activation_linearized(act: str, norm: float) -> None:
    """The corrections are of relative order sqrt(norm), 1e-8 at most."""
    left, right = (float(activation(act).core.evaluate([z])[1][0]) for z in (-1e-12, 1e-12))
    assert left == pytest.approx(right, abs=1e-11)  # no kink at 0
    table = kernel(act, depth=2, cb=0.0, cw=1.5, norm=norm, rho=0.3)
    gain = 1.5 * right**2
    for layer in range(3):
        k = 1.5 * norm * gain**layer
        assert table["k_aa"][layer] == pytest.approx(k, rel=1e-7)
        assert table["corr"][layer] == pytest.approx(0.3, rel=1e-7)
        assert table["theta_ab"][layer] == pytest.approx((layer + 1) * 0.3 * k, rel=1e-7)
        assert table["chi_par"][layer] == pytest.approx(gain, rel=1e-7)
        assert table["chi_perp"][layer] == pytest.approx(gain, rel=1e-7)


@pytest.mark.parametrize("norm", [1e8, 1e16])
def test_huge_inputs_see_tanh_as_a_sign_and_silu_as_a_ramp(norm: float) -> None:
    angle = math.acos(0.5)
    table = kernel("tanh", depth=1, cw=1.0, norm=norm, rho=0.5)
    # The error is the weight of |z| < 1, which is 1/sqrt(norm).
    assert table["k_ab"][1] == pytest.approx(1 - 2 * angle / math.pi, rel=3 / math.sqrt(norm))
    assert table["k_aa"][1] == pytest.approx(1, rel=3 / math.sqrt(norm))
    table = kernel("silu", depth=1, cb=0.0, cw=1.0, norm=norm, rho=0.5)
    assert table["k_ab"][1] == pytest.approx(norm * j1(angle) / 2, rel=10 / norm)
    assert table["theta_aa"][1] == pytest.approx(norm, rel=3 / math.sqrt(norm))


def test_exp_overflows_where_it_does_and_says_so() -> None:
    """K = 1, e^2, e^(2 e^2) = 2.6e6, whose chi_par = 2 e^(2 K) overflows, and then K does."""
    table = kernel("exp", depth=6, cb=0.0, cw=1.0)
    assert status(table) == ["ok"] * 2 + ["overflow"] * 5
    assert np.isinf(table["chi_par"][2])
    np.testing.assert_allclose(table["k_aa"][:3], [1, math.exp(2), math.exp(2 * math.exp(2))])
    assert np.isinf(table["k_aa"][3])
    assert np.isnan(table["k_aa"][4:]).all()
    assert np.isnan(table["theta_ab"][3:]).all()


@pytest.mark.parametrize(
    ("act", "cb", "cw", "norm", "depth", "overflows"),
    [
        ("exp", 0.1, 1.0, 0.0, 4, 3),  # chi_par and chi_perp of layer 4 overflow
        ("exp", 1e-300, 1e-3, 1e150, 1, 0),
        ("exp", 0.0, 1.0, 354.7, 1, 0),  # only chi_par overflows
        ("exp(z**2/5)", 0.0, 1.0, 0.5, 2, 1),  # E[s^2] is infinite for K >= 5/4
        ("linear", 0.0, 1.0, 1e308, 1, 0),  # only the gap overflows
    ],
)
def test_a_row_with_a_number_that_is_no_double_says_so(
    act: str, cb: float, cw: float, norm: float, depth: int, overflows: int
) -> None:
    table = kernel(act, cb=cb, cw=cw, norm=norm, depth=depth, rho=-0.5)
    assert status(table) == ["ok"] * overflows + ["overflow"] * (depth + 1 - overflows)
    columns = ("chi_par", "chi_perp", "gap", "theta_aa", "theta_ab", "k_ab")
    for row in range(depth + 1):
        assert all(np.isfinite(table[c][row]) for c in columns) == (row < overflows)


def test_what_a_small_weight_variance_may_bring_back_is_not_called_infinite() -> None:
    """E[s^2] = e^712 overflows, 1e-3 of it may not: it is unknown. At weight 0 it is 0."""
    table = kernel("exp", cb=356.0, cw=1e-3, norm=1.0, depth=1)
    assert np.isnan([table["chi_par"][0], table["chi_perp"][0], table["k_aa"][1]]).all()
    table = kernel("exp", cb=400.0, cw=0.0, norm=1.0, depth=2)
    for name in ("k_aa", "k_ab", "theta_aa", "theta_ab"):
        assert list(table[name]) == [400.0] * 3
    assert list(table["chi_par"]) == [0.0] * 3
    assert status(table) == ["ok"] * 3
    assert max(table["error"]) < 1e-14


def test_linear_underflows_where_it_does_and_says_so() -> None:
    """K = 1e-3^l leaves the normal doubles (2.2e-308) at layer 103, all doubles at 108."""
    table = kernel("linear", depth=150, cb=0.0, cw=1e-3)
    assert status(table) == ["ok"] * 102 + ["underflow"] * 49
    assert table["k_aa"][102] > 0
    assert (table["k_aa"][108:] == 0).all()
    np.testing.assert_allclose(table["k_aa"][:102], 1e-3 ** table["layer"][:102], rtol=1e-12)
    # Estimates add up over layers, times the layers of Theta.
    assert (table["error"][:102] < 1e-11).all()


def test_tanh_underflows_by_quadrature_as_the_line_it_is() -> None:
    table = kernel("tanh", depth=150, cb=0.0, cw=1e-3)
    line = kernel("linear", depth=150, cb=0.0, cw=1e-3)
    assert status(table) == status(line)
    # The first layer has the factor 1 - 2 K with K = 1e-3; further layers are linear.
    ratio = table["k_aa"][:102] / line["k_aa"][:102]
    assert ratio[0] == 1
    np.testing.assert_allclose(ratio[1:], ratio[5], rtol=3e-3)


def test_a_step_has_an_infinite_tangent_kernel_on_the_diagonal_only() -> None:
    for method in ("closed", "quadrature"):
        table = kernel("step", depth=3, cb=0.0, cw=1.0, method=method)
        assert status(table) == ["ok", "infinite", "infinite", "infinite"]
        assert np.isinf(table["theta_aa"][1:]).all()
        assert np.isinf(table["chi_perp"]).all()
        assert np.isfinite(table["theta_ab"]).all()
        # Sheppard: (pi - theta)/(2 pi) = 1/3 at 60 degrees; D = 1/(2 pi k sin theta).
        assert table["k_ab"][1] == pytest.approx(1 / 3, rel=1e-14)
        slope = 1 / (2 * math.pi * math.sqrt(0.75))
        assert table["theta_ab"][1] == pytest.approx(1 / 3 + slope * 0.5, rel=1e-14)


GELU_K = (3 + math.sqrt(17)) / 2
CRITICAL = {
    "relu": 0.7,
    "leaky_relu:0.1": 3.0,
    "abs": 1.0,
    "linear": 1.0,
    "relu_power:1": 2.0,
    "gelu": GELU_K,
    "silu": 14.320173618025799,
}


@pytest.mark.parametrize("act", CRITICAL)
def test_default_variances_are_critical(act: str) -> None:
    k = CRITICAL[act]
    pair = activation(act).critical
    assert pair is not None
    cb, cw = pair
    table = kernel(act, depth=3, norm=(k - cb) / cw)
    assert table.meta.parameters["cb"] == cb
    assert table.meta.parameters["cw"] == cw
    # The pairs and K* are given to 16 digits; chi_par = 1 is a double root of the map.
    np.testing.assert_allclose(table["k_aa"], k, rtol=1e-12)
    np.testing.assert_allclose(table["chi_par"], 1, rtol=1e-12)
    np.testing.assert_allclose(table["chi_perp"], 1, rtol=1e-12)


@pytest.mark.parametrize("act", ["tanh", "sin", "erf"])
def test_the_critical_point_of_odd_smooth_activations_is_at_zero(act: str) -> None:
    table = kernel(act, depth=1, norm=1e-20)
    np.testing.assert_allclose(table["chi_par"], 1, rtol=1e-14)
    np.testing.assert_allclose(table["chi_perp"], 1, rtol=1e-14)


@pytest.mark.parametrize("act", sorted(set(CATALOGUE) - {"step"}))
def test_chi_are_the_derivatives_they_are_said_to_be(act: str) -> None:
    """chi_par = dK'/dK and chi_perp = dgap'/dgap, by differences of the recursion's own output."""
    cw, k, h = 1.3, 0.9, 1e-4

    def step(norm: float) -> float:
        return float(kernel(act, depth=1, cw=cw, norm=norm)["k_aa"][1])

    table = kernel(act, depth=1, cw=cw, norm=k / cw)
    difference = (step((k + h) / cw) - step((k - h) / cw)) / (2 * h)
    # h^2/6 times a third derivative (82 cw for exp), and rounding/h.
    assert table["chi_par"][0] == pytest.approx(difference, rel=1e-6, abs=1e-11)
    near = kernel(act, depth=1, cw=cw, norm=k / cw, rho=1 - 1e-10)
    # Kinks change this by sqrt(1 - rho).
    ratio = near["gap"][1] / near["gap"][0]
    assert table["chi_perp"][0] == pytest.approx(ratio, rel=3e-5)


def test_the_same_numbers_from_vectors_and_from_norm_and_rho() -> None:
    x_a, x_b = [2.0, 0.0], [2 * 0.28, 2 * 0.96]
    a = kernel("gelu", depth=6, x_a=x_a, x_b=x_b)
    b = kernel("gelu", depth=6, norm=2.0, rho=0.28)
    for name in ("k_aa", "k_bb", "k_ab", "gap", "theta_ab", "chi_par"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-13)  # rounding of the norms


@pytest.mark.parametrize("angle", [1e-3, 1e-6, 1e-9])
def test_vectors_nearly_parallel_keep_the_digits_of_the_gap(angle: float) -> None:
    a = np.array([1.0, 2.0, -0.5])
    b = a + angle * np.array([0.3, 0.1, 0.2])
    with mp.workdps(40):
        exact = mp.fsum((mp.mpf(p) - mp.mpf(q)) ** 2 for p, q in zip(a, b, strict=True)) / 3
    table = kernel("linear", depth=1, cw=1.0, x_a=a, x_b=b)
    # x_b - (x_a.x_b/x_a.x_a) x_a has rounded components: eps/angle, twice in its square.
    assert table["gap"][0] == pytest.approx(float(exact), rel=1e-14 + 1e-15 / angle)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"depth": -3}, "depth must be at least 1, not -3"),
        ({"cw": -1.0}, "cw must be finite and at least 0, not -1"),
        ({"cw": math.inf}, "cw must be finite and at least 0, not inf"),
        ({"cw": math.nan}, "cw must be finite and at least 0, not nan"),
        ({"cw": 1.0, "cb": -1e-9}, "cb must be finite and at least 0, not -1e-09"),
        ({"cb": 0.5}, "cw must be given where cb is, and cb is 0.5"),
        ({"norm": -0.1}, "norm must be finite and at least 0, not -0.1"),
        ({"norm": math.inf}, "norm must be finite and at least 0, not inf"),
        ({"rho": 1.000000001}, "rho must be within [-1, 1], not 1.000000001"),
        ({"rho": -2.0}, "rho must be within [-1, 1], not -2"),
        ({"rho": math.nan}, "rho must be within [-1, 1], not nan"),
        ({"x_a": [1.0]}, "x_a and x_b must both be given, or neither"),
        ({"x_b": [1.0]}, "x_a and x_b must both be given, or neither"),
        ({"x_a": [1.0], "x_b": [1.0, 2.0]}, "x_a and x_b must have one length, not 1 and 2"),
        ({"x_a": [], "x_b": []}, "x_a must be a vector, not an array of shape (0,)"),
        ({"x_a": [[1.0]], "x_b": [1.0]}, "x_a must be a vector, not an array of shape (1, 1)"),
        ({"x_a": [1.0], "x_b": [math.nan]}, "x_b must hold finite numbers, not nan"),
        ({"ntk": "jacot"}, "ntk must be ntk, bias or pdlt, not 'jacot'"),
        (
            {"method": "magic"},
            "method must be one of auto, closed, quadrature, gauss-hermite, all, not 'magic'",
        ),
        ({"method": "gauss-hermite", "nodes": 1}, "nodes must be from 2 to 10000, not 1"),
        (
            {"act": "tanh", "method": "closed"},
            "method must be auto, quadrature or gauss-hermite for act tanh, which has no closed "
            "form, not 'closed'",
        ),
        ({"act": "sigmoid"}, "cw must be given: no critical pair is known for act sigmoid"),
        (
            {"act": "rleu"},
            "act must be a known activation or an expression in z, not 'rleu'; did you mean relu?",
        ),
    ],
)
def test_bad_arguments_are_named_with_the_rule_and_the_value(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message) + "$"):
        kernel(**arguments)


def test_the_table_says_what_made_it() -> None:
    table = kernel("leaky_relu:0.1", depth=4, norm=2.0, rho=-0.25)
    assert table.meta.command == "kernel"
    assert table.meta.parameters == {
        "act": "leaky_relu:0.1",
        "depth": 4,
        "cb": 0.0,
        "cw": 2 / 1.01,
        "norm": 2.0,
        "rho": -0.25,
        "x_a": None,
        "x_b": None,
        "ntk": "ntk",
        "method": "auto",
        "nodes": None,
    }
    assert list(table["layer"]) == [1, 2, 3, 4, 5]
    assert list(table.columns)[:12] == [
        "layer",
        "k_aa",
        "k_bb",
        "k_ab",
        "corr",
        "gap",
        "theta_aa",
        "theta_bb",
        "theta_ab",
        "chi_par",
        "chi_perp",
        "error",
    ]
