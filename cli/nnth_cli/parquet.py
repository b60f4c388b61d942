"""A Table as a Parquet file, read back by pandas, polars, DuckDB and R with types and all."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from nnth.table import Table


def write_parquet(table: Table, stream: BinaryIO) -> None:
    """Writes the columns of the CSV with their types; a vector is a list, None is null."""
    columns = {name: pa.array(table[name]) for name in table}
    for name, value in table.constants.items():
        kind = pa.int64() if name == "seed" else None
        item = list(value) if isinstance(value, tuple) else value
        columns[name] = pa.array([item] * len(table), type=kind)
    pq.write_table(pa.table(columns), stream)
