"""The parts of a Gauss-Newton matrix of cross-entropy: between classes, between errors, within.

Papyan (2020), arXiv:2008.11865: for p = softmax(f), an example i of class c and any class c', with
g_icc' = J_ic^T (p_ic - e_c') and the weights w_icc' = p_ic(c')/m,

    G = sum w_icc' g_icc' g_icc'^T,

which is split by the w-weighted means g_cc' over the examples of c, and g_c over all c' except c;
w_cc' and w_c are the corresponding sums of w.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._lab.curvature import Curvature
from nnth._lab.losses import softmax
from nnth._lab.model import Model
from nnth._runtime import streams
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

PARTS: Final = ("class", "cross", "within", "diag")
IDENTITY: Final = 1e-12  # largest relative difference between G v and the sum of its parts

_PROBES: Final = 2


class IdentityError(Exception):
    """The parts do not sum to the Gauss-Newton matrix, which is a bug."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Class probabilities p `(m, C)` of the examples, and the weights of Papyan's vectors.

    `labels` is `(m,)`, `one_hot` `(m, C)`, and `pairs` `(C, C)` holds w_cc', with 0 for c' = c.
    """

    p: Floats
    labels: NDArray[np.intp]
    one_hot: Floats
    pairs: Floats

    @classmethod
    def of(cls, outputs: Floats, labels: NDArray[np.intp]) -> Weights:
        """Return the weights for outputs `(m, C)`."""
        p = softmax(outputs)
        one_hot = np.eye(p.shape[1])[labels]
        pairs = one_hot.T @ (p / len(p))
        np.fill_diagonal(pairs, 0.0)
        return cls(p, labels, one_hot, pairs)

    @property
    def classes(self) -> Floats:
        """The weights w_c `(C,)`."""
        return np.asarray(self.pairs.sum(axis=1))

    @property
    def examples(self) -> Floats:
        """The weights w_icc' `(m, C)`, including c' = c."""
        return self.p / len(self.p)

    def errors(self, other: int) -> Floats:
        """Return p_i - e_c' `(m, C)` for c' = `other`, with rows that sum to 0 to rounding."""
        errors = self.p.copy()
        errors[:, other] = 0.0
        errors[:, other] = -errors.sum(axis=1)
        return errors

    def pair_means(self, s: Floats) -> Floats:
        """Return the class means s_cc' `(C, C, ...)` of s_icc' `(m, C, ...)`, 0 at c' = c."""
        more = [1] * (s.ndim - 2)
        sums = np.tensordot(self.one_hot, self.examples.reshape(*self.p.shape, *more) * s, (0, 0))
        return _quotient(sums, self.pairs.reshape(*self.pairs.shape, *more))

    def class_means(self, s: Floats) -> Floats:
        """Return the means s_c `(C, ...)` of s_cc' `(C, C, ...)` over all c' except c."""
        sums = np.einsum("cd,cd...->c...", self.pairs, s)
        return _quotient(sums, self.classes.reshape(-1, *[1] * (sums.ndim - 1)))

    def derivatives(self, change: Floats) -> Floats:
        """Return s_icc' = (p_i - e_c') . y_i `(m, C)` for y `(m, C)`.

        Subtracting y_c from y changes only the rounding of c' = c where p_c is near 1.
        """
        y = change - np.take_along_axis(change, self.labels[:, None], axis=1)
        return np.asarray((self.p * y).sum(axis=1, keepdims=True) - y)

    def deviations(self, s: Floats) -> dict[str, Floats]:
        """Return the part of s_icc' `(m, C)` that belongs to each part of G; the parts sum to it.

        For c' != c these are the mean s_c, the deviation of s_cc' from it, and the deviation from
        s_cc'; for c' = c all of it belongs to diag.
        """
        pairs = self.pair_means(s)
        means = self.class_means(pairs)
        own = self.one_hot.astype(np.bool_)
        of_class, of_pair = means[self.labels][:, None], pairs[self.labels]
        return {
            "class": np.where(own, 0.0, of_class),
            "cross": np.where(own, 0.0, of_pair - of_class),
            "within": np.where(own, 0.0, s - of_pair),
            "diag": np.where(own, s, 0.0),
        }


def _quotient(sums: Floats, weights: Floats) -> Floats:
    """Return sums/weights, and 0 for weights of 0, whose means are not used."""
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0.0)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The examples of one class, with their layer inputs and error signals `(C, n, n_l)`."""

    label: int
    examples: NDArray[np.intp]
    inputs: list[Floats]
    signals: list[Floats]


class ClassParts:
    """The parts of G at one theta: products with vectors, means, traces.

    Keeps C m (n_1 + ... + n_(L+1)) numbers for error signals, and C^2 P for the means g_cc'.
    """

    def __init__(self, curvature: Curvature, labels: NDArray[np.intp], model: Model) -> None:
        self.curvature, self.model = curvature, model
        self.weights = Weights.of(curvature.outputs, labels)
        self.count = self.weights.p.shape[1]
        inputs = curvature.layer_inputs()
        signals = [curvature.error_signals(self.weights.errors(d)) for d in range(self.count)]
        self.rows = [
            _Rows(
                c,
                chosen,
                [h[chosen] for h in inputs],
                [np.stack([of[layer][chosen] for of in signals]) for layer in range(len(inputs))],
            )
            for c in range(self.count)
            for chosen in [np.flatnonzero(labels == c)]
        ]

    def gauss_newton(self, v: Floats) -> Floats:
        """Return G v by Pearlmutter's method, independently of the parts."""
        return self.curvature.gauss_newton(v)

    def product(self, part: str, v: Floats) -> Floats:
        """Return a part times a vector `(P,)`; the cost is that of a product with G."""
        weights = self.weights
        s = weights.derivatives(self.curvature.output_change(v))
        t = weights.examples * weights.deviations(s)[part]
        return self.curvature.pull_back(weights.p * t.sum(axis=1, keepdims=True) - t)

    def forms(self, v: Floats) -> dict[str, float]:
        """Return v^T G_part v for all parts."""
        s = self.weights.derivatives(self.curvature.output_change(v))
        weights = self.weights.examples
        return {
            part: float(np.vdot(weights, own**2))
            for part, own in self.weights.deviations(s).items()
        }

    @cached_property
    def pair_means(self) -> Floats:
        """The means g_cc' `(C, C, P)`, 0 for c' = c."""
        means = np.zeros((self.count, self.count, self.model.size))
        weights = self.weights.examples
        for rows in self.rows:
            for d in range(self.count):
                if d == rows.label or not self.weights.pairs[rows.label, d]:
                    continue
                fraction = weights[rows.examples, d] / self.weights.pairs[rows.label, d]
                gradients = self.model.layers(means[rows.label, d])
                for (w, b), signal, h in zip(gradients, rows.signals, rows.inputs, strict=True):
                    weighted = fraction[:, None] * signal[d]
                    np.matmul(weighted.T, h, out=w)
                    if b is not None:
                        b[...] = weighted.sum(axis=0)
        return means

    @cached_property
    def class_means(self) -> Floats:
        """The means g_c `(C, P)`."""
        return self.weights.class_means(self.pair_means)

    @cached_property
    def class_gram(self) -> Floats:
        """Gram matrix `(C, C)` of sqrt(w_c) g_c, with the nonzero eigenvalues of G_class."""
        vectors = np.sqrt(self.weights.classes)[:, None] * self.class_means
        return np.asarray(vectors @ vectors.T)

    @cached_property
    def cross_gram(self) -> Floats:
        """Gram matrix `(C^2, C^2)` of sqrt(w_cc') (g_cc' - g_c), likewise for G_cross."""
        vectors = self._crossed().reshape(-1, self.model.size)
        return np.asarray(vectors @ vectors.T)

    def _crossed(self) -> Floats:
        vectors = self.pair_means - self.class_means[:, None]
        vectors *= np.sqrt(self.weights.pairs)[..., None]
        return vectors

    @cached_property
    def squares(self) -> Floats:
        """Squared norms |g_icc'|^2 `(m, C)`: sums over layers of |delta^l|^2 (|h^(l-1)|^2 + 1)."""
        squares = np.empty_like(self.weights.p)
        for rows in self.rows:
            squares[rows.examples] = sum(
                (signal**2).sum(axis=2).T * (1.0 + (h**2).sum(axis=1))[:, None]
                for signal, h in zip(rows.signals, rows.inputs, strict=True)
            )
        return squares

    def traces(self) -> dict[str, float]:
        """Return the trace of every part: exact sums of squared norms."""
        weights, pairs, squares = self.weights.examples, self.weights.pairs, self.squares
        own = self.weights.one_hot.astype(np.bool_)
        means = np.einsum("cdp,cdp->cd", self.pair_means, self.pair_means)
        return {
            "class": float(self.class_gram.trace()),
            "cross": float(self.cross_gram.trace()),
            "within": float(np.vdot(weights[~own], squares[~own]) - np.vdot(pairs, means)),
            "diag": float(np.vdot(weights[own], squares[own])),
        }

    def trace(self) -> float:
        """Return tr G, independently of the parts.

        tr(J_i^T (diag p - p p^T) J_i) = sum_(c < c') p_c p_c' |J_ic - J_ic'|^2, without
        cancellation.
        """
        p, count = self.weights.p, self.count
        units = np.eye(count)
        jacobians = [
            self.curvature.error_signals(np.broadcast_to(units[c], p.shape)) for c in range(count)
        ]
        inputs = [1.0 + (h**2).sum(axis=1) for h in self.curvature.layer_inputs()]
        total = 0.0
        for c in range(count):
            for d in range(c):
                squares = sum(
                    ((one - other) ** 2).sum(axis=1) * size
                    for one, other, size in zip(jacobians[c], jacobians[d], inputs, strict=True)
                )
                total += float(np.vdot(p[:, c] * p[:, d], squares))
        return total / len(p)

    def identity_error(self, seed: int) -> float:
        """Return the largest relative difference between G and the sum of its parts.

        It is taken over the traces and over products with random vectors v; G v is Pearlmutter's,
        and G_class v and G_cross v come from the means themselves.

        Raises IdentityError above 1e-12.
        """
        error = relative(np.array(self.trace()), np.array(sum(self.traces().values())))
        for v in self._probes(seed):
            parts = self.product("within", v) + self.product("diag", v)
            parts += (self.weights.classes * (self.class_means @ v)) @ self.class_means
            for vectors in self._crossed():
                parts += (vectors @ v) @ vectors
            error = max(error, relative(self.gauss_newton(v), parts))
        if not error <= IDENTITY:
            raise IdentityError(f"the parts differ from G by {error:.1e} of it, above {IDENTITY}")
        return error

    def _probes(self, seed: int) -> Iterator[Floats]:
        for probe in range(_PROBES):
            first = probe * self.model.size
            yield normals(seed, streams.CLASS_PROBES.first, self.model.size, first)


def relative(whole: Floats, parts: Floats) -> float:
    """Return |whole - parts|/|whole|; 0 where both are 0."""
    difference, size = frobenius(whole - parts), frobenius(whole)
    return difference / size if size else math.inf if difference else 0.0


def frobenius(matrix: Floats) -> float:
    """Return the Frobenius norm, also where the squares of the entries are no doubles."""
    largest = float(np.abs(matrix).max(initial=0.0))
    unit = largest if largest > 1e140 or 0.0 < largest < 1e-140 else 1.0
    return unit * float(np.linalg.norm(matrix / unit)) if math.isfinite(unit) else unit
