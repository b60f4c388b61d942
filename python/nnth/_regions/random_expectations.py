"""Averages of random ReLU networks over a box, exactly at any width."""

from __future__ import annotations

import math
from typing import Final

from nnth._networks.ensemble import Ensemble

AVERAGES: Final = ("mean", "second_moment", "gradient_mean_square", "positive_fraction")


def expected_averages(networks: Ensemble, box: float, threshold: float) -> list[float]:
    """Return the means of AVERAGES over random networks; NaN where none is known.

    The signs of all weights and biases of a layer can be changed together, so that a neuron with
    pre-activation z is active with probability 1/2 given z^2::

        E f^2 = K^(L+1),  K^1 = C_b + C_w |x|^2/n0,  K^(l+1) = C_b + C_w K^l/2
        E |grad f|^2 = C_w (C_w/2)^L

    P(f > 0) is half the probability that f is not 0. Without biases that is the probability that
    no layer is dead, the product of 1 - 2^-n_l.
    """
    variances = networks.variances
    if variances is None:
        return [math.nan] * len(AVERAGES)
    cw, cb = variances["cw"], variances["cb"]
    second = cb + cw * _square(box) / 3.0
    gradient = cw
    for _ in networks.widths:
        second = cb + cw * second / 2.0
        gradient *= cw / 2.0
    positive = math.nan
    if threshold == 0.0:
        alive = math.prod(1.0 - math.ldexp(1.0, -min(width, 1100)) for width in networks.widths)
        positive = 0.5 if cb > 0.0 else 0.5 * alive if cw > 0.0 else 0.0
    return [0.0, second, gradient, positive]


def _square(box: float) -> float:
    return box * box if box < 1e154 else math.inf
