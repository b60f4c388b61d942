"""Data sets from files: the formats that are read, and errors of one line with file and value."""

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth import load_data
from nnth._data.data import carries_targets, load_targets, targets_of
from nnth._data.files import File, file_of

X = np.array([[1.0, -2.5, 3.0], [0.0, 1e-300, 7.0]])


def save_npz(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "array",
    [
        X,
        np.asfortranarray(X),
        X.astype(">f8"),
        X.astype(np.longdouble),
        np.array([[1, -2], [3, 4]]),
        np.array([[200, 7]], dtype=np.uint8),
        np.array([[True, False]]),
        np.array([[0.5, 2.0]], dtype=np.float16),
    ],
    ids=lambda a: f"{a.dtype.str}-{'C' if a.flags.c_contiguous else 'F'}",
)
def test_an_array_of_real_numbers_is_read_as_c_contiguous_doubles(
    array: Any, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", array)
    data = load_data(tmp_path / "x.npy")
    assert data.dtype == np.dtype("=f8")
    assert data.flags.c_contiguous
    assert data.tolist() == array.astype(float).tolist()


@pytest.mark.parametrize("names", [["x"], ["weights"], ["x", "y"], ["y", "x", "labels"]])
def test_an_archive_holds_one_array_or_one_named_x(names: list[str], tmp_path: Path) -> None:
    arrays: dict[str, Any] = {name: np.array(["label"]) for name in names}
    arrays["x" if "x" in names else names[0]] = X
    save_npz(tmp_path / "x.npz", **arrays)
    assert load_data(str(tmp_path / "x.npz")).tolist() == X.tolist()


def test_a_compressed_archive_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=X)
    assert load_data(tmp_path / "x.npz").tolist() == X.tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("1,-2.5e-3", [[1, -2.5e-3]]),
        ("1\n2\n3\n", [[1], [2], [3]]),
        ("height\n2\n3\n", [[2], [3]]),
        ("1, 2\r\n3 ,4\r\n", [[1, 2], [3, 4]]),
        ("a,b\n0.1,0.30000000000000004\n\n", [[0.1, 0.30000000000000004]]),
        ("größe,b\n1,2\n", [[1, 2]]),
        ("\ufeff1,2\n3,4\n", [[1, 2], [3, 4]]),  # as spreadsheets save it
        ("#a,b\n1,2\n", [[1, 2]]),
        ("# a note\n# a,b\n1,2 # and another\n", [[1, 2]]),
        ("\n\na,b\n1,2\n", [[1, 2]]),
        ('"a, of b",c\n"1","2"\n', [[1, 2]]),
        ("1,2\r3,4\r", [[1, 2], [3, 4]]),
    ],
)
def test_csv_is_numbers_with_or_without_names(
    text: str, rows: list[list[float]], tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8", newline="")
    assert load_data(tmp_path / "x.csv").tolist() == rows


def as_npy(array: Any) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


def as_text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def as_bytes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def as_parquet(**columns: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {name: pa.float64() if not values else None for name, values in columns.items()}
        arrays = {name: pa.array(values, type=kinds[name]) for name, values in columns.items()}
        parquet.write_table(pa.table(arrays), path)

    return write


def truncated(path: Path) -> None:
    np.save(path, np.ones((40, 40)))
    path.write_bytes(path.read_bytes()[:1000])


def truncated_archive(path: Path) -> None:
    save_npz(path, x=np.ones((40, 40)))
    path.write_bytes(path.read_bytes()[:1000])


def corrupt_archive(path: Path) -> None:
    save_npz(path, x=np.ones((40, 40)))
    damaged = bytearray(path.read_bytes())
    damaged[600] ^= 0xFF
    path.write_bytes(bytes(damaged))


OBJECTS = np.array([{"a": 1}, None], dtype=object)

BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("x.npy", as_npy(OBJECTS), "holds Python objects"),
    ("x.npy", as_bytes(pickle.dumps([1.0, 2.0])), "holds Python objects"),
    ("x.npy", truncated, "cannot be read as data"),
    ("x.npy", as_bytes(b""), "cannot be read as data"),
    ("x.npy", as_bytes(b"not an array at all"), "cannot be read as data"),
    ("x.npy", as_npy(X[0]), "not of shape (3,)"),
    ("x.npy", as_npy(X[None]), "not of shape (1, 2, 3)"),
    ("x.npy", as_npy(np.float64(3.0)), "not of shape ()"),
    ("x.npy", as_npy(np.zeros((0, 3))), "not of shape (0, 3)"),
    ("x.npy", as_npy(np.zeros((3, 0))), "not of shape (3, 0)"),
    ("x.npy", as_npy(np.array([[1.0, 2.0], [np.nan, 0.0]])), "not nan at row 1, column 0"),
    ("x.npy", as_npy(np.array([[1.0, -np.inf]])), "not -inf at row 0, column 1"),
    ("x.npy", as_npy(np.array([["a", "b"]])), "not values of type <U1"),
    ("x.npy", as_npy(np.array([[1j]])), "not values of type complex128"),
    ("x.npz", lambda path: save_npz(path, a=X, b=X), "one named x, not a, b"),
    ("x.npz", lambda path: save_npz(path), "one array or one named x"),
    ("x.npz", lambda path: save_npz(path, x=OBJECTS), "holds Python objects"),
    ("x.npz", lambda path: save_npz(path, x=X[0], y=X), "not of shape (3,)"),
    ("x.npz", truncated_archive, "cannot be read as data"),
    ("x.npz", corrupt_archive, "cannot be read as data"),
    ("x.npz", as_bytes(b"PK\x03\x04 and no more"), "cannot be read as data"),
    ("x.csv", as_text("1,2\n3\n"), ": line 2 must have 2 fields, as line 1 has, not 1"),
    (
        "x.csv",
        as_text("a,b\n1,2\n3,4,5\n"),
        ": line 3 must have 2 fields, as line 2 has, not 3",
    ),
    ("x.csv", as_text("a,b\n1,two\n"), ": line 2, field 2 must be a finite number, not 'two'"),
    ("x.csv", as_text("1,2\n3,nan\n"), ": line 2, field 2 must be a finite number, not 'nan'"),
    ("x.csv", as_text("1,2\n,4\n"), ": line 2, field 1 must be a finite number, not ''"),
    (
        "x.csv",
        as_text("1,\n3,4\n"),
        ": line 1, field 2 must be a finite number, not ''",
    ),  # not a line of names
    ("x.csv", as_text("1,two\n3,4\n"), ": line 1, field 2 must be a finite number, not 'two'"),
    ("x.csv", as_text("a,b\n"), "must hold numbers, and holds none"),
    ("x.csv", as_text("\n\n"), "must hold numbers, and holds none"),
    ("x.csv", as_text(""), "must hold numbers, and holds none"),
    ("x.csv", as_bytes(b"a,b\n1,\xff\n"), ": line 2 must be text in UTF-8, and is not"),
    ("x.txt", as_text("1,2\n"), "must end in .npy, .npz, .csv, .tsv, .parquet, not .txt"),
    ("x.csv", as_text("a,b\n\n1,2\n\n# more\n3,1e999\n"), ": line 6, field 2 must be a finite"),
    ("x.csv", as_text("a,b\r\n1,2\r\n3,x\r\n"), ": line 3, field 2 must be a finite"),
    ("x.csv", as_text("1,2\n3,1_000\n"), ": line 2, field 2 must be a finite"),
    ("x.csv", as_bytes(b"1,2\n3,4\0\n"), ": line 2 must be text, and holds a zero byte"),
    ("x.csv", as_text('"a","b"\n"1","2"\n"3","\n'), ": line 3, field 2 must be a finite"),
    ("x.csv", as_text("1\t2\n3\t4\n"), ": line 2, field 1 must be a finite number, not '3\\t4'"),
    ("x.tsv", as_text("a\tb\n1\t2,5\n"), ": line 2, field 2 must be a finite number, not '2,5'"),
    ("x.parquet", as_text("no parquet"), "cannot be read as data"),
    ("x.parquet", as_parquet(a=[1, 2], b=["u", "v"]), "column 'b' must hold numbers, not string"),
    ("x.parquet", as_parquet(a=[1.0, None]), "column 'a' must hold numbers, and row 2 of it is"),
    ("x.parquet", as_parquet(a=[[1.0], [2.0]]), "column 'a' must hold numbers, not list"),
    ("x.parquet", as_parquet(a=[]), "it holds no numbers"),
    ("x.parquet", as_parquet(a=[1.0, float("nan")]), "not nan at row 1, column 0"),
]


@pytest.mark.parametrize(("name", "write", "message"), BAD)
def test_an_error_of_data_is_one_line_that_names_file_and_value(
    name: str, write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    with path.open("wb"):  # np.save and np.savez add their suffix to other names
        pass
    write(path)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 (the message is looked at below)
        load_data(path)
    said = str(refusal.value)
    assert str(path) in said
    assert message in said
    assert "\n" not in said


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    np.save(tmp_path / "x.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="never loaded"):
        load_data(tmp_path / "x.npy")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv"])
def test_a_missing_file_raises_file_not_found(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_data(tmp_path / f"x.{suffix}")


def test_targets_may_be_a_vector_and_have_the_name_y(tmp_path: Path) -> None:
    y = np.array([3, 1, 2])
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "both.npz", x=np.eye(3), y=y)
    for name in ("y.npy", "both.npz"):
        assert load_targets(tmp_path / name).tolist() == [[3.0], [1.0], [2.0]]
    np.savez(tmp_path / "other.npz", a=y, b=y)
    with pytest.raises(ValueError, match="one array or one named y, not a, b"):
        load_targets(tmp_path / "other.npz")


def test_files_that_numpy_cannot_read_are_reported_as_damaged(tmp_path: Path) -> None:
    # Found by tests/fuzz.py: a TokenError of the header, an OSError of a seek before the beginning.
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (    \n")
    np.savez(tmp_path / "b.npz", x=X)
    (tmp_path / "b.npz").write_bytes((tmp_path / "b.npz").read_bytes()[40:])
    for name in ("a.npy", "b.npz"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as data: [^\n]+$"):
            load_data(tmp_path / name)


def test_tabs_separate_the_fields_of_a_tsv(tmp_path: Path) -> None:
    (tmp_path / "x.TSV").write_text("a\tb, c\n1\t2\n3\t4e-3\n")
    assert load_data(tmp_path / "x.TSV").tolist() == [[1, 2], [3, 4e-3]]


def test_parquet_holds_columns_of_numbers_of_any_type(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "a": pa.array([1, 2], type=pa.uint8()),
        "b": pa.array([0.5, -2.0], type=pa.float32()),
        "c": pa.array([True, False]),
        "__index_level_0__": pa.array(["u", "v"]),  # the index of a data frame
    }
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert load_data(tmp_path / "x.parquet").tolist() == [[1, 0.5, 1], [2, -2, 0]]


def test_an_error_names_pyarrow_if_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("nnth._data.tabular.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'nnth\[parquet\]'"):
        load_data(tmp_path / "x.parquet")


def test_standard_input_is_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    given("a,b\n1,2\n3,4\n")
    assert load_data("-").tolist() == [[1, 2], [3, 4]]
    assert file_of("-") == File("-", hashlib.sha256(b"a,b\n1,2\n3,4\n").hexdigest()[:16])
    given("1,2\n3,x\n")
    with pytest.raises(
        ValueError, match=r"^- \(standard input\): line 2, field 2 must be a finite"
    ):
        load_data("-")


def test_a_data_set_with_a_name_has_inputs_and_targets() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    assert np.array_equal(load_data("digits"), digits.data / 16.0)
    assert np.array_equal(load_targets(Path("digits"))[:, 0], digits.target)
    assert np.array_equal(targets_of(None, "y", x="digits")[:, 0], digits.target)
    assert file_of("digits") == File("digits")
    assert load_data("clusters:0.1:3:5").shape == (200, 5)
    assert set(load_targets("clusters:0.1:3:5")[:, 0]) == {0.0, 1.0, 2.0}
    diabetes = load_targets("diabetes")
    assert abs(diabetes.mean()) < 1e-12
    assert abs(diabetes.std() - 1.0) < 1e-12


def test_targets_come_with_an_archive_that_has_an_array_y(tmp_path: Path) -> None:
    save_npz(tmp_path / "both.npz", X=X, y=np.array([1.0, 2.0]))
    save_npz(tmp_path / "one.npz", x=X)
    np.save(tmp_path / "x.npy", X)
    assert targets_of(None, "y", x=tmp_path / "both.npz").tolist() == [[1.0], [2.0]]
    for inputs in (tmp_path / "one.npz", tmp_path / "x.npy", "-", X, None):
        assert not carries_targets(inputs)
        with pytest.raises(ValueError, match=r"^y must be given, except with inputs that carry"):
            targets_of(None, "y", x=inputs)
    with pytest.raises(FileNotFoundError, match="missing"):
        carries_targets(tmp_path / "missing.npz")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("digitz", "; did you mean digits\\?"),
        ("breastcancer", "; did you mean breast_cancer\\?"),
        ("mnist", "'mnist'$"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_right_one(name: str, hint: str) -> None:
    with pytest.raises(
        ValueError, match=f"^path must be a file .* clusters:VARIANCE, not .*{hint}"
    ):
        load_data(name)
