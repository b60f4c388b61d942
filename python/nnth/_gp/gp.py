"""The Gaussian process limit of wide networks and its first correction, compared with samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of
from nnth._data.files import File, file_of
from nnth._gp.sampler import MAX_NETWORKS, LayerSample, sample_layers
from nnth._gp.table import Quantity, asked_quantities, gp_table
from nnth._gp.vertex import Vertex, four_point_vertex
from nnth._kernels.kernel import variances
from nnth._networks.ensemble import Ranges
from nnth._networks.network import MAX_WIDTH, parse_widths
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.table import Meta, Table

WIDTHS: Final = (16, 32, 64, 128, 256)
DEPTH: Final = 2
SAMPLES: Final = 10_000
MAX_DEPTH: Final = 10_000
MAX_INPUTS: Final = 100
MAX_ENTRIES: Final = 1_000_000  # entries of the kernels of all layers

_LARGEST: Final = 1e70  # fourth powers stay within the range of doubles


@dataclass(frozen=True, eq=False)
class GpEnsemble:
    """Random networks of several architectures, their inputs, and how they are sampled."""

    act: str
    architectures: tuple[tuple[int, ...], ...]
    equal: bool
    x: Floats
    file: File
    norm: float | None
    rho: float | None
    cb: float
    cw: float
    samples: int
    seed: int

    def meta(self) -> Meta:
        """Return the metadata of a table."""
        depth = len(self.architectures[0])
        parameters: dict[str, Any] = {
            "act": self.act,
            "widths": None if self.equal else self.architectures[0],
            "depth": depth,
            "cb": self.cb,
            "cw": self.cw,
            "x": self.file,
            "norm": self.norm,
            "rho": self.rho,
            "samples": self.samples,
        }
        return Meta("gp", parameters, seed=self.seed if self.samples else None)

    def limits(self, *, threads: int = 0, progress: Progress | None = None) -> list[Vertex]:
        """Return the theory for each architecture."""
        ones = (1.0,) * len(self.architectures[0]) if self.equal else self.architectures[0]
        found = four_point_vertex(
            self.x,
            self.act,
            widths=ones,
            cb=self.cb,
            cw=self.cw,
            threads=threads,
            progress=progress,
        )
        k = np.abs(found.kernel)
        diagonal = np.eye(len(self.x), dtype=bool)
        outside = ~(k <= _LARGEST) | (diagonal & (k < 1.0 / _LARGEST))
        for layer, a, b in np.argwhere(outside).tolist():
            given = "x" if self.norm is None else "norm"
            raise ValueError(
                f"{given}, cb, cw and depth must keep kernels in {1.0 / _LARGEST:g}..{_LARGEST:g}, "
                f"not {k[layer, a, b]:g} as in layer {layer + 1}"
            )
        if self.equal:
            return [found.at_width(widths[0]) for widths in self.architectures]
        return [found]

    def sample(
        self,
        widths: Sequence[int],
        limit: Vertex,
        *,
        start: int = 0,
        samples: int,
        threads: int = 0,
        progress: Progress | None = None,
    ) -> LayerSample:
        """Return the sample of a range of the networks of one architecture; ranges merge."""
        return sample_layers(
            self.x,
            self.act,
            widths=widths,
            cb=self.cb,
            cw=self.cw,
            samples=samples,
            start=start,
            limit=limit,
            seed=self.seed,
            threads=threads,
            progress=progress,
        )


def gp(
    act: str = "relu",
    *,
    width: int | Sequence[int] | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    x: Data | None = None,
    norm: float | None = None,
    rho: float | None = None,
    cb: float | None = None,
    cw: float | None = None,
    quantities: Sequence[Quantity] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the distance of random networks of finite width from their Gaussian process limit.

    For z^1 = b + W x, z^(l+1) = b + W s(z^l), b ~ N(0, C_b), W ~ N(0, C_w/fan-in), the z_i^l tend
    to independent Gaussian processes of covariance K^l as widths grow. At width n they are Gaussian
    given the layer below, with a random covariance Khat. For one input, to first order::

        Khat^(l+1)_ab = C_b + (C_w/n) sum_j s(z_j;a) s(z_j;b)
        Var Khat = V/n,    V' = C_w^2 Var[s^2] + chi_par^2 V
        E Khat - K = G/n,  G' = chi_par G + (C_w/2) d^2E[s^2]/dK^2 V

    with chi_par = dK^(l+1)/dK^l; `nnth.four_point_vertex` has the case of several inputs.

    Args:
        act: The activation, as in `nnth.kernel`.
        width: One or several widths, each of all hidden layers; 16, 32, 64, 128 and 256 if None.
        depth: The number of hidden layers L; 2 if None.
        widths: The widths of the hidden layers one by one, as numbers or text such as "64*10,32",
            in place of `width` and `depth`.
        x: The inputs `(m, n_0)`, m <= 100, or a data file; not 0 if cb is 0.
        norm: Without `x`, the value of `|x|^2/n_0` of two inputs; 1 if None.
        rho: Without `x`, the cosine of the angle of the two inputs; 0.5 if None.
        cb: The bias variance C_b; that of the critical pair of `act`, or 0 beside `cw`, if None.
        cw: The weight variance C_w; that of the critical pair of `act` if None.
        quantities: The quantities, of those below; all if None.
        samples: The number of random networks of each width, 0 for the theory alone.
        seed: Network s is a function of (seed, width, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table with a row for each width, layer (1 to L+1; of preactivations, the last those of the
        output), quantity, and pair of inputs a <= b (rows of the data, from 0). The quantities:

        - "covariance": E z_i;a z_i;b of one neuron, estimated by Khat; theory K + G/n, limit K.
          Layer 1 is Gaussian with a fixed covariance.
        - "cross_covariance": E z_i;a z_j;b of two neurons, from sampled z; theory 0.
        - "correction": E Khat - K; theory G/n.
        - "excess_kurtosis": that of z_i;a, as 3 Var Khat/(E Khat)^2; theory 3 V/(n K^2).
        - "observable_variance": the variance over networks of (1/n) sum_j f(z_j;a), with f in the
          column `observable`: z^2, act^2 = s(z)^2 or derivative^2 = s'(z)^2; theory
          Var[f]/n + (dE[f]/dK)^2 V/n.

        The columns: width (the least of `widths`), layer, quantity, observable, input_a, input_b;
        `mean` over the sample and its standard error `stderr`; `theory`, to the order 1/n; `limit`
        at infinite width; z = (mean - theory)/stderr; for the last three quantities `slope`, the
        power of the width, fitted to log mean against log width with weights from stderr, and
        `slope_stderr` (theory -1; NaN for one width; without widths whose mean is within 3 stderr
        of 0); `theory_error`, an estimate of the numerical error of `theory`; `note`. The note says
        where terms of higher order are likely to show, so that z grows with the sample, where one
        network is a tenth of a variance, so that the sample misses it, and where theory is NaN.

    Raises:
        ValueError: If an argument is out of range, `widths` comes with `width` or `depth`, or `x`
            with `norm` or `rho`.
        KeyboardInterrupt: With the number of networks drawn so far.

    Accuracy: theory has relative errors of about 1e-14, except as `nnth.four_point_vertex` says;
    samples are exact in distribution. Cost: some 5 ns per network, neuron and input, and the rows
    grow with the square of the inputs; memory does not grow with samples.

    Example:
        >>> table = nnth.gp("relu", width=64, depth=2, quantities=["excess_kurtosis"], samples=0)
        >>> table["layer"].tolist(), table["theory"].round(6).tolist()
        ([2, 2, 3, 3], [0.234375, 0.234375, 0.46875, 0.46875])

    Source: Neal (1996); Lee et al. (2018); Yaida (2020); Roberts et al. (2022), chapter
    4.
    """
    asked = asked_quantities(quantities)
    networks = gp_ensemble(
        act,
        width=width,
        depth=depth,
        widths=widths,
        x=x,
        norm=norm,
        rho=rho,
        cb=cb,
        cw=cw,
        samples=samples,
        seed=seed,
    )
    validated()
    try:
        limits = networks.limits(threads=threads, progress=progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("no networks were drawn yet, only theory was computed") from None
    drawn = draw(networks, limits, threads=threads, progress=progress)
    least = [min(sizes) for sizes in networks.architectures]
    return gp_table(networks.meta(), least, limits, drawn, asked)


def gp_ensemble(
    act: str = "relu",
    *,
    width: int | Sequence[int] | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    x: Data | None = None,
    norm: float | None = None,
    rho: float | None = None,
    cb: float | None = None,
    cw: float | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> GpEnsemble:
    """Return the random networks that these arguments of `gp` describe. Raises ValueError."""
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    for name, value in (("cb", cb), ("cw", cw)):
        if not (value >= 0.0 and np.isfinite(value)):
            raise ValueError(f"{name} must be finite and at least 0, not {value:g}")
    architectures, equal = _architectures(width, depth, widths)
    if x is None:
        norm = 1.0 if norm is None else float(norm)
        rho = 0.5 if rho is None else float(rho)
        inputs = _two_inputs(norm, rho)
    else:
        for name, number in (("norm", norm), ("rho", rho)):
            if number is not None:
                raise ValueError(f"{name} must not be given where x is, and is {number:g}")
        inputs = data_of(x, "x")
    if len(inputs) > MAX_INPUTS:
        raise ValueError(f"x must have at most {MAX_INPUTS} rows, not {len(inputs)}")
    entries = (len(architectures[0]) + 1) * len(inputs) * (len(inputs) + 1) // 2
    if entries > MAX_ENTRIES:
        raise ValueError(
            f"x and depth must make at most {MAX_ENTRIES} entries of kernels, not {entries}"
        )
    if cb == 0.0:
        if norm == 0.0:
            raise ValueError("norm must be above 0 where cb is 0, not 0")
        for row in np.flatnonzero(~inputs.any(axis=1)).tolist():
            raise ValueError(f"x must not be 0 where cb is 0, and row {row} is")
    samples = check_integer("samples", samples, 0)
    if samples == 1:
        raise ValueError("samples must be 0 or at least 2, not 1")
    if samples > MAX_NETWORKS:
        raise ValueError(f"samples must be at most 2**32, not {samples}")
    return GpEnsemble(
        chosen.name,
        architectures,
        equal,
        inputs,
        file_of(x),
        norm,
        rho,
        cb,
        cw,
        samples,
        check_integer("seed", seed, 0),
    )


def draw(
    networks: GpEnsemble,
    limits: Sequence[Vertex],
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> list[LayerSample] | None:
    """Return the sample of each architecture, or None without samples."""
    if not networks.samples:
        return None
    work = [sum(widths) for widths in networks.architectures]
    found: list[LayerSample] = []
    for i, (widths, limit) in enumerate(zip(networks.architectures, limits, strict=True)):

        def report(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(round(sum(work[:i]) * total + work[i] * done), sum(work) * total)

        try:
            with Ranges[LayerSample](networks.samples, report) as ranges:
                for first, count in ranges:
                    ranges.add(
                        networks.sample(
                            widths,
                            limit,
                            start=first,
                            samples=count,
                            threads=threads,
                            progress=ranges.progress,
                        )
                    )
        except KeyboardInterrupt as stop:
            text = (
                f"at width {min(widths)} {stop}" if len(networks.architectures) > 1 else str(stop)
            )
            raise KeyboardInterrupt(text) from None
        found.append(ranges.sample)
    return found


def _architectures(
    width: int | Sequence[int] | None,
    depth: int | None,
    widths: Sequence[int] | str | None,
) -> tuple[tuple[tuple[int, ...], ...], bool]:
    """Return the hidden widths of each architecture, and whether each has layers of one width."""
    if widths is not None:
        for name, value in (("width", width), ("depth", depth)):
            if value is not None:
                raise ValueError(f"{name} must not be given where widths are, and is {value}")
        sizes = parse_widths(widths) if isinstance(widths, str) else _checked("widths", widths)
        if len(sizes) > MAX_DEPTH:
            raise ValueError(f"widths must have at most {MAX_DEPTH} layers, not {len(sizes)}")
        return (sizes,), False
    layers = check_integer("depth", DEPTH if depth is None else depth)
    if layers > MAX_DEPTH:
        raise ValueError(f"depth must be at most {MAX_DEPTH}, not {layers}")
    given = WIDTHS if width is None else [width] if isinstance(width, int) else width
    return tuple((n,) * layers for n in sorted(set(_checked("width", given)))), True


def _checked(name: str, sizes: Sequence[int]) -> tuple[int, ...]:
    found = tuple(check_integer(name, n) for n in sizes)
    if not found:
        raise ValueError(f"{name} must be at least one, not none")
    for n in found:
        if n > MAX_WIDTH:
            raise ValueError(f"{name} must be at most {MAX_WIDTH}, not {n}")
    return found


def _two_inputs(norm: float, rho: float) -> Floats:
    if not 0.0 <= norm <= _LARGEST:
        raise ValueError(f"norm must be from 0 to {_LARGEST:g}, not {norm:g}")
    if not -1.0 <= rho <= 1.0:
        raise ValueError(f"rho must be within [-1, 1], not {rho:g}")
    pair = np.array([[1.0, 0.0], [rho, np.sqrt((1.0 - rho) * (1.0 + rho))]])
    found: Floats = np.sqrt(2.0 * norm) * pair
    return found
