"""Learning rates by layer: the contribution of each layer to the tangent kernel."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._activations.smoothness import slopes
from nnth._kernels.kernel import kernel, variances
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._networks.network import MAX_WIDTH
from nnth._rates.sampling import Moments, SamplingSpec, sample_moments
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, unreliable
from nnth._tables.statistics import joined, note_on_z, z_score
from nnth._tables.table import Meta, Table

# Quantity and parametrization of a layer's contributions, in the order of the rows.
KINDS: Final = (
    ("weights", "standard"),
    ("biases", "standard"),
    ("weights", "ntk"),
    ("biases", "ntk"),
)
_LABELS: Final = (
    "$\\sum_{ij} (\\partial z/\\partial W_{ij})^2/n$",
    "$\\sum_i (\\partial z/\\partial b_i)^2$",
    "$\\sum_{ij} (\\partial z/\\partial \\hat W_{ij})^2$",
    "$\\sum_i (\\partial z/\\partial \\hat b_i)^2$",
)

MAX_DEPTH: Final = 1_000_000
_MAX_SAMPLED_NEURONS: Final = 2**24
_BYTES_PER_ROW: Final = 1000  # while the table is made
_NEGLIGIBLE_PROBABILITY: Final = 1e-9
_LARGE_FRACTION: Final = 0.1


def rates(
    act: str = "tanh",
    *,
    width: int = 64,
    depth: int = 10,
    cb: float | None = None,
    cw: float | None = None,
    norm: float = 1.0,
    samples: int = 200,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the contribution of each layer to the tangent kernel of one input.

    With a rate eta_j for parameter j the tangent kernel is sum_j eta_j (dz/dtheta_j)^2. In the
    standard parametrization layer l, with input h^(l-1), contributes::

        biases:   sum_i (dz/db_i)^2 = G^l,
        weights:  sum_ij (dz/dW_ij)^2 = G^l |h^(l-1)|^2,      G^l = sum_i (dz/dz^l_i)^2.

    At infinite width G^l = prod_(k=l..L) chi_perp(K^k) and `|h^l|^2` = n E[s^2]. In the NTK
    parametrization, b = sqrt(C_b) b-hat and W = sqrt(C_w/n) W-hat, the contributions are C_b G^l
    and (C_w/n) G^l `|h^(l-1)|^2`.

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z.
        width: Width n of the input and of every hidden layer; the output is one number.
        depth: Number of hidden layers L, up to 10^6.
        cb: Bias variance C_b. Default: critical for act, or 0 beside cw.
        cw: Weight variance C_w, divided by the fan-in. Default: critical for act.
        norm: `|x|^2/n`, from 1e-100 to 1e100.
        samples: Number of random networks drawn, 0 for theory alone.
        seed: Seed of the random numbers; network s is stream s of it.
        threads: Number of threads, 0 for all; the result does not depend on it.
        progress: Called as progress(done, total) with numbers of networks.

    Returns:
        A Table with one row for each layer 1..L+1, quantity and parametrization, preceded by rows
        of layer 0 with the sums over all layers. Columns: layer; quantity ("weights" or "biases");
        parametrization ("standard" or "ntk"); mean and stderr over networks; theory, at infinite
        width; z; eta (layer 0 only), 1/theory, the order of the rate at which these parameters
        alone move the output by its error in one step; error, the estimated relative error of
        theory; note, whether theory holds at every width or in the limit of large ones, and whether
        few networks dominate the mean.

    Raises:
        ValueError: An argument is out of range, or the tangent kernel is infinite: the activation
            jumps, or its derivative has no mean square.
        KeyboardInterrupt: With the number of networks that were drawn.

    Accuracy: theory is exact at any width for activations that are linear on either side of 0;
    otherwise finite widths differ by a relative O(L/n), which a large sample shows. Cost: 40 ns a
    neuron and network: a sample draws the effect of Gaussian weights on norms, which has exactly
    the same distribution, and not the weights.

    Example:
        >>> table = nnth.rates("relu", width=64, depth=10, samples=0)
        >>> table["quantity"][0], float(table["theory"][0].round(6))
        (np.str_('weights'), 704.0)

    Source: Jacot et al. (2018); Roberts et al. (2022), chapter 9.
    """
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    width, depth = check_integer("width", width), check_integer("depth", depth)
    if depth > MAX_DEPTH:
        raise ValueError(f"depth must be at most {MAX_DEPTH}, not {depth}")
    if not 1e-100 <= norm <= 1e100:
        raise ValueError(f"norm must be from 1e-100 to 1e100, not {norm:g}")
    if width > MAX_WIDTH:
        raise ValueError(f"width must be at most {MAX_WIDTH}, not {width}")
    samples = check_integer("samples", samples, 0)
    if samples >= MAX_SAMPLES:
        raise ValueError(f"samples must be below {MAX_SAMPLES}, not {samples}")
    check_memory(_BYTES_PER_ROW * len(KINDS) * (depth + 2), "depth must be less: its rows")
    spec = SamplingSpec(chosen, width, (width,) * depth, norm, cb, cw)
    if samples and width * depth > _MAX_SAMPLED_NEURONS:
        raise ValueError(
            f"width * depth must be at most {_MAX_SAMPLED_NEURONS} to be sampled, not "
            f"{width * depth}"
        )
    _core.thread_count(threads)
    validated()
    theory, error = _theory(chosen, width, depth, cb, cw, norm)
    sampled = None
    if samples:
        near = theory[:, :2]
        work: dict[str, Any] = {"seed": seed, "threads": threads, "progress": progress}
        sampled = sample_moments(spec, _batch_with_sums, near, samples=samples, **work)
    parameters = {"act": chosen.name, "width": width, "depth": depth, "cb": cb, "cw": cw}
    meta = Meta("rates layers", parameters | {"norm": norm, "samples": samples}, seed=seed)
    return _table(theory, error, sampled, spec, meta)


def _theory(
    act: Activation, width: int, depth: int, cb: float, cw: float, norm: float
) -> tuple[Floats, float]:
    """Return contributions `(depth + 2, kinds)` at infinite width, sums first, and their error."""
    layers = kernel(act.name, depth=depth, cb=cb, cw=cw, norm=norm, rho=1.0)
    if not np.isfinite(layers["k_aa"]).all():
        raise ValueError(
            f"depth must be less than {depth}: variances overflow before layer {depth}"
        )
    # E[s^2] is computed directly, as (K - C_b)/C_w would lose digits.
    layer_map = _core.VarianceMap(act.core, 1e-14, 1e8, 1)
    square, derivative_square, _ = layer_map.exact(layers["k_aa"][:-1])
    if not np.isfinite(derivative_square).all():
        raise ValueError(
            "act must have a derivative with a finite mean square, and that of "
            f"{act.name} is infinite"
        )
    chi_perp = cw * derivative_square
    inner = np.append(norm, square)  # |h^(l-1)|^2/n, l = 1 .. L+1
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        gradient = np.append(np.cumprod(chi_perp[::-1])[::-1], 1.0)  # G^1 .. G^(L+1)
        found = _with_sums(_kinds(gradient, inner, width, cb, cw))
    if not np.isfinite(found).all():
        raise ValueError(
            f"depth, cw and cb must keep the kernel in the doubles, not {depth}, {cw:g} and {cb:g}"
        )
    # A contribution is a variance times a product of susceptibilities, which is a part of Theta:
    # its relative error is at most the largest of the kernels.
    error = 2.0 * float(layers["error"].max())
    return found, error


def _kinds(gradient: Floats, inner: Floats, width: int, cb: float, cw: float) -> Floats:
    weights = gradient * inner
    return np.stack([width * weights, gradient, cw * weights, cb * gradient], axis=1)


def _with_sums(layers: Floats) -> Floats:
    return np.concatenate([layers.sum(axis=0, keepdims=True), layers])


def _batch_with_sums(batch: Floats) -> Floats:
    """Return contributions `(networks, depth + 2, 2)`, sums first."""
    return np.concatenate([batch.sum(axis=1, keepdims=True), batch], axis=1)


def _of_kinds(standard: Floats, spec: SamplingSpec) -> Floats:
    """Return values of the standard parametrization `(layers, 2)` for all kinds."""
    return np.concatenate([standard, standard * (spec.cw / spec.n0, spec.cb)], axis=1)


def _notes(sampled: Moments | None, spec: SamplingSpec, layers: int) -> list[str]:
    """Return a note for each layer and kind.

    For s(z) = b z above 0 and a z below it E s'^2 = E s^2/z^2 = (a^2 + b^2)/2 at any norm of a
    layer's input, by the symmetry of each neuron's weights (Hanin and Nica 2018). All gates of a
    ReLU layer without biases are shut with probability 2^-n; derivatives by biases then see the
    derivative at 0, which is 1/2.
    """
    sides = slopes(spec.act.expression)
    exact = sides is not None
    may_die = sides is not None and 0.0 in sides and spec.cb == 0.0
    dead = len(spec.widths) * 2.0**-spec.n0 if may_die else 0.0
    notes = []
    for layer in range(layers):
        for i, (quantity, _) in enumerate(KINDS):
            note = "exact at every width" if exact else "limit of large widths"
            if quantity == "biases" and dead > _NEGLIGIBLE_PROBABILITY:
                note = "exact but for networks with a dead layer"
            part = 0.0 if sampled is None else float(sampled.largest_fraction[layer, i % 2])
            if sampled is not None and part > max(_LARGE_FRACTION, 10.0 / sampled.count):
                note += f"; one network is {part:.0%} of the sample's sum: draw more"
            elif sampled is not None and sampled.stderr[layer, i % 2] > 0.0:
                note = joined(note, note_on_z(sampled.count, float(sampled.skewness[layer, i % 2])))
            notes.append(note)
    return notes


def _table(
    theory: Floats, error: float, sampled: Moments | None, spec: SamplingSpec, meta: Meta
) -> Table:
    layers, kinds = theory.shape
    width = spec.n0
    mean = stderr = np.full((layers, kinds), np.nan)
    if sampled is not None:
        mean, stderr = _of_kinds(sampled.mean, spec), _of_kinds(sampled.stderr, spec)
    drawn = sampled is not None and sampled.count > 1
    z = z_score(mean - theory, stderr)
    with np.errstate(divide="ignore", over="ignore"):
        eta = np.where(np.arange(layers)[:, None] == 0, 1.0 / theory, np.nan)
    columns: dict[str, Any] = {
        "layer": np.repeat(np.arange(layers), kinds),
        "quantity": [kind for kind, _ in KINDS] * layers,
        "parametrization": [form for _, form in KINDS] * layers,
    }
    for name, values in (
        ("mean", mean),
        ("stderr", stderr),
        ("theory", theory),
        ("z", z),
        ("eta", eta),
    ):
        columns[name] = values.ravel()
    columns["error"] = np.full(layers * kinds, error)
    columns["note"] = _notes(sampled, spec, layers)
    at = np.arange(1, layers, dtype=np.float64)
    units = np.array([width, 1.0, 1.0, 1.0])
    shown = [i for i in range(kinds) if (theory[1:, i] > 0.0).all()]
    plot = Lines(
        lines=tuple(("" if drawn else _LABELS[i], at, theory[1:, i] / units[i]) for i in shown),
        points=tuple(
            (_LABELS[i], at, mean[1:, i] / units[i], stderr[1:, i] / units[i])
            for i in (shown if drawn else [])
        ),
        hollow=tuple(
            unreliable(columns["note"]).reshape(layers, kinds)[1:, i]
            for i in (shown if drawn else [])
        ),
        pairs=True,
        log_y=True,
        x_label="layer $\\ell$",
        y_label="part of the kernel $\\Theta$",
    )
    return Table(columns, meta, plot=plot)
