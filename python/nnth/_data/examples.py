"""Read labeled examples by name, from files, or from arrays."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._data.data import (
    STANDARD_INPUT,
    SUFFIXES,
    as_data,
    as_targets,
    data_of,
    is_named,
    load_pair,
)
from nnth._data.files import File, file_of, remember_content, remember_name
from nnth._data.named_data import named_set
from nnth._data.saving import ArrayResult
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats

Source: TypeAlias = "str | os.PathLike[str] | tuple[ArrayLike, ArrayLike]"


@dataclass(frozen=True, eq=False)
class Examples(ArrayResult):
    """Inputs and targets of a regression or a classification.

    Args:
        x: The inputs, `(m, n_0)`.
        y: The targets, `(m, outputs)`; one-hot vectors if there are classes.
        labels: The classes 0, ..., classes - 1, `(m,)`, or None for regression.
        classes: The number of classes, or 0 for regression.
        name: The name of the file or of the data set; None if arrays were given.

    Example:
        >>> nnth.load_examples("clusters:0.1", points=20)
        <Examples clusters:0.1: 20 examples, 2 inputs, 2 classes>
    """

    x: Floats
    y: Floats
    labels: NDArray[np.intp] | None
    classes: int
    name: str | None

    @property
    def source(self) -> File:
        """The file that the examples were read from, or the name of the data set."""
        return file_of(self.name)

    def __repr__(self) -> str:
        outputs = f"{self.classes} classes" if self.classes else f"{self.y.shape[1]} output(s)"
        sizes = f"{len(self.x)} examples, {self.x.shape[1]} inputs, {outputs}"
        return f"<Examples {self.name or 'from arrays'}: {sizes}>"

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return x, y and, if there are classes, labels; `load_examples` reads x and y."""
        arrays: dict[str, NDArray[Any]] = {"x": self.x, "y": self.y}
        return arrays if self.labels is None else arrays | {"labels": self.labels}

    def first(self, points: int) -> Examples:
        """Return the first `points` examples; raises ValueError if there are fewer."""
        if check_integer("points", points) > len(self.x):
            raise ValueError(f"points must be at most {len(self.x)}, which there are, not {points}")
        labels = None if self.labels is None else self.labels[:points]
        return replace(self, x=self.x[:points], y=self.y[:points], labels=labels)

    def after(self, points: int) -> Examples:
        """Return the examples after the first `points`."""
        labels = None if self.labels is None else self.labels[points:]
        return replace(self, x=self.x[points:], y=self.y[points:], labels=labels)

    def centered(self, mean: Floats | None = None) -> Examples:
        """Return the examples with a mean `(n_0,)` subtracted, by default that of their inputs."""
        return replace(self, x=self.x - (self.x.mean(axis=0) if mean is None else mean))


def load_examples(data: Source, *, points: int | None = None, seed: int = 0) -> Examples:
    """Return the examples of a data set with a name, of a file, or of arrays (x, y).

    The names are `digits` (pixels from 0 to 1), `iris`, `wine`, `breast_cancer` and, for
    regression, `diabetes` (columns of mean 0 and variance 1), which scikit-learn ships;
    `clusters:VARIANCE`, two Gaussian clusters in the plane around (-1, -1) and (1, 1); and
    `clusters:VARIANCE:CLASSES:N0`, clusters around centers drawn from N(0, 1) in every coordinate.
    The examples of clusters belong to the classes in turn.

    An `.npz` file holds x (or X) and y. The last column of a `.npy`, `.csv`, `.tsv` or `.parquet`
    file, and of CSV on standard input (`-`), is y. Of IDX files such as MNIST's, plain or `.gz`,
    give the file of images; the file of labels has the same name with `labels-idx1` for
    `images-idx3` and lies in the same folder; pixels are scaled to run from 0 to 1.

    Targets y are classes if they are one column of integers, which are numbered in ascending order,
    or one-hot vectors of classes that all have an example. Other targets are for regression.

    Args:
        data: The name, file or arrays.
        points: Use only the first `points` examples, by default all; of clusters, the number of
            examples to draw, by default 200.
        seed: The seed of clusters.

    Raises:
        ValueError: If the name is unknown, the file holds something else, or there is only one
            class.
        OSError: If a file cannot be read.

    Example:
        >>> examples = nnth.load_examples("clusters:0.25:3:5", points=6)
        >>> examples.x.shape, examples.labels
        ((6, 5), array([0, 1, 2, 0, 1, 2]))
    """
    return examples_of("data", data, points=points, seed=seed)


def examples_of(argument: str, data: Source, *, points: int | None, seed: int) -> Examples:
    """Return the examples of `load_examples`; `argument` is what errors call the data."""
    if isinstance(data, tuple):
        found = _of_arrays(*data, None)
    elif is_named(os.fspath(data)) and "idx" not in os.fspath(data):
        found = _of_name(argument, os.fspath(data), points, seed)
    else:
        found = _of_file(argument, os.fspath(data))
    return found if points is None else found.first(points)


def _of_name(argument: str, name: str, points: int | None, seed: int) -> Examples:
    x, y, classes = named_set(name, argument, points=points, seed=seed)
    remember_name(name)
    return _of_labels(x, y, name) if classes else Examples(x, y[:, None], None, 0, name)


def _of_arrays(x: ArrayLike, y: ArrayLike, name: str | None) -> Examples:
    inputs, targets = as_data(x, name or "x"), as_targets(y, name or "y")
    if len(inputs) != len(targets):
        raise ValueError(f"{name or 'data'} has {len(inputs)} inputs and {len(targets)} targets")
    if targets.shape[1] == 1 and np.all(targets == np.rint(targets)):
        return _of_labels(inputs, targets[:, 0], name)
    if targets.shape[1] > 1 and _are_one_hot(targets):
        return _of_labels(inputs, targets.argmax(axis=1), name)
    return Examples(inputs, targets, None, 0, name)


def _are_one_hot(targets: Floats) -> bool:
    """Return whether the targets are one-hot vectors of classes that all have an example."""
    ones = targets == 1.0
    return bool(
        np.all(ones | (targets == 0.0)) and np.all(ones.sum(axis=1) == 1) and ones.any(axis=0).all()
    )


def _of_labels(x: Floats, y: NDArray[Any], name: str | None) -> Examples:
    values, labels = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise ValueError(f"{name or 'y'} must hold two classes or more, not {values[0]:g} alone")
    one_hot = np.eye(len(values))[labels]
    return Examples(x, one_hot, labels.astype(np.intp), len(values), name)


def _of_file(argument: str, name: str) -> Examples:
    file = Path(name)
    if "idx" in file.name:
        return _of_labels(*_read_idx(file), name)
    if name != STANDARD_INPUT and file.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{argument} must be the name of a data set, - for standard input, or a file ending in "
            f"{', '.join(SUFFIXES)} or -idx3-ubyte, not {name}"
        )
    if file.suffix.lower() == ".npz":
        return _of_arrays(*load_pair(name), name)
    table = data_of(name, argument)
    if table.shape[1] < 2:
        raise ValueError(f"{name} must have a column of inputs and a last column of targets")
    return _of_arrays(table[:, :-1], table[:, -1], name)


def _read_idx(images: Path) -> tuple[Floats, NDArray[np.uint8]]:
    """Return pixels from 0 to 1, one row for each image, and labels, from a pair of IDX files."""
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
    """Return the array of an IDX file.

    LeCun's format is two zeros, 8 for bytes, the number of dimensions, the sizes, and the bytes.
    """
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
