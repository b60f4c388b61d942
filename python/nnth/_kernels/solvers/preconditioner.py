"""A preconditioner of K + ridge: a partial Cholesky factor with random pivots."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._kernels.blocks import KernelBlocks
from nnth._runtime import streams
from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats

_BLOCK: Final = 128  # pivots that are proposed together
_ROUNDING: Final = 1e-13
_EXHAUSTED: Final = 1e-14  # of the trace: the rest of the kernel is rounding


class Preconditioner:
    """P = F F' + shift of the partial Cholesky factor F `(m, rank)` of K.

    With F = U diag(s) V' every power of P acts in O(m rank): P^a = shift^a + U (diag(s^2 + shift)^a
    - shift^a) U'. The shift is the ridge and the mean of the diagonal that F leaves.
    """

    def __init__(self, factor: Floats, left: Floats, ridge: float) -> None:
        m, rank = factor.shape
        vectors, triangle = np.linalg.qr(factor)
        inner, singular, _ = np.linalg.svd(triangle)
        mean = float(np.maximum(left, 0.0).sum()) / max(m - rank, 1)
        # P^-1 magnifies rounding by largest/shift; for a kernel of 0 any shift will do.
        largest = float(np.square(singular).max(initial=0.0))
        shift = max(ridge + mean, _ROUNDING * largest) or 1.0
        self._set(vectors @ inner, singular, shift)

    @classmethod
    def restored(cls, vectors: Floats, singular: Floats, shift: float) -> Preconditioner:
        """Return the preconditioner of these `arrays`."""
        made = cls.__new__(cls)
        made._set(vectors, singular, shift)
        return made

    def arrays(self) -> dict[str, Any]:
        """Return U, s and the shift."""
        return {"vectors": self._vectors, "singular": self._singular, "shift": self.shift}

    def _set(self, vectors: Floats, singular: Floats, shift: float) -> None:
        self._vectors, self._singular, self.shift = vectors, singular, float(shift)
        m, self.rank = vectors.shape
        self._values = singular**2 + shift
        self.trace_of_inverse = float((1.0 / self._values).sum() + (m - self.rank) / shift)
        self.log_determinant = float(np.log(self._values).sum() + (m - self.rank) * np.log(shift))

    def power(self, exponent: float, vectors: Floats) -> Floats:
        """Return P^exponent times vectors `(m, k)`."""
        base = self.shift**exponent
        inner = self._vectors.T @ vectors
        inner *= (self._values**exponent - base)[:, None]
        result = self._vectors @ inner
        result += base * vectors
        return np.asarray(result)


def partial_cholesky(
    blocks: KernelBlocks, m: int, rank: int, seed: int, *, enough: float = 0.0
) -> tuple[Floats, Floats]:
    """Return F `(m, rank)` with K ~ F F' for the first m inputs, and the diagonal of K - F F'.

    Pivots are drawn with probabilities proportional to the diagonal that is left, which is sampled
    exactly by rejection from a block of proposals, so that columns of K are computed in blocks. It
    ends early when the mean of that diagonal is below `enough`.

    Source: Chen et al. (2025); Epperly et al. (2024).
    """
    from scipy.linalg import solve_triangular

    diagonal = np.maximum(blocks.diagonal[:m], 0.0)
    trace = float(diagonal.sum())
    factor = np.empty((m, rank))
    found = drawn = 0
    while found < rank and float(diagonal.sum()) > max(_EXHAUSTED * trace, enough * m):
        count = min(_BLOCK, rank - found)
        draws = uniforms(seed, streams.SOLVER_PIVOTS.first, 2 * count, drawn)
        drawn += 2 * count
        sums = np.cumsum(diagonal)
        proposed = np.minimum(np.searchsorted(sums, draws[:count] * sums[-1], "right"), m - 1)
        columns = np.stack(
            [blocks.block(slice(int(i), int(i) + 1), slice(0, m))[0] for i in proposed], axis=1
        )
        columns -= factor[:, :found] @ factor[proposed, :found].T
        accepted, corner = _accepted(columns[proposed], diagonal[proposed], draws[count:])
        if not accepted.size:
            break
        new = solve_triangular(corner, columns[:, accepted].T, lower=True, check_finite=False).T
        factor[:, found : found + accepted.size] = new
        found += accepted.size
        diagonal -= np.einsum("ij,ij->i", new, new)
        np.maximum(diagonal, 0.0, out=diagonal)
        diagonal[proposed[accepted]] = 0.0
    return factor[:, :found], diagonal


def _accepted(corner: Floats, offered: Floats, draws: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return which proposals are accepted, one after another, and the Cholesky factor of these.

    A proposal is accepted with the ratio of the diagonal that the ones accepted before leave to the
    diagonal with which it was drawn.
    """
    count = len(corner)
    rest, factor = corner.copy(), np.zeros((count, count))
    accepted: list[int] = []
    for i in range(count):
        if not draws[i] * offered[i] < rest[i, i]:
            continue
        column = rest[:, i] / np.sqrt(rest[i, i])
        factor[:, len(accepted)] = column
        rest -= np.outer(column, column)
        accepted.append(i)
    chosen = np.array(accepted, dtype=np.intp)
    return chosen, np.tril(factor[chosen, : len(accepted)])
