"""Every row has a hash of each file that was read for it, so that it can be computed again."""

from __future__ import annotations

import csv
import hashlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from nnth import TrainingSetup, collapse, gram, quadratic, random_model, random_network, regions
from nnth._data.files import File, file_of
from nnth._tables.table import Meta
from nnth_cli import main as program

TRAINING = "--points 12 --widths 3 --steps 2 --data xy.npz"

# One call of every command and option that reads files, and the parameters with a hash.
CALLS = {
    "gram x.npy --depth 2": "x:x.npy",
    "predict --x x.npy --y y.npy --x-test u.npy --y-test v.npy --times 1": (
        "x:x.npy y:y.npy x_test:u.npy y_test:v.npy"
    ),
    "gp --x u.npy --samples 20 --width 4 --depth 1": "x:u.npy",
    "rates descent --x x.npy --y y.npy --depth 1": "x:x.npy y:y.npy",
    "rates noise --x x.npy --gradient-noise 0.1 --depth 1 --samples 9": "x:x.npy",
    "rates training --x x.npy --y y.npy --width 4,8 --samples 2 --steps 2": "x:x.npy y:y.npy",
    "regions --net net.npz": "net:net.npz",
    "regions through u.npy --widths 4": "through:u.npy",
    "paths spectrum --width 4 --depth 1 --x u.npy --samples 20": "x:u.npy",
    "paths --width 4 --depth 1 --n0 200 --x long.npy --samples 20": "x:long.npy",
    "quadratic --model model.npz --times 1": "model:model.npz",
    "quadratic --net net.npz --x x.npy --y y.npy --times 1": "net:net.npz x:x.npy y:y.npy",
    "lazy --x small.npy --y y.npy --width 8,16 --samples 2": "x:small.npy y:y.npy",
    f"classes {TRAINING}": "data:xy.npz",
    f"collapse {TRAINING}": "data:xy.npz",
    f"hessian {TRAINING} --top 2": "data:xy.npz",
    f"sharpness {TRAINING}": "data:xy.npz",
    f"sharpness scan {TRAINING} --eta-lambda0 1": "data:xy.npz",
    "hessian --net net.npz --data xy.npz --top 2 --loss squared": "data:xy.npz net:net.npz",
    "bayes --x wide.npy --y u1.npy --width 9 --sigma2 1": "x:wide.npy y:u1.npy",
    "diagonal --x x.npy --y y.npy --alpha 1": "x:x.npy y:y.npy",
    "margin --x x.npy --y signs.npy --log-times 1": "x:x.npy y:signs.npy",
    "sgd --x x.npy --y noisy.npy --steps 300": "x:x.npy y:noisy.npy",
    "rkhs spectrum --kernel ntk --n0 3 --levels 3 --x x.npy": "x:x.npy",
    "rkhs fit --x x.npy --y y.npy --x-test u.npy --y-test v.npy --ridge 0.1": (
        "x:x.npy y:y.npy x_test:u.npy y_test:v.npy"
    ),
    "rkhs sample --x x.npy --samples 5": "x:x.npy",
    "entropy --set functions --functions x.npy": "functions:x.npy",
    "entropy --set nets --x x.npy --samples 4 --widths 3": "x:x.npy",
}

# The same commands without a file have these columns too, so that rows of both fit in one table.
WITHOUT = [
    "diagonal --points 3 --n0 5 --sparsity 1 --alpha 1",
    "margin --points 8 --n0 2 --log-times 1",
    "rates descent --points 4 --n0 3",
    "rates noise --points 4 --n0 3 --samples 9",
    "rates training --width 4,8 --samples 2 --steps 2",
    "sgd --steps 300",
    "gp --samples 20 --width 4 --depth 1",
    "regions --widths 4",
    "collapse --points 8 --widths 3",
    "lazy --width 8,16 --points 3 --samples 2",
    "quadratic --parameters 4 --points 2 --times 1",
    "rkhs spectrum --kernel ntk --n0 3 --levels 3",
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with small data files, the current directory of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 3))
    arrays = {
        "x": x,
        "y": x.sum(axis=1),
        "u": x[:2] + 0.1,
        "v": x[:2].sum(axis=1),
        "u1": x[:2, 0],
        "noisy": random.normal(size=6),
        "signs": np.sign(x[:, 0]),
        "long": np.ones((1, 200)),
        "wide": random.normal(size=(2, 5)),
        "small": 0.5 * x / np.linalg.norm(x, axis=1, keepdims=True),
    }
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)
    np.savez("xy.npz", X=random.normal(size=(12, 3)), y=np.arange(12) % 2)
    net = random_network(3, (4,), n_out=1)
    np.savez("net.npz", W1=net.weights[0], b1=net.biases[0], W2=net.weights[1], b2=net.biases[1])
    model = random_model(4, 2)
    np.savez("model.npz", Phi=model.phi, Psi=model.psi, y=model.y, theta0=model.theta0)
    return tmp_path


def rows_of(words: str, capfd: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    code = program.run(program.get_command(program.app), [*words.split(), "--format", "csv"])
    out, err = capfd.readouterr()
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def digest(name: str) -> str:
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize("words", CALLS)
def test_rows_have_the_hashes_of_all_files(
    words: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if "--loss squared" in words:  # the loss of a network with one output
        np.savez("xy.npz", X=np.load("x.npy"), y=np.load("y.npy"))
    pairs = (pair.split(":") for pair in CALLS[words].split())
    expected = " ".join(f"{name}:{digest(file)}" for name, file in pairs)
    for row in rows_of(words, capfd):
        assert row["sha256"] == expected
        assert list(row)[-3:] == ["sha256", "seed", "version"]


def test_standard_input_has_a_hash(
    files: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"a,b\n1,2\n3,4\n0,1\n"
    for command in ("gram - --depth 1", "rkhs sample --x - --samples 5"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        for row in rows_of(command, capfd):
            assert row["x"] == "-"
            assert row["sha256"] == f"x:{hashlib.sha256(content).hexdigest()[:16]}"


def test_targets_come_with_inputs_of_a_data_set_with_a_name(
    files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of("sgd --x clusters:0.1 --steps 300 --batch 9", capfd)
    assert (rows[0]["x"], rows[0]["y"], rows[0]["sha256"]) == ("clusters:0.1", "clusters:0.1", "")
    assert rows_of("sgd --x clusters:0.1 --y clusters:0.1 --steps 300 --batch 9", capfd) == rows
    swept = rows_of("sweep sgd --x clusters:0.1 --steps 300 --seed 0 --vary batch=9", capfd)
    assert [row["rhs"] for row in swept] == [row["rhs"] for row in rows]


def test_targets_come_with_inputs_of_an_archive(
    files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez("pair.npz", x=np.load("x.npy"), y=np.load("y.npy"))
    (row,) = rows_of("diagonal --x pair.npz --alpha 1", capfd)
    assert row["sha256"] == f"x:{digest('pair.npz')} y:{digest('pair.npz')}"
    (same,) = rows_of("diagonal --x x.npy --y y.npy --alpha 1", capfd)
    assert row["q"] == same["q"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rkhs fit --x - --y -", "--x and --y must not both be -: standard input is read once"),
        ("sweep rkhs sample --x - --vary depth=1,2", "--x must not be - in a sweep, whose points"),
        ("rkhs sample --x digitz", "not 'digitz'; did you mean digits?"),
        ("rkhs sample --x bad.csv", "bad.csv: line 3, field 2 must be a finite number, not 'o'"),
    ],
)
def test_an_error_of_the_data_is_one_line(
    words: str, message: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("bad.csv").write_text("a,b\n1,2\n3,o\n")
    assert program.run(program.get_command(program.app), words.split()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("nnth: error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("words", WITHOUT)
def test_without_a_file_the_column_is_empty(
    words: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert {row["sha256"] for row in rows_of(words, capfd)} == {""}


def test_the_hash_belongs_to_the_content_that_was_read(files: Path) -> None:
    first = gram("x.npy").table()
    before = digest("x.npy")
    np.save("x.npy", np.load("u.npy"))
    assert first.meta.parameters["sha256"] == f"x:{before}"
    assert file_of("./x.npy") == File("./x.npy", before)  # the hash of the last reading
    assert gram("./x.npy").table().meta.parameters["sha256"] == f"x:{digest('x.npy')}"
    assert digest("x.npy") != before
    assert gram(np.load("x.npy")).table().meta.parameters["sha256"] is None


def test_images_and_labels_have_one_hash(files: Path) -> None:
    for kind, sizes in (("images-idx3", (4, 2, 2)), ("labels-idx1", (4,))):
        head = bytes([0, 0, 8, len(sizes)]) + b"".join(n.to_bytes(4, "big") for n in sizes)
        content = bytes(i % 2 for i in range(int(np.prod(sizes))))
        Path(f"a-{kind}-ubyte").write_bytes(head + content)
    both = Path("a-images-idx3-ubyte").read_bytes() + Path("a-labels-idx1-ubyte").read_bytes()
    setup = TrainingSetup(data="a-images-idx3-ubyte", widths=(2,), steps=0)
    expected = hashlib.sha256(both).hexdigest()[:16]
    assert collapse(setup).table().meta.parameters["sha256"] == f"data:{expected}"


def test_a_network_with_a_name_has_no_hash() -> None:
    assert regions("telgarsky:2").meta.parameters["sha256"] is None
    assert quadratic(net="random", points=3, times=(1.0,)).table().meta.parameters["sha256"] is None
    meta = Meta("gram", {"x": File("x.npy", "0" * 16), "y": File(None), "depth": 2})
    assert dict(meta.parameters) == {"x": "x.npy", "y": None, "depth": 2, "sha256": f"x:{'0' * 16}"}
    again = pickle.loads(pickle.dumps(meta))
    assert again == meta
