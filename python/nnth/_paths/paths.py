"""Moments of random ReLU networks without biases: exact, sampled, and in the limit of large widths.

z = W_(L+1) s(W_L ... s(W_1 x)), W_l = sqrt(2/n_(l-1)) W-hat_l, where W-hat has independent entries
from a symmetric distribution mu of variance one. The moments of z, of its derivatives and of its
tangent kernel are sums over paths through the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._data.data import Data
from nnth._networks.ensemble import Ranges
from nnth._paths.ensemble import PathEnsemble, path_ensemble
from nnth._paths.log_moments import (
    CHI2_LOG_MEAN,
    CHI2_LOG_VARIANCE,
    path_log_moments,
)
from nnth._paths.moments import (
    MAX_ORDER,
    NtkMoments,
    Weights,
    ntk_moments,
    path_asymptotics,
    path_moments,
)
from nnth._paths.samplers import PathSample, QuantitySample, Sampler, sample_paths
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Drawing
from nnth._tables.statistics import note_on_z, z_score
from nnth._tables.table import Table

Array = NDArray[np.float64]

Quantity: TypeAlias = Literal["dzdx", "z", "normz", "jacobian", "ntk", "ntk_standard"]

QUANTITIES: Final[tuple[Quantity, ...]] = ("dzdx", "z", "normz", "jacobian", "ntk")
KERNELS: Final = ("ntk", "ntk_standard")
KNOWN: Final = (*QUANTITIES, "ntk_standard")
ORDERS: Final = (2, 4, 6, 8)
NTK_ORDERS: Final = (1, 2)
HIGHEST_ORDER: Final = 16

_LARGE_FRACTION: Final = 0.1
_LARGEST_LOG: Final = 700.0  # exp of more may overflow


def paths(
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    mu: Weights = "gaussian",
    sampler: Sampler | None = None,
    n0: int | None = None,
    n_out: int = 1,
    x: Data | None = None,
    linear: bool = False,
    quantities: Sequence[Quantity] | None = None,
    orders: Sequence[int] | None = None,
    samples: int | None = None,
    exact: bool = False,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return moments of random ReLU networks without biases: exact, sampled and asymptotic.

    For z = W_(L+1) s(W_L ... s(W_1 x)), W_l = sqrt(2/n_(l-1)) W-hat_l, and the tangent kernel Theta
    of z at x::

        E (dz/dx)^2 = 2/n_0,  E (dz/dx)^4 -> (12/n_0^2) exp(5 T),  T = sum_l 1/n_l
        E Theta = 2 (L+1) |x|^2/n_0

    Args:
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 10 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        mu: The distribution of the entries of W-hat: "gaussian", "rademacher", "uniform",
            "laplace", or even moments (see `nnth.weight_distribution`), which exclude sampling.
        sampler: "law" samples the norms of the layers, in O(L) random numbers per network, from
            their exact distribution for Gaussian weights; "dense" samples every weight. By default
            "law" if the weights are Gaussian.
        n0: The input dimension; that of `x`, or 2, if None.
        n_out: The output dimension.
        x: The input `(n0,)`, or a data file with one row; all ones if None.
        linear: Leave out the activations; networks are not sampled then.
        quantities: Of "dzdx", the derivative dz_q/dx_p; "z", the output z_q(x); "normz", the norm
            of z(x); "jacobian", the Frobenius norm of dz/dx; "ntk", the tangent kernel of z_q for
            the parameters W-hat; "ntk_standard", the same for the parameters W. All but the last
            if None.
        orders: The orders of the moments, at most 16, even unless all quantities are kernels.
            If None, 2, 4, 6, 8, as far as moments of mu are known, and 1, 2 for kernels.
        samples: The number of random networks; if None, 10,000, or 0 where they cannot be sampled.
        exact: Add the exact moments as fractions, from the values of the floats in x and mu.
        seed: Network s is a function of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the networks drawn and their number, a few times per second.

    Returns:
        A Table with a row for each quantity q and order: quantity, order; `exact`, E q^order at
        these widths; `mean` over the sample, its standard error `stderr`, and
        z = (mean - exact)/stderr; `asymptotic`, the limit of `exact` for large widths at fixed T;
        log_exact, log_sampled and log_asymptotic, their logarithms; `stderr_exact`, the standard
        error that a sample of this size has by the exact moment of twice the order;
        `largest_fraction`, the largest contribution of one network to the sum; `dead` and
        `dead_exact`, the fraction of networks with q = 0 and its probability (NaN if mu has atoms);
        log_mean, log_mean_exact, log_var and log_var_exact, of log q^2 (of log Theta for kernels)
        where q is not 0; `note`; and with `exact` the text `fraction`. Unknown values are NaN.

        The note says when a sample misses a moment, so that mean and stderr are too small: when one
        network makes a tenth of the sum, or when there are fewer than exp(D + 2 s) networks
        (Chatterjee and Diaconis 2018). D and s are the mean and standard deviation of
        log(q^order/E q^order) in the distribution that weights networks by q^order, estimated from
        the exact moments of neighboring orders.

    Raises:
        ValueError: If an argument is out of range, an order is odd, or mu lacks a moment.
        KeyboardInterrupt: With the statistics of the networks drawn so far.

    Accuracy: one unit in the last place for `exact`. Cost: that of the sample, some 10 ns per layer
    and network for "law" and 3 ns per weight for "dense"; memory does not grow with samples.

    Example:
        >>> table = nnth.paths(width=50, depth=10, n0=1, quantities=["dzdx"], samples=0)
        >>> table["order"].tolist(), table["exact"][:2].round(3).tolist()
        ([2, 4, 6, 8], [2.0, 31.125])

    Source: Hanin and Nica (2018, 2019); Hanin (2018).
    """
    networks = path_ensemble(
        width=width,
        depth=depth,
        widths=widths,
        mu=mu,
        sampler=sampler,
        n0=n0,
        n_out=n_out,
        x=x,
        linear=linear,
        samples=samples,
        seed=seed,
    )
    asked = asked_moments(networks, quantities, orders)
    sample = draw(networks, asked, threads=threads, progress=progress)
    return path_table(networks, asked, sample, exact=exact)


def asked_moments(
    networks: PathEnsemble,
    quantities: Sequence[str] | None = None,
    orders: Sequence[int] | None = None,
) -> dict[str, tuple[int, ...]]:
    """Return the checked orders of each quantity; arguments as in `paths`."""
    names = tuple(dict.fromkeys(QUANTITIES if quantities is None else quantities))
    if quantities is None and networks.weights.order < 4:
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
        if order > HIGHEST_ORDER:
            raise ValueError(f"orders must be at most {HIGHEST_ORDER}, not {order}")
        if order % 2 and not set(names) <= set(KERNELS):
            raise ValueError(f"orders must be even except for ntk, not {order}")
    known = tuple(o for o in ORDERS if o <= networks.weights.order)
    return {name: given or (NTK_ORDERS if name in KERNELS else known) for name in names}


def draw(
    networks: PathEnsemble,
    asked: Mapping[str, tuple[int, ...]],
    *,
    keep: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> PathSample | None:
    """Return statistics of the sample with the values of its first `keep` networks, or None.

    Raises MemoryError for more values than fit.
    """
    kept = min(keep, networks.samples)
    needed = 64 * kept * len(asked)  # values and logarithms, each copied twice
    what = f"samples must be fewer for their values to be kept: those of {kept}"
    check_memory(needed, what)
    validated()
    if not networks.samples:
        return None
    with Ranges(networks.samples, progress, _so_far) as ranges:
        for first, count in ranges:
            ranges.add(
                sample_paths(
                    tuple(asked),
                    asked,
                    widths=networks.widths,
                    mu=networks.mu,
                    sampler=networks.sampler,
                    n0=networks.n0,
                    n_out=networks.n_out,
                    x=networks.x,
                    samples=count,
                    start=first,
                    keep=max(0, min(count, keep - first)),
                    seed=networks.seed,
                    threads=threads,
                    progress=ranges.progress,
                )
            )
    return ranges.sample


def kept_values(sample: PathSample) -> dict[str, Array]:
    """Return the kept values of each quantity: |q|, and Theta for ntk.

    Values at one index belong to one network, except for dzdx and for the Jacobian of several
    outputs with the sampler "law", which draws other networks for these.
    """
    return {name: quantity.values for name, quantity in sample.quantities.items()}


def _so_far(sample: PathSample) -> str:
    return ", ".join(
        f"E {name}^{q.orders[0]} = {q.mean[0]:.6g} +- {q.stderr[0]:.2g}"
        for name, q in sample.quantities.items()
    )


def path_table(
    networks: PathEnsemble,
    asked: Mapping[str, tuple[int, ...]],
    sample: PathSample | None,
    *,
    exact: bool = False,
) -> Table:
    """Return the Table of `paths`, given the sample."""
    rows: list[dict[str, Any]] = []
    dead = networks.dead
    for name, orders in asked.items():
        theory = _theory(networks, name, orders, exact)
        seen = None if sample is None else sample[name]
        log_moments = log_moments_of(networks, name)
        for i, order in enumerate(orders):
            row = {"quantity": name, "order": order} | _row(networks, theory, seen, order, i)
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
                "note": "; ".join(_notes(networks, theory, seen, order, i)),
            }
            if exact:
                found = theory.fractions.get(order)
                row["fraction"] = "" if found is None else _in_text(found)
            rows.append(row)
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    return Table(
        columns, networks.meta(), plot=None if networks.linear else partial(_picture, networks)
    )


def _picture(networks: PathEnsemble) -> Drawing:
    """Return the distribution of dz/dx in a sample, for which networks are drawn again."""
    from nnth._paths.distribution import KEPT, distribution_picture

    return distribution_picture(networks, draw(networks, {"dzdx": (2,)}, keep=KEPT))


@dataclass(frozen=True, eq=False)
class _Theory:
    """The exact and asymptotic moments of a quantity, by their orders."""

    name: str
    values: dict[int, float]
    logs: dict[int, float]
    limits: dict[int, float]
    log_limits: dict[int, float]
    fractions: dict[int, Fraction]

    @property
    def step(self) -> int:
        """The difference of neighboring orders."""
        return 1 if self.name in KERNELS else 2

    def relative_variance(self, order: int) -> float:
        """Return Var q^order/(E q^order)^2, NaN if unknown."""
        if order not in self.logs or 2 * order not in self.logs:
            return math.nan
        excess = self.logs[2 * order] - 2 * self.logs[order]
        return math.expm1(excess) if excess < 700.0 else math.inf

    def log_networks_needed(self, order: int) -> float:
        """Return D + 2 s, the log of the number of networks that the moment needs; NaN if unknown.

        With kappa(k) = log E q^(k step), D = k kappa' - kappa and s = k sqrt(kappa''), estimated by
        differences of neighboring orders.
        """
        here, below = self.logs.get(order), order - self.step
        before = 0.0 if below == 0 else self.logs.get(below)
        if here is None or before is None:
            return math.nan
        k, after = order / self.step, self.logs.get(order + self.step)
        if after is not None:
            slope, curvature = (after - before) / 2, after - 2 * here + before
        else:  # at the highest order, the parabola through the last three
            first = 0.0 if below == self.step else self.logs.get(below - self.step)
            if below == 0 or first is None:
                return math.nan
            slope = (3 * here - 4 * before + first) / 2
            curvature = here - 2 * before + first
        return k * slope - here + 2.0 * k * math.sqrt(max(curvature, 0.0))


def _theory(networks: PathEnsemble, name: str, orders: Sequence[int], exact: bool) -> _Theory:
    given: Any = {
        "n0": networks.n0,
        "widths": networks.widths,
        "mu": networks.weights,
        "linear": networks.linear,
    }
    if name in KERNELS:
        given["parameters"] = "w-hat" if name == "ntk" else "w"
        return _ntk_theory(name, ntk_moments(x=networks.point, exact=exact, **given))
    x = networks.point if name in ("z", "normz") else None
    most = MAX_ORDER[name]
    wanted = {o for o in orders if o <= most}
    near = set(wanted)
    if networks.samples:
        near |= {o for m in wanted for o in (m - 2, m + 2, 2 * m, 3 * m) if 2 <= o <= most}
    kind: Any = name
    given |= {"n_out": networks.n_out, "x": x}
    found = path_moments(kind, sorted(near), **given) if near else None
    values = {} if found is None else dict(zip(found.orders, found.values.tolist(), strict=True))
    logs = {} if found is None else dict(zip(found.orders, found.logs.tolist(), strict=True))
    limits, log_limits, fractions = {}, {}, {}
    if wanted:
        limit = path_asymptotics(kind, sorted(wanted), **given)
        limits = dict(zip(limit.orders, limit.values.tolist(), strict=True))
        log_limits = dict(zip(limit.orders, limit.logs.tolist(), strict=True))
    if exact and wanted:
        rational = path_moments(kind, sorted(wanted), exact=True, **given)
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
    networks: PathEnsemble, theory: _Theory, seen: QuantitySample | None, order: int, i: int
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
        "stderr_exact": exact * math.sqrt(max(relative, 0.0) / networks.samples)
        if networks.samples and seen is not None
        else math.nan,
        "largest_fraction": math.nan if seen is None else float(seen.max_fraction[i]),
    }


def _notes(
    networks: PathEnsemble, theory: _Theory, seen: QuantitySample | None, order: int, i: int
) -> list[str]:
    notes = []
    if order not in theory.values:
        known = "1 and 2" if theory.name in KERNELS else f"up to {MAX_ORDER[theory.name]}"
        notes.append(f"exact orders are {known}")
    if seen is None:
        return notes
    needed, fraction = theory.log_networks_needed(order), float(seen.max_fraction[i])
    reasons = []
    if needed > math.log(networks.samples):
        power = needed / math.log(10)
        reasons.append(f"it needs about 10^{power:.1f} networks")
    if fraction >= _LARGE_FRACTION:
        reasons.append(f"one network is {fraction:.0%} of the sum")
    if reasons:
        notes.append(f"sample is too small for this moment: {' and '.join(reasons)}")
    elif seen.stderr[i] > 0.0 and (remark := _on_z(theory, seen, order, i)):
        notes.append(remark)
    return notes


def _on_z(theory: _Theory, seen: QuantitySample, order: int, i: int) -> str:
    """Return why z is not normal, from the exact skewness, if known, and the largest network."""
    one, two, three = (theory.logs.get(k * order, math.nan) for k in (1, 2, 3))
    skew, spread = math.nan, theory.relative_variance(order)
    if 0.0 < spread < math.inf and three - 3.0 * one < _LARGEST_LOG:
        relative = math.exp(three - 3.0 * one) - 3.0 * math.exp(two - 2.0 * one) + 2.0
        skew = relative / spread**1.5
    largest = float(seen.max_fraction[i]) * float(seen.mean[i]) / float(seen.stderr[i])
    return note_on_z(seen.count, skew, largest)


def log_moments_of(networks: PathEnsemble, name: str) -> tuple[float, float]:
    """Return the mean and variance of log q^2 for q != 0; NaN if they are not known.

    For Gaussian weights q^2 is the scale times chi^2_m times the product over the hidden layers,
    with m = 1 for dzdx and z, n_out for normz, and n0 for the Jacobian of one output.
    """
    degrees = {"dzdx": 1, "z": 1, "normz": networks.n_out}
    if networks.n_out == 1:
        degrees["jacobian"] = networks.n0
    m = degrees.get(name)
    if not networks.weights.is_gaussian or networks.linear or m is None:
        return math.nan, math.nan
    found = path_log_moments(
        n0=networks.n0, widths=networks.widths, x=networks.point if name in ("z", "normz") else None
    )
    assert found.log_mean is not None
    assert found.log_variance is not None
    mean = math.log(m) + float(_core.digamma_less_log(m / 2))
    variance = float(_core.polygamma(1, m / 2))
    return (
        found.log_mean - CHI2_LOG_MEAN + mean,
        found.log_variance - CHI2_LOG_VARIANCE + variance,
    )


def _in_text(value: Fraction) -> str:
    try:
        return str(value)
    except ValueError:  # Python converts no integer of more than 4300 digits to decimal
        return f"{value.numerator:#x}/{value.denominator:#x}"
