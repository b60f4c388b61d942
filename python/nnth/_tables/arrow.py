"""A Table as an Arrow C stream, made by nanoarrow."""

from __future__ import annotations

import json
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream

from nnth._tables.table import Column, Table, in_json


def arrow_stream(table: Table) -> Any:
    """Return a stream of one record batch; the schema's metadata `nnth` is `meta` as JSON."""
    meta = table.meta.as_dict()
    meta["parameters"] = {name: in_json(value) for name, value in meta["parameters"].items()}
    arrays = {name: _arrow_array(column) for name, column in table.items()}
    fields = {name: na.Schema(array.schema) for name, array in arrays.items()}
    schema = na.c_schema(na.struct(fields, nullable=False))
    schema = schema.modify(metadata={"nnth": json.dumps(meta, allow_nan=False)})
    batch = na.c_array_from_buffers(
        schema, table.num_rows, [None], children=arrays.values(), move=True
    )
    return CArrayStream.from_c_arrays([batch], batch.schema)


def _arrow_array(column: Column) -> Any:
    if column.dtype.kind == "U":
        return na.c_array(column.tolist(), na.string())
    if column.dtype.kind == "b":  # a bit each in Arrow, a byte each in NumPy
        return na.c_array_from_buffers(
            na.bool_(), len(column), [None, np.packbits(column, bitorder="little")]
        )
    return na.c_array_from_buffers(getattr(na, column.dtype.name)(), len(column), [None, column])
