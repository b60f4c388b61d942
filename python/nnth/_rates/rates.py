"""Learning rates: what each layer of a random network contributes to its tangent kernel."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._activations.smoothness import slopes
from nnth._kernels.kernel import kernel, variances
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._networks.network import MAX_WIDTH
from nnth._rates.sampling import Moments, Shape, sample_moments
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, unreliable
from nnth._tables.statistics import joined, note_on_z, z_score
from nnth._tables.table import Meta, Table

# The contributions of a layer, in the order of the rows.
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
_MAX_NEURONS: Final = 2**24  # of a network that is drawn
_ROW_BYTES: Final = 1000  # of a row of the table, while it is made
_RARE: Final = 1e-9  # a chance that no sample sees
_LARGE_SHARE: Final = 0.1


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
    """Return what the weights and biases of each layer add to the tangent kernel of an input.

    With a rate eta_j for parameter j the kernel is sum_j eta_j (dz/dtheta_j)^2. In the standard
    parametrization the biases of layer l add G^l = sum_i (dz/dz^l_i)^2 and the weights G^l
    |h^(l-1)|^2; at infinite width G^l = prod_(k=l..L) chi_perp(K^k) and |h^l|^2 = n E[s^2]. In the
    NTK parametrization b = sqrt(C_b) b-hat, W = sqrt(C_w/n) W-hat they add C_b G^l and (C_w/n) G^l
    |h^(l-1)|^2.

    act, cb, cw: as in `nnth.kernel`. width: n of the input and every hidden layer; depth: hidden
    layers L; the output is one number. norm: |x|^2/n, from 1e-100 to 1e100.
    samples: random networks, 0 for theory alone. seed: network s is stream s of it.
    threads: for the random numbers, 0 = all; the result is the same. progress: called with networks
    done and in all.

    Returns a Table, a row a layer 1..L+1, kind and parametrization ("standard", "ntk"), and rows of
    layer 0 for the sums over all layers: layer, quantity ("weights", "biases"), parametrization,
    mean, stderr, theory (infinite width), z, eta (for layer 0: 1/theory, the order of the rate at
    which this kind of parameters alone moves the output by what it is off), error (estimated, of
    theory, relative), note: whether theory is the mean at every width or the limit of large ones,
    and where a few networks make the mean.

    Accuracy: theory is exact at any width for activations that are linear on either side of 0; else
    finite widths add a relative O(L/n), which a fine sample sees. Cost: 40 ns a neuron and network,
    for a sample draws what Gaussian weights do to norms, exactly in law, and not the weights.

    Raises ValueError for arguments out of range, and for activations that jump or whose slope has
    no mean square, so that the tangent kernel is infinite; KeyboardInterrupt saying what was done.

    Source: Jacot et al. (2018); Roberts, Yaida & Hanin (2022), ch. 9.
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
    check_memory(_ROW_BYTES * len(KINDS) * (depth + 2), "depth must be less: its rows")
    shape = Shape(chosen, width, (width,) * depth, norm, cb, cw)
    if samples and width * depth > _MAX_NEURONS:
        raise ValueError(
            f"width * depth must be at most {_MAX_NEURONS} to be sampled, not {width * depth}"
        )
    _core.thread_count(threads)
    validated()
    theory, error = _theory(chosen, width, depth, cb, cw, norm)
    seen = None
    if samples:
        near = theory[:, :2]
        work: dict[str, Any] = {"seed": seed, "threads": threads, "progress": progress}
        seen = sample_moments(shape, _batch_with_sums, near, samples=samples, **work)
    parameters = {"act": chosen.name, "width": width, "depth": depth, "cb": cb, "cw": cw}
    meta = Meta("rates layers", parameters | {"norm": norm, "samples": samples}, seed=seed)
    return _table(theory, error, seen, shape, meta)


def _theory(
    act: Activation, width: int, depth: int, cb: float, cw: float, norm: float
) -> tuple[Floats, float]:
    """Contributions `(depth + 2, kinds)` at infinite width, sums first, and their error."""
    layers = kernel(act.name, depth=depth, cb=cb, cw=cw, norm=norm, rho=1.0)
    if not np.isfinite(layers["k_aa"]).all():
        raise ValueError(
            f"depth must be less than {depth}: variances overflow before layer {depth}"
        )
    # E[s^2] by itself: (K - C_b)/C_w would cancel.
    layer_map = _core.VarianceMap(act.core, 1e-14, 1e8, 1)
    square, slope_square, _ = layer_map.exact(layers["k_aa"][:-1])
    if not np.isfinite(slope_square).all():
        raise ValueError(
            f"act must have a slope with a mean square, and that of {act.name} is infinite"
        )
    chi_perp = cw * slope_square
    inner = np.append(norm, square)  # |h^(l-1)|^2/n, l = 1 .. L+1
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        gradient = np.append(np.cumprod(chi_perp[::-1])[::-1], 1.0)  # G^1 .. G^(L+1)
        found = _with_sums(_kinds(gradient, inner, width, cb, cw))
    if not np.isfinite(found).all():
        raise ValueError(
            f"depth, cw and cb must keep the kernel in the doubles, not {depth}, {cw:g} and {cb:g}"
        )
    # A contribution is a variance times a product of chis, which is a share of Theta: each is off
    # by no more than the kernels where they are worst.
    error = 2.0 * float(layers["error"].max())
    return found, error


def _kinds(gradient: Floats, inner: Floats, width: int, cb: float, cw: float) -> Floats:
    weights = gradient * inner
    return np.stack([width * weights, gradient, cw * weights, cb * gradient], axis=1)


def _with_sums(layers: Floats) -> Floats:
    return np.concatenate([layers.sum(axis=0, keepdims=True), layers])


def _batch_with_sums(batch: Floats) -> Floats:
    """Contributions `(networks, depth + 2, 2)`, sums first."""
    return np.concatenate([batch.sum(axis=1, keepdims=True), batch], axis=1)


def _of_kinds(standard: Floats, shape: Shape) -> Floats:
    """What is known in the standard parametrization `(layers, 2)`, for all kinds."""
    return np.concatenate([standard, standard * (shape.cw / shape.n0, shape.cb)], axis=1)


def _notes(seen: Moments | None, shape: Shape, layers: int) -> list[str]:
    """A note for each layer and kind.

    For s(z) = b z above 0 and a z below it E s'^2 = E s^2/z^2 = (a^2 + b^2)/2 at any norm of a
    layer's input, by the symmetry of each neuron's weights (Hanin & Nica 2018). A ReLU layer
    without biases is dead with probability 2^-n; derivatives by biases see slopes at 0, which are
    1/2.
    """
    sides = slopes(shape.act.expression)
    exact = sides is not None
    may_die = sides is not None and 0.0 in sides and shape.cb == 0.0
    dead = len(shape.widths) * 2.0**-shape.n0 if may_die else 0.0
    notes = []
    for layer in range(layers):
        for i, (quantity, _) in enumerate(KINDS):
            note = "exact at every width" if exact else "limit of large widths"
            if quantity == "biases" and dead > _RARE:
                note = "exact but for networks with a dead layer"
            share = 0.0 if seen is None else float(seen.largest_share[layer, i % 2])
            if seen is not None and share > max(_LARGE_SHARE, 10.0 / seen.count):
                note += f"; one network is {share:.0%} of the sample's sum: draw more"
            elif seen is not None and seen.stderr[layer, i % 2] > 0.0:
                note = joined(note, note_on_z(seen.count, float(seen.skewness[layer, i % 2])))
            notes.append(note)
    return notes


def _table(theory: Floats, error: float, seen: Moments | None, shape: Shape, meta: Meta) -> Table:
    layers, kinds = theory.shape
    width = shape.n0
    mean = stderr = np.full((layers, kinds), np.nan)
    if seen is not None:
        mean, stderr = _of_kinds(seen.mean, shape), _of_kinds(seen.stderr, shape)
    drawn = seen is not None and seen.count > 1
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
    columns["note"] = _notes(seen, shape, layers)
    at = np.arange(1, layers, dtype=np.float64)
    shares = np.array([width, 1.0, 1.0, 1.0])
    shown = [i for i in range(kinds) if (theory[1:, i] > 0.0).all()]
    plot = Lines(
        lines=tuple(("" if drawn else _LABELS[i], at, theory[1:, i] / shares[i]) for i in shown),
        points=tuple(
            (_LABELS[i], at, mean[1:, i] / shares[i], stderr[1:, i] / shares[i])
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
