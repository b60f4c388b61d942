"""Kernels are continuous and symmetric as the theory states.

Limits: rho -> +-1, norm -> 0, C_b -> 0, equal norms, parallel and opposite inputs, the ends of
tables. Symmetries: the two inputs exchanged, rows permuted, inputs rotated, scaled inputs of
homogeneous activations. The tests take every activation of the catalogue, other expressions, the
three tangent kernels and every method.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnth import CATALOGUE, Table, _core, gram, kernel, predict, rates
from nnth._activations.activation import activation

Floats = NDArray[np.float64]

EXPRESSIONS = (
    "abs(z-0.5)",
    "z^2-1",
    "log(1+z^2)",
    "cos(2*z)+0.5",
    "sigmoid(z)-sigmoid(z)^2",
    "z*exp(-z^2)",
    "max(min(z, 2), -1)",
    "where(abs(z) > 1, 1, 0)",
)
ACTS = (*CATALOGUE, *EXPRESSIONS)
# Equal at z and -z; the fourth of the second row only up to rounding.
EVEN = (
    "abs",
    "cos",
    "gaussian",
    "z^2-1",
    "log(1+z^2)",
    "cos(2*z)+0.5",
    "sigmoid(z)-sigmoid(z)^2",
    "abs(z)+0.3",
)
ODD = ("linear", "erf", "tanh", "sin", "hard_tanh", "z*exp(-z^2)", "z^3")
NTK: tuple[Any, ...] = ("ntk", "bias", "pdlt")
DEPTH = 3


def methods(act: str) -> list[Any]:
    closed = ["closed"] if activation(act).form else []
    return [*closed, "quadrature", "gauss-hermite"]


WAYS = [(act, method) for act in ACTS for method in methods(act)]
# Each case has one of the tangent kernels, and all of them occur.
MIXED_WAYS = [(*way, NTK[i % 3]) for i, way in enumerate(WAYS)]
EVEN_WAYS = [(act, method) for act in EVEN for method in methods(act)]


def layers(act: str, method: Any = "auto", depth: int = DEPTH, **arguments: Any) -> Table:
    """Return the kernels of a small network, in which exp stays in the range of doubles."""
    nodes = 40 if method == "gauss-hermite" else None
    depth = 2 if act == "exp" else depth
    return kernel(act, depth=depth, method=method, nodes=nodes, **arguments)


def assert_close(one: Table, other: Table, tolerance: float) -> None:
    """Compare K_ab and Theta_ab, if finite, relative to the diagonals' geometric mean."""
    for name in ("k", "theta"):
        scale = np.sqrt(one[f"{name}_aa"]) * np.sqrt(one[f"{name}_bb"])
        seen = np.isfinite(scale) & (scale > 0)
        off = np.abs(one[f"{name}_ab"] - other[f"{name}_ab"])[seen] / scale[seen]
        assert (off <= tolerance + one["error"][seen] + other["error"][seen]).all(), (name, off)
    # The same entries are infinite on both sides of a limit.
    assert list(np.isinf(one["theta_aa"])) == list(np.isinf(other["theta_aa"]))


# Correlations


@pytest.mark.parametrize("ntk", NTK)
@pytest.mark.parametrize(("act", "method"), WAYS)
def test_opposite_and_equal_inputs_are_limits(act: str, method: str, ntk: str) -> None:
    """A kink changes Theta by the angle, sqrt(2e-14) in layer 1; a jump adds 1 / angle instead."""
    jumps = act in ("step", "where(abs(z) > 1, 1, 0)")
    for sign in (-1.0, 1.0):
        where = {"cb": 0.0, "cw": 0.7, "norm": 1.3, "ntk": ntk}
        end = layers(act, method, rho=sign, **where)
        near = layers(act, method, rho=sign * (1 - 1e-14), **where)
        if jumps:  # angles decrease as theta^(1/2^l), which is no longer small
            assert end["k_ab"][1] == pytest.approx(near["k_ab"][1], abs=1e-6)
            continue
        # 100 bounds the factor by which layers multiply angles.
        assert_close(end, near, 100 * math.sqrt(2e-14))


@pytest.mark.parametrize("ntk", NTK)
@pytest.mark.parametrize(("act", "method"), EVEN_WAYS)
def test_opposite_inputs_of_even_activations(act: str, method: str, ntk: str) -> None:
    """From layer 2 on their preactivations are equal, but their Theta differ as in layer 1.

    E[s' s'] is -E[s'^2] in layer 1 and E[s'^2] from layer 2. For an activation that is even only up
    to the last bit, 1 - rho is 1e-32, and E[s' s'] has an error of its square root.
    """
    table = layers(act, method, cb=0.0, cw=0.7, norm=1.3, rho=-1.0, ntk=ntk)
    np.testing.assert_allclose(table["k_ab"][1:], table["k_aa"][1:], rtol=1e-14)
    apart = table["theta_aa"] - table["theta_ab"]
    chi = table["chi_perp"]
    expected = chi[0] * (table["theta_aa"][0] + table["theta_ab"][0])
    for layer in range(1, DEPTH + 1):
        # For differences of Theta rounding is relative to Theta itself.
        assert apart[layer] == pytest.approx(
            expected, rel=1e-12, abs=4e-14 * table["theta_aa"][layer]
        )
        expected *= chi[layer]


@pytest.mark.parametrize("ntk", NTK)
@pytest.mark.parametrize("act", ODD)
def test_opposite_inputs_of_odd_activations(act: str, ntk: str) -> None:
    """Preactivations change their sign in every layer, slopes do not."""
    for method in methods(act):
        table = layers(act, method, cb=0.0, cw=0.7, norm=1.3, rho=-1.0, ntk=ntk)
        np.testing.assert_allclose(table["k_ab"], -table["k_aa"], rtol=1e-14)
        added = 0.0 if ntk == "ntk" else 1.0  # each layer adds it to both Theta
        total = 0.0
        for layer in range(DEPTH + 1):
            total = 2 * added + (table["chi_perp"][layer - 1] * total if layer else 0.0)
            both = table["theta_aa"][layer] + table["theta_ab"][layer]
            assert both == pytest.approx(total, rel=1e-12, abs=4e-14 * table["theta_aa"][layer])


@pytest.mark.parametrize(("act", "method", "ntk"), MIXED_WAYS)
def test_the_same_input_twice_is_one_input(act: str, method: str, ntk: str) -> None:
    table = layers(act, method, cb=0.1, cw=0.7, norm=1.3, rho=1.0, ntk=ntk)
    for name in ("k", "theta"):
        assert list(table[f"{name}_ab"]) == list(table[f"{name}_aa"])
    assert (table["gap"] == 0).all()


def test_jumps_that_meet_make_an_infinite_slope_whatever_the_norms() -> None:
    """For z_b = t z_a E[s'(z_a) s'(z_b)] has both deltas at z = 0, or for t = -1 at z and -z."""
    for method, t in itertools.product(("closed", "quadrature"), (2.0, -1.0, -3.0)):
        table = kernel(
            "step", depth=1, cb=0.0, cw=1.0, x_a=[1.0, 2.0], x_b=[t, 2 * t], method=method
        )  # type: ignore[arg-type]
        assert table["theta_ab"][1] == math.copysign(math.inf, t)  # the sign of Theta^1_ab
    even = kernel("where(abs(z) > 1, 1, 0)", depth=1, cb=0.0, cw=1.0, rho=-1.0)
    assert even["theta_ab"][1] == math.inf  # slopes and Theta^1_ab are both negative
    odd = kernel("where(abs(z) > 1, sign(z), 0)", depth=1, cb=0.0, cw=1.0, rho=-1.0)
    assert odd["theta_ab"][1] == -math.inf
    apart = kernel("where(abs(z) > 1, 1, 0)", depth=1, cb=0.0, cw=1.0, x_a=[1.0], x_b=[2.0])
    assert np.isfinite(apart["theta_ab"][1])  # the jumps are at different x


# Norms and variances


@pytest.mark.parametrize(("act", "method", "ntk"), MIXED_WAYS)
def test_an_input_of_zeros_is_the_limit_of_small_orthogonal_ones(
    act: str, method: str, ntk: str
) -> None:
    if act == "step" and method == "gauss-hermite":
        return  # for an input of zeros its nodes do not know on which side of the jump it lies
    where = {"cb": 0.0, "cw": 0.7, "x_a": [1.5, 0.0], "ntk": ntk}
    at_zero = layers(act, method, x_b=[0.0, 0.0], **where)
    near = layers(act, method, x_b=[0.0, 1e-20], **where)
    for name in ("k_aa", "k_bb", "k_ab"):
        np.testing.assert_allclose(near[name], at_zero[name], rtol=1e-13, atol=1e-19)
    # Slopes at a kink depend on the angle, which is undefined for inputs of zeros; those at a jump
    # at 0 are infinite.
    kinked = ("relu", "leaky_relu", "abs", "selu", "step")
    of_slopes = 2 if act in kinked else DEPTH + 1
    if act != "step" or ntk == "ntk":
        np.testing.assert_allclose(
            near["theta_ab"][:of_slopes], at_zero["theta_ab"][:of_slopes], rtol=1e-13, atol=1e-19
        )


@pytest.mark.parametrize("rho", [-1.0, 0.3, 1.0])
@pytest.mark.parametrize(("act", "method"), WAYS)
def test_without_biases_is_the_limit_of_small_ones(act: str, method: str, rho: float) -> None:
    """With a bias of variance 1e-14 opposite inputs are an angle of 2e-7 from opposite."""
    where = {"cw": 0.7, "norm": 1.3, "rho": rho, "ntk": "bias"}
    without = layers(act, method, cb=0.0, depth=1, **where)
    small = layers(act, method, cb=1e-14, depth=1, **where)
    if np.isinf(without["theta_ab"][1]):
        return  # finite for small biases: 1 over the angle
    assert_close(without, small, 1e-5 if rho == -1.0 else 1e-10)


@pytest.mark.parametrize("rho", [-1.0, 0.3, 1.0])
@pytest.mark.parametrize(("act", "method"), WAYS)
def test_equal_norms_are_the_limit_of_nearly_equal_ones(act: str, method: str, rho: float) -> None:
    sine = math.sqrt(1 - rho**2)
    x_a, direction = np.array([1.5, 0.0]), np.array([rho, sine])
    equal, nearly = (
        layers(act, method, cb=0.1, cw=0.7, x_a=x_a, x_b=1.5 * t * direction, depth=1)
        for t in (1.0, 1 + 1e-11)
    )
    if np.isinf(equal["theta_ab"][1]):
        return
    assert_close(equal, nearly, 1e-9)


@pytest.mark.parametrize("t", [0.5, -0.5])
@pytest.mark.parametrize(("act", "method"), WAYS)
def test_parallel_inputs_of_unequal_norms_are_a_limit(act: str, method: str, t: float) -> None:
    end, near = (
        layers(act, method, cb=0.0, cw=0.7, x_a=[2.0, 0.0], x_b=[2 * t, angle], depth=1)
        for angle in (0.0, 1e-8)
    )
    if np.isinf(end["theta_ab"][1]):
        return
    assert_close(end, near, 1e-6)


# Symmetries of two inputs


@pytest.mark.parametrize(("act", "method", "ntk"), MIXED_WAYS)
def test_the_two_inputs_may_be_exchanged(act: str, method: str, ntk: str) -> None:
    x, y = [0.9, -0.4, 1.1], [0.2, 0.3, 2.0]
    table = layers(act, method, cb=0.1, cw=0.7, x_a=x, x_b=y, ntk=ntk)
    mirror = layers(act, method, cb=0.1, cw=0.7, x_a=y, x_b=x, ntk=ntk)
    for a, b in (("k_aa", "k_bb"), ("theta_aa", "theta_bb")):
        np.testing.assert_allclose(table[a], mirror[b], rtol=1e-14)
        np.testing.assert_allclose(table[b], mirror[a], rtol=1e-14)
    # The method sums over one input given the other, and is not symmetric before it converges.
    assert_close(table, mirror, 1e-13)


@pytest.mark.parametrize("ntk", NTK)
@pytest.mark.parametrize("act", ACTS)
def test_kernels_depend_on_inner_products_only(act: str, ntk: str) -> None:
    """A rotation, and additional coordinates of 0 with the same |x|^2/n0, change roundings only."""
    x, y = np.array([0.9, -0.4, 1.1]), np.array([0.2, 0.3, 2.0])
    table = layers(act, cb=0.1, cw=0.7, x_a=x, x_b=y, ntk=ntk)
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turned = layers(act, cb=0.1, cw=0.7, x_a=turn @ x, x_b=turn @ y, ntk=ntk)
    longer = np.zeros((2, 6))
    longer[:, ::2] = math.sqrt(2) * np.array([x, y])
    wide = layers(act, cb=0.1, cw=0.7, x_a=longer[0], x_b=longer[1], ntk=ntk)
    assert_close(table, turned, 1e-12)
    assert_close(table, wide, 1e-12)


@pytest.mark.parametrize(
    ("act", "power"),
    [
        ("relu", 1),
        ("leaky_relu:0.1", 1),
        ("abs", 1),
        ("linear", 1),
        ("relu_power:2", 2),
        ("relu_power:3", 3),
        ("step", 0),
        ("max(z, 0)", 1),
        ("abs(z)", 1),
    ],
)
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20, 2.0**-300, 2.0**300])
def test_homogeneous_activations_scale(act: str, power: int, scale: float) -> None:
    """Inputs c x have a K^2 that is c^(2 p) times as large, and the same correlation."""
    if power > 1 and not 1e-50 < scale < 1e50:
        return  # K leaves the range of doubles
    x, y = np.array([0.9, -0.4, 1.1]), np.array([0.2, 0.3, 2.0])
    table = kernel(act, depth=1, cb=0.0, cw=0.7, x_a=x, x_b=y)
    scaled = kernel(act, depth=1, cb=0.0, cw=0.7, x_a=scale * x, x_b=scale * y)
    factor = scale ** (2 * power)
    for name in ("k_aa", "k_ab", "theta_ab"):
        assert scaled[name][1] == pytest.approx(factor * table[name][1], rel=4e-14)
    assert scaled["corr"][1] == pytest.approx(table["corr"][1], rel=1e-14)


@pytest.mark.parametrize("x", [1e-158, 1e-170, 3e-162])
def test_squares_below_the_normal_doubles_are_told(x: float) -> None:
    """The angle of the vectors is known nevertheless."""
    table = kernel("linear", depth=1, cb=0.0, cw=1.0, x_a=[x, 0.0], x_b=[0.6 * x, 0.8 * x])
    assert set(table["status"]) <= {"underflow", "zero"}
    table = kernel("linear", depth=1, cb=0.0, cw=1.0, x_a=[1.0, 0.0], x_b=[0.6 * x, 0.8 * x])
    if table["k_bb"][0] > 0:
        assert table["corr"][0] == pytest.approx(0.6, rel=1e-15)


# Matrices

# Activations by the method of their matrices: composed, layered, table, pairwise. Those without
# closed forms take longer, and have one convention each.
GRAMS = ("relu", "abs", "erf", "cos", "gaussian", "tanh", "log(1+z^2)", "sigmoid(z)-sigmoid(z)^2")


def points(equal_norms: bool) -> Floats:
    """Return 44 points with opposite, parallel, equal and nearly equal ones, and a zero."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(36, 3))
    if equal_norms:
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return np.concatenate((x, -x[:6], x[:2]))
    near = x[:2] + 1e-7 * rng.normal(size=(2, 3))
    return np.concatenate((x, -x[:3], 2 * x[3:4], x[4:5], near, np.zeros((1, 3))))


def matrices(x: Floats, act: str, ntk: Any, cb: float) -> tuple[dict[str, Floats], float]:
    made = gram(x, act, depth=2, cb=cb, cw=0.7, ntk=ntk)
    assert made.nngp is not None
    assert made.ntk is not None
    return {"k": made.nngp, "theta": made.ntk}, made.error


def assert_alike(one: Floats, other: Floats, tolerance: float) -> None:
    scale = np.sqrt(np.outer(np.diag(one), np.diag(one)))
    assert (np.abs(one - other) <= tolerance * scale).all()


GRAM_WAYS = [
    (act, ntk) for i, act in enumerate(GRAMS) for j, ntk in enumerate(NTK) if i < 5 or j == i - 5
]


@pytest.mark.parametrize("equal_norms", [True, False])
@pytest.mark.parametrize(("act", "ntk"), GRAM_WAYS)
def test_matrices_hold_the_kernels_of_pairs(act: str, ntk: str, equal_norms: bool) -> None:
    x = points(equal_norms)
    found, error = matrices(x, act, ntk, cb=0.0)
    last = len(x) - 1
    pairs = [(0, 1), (5, 9), (0, 36), (1, 37), (0, last), (1, last), (3, 39), (4, 40), (0, 41)]
    for i, j in pairs:
        table = kernel(act, depth=2, cb=0.0, cw=0.7, x_a=x[i], x_b=x[j], ntk=ntk)  # type: ignore[arg-type]
        for name, matrix in found.items():
            scale = math.sqrt(table[f"{name}_aa"][-1] * table[f"{name}_bb"][-1])
            off = abs(matrix[i, j] - table[f"{name}_ab"][-1])
            assert off <= (error + table["error"][-1] + 1e-13) * scale, (i, j, name)


@pytest.mark.parametrize("equal_norms", [True, False])
@pytest.mark.parametrize("act", GRAMS[:6])
def test_rows_may_be_permuted_and_inputs_rotated(act: str, equal_norms: bool) -> None:
    x = points(equal_norms)
    rng = np.random.default_rng(9)
    order = rng.permutation(len(x))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found, error = matrices(x, act, "bias", cb=0.1)
    permuted, _ = matrices(x[order], act, "bias", cb=0.1)
    turned, _ = matrices(x @ turn, act, "bias", cb=0.1)
    for name, matrix in found.items():
        assert (matrix == matrix.T).all()
        assert_alike(matrix[np.ix_(order, order)], permuted[name], 2 * error + 1e-14)
        # Norms and angles are rounded: the angle of points 1e-7 apart has an error of 1e-9.
        assert_alike(matrix, turned[name], 2 * error + 1e-12)


@pytest.mark.parametrize("ntk", NTK)
@pytest.mark.parametrize("act", EVEN)
def test_which_tangent_kernels_tell_opposite_inputs_apart(act: str, ntk: str) -> None:
    """Without trained biases Theta^1_ab = -Theta^1_aa, and the slopes change likewise."""
    x = np.random.default_rng(10).normal(size=(6, 3))
    found, error = matrices(np.concatenate((x, -x)), act, ntk, cb=0.0)
    theta = found["theta"]
    for i in range(len(x)):
        a, b, ab = theta[i, i], theta[i + 6, i + 6], theta[i, i + 6]
        assert a == b
        if ntk == "ntk":
            assert ab == pytest.approx(a, rel=error + 1e-13)
        else:
            assert a - ab > 1e3 * error * a
    assert np.linalg.eigvalsh(theta)[0] > -error * np.trace(theta)


@pytest.mark.parametrize("act", ["abs", "cos", "log(1+z^2)"])
def test_predictions_reach_different_targets_at_opposite_inputs(act: str) -> None:
    x = np.random.default_rng(11).normal(size=(5, 3))
    both, y = np.concatenate((x, -x)), np.arange(10.0)[:, None]
    found = predict(both, y, both, y, act, depth=2, cb=0.0, cw=0.7, ntk="pdlt")
    # The condition of Theta is about 1e3 here, which multiplies its error of 1e-13.
    np.testing.assert_allclose(np.squeeze(found.mean), y[:, 0], atol=1e-8)


# The ends of tables


def test_layers_beyond_the_table_have_their_kinks() -> None:
    """s(z) = c s_1(z/c) for both: K/c^2 and the slopes of the kink at c equal those for 1."""
    c = 1e6
    near = rates("min(abs(z), 1)", norm=1.0, cb=0.0, cw=1.0, depth=2, width=4, samples=0)
    far = rates("min(abs(z), 1e6)", norm=c**2, cb=0.0, cw=1.0, depth=2, width=4, samples=0)
    factor = np.where(near["quantity"] == "weights", c**2, 1.0)
    np.testing.assert_allclose(far["theory"], factor * near["theory"], rtol=1e-13)
    # P(|z| < 1) E[z^2 | |z| < 1] + P(|z| > 1) = 0.516...; the slopes' first factor is 0.6827.
    maps = {
        scale: _core.VarianceMap(activation(f"min(abs(z), {scale!r})").core, 1e-14, 1e8, 1)
        for scale in (1.0, c)
    }
    small = maps[1.0].recursion(0.0, 1.0, 1.0, 5, None)
    large = maps[c].recursion(0.0, 1.0, c**2, 5, None)
    np.testing.assert_allclose(large["k"], c**2 * np.asarray(small["k"]), rtol=1e-13)
    for name in ("chi_par", "chi_perp"):
        np.testing.assert_allclose(large[name], small[name], rtol=1e-12)
    assert (np.asarray(large["error"]) < 1e-12).all()
    second = 1 - math.sqrt(2 / (math.pi * math.e))  # E[min(z^2, 1)]
    assert large["k"][1] == pytest.approx(c**2 * second, rel=1e-13)


@pytest.mark.parametrize("act", ["tanh", "min(abs(z), 1e4)", "silu"])
def test_the_end_of_the_table_is_not_seen(act: str) -> None:
    found = _core.VarianceMap(activation(act).core, 1e-14, 1e8, 1)
    for end in (found.least, found.most):
        inside, outside = (
            found.recursion(0.0, 1.0, end * (1 + side * 1e-12), 2, None)["k"][1] for side in (-1, 1)
        )
        assert inside == pytest.approx(outside, rel=1e-11)
