"""A Table as a Parquet file, read back by pandas, polars, DuckDB and R with types and all."""

from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from nnth._tables.table import Table


def write_parquet(table: Table, stream: BinaryIO, columns: Sequence[str] | None = None) -> None:
    """Writes the columns of the CSV with their types; a vector is a list, None is null."""
    found = {}
    for name in table.record_columns if columns is None else columns:
        if name in table:
            found[name] = pa.array(table[name])
            continue
        value = table.constants[name]
        kind = pa.int64() if name == "seed" else None
        item = list(value) if isinstance(value, tuple) else value
        found[name] = pa.array([item] * table.num_rows, type=kind)
    pq.write_table(pa.table(found), stream)
