"""Statements of the lecture on criticality, compared with quadratures of another kind."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._activations.activation import activation
from nnth._course.statement import Check, Run, Statement
from nnth._criticality.critical import critical, critical_decay
from nnth._criticality.phase import phase
from nnth._kernels.kernel import kernel
from nnth._runtime.typing import Floats

LECTURE: Final = "9/19"
_STEP: Final = 1e-4  # step of difference quotients; their error is its square
# Trapezoidal rule for N(0, 1), exact to rounding for functions that are smooth on this scale.
_NODES: Final = np.linspace(-13.0, 13.0, 8001)
_WEIGHTS: Final = np.exp(-0.5 * _NODES**2) / math.sqrt(2.0 * math.pi) * (26.0 / 8000)


def relu(run: Run) -> list[Statement]:
    """Return chi_par of ReLU, (C_w/2) E[(s^2)''] = C_w P(z > 0); the notes have E[z 1_{z>0}]."""
    k = 1.0
    up, down = (
        float(kernel("relu", depth=1, cb=0.0, cw=2.0, norm=k * (1.0 + e) / 2.0)["k_aa"][1])
        for e in (_STEP, -_STEP)
    )
    return [
        Statement(
            LECTURE,
            "dK'/dK = chi_par = (C_w/2) E[(s^2)''] = 1, relu, C_w = 2, K = 1",
            1.0,
            (up - down) / (2.0 * _STEP * k),
            error=1e-10,
            notes=math.sqrt(k / (2.0 * math.pi)),
        )
    ]


def critical_points(run: Run) -> list[Statement]:
    """Return K*, chi_par and chi_perp at critical points, from sums over values of s alone."""
    found = []
    for act in ("gelu", "silu"):
        point = critical(act, threads=run.threads)
        cb, cw, k = (float(point[name][0]) for name in ("cb", "cw", "k_star"))
        for name, value in zip(
            ("K*", "chi_par", "chi_perp"), _by_sums(act, cb, cw, k), strict=True
        ):
            theory = k if name == "K*" else 1.0
            text = f"{name} = {theory:.6g} at the critical point of {act}"
            found.append(Statement(LECTURE, text, theory, value, error=1e-6 * theory))
    return found


def tanh(run: Run) -> list[Statement]:
    """The variance of tanh is 1/(2 l) at C_w = 1; only there does the notes' C_w^l/(2 l) hold."""
    depth, cw = 10**5, 1.05
    k = float(critical_decay("tanh", depth=depth, threads=run.threads)["k"][-1])
    kernel_limit = kernel("tanh", depth=2000, cb=0.0, cw=cw, norm=1.0)["k_aa"][-1]
    stable = phase("tanh", cw=[cw], cb=[0.0], threads=run.threads)["k_star"].max()
    return [
        Statement(
            LECTURE,
            "l K^l -> 1/2 at criticality, tanh, l = 10^5",
            0.5,
            k * (depth + 1.0),
            error=math.log(depth) / depth,
        ),
        Statement(
            LECTURE,
            f"K^l tends to the fixed point at C_w = {cw}, tanh, l = 2001",
            float(stable),
            float(kernel_limit),
            error=1e-12,
            notes=cw**2001 / (2.0 * 2001),
        ),
    ]


def depth_scales(run: Run) -> list[Statement]:
    """Correlations tend to 1, or to a limit c* < 1, as exp(-l/xi_c)."""
    cw, cb = 1.2, 0.1
    found = phase("tanh", cw=[cw], cb=[cb], threads=run.threads)
    layers = kernel("tanh", depth=150, cb=cb, cw=cw, norm=1.0, rho=0.5)
    gap = 0.5 * layers["gap"] / layers["k_aa"]
    rate = float(np.log(gap[99] / gap[149])) / 50.0
    text = f"rate 1/xi_c at which 1 - correlation decays, tanh, C_w = {cw}, C_b = {cb}"
    ordered = Statement(LECTURE, text, 1.0 / float(found["xi_c"][0]), rate, error=1e-6)
    return [ordered, *_chaotic(run)]


def _chaotic(run: Run) -> list[Statement]:
    """Return the limit c* < 1 of correlations in the chaotic phase, and the rate of approach."""
    cw, cb = 2.5, 0.05
    found = phase("tanh", cw=[cw], cb=[cb], threads=run.threads)
    norm = (float(found["k_star"][0]) - cb) / cw
    layers = kernel("tanh", depth=400, cb=cb, cw=cw, norm=norm, rho=0.9)
    c_star = float(layers["corr"][-1])
    away = np.abs(layers["corr"] - c_star)
    rate = float(np.log(away[150] / away[200])) / 50.0
    text = f"limit c* < 1 of correlations, tanh, C_w = {cw}, C_b = {cb}"
    depth = f"rate 1/xi_c at which |correlation - c*| decays, tanh, C_w = {cw}, C_b = {cb}"
    return [
        Statement(LECTURE, text, float(found["c_star"][0]), c_star, error=1e-6),
        Statement(LECTURE, depth, 1.0 / float(found["xi_c"][0]), rate, error=1e-4),
    ]


def _by_sums(act: str, cb: float, cw: float, k: float) -> tuple[float, float, float]:
    """Return C_b + C_w E[s^2], its derivative by K, and C_w E[s'^2], from values of s."""
    core = activation(act).core

    def value(z: Floats) -> Floats:
        return np.asarray(core.evaluate(z)[0])

    def square(variance: float) -> float:
        return cw * float(_WEIGHTS @ value(math.sqrt(variance) * _NODES) ** 2)

    z = math.sqrt(k) * _NODES
    derivative = (value(z + _STEP) - value(z - _STEP)) / (2.0 * _STEP)
    step = _STEP * k
    par = (square(k + step) - square(k - step)) / (2.0 * step)
    return cb + square(k), par, cw * float(_WEIGHTS @ derivative**2)


STATEMENTS: Final[tuple[Check, ...]] = (relu, critical_points, tanh, depth_scales)
