"""Hermite coefficients against closed forms and mpmath; positive definiteness on matrices."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

from nnth import gram, hermite, hermite_dual

Floats = NDArray[np.float64]


def relu(k: int) -> mp.mpf:
    """Return the coefficient a_k of ReLU (Daniely et al. 2016, Section 8)."""
    if k < 2:
        return [1 / mp.sqrt(2 * mp.pi), mp.mpf(1) / 2][k]
    if k % 2:
        return mp.mpf(0)
    return (-1) ** (k // 2 - 1) * mp.fac2(k - 3) / mp.sqrt(2 * mp.pi * mp.factorial(k))


def absolute(k: int) -> mp.mpf:
    return mp.mpf(0) if k % 2 else 2 * relu(k)


def step(k: int) -> mp.mpf:
    """Return a_k of the step, since h_k' = sqrt(k) h_(k-1): phi(0) h_(k-1)(0)/sqrt(k)."""
    if k % 2 == 0:
        return mp.mpf(1) / 2 if k == 0 else mp.mpf(0)
    return (-1) ** ((k - 1) // 2) * mp.fac2(k - 2) / mp.sqrt(2 * mp.pi * mp.factorial(k))


def erf(k: int) -> mp.mpf:
    """At q^2 = 2, by E[exp(-a z^2) He_2j] = (2j)!/j! (-a/(1 + 2a))^j/sqrt(1 + 2a), a = q^2."""
    if k % 2 == 0:
        return mp.mpf(0)
    j, a = k // 2, mp.mpf(2)
    mean = mp.factorial(2 * j) / mp.factorial(j) * (-a / (1 + 2 * a)) ** j / mp.sqrt(1 + 2 * a)
    return 2 * mp.sqrt(a / mp.pi) * mean / mp.sqrt(mp.factorial(k))


@pytest.mark.parametrize(
    ("act", "exact", "variance"),
    [("relu", relu, 1.0), ("abs", absolute, 1.0), ("step", step, 1.0), ("erf", erf, 2.0)],
)
@pytest.mark.parametrize("terms", [12, 1000])
def test_closed_forms(
    act: str, exact: Callable[[int], mp.mpf], variance: float, terms: int
) -> None:
    with mp.workdps(30):
        expected = np.array([float(exact(k)) for k in range(terms)])
    table = hermite(act, terms=terms, variance=variance)
    # `error` is an estimate: four roundings of sqrt(E[s^2]) and the difference of two rules.
    assert (np.abs(table["coefficient"] - expected) <= table["error"]).all()
    assert table["error"].max() < 4e-15  # E[s^2] is at most 1


def by_mpmath(s: Callable[[mp.mpf], mp.mpf], q: float, k: int) -> float:
    """Return a_k by the definition, split where the integrand may be sharp."""
    with mp.workdps(20):
        he = [mp.mpf(1), mp.mpf(0)]

        def integrand(x: mp.mpf) -> mp.mpf:
            he[0], he[1] = mp.mpf(1), mp.mpf(0)
            for i in range(k):
                he[0], he[1] = (x * he[0] - mp.sqrt(i) * he[1]) / mp.sqrt(i + 1), he[0]
            return s(q * x) * he[0] * mp.npdf(x)

        return float(mp.quad(integrand, mp.linspace(-12, 12, 13)))


ACTS: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "tanh": mp.tanh,
    "gelu": lambda z: z * mp.ncdf(z),
    "softplus": lambda z: mp.log(1 + mp.exp(z)),
    "z*sigmoid(1.702*z)": lambda z: z / (1 + mp.exp(-mp.mpf("1.702") * z)),
    "exp(-z**2)*(1+z)": lambda z: mp.exp(-z * z) * (1 + z),
}


@pytest.mark.parametrize(
    ("act", "variance"), [*((act, 1.0) for act in ACTS), ("gelu", 9.0), ("tanh", 9.0)]
)
def test_other_activations_by_mpmath(act: str, variance: float) -> None:
    table = hermite(act, terms=32, variance=variance)
    for k in (1, 2, 31):
        exact = by_mpmath(ACTS[act], float(np.sqrt(variance)), k)
        assert abs(table["coefficient"][k] - exact) <= table["error"][k] + 1e-20
    assert table["error"].max() < 1e-14  # E[s^2] is at most 9


def test_far_terms_of_a_shifted_kink_by_its_derivatives() -> None:
    # s'' = delta(z - 1): E[s h_k] = phi(1) h_(k-2)(1)/sqrt(k (k-1)), whatever k.
    terms = 2000
    h = [1.0, 1.0]
    for i in range(1, terms):
        h.append((h[i] - np.sqrt(i) * h[i - 1]) / np.sqrt(i + 1))
    k = np.arange(2, terms)
    exact = np.exp(-0.5) / np.sqrt(2 * np.pi) * np.array(h)[k - 2] / np.sqrt(k * (k - 1.0))
    table = hermite("relu(z-1)", terms=terms)
    assert np.abs(table["coefficient"][2:] - exact).max() < 2e-15


@pytest.mark.parametrize("act", ["relu", "tanh", "gelu", "elu", "sin", "z**3 - z"])
def test_energies_add_up_to_the_mean_square(act: str) -> None:
    table = hermite(act, terms=2000)
    assert (np.diff(table["cumulative"]) >= 0.0).all()
    # The remainder decreases as K^(-3/2) for a kink: 1e-5 at 2000.
    assert 1.0 - 2e-5 < table["cumulative"][-1] < 1.0 + 1e-14


@pytest.mark.parametrize(
    ("act", "parity", "even", "odd", "proof"),
    [
        ("tanh", "odd", "zero", "not a polynomial", "expression"),
        ("sin(z/100)", "odd", "zero", "not a polynomial", "expression"),
        ("cos", "even", "not a polynomial", "zero", "expression"),
        ("gaussian", "even", "not a polynomial", "zero", "expression"),
        ("z*tanh(z)**3/2", "even", "not a polynomial", "zero", "expression"),
        ("abs", "even", "not a polynomial", "zero", "values"),
        ("hard_tanh", "odd", "zero", "not a polynomial", "values"),
        ("relu", "none", "not a polynomial", "polynomial of degree 1", "values"),
        ("gelu", "none", "not a polynomial", "polynomial of degree 1", "values"),
        ("silu", "none", "not a polynomial", "polynomial of degree 1", "values"),
        ("step", "none", "polynomial of degree 0", "not a polynomial", "values"),
        ("relu_power:2", "none", "polynomial of degree 2", "not a polynomial", "values"),
        ("z**2 + tanh(z)", "none", "polynomial of degree 2", "not a polynomial", "values"),
        ("exp", "none", "not a polynomial", "not a polynomial", "values"),
        ("elu", "none", "not a polynomial", "not a polynomial", "values"),
        ("sin(z/100) + cos(z/100)", "none", "not a polynomial", "not a polynomial", "values"),
        ("(z+1)**3 - z**3 - 3*z", "even", "polynomial of degree 2", "zero", "expression"),
        ("z**3 - z + 1", "none", "polynomial of degree 0", "polynomial of degree 3", "expression"),
        # The expression proves that this is the function z.
        ("relu(z) - relu(-z)", "odd", "zero", "polynomial of degree 1", "expression"),
        ("tanh(z) - tanh(z) + z", "odd", "zero", "polynomial of degree 1", "expression"),
        # Polynomials whose expression does not prove it.
        (
            "sin(z)**2 + cos(z)**2 + z",
            "none",
            "polynomial of degree 0",
            "polynomial of degree 1",
            "values",
        ),
        ("abs(z)**3*abs(z)", "even", "polynomial of degree 4", "zero", "values"),
    ],
)
def test_parity_and_polynomials(act: str, parity: str, even: str, odd: str, proof: str) -> None:
    message = hermite(act, terms=1).meta.parameters
    found = [message[name] for name in ("parity", "even_part", "odd_part", "proof")]
    assert found == [parity, even, odd, proof]


def test_proven_zeros_are_zero_and_others_are_marked() -> None:
    tanh = hermite("tanh", terms=9)
    assert tanh["status"].tolist() == ["zero", "ok"] * 4 + ["zero"]
    assert (tanh["coefficient"][::2] == 0.0).all()
    cubic = hermite("z**3", terms=6)
    assert cubic["status"].tolist() == ["zero", "ok", "zero", "ok", "zero", "zero"]
    assert cubic["coefficient"][[1, 3]] == pytest.approx([3.0, np.sqrt(6.0)], rel=1e-15)
    assert hermite("relu", terms=6)["status"].tolist() == ["ok"] * 3 + [
        "rounding",
        "ok",
        "rounding",
    ]


# Positive definiteness of matrices. Eigenvalues are relative to the largest.


def smallest(act: str, x: Floats, kernel: str, cb: float = 0.0) -> float:
    found = gram(x, act, depth=1, cb=cb, cw=1.0)
    matrix = found.nngp if kernel == "nngp" else found.ntk
    assert matrix is not None
    values = np.linalg.eigvalsh(matrix)
    return float(values[0] / values[-1])


def on_sphere(m: int, n0: int) -> Floats:
    x = np.random.default_rng(1).standard_normal((m, n0))
    unit: Floats = x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(n0)
    return unit


ROUNDING = 1e-12  # of kernels with an error of 1e-13 and of eigenvalues
KERNELS = pytest.mark.parametrize("kernel", ["nngp", "ntk"])


@KERNELS
def test_opposite_inputs(kernel: str) -> None:
    pair = np.array([[1.0, 2.0, -1.0], [-1.0, -2.0, 1.0]])
    for act in ("tanh", "erf", "cos"):
        assert abs(smallest(act, pair, kernel)) < ROUNDING
        assert smallest(act, pair, kernel, cb=0.5) > 1e-3 or act == "cos"
    for act in ("gelu", "relu", "exp"):
        assert smallest(act, pair, kernel) > 1e-3
    assert "without x_a = +-x_b" in hermite("tanh").meta.parameters["positive_definite"]


@KERNELS
def test_more_opposite_pairs_than_an_odd_part_has_room_for(kernel: str) -> None:
    # gelu(z) - gelu(-z) = z: in three dimensions three pairs are positive definite, four are not.
    x = on_sphere(4, 3)
    for act in ("gelu", "relu", "silu"):
        message = hermite(act, terms=1).meta.parameters["positive_definite"]
        assert message == "on inputs without x_a = +-x_b; with at most n0 pairs x_a = -x_b"
        assert smallest(act, np.concatenate((x[:3], -x[:3])), kernel) > 1e-6
        assert abs(smallest(act, np.concatenate((x, -x)), kernel)) < ROUNDING
    assert hermite("elu", terms=1).meta.parameters["positive_definite"] == "on all distinct inputs"
    assert smallest("elu", np.concatenate((x, -x)), kernel) > 1e-8


@KERNELS
def test_polynomials_have_kernels_of_finite_rank(kernel: str) -> None:
    # Degree 3 in 2 variables, odd: C(4, 3) = 4 cubic monomials.
    message = hermite("z**3 - z", terms=1).meta.parameters["positive_definite"]
    assert message == "on at most C(n0 + 2; 3) inputs"
    angles = np.linspace(0.0, np.pi, 5, endpoint=False)
    x = np.sqrt(2.0) * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    assert abs(smallest("z**3 - z", x, kernel)) < ROUNDING
    assert smallest("z**3 - z", x[:4], kernel) > 1e-3
    assert smallest("tanh", x, kernel) > 1e-6


# The dual activation.


@pytest.mark.parametrize("act", ["relu", "tanh", "step", "mish", "z**3 - z"])
def test_the_series_is_within_its_bound(act: str) -> None:
    table = hermite_dual(act, terms=(1, 3, 10, 100), variance=1.3)
    assert table.num_rows == 4 * 41
    missing = np.abs(table["difference"])
    assert (missing <= table["bound"] + table["error"]).all()
    assert table["error"].max() < 3e-12
    # The bound is attained at rho = 1, where all terms have one sign. E[(z^3 - z)^2] is 24, and
    # rounding is 30 times that.
    ends = table["rho"] == 1.0
    assert missing[ends] == pytest.approx(table["bound"][ends], abs=2e-13)
    if act == "relu":
        assert missing[table["terms"] == 3].max() > 1e-3


def test_the_dual_of_relu_is_the_arc_cosine_kernel() -> None:
    rho = np.array([-1.0, -0.3, 0.0, 0.7])
    theta = np.arccos(rho)
    exact = (np.sin(theta) + (np.pi - theta) * rho) / (2 * np.pi)  # Cho and Saul (2009), eq. 6
    table = hermite_dual("relu", terms=1000, rho=rho.tolist())
    assert table["exact"] == pytest.approx(exact, abs=1e-15)
    assert table["series"][1:] == pytest.approx(exact[1:], abs=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"terms": 0}, "terms must be at least 1, not 0"),
        ({"terms": 10001}, "terms must be from 1 to 10000, not 10001"),
        ({"variance": 0.0}, "variance must be positive and finite, not 0"),
        ({"variance": np.inf}, "variance must be positive and finite, not inf"),
        ({"act": "exp(z**2/4)"}, r"act and variance must make E\[s\^2\] finite"),
        ({"act": "1/z"}, r"act and variance must make E\[s\^2\] finite"),
        ({"act": "(z/20)**201"}, "act must not be a polynomial of degree above 200, as 201"),
        ({"act": "tahn"}, "did you mean tanh"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hermite(**arguments)  # type: ignore[arg-type]


def test_bad_input_of_the_dual() -> None:
    with pytest.raises(ValueError, match=r"rho must be in \[-1, 1\], not 1.5"):
        hermite_dual("relu", rho=[0.0, 1.5])
    with pytest.raises(ValueError, match="terms must be at least 1, not 0"):
        hermite_dual("relu", terms=(2, 0))


def test_the_picture_of_duals_has_each_series_by_itself() -> None:
    table = hermite_dual("tanh", terms=(2, 4))
    few = table["terms"] == 2
    assert table["rho"][few].tolist() == np.linspace(-1.0, 1.0, 41).tolist()
    picture = table.drawing
    assert [label for label, *_ in picture.points] == ["$N = 2$", "$N = 4$"]
    _, rho, left, _ = picture.points[0]
    seen = few & (np.abs(table["difference"]) > table["error"])
    assert rho.tolist() == table["rho"][seen].tolist()
    assert left.tolist() == np.abs(table["difference"][seen]).tolist()


def test_terms_that_are_no_int_of_the_core_are_refused() -> None:
    for terms in (2**63, 10**30):
        with pytest.raises(ValueError, match=r"terms must be below 2\^63"):
            hermite_dual(terms=terms)
        with pytest.raises(ValueError, match=r"terms must be below 2\^63"):
            hermite(terms=terms)
