"""Kernels of infinitely wide networks, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._runtime.checks import check_integer
from nnth._runtime.work import validated
from nnth._tables.plot import Plot, Series
from nnth._tables.table import Meta, Table

Ntk = Literal["ntk", "bias", "pdlt"]
Method = Literal["auto", "closed", "quadrature", "gauss-hermite", "all"]

MAX_DEPTH: Final = 10_000_000  # rows that fit in memory a few times over
MAX_NODES: Final = 10_000

_DRAWN: Final = ("k_aa", "k_ab", "theta_aa", "theta_ab")


def kernel(
    act: str = "relu",
    *,
    depth: int = 10,
    cb: float | None = None,
    cw: float | None = None,
    x_a: ArrayLike | None = None,
    x_b: ArrayLike | None = None,
    norm: float | None = None,
    rho: float | None = None,
    ntk: Ntk = "ntk",
    method: Method = "auto",
    nodes: int | None = None,
) -> Table:
    """Return the kernels of two inputs at each layer of an infinitely wide network.

    K^1_ab = C_b + C_w x_a.x_b/n_0 and K^(l+1)_ab = C_b + C_w E[s(z_a) s(z_b)], z ~ N(0, K^l); the
    neural tangent kernel has Theta^1 = K^1, Theta^(l+1) = K^(l+1) + C_w E[s'(z_a) s'(z_b)] Theta^l.

    act: name, `name:parameter` or expression in z (see `nnth._activations.activation.activation`).
    depth: hidden layers L, 1 to 10^7.
    cb, cw: bias and weight variance, finite, >= 0. By default the activation's critical pair; with
        cw alone, cb is 0.
    x_a, x_b: two vectors `(n_0,)`; or else norm = |x|^2/n_0 >= 0 of both, 1 by default, and rho in
        [-1, 1], their cosine, 0.5 by default.
    ntk: convention for Theta. "ntk" as above; "bias": Theta^1 = 1 + C_w S, each layer adds
        1 + C_w E[s s]; "pdlt": Theta^1 = 1 + S, each layer adds 1 + E[s s] (S = x_a.x_b/n_0).
    method: "auto" is the closed form where there is one, else the panel quadrature; "closed",
        "quadrature" and "gauss-hermite" (with `nodes` points, 100 by default, for smooth
        activations) insist; "all" gives a row for each that applies, with the column `method`.

    Returns a Table of depth + 1 rows: layer (1..L+1), k_aa, k_bb, k_ab,
    corr = k_ab/sqrt(k_aa k_bb), gap = k_aa + k_bb - 2 k_ab, theta_aa, theta_bb, theta_ab,
    chi_par = (C_w/2) E[(s^2)''] and chi_perp = C_w E[s'^2] at k_aa, error, status. `error`
    estimates the relative error of the row's kernels, quadrature and rounding carried through the
    layers: that of k_ab and theta_ab is relative to the geometric mean of the diagonals, or where
    theta_aa is infinite to the larger of theta_ab and sqrt(k_aa k_bb). `status` is "ok"; "zero"
    where a variance is 0: E[s^2] is then its limit at variance 0+ and the correlation is taken as 0
    (step: K_aa = C_w/2, K_ab = C_w/4); "infinite" where Theta_aa is, the activation having jumps,
    whose derivatives are delta functions, or slopes without a mean square; "underflow" from the
    layer on where numbers leave the range of doubles, and "overflow" where one does: theta, gap,
    chi_par or chi_perp is then infinite, or NaN where it is not known, and from a variance on all
    numbers are NaN.

    A slope that is infinite at a kink, as that of |z|^p with p < 1, has E[s'^2] = inf for p <= 1/2:
    theta_aa, theta_bb and chi_perp are infinite and theta_ab is finite for -1 < corr < 1. For
    p > 1/2 what lies below the innermost point of the quadrature is taken from the power law there.

    Accuracy: the reference values of the tests are met to 4e-12 and mostly to 1e-14 at depth 50,
    closed form or not, kinked or smooth, for variances from 1e-16 to 1e8, and by closed forms for
    all variances that are doubles; `error` is larger, 1e-13 to 1e-10 there. A slope that is
    infinite at a kink off 0 costs digits: 1e-7 remain, as `error` says. `error` of Gauss-Hermite is
    measured: it is the difference to "auto" plus the error of that, since the rule cannot see what
    lies between its nodes. `gap` keeps its digits for near-parallel inputs (relative error about
    1e-16/sqrt(1 - corr)). Cost: 1 us a layer for closed forms, 1 to 50 ms for quadrature, nodes^2
    evaluations and the cost of "auto" for Gauss-Hermite.

    Raises ValueError for an unknown activation, arguments out of range, and norm or rho beside x_a
    and x_b.

    Source: Cho & Saul (2009); Poole et al. (2016); Jacot et al. (2018); Roberts, Yaida & Hanin
    (2022), for chi and "pdlt".
    """
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    network = core_network(cb, cw, depth, ntk)
    parameters: dict[str, Any] = {"act": chosen.name, "depth": depth, "cb": cb, "cw": cw}
    if x_a is None and x_b is None:
        norm = 1.0 if norm is None else norm
        rho = 0.5 if rho is None else rho
        inputs = _core.Inputs(norm, norm, rho)
        parameters |= {"norm": norm, "rho": rho, "x_a": None, "x_b": None}
    else:
        for name, value in (("norm", norm), ("rho", rho)):
            if value is not None:
                raise ValueError(
                    f"{name} must not be given where x_a and x_b are, and is {value:g}"
                )
        a, b = _vector("x_a", x_a), _vector("x_b", x_b)
        if a.size != b.size:
            raise ValueError(f"x_a and x_b must have one length, not {a.size} and {b.size}")
        inputs = _core.Inputs(a, b)
        parameters |= {"norm": None, "rho": None, "x_a": a.tolist(), "x_b": b.tolist()}
    methods = _methods(chosen, method)
    by_nodes = "gauss-hermite" in methods
    if nodes is not None and not by_nodes:
        raise ValueError(f"nodes must not be given for method {method}, and is {nodes}")
    nodes = 100 if nodes is None else check_integer("nodes", nodes, 0)
    if not 2 <= nodes <= MAX_NODES:
        raise ValueError(f"nodes must be from 2 to {MAX_NODES}, not {nodes}")
    parameters |= {"ntk": ntk, "method": method, "nodes": nodes if by_nodes else None}
    validated()
    results = {
        name: _core.kernel(chosen.core, _core.Method.__members__[name], nodes, network, inputs)
        for name in methods
    }
    return _table(results, parameters, depth, labeled=method == "all")


def variances(act: Activation, cb: float | None, cw: float | None) -> tuple[float, float]:
    """Return (C_b, C_w): as given, or the activation's critical pair where neither is.

    Raises ValueError when neither is given and no critical pair is known, or cb comes alone.
    """
    if cw is not None:
        return (0.0 if cb is None else cb), cw
    if cb is not None:
        raise ValueError(f"cw must be given where cb is, and cb is {cb:g}")
    if act.critical is None:
        raise ValueError(f"cw must be given: no critical pair is known for act {act.name}")
    return act.critical


def core_network(cb: float, cw: float, depth: int, ntk: str) -> _core.Network:
    """Return the core's description of a network.

    Raises ValueError for a depth outside 1..MAX_DEPTH, a variance that is negative or not finite,
    and an NTK convention there is not.
    """
    if not 1 <= depth <= MAX_DEPTH:
        rule = "at least 1" if depth < 1 else f"at most {MAX_DEPTH}"
        raise ValueError(f"depth must be {rule}, not {depth}")
    if ntk not in _core.Ntk.__members__:
        raise ValueError(f"ntk must be ntk, bias or pdlt, not {ntk!r}")
    return _core.Network(cb, cw, depth, _core.Ntk.__members__[ntk])


def _methods(act: Activation, method: str) -> list[str]:
    if method == "all":
        return [*(["closed"] if act.form else []), "quadrature", "gauss-hermite"]
    if method not in _core.Method.__members__:
        known = ", ".join([*_core.Method.__members__, "all"])
        raise ValueError(f"method must be one of {known}, not {method!r}")
    if method == "closed" and not act.form:
        raise ValueError(
            f"method must be auto, quadrature or gauss-hermite for act {act.name}, "
            "which has no closed form, not 'closed'"
        )
    return [method]


def _vector(name: str, values: ArrayLike | None) -> NDArray[np.float64]:
    if values is None:
        raise ValueError("x_a and x_b must both be given, or neither")
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{name} must be a vector, not an array of shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must hold finite numbers, not {vector[~np.isfinite(vector)][0]}")
    return vector


def _table(
    results: dict[str, _core.Layers], parameters: dict[str, Any], depth: int, *, labeled: bool
) -> Table:
    """Return the rows of all methods, those of one layer next to each other."""
    count = len(results)
    columns: dict[str, Sequence[Any] | NDArray[Any]] = {
        "layer": np.repeat(np.arange(1, depth + 2), count)
    }
    for name in next(iter(results.values())):
        columns[name] = np.stack([np.asarray(r[name]) for r in results.values()], axis=1).ravel()
    if labeled:
        columns["method"] = list(results) * (depth + 1)
    # Between methods only the two-input kernels differ by more than a line's width.
    drawn = ("k_ab", "theta_ab") if labeled else _DRAWN
    plot = Plot(
        x="layer",
        y_label="kernels $K^{(\\ell)}$, $\\Theta^{(\\ell)}$",
        series=tuple(Series(y=name) for name in drawn),
        log_y=all(np.all(np.asarray(columns[name]) > 0.0) for name in drawn),
        by="method" if labeled else None,
    )
    return Table(columns, Meta("kernel", parameters), plot=plot)
