"""Dense networks from Keras: .keras files, .weights.h5 files and whole models in .h5."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._networks.state_dict import (
    Chain,
    Linear,
    Normalization,
    chain_of,
    folded,
    normalization,
)

Array = NDArray[Any]

_EPSILON: Final = 1e-3  # of batch normalization in Keras
_NOTHING: Final = frozenset(
    {
        *("InputLayer", "Dropout", "Flatten", "GaussianNoise", "GaussianDropout"),
        *("AlphaDropout", "ActivityRegularization", "Identity"),
    }
)
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
        names = set(archive.namelist())
        for name in ("config.json", "model.weights.h5"):
            if name not in names:
                raise ValueError(f"it must hold {name}")
        config = json.loads(archive.read("config.json"))
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with _hdf5(weights) as file:
        return _model(_layers(config), lambda layer, _: _by_path(file, layer))


def read_keras_h5(stream: BinaryIO, act_given: bool) -> tuple[Chain, str | None]:
    """Return the chain of dense layers of a .h5 file, and its activation, where the file has it.

    A whole model has its configuration as an attribute; weights alone have none.
    """
    with _hdf5(io.BytesIO(stream.read())) as file:
        text = file.attrs.get("model_config")
        if text is not None:
            config = json.loads(text)
            group = file["model_weights"]
            return _model(_layers(config), lambda layer, _: _by_name(group, layer["name"]))
        tensors = {
            name.removesuffix("/vars/0") + ".kernel"
            if name.endswith("/vars/0")
            else name.removesuffix("/vars/1") + ".bias": array
            for name, array in _datasets(file)
            if re.search(r"/vars/[01]$", name) and not name.startswith("optimizer")
        }
        if not tensors:
            raise ValueError("it must hold the weights of dense layers")
        return chain_of(tensors, ordered=False, act_given=act_given), None


def _hdf5(stream: io.BytesIO) -> Any:
    try:
        import h5py
    except ImportError:
        raise ValueError("files of Keras need the package h5py: install nnth[keras]") from None
    try:
        return h5py.File(stream, "r")
    except OSError:
        raise ValueError("it is no HDF5 file") from None


def _datasets(group: Any, path: str = "") -> Iterator[tuple[str, Array]]:
    for name, item in group.items():
        full = f"{path}/{name}" if path else name
        if hasattr(item, "items"):
            yield from _datasets(item, full)
        else:
            yield full, np.asarray(item)


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
        own["class_name"] = layer.get("class_name")
        own.setdefault("name", str(own["class_name"]))
        found.append(own)
    if kind != "Sequential":
        names = {str(own["name"]) for own in found}
        for before, own, layer in zip([None, *found], found, layers, strict=False):
            sources = set(_texts(layer.get("inbound_nodes", []))) & names
            if sources != ({before["name"]} if before else set()):
                raise ValueError(f"{own['name']} must take the values of the layer before it alone")
    return found


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in nested lists and dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _model(layers: list[dict[str, Any]], arrays_of: Any) -> tuple[Chain, str | None]:
    modules: list[Linear | Normalization | None] = []
    acts: list[str] = []
    counts: dict[str, int] = {}
    dense = [i for i, layer in enumerate(layers) if layer["class_name"] == "Dense"]
    if len(dense) < 2:
        raise ValueError(f"it must hold a hidden layer and the output layer, not {len(dense)}")
    head = ""
    for i, layer in enumerate(layers):
        kind, name = layer["class_name"], layer["name"]
        layer["place"] = _place(kind, counts)
        if kind in _NOTHING:
            continue
        if kind == "Dense":
            arrays = arrays_of(layer, kind)
            kernel = _checked(name, arrays, 0, 2)
            bias = _checked(name, arrays, 1, 1) if layer.get("use_bias", True) else None
            modules.append(Linear(name, kernel.T, bias))
        elif kind == "BatchNormalization":
            modules.append(_normalization(name, layer, arrays_of(layer, kind)))
        act = _activation(kind, name, layer)
        if act is None:
            continue
        if i >= dense[-1]:
            if act not in _HEADS:
                raise ValueError(f"{name} must be linear at the output, not {act}")
            head = act
        else:
            acts.append(act)
            modules.append(None)
    if len(set(acts)) > 1:
        raise ValueError(
            f"its layers must have one activation, not {' and '.join(sorted(set(acts)))}"
        )
    chain = folded(modules)
    if head:
        chain.notes.append(f"{head} at the output is left out: outputs are logits")
    return chain, acts[0] if acts else None


def _activation(kind: str, name: str, layer: Mapping[str, Any]) -> str | None:
    """Return the activation of a layer as nnth names it, None for a linear one."""
    if kind in ("Dense", "Activation"):
        given = layer.get("activation", "linear")
        if not isinstance(given, str):
            given = str(given.get("config", given.get("class_name", given)))
        if given == "linear":
            return None
        act = _ACTIVATIONS.get(given, given)
        if act in _ACTIVATIONS.values() or act in _SAME or act in _HEADS:
            return act
        raise ValueError(f"{name} must have a known activation, not {given[:40]!r}")
    if kind == "BatchNormalization":
        return None
    if kind == "ReLU" and not layer.get("max_value") and not layer.get("threshold"):
        slope = float(layer.get("negative_slope") or 0.0)
        return f"leaky_relu:{slope:g}" if slope else "relu"
    if kind == "LeakyReLU":
        return f"leaky_relu:{float(layer.get('negative_slope', layer.get('alpha', 0.3))):g}"
    if kind == "ELU":
        return f"elu:{float(layer.get('alpha', 1.0)):g}"
    if kind == "Softmax":
        return "softmax"
    raise ValueError(f"{name} must be a dense layer or act entry by entry, and is a {kind}")


def _normalization(name: str, layer: Mapping[str, Any], arrays: list[Array]) -> Normalization:
    scaled, centered = layer.get("scale", True), layer.get("center", True)
    if len(arrays) != 2 + scaled + centered:
        raise ValueError(f"{name} must have its means and variances")
    weight = arrays[0] if scaled else None
    bias = arrays[int(scaled)] if centered else None
    mean, variance = arrays[-2:]
    return normalization(name, mean, variance, weight, bias, layer.get("epsilon", _EPSILON))


def _place(kind: str, counts: dict[str, int]) -> str:
    """Return the name of a layer in the file of weights: its kind and its number among them."""
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    counts[stem] = counts.get(stem, -1) + 1
    return f"{stem}_{counts[stem]}" if counts[stem] else stem


def _by_path(file: Any, layer: Mapping[str, Any]) -> list[Array]:
    """Return the arrays of a layer of a .keras file."""
    for folder in ("layers", "_layer_checkpoint_dependencies"):
        for name in (layer["place"], layer["name"]):
            path = f"{folder}/{name}/vars"
            if path in file:
                group = file[path]
                return [np.asarray(group[key]) for key in sorted(group, key=int)]
    raise ValueError(f"the weights of {layer['name']} are missing")


def _by_name(group: Any, name: str) -> list[Array]:
    """Return the arrays of a layer of a whole model in .h5, in the order that it keeps."""
    if name not in group:
        raise ValueError(f"the weights of {name} are missing")
    own = group[name]
    names = [one.decode() if isinstance(one, bytes) else one for one in own.attrs["weight_names"]]
    return [np.asarray(own[one]) for one in names]


def _checked(name: str, arrays: list[Array], index: int, dimensions: int) -> Array:
    if index >= len(arrays) or arrays[index].ndim != dimensions:
        raise ValueError(f"{name} must have a kernel with 2 dimensions and a bias with 1")
    return arrays[index]
