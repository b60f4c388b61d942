"""Networks from files of NumPy, PyTorch, Keras, JAX, ONNX and scikit-learn. Never pickle."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import Activation, activation
from nnth._activations.catalogue import CATALOGUE
from nnth._activations.expression import ExpressionError
from nnth._data.files import remember_content
from nnth._data.read_errors import reraise_as_value_error
from nnth._networks.network import Network
from nnth._networks.state_dict import Chain, chain_of, check_size
from nnth._runtime.memory import check_memory

SUFFIXES: Final = (".npz", ".safetensors", ".pt", ".pth", ".onnx", ".keras", ".h5")

_LONGEST_ACTIVATION: Final = 10_000  # bytes of an .npz file's array `activation`
_PARAMETER: Final = re.compile(r"[./\['\"](weight|kernel)(['\"]\])?$")
_LAYER: Final = re.compile(r"[Wb][0-9]+|(coefs|intercepts)_[0-9]+")
_SCIKIT_LEARN: Final = {"logistic": "sigmoid", "identity": "linear"}


def load_network(path: str | os.PathLike[str], act: str | None = None) -> Network:
    """Return the fully connected network in a file.

    Args:
        path: A file of one of the kinds below.
        act: The activation, as for `nnth.activation`, if the file does not name it; by default
            "relu". Files of ONNX and Keras name it; of .npz an array `activation` does, and of
            .safetensors an entry `activation` of the metadata.

    Returns:
        A `Network`. Its `note` says what else was in the file: batch normalizations, which become
        part of the linear layers beside them, dropout, a softmax or sigmoid at the output, which is
        left out, and what is taken for granted. Its `biased` says which layers have biases: those
        whose biases are in the file, be they 0, and those that a normalization has shifted.

    Raises:
        ValueError: If the file is damaged or of another type, lacks an array, holds another kind of
            network, or names another activation than `act`; one line with the file's name and the
            first layer that does not fit.
        OSError: If the file cannot be opened.

    The kinds of files::

        .npz          W1, b1, W2, b2, ... of the shapes of `Network`, the output layer included,
                      without b_l if layer l has no biases; or scikit-learn's coefs_0, intercepts_0,
                      coefs_1, ...; or named parameters as below; other arrays beside W1, ... are
                      ignored
        .safetensors  named parameters: the weight and bias of each linear layer, as fc1.weight,
                      net.2.bias; in JAX kernel in place of weight, transposed
        .pt, .pth     the state dict of a PyTorch model, or a checkpoint that has one
        .onnx         a chain of Gemm or MatMul and Add with activations between them; needs the
                      package onnx
        .keras, .h5   dense layers of Keras, or their weights alone; needs h5py

    The order of the layers comes from the numbers in their names and from their shapes; where these
    leave a doubt the file is refused. Nothing is unpickled: of a PyTorch file the descriptions of
    tensors are read, and everything else is refused. No other file is opened, and no more is read
    than the file has bytes, except for compressed .npz, which must fit in memory.

    Example:
        >>> nnth.random_network(2, [8], seed=1).save("net.npz")
        >>> nnth.load_network("net.npz")
        <Network 2-8-1, relu, 33 parameters>

    Source: https://huggingface.co/docs/safetensors, for the format .safetensors.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{file} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, not "
            f"{file.suffix or 'nothing'}"
        )
    with file.open("rb") as stream, reraise_as_value_error(f"{file} cannot be read as a network"):
        remember_content(file, stream)
        # What overflows while layers are put together is refused as not finite.
        with np.errstate(all="ignore"):
            chain, named = _read(suffix, stream, act)
        if act is None and named is None:
            chain.notes.insert(0, "the file names no activation: it is taken to be relu")
        check_size(chain.weights)
        layers = list(zip(chain.weights, chain.biases, strict=True))
        return Network(
            tuple(chain.weights),
            tuple(np.zeros(w.shape[:1]) if b is None else b for w, b in layers),
            _activation(named, act),
            chain.note,
            tuple(b is not None for b in chain.biases),
        )


def _read(suffix: str, stream: BinaryIO, act: str | None) -> tuple[Chain, str | None]:
    """Return the chain of linear layers in a file, and the activation that it names."""
    if suffix == ".npz":
        return _read_npz(stream, act)
    if suffix == ".safetensors":
        from nnth._networks.safetensors_file import read_safetensors

        arrays, metadata = read_safetensors(stream)
        named = metadata.get("activation")
        known = act is not None or named is not None
        return chain_of(arrays, ordered=False, act_given=known), named
    if suffix in (".pt", ".pth"):
        from nnth._networks.torch_file import read_torch

        return chain_of(read_torch(stream), ordered=True, act_given=act is not None), None
    if suffix == ".onnx":
        from nnth._networks.onnx_file import read_onnx

        chain, named = read_onnx(stream)
        return chain, None if named is None else _catalogue_name(named)
    from nnth._networks.apart import read_apart

    return read_apart(stream, suffix, act is not None)


def _read_npz(stream: BinaryIO, act: str | None) -> tuple[Chain, str | None]:
    import zipfile

    if not zipfile.is_zipfile(stream):  # NumPy would try to read it as an .npy file or a pickle
        raise ValueError("it is no .npz archive")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        names = [name for name in arrays.files if name != "activation"]
        sizes = {one.filename.removesuffix(".npy"): one.file_size for one in arrays.zip.infolist()}
        named = None
        if "activation" in sizes:
            if sizes["activation"] > _LONGEST_ACTIVATION:
                raise ValueError(f"activation must have at most {_LONGEST_ACTIVATION} bytes")
            named = _text(arrays["activation"])
        if "W1" not in names and any(_PARAMETER.search(name) for name in names):
            _check_archive(sizes, names)
            tensors = {name: arrays[name] for name in names}
            known = act is not None or named is not None
            return chain_of(tensors, ordered=False, act_given=known), named
        _check_archive(sizes, [name for name in names if _LAYER.fullmatch(name)])
        if "coefs_0" in names:
            return _of_scikit_learn(arrays), _SCIKIT_LEARN.get(str(named), named)
        count = _layers(set(names))
        weights = [arrays[f"W{i}"] for i in range(1, count + 1)]
        biases = [arrays[f"b{i}"] if f"b{i}" in names else None for i in range(1, count + 1)]
    return Chain(weights, biases), named


def _check_archive(sizes: Mapping[str, int], names: Collection[str]) -> None:
    """Raise MemoryError if arrays, which may be compressed, do not fit in memory."""
    check_memory(2 * sum(sizes[name] for name in names), "its arrays must be smaller: they")


def _of_scikit_learn(arrays: Mapping[str, NDArray[Any]]) -> Chain:
    """Return the layers coefs_0 `(inputs, outputs)`, intercepts_0, coefs_1, ...."""
    chain = Chain()
    while f"coefs_{len(chain.weights)}" in arrays:
        name = f"intercepts_{len(chain.weights)}"
        if name not in arrays:
            raise ValueError(f"it must hold {name} beside coefs_{len(chain.weights)}")
        chain.weights.append(arrays[f"coefs_{len(chain.weights)}"].T)
        chain.biases.append(arrays[name])
    return chain


def _activation(named: str | None, act: str | None) -> str:
    """Return the activation that the file names, or else the one that the caller gave."""
    if named is None:
        return "relu" if act is None else act
    named = named.lower() if named.lower() in CATALOGUE else named
    if act is not None and act != named and not _same_function(act, named):
        raise ValueError(f"its activation is {named[:40]!r}, not {act!r}")
    return named


def _catalogue_name(text: str) -> str:
    """Return the name of the catalogue for an expression, or the text where it has none."""
    from nnth._activations.recognition import recognized

    try:
        known = recognized(Activation(text, text))
    except ExpressionError:
        return text  # refused where the network is made
    return text if known is None else known.name.removesuffix(".0")


def _same_function(one: str, other: str) -> bool:
    try:
        a, b = activation(one), activation(other)
    except ValueError:
        return False
    return a.expression == b.expression


def _text(array: NDArray[Any]) -> str:
    value = array.item() if array.size == 1 else array.tolist()
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _layers(names: Collection[str]) -> int:
    """Return the number of layers W1, b1, W2, b2, ..., none of whose weights is missing."""
    found = [re.fullmatch(r"[Wb]([1-9][0-9]{0,17})", name) for name in names]
    last = max((int(match[1]) for match in found if match), default=0)
    for i in range(1, last + 1):
        if f"W{i}" not in names:
            raise ValueError(f"it must hold W1, b1, W2, b2, ... without gaps; W{i} is missing")
    if last < 2:
        held = "only W1" if last else "no W1"
        raise ValueError(
            f"it must hold a hidden layer W1, b1 and the output layer W2, b2, not {held}"
        )
    return last
