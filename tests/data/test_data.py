"""Data sets from files: what is read, and what is refused in one line that names file and value."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth import load_data
from nnth.data import load_targets

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
    ("x.csv", as_text("1,2\n3\n"), "line 2 must have 2 fields, as line 1 has, not 1"),
    ("x.csv", as_text("a,b\n1,2\n\n3,4,5\n"), "line 4 must have 2 fields, as line 2 has, not 3"),
    ("x.csv", as_text("a,b\n1,two\n"), "line 2, field 2 must be a finite number, not 'two'"),
    ("x.csv", as_text("1,2\n3,nan\n"), "line 2, field 2 must be a finite number, not 'nan'"),
    ("x.csv", as_text("1,2\n,4\n"), "line 2, field 1 must be a finite number, not ''"),
    ("x.csv", as_text("1,\n3,4\n"), "cannot be read as data"),  # not a line of names
    ("x.csv", as_text("1,two\n3,4\n"), "two"),
    ("x.csv", as_text("a,b\n"), "it holds no numbers"),
    ("x.csv", as_text("\n\n"), "it holds no numbers"),
    ("x.csv", as_text(""), "it holds no numbers"),
    ("x.csv", as_bytes(b"a,b\n1,\xff\n"), "cannot be read as data"),
    ("x.txt", as_text("1,2\n"), "must end in .npy, .npz, .csv, not .txt"),
    ("x", as_text("1,2\n"), "must end in .npy, .npz, .csv, not nothing"),
]


@pytest.mark.parametrize(("name", "write", "message"), BAD)
def test_what_is_not_data_is_one_line_naming_file_and_value(
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
def test_a_missing_file_is_that(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_data(tmp_path / f"x.{suffix}")


def test_targets_may_be_a_vector_and_go_by_the_name_y(tmp_path: Path) -> None:
    y = np.array([3, 1, 2])
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "both.npz", x=np.eye(3), y=y)
    for name in ("y.npy", "both.npz"):
        assert load_targets(tmp_path / name).tolist() == [[3.0], [1.0], [2.0]]
    np.savez(tmp_path / "other.npz", a=y, b=y)
    with pytest.raises(ValueError, match="one array or one named y, not a, b"):
        load_targets(tmp_path / "other.npz")


def test_what_numpy_cannot_make_sense_of_is_damage(tmp_path: Path) -> None:
    # Found by tests/fuzz.py: a TokenError of the header, an OSError of a seek before the beginning.
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (    \n")
    np.savez(tmp_path / "b.npz", x=X)
    (tmp_path / "b.npz").write_bytes((tmp_path / "b.npz").read_bytes()[40:])
    for name in ("a.npy", "b.npz"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as data: [^\n]+$"):
            load_data(tmp_path / name)
