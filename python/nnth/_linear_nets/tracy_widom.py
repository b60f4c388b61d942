"""The Tracy-Widom distribution: the largest eigenvalue of large random covariance matrices."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from nnth._runtime.typing import Floats

_NODES: Final = 80
_REACH: Final = 16.0  # Ai(x) is below 1e-19 from here on
_LEAST: Final = -40.0  # the distribution is below 1e-300


def tail(s: ArrayLike) -> Floats:
    """Return P(X > s) for X of the Tracy-Widom distribution of real matrices (beta = 1).

    1 - F_1(s) for F_1(s) = det(1 - A_s) on (0, infinity), A_s(x, y) = Ai(x + y + s), by
    Gauss-Legendre quadrature, whose error falls exponentially.

    Accuracy: 1e-13, and 1e-12 relative where the tail is small. Cost: some 5 ms a value.

    Source: Ferrari and Spohn (2005), eq. 2; Bornemann (2010), for the quadrature.
    """
    values = np.asarray(s, dtype=np.float64)
    return np.asarray(np.vectorize(_tail, otypes=[np.float64])(values))


@lru_cache(maxsize=4096)
def _tail(s: float) -> float:
    from scipy.special import airy

    if math.isnan(s):
        return math.nan
    if s < _LEAST:
        return 1.0
    reach = max(_REACH - s, _REACH) if s < _REACH else 4.0  # beyond it the kernel is 0
    nodes, weights = np.polynomial.legendre.leggauss(_NODES + 4 * max(0, round(-s)))
    x, w = 0.5 * reach * (nodes + 1.0), np.sqrt(0.5 * reach * weights)
    rows, columns = np.tril_indices(len(x))  # LAPACK reads no more of a symmetric matrix
    kernel = np.zeros((len(x), len(x)))
    kernel[rows, columns] = w[rows] * airy(x[rows] + x[columns] + s)[0] * w[columns]
    eigenvalues = np.linalg.eigvalsh(kernel)
    if eigenvalues[-1] >= 1.0:  # to rounding: F_1 is below 1e-16
        return 1.0
    return float(-np.expm1(np.sum(np.log1p(-eigenvalues))))
