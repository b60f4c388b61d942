"""Gradient flow of a quadratic model to first order in eps, in closed form at all times.

theta(t) = theta^F(t) + eps theta^I(t) + O(eps^2), in units of time with eta = 1. With the singular
value decomposition Phi = sum_i s_i v_i u_i^T, k_i = s_i^2 and rho = U^T r_0 for the residual r_0 =
Phi^T theta_0 - y, the zeroth order is a sum of exponentials,

    r(t) = sum_i u_i rho_i e^(-k_i t),   theta^F(t) = theta_* + sum_i w_i e^(-k_i t),

with w_i = v_i rho_i/s_i, theta_* = theta_0 - sum_i w_i, and k_i = 0 for the part of r that stays.
The first order is driven by products of two of these,

    d theta^I/dt = -sum_a (Phi_a Phi_a.theta^I + r_a Psi_a theta^F + Phi_a theta^F.Psi_a theta^F/2),

so that each exponential of rate k in the source is integrated in closed form. At t = inf the
orthogonal part has S_ij = rho_i rho_j/(k_i + k_j), which solves K S + S K = r_0 r_0^T with K =
Phi^T Phi.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._quadratic.model import QuadraticModel
from nnth._runtime.typing import Floats

_RANK_ROUNDINGS: Final = 4.0  # singular values below this many roundings of the largest are 0
_FITTED: Final = 1e-12  # residuals below this fraction of y and Phi theta_0 are 0


@dataclass(frozen=True)
class FirstOrder:
    """theta^I: its part in the span of Phi and its part orthogonal to it, `(P,)` each."""

    par: Floats
    perp: Floats


class Solution:
    """The zeroth and the first order of a quadratic model's gradient flow.

    Attributes: rank; rates, the k_i that are not 0, descending; fitted, whether the residual of the
    linear model vanishes; drifts, whether theta^I_perp has no limit, because the residual does not
    vanish and Phi has a null space.
    """

    def __init__(self, model: QuadraticModel) -> None:
        self.model = model
        v, s, ut = np.linalg.svd(model.phi, full_matrices=False)
        cut = _RANK_ROUNDINGS * max(model.p, model.n) * np.finfo(float).eps
        self.rank = int(np.count_nonzero(s > cut * s[0])) if s[0] > 0.0 else 0
        self._v, self._s = v[:, : self.rank], s[: self.rank]
        self._u = ut[: self.rank].T
        self.rates = self._s**2
        linear = model.phi.T @ model.theta0
        residual = linear - model.y
        self._rho = self._u.T @ residual
        left = residual - self._u @ self._rho
        size = float(np.linalg.norm(model.y) + np.linalg.norm(linear))
        self.fitted = float(np.linalg.norm(left)) <= _FITTED * size
        self._left = np.zeros_like(left) if self.fitted else left
        self._w = self._v * (self._rho / self._s)  # (p, rank)
        self.theta_star = model.theta0 - self._w.sum(axis=1)
        self._prepare()
        stays = self._perp(self._left @ self.psi_times(self.theta_star))
        scale = float(np.linalg.norm(model.psi)) * float(np.linalg.norm(self.theta_star)) * size
        self.drifts = float(np.linalg.norm(stays)) > _FITTED * scale
        self._stays = stays if self.drifts else np.zeros_like(stays)

    def psi_times(self, theta: Floats) -> Floats:
        """Return Psi_a theta, `(m, P)`."""
        return np.asarray(self.model.psi @ theta)

    def theta_f(self, time: float) -> Floats:
        """Return theta^F `(P,)`, at any time up to infinity."""
        return np.asarray(self.theta_star + self._w @ np.exp(-self.rates * time))

    def change(self, time: float) -> Floats:
        """Return theta^F - theta_0 `(P,)`, without the cancellation of small times."""
        return np.asarray(self._w @ np.expm1(-self.rates * time))

    def theta_i(self, time: float) -> FirstOrder:
        """Return theta^I; at t = inf its orthogonal part is NaN where it drifts."""
        return FirstOrder(self._v @ self._parallel(time), self._orthogonal(time, *self._theta))

    def features(self, time: float) -> Floats:
        """Return the change of Phi_a + eps Psi_a theta since t = 0, over eps: `(m, P)`.

        It is Psi_a (theta^F(t) - theta_0) = Psi_a (I - exp(-t Phi Phi^T))(theta_* - theta_0).
        """
        return self.psi_times(self.change(time))

    def lecture_perp(self, time: float) -> Floats:
        """Return the orthogonal part in lecture notes.

        They have (I - e^(-t Phi Phi^T))(theta_0 - theta_*) in place of theta^F: the change of theta
        with the opposite sign.
        """
        constant = self._w.sum(axis=1)
        return self._orthogonal(time, constant, -self._w)

    def lecture_theta_i(self) -> Floats:
        """Return theta^I at t = inf as lecture notes have it, without the residual's term."""
        y_i = -0.5 * self.psi_times(self.theta_star) @ self.theta_star
        return np.asarray(self._v @ ((self._u.T @ y_i) / self._s))

    def along(self, vector: Floats) -> Floats:
        """Return the part of a vector `(P,)` in the span of Phi."""
        return np.asarray(self._v @ (self._v.T @ vector))

    def _prepare(self) -> None:
        """Expand the source of theta^I in exponentials, its parallel part in the v_l."""
        model, rank = self.model, self.rank
        self._theta = (self.theta_star, self._w)
        # m_i = sum_a u_ai Psi_a; the last is for the part of r that stays.
        directions = np.column_stack([self._u * self._rho, self._left])  # (n, rank + 1)
        self._exponents = np.append(self.rates, 0.0)
        self._mixed = np.tensordot(directions.T, model.psi, axes=(1, 0))  # (rank + 1, p, p)
        pulled = np.tensordot(self._u.T, model.psi, axes=(1, 0))  # (rank, p, p): sum_a u_al Psi_a
        theta, w = self._theta
        onto = self._v.T
        # V^T sum_a r_a Psi_a theta^F: coefficients of e^(-k_i t), and of e^(-(k_i + k_j) t).
        one = onto @ (self._mixed @ theta).T  # (rank, rank + 1)
        two = np.einsum("lp,ipq,qj->lij", onto, self._mixed, w, optimize=True)
        # (s_l/2) theta^F.(sum_a u_al Psi_a) theta^F.
        half = 0.5 * self._s
        constant = half * ((pulled @ theta) @ theta)
        cross = 2.0 * half[:, None] * ((pulled @ theta) @ w)  # (rank, rank)
        square = half[:, None, None] * np.einsum("pi,lpq,qj->lij", w, pulled, w, optimize=True)
        self._constant = constant
        self._single = one
        self._single[:, :rank] += cross
        self._double = two
        self._double[:, :rank, :] += square

    def _parallel(self, time: float) -> Floats:
        k = self.rates
        out = self._constant * _convolved(k, np.zeros(1), time)[:, 0]
        out += np.sum(self._single * _convolved(k, self._exponents, time), axis=1)
        sums = self._exponents[:, None] + k[None, :]
        both = _convolved(k, sums.ravel(), time).reshape(self.rank, *sums.shape)
        return np.asarray(-(out + np.sum(self._double * both, axis=(1, 2))))

    def _orthogonal(self, time: float, theta: Floats, w: Floats) -> Floats:
        """Return -P_perp times the integral of the source's orthogonal part from 0 to time.

        The source is sum_a r_a Psi_a (theta + sum_j w_j e^(-k_j s)).
        """
        if math.isinf(time) and self.drifts:
            return np.full(self.model.p, math.nan)
        k = self._exponents
        total = _integrated(k, time)
        if math.isinf(time):
            total[-1] = 0.0  # this term vanishes, as nothing drifts
        source = np.einsum("i,ipq,q->p", total, self._mixed, theta, optimize=True)
        pairs = _integrated((k[:, None] + self.rates[None, :]).ravel(), time)
        weights = pairs.reshape(len(k), self.rank)
        along = np.einsum("ij,pj->ip", weights, w)
        source += np.einsum("ipq,iq->p", self._mixed, along, optimize=True)
        return -self._perp(source)

    def _perp(self, vector: Floats) -> Floats:
        return vector - self.along(vector)


def _integrated(rates: Floats, time: float) -> Floats:
    """Return the integral of e^(-k s) from 0 to time for each k >= 0; inf for k = 0 at inf."""
    if math.isinf(time):
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / rates)
    return np.asarray(time * _relative_growth(rates * time))


def _convolved(slow: Floats, rates: Floats, time: float) -> Floats:
    """Return the integral of e^(-k_l (t - s)) e^(-q s) from 0 to t: `(len(slow), len(rates))`."""
    if math.isinf(time):
        return np.where(rates[None, :] == 0.0, 1.0 / slow[:, None], 0.0)
    least = np.minimum(slow[:, None], rates[None, :])
    gap = np.abs(slow[:, None] - rates[None, :])
    return np.asarray(np.exp(-least * time) * time * _relative_growth(gap * time))


def _relative_growth(x: Floats) -> Floats:
    """Return (1 - e^-x)/x for x >= 0, and 1 at 0."""
    safe = np.where(x > 0.0, x, 1.0)
    return np.where(x > 0.0, -np.expm1(-safe) / safe, 1.0)
