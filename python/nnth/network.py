"""Fully connected ReLU networks as data: drawn at random, read from files, or known by name."""

from __future__ import annotations

import json
import math
import operator
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth.random import normals

Array = NDArray[np.float64]

SUFFIXES: Final = (".npz", ".safetensors")

MAX_LAYERS: Final = 100_000  # each is at least a row of Python objects
MAX_WIDTH: Final = 10_000_000

# What the weights of a random network may take of the memory that is free: they are copied once.
_SHARE_OF_MEMORY: Final = 0.45


@dataclass(
    frozen=True, eq=False
)  # arrays have no one truth value, so networks are told by identity
class Network:
    """A fully connected network z^l = W_l s(z^(l-1)) + b_l, z^1 = W_1 x + b_1, with s = ReLU.

    weights: W_1, ..., W_(L+1), the last the output layer's, W_l of shape `(n_l, n_(l-1))`.
    biases: b_1, ..., b_(L+1), b_l of shape `(n_l,)`.
    activation: "relu"; there is no other.

    The arrays are kept as read-only C-contiguous float64 copies. Raises ValueError, naming the
    array, for shapes that do not fit, numbers that are not finite and real, no hidden layer, and
    another activation.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str = "relu"

    def __post_init__(self) -> None:
        _require_relu(self.activation)
        if len(self.weights) != len(self.biases):
            raise ValueError(
                f"weights and biases must be as many, not {len(self.weights)} and "
                f"{len(self.biases)}"
            )
        if len(self.weights) < 2:
            raise ValueError(
                "weights must hold at least one hidden layer and the output layer, not "
                f"{len(self.weights)} of them"
            )
        weights = tuple(_array(f"W{i}", w, 2) for i, w in enumerate(self.weights, 1))
        biases = tuple(_array(f"b{i}", b, 1) for i, b in enumerate(self.biases, 1))
        for i, (previous, w) in enumerate(pairwise(weights), 2):
            if w.shape[1] != previous.shape[0]:
                raise ValueError(
                    f"W{i} must have {previous.shape[0]} columns, as W{i - 1} has rows, not shape "
                    f"{w.shape}"
                )
        for i, (w, b) in enumerate(zip(weights, biases, strict=True), 1):
            if b.shape[0] != w.shape[0]:
                raise ValueError(
                    f"b{i} must have {w.shape[0]} numbers, as W{i} has rows, not shape {b.shape}"
                )
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def n0(self) -> int:
        """Dimension of the input."""
        return int(self.weights[0].shape[1])

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(len(w) for w in self.weights[:-1])

    @property
    def n_out(self) -> int:
        """Dimension of the output."""
        return len(self.weights[-1])

    @property
    def depth(self) -> int:
        """Number of hidden layers L."""
        return len(self.weights) - 1

    def __call__(self, x: ArrayLike) -> Array:
        """Return the outputs z^(L+1): `(n_out,)` for x `(n_0,)`, `(m, n_out)` for x `(m, n_0)`.

        Raises ValueError for another shape.
        """
        values = np.asarray(x, dtype=np.float64)
        if values.ndim not in (1, 2) or values.shape[-1] != self.n0:
            raise ValueError(
                f"x must have shape ({self.n0},) or (m, {self.n0}), not {values.shape}"
            )
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ w.T + b, 0.0)
        output: Array = values @ self.weights[-1].T + self.biases[-1]
        return output


def random_network(
    n0: int,
    widths: Sequence[int],
    *,
    n_out: int = 1,
    cw: float = 2.0,
    bias_var: float = 1.0,
    seed: int = 0,
    sample: int = 0,
) -> Network:
    """Return a ReLU network with Gaussian weights: W_l ~ N(0, cw/n_(l-1)), b_l ~ N(0, bias_var).

    n0, n_out: dimensions of input and output, at least 1; widths: of the hidden layers, at least
        one, each at least 1.
    cw, bias_var: finite, >= 0, the same on every layer, the output's included.
    seed, sample: integers in [0, 2**64). Samples of a seed are independent.

    The network is a function of (seed, sample): its numbers are sqrt(variance) times draws 0, 1,
    2, ... of `nnth.normals(seed, sample)`, in the order W_1 row by row, b_1, W_2, b_2, ...; weights
    are the same whatever bias_var is. With bias_var = 0 the biases are 0.0.

    Cost: 3 ns a weight. Raises ValueError for arguments out of range; MemoryError, with the size,
    before any work when the weights would not fit.
    """
    sizes = (
        whole("n0", n0),
        *(whole("widths", width) for width in widths),
        whole("n_out", n_out),
    )
    if len(sizes) < 3:
        raise ValueError("widths must hold at least one hidden layer, not none")
    for name, value in (("cw", cw), ("bias_var", bias_var)):
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and at least 0, not {value:g}")
    _require_memory(sizes)
    weights, biases, draw = [], [], 0
    for columns, rows in pairwise(sizes):
        drawn = normals(seed, sample, rows * columns, draw).reshape(rows, columns)
        weights.append(math.sqrt(cw / columns) * drawn)
        draw += rows * columns
        # A zero variance times a negative draw would be -0.0.
        scale = math.sqrt(bias_var)
        biases.append(scale * normals(seed, sample, rows, draw) if scale else np.zeros(rows))
        draw += rows
    return Network(tuple(weights), tuple(biases))


def load_network(path: str | os.PathLike[str]) -> Network:
    """Return the network in a file.

    `.npz`: arrays W1, b1, W2, b2, ... of the shapes of `Network`, the output layer included; others
    are ignored. `.safetensors`: the torch state dict of a Sequential of Linear layers with ReLUs
    between, `0.weight`, `0.bias`, `2.weight`, ..., behind a common prefix or none, of F64, F32, F16
    or BF16, and nothing else; layers without bias have b_l = 0. Nothing is ever unpickled.

    An array `activation` (.npz) or an entry `activation` of the metadata (.safetensors) must be
    "relu" where there is one.

    Raises ValueError, one line with the file's name, when the file is of another kind, lacks an
    array, holds another sort of network, or is damaged; OSError when it cannot be opened.

    Source: https://huggingface.co/docs/safetensors for the format.
    """
    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise ValueError(
            f"{file} must end in {' or '.join(SUFFIXES)}, not {file.suffix or 'nothing'}"
        )
    read = _read_npz if file.suffix == ".npz" else _read_safetensors
    with file.open("rb") as stream:
        try:
            return read(stream)
        except MemoryError:
            reason = "an array in it does not fit in memory"
        # RuntimeError is zipfile's for encryption and compressions it lacks, OSError bz2's for
        # damage, KeyError and struct.error what a damaged archive may lead numpy and zipfile to.
        except (
            *(EOFError, KeyError, OSError, RuntimeError, SyntaxError, TypeError, ValueError),
            *(OverflowError, struct.error, zipfile.BadZipFile, zlib.error),
        ) as error:
            reason = str(error).splitlines()[0] if str(error) else "it ends early"
    if "pickle" in reason:
        reason = "it holds Python objects (a pickle), which are never loaded"
    raise ValueError(f"{file} cannot be read as a network: {reason}") from None


def telgarsky(k: int) -> Network:
    """Return the tent map composed k times: 2^k linear pieces on [0, 1] from 3k - 1 neurons.

    tent(x) = 2 s(x) - 4 s(x - 1/2), which s = ReLU makes 0 outside [0, 1]. A tent is two neurons,
    s(x) and s(x - 1/2), and one more to pass s(tent) on; the last tent is the output, without. So
    the hidden widths are 2, 1, 2, 1, ..., 2: 2k - 1 hidden layers, 2k with the output. All weights
    are small dyadic numbers, and so the breaks j/2^k in [0, 1] are exact.

    On the line there are two pieces more, where the network is 0: 2^k + 2. For k = 1 nothing cuts
    the slope beyond x = 1, and there are 3.

    k: 1 to 1000. Raises ValueError otherwise. Source: Telgarsky (2015), arXiv:1509.08101.
    """
    if not 1 <= k <= 1000:
        raise ValueError(f"k of telgarsky must be from 1 to 1000, not {k}")
    split = (np.array([[1.0], [1.0]]), np.array([0.0, -0.5]))
    join = (np.array([[2.0, -4.0]]), np.array([0.0]))
    layers = [split, join] * k
    return Network(tuple(w for w, _ in layers), tuple(b for _, b in layers))


# Makes a network from the number after its name.
_NAMED: Final[dict[str, Callable[[int], Network]]] = {"telgarsky": telgarsky}


def named_network(name: str) -> Network:
    """Return a network known by name: `telgarsky:K` is `nnth.network.telgarsky(K)`.

    Raises ValueError, with what is known, for other names.
    """
    kind, _, number = name.strip().partition(":")
    if kind not in _NAMED or not _is_whole(number):
        known = ", ".join(f"{known}:K with a whole number K" for known in _NAMED)
        raise ValueError(f"a network's name must be one of {known}, not {name!r}")
    return _NAMED[kind](int(number))


def parse_widths(text: str) -> tuple[int, ...]:
    """Return the hidden widths written in `text`: "64*10,32" is ten layers of 64 and one of 32.

    Raises ValueError when a part is not WIDTH or WIDTH*LAYERS in whole numbers of at least 1, and
    for widths above 10^7 or more than 10^5 layers.
    """
    widths: list[int] = []
    for part in text.split(","):
        numbers = [number.strip() for number in part.split("*")]
        if len(numbers) > 2 or not all(map(_is_whole, numbers)):
            raise ValueError(
                f"widths must be whole numbers, as in 64,32 or 64*10,32, not {part.strip()!r}"
            )
        width = int(numbers[0])
        layers = int(numbers[1]) if len(numbers) == 2 else 1
        if not 1 <= width <= MAX_WIDTH:
            raise ValueError(f"widths must be from 1 to {MAX_WIDTH}, not {width}")
        if not 1 <= layers <= MAX_LAYERS - len(widths):
            raise ValueError(
                f"widths must have from 1 to {MAX_LAYERS} layers, not {len(widths) + layers}"
            )
        widths += [width] * layers
    return tuple(widths)


def whole(name: str, value: int, least: int = 1) -> int:
    """Return `value` as an int; raises ValueError, naming it, when it is not one >= `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # int() takes 1_0, +1 and more


def _require_relu(activation: str) -> None:
    if activation.lower() != "relu":
        raise ValueError(
            f"activation must be relu, which linear regions and paths need, not {activation[:40]!r}"
        )


def _require_memory(sizes: Sequence[int]) -> None:
    needed = 8 * sum(rows * (columns + 1) for columns, rows in pairwise(sizes))
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > _SHARE_OF_MEMORY * free:
        raise MemoryError(
            f"widths must be smaller: their weights take {needed / 2**30:.1f} GiB, twice while "
            f"they are drawn, and {free / 2**30:.1f} GiB are free"
        )


def _array(name: str, values: ArrayLike, dimensions: int) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, not values of type {array.dtype}")
    if array.ndim != dimensions or array.size == 0:
        kind = "a matrix" if dimensions == 2 else "a vector"
        raise ValueError(f"{name} must be {kind} with a row a neuron, not of shape {array.shape}")
    with np.errstate(over="ignore"):  # a long double that becomes infinite is refused below
        copy = np.array(array, dtype=np.float64, order="C")
    if not np.isfinite(copy).all():
        raise ValueError(f"{name} must hold finite numbers, not {copy[~np.isfinite(copy)][0]}")
    copy.flags.writeable = False
    return copy


def _read_npz(stream: BinaryIO) -> Network:
    if not zipfile.is_zipfile(stream):  # numpy would take it for a .npy, or for a pickle
        raise ValueError("it is no .npz archive")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        names = set(arrays.files)
        if "activation" in names:
            _require_relu(_text(arrays["activation"]))
        count = _layers(names)
        weights = [arrays[f"W{i}"] for i in range(1, count + 1)]
        biases = [arrays[f"b{i}"] for i in range(1, count + 1)]
    return Network(tuple(weights), tuple(biases))


def _text(array: NDArray[Any]) -> str:
    value = array.item() if array.size == 1 else array.tolist()
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _layers(names: Collection[str]) -> int:
    """Return how many layers W1, b1, W2, b2, ... there are, none missing."""
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
    """A tensor of a safetensors file: where it is, counted from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def read(self, name: str, stream: BinaryIO) -> NDArray[Any]:
        if self.dtype not in _DTYPES:
            raise ValueError(f"{name} must be one of {', '.join(_DTYPES)}, not {self.dtype}")
        dtype = np.dtype(_DTYPES[self.dtype])
        # Python's integers: a shape may be made to overflow others.
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


def _read_safetensors(stream: BinaryIO) -> Network:
    tensors, metadata = _safetensors_header(stream)
    if "activation" in metadata:
        _require_relu(metadata["activation"])
    weights, biases = [], []
    for layer in _linear_layers(tensors):
        weight = _read_parameter(f"{layer}.weight", tensors, 2, stream)
        weights.append(weight)
        if f"{layer}.bias" in tensors:
            biases.append(_read_parameter(f"{layer}.bias", tensors, 1, stream))
        else:
            biases.append(np.zeros(len(weight)))
    return Network(tuple(weights), tuple(biases))


def _read_parameter(
    name: str, tensors: Mapping[str, _Tensor], dimensions: int, stream: BinaryIO
) -> NDArray[Any]:
    if len(tensors[name].shape) != dimensions:  # a convolution's, a normalisation's
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
                f"layers {a} and {b} must have a ReLU between them, as 0, 2, 4, ... have, and are "
                "next to each other"
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
