"""Write a Table to a Parquet file, which pandas, polars, DuckDB and R read with its types."""

from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from nnth._tables.table import Table


def write_parquet(table: Table, stream: BinaryIO, columns: Sequence[str] | None = None) -> None:
    """Write the columns of the CSV with their types; a vector becomes a list, None null."""
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
