"""The layers of one network: sizes, variances and norms of their weights and biases."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Final

import numpy as np

from nnth._networks.ensemble import find_network
from nnth._networks.network import Network
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.table import Meta, Table

_MOST_DRAWN: Final = 8  # spectra in one figure


@serial_blas
def net(
    net: Network | str | os.PathLike[str] = "telgarsky:3",
    *,
    act: str | None = None,
    threads: int = 0,
) -> Table:
    """Return the sizes and norms of the layers of a network, and what its file says of it.

    In layer l, with weights W_l of shape `(n_l, n_(l-1))` and biases b_l::

        cw = n_(l-1) mean(W_ij^2) = |W_l|_F^2/n_l,    cb = mean(b_i^2)

    which for random weights W_ij ~ N(0, C_w/n_(l-1)), b_i ~ N(0, C_b) estimate C_w and C_b.

    Args:
        net: A Network; the path of a file that `nnth.load_network` reads; or a name that
            `nnth.named_network` knows.
        act: The activation, if the file does not name it.
        threads: Without effect on one network; for sweeps.

    Returns:
        A Table with a row a layer, the output layer last. Columns: layer; inputs, n_(l-1); outputs,
        n_l; parameters, the number of weights and biases; cw; cb; weight_norm, the Frobenius norm
        of W_l; spectral_norm, its largest singular value; bias_norm, the Euclidean norm of b_l;
        biases, the number of biases, 0 in a layer without, whose cb and bias_norm are 0. The
        parameters of the Table have the activation, the widths, the number of all parameters, and
        `note`: what the file left open, and what was folded into layers or left out, if anything.

    Raises:
        ValueError: The file is damaged or holds another kind of network, the name is unknown, or
            `act` is not the activation.

    Accuracy: relative error 1e-13. Cost: the singular values, 0.2 s for a layer of 1000 x 1000, and
    8 times as much for one of twice the width.

    Example:
        >>> table = nnth.net(nnth.random_network(50, [400, 300], cw=2.0, cb=0.5, seed=1))
        >>> table["cw"].round(1), table["spectral_norm"].round(1)
        (array([2. , 2. , 1.9]), array([5.4, 2.6, 1.4]))
        >>> nnth.net("telgarsky:2")["weight_norm"].round(3)
        array([1.414, 4.472, 1.414, 4.472])

    Source: Bartlett et al. (2017), for bounds by products of spectral norms.
    """
    network, file = find_network(net, act)
    validated()
    rows = [
        _row(i, weight, bias, has_biases)
        for i, (weight, bias, has_biases) in enumerate(
            zip(network.weights, network.biases, network.biased, strict=True), 1
        )
    ]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    parameters = {
        "net": file,
        "act": network.activation,
        "n0": network.n0,
        "widths": network.widths,
        "n_out": network.n_out,
        "total_parameters": network.parameters,
        "note": network.note or None,
    }
    return Table(columns, Meta("net", parameters), plot=partial(_spectra, network))


def _row(layer: int, weight: Floats, bias: Floats, has_biases: bool) -> dict[str, Any]:
    outputs, inputs = weight.shape
    biases = bias.size if has_biases else 0
    weight_norm, bias_norm = _norm(weight), _norm(bias)
    with np.errstate(over="ignore"):  # the variances of numbers above 1e154 are infinite
        cw, cb = np.square(weight_norm) / outputs, np.square(bias_norm) / outputs
    return {
        "layer": layer,
        "inputs": inputs,
        "outputs": outputs,
        "parameters": weight.size + biases,
        "cw": float(cw),
        "cb": float(cb),
        "weight_norm": weight_norm,
        "spectral_norm": float(_singular_values(weight)[0]),
        "bias_norm": bias_norm,
        "biases": biases,
    }


def _norm(array: Floats) -> float:
    """Return the Euclidean norm of all numbers, whose squares may overflow."""
    largest = float(np.abs(array).max())
    return largest * float(np.linalg.norm(array / largest)) if largest else 0.0


def _singular_values(weight: Floats) -> Floats:
    """Return the singular values, the largest first."""
    largest = float(np.abs(weight).max())
    values = np.linalg.svd(weight / (largest or 1.0), compute_uv=False)
    return largest * np.asarray(values, np.float64)


@serial_blas
def _spectra(network: Network) -> Lines:
    """Draw the singular values of the layers, or of some where there are many."""
    layers = len(network.weights)
    chosen = np.unique(np.linspace(1, layers, min(layers, _MOST_DRAWN)).round().astype(int))
    points = []
    for layer in chosen.tolist():
        values = _singular_values(network.weights[layer - 1])
        label = f"layer {layer}"
        points.append((label, np.arange(1, len(values) + 1), values, None))
    positive = all(bool((values > 0.0).all()) for _, _, values, _ in points)
    drawn = f"{len(chosen)} of {layers} layers are drawn" if len(chosen) < layers else ""
    return Lines(
        points=tuple(points),
        log_y=positive,
        x_label="rank $k$",
        y_label=r"singular value $\sigma_k(W_\ell)$",
        note=drawn,
    )
