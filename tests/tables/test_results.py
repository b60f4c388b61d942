"""Every public result class: its table, its arrays, and the file that `save` writes."""

from __future__ import annotations

import errno
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

import nnth
from nnth._data.saving import ArrayResult
from nnth._tables.result import Result
from nnth._tables.table import Table

X = np.array([[1.0, 0.0], [0.5, -1.0], [-1.0, 0.25], [0.0, 2.0]])
Y = np.array([1.0, -1.0, 1.0, -1.0])
NETWORK = nnth.random_network(2, (5, 4), n_out=3, seed=3)


def setup(**changes: Any) -> nnth.TrainingSetup:
    return nnth.TrainingSetup(data="clusters:0.1", points=12, widths=(4,), steps=2, **changes)


# Every class once; some twice, if their arrays depend on the arguments.
MAKERS: dict[str, Callable[[], ArrayResult]] = {
    "Cells": lambda: nnth.cells(NETWORK, 2.0),
    "ClassStructure": lambda: nnth.classes(setup(), at=(0, 2)),
    "Classifier": lambda: nnth.max_margin(X, Y),
    "CollapsePath": lambda: nnth.collapse(setup(), at=(0, 2)),
    "Determinantal": lambda: nnth.rkhs_sample(X, samples=7),
    "DiagonalPath": lambda: nnth.diagonal(X[:2], Y[:2]),
    "Examples": lambda: nnth.load_examples("clusters:0.1", points=12),
    "Explanation": lambda: nnth.explain(data="clusters:0.1", only=["read"]),
    "FeatureFit": lambda: nnth.rkhs_feature_fit(X, Y, features=64, ridge=0.1, x_test=X[:3]),
    "Gram": lambda: nnth.gram(X, "relu", depth=2),
    "Gram of one kernel": lambda: nnth.gram(X, "relu", depth=2, kernel="nngp"),
    "HessianSpectra": lambda: nnth.hessian(setup(), at=(0, 2), top=3, probes=2),
    "KernelFit": lambda: nnth.rkhs_fit(X, Y, ridge=0.1, x_test=X[:3]),
    "LayerSample": lambda: nnth.sample_layers(X, "tanh", widths=(8,), samples=64),
    "MarginFlow": lambda: nnth.margin(X, np.array([1.0, 1.0, -1.0, -1.0])),
    "MupTransfer": lambda: nnth.mup_transfer("clusters:1:3:4", width=(4, 8), steps=2),
    "Network": lambda: NETWORK,
    "NetworkGram": lambda: nnth.network_gram(X, NETWORK, y=Y, by_layer=True, full=True),
    "Prediction": lambda: nnth.predict(X, Y, X[:2], samples=4, width=8, times=(1.0, np.inf)),
    "QuadraticModel": lambda: nnth.random_model(4, 3),
    "QuadraticSolution": lambda: nnth.quadratic(nnth.random_model(4, 3), eps=(0.01,)),
    "TangentPath": lambda: nnth.gram_training(setup(), at=(0, 2)),
    "RegionMeasures": lambda: nnth.regions_measure(NETWORK, points=9),
    "SharpnessPath": lambda: nnth.sharpness(setup(), at=(0, 2)),
    "Vertex": lambda: nnth.four_point_vertex(X, "tanh", widths=(8,)),
}


def result_classes() -> list[str]:
    """Return the names of all public classes that are results."""
    classes = {name: getattr(nnth, name) for name in nnth.__all__}
    return [
        name
        for name, kind in classes.items()
        if inspect.isclass(kind) and issubclass(kind, ArrayResult)
    ]


def test_every_result_class_is_tested() -> None:
    assert {name.split()[0] for name in MAKERS} == set(result_classes())


@pytest.mark.parametrize("name", MAKERS)
def test_a_result_has_table_arrays_and_save(name: str, tmp_path: Path) -> None:
    result = MAKERS[name]()
    assert type(result).__name__ == name.split()[0]
    arrays = result.arrays()
    assert arrays
    for array in arrays.values():
        assert isinstance(array, np.ndarray)
        assert array.dtype.kind in "biufU"
    result.save(tmp_path / "result.npz")
    with np.load(tmp_path / "result.npz", allow_pickle=False) as held:
        assert held.files == list(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(held[key], array, strict=True)
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]
    if isinstance(result, Result):
        table = result.table()
        assert isinstance(table, Table)
        assert table.num_rows > 0
        assert table.meta.version == nnth.__version__


def test_save_replaces_a_file_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "k.npz"
    nnth.gram(X, "relu", depth=1).save(file)
    before = file.read_bytes()
    assert len(before) > 100

    def half(stream: BinaryIO, **arrays: Any) -> None:
        stream.write(before[:100])
        raise OSError(errno.ENOSPC, "the disk is full")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError, match="the disk is full"):
        nnth.gram(X, "relu", depth=2).save(file)
    assert file.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["k.npz"]


def test_save_takes_npz_files_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"file must end in \.npz, not '.*k\.csv'"):
        nnth.gram(X, "relu", depth=1).save(tmp_path / "k.csv")
    with pytest.raises(ValueError, match=r"\.npz"):
        NETWORK.save(tmp_path / "net.pt")
    with pytest.raises(FileNotFoundError, match=r"nowhere/k\.npz"):
        nnth.gram(X, "relu", depth=1).save(tmp_path / "nowhere" / "k.npz")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("activation", ["relu", "z*tanh(softplus(z))"])
def test_a_network_survives_a_file(suffix: str, activation: str, tmp_path: Path) -> None:
    network = nnth.Network(NETWORK.weights, NETWORK.biases, activation)
    file = tmp_path / f"net{suffix}"
    network.save(file)
    back = nnth.load_network(file)
    assert back.activation == activation
    assert all(map(np.array_equal, back.weights, network.weights))
    assert all(map(np.array_equal, back.biases, network.biases))


def test_the_data_of_a_safetensors_file_are_aligned(tmp_path: Path) -> None:
    for activation in ("relu", "tanh", "softplus", "1+z"):
        nnth.Network(NETWORK.weights, NETWORK.biases, activation).save(tmp_path / "n.safetensors")
        content = (tmp_path / "n.safetensors").read_bytes()
        assert int.from_bytes(content[:8], "little") % 8 == 0


@pytest.mark.parametrize("data", ["clusters:0.1:3:4", (X, np.array([3.0, 3.0, 7.0, 7.0])), (X, X)])
def test_examples_survive_a_file(data: Any, tmp_path: Path) -> None:
    examples = nnth.load_examples(data)
    examples.save(tmp_path / "data.npz")
    back = nnth.load_examples(tmp_path / "data.npz")
    assert back.classes == examples.classes
    assert sorted(back.arrays()) == sorted(examples.arrays())
    for name, array in examples.arrays().items():
        np.testing.assert_array_equal(back.arrays()[name], array, strict=True)


def test_one_hot_targets_are_classes_only_if_every_class_has_an_example() -> None:
    assert nnth.load_examples((X, np.eye(4)[[0, 1, 3, 2]])).labels.tolist() == [0, 1, 3, 2]  # type: ignore[union-attr]
    assert nnth.load_examples((X, np.eye(4)[[0, 1, 3, 3]])).labels is None
    assert nnth.load_examples((X, np.eye(4) + np.eye(4)[::-1])).labels is None
    assert nnth.load_examples((X, np.ones((4, 2)))).labels is None


def test_a_quadratic_model_survives_a_file(tmp_path: Path) -> None:
    model = nnth.random_model(4, 3, seed=2)
    model.save(tmp_path / "model.npz")
    back = nnth.load_model(tmp_path / "model.npz")
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(back.arrays()[name], array)


def test_reprs_have_one_line() -> None:
    assert repr(NETWORK) == "<Network 2-5-4-3, relu, 54 parameters>"
    assert repr(nnth.load_examples((X, Y / 3.0))) == (
        "<Examples from arrays: 4 examples, 2 inputs, 1 output(s)>"
    )
    assert repr(nnth.load_examples("clusters:0.1", points=10)) == (
        "<Examples clusters:0.1: 10 examples, 2 inputs, 2 classes>"
    )


def test_the_table_of_cells_describes_each_cell() -> None:
    found = nnth.cells(NETWORK, 2.0)
    table = found.table()
    assert table.num_rows == len(found)
    assert table["area"].sum() == pytest.approx(16.0, rel=1e-12)
    center = np.array([table["center_1"][1], table["center_2"][1]])
    jacobian = found.maps[1, :, :2]
    assert table["gradient_norm"][1] == pytest.approx(np.linalg.norm(jacobian), rel=1e-14)
    outputs = jacobian @ center + found.maps[1, :, 2]
    assert NETWORK(center) == pytest.approx(outputs, rel=1e-10)
