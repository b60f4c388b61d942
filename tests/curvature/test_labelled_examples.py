"""Labeled examples: by name, from files, as arrays."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth._data.examples import load_examples
from nnth._runtime.random import normals


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_the_lectures_clusters_are_around_their_centers() -> None:
    found = load_examples("clusters:0.04", points=2000, seed=5)
    assert found.x.shape == (2000, 2)
    assert found.classes == 2
    assert found.y.tolist() == np.eye(2)[found.labels].tolist()
    for label, center in enumerate((-1.0, 1.0)):
        cluster = found.x[found.labels == label]
        # 1000 points each: means within 5 x 0.2/sqrt(1000), variances within 5 x 0.04 sqrt(2/2000)
        assert np.abs(cluster.mean(axis=0) - center).max() < 0.032
        assert np.abs(cluster.var(axis=0) - 0.04).max() < 0.0064
    assert np.array_equal(found.x, load_examples("clusters:0.04", points=2000, seed=5).x)
    assert not np.array_equal(found.x, load_examples("clusters:0.04", points=2000, seed=6).x)


def test_other_clusters_have_random_centers() -> None:
    found = load_examples("clusters:0:5:7", points=12, seed=2)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 3, 4] * 2 + [0, 1]
    centers = normals(2, 2**34 + 1, 35).reshape(5, 7)
    assert np.array_equal(found.x, centers[found.labels])


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("digits", (1797, 64), 10),
        ("iris", (150, 4), 3),
        ("wine", (178, 13), 3),
        ("breast_cancer", (569, 30), 2),
        ("diabetes", (442, 10), 0),
    ],
)
def test_sets_of_scikit_learn(name: str, shape: tuple[int, int], classes: int) -> None:
    found = load_examples(name)
    assert found.x.shape == shape
    assert found.classes == classes
    assert found.y.shape == (shape[0], classes or 1)
    if name == "digits":
        assert (found.x.min(), found.x.max()) == (0.0, 1.0)
    else:
        assert np.allclose(found.x.std(axis=0), 1.0)
    assert np.abs(found.centered().x.mean(axis=0)).max() < 1e-12
    assert len(load_examples(name, points=50).x) == 50


def test_files_of_every_kind_hold_the_same(tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(4, 3) / 7.0
    labels = np.array([7, -2, 7, 3])
    for names in (("X", "y"), ("x", "y")):
        np.savez(tmp_path / "set.npz", **dict(zip(names, (x, labels), strict=True)), other=x[0])
        found = load_examples(tmp_path / "set.npz")
        assert np.array_equal(found.x, x)
        assert found.labels is not None
        assert found.labels.tolist() == [2, 0, 2, 1]  # in ascending order of -2, 3, 7
    np.savetxt(
        tmp_path / "set.csv",
        np.c_[x, labels],
        delimiter=",",
        fmt="%.17g",
        header="a,b,c,y",
        comments="",
    )
    found = load_examples(str(tmp_path / "set.csv"))
    assert np.array_equal(found.x, x)
    assert found.labels is not None
    assert found.labels.tolist() == [2, 0, 2, 1]
    np.save(tmp_path / "set.npy", np.c_[x, labels])
    (tmp_path / "set.tsv").write_text((tmp_path / "set.csv").read_text().replace(",", "\t"))
    for name in ("set.npy", "set.tsv"):
        found = load_examples(tmp_path / name)
        assert np.array_equal(found.x, x)
        assert found.labels is not None
        assert found.labels.tolist() == [2, 0, 2, 1]
    assert load_examples((x, labels)).labels.tolist() == [2, 0, 2, 1]  # type: ignore[union-attr]
    assert load_examples((x, labels + 0.5)).classes == 0
    assert np.array_equal(load_examples((x, np.c_[labels, labels])).y[:, 1], labels)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_files_come_in_pairs(suffix: str, tmp_path: Path) -> None:
    pixels = np.arange(5 * 2 * 3).reshape(5, 2, 3) * 8
    labels = np.array([3, 1, 3, 0, 1])
    for name, array in (("train-images-idx3-ubyte", pixels), ("train-labels-idx1-ubyte", labels)):
        content = idx(array)
        (tmp_path / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    found = load_examples(tmp_path / f"train-images-idx3-ubyte{suffix}", points=4)
    assert np.array_equal(found.x, pixels.reshape(5, 6)[:4] / 255.0)
    assert found.labels is not None
    assert found.labels.tolist() == [2, 1, 2, 0]
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").unlink()
    with pytest.raises(FileNotFoundError):
        load_examples(tmp_path / f"train-images-idx3-ubyte{suffix}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be an IDX file of bytes with 3 dimension"),
        (idx(np.zeros((2, 2))), "must be an IDX file of bytes with 3 dimension"),
        (idx(np.zeros((2, 2, 2)))[:-1], r"as many bytes as its header says, \[2, 2, 2\]"),
        (idx(np.zeros((2, 2, 2)))[:10], "as many bytes as its header says"),
        (idx(np.zeros((2, 2, 2))) + b"x", "as many bytes as its header says"),
        (idx(np.zeros((3, 2, 2))), "has 3 images and .* 2 labels"),
        (idx(np.zeros((2, 2, 2))), "must hold two classes or more, not 0 alone"),
    ],
)
def test_damaged_idx_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a-images-idx3-ubyte").write_bytes(content)
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(idx(np.zeros(2)))
    with pytest.raises(ValueError, match=message):
        load_examples(tmp_path / "a-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("digitz", "data must be .* digits, iris, .*, not 'digitz'; did you mean digits"),
        ("clusters", "data must be clusters:VARIANCE"),
        ("clusters:x", "data must be clusters:VARIANCE"),
        ("clusters:-1", "with a variance of at least 0"),
        ("clusters:1:1:2", "two classes or more"),
        ("clusters:1:2", "data must be clusters:VARIANCE or"),
        ("set.txt", r"a file ending in .npy, .npz, .csv, .* or -idx3-ubyte, not set.txt"),
        ((np.eye(2), np.ones(3)), "data has 2 inputs and 3 targets"),
        ((np.eye(2), np.ones(2)), "y must hold two classes or more, not 1 alone"),
        ((np.eye(2) * np.nan, np.ones(2)), "x must hold finite numbers"),
    ],
)
def test_other_data_are_refused(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_examples(data)
    with pytest.raises(ValueError, match="points must be at most 150, which there are, not 151"):
        load_examples("iris", points=151)


def test_an_npz_without_targets_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", X=np.eye(3))
    with pytest.raises(ValueError, match="must hold an array named y, not X"):
        load_examples(tmp_path / "set.npz")
