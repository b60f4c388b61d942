"""Destinations of tables: files written as a whole, rows added under a lock, printed tables."""

import csv
import itertools
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth._data.saving import replaced, save_arrays
from nnth._tables.plot import Plot, Series
from nnth._tables.table import Meta, Table
from nnth_cli.files import append_rows
from nnth_cli.output import Destination, write_table

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks and permissions")


@pytest.fixture
def table() -> Table:
    columns: dict[str, Any] = {"layer": [1, 2], "corr": [0.5, 1 / 3], "status": ["ok", "a,b"]}
    return Table(columns, Meta("kernel", {"act": "relu", "cb": None, "x": (1.0, 2.0)}, seed=3))


def wide(columns: int = 13, rows: int = 3) -> Table:
    data = {f"column_{c}": np.arange(rows) + c / 7 for c in range(columns)}
    return Table({"layer": np.arange(rows), **data}, Meta("kernel", {"act": "relu"}))


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_text_files_hold_the_text_of_the_table(table: Table, tmp_path: Path, suffix: str) -> None:
    write_table(tmp_path / f"t.{suffix}", table)
    assert (tmp_path / f"t.{suffix}").read_text() == getattr(table, f"to_{suffix}")()
    assert len(list(tmp_path.iterdir())) == 1


def test_parquet_keeps_columns_and_types(table: Table, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "t.parquet", table)
    back = pq.read_table(tmp_path / "t.parquet")
    assert tuple(back.column_names) == table.record_columns
    assert back["corr"].to_pylist() == table["corr"].tolist()
    assert back["x"].to_pylist() == [[1.0, 2.0]] * 2
    assert back["cb"].to_pylist() == [None, None]
    assert str(back.schema.field("seed").type) == "int64"


def test_arrays_are_written_as_a_whole(tmp_path: Path) -> None:
    save_arrays(tmp_path / "k.npz", {"nngp": np.eye(2)})
    with np.load(tmp_path / "k.npz") as back:
        assert back["nngp"].tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_chosen_columns_are_written_in_their_order(
    table: Table, tmp_path: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    chosen = ("act", "corr", "x", "cb", "layer", "seed")
    path = tmp_path / f"t.{suffix}"
    Destination(output=path, columns=chosen).deliver(table)
    if suffix == "csv":
        assert path.read_text() == (
            'act,corr,x,cb,layer,seed\nrelu,0.5,"1.0,2.0",,1,3\n'
            'relu,0.3333333333333333,"1.0,2.0",,2,3\n'
        )
        return
    if suffix == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        import pyarrow.parquet as pq

        rows = pq.read_table(path).to_pylist()
    assert [list(row) for row in rows] == [list(chosen)] * 2
    assert list(rows[1].values()) == ["relu", 1 / 3, [1.0, 2.0], None, 2, 3]


def test_chosen_columns_are_shown_in_their_order(
    table: Table, capfd: pytest.CaptureFixture[str]
) -> None:
    Destination(format="table", columns=("seed", "corr", "act")).deliver(table)
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert lines[0] == ["seed", "corr", "act"]
    assert lines[2:4] == [["3", "0.5", "relu"], ["3", "0.333333", "relu"]]


def test_an_unknown_column_is_refused_and_nothing_written(table: Table, tmp_path: Path) -> None:
    for name, hint in (("cor", "did you mean corr"), ("q", "there is layer, corr, status, act")):
        with pytest.raises(ValueError, match=rf"^--columns .* there is no '{name}'; {hint}"):
            Destination(output=tmp_path / "t.csv", columns=("layer", name)).deliver(table)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_chosen_columns_must_be_the_columns_of_the_file_to_append_to(
    table: Table, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"t.{suffix}"
    for _ in range(2):
        Destination(append=path, columns=("corr", "layer")).deliver(table)
    assert len(path.read_text().splitlines()) == (5 if suffix == "csv" else 4)
    with pytest.raises(ValueError, match="must have the columns of the table: it has no act"):
        Destination(append=path, columns=("corr", "layer", "act"))  # before any work
    with pytest.raises(ValueError, match="another order"):
        Destination(append=path, columns=("layer", "corr"))


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    def interrupted() -> None:
        with replaced(path) as stream:
            stream.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_keeps_links_and_permissions(tmp_path: Path) -> None:
    target = tmp_path / "target.csv"
    target.write_text("old")
    target.chmod(0o600)
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    with replaced(link) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("output", "a.txt", "--output must end in .csv, .jsonl or .parquet, not '.*a.txt'"),
        ("output", "a", "--output must end in"),
        ("append", "a.parquet", "--append must end in .csv or .jsonl"),
        ("plot", "a.gif", "--plot must end in .png, .svg or .pdf"),
        ("output", "no/a.csv", "there is no folder .*no"),
        ("append", "folder.csv", "not a regular file"),
        ("output", "locked/a.csv", "no permission to write"),
    ],
)
def test_destinations_are_checked_at_once(
    tmp_path: Path, option: str, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "locked").mkdir()
    # The superuser may write everywhere, so the answer of the system is simulated.
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: "locked" not in str(path) and access(path, mode)
    )
    given: dict[str, Any] = {option: tmp_path / name}
    with pytest.raises(ValueError, match=message):
        Destination(**given)


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("plot", "a.png", r"needs matplotlib: pip install 'nnth\[plot\]'"),
        ("output", "a.parquet", r"needs pyarrow: pip install 'nnth\[parquet\]'"),
    ],
)
def test_missing_extras_are_named_before_work(
    tmp_path: Path, option: str, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnth_cli.output.find_spec", lambda name: None)
    given: dict[str, Any] = {option: tmp_path / name}
    with pytest.raises(ValueError, match=message):
        Destination(**given)


def test_one_file_is_not_both_replaced_and_added_to(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must not both be"):
        Destination(output=tmp_path / "a.csv", append=tmp_path / "a.csv")


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def append(tmp_path: Path, warnings: list[str]) -> Callable[[str, str], str]:
    """Add a row of columns a, b to a file that holds `before`, and return its content."""

    def add(name: str, before: str) -> str:
        path = tmp_path / name
        path.write_text(before)
        row = '{"a": 1, "b": 2}\n' if name.endswith("jsonl") else "1,2\n"
        append_rows(path, row, columns=["a", "b"], warn=warnings.append)
        return path.read_text()

    return add


def test_appending_writes_the_header_once(append: Callable[[str, str], str]) -> None:
    once = append("t.csv", "")
    assert once == "a,b\n1,2\n"
    assert append("t.csv", once) == "a,b\n1,2\n1,2\n"


def test_appending_json_lines_needs_no_header(append: Callable[[str, str], str]) -> None:
    assert append("t.jsonl", '{"a": 0, "b": 0}\n') == '{"a": 0, "b": 0}\n{"a": 1, "b": 2}\n'


@pytest.mark.parametrize(
    ("name", "before", "message"),
    [
        ("t.csv", "a,c\n1,2\n", "it has no b; it has c"),
        ("t.csv", "a\n1\n", "it has no b"),
        ("t.csv", "b,a\n1,2\n", "another order"),
        ("t.csv", "one line of something else", "it has no a, b"),
        ("t.jsonl", '{"a": 1}\n', "it has no b"),
        ("t.jsonl", "not json", "not a JSON object"),
    ],
)
def test_other_columns_are_refused_and_the_file_kept(
    append: Callable[[str, str], str], tmp_path: Path, name: str, before: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        append(name, before)
    assert (tmp_path / name).read_text() == before


@pytest.mark.parametrize(
    ("name", "before", "removed", "after"),
    [
        ("t.csv", "a,b\n5,6\n7", "7", "a,b\n5,6\n1,2\n"),
        ("t.csv", "a,b\n5,6\n7,8", None, "a,b\n5,6\n7,8\n1,2\n"),
        ("t.csv", "a,b", None, "a,b\n1,2\n"),
        (
            "t.jsonl",
            '{"a": 0, "b": 0}\n{"a": 5,',
            '{"a": 5,',
            '{"a": 0, "b": 0}\n{"a": 1, "b": 2}\n',
        ),
        ("t.jsonl", '{"a": 0, "b": 0}', None, '{"a": 0, "b": 0}\n{"a": 1, "b": 2}\n'),
    ],
)
def test_a_last_line_without_newline_is_completed_if_whole_and_otherwise_removed(
    append: Callable[[str, str], str],
    warnings: list[str],
    name: str,
    before: str,
    removed: str | None,
    after: str,
) -> None:
    assert append(name, before) == after
    if removed is None:
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert warnings[0].endswith(f"half-written row, now removed: {removed}")


def test_a_failed_append_is_undone(
    append: Callable[[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(stream: object, data: bytes) -> None:
        stream.write(data[: len(data) // 2])  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nnth_cli.files.write_all", half)
    with pytest.raises(OSError, match="No space"):
        append("t.csv", "a,b\n5,6\n")
    assert (tmp_path / "t.csv").read_text() == "a,b\n5,6\n"


@pytest.mark.parametrize("width", ["30", "80", "250"])
def test_a_wide_table_loses_nothing(
    width: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    table = wide()
    Destination(format="table").deliver(table)
    shown = capfd.readouterr().out
    words = shown.split()
    for name in table:
        assert name in words
        assert set(table.cells(name)) <= set(words)
    assert max(map(len, shown.splitlines())) <= int(width)
    assert "act=relu" in shown
    assert "\x1b" not in shown


def test_a_long_text_is_folded_not_cut(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = "".join(f"{n:03}" for n in range(50))
    for texts in ([text], [text, ""]):
        Destination(format="table").deliver(Table({"text": texts}, Meta("verify")))
        folded = capfd.readouterr().out.splitlines()
        assert text in "".join(line.removeprefix("text").strip() for line in folded)


def shown_in(width: int, monkeypatch: pytest.MonkeyPatch, table: Table, *keys: str) -> list[str]:
    """Return the lines of the table on a terminal of this width, block by block."""
    monkeypatch.setenv("COLUMNS", str(width))
    from nnth_cli.terminal import rendered

    text = rendered(table, keys)
    assert all(len(line) <= width for line in text.splitlines())
    return [line.rstrip() for line in text.splitlines()]


def blocks_of(lines: list[str]) -> list[list[str]]:
    """Return the words of the headers of the blocks of a table."""
    return [above.split() for above, rule in itertools.pairwise(lines) if rule[:1] == "─"]


def test_values_that_are_the_same_in_all_rows_are_in_the_caption(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns: dict[str, Any] = {
        "n": [1, 2, 3],
        "z": [np.nan] * 3,
        "exact": [0.25] * 3,
        "seen": [1.0, np.nan, np.nan],
        "note": [""] * 3,
        "status": ["ok"] * 3,
    }
    lines = shown_in(80, monkeypatch, Table(columns, Meta("kernel", {"act": "relu"})))
    assert blocks_of(lines) == [["n", "seen"]]
    assert lines[-2] == "in every row:  z=nan  exact=0.25  status=ok"
    assert lines[-1].startswith("kernel  act=relu")


def test_the_columns_that_distinguish_rows_are_in_every_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 6
    columns: dict[str, Any] = {
        "width": [4, 4, 4, 8, 8, 8],
        "mean": np.arange(count) / 7,
        "quantity": ["a", "b", "c"] * 2,
        **{f"column_{i}": np.arange(count) + i / 7 for i in range(9)},
        "note": ["", "x", "", "y", "", ""],
        "z": np.arange(count) / 3,
    }
    table = Table(columns, Meta("gp"))
    blocks = blocks_of(shown_in(60, monkeypatch, table))
    assert len(blocks) > 2
    assert all(block[:2] == ["width", "quantity"] for block in blocks)
    assert blocks[0][2:4] == ["z", "note"]
    assert sorted(name for block in blocks for name in block[2:]) == sorted(
        set(columns) - {"width", "quantity"}
    )
    wanted = blocks_of(shown_in(60, monkeypatch, table, "mean"))
    assert all(block[0] == "mean" for block in wanted)
    assert blocks_of(shown_in(250, monkeypatch, table)) == [list(columns)]


def test_rows_are_numbered_if_the_columns_that_distinguish_them_are_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns: dict[str, Any] = {
        "a_long_name_of_a_key": [1, 1, 2, 2],
        "another_long_name": [1, 2, 1, 2],
        **{f"column_{i}": np.arange(4) + i / 7 for i in range(5)},
    }
    lines = shown_in(50, monkeypatch, Table(columns, Meta("gp")))
    blocks = blocks_of(lines)
    assert all(block[0] == "row" for block in blocks)
    assert [name for block in blocks for name in block[1:]] == list(columns)
    assert sum(line.split()[:1] == ["4"] for line in lines) == len(blocks)


def test_one_row_is_printed_with_one_name_and_value_in_each_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns: dict[str, Any] = {"regions": [2081], "z": [np.nan], "note": [""], "kind": ["exact"]}
    lines = shown_in(80, monkeypatch, Table(columns, Meta("regions")))
    assert lines[:4] == ["regions  2081", "z        nan", "kind     exact", ""]


@pytest.mark.parametrize("count", [200, 201, 1000])
def test_the_middle_of_many_rows_is_left_out(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(count)
    lines = shown_in(80, monkeypatch, Table({"n": rows, "half": rows / 2}, Meta("kernel")))
    numbers = [int(line.split()[0]) for line in lines if line.strip()[:1].isdigit()]
    if count == 200:
        assert numbers == list(range(200))
        assert not any("more rows" in line for line in lines)
    else:
        assert numbers == [*range(100), *range(count - 100, count)]
        assert lines[102] == f"... {count - 200} more rows (-o FILE for all)"


def test_csv_on_a_terminal_has_all_rows(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nnth_cli.output.on_terminal", lambda: True)
    Destination(format="csv").deliver(wide(rows=1000))
    assert capfd.readouterr().out.count("\n") == 1001


@pytest.mark.parametrize("rows", [0, 2])
def test_a_table_of_equal_rows_is_printed_as_a_table(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown_in(80, monkeypatch, Table({"a": np.ones(rows), "b": np.ones(rows)}, Meta("mp")))
    assert blocks_of(lines) == [["a", "b"]]
    assert lines.count("1  1") == rows


def test_square_brackets_are_not_markup(capfd: pytest.CaptureFixture[str]) -> None:
    Destination(format="table").deliver(Table({"act": ["[red]z[/red]"]}, Meta("x", {"y": "[b]"})))
    shown = capfd.readouterr().out
    assert "[red]z[/red]" in shown
    assert "y=[b]" in shown


def test_a_pipe_gets_nothing_when_a_file_gets_the_rows(
    table: Table, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Destination(output=tmp_path / "a.csv").deliver(table)
    Destination(append=tmp_path / "b.csv").deliver(table)
    assert capfd.readouterr().out == ""
    Destination(output=tmp_path / "a.csv", format="jsonl").deliver(table)
    shown = capfd.readouterr().out
    assert json.loads(shown.splitlines()[1])["corr"] == 1 / 3
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text() == table.to_csv()


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figures_are_drawn_in_every_form(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    plot = Plot(
        x="n",
        series=(Series(y="mean", label=r"$\hat K_{ab}$", points=True, error="se", theory="exact"),),
        x_label=r"layer $\ell$",
        log_y=True,
        by="method",
    )
    columns: dict[str, Any] = {
        "n": [1, 2, 1, 2],
        "mean": [1.0, 0.5, 1.1, 0.4],
        "se": [0.1] * 4,
        "exact": [1.0, 0.5, 1.0, np.nan],
        "method": ["a", "a", "b", "b"],
    }
    table = Table(columns, Meta("kernel", {"act": "z*$x"}), plot=plot)
    path = tmp_path / f"f.{suffix}"
    Destination(plot=path, quiet=True, format="csv").deliver(table)
    opening = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(opening)
    again = tmp_path / f"g.{suffix}"
    Destination(plot=again).deliver(table)
    assert again.read_bytes() == path.read_bytes()


def test_a_table_without_a_description_of_its_figure_is_drawn(table: Table, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    Destination(plot=tmp_path / "f.svg").deliver(table)
    assert "corr" in (tmp_path / "f.svg").read_text()


def test_csv_output_is_read_by_the_csv_module(
    table: Table, capfd: pytest.CaptureFixture[str]
) -> None:
    Destination().deliver(table)
    rows = list(csv.DictReader(capfd.readouterr().out.splitlines()))
    assert rows[1]["status"] == "a,b"
    assert tuple(rows[0]) == table.record_columns


def test_a_series_has_the_rows_that_it_selects(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    measured: dict[str, Any] = {"y": "mean", "points": True, "theory": "exact"}
    series = tuple(Series(label=k, where=(("kind", k),), **measured) for k in ("first", "other"))
    columns: dict[str, Any] = {
        "n": [4, 16, 64] * 2,
        "mean": np.linspace(1.0, 2.0, 6),
        "exact": [1.0] * 6,
        "kind": ["first"] * 3 + ["other"] * 3,
    }
    plot = Plot(x="n", series=series, log_x=True)
    table = Table(columns, Meta("gp"), plot=plot)
    Destination(plot=tmp_path / "f.svg").deliver(table)
    drawn = (tmp_path / "f.svg").read_text()
    for text in ("first", "other", "theory", "16", "64"):
        assert f"<!-- {text} -->" in drawn
    assert drawn.count("<!-- theory -->") == 1
    with pytest.raises(ValueError, match="plot needs a column kind"):
        Table({k: v for k, v in columns.items() if k != "kind"}, Meta("gp"), plot=plot)
