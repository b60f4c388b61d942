"""The table of `nnth.gp`: samples of several widths compared with theory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._gp.sampler import Estimate, LayerSample
from nnth._gp.vertex import OBSERVABLES, Vertex
from nnth._runtime.typing import Floats
from nnth._tables.plot import Plot, Series
from nnth._tables.statistics import fitted_power, joined, note_on_z, z_score
from nnth._tables.table import Meta, Table

Quantity: TypeAlias = Literal[
    "covariance", "cross_covariance", "correction", "excess_kurtosis", "observable_variance"
]
QUANTITIES: Final[tuple[Quantity, ...]] = (
    "covariance",
    "cross_covariance",
    "correction",
    "excess_kurtosis",
    "observable_variance",
)
_LARGE_FRACTION: Final = 0.1
_NEGLIGIBLE: Final = 0.1  # standard errors; smaller terms of order 1/n^2 do not affect z
_SIGNIFICANT: Final = 3.0  # standard errors from 0, for a mean in the fit of a slope
_PLOTTED_LAYERS: Final = 3
_PAIR_LABELS: Final = {
    "correction": r"$\mathrm{E}\,\hat K_{ab} - K_{ab}$",
    "covariance": r"covariance $\mathrm{E}\,z_{i;a} z_{i;b}$",
    "cross_covariance": r"covariance $\mathrm{E}\,z_{i;a} z_{j;b}$, $i \neq j$",
}
_ROUNDING: Final = 1e-15  # the relative error of quantities that need no recursion


def asked_quantities(quantities: Sequence[str] | None) -> tuple[Quantity, ...]:
    """Return the checked quantities in the order of QUANTITIES."""
    names = QUANTITIES if quantities is None else tuple(quantities)
    if not names:
        raise ValueError("quantities must be at least one, not none")
    for name in names:
        if name not in QUANTITIES:
            raise ValueError(f"quantities must be of {', '.join(QUANTITIES)}, not {name!r}")
    return tuple(name for name in QUANTITIES if name in names)


@dataclass(frozen=True, eq=False)
class _Block:
    """The rows of one quantity in one layer, at one width: arrays over pairs of inputs."""

    key: tuple[int, str, str]  # layer, quantity, observable
    a: NDArray[np.intp]
    b: NDArray[np.intp]
    theory: Floats
    error: Floats
    limit: Floats
    beyond: Floats  # the likely size of terms beyond the first order
    mean: Floats
    stderr: Floats
    fraction: Floats  # the largest contribution of one network
    skew: Floats  # the skewness of the averaged values in the sample


def gp_table(
    meta: Meta,
    widths: Sequence[int],
    limits: Sequence[Vertex],
    samples: Sequence[LayerSample] | None,
    quantities: Sequence[str] = QUANTITIES,
) -> Table:
    """Return the Table of `nnth.gp`, given the theory and the samples, if any, of each width."""
    seen: Sequence[LayerSample | None] = samples or [None] * len(limits)
    cw = float(meta.parameters["cw"])
    tables = [
        list(_blocks(limit, sample, cw, quantities))
        for limit, sample in zip(limits, seen, strict=True)
    ]
    drawn = 0 if samples is None else samples[0].samples
    slopes = {blocks[0].key: _slope(widths, blocks) for blocks in zip(*tables, strict=True)}
    rows = [(n, block) for n, blocks in zip(widths, tables, strict=True) for block in blocks]
    counts = [block.a.size for _, block in rows]

    def join(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(block, name) for _, block in rows])

    mean, stderr, theory = join("mean"), join("stderr"), join("theory")
    columns: dict[str, ArrayLike] = {
        "width": np.repeat([n for n, _ in rows], counts),
        "layer": np.repeat([block.key[0] for _, block in rows], counts),
        "quantity": np.repeat([block.key[1] for _, block in rows], counts),
        "observable": np.repeat([block.key[2] for _, block in rows], counts),
        "input_a": join("a"),
        "input_b": join("b"),
        "mean": mean,
        "stderr": stderr,
        "theory": theory,
        "limit": join("limit"),
        "z": z_score(mean - theory, stderr),
        "slope": np.concatenate([slopes[block.key][0] for _, block in rows]),
        "slope_stderr": np.concatenate([slopes[block.key][1] for _, block in rows]),
        "theory_error": join("error"),
        "note": [note for _, block in rows for note in _notes(block, slopes[block.key][2], drawn)],
    }
    depth = len(limits[0].kernel) - 1
    return Table(columns, meta, plot=_plot(depth, widths, quantities, sampled=samples is not None))


def _blocks(
    limit: Vertex, sample: LayerSample | None, cw: float, quantities: Sequence[str]
) -> Iterator[_Block]:
    """Yield the blocks of one width, layer by layer."""
    seen, beyond = _Sampled(limit, sample), beyond_first_order(limit, cw)
    layers = len(limit.kernel)
    for layer in range(layers):
        yield from _pair_blocks(limit, seen, layer, beyond, quantities)
        if "excess_kurtosis" in quantities and layer > 0:
            yield _kurtosis_block(limit, seen, layer, beyond)
        if "observable_variance" in quantities and layer < layers - 1:
            yield from _observable_blocks(limit, seen, layer, beyond)


@dataclass(frozen=True, eq=False)
class Beyond:
    """The likely size of terms beyond the first order in 1/n.

    kernel: in E Khat_aa `(L + 1, m)`; relative: in Var Khat_aa/K_aa^2 `(L + 1, m)`; observables: in
    their variances `(L, m, 3)`.
    """

    kernel: Floats
    relative: Floats
    observables: Floats


def beyond_first_order(limit: Vertex, cw: float) -> Beyond:
    """Return the terms beyond the first order for log-normal Khat and powers of it.

    With v = Var Khat/K^2, g = G/K and an observable of mean M K^p and variance S K^(2p), E Khat^q =
    K^q (1 + g)^q (1 + v)^(q (q - 1)/2). The local degree p follows from the first order, where
    M^2 p^2 v is the variance inherited from the layer below. For ReLU the terms of the mean vanish
    exactly.
    """
    relative, _ = _relative_vertex(limit)
    k, shift = (np.diagonal(x, axis1=1, axis2=2) for x in (limit.kernel, limit.correction))
    kernel, more = np.zeros(k.shape), np.zeros(k.shape)
    observables = np.zeros(limit.observable_mean.shape)
    v = np.zeros(k.shape[1:])
    with np.errstate(all="ignore"):
        for layer, mean in enumerate(limit.observable_mean):
            theory, own = limit.observable_variance[layer], limit.observable_source[layer]
            first = relative[layer][:, None]
            g = (np.where(k[layer] > 0.0, shift[layer] / k[layer], 0.0))[:, None]
            known = (first > 0.0) & (mean > 0.0)
            p = np.where(known, np.sqrt(np.maximum(theory - own, 0.0) / first) / mean, 0.0)
            logs, drift = np.log1p(v)[:, None], np.log1p(np.maximum(g, -0.99))
            totals = [_total(sign * p, own, mean, logs, drift) for sign in (1.0, -1.0)]
            apart = [total - theory for total in totals]
            larger = np.where(np.abs(apart[1]) > np.abs(apart[0]), apart[1], apart[0])
            # A derivative may decrease as K grows; squares of z and of the activation do not.
            observables[layer] = np.where([False, False, True], larger, apart[0])
            grown = totals[0][:, 1] / theory[:, 1]
            v = np.where(theory[:, 1] > 0.0, relative[layer + 1] * grown, 0.0)
            more[layer + 1] = v - relative[layer + 1]
            q, half = p[:, 1], 0.5 * p[:, 1] * (p[:, 1] - 1.0)
            growth = (
                np.expm1(half * logs[:, 0] + q * drift[:, 0]) - half * first[:, 0] - q * g[:, 0]
            )
            kernel[layer + 1] = cw * mean[:, 1] * growth
    # Set rounding errors to 0.
    for values, size in ((kernel, k), (more, 1.0), (observables, limit.observable_variance)):
        values[np.abs(values) <= 1e-12 * np.abs(size)] = 0.0
    return Beyond(kernel, more, observables)


def _total(p: Floats, own: Floats, mean: Floats, logs: Floats, drift: Floats) -> Floats:
    """Return E[S Khat^(2p)] + Var[M Khat^p] for S and M given as `own` and `mean` at K."""
    within = own * np.exp(p * (2.0 * p - 1.0) * logs + 2.0 * p * drift)
    across = mean**2 * np.exp(p * (p - 1.0) * logs + 2.0 * p * drift) * np.expm1(p * p * logs)
    return np.asarray(within + across)


class _Sampled:
    """The estimates of each quantity from a sample; NaN without a sample."""

    def __init__(self, limit: Vertex, sample: LayerSample | None) -> None:
        if sample is None:
            layers, m = limit.kernel.shape[:2]
            pair, one = np.full((layers, m, m), np.nan), np.full((layers, m), np.nan)
            observable = np.full(limit.observable_mean.shape, np.nan)
            self.kernel = self.shift = self.cross = Estimate(pair, pair)
            self.kurtosis = Estimate(one, one)
            self.observable = Estimate(observable, observable)
            self.fraction, self.skew = np.zeros(observable.shape), np.zeros(one.shape)
        else:
            self.kernel, self.shift = sample.kernel(), sample.shift(limit.kernel)
            self.cross, self.kurtosis = sample.cross_covariance(), sample.excess_kurtosis()
            self.observable, self.fraction = sample.observable_variance(), sample.largest_fraction()
            self.skew = sample.skewness()


def _relative_vertex(limit: Vertex) -> tuple[Floats, Floats]:
    """Return V/(n K^2) for each layer and input, and the relative error of V."""
    k, v, error = (
        np.diagonal(x, axis1=1, axis2=2) for x in (limit.kernel, limit.vertex, limit.vertex_error)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(k > 0.0, v / k**2, 0.0), np.where(v > 0.0, error / v, _ROUNDING)


def _pair_blocks(
    limit: Vertex, seen: _Sampled, layer: int, beyond: Beyond, quantities: Sequence[str]
) -> Iterator[_Block]:
    k, first = limit.kernel[layer], limit.correction[layer]
    k_error, error = limit.kernel_error[layer], limit.correction_error[layer]
    none = np.zeros(k.shape)
    sizes = np.abs(beyond.kernel[layer])
    further = np.sqrt(np.outer(sizes, sizes))
    if layer > 1:  # off the diagonal a kernel is not a power of the kernels below
        v = limit.vertex[layer - 1] / limit.kernel[layer - 1].diagonal()[:, None] ** 2
        off = ~np.eye(len(k), dtype=bool)
        further[off] = np.maximum(further, np.abs(0.5 * v * first))[off]
    skew = np.maximum(*np.meshgrid(seen.skew[layer], seen.skew[layer]))
    a, b = np.triu_indices(len(k))
    for name, theory, numeric, at_infinity, more, estimate in (
        ("covariance", k + first, k_error + error, k, further, seen.kernel),
        ("cross_covariance", none, none, none, none, seen.cross),
        ("correction", first, error, none, further, seen.shift),
    ):
        if name not in quantities or (layer == 0 and name == "correction"):
            continue
        own = none if name == "cross_covariance" else skew
        parts = (theory, numeric, at_infinity, more, *estimate.at(layer), none, own)
        yield _Block((layer + 1, name, ""), a, b, *(part[a, b] for part in parts))


def _kurtosis_block(limit: Vertex, seen: _Sampled, layer: int, beyond: Beyond) -> _Block:
    relative, error = (x[layer] for x in _relative_vertex(limit))
    theory, i = 3.0 * relative, np.arange(len(relative))
    return _Block(
        (layer + 1, "excess_kurtosis", ""),
        i,
        i,
        theory,
        theory * error,
        0.0 * theory,
        3.0 * beyond.relative[layer],
        *seen.kurtosis.at(layer),
        seen.fraction[layer - 1, :, 1],
        0.0 * theory,
    )


def _observable_blocks(
    limit: Vertex, seen: _Sampled, layer: int, beyond: Beyond
) -> Iterator[_Block]:
    _, error = (x[layer] for x in _relative_vertex(limit))
    i = np.arange(len(error))
    mean, stderr = seen.observable.at(layer)
    for f, name in enumerate(OBSERVABLES):
        theory = limit.observable_variance[layer, :, f]
        yield _Block(
            (layer + 1, "observable_variance", name),
            i,
            i,
            theory,
            theory * error,
            0.0 * error,
            beyond.observables[layer, :, f],
            mean[:, f],
            stderr[:, f],
            seen.fraction[layer, :, f],
            0.0 * error,
        )


def _slope(widths: Sequence[int], blocks: Sequence[_Block]) -> tuple[Floats, Floats, list[str]]:
    """Return the fitted power of the width in a mean, its standard error, and a note."""
    count = blocks[0].a.size
    slope, stderr, notes = np.full(count, np.nan), np.full(count, np.nan), [""] * count
    if blocks[0].key[1] in ("covariance", "cross_covariance") or len(widths) < 2:
        return slope, stderr, notes
    mean = np.stack([block.mean for block in blocks])
    error = np.stack([block.stderr for block in blocks])
    used = (
        (np.abs(mean) > _SIGNIFICANT * error) & (np.sign(mean) == np.sign(mean[0])) & (error > 0.0)
    )
    size = np.where(used, np.abs(mean), 1.0)
    slope, stderr = fitted_power(widths, np.log(size), np.where(used, error / size, np.inf))
    for i in np.flatnonzero((used.sum(axis=0) >= 2) & ~used.all(axis=0)).tolist():
        kept = ",".join(str(n) for n, u in zip(widths, used[:, i].tolist(), strict=True) if u)
        notes[i] = f"slope over widths {kept}"
    return slope, stderr, notes


def _notes(block: _Block, of_slope: Sequence[str], samples: int) -> Iterator[str]:
    for i, remark in enumerate(of_slope):
        theory = float(block.theory[i])
        if not np.isfinite(theory):
            why = (
                "the activation jumps, so that its derivative has no mean square"
                if block.key[1] == "observable_variance"
                else "inputs are too nearly parallel for second derivatives"
            )
            yield joined(remark, f"no theory: {why}")
        elif samples and np.isnan(block.mean[i]):
            alone = block.key[1] == "cross_covariance"
            yield joined(
                remark, "a layer of one neuron has no pairs" if alone else "all outputs are 0"
            )
        else:
            yield joined(remark, *(_notes_on_z(block, i, samples) if samples else ()))


def _notes_on_z(block: _Block, i: int, samples: int) -> Iterator[str]:
    """Yield reasons why z of an entry may not be standard normal."""
    stderr, beyond = float(block.stderr[i]), abs(float(block.beyond[i]))
    if not stderr > 0.0:  # all values of the sample are equal, and z is infinite if not 0
        yield note_on_z(samples)
        return
    if beyond > stderr:
        yield f"terms of order 1/n^2 are some {beyond:.1g}, more than stderr"
    elif beyond > _NEGLIGIBLE * stderr:
        yield f"theory is to the order 1/n: terms of 1/n^2, some {beyond:.1g}, may show in z"
    fraction = float(block.fraction[i])
    if fraction >= _LARGE_FRACTION:
        yield f"sample is too small: one network is {fraction:.0%} of the variance"
    else:
        largest = fraction * abs(float(block.mean[i])) / stderr
        yield note_on_z(samples, float(block.skew[i]), largest)


def _plot(depth: int, widths: Sequence[int], quantities: Sequence[str], *, sampled: bool) -> Plot:
    """Return the plot of the first quantities, against width, or against layer at one width.

    Against width it has a few layers, or for covariances two pairs of inputs in the last layer.
    """
    across = "width" if len(widths) > 1 else "layer"
    measured: Any = {"y": "theory"}
    if sampled:
        measured = {"y": "mean", "points": True, "error": "stderr", "theory": "theory"}
    series: list[Series] = []

    def add(quantity: str, label: str, layer: int, more: dict[str, str | int]) -> None:
        where: dict[str, str | int] = {"quantity": quantity, **more}
        if across == "width":
            where["layer"] = layer
        ell = rf"({layer})" if across == "width" else r"(\ell)"
        name = label.replace("ELL", ell)
        series.append(Series(label=name, where=tuple(where.items()), **measured))

    last = depth + 1
    layers = sorted({round(x) for x in np.linspace(2, last, min(depth, _PLOTTED_LAYERS))})
    if across == "layer":
        layers = layers[:1]
    y_label, log = "distance from Gaussian", True
    if "excess_kurtosis" in quantities:
        for layer in layers:
            add("excess_kurtosis", "excess kurtosis of $z^{ELL}$", layer, {"input_a": 0})
    if "observable_variance" in quantities:
        more: dict[str, str | int] = {"observable": "act^2", "input_a": 0}
        add("observable_variance", r"$\mathrm{Var}\,\overline{\sigma(z^{ELL})^2}$", depth, more)
    if not series:
        log = False
        name, y_label = next(item for item in _PAIR_LABELS.items() if item[0] in quantities)
        for a, b in ((0, 0), (0, 1)):
            add(name, f"$a = {a}$, $b = {b}$, $\\ell = {last}$", last, {"input_a": a, "input_b": b})
    return Plot(x=across, y_label=y_label, series=tuple(series), log_x=across == "width", log_y=log)
