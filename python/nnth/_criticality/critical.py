"""Critical initialization: where a deep network neither blows up nor forgets its inputs."""

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

    They are the (C_b, C_w, K*) with K* = C_b + C_w E[s^2], chi_par = (C_w/2) E[(s^2)''] = 1 and
    chi_perp = C_w E[s'^2] = 1, z ~ N(0, K*): the K* with E[s s''] = 0, C_w = 1/E[s'^2] and C_b =
    K* - C_w E[s^2] where that is not negative.

    act: name, `name:parameter` or expression in z (see `nnth._activations.activation.activation`).

    Returns a Table, a row a critical point, or one row of universality "none" whose note says what
    fails: cb, cw, k_star (nan where every K is fixed), chi_par, chi_perp, universality
    ("scale-invariant", "K* = 0", "half-stable", "family", "none"), stability ("stable", "unstable",
    "from below" or "from above" for the side that tends to K*, "neutral"), decay and coefficient
    (|K^l - K*| ~ coefficient times decay at large l, on the side that tends to K*), p_perp (the
    squared distance of two nearby inputs falls as l^-p_perp, relative to theirs), xi_q and xi_c
    (depth scales -1/log chi, infinite here), residual (of K* = C_b + C_w E[s^2], relative to K*),
    note, error (bound, up to the estimates of rounding and quadrature, on what k_star and cw are
    off, relative, and cb over k_star).

    Range: 0 and variances from 1e-14 to 1e8, or where the activation's own range ends, as k_least
    and k_most of the record say. Within it the sign of E[s s''] is certain but for intervals of
    which each has a row: it is interpolated in log K, of which it is an analytic function, with a
    bound on the error. Zeros that near a double one are found apart as long as it exceeds some
    1e-15 of its terms between them; where it comes to 0 within that and turns back the note says
    so. Accuracy: `error`, about 1e-13 for K*, more for zeros close to one another; `coefficient`
    and p_perp to 1e-8, nan with a note where the decay is not resolved. Cost: 50 to 500 ms, and
    seconds for activations that oscillate fast.

    Raises ValueError for an unknown activation.

    Source: Roberts, Yaida & Hanin (2022), ch. 5; Schoenholz et al. (2017), for depth scales.
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
    """Return the variance along depth at an activation's first critical point.

    K^1 = C_b + C_w norm, K^(l+1) = C_b + C_w E[s(z)^2], z ~ N(0, K^l).

    act: as in `critical`. depth: hidden layers L, 1 to 10^7. norm: |x|^2/n_0, finite, >= 0.
    progress: called with the layers done and in all, a few times a second.

    Returns a Table of depth + 1 rows: layer, k, asymptote (leading order at large layers),
    next_order (with the logarithm that follows it, nan where no such term is known), distance (|k -
    K*|, nan where every K is fixed), chi_par, chi_perp, error (estimated relative error of k,
    carried through the layers). On the side of a half-stable K* that runs away from it there are no
    asymptotes, and they are nan.

    Cost: 0.3 us a layer.

    Raises ValueError for arguments out of range and for an activation without critical point.

    Source: Roberts, Yaida & Hanin (2022), sections 5.3 and 5.4.
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
    drawn = [Series(y="k", label="$K^{(\\ell)}$"), Series(y="asymptote", label="leading order")]
    if np.isfinite(following[1:]).all():
        drawn.append(Series(y="next_order", label="next order"))
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
            series=tuple(drawn),
            log_x=True,
            log_y=point.k_star == 0.0,
        ),
    )
