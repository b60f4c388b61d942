"""The evidence of a deep linear network by the Mellin-Barnes integral, in high precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import mpmath as mp


def integral(beta: mp.mpf, x: mp.mpf, widths: Sequence[int]) -> mp.mpf:
    """Return (1/2 pi i) int G(beta + s) x^-s prod_l G(n_l/2 + s)/G(n_l/2) (n_l/2)^-s ds, G = Gamma.

    The path is Re s = c, right of all poles, with c the minimum of the integrand on the real axis.
    """
    halves = [(mp.mpf(n) / 2, count) for n, count in Counter(widths).items()]

    def log_of(s: mp.mpc) -> mp.mpc:
        value = mp.loggamma(beta + s) - s * mp.log(x)
        for h, count in halves:
            value += count * (mp.loggamma(h + s) - mp.loggamma(h) - s * mp.log(h))
        return value

    def derivative(s: mp.mpf) -> mp.mpf:
        return (
            mp.digamma(beta + s)
            - mp.log(x)
            + sum(count * (mp.digamma(h + s) - mp.log(h)) for h, count in halves)
        )

    pole = -min([beta, *(h for h, _ in halves)])
    low, high = pole + mp.mpf("1e-3"), pole + 1
    while derivative(high) < 0:
        high = pole + 2 * (high - pole)
    while derivative(low) > 0:
        low = pole + (low - pole) / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if derivative(middle) < 0 else (low, middle)
    c = (low + high) / 2
    top = mp.re(log_of(c))
    bend = mp.polygamma(1, beta + c) + sum(n * mp.polygamma(1, h + c) for h, n in halves)
    width = 1 / mp.sqrt(bend)
    line = mp.quad(
        lambda t: mp.re(mp.exp(log_of(mp.mpc(c, t)) - top)),
        [width * k for k in (0, 1, 2, 4, 8, 16, 32, 64, 128)],
    )
    return mp.exp(top) * line / mp.pi


def log_evidence(
    norm2: float, p: int, n0: int, widths: Sequence[int], sigma2: float = 1.0
) -> mp.mpf:
    """Return log (pi |theta_*|^2)^(-P/2) I_(P/2): the data's density without det(X'X)^(-1/2)."""
    x = mp.mpf(norm2) * n0 / (2 * mp.mpf(sigma2) ** (len(widths) + 1))
    value = integral(mp.mpf(p) / 2, x, widths)
    return mp.log(value) - mp.mpf(p) / 2 * mp.log(mp.pi * mp.mpf(norm2))


def log_z(norm2: float, p: int, n0: int, widths: Sequence[int], sigma2: float = 1.0) -> mp.mpf:
    """Return log (2 pi)^P times the density, the partition function of Hanin and Zlokapa (2022)."""
    return log_evidence(norm2, p, n0, widths, sigma2) + p * mp.log(2 * mp.pi)


def perp_norm2(norm2: float, p: int, n0: int, widths: Sequence[int], sigma2: float = 1.0) -> mp.mpf:
    """Return E |theta_perp|^2 of the posterior: (n0 - P)(|theta_*|^2/2) I_(P/2 - 1)/I_(P/2)."""
    x = mp.mpf(norm2) * n0 / (2 * mp.mpf(sigma2) ** (len(widths) + 1))
    ratio = integral(mp.mpf(p) / 2 - 1, x, widths) / integral(mp.mpf(p) / 2, x, widths)
    return (n0 - p) * mp.mpf(norm2) / 2 * ratio
