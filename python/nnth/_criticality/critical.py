"""Critical initialization: variances at which deep networks neither explode nor forget inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnth._activations.activation import activation
from nnth._criticality.points import CriticalPoint, critical_points, variance_map
from nnth._kernels.kernel import MAX_DEPTH
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Plot, Series
from nnth._tables.table import Meta, Table


@serial_blas
def critical(act: str = "tanh", *, threads: int = 0) -> Table:
    """Return the critical points of an activation.

    A critical point is a triple (C_b, C_w, K*) with, for z ~ N(0, K*), ::

        K* = C_b + C_w E[s(z)^2],
        chi_par = (C_w/2) E[(s^2)''(z)] = 1,    chi_perp = C_w E[s'(z)^2] = 1.

    These are the K* at which E[s s''] = 0, with C_w = 1/E[s'^2] and C_b = K* - C_w E[s^2], where
    that C_b is not negative.

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z.
        threads: Number of threads, 0 for all; the result does not depend on it.

    Returns:
        A Table with one row for each critical point, or one row of universality "none" whose
        `note` says which condition fails. Columns: cb, cw and k_star (NaN where every K is fixed);
        chi_par and chi_perp; universality ("scale-invariant", "K* = 0", "half-stable", "family" or
        "none"); stability ("stable", "unstable", "neutral", or "from below" or "from above", the
        side from which variances tend to K*); decay and coefficient (at large layers l,
        `|K^l - K*|` is coefficient times decay, on the side that tends to K*); p_perp (the squared
        distance of two nearby inputs falls as l^-p_perp, relative to their squared norm); xi_q and
        xi_c (the depth scales -1/log chi, infinite here); residual (of the equation for K*,
        relative to K*); note; error (a bound on the relative errors of k_star and cw and on the
        error of cb over k_star, up to the estimates of rounding and quadrature).

    Raises:
        ValueError: The activation is unknown.

    What is searched: 0, and the variances from 1e-14 to 1e8, or to where the activation's own range
    ends (k_least and k_most of the row). There E[s s''] is an analytic function of log K, which is
    interpolated with a bound on the error, so that its sign is certain but in short intervals. Each
    interval with a change of sign has a row, and so has each in which E[s s''] comes to 0 within
    its error and keeps its sign on either side: `note` says that it may hold a double zero, two
    zeros, or none. Two zeros are found apart where E[s s''] between them exceeds about 1e-15 of its
    terms, at relative distances of about 1e-5 and more. Where no change of sign is found, `note`
    says so, and says where the sign is not certain.

    Accuracy: `error`, about 1e-13 for simple zeros and 1e-8 for zeros 1e-5 apart; coefficient and
    p_perp to 1e-8, or NaN with a note where the decay is not resolved. Cost: 50 to 500 ms, and
    seconds for activations that oscillate fast.

    Example:
        >>> nnth.critical("gelu")["k_star"].round(3)
        array([3.562, 0.   ])
        >>> nnth.critical("softplus")["universality"][0] == "none"
        True

    Source: Roberts et al. (2022), chapter 5; Schoenholz et al. (2017) for depth scales.
    """
    chosen = activation(act)
    validated()
    found = variance_map(chosen, threads=threads)
    points, failure = critical_points(chosen, found, threads=threads)
    meta = Meta("critical", {"act": chosen.name, "k_least": found.least, "k_most": found.most})
    if not points:
        nan = np.nan
        points = [CriticalPoint(nan, nan, nan, "none", "", nan, nan, nan, note=failure, error=nan)]
    scale = [np.nan if np.isnan(p.cw) else np.inf for p in points]
    columns: dict[str, Any] = {
        "cb": [p.cb for p in points],
        "cw": [p.cw for p in points],
        "k_star": [p.k_star for p in points],
        "chi_par": [p.chi_par for p in points],
        "chi_perp": [p.chi_perp for p in points],
        "universality": [p.universality for p in points],
        "stability": [p.stability for p in points],
        "decay": [p.decay for p in points],
        "coefficient": [p.coefficient for p in points],
        "p_perp": [p.p_perp for p in points],
        "xi_q": scale,
        "xi_c": scale,
        "residual": [p.residual for p in points],
        "note": [p.note for p in points],
        "error": [p.error for p in points],
    }
    return Table(columns, meta)


@serial_blas
def critical_decay(
    act: str = "tanh",
    *,
    depth: int = 100,
    norm: float = 1.0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the variance through the layers at an activation's first critical point.

    At the C_b and C_w of the first row of `nnth.critical`, for z ~ N(0, K^l)::

        K^1 = C_b + C_w |x|^2/n_0,    K^(l+1) = C_b + C_w E[s(z)^2].

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z.
        depth: Number of hidden layers L, from 1 to 10^7.
        norm: `|x|^2/n_0` of the input, finite and at least 0.
        threads: Number of threads, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total) with numbers of layers.

    Returns:
        A Table with one row for each layer from 1 to L + 1. Columns: layer; k, the variance;
        asymptote, its leading order at large layers; next_order, the same with the logarithm that
        follows (NaN where that term is not known); distance, `|k - K*|` (NaN where every K is
        fixed); chi_par and chi_perp at k; error, the estimated relative error of k, carried through
        the layers. On the side of a half-stable K* from which variances leave it, asymptote and
        next_order are NaN.

    Raises:
        ValueError: An argument is out of range, or the activation has no critical point.

    Accuracy: `error`. Cost: that of `nnth.critical`, and 0.3 us a layer.

    Example:
        >>> table = nnth.critical_decay("tanh", depth=1000)
        >>> table["k"][-1].round(6), table["asymptote"][-1].round(6)
        (np.float64(0.000501), np.float64(0.0005))

    Source: Roberts et al. (2022), sections 5.3 and 5.4.
    """
    chosen = activation(act)
    if not 1 <= depth <= MAX_DEPTH:
        rule = "at least 1" if depth < 1 else f"at most {MAX_DEPTH}"
        raise ValueError(f"depth must be {rule}, not {depth}")
    if not (0.0 <= norm < np.inf):
        raise ValueError(f"norm must be finite and at least 0, not {norm:g}")
    validated()
    found = variance_map(chosen, threads=threads)
    points, failure = critical_points(chosen, found, threads=threads)
    if not points:
        raise ValueError(f"act must have a critical point, and {chosen.name} has none: {failure}")
    point = points[0]
    if point.universality == "family":
        raise ValueError(f"act must have a first critical point, and {chosen.name} has a family")
    columns = found.recursion(point.cb, point.cw, point.cb + point.cw * norm, depth + 1, progress)
    layer = np.arange(1, depth + 2)
    k = columns["k"]
    if point.universality == "scale-invariant":
        asymptote, following = np.full(len(k), k[0]), np.full(len(k), np.nan)
    else:
        asymptote, following = point.asymptotes(layer.astype(np.float64))
        if point.stability in ("from below", "from above"):
            leaves = (k > point.k_star) == (point.stability == "from below")
            asymptote[leaves] = following[leaves] = np.nan
    parameters = {"act": chosen.name, "depth": depth, "norm": norm}
    parameters |= {"cb": point.cb, "cw": point.cw, "k_star": point.k_star}
    series = [Series(y="k", label="$K^{(\\ell)}$"), Series(y="asymptote", label="leading order")]
    if np.isfinite(following[1:]).all():
        series.append(Series(y="next_order", label="next order"))
    return Table(
        {
            "layer": layer,
            "k": k,
            "asymptote": asymptote,
            "next_order": following,
            "distance": np.abs(k - point.k_star),
            "chi_par": columns["chi_par"],
            "chi_perp": columns["chi_perp"],
            "error": columns["error"],
        },
        Meta("critical", parameters),
        plot=Plot(
            x="layer",
            y_label="variance $K^{(\\ell)}$",
            series=tuple(series),
            log_x=True,
            log_y=point.k_star == 0.0,
        ),
    )
