"""The metrics of neural collapse for given features and classifier, with bounds on rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.typing import Floats

_UNIT: Final = np.finfo(float).eps / 2.0  # largest relative error of an operation
_PINV: Final = 1.7  # |dA^+| <= (1 + 5^(1/2))/2 |A^+|^2 |dA| for equal ranks: Wedin (1973)

_COINCIDE: Final = "all class means coincide"
_CENTRAL: Final = "a class mean is the mean of all"
_WEIGHTLESS: Final = "a class has weights 0"


@dataclass(frozen=True)
class Metric:
    """A number with a bound on its rounding, or NaN with a note that gives the reason."""

    value: float
    error: float
    note: str = ""


def collapse_metrics(
    h: Floats, labels: NDArray[np.intp], w: Floats, b: Floats
) -> dict[str, Metric]:
    """Return the metrics by name; `nnth.collapse` defines them.

    h `(m, d)` are the features, `labels` `(m,)` contain each of 0, ..., C - 1, and w `(C, d)`,
    b `(C,)` are the classifier. Errors are bounds, to first order in the rounding unit.

    Source: Papyan et al. (2020), PNAS 117, 24652.
    """
    classes = _Classes.of(h, labels, len(w))
    centered, limit = classes.centered, -1.0 / (len(w) - 1)
    vectors = {
        "means": _Vectors(centered, classes.error, _COINCIDE if classes.coincide else _CENTRAL),
        "classifiers": _Vectors(w, 0.0, _WEIGHTLESS),
    }
    metrics = {"nc1": _variability(classes)}
    for name, of in vectors.items():
        metrics[f"nc2_norm_{name}"] = of.spread()
    for name, of in vectors.items():
        metrics[f"nc2_angle_{name}"] = of.mean_cosine(lambda cosines: np.abs(cosines - limit))
    metrics["nc3"] = _duality(classes, w)
    metrics["nc4"] = _disagreement(classes, w, b)
    for name, of in vectors.items():
        metrics[f"nc2_equiangle_{name}"] = of.spread_of_cosines()
    for name, of in vectors.items():
        metrics[f"nc2_cosine_{name}"] = of.mean_cosine(lambda cosines: cosines)
    return metrics


def _undefined(note: str) -> Metric:
    return Metric(math.nan, math.nan, note)


@dataclass(frozen=True, eq=False)
class _Classes:
    """Features and their class means `(C, d)`, each with an error of norm at most `error`.

    `own` `(m,)` are the weights of the examples in an average over classes of averages over their
    examples.
    """

    h: Floats
    labels: NDArray[np.intp]
    means: Floats
    centered: Floats
    own: Floats
    error: float

    @classmethod
    def of(cls, h: Floats, labels: NDArray[np.intp], count: int) -> _Classes:
        one_hot = np.eye(count)[labels]
        sizes = one_hot.sum(axis=0)
        means = (one_hot.T @ h) / sizes[:, None]
        own = (one_hot / sizes).sum(axis=1) / count
        # A sum of n terms has an error of at most n - 1 units of the sum of their sizes.
        length = float(np.linalg.norm(h, axis=1).max())
        error = 2.0 * (float(sizes.max()) + count + 2.0) * _UNIT * length
        return cls(h, labels, means, means - means.mean(axis=0), own, error)

    @property
    def coincide(self) -> bool:
        """Whether all means coincide, to rounding."""
        return not self.alike.any()

    @property
    def matrix_error(self) -> float:
        """Bound on the error of M in Frobenius norm."""
        return math.sqrt(len(self.centered)) * self.error

    @cached_property
    def alike(self) -> NDArray[np.intp]:
        """For every class, the first class with the same mean, to rounding `(C,)`."""
        apart = np.array([np.linalg.norm(self.means - mean, axis=1) for mean in self.means])
        return np.asarray((apart <= 2.0 * self.error).argmax(axis=1))


@dataclass(frozen=True, eq=False)
class _Vectors:
    """Vectors `(C, d)`, each with an error of at most `error`, and the note if one may be 0."""

    vectors: Floats
    error: float
    note: str

    @property
    def lengths(self) -> Floats:
        return np.asarray(np.linalg.norm(self.vectors, axis=1))

    @property
    def _rounding(self) -> float:
        return (sum(self.vectors.shape) + 8.0) * _UNIT

    def spread(self) -> Metric:
        """Return std/mean of the lengths."""
        lengths = self.lengths
        mean = float(lengths.mean())
        if not mean > 2.0 * self.error:
            return _undefined(self.note)
        value = float(lengths.std()) / mean
        return Metric(value, 2.0 * (1.0 + value) * (self.error / mean + self._rounding))

    def spread_of_cosines(self) -> Metric:
        """Return the standard deviation of the cosines of all pairs."""
        if not self._have_directions():
            return _undefined(self.note)
        cosines, errors = self._cosines()
        return Metric(float(cosines.std()), float(errors.max()))

    def mean_cosine(self, of: Callable[[Floats], Floats]) -> Metric:
        """Return the mean over pairs of a function of the cosine with Lipschitz constant 1."""
        if not self._have_directions():
            return _undefined(self.note)
        cosines, errors = self._cosines()
        return Metric(float(of(cosines).mean()), float(errors.mean()))

    def _have_directions(self) -> bool:
        return bool(self.lengths.min() > 2.0 * self.error)

    def _cosines(self) -> tuple[Floats, Floats]:
        lengths = self.lengths
        unit = self.vectors / lengths[:, None]
        i, j = np.triu_indices(len(unit), 1)
        turned = 2.0 * self.error / lengths  # error of a unit vector
        rounding = 2.0 * self._rounding + len(i) * _UNIT
        return np.asarray((unit @ unit.T)[i, j]), turned[i] + turned[j] + rounding


def _variability(classes: _Classes) -> Metric:
    """Return tr(S_W S_B^+)/C = sum_k u_k^T S_W u_k/s_k^2 over C - 1 singular vectors u_k of M."""
    if classes.coincide:
        return _undefined(_COINCIDE)
    means, own = classes.centered, classes.own
    _, values, right = np.linalg.svd(means, full_matrices=False)
    off = classes.matrix_error + 10.0 * max(means.shape) * _UNIT * values[0]
    kept = np.flatnonzero(values > off)[: len(means) - 1]
    if not kept.size:
        return _undefined(_COINCIDE)
    deviations = classes.h - classes.means[classes.labels]
    projected = deviations @ (right[kept] / values[kept, None]).T
    value = float(own @ (projected**2).sum(axis=1))
    least = float(values[kept[-1]])
    size = math.sqrt(float(own @ (deviations**2).sum(axis=1)))
    moved = size * _PINV * off / least**2 + 2.0 * classes.error / least
    summed = (sum(classes.h.shape) + 8.0) * _UNIT * value
    return Metric(value, 2.0 * math.sqrt(value) * moved + moved**2 + summed)


def _duality(classes: _Classes, w: Floats) -> Metric:
    """Return |W^T/|W|_F - M/|M|_F|_F^2."""
    size_w, size_m = float(np.linalg.norm(w)), float(np.linalg.norm(classes.centered))
    if classes.coincide or not size_w:
        return _undefined(_COINCIDE if classes.coincide else "all weights are 0")
    value = float(np.sum((w / size_w - classes.centered / size_m) ** 2))
    summed = (w.size + 4.0) * _UNIT
    moved = 2.0 * classes.matrix_error / size_m + 2.0 * summed
    return Metric(value, 2.0 * math.sqrt(value) * moved + moved**2 + summed * value)


def _disagreement(classes: _Classes, w: Floats, b: Floats) -> Metric:
    """Return the fraction Ave_ic whose largest output is not that of the nearest class mean."""
    if classes.coincide:
        return _undefined(_COINCIDE)
    h, means, alike = classes.h, classes.means, classes.alike
    outputs = h @ w.T + b
    squares = (means**2).sum(axis=1) - 2.0 * h @ means.T  # squared distances minus |h|^2
    chosen, nearest = outputs.argmax(axis=1), squares.argmin(axis=1)
    differ = alike[chosen] != alike[nearest]
    # Rounding may decide where the gap to the second is within the errors of both.
    length, rounding = np.linalg.norm(h, axis=1), (h.shape[1] + 4.0) * _UNIT
    of_outputs = rounding * (length * np.linalg.norm(w, axis=1).max() + np.abs(b).max())
    reach = float(np.linalg.norm(means, axis=1).max())
    of_squares = rounding * (reach**2 + 2.0 * length * reach) + 2.0 * classes.error * (
        reach + length
    )
    same = alike == np.arange(len(alike))[:, None]  # the means that coincide with each one
    distinct = np.array([squares[:, row].min(axis=1) for row in same if row.any()]).T
    doubtful = (_gap(-outputs) <= 2.0 * of_outputs) | (_gap(distinct) <= 2.0 * of_squares)
    value = float(classes.own @ differ)
    return Metric(value, float(classes.own @ doubtful) + len(h) * _UNIT * value)


def _gap(values: Floats) -> Floats:
    """Return the difference between the two smallest values of each row `(m,)`."""
    first, second = np.partition(values, 1, axis=1)[:, :2].T
    return np.asarray(second - first)
