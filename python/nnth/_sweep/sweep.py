"""Computations over a grid of parameters."""

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

SEED_BITS: Final = 53  # integers below 2^53 are exact as doubles, in programs that read them so


def sweep(
    function: Callable[..., Table],
    vary: Mapping[str, Sequence[Any]],
    options: Mapping[str, Any] | None = None,
    *,
    zip: Sequence[Sequence[str]] = (),
    sweep_seed: int = 0,
    jobs: int = 0,
) -> Table:
    """Return the rows of a function of this package at each point of a grid of its arguments.

    Args:
        function: A function that returns a Table, as `nnth.kernel`.
        vary: Values of the arguments that vary, by name; the last argument varies fastest.
        options: Further arguments of the function, the same at all points.
        zip: Groups of names of varied arguments that step together, the first value with the first.
        sweep_seed: Seed of the sweep. If the function has an argument seed that is not given, the
            seed of a point is a hash of sweep_seed and the arguments of the point, so that it does
            not depend on the rest of the grid.
        jobs: Number of worker processes, 0 for this process; the rows are the same. With workers
            the function must be importable, and a script needs `if __name__ == "__main__":`.

    Returns:
        A Table in the order of the grid: varied arguments that are not columns of the function,
        then its columns, then parameters of its record that differ between points.

    Raises:
        ValueError: If an argument is both given and varied, zipped arguments have unequal numbers
            of values, or the tables have different columns.
        RuntimeError: If a worker process was killed twice at one point.

    Errors of the function are raised as they are. Cost: that of the function at each point; worker
    processes take about a second to start.

    Example:
        >>> vary = {"act": ["relu", "erf"], "rho": [0.1, 0.2]}
        >>> grid = nnth.sweep(nnth.kernel, vary, {"depth": 2})
        >>> grid.num_rows, grid["rho"].tolist()[:6]  # three layers at each point
        (12, [0.1, 0.1, 0.1, 0.2, 0.2, 0.2])
        >>> nnth.sweep(
        ...     nnth.kernel, {"act": ["relu", "erf"], "depth": [1, 2]}, zip=[["act", "depth"]]
        ... )["layer"].tolist()
        [1, 2, 1, 2, 3]
    """
    options = options or {}
    for name in vary:
        if name in options:
            raise ValueError(f"{name} must not be given where it is varied")
    points = [{**options, **point} for point in grid(vary, zip)]
    if "seed" not in vary and "seed" not in options and _has_seed(function):
        for point in points:
            point["seed"] = point_seed(sweep_seed, point)
    from nnth._runtime.workers import Lost, in_processes  # imports multiprocessing

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

    `together` are groups of parameters that step together. Raises ValueError for a parameter
    without values, and for a group whose parameters are not varied, are repeated, or have unequal
    numbers of values.
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
            numbers = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(
                f"options that step together must have equal numbers of values, not {numbers}"
            )
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
    """Return the seed of a point, a hash in [0, 2^53) of the sweep's seed and the parameters."""
    digest = hashlib.sha256(identity([seed, parameters]).encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - SEED_BITS)


def identity(value: Any) -> str:
    """Return a text that identifies parameters, whatever the order of their names."""
    return json.dumps(value, sort_keys=True, default=_plain)


def stacked(tables: Sequence[Table], points: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows of all tables, with the parameters of their points.

    Record columns with one value in all tables stay parameters; the others become columns.
    """
    names = tables[0].record_columns
    for table in tables:
        if set(table.record_columns) != set(names):
            odd = ", ".join(sorted(set(table.record_columns) ^ set(names)))
            raise ValueError(f"points must have the same columns, but not all have {odd}")
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
    if None in values:  # options that are not given become NaN, or an empty text
        text = any(isinstance(value, str) for value in values)
        values = [("" if text else np.nan) if value is None else value for value in values]
    return np.repeat(np.array(values), [table.num_rows for table in tables])


def _cell(value: Any) -> Any:
    """Return a value for a column; vectors become text."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
