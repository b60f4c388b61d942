"""Convert samples to JSON and back, to the last bit, for the parts of a sweep and checkpoints.

The values may be dataclasses of this package, lists, tuples, dicts with text keys, arrays of
numbers, texts, numbers, bools and None. Reading runs no code but dataclasses of `nnth`.
"""

from __future__ import annotations

import base64
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np


def as_json(value: Any) -> Any:
    """Return a value in the types that `json.dumps` writes.

    Raises:
        TypeError: If the value has another type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [as_json(item) for item in value]}
    if type(value) is dict:  # a Table is a dict too, and would lose its meta
        return {"dict": {str(key): as_json(item) for key, item in value.items()}}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": data, "dtype": value.dtype.str, "shape": list(value.shape)}
    kind = type(value)
    if is_dataclass(kind) and _is_ours(kind.__module__):
        content = {item.name: as_json(getattr(value, item.name)) for item in fields(kind)}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": content}
    raise TypeError(f"a {kind.__name__} cannot be kept as JSON")


def from_json(value: Any) -> Any:
    """Return the value that `as_json` converted.

    Raises:
        ValueError: If `value` does not come from `as_json`.
    """
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(from_json(item) for item in value["tuple"])
    if "dict" in value:
        return {key: from_json(item) for key, item in value["dict"].items()}
    if "array" in value:
        data = base64.b64decode(value["array"])
        return np.frombuffer(data, np.dtype(value["dtype"])).reshape(value["shape"]).copy()
    module, _, name = str(value.get("class", "")).partition(":")
    try:
        kind = getattr(import_module(module), name, None) if _is_ours(module) else None
    except ModuleNotFoundError:
        kind = None
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise ValueError(f"state must be made of dataclasses of nnth, not {module}:{name}")
    return kind(**{key: from_json(item) for key, item in value["fields"].items()})


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "nnth"
