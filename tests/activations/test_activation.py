"""Activations: their values and derivatives, their kinks and jumps, and their expectations."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from problems import CATALOGUE, NASTY, Exact, product, square

from nnth._activations.activation import activation
from nnth._activations.catalogue import CATALOGUE as NAMES
from nnth._kernels.kernel import kernel


def test_the_catalogue_is_covered() -> None:
    assert {name.partition(":")[0] for name in CATALOGUE} == set(NAMES)


@pytest.mark.parametrize("act", CATALOGUE)
def test_value_and_derivatives_are_exact(act: str) -> None:
    known = CATALOGUE[act]
    points = np.random.default_rng(7).uniform(-9, 9, 25)
    points = points[[min([abs(z - k) for k in known.kinks], default=9) > 0.01 for z in points]]
    jets = activation(act).core.evaluate(points)
    with mp.workdps(60):
        for i, z in enumerate(points):
            for order, jet in enumerate(jets):
                exact = mp.diff(known.exact, mp.mpf(z), order) if order else known.exact(mp.mpf(z))
                # The value takes a dozen rounded operations, and in the tails differences from 1
                # are absolute.
                assert abs(jet[i] - exact) <= 1e-14 * abs(exact) + 5e-15, (z, order)


@pytest.mark.parametrize("act", ["relu", "leaky_relu:-0.3", "abs", "step", "elu:0.5", "hard_tanh"])
def test_at_a_kink_value_and_slope_are_the_mean_of_both_sides(act: str) -> None:
    core = activation(act).core
    for z in CATALOGUE[act].kinks:
        here, left, right = (core.evaluate([z + side])[:2] for side in (0.0, -1e-14, 1e-14))
        for middle, below, above in zip(here, left, right, strict=True):
            # The sides are 1e-14 away, where a function with a slope of order 1 differs by as much.
            assert middle[0] == pytest.approx((below[0] + above[0]) / 2, abs=1e-13)


@pytest.mark.parametrize("reach", [64.0, 3000.0])
@pytest.mark.parametrize("act", CATALOGUE)
def test_catalogue_breaks_where_it_is_not_smooth_and_nowhere_else(act: str, reach: float) -> None:
    assert activation(act).core.breaks(reach) == list(CATALOGUE[act].kinks)


@pytest.mark.parametrize(
    ("act", "at"),
    [
        ("max(z-0.3,0)", [0.3]),
        ("abs(z-1/3)", [1 / 3]),
        ("where(z<0.7, z, 2*z)", [0.7]),
        ("step(z-0.1)+tanh(z)", [0.1]),
        ("step(z*z-2)", [-(2**0.5), 2**0.5]),
        ("max(min(z,1e-9),0)", [0.0, 1e-9]),
        ("z*exp(-abs(z))", [0.0]),
        ("abs(z-20)+abs(z+5)", [-5.0, 20.0]),
        ("relu(z-63.99)", [63.99]),
        ("where(z>0.5, where(z<0.6, 1, 0), 0)", [0.5, 0.6]),
    ],
)
def test_breaks_of_expressions_are_found(act: str, at: list[float]) -> None:
    # Kinks are found by halving down to 2^-50 of the distance from 0, or to 2^-60; beside an edge
    # of the halving the error is the ratio 16 of the samples there, times 2^-51.
    np.testing.assert_allclose(activation(act).core.breaks(64.0), at, rtol=1e-14, atol=2e-18)


@settings(max_examples=60)
@example(at=8.135582449671407, jump=False)  # beside an edge of the halving
@given(at=st.floats(-60, 60).filter(lambda z: abs(z) > 1e-9), jump=st.booleans())
def test_a_break_is_found_wherever_it_is(at: float, jump: bool) -> None:
    act = f"{'step' if jump else 'relu'}(z-({at!r}))"
    np.testing.assert_allclose(activation(act).core.breaks(64.0), [at], rtol=1e-14, atol=2e-18)


@pytest.mark.parametrize(
    "act",
    [
        "tanh(50*z)",
        "sigmoid(1000*z)",
        "tanh(1e4*(z-0.3))",
        "tanh(1e6*z)",
        "exp(-(z-0.3)**2)",
        "exp(-10000*(z-0.5)**2)",
        "sin(20*z)",
        "z**3",
        "1/(1+z**2)",
        "1/(1+1e8*(z-3)**2)",
        "Phi(30*(z-0.7))",
        "log(1+exp(z))",
        "sqrt(1+z*z)",
        "atan(1e5*(z-0.7))",
    ],
)
def test_smooth_expressions_have_no_breaks_however_steep(act: str) -> None:
    assert activation(act).core.breaks(64.0) == []


@pytest.mark.parametrize("act", NASTY)
def test_expectations_of_nasty_expressions(act: str) -> None:
    cb = 0.1
    k, rho = 1.3 + cb, (0.65 + cb) / (1.3 + cb)
    table = kernel(act, depth=1, cb=cb, cw=1.3)
    if NASTY[act].slopes:  # the largest error is that of the slope of z^0.75 beside its singularity
        assert table["error"][1] < 1e-7
    # The rules of problems.py have an error of about 1e-12 themselves.
    k_aa, k_ab = cb + 1.3 * square(NASTY[act], k), cb + 1.3 * product(NASTY[act], k, rho)
    assert table["k_aa"][1] == pytest.approx(k_aa, rel=1e-12)
    assert table["k_ab"][1] == pytest.approx(k_ab, rel=1e-11, abs=1e-11 * k_aa)


@pytest.mark.parametrize("act", ["tanh(100*(z-3))", "sin(20*z)", "max(z-0.3,0)**1.5", "step(z-1)"])
def test_one_input_by_mpmath(act: str) -> None:
    exact: Exact = {
        "tanh(100*(z-3))": lambda z: mp.tanh(100 * (z - 3)),
        "sin(20*z)": lambda z: mp.sin(20 * z),
        "max(z-0.3,0)**1.5": lambda z: max(z - mp.mpf(0.3), 0) ** 1.5,
        "step(z-1)": lambda z: mp.mpf(z > 1),
    }[act]
    cuts = [-10, *np.arange(-3, 4, 0.25), 0.3, 1.0, 2.9, 2.97, 3.03, 3.1, 10]
    with mp.workdps(20):
        value = mp.quad(lambda z: exact(z) ** 2 * mp.npdf(z), sorted(cuts))
    assert kernel(act, depth=1, cw=1.0)["k_aa"][1] == pytest.approx(float(value), rel=1e-13)


# E[s'^2] where s has an integrable singularity: p^2 E[z^(2p - 2); z > 0] for the power p.
@pytest.mark.parametrize("power", [0.75, 1.5, 2.5])
def test_slopes_of_fractional_powers(power: float) -> None:
    table = kernel(f"relu_power:{power}", depth=1, cw=1.0)

    def half_moment(m: float) -> float:  # E[z^m; z > 0]
        return float(2 ** (m / 2 - 1) * mp.gamma((m + 1) / 2) / mp.sqrt(mp.pi))

    slope, square_ = power**2 * half_moment(2 * power - 2), half_moment(2 * power)
    error = max(1e-13, 10 * table["error"][1])  # the last panel at 0 is 2^-60 wide, not 0
    assert error < 1e-10
    assert table["k_aa"][1] == pytest.approx(square_, rel=1e-13)
    assert table["chi_perp"][0] == pytest.approx(slope, rel=error)
    assert table["theta_aa"][1] == pytest.approx(square_ + slope, rel=error)
    assert table["chi_par"][0] == pytest.approx(power * square_, rel=error)  # E[s^2] ~ k^p


def test_a_square_root_has_a_kernel_although_its_slope_has_no_square() -> None:
    table = kernel("sqrt(abs(z))", depth=1, cw=1.0)
    assert table["chi_par"][0] == pytest.approx((2 * np.pi) ** -0.5, rel=1e-13)  # d/dk of E|z|
    assert np.isfinite(table["theta_ab"][1])


@pytest.mark.parametrize(
    ("written", "same"),
    [("1/(1+exp(-z))", "sigmoid"), ("z/(1+exp(-z))", "silu"), ("z*tanh(log(1+exp(z)))", "mish")],
)
def test_an_overflow_that_does_not_show_does_no_harm(written: str, same: str) -> None:
    """exp(1000) is infinite, but the activation and its derivatives are finite."""
    z = np.array([-1e4, -1e3, -30.0, 1.0, 30.0, 1e3, 1e4])
    jets = zip(activation(written).core.evaluate(z), activation(same).core.evaluate(z), strict=True)
    for ours, theirs in jets:
        # The error of log(1 + x) is absolute.
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    a, b = (kernel(act, depth=3, cb=0.1, cw=1.5, norm=1e4) for act in (written, same))
    assert set(a["status"]) == {"ok"}
    for name in ("k_ab", "theta_ab", "chi_par", "chi_perp"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-12)


@pytest.mark.parametrize("act", ["log(abs(z))", "1/z", "abs(z)**-0.25"])
def test_a_pole_is_not_called_ok(act: str) -> None:
    table = kernel(act, depth=2, cw=1.0)
    for name in ("k_aa", "k_ab", "theta_aa", "theta_ab"):
        assert not (np.isnan(table[name]) & (table["status"] == "ok")).any()
    assert table["status"][-1] != "ok"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("sqrt(z)", "numbers wherever the kernel reaches"),
        ("log(z)", "numbers wherever the kernel reaches"),
        ("sin(1e5*z)", "oscillates too fast near z = "),
        ("abs(sin(40*z))", "at most 64 kinks and jumps"),
    ],
)
def test_what_cannot_be_integrated_is_refused(act: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        kernel(act, depth=1, cw=1.0)
    assert str(error.value).startswith("act ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            "rleu",
            "act must be a known activation or an expression in z, not 'rleu'; did you mean relu?",
        ),
        (
            "SILU",
            "act must be a known activation or an expression in z, not 'SILU'; did you mean silu?",
        ),
        (
            "leaky_rel:0.1",
            "act must be a known activation or an expression in z, not 'leaky_rel:0.1'; did you "
            "mean leaky_relu?",
        ),
        ("leaky_relu:", "act leaky_relu: must have a number after the colon, or no colon"),
        ("relu:", "act relu takes no parameter, not ''"),
        ("", "act must be an expression in z, not ''"),
        ("relu:0.1", "act relu takes no parameter, not '0.1'"),
        ("leaky_relu:x", "act leaky_relu's parameter must be a finite number, not 'x'"),
        ("leaky_relu:inf", "act leaky_relu's parameter must be a finite number, not 'inf'"),
        ("relu_power:0", "act relu_power must have a power above 0 and at most 20, not 0"),
        ("relu_power:21", "act relu_power must have a power above 0 and at most 20, not 21"),
        ("tanh(y)", "act must not contain 'y'; the variable is z"),
    ],
)
def test_what_is_no_activation_is_refused(act: str, message: str) -> None:
    with pytest.raises(ValueError, match="act ") as error:
        activation(act)
    assert str(error.value) == message


def test_parameters_and_defaults() -> None:
    assert activation("leaky_relu").parameter == 0.01
    assert activation(" leaky_relu:-0.3 ").parameter == -0.3
    assert activation("relu_power:3").form == "relu_power"
    assert activation("relu_power:2.5").form == "relu_power"
    assert activation("relu_power:1").critical == activation("relu").critical
