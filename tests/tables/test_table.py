"""The Table: what it keeps, refuses and writes."""

import csv
import io
import json
import math
import pickle
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnth._tables.plot import Plot, Series
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


def test_csv_spells_what_is_not_finite() -> None:
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


def test_a_parameter_that_is_a_column_is_said_once() -> None:
    made = Table({"cw": [1.0, 2.0]}, Meta("phase", {"cw": "1:2:2", "act": "relu"}))
    assert made.record_columns == ("cw", "act", "seed", "version")


def test_large_integers_are_exact() -> None:
    top = 2**63 - 1
    assert read_csv(table(n=[top]).to_csv())[0]["n"] == str(top)


def test_columns_are_read_by_name() -> None:
    made = table(k_ab=[1.0, 2.0], corr=[0.5, 0.25])
    assert made["corr"].tolist() == [0.5, 0.25]
    assert (len(made), made.columns, list(made)) == (2, ("k_ab", "corr"), ["k_ab", "corr"])
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
def test_what_is_not_a_column_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Table(columns, META)


def test_what_is_not_a_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="parameter x must be"):
        Meta("kernel", {"x": {}})


def test_a_plot_needs_its_columns() -> None:
    with pytest.raises(ValueError, match="plot needs a column stderr"):
        Table({"x": [1.0]}, META, plot=Plot(x="x", series=(Series(y="x", error="stderr"),)))


def test_repr_is_short() -> None:
    assert repr(table(x=np.zeros(1000))) == "<Table kernel: 1000 rows, columns x>"


def test_html_has_the_caption_and_escapes() -> None:
    html = Table({"s": ["<b>"]}, Meta("verify", {"act": "z<1"}))._repr_html_()
    assert "act=z&lt;1" in html
    assert "<td>&lt;b&gt;</td>" in html


def test_html_says_that_it_left_rows_out() -> None:
    html = table(n=np.arange(1000))._repr_html_()
    assert "first and last 30 of 1000 rows" in html
    assert html.count("<tr>") == 61
