"""Whether networks of several widths, as somebody trained them, obey maximal update."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._lab.model import model_of, preactivations, theta_of
from nnth._networks.network import Network
from nnth._networks.network_files import load_network
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.statistics import joined
from nnth._tables.table import Meta, Table

Source: TypeAlias = "Network | str | os.PathLike[str]"

# The smallest power of n in any parametrization is 1/2: a slope is taken for the nearer multiple.
_HALFWAY: Final = 0.25
_SATURATED: Final = 0.1
_MORE: Final = "the power of n is not clear: networks of more widths, or several of each"
_AFTER_OUTPUT: Final = (
    "with steps proportional to gradients, change the output layer first: gradients follow it"
)


@dataclass(frozen=True)
class Sizes:
    """Root mean squares over inputs and units of a layer of one network of width n.

    start: of z^l before training; change: of its change; weights and biases: of the parts of the
    change that the layer's own weights make, at the inputs h^(l-1) before training, and its biases.
    """

    width: float
    start: float
    change: float
    weights: float
    biases: float


@serial_blas
def mup_networks(
    pairs: Sequence[tuple[Source, Source]], x: Data, *, act: str | None = None
) -> Table:
    """Return how far given networks of several widths moved, and whether this is maximal update.

    Under maximal update every layer's own step changes the layer by an amount that does not depend
    on the width n, z^l is of order 1 at the start in hidden layers, and f is at most that. For
    every layer the powers of n are fitted in the root mean squares, over inputs and units, of z^l
    before training, of its change, and of the parts ::

        (W_l' - W_l) h^(l-1)   and   b_l' - b_l

    of the change that the layer's own weights and biases make, where W_l' and b_l' are those after
    training. Parameters whose own part has a power of n have a wrong learning rate, and a layer
    that only inherits the growth of another one has not.

    Args:
        pairs: Networks before and after the same few steps of training, as `nnth.Network`s or
            files of `nnth.load_network`: of two widths or more, several of one width if you like,
            all of the same depth, activation, and numbers of inputs and outputs. All hidden widths
            grow in proportion. `[train(n) for n in (64, 128, 256)]` is such a sequence for a
            function that trains a network of width n and returns both.
        x: Inputs `(m, n_0)`, in units in which the networks see them: an array, a file or a named
            data set.
        act: The activation of files that name none, by default "relu", as for `nnth.load_network`.

    Returns:
        A Table with a row for each layer: layer, 1 to L + 1, and kind, input, hidden or output;
        start_slope, change_slope, own_slope (of the weights) and bias_slope, the powers of n, NaN
        of what is 0; own_stderr and bias_stderr, the standard errors of the last two from the
        residuals of the fit, NaN for two networks; change, the largest change
        over z^l before training; verdict: "starts large" or "starts small" where z^l does so as n
        grows; "grows" or "vanishes" where the own slope of weights or biases is not 0 and beyond
        1/4, halfway to the next power in any known parametrization; "ok" where it is not 1/2;
        "unclear" where the 95 % interval of Student's t, from own_stderr, has both, as for two
        networks; "does not move" for weights that stay; and note, what to change.

    Raises:
        ValueError: If the networks do not belong together, or a file cannot be read as a network.
        OSError: If a file cannot be opened.

    Accuracy: a fit of few widths; changes that are not small against z^l have smaller powers than
    small ones, as the note says. Cost: a forward pass of each network.

    Example:
        >>> def train(n):
        ...     net = nnth.random_network(4, [n, n], seed=1)
        ...     return net, nnth.Network([1.001 * w for w in net.weights], net.biases, "relu")
        >>> pairs = [train(n) for n in (64, 256, 1024, 2048)]
        >>> nnth.mup_networks(pairs, np.eye(4))["verdict"].tolist()
        ['ok', 'ok', 'starts large']

    Source: Yang and Hu (2021), section 3; Yang et al. (2022), appendix D.1 and table 8.
    """
    inputs = data_of(x, "x")
    if act is not None:
        activation(act)  # an error about it names no file
    networks = [(_network(before, act), _network(after, act)) for before, after in pairs]
    _check(networks, inputs)
    validated()
    measured = [_measured(before, after, inputs) for before, after in networks]
    rows = []
    for layer, sizes in enumerate(zip(*measured, strict=True), start=1):
        rows.append(_row(layer, len(measured[0]), sizes))
    if rows[-1]["verdict"] == "starts large":
        for row in rows[:-1]:
            if row["verdict"] in ("grows", "vanishes"):
                row["note"] = joined(row["note"], _AFTER_OUTPUT)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    first = networks[0][0]
    parameters = {
        "x": file_of(x),
        "points": len(inputs),
        "n0": first.n0,
        "act": first.activation,
        "width": tuple(sorted({net.widths[0] for net, _ in networks})),
    }
    return Table(columns, Meta("mup networks", parameters), plot=_picture(measured))


def _network(source: Source, act: str | None) -> Network:
    return source if isinstance(source, Network) else load_network(source, act)


def _check(networks: Sequence[tuple[Network, Network]], inputs: Floats) -> None:
    """Raise ValueError unless the networks are of one family, and the inputs are theirs."""
    if len({before.widths[0] for before, _ in networks}) < 2:
        raise ValueError("net must be networks of two widths or more")
    first = networks[0][0]
    for before, after in networks:
        sizes = (before.n0, *before.widths, before.n_out)
        moved = (after.n0, *after.widths, after.n_out)
        if sizes != moved or before.activation != after.activation:
            raise ValueError(
                f"after must be the networks of net after training, not {_text(moved)}, "
                f"{after.activation} for {_text(sizes)}, {before.activation}"
            )
        same = (before.n0, before.n_out, before.depth, before.activation)
        if same != (first.n0, first.n_out, first.depth, first.activation):
            raise ValueError(
                f"net must be networks of one depth, activation and numbers of inputs and outputs, "
                f"not {_text(sizes)}, {before.activation}"
            )
        if any(n * first.widths[0] != m * before.widths[0] for n, m in _widths(before, first)):
            raise ValueError(
                f"net must be networks whose widths grow in proportion, not {_text(sizes)}"
            )
    if inputs.shape[1] != first.n0:
        raise ValueError(f"x must have {first.n0} columns, not {inputs.shape[1]}")


def _widths(one: Network, other: Network) -> zip[tuple[int, int]]:
    return zip(one.widths, other.widths, strict=True)


def _text(sizes: Sequence[int]) -> str:
    return "-".join(map(str, sizes))


def _measured(before: Network, after: Network, x: Floats) -> list[Sizes]:
    """Return the sizes of every layer."""
    model, theta = model_of(before), theta_of(before)
    layers = range(1, len(model.sizes))
    start = preactivations(model, theta, x, layers)
    moved = preactivations(model, theta_of(after), x, layers)
    inputs = model.run(theta, x).inputs
    found = []
    for i, (z, new) in enumerate(zip(start, moved, strict=True)):
        own = inputs[i] @ (after.weights[i] - before.weights[i]).T
        biases = _size(after.biases[i] - before.biases[i])
        found.append(Sizes(float(before.widths[0]), _size(z), _size(new - z), _size(own), biases))
    return found


def _size(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _row(layer: int, layers: int, sizes: Sequence[Sizes]) -> dict[str, Any]:
    kind = "output" if layer == layers else "hidden" if layer > 1 else "input"
    widths = np.array([one.width for one in sizes])
    start, _ = _slope(widths, np.array([one.start for one in sizes]))
    change, _ = _slope(widths, np.array([one.change for one in sizes]))
    own, stderr = _slope(widths, np.array([one.weights for one in sizes]))
    bias, bias_stderr = _slope(widths, np.array([one.biases for one in sizes]))
    ratio = max(one.change / one.start if one.start else math.inf for one in sizes)
    verdict, note = _verdict(
        _verdict_on_start(kind, start),
        _verdict_on_rate("weights", own, stderr, len(sizes)),
        ("", "") if math.isnan(bias) else _verdict_on_rate("biases", bias, bias_stderr, len(sizes)),
    )
    if ratio > _SATURATED and kind != "output":
        note = joined(note, "the changes are not small: fewer steps show the powers better")
    return {
        "layer": layer,
        "kind": kind,
        "start_slope": start,
        "change_slope": change,
        "own_slope": own,
        "own_stderr": stderr,
        "bias_slope": bias,
        "bias_stderr": bias_stderr,
        "change": ratio,
        "verdict": verdict,
        "note": note,
    }


def _slope(widths: Floats, values: Floats) -> tuple[float, float]:
    """Return the power of the width, and its standard error from the residuals of the fit.

    Both are NaN where a value is 0.
    """
    if not values.all():
        return math.nan, math.nan
    across, y = np.log(widths), np.log(values)
    across, y = across - across.mean(), y - y.mean()
    spread = float(across @ across)
    slope = float(across @ y) / spread
    if len(y) < 3:
        return slope, math.nan
    residual = y - slope * across
    return slope, math.sqrt(float(residual @ residual) / (len(y) - 2) / spread)


def _verdict(*parts: tuple[str, str]) -> tuple[str, str]:
    """Return the first verdict that is not "", or "ok", and all notes.

    A verdict on the start comes first, since gradients below the output are proportional to it.
    """
    verdicts = [verdict for verdict, _ in parts if verdict]
    return verdicts[0] if verdicts else "ok", joined(*dict.fromkeys(note for _, note in parts))


def _verdict_on_rate(what: str, slope: float, stderr: float, networks: int) -> tuple[str, str]:
    """Return the verdict on the learning rate of weights or biases, and what to change."""
    if math.isnan(slope):
        return "does not move", "the layer is not trained, or its gradients are 0"
    reach = _interval(stderr, networks)
    if not (abs(slope) > reach or abs(slope) + reach < 0.5):
        return "unclear", _MORE
    if not abs(slope) > max(reach, _HALFWAY):
        return "", ""
    found = "grows" if slope > 0.0 else "vanishes"
    return found, f"multiply the learning rate of the {what} by n^{-_half(slope):g}"


def _verdict_on_start(kind: str, start: float) -> tuple[str, str]:
    """Return the verdict on z^l before training, and what to change; "" where nothing is wrong."""
    if kind == "output":
        # Outputs of a network that starts from 0 have no slope, and those of others fall.
        if not start > -_HALFWAY:
            return "", ""
        return "starts large", f"multiply the initial weights by n^{-0.5 - _half(start):g}"
    if not abs(start) > _HALFWAY:
        return "", ""
    found = "starts large" if start > 0.0 else "starts small"
    return found, f"multiply the initial weights by n^{-_half(start):g}"


def _interval(stderr: float, networks: int) -> float:
    """Return half the length of the 95 % interval of a slope, infinite for two networks."""
    from scipy.special import stdtrit

    return float(stdtrit(networks - 2, 0.975)) * stderr if networks > 2 else math.inf


def _half(slope: float) -> float:
    """Return the nearest multiple of 1/2."""
    return round(2.0 * slope) / 2.0


def _picture(measured: Sequence[Sequence[Sizes]]) -> Lines:
    order = np.argsort([sizes[0].width for sizes in measured], kind="stable")
    points = []
    for layer in range(len(measured[0])):
        chosen = [measured[i][layer] for i in order]
        n, own = np.array([one.width for one in chosen]), np.array([one.weights for one in chosen])
        if own.all():
            points.append((f"layer {layer + 1}", n, own, None))
    return Lines(
        points=tuple(points),
        log_x=True,
        log_y=True,
        x_label="width $n$",
        y_label="change of $z^l$ by the layer's own weights",
    )
