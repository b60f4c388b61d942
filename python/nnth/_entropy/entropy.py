"""Entropy numbers, Kolmogorov and stable widths of sets and classes of functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._entropy.body import Body, Box, Lipschitz
from nnth._entropy.ellipsoid import Ellipsoid, ball, of_axes, power_law
from nnth._entropy.finite import FiniteSet
from nnth._entropy.theorems import carl_ratios, converse, of_entropy
from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.protocol import SphereKernel
from nnth._kernels.sphere import in_floats, multiplicities
from nnth._networks.network import parse_widths, random_network
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer, check_magnitude
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.table import Meta, Table

MAX_BITS: Final = 1000
MAX_EXPONENT: Final = 100.0  # n^r must stay in the doubles
_LARGEST: Final = 1e100  # sums of squares of values and inputs stay in the doubles
_LEVELS: Final = 400  # higher levels of the sphere are below rounding
_PARAMETERS: Final = (
    "functions",
    "metric",
    "kernel",
    "act",
    "depth",
    "cb",
    "cw",
    "ntk",
    "n0",
    "widths",
    "samples",
    "x",
    "points",
)
_SETS: Final = "interval, box, ball, lipschitz, axes, power, sphere, functions or nets"


@serial_blas
def entropy(
    set: str = "ball:3",
    *,
    bits: Sequence[int] = (0, 1, 2, 4, 8, 16, 32, 64),
    functions: Data | None = None,
    metric: Literal["l2", "sup"] = "l2",
    kernel: str = "ntk",
    act: str = "relu",
    n0: int = 3,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    widths: str = "64",
    samples: int = 1000,
    x: Data | None = None,
    points: int = 200,
    exponent: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return entropy numbers and widths of a set, exact or between bounds.

    For a compact set, with distances in a normed space::

        eps_n    the least radius of 2^n balls that cover the set (entropy number)
        d_n      the largest distance of the set to the best linear space of dimension n
                 (Kolmogorov width)
        delta_n  the best error of a pair of 2-Lipschitz maps to R^n and back (stable width)

    Args:
        set: The set. "interval:R": [-R, R]; "box:b1,b2,..": `|x_j|` <= b_j in the sup norm;
            "ball:d": the unit ball of R^d; "axes:b1,b2,..": an ellipsoid in l2 with semi-axes b;
            "power:p": the ellipsoid with b_j = j^-p; "lipschitz:A,T": functions on [0, T] with
            Lipschitz constant A and f(0) = 0, in the sup norm; "sphere": the unit ball of the
            Hilbert space of a kernel, in L2 of S^(n0 - 1); "functions": the rows of `functions`;
            "nets": random ReLU networks as functions on `x`.
        bits: Numbers n, each 0 to 1000.
        functions: Values of functions `(functions, points)`, or a path, for the set "functions".
        metric: Distance of functions and networks: "l2", the root mean square over points, or
            "sup", the maximum.
        kernel: Kernel of the set "sphere", as in `nnth.rkhs_spectrum`.
        act: Activation of its network, as in `nnth.kernel`.
        n0: Dimension of the sphere's space, or of the inputs of the networks.
        depth: Number of hidden layers of the kernel's network.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        widths: Widths of the hidden layers of the networks, such as "64" or "32,32"; the networks
            have weight variance 2 and no biases.
        samples: Number of networks, at least 2.
        x: Inputs `(points, n_0)`, or a path, at which the networks are evaluated.
        points: Number of uniform points of the sphere `|x|^2` = n0, instead of `x`.
        exponent: r of Carl's inequality, above 0, at most 100.
        seed: Seed of the networks, the points and the random projections.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Table with a row for each n and the columns n; lower and upper, bounds of eps_n;
        asymptotic, the limit form of eps_n (NaN if not known); exact, eps_n if it is known;
        kolmogorov_width, d_n if it is known; stable_width_lower, stable_width_upper;
        kolmogorov_lower, kolmogorov_upper; jl_upper = 3 eps_floor(n/26), at least delta_n in a
        Hilbert space; converse_lower, a lower bound of delta_n: the supremum of the delta for which
        a lower bound of eps contradicts eps_ceil(n log2(1 + 4R/delta)) <= 4 delta, R the radius of
        the set; status, "exact" or "bracket"; carl, sup_(1 <= k <= n) k^r eps_k over
        sup_(1 <= k <= n) k^r d_(k-1), from upper bounds of eps_k and lower bounds of d_(k-1):
        bounded by a constant of r for every set (Carl's inequality).

        For functions and networks in l2 also jl_dimension, jl_least and jl_most: the dimension of
        a random projection, and the extreme ratios of squared distances of 2^n centers after it
        and before; some projection has ratios in [0.4, 1.6] (Johnson and Lindenstrauss).

    Raises:
        ValueError: For arguments out of range.

    Accuracy: boxes use rational arithmetic; other bounds have a relative error of 1e-12.
    Bounds for networks are those of the networks drawn, a subset of the class: lower bounds hold
    for the class, upper bounds do not. Cost: milliseconds, but for functions and networks 2^n
    centers take 2^n passes over all values.

    Example:
        >>> table = nnth.entropy("lipschitz:1,1", bits=[0, 1, 3])
        >>> table["exact"]
        array([1.  , 0.5 , 0.25])

    Source: Kolmogorov and Tikhomirov (1959); Carl (1981), theorem 1; Carl and Stephani (1990),
    eq. 1.3.2; Donoho (2000); Gonzalez (1985); DeVore et al. (1989); Cohen et al.
    (2022).
    """
    numbers = [check_integer("bits", n, 0) for n in bits]
    if not numbers or max(numbers) > MAX_BITS:
        said = max(numbers) if numbers else "none"
        raise ValueError(f"bits must be from 0 to {MAX_BITS}, not {said}")
    if metric not in ("l2", "sup"):
        raise ValueError(f"metric must be l2 or sup, not {metric!r}")
    if not 0.0 < exponent <= MAX_EXPONENT:
        rule = f"positive and at most {MAX_EXPONENT:g}"
        raise ValueError(f"exponent must be {rule}, not {exponent:g}")
    kind, colon, text = set.partition(":")
    if colon and not text.strip():
        raise ValueError(f"set {kind}: must have numbers after the colon, or no colon")
    parameters: dict[str, Any] = {"set": set, **dict.fromkeys(_PARAMETERS)}
    random = False
    if kind == "sphere":
        chosen = named_kernel(kernel, act, depth=depth, cb=cb, cw=cw)
        parameters |= {**chosen.parameters, "n0": check_integer("n0", n0, 2)}
        body: Body = _sphere(chosen, n0)
    elif kind == "functions":
        if functions is None:
            raise ValueError("functions must be given for the set functions")
        rows_of_values = data_of(functions, "functions")
        check_magnitude("functions", rows_of_values, _LARGEST)
        body = FiniteSet(rows_of_values, metric == "l2", seed)
        parameters |= {"functions": file_of(functions), "metric": metric}
        validated()
    elif kind == "nets":
        places = _places(x, n0, points, seed)
        made = {"widths": widths, "samples": samples, "x": file_of(x), "metric": metric}
        check_magnitude("x", places, _LARGEST)
        parameters |= made | {"n0": places.shape[1], "points": len(places)}
        values = _nets(
            places, parse_widths(widths), check_integer("samples", samples, 2), seed, progress
        )
        body, random = FiniteSet(values, metric == "l2", seed), True
    else:
        body = _known(kind, text)
        validated()
    finite = isinstance(body, FiniteSet)
    ratios = carl_ratios(body, numbers, exponent)
    rows = [_row(body, n) | {"carl": ratios[n]} for n in numbers]
    if isinstance(body, FiniteSet) and body.hilbert:
        rows = [row | _measured(body, row["n"]) for row in rows]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    parameters["exponent"] = exponent
    used = seed if random or (finite and metric == "l2") else None
    return Table(columns, Meta("entropy", parameters, used), plot=_picture(columns))


def _known(kind: str, text: str) -> Body:
    """Return a set with a formula for its entropy numbers."""
    if kind == "interval":
        return Box(_numbers(kind, text or "1", 1))
    if kind == "box":
        return Box(_numbers(kind, text))
    if kind == "lipschitz":
        slope, length = _numbers(kind, text or "1,1", 2)
        if not 0.0 < slope * length < math.inf:
            raise ValueError(f"set lipschitz:A,T must have a product in the doubles, not {text!r}")
        return Lipschitz(slope, length)
    if kind == "axes":
        return of_axes(np.array(_numbers(kind, text)))
    (number,) = _numbers(kind, text or "3", 1) if kind in ("ball", "power") else (math.nan,)
    if kind == "ball":
        if number != int(number):
            raise ValueError(f"set ball:d must have a whole dimension, not {text!r}")
        return ball(int(number))
    if kind == "power":
        return power_law(number)
    raise ValueError(f"set must be {_SETS}, not {kind!r}")


def _numbers(kind: str, text: str, count: int | None = None) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        numbers = ()
    wrong = not numbers or not all(0.0 < number < math.inf for number in numbers)
    if wrong or (count is not None and len(numbers) != count):
        many = "positive numbers separated by commas" if count is None else f"{count} above 0"
        raise ValueError(f"set {kind} must have {many} after a colon, not {text!r}")
    return numbers


def _sphere(chosen: SphereKernel, d: int) -> Ellipsoid:
    """Return the unit ball of H_K in L2 of the sphere: semi-axes sqrt(mu_k), N(d, k) times each."""
    norm = chosen.sphere_norm(None)
    validated()
    found = chosen.levels(d, _LEVELS, norm)
    counts = in_floats(multiplicities(d, _LEVELS))
    order = np.argsort(-found.values, kind="stable")
    order = order[found.reliable[order]]
    # Unreliable eigenvalues are at most their value plus error; later ones are below the last.
    unknown = (found.values + found.errors)[~found.reliable]
    rest = math.sqrt(max(float(unknown.max(initial=0.0)), float(found.values[order[-1]])))
    kept = order[np.sqrt(found.values[order]) > rest] if unknown.size else order[:-1]
    if not kept.size:
        raise ValueError(f"n0 must be smaller, not {d}: no eigenvalue is more than its error there")
    return Ellipsoid(
        np.sqrt(found.values[kept]),
        np.cumsum(counts[kept]),
        rest=rest,
        regular=math.isfinite(chosen.decay(d)),
    )


def _places(x: Data | None, n0: int, points: int, seed: int) -> Floats:
    """Return the inputs at which networks are evaluated."""
    if x is not None:
        return data_of(x, "x")
    n0, points = check_integer("n0", n0), check_integer("points", points)
    name = "n0" if n0 > points else "points"
    check_memory(16 * points * n0, f"{name} must be smaller: the inputs")
    places = normals(seed, streams.ENTROPY_POINTS.first, points * n0).reshape(points, n0)
    lengths = np.sqrt(np.einsum("ij,ij->i", places, places))
    return np.asarray(places * (math.sqrt(n0) / lengths)[:, None])


def _nets(
    places: Floats,
    widths: Sequence[int],
    samples: int,
    seed: int,
    progress: Progress | None,
) -> Floats:
    check_memory(8 * samples * len(places), "samples must be fewer: their values")
    random_network(places.shape[1], widths, cb=0.0)  # it checks the widths
    validated()
    values = np.empty((samples, len(places)))
    for sample in range(samples):
        net = random_network(places.shape[1], widths, cb=0.0, seed=seed, sample=sample)
        values[sample] = net(places)[:, 0]
        if progress is not None:
            progress(sample + 1, samples)
    return values


def _row(body: Body, n: int) -> dict[str, Any]:
    found, linear, stable = body.entropy(n), body.kolmogorov(n), body.stable(n)
    jl = of_entropy(body, n)
    lower = converse(body, n)
    return {
        "n": n,
        "lower": found.lower,
        "upper": found.upper,
        "asymptotic": body.asymptotic(n),
        "exact": found.exact,
        "kolmogorov_width": linear.exact,
        "stable_width_lower": max(stable.lower, lower),
        "stable_width_upper": min(stable.upper, jl if body.hilbert else math.inf),
        "kolmogorov_lower": linear.lower,
        "kolmogorov_upper": linear.upper,
        "jl_upper": jl,
        "converse_lower": lower,
        "status": "bracket" if math.isnan(found.exact) else "exact",
    }


def _measured(body: FiniteSet, n: int) -> dict[str, Any]:
    dimension, least, most = body.distortion(n)
    return {"jl_dimension": dimension, "jl_least": least, "jl_most": most}


def _picture(columns: dict[str, list[Any]]) -> Lines:
    """Return entropy numbers and linear widths over n, brackets as bands."""
    order = np.argsort(columns["n"])
    n = np.array(columns["n"], dtype=np.float64)[order]
    lines, bands = [], []
    for name, low, high in (
        ("\\varepsilon_n", "lower", "upper"),
        ("d_n", "kolmogorov_lower", "kolmogorov_upper"),
    ):
        ends = np.array([columns[low], columns[high]])[:, order]
        known = bool(np.array_equal(ends[0], ends[1], equal_nan=True))
        lines.append((f"${name}$" if known else f"${name} \\leq$", n, ends[1]))
        bands.append((n, ends[0], ends[1]))
    asymptotic = np.array(columns["asymptotic"])[order]
    if np.isfinite(asymptotic).any():
        lines.append(("$\\varepsilon_n \\sim$", n, asymptotic))
    return Lines(
        lines=tuple(lines),
        bands=tuple(bands),
        log_x=bool(n[0] > 0.0),
        log_y=True,
        x_label="bits, dimension $n$",
        y_label="radius $\\varepsilon_n$, width $d_n$",
    )
