"""Critical points, fixed points and phases against closed forms, mpmath and brute force."""

import csv
import io
import itertools
import math
import subprocess
import warnings
from pathlib import Path

import mpmath as mp
import numpy as np
import processes
import pytest
from processes import call

from nnth import CATALOGUE, critical, critical_decay, kernel, phase
from nnth._activations.activation import activation
from nnth._criticality.points import critical_points, variance_map

NNTH = str(processes.NNTH)

# The curvature has two kinks, for which E[s s''] changes its sign twice: three critical points.
SEVERAL = "where(z > 0, z - z**2*exp(-z), z + z**2*exp(z))"


def first(act: str) -> dict[str, float]:
    table = critical(act)
    return {name: table[name][0] for name in table}


# Critical points.


@pytest.mark.parametrize(
    ("act", "cb", "cw", "k_star"),
    [
        ("tanh", 0.0, 1.0, 0.0),
        ("sin", 0.0, 1.0, 0.0),
        ("erf", 0.0, math.pi / 4, 0.0),
        # K* = (3 + sqrt 17)/2; the other numbers have 16 digits.
        ("gelu", 0.17292239075606735, 1.983058257437547, (3 + math.sqrt(17)) / 2),
        ("silu", 0.5551431707215304, 1.9880046782694920, 14.320173618025799),
        ("elu:0.5", 0.0, 1.6, 0.0),
        ("hard_tanh", 0.0, 1.0, 0.0),
    ],
)
def test_triples_to_twelve_digits(act: str, cb: float, cw: float, k_star: float) -> None:
    row = first(act)
    assert row["cb"] == pytest.approx(cb, rel=1e-12, abs=1e-13)
    assert row["cw"] == pytest.approx(cw, rel=1e-12)
    assert row["k_star"] == pytest.approx(k_star, rel=1e-12)
    assert row["chi_par"] == pytest.approx(1.0, abs=1e-13)
    assert row["chi_perp"] == 1.0
    assert abs(row["residual"]) < 1e-14


@pytest.mark.parametrize("act", ["mish", "silu"])
def test_half_stable_points_solve_the_three_equations_in_mpmath(act: str) -> None:
    row = first(act)
    with mp.workdps(25):
        k = mp.mpf(row["k_star"])

        def softplus(z: mp.mpf) -> mp.mpf:
            return mp.log1p(mp.exp(z)) if z < 30 else z + mp.exp(-z)

        def s(z: mp.mpf) -> mp.mpf:
            return z * mp.tanh(softplus(z)) if act == "mish" else z / (1 + mp.exp(-z))

        def slope(z: mp.mpf) -> mp.mpf:
            if act == "silu":
                p = 1 / (1 + mp.exp(-z))
                return p + z * p * (1 - p)
            t = mp.tanh(softplus(z))
            return t + z * (1 - t * t) / (1 + mp.exp(-z))

        def mean(f: object) -> mp.mpf:
            q = mp.sqrt(k)
            edges = [q * x for x in range(-12, 13, 2)]
            return mp.quad(lambda z: f(z) * mp.npdf(z, 0, q), edges)  # type: ignore[operator]

        # chi_par by Stein's lemma, E[z s s']/K, which the package does not use.
        chi_par = row["cw"] * mean(lambda z: z * s(z) * slope(z)) / k
        chi_perp = row["cw"] * mean(lambda z: slope(z) ** 2)
        fixed = row["cb"] + row["cw"] * mean(lambda z: s(z) ** 2) - k
    # d chi/dK < 0.1: an error of 1e-12 in K* would change the first two.
    assert abs(chi_par - 1) < 1e-13
    assert abs(chi_perp - 1) < 1e-13
    assert abs(fixed) < 1e-13 * k


def test_the_default_pairs_of_the_catalogue_are_the_first_critical_points() -> None:
    for act in (*CATALOGUE, "leaky_relu:0.3", "elu:0.7"):
        points, _ = critical_points(activation(act), variance_map(activation(act)))
        pair = activation(act).critical
        assert bool(points) == (pair is not None), act
        if pair is not None:
            assert (points[0].cb, points[0].cw) == pytest.approx(pair, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("act", ["relu", "leaky_relu:0.1", "abs", "linear"])
def test_scale_invariant_activations_fix_every_variance(act: str) -> None:
    row = first(act)
    assert row["universality"] == "scale-invariant"
    assert math.isnan(row["k_star"])
    slope = {"relu": 0.0, "leaky_relu:0.1": 0.1, "abs": -1.0, "linear": 1.0}[act]
    assert row["cw"] == pytest.approx(2 / (1 + slope**2), rel=1e-14)


@pytest.mark.parametrize(
    ("act", "note"),
    [
        ("softplus", "chi_par is above chi_perp at every K"),
        ("sigmoid", "C_b = -4 would be negative at K* = 0"),
        ("step", "chi_perp is infinite: the activation jumps"),
        ("relu_power:0.4", "chi_perp is infinite: the activation is continuous, but too steep"),
        ("cos", "chi_par is below chi_perp"),
        ("exp", "chi_par is above chi_perp"),
        ("z+1", "C_b = -1 would be negative"),
        ("1+0*z", "chi_perp is 0"),
    ],
)
def test_what_fails_is_said_in_words(act: str, note: str) -> None:
    table = critical(act)
    assert table.num_rows == 1
    assert table["universality"][0] == "none"
    assert note in table["note"][0]
    assert np.isnan(table["cw"][0])


def test_gelu_and_silu_have_an_unstable_point_at_zero_as_well() -> None:
    for act in ("gelu", "silu"):
        table = critical(act)
        assert table["universality"].tolist() == ["half-stable", "K* = 0"]
        assert table["stability"][1] == "unstable"
        assert (table["cb"][1], table["cw"][1]) == (0.0, pytest.approx(4.0, rel=1e-12))


def test_several_critical_points_are_all_found() -> None:
    table = critical(SEVERAL)
    assert table.num_rows == 3
    # Brute force: the signs of E[s s''] = g' - E[s'^2] on a fine grid.
    k = np.geomspace(1e-6, 1e6, 4000)
    _, slope, curvature = variance_map(activation(SEVERAL)).exact(k)
    crossings = np.flatnonzero(np.diff(np.sign(curvature - slope)))
    found = np.sort(table["k_star"])[1:]
    assert len(crossings) == len(found)
    for at, k_star in zip(crossings, found, strict=True):
        assert k[at] <= k_star <= k[at + 1]


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_scale_of_the_input_is_the_scale_of_the_point(scale: float) -> None:
    """s(z) -> s(c z)/c maps K* to K*/c^2 and does not change C_w."""
    act = f"({scale!r}*z)*sigmoid({scale!r}*z)/{scale!r}"
    row, plain = first(act), first("silu")
    assert row["k_star"] * scale**2 == pytest.approx(plain["k_star"], rel=1e-12)
    assert row["cw"] == pytest.approx(plain["cw"], rel=1e-12)


@pytest.mark.parametrize("act", ["relu(z-1)", "max(abs(z)-1,0)"])
def test_kinks_at_zeros_make_every_variance_critical_for_its_own_pair(act: str) -> None:
    table = critical(act)
    assert table["universality"].tolist() == ["family"]
    assert "every K* is critical" in table["note"][0]
    with pytest.raises(ValueError, match="has a family"):
        critical_decay(act)


# E[s s''] of a polynomial of degree 4 is a polynomial of degree 3 in K.


def quartic(first: str) -> str:
    return f"{first}-1.0307524934780634*z+z**2+0.26299556396765833*z**3-0.05*z**4"


def zeros_of_quartic(first: str) -> list[mp.mpf]:
    """Return the K > 0 with E[s s''] = 0 to 40 digits."""
    with mp.workdps(40):
        a = [mp.mpf(c) for c in (first, "-1.0307524934780634", "1", "0.26299556396765833", "-0.05")]
        second = [(n + 2) * (n + 1) * a[n + 2] for n in range(3)]
        moments = {n: mp.mpf(1) if n == 0 else mp.fac2(n - 1) for n in range(0, 8, 2)}
        c = [mp.mpf(0)] * 4
        for i, x in enumerate(a):
            for j, y in enumerate(second):
                if (i + j) % 2 == 0:
                    c[(i + j) // 2] += x * y * moments[i + j]
        with warnings.catch_warnings():  # newer releases of the library have the order reversed
            warnings.simplefilter("ignore", DeprecationWarning)
            roots = mp.polyroots(c[::-1], maxsteps=200, extraprec=200)
        return sorted(mp.re(r) for r in roots if abs(mp.im(r)) < mp.mpf("1e-25") and mp.re(r) > 0)


@pytest.mark.parametrize(
    ("constant", "near"),
    [("0.0224", 2), ("0.022499", 2), ("0.02249999999", 2), ("0.022499999999000004", 2)],
)
def test_zeros_close_to_one_another_are_found_apart(constant: str, near: int) -> None:
    table = critical(quartic(constant))
    exact = zeros_of_quartic(constant)
    found = np.sort(table["k_star"])
    assert len([k for k in exact if 0.5 < k < 2]) == near
    here = found[(found > 0.5) & (found < 2)].tolist()
    assert len(here) == near
    for k in here:
        nearest = min(exact, key=lambda x: abs(x - k))
        error = table["error"][table["k_star"] == k][0]
        assert abs(k - nearest) <= error * k
        assert error < 1e-6
    assert len(set(table["note"])) == 1


@pytest.mark.parametrize("constant", ["0.0225", "0.02250000000001", "0.02249999999999999"])
def test_a_zero_without_change_of_sign_has_a_note(constant: str) -> None:
    table = critical(quartic(constant))
    (row,) = np.flatnonzero((table["k_star"] > 0.5) & (table["k_star"] < 2))
    assert "E[s s''] is 0 within its error" in table["note"][row]
    assert abs(table["k_star"][row] - 1.0) <= table["error"][row] < 1e-5


def test_where_zeros_have_merged_there_is_none() -> None:
    table = critical(quartic("0.0226"))
    assert not ((table["k_star"] > 0.5) & (table["k_star"] < 2)).any()


@pytest.mark.parametrize("act", ["gelu", "silu", "mish", SEVERAL])
def test_k_star_is_within_its_error_of_mpmath(act: str) -> None:
    # E[s s''] in high precision changes its sign between the ends of the interval.
    functions = {
        "gelu": lambda z: z * mp.ncdf(z),
        "silu": lambda z: z / (1 + mp.exp(-z)),
        "mish": lambda z: z * mp.tanh(mp.log1p(mp.exp(z))),
        SEVERAL: lambda z: z - z**2 * mp.exp(-z) if z > 0 else z + z**2 * mp.exp(z),
    }
    s = functions[act]
    table = critical(act)
    with mp.workdps(30):

        def excess(k: mp.mpf) -> mp.mpf:
            q = mp.sqrt(k)
            edges = [q * x for x in (-13, -9, -6, -4, -2, -1, 0, 1, 2, 4, 6, 9, 13)]

            def integrand(z: mp.mpf) -> mp.mpf:
                return s(z) * mp.diff(s, z, 2) * mp.npdf(z, 0, q) if z else mp.mpf(0)

            return mp.quad(integrand, edges)

        for k, error in zip(table["k_star"].tolist(), table["error"].tolist(), strict=True):
            if k == 0.0:
                continue
            assert error < 1e-11
            low, high = (excess(mp.mpf(k) * (1 + side * mp.mpf(error))) for side in (-1, 1))
            assert low * high < 0


# Decay.


@pytest.mark.parametrize(
    ("act", "decay", "coefficient", "p_perp"),
    [
        # E[s^2] = s1^2 K + (s1 s3 + 3 s2^2/4) K^2: a = -2 for tanh, -1 for sin, -2 for erf.
        ("tanh", "1/l", 1 / 2, 1.0),
        ("sin", "1/l", 1.0, 1.0),
        ("erf", "1/l", 1 / 2, 1.0),
        # E[elu^2] = K - sqrt(2/pi) K^(3/2) + ...
        ("elu", "1/l^2", 2 * math.pi, 2.0),
        ("hard_tanh", "1/log(l)", 1 / 2, math.nan),
    ],
)
def test_leading_decays(act: str, decay: str, coefficient: float, p_perp: float) -> None:
    row = first(act)
    assert row["decay"] == decay
    assert row["coefficient"] == pytest.approx(coefficient, rel=1e-9)
    assert row["p_perp"] == pytest.approx(p_perp, rel=1e-8, nan_ok=True)


def test_a_flatter_activation_decays_as_the_root_of_depth() -> None:
    # (z - z^5 + ...)^2 = z^2 - 2 z^6: C_w g = K - 30 K^3, K^2 = 1/(2 * 30 l).
    row = first("z - z**5*exp(-z*z)")
    assert row["decay"] == "1/l^0.5"
    assert row["coefficient"] == pytest.approx(60**-0.5, rel=1e-8)


@pytest.mark.parametrize(
    ("act", "stability", "decay", "coefficient"),
    [
        # A function with a smaller scale near 0, which is invisible at larger z.
        ("z+0.0001*tanh(100*z)+0.001*z**3", "stable", "1/l", None),
        ("z-0.001*tanh(z)+0.0005*tanh(2*z)", "stable", "1/l", 500 / 3),
        # The deviation is below 2 % everywhere.
        ("z-0.01*relu(z-3)+0.01*relu(-z-3)", "stable", "1/log(l)", 4.5),
        ("relu(z)-0.01*relu(z-3)", "stable", "1/log(l)", 4.5),
        ("min(max(z,-5000),5000)", "stable", "1/log(l)", 1.25e7),
        ("z+relu(z-1)-relu(-z-1)", "unstable", "", None),
    ],
)
def test_decays_that_are_hard_to_see(
    act: str, stability: str, decay: str, coefficient: float | None
) -> None:
    row = first(act)
    assert (row["k_star"], row["stability"], row["decay"]) == (0.0, stability, decay)
    if coefficient is not None:
        assert row["coefficient"] == pytest.approx(coefficient, rel=1e-6)


@pytest.mark.parametrize("act", ["z-0.1*z*abs(z)**0.5/(1+z**2)", "tanh(z*1e9)"])
def test_a_decay_that_is_not_resolved_is_not_stated(act: str) -> None:
    row = first(act)
    assert row["note"] == "the decay is not resolved"
    assert math.isnan(row["coefficient"])
    assert row["decay"] == ""


def test_tanh_along_a_million_layers_to_the_next_order() -> None:
    table = critical_decay("tanh", depth=10**6)
    k, layer = table["k"], table["layer"].astype(float)
    # C_w g = K - 2 K^2 + (17/3) K^3: 1/K = 2 l - (5/6) log l + c + O(log l/l).
    constant = 1 / k - 2 * layer + 5 / 6 * np.log(layer)
    # Rounding accumulates to a relative 2e-10 of 1/K = 2e6. Without the logarithm this would be
    # 0.58.
    assert abs(constant[-1] - constant[len(k) // 2]) < 1e-3
    assert table["error"][-1] < 1e-8
    # The error of the stated asymptotes is the constant, relative to c K.
    for name, miss in (("asymptote", 13.0), ("next_order", 2.0)):
        off = abs(table[name][-1] / k[-1] - 1)
        assert off < miss * k[-1]
    assert abs(table["asymptote"][-1] / k[-1] - 1) > 12 * k[-1]


@pytest.mark.parametrize("act", ["tanh", "elu", "gelu"])
def test_layers_agree_with_the_kernel_command(act: str) -> None:
    table = critical_decay(act, depth=60, norm=3.0)
    layers = kernel(act, depth=60, norm=3.0)
    assert table["k"] == pytest.approx(layers["k_aa"], rel=1e-11)
    assert table["chi_par"] == pytest.approx(layers["chi_par"], rel=1e-10)
    assert table["chi_perp"] == pytest.approx(layers["chi_perp"], rel=1e-10)


def test_gelu_comes_to_its_point_from_above_only() -> None:
    from_above = critical_decay("gelu", depth=10**6, norm=4.0)
    point = first("gelu")
    distance = from_above["distance"][-1]
    # |K - K*| ~ coefficient/l; the logarithm still contributes some per cent at a million layers.
    assert distance * 10**6 == pytest.approx(point["coefficient"], rel=0.05)
    assert abs(from_above["next_order"][-1] - from_above["k"][-1]) < 0.1 * distance
    below = critical_decay("gelu", depth=10, norm=1.0)
    assert np.isnan(below["asymptote"]).all()


# Fixed points and phases.


def test_relu_power_has_two_fixed_points_or_none() -> None:
    # K = C_b + (3/2) C_w K^2.
    table = phase("relu_power:2", cw=np.linspace(0.1, 2, 23), cb=np.linspace(0, 1, 19))
    for cw in np.unique(table["cw"]):
        for cb in np.unique(table["cb"]):
            rows = (table["cw"] == cw) & (table["cb"] == cb)
            discriminant = 1 - 6 * cw * cb
            if abs(discriminant) < 1e-9:  # the curves touch: see the next test
                continue
            if discriminant < 0:
                assert table["phase"][rows].tolist() == ["no fixed point"]
                continue
            root = math.sqrt(discriminant)
            expected = [2 * cb / (1 + root), (1 + root) / (3 * cw)]
            assert table["k_star"][rows] == pytest.approx(expected, rel=1e-12, abs=1e-300)
            assert table["stability"][rows].tolist() == ["stable", "unstable"]


def test_a_tangent_fixed_point_is_found_once() -> None:
    table = phase("relu_power:2", cw=0.5, cb=1 / 3)  # 6 C_w C_b = 1: K = 2/3
    assert table["k_star"] == pytest.approx([2 / 3], rel=1e-6)
    assert table["error"][0] < 1e-5


@pytest.mark.parametrize(("shift", "count"), [(1e-3, 2), (1e-6, 2), (-1e-3, 0), (-1e-6, 0)])
def test_fixed_points_near_a_tangent_one(shift: float, count: int) -> None:
    """relu(z - 1) at C_w g'(5) = 1, where E[s^2] at small variances is hard to integrate."""
    (square,), _, (slope,) = variance_map(activation("relu(z-1)")).exact([5.0])
    table = phase("relu(z-1)", cw=1 / slope, cb=5 - square / slope - shift)
    assert np.isfinite(table["k_star"]).sum() == count


def test_relu_phases() -> None:
    table = phase("relu", cw=[1.0, 2.0, 3.0], cb=[0.0, 0.5])
    rows = list(zip(*(table[c].tolist() for c in ("cw", "cb", "phase", "stability")), strict=True))
    assert rows == [
        (1.0, 0.0, "ordered", "stable"),
        (1.0, 0.5, "ordered", "stable"),
        (2.0, 0.0, "critical", "neutral"),
        (2.0, 0.5, "no fixed point", ""),
        (3.0, 0.0, "chaotic", "unstable"),
        (3.0, 0.5, "no fixed point", ""),
    ]
    assert table["k_star"][1] == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(
    "act",
    [
        "tanh",
        "gelu",
        "silu",
        "mish",
        "exp",
        "gaussian",
        "cos",
        SEVERAL,
        "z*z*exp(-z*z/9)",
        pytest.param("3*sin(2*z)+z", marks=pytest.mark.slow),
        pytest.param("tanh(100*(z-3))", marks=pytest.mark.slow),
    ],
)
def test_no_fixed_point_is_missed(act: str) -> None:
    """The fixed points are those of the sign changes of C_b + C_w g(K) - K on a fine grid."""
    weights, biases = np.geomspace(0.05, 30, 25), np.array([0.0, 1e-3, 0.1, 1.0])
    table = phase(act, cw=weights, cb=biases)
    reach = variance_map(activation(act)).most
    k = np.geomspace(1e-10, min(1e6, reach), 3000)
    square, _, _ = variance_map(activation(act)).exact(k)
    most = 0
    for cw in weights:
        for cb in biases:
            rows = (table["cw"] == cw) & (table["cb"] == cb)
            inside = rows & (table["k_star"] > k[0]) & (table["k_star"] < k[-1])
            lack = k - cb - cw * square
            crossings = np.flatnonzero(np.diff(np.sign(lack)))
            # Two fixed points between neighboring points of the grid do not change the sign there.
            assert inside.sum() >= len(crossings)
            assert (inside.sum() - len(crossings)) % 2 == 0
            for at in crossings:
                found = table["k_star"][inside]
                assert ((found >= k[at] * (1 - 1e-9)) & (found <= k[at + 1] * (1 + 1e-9))).any()
            most = max(most, rows.sum())
    assert np.nanmax(np.abs(table["residual"])) < 2e-14
    if act in ("gelu", "exp", SEVERAL, "3*sin(2*z)+z", "z*z*exp(-z*z/9)"):
        assert most >= 2


@pytest.mark.parametrize("act", ["hard_tanh", "tanh", "z/(1+z*z*1e-3)", "elu"])
def test_a_critical_zero_is_one_fixed_point(act: str) -> None:
    """Near it variances change by less than rounding, and do not count as fixed."""
    table = phase(act, cw=1.0, cb=0.0)
    assert table["k_star"].tolist() == [0.0]
    assert table["stability"].tolist() == ["marginal"]
    assert table["phase"].tolist() == ["critical"]


def test_chi_at_a_fixed_point_is_the_kernels() -> None:
    table = phase("tanh", cw=2.5, cb=0.1)
    (k,) = table["k_star"]
    layer = kernel("tanh", depth=1, cw=2.5, cb=0.1, norm=(k - 0.1) / 2.5)
    assert layer["k_aa"] == pytest.approx([k, k], rel=1e-12)
    assert table["chi_perp"][0] == pytest.approx(layer["chi_perp"][0], rel=1e-12)
    assert table["phase"][0] == "chaotic"


# Correlations.


@pytest.mark.parametrize(
    ("cw", "cb", "c_star", "xi_c"),
    [
        # Poole et al. (2016), fig. 2, and Schoenholz et al. (2017), fig. 5, by 200-point
        # Gauss-Hermite sums of their equations, which are correct to 3 digits at C_w = 16.
        (2.5, 0.05, 0.44680423, 11.796),
        (6.25, 0.09, 0.12210373, 5.109),
        (16.0, 0.09, 0.02967, 3.633),
        (1.3, 0.05, 1.0, 7.8340692685),
    ],
)
def test_published_correlations_and_depth_scales(
    cw: float, cb: float, c_star: float, xi_c: float
) -> None:
    table = phase("tanh", cw=cw, cb=cb)
    assert table["c_star"] == pytest.approx([c_star], abs=5e-8 if cw < 16 else 3e-5)
    assert table["xi_c"] == pytest.approx([xi_c], rel=1e-4 if cw < 16 else 2e-3)
    assert table["c_error"][0] < 1e-12


def test_c_star_and_chi_of_tanh_by_a_rule_of_its_own() -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    table = phase("tanh", cw=[2.5, 4.0], cb=[0.02, 0.3])
    for k, c, chi, cw, cb in zip(
        *(table[n].tolist() for n in ("k_star", "c_star", "chi_c", "cw", "cb")), strict=True
    ):
        x, y = np.meshgrid(nodes, nodes)
        w = np.outer(weights, weights)
        a = math.sqrt(k) * x
        b = math.sqrt(k) * (c * x + math.sqrt(1 - c * c) * y)
        # tanh has poles at i pi/2: 120 points give 9 digits at K = 2.
        assert (cb + cw * (w * np.tanh(a) * np.tanh(b)).sum()) / k == pytest.approx(c, abs=1e-7)
        slopes = (1 - np.tanh(a) ** 2) * (1 - np.tanh(b) ** 2)
        assert cw * (w * slopes).sum() == pytest.approx(chi, abs=1e-6)


@pytest.mark.parametrize(
    ("act", "cw", "cb"),
    [
        ("tanh", 1.2, 0.001),
        ("erf", 3.0, 0.1),
        ("erf", 2.0, 0.02),
        ("hard_tanh", 1.8, 0.05),
        ("sin", 2.0, 0.1),
        ("gelu", 2.2, 0.02),
        ("step", 1.0, 0.3),
        ("relu(z)-0.3*relu(z-2)", 2.2, 0.0),
        ("sigmoid(z)-0.5", 40.0, 0.1),
        ("cos", 3.0, 0.0),
        ("max(min(z,1),-0.5)", 1.71, 0.01),
        ("2*sigmoid(3*z)-1+0.1*step(z)", 1.0, 0.01),
        ("elu", 1.3, 0.0),
    ],
)
def test_c_star_is_fixed_by_the_kernels_of_two_inputs(act: str, cw: float, cb: float) -> None:
    table = phase(act, cw=cw, cb=cb)
    seen = 0
    for k, c, chi, error, perp in zip(
        *(table[n].tolist() for n in ("k_star", "c_star", "chi_c", "c_error", "chi_perp")),
        strict=True,
    ):
        if not perp > 1.0 or k == 0.0:
            continue
        seen += 1
        layer = kernel(act, depth=1, cw=cw, cb=cb, norm=(k - cb) / cw, rho=(c * k - cb) / (k - cb))
        # |F(c) - c| = (1 - chi) |c - c*|, plus the error of the kernel.
        slack = 2.0 * error + layer["error"][1] + 4e-15
        assert abs(layer["corr"][1] - c) <= slack
        assert 0.0 <= c < 1.0
        assert chi < 1.0
        if c > 0.0:
            product = (layer["theta_ab"][1] - layer["k_ab"][1]) / layer["k_ab"][0]
            assert chi == pytest.approx(product, rel=1e-7)
    assert seen


def test_the_correlation_depth_diverges_on_both_sides_of_the_edge() -> None:
    # The boundary at C_b = 0.05 is at C_w = 1.7609546396 (Schoenholz et al. 2017).
    edge = 1.76095463962
    for step in (1e-2, 1e-4, 1e-6):
        table = phase("tanh", cw=[edge - step, edge + step], cb=0.05)
        below, above = table["xi_c"]
        assert table["phase"].tolist() == ["ordered", "chaotic"]
        # Below, chi - 1 is proportional to the step; above, 1 - c* is of first order, and 1 -
        # chi(c*) equals it.
        assert above == pytest.approx(below, rel=0.1)
        # chi_perp grows by 0.214 per unit of C_w there, by a difference quotient of the rows.
        assert below * step == pytest.approx(4.67, rel=0.05)
        assert 0.0 < 1.0 - table["c_star"][1] < 20.0 * step


@pytest.mark.parametrize(
    ("act", "cw", "cb", "c_star"),
    [
        ("tanh", 0.9, 0.0, [1.0]),
        ("tanh", 2.0, 0.0, [math.nan, 0.0]),
        ("relu", 2.0, 0.0, [1.0]),
        ("linear", 1.0, 0.0, [math.nan]),
        ("linear", 0.5, 0.1, [1.0]),
        ("relu", 3.0, 0.1, [math.nan]),
    ],
)
def test_correlations_at_the_ends(act: str, cw: float, cb: float, c_star: list[float]) -> None:
    table = phase(act, cw=cw, cb=cb)
    assert table["c_star"] == pytest.approx(c_star, nan_ok=True, abs=1e-15)
    ordered = table["c_star"] == 1.0
    assert (table["chi_c"][ordered] == table["chi_perp"][ordered]).all()


def test_a_row_does_not_depend_on_the_other_rows() -> None:
    grid = phase("tanh", cw=np.linspace(1.5, 3.0, 7), cb=np.linspace(0.01, 0.4, 5))
    row = phase("tanh", cw=np.linspace(1.5, 3.0, 7)[4], cb=np.linspace(0.01, 0.4, 5)[2])
    here = (grid["cw"] == row["cw"][0]) & (grid["cb"] == row["cb"][0])
    for name in ("k_star", "c_star", "chi_c", "xi_c", "c_error"):
        assert grid[name][here].tolist() == row[name].tolist()


@pytest.mark.threads
def test_threads_make_no_difference() -> None:
    grid = {"cw": np.linspace(0.5, 3, 9), "cb": np.linspace(0, 0.5, 7)}
    texts = {phase("silu", threads=threads, **grid).to_csv() for threads in (1, 2, 3, 7)}
    assert len(texts) == 1


# The commands.


def test_the_promised_columns_come_first(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call("critical", "--act", "gelu").stdout)))
    assert list(rows[0])[:6] == ["cb", "cw", "k_star", "chi_par", "chi_perp", "universality"]
    picture = tmp_path / "phase.png"
    done = call("phase", "--cw", "lin:0.5:3:20", "--cb", "lin:0:0.5:20", "--plot", picture)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    promised = ["cw", "cb", "k_star", "chi_par", "chi_perp", "xi_q", "xi_c", "phase"]
    assert list(rows[0])[:8] == promised
    assert {row["phase"] for row in rows} == {"ordered", "chaotic"}
    assert picture.stat().st_size > 10_000
    done = call("critical", "decay", "--depth", 100, "--plot", tmp_path / "depth.svg")
    assert len(done.stdout.splitlines()) == 102
    assert (tmp_path / "depth.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["critical", "--act", "tanhh"], "did you mean tanh?"),
        (["critical", "--norm", "2"], "o such option: --norm"),
        (["critical", "points", "--plot", "x.png"], "o such option: --plot"),
        (["critical", "decay", "--depth", "0"], "depth must be at least 1, not 0"),
        (["critical", "decay", "--norm", "-1"], "norm must be finite and at least 0"),
        (["critical", "decay", "--act", "softplus"], "softplus has none: no change of sign"),
        (["phase", "--cw", "lin:1:2"], "must be finite numbers, as in 1,2,4"),
        (["phase", "--cw", "1", "--cb", "0", "--plot", "x.png"], "with several --cw or --cb"),
        (["phase", "--cw", "3:1:5"], "the range 3:1:5 has no values"),
        (["phase", "--cw", "-1"], "cw must be finite and at least 0, not -1"),
        (["phase", "--cb", "lin:0:nan:5"], "must be finite numbers, as in 1,2,4"),
        (["phase", "--cw", "lin:0:1:10000", "--cb", "lin:0:1:10000"], "at most 10000000 pairs"),
    ],
)
def test_bad_input_is_named(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = subprocess.run([NNTH, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_input_has_norm_1_unless_it_is_given() -> None:
    k = critical_decay("tanh", depth=2)["k"].tolist()
    assert k == critical_decay("tanh", depth=2, norm=1.0)["k"].tolist()
    assert k[0] == 1.0  # C_b + C_w norm = 0 + 1


def test_the_picture_of_phases_has_the_critical_point_and_the_edge() -> None:
    weights, biases = np.linspace(0.5, 3.0, 6), np.linspace(0.0, 0.5, 6)
    table = phase("tanh", cw=weights, cb=biases)
    picture = table.drawing
    ((_, cw, cb),) = picture.marks
    assert (cw, cb) == pytest.approx((1.0, 0.0), abs=1e-9)  # on the border
    (label, x, y), *_ = picture.curves
    assert "chi_\\perp = 1" in label
    shown = np.flatnonzero((x > 1.1) & (x < 2.5))[::25]
    assert len(shown) > 3
    for i in shown:
        assert np.abs(phase("tanh", cw=[x[i]], cb=[y[i]])["chi_perp"] - 1.0).min() < 1e-9
    for (i, b), (j, w) in itertools.product(enumerate(biases), enumerate(weights)):
        here = (table["cb"] == b) & (table["cw"] == w) & (table["stability"] != "unstable")
        least = table["chi_perp"][here][0]
        assert picture.values[i, j] == pytest.approx(np.log(least), abs=1e-12)
