"""The Table: the columns it accepts, the text it writes, and its use as a mapping."""

import csv
import io
import json
import math
import pickle
import struct
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnth._tables.plot import Lines, Plot, Series
from nnth._tables.table import Meta, Table

META = Meta("kernel", {"act": "relu", "depth": 2, "cb": None, "x_a": (1.0, -2.5)}, seed=7)

# NumPy strings drop trailing NULs, and lone surrogates have no place in a file.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def table(**columns: Any) -> Table:
    return Table(columns, META)


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def bits(number: float) -> bytes:
    return struct.pack("<d", number)


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_floats_survive_csv_to_the_last_bit(numbers: list[float]) -> None:
    rows = read_csv(table(x=np.array(numbers)).to_csv())
    assert [bits(float(row["x"])) for row in rows] == [bits(number) for number in numbers]


@given(st.lists(st.floats(), min_size=1))
def test_floats_survive_json_lines_and_the_json_is_valid(numbers: list[float]) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    lines = table(x=np.array(numbers)).to_jsonl().splitlines()
    back = [float(json.loads(line, parse_constant=refuse)["x"]) for line in lines]
    assert [math.isnan(b) or bits(b) for b in back] == [
        math.isnan(number) or bits(number) for number in numbers
    ]


@given(st.lists(texts, min_size=1))
def test_texts_survive_csv(words: list[str]) -> None:
    rows = read_csv(table(word=np.array(words, dtype=np.str_)).to_csv())
    assert [row["word"] for row in rows] == words


@given(texts)
def test_text_parameters_survive_csv_and_json_lines(word: str) -> None:
    written = Table({"x": [1.0]}, Meta("kernel", {"act": word}))
    assert read_csv(written.to_csv())[0]["act"] == word
    assert json.loads(written.to_jsonl())["act"] == word


def test_csv_has_results_then_parameters_seed_and_version() -> None:
    made = Table({"layer": [1, 2], "exact": [True, False]}, Meta("kernel", META.parameters, 7, "1"))
    assert made.to_csv() == (
        "layer,exact,act,depth,cb,x_a,seed,version\n"
        '1,true,relu,2,,"1.0,-2.5",7,1\n'
        '2,false,relu,2,,"1.0,-2.5",7,1\n'
    )
    assert made.to_csv(header=False) == "".join(made.to_csv().splitlines(keepends=True)[1:])


def test_csv_spells_infinite_numbers_and_nan() -> None:
    rows = read_csv(table(x=[math.nan, math.inf, -math.inf, -0.0]).to_csv())
    assert [row["x"] for row in rows] == ["nan", "inf", "-inf", "-0.0"]


def test_json_lines_have_types() -> None:
    made = Table(
        {"x": [0.5], "n": [3], "ok": [True], "s": ["a"]}, Meta("k", {"cb": None, "v": [1]})
    )
    record = json.loads(made.to_jsonl())
    assert record == {
        "x": 0.5,
        "n": 3,
        "ok": True,
        "s": "a",
        "cb": None,
        "v": [1],
        "seed": None,
        "version": made.meta.version,
    }
    assert list(record) == list(made.record_columns)


def test_seeds_and_marks_may_differ_from_row_to_row() -> None:
    table = Table({"x": [1, 2], "seed": [5, 6]}, Meta("sweep"))
    assert table.record_columns == ("x", "seed", "version")
    marks = {"point": "a,b", "failure": None}
    assert table.to_csv(header=False, marks=marks).splitlines()[1] == (
        f'2,6,{table.meta.version},"a,b",'
    )
    assert json.loads(table.to_jsonl(marks=marks).splitlines()[0]) == {
        "x": 1,
        "seed": 5,
        "version": table.meta.version,
        **marks,
    }
    with pytest.raises(ValueError, match="'seed' cannot name a parameter"):
        Table({}, Meta("x", {"seed": 1}))


def test_no_seed_is_an_empty_cell() -> None:
    assert read_csv(Table({"x": [1.0]}, Meta("kernel")).to_csv())[0]["seed"] == ""


def test_a_parameter_that_is_a_column_is_written_once() -> None:
    made = Table({"cw": [1.0, 2.0]}, Meta("phase", {"cw": "1:2:2", "act": "relu"}))
    assert made.record_columns == ("cw", "act", "seed", "version")


def test_large_integers_are_exact() -> None:
    top = 2**63 - 1
    assert read_csv(table(n=[top]).to_csv())[0]["n"] == str(top)


def test_columns_are_read_by_name() -> None:
    made = table(k_ab=[1.0, 2.0], corr=[0.5, 0.25])
    assert made["corr"].tolist() == [0.5, 0.25]
    assert (made.num_rows, made.columns, list(made)) == (2, ("k_ab", "corr"), ["k_ab", "corr"])
    assert "corr" in made
    assert "gap" not in made


def test_a_wrong_name_shows_near_ones() -> None:
    with pytest.raises(KeyError, match="no column 'kab'; there is k_ab"):
        table(k_ab=[1.0], corr=[0.5])["kab"]


def test_a_table_does_not_change() -> None:
    source = np.array([1.0, 2.0])
    made = table(x=source)
    source[0] = 5.0
    assert made["x"][0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        made["x"][0] = 5.0
    with pytest.raises(TypeError):
        made.meta.parameters["act"] = "tanh"  # type: ignore[index]
    with pytest.raises(AttributeError):
        made.meta = META  # type: ignore[misc]


def test_a_table_pickles() -> None:
    plot = Plot(x="x", series=(Series(y="x"),))
    made = Table({"x": [1.0, 2.0]}, META, plot=plot)
    back = pickle.loads(pickle.dumps(made))
    assert (back.to_csv(), back.drawing) == (made.to_csv(), plot)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1.0], "b": [1.0, 2.0]}, "one length, not {'a': 1, 'b': 2}"),
        ({"a": [[1.0]]}, r"one dimension, not shape \(1, 1\)"),
        ({"a": 1.0}, "one dimension"),
        ({"a": [1j]}, "not complex128"),
        ({"a": [None]}, "not object"),
        ({"a b": [1.0]}, "'a b' cannot name"),
    ],
)
def test_other_values_of_columns_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Table(columns, META)


def test_other_values_of_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="parameter x must be"):
        Meta("kernel", {"x": {}})


def test_a_plot_needs_its_columns() -> None:
    with pytest.raises(ValueError, match="plot needs a column stderr"):
        Table({"x": [1.0]}, META, plot=Plot(x="x", series=(Series(y="x", error="stderr"),)))


def test_repr_has_the_caption_and_the_first_rows() -> None:
    made = table(n=np.arange(7), x=np.arange(7) / 3.0, word=["a", "bb", "x" * 30, *"cdef"])
    assert repr(made) == (
        f"kernel  act=relu  depth=2  x_a=1,-2.5  seed=7  nnth {made.meta.version}\n"
        "n         x  word\n"
        "0         0  a\n"
        "1  0.333333  bb\n"
        "2  0.666667  xxxxxxxxxxxxxxxxxxxxx...\n"
        "3         1  c\n"
        "4   1.33333  d\n"
        "... 2 more rows"
    )


def test_repr_fits_in_80_columns_and_names_the_columns_it_leaves_out() -> None:
    meta = Meta("kernel", {f"parameter_{i}": i for i in range(20)})
    text = repr(Table({f"column_{i}": [1.0] for i in range(30)}, meta))
    assert max(map(len, text.splitlines())) <= 80
    table, _, rest = text.partition("more columns:")
    assert "column_0  column_1  " in table
    assert "column_7\n" in table
    assert rest.split() == [f"column_{i}" for i in range(8, 30)]


@pytest.mark.parametrize("columns", [{}, {"x": [], "s": np.array([], dtype=np.str_)}])
def test_repr_of_an_empty_table(columns: dict[str, Any]) -> None:
    lines = repr(Table(columns, META)).splitlines()
    assert lines[1:] == (["x  s"] if columns else [])


def test_html_has_the_caption_and_escapes() -> None:
    html = Table({"s": ["<b>"]}, Meta("verify", {"act": "z<1"}))._repr_html_()
    assert "act=z&lt;1" in html
    assert "<td>&lt;b&gt;</td>" in html


def test_html_says_that_it_left_rows_out() -> None:
    html = table(n=np.arange(1000))._repr_html_()
    assert "first and last 30 of 1000 rows" in html
    assert html.count("<tr>") == 61


MIXED: dict[str, Any] = {
    "x": [1.0, math.nan, -math.inf],
    "n": [1, 2, 2**62],
    "small": np.array([1, 2, 3], dtype=">i2"),
    "ok": [True, False, True],
    "word": ["", "b,\n", "\u00fc"],
}
TABLES = {
    "mixed": MIXED,
    "one row": {name: values[:1] for name, values in MIXED.items()},
    "no rows": {name: np.array(values)[:0] for name, values in MIXED.items()},
    "no columns": {},
}


class Stream:
    """Only a Table's Arrow stream, so that a library has no other way to read the table."""

    def __init__(self, made: Table) -> None:
        self._made = made

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._made.__arrow_c_stream__(requested_schema)


def same(one: Any, other: Any) -> bool:
    """Return whether two lists are equal, with NaN equal to NaN."""
    return all(a == b or (a != a and b != b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("way", ["dict", "pandas", "to_pandas", "polars", "to_polars", "pyarrow"])
def test_a_table_is_taken_as_it_stands(columns: dict[str, Any], way: str) -> None:
    import polars as pl  # not at the top: it does not load under ThreadSanitizer

    made = Table(columns, META)
    frame: Any
    match way:
        case "dict":
            frame = dict(made)
            assert type(frame) is dict
        case "pandas":
            frame = pd.DataFrame(made)
        case "to_pandas":
            frame = made.to_pandas()
        case "polars":
            frame = pl.DataFrame(made)
        case "to_polars":
            frame = made.to_polars()
        case _:
            frame = pa.table(made)
            frame.validate(full=True)
    names = frame if way == "dict" else frame.column_names if way == "pyarrow" else frame.columns
    assert list(names) == list(made)
    for name, values in made.items():
        assert same(np.asarray(frame[name]).tolist(), values.tolist())
        if way != "dict":
            assert len(frame[name]) == made.num_rows


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_the_arrow_stream_has_columns_types_and_meta(columns: dict[str, Any]) -> None:
    import polars as pl  # not at the top: it does not load under ThreadSanitizer

    made = Table(columns, Meta("kernel", {"rho": math.inf, "x_a": (1.0, 2.0)}, seed=7))
    read = pa.table(Stream(made))
    read.validate(full=True)
    assert read.column_names == list(made)
    for name, values in made.items():
        assert same(read[name].to_pylist(), values.tolist())
        assert read[name].type == pa.array(values).type
    assert json.loads(read.schema.metadata[b"nnth"]) == {
        "command": "kernel",
        "parameters": {"rho": "Infinity", "x_a": [1.0, 2.0]},
        "seed": 7,
        "version": made.meta.version,
    }
    assert pl.DataFrame(Stream(made)).columns == list(made)


def test_pandas_attrs_hold_the_meta() -> None:
    frame = table(x=[1.0]).to_pandas()
    assert frame.attrs == META.as_dict()
    assert frame[frame["x"] > 0].attrs["parameters"]["act"] == "relu"


@pytest.mark.parametrize(
    ("module", "method", "extra"),
    [
        ("pandas", "to_pandas", "pandas"),
        ("polars", "to_polars", "polars"),
        ("nanoarrow", "__arrow_c_stream__", "arrow"),
    ],
)
def test_an_error_names_the_extra_that_is_missing(
    module: str, method: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnth._tables.table.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=rf"{module}: pip install 'nnth\[{extra}\]'"):
        getattr(table(x=[1.0]), method)()


def test_brackets_select_rows_and_columns_and_keep_the_meta() -> None:
    made = table(layer=[1, 2, 3, 4], x=[0.5, 1.5, 2.5, 3.5], word=list("abcd"))
    for part, layers in (
        (made[1:3], [2, 3]),
        (made[::-1], [4, 3, 2, 1]),
        (made[made["layer"] > 2], [3, 4]),
        (made[[True, False, False, True]], [1, 4]),
        (made[[3, 0]], [4, 1]),
        (made[np.argsort(-made["x"])], [4, 3, 2, 1]),
        (made[9:], []),
    ):
        assert isinstance(part, Table)
        assert (part.meta, part.columns) == (made.meta, made.columns)
        assert part["layer"].tolist() == layers
        assert part["word"].tolist() == ["abcd"[layer - 1] for layer in layers]
    assert made[["word", "layer"]].columns == ("word", "layer")
    assert made[["word"]].meta == made.meta
    assert made[[]].columns == ()


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, TypeError, "name of a column, a list of names, a slice, a mask or an array"),
        (("x", "n"), TypeError, "name of a column"),
        (["x", "m"], KeyError, "no column 'm'"),
        ([True], IndexError, "a mask must have a bool for each of 3 rows, not 1"),
        ([5], IndexError, "out of bounds"),
        ([0.5], TypeError, "name of a column"),
    ],
)
def test_other_things_in_brackets_are_refused(
    key: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Table(MIXED, META)[key]


def test_a_figure_of_columns_stays_with_a_selection_that_has_them() -> None:
    plot = Plot(x="x", series=(Series(y="y"),))
    made = Table({"x": [1.0, 2.0], "y": [1.0, 2.0], "z": [1.0, 2.0]}, META, plot=plot)
    assert made[:1].drawing is plot
    assert made[["y", "x"]].drawing is plot
    assert made[["x", "z"]].drawing is None
    alone = Table({"x": [1.0, 2.0]}, META, plot=Lines())  # drawn from arrays of all rows
    assert alone[:1].drawing is None


def test_a_table_is_a_mapping_that_cannot_be_changed() -> None:
    made = table(x=[1.0], y=[2.0])
    assert isinstance(made, Mapping)
    assert (len(made), made.num_rows, list(made.keys())) == (2, 1, ["x", "y"])
    assert made.get("z") is None
    changes: list[Callable[[], object]] = [
        lambda: made.update(x=[1.0]),
        lambda: made.pop("x"),
        lambda: made.popitem(),
        lambda: made.clear(),
        lambda: made.setdefault("z", np.zeros(1)),
        lambda: made.__setitem__("x", np.zeros(1)),
        lambda: made.__delitem__("x"),
        lambda: made.__ior__({}),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    assert type({**made}) is type(made | {"z": np.zeros(1)}) is dict


def test_tables_are_equal_only_to_themselves() -> None:
    made, other = table(x=[1.0, 2.0]), table(x=[1.0, 2.0])
    assert made == made.copy() == copy(made)
    assert made != other
    assert made != deepcopy(made)
    assert len({made, other}) == 2
