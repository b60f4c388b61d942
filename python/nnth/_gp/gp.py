"""The Gaussian process limit of wide random networks and its first correction, beside samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict, Unpack

import numpy as np

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of
from nnth._data.files import File, file_of
from nnth._gp.sampler import MAX_NETWORKS, LayerSample, sample_layers
from nnth._gp.table import asked_quantities, gp_table
from nnth._gp.vertex import Vertex, four_point_vertex
from nnth._kernels.kernel import variances
from nnth._networks.ensemble import in_parts
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
MAX_ENTRIES: Final = 1_000_000  # of kernels, over all layers

_LARGEST: Final = 1e70  # whose fourth powers are doubles


class GpNets(TypedDict, total=False):
    """What the networks are like and how they are drawn; each may be left out.

    width: one or several, each of all hidden layers; by default 16 to 256. depth: hidden layers, 2.
    widths: of the hidden layers one by one, instead of both. x: `(m, n_0)`, a row an input, or a
    data file; two by default with norm = |x|^2/n_0, 1, and cosine rho, 0.5; not 0 where cb is.
    cb, cw: bias and weight variance, the critical pair of act. samples: networks of each width,
    10,000; 0 for theory alone. seed: 0.
    """

    width: int | Sequence[int] | None
    depth: int | None
    widths: Sequence[int] | str | None
    x: Data | None
    norm: float | None
    rho: float | None
    cb: float | None
    cw: float | None
    samples: int | None
    seed: int


@dataclass(frozen=True, eq=False)
class GpEnsemble:
    """Random networks of several shapes, their inputs, and how they are drawn; see `GpNets`."""

    act: str
    shapes: tuple[tuple[int, ...], ...]
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
        """Return what made a table."""
        depth = len(self.shapes[0])
        parameters: dict[str, Any] = {
            "act": self.act,
            "widths": None if self.equal else self.shapes[0],
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
        """Return the theory of each shape."""
        ones = (1.0,) * len(self.shapes[0]) if self.equal else self.shapes[0]
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
        return [found.at_width(shape[0]) for shape in self.shapes] if self.equal else [found]

    def sample(
        self,
        shape: Sequence[int],
        limit: Vertex,
        *,
        start: int = 0,
        samples: int,
        threads: int = 0,
        progress: Progress | None = None,
    ) -> LayerSample:
        """Return a range of the networks of one shape; ranges merge."""
        return sample_layers(
            self.x,
            self.act,
            widths=shape,
            cb=self.cb,
            cw=self.cw,
            samples=samples,
            seed=self.seed,
            start=start,
            threads=threads,
            progress=progress,
            limit=limit,
        )


def gp(
    act: str = "relu",
    *,
    quantities: Sequence[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    **networks: Unpack[GpNets],
) -> Table:
    """Return how near random networks of finite width are to their Gaussian process limit.

    z^1 = b + W x, z^(l+1) = b + W s(z^l), b ~ N(0, C_b), W ~ N(0, C_w/fan-in). As widths grow the
    z_i^l become independent Gaussian processes of covariance K^l. At width n they are Gaussian
    given the layer below, with covariance Khat^(l+1)_ab = C_b + (C_w/n) sum_j s(z_j;a) s(z_j;b),
    which fluctuates: Var Khat_aa = V/n + O(1/n^2), E Khat_ab = K_ab + G_ab/n + O(1/n^2), with

        V' = C_w^2 Var[s^2] + chi_par^2 V,   G' = chi_par G + (C_w/2) d^2E[s^2]/dK^2 V

    for one input; `nnth.four_point_vertex` has the rest.

    act: as in `nnth.kernel`. quantities: of those below; all by default. threads: 0 = all; the
        result is the same for any number. progress: called with work done and in all, a few times
        a second.
    The others are those of `nnth._gp.GpNets`.

    Returns a Table, a row a width, layer (1..L+1; of preactivations, the output's last), quantity
    and pair of inputs a <= b (rows of the data, from 0):

    - "covariance": E z_i;a z_i;b of one neuron, through Khat, of which it is the mean; theory
      K + G/n, limit K. Layer 1 is Gaussian and has nothing random in it.
    - "cross_covariance": E z_i;a z_j;b of two neurons, from sampled z; exactly 0.
    - "correction": E Khat - K; theory G/n.
    - "excess_kurtosis": of z_i;a, as 3 Var Khat/(E Khat)^2, which is exact as z is Gaussian given
      Khat; theory 3 V/(n K^2).
    - "observable_variance": Var of (1/n) sum_j f(z_j;a) over networks, with the f in the column
      `observable`: z^2, act^2 = s(z)^2, slope^2 = s'(z)^2; theory Var[f]/n + (dE[f]/dK)^2 V/n.

    Columns: width (the least of `widths`), layer, quantity, observable, input_a, input_b; `mean`
    over the sample and its standard error `stderr`; `theory`, to the order 1/n; `limit` at infinite
    width; z = (mean - theory)/stderr; of the last three quantities `slope`, the power of the width
    that mean goes with, by a fit of log |mean| to log width weighted by stderr, and `slope_stderr`
    (theory -1; NaN for one width; widths whose mean is within 3 stderr of 0 have no part in it);
    `theory_error`, the estimated absolute error of computing `theory`; `note`. The note says where
    terms beyond the first order are likely to show (z then grows with the sample), where a single
    network is a tenth of a variance, so that a sample does not see it, and where theory is NaN.

    Accuracy: theory to some 1e-14, but for what `nnth.four_point_vertex` says; samples are exact in
    law. Cost: some 5 ns a network, neuron and input. Memory does not grow with samples.

    Raises ValueError for arguments out of range; KeyboardInterrupt saying what was done.

    Source: Neal (1996); Lee et al. (2018); Yaida (2020); Roberts, Yaida & Hanin (2022), ch. 4.
    """
    asked = asked_quantities(quantities)
    drawn = gp_nets(act, **networks)
    validated()
    try:
        limits = drawn.limits(threads=threads, progress=progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("no network was drawn yet: theory comes first") from None
    samples = draw(drawn, limits, threads=threads, progress=progress)
    widths = [min(shape) for shape in drawn.shapes]
    return gp_table(drawn.meta(), widths, limits, samples, asked)


def gp_nets(act: str = "relu", **networks: Unpack[GpNets]) -> GpEnsemble:
    """Return the networks that are asked for, checked.

    Raises ValueError for what is out of range, for `widths` beside `width` or `depth`, and for
    `x` beside `norm` or `rho`.
    """
    chosen = activation(act)
    cb, cw = variances(chosen, networks.get("cb"), networks.get("cw"))
    for name, value in (("cb", cb), ("cw", cw)):
        if not (value >= 0.0 and np.isfinite(value)):
            raise ValueError(f"{name} must be finite and at least 0, not {value:g}")
    shapes, equal = _shapes(networks.get("width"), networks.get("depth"), networks.get("widths"))
    given, norm, rho = networks.get("x"), networks.get("norm"), networks.get("rho")
    if given is None:
        norm = 1.0 if norm is None else float(norm)
        rho = 0.5 if rho is None else float(rho)
        x = _two_inputs(norm, rho)
    else:
        for name, number in (("norm", norm), ("rho", rho)):
            if number is not None:
                raise ValueError(f"{name} must not be given where x is, and is {number:g}")
        x = data_of(given, "x")
    if len(x) > MAX_INPUTS:
        raise ValueError(f"x must have at most {MAX_INPUTS} rows, not {len(x)}")
    entries = (len(shapes[0]) + 1) * len(x) * (len(x) + 1) // 2
    if entries > MAX_ENTRIES:
        raise ValueError(
            f"x and depth must make at most {MAX_ENTRIES} entries of kernels, not {entries}"
        )
    if cb == 0.0:
        if norm == 0.0:
            raise ValueError("norm must be above 0 where cb is 0, not 0")
        for row in np.flatnonzero(~x.any(axis=1)).tolist():
            raise ValueError(f"x must not be 0 where cb is 0, and row {row} is")
    samples = networks.get("samples")
    samples = SAMPLES if samples is None else check_integer("samples", samples, 0)
    if samples == 1:
        raise ValueError("samples must be 0 or at least 2, not 1")
    if samples > MAX_NETWORKS:
        raise ValueError(f"samples must be at most 2**32, not {samples}")
    seed = check_integer("seed", networks.get("seed", 0), 0)
    return GpEnsemble(
        chosen.name, shapes, equal, x, file_of(given), norm, rho, cb, cw, samples, seed
    )


def draw(
    networks: GpEnsemble,
    limits: Sequence[Vertex],
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> list[LayerSample] | None:
    """Return the sample of each shape; None of none."""
    if not networks.samples:
        return None
    work = [sum(shape) for shape in networks.shapes]
    found: list[LayerSample] = []
    for i, (shape, limit) in enumerate(zip(networks.shapes, limits, strict=True)):

        def part(
            start: int,
            count: int,
            told: Progress | None,
            shape: tuple[int, ...] = shape,
            limit: Vertex = limit,
        ) -> LayerSample:
            return networks.sample(
                shape, limit, start=start, samples=count, threads=threads, progress=told
            )

        def tell(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(round(sum(work[:i]) * total + work[i] * done), sum(work) * total)

        try:
            found.append(in_parts(part, networks.samples, tell))
        except KeyboardInterrupt as stop:
            said = f"at width {min(shape)} {stop}" if len(networks.shapes) > 1 else str(stop)
            raise KeyboardInterrupt(said) from None
    return found


def _shapes(
    width: int | Sequence[int] | None,
    depth: int | None,
    widths: Sequence[int] | str | None,
) -> tuple[tuple[tuple[int, ...], ...], bool]:
    if widths is not None:
        for name, value in (("width", width), ("depth", depth)):
            if value is not None:
                raise ValueError(f"{name} must not be given where widths are, and is {value}")
        shape = parse_widths(widths) if isinstance(widths, str) else _checked("widths", widths)
        if len(shape) > MAX_DEPTH:
            raise ValueError(f"widths must have at most {MAX_DEPTH} layers, not {len(shape)}")
        return (shape,), False
    layers = check_integer("depth", DEPTH if depth is None else depth)
    if layers > MAX_DEPTH:
        raise ValueError(f"depth must be at most {MAX_DEPTH}, not {layers}")
    asked = WIDTHS if width is None else [width] if isinstance(width, int) else width
    sizes = _checked("width", asked)
    return tuple((n,) * layers for n in sorted(set(sizes))), True


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
