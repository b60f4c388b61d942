"""Data sets with a name: the ones that scikit-learn ships, and Gaussian clusters."""

from __future__ import annotations

import math
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

SHIPPED: Final = ("digits", "iris", "wine", "breast_cancer", "diabetes")

CLUSTER_POINTS: Final = 200


class NamedSet(NamedTuple):
    """Inputs x `(m, n_0)`, targets or labels y `(m,)`, and the number of classes or 0."""

    x: Floats
    y: Floats
    classes: int


def may_be_named(text: str) -> bool:
    """Return whether a text is taken for the name of a data set, and not for a file."""
    return text.partition(":")[0] == "clusters" or (not Path(text).suffix and "/" not in text)


def named_set(text: str, argument: str, *, points: int | None = None, seed: int = 0) -> NamedSet:
    """Return the data set of a name; `nnth.load_examples` lists the names.

    Args:
        text: The name.
        argument: The name of the argument, for error messages.
        points: The number of points of clusters, 200 by default. Other sets are returned whole.
        seed: The seed of clusters.

    Raises:
        ValueError: If the name is unknown, or scikit-learn is needed and not installed.
    """
    if text.partition(":")[0] == "clusters":
        return _clusters(text, argument, points, seed)
    if text not in SHIPPED:
        near = get_close_matches(text, (*SHIPPED, "clusters:VARIANCE"), cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"{argument} must be a file with a suffix, - for standard input, or one of the data "
            f"sets {', '.join(SHIPPED)} and clusters:VARIANCE, not {text!r}{hint}"
        )
    if find_spec("sklearn") is None:
        raise ValueError(f"{argument} {text} needs scikit-learn: pip install 'nnth[data]'")
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{text}")(return_X_y=True)
    if text == "digits":
        return NamedSet(x / 16.0, y.astype(np.float64), 10)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    if text == "diabetes":
        return NamedSet(x, (y - y.mean()) / y.std(), 0)
    return NamedSet(x, y.astype(np.float64), len(np.unique(y)))


def _clusters(text: str, argument: str, points: int | None, seed: int) -> NamedSet:
    form = "clusters:VARIANCE or clusters:VARIANCE:CLASSES:N0"
    try:
        _, variance, *rest = text.split(":")
        spread = float(variance)
        classes, dimension = (int(word) for word in rest) if rest else (2, 2)
    except ValueError:
        raise ValueError(f"{argument} must be {form}, not {text!r}") from None
    if not 0.0 <= spread < math.inf or classes < 2 or dimension < 1:
        raise ValueError(
            f"{argument} must be {form}, with a variance of at least 0, two classes or more, and a "
            f"dimension of at least 1, not {text!r}"
        )
    count = check_integer("points", CLUSTER_POINTS if points is None else points, classes)
    # The inputs, twice while they are computed, the targets and the labels.
    check_memory(8 * count * (2 * dimension + classes + 2), "points must be fewer: they")
    if rest:
        check_memory(
            8 * classes * (dimension + classes), f"{argument} {text} must be smaller: its centers"
        )
        centers = normals(seed, streams.CLUSTER_CENTERS.first, classes * dimension).reshape(
            classes, dimension
        )
    else:
        centers = np.array([[-1.0, -1.0], [1.0, 1.0]])
    labels: NDArray[np.intp] = np.arange(count) % classes
    noise = normals(seed, streams.CLUSTERS.first, count * dimension).reshape(count, dimension)
    return NamedSet(centers[labels] + math.sqrt(spread) * noise, labels.astype(np.float64), classes)
