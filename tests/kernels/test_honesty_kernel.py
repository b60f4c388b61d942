"""The error columns of kernel, gram, phase and critical: never below the actual error."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kernel_oracle as oracle
import mpmath as mp
import numpy as np
import pytest

from nnth import _core
from nnth._activations.activation import activation
from nnth._criticality import critical_decay, phase
from nnth._kernels.gram import gram

STORED = json.loads((Path(__file__).parents[1] / "reference" / "honesty.json").read_text())
NAMES = STORED["names"]
CASES = STORED["cases"]
EVERY = 7  # one case in 7 is in the fast suite; a prime, so that each family has some
DEEP = 3  # layers of an expression that the fast suite computes; one takes up to half a second


def scale(exact: dict[str, mp.mpf], name: str) -> mp.mpf:
    """Return the scale of the errors of a kernel, by the docstring of `nnth.kernel`."""
    if not name.endswith("ab"):
        return abs(exact[name])
    mean = mp.sqrt(exact[name[:-2] + "aa"] * exact[name[:-2] + "bb"])
    if mp.isfinite(mean):
        return mean
    return max(abs(exact[name]), mp.sqrt(exact["k_aa"] * exact["k_bb"]))


def actual_error(found: dict[str, float], exact: dict[str, mp.mpf]) -> float:
    worst = mp.mpf(0)
    for name, value in exact.items():
        if mp.isinf(value) or math.isinf(found[name]):
            worst = max(worst, mp.mpf(0) if value == found[name] else mp.inf)
        elif value != found[name]:
            worst = max(worst, abs(found[name] - value) / scale(exact, name))
    return float(worst)


def rows(case: dict[str, Any], method: str, nodes: int = 2) -> tuple[float, float]:
    """Return the actual and the stated error of the last layer."""
    network = _core.KernelConfig(case["cb"], case["cw"], case["depth"], _core.Ntk.ntk)
    inputs = _core.Inputs(case["norm_a"], case["norm_b"], case["rho"])
    core = activation(case["act"]).core
    found = _core.kernel(core, _core.Method.__members__[method], nodes, network, inputs)
    last = {name: float(np.asarray(found[name])[-1]) for name in (*NAMES, "error")}
    with mp.workdps(25):
        exact = {n: mp.mpf(text) for n, text in zip(NAMES, case["last"], strict=True)}
        return actual_error(last, exact), last["error"]


def methods(case: dict[str, Any], number: int) -> Iterator[tuple[str, int]]:
    yield "auto", 2
    if activation(case["act"]).form and case["depth"] <= 5:
        yield "quadrature", 2
    if case["depth"] <= 5:
        yield "gauss-hermite", (20, 40, 100)[number % 3]


def check(cases: list[dict[str, Any]]) -> list[tuple[str, float, float]]:
    """Return method, actual and stated error of every case, and check that the first is smaller."""
    out = []
    for number, case in enumerate(cases):
        for method, nodes in methods(case, number):
            actual, stated = rows(case, method, nodes)
            assert actual <= stated, (method, nodes, actual, stated, case)
            out.append((method, actual, stated))
    return out


def test_kernel_errors_are_errors() -> None:
    quick = [c for c in CASES if activation(c["act"]).form or c["depth"] <= DEEP]
    found = check(quick[::EVERY])
    assert {method for method, _, _ in found} == {"auto", "quadrature", "gauss-hermite"}


@pytest.mark.nightly
def test_kernel_errors_are_errors_in_every_case() -> None:
    """The stated error of Gauss-Hermite is at most 30 times the actual one in the median."""
    found = check(CASES)
    assert len(found) >= 600
    ratios = [s / a for method, a, s in found if method == "gauss-hermite" and a > 1e-16]
    assert statistics.median(ratios) <= 30


ORACLES: dict[str, oracle.Oracle] = {
    "relu": oracle.powers(1, 1, 0),
    "relu_power:0.51": oracle.powers(0.51, 1, 0),
    "relu_power:0.4": oracle.powers(0.4, 1, 0),
    "abs(z)**0.6": oracle.powers(0.6, 1, 1),
    "erf": oracle.erf(),
    "gaussian": oracle.gaussian(),
    "1*erf(z)": oracle.erf(),
    "cos(z)*1": oracle.exponentials(1),
    "relu(z)*1": oracle.powers(1, 1, 0),
}


def gram_errors(
    act: str, x: np.ndarray, cb: float, cw: float, depth: int
) -> Iterator[tuple[float, float]]:
    """Yield the actual and the stated error of every entry of both matrices."""
    made = gram(x, act, depth=depth, cb=cb, cw=cw)
    assert made.nngp is not None
    assert made.ntk is not None
    with mp.workdps(60):
        exact_x = [[mp.mpf(float(v)) for v in row] for row in x]
        n0 = x.shape[1]
        for i, a in enumerate(exact_x):
            for j in range(i):
                b = exact_x[j]
                norm_a, norm_b, inner = (mp.fdot(p, q) / n0 for p, q in ((a, a), (b, b), (a, b)))
                rho = inner / mp.sqrt(norm_a * norm_b)
                last = oracle.layers(ORACLES[act], cb, cw, norm_a, norm_b, rho, depth)[-1]
                exact = {name: getattr(last, name) for name in NAMES}
                found = {
                    "k_aa": made.nngp[i, i],
                    "k_bb": made.nngp[j, j],
                    "k_ab": made.nngp[i, j],
                    "theta_aa": made.ntk[i, i],
                    "theta_bb": made.ntk[j, j],
                    "theta_ab": made.ntk[i, j],
                }
                yield actual_error({n: float(v) for n, v in found.items()}, exact), made.error


# An expression with a singular slope takes a tenth of a second for each pair and layer.
@pytest.mark.parametrize(
    "act",
    [pytest.param(a, marks=pytest.mark.slow) if a == "abs(z)**0.6" else a for a in ORACLES],
)
@pytest.mark.parametrize("shared", [True, False])
def test_gram_errors_are_errors(act: str, shared: bool) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(7, 3))
    x[1] = x[0] + 1e-5 * x[2]  # nearly parallel and nearly opposite rows
    x[3] = -x[0] + 1e-4 * x[2]
    if shared:
        x *= 1.3 / np.linalg.norm(x, axis=1, keepdims=True)
    else:
        x *= 10.0 ** rng.uniform(-0.5, 0.5, size=(7, 1))
    for actual, stated in gram_errors(act, x, 0.2, 1.1, 2):
        assert actual <= stated, (act, actual, stated)


def exact_layers(act: str, a: np.ndarray, b: np.ndarray, depth: int) -> dict[str, mp.mpf]:
    """Return the last layer's kernels of two vectors, at C_b = 0 and C_w = 1."""
    x, y = ([mp.mpf(float(v)) for v in vector] for vector in (a, b))
    norm_a, norm_b, inner = (mp.fdot(p, q) / len(x) for p, q in ((x, x), (y, y), (x, y)))
    rho = inner / mp.sqrt(norm_a * norm_b)
    last = oracle.layers(ORACLES[act], 0.0, 1.0, norm_a, norm_b, rho, depth)[-1]
    return {name: getattr(last, name) for name in NAMES}


@pytest.mark.parametrize("act", ["relu", "erf"])
def test_errors_hold_for_long_vectors(act: str) -> None:
    """The roundings in a sum of equal numbers have one sign, and grow with its length."""
    x = np.full((2, 3072), 0.1)
    x[1, -1] = 5.0
    core = activation(act).core
    network = _core.KernelConfig(0.0, 1.0, 2, _core.Ntk.ntk)
    found = _core.kernel(core, _core.Method.auto, 2, network, _core.Inputs(x[0], x[1]))
    made = gram(x, act, depth=2, cb=0.0, cw=1.0)
    assert made.nngp is not None
    assert made.ntk is not None
    places = {"aa": (0, 0), "bb": (1, 1), "ab": (0, 1)}
    entries = {
        f"{name}_{pair}": float(matrix[place])
        for name, matrix in (("k", made.nngp), ("theta", made.ntk))
        for pair, place in places.items()
    }
    with mp.workdps(40):
        exact = exact_layers(act, x[0], x[1], 2)
        last = {name: float(found[name][-1]) for name in NAMES}
        assert actual_error(last, exact) <= found["error"][-1]
        assert actual_error(entries, exact) <= made.error
    assert made.error < 1e-12


LAYERED = (
    # Sums of the slopes of abs(z)**0.1 are 100 times their total, and errors pass to the next
    # layer.
    ("abs(z)**0.1", 0.1, 0.0, 0.47274500250633333, 0.47274500250633333, 0.0, 3),
    # Nearly opposite inputs of unequal norms, which may hide the digits of 1 - rho.
    ("abs(z)**0.9", 0.9, 0.0, 0.0011913435225417398, 0.004483402464527868, -0.9999999997880914, 3),
)


@pytest.mark.parametrize("case", LAYERED, ids=lambda case: case[0])
def test_errors_hold_at_every_layer(case: tuple[Any, ...]) -> None:
    act, power, cb, norm_a, norm_b, rho, depth = case
    network = _core.KernelConfig(cb, 1.0, depth, _core.Ntk.ntk)
    inputs = _core.Inputs(norm_a, norm_b, rho)
    found = _core.kernel(activation(act).core, _core.Method.auto, 2, network, inputs)
    with mp.workdps(30):
        exact = oracle.layers(oracle.powers(power, 1, 1), cb, 1.0, norm_a, norm_b, rho, depth)
        for layer, want in enumerate(exact):
            row = {name: float(found[name][layer]) for name in NAMES}
            actual = actual_error(row, {name: getattr(want, name) for name in NAMES})
            assert actual <= found["error"][layer] <= 1e-13, (layer, actual)


@pytest.mark.parametrize("norm", [4e-3, 0.01, 1.0])
def test_errors_hold_where_all_mass_lies_far_out(norm: float) -> None:
    """For step(z - 2) at a small variance the mass begins many deviations from 0."""
    core = activation("step(z - 2.0)").core
    network = _core.KernelConfig(0.0, 1.0, 1, _core.Ntk.ntk)
    found = _core.kernel(core, _core.Method.auto, 2, network, _core.Inputs(norm, norm, 0.5))
    with mp.workdps(30):
        exact = mp.ncdf(-2 / mp.sqrt(mp.mpf(norm)))
        assert abs(found["k_aa"][1] - exact) <= found["error"][1] * exact
    assert found["error"][1] <= 1e-3
    assert math.isinf(found["theta_aa"][1])


CANCELLING: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "tanh(z)-z+z**3/3": lambda z: mp.tanh(z) - z + z**3 / 3,
    "sqrt(1+z**2)-1": lambda z: mp.sqrt(1 + z * z) - 1,
    "exp(abs(z)**0.6)-1": lambda z: mp.exp(abs(z) ** mp.mpf(0.6)) - 1,
    "(1+z**2)**0.3-1": lambda z: (1 + z * z) ** mp.mpf(0.3) - 1,
    "1/(1+z**2)-1+z**2": lambda z: 1 / (1 + z * z) - 1 + z * z,
}


@pytest.mark.parametrize("act", CANCELLING)
@pytest.mark.parametrize("norm", [1e-12, 2e-3])
def test_errors_know_of_terms_that_cancel(act: str, norm: float) -> None:
    """No Taylor polynomial replaces the program: beyond its radius, or with fractional powers."""
    network = _core.KernelConfig(0.0, 1.0, 1, _core.Ntk.ntk)
    core = activation(act).core
    found = _core.kernel(core, _core.Method.auto, 2, network, _core.Inputs(norm, norm, 0.5))
    ends = [0, *(mp.mpf(10) ** e for e in range(-8, 1, 2)), 3, 6, 12]
    with mp.workdps(50):
        q, value = mp.sqrt(mp.mpf(norm)), CANCELLING[act]
        unit = value(q) ** 2  # mpmath integrates to an absolute accuracy
        total = unit * sum(
            mp.quad(lambda x, q=side * q: value(q * x) ** 2 / unit * mp.npdf(x), ends)
            for side in (-1, 1)
        )
    with mp.workdps(30):
        assert abs(found["k_aa"][1] - total) <= found["error"][1] * total
    assert found["error"][1] <= 1e-10


def fixed_point(one: oracle.One, cb: float, cw: float, near: float) -> mp.mpf:
    return mp.findroot(lambda k: cb + cw * one(k)[0] - k, mp.mpf(near))


POINTS = (
    "relu_power:0.51",
    "relu_power:0.3",
    "relu_power:1.7",
    pytest.param("abs(z)**0.6", marks=pytest.mark.slow),
    "erf",
    "gaussian",
    "1*erf(z)",
    "cos(z)*1",
)


@pytest.mark.parametrize("act", POINTS)
def test_phase_errors_are_errors(act: str) -> None:
    rng = np.random.default_rng(3)
    one = {
        **ORACLES,
        "relu_power:0.3": oracle.powers(0.3, 1, 0),
        "relu_power:1.7": oracle.powers(1.7, 1, 0),
    }[act].one
    cw, cb = 10 ** rng.uniform(-1.5, 0.7, 4), 10 ** rng.uniform(-2, 0.5, 3)
    table = phase(act, cw=cw, cb=cb)
    seen = 0
    with mp.workdps(30):
        for row in range(len(table["cw"])):
            k = float(table["k_star"][row])
            if not k > 0:
                continue
            b, w = (mp.mpf(float(table[name][row])) for name in ("cb", "cw"))
            exact = fixed_point(one, b, w, k)
            assert abs(k - exact) <= table["error"][row] * exact, (act, row)
            # The susceptibilities at k_star have no error column: their errors are quadrature and
            # shift.
            _, slope, growth = one(mp.mpf(k))
            for name, value in (("chi_perp", w * slope), ("chi_par", w * growth)):
                found = float(table[name][row])
                if mp.isinf(value):
                    assert math.isinf(found)
                else:
                    assert abs(found - value) <= 1e-12 * abs(value), (name, act, row)
            seen += 1
    assert seen >= 6


@pytest.mark.parametrize("act", ["erf", "sin"])
def test_critical_errors_are_errors(act: str) -> None:
    one = {"erf": oracle.erf().one, "sin": oracle.exponentials(-1).one}[act]
    table = critical_decay(act, depth=60)
    with mp.workdps(30):
        k = mp.mpf(float(table["k"][0]))
        for layer in range(61):
            assert abs(table["k"][layer] - k) <= table["error"][layer] * k, layer
            k = float(table.meta.parameters["cb"]) + mp.mpf(table.meta.parameters["cw"]) * one(k)[0]


SINGULAR: dict[str, Callable[[float], str]] = {
    "right": lambda p: f"relu(z)**{p!r}",
    "even": lambda p: f"abs(z)**{p!r}",
    "odd": lambda p: f"sign(z)*abs(z)**{p!r}",
    "root": lambda p: f"sqrt(abs(z)**{2 * p!r})",
}


@pytest.mark.parametrize("p", [0.501, 0.51, 0.6, 0.7, 0.9])
@pytest.mark.parametrize("shape", SINGULAR)
def test_expressions_with_singular_slopes_have_all_their_digits(shape: str, p: float) -> None:
    """E[s'^2] = p^2 E|z|^(2p-2): for p = 0.501 more than half of it is below 2^-350."""
    right, left = {"right": (1, 0), "even": (1, 1), "odd": (1, -1), "root": (1, 1)}[shape]
    case = {
        "act": SINGULAR[shape](p),
        "norm_a": 0.7,
        "norm_b": 2.5,
        "rho": 0.3,
        "cb": 0.2,
        "cw": 1.1,
        "depth": 2,
    }
    network = _core.KernelConfig(case["cb"], case["cw"], case["depth"], _core.Ntk.ntk)
    inputs = _core.Inputs(case["norm_a"], case["norm_b"], case["rho"])
    found = _core.kernel(activation(str(case["act"])).core, _core.Method.auto, 2, network, inputs)
    value = oracle.powers(p, right, left)
    with mp.workdps(30):
        last = oracle.layers(value, 0.2, 1.1, 0.7, 2.5, 0.3, 2)[-1]
        # p - 1/2 is rounded at 1e-16, which changes 1/(2p - 1).
        tolerance = 1e-13 + 1e-15 / (2 * p - 1)
        for name in NAMES:
            assert abs(found[name][-1] - getattr(last, name)) <= tolerance * last.theta_aa, name
        assert found["error"][-1] <= 1e-10
