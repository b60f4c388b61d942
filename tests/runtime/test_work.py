"""Dry runs, parts of samples, worker processes and grids, on which sweeps are built."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnth
from nnth import Table
from nnth._data.states import as_json, from_json
from nnth._runtime.work import dry_run, from_parts, sample_in_parts, sample_part, validated
from nnth._runtime.workers import Lost, in_processes
from nnth._sweep.sweep import grid, point_seed
from nnth_cli.main import names_of_commands

SAMPLED: dict[str, Callable[[], Table]] = {
    "paths": lambda: nnth.paths(widths="16*3", samples=3000),
    "dense paths": lambda: nnth.paths(widths="8*2", samples=700, mu="laplace"),
    "distribution": lambda: nnth.path_distribution(widths="8", samples=600),
    "two samples": lambda: nnth.path_angles([0.2, -0.3], widths="8", samples=700),
    "gp": lambda: nnth.gp(width=[8, 16], depth=1, samples=700),
    "regions": lambda: nnth.regions(widths="6,6", samples=7),
    "lines": lambda: nnth.regions_along("line", n0=5, widths="6,6", samples=5, lines=4),
    "bounds": lambda: nnth.region_bounds(widths="6,6", samples=3),
}


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("count", [2, 7])
def test_parts_give_the_bits_of_the_whole(name: str, count: int) -> None:
    compute = SAMPLED[name]
    kept = [json.dumps(as_json(sample_part(compute, i, count))) for i in range(count)]
    merged = from_parts(compute, [from_json(json.loads(text)) for text in kept])
    assert merged.to_csv() == compute().to_csv()


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 1000])
def test_parts_are_of_whole_tiles_and_cover_all(samples: int) -> None:
    def compute() -> list[int]:
        return sample_in_parts(lambda first, n: list(range(first, first + n)), samples, tile=256)

    parts = [sample_part(compute, i, 3) for i in range(3)]
    assert from_parts(compute, parts) == list(range(samples)) == compute()
    starts = [drawn[0] for (drawn,) in parts if drawn]
    assert all(start % 256 == 0 for start in starts)
    assert sum(drawn is not None for (drawn,) in parts) == min(3, -(-samples // 256))


def test_a_dry_run_checks_and_does_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnth._core.kernel", None)
    assert dry_run(lambda: nnth.kernel("relu", depth=3)) is None
    assert dry_run(lambda: nnth.paths(samples=2**39)) is None
    assert dry_run(lambda: nnth.regions(widths="5000", samples=10)) is None
    assert dry_run(lambda: nnth.gram(np.eye(3))) is None
    refused: list[tuple[str, Callable[[], Any]]] = [
        ("rho must be within", lambda: nnth.kernel(rho=1.5)),
        ("depth must be at least 1", lambda: nnth.kernel(depth=0)),
        ("norm must be finite", lambda: nnth.kernel(norm=-1.0)),
        ("orders must be even", lambda: nnth.paths(orders=[3])),
        ("n0 must be smaller", lambda: nnth.regions(n0=90, widths="99,99")),
        ("point must have 2 coordinates", lambda: nnth.regions(point=[1.0])),
    ]
    for message, compute in refused:
        with pytest.raises(ValueError, match=message):
            dry_run(compute)


def test_a_dry_run_of_a_computation_without_validated_runs_to_its_end() -> None:
    assert dry_run(lambda: 7) == 7


def test_validated_does_nothing_outside_a_dry_run() -> None:
    validated()


@dataclass
class _Foreign:
    value: int


def test_states_are_read_back_to_the_bit() -> None:
    state = {
        "floats": np.array([[1 / 3, np.nan, -0.0]]),
        "whole": 2**70,
        "none": None,
        "tuple": (1, [2.5, "x", True]),
        "counts": nnth.count_regions(nnth.random_network(2, (4,))),
    }
    back = from_json(json.loads(json.dumps(as_json(state))))
    assert back["floats"].tobytes() == state["floats"].tobytes()  # type: ignore[attr-defined]
    del back["floats"], state["floats"]
    assert back == state


def test_states_hold_dataclasses_of_this_package_only() -> None:
    with pytest.raises(TypeError, match="a _Foreign cannot be kept"):
        as_json(_Foreign(1))
    with pytest.raises(TypeError, match="a Table cannot be kept"):
        as_json(nnth.kernel("relu", depth=1))
    with pytest.raises(ValueError, match="must be made of dataclasses of nnth, not os:system"):
        from_json({"class": "os:system", "fields": {}})
    for module in ("nnth._tables.table", "nnth.of_another_version"):
        with pytest.raises(ValueError, match=rf"not {module}:in_csv"):
            from_json({"class": f"{module}:in_csv", "fields": {}})


# Worker processes.


def square(x: int) -> int:
    return x * x


def square_or_die(task: tuple[int, str]) -> int:
    """Kill the worker at 3, the first time or every time."""
    x, once = task
    if x == 3 and (not once or not Path(once).exists()):
        if once:
            Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


def refuse(x: int) -> int:
    raise ValueError(f"x must not be {x}")


def test_workers_compute_all_tasks() -> None:
    assert sorted(in_processes(square, range(7), 2)) == [(x, x * x) for x in range(7)]
    assert list(in_processes(square, [], 2)) == []


@pytest.mark.subprocess
def test_a_task_whose_worker_is_killed_is_tried_again(tmp_path: Path) -> None:
    tasks = [(x, str(tmp_path / "once")) for x in range(5)]
    assert sorted(x for _, x in in_processes(square_or_die, tasks, 2)) == [0, 1, 4, 9, 16]


@pytest.mark.subprocess
def test_a_task_whose_workers_are_killed_twice_is_lost_alone() -> None:
    results = {
        x: found for (x, _), found in in_processes(square_or_die, [(x, "") for x in range(5)], 2)
    }
    lost = results.pop(3)
    assert lost == Lost("its process was ended by SIGKILL, twice")
    assert results == {x: x * x for x in (0, 1, 2, 4)}


def test_an_exception_of_the_work_is_raised_and_workers_end() -> None:
    with pytest.raises(ValueError, match="x must not be 5"):
        list(in_processes(refuse, [5], 1))
    with pytest.raises(ValueError, match="jobs must be at least 1, not 0"):
        list(in_processes(square, [5], 0))


# Grids.


def test_the_last_parameter_varies_fastest_and_some_step_together() -> None:
    assert list(grid({"a": [1, 2], "b": "xy"})) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    points = list(grid({"a": [1, 2], "b": "xy", "c": [3, 4]}, [["c", "a"]]))
    assert points == [
        {"a": 1, "b": "x", "c": 3},
        {"a": 1, "b": "y", "c": 3},
        {"a": 2, "b": "x", "c": 4},
        {"a": 2, "b": "y", "c": 4},
    ]
    assert list(grid({})) == [{}]


@pytest.mark.parametrize(
    ("together", "message"),
    [
        ([["a", "b"]], "equal numbers of values, not a 2, b 3"),
        ([["a", "d"]], "d must be varied"),
        ([["a", "c"], ["c"]], "c must step together with others once"),
    ],
)
def test_parameters_that_cannot_step_together_are_refused(
    together: Sequence[Sequence[str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        list(grid({"a": [1, 2], "b": [1, 2, 3], "c": [1, 2]}, together))
    with pytest.raises(ValueError, match="a must have values"):
        list(grid({"a": []}))


def test_the_seed_of_a_point_does_not_depend_on_the_order_of_its_parameters() -> None:
    seed = point_seed(0, {"a": 1, "b": (2.5, "x")})
    assert seed == point_seed(0, {"b": [2.5, "x"], "a": 1})
    others = {point_seed(s, {"a": a, "b": [2.5, "x"]}) for s in range(40) for a in range(50)}
    assert len(others) == 2000
    assert all(0 <= other < 2**53 for other in others)
    # These values never change: later versions resume the files of sweeps.
    assert point_seed(0, {"width": 16}) == PINNED


PINNED = 7766329903498052


def test_a_sweep_of_a_function() -> None:
    table = nnth.sweep(nnth.kernel, {"act": ["relu", "erf"], "rho": [0.1, 0.2]}, {"depth": 2})
    assert table.num_rows == 12
    assert table["rho"].tolist() == ([0.1] * 3 + [0.2] * 3) * 2
    row = nnth.kernel("erf", rho=0.2, depth=2)
    assert table["k_ab"][-3:].tolist() == row["k_ab"].tolist()
    assert table.meta.parameters["depth"] == 2
    assert "version" in table.to_csv().partition("\n")[0]


def test_a_sweep_gives_each_point_its_seed() -> None:
    vary = {"widths": ["8", "8*2"], "n0": [1, 2]}
    shape: Any = {"samples": 300, "quantities": ["dzdx"], "orders": [2]}
    table = nnth.sweep(nnth.paths, vary, shape)
    assert len(set(table["seed"].tolist())) == 4
    again = nnth.sweep(nnth.paths, {"n0": [2], "widths": ["8"]}, shape, jobs=1)
    assert again["mean"].tolist() == table["mean"][1:2].tolist()
    as_given = nnth.sweep(nnth.paths, vary, shape, sweep_seed=3)
    assert set(as_given["seed"].tolist()).isdisjoint(table["seed"].tolist())
    with pytest.raises(ValueError, match="samples must not be given where it is varied"):
        nnth.sweep(nnth.paths, {"samples": [1]}, {"samples": 2})


# The arguments that commands require; commands that compute nothing themselves are left out.
NO_MARK = {"sweep", "lectures", "mup networks"}  # the last one needs two files for each network
NEEDED: dict[str, dict[str, str]] = {
    "gp": {"samples": "0"},
    "mp": {"samples": "0"},
}


@pytest.mark.parametrize("command", sorted({*names_of_commands()} - NO_MARK))
def test_commands_mark_where_their_checks_end(command: str) -> None:
    from nnth_cli.sweep.points import Options, check_points

    point = Options(command).point(NEEDED.get(command, {}), 0)
    seen: list[str] = []

    def points() -> Iterator[Any]:
        for _ in range(2):  # the second is a dry run if the first has reached `validated`
            seen.append(command)
            yield point

    check_points(points())
    assert len(seen) == 2
