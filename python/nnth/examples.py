"""Labelled examples: known by name, from files, or arrays."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth.checks import whole
from nnth.data import as_data, as_targets, load_data, load_pair
from nnth.files import File, file_of, remember_content
from nnth.random import normals
from nnth.typing import Floats

Source: TypeAlias = "str | os.PathLike[str] | tuple[ArrayLike, ArrayLike]"

# The sets that scikit-learn ships.
_SHIPPED: Final = ("digits", "iris", "wine", "breast_cancer", "diabetes")
_CLUSTER_STREAM: Final = 2**34
_CENTRE_STREAM: Final = 2**34 + 1
_CLUSTER_POINTS: Final = 200


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs x `(m, n_0)` and what is to be learnt from them.

    y: `(m, outputs)`, one-hot where there are classes. labels: `(m,)` of 0, ..., classes - 1, or
    None for regression, where `classes` is 0. name: as the set was asked for; of arrays None.
    """

    x: Floats
    y: Floats
    labels: NDArray[np.intp] | None
    classes: int
    name: str | None

    @property
    def source(self) -> File:
        """The file they were read from, or the name of the set."""
        given = self.name is None or _is_named(self.name)
        return File(self.name) if given else file_of(self.name)

    def first(self, points: int) -> Examples:
        """Return the first examples; raises ValueError where there are fewer."""
        if whole("points", points) > len(self.x):
            raise ValueError(f"points must be at most {len(self.x)}, which there are, not {points}")
        labels = None if self.labels is None else self.labels[:points]
        return replace(self, x=self.x[:points], y=self.y[:points], labels=labels)

    def centered(self) -> Examples:
        """Return the same with the mean of the inputs at 0."""
        return replace(self, x=self.x - self.x.mean(axis=0))


def load_examples(data: Source, *, points: int | None = None, seed: int = 0) -> Examples:
    """Return the examples that are named, in a file, or given as arrays (x, y).

    Names: `digits` (pixels from 0 to 1), `iris`, `wine`, `breast_cancer` and, for regression,
    `diabetes` (columns of mean 0 and variance 1), which scikit-learn ships; and
    `clusters:VARIANCE`, two Gaussian clusters in the plane around (-1, -1) and (1, 1), or
    `clusters:VARIANCE:CLASSES:DIMENSION`, around centres drawn from N(0, 1) in every coordinate,
    the examples of the classes in turn.

    Files: `.npz` with X and y (or x and y); `.csv`, the last column being y; IDX files as those of
    MNIST, plain or `.gz`: that of the images, beside which that of the labels lies (`-images-idx3-`
    for `-labels-idx1-`), pixels from 0 to 1. Whole numbers in one column y are labels, which stand
    for themselves in ascending order; other targets are for regression.

    points: only the first so many; of clusters as many, 200 by default. seed: of the clusters.

    Raises ValueError for names that are not known and files that hold something else, or a class
    alone; OSError when a file cannot be read.
    """
    if isinstance(data, tuple):
        found = _of_arrays(*data, None)
    elif isinstance(data, str) and data.partition(":")[0] == "clusters":
        return _clusters(data, points, seed)
    elif isinstance(data, str) and _is_named(data):
        found = _shipped(data)
    else:
        found = _of_file(Path(data))
    return found if points is None else found.first(points)


def _is_named(data: str) -> bool:
    """Whether a text is the name of a set, and not of a file."""
    if data.partition(":")[0] == "clusters":
        return True
    return not Path(data).suffix and "idx" not in data


def _of_arrays(x: ArrayLike, y: ArrayLike, name: str | None) -> Examples:
    inputs, targets = as_data(x, name or "x"), as_targets(y, name or "y")
    if len(inputs) != len(targets):
        raise ValueError(f"{name or 'data'} has {len(inputs)} inputs and {len(targets)} targets")
    if targets.shape[1] == 1 and np.all(targets == np.rint(targets)):
        return _of_labels(inputs, targets[:, 0], name)
    return Examples(inputs, targets, None, 0, name)


def _of_labels(x: Floats, y: NDArray[Any], name: str | None) -> Examples:
    values, labels = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise ValueError(f"{name or 'y'} must hold two classes or more, not {values[0]:g} alone")
    one_hot = np.eye(len(values))[labels]
    return Examples(x, one_hot, labels.astype(np.intp), len(values), name)


def _of_file(file: Path) -> Examples:
    if "idx" in file.name:
        return _of_labels(*_read_idx(file), str(file))
    if file.suffix == ".npz":
        return _of_arrays(*load_pair(file), str(file))
    if file.suffix != ".csv":
        raise ValueError(
            f"data must be a name, or a file ending in .npz, .csv or -idx3-ubyte, not {file}"
        )
    table = load_data(file)
    if table.shape[1] < 2:
        raise ValueError(f"{file} must have a column of inputs and, last, one of targets")
    return _of_arrays(table[:, :-1], table[:, -1], str(file))


def _shipped(name: str) -> Examples:
    if name not in _SHIPPED:
        known = ", ".join((*_SHIPPED, "clusters:VARIANCE"))
        raise ValueError(f"data must be one of {known}, or a file, not {name!r}")
    if find_spec("sklearn") is None:
        raise ValueError(f"data {name} needs scikit-learn: pip install 'nnth[data]'")
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        return _of_labels(x / 16.0, y, name)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    if name == "diabetes":
        return Examples(x, ((y - y.mean()) / y.std())[:, None], None, 0, name)
    return _of_labels(x, y, name)


def _clusters(name: str, points: int | None, seed: int) -> Examples:
    form = "clusters:VARIANCE or clusters:VARIANCE:CLASSES:DIMENSION"
    try:
        _, variance, *rest = name.split(":")
        spread = float(variance)
        classes, dimension = (int(word) for word in rest) if rest else (2, 2)
    except ValueError:
        raise ValueError(f"data must be {form}, not {name!r}") from None
    if not 0.0 <= spread < math.inf or classes < 2 or dimension < 1:
        raise ValueError(
            f"data must be {form}, with a variance of at least 0, two classes or more, and a "
            f"dimension of at least 1, not {name!r}"
        )
    count = whole("points", _CLUSTER_POINTS if points is None else points, classes)
    if rest:
        centres = normals(seed, _CENTRE_STREAM, classes * dimension).reshape(classes, dimension)
    else:
        centres = np.array([[-1.0, -1.0], [1.0, 1.0]])
    labels = np.arange(count) % classes
    noise = normals(seed, _CLUSTER_STREAM, count * dimension).reshape(count, dimension)
    x = centres[labels] + math.sqrt(spread) * noise
    return Examples(x, np.eye(classes)[labels], labels, classes, name)


def _read_idx(images: Path) -> tuple[Floats, NDArray[np.uint8]]:
    """Pixels from 0 to 1, a row an image, and labels, from a pair of IDX files."""
    beside = images.with_name(images.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == images:
        raise ValueError(f"{images} must be the file of the images, with images in its name")
    pixels, labels = _idx_array(images, 3), _idx_array(beside, 1)
    with images.open("rb") as first, beside.open("rb") as second:
        remember_content(images, first, second)
    if len(pixels) != len(labels):
        raise ValueError(f"{images} has {len(pixels)} images and {beside} {len(labels)} labels")
    return pixels.reshape(len(pixels), -1) / 255.0, labels


def _idx_array(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """LeCun's format: two zeros, 8 for bytes, the number of dimensions, sizes, and the bytes."""
    read: Callable[..., BinaryIO] = gzip.open if file.suffix == ".gz" else open  # type: ignore[assignment]
    try:
        with read(file, "rb") as stream:
            content = stream.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    if content[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"{file} must be an IDX file of bytes with {dimensions} dimension(s)")
    start = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if math.prod(sizes) != len(content) - start or not math.prod(sizes):
        raise ValueError(f"{file} must hold as many bytes as its header says, {sizes}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)
