"""Networks from files: .npz and .safetensors, without pickle."""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import activation
from nnth._activations.catalogue import CATALOGUE
from nnth._data.files import remember_content
from nnth._data.read_errors import reraise_as_value_error
from nnth._networks.network import Network

SUFFIXES: Final = (".npz", ".safetensors")


def load_network(path: str | os.PathLike[str], act: str | None = None) -> Network:
    """Return the network in a file.

    Args:
        path: An .npz file with arrays W1, b1, W2, b2, ... of the shapes of `Network`, the output
            layer included; other arrays are ignored. Or a .safetensors file with the torch state
            dict of a Sequential of Linear layers with an activation between any two: `0.weight`,
            `0.bias`, `2.weight`, ..., with a common prefix or none, of type F64, F32, F16 or BF16,
            and no other entries; a layer without a bias has b_l = 0.
        act: The activation, as for `nnth.activation`, if the file does not name it; by default
            "relu". A file names it by an array `activation` (.npz) or an entry `activation` of the
            metadata (.safetensors).

    Returns:
        A `Network`.

    Raises:
        ValueError: If the file is damaged or of another type, lacks an array, holds another kind
            of network, or names another activation than `act`; one line with the file's name.
        OSError: If the file cannot be opened.

    Nothing is unpickled.

    Example:
        >>> nnth.random_network(2, [8], seed=1).save("net.npz")
        >>> nnth.load_network("net.npz")
        <Network 2-8-1, relu, 33 parameters>

    Source: https://huggingface.co/docs/safetensors, for the format .safetensors.
    """
    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise ValueError(
            f"{file} must end in {' or '.join(SUFFIXES)}, not {file.suffix or 'nothing'}"
        )
    read = _read_npz if file.suffix == ".npz" else _read_safetensors
    with file.open("rb") as stream, reraise_as_value_error(f"{file} cannot be read as a network"):
        remember_content(file, stream)
        return read(stream, act)


def _read_npz(stream: BinaryIO, act: str | None) -> Network:
    if not zipfile.is_zipfile(stream):  # NumPy would try to read it as an .npy file or a pickle
        raise ValueError("it is no .npz archive")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        names = set(arrays.files)
        named = _text(arrays["activation"]) if "activation" in names else None
        count = _layers(names)
        weights = [arrays[f"W{i}"] for i in range(1, count + 1)]
        biases = [arrays[f"b{i}"] for i in range(1, count + 1)]
    return Network(tuple(weights), tuple(biases), _activation(named, act))


def _activation(named: str | None, act: str | None) -> str:
    """Return the activation that the file names, or else the one that the caller gave."""
    if named is None:
        return "relu" if act is None else act
    if named.lower() in CATALOGUE:
        named = named.lower()
    if act is not None and act != named and not _same_function(act, named):
        raise ValueError(f"its activation is {named[:40]!r}, not {act!r}")
    return named


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
    """Return the number of layers W1, b1, W2, b2, ..., of which none may be missing."""
    found = [re.fullmatch(r"[Wb]([1-9][0-9]{0,17})", name) for name in names]
    last = max((int(match[1]) for match in found if match), default=0)
    for i in range(1, last + 1):
        for name in (f"W{i}", f"b{i}"):
            if name not in names:
                raise ValueError(
                    f"it must hold W1, b1, W2, b2, ... without gaps; {name} is missing"
                )
    if last < 2:
        held = "only W1 and b1" if last else "no W1"
        raise ValueError(
            f"it must hold a hidden layer W1, b1 and the output layer W2, b2, not {held}"
        )
    return last


# The floating-point types of safetensors, little-endian. NumPy has no BF16: it is the upper half of
# an F32.
_DTYPES: Final = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

_MAX_HEADER: Final = 100_000_000  # bytes, as in the reference implementation


@dataclass(frozen=True)
class _Tensor:
    """A tensor of a safetensors file, in the bytes from `begin` to `end` of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def read(self, name: str, stream: BinaryIO) -> NDArray[Any]:
        if self.dtype not in _DTYPES:
            raise ValueError(f"{name} must be one of {', '.join(_DTYPES)}, not {self.dtype}")
        dtype = np.dtype(_DTYPES[self.dtype])
        # Python's integers, which cannot overflow for any shape in a file.
        if math.prod(self.shape) * dtype.itemsize != self.end - self.begin:
            raise ValueError(
                f"{name} must have the bytes of {self.dtype} {list(self.shape)}, not "
                f"{self.end - self.begin} of them"
            )
        stream.seek(self.begin)
        raw = np.frombuffer(stream.read(self.end - self.begin), dtype=dtype)
        if self.dtype == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        return raw.reshape(self.shape)


def _read_safetensors(stream: BinaryIO, act: str | None) -> Network:
    tensors, metadata = _safetensors_header(stream)
    weights, biases = [], []
    for layer in _linear_layers(tensors):
        weight = _read_parameter(f"{layer}.weight", tensors, 2, stream)
        weights.append(weight)
        if f"{layer}.bias" in tensors:
            biases.append(_read_parameter(f"{layer}.bias", tensors, 1, stream))
        else:
            biases.append(np.zeros(len(weight)))
    return Network(tuple(weights), tuple(biases), _activation(metadata.get("activation"), act))


def _read_parameter(
    name: str, tensors: Mapping[str, _Tensor], dimensions: int, stream: BinaryIO
) -> NDArray[Any]:
    if len(tensors[name].shape) != dimensions:  # a tensor of a convolution or a normalization
        raise ValueError(
            f"{name} must be that of a Linear layer, with {dimensions} dimension(s), not of shape "
            f"{list(tensors[name].shape)}"
        )
    return tensors[name].read(name, stream)


def _linear_layers(names: Iterable[str]) -> list[str]:
    """Return the names of the Linear layers in their order: "0", "2" or "net.0", "net.2", ..."""
    layers: dict[int, str] = {}
    biases = []
    prefixes = set()
    for name in names:
        match = re.fullmatch(r"(?s:(.*\.)?)(0|[1-9][0-9]{0,17})\.(weight|bias)", name)
        if not match:
            raise ValueError(
                "it must hold the weights and biases of a Sequential of Linear layers, 0.weight, "
                f"0.bias, 2.weight, ..., and nothing else, not {name[:80]!r}"
            )
        prefixes.add(match[1] or "")
        if match[3] == "weight":
            layers[int(match[2])] = f"{match[1] or ''}{match[2]}"
        else:
            biases.append(int(match[2]))
    if len(prefixes) > 1:
        first, second, *_ = sorted(prefixes)
        raise ValueError(f"its names must share one prefix, not {first!r} and {second!r}")
    for bias in biases:
        if bias not in layers:
            raise ValueError(f"{bias}.bias must come with {bias}.weight, which is missing")
    if len(layers) < 2:
        raise ValueError(
            f"it must hold a hidden layer and the output layer, not {len(layers)} layer(s)"
        )
    numbers = sorted(layers)
    for a, b in pairwise(numbers):
        if b == a + 1:
            raise ValueError(
                f"layers {a} and {b} must have an activation between them, as 0, 2, 4, ... have, "
                "and are next to each other"
            )
    return [layers[number] for number in numbers]


def _safetensors_header(stream: BinaryIO) -> tuple[dict[str, _Tensor], dict[str, str]]:
    """Return the tensors, which fill the file without gaps or overlaps, and the metadata."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if size < 8:
        raise ValueError(f"it must begin with 8 bytes of header length, and has {size}")
    length = int.from_bytes(stream.read(8), "little")
    if length > min(size - 8, _MAX_HEADER):
        raise ValueError(f"its header must lie within the file's {size} bytes, and has {length}")
    try:
        header = json.loads(stream.read(length).decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError(f"its header must be a JSON object, not {type(header).__name__}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its __metadata__ must map names to strings")
    tensors = {name: _tensor(name, entry, 8 + length, size) for name, entry in header.items()}
    reached = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != reached:
            raise ValueError(
                f"{name} must begin where the tensor before it ends, at byte {reached}, not "
                f"{tensor.begin}"
            )
        reached = tensor.end
    if reached != size:
        raise ValueError(f"its tensors must end with the file, at byte {size}, not {reached}")
    return tensors, metadata


def safetensors_of(network: Network) -> bytes:
    """Return the network as the bytes of a .safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"activation": network.activation}}
    blocks: list[bytes] = []
    reached = 0
    for i, layer in enumerate(zip(network.weights, network.biases, strict=True)):
        for name, array in zip(("weight", "bias"), layer, strict=True):
            blocks.append(array.astype("<f8").tobytes())
            end = reached + len(blocks[-1])
            header[f"{2 * i}.{name}"] = {
                "dtype": "F64",
                "shape": list(array.shape),
                "data_offsets": [reached, end],
            }
            reached = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begin at a multiple of 8, as the format requires
    return b"".join([len(text).to_bytes(8, "little"), text, *blocks])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header must name nothing twice")
    return found


def _tensor(name: str, entry: object, start: int, size: int) -> _Tensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} must have a dtype, a shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not _are_whole(shape) or not _are_whole(offsets):
        raise ValueError(f"{name} must have whole numbers as shape and data_offsets")
    if len(shape) > 64 or len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] <= size - start:
        raise ValueError(
            f"{name} must lie within the {size - start} bytes of data, not at {offsets[:2]}"
        )
    return _Tensor(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _are_whole(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)
