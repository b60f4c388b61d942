"""State dicts of PyTorch from .pt and .pth files, without unpickling.

Such a file is a zip archive: `data.pkl`, a pickle of the names, and a file of numbers for each
storage. A pickle is a program for a stack machine, which may call any function. The machine here
knows only the instructions that a dictionary of tensors needs, and instead of calling a function it
recognizes the few names of PyTorch's that describe a tensor; everything else is refused.
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._networks.state_dict import check_name

# A pickle of 16 MB or of a million instructions describes some 30,000 tensors. An instruction of
# one byte makes an object of up to 100, so that their number bounds the memory.
_MAX_PICKLE: Final = 16_000_000  # bytes
_MAX_INSTRUCTIONS: Final = 1_000_000
_MAX_DIMENSIONS: Final = 64

# The types of storages, little-endian. NumPy has no bfloat16: it is the upper half of a float32.
_STORAGES: Final = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "BoolStorage": "|b1",
}
_ORDERED_DICT: Final = ("collections", "OrderedDict")
_TENSOR: Final = ("torch._utils", "_rebuild_tensor_v2")
_PARAMETER: Final = ("torch._utils", "_rebuild_parameter")


@dataclass(frozen=True)
class _Name:
    """A function or class that a pickle names, which is never looked up."""

    module: str
    name: str

    @property
    def pair(self) -> tuple[str, str]:
        """The module and the name."""
        return self.module, self.name


@dataclass(frozen=True)
class _Storage:
    """The numbers of some tensors: the type, the name of the file in the archive, the count."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """The mark of a pickle's stack."""


def read_torch(stream: BinaryIO) -> dict[str, NDArray[Any]]:
    """Return the names and the arrays of a state dict, in the order of the file.

    The file holds a state dict, or a dict in which one entry is one, as of a checkpoint.

    Raises:
        ValueError: If the file is of another kind, damaged, or its pickle asks for anything else
            than a dictionary of tensors.
    """
    if not zipfile.is_zipfile(stream):
        raise ValueError(
            "it must be a zip archive, as torch.save writes since PyTorch 1.6, and is none"
        )
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        files = {one.filename: one for one in archive.infolist()}
        pickles = [name for name in files if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"it must hold one data.pkl, not {len(pickles)}")
        folder = pickles[0].removesuffix("data.pkl")
        _check_order(archive, files, folder)
        if files[pickles[0]].file_size > _MAX_PICKLE:
            raise ValueError(f"its data.pkl must be below {_MAX_PICKLE} bytes")
        found = _state_dict(_unpickled(archive.read(pickles[0])))
        read = _Reader(archive, files, folder)
        return {name: read.tensor(name, tensor) for name, tensor in found.items()}


def _check_order(
    archive: zipfile.ZipFile, files: Mapping[str, zipfile.ZipInfo], folder: str
) -> None:
    name = f"{folder}byteorder"
    if name in files and files[name].file_size < 100:
        order = archive.read(name).decode("latin-1")
        if order != "little":
            raise ValueError(f"its numbers must be little-endian, not {order[:20]!r}")


@dataclass(frozen=True)
class _Reader:
    """The storages of an archive, which are stored without compression, each read once."""

    archive: zipfile.ZipFile
    files: Mapping[str, zipfile.ZipInfo]
    folder: str
    storages: dict[_Storage, NDArray[Any]] = field(default_factory=dict)

    def tensor(self, name: str, tensor: _Tensor) -> NDArray[Any]:
        """Return a tensor as a view of its storage, which other tensors may share."""
        check_name(name)
        if tensor.storage not in self.storages:
            self.storages[tensor.storage] = self._storage(name, tensor.storage)
        return _strided(name, self.storages[tensor.storage], tensor)

    def _storage(self, name: str, storage: _Storage) -> NDArray[Any]:
        code = _STORAGES.get(storage.kind)
        if code is None:
            raise ValueError(f"{name} must hold numbers of a known type, not a {storage.kind}")
        dtype, file = np.dtype(code), f"{self.folder}data/{storage.key}"
        info = self.files.get(file)
        if info is None:
            raise ValueError(f"the numbers of {name} are missing")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"the numbers of {name} must be stored without compression")
        if info.file_size != storage.count * dtype.itemsize:
            raise ValueError(
                f"{name} must have {storage.count} numbers of {storage.kind}, not "
                f"{info.file_size} bytes"
            )
        numbers = np.frombuffer(self.archive.read(file), dtype)
        if storage.kind == "BFloat16Storage":
            return (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers


def _strided(name: str, numbers: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """Return the view of a storage that a tensor is."""
    shape, strides = tensor.shape, tensor.strides
    if len(shape) != len(strides):
        raise ValueError(f"{name} must have a stride for each of its dimensions")
    count = math.prod(shape)  # Python's integers, which cannot overflow for any shape in a file
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if count and (tensor.offset + last >= len(numbers) or count > len(numbers)):
        raise ValueError(
            f"{name} of shape {list(shape)} must lie within its {len(numbers)} numbers"
        )
    if not count:
        return np.zeros(0, numbers.dtype).reshape(shape)
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :],
        shape,
        tuple(step * numbers.itemsize for step in strides),
        writeable=False,
    )


def _state_dict(value: object) -> dict[str, _Tensor]:
    """Return the state dict that a value is or has as its only one."""
    if not isinstance(value, dict):
        raise ValueError(f"it must hold a state dict, not {_kind(value)}")
    own = _tensors(value)
    if own:
        return own
    within = {key: _tensors(entry) for key, entry in value.items() if isinstance(entry, dict)}
    found = {str(key): tensors for key, tensors in within.items() if tensors}
    if len(found) != 1:
        which = f"{len(found)}: {', '.join(sorted(found))[:80]}" if found else "none"
        raise ValueError(f"it must hold one state dict of tensors, and holds {which}")
    return next(iter(found.values()))


def _tensors(entries: Mapping[object, object]) -> dict[str, _Tensor] | None:
    """Return a dict of names and tensors, None for another one."""
    if not entries or not all(isinstance(entry, _Tensor) for entry in entries.values()):
        return None
    return {str(name): entry for name, entry in entries.items() if isinstance(entry, _Tensor)}


def _kind(value: object) -> str:
    return "a tensor" if isinstance(value, _Tensor) else f"a {type(value).__name__}"


def _unpickled(data: bytes) -> object:
    """Return the value of a pickle of dicts, lists, numbers, texts and tensors."""
    machine = _Machine()
    for count, (code, argument, _) in enumerate(pickletools.genops(data)):
        if code.name == "STOP":
            return machine.result()
        if count == _MAX_INSTRUCTIONS:
            raise ValueError(f"its pickle must have at most {_MAX_INSTRUCTIONS} instructions")
        machine.step(code.name, argument)
    raise ValueError("its pickle must end with STOP")


class _Machine:
    """A machine for pickles that knows no function but those of a tensor."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> object:
        """Return the value on the stack."""
        if len(self._stack) != 1:
            raise ValueError("its pickle must leave one value")
        return self._stack[0]

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        stack = self._stack
        if name in _IGNORED:
            return
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[int(argument)] = self._top()
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            if int(argument) not in self._memo:
                raise ValueError("its pickle refers to a value that it does not have")
            stack.append(self._memo[int(argument)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(self._name(argument))
        elif name in _ACTIONS:
            _ACTIONS[name](self)
        else:
            raise ValueError(f"its pickle must describe tensors alone, and has {name}")

    def _name(self, argument: str | None) -> _Name:
        if argument is None:
            name, module = self._pop(), self._pop()
        else:
            module, _, name = argument.partition(" ")
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("its pickle must name functions by texts")
        known = (module, name) in (_ORDERED_DICT, _TENSOR, _PARAMETER)
        if known or (module == "torch" and name.endswith("Storage")):
            return _Name(module, name)
        raise ValueError(
            f"it must hold a state dict alone, and asks for {f'{module}.{name}'[:80]}: save "
            "model.state_dict()"
        )

    def pop_to_mark(self) -> list[Any]:
        """Return the values above the last mark."""
        values: list[Any] = []
        while True:
            value = self._pop()
            if isinstance(value, _Mark):
                return values[::-1]
            values.append(value)

    def tuple_of(self, count: int) -> None:
        """Make a tuple of the last values."""
        values = [self._pop() for _ in range(count)][::-1]
        self._stack.append(tuple(values))

    def tuple_to_mark(self) -> None:
        """Make a tuple of the values above the mark."""
        values = self.pop_to_mark()
        self._stack.append(tuple(values))

    def set_items(self, pairs: list[Any]) -> None:
        """Add keys and values to the dict on the stack."""
        target = self._top()
        if not isinstance(target, dict) or len(pairs) % 2:
            raise ValueError("its pickle must set the items of a dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str | int | float | bool | None):
                raise ValueError("its pickle must have dicts with texts as keys")
            target[key] = value

    def set_item(self) -> None:
        """Add one key and value to the dict on the stack."""
        value, key = self._pop(), self._pop()
        self.set_items([key, value])

    def set_items_to_mark(self) -> None:
        """Add the keys and values above the mark to the dict below it."""
        self.set_items(self.pop_to_mark())

    def append(self, values: list[Any]) -> None:
        """Add values to the list on the stack."""
        target = self._top()
        if not isinstance(target, list):
            raise ValueError("its pickle must append to a list")
        target.extend(values)

    def append_one(self) -> None:
        """Add one value to the list on the stack."""
        self.append([self._pop()])

    def append_to_mark(self) -> None:
        """Add the values above the mark to the list below it."""
        self.append(self.pop_to_mark())

    def build(self) -> None:
        """Drop the attributes of an OrderedDict: versions of the modules."""
        self._pop()
        if not isinstance(self._top(), dict):
            raise ValueError("its pickle must set attributes of a state dict alone")

    def reduce(self) -> None:
        """Recognize a call that describes a dict, a tensor or a parameter."""
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError("its pickle must describe tensors alone")
        if function.pair == _ORDERED_DICT and arguments == ():
            self._stack.append({})
        elif function.pair == _TENSOR and len(arguments) >= 4:
            self._stack.append(_tensor(*arguments[:4]))
        elif function.pair == _PARAMETER and arguments and isinstance(arguments[0], _Tensor):
            self._stack.append(arguments[0])
        else:
            raise ValueError(f"its pickle must describe tensors alone, and calls {function.name}")

    def persistent(self) -> None:
        """Recognize the identifier of a storage: ("storage", type, key, device, count)."""
        given = self._pop()
        if not (
            isinstance(given, tuple)
            and len(given) == 5
            and given[0] == "storage"
            and isinstance(given[1], _Name)
            and isinstance(given[2], str)
            and _is_count(given[4])
        ):
            raise ValueError("its pickle must refer to storages of tensors alone")
        self._stack.append(_Storage(given[1].name, given[2], given[4]))

    def _pop(self) -> Any:
        if not self._stack:
            raise ValueError("its pickle takes a value that it does not have")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise ValueError("its pickle takes a value that it does not have")
        return self._stack[-1]


def _tensor(storage: object, offset: object, shape: object, strides: object) -> _Tensor:
    sizes = (shape, strides)
    if (
        not isinstance(storage, _Storage)
        or not _is_count(offset)
        or not all(isinstance(one, tuple) and len(one) <= _MAX_DIMENSIONS for one in sizes)
        or not all(_is_count(n) for one in sizes for n in one)  # type: ignore[attr-defined]
    ):
        raise ValueError("its pickle must describe tensors by a storage, an offset and a shape")
    return _Tensor(storage, offset, shape, strides)  # type: ignore[arg-type]


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


_IGNORED: Final = frozenset({"PROTO", "FRAME"})
_CONSTANTS: Final[dict[str, Callable[[], object]]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_LITERALS: Final = frozenset(
    {
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"),
        *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG"),
        *("BINFLOAT", "FLOAT"),
    }
)
_ACTIONS: Final[dict[str, Callable[[_Machine], None]]] = {
    "TUPLE": _Machine.tuple_to_mark,
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items_to_mark,
    "APPEND": _Machine.append_one,
    "APPENDS": _Machine.append_to_mark,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
