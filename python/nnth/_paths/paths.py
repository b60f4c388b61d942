"""Moments of random ReLU networks without biases: exact, sampled, and as the widths grow.

z = W_(L+1) s(W_L ... s(W_1 x)), W_l = sqrt(2/n_(l-1)) W-hat_l, the entries of W-hat independent and
of a symmetric law mu of variance one. What is computed of z, of its derivatives and of its tangent
kernel stands on sums over paths through the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Final, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from nnth._networks.ensemble import in_parts
from nnth._paths.laws import CHI2_LOG_MEAN, CHI2_LOG_VARIANCE, digamma_less_log, path_laws, trigamma
from nnth._paths.moments import (
    MAX_ORDER,
    NtkMoments,
    ntk_moments,
    path_asymptotics,
    path_moments,
)
from nnth._paths.nets import Nets, PathNets, path_nets
from nnth._paths.samplers import PathSample, QuantitySample, sample_paths
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Drawing
from nnth._tables.statistics import note_on_z, z_score
from nnth._tables.table import Table

Array = NDArray[np.float64]
Sampler = Literal["law", "dense"]

QUANTITIES: Final = ("dzdx", "z", "normz", "jacobian", "ntk")
KERNELS: Final = ("ntk", "ntk_standard")
KNOWN: Final = (*QUANTITIES, "ntk_standard")
ORDERS: Final = (2, 4, 6, 8)
NTK_ORDERS: Final = (1, 2)
MOST: Final = 16  # the highest order

_LARGE_SHARE: Final = 0.1
_LARGEST_LOG: Final = 700.0  # of a double


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
    The others are those of `nnth._paths.Nets`.

    Returns a Table, a row a quantity and order: quantity, order; `exact` E q^order at these widths;
    `mean` over the sample, its standard error `stderr` and z = (mean - exact)/stderr; `asymptotic`,
    what `exact` tends to as widths grow and T = sum 1/n_l stays (`nnth._paths.moments.
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
    which networks count as q^order, from the exact moments of neighboring orders.

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
    given = (
        None if orders is None else tuple(dict.fromkeys(check_integer("orders", o) for o in orders))
    )
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

    Raises MemoryError for more values than fit.
    """
    kept = min(keep, nets.samples)
    needed = 64 * kept * len(asked)  # numbers and their logarithms, copied once and once more
    what = f"samples must be fewer for their values to be kept: those of {kept}"
    check_memory(needed, what)
    validated()
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


def kept_values(sample: PathSample) -> dict[str, Array]:
    """Return the kept values of each quantity: |q|, and Theta for ntk.

    Those of one network are in one place, but where "law" draws dzdx, or the Jacobian of several
    outputs: their networks are others.
    """
    return {name: quantity.values for name, quantity in sample.quantities.items()}


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
    return Table(columns, nets.meta(), plot=None if nets.linear else partial(_picture, nets))


def _picture(nets: PathNets) -> Drawing:
    """Return the distribution of dz/dx in the sample, which is drawn again."""
    from nnth._paths.distribution import KEPT, distribution_picture

    return distribution_picture(nets, draw(nets, {"dzdx": (2,)}, keep=KEPT))


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
        differences of neighbors.
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
        near |= {o for m in wanted for o in (m - 2, m + 2, 2 * m, 3 * m) if 2 <= o <= most}
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
        "z": float(z_score(mean - exact, stderr)),
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
    elif seen.stderr[i] > 0.0 and (said := _on_z(theory, seen, order, i)):
        notes.append(said)
    return notes


def _on_z(theory: _Theory, seen: QuantitySample, order: int, i: int) -> str:
    """Why z is not normal: by the exact skewness, as far as moments are known, and the largest."""
    one, two, three = (theory.logs.get(k * order, math.nan) for k in (1, 2, 3))
    skew, spread = math.nan, theory.relative_variance(order)
    if 0.0 < spread < math.inf and three - 3.0 * one < _LARGEST_LOG:
        relative = math.exp(three - 3.0 * one) - 3.0 * math.exp(two - 2.0 * one) + 2.0
        skew = relative / spread**1.5
    largest = float(seen.max_share[i]) * float(seen.mean[i]) / float(seen.stderr[i])
    return note_on_z(seen.count, skew, largest)


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
