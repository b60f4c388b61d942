"""Dense networks from Keras: .keras files, .weights.h5 files and whole models in .h5."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._networks.state_dict import (
    Chain,
    Linear,
    Normalization,
    chain_of,
    check_name,
    folded,
    normalization,
    with_linear_activations,
)

Array = NDArray[Any]

_EPSILON: Final = 1e-3  # of batch normalization in Keras
_NOISE: Final = frozenset({"Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout"})
_NOTHING: Final = _NOISE | {"InputLayer", "Flatten", "ActivityRegularization", "Identity"}
_MAX_CONFIG: Final = 16_000_000  # bytes; a layer takes some 1000
_MOST_ITEMS: Final = 20_000  # groups and data sets of an HDF5 file, two for a layer
_HEADS: Final = ("softmax", "sigmoid", "log_softmax")

# The activations of Keras as nnth names them; those of the same name are not listed.
_ACTIVATIONS: Final = {
    "swish": "silu",
    "leaky_relu": "leaky_relu:0.2",
    "exponential": "exp(z)",
    "gelu": "gelu",
}
_SAME: Final = frozenset(
    {"relu", "tanh", "sigmoid", "softplus", "softsign", "silu", "elu", "selu", "mish"}
)


def read_keras(stream: BinaryIO) -> tuple[Chain, str | None]:
    """Return the chain of dense layers of a .keras file, and its activation.

    Raises:
        ValueError: If the package h5py is not installed, the file is damaged, or the network is not
            fully connected; the message names the first layer that is not.
    """
    if not zipfile.is_zipfile(stream):
        raise ValueError("it must be a zip archive, as Keras 3 writes, and is none")
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        config = json.loads(_entry(archive, "config.json", _MAX_CONFIG))
        weights = _entry(archive, "model.weights.h5")
    with _hdf5(weights) as file:
        return _model(_layers(config), lambda layer: _by_path(file, layer))


def _entry(archive: zipfile.ZipFile, name: str, most: int | None = None) -> bytes:
    """Return a file in an archive, which is not compressed unless it has at most `most` bytes."""
    if name not in archive.namelist():
        raise ValueError(f"it must hold {name}")
    info = archive.getinfo(name)
    if most is not None and info.file_size > most:
        raise ValueError(f"{name} must have at most {most} bytes")
    if most is None and info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} must be stored without compression, as Keras does")
    return archive.read(name)


def read_keras_h5(stream: BinaryIO, act_given: bool) -> tuple[Chain, str | None]:
    """Return the chain of dense layers of a .h5 file, and its activation, where the file has it.

    A whole model has its configuration as an attribute; weights alone have none.
    """
    with _hdf5(stream.read()) as file:
        text = file.group.attrs.get("model_config")
        if text is not None:
            config = json.loads(text)
            return _model(_layers(config), lambda layer: _by_name(file, layer))
        tensors = _dense_weights(file)
        if not tensors:
            raise ValueError("it must hold the weights of dense layers")
        return chain_of(tensors, ordered=False, act_given=act_given), None


def _dense_weights(file: _Hdf5) -> dict[str, Array]:
    """Return the arrays of a file of weights alone, where vars/0 is the kernel, vars/1 the bias."""
    tensors = {}
    for path in file.paths():
        layer, _, number = path.rpartition("/vars/")
        if not layer or path.startswith("optimizer"):
            continue
        kind = layer.removeprefix("layers/")
        if number not in ("0", "1") or (
            kind != layer and not re.fullmatch(r"dense(_[0-9]+)?", kind)
        ):
            raise ValueError(f"{check_name(layer)} must be a dense layer")
        tensors[f"{layer}/{'kernel' if number == '0' else 'bias'}"] = file.array(path)
    return tensors


def _hdf5(content: bytes) -> _Hdf5:
    try:
        import h5py
    except ImportError:
        raise ValueError("files of Keras need the package h5py: install nnth[keras]") from None
    try:
        return _Hdf5(h5py.File(io.BytesIO(content), "r"), len(content))
    except OSError:
        raise ValueError("it is no HDF5 file") from None


class _Hdf5:
    """An HDF5 file of which nothing outside is read, and not more than its size.

    Such a file may have links to other files, data sets whose numbers are in other files, and ones
    whose few compressed bytes are a large array. None of these is followed.
    """

    def __init__(self, group: Any, size: int) -> None:
        self.group = group
        self._left = size

    def __enter__(self) -> _Hdf5:
        return self

    def __exit__(self, *_: object) -> None:
        self.group.close()

    def paths(self) -> list[str]:
        """Return the paths of all data sets."""
        found: list[str] = []
        groups = [("", self.group)]
        seen = 0
        while groups:
            path, group = groups.pop()
            for name in group:
                seen += 1
                if seen > _MOST_ITEMS:
                    raise ValueError(f"it must have at most {_MOST_ITEMS} groups")
                full = f"{path}/{name}" if path else name
                item = self._item(group, name)
                if hasattr(item, "keys"):
                    groups.append((full, item))
                else:
                    found.append(full)
        return sorted(found)

    def find(self, path: str) -> Any:
        """Return a group or a data set, None if there is none."""
        item = self.group
        for name in path.strip("/").split("/"):
            if not hasattr(item, "keys") or name not in item:
                return None
            item = self._item(item, name)
        return item

    def array(self, path: str) -> Array:
        """Return the numbers of a data set."""
        item = self.find(path)
        check_name(path)
        if item is None or not hasattr(item, "nbytes"):
            raise ValueError(f"{path} is missing")
        if item.dtype.kind not in "fiu":
            raise ValueError(f"{path} must hold numbers, not {item.dtype}")
        if item.external or item.is_virtual or item.chunks is not None:
            raise ValueError(f"{path} must be stored in one block, as Keras does")
        self._left -= item.nbytes
        if self._left < 0 or item.id.get_storage_size() != item.nbytes:
            raise ValueError(f"{path} must have its {item.nbytes} bytes in the file")
        return np.asarray(item)

    def _item(self, group: Any, name: str) -> Any:
        import h5py

        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{check_name(name)} must be in the file itself, not a link")
        return group[name]


def _layers(config: object) -> list[dict[str, Any]]:
    """Return the configurations of the layers of a chain."""
    if not isinstance(config, Mapping) or not isinstance(config.get("config"), Mapping):
        raise ValueError("its configuration must be that of a model")
    kind = config.get("class_name")
    layers = config["config"].get("layers")
    if kind not in ("Sequential", "Functional", "Model") or not isinstance(layers, list):
        raise ValueError(f"its model must be a Sequential or a chain of layers, not {kind!r}")
    found = []
    for layer in layers:
        own = dict(layer.get("config", {}))
        own["class_name"] = check_name(str(layer.get("class_name")))
        own["name"] = check_name(str(own.get("name", own["class_name"])))
        found.append(own)
    if kind != "Sequential":
        _check_chain(config["config"], found, layers)
    return found


def _check_chain(
    config: Mapping[str, Any], found: list[dict[str, Any]], layers: list[dict[str, Any]]
) -> None:
    """Raise ValueError unless each layer takes the values of the one before, and the last is it."""
    names = {own["name"] for own in found}
    for before, own, layer in zip([None, *found], found, layers, strict=False):
        sources = set(_texts(layer.get("inbound_nodes", []))) & names
        if sources != ({before["name"]} if before else set()):
            raise ValueError(f"{own['name']} must take the values of the layer before it alone")
    outputs = set(_texts(config.get("output_layers", []))) & names
    if found and outputs != {found[-1]["name"]}:
        raise ValueError(f"its output must be that of {found[-1]['name']} alone")


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in nested lists and dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _model(
    layers: list[dict[str, Any]], arrays_of: Callable[[Mapping[str, Any]], list[Array]]
) -> tuple[Chain, str | None]:
    modules: list[Linear | Normalization | None] = []
    acts: list[str] = []
    notes: list[str] = []
    dense = [i for i, layer in enumerate(layers) if layer["class_name"] == "Dense"]
    if len(dense) < 2:
        raise ValueError(f"it must hold a hidden layer and the output layer, not {len(dense)}")
    _name_places(layers)
    _check_rows(layers[: dense[0]])
    for i, layer in enumerate(layers):
        kind, name = layer["class_name"], layer["name"]
        if kind in _NOISE:
            notes.append(f"{name} does nothing at inference")
        if kind in _NOTHING:
            continue
        if kind == "Dense":
            modules.append(_dense(name, layer, arrays_of(layer)))
        elif kind == "BatchNormalization":
            modules.append(_normalization(name, layer, arrays_of(layer)))
        act = _activation(kind, name, layer)
        if act is None:
            continue
        if i < dense[-1]:
            acts.append(act)
            modules.append(None)
        elif act in _HEADS:
            notes.append(f"{act} at the output is left out: outputs are logits")
        else:
            raise ValueError(f"{name} must be linear at the output, not {act}")
    if len(set(acts)) > 1:
        raise ValueError(
            f"its layers must have one activation, not {' and '.join(sorted(set(acts)))}"
        )
    chain = folded(modules if acts else with_linear_activations(modules))
    chain.notes += notes
    return chain, acts[0] if acts else "linear"


def _check_rows(layers: list[dict[str, Any]]) -> None:
    """Raise ValueError unless what comes before the first dense layer makes a row an example."""
    shape = None
    for layer in layers:
        given = layer.get("batch_shape", layer.get("batch_input_shape"))
        shape = given if isinstance(given, list) else shape
        shape = None if layer["class_name"] == "Flatten" else shape
    if shape is not None and len(shape) > 2:
        raise ValueError(f"its inputs must be vectors, or be flattened, not of shape {shape[1:]}")


def _dense(name: str, layer: Mapping[str, Any], arrays: list[Array]) -> Linear:
    biased = bool(layer.get("use_bias", True))
    dimensions = [array.ndim for array in arrays]
    if dimensions != [2, 1][: 1 + biased]:
        raise ValueError(f"{name} must have a kernel with 2 dimensions and a bias with 1")
    return Linear(name, arrays[0].T, arrays[1] if biased else None)


def _activation(kind: str, name: str, layer: Mapping[str, Any]) -> str | None:
    """Return the activation of a layer as nnth names it, None for a linear one."""
    if kind in ("Dense", "Activation"):
        given = layer.get("activation", "linear")
        if isinstance(given, Mapping) and isinstance(given.get("config"), Mapping):
            return _activation(str(given.get("class_name")), name, given["config"])  # a layer
        if given == "linear" or given is None:
            return None
        act = _ACTIVATIONS.get(str(given), str(given))
        if act in _ACTIVATIONS.values() or act in _SAME or act in _HEADS:
            return act
        raise ValueError(f"{name} must have an activation of Keras, not {str(given)[:40]!r}")
    if kind == "BatchNormalization":
        return None
    if kind == "ReLU" and layer.get("max_value") is None and not layer.get("threshold"):
        slope = float(layer.get("negative_slope") or 0.0)
        return f"leaky_relu:{slope!r}" if slope else "relu"
    if kind == "LeakyReLU":
        return f"leaky_relu:{float(layer.get('negative_slope', layer.get('alpha', 0.3)))!r}"
    if kind == "ELU":
        return f"elu:{float(layer.get('alpha', 1.0))!r}"
    if kind == "Softmax" and layer.get("axis", -1) in (-1, 1):
        return "softmax"
    raise ValueError(f"{name} must be a dense layer or act entry by entry, and is a {kind}")


def _normalization(name: str, layer: Mapping[str, Any], arrays: list[Array]) -> Normalization:
    scaled, centered = bool(layer.get("scale", True)), bool(layer.get("center", True))
    if len(arrays) != 2 + scaled + centered or layer.get("axis", -1) not in (-1, 1, [1], [-1]):
        raise ValueError(f"{name} must normalize the neurons, by their means and variances")
    weight = arrays[0] if scaled else None
    bias = arrays[int(scaled)] if centered else None
    mean, variance = arrays[-2:]
    return normalization(name, mean, variance, weight, bias, layer.get("epsilon", _EPSILON))


def _name_places(layers: list[dict[str, Any]]) -> None:
    """Give each layer its name in the file of weights: its kind and its number among them."""
    counts: dict[str, int] = {}
    for layer in layers:
        stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", layer["class_name"]).lower()
        counts[stem] = counts.get(stem, -1) + 1
        layer["place"] = f"{stem}_{counts[stem]}" if counts[stem] else stem


def _by_path(file: _Hdf5, layer: Mapping[str, Any]) -> list[Array]:
    """Return the arrays of a layer of a .keras file, whose groups keep the names of layers."""
    for folder in ("layers", "_layer_checkpoint_dependencies"):
        for name in (layer["place"], layer["name"]):
            path = f"{folder}/{name}/vars"
            group = file.find(path)
            if group is not None and group.attrs.get("name", layer["name"]) == layer["name"]:
                return [file.array(f"{path}/{i}") for i in range(len(group))]
    raise ValueError(f"the weights of {layer['name']} are missing")


def _by_name(file: _Hdf5, layer: Mapping[str, Any]) -> list[Array]:
    """Return the arrays of a layer of a whole model in .h5, in the order that it keeps."""
    path = f"model_weights/{layer['name']}"
    group = file.find(path)
    if group is None:
        raise ValueError(f"the weights of {layer['name']} are missing")
    names = [one.decode() if isinstance(one, bytes) else one for one in group.attrs["weight_names"]]
    return [file.array(f"{path}/{one}") for one in names]
