"""Activations with known properties, and their expectations by separate rules.

The rules here share nothing with the core: NumPy's Gauss-Legendre nodes, panels graded by hand
towards the known features of each activation, and mpmath.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Exact = Callable[[Any], Any]  # a function of an mpf


@dataclass(frozen=True)
class Known:
    """An activation of the catalogue.

    `kinks`: where the function or a derivative of it jumps. `spelling`: another expression of it.
    """

    exact: Exact
    kinks: tuple[float, ...] = ()
    spelling: str = ""


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + mp.exp(-z))


def _elu(z: Any) -> Any:
    return z if z > 0 else mp.expm1(z)


# Parameters are the doubles of the written decimals, such as 0.01.
CATALOGUE = {
    "relu": Known(lambda z: z if z > 0 else z * 0, (0.0,), spelling="(z+abs(z))/2"),
    "leaky_relu": Known(lambda z: z if z > 0 else mp.mpf(0.01) * z, (0.0,)),
    "leaky_relu:-0.3": Known(
        lambda z: z if z > 0 else mp.mpf(-0.3) * z, (0.0,), spelling="where(z<0, -0.3*z, z)"
    ),
    "abs": Known(abs, (0.0,), spelling="relu(z)+relu(-z)"),
    "relu_power": Known(lambda z: z**2 if z > 0 else z * 0, (0.0,)),
    "relu_power:1.5": Known(lambda z: z ** mp.mpf(1.5) if z > 0 else z * 0, (0.0,)),
    "relu_power:5": Known(lambda z: z**5 if z > 0 else z * 0, (0.0,), spelling="z**4*relu(z)"),
    "step": Known(lambda z: mp.mpf(z > 0), (0.0,), spelling="(1+sign(z))/2"),
    "linear": Known(lambda z: z, spelling="log(exp(z))"),
    "erf": Known(mp.erf, spelling="2*Phi(z*sqrt(2))-1"),
    "tanh": Known(mp.tanh, spelling="2*sigmoid(2*z)-1"),
    "sin": Known(mp.sin, spelling="cos(z-pi/2)"),
    "cos": Known(mp.cos, spelling="1-2*sin(z/2)**2"),
    "exp": Known(mp.exp, spelling="1+expm1(z)"),
    "gaussian": Known(lambda z: mp.exp(-z * z), spelling="exp(-z*z)"),
    "gelu": Known(lambda z: z * mp.ncdf(z), spelling="0.5*z*(1+erf(z/sqrt(2)))"),
    "silu": Known(lambda z: z * _sigmoid(z), spelling="z/(1+exp(-z))"),
    "softplus": Known(lambda z: mp.log1p(mp.exp(z)), spelling="log(1+exp(z))"),
    "sigmoid": Known(_sigmoid, spelling="0.5+0.5*tanh(z/2)"),
    "elu": Known(_elu, (0.0,)),
    "elu:0.5": Known(
        lambda z: z if z > 0 else mp.expm1(z) / 2, (0.0,), spelling="max(z,0)-0.5+0.5*exp(min(z,0))"
    ),
    "selu": Known(
        lambda z: (
            mp.mpf(1.0507009873554805) * (z if z > 0 else mp.mpf(1.6732632423543772) * mp.expm1(z))
        ),
        (0.0,),
        "where(z>0,1.0507009873554805*z,1.0507009873554805*1.6732632423543772*(exp(z)-1))",
    ),
    "mish": Known(lambda z: z * mp.tanh(mp.log1p(mp.exp(z))), spelling="z*tanh(log(1+exp(z)))"),
    "hard_tanh": Known(
        lambda z: max(min(z, mp.mpf(1)), mp.mpf(-1)), (-1.0, 1.0), spelling="relu(z+1)-relu(z-1)-1"
    ),
    "softsign": Known(
        lambda z: z / (1 + abs(z)), (0.0,), spelling="where(z>0, 1-1/(1+z), 1/(1-z)-1)"
    ),
}


@dataclass(frozen=True)
class Nasty:
    """`at`: points with the width of the feature there, 0 for a singularity.

    `slopes`: whether E[s'^2] is finite, or infinite by a jump and not by a slope.
    """

    f: Callable[[Floats], NDArray[np.floating[Any]]]
    at: tuple[tuple[float, float], ...] = ()
    slopes: bool = True


NASTY = {
    "tanh(100*(z-3))": Nasty(lambda z: np.tanh(100 * (z - 3)), ((3.0, 1e-2),)),
    "tanh(1e4*(z-3))": Nasty(lambda z: np.tanh(1e4 * (z - 3)), ((3.0, 1e-4),)),
    "tanh(1e6*z)": Nasty(lambda z: np.tanh(1e6 * z), ((0.0, 1e-6),)),
    "sqrt(abs(z))": Nasty(lambda z: np.sqrt(abs(z)), ((0.0, 0.0),), slopes=False),
    "abs(z)**0.5*sign(z)": Nasty(
        lambda z: np.sqrt(abs(z)) * np.sign(z), ((0.0, 0.0),), slopes=False
    ),
    "max(z-0.3,0)**1.5": Nasty(lambda z: np.maximum(z - 0.3, 0) ** 1.5, ((0.3, 0.0),)),
    "max(z,0)**0.75": Nasty(lambda z: np.maximum(z, 0) ** 0.75, ((0.0, 0.0),)),
    "abs(z-0.3)**3": Nasty(lambda z: abs(z - 0.3) ** 3, ((0.3, 0.0),)),
    "sin(20*z)": Nasty(lambda z: np.sin(20 * z)),
    "sin(z**2)": Nasty(lambda z: np.sin(z**2)),
    "step(z-1)": Nasty(lambda z: (z > 1) * 1.0, ((1.0, 0.0),)),
    "where(z > 0.5, where(z > 1, 2, 1), 0) + 0*z": Nasty(
        lambda z: (z > 0.5) * 1.0 + (z > 1), ((0.5, 0.0), (1.0, 0.0))
    ),
    "max(z-1/3,0)": Nasty(lambda z: np.maximum(z - 1 / 3, 0), ((1 / 3, 0.0),)),
    "exp(-10000*(z-0.5)**2)": Nasty(lambda z: np.exp(-1e4 * (z - 0.5) ** 2), ((0.5, 1e-2),)),
    "1/(1+1e8*(z-3)**2)": Nasty(lambda z: 1 / (1 + 1e8 * (z - 3) ** 2), ((3.0, 1e-4),)),
    "exp(z**2/16)": Nasty(lambda z: np.exp(z * z / 16)),
}


def edges(at: Sequence[tuple[float, float]], reach: float, widest: float) -> list[float]:
    """Return panels on [-reach, reach] that double in width from each point, up to `widest`."""
    out = {-reach, reach}
    for point, width in at:
        step = max(width / 4, 2.0**-50)
        near = [step * 2.0**k for k in range(60) if step * 2.0**k < 2 * reach]
        out |= {point, *(point + d for d in near), *(point - d for d in near)}
    ends = sorted(x for x in out if -reach <= x <= reach)
    for a, b in itertools.pairwise(tuple(ends)):
        pieces = math.ceil((b - a) / widest)
        ends += [a + (b - a) * i / pieces for i in range(1, pieces)]
    return sorted(ends)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


def rule(ends: Sequence[float]) -> tuple[Floats, Floats]:
    """Return nodes and weights for E[f(x)], x standard normal, on panels between `ends`."""
    a, b = np.array(ends[:-1])[:, None], np.array(ends[1:])[:, None]
    x = ((a + b) / 2 + (b - a) / 2 * _NODES).ravel()
    w = ((b - a) / 2 * _WEIGHTS).ravel()
    return x, w * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def square(problem: Nasty, k: float) -> float:
    """Return E[s(z)^2] for z of variance k, to about 1e-13."""
    q = math.sqrt(k)
    x, w = rule(edges([(z / q, h / q) for z, h in problem.at], 12.0, 0.1 / q))
    return math.fsum(w * problem.f(q * x) ** 2)


def product(problem: Nasty, k: float, rho: float) -> float:
    """Return E[s(z_a) s(z_b)], both of variance k, to about 1e-12 if |rho| is about 1/2."""
    q, sine = math.sqrt(k), math.sqrt(1 - rho * rho)
    x, w = rule(edges([(z / q, h / q) for z, h in problem.at], 12.0, 0.25 / q))
    inner = []
    for mean in q * rho * x:
        at = [((z - mean) / (q * sine), h / (q * sine)) for z, h in problem.at]
        y, v = rule(edges(at, 12.0, 0.25 / q))
        inner.append(v @ problem.f(mean + q * sine * y))
    return math.fsum(w * problem.f(q * x) * np.array(inner))
