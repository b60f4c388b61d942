"""The values of a sweep, and its file after a kill and with other sweeps."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth._tables.table import Meta, Table
from nnth_cli.sweep.journal import Journal, OtherColumnsError
from nnth_cli.sweep.locks import SweepBusyError, sweep_of
from nnth_cli.sweep.parts import Parts
from nnth_cli.sweep.plan import read_plan
from nnth_cli.sweep.points import Options, Point, points_of
from nnth_cli.values import parse_values

OPTIONS = ("act", "depth", "width")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("16,32", ["16", "32"]),
        ("0:4", ["0", "1", "2", "3"]),
        ("0:1:0.25", ["0", "0.25", "0.5", "0.75"]),
        ("0:0.5:0.1", ["0", "0.1", "0.2", "0.3", "0.4"]),  # exact, unlike 3*0.1
        ("3:0:-1", ["3", "2", "1"]),
        ("-1:1", ["-1", "0"]),
        ("1e3:3e3:1e3", ["1000", "2000"]),
        ("1,4:6,9", ["1", "4", "5", "9"]),
        ("log:1:1000:4", ["1", "10", "100", "1000"]),
        ("log:1:8:3", ["1", "2.82842712475", "8"]),
        ("log:100:1:3", ["100", "10", "1"]),
        ("leaky_relu:0.1,elu:1", ["leaky_relu:0.1", "elu:1"]),
        ("1,0;0,1", ["1,0", "0,1"]),
        ("where(z > 0, z, 0);", ["where(z > 0, z, 0)"]),
        ("", [""]),
    ],
)
def test_values_are_read(text: str, values: list[str]) -> None:
    assert parse_values("x", text, whole=False) == values


def test_log_ranges_of_whole_numbers_are_rounded_and_differ() -> None:
    assert parse_values("n", "log:1:10:6", whole=True) == ["1", "2", "3", "4", "6", "10"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5:5", "the range 5:5 has no values"),
        ("5:1", "the range 5:1 has no values"),
        ("0:1:0", "the step of a range must not be 0"),
        ("log:0:1:3", "the ends of a log range must be above 0"),
        ("log:1:2:1", "a log range must have at least 2 values"),
        ("0:1e9", "at most 10000000 values, not 1000000000"),
    ],
)
def test_ranges_without_values_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_values("x", text, whole=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("command =", "Invalid value"),
        ("vary = {}", "command must be the name"),
        ("command = 'kernel'\nvaried = 1", "there is no 'varied' in a sweep"),
        ("command = 'kernel'\nvary = 3", "vary must be a table"),
        ("command = 'kernel'\nvary.depth = 3", "vary.depth must be a list"),
        ("command = 'kernel'\nzip = ['a']", "zip must be lists of names"),
        ("command = 'kernel'\noutput = 1", "output must be the name of a file"),
        ("command = 'kernel'\noptions.x_a = 2020-01-01", "x_a must be a number"),
    ],
)
def test_bad_sweep_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"grid\.toml: .*{message}"):
        read_plan(path)


def test_sweep_files_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"grid\.toml: "):
        read_plan(tmp_path / "grid.toml")


# Points.


def test_the_key_of_a_point_identifies_its_computation() -> None:
    options = Options("paths moments")

    def key(**raw: Any) -> str:
        return options.point(raw, 0).key

    assert key(width="16") == key(width="016")
    assert key(width="16", samples="100") == key(samples="100", width="16")
    assert key(cw="2") if "cw" in options.names else True
    assert key(width="16", exact="false") == key(width="16")  # the default value
    assert len({key(width="16"), key(width="17"), key(depth="16"), key(width="16", seed="0")}) == 4
    assert (
        options.point({"width": "16"}, 0).given["seed"]
        != options.point({"width": "16"}, 1).given["seed"]
    )
    assert options.point({"width": "16", "seed": "7"}, 1).given["seed"] == 7


def test_the_grid_around_a_point_does_not_change_it() -> None:
    options = Options("paths moments")
    small = points_of(options, {"depth": "3"}, {"width": ["16"]}, [], 0)
    large = points_of(options, {}, {"depth": ["2", "3"], "width": ["8", "16"]}, [], 0)
    assert small[0].key == large[3].key
    assert small[0].given["seed"] == large[3].given["seed"]


def test_repeated_points_are_refused() -> None:
    with pytest.raises(ValueError, match="must not give a point twice, as it does rho"):
        points_of(Options("kernel"), {}, {"rho": ["0.5", "0.50"]}, [], 0)


# The journal.


def point(name: str, **given: Any) -> Point:
    return Point("kernel", f"kernel:{name}", {"act": "relu", **given})


def table(rows: int, *, value: float = 1 / 3, extra: str | None = None) -> Table:
    columns: dict[str, Any] = {"layer": np.arange(rows), "k_ab": [value] * rows}
    if extra is not None:
        columns[extra] = ['x, "y"\nz'] * rows
    return Table(columns, Meta("kernel", {"act": "relu", "depth": rows}))


def journal(path: Path, varied: tuple[str, ...] = ("act", "width")) -> Journal:
    made = Journal(path, "kernel", options=OPTIONS, varied=varied)
    made.refresh()
    return made


def fill(made: Journal, names: str) -> None:
    """Add points a, b, c, ... with 1, 2, 3, ... rows; capital letters are failures."""
    for name in names:
        at = point(name, width=ord(name) % 32)
        if name.isupper():
            made.add_failure(at, f"it is {name},\nno more")
        else:
            made.add(at, table(at.given["width"], extra="note"))
    made.close()


def records(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as stream:
        if path.suffix == ".csv":
            return list(csv.DictReader(stream))
        return [json.loads(line) for line in stream]


@pytest.fixture(params=["runs.csv", "runs.jsonl"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def test_rows_are_the_commands_with_marks(path: Path) -> None:
    fill(journal(path), "bC")
    rows = records(path)
    assert list(rows[0]) == [
        "layer",
        "k_ab",
        "note",
        "act",
        "depth",
        "seed",
        "version",
        "width",
        "sweep_point",
        "point_rows",
        "failure",
    ]
    assert [row["sweep_point"] for row in rows] == ["kernel:b"] * 2 + ["kernel:C"]
    assert float(rows[0]["k_ab"]) == 1 / 3
    assert [str(row["point_rows"]) for row in rows] == ["2", "2", "1"]
    assert [row["failure"] or "" for row in rows] == ["", "", "it is C, no more"]
    assert str(rows[2]["width"]) == "3"


def test_a_file_cut_anywhere_keeps_complete_points(path: Path) -> None:
    """A kill may cut a write anywhere."""
    fill(journal(path), "abCd")
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1 if path.suffix == ".csv" else 0
    seen = set()
    for size in range(header, len(whole), 2 if path.suffix == ".csv" else 9):
        path.write_bytes(whole[:size])
        again = journal(path)
        kept = "".join(name for name in "abCd" if point(name) in again)
        assert "abCd".startswith(kept)
        seen.add(kept)
        assert whole.startswith(path.read_bytes())
        fill(again, "abCd")
        assert path.read_bytes() == whole
    assert seen == {"", "a", "ab", "abC"}
    assert list(path.parent.iterdir()) == [path]


def test_failures_before_any_table_get_its_columns(path: Path) -> None:
    fill(journal(path), "AB")
    assert [row["failure"] for row in records(path)] == ["it is A, no more", "it is B, no more"]
    fill(journal(path), "c")
    late = path.read_bytes()
    path.unlink()
    fill(journal(path), "cAB")
    assert sorted(late.splitlines()) == sorted(path.read_bytes().splitlines())


@pytest.mark.parametrize("names", ["AB", "AbC", "b"])
def test_failures_are_dropped_to_be_tried_again(path: Path, names: str) -> None:
    fill(journal(path), names)
    made = journal(path)
    made.drop_failures()
    assert made.failed == set()
    fill(made, names.lower())
    assert {row["sweep_point"] for row in records(path)} == {
        f"kernel:{name}" for name in names.lower()
    }
    assert not any(row["failure"] for row in records(path))


def test_two_writers_see_each_others_points(path: Path) -> None:
    one, two = journal(path), journal(path)
    fill(one, "A")
    fill(two, "Ab")
    fill(one, "bcA")
    fill(two, "cd")
    assert len(records(path)) == 1 + 2 + 3 + 4
    assert journal(path).done == {"kernel:b", "kernel:c", "kernel:d"}


def test_tables_of_other_columns_are_refused_and_of_another_order_sorted(path: Path) -> None:
    made = journal(path)
    made.add(point("a", width=1), table(2))
    with pytest.raises(OtherColumnsError, match=r"are not those of .*: it has note"):
        made.add(point("b", width=1), table(2, extra="note"))
    turned = Table({"k_ab": [0.5], "layer": [7]}, Meta("kernel", {"depth": 1, "act": "a,b"}))
    made.add(point("c", width=2), turned)
    made.close()
    last = records(path)[-1]
    assert (str(last["layer"]), float(last["k_ab"]), last["act"]) == ("7", 0.5, "a,b")


def overwrite(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


FOREIGN = {
    "other.csv": ("layer,k_ab\n1,2\n", "it has no sweep_point, point_rows, failure"),
    "note.csv": ("a line without an end", "it has no sweep_point"),
    "regions.csv": (
        "n,version,width,sweep_point,point_rows,failure\n1,0,2,regions:a,1,\n",
        "it has points of regions",
    ),
    "varied.csv": (
        "n,version,sweep_point,point_rows,failure\n",
        "it has no column width, which is",
    ),
    "middle.csv": (
        "n,version,width,act,sweep_point,point_rows,failure\n"
        "1,0,2,a,kernel:a,2,\n1,0,2,b,kernel:b,1,\n",
        "it has 1 of the 2 rows of point kernel:a",
    ),
    "other.jsonl": ('{"a": 1}\n', "a line of it is not a record of a sweep"),
    "note.jsonl": ("text\n", "a line of it is not a record of a sweep"),
    "text.jsonl": ("text", "its only line is incomplete"),
    "record.jsonl": ('{"a": 1}', "its only line is incomplete"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_files_are_refused_and_kept(name: str, tmp_path: Path) -> None:
    text, message = FOREIGN[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(
        ValueError, match=f"must be new or of a sweep of kernel like this: {message}"
    ):
        journal(tmp_path / name, ("width",))
    assert (tmp_path / name).read_text() == text


def test_an_empty_file_and_a_link_are_accepted(path: Path) -> None:
    target = path.with_name(f"target{path.suffix}")
    target.touch()
    path.symlink_to(target)
    fill(journal(path), "Ab")
    assert path.is_symlink()
    assert len(records(target)) == 3


# Parts and locks.


def test_parts_are_kept_until_all_are_complete(tmp_path: Path) -> None:
    made = Parts(tmp_path / "runs.csv", 2)
    made.refresh()
    made.add(point("a"), 1, [[2.5]])
    other = Parts(tmp_path / "runs.csv", 2)
    other.refresh()
    assert other.has(point("a"), 1)
    assert not other.is_whole(point("a"))
    other.add(point("a"), 0, [[1]])
    made.add(point("a"), 0, [["not taken"]])
    assert made.is_whole(point("a"))
    assert made.drawn(point("a")) == [[[1]], [[2.5]]]
    thirds = Parts(tmp_path / "runs.csv", 3)
    thirds.refresh()
    assert not thirds.has(point("a"), 1)
    made.close()
    whole = other.path.read_bytes()
    other.path.write_bytes(whole[:-3])
    cut = Parts(tmp_path / "runs.csv", 2)
    cut.refresh()
    assert [cut.has(point("a"), index) for index in (0, 1)] == [False, True]
    cut.remove([point("a")])
    assert list(tmp_path.iterdir()) == []


def test_one_sweep_or_many_shards_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    with sweep_of(path, shard=False):
        for shard in (False, True):
            with pytest.raises(SweepBusyError, match="is at work on this file"):
                sweep_of(path, shard=shard).__enter__()
    with (
        sweep_of(path, shard=True),
        sweep_of(path, shard=True),
        pytest.raises(SweepBusyError, match="another sweep is at work"),
    ):
        sweep_of(path, shard=False).__enter__()
    assert list(tmp_path.iterdir()) == []
