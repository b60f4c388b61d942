"""`nnth regions` run as a process: columns, bad input, files, pictures, interrupts."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import processes
import pytest
from processes import interrupted, rows_of

from nnth import random_network, regions, regions_along, regions_through
from nnth._regions.cells import cells

pytestmark = pytest.mark.subprocess

call = partial(processes.call, "regions")
refusal = partial(processes.refusal, "regions")


RESULTS = (
    "activation_regions",
    "linear_regions",
    "bounded",
    "unbounded",
    "vertices",
    "edges",
    "mean_sides",
    "zero_cell_sides",
    "exact_signs",
    "expected",
    "upper_bound",
)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Return a file with a random network of two inputs."""
    drawn = random_network(2, (9, 5), seed=7)
    layers = zip(drawn.weights, drawn.biases, strict=True)
    arrays = {}
    for i, (w, b) in enumerate(layers, 1):
        arrays |= {f"W{i}": w, f"b{i}": b}
    path = tmp_path / "net.npz"
    np.savez(path, **arrays)
    return path


def test_the_promised_columns_come_first() -> None:
    (row,) = rows_of(call("--n0", 2, "--width", 64))
    assert tuple(row)[: len(RESULTS)] == RESULTS
    assert {"stderr", "z", "zero_cell_measure", "layer_regions"} <= set(row)
    assert (row["activation_regions"], row["expected"], row["upper_bound"]) == (
        "2081",
        "2081.0",
        "2081",
    )
    assert (row["n0"], row["widths"], row["seed"], row["domain"]) == ("2", "64", "0", "space")


def test_width_and_depth_are_widths() -> None:
    by_width = call("--width", 6, "--depth", 3, "--samples", 3, "--seed", 4)
    assert by_width.stdout == call("--widths", "6*3", "--samples", 3, "--seed", 4).stdout
    (row,) = rows_of(by_width)
    table = regions(widths=(6, 6, 6), samples=3, seed=4)
    assert float(row["activation_regions"]) == table["activation_regions"][0]
    assert row["widths"] == "6,6,6"


@pytest.mark.parametrize("form", ["csv", "jsonl", "table"])
def test_formats(form: str) -> None:
    done = call("--width", 5, "--domain", "box", "--box", 2, "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    if form == "jsonl":
        (record,) = map(json.loads, done.stdout.splitlines())
        assert (record["activation_regions"], record["box"]) == (
            regions(widths=(5,), domain="box", box=2.0)["activation_regions"][0],
            2.0,
        )
    else:
        assert "activation_regions" in done.stdout


def test_the_same_for_any_number_of_threads() -> None:
    said = {call("--widths", "30,30", "--threads", n).stdout for n in (1, 2, 3)}
    assert len(said) == 1


def test_a_network_from_a_file_and_by_name(net: Path) -> None:
    (row,) = rows_of(call("--net", net))
    expected = regions(random_network(2, (9, 5), seed=7))["activation_regions"][0]
    assert (int(row["activation_regions"]), row["net"]) == (expected, str(net))
    (row,) = rows_of(call("--net", "telgarsky:8"))
    assert (row["activation_regions"], row["cw"], row["seed"]) == ("258", "", "")


def test_a_point(net: Path) -> None:
    (here,) = rows_of(call("--net", net, "--point", "0.5,-1"))
    table = regions(random_network(2, (9, 5), seed=7), point=(0.5, -1))
    assert here["point"] == "0.5,-1.0"
    assert float(here["zero_cell_measure"]) == table["zero_cell_measure"][0]


def test_bounds_have_a_row_a_statement() -> None:
    rows = rows_of(call("bounds", "--widths", "16,16"))
    assert [row["bound"] for row in rows] == [
        "Montufar 2014",
        "Serra 2018",
        "Montufar 2017",
        "2^N",
        "3^N",
        "Hanin-Rolnick",
        "Kac-Rice",
    ]
    found = {row["bound"]: row for row in rows}
    assert found["3^N"]["value"] == str(3**32)
    assert len({row["activation_regions"] for row in rows}) == 1


def test_lines_and_planes_of_many_inputs() -> None:
    (row,) = rows_of(call("along", "line", "--n0", 784, "--width", 20, "--lines", 5))
    assert (row["activation_regions"], row["expected"]) == ("21.0", "21.0")
    shape = ("--n0", 50, "--widths", "9,9", "--samples", 2, "--lines", 3)
    (row,) = rows_of(call("along", "line", *shape, "--domain", "box", "--box", 2))
    table = regions_along("line", n0=50, widths=(9, 9), samples=2, lines=3, domain="box", box=2.0)
    (expected,) = csv.DictReader(table.to_csv().splitlines())
    assert {name: row[name] for name in table} == {name: expected[name] for name in table}
    (row,) = rows_of(call("along", "plane", *shape))
    assert (row["along"], row["lines"], row["boundary_density"]) == ("plane", "3", "nan")


def test_a_path_has_a_row_a_segment(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(4, 30))
    np.save(tmp_path / "a.npy", points)
    rows = rows_of(call("through", "a.npy", "--width", 12, cwd=tmp_path))
    table = regions_through(points, n0=30, widths=(12,))
    assert [int(row["activation_regions"]) for row in rows] == table["activation_regions"].tolist()
    assert [row["segment"] for row in rows] == ["1", "2", "3"]
    assert {row["through"] for row in rows} == {"a.npy"}
    np.save(tmp_path / "b.npy", points[:3])
    (row,) = rows_of(call("along", "plane", "--width", 12, "--through", "b.npy", cwd=tmp_path))
    assert (row["activation_regions"], row["n0"]) == (str(1 + 12 + 66), "30")
    np.save(tmp_path / "c.npy", points[:2])
    (row,) = rows_of(call("along", "line", "--width", 12, "--through", "c.npy", cwd=tmp_path))
    assert (row["activation_regions"], row["expected"]) == ("13", "13.0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--widths 3,3 --width 3", "--widths and --width must not both be given"),
        ("--widths 3,3 --depth 3", "--widths and --depth must not both be given"),
        ("--net telgarsky:3 --width 3", "--net and --width must not both be given"),
        ("--net telgarsky:3 --n0 1", "--net and --n0 must not both be given"),
        ("--net telgarsky:3 --cw 1", "--net and --cw must not both be given"),
        ("--net telgarsky:3 --samples 2", "--net and --samples must not both be given"),
        ("bounds --plot a.png", "--plot"),
        ("along line --point 1,2", "--point"),
        ("along square", "'square' is not one of 'line', 'plane'"),
        ("along --through a.npy --lines 100", "--through and --lines must not both be given"),
        ("along --through a.npy --samples 1", "--through and --samples must not both be given"),
        ("through a.npy --points 10", "FILE and --points must not both be given"),
        ("through --domain box", "--domain"),
        ("through --points 1", "points must be at least 2, not 1"),
        ("through a.npy", "a.npy: No such file or directory"),
        ("along --through a.npy", "a.npy: No such file or directory"),
        ("--box 3", "--box must come with --domain box"),
        ("--lines 3", "--lines"),
        ("--color layer", "--color must come with --plot"),
        ("--color hue --plot a.png", "'--color'"),
        ("--domain ball", "domain must be space"),
        ("--domain box --box 0", "box must be finite and above 0, not 0"),
        ("--domain box --box nan", "box must be finite and above 0, not nan"),
        ("--n0 0", "n0 must be at least 1, not 0"),
        ("--width 0", "width must be at least 1, not 0"),
        ("--widths 3,x", "widths must be whole numbers, as in 64,32 or 64*10,32, not 'x'"),
        ("--cw -1", "cw must be finite and at least 0, not -1"),
        ("--cb inf", "cb must be finite and at least 0, not inf"),
        ("--samples 0", "samples must be at least 1, not 0"),
        ("--threads -1", "threads must be at least 0, not -1"),
        ("--point 1,2,3", "--point must have 2 coordinates, as --n0 is 2, not 3"),
        ("--n0 784 --widths 99,99", "n0 must be smaller for an exact count, not 784"),
        ("--n0 784 --widths 99,99", "nnth regions along line and along plane"),
        ("along plane --n0 1", "n0 must be at least 2 for a plane, not 1"),
        ("--n0 3 --widths 4,4 --plot a.png", "n0 must be 1 or 2 for a picture or cells, not 3"),
        ("--net missing.npz", "missing.npz: No such file or directory"),
        (
            "--net tent",
            "net must be a file ending in .npz, .safetensors, .pt, .pth, .onnx, .keras or .h5, or",
        ),
        ("--save a.npy", "--save must end in .npz, not 'a.npy'"),
    ],
)
def test_an_error_names_the_option_and_leaves_no_file(
    arguments: str, message: str, tmp_path: Path
) -> None:
    assert message in refusal(*arguments.split(), "-o", "r.csv", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b1": np.zeros(8)}, "b1 must have 9 numbers"),
        ({"W2": np.full((5, 9), np.nan)}, "W2 must hold finite numbers, not nan"),
        ({"activation": np.array("tanh")}, "activation must be relu"),
    ],
)
def test_invalid_networks_are_refused(change: dict[str, object], message: str, net: Path) -> None:
    with np.load(net) as arrays:
        np.savez(net, **(dict(arrays) | change))
    assert message in refusal("--net", net)


def test_a_loop_over_widths_appends(tmp_path: Path) -> None:
    for width in (4, 8, 16):
        done = call("--width", width, "--samples", 2, "--append", "r.csv", cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with (tmp_path / "r.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["widths"] for row in rows] == ["4", "8", "16"]
    assert [float(row["activation_regions"]) for row in rows] == [11.0, 37.0, 137.0]


def test_cells_are_written(tmp_path: Path) -> None:
    call("--widths", "7,7", "--domain", "box", "--box", 2, "--save", "c.npz", cwd=tmp_path)
    found = cells(random_network(2, (7, 7)), 2.0)
    with np.load(tmp_path / "c.npz") as back:
        assert set(back) == set(found.arrays())
        for name, array in found.arrays().items():
            assert np.array_equal(back[name], array)
    arguments = ("along", "plane", "--n0", 40, "--width", 7, "--lines", 1, "--save", "s.npz")
    rows_of(call(*arguments, cwd=tmp_path))
    with np.load(tmp_path / "s.npz") as back:
        assert back["directions"].shape == (40, 2)
        assert len(back["patterns"]) <= 29


OPENINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(OPENINGS))
def test_pictures_of_the_plane(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"r.{kind}"
    done = call("--widths", "8,8", "--domain", "box", "--plot", path)
    assert len(rows_of(done)) == 1
    assert path.read_bytes().startswith(OPENINGS[kind])
    first = path.read_bytes()
    call("--widths", "8,8", "--domain", "box", "--plot", path)
    assert path.read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        "--widths 8,8 --color layer",
        "--widths 8,8 --color pattern",
        "--widths 8,8 --color active --samples 2",
        "--n0 1 --widths 8,8",
        "--n0 1 --width 8 --n-out 3 --domain box",
        "--net telgarsky:4",
        "along plane --n0 30 --width 8 --lines 1",
        "along line --n0 30 --width 8 --lines 1 --domain box",
        "through p.npy --width 8",
        "along plane --width 8 --through p.npy --domain box",
        "along line --width 8 --through two.npy",
        "through --points 3 --n0 4 --width 8",
    ],
)
def test_pictures(arguments: str, tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(3, 5))
    np.save(tmp_path / "p.npy", points)
    np.save(tmp_path / "two.npy", points[:2])
    done = call(*arguments.split(), "--plot", "r.svg", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "r.svg").read_bytes().startswith(b"<?xml")


def test_an_interrupt_reports_the_work_done_and_leaves_no_file(tmp_path: Path) -> None:
    arguments = ["--widths", "1000,1000,1000", "-o", "r.csv", "--plot", "r.png"]
    out, err = interrupted("regions", *arguments, cwd=tmp_path)
    assert out == ""
    assert err.startswith("nnth: interrupted: ")
    assert "of the parts of the network were counted" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_has_formula_source_and_example() -> None:
    said = call("count", "--help").stdout
    for word in ("C(N, i)", "Source: Zaslavsky (1975)", "Example: nnth regions", "--point X,X,..."):
        assert word in said


def test_a_caption_of_two_lines_leaves_the_picture_its_place(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    place = ("--domain", "box", "--box", 3, "--color", "layer")
    rows_of(call("--widths", "3,3,3,3", *place, "--plot", "r.png", cwd=tmp_path))
    pixels = image.imread(tmp_path / "r.png")[..., :3]
    height, width, _ = pixels.shape
    assert pixels[: height // 3, : width // 4].min() < 0.5
