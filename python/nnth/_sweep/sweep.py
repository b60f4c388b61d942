"""A computation over a grid of its parameters."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np

from nnth._tables.table import Column, Meta, Table

SEED_BITS: Final = 53  # whole numbers that doubles hold, for whoever reads seeds as such


def sweep(
    function: Callable[..., Table],
    vary: Mapping[str, Sequence[Any]],
    *,
    together: Sequence[Sequence[str]] = (),
    seed: int = 0,
    jobs: int = 0,
    **fixed: Any,
) -> Table:
    """Return the rows of a function of this package at each point of a grid.

    function: returns a Table, as `nnth.kernel` and `nnth.paths`.
    vary: values of parameters; the last one varies fastest.
    together: names of parameters that step together rather than each with all values of the others.
    seed: of the sweep. A point's own is `point_seed(seed, parameters)`, if the function has one and
        it is not given: it depends on the point's parameters and not on the grid around it.
    jobs: worker processes, 0 for this one; the rows are the same. The function must be importable,
        and the script that calls this needs `if __name__ == "__main__":`.
    fixed: further arguments of the function, the same everywhere.

    Returns a Table: parameters that vary, where the function's own columns do not say them; the
    function's columns; those of its record that vary as well. Rows are in order of the grid.

    Raises ValueError for names that are given twice, for sequences of unequal length that step
    together, and for results that do not have the same columns; RuntimeError where a worker process
    was killed twice at one point; and what the function raises.
    """
    for name in vary:
        if name in fixed:
            raise ValueError(f"{name} must not be given where it is varied")
    points = [{**fixed, **point} for point in grid(vary, together)]
    if "seed" not in vary and "seed" not in fixed and _has_seed(function):
        for point in points:
            point["seed"] = point_seed(seed, point)
    from nnth._sweep.workers import Lost, in_processes  # imports multiprocessing

    work = partial(_call, function)
    tables: list[Table | None] = [None] * len(points)
    if jobs == 0:
        for i, point in enumerate(points):
            tables[i] = work((i, point))
    else:
        for (i, point), result in in_processes(work, list(enumerate(points)), jobs):
            if isinstance(result, Lost):
                raise RuntimeError(f"the point {point} was lost: {result.reason}")
            tables[i] = result
    found = [table for table in tables if table is not None]
    return stacked(found, [{name: point[name] for name in vary} for point in points])


def grid(
    vary: Mapping[str, Sequence[Any]], together: Sequence[Sequence[str]] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the points of a grid, the last parameter varying fastest.

    Raises ValueError for a parameter without values, and for those that should step together and
    are not varied, are there twice or have unequal numbers of values.
    """
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in vary}
    seen: set[str] = set()
    for names in together:
        for name in names:
            if name not in vary:
                raise ValueError(f"{name} must be varied, to step together with others")
            if name in seen:
                raise ValueError(f"{name} must step together with others once, not twice")
            seen.add(name)
        lengths = {name: len(vary[name]) for name in names}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(f"what steps together must have one number of values, not {said}")
        first = min(names, key=list(vary).index)
        for name in names:
            del groups[name]
        groups[first] = tuple(sorted(names, key=list(vary).index))
    for name, values in vary.items():
        if not len(values):
            raise ValueError(f"{name} must have values to be varied, not none")
    order = sorted(groups.values(), key=lambda names: list(vary).index(names[0]))
    steps = [list(zip(*(vary[name] for name in names), strict=True)) for names in order]
    for chosen in product(*steps):
        pairs = (
            pair
            for names, values in zip(order, chosen, strict=True)
            for pair in zip(names, values, strict=True)
        )
        point = dict(pairs)
        yield {name: point[name] for name in vary}


def point_seed(seed: int, parameters: Mapping[str, Any]) -> int:
    """Return the seed of a point, in [0, 2^53): a hash of the sweep's seed and its parameters."""
    digest = hashlib.sha256(identity([seed, parameters]).encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - SEED_BITS)


def identity(value: Any) -> str:
    """Return a text that is the same for the same parameters, in any order of their names."""
    return json.dumps(value, sort_keys=True, default=_plain)


def stacked(tables: Sequence[Table], points: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows of all tables, with the parameters of the point of each.

    What a record says in all rows alike stays a parameter; the rest become columns.
    """
    names = tables[0].record_columns
    for table in tables:
        if set(table.record_columns) != set(names):
            odd = ", ".join(sorted(set(table.record_columns) ^ set(names)))
            raise ValueError(f"points must give the same columns, and not all have {odd}")
    columns: dict[str, Column] = {}
    same: dict[str, Any] = {}
    for name in (name for name in points[0] if name not in names):
        values = [_cell(point[name]) for point in points]
        columns[name] = _repeated(values, tables)
    for name in names:
        if all(name in table for table in tables):
            columns[name] = np.concatenate([table[name] for table in tables])
            continue
        values = [table.constants.get(name) for table in tables]
        if all(
            name in table.constants and value == values[0]
            for table, value in zip(tables, values, strict=True)
        ):
            same[name] = values[0]
        else:
            columns[name] = _repeated([_cell(value) for value in values], tables)
    meta = tables[0].meta
    seed = same.pop("seed", None)
    version = same.pop("version", meta.version)
    return Table(columns, Meta(meta.command, same, seed=seed, version=version))


def _call(function: Callable[..., Table], point: tuple[int, dict[str, Any]]) -> Table:
    return function(**point[1])


def _has_seed(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    return "seed" in parameters or inspect.Parameter.VAR_KEYWORD in kinds


def _repeated(values: list[Any], tables: Sequence[Table]) -> Column:
    if None in values:  # not given: a number there is none of, or no text
        text = any(isinstance(value, str) for value in values)
        values = [("" if text else np.nan) if value is None else value for value in values]
    return np.repeat(np.array(values), [table.num_rows for table in tables])


def _cell(value: Any) -> Any:
    """Return a value as a column holds it: vectors are text."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
