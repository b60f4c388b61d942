"""The reference table itself: complete, consistent, and equal to simple recomputations."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[1] / "reference" / "kernel.json"
TABLE: dict[str, Any] = json.loads(PATH.read_text())
CASES: list[dict[str, Any]] = TABLE["cases"]
ROWS = (1, 2, 3, 5, 11, 21, 51)
ACTIVATIONS = {
    "relu",
    "leaky_relu:0.1",
    "leaky_relu:-0.5",
    "abs",
    "linear",
    "relu_power:2",
    "relu_power:3",
    "step",
    "erf",
    "sin",
    "cos",
    "exp",
    "gaussian",
    "gelu",
    "tanh",
    "silu",
    "softplus",
    "sigmoid",
    "z*sigmoid(1.702*z)",
    "z*tanh(log(1+exp(z)))",
    "z*(1+erf(z/sqrt(2)))/2",
    "hard_tanh",
    "elu",
    "selu",
}


def rows(case: dict[str, Any]) -> dict[int, dict[str, mp.mpf]]:
    names = TABLE["columns"][1:]
    return {
        row[0]: {name: mp.mpf(text) for name, text in zip(names, row[1:], strict=True)}
        for row in case["rows"]
    }


def find(act: str, rho: float = 0.5, **want: Any) -> dict[str, Any]:
    want = {"norm_a": 1.0, "norm_b": 1.0, "ntk": "ntk", **want}
    for case in CASES:
        if case["act"] == act and case["rho"] == rho and all(case[k] == v for k, v in want.items()):
            return case
    raise LookupError((act, rho, want))


@pytest.fixture(autouse=True)
def _precision() -> Any:
    with mp.workdps(40):
        yield


def close(x: Any, y: Any, digits: float) -> bool:
    return bool(abs(x - y) <= mp.mpf(10) ** -digits * max(abs(x), abs(y)))


def test_every_activation_appears_and_is_defined() -> None:
    assert {c["act"] for c in CASES} == ACTIVATIONS
    assert set(TABLE["activations"]) == ACTIVATIONS


def test_cases_are_distinct() -> None:
    keys = ("act", "cb", "cw", "depth", "norm_a", "norm_b", "rho", "ntk")
    assert len({tuple(c[k] for k in keys) for c in CASES}) == len(CASES)


def test_stored_rows_and_inputs() -> None:
    for case in CASES:
        last = case["depth"] + 1
        expected = sorted({r for r in ROWS if r <= last} | {last})
        assert [row[0] for row in case["rows"]] == expected
        assert all(len(row) == len(TABLE["columns"]) for row in case["rows"])
        assert float.fromhex(case["rho_hex"]) == case["rho"]
        assert case["digits"] >= 23
        assert case["digits_other_engine"] is None or case["digits_other_engine"] >= 23


def test_first_row_is_the_exact_function_of_the_doubles() -> None:
    for case in CASES:
        cb, cw, rho, na, nb = (mp.mpf(case[k]) for k in ("cb", "cw", "rho", "norm_a", "norm_b"))
        first = rows(case)[1]
        inner = rho * mp.sqrt(na * nb)
        assert close(first["k_aa"], cb + cw * na, 24)
        assert close(first["k_bb"], cb + cw * nb, 24)
        assert abs(first["k_ab"] - (cb + cw * inner)) <= mp.mpf("1e-24") * first["k_aa"]
        assert close(first["gap"], cw * (na + nb - 2 * inner), 24)
        theta = {"ntk": first["k_aa"], "bias": 1 + cw * na, "pdlt": 1 + na}[case["ntk"]]
        assert close(first["theta_aa"], theta, 24)


def test_rows_are_consistent() -> None:
    for case in CASES:
        for row in rows(case).values():
            gap = row["k_aa"] + row["k_bb"] - 2 * row["k_ab"]
            assert abs(gap - row["gap"]) <= mp.mpf("1e-23") * (row["k_aa"] + row["k_bb"])
            corr = row["k_ab"] / mp.sqrt(row["k_aa"] * row["k_bb"])
            assert abs(corr - row["corr"]) <= mp.mpf("1e-23")
            assert row["chi_perp"] >= 0
            assert abs(row["corr"]) <= 1


def test_arc_cosine_kernel() -> None:
    row = rows(find("relu"))[2]
    t = mp.pi / 3
    assert close(row["k_ab"], 2 / mp.pi * (mp.sin(t) + (mp.pi - t) / 2), 24)
    assert close(row["theta_ab"], row["k_ab"] + 2 * (mp.pi - t) / (2 * mp.pi), 24)  # Theta^1_ab = 1


def test_linear_network_keeps_the_correlation() -> None:
    row = rows(find("linear", cb=0.0))[51]
    assert row["corr"] == mp.mpf("0.5")
    assert row["theta_ab"] == mp.mpf("25.5")


def test_tanh_recursion_decays_as_one_over_two_l() -> None:
    last = rows(find("tanh", cb=0.0))[51]
    assert 0.008 < last["k_aa"] < 0.012


def test_written_out_gelu_is_gelu() -> None:
    """A closed form is compared with a quadrature of fifty layers."""
    for rho in (0.5, 1 - 1e-6):
        closed, quadrature = (rows(find(a, rho)) for a in ("gelu", "z*(1+erf(z/sqrt(2)))/2"))
        for layer, row in closed.items():
            for name, value in row.items():
                assert close(value, quadrature[layer][name], 23), (rho, layer, name)


SMOOTH = {
    "tanh": mp.tanh,
    "silu": lambda z: z / (1 + mp.exp(-z)),
    "softplus": lambda z: mp.log1p(mp.exp(z)),
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "z*sigmoid(1.702*z)": lambda z: z / (1 + mp.exp(-mp.mpf(1.702) * z)),
    "z*tanh(log(1+exp(z)))": lambda z: z * mp.tanh(mp.log1p(mp.exp(z))),
    "erf": mp.erf,
    "gelu": lambda z: z * mp.ncdf(z),
    "gaussian": lambda z: mp.exp(-z * z),
    "cos": mp.cos,
}


@pytest.mark.parametrize("act", list(SMOOTH))
def test_one_layer_by_a_plain_trapezoid(act: str) -> None:
    """Another rule and another library: steps of 1/8 in independent coordinates, 12 digits."""
    case = find(act)
    one, two = rows(case)[1], rows(case)[2]
    f = SMOOTH[act]
    with mp.workdps(20):
        qa, qb, rho = mp.sqrt(one["k_aa"]), mp.sqrt(one["k_bb"]), one["corr"]
        rest = mp.sqrt(1 - rho * rho)
        nodes = [mp.mpf(i) / 8 for i in range(-60, 61)]
        weight = [mp.exp(-x * x / 2) / 8 / mp.sqrt(2 * mp.pi) for x in nodes]
        first = [f(qa * x) for x in nodes]
        e_aa = mp.fsum(w * s * s for w, s in zip(weight, first, strict=True))
        gap = mp.mpf(0)
        for x, wx, sx in zip(nodes[::2], weight[::2], first[::2], strict=True):
            for y, wy in zip(nodes[::2], weight[::2], strict=True):
                gap += 4 * wx * wy * (sx - f(qb * (rho * x + rest * y))) ** 2
    assert close(case["cb"] + case["cw"] * e_aa, two["k_aa"], 11)
    assert close(case["cw"] * gap, two["gap"], 8)  # steps of 1/4


Function = Callable[[np.ndarray], np.ndarray]
# s, its derivative (None for the step, whose derivative is a delta function), and the kinks
KINKED: dict[str, tuple[Function, Function | None, list[float]]] = {
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: (z > 0) * 1.0, [0.0]),
    "abs": (np.abs, np.sign, [0.0]),
    "step": (lambda z: (z > 0) * 1.0, None, [0.0]),
    "relu_power:2": (lambda z: np.maximum(z, 0.0) ** 2, lambda z: 2 * np.maximum(z, 0.0), [0.0]),
    "relu_power:3": (
        lambda z: np.maximum(z, 0.0) ** 3,
        lambda z: 3 * np.maximum(z, 0.0) ** 2,
        [0.0],
    ),
    "hard_tanh": (lambda z: np.clip(z, -1, 1), lambda z: (np.abs(z) < 1) * 1.0, [-1.0, 1.0]),
    "elu": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0))),
        [0.0],
    ),
    "selu": (
        lambda z: (
            1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(np.minimum(z, 0)))
        ),
        lambda z: (
            1.0507009873554805 * np.where(z > 0, 1.0, 1.6732632423543772 * np.exp(np.minimum(z, 0)))
        ),
        [0.0],
    ),
}


def panels(
    breaks: list[float], limit: float = 9.0, width: float = 1.0
) -> list[tuple[float, float]]:
    """Return [-limit, limit] cut at the breaks and into panels of at most `width`."""
    cuts = sorted({-limit, limit, *(b for b in breaks if -limit < b < limit)})
    out = []
    for lo, hi in itertools.pairwise(cuts):
        n = max(1, math.ceil((hi - lo) / width))
        out += [(lo + (hi - lo) * i / n, lo + (hi - lo) * (i + 1) / n) for i in range(n)]
    return out


def rule(breaks: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre nodes for the standard normal density, exact for smooth panels."""
    node, weight = np.polynomial.legendre.leggauss(16)
    x, w = [], []
    for lo, hi in panels(breaks):
        t = lo + (hi - lo) * (node + 1) / 2
        x.append(t)
        w.append(weight * (hi - lo) / 2 * np.exp(-t * t / 2) / math.sqrt(2 * math.pi))
    return np.concatenate(x), np.concatenate(w)


@pytest.mark.parametrize("act", list(KINKED))
def test_one_layer_by_gauss_legendre_split_at_the_kinks(act: str) -> None:
    """The inner rule is cut where z_b meets a kink, the outer rule where z_a does."""
    norm = 0.5 if act.startswith("relu_power") else 1.0
    case = find(act, norm_a=norm, norm_b=norm)
    s, d, kinks = KINKED[act]
    one, two = rows(case)[1], rows(case)[2]
    q, rho = math.sqrt(float(one["k_aa"])), float(one["corr"])
    rest = math.sqrt(1 - rho * rho)
    e_ab, d_ab = 0.0, 0.0
    for x, wx in zip(*rule([k / q for k in kinks]), strict=True):
        y, wy = rule([(k / q - rho * x) / rest for k in kinks])
        zb = q * (rho * x + rest * y)
        e_ab += wx * float(s(np.array(q * x)) * (wy @ s(zb)))
        if d is not None:
            d_ab += wx * float(d(np.array(q * x)) * (wy @ d(zb)))
    k_ab = case["cb"] + case["cw"] * e_ab
    assert k_ab == pytest.approx(float(two["k_ab"]), rel=1e-12)
    if d is not None:
        theta = k_ab + case["cw"] * d_ab * float(one["theta_ab"])
        assert theta == pytest.approx(float(two["theta_ab"]), rel=1e-12)


@pytest.mark.parametrize("act", ["tanh", "silu", "gelu", "erf"])
def test_chi_parallel_is_the_derivative_of_the_one_input_map(act: str) -> None:
    """The form (C_w / 2) E[(s^2)''], which needs the activation's derivatives, is compared too."""
    case = find(act)
    one = rows(case)[1]
    f = SMOOTH[act]
    with mp.workdps(25):
        q = mp.sqrt(one["k_aa"])
        total = mp.mpf(0)
        slope = mp.mpf(0)
        for i in range(-72, 73):
            x = mp.mpf(i) / 8
            f0, f1, f2 = mp.taylor(f, q * x, 2)
            density = mp.exp(-x * x / 2) / 8 / mp.sqrt(2 * mp.pi)
            total += density * (f1 * f1 + 2 * f0 * f2)  # (s^2)'' / 2; f2 is s'' / 2
            slope += density * f1 * f1
    assert close(case["cw"] * total, one["chi_par"], 9)
    assert close(case["cw"] * slope, one["chi_perp"], 9)


def test_infinite_tangent_kernel_of_the_step() -> None:
    row = rows(find("step"))[3]
    assert mp.isinf(row["theta_aa"])
    assert mp.isinf(row["chi_perp"])
    assert mp.isfinite(row["theta_ab"])
