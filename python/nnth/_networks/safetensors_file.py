"""The format .safetensors: named tensors behind a header in JSON.

Source: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._networks.network import Network
from nnth._networks.state_dict import check_name

# The floating-point types of safetensors, little-endian. NumPy has no BF16: it is the upper half of
# an F32.
_DTYPES: Final = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

# Bytes. The reference implementation allows six times as many, which as JSON of empty lists would
# take gigabytes of memory; a layer takes 150.
_MAX_HEADER: Final = 16_000_000


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


def read_safetensors(stream: BinaryIO) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the names and arrays of a file, in the order of its header, and its metadata.

    Raises ValueError if the file is damaged or has other numbers than floating-point ones.
    """
    tensors, metadata = _header(stream)
    arrays = {
        name: tensor.read(name, stream)
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
    return arrays, metadata


def _header(stream: BinaryIO) -> tuple[dict[str, _Tensor], dict[str, str]]:
    """Return the tensors, which fill the file without gaps or overlaps, and the metadata."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if size < 8:
        raise ValueError(f"it must begin with 8 bytes of header length, and has {size}")
    length = int.from_bytes(stream.read(8), "little")
    if length > min(size - 8, _MAX_HEADER):
        raise ValueError(f"its header must lie within the file's {size} bytes, and has {length}")
    header = json.loads(stream.read(length).decode("utf-8"), object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise ValueError(f"its header must be a JSON object, not {type(header).__name__}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its __metadata__ must map names to strings")
    tensors = {
        check_name(name): _tensor(name, entry, 8 + length, size) for name, entry in header.items()
    }
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
    for name, array in network.named_parameters():
        blocks.append(array.astype("<f8").tobytes())
        end = reached + len(blocks[-1])
        kind, layer = {"W": "weight", "b": "bias"}[name[0]], int(name[1:]) - 1
        header[f"{2 * layer}.{kind}"] = {
            "dtype": "F64",
            "shape": list(array.shape),
            "data_offsets": [reached, end],
        }
        reached = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begin at a multiple of 8, as the format asks
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
