"""Bayesian interpolation with deep linear networks: evidence and posterior, exact at any width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from nnth import _core
from nnth._data.data import Data, data_of, target_vector
from nnth._linear_nets.layers import MAX_INPUT, Layers, LogProducts
from nnth._runtime.typing import Floats
from nnth._tables.statistics import mean_of

_EPSILON: Final = float(np.finfo(float).eps)
_LARGEST: Final = 709.78  # larger exponents overflow


@dataclass(frozen=True)
class Interpolant:
    """The interpolant theta_* of least norm of m data points in n_0 dimensions, the rows of X.

    norm2: |theta_*|^2. log_det: log det(X X'). condition: the condition number of X.
    theta: theta_* `(n0,)`, and basis: orthonormal rows `(p, n0)` that span the data; both are None
    without data.
    """

    norm2: float
    p: int
    n0: int
    log_det: float = 0.0
    condition: float = 1.0
    theta: Floats | None = None
    basis: Floats | None = None

    @property
    def nu(self) -> float:
        """|theta_*|^2 n_0/m, an estimate of |theta|^2 from the data."""
        return self.norm2 * self.n0 / self.p


def interpolant_of(x: Data, y: Data) -> Interpolant:
    """Return the interpolant of least norm of a data set with fewer points than dimensions.

    Raises ValueError for shapes that do not fit, m >= n0, rows of x that are dependent up to
    rounding, and targets that are all 0.
    """
    inputs = data_of(x, "x")
    targets = target_vector(y, len(inputs))
    p, n0 = inputs.shape
    if p >= n0:
        raise ValueError(f"x must have fewer rows than columns, points < n0, not {p} rows of {n0}")
    if not targets.any():
        raise ValueError("y must not be 0 everywhere: theta_* = 0 has no finite evidence")
    left, values, basis = np.linalg.svd(inputs, full_matrices=False)
    if not values[-1] > max(p, n0) * _EPSILON * values[0]:
        raise ValueError(
            "x must have independent rows, not singular values from "
            f"{values[0]:.3g} to {values[-1]:.3g}"
        )
    with np.errstate(over="ignore"):  # the check of the norm below reports it
        along = (left.T @ targets) / values
        norm2 = float(along @ along)
    _check_norm(norm2)
    return Interpolant(
        norm2,
        p,
        n0,
        2.0 * math.fsum(np.log(values)),
        float(values[0] / values[-1]),
        along @ basis,
        basis,
    )


def interpolant_without_data(norm2: float, p: int, n0: int) -> Interpolant:
    """Return the interpolant of unknown data with X X' = 1. Raises ValueError."""
    if not 1 <= p < n0 <= MAX_INPUT:
        raise ValueError(f"points and n0 must be 1 <= points < n0 <= {MAX_INPUT}, not {p} and {n0}")
    _check_norm(norm2)
    return Interpolant(norm2, p, n0)


def _check_norm(norm2: float) -> None:
    if not 1e-100 <= norm2 <= 1e100:
        raise ValueError(f"norm2 = |theta_*|^2 must be from 1e-100 to 1e100, not {norm2:g}")


@dataclass(frozen=True)
class Posterior:
    """The posterior of a deep linear network with W_l ~ N(0, sigma2/n_(l-1)), given its data.

    theta is a Gaussian N(0, tau) of n_0 dimensions with a random variance tau = (sigma2^(L+1)/n_0)
    T, T = prod_(l=1..L) chi^2_(n_l)/n_l. Given the data theta_par = theta_*, and theta_perp is
    still N(0, tau) in n_0 - m dimensions, tau having the density of its prior times tau^(-m/2)
    exp(-|theta_*|^2/(2 tau)). All moments follow from u = |theta_*|^2/(2 tau) = x/T:

        E u^b exp(-u) = I_b(x) = (1/2 pi i) int Gamma(b + s) x^(-s) E[T^s] ds,

    with b = m/2 for the evidence, smaller b for moments of tau, and 1/2 more for predictions.
    Source:
    Hanin and Zlokapa (2022), theorem 1.
    """

    data: Interpolant
    layers: Layers
    log_scale: float  # log sigma2

    @property
    def log_x(self) -> float:
        """log x, x = |theta_*|^2 n_0/(2 sigma2^(L+1))."""
        shift = (self.layers.depth + 1) * self.log_scale
        return math.log(self.data.norm2) + math.log(0.5 * self.data.n0) - shift

    def integrals(self, b: float, log_x: float | Floats) -> dict[str, Floats]:
        """Return I_b and the other results of nnth._core.mellin_barnes, at each log x."""
        points = np.atleast_1d(np.asarray(log_x, dtype=np.float64))
        layers = self.layers
        return _core.mellin_barnes(b, points, layers.shapes, layers.multiplicities)

    @cached_property
    def _at_half_p(self) -> dict[str, Floats]:
        return self.integrals(0.5 * self.data.p, self.log_x)

    @property
    def log_density(self) -> float:
        """log p_m(|theta_*|^2), p_m the prior's density of an m-dimensional part of theta."""
        power = 0.5 * self.data.p * math.log(math.pi * self.data.norm2)
        return float(self._at_half_p["log_value"][0]) - power

    @property
    def log_evidence(self) -> float:
        """The log density of Y: p_m(|theta_*|^2) det(X X')^(-1/2)."""
        return self.log_density - 0.5 * self.data.log_det

    @property
    def log_z(self) -> float:
        """log of (2 pi)^m p_m, the Z_infinity of Hanin and Zlokapa."""
        return self.log_density + self.data.p * math.log(2.0 * math.pi)

    @property
    def error(self) -> float:
        """A bound on the error of log_evidence from quadrature and rounding."""
        found, p = self._at_half_p, self.data.p
        terms = float(found["size"][0]) + 0.5 * p * abs(math.log(math.pi * self.data.norm2))
        terms += 0.5 * abs(self.data.log_det)
        # log x is rounded, and d log I_b/d log x = -<s>.
        shift = (self.layers.depth + 1) * abs(self.log_scale)
        terms += abs(self.tilt) * (abs(self.log_x) + abs(math.log(self.data.norm2)) + shift)
        # d log p_m/d log norm2 = -I_(b+1)/I_b; norm2 depends on the condition of X quadratically.
        inexact = (float(found["mean"][0]) + p) * self.data.condition
        inexact = inexact if self.data.theta is not None else 0.0
        return float(found["error"][0]) + _EPSILON * (4.0 * (1.0 + terms) + 4.0 * inexact)

    @property
    def inverse_scale(self) -> float:
        """I_(m/2+1)/I_(m/2) = E[|theta_*|^2/(2 tau) | data]."""
        return float(self._at_half_p["mean"][0])

    @property
    def tilt(self) -> float:
        """<s>: given the data, chi^2_(n_l)/2 has the mean n_l/2 + <s>."""
        return self.inverse_scale - 0.5 * self.data.p

    def tau_ratio(self, power: int) -> float:
        """Return log E[(2 tau/|theta_*|^2)^power | data], I_(m/2 - power)/I_(m/2), power 1 or 2."""
        b = 0.5 * self.data.p
        # I_b/I_(b-1) is the mean on the path of I_(b-1); the second moment needs two of these.
        ratios = [float(self.integrals(b - k, self.log_x)["mean"][0]) for k in range(1, power + 1)]
        return -math.fsum(math.log(r) if r > 0.0 else -math.inf for r in ratios)

    def tau_mean(self) -> float:
        """Return E[tau | data], the variance of theta_perp in each direction."""
        return _exp(self.tau_ratio(1) + math.log(0.5 * self.data.norm2))

    def kurtosis(self) -> float:
        """Return the excess kurtosis of a prediction, 3 Var tau/(E tau)^2; 0 for a Gaussian."""
        if not self.layers.depth:
            return 0.0
        return 3.0 * math.expm1(self.tau_ratio(2) - 2.0 * self.tau_ratio(1))

    @property
    def perp_norm2(self) -> float:
        """E[|theta_perp|^2 | data], where theta_perp is orthogonal to the data."""
        return (self.data.n0 - self.data.p) * self.tau_mean()

    @cached_property
    def perp_norm2_limit(self) -> float:
        """The limit of |theta_perp|^2 for large m, n_0 and n_l at fixed ratios and effective depth.

        The distribution concentrates at (1 - m/n_0) nu/(1 + z), where z solves
        (1 + z) prod_l (1 + z m/n_l) = nu/sigma2^(L+1) with positive factors. Hanin and Zlokapa
        (2022), theorem 6 and its corollaries.
        """
        target = math.log(self.data.nu) - (self.layers.depth + 1) * self.log_scale
        rates = [1.0, *(self.data.p / n for n in self.layers.widths)]
        counts = [1.0, *self.layers.multiplicities]
        # Uses the logarithm of the distance of z from the last pole, as the core does.
        last = max(-1.0 / rate for rate in rates)
        gaps = [1.0 + rate * last for rate in rates]
        low, high, at = -1e12, 800.0, 0.0
        for _ in range(300):
            d = math.exp(at)
            factors = [
                (m, rate * d / (gap + rate * d), math.log(gap + rate * d))
                if gap > 0.0
                else (m, 1.0, at + math.log(rate))
                for m, rate, gap in zip(counts, rates, gaps, strict=True)
            ]
            value = math.fsum(m * logarithm for m, _, logarithm in factors) - target
            low, high = (low, at) if value > 0.0 else (at, high)
            following = at - value / math.fsum(m * ratio for m, ratio, _ in factors)
            if not low < following < high:
                following = 0.5 * (max(low, at - 8.0) + min(high, at + 8.0))
            if abs(following - at) <= 1e-15 * max(1.0, abs(at)):
                break
            at = following
        log_factor = at if gaps[0] == 0.0 else math.log(gaps[0] + math.exp(at))
        free = 1.0 - self.data.p / self.data.n0
        return _exp(math.log(free) + math.log(self.data.nu) - log_factor)

    def best(self) -> Posterior:
        """Return the posterior at the prior variance of largest evidence.

        There E[|theta_*|^2/tau | data] = m; log Z is concave in log sigma2.
        """
        layers = self.layers
        log_x = _core.best_log_x(0.5 * self.data.p, layers.shapes, layers.multiplicities)
        moved = self.log_x - log_x
        return replace(self, log_scale=self.log_scale + moved / (layers.depth + 1))

    @property
    def best_bound(self) -> float:
        """The largest log_evidence that any prior of tau can have: that of tau = |theta_*|^2/m.

        Priors of infinite effective depth at sigma2 = 1 attain it as m grows, up to o(m).
        """
        p = self.data.p
        log_tau = math.log(self.data.norm2 / p)
        gaussian = -0.5 * p * (math.log(2.0 * math.pi) + log_tau + 1.0)
        return gaussian - 0.5 * self.data.log_det


@dataclass(frozen=True)
class Check:
    """log_evidence and perp_norm2 by importance sampling, with errors and sample sizes."""

    log_evidence: float
    stderr: float
    ess: float
    perp_norm2: float
    perp_stderr: float
    perp_ess: float


def check(posterior: Posterior, draw: Callable[[float], LogProducts]) -> Check:
    """Return the evidence and the posterior mean by importance sampling of the norm of theta.

    draw: returns log prod G_l/(n_l/2) for each sample, with gamma variables G_l of shape n_l/2 + c,
    given the tilt c. The tilt is chosen so that each G_l has its posterior mean n_l/2 + <s>.
    """
    data, layers = posterior.data, posterior.layers
    tilt = posterior.tilt
    logs = draw(tilt).values
    log_tau = logs + ((layers.depth + 1) * posterior.log_scale - math.log(data.n0))
    fit = 0.5 * data.norm2 * np.exp(np.minimum(-log_tau, 0.9 * _LARGEST))
    weights = -0.5 * data.p * (math.log(2.0 * math.pi) + log_tau) - fit - tilt * logs
    top = float(weights.max())
    relative = np.exp(weights - top)
    mean, stderr = mean_of(relative)
    fractions = relative / relative.sum()
    log_evidence = top + math.log(mean) + layers.log_moment(tilt) - 0.5 * data.log_det
    # Weight times tau, divided by its largest value.
    moments = weights - top + log_tau
    middle = float(moments.max())
    parts = np.exp(moments - middle)
    total = float(parts.sum())
    unit = (data.n0 - data.p) * _exp(middle - math.log(float(relative.sum())))
    return Check(
        log_evidence,
        stderr / mean,
        1.0 / float(fractions @ fractions),
        unit * total,
        unit * math.sqrt(float(np.sum((parts - fractions * total) ** 2))),
        total**2 / float(parts @ parts),
    )


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < _LARGEST else math.inf
