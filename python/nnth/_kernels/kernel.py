"""Kernels of infinitely wide networks, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._kernels.layers import LayeredNetwork, layered_network
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Plot, Series
from nnth._tables.table import Meta, Table

Ntk = Literal["ntk", "bias", "pdlt"]
Method = Literal["auto", "closed", "quadrature", "gauss-hermite", "all"]

MAX_DEPTH: Final = 10_000_000  # a Table with this many rows takes about 1 GiB
MAX_NODES: Final = 10_000

_DRAWN: Final = ("k_aa", "k_ab", "theta_aa", "theta_ab")


def kernel(
    act: str | None = None,
    *,
    layers: str | None = None,
    depth: int | None = None,
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

    With biases of variance C_b and weights of variance C_w over fan-in, the NNGP kernel K and the
    neural tangent kernel Theta obey::

        K^1_ab         = C_b + C_w x_a.x_b / n_0
        K^(l+1)_ab     = C_b + C_w E[s(z_a) s(z_b)],   z ~ N(0, K^l)
        Theta^1_ab     = K^1_ab
        Theta^(l+1)_ab = K^(l+1)_ab + C_w E[s'(z_a) s'(z_b)] Theta^l_ab

    With `layers` the network is a list of layers from input to output, separated by blanks::

        dense:CW,CB    K' = C_w K + C_b,         Theta' = K' + C_w Theta
        relu ...       K' = E[s(z_a) s(z_b)],    Theta' = E[s'(z_a) s'(z_b)] Theta
        residual(...)  x + f(x): K' = K + K_f,   Theta' = Theta + Theta_f
        layernorm      K' = K_ab/sqrt(K_aa K_bb), Theta' = Theta_ab/sqrt(K_aa K_bb)
        dropout:RATE   K_aa and Theta_aa over 1 - RATE; K_ab and Theta_ab as they are
        scale:A        K' = A^2 K,               Theta' = A^2 Theta

    from K = x_a.x_b/n_0 and Theta = 0. An activation is a name or an expression in quotes. An
    activation or layernorm needs a dense before it, with nothing but scale, layernorm and residual
    between; the inside of residual ends in such units too, and has a dense of its own.

    Args:
        act: Activation: a name, `name:parameter` or an expression in z (see `nnth.activation`);
            "relu" by default.
        layers: The layers of the network, instead of `act` and `depth`, as "dense:2 relu
            residual(dense:2 relu dense:2) dense". `cw` and `cb` are then those of each dense
            without its own, 1 and 0 by default.
        depth: Number L of hidden layers, 1 to 10^7; 10 by default.
        cb: Bias variance C_b, finite, at least 0. By default that of the critical pair of the
            activation; 0 if only `cw` is given.
        cw: Weight variance C_w, finite, at least 0. By default that of the critical pair.
        x_a: First input, shape `(n_0,)`; given together with `x_b`, instead of `norm` and `rho`.
        x_b: Second input, shape `(n_0,)`.
        norm: `|x|^2/n_0` of both inputs, at least 0; 1 by default.
        rho: Cosine of the angle between the inputs, in [-1, 1]; 0.5 by default.
        ntk: Convention for Theta, with S = x_a.x_b/n_0. "ntk": as above. "bias": Theta^1 = 1 + C_w
            S, and each layer adds 1 + C_w E[s s] instead of K^(l+1). "pdlt": Theta^1 = 1 + S, and
            each layer adds 1 + E[s s].
        method: Method for expectations. "closed": closed forms. "quadrature": Gauss-Legendre
            quadrature split at kinks. "auto": closed forms if the activation has them, else
            quadrature. "gauss-hermite": the Gauss-Hermite rule, for smooth activations. "all": a
            row for each method that applies, with the column `method`.
        nodes: Number of nodes of the Gauss-Hermite rule, 2 to 10^4; 100 by default.

    Returns:
        A Table with depth + 1 rows and the columns layer (1 to L + 1); k_aa, k_bb, k_ab; corr =
        k_ab/sqrt(k_aa k_bb); gap = k_aa + k_bb - 2 k_ab; theta_aa, theta_bb, theta_ab; chi_par =
        (C_w/2) E[(s^2)''] and chi_perp = C_w E[s'^2], both at k_aa; error; status.

        With `layers`, a row for each layer written, and after `layer` the column op, the layer: the
        rows of the inside of a residual come before its own. chi_par and chi_perp are NaN.

        `error` estimates the relative error of the kernels of the row: the errors of quadrature and
        rounding, carried through the layers. The error of k_ab and theta_ab is relative to the
        geometric mean of the diagonal entries or, where theta_aa is infinite, to the larger of
        theta_ab and sqrt(k_aa k_bb). For "gauss-hermite" it is the difference to "auto" plus the
        error of that, since the rule cannot detect what lies between its nodes.

        `status` is "ok"; "zero" if a variance is 0: E[s^2] is then its limit at variance 0+, and
        the correlation is taken as 0 (step: K_aa = C_w/2, K_ab = C_w/4); "infinite" if theta_aa is
        infinite: the activation jumps, so that its derivative contains delta functions, or E[s'^2]
        is infinite; "underflow" from the layer on where a number leaves the range of normal
        doubles; "undefined" from a layernorm of a variance of 0 on; "overflow" where a number
        leaves the range of doubles: theta, gap, chi_par or chi_perp is then infinite, or NaN where
        it is not known, and after a variance overflows all numbers are NaN.

    Raises:
        ValueError: For an unknown activation, for arguments out of range, for `norm` or `rho`
            given together with `x_a` and `x_b`, for `layers` that have no such kernel, and for
            `layers` together with `act`, `depth` or `ntk` other than "ntk".

    Accuracy: relative errors are at most 4e-12 and mostly 1e-14 at depth 50 against 25-digit
    reference values, for closed forms and quadrature, kinked and smooth activations, and variances
    from 1e-16 to 1e8 (for closed forms any double); `error` is larger, 1e-13 to 1e-10. `gap` keeps
    its digits for near-parallel inputs: its relative error is about 1e-16/sqrt(1 - corr). If s' is
    infinite at a kink, as for `|z|^p` with p < 1, E[s'^2] is infinite for p <= 1/2; for p > 1/2 the
    part below the innermost node of the quadrature is integrated from the power law, and at a kink
    away from 0 the relative error is 1e-7. Cost: 1 us a layer for closed forms, 1 to 50 ms for
    quadrature, `nodes^2` evaluations and the cost of "auto" for the Gauss-Hermite rule.

    Example:
        >>> table = nnth.kernel("relu", depth=2, rho=0.5)
        >>> table["k_ab"].round(4)
        array([1.    , 1.218 , 1.3678])
        >>> table["theta_ab"].round(4)
        array([1.    , 1.8847, 2.703 ])
        >>> table = nnth.kernel(layers="dense:2 residual(relu dense:2) layernorm", rho=0.5)
        >>> table["op"].tolist()
        ['dense:2', 'relu', 'dense:2', 'residual', 'layernorm']
        >>> table["k_ab"].round(4)
        array([1.    , 0.609 , 1.218 , 2.218 , 0.5545])

    Source: Cho and Saul (2009), eq. 6; Poole et al. (2016); Jacot et al. (2018), theorem 1; for chi
    and "pdlt" Roberts et al. (2022), chapters 5 and 8; for `layers` Yang and Schoenholz (2017).
    """
    network = network_of(act, layers, depth=depth, cb=cb, cw=cw, ntk=ntk)
    parameters = network.parameters
    parameters.pop("ntk", None)  # it follows the inputs
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
    methods = _methods(network.activations, method)
    by_nodes = "gauss-hermite" in methods
    if nodes is not None and not by_nodes:
        raise ValueError(f"nodes must not be given for method {method}, and is {nodes}")
    nodes = 100 if nodes is None else check_integer("nodes", nodes, 0)
    if not 2 <= nodes <= MAX_NODES:
        raise ValueError(f"nodes must be from 2 to {MAX_NODES}, not {nodes}")
    parameters |= {"ntk": ntk, "method": method, "nodes": nodes if by_nodes else None}
    validated()
    results = {
        name: network.kernel(_core.Method.__members__[name], nodes, inputs) for name in methods
    }
    return _table(results, parameters, network.operations, labeled=method == "all")


@dataclass(frozen=True, eq=False)
class InfiniteNetwork:
    """An infinitely wide network: activation, hidden layers, variances and NTK convention."""

    act: Activation
    depth: int
    cb: float
    cw: float
    ntk: Ntk
    config: _core.KernelConfig

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Return the activation, as `LayeredNetwork` has them."""
        return (self.act,)

    @property
    def operations(self) -> None:
        """Return None: a row of `nnth.kernel` is a layer with its activation."""
        return None

    def kernel(self, method: _core.Method, nodes: int, inputs: _core.Inputs) -> _core.Layers:
        """Return the columns of `nnth.kernel` by one method."""
        return _core.kernel(self.act.core, method, nodes, self.config, inputs)

    def blocks(
        self, data: Floats, with_theta: bool, threads: int, progress: Progress | None
    ) -> _core.GramBlocks:
        """Return the blocks of the core for inputs `(m, n_0)`."""
        return _core.GramBlocks(self.act.core, self.config, data, with_theta, threads, progress)

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the columns of a record that describe the network."""
        made = {"act": self.act.name, "depth": self.depth, "cb": self.cb, "cw": self.cw}
        return {**made, "ntk": self.ntk}

    def __reduce__(self) -> tuple[Any, ...]:  # objects of the core cannot be pickled
        return _network_of, (self.act.name, self.depth, self.cb, self.cw, self.ntk)


AnyNetwork: TypeAlias = InfiniteNetwork | LayeredNetwork


def network_of(
    act: str | None,
    layers: str | None,
    *,
    depth: int | None,
    cb: float | None,
    cw: float | None,
    ntk: Ntk,
) -> AnyNetwork:
    """Return a network of `depth` hidden layers, or with `layers` that of this list.

    Raises ValueError as `infinite_network` and `layered_network` do, and if both are described.
    """
    if layers is None:
        act, depth = "relu" if act is None else act, 10 if depth is None else depth
        return infinite_network(act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    for name, value in (("act", act), ("depth", depth)):
        if value is not None:
            raise ValueError(f"{name} must not be given with layers, and is {value}")
    if ntk != "ntk":
        raise ValueError(f"ntk must be ntk with layers, not {ntk!r}")
    return layered_network(layers, cb=cb, cw=cw)


def infinite_network(
    act: str, *, depth: int, cb: float | None = None, cw: float | None = None, ntk: Ntk = "ntk"
) -> InfiniteNetwork:
    """Return a network, with the critical variances of its activation if neither is given.

    Raises ValueError for an unknown activation, and as `variances` and `kernel_config` do.
    """
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    depth = check_integer("depth", depth, minimum=1)
    return InfiniteNetwork(chosen, depth, cb, cw, ntk, kernel_config(cb, cw, depth, ntk))


def _network_of(act: str, depth: int, cb: float, cw: float, ntk: Ntk) -> InfiniteNetwork:
    return infinite_network(act, depth=depth, cb=cb, cw=cw, ntk=ntk)


def variances(act: Activation, cb: float | None, cw: float | None) -> tuple[float, float]:
    """Return (C_b, C_w) as given, or the critical pair of the activation if neither is given.

    Raises ValueError if neither is given and no critical pair is known, or cb is given alone.
    """
    if cw is not None:
        return (0.0 if cb is None else cb), cw
    if cb is not None:
        raise ValueError(f"cw must be given where cb is, and cb is {cb:g}")
    if act.critical is None:
        raise ValueError(f"cw must be given: no critical pair is known for act {act.name}")
    return act.critical


def kernel_config(cb: float, cw: float, depth: int, ntk: str) -> _core.KernelConfig:
    """Return the core's description of an infinitely wide network.

    Raises ValueError for a depth outside 1..MAX_DEPTH, a variance that is negative or not finite,
    and an unknown NTK convention.
    """
    if not 1 <= depth <= MAX_DEPTH:
        rule = "at least 1" if depth < 1 else f"at most {MAX_DEPTH}"
        raise ValueError(f"depth must be {rule}, not {depth}")
    if ntk not in _core.Ntk.__members__:
        raise ValueError(f"ntk must be ntk, bias or pdlt, not {ntk!r}")
    return _core.KernelConfig(cb, cw, depth, _core.Ntk.__members__[ntk])


def _methods(activations: Sequence[Activation], method: str) -> list[str]:
    formless = [act.name for act in activations if not act.form]
    if method == "all":
        return [*([] if formless else ["closed"]), "quadrature", "gauss-hermite"]
    if method not in _core.Method.__members__:
        known = ", ".join([*_core.Method.__members__, "all"])
        raise ValueError(f"method must be one of {known}, not {method!r}")
    if method == "closed" and formless:
        raise ValueError(
            f"method must be auto, quadrature or gauss-hermite for act {formless[0]}, "
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
    results: dict[str, _core.Layers],
    parameters: dict[str, Any],
    operations: Sequence[str] | None,
    *,
    labeled: bool,
) -> Table:
    """Return a Table in which the rows of all methods for one layer follow one another."""
    count = len(results)
    rows = len(next(iter(results.values()))["k_aa"])
    columns: dict[str, Sequence[Any] | NDArray[Any]] = {
        "layer": np.repeat(np.arange(1, rows + 1), count)
    }
    if operations is not None:
        columns["op"] = [operation for operation in operations for _ in results]
    for name in next(iter(results.values())):
        columns[name] = np.stack([np.asarray(r[name]) for r in results.values()], axis=1).ravel()
    if labeled:
        columns["method"] = list(results) * rows
    # Only the kernels of two inputs differ visibly between methods.
    drawn = ("k_ab", "theta_ab") if labeled else _DRAWN
    plot = Plot(
        x="layer",
        y_label="kernels $K^{(\\ell)}$, $\\Theta^{(\\ell)}$",
        series=tuple(Series(y=name) for name in drawn),
        log_y=all(np.all(np.asarray(columns[name]) > 0.0) for name in drawn),
        by="method" if labeled else None,
    )
    return Table(columns, Meta("kernel", parameters), plot=plot)
