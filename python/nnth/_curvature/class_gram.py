"""Frobenius norms of G and its parts from inner products of all m C vectors, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._curvature.class_parts import ClassParts, frobenius
from nnth._runtime.typing import Floats

_BLOCK: Final = 768  # vectors per block, whose inner products stay in a core's cache


@dataclass(frozen=True, eq=False)
class _Chunk:
    """The vectors sqrt(w_icc') g_icc' of n examples of class `label`, in the order (c', i).

    `signals` are the error signals of each layer `(C n, n_l)`, times sqrt(w). `roots` `(C, n)` is
    sqrt(w), but 0 for c' = c, which is not part of G_within. `to_means` `(C n, C, C)` holds the
    inner products of g_icc' with all means g_dd'.
    """

    label: int
    inputs: list[Floats]
    signals: list[Floats]
    roots: Floats
    to_means: Floats

    @property
    def examples(self) -> int:
        return int(self.roots.shape[1])


def frobenius_norms(
    parts: ClassParts, on_progress: Callable[[int, int], object]
) -> dict[str, float]:
    """Return the Frobenius norms of G and its parts.

    |sum_a v_a v_a^T|_F^2 = sum_ab (v_a.v_b)^2, and the inner product of the vectors of two examples
    is sum_l (delta^l.delta'^l) (h^(l-1).h'^(l-1) + 1) over the layers. For G_within the means are
    subtracted before squaring, so that small norms keep their digits.

    `on_progress` is called with the numbers of blocks done and in all. Cost:
    (m C)^2 (n_1 + ... + n_(L+1))/2 operations; the memory of a block.
    """
    means = parts.pair_means.reshape(-1, parts.model.size)
    between = (means @ means.T).reshape([parts.count] * 4)
    chunks = list(_chunks(parts))
    squares = dict.fromkeys(("G", "within", "diag"), 0.0)
    total, done = len(chunks) * (len(chunks) + 1) // 2, 0
    for k, one in enumerate(chunks):
        for other in chunks[: k + 1]:
            times = 1.0 if one is other else 2.0
            for name, square in _block(one, other, between[one.label, :, other.label]).items():
                squares[name] += times * square
            done += 1
            on_progress(done, total)
    return {
        "G": float(np.sqrt(squares["G"])),
        "class": frobenius(parts.class_gram),
        "cross": frobenius(parts.cross_gram),
        "within": float(np.sqrt(squares["within"])),
        "diag": float(np.sqrt(squares["diag"])),
    }


def _chunks(parts: ClassParts) -> Iterator[_Chunk]:
    weights, count = parts.weights, parts.count
    # Inner products g_icc'.g with every mean g.
    to_means = np.empty((len(weights.p), count, count, count))
    for c in range(count):
        for d in range(count):
            change = parts.curvature.output_change(parts.pair_means[c, d])
            to_means[..., c, d] = weights.derivatives(change)
    size = max(1, _BLOCK // count)
    for rows in parts.rows:
        for start in range(0, len(rows.examples), size):
            part = slice(start, start + size)
            examples = rows.examples[part]
            roots = np.ascontiguousarray(np.sqrt(weights.examples[examples]).T)
            others = roots.copy()
            others[rows.label] = 0.0
            yield _Chunk(
                rows.label,
                [h[part] for h in rows.inputs],
                [
                    (roots[..., None] * signal[:, part]).reshape(roots.size, -1)
                    for signal in rows.signals
                ],
                others,
                to_means[examples].transpose(1, 0, 2, 3).reshape(roots.size, count, count),
            )


def _block(one: _Chunk, other: _Chunk, between: Floats) -> dict[str, float]:
    """Return sums of squared inner products; `between` `(C, C)` has those of the class means."""
    count, n, k = len(one.roots), one.examples, other.examples
    products = np.zeros((count * n, count * k))
    for layer, signal in enumerate(one.signals):
        term = signal @ other.signals[layer].T
        term.reshape(count, n, count, k)[...] *= (one.inputs[layer] @ other.inputs[layer].T + 1.0)[
            None, :, None, :
        ]
        products += term
    by_class = products.reshape(count, n, count, k)
    squares = {
        "G": float(np.vdot(products, products)),
        "diag": float(np.sum(by_class[one.label, :, other.label] ** 2)),
    }
    # (a - mean a).(b - mean b) = a.b - a.(mean b) - (mean a).b + (mean a).(mean b). The correction
    # is a product of two matrices with 2 C columns; _choice selects the mean of each vector.
    left = np.concatenate(
        [one.to_means[:, other.label] - np.repeat(between, n, axis=0), _choice(count, n)], axis=1
    )
    right = np.concatenate([_choice(count, k), other.to_means[:, one.label]], axis=1)
    left *= one.roots.reshape(-1, 1)
    right *= other.roots.reshape(-1, 1)
    products -= left @ right.T
    by_class[one.label] = 0.0
    by_class[:, :, other.label] = 0.0
    squares["within"] = float(np.vdot(products, products))
    return squares


def _choice(count: int, examples: int) -> Floats:
    return np.repeat(np.eye(count), examples, axis=0)
