"""The critical points of an activation, and the map of the variance close to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.polynomial import chebyshev

from nnth import _core
from nnth._activations.activation import Activation
from nnth._runtime.typing import Floats

LEAST_VARIANCE: Final = 1e-14
MOST_VARIANCE: Final = 1e8

_FIT_NODES: Final = 12
_MAX_DEPARTURE: Final = 0.02  # fits extend to the K where |map(K)/K - 1| exceeds this
_DEPARTURE_ROUNDING: Final = 1e-12
_COEFFICIENT_ROUNDING: Final = 1e-6  # coefficients below this fraction of the largest are 0
_EVALUATION_ROUNDING: Final = 1e-15
_MAX_JUMP_POSITION: Final = 64.0  # jumps are searched for up to this |z|


@dataclass(frozen=True)
class CriticalPoint:
    """A triple (C_b, C_w, K*) with K* fixed and chi_par = chi_perp = 1, and the map close to it.

    k_star: NaN if every K is fixed.
    universality: "scale-invariant", "K* = 0", "half-stable", or "family", if every K* is
        critical for its own C_b and C_w (then it is NaN here).
    stability: "stable", "unstable", "from below" or "from above" (the side that tends to K*), or
        "neutral" where every K is fixed.
    order r, a, next_a: with x = (K - K*)^r a layer adds (a x + next_a x^2) (K - K*). r is 1 for
        K* > 0, and infinite where the increment falls faster than any power. next_a is NaN where
        a power between x and x^2 comes first.
    p_perp: the squared distance of two nearby inputs falls as l^-p_perp, relative to their norm.
    error: relative error of k_star and C_w, and the error of C_b over k_star.
    """

    cb: float
    cw: float
    k_star: float
    universality: str
    stability: str
    chi_par: float
    chi_perp: float
    residual: float
    order: float = np.nan
    a: float = np.nan
    next_a: float = np.nan
    p_perp: float = np.nan
    note: str = ""
    error: float = _EVALUATION_ROUNDING

    @property
    def decay(self) -> str:
        """The asymptotic form of |K^l - K*| as text."""
        if self.universality == "scale-invariant":
            return "constant"
        if self.stability == "unstable":
            return ""
        if np.isinf(self.order):
            return "1/log(l)"
        if not np.isfinite(self.order):
            return ""
        return "1/l" if self.order == 1.0 else f"1/l^{1.0 / self.order:.6g}"

    @property
    def coefficient(self) -> float:
        """The factor of the asymptotic form `decay`."""
        if self.stability == "unstable":
            return np.nan
        if np.isinf(self.order):
            return self.a
        return float((1.0 / (self.order * abs(self.a))) ** (1.0 / self.order))

    def asymptotes(self, layer: Floats) -> tuple[Floats, Floats]:
        """Return K at large layers to leading order, and with the logarithm of the next order.

        With u = 1/|x|, u' = u + r |a| + B/u + ..., B = r (r + 1) a^2/2 - r next_a. Hence u =
        r |a| l + B/(r |a|) log l, up to a constant that depends on the first variance.
        """
        r, unknown = self.order, np.full(len(layer), np.nan)
        if not np.isfinite(self.coefficient):
            return unknown, unknown
        side = -1.0 if self.stability == "from below" else 1.0
        with np.errstate(invalid="ignore", divide="ignore"):
            if np.isinf(r):
                return self.k_star + self.a / np.log(layer), unknown
            drift = r * abs(self.a)
            log_factor = (r * (r + 1.0) / 2.0 * self.a**2 - r * self.next_a) / drift
            leading, following = (
                self.k_star + side * u ** (-1.0 / r)
                for u in (drift * layer, drift * layer + log_factor * np.log(layer))
            )
        return leading, following


def variance_map(act: Activation, *, threads: int = 0) -> _core.VarianceMap:
    """Return a table of the map from a layer's variance to the next, for variances 1e-14 to 1e8.

    The range ends earlier where E[s^2] overflows or the activation oscillates too fast to be
    resolved; `least` and `most` of the map state it.
    """
    return _core.VarianceMap(act.core, LEAST_VARIANCE, MOST_VARIANCE, threads)


def critical_points(
    act: Activation, found: _core.VarianceMap, *, threads: int = 0
) -> tuple[list[CriticalPoint], str]:
    """Return the critical points, attracting ones first, and which condition fails at others.

    Zeros of E[s s''] are isolated with a bound on its error (`nnth/kernel/balance.hpp`): between
    them its sign is certain, except in intervals that the second value lists as unresolved.
    """
    if found.jumps:
        return [], f"chi_perp is infinite: {_why_infinite(act)}"
    balance = found.balance(threads)
    if balance["always"]:
        return _scale_invariant(found)
    points: list[CriticalPoint] = []
    failures: list[str] = []
    for k, low, high, touches in [(0.0, 0.0, 0.0, False), *balance["points"]]:
        squares, derivatives, curvatures = found.exact(np.array([k, low, high]))
        square, derivative, curvature = squares[0], derivatives[0], curvatures[0]
        if k == 0.0:
            # An infinite derivative at 0 makes both infinite there.
            if not 0.0 < derivative < np.inf or abs(curvature - derivative) > 1e-9 * derivative:
                continue
            derivative = _derivative_square_at_zero(act)
        cw = 1.0 / derivative
        cb = k - cw * square
        error = (
            _EVALUATION_ROUNDING
            if k == 0.0
            else _error(np.array([k, low, high]), squares, derivatives)
        )
        if cb < -max(1e-12, error) * max(k, cw * square):
            failures.append(f"C_b = {cb:.6g} would be negative at K* = {k:.6g}")
            continue
        cb = 0.0 if k == 0.0 else max(cb, 0.0)
        if k == 0.0:
            points.append(_at_zero(act, found, cw, curvature / derivative))
            continue
        note = ""
        if touches:
            note = (
                "E[s s''] is 0 within its error and keeps its sign: there is a double zero, or "
                f"none, or two, from K = {low:.12g} to {high:.12g}"
            )
        point = _half_stable(found, cb, cw, k, curvature / derivative)
        points.append(replace(point, error=error, note=note))
    if not points and not failures:
        failures.append(_failure(found, balance))
    rank = {"stable": 0, "from below": 1, "from above": 1, "neutral": 1, "unstable": 2}
    points.sort(key=lambda point: rank[point.stability])
    return points, "; ".join(failures)


def _error(k: Floats, square: Floats, derivative: Floats) -> float:
    """Return the error of K*, C_w and C_b from their values at both ends of K*'s interval."""
    cw = 1.0 / derivative
    cb = k - cw * square
    apart = (np.abs(k - k[0]) / k[0], np.abs(cw - cw[0]) / cw[0], np.abs(cb - cb[0]) / k[0])
    return _EVALUATION_ROUNDING + float(max(part.max() for part in apart))


def _why_infinite(act: Activation) -> str:
    jumps = act.core.jumps(_MAX_JUMP_POSITION)
    if jumps:
        return "the activation jumps"
    return "the activation is continuous, but too steep for E[s'^2] to be finite"


def _failure(found: _core.VarianceMap, balance: _core.Balance) -> str:
    """Return a note that no zero of E[s s''] was found, and where its sign is not certain."""
    reach = f"K from {found.least:.3g} to {found.most:.3g}"
    order = {1: "above", -1: "below", 0: "on both sides of"}[balance["sign"]]
    text = f"no change of sign of E[s s''] was found: chi_par is {order} chi_perp at every {reach}"
    ranges = [f"{low:.3g} to {high:.3g}" for low, high in balance["unresolved"]]
    if ranges:
        text = (
            f"no change of sign of E[s s''] was found: chi_par is {order} chi_perp at {reach}, "
            f"except where E[s s''] is not resolved from 0, K from {' and '.join(ranges)}"
        )
    return text if balance["proven"] else f"{text} (by interpolation, without a bound)"


def _derivative_square_at_zero(act: Activation) -> float:
    """Return the mean of both sides' s'(0)^2, the limit of E[s'^2] at K = 0, without quadrature."""
    least = 5e-324
    _, derivatives, _ = act.core.evaluate(np.array([-least, least]))
    return float(np.mean(derivatives**2))


def _scale_invariant(found: _core.VarianceMap) -> tuple[list[CriticalPoint], str]:
    """Return the critical point, or a failure, of activations with E[s s''] = 0 at every K."""
    k = np.geomspace(max(found.least, 1e-4), min(found.most, 1e4), 9)
    squares, derivatives, curvatures = found.exact(k)
    if derivatives.max() == 0.0:
        return [], "chi_perp is 0: the activation is constant"
    nan = np.nan
    if np.ptp(derivatives) > 1e-9 * derivatives.max():
        note = "E[s s''] = 0: every K* is critical, with C_w = 1/E[s'^2], C_b = K* - C_w E[s^2]"
        return [
            CriticalPoint(nan, nan, nan, "family", "neutral", 1.0, 1.0, nan, note=note, error=nan)
        ], ""
    square, derivative, curvature = squares[4], derivatives[4], curvatures[4]
    cb = k[4] - square / derivative
    if cb < -1e-12 * k[4]:
        return [], f"C_b = {cb:.6g} would be negative"
    residual = abs(cb) / k[4]
    error = _EVALUATION_ROUNDING + float(np.ptp(derivatives) / derivative)
    point = CriticalPoint(
        0.0,
        1.0 / derivative,
        nan,
        "scale-invariant",
        "neutral",
        curvature / derivative,
        1.0,
        residual,
        note="every K is fixed",
        error=error,
    )
    return [point], ""


def _at_zero(act: Activation, found: _core.VarianceMap, cw: float, chi_par: float) -> CriticalPoint:
    """Return the critical point K* = 0, where s(0) = 0 and E[s^2] is K/C_w at small K."""

    def departure(k: Floats) -> Floats:
        square, _, _ = found.exact(k)
        return cw * square / k - 1.0

    def perp_departure(k: Floats) -> Floats:
        _, derivative, _ = found.exact(k)
        return cw * derivative - 1.0

    # If a derivative has a kink at 0, the map is a series in sqrt(K), otherwise in K.
    power = 0.5 if 0.0 in act.core.breaks(1.0) else 1.0
    reach, leading = _moderate_reach(departure, found.least, found.most), None
    near, series = departure(np.array([reach]))[0], np.zeros(1)
    while leading is None and reach > 64.0 * found.least:
        near, half, far, farther = departure(reach / np.array([1.0, 2.0, 4.0, 8.0]))
        if abs(near) < _DEPARTURE_ROUNDING:
            break
        kinks = []
        if _falls_faster(near, half, far, farther):
            kinks = [abs(z) for z in act.core.breaks(40.0 * reach**0.5) if z != 0.0]
        if kinks:
            # C_w g - K ~ -exp(-z^2/(2 K)), z the kink nearest to 0: z^2/(2 K) grows as log l.
            return CriticalPoint(
                0.0,
                cw,
                0.0,
                "K* = 0",
                "stable" if near < 0.0 else "unstable",
                chi_par,
                1.0,
                0.0,
                order=np.inf,
                a=min(kinks) ** 2 / 2.0,
                note="linear up to a kink",
            )
        series, finer = (_series(departure, reach, power, n) for n in (_FIT_NODES, _FIT_NODES + 4))
        found_leading = _leading(series, reach**power)
        if found_leading and np.isclose(series[found_leading], finer[found_leading], 1e-6, 0.0):
            leading = found_leading
        else:
            reach /= 4.0
    if leading is None:
        return CriticalPoint(
            0.0,
            cw,
            0.0,
            "K* = 0",
            "stable" if near < 0.0 else "unstable",
            chi_par,
            1.0,
            0.0,
            note="the decay is not resolved",
        )
    r, a, next_a = leading * power, float(series[leading]), np.nan
    stability = "stable" if a < 0.0 else "unstable"
    scaled = np.abs(series) * reach ** (power * np.arange(len(series)))
    if (scaled[leading + 1 : 2 * leading] < 1e-4 * scaled[leading]).all():
        next_a = float(series[2 * leading])
    perp = _series(perp_departure, reach, power, _FIT_NODES)
    lower = np.abs(perp[1:leading]) * reach ** (power * np.arange(1, leading))
    p_perp = np.nan
    if a < 0.0 and (lower < 1e-4 * scaled[leading]).all():
        p_perp = float(perp[leading] / (r * a))
    return CriticalPoint(
        0.0,
        cw,
        0.0,
        "K* = 0",
        stability,
        chi_par,
        1.0,
        0.0,
        order=r,
        a=a,
        next_a=next_a,
        p_perp=p_perp,
    )


def _falls_faster(near: float, half: float, far: float, farther: float) -> bool:
    """Return whether values at K, K/2, K/4, K/8 fall faster than any power of K."""
    if abs(farther) < 1e-15:
        return True
    return bool(np.log2(abs(far / farther)) > 2.0 * np.log2(abs(near / half)) + 0.5)


def _half_stable(
    found: _core.VarianceMap, cb: float, cw: float, k: float, chi_par: float
) -> CriticalPoint:
    """Return a critical point K* > 0, where C_b + C_w E[s^2] - K has a double zero."""
    width = 0.2 * k
    t = chebyshev.chebpts1(2 * _FIT_NODES)
    _, derivative, curvature = found.exact(k + width * t)
    parallel = chebyshev.Chebyshev.fit(t, cw * curvature, 2 * _FIT_NODES - 1, domain=[-1, 1])
    perp = chebyshev.Chebyshev.fit(t, cw * derivative, 2 * _FIT_NODES - 1, domain=[-1, 1])
    a = float(parallel.deriv(1)(0.0)) / width / 2.0
    next_a = float(parallel.deriv(2)(0.0)) / width**2 / 6.0
    b = float(perp.deriv(1)(0.0)) / width
    (here,), _, _ = found.exact(np.array([k]))
    return CriticalPoint(
        cb,
        cw,
        k,
        "half-stable",
        "from below" if a > 0.0 else "from above",
        chi_par,
        1.0,
        (cb + cw * here - k) / k,
        order=1.0,
        a=a,
        next_a=next_a,
        p_perp=b / a,
    )


def _moderate_reach(departure: Callable[[Floats], Floats], least: float, most: float) -> float:
    """Return the variance up to which |map(K)/K - 1| stays moderate."""
    k = np.geomspace(least, most, 200)
    large = np.abs(departure(k)) > _MAX_DEPARTURE
    return float(k[max(int(np.argmax(large)) - 1, 0)] if large.any() else k[-1])


def _series(f: Callable[[Floats], Floats], reach: float, power: float, nodes: int) -> Floats:
    """Return coefficients c_0 = 0, c_1, ... of f = sum_j c_j y^j, y = K^power, up to K = reach."""
    top = reach**power
    y = 0.5 * top * (1.0 + chebyshev.chebpts1(nodes))
    fit = chebyshev.Chebyshev.fit(y, f(y ** (1.0 / power)) / y, nodes - 1, domain=[0.0, top])
    derivatives = [fit.deriv(j)(0.0) if j else fit(0.0) for j in range(5)]
    factorials = np.cumprod([1.0, 1.0, 2.0, 3.0, 4.0])
    return np.concatenate([[0.0], np.array(derivatives) / factorials])


def _leading(series: Floats, top: float) -> int | None:
    scaled = np.abs(series) * top ** np.arange(len(series))
    if not scaled.max() > 0.0:
        return None
    # c_j is known only to the rounding over top^j.
    return int(np.argmax(scaled > _COEFFICIENT_ROUNDING * scaled.max())) or None
