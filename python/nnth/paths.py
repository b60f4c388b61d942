"""Moments of random ReLU networks without biases: exact, sampled, and as the widths grow.

z = W_(L+1) s(W_L ... s(W_1 x)), W_l = sqrt(2/n_(l-1)) W-hat_l, the entries of W-hat independent and
of a symmetric law mu of variance one. What is computed of z, of its derivatives and of its tangent
kernel stands on sums over paths through the network.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any, Final, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth.data import load_data
from nnth.ensemble import in_parts
from nnth.network import parse_widths, whole
from nnth.path_laws import CHI2_LOG_MEAN, CHI2_LOG_VARIANCE, path_laws
from nnth.path_laws import _digamma_less_log as digamma_less_log
from nnth.path_laws import _trigamma as trigamma
from nnth.path_moments import (
    MAX_ORDER,
    Law,
    NtkMoments,
    _sizes,
    _vector,
    ntk_moments,
    path_asymptotics,
    path_moments,
)
from nnth.path_samplers import Mu, PathSample, QuantitySample, sample_paths
from nnth.table import Meta, Table
from nnth.weight_law import LAWS, WeightLaw, weight_law
from nnth.work import begin

Array = NDArray[np.float64]
Sampler = Literal["law", "dense"]
Progress = Callable[[int, int], object]

QUANTITIES: Final = ("dzdx", "z", "normz", "jacobian", "ntk")
KERNELS: Final = ("ntk", "ntk_standard")
KNOWN: Final = (*QUANTITIES, "ntk_standard")
ORDERS: Final = (2, 4, 6, 8)
NTK_ORDERS: Final = (1, 2)
MOST: Final = 16  # the highest order
SAMPLES: Final = 10_000
MAX_N0: Final = 10_000_000
CONTINUOUS: Final = ("gaussian", "uniform", "laplace")

_LARGE_SHARE: Final = 0.1


class Nets(TypedDict, total=False):
    """What the networks are like and how they are drawn; each may be left out.

    n0: dimension of the input, the length of x or else 2. widths: of the hidden layers, or text as
    "64*10,32"; ten of 64. n_out: dimension of the output, 1. mu: law of the entries of W-hat, by
    its name or its even moments (`nnth.weight_law`); "gaussian". x: the input `(n0,)`, or a data
    file with one row; all ones, so that |x|^2 = n0. linear: without activations. samples: networks,
    10,000; 0 where only moments of mu are known or the network is linear. sampler: "law" draws what
    Gaussian weights do to norms, O(L) numbers a network, exactly in law; "dense" draws every
    weight; "law" where mu is Gaussian. seed: 0.
    """

    n0: int | None
    widths: Sequence[int] | str | None
    n_out: int | None
    mu: Law
    x: ArrayLike | str | os.PathLike[str] | None
    linear: bool
    samples: int | None
    sampler: Sampler | None
    seed: int


@dataclass(frozen=True, eq=False)
class PathNets:
    """Random networks of one shape, their input, and how they are drawn; see `Nets`."""

    n0: int
    widths: tuple[int, ...]
    n_out: int
    law: WeightLaw
    x: Array | None
    linear: bool
    samples: int
    sampler: Sampler
    seed: int

    @property
    def point(self) -> Array:
        """The input."""
        return np.ones(self.n0) if self.x is None else self.x

    @property
    def mu(self) -> Mu:
        """The name of the law, of networks that can be drawn."""
        names: dict[str, Mu] = {
            "gaussian": "gaussian",
            "rademacher": "rademacher",
            "uniform": "uniform",
            "laplace": "laplace",
        }
        return names[self.law.name]

    @property
    def inverse_widths(self) -> float:
        """T, the sum of 1/n_l over the hidden layers."""
        return math.fsum(1 / n for n in self.widths)

    @property
    def dead(self) -> float:
        """The probability that z and its derivatives are 0; NaN where mu may have atoms."""
        if self.law.name not in CONTINUOUS:
            return math.nan
        if self.linear:
            return 0.0
        return path_laws(n0=self.n0, widths=self.widths).dead

    def parameters(self) -> dict[str, Any]:
        """What a table's record says of the networks; widths as in "64*10,32"."""
        runs = [(n, len(list(group))) for n, group in groupby(self.widths)]
        return {
            "n0": self.n0,
            "widths": ",".join(f"{n}*{count}" if count > 1 else str(n) for n, count in runs),
            "depth": len(self.widths),
            "inverse_widths": self.inverse_widths,
            "n_out": self.n_out,
            "mu": self.law.name,
            "x": None if self.x is None or self.n0 > 100 else self.x,
            "linear": self.linear,
            "samples": self.samples,
            "sampler": self.sampler if self.samples else None,
        }

    def meta(self, **more: Any) -> Meta:
        """Return what made a table, with further parameters."""
        return Meta("paths", self.parameters() | more, seed=self.seed if self.samples else None)


def path_nets(**nets: Unpack[Nets]) -> PathNets:
    """Return the networks that are asked for, checked.

    Raises ValueError for what is out of range, for "law" where weights are not Gaussian, and for
    samples of networks that cannot be drawn: linear ones, and laws of which moments are known.
    """
    x = nets.get("x")
    if isinstance(x, str | os.PathLike):
        rows = load_data(x)
        if len(rows) != 1:
            raise ValueError(f"x must have one row, the input, not {len(rows)} as in {x}")
        x = rows[0]
    n0 = nets.get("n0")
    if n0 is None:
        n0 = 2 if x is None else int(np.size(x))
    widths = nets.get("widths")
    listed = parse_widths(widths) if isinstance(widths, str) else widths
    n_out = nets.get("n_out")
    n0, hidden, outputs = _sizes(
        whole("n0", n0), (64,) * 10 if listed is None else listed, 1 if n_out is None else n_out
    )
    if n0 > MAX_N0:
        raise ValueError(f"n0 must be at most {MAX_N0}, not {n0}")
    if not hidden:
        raise ValueError("widths must have at least one layer, not none")
    point = None if x is None else _vector(x, n0)
    law, linear = weight_law(nets.get("mu", "gaussian")), nets.get("linear", False)
    reason = "for linear networks" if linear else f"where mu is known by its moments, {law.name}"
    drawn = not linear and law.name in LAWS
    samples = nets.get("samples")
    samples = (SAMPLES if drawn else 0) if samples is None else whole("samples", samples, 0)
    if samples and not drawn:
        raise ValueError(f"samples must be 0 {reason}, not {samples}")
    sampler = nets.get("sampler")
    if sampler not in (None, "law", "dense"):
        raise ValueError(f"sampler must be law or dense, not {sampler!r}")
    if sampler == "law" and not law.is_gaussian:
        raise ValueError(
            f"sampler must be dense for mu {law.name}, not law: only Gaussian weights turn every "
            "direction alike, so that norms are all that matters"
        )
    if sampler is None:
        sampler = "law" if law.is_gaussian else "dense"
    seed = nets.get("seed", 0)
    return PathNets(n0, hidden, outputs, law, point, linear, samples, sampler, seed)


def paths(
    *,
    quantities: Sequence[str] | None = None,
    orders: Sequence[int] | None = None,
    exact: bool = False,
    threads: int = 0,
    progress: Progress | None = None,
    **nets: Unpack[Nets],
) -> Table:
    """Return moments of what a random ReLU network computes: exactly, sampled, and in the limit.

    quantities: of "dzdx", dz_q/dx_p; "z", z_q(x); "normz", |z(x)|; "jacobian", |dz/dx|_F; "ntk",
        the tangent kernel Theta(x, x) of z_q for the parameters W-hat; these by default, and
        "ntk_standard", the same for the parameters W.
    orders: powers, of all quantities alike: even ones for the first four, at most 16. By default 2,
        4, 6, 8, as far as moments of mu are known, and 1, 2 for kernels.
    exact: moments as fractions too, from x and mu as what their floats are.
    threads: 0 = all; the result is the same for any number.
    progress: called with the networks that are drawn, and their number, a few times a second.
    The others are those of `nnth.paths.Nets`.

    Returns a Table, a row a quantity and order: quantity, order; `exact` E q^order at these widths;
    `mean` over the sample, its standard error `stderr` and z = (mean - exact)/stderr; `asymptotic`,
    what `exact` tends to as widths grow and T = sum 1/n_l stays (`nnth.path_moments.
    path_asymptotics`), 12/n0^2 exp(5 T) for the fourth moment of dzdx; log_exact, log_sampled,
    log_asymptotic, their logarithms, for what leaves the doubles; `stderr_exact`, the standard
    error that a sample of this size has, from the exact moment of twice the order;
    `largest_share`, the part of the sum that one network makes; `dead` and `dead_exact`, the share
    of networks with q = 0 and its probability (NaN where mu has atoms); log_mean, log_var and
    their exact values log_mean_exact, log_var_exact, of log q^2 (of log Theta for kernels) where q
    is not 0; `note`. With `exact` there is `fraction`, as text. NaN is what is not known; without
    samples mean, stderr and z.

    The note says when a sample does not see a moment, so that mean is too small and stderr too: a
    single network is a tenth of the sum, or fewer are drawn than exp(D + 2 s) (Chatterjee and
    Diaconis 2018), where D and s are mean and deviation of log(q^order/E q^order) under the law in
    which networks count as q^order, from the exact moments of neighbouring orders.

    Accuracy: `exact` to a unit in the last place. Cost: that of the sample, some 10 ns a layer and
    network for "law", 3 ns a weight for "dense"; memory does not grow with samples.

    Raises ValueError for arguments out of range, odd orders, and moments of mu that are not known;
    KeyboardInterrupt saying what was done.

    Source: Hanin & Nica (2018, 2019); Hanin (2018).
    """
    drawn = path_nets(**nets)
    asked = asked_moments(drawn, quantities, orders)
    sample = draw(drawn, asked, threads=threads, progress=progress)
    return path_table(drawn, asked, sample, exact=exact)


def asked_moments(
    nets: PathNets, quantities: Sequence[str] | None = None, orders: Sequence[int] | None = None
) -> dict[str, tuple[int, ...]]:
    """Return the orders of each quantity, checked; arguments as in `paths`."""
    names = tuple(dict.fromkeys(QUANTITIES if quantities is None else quantities))
    if quantities is None and nets.law.order < 4:
        names = names[:-1]
    if not names:
        raise ValueError("quantities must be at least one, not none")
    for name in names:
        if name not in KNOWN:
            raise ValueError(f"quantities must be of {', '.join(KNOWN)}, not {name!r}")
    given = None if orders is None else tuple(dict.fromkeys(whole("orders", o) for o in orders))
    if given == ():
        raise ValueError("orders must be at least one, not none")
    for order in given or ():
        if order > MOST:
            raise ValueError(f"orders must be at most {MOST}, not {order}")
        if order % 2 and not set(names) <= set(KERNELS):
            raise ValueError(f"orders must be even except for ntk, not {order}")
    known = tuple(o for o in ORDERS if o <= nets.law.order)
    return {name: given or (NTK_ORDERS if name in KERNELS else known) for name in names}


def draw(
    nets: PathNets,
    asked: Mapping[str, tuple[int, ...]],
    *,
    keep: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> PathSample | None:
    """Return statistics of the sample, with values of its first `keep` networks; None of none.

    Raises ValueError for more values than fit in memory.
    """
    _require_memory(min(keep, nets.samples), len(asked))
    begin()
    if not nets.samples:
        return None

    def part(start: int, count: int, told: Progress | None) -> PathSample:
        return sample_paths(
            tuple(asked),
            asked,
            n0=nets.n0,
            widths=nets.widths,
            n_out=nets.n_out,
            x=nets.x,
            mu=nets.mu,
            sampler=nets.sampler,
            samples=count,
            seed=nets.seed,
            start=start,
            threads=threads,
            progress=told,
            keep=max(0, min(count, keep - start)),
        )

    return in_parts(part, nets.samples, progress, _so_far)


def _require_memory(values: int, quantities: int) -> None:
    needed = 64 * values * quantities  # numbers and their logarithms, copied once and once more
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > 0.8 * free:
        raise ValueError(
            f"samples must be fewer for their values to be kept, not {values}: they need "
            f"{needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free"
        )


def kept_values(sample: PathSample) -> NDArray[Any]:
    """Return the kept values, a structured array with a field a quantity: |q|, and Theta for ntk.

    Those of one network are in one place, but where "law" draws dzdx, or the Jacobian of several
    outputs: their networks are others.
    """
    fields = [(name, np.float64) for name in sample.quantities]
    values = np.empty(len(next(iter(sample.quantities.values())).values), dtype=fields)
    for name, quantity in sample.quantities.items():
        values[name] = quantity.values
    return values


def _so_far(sample: PathSample) -> str:
    return ", ".join(
        f"E {name}^{q.orders[0]} = {q.mean[0]:.6g} +- {q.stderr[0]:.2g}"
        for name, q in sample.quantities.items()
    )


def path_table(
    nets: PathNets,
    asked: Mapping[str, tuple[int, ...]],
    sample: PathSample | None,
    *,
    exact: bool = False,
) -> Table:
    """Return the Table of `paths`, of a sample that is there."""
    rows: list[dict[str, Any]] = []
    dead = nets.dead
    for name, orders in asked.items():
        theory = _theory(nets, name, orders, exact)
        seen = None if sample is None else sample[name]
        log_moments = log_moments_of(nets, name)
        for i, order in enumerate(orders):
            row = {"quantity": name, "order": order} | _row(nets, theory, seen, order, i)
            row |= {
                "dead": math.nan if seen is None else seen.dead / seen.count,
                "dead_exact": dead,
            }
            power = 1 if name in KERNELS else 2
            row |= {
                "log_mean": math.nan if seen is None else power * seen.log_mean,
                "log_mean_exact": log_moments[0],
                "log_var": math.nan if seen is None else power**2 * seen.log_variance,
                "log_var_exact": log_moments[1],
                "note": "; ".join(_notes(nets, theory, seen, order, i)),
            }
            if exact:
                found = theory.fractions.get(order)
                row["fraction"] = "" if found is None else _in_text(found)
            rows.append(row)
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    return Table(columns, nets.meta())


@dataclass(frozen=True, eq=False)
class _Theory:
    """What is known of a quantity: moments by order, with 0 for those beyond."""

    name: str
    values: dict[int, float]
    logs: dict[int, float]
    limits: dict[int, float]
    log_limits: dict[int, float]
    fractions: dict[int, Fraction]

    @property
    def step(self) -> int:
        """From one order to the next."""
        return 1 if self.name in KERNELS else 2

    def relative_variance(self, order: int) -> float:
        """Return Var q^order/(E q^order)^2, NaN if unknown."""
        if order not in self.logs or 2 * order not in self.logs:
            return math.nan
        excess = self.logs[2 * order] - 2 * self.logs[order]
        return math.expm1(excess) if excess < 700.0 else math.inf

    def log_nets_needed(self, order: int) -> float:
        """Return log of the networks without which the moment is not seen, D + 2 s; NaN if unknown.

        With kappa(k) = log E q^(k step): D = k kappa' - kappa and s = k sqrt(kappa''), by
        differences of neighbours.
        """
        here, below = self.logs.get(order), order - self.step
        before = 0.0 if below == 0 else self.logs.get(below)
        if here is None or before is None:
            return math.nan
        k, after = order / self.step, self.logs.get(order + self.step)
        if after is not None:
            slope, curvature = (after - before) / 2, after - 2 * here + before
        else:  # at the highest order: the parabola through the three last
            first = 0.0 if below == self.step else self.logs.get(below - self.step)
            if below == 0 or first is None:
                return math.nan
            slope = (3 * here - 4 * before + first) / 2
            curvature = here - 2 * before + first
        return k * slope - here + 2.0 * k * math.sqrt(max(curvature, 0.0))


def _theory(nets: PathNets, name: str, orders: Sequence[int], exact: bool) -> _Theory:
    shape: Any = {"n0": nets.n0, "widths": nets.widths, "mu": nets.law, "linear": nets.linear}
    if name in KERNELS:
        shape["parameters"] = "w-hat" if name == "ntk" else "w"
        return _ntk_theory(name, ntk_moments(x=nets.point, exact=exact, **shape))
    x = nets.point if name in ("z", "normz") else None
    most = MAX_ORDER[name]
    wanted = {o for o in orders if o <= most}
    near = set(wanted)
    if nets.samples:
        near |= {o for m in wanted for o in (m - 2, m + 2, 2 * m) if 2 <= o <= most}
    kind: Any = name
    shape |= {"n_out": nets.n_out, "x": x}
    found = path_moments(kind, sorted(near), **shape) if near else None
    values = {} if found is None else dict(zip(found.orders, found.values.tolist(), strict=True))
    logs = {} if found is None else dict(zip(found.orders, found.logs.tolist(), strict=True))
    limits, log_limits, fractions = {}, {}, {}
    if wanted:
        limit = path_asymptotics(kind, sorted(wanted), **shape)
        limits = dict(zip(limit.orders, limit.values.tolist(), strict=True))
        log_limits = dict(zip(limit.orders, limit.logs.tolist(), strict=True))
    if exact and wanted:
        rational = path_moments(kind, sorted(wanted), exact=True, **shape)
        fractions = dict(zip(rational.orders, rational.fractions or (), strict=True))
    return _Theory(name, values, logs, limits, log_limits, fractions)


def _ntk_theory(name: str, found: NtkMoments) -> _Theory:
    fractions = found.fractions
    return _Theory(
        name,
        {1: found.mean, 2: found.second},
        {1: found.log_mean, 2: found.log_second},
        {1: found.mean, 2: found.asymptotic_second},
        {1: found.log_mean, 2: found.asymptotic_log_second},
        {} if fractions is None else {1: fractions[0], 2: fractions[1]},
    )


def _row(
    nets: PathNets, theory: _Theory, seen: QuantitySample | None, order: int, i: int
) -> dict[str, float]:
    exact = theory.values.get(order, math.nan)
    mean = math.nan if seen is None else float(seen.mean[i])
    stderr = math.nan if seen is None else float(seen.stderr[i])
    relative = theory.relative_variance(order)
    return {
        "exact": exact,
        "mean": mean,
        "stderr": stderr,
        "z": (mean - exact) / stderr if stderr > 0.0 and math.isfinite(stderr) else math.nan,
        "asymptotic": theory.limits.get(order, math.nan),
        "log_exact": theory.logs.get(order, math.nan),
        "log_sampled": math.nan if seen is None else float(seen.log_of_mean[i]),
        "log_asymptotic": theory.log_limits.get(order, math.nan),
        "stderr_exact": exact * math.sqrt(max(relative, 0.0) / nets.samples)
        if nets.samples and seen is not None
        else math.nan,
        "largest_share": math.nan if seen is None else float(seen.max_share[i]),
    }


def _notes(
    nets: PathNets, theory: _Theory, seen: QuantitySample | None, order: int, i: int
) -> list[str]:
    notes = []
    if order not in theory.values:
        known = "1 and 2" if theory.name in KERNELS else f"up to {MAX_ORDER[theory.name]}"
        notes.append(f"exact orders are {known}")
    if seen is None:
        return notes
    needed, share = theory.log_nets_needed(order), float(seen.max_share[i])
    reasons = []
    if needed > math.log(nets.samples):
        power = needed / math.log(10)
        reasons.append(f"that takes about 10^{power:.1f} networks")
    if share >= _LARGE_SHARE:
        reasons.append(f"one network is {share:.0%} of the sum")
    if reasons:
        notes.append(f"sample does not see this moment: {' and '.join(reasons)}")
    return notes


def log_moments_of(nets: PathNets, name: str) -> tuple[float, float]:
    """Return mean and variance of log q^2 where q is not 0; NaN where they are not known.

    For Gaussian weights q^2 is the scale times chi^2_m times the product of the hidden layers, with
    m = 1 for dzdx and z, n_out for normz, and n0 for the Jacobian of one output.
    """
    degrees = {"dzdx": 1, "z": 1, "normz": nets.n_out}
    if nets.n_out == 1:
        degrees["jacobian"] = nets.n0
    m = degrees.get(name)
    if not nets.law.is_gaussian or nets.linear or m is None:
        return math.nan, math.nan
    found = path_laws(
        n0=nets.n0, widths=nets.widths, x=nets.point if name in ("z", "normz") else None
    )
    assert found.log_mean is not None
    assert found.log_variance is not None
    half = np.array([m / 2])
    mean = math.log(m) + float(digamma_less_log(half)[0])
    variance = float(trigamma(half)[0])
    return (
        found.log_mean - CHI2_LOG_MEAN + mean,
        found.log_variance - CHI2_LOG_VARIANCE + variance,
    )


def _in_text(value: Fraction) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return f"{value.numerator:#x}/{value.denominator:#x}"
